"""More corrections come to a registry: those that are new are normalized and get their side."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from digitrec.registry.corrections import Problem, Scan, read_corrections
from digitrec.registry.pool import SCHEMA, Corrections, Row, load, write_data
from digitrec.registry.sides import GOLDEN, NEITHER, Members, Pairs, sides
from digitrec.registry.similar import Views, near_copies, views_of
from digitrec.storage.folder import Folder

SIDES = ("training", "golden")


@dataclass(frozen=True, slots=True)
class Added:
    """What an addition came to."""

    new: int
    known: int  # there already
    near: int  # of the new ones: near-copies of one before
    problems: list[Problem]  # rows that were not used
    # Of the new ones: source → `training` or `golden` → label → how many.
    counts: Mapping[str, Mapping[str, Mapping[str, int]]]

    def words(self) -> str:
        """Return it in a line."""
        near = f" ({self.near:,} of them near-copies of others)" if self.near else ""
        sides = {
            side: sum(sum(some.get(side, {}).values()) for some in self.counts.values())
            for side in SIDES
        }
        parted = f": {sides['training']:,} to train, {sides['golden']:,} to judge" * bool(self.new)
        unused = f", {len(self.problems):,} not used" if self.problems else ""
        return f"corrections  {self.new:,} new{near}{parted}; {self.known:,} known{unused}"


def add(
    folder: Folder,
    files: Sequence[str],
    *,
    source: str = "",
    removed: Mapping[str, str] = MappingProxyType({}),
    dry_run: bool = False,
) -> Added:
    """Add corrections to a registry's data; those that it has already change nothing.

    That no other addition is under way is the caller's to see to.

    Args:
        folder: the registry's.
        files: see `read_corrections`.
        source: of the scans of which no file says it.
        removed: the SHA-256 of scans that were taken out of the registry, and when: ISO 8601. They
            come in again only by an answer that was given later.
        dry_run: write nothing.

    Raises:
        InputError: a file holds no corrections, or the registry's data are damaged.
        OSError: they can't be read or written.
    """
    given, problems = read_corrections(files, source)
    there = load(folder)
    fresh, known = _fresh(given, there, problems)
    fresh = _wanted(fresh, removed, problems)
    if not fresh:
        return Added(0, known, 0, problems, {})
    looks = views_of([scan.content for scan in fresh])
    near = near_copies(there.views.followed_by(looks), len(there))
    rows = _placed(there, fresh, looks, near, problems)
    if rows and not dry_run:
        write_data(folder, rows)
    return Added(len(rows), known, sum(bool(row["near"]) for row in rows), problems, _counts(rows))


def _fresh(
    given: Iterable[Scan], there: Corrections, problems: list[Problem]
) -> tuple[list[Scan], int]:
    """Return the scans that are not there, in an order that no file decides; count the others."""
    labels = dict(zip(there.sha256, there.said, strict=True))
    fresh, known = [], 0
    for scan in given:
        said, label = scan.said, labels.get(scan.sha256)
        if label is None:
            fresh.append(scan)
        elif label == said.label:
            known += 1
        else:
            why = f"the scan is labelled {said.label} here and {label} in the registry: which?"
            problems.append(Problem(said.file, said.row, why))
    return sorted(fresh, key=lambda scan: scan.sha256), known


def _wanted(
    fresh: Iterable[Scan], removed: Mapping[str, str], problems: list[Problem]
) -> list[Scan]:
    """Return scans without those that were taken out, unless they were answered after that."""
    wanted = []
    for scan in fresh:
        since = removed.get(scan.sha256)
        if since is None or _is_later(scan.said.time, since):
            wanted.append(scan)
        else:
            why = f"digitrec models forget took it out on {since[:10]}; only a later answer counts"
            problems.append(Problem(scan.said.file, scan.said.row, why))
    return wanted


def _is_later(time: str, than: str) -> bool:
    """Tell whether a time, if it is one, is later than another."""
    try:
        return datetime.fromisoformat(time) > datetime.fromisoformat(than)
    except (ValueError, TypeError):  # none, or of no known place on earth
        return False


def _placed(
    there: Corrections,
    fresh: Sequence[Scan],
    looks: Views,
    near: Pairs,
    problems: list[Problem],
) -> list[Row]:
    """Give new scans their sides: rows in `SCHEMA`; list those that get none."""
    said = [scan.said for scan in fresh]
    names = [*there.sha256, *(scan.sha256 for scan in fresh)]
    doubted = _doubted([*there.said, *(one.label for one in said)], near, len(there))
    near = near[~doubted[near].any(axis=1)]
    members = Members(
        names=names,
        groups=[*(group or "" for group in there.groups), *(one.group for one in said)],
        sources=[*there.sources, *(one.source for one in said)],
        drawn=np.array([*there.drawn, *(one.drawn for one in said)], bool),
        left_out=doubted,
        known=there.golden.astype(np.int8),
    )
    found = sides(members, near)
    copies: dict[int, list[str]] = {}
    for earlier, later in near[(found[near] != NEITHER).all(axis=1)].tolist():
        copies.setdefault(later, []).append(names[earlier])
    rows = []
    for k, scan in enumerate(fresh):
        place = k + len(there)
        if found[place] == NEITHER:
            problems.append(_left_out(scan, doubted=bool(doubted[place])))
            continue
        golden = bool(found[place] == GOLDEN)
        rows.append(_row(scan, looks, k, copies.get(place, []), golden=golden))
    return rows


def _doubted(labels: Sequence[str], near: Pairs, known: int) -> NDArray[np.bool_]:
    """Tell which new scans more of their near-copies contradict than confirm: bool [N]."""
    said, both = np.array(labels, str), np.concatenate([near, near[:, ::-1]])
    votes = np.zeros((len(labels), 2), int)
    np.add.at(votes, (both[:, 0], (said[both[:, 0]] == said[both[:, 1]]).astype(int)), 1)
    doubted: NDArray[np.bool_] = votes[:, 0] > votes[:, 1]
    doubted[:known] = False
    return doubted


def _left_out(scan: Scan, *, doubted: bool) -> Problem:
    why = (
        f"labelled {scan.said.label}, which most of its near-copies are not: which?"
        if doubted
        else "a near-copy of scans that are kept apart, to train and to judge: left out"
    )
    return Problem(scan.said.file, scan.said.row, why)


def _row(scan: Scan, looks: Views, k: int, near: list[str], *, golden: bool) -> Row:
    return {
        **{name: value for name, value in asdict(scan.said).items() if name in SCHEMA.names},
        "sha256": scan.sha256,
        "content": scan.content,
        "scan": looks.scans[k].tobytes(),
        "outline": looks.outlines[k].tobytes(),
        "plain": bool(looks.plain[k]),
        "near": near,
        "golden": golden,
        "added": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _counts(rows: Iterable[Row]) -> dict[str, dict[str, dict[str, int]]]:
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for row in rows:
        labels = counts.setdefault(row["source"], {}).setdefault(SIDES[row["golden"]], {})
        labels[row["label"]] = labels.get(row["label"], 0) + 1
    return counts
