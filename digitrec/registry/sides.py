"""Which scans train, and which are golden: they judge, and are never trained on.

A scan keeps its side for ever. What belongs together is on one side: the scans of a group, and
near-copies. A scan that is tied to both sides is left out, so that no golden scan has a near-copy
that trains.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

GOLDEN_SHARE = 0.25  # of each source's scans, as far as groups can be parted so
TRAINS, GOLDEN, NEITHER = 0, 1, -1

Pairs = NDArray[np.intp]  # [P, 2], of near-copies


@dataclass(frozen=True, slots=True)
class Members:
    """N scans, the known ones first: what their sides follow from."""

    names: Sequence[str]  # SHA-256 of each content
    groups: Sequence[str]  # empty: none
    sources: Sequence[str]
    drawn: NDArray[np.bool_]  # [N], at random: always golden
    left_out: NDArray[np.bool_]  # [N], to get no side
    known: NDArray[np.int8]  # [K], the sides of the first K

    @property
    def new(self) -> range:
        """Those that have no side yet."""
        return range(len(self.known), len(self.names))


def sides(members: Members, near: Pairs) -> NDArray[np.int8]:
    """Give each scan its side: int8 [N], `TRAINS`, `GOLDEN`, or `NEITHER` where tied to both.

    Args:
        members: the scans.
        near: pairs of near-copies among them, int [P, 2]; those of two known ones are not needed.
    """
    found = np.full(len(members.names), NEITHER, np.int8)
    found[: len(members.known)] = members.known
    found[members.drawn & ~members.left_out] = GOLDEN
    units = _units(members, near)
    _inherit_of_groups(members, units, found)
    for grouped in (True, False):
        mine = {key: some for key, some in units.items() if (key[0] == "group") is grouped}
        _inherit_of_copies(mine, near, found, most=grouped)
        _share_out(members, mine, found)
    return _without_ties(members, near, found)


# A group by its name, or scans without one that are near-copies of each other, by the first's.
Unit = tuple[str, str]
Units = dict[Unit, list[int]]


def _units(members: Members, near: Pairs) -> Units:
    """Return the new scans, but for the drawn ones, by what has to be on one side."""
    alone = np.array([not group for group in members.groups], bool)
    alone[: len(members.known)] = False
    waits = ~(members.drawn | members.left_out)
    alone &= waits
    firsts = components(len(alone), near[alone[near].all(axis=1)])
    units: Units = {}
    for k in members.new:
        if waits[k]:
            group = members.groups[k]
            unit = ("group", group) if group else ("copies", members.names[firsts[k]])
            units.setdefault(unit, []).append(k)
    return units


def _inherit_of_groups(members: Members, units: Units, found: NDArray[np.int8]) -> None:
    """Give what comes of a known group that group's side."""
    known = {
        group: side
        for group, side, drawn in zip(members.groups, members.known, members.drawn, strict=False)
        if group and not drawn
    }
    for (_, name), mine in units.items():
        if members.groups[mine[0]] in known:
            found[mine] = known[name]


def _inherit_of_copies(units: Units, near: Pairs, found: NDArray[np.int8], *, most: bool) -> None:
    """Give units that are copies of what has a side that side: of more than half, or of any."""
    both = np.concatenate([near, near[:, ::-1]])
    votes = np.zeros((len(found), 2), int)
    placed = both[found[both[:, 1]] != NEITHER]
    np.add.at(votes, (placed[:, 0], found[placed[:, 1]]), 1)
    for mine in units.values():
        copies = (votes[mine].sum(axis=1) > 0).sum()
        if found[mine[0]] == NEITHER and copies > (len(mine) / 2 if most else 0):
            counted = np.minimum(votes[mine], 1).sum(axis=0)
            found[mine] = GOLDEN if counted[GOLDEN] >= counted[TRAINS] else TRAINS


def _share_out(members: Members, units: Units, found: NDArray[np.int8]) -> None:
    """Part the units that have no side yet, source by source."""
    free: dict[str, list[list[int]]] = {}
    for _, mine in sorted(units.items(), key=lambda unit: _order(unit[0])):
        if found[mine[0]] == NEITHER:
            free.setdefault(members.sources[mine[0]], []).append(mine)
    for source, some in free.items():
        there = [
            found[k]
            for k, name in enumerate(members.sources)
            if name == source and not members.drawn[k] and found[k] != NEITHER
        ]
        golden = there.count(GOLDEN)
        room = GOLDEN_SHARE * (len(there) + sum(map(len, some))) - golden
        for mine in some:
            is_golden = room >= len(mine) / 2
            found[mine] = GOLDEN if is_golden else TRAINS
            room -= len(mine) * is_golden
        _see_to_both(some, found, has={side for side in (TRAINS, GOLDEN) if side in there})


def _see_to_both(units: list[list[int]], found: NDArray[np.int8], has: set[int]) -> None:
    """Have at least one unit on each side, where there are two."""
    sides_now = has | {int(found[mine[0]]) for mine in units}
    if len(sides_now) == 1 and len(units) + bool(has) > 1:
        found[min(units, key=len)] = GOLDEN if TRAINS in sides_now else TRAINS


def _order(unit: Unit) -> bytes:
    """Put units in an order that no name and no time of coming decides."""
    return hashlib.sha256(unit[1].encode("utf-8", "surrogateescape")).digest()


def _without_ties(members: Members, near: Pairs, found: NDArray[np.int8]) -> NDArray[np.int8]:
    """Leave out new scans that are near-copies of one of the other side."""
    known = len(members.known)
    one, other = near[:, 0], near[:, 1]
    tied = near[(found[one] != found[other]) & (found[near] != NEITHER).all(axis=1)]
    to_known = tied[tied[:, 0] < known]
    found[to_known[to_known[:, 1] >= known, 1]] = NEITHER
    for pair in tied:
        if (found[pair] != NEITHER).all() and pair[1] >= known:
            # Of two new ones the golden one stays: there are fewer.
            found[pair[found[pair] == TRAINS]] = NEITHER
    return found


def components(count: int, pairs: Pairs) -> NDArray[np.intp]:
    """Return for each of N scans the first that it is joined with by pairs: int [N]."""
    joined = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (count, count))
    _, number = connected_components(joined, directed=False)
    _, first = np.unique(number, return_index=True)
    return np.asarray(first[number], np.intp)
