"""Who does a run's work: this process, for little of it, or Ray's workers."""

import importlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from digitrec.batch.check import Checked, check_in_threads
from digitrec.batch.listing import Listing, list_chunks
from digitrec.batch.shares import make_plan
from digitrec.batch.stats import Stats
from digitrec.batch.task import Work
from digitrec.runtime.interrupt import interrupt_waits


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What Ray sets aside for each task that does a chunk."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory: int | None = None  # bytes; None: Ray does not count it


ONE_CPU = Resources()


class Hands(Protocol):
    """What does a run's work."""

    @property
    def work(self) -> Work:
        """What is done with a chunk."""

    def do(self, listing: Listing) -> Iterator[Stats]:
        """Do all chunks of a listing; give the stats of each as it comes.

        Raises:
            RunError: one can't be done, for a reason that lasts.
        """

    def check(self, numbers: list[int]) -> Iterator[Checked]:
        """Hold parts against their chunks."""


class HereHands:
    """This process."""

    def __init__(self, work: Work) -> None:
        self.work = work

    def do(self, listing: Listing) -> Iterator[Stats]:
        """Do all chunks of a listing; see `Hands`."""
        plan = make_plan(self.work.folder, listing.inputs, most=1)
        for number in list_chunks(self.work.folder, listing, plan):
            yield self.work(number, here=True)

    def check(self, numbers: list[int]) -> Iterator[Checked]:
        """Hold parts against their chunks."""
        return check_in_threads(self.work, numbers)


@contextmanager
def here_hands(work: Work) -> Iterator[Hands]:
    """Work in this process."""
    yield HereHands(work)


@contextmanager
def ray_hands(work: Work, resources: Resources = ONE_CPU) -> Iterator[Hands]:
    """Work on all CPUs of a Ray session, which ends with the block if it began here.

    Args:
        work: what is done with a chunk.
        resources: what a task for one is given.

    Raises:
        RunError: the cluster can't be reached.
    """
    # Small inputs need not wait for Ray's import, in which an interrupt may be lost.
    with interrupt_waits():
        from digitrec.runtime.ray_session import ray_session

    with ThreadPoolExecutor(1) as pool:
        # Ray Data takes a second to import, in which Ray's start is mostly waiting.
        pipeline = pool.submit(importlib.import_module, "digitrec.batch.ray_data")
        with ray_session():
            yield pipeline.result().RayHands(work, resources)
