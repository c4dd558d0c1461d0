"""Scans that kill whatever process reads them: a row each, and all others have digits."""

import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow import dataset

from digitrec.batch.manifest import read_run
from digitrec.batch.run import SMALL
from digitrec.datasets.labelled import png
from digitrec.storage.folder import open_folder
from tests.faults.deadly import KILL
from tests.small_mnist.make import Digits

pytestmark = pytest.mark.slow

KILLERS = (0, 700, 4000)
ROOT = Path(__file__).parent.parent.parent


def classify_deadly(scans: Path, out: Path) -> None:
    """Classify with a decoder that can be killed; once more if Ray took the driver along."""
    command = [sys.executable, "-m", "tests.faults.deadly", str(scans), str(out)]
    first = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if first.returncode:
        assert "Traceback" not in first.stderr, first.stderr
        subprocess.run(command, cwd=ROOT, check=True)


@pytest.mark.parametrize("count", [SMALL + 300, 900], ids=["on Ray", "in this process"])
def test_a_scan_that_kills_its_reader_twice_has_its_own_row(
    count: int, small_test: Digits, tmp_path: Path
) -> None:
    scans, out = tmp_path / "scans", tmp_path / "result"
    scans.mkdir()
    contents = [png(image) for image in small_test[0][:50]]
    for k in range(count):
        (scans / f"{k:05d}.png").write_bytes(KILL if k in KILLERS else contents[k % 50])
    classify_deadly(scans, out)
    run = read_run(open_folder(out))
    assert run
    killers = [k for k in KILLERS if k < count]
    assert run["counts"]["inputs"] == run["counts"]["rows"] == count
    assert run["counts"]["errors"] == {"crashed": len(killers)}
    table = dataset.dataset(out, format="parquet").to_table().sort_by("path")
    reasons = table["reason"].to_pylist()
    crashed = {k: why for k, why in enumerate(reasons) if why and "confidence" not in why}
    assert crashed == dict.fromkeys(killers, "crashed: its reader died (SIGKILL)")
    digits = table["digit"].to_pylist()
    assert all(digits[k] == small_test[1][k % 50] for k in range(count) if k not in killers)
