"""Where things lie that are made or fetched once and kept: MNIST, and the compiled normalizer."""

import fcntl
import functools
import hashlib
import json
import logging
import os
import platform
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import platformdirs

# Written when all of a folder's machine code is there: the names and sizes of its files.
COMPLETE = "complete.json"
LOCK = "lock"
# Another process's compiling is waited for as long as it can take on the slowest of machines.
WAIT_SECONDS, LOOK_SECONDS = 600.0, 0.1
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH

logger = logging.getLogger("digitrec")


def cache_folder() -> Path:
    """The folder named by `DIGITREC_DATA`, else `digitrec` in the user's cache folder."""
    named = os.environ.get("DIGITREC_DATA")
    return Path(named) if named else platformdirs.user_cache_path("digitrec")


def compiled_folder() -> Path:
    """The folder with the machine code of `normalize/` for this CPU, in the cache folder."""
    return cache_folder() / "compiled" / _code_name()


def usable_folder() -> Path | None:
    """The folder that machine code is read from and kept in; None where there is none.

    Loading the code runs what its files say: so they, and the folders down from the cache's, must
    belong to this user or to root, and nobody else may write to them. Where the cache is not like
    that, or can't be written to and does not have the code, a private folder in the temporary
    directory stands in for it, so that the next process finds the code there.
    """
    return _usable(compiled_folder(), Path(tempfile.gettempdir()), os.geteuid())


@functools.cache
def _usable(wanted: Path, temporary: Path, user: int) -> Path | None:
    private = temporary / f"digitrec-{user}" / "compiled" / wanted.name
    for folder in (wanted, private):
        own = folder.parents[1]
        mode = 0o700 if folder is private else 0o755
        if (why := _unsafe(folder, own)) is not None:
            logger.warning(
                "%s is not used for machine code: others may write to it, or it is theirs "
                "(chmod go-w, or another DIGITREC_DATA, mends that)", why,
            )  # fmt: skip
        elif is_complete(folder) or _made(folder, own, mode):
            return folder
    return None


def is_complete(folder: Path) -> bool:
    """Return whether all of the machine code is in a folder, as whole as it was written."""
    try:
        sizes = json.loads((folder / COMPLETE).read_bytes())
        return bool(sizes) and sizes == _sizes(folder)
    except (OSError, ValueError):
        return False


def say_complete(folder: Path) -> None:
    """Note that all of the machine code is in a folder now, if that can be written to."""
    with suppress(OSError):
        temporary = folder / f"{COMPLETE}.{os.getpid()}"
        temporary.write_text(json.dumps(_sizes(folder)))
        temporary.replace(folder / COMPLETE)


@contextmanager
def one_compiles(folder: Path) -> Iterator[None]:
    """Let one process at a time into the block, on this machine and for this folder.

    It is entered all the same where there is no locking, or the other takes too long.
    """
    file = None
    with suppress(OSError):
        file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while file is not None and time.monotonic() < deadline:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(LOOK_SECONDS)
            except OSError:
                break
        yield
    finally:
        if file is not None:
            os.close(file)


@functools.cache
def _cpu() -> tuple[str, str]:
    """Name and features of the CPU that Numba compiles for."""
    # 0.1 s to import, where Numba itself takes 0.3.
    from llvmlite import binding

    name = os.environ.get("NUMBA_CPU_NAME") or binding.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES")
    return name, binding.get_host_cpu_features().flatten() if features is None else features


def _code_name() -> str:
    """Return a hash of what machine code depends on: sources, CPU, and who compiles."""
    digest = hashlib.sha256()
    for source in sorted((Path(__file__).parent.parent / "normalize").glob("*.py")):
        digest.update(source.read_bytes())
    makers = (version("numba"), version("llvmlite"), platform.python_version(), platform.machine())
    digest.update(repr((*_cpu(), *makers)).encode())
    return digest.hexdigest()[:12]


def _sizes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in folder.glob("*.nb[ic]")}


def _unsafe(folder: Path, own: Path) -> Path | None:
    """Return what may be another user's doing: a folder from `own` down, or a file in the last."""
    paths = [own, folder.parent, folder]
    with suppress(OSError):
        paths += folder.iterdir()
    for path in paths:
        try:
            link, found = path.lstat(), path.stat()
        except OSError:  # not there, or nobody's to read
            continue
        owners = {link.st_uid, found.st_uid}
        if not owners <= {0, os.geteuid()} or found.st_mode & OTHERS_MAY_WRITE:
            return path
    return None


def _made(folder: Path, own: Path, mode: int) -> bool:
    """Make the folders from `own` down; tell whether the last can be written to."""
    try:
        own.parent.mkdir(parents=True, exist_ok=True)
        for path in (own, folder.parent, folder):
            path.mkdir(mode=mode & ~0o022, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK) and _unsafe(folder, own) is None
