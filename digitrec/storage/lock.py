"""One run at a time in a folder: the operating system's lock here, a lease behind a URI."""

import fcntl
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from digitrec.errors import InputError, RunError
from digitrec.storage.folder import Folder
from digitrec.storage.s3 import S3Object
from digitrec.storage.uris import Remote, with_retries

LOCK = "_lock"
RENEW_SECONDS, STALE_SECONDS = 10.0, 60.0


@contextmanager
def exclusive(folder: Folder, location: str) -> Iterator[Callable[[], None]]:
    """Keep other runs out of a folder for the length of the block.

    On this machine's file systems the lock goes with its process, however that dies, and keeps
    other runs of the same process out too. Behind a URI
    it is a lease: an object renewed every 10 s, which others may take over once it is 60 s old
    (the machines' clocks must agree within some seconds). Whoever holds a lock may delete its file.

    Args:
        folder: the folder.
        location: the URI or path that it was opened from.

    Yields:
        A function to call now and then, which raises RunError if the lease was lost.

    Raises:
        InputError: another run is in the folder, or it can't be written to.
    """
    if folder.remote is None:
        with _locked(folder):
            yield lambda: None
    else:
        with _leased(_store(folder, location), folder.name) as check:
            yield check


# Locks held by this process, as file descriptors, so that a child made by `fork` lets go of them.
_held: set[int] = set()


def _let_go() -> None:
    for file in _held:
        os.close(file)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)


@contextmanager
def _locked(folder: Folder) -> Iterator[None]:
    path = os.path.join(os.path.realpath(folder.path), LOCK)
    file = _lock(path, folder.name)
    try:
        yield
    finally:
        # A child that was forked just now may not have closed its copy yet.
        fcntl.flock(file, fcntl.LOCK_UN)
        _close(file)


def _lock(path: str, name: str) -> int:
    """Open the file and lock it; give its descriptor."""
    while True:
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as why:
            raise InputError(f"{name} can't be used: {why.strerror}") from why
        _held.add(file)
        try:
            # `flock` belongs to the opened file: a second run of this very process is refused
            # too, and whoever closes the file elsewhere in it does not drop the lock.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_file(path, file):
                _say_whose(file)
                return file
        except (BlockingIOError, PermissionError) as why:
            who = _whose(file)
            _close(file)
            raise InputError(
                f"another run is writing to {name}{who}: wait for it, or choose another folder"
            ) from why
        except OSError as why:
            _close(file)
            raise InputError(f"{name} can't be locked: {why.strerror}") from why
        _close(file)  # its owner deleted it between the two calls


def _say_whose(file: int) -> None:
    """Write into a file that is locked by whom, for others to read."""
    with suppress(OSError):  # it is locked all the same
        os.ftruncate(file, 0)
        os.pwrite(file, _lease(""), 0)


def _whose(file: int) -> str:
    """Return by whom a file is locked, in words; empty where that is not known."""
    try:
        lease = _parsed(os.pread(file, 1000, 0))
    except OSError:
        lease = None
    return f" ({lease['host']}, process {lease['pid']})" if lease else ""


def _is_file(path: str, file: int) -> bool:
    """Return whether an opened file is still the one of this name."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


def _close(file: int) -> None:
    _held.discard(file)
    os.close(file)


class LeaseStore(Protocol):
    """Where a lease lies; a version is what the store calls one state of an object."""

    def read(self) -> tuple[bytes, str] | None:
        """Return content and version of the lease, None where there is none."""

    def write(self, content: bytes, version: str | None) -> str | None:
        """Replace this version (None: there is none yet); give the new one, None if it changed."""

    def delete(self) -> None:
        """Remove the lease."""


@contextmanager
def _leased(store: LeaseStore, name: str) -> Iterator[Callable[[], None]]:
    owner = secrets.token_hex(8)
    version = _take(store, name, owner)
    stop, lost = threading.Event(), threading.Event()

    def renew() -> None:
        held: str | None = version
        renewed = time.monotonic()
        while held is not None and not stop.wait(RENEW_SECONDS):
            try:
                held = store.write(_lease(owner), held)
                renewed = time.monotonic()
            except Exception:  # the next turn tries again; the lease lasts for several
                if time.monotonic() - renewed > STALE_SECONDS - RENEW_SECONDS:
                    held = None
        if held is None:
            lost.set()

    def check() -> None:
        if lost.is_set():
            raise RunError(f"another run took {name} over, as this one was silent for too long")

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield check
    finally:
        stop.set()
        thread.join()
        if not lost.is_set():
            with suppress(Exception):  # it becomes stale by itself
                store.delete()


def _take(store: LeaseStore, name: str, owner: str) -> str:
    before = store.read()
    lease = _parsed(before[0]) if before else None
    if lease is not None:
        age = time.time() - lease["renewed"]
        if age < STALE_SECONDS:
            raise InputError(
                f"another run is writing to {name} ({lease['host']}, process {lease['pid']}): wait "
                f"for it; if it died, its lease ends in {max(1.0, STALE_SECONDS - age):.0f} s"
            )
    version = store.write(_lease(owner), before[1] if before else None)
    if version is None:
        raise InputError(f"another run has just begun to write to {name}: wait for it")
    return version


def _parsed(content: bytes) -> dict[str, Any] | None:
    """Read a lease; None where it is none, as an empty `_lock` that was copied here."""
    try:
        lease: dict[str, Any] = json.loads(content)
        return lease if {"owner", "host", "pid", "renewed"} <= set(lease) else None
    except (ValueError, TypeError):
        return None


def _lease(owner: str) -> bytes:
    lease = {
        "owner": owner, "host": socket.gethostname(), "pid": os.getpid(), "renewed": time.time()
    }  # fmt: skip
    return json.dumps(lease).encode()


def _store(folder: Folder, location: str) -> LeaseStore:
    assert folder.remote is not None
    if folder.remote.filesystem.type_name == "s3":
        return S3Object(location, f"{folder.path}/{LOCK}")
    return PlainStore(folder.remote, f"{folder.path}/{LOCK}")


class PlainStore:
    """A lease on a filesystem that knows no conditions: written, and read back after a moment.

    Two runs that begin within the same second see each other's lease, and the first gives way.
    """

    SETTLE_SECONDS = 1.0

    def __init__(self, remote: Remote, path: str) -> None:
        self._remote, self._path = remote, path

    def read(self) -> tuple[bytes, str] | None:
        """Return the lease; its owner is its version."""
        try:
            content = self._remote.read(self._path)
        except FileNotFoundError:
            return None
        return content, str((_parsed(content) or {}).get("owner"))

    def write(self, content: bytes, version: str | None) -> str | None:
        """Write the lease if it is still this version, and see whether it stayed."""
        now = self.read()
        if (now[1] if now else None) != version:
            return None

        def once() -> None:
            with self._remote.filesystem.open_output_stream(self._path) as stream:
                stream.write(content)

        with_retries(once)
        owner = str(json.loads(content)["owner"])
        if owner != version:
            time.sleep(self.SETTLE_SECONDS)
        after = self.read()
        return owner if after and after[1] == owner else None

    def delete(self) -> None:
        """Delete the lease."""
        self._remote.filesystem.delete_file(self._path)
