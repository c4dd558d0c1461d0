"""The crontab's line, run as cron runs it: with next to no environment, twice, overlapping."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from digitrec.model.champion import GATE
from digitrec.registry.store import make_registry, open_registry
from tests.registry.small import make_champion, make_corrections

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PATIENCE = 400
# What cron gives a command, beside the user's home and name.
CRON = ("SHELL=/bin/sh", "PATH=/usr/bin:/bin", "LANG=C")
# `digitrec` for a test: MNIST's place takes the small one.
PROGRAM = f"""#!{sys.executable}
import sys
sys.path.insert(0, {str(ROOT)!r})
from digitrec.datasets import mnist
from tests.small_mnist.make import load_small
mnist.load = lambda split, data=None: load_small(split)
from digitrec.cli import main
sys.exit(main())
"""


def cron_line() -> str:
    """The command of the crontab's one entry."""
    lines = (ROOT / "cluster/retrain.crontab").read_text().splitlines()
    [entry] = [line for line in lines if line and not line.startswith("#")]
    *_, command = entry.split(maxsplit=5)
    assert "%" not in command  # cron would make a line end of it
    return command


def started(folder: Path) -> "subprocess.Popen[bytes]":
    command = cron_line().replace("/srv/digits", str(folder))
    assert str(folder) in command
    home = os.environ["HOME"]  # with what is compiled and cached
    words = ["env", "-i", *CRON, f"HOME={home}", "LOGNAME=nobody", "/bin/sh", "-c", command]
    return subprocess.Popen(words, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as the crontab has it: the program, a registry and an inbox."""
    folder = tmp_path / "digits"
    program = folder / ".venv/bin/digitrec"
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM)
    program.chmod(0o755)
    (folder / "inbox").mkdir()
    make_registry(str(folder / "models"), str(make_champion(tmp_path / "champion")))
    return folder


def test_cron_may_call_it_as_often_as_it_likes(folder: Path) -> None:
    # Nobody has corrected anything.
    empty = started(folder)
    assert empty.communicate(timeout=PATIENCE) == (b"", None)
    assert empty.returncode == 0
    table = make_corrections(folder / "scans", count=80)
    (folder / "inbox" / "corrections.csv").write_text(
        table.read_text().replace("\n", f"\n{folder}/scans/").removesuffix(f"{folder}/scans/")
    )
    both = [started(folder), started(folder)]
    assert [one.communicate(timeout=PATIENCE) for one in both] == [(b"", None)] * 2
    log = (folder / "retrain.log").read_text()
    assert sorted(one.returncode for one in both) == [0, 2], log
    assert re.search(r"another run is writing to models \(\S+, process \d+\)", log)
    assert "Traceback" not in log
    kept = open_registry(str(folder / "models"))
    assert kept.check() == []
    assert sum(entry.kind == GATE for entry in kept.history()) == 1
    # The next hour: nothing is new.
    again = started(folder)
    again.communicate(timeout=PATIENCE)
    assert again.returncode == 0
    assert "nothing to do" in (folder / "retrain.log").read_text().splitlines()[-1]
