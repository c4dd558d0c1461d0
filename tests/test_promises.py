"""What others rely on: flags, files, numbers, and who imports what."""

import argparse
import re
import subprocess
import sys
import tomllib
from dataclasses import asdict
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

import digitrec
from digitrec.cli import _parser
from digitrec.training.recipes import REPORT

ROOT = Path(__file__).parent.parent

FLAGS = {
    "train": {
        "--recipe", "--network", "--ink-network", "--epochs", "--batch-size", "--steps",
        "--learning-rate", "--hold-out", "--seed", "--workers", "--device", "--out", "--resume",
        "--data", "--quiet",
    },
    "study": {"--epochs", "--device", "--out", "--data", "--quiet"},
    "cascade": {"--out", "--like", "--ink-network", "--data"},
    "data export": {"--out", "--split", "--data"},
    "data draw": {"--out", "--count", "--junk", "--seed", "--quiet"},
    "predict": {"--model", "--ink", "--max-error", "--source", "--explain", "--out", "--json"},
    "classify": {
        "--out", "--model", "--ink", "--notes", "--overwrite", "--update", "--retry-errors",
        "--allow-missing", "--profile", "--json", "--quiet", "--path-column",
        "--content-column", "--no-follow-links", "--max-error", "--source", "--strict",
        "--registry",
    },
    "pack": {
        "--out", "--overwrite", "--update", "--retry-errors", "--allow-missing", "--profile",
        "--json", "--quiet", "--path-column", "--content-column", "--no-follow-links",
    },
    "verify": {"--inputs", "--json", "--quiet"},
    "evaluate": {"--max-error", "--source", "--out", "--keep", "--json", "--quiet"},
    "calibrate": {
        "--budgets", "--certainty", "--source", "--by", "--per-digit", "--start-from", "--out",
        "--json", "--quiet",
    },
    "audit draw": {"-n", "--count", "--out", "--of", "--per-digit", "--seed", "--certainty"},
    "audit bound": {"--registry", "--json"},
    "models list": {"--json"},
    "models show": {"--out", "--json"},
    "models compare": {"--json"},
    "models check": {"--json"},
    "models promote": {"--json"},
    "models rollback": {"--to", "--json"},
    "models forget": {"--json"},
    "retrain": {
        "--registry", "--corrections", "--source", "--min-corrections", "--promote", "--model",
        "--dry-run", "--epochs", "--workers", "--device", "--data", "--json", "--quiet",
    },
    "review make": {"--out", "-n", "--count", "--sample", "--language", "--format"},
    "review collect": {"--result", "--sample", "--out", "--corrected", "--rest", "--json"},
}  # fmt: skip


def commands(parser: argparse.ArgumentParser, name: str = "") -> dict[str, set[str]]:
    """Collect the flags of every command below a parser."""
    deeper = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not deeper:
        flags = {flag for action in parser._actions for flag in action.option_strings}
        return {name: flags - {"-h", "--help"}}
    found: dict[str, set[str]] = {}
    for word, below in deeper[0].choices.items():
        found |= commands(below, f"{name} {word}".strip())
    return found


def test_flags() -> None:
    assert commands(_parser()) == FLAGS


def test_the_report_recipe_is_the_reports() -> None:
    settings = asdict(REPORT)
    its_own = {name: settings.pop(name) for name in ("name", "batch_size", "epochs")}
    assert its_own == {"name": "report", "batch_size": 128, "epochs": 30}
    assert settings.pop("network") == "small"
    assert (settings.pop("learning_rate"), settings.pop("schedule")) == (0.0005, "constant")
    assert (settings.pop("hold_out"), settings.pop("temperature")) == ("nothing", 1.0)
    # In full, if there were anything to change or drawn.
    assert {settings.pop(f"{name}_strength") for name in ("drawn", "known")} == {1.0}
    assert settings.pop("pen_share") == 1.0
    assert not any(settings.values())  # no weight decay, no augmentation, nothing drawn


def test_what_the_package_gives() -> None:
    assert digitrec.__all__ == ["SCHEMA", "Reader", "Reading", "__version__", "read"]
    assert all(hasattr(digitrec, name) for name in digitrec.__all__)


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import digitrec.cli", {"numpy", "cv2", "ray", "torch", "pyarrow", "matplotlib"}),
        ("import digitrec; digitrec.read([])", {"ray", "torch", "pandas", "matplotlib", "pyarrow"}),
    ],
)
def test_who_imports_what(code: str, absent: set[str]) -> None:
    program = f"import sys; {code}; print(' '.join(sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not absent & set(answer.stdout.split())


@pytest.mark.usefixtures("ray_local")
def test_a_classify_worker_loads_no_torch() -> None:
    import ray

    @ray.remote
    def loaded() -> set[str]:
        before = set(sys.modules)
        import digitrec.batch.classify  # noqa: F401

        heavy = {"torch", "pandas", "matplotlib", "torchvision", "tensorboard", "ray.data"}
        return heavy & (set(sys.modules) - before)

    assert ray.get(loaded.remote()) == set()


def test_jobs_are_thin() -> None:
    jobs = list((ROOT / "jobs").glob("*.py"))
    assert {job.stem for job in jobs} == {"train", "study", "classify", "pack", "retrain"}
    assert all(len(job.read_text().splitlines()) <= 40 for job in jobs)


def test_the_project_carries_no_large_file() -> None:
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    sizes = {file: (ROOT / file).stat().st_size for file in files if (ROOT / file).exists()}
    assert sizes
    # The large network's weights are the largest there is: 163,000 numbers of four bytes.
    most = {file: 700_000 if "cascade/large/" in file else 500_000 for file in sizes}
    assert {file: size for file, size in sizes.items() if size >= most[file]} == {}


def test_the_wheel_says_that_it_is_typed(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    assert {"digitrec/py.typed", "digitrec/__main__.py"} < set(ZipFile(wheel).namelist())


def test_what_an_image_installs_is_what_the_package_asks_for() -> None:
    """`make lock` was called after the last change of the dependencies."""
    locked = dict(
        re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "cluster/requirements.txt").read_text(), re.M)
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["s3"]]
    for requirement in map(Requirement, asked):
        assert requirement.specifier.contains(locked[requirement.name]), requirement
