"""The panel: many labelled sets, read by one or several bundles, as one table.

Each set is read through digitrec's normalizer and, as a yardstick, through a plain resize.
Sets without a digit belong to the panel too; what becomes of them is told in `empty.py`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitrec.datasets.corruptions import CORRUPTIONS
from digitrec.datasets.empty import EMPTY, EmptySet, load_empty
from digitrec.datasets.labelled import LabelledSet, load_labelled
from digitrec.evaluation.labelled_set import measure_each
from digitrec.evaluation.scores import Measured
from digitrec.model.engine import Engine
from digitrec.normalize.plain_resize import plain_resize

PANEL = "panel"
REAL_DIGITS = "real_digits"
NO_DIGIT = "empty:"  # begins the names of sets that show none
LABEL_WIDTH = 22  # of a set's name
# Of a bundle's figures: title, width, and how a scorecard's entry is written in them.
COLUMNS: tuple[tuple[str, int, Callable[[dict[str, Any]], str]], ...] = (
    ("right %", 9, lambda scores: f"{100 * scores['accuracy']:.2f}"),
    ("resized", 9, lambda scores: f"{100 * scores['plain_resize']['accuracy']:.2f}"),
    ("NLL", 8, lambda scores: _number(scores["nll"])),
    ("ECE", 8, lambda scores: _number(scores["ece"])),
    ("cover %", 9, lambda scores: _percent(scores["coverage"])),
    ("wrong %", 9, lambda scores: _percent(scores["accepted_error"])),
    ("to", 7, lambda scores: _percent((scores["accepted_error_interval"] or [None, None])[1])),
)
BUNDLE_WIDTH = sum(width for _, width, _ in COLUMNS)


@dataclass(frozen=True, slots=True)
class Entry:
    """What one bundle scored on one set of N scans; without the scans, which would add up."""

    name: str  # the set's
    model: str  # the bundle, as it is called in tables and pictures
    scores: dict[str, Any]  # the set's entry in the scorecard
    error_curve: NDArray[np.float64]  # [N]: see Measured
    digit_score: NDArray[np.float32]  # [N], NaN where the bundle does not know it

    @property
    def accuracy(self) -> float:
        """Share of the scans that was read right through digitrec's normalizer."""
        return float(self.scores["accuracy"])

    @property
    def plain_accuracy(self) -> float:
        """Share of the scans that was read right through a plain resize."""
        return float(self.scores["plain_resize"]["accuracy"])


def load_panel(test_data: str | None) -> tuple[list[LabelledSet], list[str]]:
    """Load the panel's sets that are at hand here.

    Args:
        test_data: the folder in which `real_digits/truth.csv` may be, if one was named.

    Returns:
        The sets, and a sentence for each that is left out.
    """
    sets, left_out = [load_labelled("mnist:test")], []
    table = Path(test_data or "", REAL_DIGITS, "truth.csv")
    if test_data and table.is_file():
        # The table, as it says who wrote each; it is shown and kept under its folder's name.
        sets.append(replace(load_labelled(str(table)), name=REAL_DIGITS))
    if find_spec("sklearn"):
        sets.append(load_labelled("sklearn:digits"))
    else:
        left_out.append("sklearn:digits is left out: pip install 'digitrec[panel]'")
    return sets + [load_labelled(f"mnist:{name}") for name in CORRUPTIONS], left_out


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is to be measured on."""

    given: list[LabelledSet]  # labelled sets that were named
    others: list[LabelledSet]  # the panel's others
    empty: list[EmptySet]
    left_out: list[str]  # a sentence for each set of the panel that is not at hand


def choose(named: Sequence[str], test_data: str | None) -> Chosen:
    """Load what is to be measured on: by default, or where it is named, the panel.

    Args:
        named: labelled sets, sets without a digit, and `panel` for all that are at hand.
        test_data: see `load_panel`.

    Raises:
        InputError: a set can't be loaded.
    """
    names = [name for name in dict.fromkeys(named) if name != PANEL]
    empty = [load_empty(name) for name in names if name.startswith(NO_DIGIT)]
    given = [load_labelled(name) for name in names if not name.startswith(NO_DIGIT)]
    if named and PANEL not in named:
        return Chosen(given, [], empty, [])
    panel, left_out = load_panel(test_data)
    empty += [load_empty(NO_DIGIT + name) for name in EMPTY if NO_DIGIT + name not in names]
    others = [one for one in panel if one.name not in {one.name for one in given}]
    return Chosen(given, others, empty, left_out)


def compare(
    engines: Sequence[Engine],
    labelled: LabelledSet,
    advance: Callable[[int], None] = lambda count: None,
) -> list[tuple[Measured, Measured]]:
    """Read a set by each bundle, normalized and plainly resized; see `measure`."""
    ways = [(engine, way) for engine in engines for way in (None, plain_resize)]
    measured = measure_each(ways, labelled, advance)
    return list(zip(measured[::2], measured[1::2], strict=True))


def entry(model: str, normalized: Measured, plain: Measured) -> Entry:
    """Keep what tables, pictures and the scorecard need of a set's readings."""
    scores = {
        **normalized.scores(),
        "plain_resize": plain.scores(),
        "confusion": normalized.confusion().tolist(),
    }
    return Entry(normalized.name, model, scores, normalized.error_curve(), normalized.digit_score)


