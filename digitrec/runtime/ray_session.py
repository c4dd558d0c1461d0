"""One Ray session for one command: the cluster's where there is one, else this machine's own."""

import logging
import os
import secrets
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

# Before Ray's first import: nobody is told what is run here, nor by the processes that it starts.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
from ray._private import services

from digitrec.errors import InputError, RunError
from digitrec.runtime.interrupt import interrupt_waits

# So long is an address asked that nobody answers at: its cluster may be starting.
PROBE_SECONDS = 10.0
# Ray puts `session_<date>_<time>_<process>/sockets/plasma_store` behind its folder, and the path
# of a socket has 107 bytes at most, on macOS 103.
SOCKET_BYTES, SESSION_BYTES = 103, 66


@contextmanager
def ray_session() -> Iterator[None]:
    """Connect to Ray for the length of the block, and leave it as it was found.

    Inside a Ray job, or with `RAY_ADDRESS` set, that is the cluster named there. Otherwise a
    private session starts on this machine, without a dashboard, and ends here; Ray's own ports
    answer only to who has its token.

    Raises:
        InputError: `RAY_ADDRESS` is no address of a cluster.
        RunError: the cluster can't be reached, or no session of this machine's own starts in time.
    """
    if ray.is_initialized():
        yield
        return
    with _ray_folder() as folder:
        try:
            # An interrupt that falls into a fork hook of Python is lost, with the lock of
            # `logging` held for ever; and only a session that has started can be shut down.
            with interrupt_waits():
                _connect(_address(), folder)
            yield
        finally:
            ray.shutdown()


def is_cluster() -> bool:
    """Return whether Ray's session is one that may grow, and no private one of this machine."""
    return _address() is not None


def _address() -> str | None:
    """Return what `RAY_ADDRESS` names, None where that is a session of this machine's own."""
    address = os.environ.get("RAY_ADDRESS", "")
    return None if address in ("", "local") else address


@contextmanager
def _ray_folder() -> Iterator[str | None]:
    """Yield a folder for a private session's files, None where Ray's usual one will do.

    Raises:
        InputError: the path of the usual one is too long, and there is no other.
    """
    usual = os.path.join(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir(), "ray")
    if _address() is not None or len(os.fsencode(usual)) + SESSION_BYTES <= SOCKET_BYTES:
        yield None
        return
    try:
        short = tempfile.TemporaryDirectory(prefix="dr-", dir="/tmp", ignore_cleanup_errors=True)
    except OSError as why:
        raise InputError(
            f"Ray can't use {usual}, whose path is too long for its sockets, nor /tmp "
            f"({why.strerror}): set TMPDIR to a shorter path"
        ) from why
    with short as folder:
        yield folder


def _connect(address: str | None, folder: str | None) -> None:
    if address is None:
        _start(folder)
        return
    _probe(address)
    # What answers may be no Ray: one try then, of 40 s, and not Ray's usual 20.
    os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as why:
        raise _no_cluster(address, str(why)) from why


def _start(folder: str | None) -> None:
    _settle_token()
    try:
        with _without_usage_server():
            ray.init(
                address="local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _temp_dir=folder,
            )
    except Exception as why:
        # Ray has no name of its own for what it says when its processes are not up within 30 s.
        if type(why) is not Exception:
            raise
        raise RunError(f"Ray does not start: is this machine too busy? ({why})") from why


@contextmanager
def _without_usage_server() -> Iterator[None]:
    """Keep Ray from starting the server of its usage statistics.

    It starts with them off and without a dashboard too, sends nothing then, but asks the network
    which cloud this is: three addresses, one of them by name.
    """
    start = services.start_api_server
    services.start_api_server = lambda *_, **__: (None, None)
    try:
        yield
    finally:
        services.start_api_server = start


def _settle_token() -> None:
    """Have a token in the environment: Ray would put one into the user's home, for good."""
    has_one = "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ
    if not has_one and os.environ.get("RAY_AUTH_MODE", "token") == "token":
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _probe(address: str) -> None:
    """See that something answers at an address.

    Raises:
        InputError: it is no address of a cluster.
        RunError: nothing answers, or there is no cluster on this machine.
    """
    if address == "auto":
        try:
            found = services.canonicalize_bootstrap_address(address)
        except ConnectionError as why:
            raise _no_cluster(address, "none runs on this machine") from why
        host, port = _parsed(found or "")
    else:
        host, port = _parsed(address)
    deadline = time.monotonic() + PROBE_SECONDS
    while True:
        left = deadline - time.monotonic()
        try:
            socket.create_connection((host, port), timeout=max(left, 0.1)).close()
            return
        except OSError as why:
            if time.monotonic() + 1 > deadline:
                raise _no_cluster(address, f"{why.strerror or why}") from why
        time.sleep(0.5)


def _parsed(address: str) -> tuple[str, int]:
    """Split `host:port` or `ray://host:port`."""
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        if parts.scheme in ("", "ray") and parts.hostname and parts.port:
            return parts.hostname, parts.port
    except ValueError:
        pass
    if address.startswith(("http://", "https://")):
        raise InputError(
            f"RAY_ADDRESS={address} is a dashboard's address, as `ray job submit` takes it (best "
            "in RAY_API_SERVER_ADDRESS): for a command that runs here, name the cluster itself, "
            "as host:6379, or unset RAY_ADDRESS"
        )
    raise InputError(
        f"RAY_ADDRESS={address} is no address of a Ray cluster: name it as host:6379, or unset it"
    )


def _no_cluster(address: str, why: str) -> RunError:
    return RunError(
        f"no Ray cluster answers at RAY_ADDRESS={address} ({why}): start it, or unset RAY_ADDRESS "
        "to run on this machine alone"
    )
