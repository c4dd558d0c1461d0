"""Items → one HTML file with all in it, that a person settles them on: no server, no network."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from digitrec.datasets.answers import NO_DIGITS
from digitrec.review.items import Item
from digitrec.review.words import WORDS

PER_SHEET = 60  # scans of a contact sheet
DIGITS, SAMPLE = "digits", "sample"  # kinds of pages
LABELS = (*map(str, range(10)), *NO_DIGITS)
VERSION = 1  # of the page's data, and of the progress that it saves


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where the scans of a page come from; every answer tells it again."""

    result: str  # as it is found from any folder, without secrets
    model: str  # the model's id
    run: str  # the run's id
    sample: str = ""  # the folder of a sample, whose page does not tell what was read


def page_id(origin: Origin, items: Sequence[Item]) -> str:
    """Return what tells a page from any other: a hash of its scans, in their order."""
    digest = hashlib.sha256(f"{origin.run} {bool(origin.sample)}".encode())
    for item in items:
        digest.update(f"{item.place} {item.digest} ".encode())
    return digest.hexdigest()[:12]


def page_data(origin: Origin, items: Sequence[Item], language: str | None = None) -> dict[str, Any]:
    """Return what the page's script goes by.

    Items stand in sheets by what was read, in their order; those of a sample in one row of sheets.

    Args:
        origin: where they come from.
        items: what is to be settled.
        language: `en` or `zh`; None: the browser's.
    """
    kind = SAMPLE if origin.sample else DIGITS
    return {
        "version": VERSION,
        "page": page_id(origin, items),
        "kind": kind,
        "origin": asdict(origin),
        "language": language,
        "labels": LABELS,
        "sheets": _sheets(items, kind),
        "items": [_told(item) for item in items],
        "words": WORDS,
    }


def _sheets(items: Sequence[Item], kind: str) -> list[dict[str, Any]]:
    found: dict[str, list[int]] = {}
    for digit in ("",) if kind == SAMPLE else (*map(str, range(10)), ""):
        found[digit] = [k for k, item in enumerate(items) if item.row.predicted == digit]
    return [
        {"predicted": digit, "items": some[start : start + PER_SHEET]}
        for digit, some in found.items()
        for start in range(0, len(some), PER_SHEET)
    ]


def _told(item: Item) -> dict[str, Any]:
    row = item.row
    return {
        "part": item.place[0],
        "row": item.place[1],
        "number": item.number,
        "path": row.path,
        "predicted": row.predicted,
        "confidence": None if row.confidence is None else round(row.confidence, 4),
        "alternatives": row.alternatives,
        "reason": row.reason,
        "notes": item.notes,
        "digest": item.digest,
        "width": item.width,
        "height": item.height,
        "image": item.image,
    }


def page_html(data: dict[str, Any]) -> str:
    """Write the page: what `page_data` gave, with its style and scripts inside.

    Names of scans are anybody's: they stand in JSON that can't end its element, and the script
    shows them as text. What runs is named by its hash, so nothing else does.
    """
    style = _part("page.css")
    scripts = [_part("answers.js"), _part("page.js")]
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {_source(style)}; script-src {' '.join(map(_source, scripts))}"
    )
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(_part("page.html")).render(
        policy=policy,
        style=Markup(style),  # noqa: S704 - ours, and what markup is there to be
        scripts=[Markup(script) for script in scripts],  # noqa: S704
        data=Markup(_inert(data)),  # noqa: S704 - without any `<`
        language=data["language"] or "en",
        title=WORDS[data["language"] or "en"]["title"],
    )


def _part(name: str) -> str:
    return resources.files("digitrec.review").joinpath(name).read_text("utf-8")


def _source(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _inert(data: dict[str, Any]) -> str:
    """Return JSON in which nothing is markup, wherever its texts come from."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")