def table(entries: Sequence[Entry]) -> str:
    """Write entries as text: a line for each set, beside each other what each bundle scored."""
    models = list(dict.fromkeys(one.model for one in entries))
    names = list(dict.fromkeys(one.name for one in entries))
    by_place = {(one.name, one.model): one.scores for one in entries}
    rows = [(name, [by_place[name, model] for model in models]) for name in names]
    rows += [
        (
            f"{kind}, mean of {len(sets)}",
            [_mean(by_place[name, m] for name in sets) for m in models],
        )
        for kind, sets in _kinds().items()
        if sets <= set(names)
    ]
    titles = "".join("  " + _centred(model, BUNDLE_WIDTH - 1) for model in models)
    columns = " " + "".join(f"{title:>{width}}" for title, width, _ in COLUMNS)
    return "\n".join(
        [
            " " * (LABEL_WIDTH + 8) + titles,
            f"{'set':<{LABEL_WIDTH}}{'scans':>8}" + len(models) * columns,
            *(_line(name, scores) for name, scores in rows),
            "",
            "right %: read right; resized: by a plain resize instead of digitrec's normalizer;",
            "NLL in nats; ECE in 15 bins; cover %: accepted, of the digits; wrong %: read wrong of",
            "the accepted; to: the upper end of its exact 95 % interval, by writer where known",
        ]
    )


def _kinds() -> dict[str, set[str]]:
    """The sets of each kind of corruption."""
    kinds: dict[str, set[str]] = {}
    for one in CORRUPTIONS.values():
        kinds.setdefault(one.kind, set()).add(f"mnist:{one.name}")
    return kinds


def _mean(scores: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Average entries of a scorecard, as far as the table shows them."""
    some = list(scores)
    numbers = [[one["images"], one["accuracy"], one["nll"], one["ece"]] for one in some]
    images, accuracy, nll, ece = np.array(numbers, float).T
    return {
        "images": int(images.sum()),
        "accuracy": accuracy.mean(),
        "plain_resize": {"accuracy": np.mean([one["plain_resize"]["accuracy"] for one in some])},
        "nll": nll.mean(),
        "ece": ece.mean(),
        "coverage": _mean_of(some, "coverage"),
        "accepted_error": _mean_of(some, "accepted_error"),
        "accepted_error_interval": None,  # of sets of the same digits together there is none
    }


def _mean_of(scores: Sequence[dict[str, Any]], name: str) -> float | None:
    known = [one[name] for one in scores if one[name] is not None]
    return float(np.mean(known)) if known else None


def _line(name: str, scores: Sequence[dict[str, Any]]) -> str:
    figures = ("".join(f"{show(one):>{width}}" for _, width, show in COLUMNS) for one in scores)
    title = f"{shortened(name, LABEL_WIDTH - 1):<{LABEL_WIDTH}}{scores[0]['images']:>8,}"
    return title + "".join(" " + one for one in figures)


def _centred(title: str, width: int) -> str:
    return f" {shortened(title, width - 6)} ".center(width, "-")


def shortened(name: str, width: int) -> str:
    """Keep the end of a name, which tells paths apart, from a slash on if there is one."""
    if len(name) <= width:
        return name
    end = name[1 - width :]
    return "…" + end[max(end.find("/"), 0) :]


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.2f}"


def _number(value: float | None) -> str:
    return "none" if value is None or np.isnan(value) else f"{value:.4f}"
