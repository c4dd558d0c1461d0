"""A run's inputs → its chunks: listed as they stream, gone on with, or looked through again."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from digitrec.bulk.chunks import (
    Chunk,
    End,
    Size,
    chunk_name,
    chunk_numbers,
    cut,
    digest_of,
    parse_chunk,
    ramp,
    read_chunk,
    read_end,
    shown_digest,
    write_chunk,
    write_end,
)
from digitrec.folder import Folder
from digitrec.scans.inputs import DEFAULT_OPTIONS, InputOptions, keys, stream_inputs
from digitrec.scans.paths import Found, readable
from digitrec.scans.seen import Seen
from digitrec.scans.walk import Notes

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What is to be listed, and which chunks it gives."""

    inputs: tuple[str, ...]
    options: InputOptions = DEFAULT_OPTIONS
    done: frozenset[int] = frozenset()  # chunks whose parts are there
    again: bool = False  # give these too, after all others
    update: bool = False  # look for what is new in the inputs, and what is gone
    size: Size = ramp


def list_chunks(folder: Folder, listing: Listing) -> Iterator[int]:
    """Give the numbers of the chunks to work on, listing the inputs where need be.

    What was listed before is kept, also from a listing that broke off: the same call with the
    same `done` gives the same numbers again, however often it is killed. Where it is looked for
    what changed, units that the inputs have no more are taken out of their chunks.
    """
    numbers = chunk_numbers(folder)
    if read_end(folder) is not None:
        yield from (number for number in numbers if number not in listing.done)
    elif listing.update:
        yield from _list_again(folder, listing, numbers)
    else:
        yield from _list(folder, listing, numbers)
    if listing.again:
        yield from sorted(listing.done & set(chunk_numbers(folder)))


@dataclass(slots=True)
class _Count:
    """What a listing has come to so far."""

    chunks: int = 0
    units: int = 0
    digest: int = 0
    seconds: float = 0.0
    notes: Notes = field(default_factory=Notes)

    def add(self, units: int, digest: int) -> None:
        self.chunks, self.units = self.chunks + 1, self.units + units
        self.digest += digest


def _list(folder: Folder, listing: Listing, numbers: list[int]) -> Iterator[int]:
    """List the inputs, or what is left of them."""
    seen, count = Seen(), _Count()
    for number in numbers:
        content = folder.read(chunk_name(number))
        chunk = parse_chunk(number, content)
        for piece in chunk.pieces:
            seen.fresh(keys(piece))
        count.add(len(chunk), digest_of(content))
        if number not in listing.done:
            yield number
    found = stream_inputs(listing.inputs, count.notes, seen, listing.options)
    yield from _kept(folder, found, numbers, listing.size, count)
    _finish(folder, count)


def _list_again(folder: Folder, listing: Listing, numbers: list[int]) -> Iterator[int]:
    """List the inputs anew: what is new gets chunks, what is gone is taken out of its own."""
    before, now, count = Seen(), Seen(), _Count()
    for number in numbers:
        for piece in read_chunk(folder, number).pieces:
            before.fresh(keys(piece))
        if number not in listing.done:
            yield number
    found = (
        piece
        for found in stream_inputs(listing.inputs, count.notes, now, listing.options)
        for piece in found.only(before.fresh(keys(found)))
    )
    yield from _kept(folder, found, numbers, listing.size, count)
    new, gone = count.units, 0
    for number in numbers:
        chunk = read_chunk(folder, number)
        # What could not be listed may still be there: nothing is taken for gone then.
        still = [True] * len(chunk) if count.notes.unlisted else _still(chunk, now)
        if not all(still):
            gone += still.count(False)
            chunk = chunk.only(still)
            write_chunk(folder, chunk)
        count.add(len(chunk), digest_of(folder.read(chunk_name(number))))
    _finish(folder, count, new, gone)


def _still(chunk: Chunk, now: Seen) -> list[bool]:
    """Tell of each unit of a chunk whether the inputs still have it."""
    return [known for piece in chunk.pieces for known in now.known(keys(piece))]


def _kept(
    folder: Folder, found: Iterator[Found], numbers: list[int], size: Size, count: _Count
) -> Iterator[int]:
    """Cut what is found into chunks after the last one, and keep each before it is given."""
    start = time.monotonic()
    for chunk in cut(found, numbers[-1] + 1 if numbers else 0, size):
        count.add(len(chunk), write_chunk(folder, chunk))
        count.seconds += time.monotonic() - start
        yield chunk.number
        start = time.monotonic()
    count.seconds += time.monotonic() - start


def _finish(folder: Folder, count: _Count, new: int = 0, gone: int = 0) -> None:
    """Keep what the listing came to."""
    notes = count.notes
    end = End(
        chunks=count.chunks,
        digest=shown_digest(count.digest),
        inputs=count.units,
        ignored=dict(sorted(notes.ignored.items())),
        unlisted={readable(path): why for path, why in sorted(notes.unlisted.items())},
        seconds=round(count.seconds, 3),
        new=new,
        gone=gone,
    )
    write_end(folder, end)
