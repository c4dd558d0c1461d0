"""A random sample of a result for a person to answer, and what the answers say of the result."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitrec.batch.result import CHANGED, Place, Result, fetched, open_result, rows_of
from digitrec.budget.audit import wrong_at_most
from digitrec.datasets.answers import (
    ACCEPTED,
    DRAW,
    NO_DIGIT,
    SAMPLE,
    SCANS,
    Draw,
    Drawn,
    answered,
    in_order,
    labels_of,
    read_draw,
    read_sample,
    write_draw,
    write_sample,
)
from digitrec.errors import InputError, ScanError
from digitrec.model.policy import ACCEPT
from digitrec.storage.files import make_folder, replacing

ALL = "all"  # the stratum of a sample that has no others
STRATA = [*map(str, range(10)), ALL]


@dataclass(frozen=True, slots=True)
class Bound:
    """What answers say of the rows that a sample was drawn of."""

    run_id: str  # the result's, as are these two
    finished: str
    model_id: str
    rows: int
    answered: int
    wrong: int  # of the answered ones
    wrong_at_most: int  # of all rows, with the certainty
    certainty: float
    left: int  # answers that can't be used yet: one before them is missing
    missing: int | None  # the number of that one
    of: str
    by_digit: dict[str, dict[str, int]] | None = None  # the same of each stratum

    @property
    def bound(self) -> float:
        """The share of the rows that is wrong at most."""
        return self.wrong_at_most / self.rows


def draw(
    location: str,
    count: int,
    out: Path,
    *,
    of: str = ACCEPTED,
    per_digit: bool = False,
    seed: int | None = None,
    certainty: float = 0.95,
) -> tuple[Draw, list[Drawn]]:
    """Draw rows of a result at random, and put their scans beside a table that takes the answers.

    Where `out` holds a sample of the same result already, more are drawn, in addition.

    Args:
        location: a complete result, here or behind a URI.
        count: how many rows; with `per_digit` of each digit.
        out: the folder for the sample.
        of: ACCEPTED, or DIGITS: all rows with a digit.
        per_digit: so many of each digit, as it was read.
        seed: of the draw; None: another one each time.
        certainty: with which the answers shall bound the error.

    Returns:
        How it was drawn, and the sample.

    Raises:
        InputError: there is no complete result, `out` holds something else, or a scan is gone.
    """
    result = open_result(location)
    sizes = _sizes(result, of, per_digit=per_digit)
    counts = {stratum: total for stratum, some in sizes.items() if (total := sum(some))}
    if not counts:
        raise InputError(f"{location} has no rows to draw: {of} is 0")
    known = _kept(out)
    seed = secrets.randbits(48) if seed is None else seed
    policy = (result.run["policy"] or {}).get("policy", {})
    drawing = Draw(
        result=location,
        run_id=result.run["run_id"],
        finished=result.run["finished"],
        model_id=result.run["model_id"],
        of=of,
        per_digit=per_digit,
        seed=known[0].seed if known else seed,
        counts=counts,
        certainty=certainty,
        least_confidence=_least(policy.get("min_confidence")),
        looks=result.total.looks,
    )
    if known and replace(drawing, result=known[0].result) != known[0]:
        raise InputError(f"{out} holds a sample that was drawn otherwise: choose another --out")
    earlier = known[1] if known else []
    while sum(min(count, size) for size in counts.values()) < len(earlier):
        count += 1  # what is drawn and answered stays
    rows = _with_scans(result, _places(result, drawing, sizes, count), out, earlier)
    write_draw(out, drawing)
    write_sample(out, rows)
    return drawing, rows


def _least(threshold: float | list[float] | None) -> float | None:
    """Return the confidence that every accepted digit reaches."""
    return max(threshold) if isinstance(threshold, list) else threshold


def _kept(out: Path) -> tuple[Draw, list[Drawn]] | None:
    """Return the sample that a folder holds; None where it holds nothing.

    Raises:
        InputError: it holds something else.
    """
    if (out / DRAW).is_file():
        return read_draw(out), answered(read_sample(out), None)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} holds something else than a sample: choose another --out")
    return None


def _digits_of(result: Result, number: int, of: str) -> NDArray[np.int64]:
    """Return the digit of each row of a part that may be drawn: int64 [N], below 0 of others."""
    rows = rows_of(result, number, ["digit", "decision"])
    digits: NDArray[np.int64] = rows["digit"].fill_null(-1).to_numpy().astype(np.int64)
    if of == ACCEPTED:
        digits[np.array(rows["decision"].to_pylist(), object) != ACCEPT] = -1
    return digits


def _sizes(result: Result, of: str, *, per_digit: bool) -> dict[str, list[int]]:
    """Return how many rows of each stratum each part has; from its stats where these tell."""
    parts = result.parts
    if not per_digit:
        told = (
            stats.decisions[ACCEPT] if of == ACCEPTED else sum(stats.digits.values())
            for stats in parts.values()
        )
        return {ALL: list(told)}
    if of == ACCEPTED:
        found = (_digits_of(result, number, of) for number in parts)
        counts = [np.bincount(digits[digits >= 0], minlength=10).tolist() for digits in found]
    else:
        counts = [[stats.digits[str(k)] for k in range(10)] for stats in parts.values()]
    return {str(digit): [some[digit] for some in counts] for digit in range(10)}


def _places(
    result: Result, drawing: Draw, sizes: Mapping[str, Sequence[int]], count: int
) -> list[Place]:
    """Draw rows without replacement: part and row of each, in the order of drawing.

    More rows from the same seed begin with those that fewer give.
    """
    read: dict[int, NDArray[np.int64]] = {}
    places = [
        _found(result, drawing, stratum, np.cumsum([0, *sizes[stratum]]), count, read)
        for stratum in drawing.counts
    ]
    # One of each stratum in turn.
    longest = max(map(len, places))
    return [some[k] for k in range(longest) for some in places if k < len(some)]


def _found(
    result: Result,
    drawing: Draw,
    stratum: str,
    starts: NDArray[np.int64],
    count: int,
    read: dict[int, NDArray[np.int64]],
) -> list[Place]:
    """Draw rows of a stratum, whose rows each part begins to count at `starts`.

    Args:
        result: it is drawn of.
        drawing: how.
        stratum: which.
        starts: int64 [parts + 1].
        count: how many rows are drawn, if there are as many.
        read: gets what `_digits_of` gives of the parts that are looked into.
    """
    size = drawing.counts[stratum]
    rng = np.random.default_rng([drawing.seed, STRATA.index(stratum)])
    chosen: dict[int, None] = {}
    while len(chosen) < min(count, size):
        chosen.setdefault(int(rng.integers(size)))
    numbers, places = list(result.parts), []
    for place in chosen:
        part = int(np.searchsorted(starts, place, "right")) - 1
        number = numbers[part]
        if number not in read:
            read[number] = _digits_of(result, number, drawing.of)
        digits = read[number]
        rows = np.flatnonzero(digits >= 0 if stratum == ALL else digits == int(stratum))
        places.append((number, int(rows[place - starts[part]])))
    return places


def _with_scans(
    result: Result, places: Sequence[Place], out: Path, earlier: Sequence[Drawn]
) -> list[Drawn]:
    """Put the scans of drawn rows into the sample's folder; earlier answers stay."""
    known = {(row.part, row.row): row for row in earlier}
    missing = [place for place in places if place not in known]
    numbers = {place: number for number, place in enumerate(places, 1)}
    new = _read_again(result, missing)
    make_folder(out / SCANS)
    rows: list[Drawn] = []
    for place in places:
        if place in known:
            rows.append(replace(known[place], number=numbers[place]))
            continue
        original, content = new[place]
        name = f"{SCANS}/{numbers[place]:05d}{_ending(original)}"
        with replacing(out / name) as temporary:
            Path(temporary).write_bytes(content)
        rows.append(Drawn(numbers[place], name, "", *place, original))
    return rows


