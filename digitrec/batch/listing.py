"""A run's inputs → its chunks: listed as they stream, gone on with, or looked through again."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from digitrec.batch.chunks import (
    Chunk,
    End,
    Size,
    cut,
    ramp,
    read_chunks,
    read_end,
    shown_digest,
    write_chunk,
)
from digitrec.batch.shares import UNSHARED, Plan, has_ended, share_of, write_share
from digitrec.inputs.dedup import Seen
from digitrec.inputs.listing import keys
from digitrec.inputs.options import DEFAULT_OPTIONS, InputOptions
from digitrec.inputs.shares import stream_share
from digitrec.inputs.units import Found
from digitrec.inputs.walk import Notes
from digitrec.storage.folder import Folder
from digitrec.storage.paths import readable


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What is to be listed, and which chunks it gives."""

    inputs: tuple[str, ...]
    options: InputOptions = DEFAULT_OPTIONS
    done: frozenset[int] = frozenset()  # chunks whose parts are there
    again: bool = False  # give these too, after all others
    update: bool = False  # look for what is new in the inputs, and what is gone
    size: Size = ramp


def list_chunks(folder: Folder, listing: Listing, plan: Plan = UNSHARED) -> Iterator[int]:
    """Yield the numbers of the chunks to work on, listing the inputs where need be.

    What was listed before is kept, also from a listing that broke off: the same call with the
    same `done` gives the same numbers again, however often it is killed. Where it is looked for
    what changed, units that the inputs have no more are taken out of their chunks.
    """
    for share in range(plan.count):
        yield from list_share(folder, listing, plan, share)


def list_share(folder: Folder, listing: Listing, plan: Plan, share: int) -> Iterator[int]:
    """Do one share of what `list_chunks` does: other processes may do the others meanwhile."""
    numbers = plan.numbers(folder, share)
    yield from (number for number in numbers if number not in listing.done)
    if read_end(folder) is None and not has_ended(folder, plan, share):
        which = _list_again if listing.update else _list
        yield from which(folder, listing, plan, share, numbers)
    if listing.again:
        yield from sorted(listing.done & set(numbers))


@dataclass(slots=True)
class _Count:
    """What a share's listing has come to so far."""

    chunks: int = 0
    units: int = 0
    digest: int = 0
    seconds: float = 0.0
    notes: Notes = field(default_factory=Notes)

    def add(self, units: int, digest: int) -> None:
        self.chunks, self.units = self.chunks + 1, self.units + units
        self.digest += digest

    def end(self, new: int = 0, gone: int = 0) -> End:
        return End(
            chunks=self.chunks,
            digest=shown_digest(self.digest),
            inputs=self.units,
            ignored=dict(sorted(self.notes.ignored.items())),
            unlisted={readable(path): why for path, why in sorted(self.notes.unlisted.items())},
            seconds=round(self.seconds, 3),
            new=new,
            gone=gone,
        )


def _list(
    folder: Folder, listing: Listing, plan: Plan, number: int, known: list[int]
) -> Iterator[int]:
    """List a share of the inputs, or what is left of it."""
    seen, count = Seen(), _Count()
    for chunk, digest in read_chunks(folder, known):
        for piece in chunk.pieces:
            seen.fresh(keys(piece))
        count.add(len(chunk), digest)
    share = share_of(folder, plan, number)
    found = stream_share(listing.inputs, share, count.notes, seen, listing.options)
    following = plan.following(known, number)
    yield from _kept(folder, found, listing.size, following, plan.count, count)
    write_share(folder, plan, number, count.end(), share.links)


def _list_again(
    folder: Folder, listing: Listing, plan: Plan, number: int, known: list[int]
) -> Iterator[int]:
    """List a share anew: what is new gets chunks, what is gone is taken out of its own."""
    before, now, count = Seen(), Seen(), _Count()
    for chunk, _ in read_chunks(folder, known):
        for piece in chunk.pieces:
            before.fresh(keys(piece))
    share = share_of(folder, plan, number)
    found = (
        piece
        for found in stream_share(listing.inputs, share, count.notes, now, listing.options)
        for piece in found.only(before.fresh(keys(found)))
    )
    following = plan.following(known, number)
    yield from _kept(folder, found, listing.size, following, plan.count, count)
    new, gone = count.units, 0
    for chunk, digest in read_chunks(folder, known):
        # What could not be listed may still be there: nothing is taken for gone then.
        still = [True] * len(chunk) if count.notes.unlisted else _still(chunk, now)
        if all(still):
            count.add(len(chunk), digest)
        else:
            gone += still.count(False)
            count.add(still.count(True), write_chunk(folder, chunk.only(still)))
    write_share(folder, plan, number, count.end(new, gone), share.links)


def _still(chunk: Chunk, now: Seen) -> list[bool]:
    """Tell of each unit of a chunk whether the inputs still have it."""
    return [known for piece in chunk.pieces for known in now.known(keys(piece))]


def _kept(
    folder: Folder, found: Iterator[Found], size: Size, following: int, step: int, count: _Count
) -> Iterator[int]:
    """Cut what is found into chunks, numbered from `following`; keep each before it is given."""
    start = time.monotonic()
    for chunk in cut(found, following, size, step):
        count.add(len(chunk), write_chunk(folder, chunk))
        count.seconds += time.monotonic() - start
        yield chunk.number
        start = time.monotonic()
    count.seconds += time.monotonic() - start
