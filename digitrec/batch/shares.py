"""A run's listing, shared out among tasks: who lists which folders, and what it came to so far.

`_chunks/plan.json` says which folders each share has, for as long as the result is there: of n
shares, share k numbers its chunks k, k + n, k + 2n, so none needs to know of the others.
`_chunks/share-3.json` is what share 3 came to; the last share waits for these, takes what is
left, and writes the listing's end.
"""

import json
import logging
import re
import time
from dataclasses import asdict, dataclass
from typing import Any

from digitrec.batch.chunks import CHUNKS, END, End, chunk_numbers, read_end, together, write_end
from digitrec.inputs.shares import Share, folders_apart, still_apart
from digitrec.storage.folder import Folder

PLAN = f"{CHUNKS}/plan.json"
SHARE = re.compile(r"share-\d+\.json")
MOST_SHARES = 16
LOOK_SECONDS = 0.2
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """The folders of every share but the last; none where one task lists everything."""

    folders: tuple[tuple[str, ...], ...] = ()

    @property
    def count(self) -> int:
        """How many shares there are."""
        return len(self.folders) + 1

    def numbers(self, folder: Folder, share: int) -> list[int]:
        """Return the numbers of a share's chunks that are kept, sorted."""
        return [number for number in chunk_numbers(folder) if number % self.count == share]

    def following(self, kept: list[int], share: int) -> int:
        """Return the number of a share's next chunk, after those that are kept, sorted."""
        return kept[-1] + self.count if kept else share


UNSHARED = Plan()


def make_plan(folder: Folder, inputs: tuple[str, ...], most: int) -> Plan:
    """Share the inputs out, or give the plan that was made when they were first listed.

    Args:
        folder: the run's.
        inputs: the run's.
        most: so many tasks may list at the same time.

    Raises:
        InputError: an input is not there or can't be used.
    """
    plan = _read_plan(folder)
    if plan is None:
        if most < 2 or chunk_numbers(folder):
            return UNSHARED
        plan = _dealt(folders_apart(inputs), min(most, MOST_SHARES))
    elif not plan.folders or read_end(folder) or still_apart(inputs, sum(plan.folders, ())):
        return plan
    else:
        log.info("the folders of %s are not what they were: one task lists them", folder.name)
        plan = UNSHARED
    folder.write(PLAN, (json.dumps({"folders": plan.folders}, indent=2) + "\n").encode())
    return plan


def _read_plan(folder: Folder) -> Plan | None:
    """Read how the inputs were shared out; None where nobody wrote it down, or it is damaged."""
    try:
        return Plan(tuple(map(tuple, json.loads(folder.read(PLAN))["folders"])))
    except (FileNotFoundError, ValueError):
        return None


def _dealt(names: list[str], most: int) -> Plan:
    count = min(len(names), most)
    return Plan(tuple(tuple(names[k::count]) for k in range(count))) if count > 1 else UNSHARED


def share_of(folder: Folder, plan: Plan, number: int) -> Share:
    """Return what a share is to list; of the last, once all others have ended."""
    if number < plan.count - 1:
        return Share(plan.folders[number], is_rest=False, links=[])
    others = [_waited(folder, other) for other in range(number)]
    links = [link for other in others for link in other["links"]]
    return Share(sum(plan.folders, ()), is_rest=True, links=links)


def has_ended(folder: Folder, plan: Plan, number: int) -> bool:
    """Return whether a share has ended, of a listing that has not."""
    return number < plan.count - 1 and _read_share(folder, number) is not None


def write_share(folder: Folder, plan: Plan, number: int, end: End, links: list[str]) -> None:
    """Keep what a share came to; with the last, what all came to: the listing is finished."""
    if number < plan.count - 1:
        content = {"end": asdict(end), "links": links}
        folder.write(_name(number), (json.dumps(content, indent=2) + "\n").encode())
        return
    others = [End(**_waited(folder, other)["end"]) for other in range(number)]
    write_end(folder, together([*others, end]))


def forget_end(folder: Folder) -> None:
    """Have the inputs listed again, in all shares."""
    for name in folder.names(CHUNKS):
        if SHARE.fullmatch(name):
            folder.delete(f"{CHUNKS}/{name}")
    folder.delete(END)


def _name(number: int) -> str:
    return f"{CHUNKS}/share-{number}.json"


def _read_share(folder: Folder, number: int) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(folder.read(_name(number)))
    except FileNotFoundError:
        return None
    return content


def _waited(folder: Folder, number: int) -> dict[str, Any]:
    """Return what another share came to, once it has."""
    while (content := _read_share(folder, number)) is None:
        time.sleep(LOOK_SECONDS)
    return content
