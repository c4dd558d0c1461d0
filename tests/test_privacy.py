"""Nobody is told what is read here: no file in the user's home, and no name asked for."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from digitrec.storage.cache import cache_folder
from tests.conftest import skip_or_fail
from tests.drawing import digit, shown

# A name's look-up, or the service that tells a machine in a cloud about itself. Ray finds its own
# address by "connecting" a datagram socket to 8.8.8.8, which sends nothing.
ASKED = re.compile(r"sendmmsg\(|169\.254\.169\.254|(?!.*8\.8\.8\.8)htons\(53\)")
ANY_HOST = re.compile(r"AF_INET6?\b")


def named(environment: dict[str, str], home: Path) -> dict[str, str]:
    """Give an environment whose home is this folder, and where nobody has settled a thing."""
    unset = (
        "DIGITREC_DATA", "MPLCONFIGDIR", "ORT_DISABLE_TELEMETRY", "RAY_ADDRESS",
        "RAY_AUTH_MODE", "RAY_AUTH_TOKEN",
        "RAY_AUTH_TOKEN_PATH", "RAY_USAGE_STATS_ENABLED", "XDG_CACHE_HOME", "XDG_CONFIG_HOME",
        "XDG_DATA_HOME", "XDG_STATE_HOME",
    )  # fmt: skip
    kept = {name: value for name, value in environment.items() if name not in unset}
    return {**kept, "HOME": str(home)}


def call(home: Path, *arguments: str, trace: Path | None = None, **more: str) -> None:
    """Call a command at home in a folder; `trace` gets its processes' network calls."""
    calls = "trace=connect,sendto,sendmsg,sendmmsg"
    strace = [] if trace is None else ["strace", "-f", "-qq", "-e", calls, "-o", str(trace)]
    ended = subprocess.run(
        [*strace, sys.executable, "-c", "import sys; from digitrec.cli import main; main()",
         *arguments],
        env={**named({**os.environ}, home), **more},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr


def files_of(home: Path) -> list[str]:
    return [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()]


@pytest.fixture
def strace() -> None:
    if shutil.which("strace") is None:
        skip_or_fail("strace is not installed")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with machine code in digitrec's cache, and nothing else."""
    there = tmp_path / "home"
    shutil.copytree(cache_folder() / "compiled", there / ".cache/digitrec/compiled")
    return there


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    Image.fromarray(shown(digit(3))).save(tmp_path / "three.png")
    return tmp_path / "three.png"


def strangers(home: Path) -> list[str]:
    return [name for name in files_of(home) if not name.startswith(".cache/digitrec/")]


@pytest.mark.usefixtures("strace")
def test_predict_and_a_small_classify_leave_nothing_and_ask_nobody(
    home: Path, scan: Path, tmp_path: Path
) -> None:
    for number, command in enumerate(
        (["predict", str(scan)], ["classify", str(scan), "--out", str(tmp_path / "result")])
    ):
        trace = tmp_path / f"trace-{number}"
        call(home, *command, trace=trace)
        assert not ANY_HOST.findall(trace.read_text())
    assert strangers(home) == []


def test_what_the_user_said_of_telemetry_does_not_turn_it_on(home: Path, scan: Path) -> None:
    call(home, "predict", str(scan), ORT_DISABLE_TELEMETRY="0")
    assert strangers(home) == []


@pytest.mark.slow
@pytest.mark.usefixtures("strace")
def test_a_classify_on_ray_leaves_nothing_and_looks_up_no_name(
    home: Path, scan: Path, tmp_path: Path
) -> None:
    many = tmp_path / "scans"
    many.mkdir()
    for number in range(4100):
        os.link(scan, many / f"{number}.png")
    call(home, "classify", str(many), "--out", str(tmp_path / "r"), trace=tmp_path / "trace")
    trace = (tmp_path / "trace").read_text()
    assert "AF_INET" in trace  # Ray did run
    assert not [line for line in trace.splitlines() if ASKED.search(line)]
    assert strangers(home) == []


@pytest.mark.slow
@pytest.mark.usefixtures("mnist_train")
def test_a_training_leaves_nothing(home: Path, tmp_path: Path) -> None:
    """Pictures too: matplotlib's list of fonts lies in digitrec's own folder."""
    (home / ".cache/digitrec/MNIST").symlink_to(cache_folder() / "MNIST")
    call(home, "train", "--epochs", "1", "--out", str(tmp_path / "run"))
    assert strangers(home) == []
