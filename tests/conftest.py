"""What the tests share: one small Ray session, the shipped bundle, MNIST, and honest skips."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest

from digitrec.datasets import mnist
from digitrec.errors import MnistError
from digitrec.model.bundle import Bundle, load_bundle
from digitrec.model.engine import Engine, open_engine

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


def skip_or_fail(reason: str) -> None:
    """Skip a test that needs a part which is missing; in CI that is a failure."""
    if os.environ.get("DIGITREC_CI"):
        pytest.fail(f"missing in CI: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return load_bundle()


@pytest.fixture(scope="session")
def engine(bundle: Bundle) -> Engine:
    return open_engine(bundle)


@pytest.fixture(scope="session")
def mnist_test() -> tuple[np.ndarray, np.ndarray]:
    """MNIST's test set: images uint8 [10000, 28, 28] and labels uint8 [10000]."""
    try:
        return mnist.load("test")
    except MnistError as why:
        skip_or_fail(f"MNIST could not be fetched: {why}")
        raise


@pytest.fixture(scope="session")
def mnist_train(mnist_test: object) -> tuple[np.ndarray, np.ndarray]:
    return mnist.load("train")


@pytest.fixture(scope="session")
def real_digits() -> Path:
    """300 scanned digits by ten people, in class folders."""
    named = os.environ.get("DIGITREC_TEST_DATA")
    if not named:
        skip_or_fail("DIGITREC_TEST_DATA names no folder with real digits")
    return Path(str(named)) / "real_digits"


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
