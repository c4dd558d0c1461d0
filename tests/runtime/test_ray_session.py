"""Whether Ray is reached, and how soon it is said that it is not."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from digitrec.errors import InputError, RunError
from digitrec.runtime import ray_session as module
from digitrec.runtime.ray_session import _probe

PROGRAM = """
import ray
from digitrec.runtime.ray_session import ray_session
with ray_session():
    print(ray.get(ray.remote(lambda: 7).remote()))
"""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBE_SECONDS", 1.0)


@pytest.fixture
def dead_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def listening_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("form", ["127.0.0.1:{}", "localhost:{}", "ray://127.0.0.1:{}", "[::1]:{}"])
def test_a_cluster_that_is_gone_is_said_soon(form: str, dead_port: int) -> None:
    start = time.monotonic()
    with pytest.raises(RunError, match=r"no Ray cluster answers .*unset RAY_ADDRESS"):
        _probe(form.format(dead_port))
    assert time.monotonic() - start < 3


@pytest.mark.usefixtures("impatient")
def test_a_name_that_is_none_is_said_soon() -> None:
    with pytest.raises(RunError, match=r"answers at RAY_ADDRESS=head\.invalid:6379"):
        _probe("head.invalid:6379")


def test_a_cluster_that_answers_is_gone_on_with(listening_port: int) -> None:
    _probe(f"127.0.0.1:{listening_port}")
    _probe(f"ray://127.0.0.1:{listening_port}")


@pytest.mark.parametrize("address", ["http://head:8265", "https://head"])
def test_a_dashboards_address_is_explained(address: str) -> None:
    with pytest.raises(InputError, match=r"as `ray job submit` takes it.*host:6379") as raised:
        _probe(address)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("address", ["head", "head:ray", "head:99999", "ftp://head:21", ":6379"])
def test_what_is_no_address_is_said(address: str) -> None:
    with pytest.raises(InputError, match="is no address of a Ray cluster"):
        _probe(address)


@pytest.mark.slow
def test_a_command_says_it_in_one_sentence(dead_port: int, tmp_path: Path) -> None:
    """With the whole patience, and no traceback."""
    program = "import sys; from digitrec.runtime.ray_session import ray_session\n" + (
        "from digitrec.errors import DigitrecError\n"
        "try:\n    with ray_session(): pass\n"
        "except DigitrecError as why:\n    print(why); sys.exit(why.exit_code)"
    )
    start = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "RAY_ADDRESS": f"127.0.0.1:{dead_port}"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "no Ray cluster answers at RAY_ADDRESS=" in ended.stdout
    assert ended.stderr == ""
    assert time.monotonic() - start < 30


@pytest.mark.slow
def test_a_long_tmpdir_does_not_break_rays_sockets(tmp_path: Path) -> None:
    """And an empty home stays empty: Ray's token is in the environment."""
    home, long = tmp_path / "home", tmp_path / ("x" * 120)
    home.mkdir()
    long.mkdir()
    paths = {"HOME": str(home), "TMPDIR": str(long)}
    environment = {**os.environ, **paths, "RAY_AUTH_MODE": "token"}  # as a session leaves it
    for name in ("RAY_ADDRESS", "RAY_TMPDIR", "RAY_AUTH_TOKEN"):
        environment.pop(name, None)
    before = set(Path("/tmp").glob("dr-*"))
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.stdout == "7\n", ended.stderr
    assert not [path for path in home.rglob("*") if path.is_file()]
    assert set(Path("/tmp").glob("dr-*")) == before


def test_a_machine_that_is_too_busy_for_ray_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(**_: object) -> None:
        raise Exception("The current node timed out during startup.")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", late)
    monkeypatch.setattr("ray.shutdown", lambda: None)
    with pytest.raises(RunError, match="too busy"), module.ray_session():
        pass
