"""Scans that kill or stall their reader cost a row each; here a decoder does so on demand."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from digitrec import pipeline
from digitrec.batch import isolated
from digitrec.batch.isolated import read_isolated
from digitrec.datasets.labelled import png
from digitrec.errors import RunError, ScanError
from digitrec.inputs.decode import Decoded, decode
from digitrec.model.bundle import Bundle
from digitrec.model.engine import Engine
from digitrec.pipeline import Content, read_contents
from digitrec.readings import ERROR, join
from tests.small_mnist.make import Digits

KILL, STALL, SILENT_EXIT = b"kill me", b"let me sleep", b"leave"


@pytest.fixture
def dangerous_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    def dangerous(content: bytes) -> Decoded:
        if content == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        if content == SILENT_EXIT:
            os._exit(3)
        if content == STALL:
            time.sleep(60)
        return decode(content)

    monkeypatch.setattr(pipeline, "decode", dangerous)


@pytest.fixture
def contents(small_test: Digits) -> list[Content]:
    """The content of 600 files."""
    return [png(image) for image in small_test[0]] * 3


def test_the_readings_are_those_of_a_plain_reader(
    contents: list[Content], bundle: Bundle, engine: Engine
) -> None:
    contents[3] = ScanError("vanished", "no such file")
    contents[300] = b"text"
    careful = read_isolated(iter(contents), bundle)
    plain = read_contents(iter(contents), len(contents), engine)
    np.testing.assert_array_equal(careful.digits, plain.digits)
    np.testing.assert_allclose(careful.probabilities, plain.probabilities, atol=1e-6)
    assert careful.reasons.tolist() == plain.reasons.tolist()
    assert set(careful.seconds) == set(plain.seconds)
    assert len(read_isolated([], bundle)) == 0


@pytest.mark.usefixtures("dangerous_decoder")
def test_each_killer_has_its_row_and_all_others_their_digits(
    contents: list[Content], bundle: Bundle, small_test: Digits
) -> None:
    deaths = {0: KILL, 1: KILL, 299: SILENT_EXIT, 599: KILL}
    for k, content in deaths.items():
        contents[k] = content
    readings = read_isolated(iter(contents), bundle)
    errors = np.flatnonzero(readings.decisions == ERROR)
    assert dict(zip(errors.tolist(), readings.reasons[errors], strict=True)) == {
        0: "crashed: its reader died (SIGKILL)",
        1: "crashed: its reader died (SIGKILL)",
        299: "crashed: its reader died (exit code 3)",
        599: "crashed: its reader died (SIGKILL)",
    }
    others = [k for k in range(600) if k not in deaths]
    assert (readings.digits[others] == np.tile(small_test[1], 3)[others]).all()


@pytest.mark.usefixtures("dangerous_decoder")
def test_a_scan_that_stalls_is_given_up(contents: list[Content], bundle: Bundle) -> None:
    readings = read_isolated([contents[0], STALL, contents[1]], bundle, stall_seconds=0.5)
    assert readings.reasons.tolist() == [None, "crashed: no answer for 0 s", None]
    assert readings.digits[[0, 2]].tolist() == [7, 2]


def test_a_reader_that_can_not_even_start_ends_the_run(
    contents: list[Content], bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digitrec.batch.isolated.open_engine", lambda bundle: os._exit(7))
    with pytest.raises(RunError, match=r"fails: its reader died .exit code 7"):
        read_isolated(iter(contents), bundle)


# More than a socket's buffer, so that a child must take part in the hand-over.
LARGE = os.urandom(100_000)


def test_a_reader_that_hangs_before_it_listens_ends_the_run(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digitrec.batch.isolated.open_engine", lambda bundle: time.sleep(1000))
    monkeypatch.setattr("digitrec.batch.isolated.START_SECONDS", 0.2)
    start = time.monotonic()
    with pytest.raises(RunError, match="fails: not ready after 0 s"):
        read_isolated([LARGE] * 256, bundle, stall_seconds=0.2)
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("first", ["recv", "send"])
def test_a_reader_that_freezes_in_the_hand_over_is_replaced(
    first: str, contents: list[Content], bundle: Bundle, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Stopped once, when it should take a batch or before it gives its answer."""
    whole = getattr(isolated.Connection, first)
    frozen, parent = tmp_path / "frozen", os.getpid()

    def freezing(pipe: isolated.Connection, *given: object) -> object:
        if os.getpid() != parent and given != (isolated.READY,) and not frozen.exists():
            frozen.touch()
            os.kill(os.getpid(), signal.SIGSTOP)
        return whole(pipe, *given)

    monkeypatch.setattr(isolated.Connection, first, freezing)
    start = time.monotonic()
    readings = read_isolated([LARGE] * 30 + contents[:2], bundle, stall_seconds=1)
    assert frozen.exists()
    assert readings.digits[30:].tolist() == [7, 2]
    assert time.monotonic() - start < 30


def test_no_child_outlives_the_reading(contents: list[Content], bundle: Bundle) -> None:
    def broken() -> Iterator[Content]:
        yield from contents[:300]
        raise ValueError("the network is gone")

    with pytest.raises(ValueError, match="the network is gone"):
        read_isolated(broken(), bundle)
    read_isolated(iter(contents), bundle)
    children = psutil.Process().children()
    assert not [child for child in children if "pytest" in " ".join(child.cmdline())]


def test_joining_keeps_order_and_adds_up(contents: list[Content], engine: Engine) -> None:
    pieces = [read_contents(contents[:5], 5, engine), read_contents(contents[5:9], 4, engine)]
    joined = join(pieces)
    assert joined.digits.tolist() == [*pieces[0].digits, *pieces[1].digits]
    assert joined.seconds["infer"] == pieces[0].seconds["infer"] + pieces[1].seconds["infer"]
