"""Whole ways through the program as people go them: as Ray jobs, and from a wheel."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import psutil
import pytest

from digitrec import __version__
from digitrec.batch.manifest import read_run
from digitrec.datasets.labelled import png
from digitrec.model.bundle import load_bundle
from digitrec.storage.folder import open_folder
from tests.conftest import skip_or_fail

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def ray_head() -> Iterator[dict[str, str]]:
    """A Ray head of its own on this machine; the environment that reaches it."""
    port, dashboard, agent = free_ports(3)
    temporary = tempfile.mkdtemp(prefix="ray-")  # short, because sockets lie in it
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RAY_TMPDIR": temporary,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
    }
    command = [
        "ray", "start", "--head", "--block", "--num-cpus=2", "--disable-usage-stats",
        "--node-ip-address=127.0.0.1", f"--port={port}", "--dashboard-host=127.0.0.1",
        f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}",
    ]  # fmt: skip
    head = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{dashboard}"
    try:
        wait_for_jobs_server(address, environment["RAY_AUTH_TOKEN"])
        yield {**environment, "RAY_API_SERVER_ADDRESS": address}
    finally:
        # Ending by itself takes it half a minute.
        for process in [*psutil.Process(head.pid).children(recursive=True), head]:
            process.kill()
        head.wait(60)
        shutil.rmtree(temporary, ignore_errors=True)


def wait_for_jobs_server(address: str, token: str) -> None:
    request = urllib.request.Request(
        f"{address}/api/jobs/", headers={"Authorization": f"Bearer {token}"}
    )
    deadline = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(request, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < deadline, "the Ray head did not come up"
            time.sleep(0.5)


def submit(environment: dict[str, str], *entrypoint: str | Path) -> str:
    """Run a job to its end from the repository's root, as docs/cluster.md says; give its output."""
    command = ["ray", "job", "submit", "--working-dir", ".", "--", *map(str, entrypoint)]
    job = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert job.returncode == 0, job.stdout + job.stderr
    return job.stdout


@pytest.mark.usefixtures("mnist_train")
def test_train_and_classify_as_ray_jobs(
    ray_head: dict[str, str], mnist_test: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    scans, run, result = tmp_path / "scans", tmp_path / "run", tmp_path / "result"
    for k, (image, label) in enumerate(zip(mnist_test[0][:300], mnist_test[1], strict=False)):
        (scans / str(label)).mkdir(parents=True, exist_ok=True)
        (scans / str(label) / f"{k}.png").write_bytes(png(image))

    said = submit(ray_head, "python", "jobs/train.py", "--epochs", "1", "--out", run)
    assert "epoch 1/1" in said
    assert "trained 1 epochs" in said
    card = load_bundle(run).card
    assert card.id in said
    assert card.scorecard["mnist:test"]["accuracy"] > 0.95

    said = submit(ray_head, "python", "jobs/classify.py", scans, "--model", run, "--out", result)
    assert "300 scans: 300 accepted" in said
    run_json = read_run(open_folder(result))
    assert run_json
    assert run_json["model_id"] == card.id
    query = f"""
        select count(*), avg((digit = cast(split_part(path, '/', -2) as int))::int)
        from '{result}/part-*.parquet'
    """
    [(rows, right)] = duckdb.sql(query).fetchall()
    assert rows == 300
    assert right > 0.9


def test_a_failed_job_fails(ray_head: dict[str, str], tmp_path: Path) -> None:
    command = ["ray", "job", "submit", "--working-dir", ".", "--"]
    entrypoint = ["python", "jobs/classify.py", str(tmp_path / "nowhere"), "--out", str(tmp_path)]
    job = subprocess.run(
        command + entrypoint, cwd=ROOT, env=ray_head, capture_output=True, text=True, check=False
    )
    assert job.returncode != 0
    assert "no file or folder" in job.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel and what it depends on; its folder of programs."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "environment"], check=True)
    programs = folder / "environment" / "bin"
    [wheel] = folder.glob("*.whl")
    install = [programs / "pip", "install", "--quiet", wheel]
    answer = subprocess.run(install, capture_output=True, text=True, check=False, cwd=folder)
    if answer.returncode != 0:
        skip_or_fail(f"the wheel's dependencies could not be installed: {answer.stderr[-500:]}")
    return programs


def without_network(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command where there is no network at all, not even to this machine."""
    isolate = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    if not shutil.which("unshare") or subprocess.run([*isolate, "true"], check=False).returncode:
        skip_or_fail("unshare can't take the network away here")
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd), "LANG": "C.UTF-8"}
    return subprocess.run(
        [*isolate, *command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_the_wheel_works_outside_the_repository_and_offline(
    installed: Path, mnist_test: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    (tmp_path / "seven.png").write_bytes(png(mnist_test[0][0]))
    digitrec = installed / "digitrec"
    assert (
        without_network(digitrec, "--version", cwd=tmp_path).stdout == f"digitrec {__version__}\n"
    )

    predicted = without_network(digitrec, "predict", "--json", "seven.png", cwd=tmp_path)
    assert predicted.returncode == 0, predicted.stderr
    assert json.loads(predicted.stdout)["digit"] == 7

    program = "import digitrec; from digitrec import read; print(read('seven.png')[0].digit); "
    program += "print(digitrec.__file__)"
    answer = without_network(installed / "python", "-c", program, cwd=tmp_path)
    digit, place = answer.stdout.splitlines()
    assert digit == "7"
    assert place.startswith(str(installed.parent))

    trained = without_network(digitrec, "train", cwd=tmp_path)
    assert trained.returncode == 2
    assert "pip install 'digitrec[train]'" in trained.stderr


def test_the_wheel_classifies_a_folder(
    installed: Path, mnist_test: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    """With the dependencies that the wheel names, and no others."""
    (tmp_path / "scans").mkdir()
    for k, image in enumerate(mnist_test[0][:50]):
        (tmp_path / "scans" / f"{k}.png").write_bytes(png(image))
    command = [installed / "digitrec", "classify", "scans", "--out", "result", "--json"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    counts = json.loads(answer.stdout)["counts"]
    assert counts["accept"] + counts["review"] == 50
    assert counts["accept"] >= 45
