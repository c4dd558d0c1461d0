"""A result, or a sample of one → the page on which a person settles it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from digitrec.batch.audit import sample_of
from digitrec.batch.result import Result, open_result
from digitrec.errors import InputError
from digitrec.review.items import Item, make_items, most_doubtful, sample_items
from digitrec.review.label_studio import config_xml, tasks_json
from digitrec.review.page import Origin, page_data, page_html
from digitrec.storage.files import is_uri
from digitrec.storage.folder import open_file

HTML, LABEL_STUDIO = "html", "label-studio"  # formats


@dataclass(frozen=True, slots=True)
class Made:
    """What was made."""

    files: list[str]
    items: int
    digits: dict[str, int]  # how many were read as what; `""`: as nothing
    left: int = 0  # rows to review that are not on it, as the count is reached
    missing: list[str] = field(default_factory=list)  # of each scan that can't be shown, why


def make(
    location: str,
    out: str,
    *,
    count: int,
    sample: Path | None = None,
    language: str | None = None,
    form: str = HTML,
) -> Made:
    """Make a page of the rows of a result that a person has to look at, or of a sample of it.

    Args:
        location: a complete result, here or behind a URI.
        out: the file to write, here or behind a URI; it is replaced.
        count: of the most doubtful rows, at most so many.
        sample: a folder of `audit draw`: its scans, in the order drawn, are shown instead.
        language: of the page: `en` or `zh`; None: the browser's.
        form: HTML, or LABEL_STUDIO: its tasks as JSON, and the labelling interface beside it.

    Raises:
        InputError: there is no such result, its sample is another's, or there is nothing to show.
    """
    result = open_result(location)
    if sample is not None:
        items = sample_items(sample, sample_of(result, sample)[1])
        return write_page(origin_of(result, location, sample), items, out, language, form)
    chosen = most_doubtful(result, count)
    if not chosen.places:
        raise InputError(f"{result.folder.name} has no rows to review: nothing is in doubt")
    items, missing = make_items(result, chosen.places)
    if not items:
        raise InputError(f"none of the scans can be shown any more: {missing[0]}")
    made = write_page(origin_of(result, location), items, out, language, form)
    return replace(made, left=chosen.left, missing=missing)


def origin_of(result: Result, location: str, sample: Path | None = None) -> Origin:
    """Say where a page's scans come from, so that its answers find the way back."""
    return Origin(
        result=result.folder.name if is_uri(location) else os.path.abspath(location),
        model=result.run["model_id"],
        run=result.run["run_id"],
        sample="" if sample is None else os.path.abspath(sample),
    )


def write_page(
    origin: Origin,
    items: Sequence[Item],
    out: str,
    language: str | None = None,
    form: str = HTML,
) -> Made:
    """Write items as a page, or as Label Studio's tasks; see `make`."""
    folder, name = open_file(out)
    data = page_data(origin, items, language)
    read = [item.row.predicted for item in items]
    made = Made([out], len(items), {digit: read.count(digit) for digit in sorted(set(read))})
    if form == HTML:
        folder.write(name, page_html(data).encode())
        return made
    folder.write(name, tasks_json(data).encode())
    folder.write(_as_xml(name), config_xml().encode())
    return replace(made, files=[out, _as_xml(out)])


def _as_xml(name: str) -> str:
    return os.path.splitext(name)[0] + ".xml"
