import json
from dataclasses import replace
from pathlib import Path

import pytest

from digitrec.errors import InputError
from digitrec.training.recipes import REPORT
from digitrec.training.run_folder import open_run_folder


def test_a_run_folder_is_not_mixed_up(tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    with open_run_folder(out, REPORT, resume=True) as folder:  # nothing there: a new one
        assert folder.local == tmp_path / "run"
        assert not folder.local.exists()
        folder.begin(REPORT)
        assert (tmp_path / "run" / "recipe.json").is_file()
    with (
        pytest.raises(InputError, match="holds a run already: go on with --resume"),
        open_run_folder(out, REPORT, resume=False),
    ):
        pass
    with (
        pytest.raises(InputError, match="a run with other settings"),
        open_run_folder(out, replace(REPORT, seed=1), resume=True),
    ):
        pass
    with open_run_folder(out, replace(REPORT, epochs=40), resume=True):  # longer is no other run
        pass


def test_a_file_uri_is_this_machines_folder(tmp_path: Path) -> None:
    with open_run_folder(f"file://{tmp_path}/run", REPORT, resume=False) as folder:
        assert folder.local == tmp_path / "run"
        assert folder.filesystem is None


def test_a_damaged_recipe_is_said(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text("{")
    with (
        pytest.raises(InputError, match=r"recipe\.json can't be used"),
        open_run_folder(str(tmp_path), REPORT, resume=True),
    ):
        pass


def test_two_runs_do_not_enter_one_folder(tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    with (
        open_run_folder(out, REPORT, resume=True) as one,
        open_run_folder(out, REPORT, resume=True) as other,
    ):
        one.begin(REPORT)
        with pytest.raises(InputError, match="another run is writing to"):
            other.begin(REPORT)
        with (
            pytest.raises(InputError, match="another run is writing to"),
            open_run_folder(out, REPORT, resume=True) as third,
        ):
            third.begin(REPORT)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["recipe.json"]
    with open_run_folder(out, REPORT, resume=True) as folder:
        folder.begin(REPORT)


def test_a_run_that_came_before_the_lock_is_not_written_over(tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    with open_run_folder(out, REPORT, resume=False) as late:
        with open_run_folder(out, replace(REPORT, seed=1), resume=False) as early:
            early.begin(replace(REPORT, seed=1))
        with pytest.raises(InputError, match="holds a run already"):
            late.begin(REPORT)
    assert json.loads((tmp_path / "run/recipe.json").read_text())["seed"] == 1


def test_a_lock_alone_is_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "_lock").touch()
    with open_run_folder(str(tmp_path), REPORT, resume=False) as folder:
        folder.begin(REPORT)
    (tmp_path / "recipe.json").unlink()
    (tmp_path / "letter.txt").touch()
    with (
        pytest.raises(InputError, match="something else than a run"),
        open_run_folder(str(tmp_path), REPORT, resume=False),
    ):
        pass


def test_behind_a_uri_a_run_has_a_lease(memory: str) -> None:
    with (
        open_run_folder(memory, REPORT, resume=True) as one,
        open_run_folder(memory, REPORT, resume=True) as other,
    ):
        one.begin(REPORT)()
        with pytest.raises(InputError, match="another run is writing to"):
            other.begin(REPORT)
    with open_run_folder(memory, REPORT, resume=True) as folder:
        folder.begin(REPORT)
