"""Scans that kill whatever process reads them, on Ray: a row each, and all others have digits.

No file is at hand that crashes a decoder of today, so the workers get one that can be crashed.
"""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from pyarrow import dataset

from digitrec import reading
from digitrec.bulk import classify as module
from digitrec.bulk.classify import Classifier, classify
from digitrec.bulk.run import SMALL, RunSettings
from digitrec.bulk.tally import Tally
from digitrec.scans import decode
from digitrec.scans.labelled import png

KILL = b"this file kills"
KILLERS = (0, 700, 4000)


def deadly_decode(content: bytes) -> decode.Decoded:
    if content == KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    return decode.decode(content)


class Deadly(Classifier):
    """A classifier whose process can be killed by what it reads."""

    def __call__(self, number: int, *, here: bool = False) -> Tally:
        reading.decode = deadly_decode
        return super().__call__(number, here=here)


@pytest.mark.usefixtures("ray_local")
@pytest.mark.parametrize("count", [SMALL + 300, 900], ids=["on Ray", "in this process"])
def test_a_scan_that_kills_its_reader_twice_has_its_own_row(
    count: int,
    mnist_test: tuple[np.ndarray, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    contents = [png(image) for image in mnist_test[0][:50]]
    for k in range(count):
        (scans / f"{k:05d}.png").write_bytes(KILL if k in KILLERS else contents[k % 50])
    monkeypatch.setattr(module, "Classifier", Deadly)
    monkeypatch.setattr(reading, "decode", reading.decode)  # put back after the test
    settings = RunSettings(inputs=(str(scans),), out=str(tmp_path / "result"), quiet=True)
    counts = classify(settings).run["counts"]
    killers = [k for k in KILLERS if k < count]
    assert counts["inputs"] == counts["rows"] == count
    assert counts["errors"] == {"crashed": len(killers)}
    table = dataset.dataset(tmp_path / "result", format="parquet").to_table().sort_by("path")
    crashed = {k: reason for k, reason in enumerate(table["reason"].to_pylist()) if reason}
    assert crashed == dict.fromkeys(killers, "crashed: its reader died (SIGKILL)")
    right = [
        digit == mnist_test[1][k % 50]
        for k, digit in enumerate(table["digit"].to_pylist())
        if k not in killers
    ]
    assert np.mean(right) > 0.95
