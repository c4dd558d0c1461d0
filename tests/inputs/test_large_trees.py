"""Listing takes no more memory for more files, whether in one folder or in many."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks.listing import listed, make_deep, make_flat

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("make", "files"), [(make_flat, 200_000), (make_deep, 100_000)], ids=["one folder", "many"]
)
def test_memory_is_flat(make: Callable[[Path, int], None], files: int, tmp_path: Path) -> None:
    make(tmp_path / "quarter", files // 4)
    make(tmp_path / "whole", files)
    quarter, whole = listed(tmp_path / "quarter"), listed(tmp_path / "whole")
    assert (quarter["inputs"], whole["inputs"]) == (files // 4, files)
    # 8 bytes a path are remembered, and a chunk of 8,192 paths is in hand.
    assert whole["mb"] < quarter["mb"] + 15
