"""What the tests share: digits, scans, one small Ray session, the shipped bundle, honest skips.

A test says what it needs by the fixtures it takes, and gets its marker by them: `NEEDS`.
"""

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec
import hypothesis
import pytest
from pyarrow import dataset

from digitrec.batch.classify import Classifier
from digitrec.batch.run import RunSettings
from digitrec.datasets import mnist
from digitrec.datasets.labelled import png
from digitrec.errors import MnistError
from digitrec.model.bundle import Bundle, load_bundle
from digitrec.model.engine import Engine, open_engine
from digitrec.model.policies import with_budget
from tests.small_mnist.make import Digits, load_small

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Before torch's import: its threads would wait for each other where tests have a CPU each, and one
# test of five seconds takes forty.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Without torch these can't be imported, or call `train` or `cascade`: `make check-lowest`.
collect_ignore = (
    []
    if importlib.util.find_spec("torch")
    else [
        "faults/test_training_survives.py", "model/test_binding.py", "model/test_bundle.py",
        "model/test_cascade.py", "model/test_network.py", "model/test_places.py", "test_cli.py",
        "test_reader.py", "training",
    ]
)  # fmt: skip
# On a busy machine a drawn example may take longer than Hypothesis thinks it should.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

# Fixture → marker of the tests that take it: `make check` leaves these out.
NEEDS = {
    "mnist_test": "mnist", "mnist_train": "mnist", "real_digits": "mnist", "cases": "mnist",
    "ray_local": "ray",
}  # fmt: skip


def pytest_collection_modifyitems(items: Sequence[pytest.Function]) -> None:
    """Mark each test by what it needs."""
    for item in items:
        for fixture in NEEDS.keys() & set(item.fixturenames):
            item.add_marker(NEEDS[fixture])


def skip_or_fail(reason: str) -> None:
    """Skip a test that needs a part which is missing; in CI that is a failure."""
    if os.environ.get("DIGITREC_CI"):
        pytest.fail(f"missing in CI: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """The cascade, accepting whatever its confidence: what is tested is mostly how it reads."""
    return with_budget(load_bundle(), "none")


@pytest.fixture(scope="session")
def engine(bundle: Bundle) -> Engine:
    return open_engine(bundle)


@pytest.fixture(scope="session")
def small_test() -> Digits:
    """200 digits of our own drawing: images uint8 [200, 28, 28] and labels, 7, 2, 1, 0, 4, …"""
    return load_small("test")


@pytest.fixture
def small_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small MNIST in MNIST's place, in this process and where nobody names a folder."""
    whole = mnist.load

    def load(split: mnist.Split, data: Path | None = None) -> Digits:
        return load_small(split) if data is None else whole(split, data)

    monkeypatch.setattr(mnist, "load", load)


@pytest.fixture
def scans(small_test: Digits, tmp_path: Path) -> Path:
    """Forty drawn digits as PNGs, named by index and label: `00-7.png`, `01-2.png`, …"""
    folder = tmp_path / "scans"
    folder.mkdir()
    for k in range(40):
        image = small_test[0][52 if k == 22 else k]  # the budget does not accept that 1
        (folder / f"{k:02d}-{small_test[1][k]}.png").write_bytes(png(image))
    return folder


@pytest.fixture
def settings(scans: Path, tmp_path: Path) -> RunSettings:
    """A run that reads `scans` into `tmp_path / "result"`."""
    return RunSettings(inputs=(str(scans),), out=str(tmp_path / "result"), quiet=True)


@pytest.fixture
def five_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of eight scans: `scans` gives five."""
    monkeypatch.setattr(Classifier, "size", lambda self, number: 8)


def digits(out: str | Path) -> dict[str, int | None]:
    """Give a result's digits by file name; each name is there once."""
    table = dataset.dataset(out, format="parquet").to_table()
    names = [Path(path).name for path in table["path"].to_pylist()]
    assert len(set(names)) == len(names)
    return dict(zip(names, table["digit"].to_pylist(), strict=True))


def record(out: str | Path) -> dict[str, Any]:
    """Give what `_run.json` holds."""
    content: dict[str, Any] = json.loads(Path(out, "_run.json").read_text())
    return content


def leave_unfinished(out: str | Path) -> None:
    """Make a complete result look like one of a run that was killed."""
    Path(out, "_run.json").write_text(json.dumps({**record(out), "state": "running"}))


@pytest.fixture(scope="session")
def mnist_test() -> Digits:
    """MNIST's test set: images uint8 [10000, 28, 28] and labels uint8 [10000]."""
    try:
        return mnist.load("test")
    except MnistError as why:
        skip_or_fail(f"MNIST could not be fetched: {why}")
        raise


@pytest.fixture(scope="session")
def mnist_train(mnist_test: object) -> Digits:
    return mnist.load("train")


def data_of(name: str, what: str) -> Path:
    """Give a folder of the data that are not the repository's."""
    named = os.environ.get("DIGITREC_TEST_DATA")
    if not named or not Path(named, name).is_dir():
        skip_or_fail(f"DIGITREC_TEST_DATA names no folder with {what}")
    return Path(str(named), name)


@pytest.fixture(scope="session")
def real_digits() -> Path:
    """300 scanned digits by ten people, in class folders."""
    return data_of("real_digits", "real digits")


@pytest.fixture(scope="session")
def cases() -> Path:
    """Real digits, and empty fields, as people cut them out: in folders by kind, then class."""
    return data_of("cases", "cut-out fields")


@pytest.fixture(scope="session")
def ray_local() -> Iterator[None]:
    """The one Ray session of the test process: two CPUs, no dashboard."""
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    yield
    ray.shutdown()


@contextlib.contextmanager
def only_first_images() -> Iterator[None]:
    """Cut MNIST to 6,000 training and 2,000 test images, for runs that need not be good."""
    whole = mnist.load

    def first(split: mnist.Split, data: Path | None = None) -> Digits:
        count = 6000 if split == "train" else 2000
        images, labels = whole(split, data)
        return images[:count], labels[:count]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist, "load", first)
        yield


@pytest.fixture
def first_images(mnist_train: object) -> Iterator[None]:
    """MNIST cut short."""
    with only_first_images():
        yield


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """An S3 server on this machine; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def memory(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URI of a folder in fsspec's memory."""
    uri = f"memory://{request.node.originalname}"
    yield uri
    with contextlib.suppress(FileNotFoundError):
        fsspec.filesystem("memory").rm(uri, recursive=True)
