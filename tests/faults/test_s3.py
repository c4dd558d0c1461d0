"""Scans and result in S3: a real server on this machine, which refuses a tenth of the requests."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from pyarrow import dataset, fs

from digitrec.batch.manifest import read_run
from digitrec.model.bundle import load_bundle
from digitrec.model.engine import Engine, open_engine
from digitrec.model.policy import ACCEPT
from digitrec.pipeline import read_contents
from digitrec.readings import Readings
from digitrec.storage.folder import Folder, open_folder
from digitrec.storage.uris import open_uri
from tests.faults.s3_server import scans

pytestmark = pytest.mark.slow

OBJECTS = 6_000  # too many to do without Ray
PATIENCE = 600  # seconds
COMMAND = ("classify", "s3://bucket/scans", "--out", "s3://bucket/result")


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    """A bucket with 6,000 scans, in a process of its own; the environment leads to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tests.faults.s3_server", str(port), str(OBJECTS), "0.1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("AWS_ACCESS_KEY_ID", "testing"),
            ("AWS_SECRET_ACCESS_KEY", "testing"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}"),
        ):
            patch.setenv(name, value)
        try:
            deadline = time.monotonic() + 60
            while socket.socket().connect_ex(("127.0.0.1", port)):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
            yield
        finally:
            process.kill()
            process.wait()
            open_uri.cache_clear()


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "digitrec.cli", *arguments, "--quiet"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def parts(folder: Folder) -> list[str]:
    return [name for name in folder.names() if name.startswith("part-")]


@pytest.fixture(scope="module")
def engine() -> Engine:
    """What `classify` reads with: under the shipped budget."""
    return open_engine(load_bundle())


def shares(readings: Readings) -> str:
    """Say how many of a labelled set's readings are accepted, and that the others are doubted."""
    accepted = int((readings.decisions == ACCEPT).sum())
    return f"{accepted:,} accepted, {len(readings) - accepted:,} to review"


@dataclass
class Killed:
    """What a run that was killed left."""

    parts: int
    lease_ends: float  # by time.monotonic


@pytest.fixture(scope="module", autouse=True)
def killed(server: None) -> Killed:
    """A run, killed after two parts: first of all, so that others run while its lease runs out."""
    first = start(*COMMAND)
    folder = open_folder("s3://bucket/result")
    deadline = time.monotonic() + PATIENCE
    while len(parts(folder)) < 2:
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    first.kill()
    first.communicate()

    # Its lease is still young: a rerun is told how long to wait.
    refused = start(*COMMAND)
    _, said = refused.communicate(timeout=PATIENCE)
    assert refused.returncode == 2
    wait = re.search(r"its lease ends in (\d+) s", said)
    assert wait, said
    assert 1 <= int(wait[1]) <= 60
    return Killed(len(parts(folder)), time.monotonic() + int(wait[1]) + 1)


def test_an_object_that_stays_unreadable_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a small folder: a digit, an object that is refused for ever, and one too large."""
    store = fs.FileSystem.from_uri("s3://bucket")[0]
    digit = next(iter(scans(1)))[1]
    for name, content in (("good", digit), ("broken", digit), ("large", bytes(2**26 + 1))):
        # The server refuses to store what is broken as well: it need not be there for that.
        if name != "broken":
            with store.open_output_stream(f"bucket/few/{name}.png") as stream:
                stream.write(content)
    with store.open_output_stream("bucket/few/list.txt") as stream:
        stream.write(b"good.png\nbroken.png\nlarge.png\nnowhere.png\n")
    process = start("classify", "s3://bucket/few/list.txt", "--out", "s3://bucket/few-result")
    out, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert "errors       too-large 1, unreadable 1, vanished 1" in out
    table = dataset.dataset("bucket/few-result", filesystem=store, format="parquet").to_table()
    reasons = dict(zip(table["path"].to_pylist(), table["reason"].to_pylist(), strict=True))
    assert reasons["s3://bucket/few/good.png"] is None
    assert reasons["s3://bucket/few/broken.png"].startswith("unreadable: ")
    assert reasons["s3://bucket/few/nowhere.png"] == "vanished: no such object"
    np.testing.assert_array_equal(sorted(table["digit"].drop_null().to_pylist()), [7])


def test_packing_into_a_bucket(engine: Engine) -> None:
    packed = start("pack", "s3://bucket/scans/7", "--out", "s3://bucket/shards")
    out, said = packed.communicate(timeout=PATIENCE)
    assert packed.returncode == 0, said
    read = start("classify", "s3://bucket/shards", "--out", "s3://bucket/from-shards")
    out, said = read.communicate(timeout=PATIENCE)
    assert read.returncode == 0, said
    sevens = [content for name, content in scans(OBJECTS) if name.startswith("scans/7/")]
    readings = read_contents(sevens, len(sevens), engine)
    assert f"{len(sevens):,} scans: {shares(readings)}, 0 blank, 0 errors" in out


def test_thousands_of_objects_a_kill_and_503s(killed: Killed, engine: Engine) -> None:
    """The same command goes on where the killed run was, once its lease has ended."""
    time.sleep(max(0, killed.lease_ends - time.monotonic()))
    second = start(*COMMAND)
    out, said = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0, said
    expected = dict(scans(OBJECTS))
    readings = read_contents(expected.values(), OBJECTS, engine)
    assert f"{OBJECTS:,} scans: {shares(readings)}, 0 blank, 0 errors" in out
    folder = open_folder("s3://bucket/result")
    run = read_run(folder)
    assert run
    assert run["gone_on"] == 1
    assert killed.parts >= 2

    remote, path = open_uri("s3://bucket/result")
    assert remote
    table = dataset.dataset(path, filesystem=remote.filesystem, format="parquet").to_table()
    digits = dict(zip(table["path"].to_pylist(), table["digit"].to_pylist(), strict=True))
    assert digits == dict(
        zip((f"s3://bucket/{name}" for name in expected), readings.digits.tolist(), strict=True)
    )
    assert "_lock" not in folder.names()
