"""What becomes of scans without a digit: nothing about them can be right but `blank`."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from digitrec.datasets.empty import EmptySet
from digitrec.evaluation.suite import shortened
from digitrec.model.engine import Engine
from digitrec.model.policy import ACCEPT, REVIEW
from digitrec.reader import read_scans
from digitrec.readings import BLANK, ERROR

CHUNK = 1000
DECISIONS = (ACCEPT, REVIEW, BLANK, ERROR)
ALL = "all of them"
TITLES = ("accepted %", "review %", "blank %")


@dataclass(frozen=True, slots=True)
class EmptyEntry:
    """What one bundle decided of one set of scans without a digit."""

    name: str  # the set's
    model: str  # the bundle, as it is called in tables and pictures
    scores: dict[str, Any]  # the set's entry in the scorecard: `images`, and each decision's count

    def share(self, decision: str) -> float:
        """Return the share of the scans of which this was decided."""
        return float(self.scores[decision] / self.scores["images"])


def measure_empty(
    engines: Mapping[str, Engine],
    empty: EmptySet,
    advance: Callable[[int], None] = lambda count: None,
) -> list[EmptyEntry]:
    """Read scans without a digit by each bundle; `advance` is told of every chunk's size."""
    found: dict[str, Counter[str]] = {model: Counter() for model in engines}
    for start in range(0, len(empty.scans), CHUNK):
        scans = empty.scans[start : start + CHUNK]
        for model, engine in engines.items():
            found[model].update(read_scans(scans, engine).decisions.tolist())
        advance(len(scans))
    return [
        EmptyEntry(empty.name, model, _scores(len(empty.scans), counts))
        for model, counts in found.items()
    ]


def _scores(images: int, counts: Mapping[str, int]) -> dict[str, Any]:
    return {"images": images, **{name: counts.get(name, 0) for name in DECISIONS}}


def table(entries: Sequence[EmptyEntry]) -> str:
    """Write entries as text: a line for each set, beside each other what each bundle decided."""
    models = list(dict.fromkeys(one.model for one in entries))
    sets = list(dict.fromkeys(one.name for one in entries))
    by_place = {(one.name, one.model): one for one in entries}
    rows = [(name, [by_place[name, model] for model in models]) for name in sets]
    if len(sets) > 1:
        rows.append((ALL, [_sum([one for one in entries if one.model == m]) for m in models]))
    width = 12 * len(TITLES) - 2
    lines = [
        " " * 30
        + "".join("  " + f" {shortened(one, width - 6)} ".center(width, "-") for one in models),
        f"{'no digit':<22}{'scans':>8}" + len(models) * "".join(f"{one:>12}" for one in TITLES),
        *(_line(name, some) for name, some in rows),
    ]
    return "\n".join(lines)


def _sum(entries: Sequence[EmptyEntry]) -> EmptyEntry:
    total = {name: sum(one.scores[name] for one in entries) for name in ("images", *DECISIONS)}
    return EmptyEntry(ALL, entries[0].model, total)


def _line(name: str, entries: Sequence[EmptyEntry]) -> str:
    shares = "".join(
        f"{100 * one.share(decision):>12.2f}"
        for one in entries
        for decision in (ACCEPT, REVIEW, BLANK)
    )
    return f"{name:<22}{entries[0].scores['images']:>8,}{shares}"