def _read_again(result: Result, places: Sequence[Place]) -> dict[Place, tuple[str, bytes]]:
    """Read the scans of some rows again: each with what the result calls it.

    Raises:
        InputError: one is gone, or has changed.
    """
    scans: dict[Place, tuple[str, bytes]] = {}
    for scan in fetched(result, places):
        if isinstance(scan.content, ScanError):
            if scan.content.code == CHANGED:
                raise InputError(
                    f"{scan.shown} has changed since it was read: {scan.content.words}"
                )
            raise InputError(f"{scan.shown} can't be read any more: {scan.content}")
        scans[scan.place] = (scan.shown, scan.content)
    return scans


def _ending(name: str) -> str:
    ending = Path(name).suffix.lower()
    return ending if ending[1:].isalnum() else ".png"


def bound(location: str, answers: Path) -> Bound:
    """Bound how much of a result is wrong by the answers to a sample of it.

    Args:
        location: the result.
        answers: the sample's folder, or a table in it or beside it with the answers.

    Raises:
        InputError: it is no sample of this result as it is now, or an answer can't be used.
    """
    folder, table = (answers, None) if answers.is_dir() else (answers.parent, answers)
    result = open_result(location)
    drawing, sample = sample_of(result, folder)
    if table is not None and table.resolve() == (folder / SAMPLE).resolve():
        table = None
    given = answered(sample, table)
    rows, left = in_order(given)
    digits = _digits(result, [(row.part, row.row) for row in given])
    wrong = digits[: len(rows)] != labels_of(rows)
    by_digit, at_most = {}, 0
    share = 1 - (1 - drawing.certainty) / len(drawing.counts)
    for name, size in drawing.counts.items():
        some = wrong if name == ALL else wrong[digits[: len(rows)] == int(name)]
        found = int(wrong_at_most(some, size, share)[-1])
        by_digit[name] = {
            "rows": size, "answered": len(some), "wrong": int(some.sum()), "wrong_at_most": found,
        }  # fmt: skip
        at_most += found
    return Bound(
        run_id=drawing.run_id,
        finished=drawing.finished,
        model_id=drawing.model_id,
        rows=sum(drawing.counts.values()),
        answered=len(rows),
        wrong=int(wrong.sum()),
        wrong_at_most=at_most,
        certainty=drawing.certainty,
        left=left,
        missing=len(rows) + 1 if left else None,
        of=drawing.of,
        by_digit=by_digit if drawing.per_digit else None,
    )


def sample_of(result: Result, folder: Path) -> tuple[Draw, list[Drawn]]:
    """Read a sample, if it is one of this result as it is now: how it was drawn, and its rows.

    Raises:
        InputError: it is not.
    """
    drawing = read_draw(folder)
    if (result.run["run_id"], result.run["finished"]) != (drawing.run_id, drawing.finished):
        raise InputError(
            f"{folder} was drawn of another result, or {result.folder.name} has changed since: "
            "draw again"
        )
    return drawing, read_sample(folder)


def _digits(result: Result, places: Sequence[Place]) -> NDArray[np.int64]:
    """Return what drawn rows were read as: int64 [N]."""
    digits = np.full(len(places), NO_DIGIT + 1, np.int64)
    parts = np.array([part for part, _ in places], np.int64)
    for part in np.unique(parts):
        rows = rows_of(result, int(part), ["digit"])
        for k in np.flatnonzero(parts == part).tolist():
            digits[k] = rows["digit"][places[k][1]].as_py()
    return digits
