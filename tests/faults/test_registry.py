"""A registry stays whole, whoever is killed while writing to it, and however many write at once."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from digitrec.model.bundle import load_bundle
from digitrec.registry.check import look_through
from digitrec.registry.store import make_registry, open_registry
from tests.faults.s3_server import bucket_of

pytestmark = pytest.mark.slow

SMALL, LARGE, CASCADE = (load_bundle(name).card.id for name in ("small", "large", "cascade"))
PATIENCE = 60  # seconds

# Registers the cascade and promotes it; kills itself at the n-th call of a function, before that
# does anything or after it has done it.
KILLED = """
import importlib, os, signal, sys
place, where, call, when = sys.argv[1:]
from digitrec.registry.store import open_registry

def deadly(function, calls=[0]):
    def called(*words, **more):
        calls[0] += 1
        if calls[0] == int(call) and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = function(*words, **more)
        if calls[0] == int(call):
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    return called

if where:
    module, name = where.split(":")
    owner = importlib.import_module(module)
    *outer, name = name.split(".")
    for one in outer:
        owner = getattr(owner, one)
    setattr(owner, name, deadly(getattr(owner, name)))
registry = open_registry(place)
champion, challenger = registry.champion(), registry.register("cascade")
if champion != challenger:
    registry.promote(challenger, expected=champion, why="better")
"""
# Where it is killed, in the order in which it comes there; and whether the cascade is the champion.
POINTS = {
    "before anything is written": ("digitrec.model.bundle:_copy_parts", 1, "before", False),
    "amid the files of a member": ("digitrec.storage.{}.write", 2, "after", False),
    "one member is there": ("digitrec.storage.{}.write", 4, "after", False),
    "all but its card is there": ("digitrec.registry.store:create", 1, "before", False),
    "its card is there": ("digitrec.registry.store:create", 1, "after", False),
    "it is in no entry": ("digitrec.registry.log:create", 1, "before", False),
    "it is registered": ("digitrec.registry.log:create", 1, "after", False),
    "its promotion is decided": ("digitrec.registry.log:create", 2, "before", False),
    "it is promoted": ("digitrec.registry.log:create", 2, "after", True),
}
ON_S3 = ("one member is there", "its card is there", "it is registered", "it is promoted")
# Only here: a file has its content, and not yet its name; or its name, and still the other one.
LINKS = {
    "its card has no name": ("os:link", 1, "before", False),
    "its card has two names": ("os:link", 1, "after", False),
    "its registration has no name": ("os:link", 2, "before", False),
    "its registration has two names": ("os:link", 2, "after", False),
    "its promotion has no name": ("os:link", 3, "before", False),
    "its promotion has two names": ("os:link", 3, "after", True),
}


def run(place: str, where: str = "", call: int = 0, when: str = "") -> int:
    """Register and promote in a process of its own; give its exit code."""
    command = [sys.executable, "-c", KILLED, place, where, str(call), when]
    return subprocess.run(command, timeout=PATIENCE).returncode


def killed_and_again(place: str, where: str, call: int, when: str, *, promoted: bool) -> None:
    """Kill whoever registers and promotes; see that all is well, and that another can do it."""
    registry = make_registry(place, "small")
    assert run(place, where, call, when) == -signal.SIGKILL
    assert registry.check() == []
    assert load_bundle(place).card.id == (CASCADE if promoted else SMALL)
    assert run(place) == 0
    found = look_through(registry)
    assert found.problems == []
    # Whoever was killed while a file had no name yet, or two, leaves the other one.
    assert all(name.endswith("it may be deleted") for name in found.leftovers)
    assert load_bundle(place) == load_bundle("cascade")
    assert registry.rollback().champion == SMALL
    assert [entry.kind for entry in registry.entries()] == [
        "rollback", "promotion", "registration", "promotion", "registration",
    ]  # fmt: skip


@pytest.mark.parametrize("point", POINTS | LINKS)
def test_killed_here(point: str, tmp_path: Path) -> None:
    where, call, when, promoted = (POINTS | LINKS)[point]
    where = where.format("folder:LocalFolder")
    killed_and_again(str(tmp_path / "registry"), where, call, when, promoted=promoted)


@pytest.mark.parametrize("point", ON_S3)
def test_killed_on_s3(point: str, s3_server: str) -> None:
    where, call, when, promoted = POINTS[point]
    where = where.format("remote_folder:RemoteFolder")
    place = bucket_of(f"killed {point}", s3_server)
    killed_and_again(place, where, call, when, promoted=promoted)


@pytest.fixture(params=["here", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "here":
        return str(tmp_path / "registry")
    return bucket_of(request.node.name, request.getfixturevalue("s3_server"))


PROMOTES = """
import sys
from digitrec.errors import RunError
from digitrec.registry.store import open_registry
place, expected, *challengers = sys.argv[1:]
registry = open_registry(place)
print("ready", flush=True)
for challenger in challengers:
    sys.stdin.readline()
    try:
        print(registry.promote(challenger, expected=expected, why="better").number, flush=True)
    except RunError as why:
        print(why, flush=True)
