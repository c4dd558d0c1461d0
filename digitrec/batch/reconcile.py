"""The end of a run: every part is held against its chunk, and the chunks against the listing."""

import logging

from digitrec.batch import manifest
from digitrec.batch.check import Checked
from digitrec.batch.chunks import End, chunk_numbers, shown_digest
from digitrec.batch.hands import Hands
from digitrec.batch.stats import Stats
from digitrec.errors import RunError

log = logging.getLogger(__name__)


def reconcile(hands: Hands, end: End) -> tuple[Stats, list[str]]:
    """Check all chunks and parts; delete what is damaged or another run's, so that it is made anew.

    Returns:
        The stats of all parts, and what was deleted, in words.

    Raises:
        RunError: there is a part of no chunk, or a chunk was replaced since it was listed.
    """
    work = hands.work
    numbers = chunk_numbers(work.folder)
    strangers = work.done() - set(numbers)
    if strangers:
        raise RunError(
            f"part {min(strangers)} in {work.folder.name} is none of this run: delete it"
        )
    total, damaged = Checked(), list[str]()
    for checked in hands.check(numbers):
        total.add(checked)
    for number, why in total.parts.items():
        log.warning("part %d of %s %s: it is made again", number, work.folder.name, why)
        damaged.append(f"part {number} {why}")
        work.forget(number)
    for number, why in total.chunks.items():
        damaged.append(f"chunk {number} {why}")
        manifest.forget_chunk(work.folder, number)
    if not damaged and (len(numbers) != end.chunks or shown_digest(total.digest) != end.digest):
        raise RunError(f"another run has written to {work.folder.name} too: use --overwrite")
    return total.stats, damaged
