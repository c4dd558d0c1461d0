"""One Ray session for one command: the cluster's where there is one, else this machine's own."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from digitrec.errors import RunError
from digitrec.interrupt import interrupt_waits


@contextmanager
def ray_session() -> Iterator[None]:
    """Connect to Ray for the length of the block, and leave it as it was found.

    Inside a Ray job, or with `RAY_ADDRESS` set, that is the cluster named there. Otherwise a
    private session starts on this machine, without a dashboard, and ends here; Ray's own ports
    answer only to who has its token.

    Raises:
        RunError: the cluster can't be reached.
    """
    if ray.is_initialized():
        yield
        return
    try:
        # An interrupt that falls into a fork hook of Python is lost, with the lock of `logging`
        # held for ever; and only a session that has started can be shut down.
        with interrupt_waits():
            _connect(os.environ.get("RAY_ADDRESS"))
        yield
    finally:
        ray.shutdown()


def _connect(address: str | None) -> None:
    if address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        return
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as why:
        raise RunError(f"no Ray cluster answers at RAY_ADDRESS={address}: {why}") from why
