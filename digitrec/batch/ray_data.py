"""A run's chunks on Ray Data: one task lists the inputs, all others do a chunk each.

The listing is a source that yields the numbers of chunks as it writes them, so that the first
part is there long before the listing ends. Only numbers go out to the tasks and only stats come
back: no path and no pixel goes through Ray's object store. A task whose worker dies is called
again by Ray; as a chunk's part is named by its number, that is the same as calling it once.
"""

import functools
import logging
import re
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import ray
import ray.data
import ray.exceptions
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from digitrec.batch.check import Checked, check_chunks, check_in_threads, together
from digitrec.batch.hands import ONE_CPU, Resources
from digitrec.batch.listing import Listing, list_share
from digitrec.batch.shares import Plan, make_plan
from digitrec.batch.stats import Stats
from digitrec.batch.task import Work
from digitrec.errors import GO_ON, RunError

# cluster which can grow sees the need to.
QUEUED, QUEUED_PER_CPU = 256, 4
# One task lists as fast as a dozen CPUs classify: beyond, several do.
CPUS_PER_SHARE = 8
# So many parts are checked by the driver: a task would take longer to start.
CHECKED_HERE = 512
# A traceback's last line: the error's class, and its words.
ERROR = re.compile(r"[\w.]+: ")


class ChunkSource(Datasource):
    """The numbers of a run's chunks, as Ray Data's read tasks list them, one for each share."""

    def __init__(self, work: Work, listing: Listing, plan: Plan) -> None:
        # A listing knows its work, networks and all: more than Ray lets a read task carry.
        self._list = functools.partial(_blocks, ray.put((work.folder, listing, plan)))
        self._shares = plan.count

    def get_name(self) -> str:
        """Return the name that Ray shows."""
        return "Chunks"

    def estimate_inmemory_data_size(self) -> int | None:
        """Return the size of all numbers: not known."""
        return None

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:
        """Return the tasks that list."""
        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        shares = range(self._shares)
        return [ReadTask(functools.partial(self._list, share), unknown) for share in shares]


def _blocks(given: Any, share: int) -> Iterator[pa.Table]:
    folder, listing, plan = ray.get(given)
    for number in list_share(folder, listing, plan, share):
        yield pa.table({"number": [number]})


def _do(block: pa.Table, work: Work) -> pa.Table:
    return pa.table({"stats": [work(number).to_json() for number in block["number"].to_pylist()]})


def _warm_up(work: Work) -> None:
    work.warm_up()


class RayHands:
    """All CPUs of Ray's session; see `hands.Hands`."""

    def __init__(self, work: Work, resources: Resources = ONE_CPU) -> None:
        self.work, self._resources = work, resources

    def do(self, listing: Listing) -> Iterator[Stats]:
        """Do all chunks of a listing; give the stats of each as it comes.

        Raises:
            RunError: a chunk can't be done, for a reason that lasts.
        """
        with ray.data.DataContext.current(_context()), warnings.catch_warnings():
            # That there are fewer chunks than places in the queue is no news.
            warnings.filterwarnings("ignore", message="The maximum number of concurrent tasks")
            cpus = int(ray.cluster_resources().get("CPU", 0))
            # The workers get ready while the pipeline is planned and the first inputs are listed.
            warm_up = ray.remote(num_cpus=1, max_retries=0)(_warm_up)
            for _ in range(cpus):
                warm_up.remote(self.work)
            plan = make_plan(self.work.folder, listing.inputs, cpus // CPUS_PER_SHARE)
            parts = ray.data.read_datasource(
                ChunkSource(self.work, listing, plan),
                override_num_blocks=plan.count,
                num_cpus=0,  # it waits more than it works, and must not be fused with the others
            ).map_batches(
                functools.partial(_do, work=self.work),
                batch_size=None,
                batch_format="pyarrow",
                num_cpus=self._resources.cpus,
                num_gpus=self._resources.gpus or None,
                memory=self._resources.memory,
                compute=ray.data.TaskPoolStrategy(size=max(QUEUED, QUEUED_PER_CPU * cpus)),
            )
            with _failures():
                for row in parts.iter_rows():
                    yield Stats.from_json(row["stats"])

    def check(self, numbers: list[int]) -> Iterator[Checked]:
        """Hold parts against their chunks, in tasks: the driver alone would take long over many.

        Raises:
            RunError: a task failed, for a reason that lasts.
        """
        if len(numbers) <= CHECKED_HERE:
            yield from check_in_threads(self.work, numbers)
            return
        check = ray.remote(num_cpus=1)(check_chunks)
        work: Any = ray.put(self.work)
        waiting = deque(together(numbers))
        running: list[Any] = []
        with _failures():
            while waiting or running:
                while waiting and len(running) < QUEUED:
                    running.append(check.remote(work, waiting.popleft()))
                [ended], running = ray.wait(running)
                yield ray.get(ended)


@contextmanager
def _failures() -> Iterator[None]:
    """Turn what a task raised into an error that says so."""
    try:
        yield
    except ray.exceptions.RayError as why:
        raise RunError(f"the run failed: {_cause(why)}; {GO_ON}") from why


def _context() -> ray.data.DataContext:
    """Return the settings of Ray Data that fit tasks which are a number each."""
    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    # A number is a block of its own, so that a chunk is a task of its own.
    context.target_max_block_size = 1
    # Ray Data's budgets keep CPUs free for the listing, which needs none, and hand out a task
    # only when another has ended, which it notices 0.1 to 0.2 s later. Without them the next
    # tasks wait in the workers' queue; the pool's size bounds how many.
    context.op_resource_reservation_enabled = False
    context.memory_usage_poll_interval_s = None
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    return context


def _cause(why: ray.exceptions.RayError) -> str:
    """Find the error that a task raised in the tracebacks that Ray hands over as text."""
    innermost = str(why).split("\n\nThe above exception")[0]
    # Ray adds advice of its own below the error.
    errors = [line for line in innermost.splitlines() if ERROR.match(line)]
    return errors[-1].removeprefix("digitrec.errors.") if errors else innermost.splitlines()[-1]
