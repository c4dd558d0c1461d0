"""The digits that stand in for MNIST's: as they were drawn, in MNIST's form, and easily read."""

import gzip
import hashlib

import numpy as np
import pytest

from digitrec.datasets import mnist
from digitrec.model.engine import Engine
from digitrec.model.policy import ACCEPT
from digitrec.reader import read_scans
from tests.golden.test_golden import ROUNDED_SHARE, ROUNDING
from tests.small_mnist.make import FOLDER, SPLITS, Digits, draw, files, load_small

REMAKE = "look at what changed, then `python -m tests.small_mnist.make`"


@pytest.mark.parametrize("split", SPLITS)
def test_they_are_what_the_script_draws(split: str) -> None:
    (images, labels), (drawn, shown) = load_small(split), draw(split)
    assert np.array_equal(labels, shown)
    apart = np.abs(images.astype(int) - drawn)
    assert apart.max() <= ROUNDING, REMAKE
    assert (apart > 0).mean() <= ROUNDED_SHARE, REMAKE


@pytest.mark.parametrize("split", SPLITS)
def test_the_files_have_mnists_form(split: mnist.Split, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in files(split):
        digest = hashlib.md5(gzip.decompress(file.read_bytes())).hexdigest()
        monkeypatch.setitem(mnist.MD5, file.stem, digest)
    for read, ours in zip(mnist.load(split, FOLDER), load_small(split), strict=True):
        assert np.array_equal(read, ours)


def test_the_shipped_cascade_reads_and_accepts_them(engine: Engine, small_test: Digits) -> None:
    readings = read_scans(list(small_test[0]), engine)
    assert np.array_equal(readings.digits, small_test[1])
    assert (readings.decisions == ACCEPT).all()


def test_they_are_small() -> None:
    assert sum(file.stat().st_size for file in FOLDER.glob("*.gz")) < 300_000
