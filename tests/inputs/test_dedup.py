import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digitrec.inputs import dedup as module
from digitrec.inputs.dedup import Seen


def fresh_by_set(before: set[str], paths: list[str]) -> list[bool]:
    fresh = []
    for path in paths:
        fresh.append(path not in before)
        before.add(path)
    return fresh


# Few names, so that many come again, and any text.
PATHS = st.lists(st.one_of(st.integers(0, 30).map(str), st.text(max_size=3)), max_size=20)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(batches=st.lists(PATHS, max_size=12), in_memory=st.sampled_from([0, 3, 10, 10**6]))
def test_it_is_a_set(batches: list[list[str]], in_memory: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "IN_MEMORY", in_memory)
        seen = Seen()
        before: set[str] = set()
        for batch in batches:
            assert seen.fresh(batch) == fresh_by_set(before, batch)
            assert len(seen) == len(before)


def test_nothing_is_nothing_new() -> None:
    seen = Seen()
    assert seen.fresh([]) == []
    assert len(seen) == 0


def test_of_doubles_in_one_batch_the_first_is_fresh() -> None:
    assert Seen().fresh(["b", "a", "b", "a", "b"]) == [True, True, False, False, False]


def test_names_that_are_not_utf8_are_told_apart() -> None:
    names = [os.fsdecode(name) for name in (b"\xfe", b"\xff", b"\\xff", b"")]
    seen = Seen()
    assert seen.fresh(names) == [True] * 4
    assert seen.fresh(names) == [False] * 4


def test_runs_stay_few() -> None:
    seen = Seen()
    for start in range(0, 20_000, 50):
        assert all(seen.fresh([str(k) for k in range(start, start + 50)]))
    assert len(seen) == 20_000
    assert len(seen._runs) <= 10
    assert not any(seen.fresh([str(k) for k in range(20_000)]))


def test_large_runs_lie_on_disk_as_long_as_they_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IN_MEMORY", 100)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seen = Seen()
    for start in range(0, 3000, 30):
        assert all(seen.fresh([str(k) for k in range(start, start + 30)]))
    assert all(isinstance(run, np.memmap) for run in seen._runs if len(run) > 100)
    assert any(isinstance(run, np.memmap) for run in seen._runs)
    assert not any(seen.fresh([str(k) for k in range(3000)]))
    assert seen.fresh(["3000", "17"]) == [True, False]
    del seen
    assert list(tmp_path.iterdir()) == []


def test_the_disk_holds_a_hash_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IN_MEMORY", 100)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seen = Seen()
    for start in range(0, 3000, 30):
        seen.fresh([str(k) for k in range(start, start + 30)])
    on_disk = sum(file.stat().st_size for file in tmp_path.rglob("*.npy"))
    headers = 128 * len(seen._runs)
    assert on_disk <= 16 * 3000 + headers
