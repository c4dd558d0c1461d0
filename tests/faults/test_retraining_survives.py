"""A retraining that is killed, wherever it is, leaves the champion in use and the next one able."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from digitrec.model.bundle import load_bundle
from digitrec.model.champion import GATE, PROMOTION, REGISTRATION
from digitrec.reader import read
from digitrec.registry.store import make_registry, open_registry
from tests.registry.small import make_champion, make_corrections

pytestmark = pytest.mark.slow

PATIENCE = 400
# In a process of its own; MNIST's place takes the small one, of whose 200 digits one is more than
# the gate's margin.
SMALL = """
import importlib, os, signal, sys
from digitrec.datasets import mnist
from tests.small_mnist.make import load_small
mnist.load = lambda split, data=None: load_small(split)
from digitrec.registry import gate
gate.MARGIN = 0.05
from digitrec.cli import main
"""
# Kills itself where it would call a function that it knows by a name in one of its modules.
KILLED = """
where, name = sys.argv.pop(1).rsplit(".", 1)
module, _, owner = where.partition(":")
target = importlib.import_module(module)
setattr(
    getattr(target, owner) if owner else target,
    name,
    lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL),
)
"""
# Where it is killed, in the order in which it comes there.
POINTS = {
    "the corrections are in, nothing is trained": "digitrec.registry.retrain.make_challenger",
    "an epoch is trained, no bundle is written": "digitrec.training.train._save",
    "all is trained, nothing is judged": "digitrec.registry.retrain.gather",
    "the challenger is registered, not its verdict": "digitrec.registry.retrain.page",
    "the gate let it pass, nobody promoted it": "digitrec.registry.store:Registry.promote",
}


def retraining(
    registry: Path, corrections: Path, point: str | None = None
) -> "subprocess.Popen[str]":
    """Call `digitrec retrain` in a process of its own, which may be told where to die."""
    killed, words = ("", []) if point is None else (KILLED, [point])
    program = [f"{SMALL}{killed}sys.exit(main())", *words]
    arguments = [
        "retrain", "--registry", str(registry), "--corrections", str(corrections), "--epochs", "8",
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return subprocess.Popen(
        [sys.executable, "-c", *program, *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def told(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Wait for a retraining; give its exit code, and all that it said."""
    out, said = process.communicate(timeout=PATIENCE)
    return process.returncode, out + said


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_champion(tmp_path_factory.mktemp("champion") / "bundle")


@pytest.fixture
def registry(champion: Path, tmp_path: Path) -> Path:
    """A registry with a small champion."""
    make_registry(str(tmp_path / "registry"), str(champion))
    return tmp_path / "registry"


def test_killed_at_five_points_it_comes_to_its_end(registry: Path, tmp_path: Path) -> None:
    corrections = make_corrections(tmp_path / "corrections")
    scan = tmp_path / "corrections" / "003.png"
    before = open_registry(str(registry)).champion()
    answer = read([scan], model=str(registry))[0].probabilities.tolist()
    for when, point in POINTS.items():
        code, said = told(retraining(registry, corrections, point))
        assert code == -signal.SIGKILL, (when, said)
        kept = open_registry(str(registry))
        assert kept.check() == [], when
        assert kept.champion() == before, when
        assert read([scan], model=str(registry))[0].probabilities.tolist() == answer
    code, said = told(retraining(registry, corrections))
    assert code == 0, said
    kept = open_registry(str(registry))
    assert kept.check() == []
    assert not (registry / "work").exists()
    kinds = [entry.kind for entry in kept.history()][::-1]
    assert kinds == [REGISTRATION, PROMOTION, REGISTRATION, GATE, PROMOTION]
    after = kept.champion()
    assert after != before
    assert load_bundle(str(registry)).card.id == after
    assert (registry / "reports" / f"{after}.html").is_file()
    # Once more: there is nothing new.
    code, said = told(retraining(registry, corrections))
    assert code == 0
    assert "nothing to do" in said
    assert open_registry(str(registry)).champion() == after