"""
RUNS = """
import sys
from digitrec.registry.store import open_registry
registry = open_registry(sys.argv[1])
print("ready", flush=True)
told = {"run_id": "r", "finished": "", "model_id": "", "counts": {}, "check": None}
for _ in range(int(sys.argv[2])):
    sys.stdin.readline()
    for k in range(8):
        registry.add("run", **told)
    print("told", flush=True)
"""
MAKES = """
import sys
from digitrec.registry.store import make_registry
print("ready", flush=True)
sys.stdin.readline()
print(make_registry(*sys.argv[1:]).champion(), flush=True)
"""
ROUNDS = 4


def begin(program: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *words]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def lines(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Read a line from each."""
    return [process.stdout.readline().strip() for process in processes if process.stdout]


def go(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Let all begin at once; give what each says."""
    for process in processes:
        if process.stdin:
            process.stdin.write("\n")
            process.stdin.flush()
    return lines(processes)


def end(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0


def test_of_promotions_at_once_one_counts(place: str) -> None:
    registry = make_registry(place, "small")
    for name in ("large", "cascade"):
        registry.register(name)
    both = [begin(PROMOTES, place, SMALL, *ROUNDS * [one]) for one in (LARGE, CASCADE)]
    processes = [*both, begin(RUNS, place, str(ROUNDS))]
    assert lines(processes) == 3 * ["ready"]
    for _ in range(ROUNDS):
        *said, told = go(processes)
        assert told == "told"
        [number] = [int(one) for one in said if one.isdigit()]
        champion = registry.entry(number).champion
        other = LARGE if champion == CASCADE else CASCADE
        [refused] = [one for one in said if not one.isdigit()]
        assert refused == (
            f"{champion} was promoted meanwhile: {other} was held against {SMALL}, and stays a "
            "challenger"
        )
        assert registry.champion() == champion
        assert registry.rollback().champion == SMALL
    end(processes)
    assert look_through(registry).problems == []
    entries = list(registry.entries())
    assert [entry.number for entry in entries] == list(range(len(entries), 0, -1))
    kinds = [entry.kind for entry in entries]
    assert kinds.count("run") == 8 * ROUNDS
    assert kinds.count("promotion") == ROUNDS + 1
    assert kinds.count("rollback") == ROUNDS


def test_of_makers_at_once_one_registry_comes(place: str) -> None:
    names = ("small", "cascade", "cascade")
    makers = [begin(MAKES, place, name) for name in names]
    assert lines(makers) == 3 * ["ready"]
    said = go(makers)
    end(makers)
    registry = open_registry(place)
    assert set(said) == {registry.champion()}
    kinds = [entry.kind for entry in registry.entries()]
    assert kinds.count("promotion") == 1
    assert kinds.count("registration") == len(
        {one.fields["bundle"] for one in registry.registered()}
    )
    assert look_through(registry).problems == []
