"""No scan that judges is ever trained on, nor any copy of one, whatever comes and how often."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from digitrec.registry.additions import add
from digitrec.registry.pool import Corrections, load
from digitrec.storage.folder import open_folder
from tests.registry.copies import again, drawn, write_table

ROUNDS, FRESH, COPIES = 10, 20, 15
# Two different scans of the same digit, as our independent measure sees them, are less alike.
ALIKE = 0.96


def test_ten_rounds_of_copies_put_no_scan_on_both_sides(tmp_path: Path) -> None:
    registry, rng = open_folder(tmp_path / "registry"), np.random.default_rng(0)
    origin: dict[str, tuple[int, int]] = {}  # of a content
    scans = [drawn(FRESH, seed) for seed in range(ROUNDS)]
    trained: set[str] = set()
    golden: set[str] = set()
    for number in range(ROUNDS):
        folder = tmp_path / f"round {number}"
        folder.mkdir()
        rows = []
        for k, which in enumerate(_which(number, rng)):
            scan, label = scans[which[0]][which[1]]
            content = again(scan, rng)
            origin.setdefault(hashlib.sha256(content).hexdigest(), which)
            (folder / f"{k}.png").write_bytes(content)
            # A copy comes under its own group, another one, or none.
            group = f"writer {which[1] // 5}" if k < FRESH else f"writer {rng.integers(9)}"
            rows.append((f"{k}.png", label, group if rng.random() < 0.7 else ""))
        add(registry, [str(write_table(folder / "corrections.csv", rows))])
        now = load(registry)
        trained |= {name for name, side in zip(now.sha256, now.golden, strict=True) if not side}
        golden |= {name for name, side in zip(now.sha256, now.golden, strict=True) if side}
        assert not trained & golden
        assert not {origin[name] for name in trained} & {origin[name] for name in golden}
        assert _most_alike(now) < ALIKE
    assert len(golden) > 20
    assert len(trained) > 60


def _which(number: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Choose the scans of a round: all of its own, and some that came before or with it."""
    fresh = [(number, k) for k in range(FRESH)]
    return fresh + [
        (int(rng.integers(number + 1)), int(rng.integers(FRESH))) for _ in range(COPIES)
    ]


def _most_alike(corrections: Corrections) -> float:
    """Correlate scans of both sides as they are normalized, moved by up to two pixels."""
    trains = _flat(corrections.scans[~corrections.golden])
    judges = corrections.scans[corrections.golden]
    return max(
        float((trains @ _flat(np.roll(judges, (down, across), (1, 2))).T).max(initial=0))
        for down in range(-2, 3)
        for across in range(-2, 3)
    )


def _flat(scans: NDArray[np.uint8]) -> NDArray[np.float32]:
    soft = [cv2.GaussianBlur(scan.astype(np.float32), (0, 0), 0.6).ravel() for scan in scans]
    pixels = np.array(soft, np.float32).reshape(len(scans), -1)
    pixels -= pixels.mean(axis=1, keepdims=True)
    return np.asarray(pixels / np.linalg.norm(pixels, axis=1, keepdims=True))
