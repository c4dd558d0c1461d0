"""Answers → what is settled: which scans they speak of, and what all who were asked say alike."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from digitrec.batch.result import Place, Result, rows_of
from digitrec.datasets.answers import Drawn
from digitrec.review.exports import Answer, Refused

Placed = tuple[Place, Answer]


@dataclass(frozen=True, slots=True)
class Settled:
    """What a scan shows, as people say."""

    label: str
    reviewer: str  # several: with commas between them
    time: str  # of the last answer
    digests: frozenset[str]  # of the content that they saw


@dataclass(slots=True)
class Agreed:
    """What answers come to."""

    settled: dict[Place, Settled] = field(default_factory=dict)
    open: dict[Place, list[Answer]] = field(default_factory=dict)  # not alike, or not all answered
    refused: list[Refused] = field(default_factory=list)


def located(result: Result, answers: Iterable[Answer]) -> tuple[list[Placed], list[Refused]]:
    """Find the row that each answer speaks of: by its place if the path is the one there.

    Else by the path alone, if one row has it.
    """
    placed: list[Placed] = []
    lost: list[Answer] = []
    paths: dict[int, list[str]] = {}
    for answer in answers:
        part, row = answer.part, answer.row
        if part is not None and row is not None and part in result.parts:
            if part not in paths:
                paths[part] = rows_of(result, part, ["path"])["path"].to_pylist()
            if row < len(paths[part]) and paths[part][row] == answer.path:
                placed.append(((part, row), answer))
                continue
        lost.append(answer)
    found, refused = _by_path(result, lost)
    return placed + found, refused


def _by_path(result: Result, answers: Sequence[Answer]) -> tuple[list[Placed], list[Refused]]:
    if not answers:
        return [], []
    wanted = {answer.path for answer in answers}
    places: defaultdict[str, list[Place]] = defaultdict(list)
    for part in result.parts:
        for row, path in enumerate(rows_of(result, part, ["path"])["path"].to_pylist()):
            if path in wanted:
                places[path].append((part, row))
    placed: list[Placed] = []
    refused: list[Refused] = []
    for answer in answers:
        match places[answer.path]:
            case [place]:
                placed.append((place, answer))
            case []:
                refused.append(Refused(answer.where, f"the result has no scan {answer.path}"))
            case many:
                why = f"the result has {len(many)} scans {answer.path}: which?"
                refused.append(Refused(answer.where, why))
    return placed, refused


def located_in_sample(
    sample: Sequence[Drawn], answers: Iterable[Answer]
) -> tuple[list[Placed], list[Refused]]:
    """Find the row of a sample that each answer speaks of, by its number."""
    drawn = {row.number: row for row in sample}
    placed: list[Placed] = []
    refused: list[Refused] = []
    for answer in answers:
        row = drawn.get(answer.number or 0)
        if row is None or row.original != answer.path:
            what = "no number" if answer.number is None else f"number {answer.number}"
            why = f"the sample has no scan {answer.path} with {what}"
            refused.append(Refused(answer.where, why))
        else:
            placed.append(((row.part, row.row), answer))
    return placed, refused


def agreed(placed: Sequence[Placed]) -> Agreed:
    """Take what is settled: on each page, what all who answered anything there say alike.

    Where pages differ on a scan it is open; where one leaves it open, another settles it.
    """
    outcome = Agreed()
    people: defaultdict[str, set[str]] = defaultdict(set)
    said: defaultdict[Place, defaultdict[str, list[Answer]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for place, answer in placed:
        people[answer.page].add(answer.reviewer)
        said[place][answer.page].append(answer)
    for place, pages in said.items():
        every = [answer for answers in pages.values() for answer in answers]
        alike = [
            answers for page, answers in pages.items() if _is_alike(answers, people[page], outcome)
        ]
        if len({answers[0].label for answers in alike}) == 1:
            outcome.settled[place] = _settled([one for answers in alike for one in answers])
        else:
            outcome.open[place] = every
    return outcome


def _is_alike(answers: Sequence[Answer], people: set[str], outcome: Agreed) -> bool:
    """Say whether all people of a page answered a scan, and alike."""
    labels: defaultdict[str, set[str]] = defaultdict(set)
    for answer in answers:
        labels[answer.reviewer].add(answer.label)
    for answer in answers:
        if len(found := labels[answer.reviewer]) > 1:
            why = f"{answer.path} is answered {' and '.join(sorted(found))} by one person: which?"
            outcome.refused.append(Refused(answer.where, why))
    return set(labels) == people and len(set.union(*labels.values())) == 1


def _settled(answers: Sequence[Answer]) -> Settled:
    return Settled(
        label=answers[0].label,
        reviewer=", ".join(sorted({answer.reviewer for answer in answers} - {""})),
        time=max(answer.time for answer in answers),
        digests=frozenset(answer.digest for answer in answers if answer.digest),
    )
