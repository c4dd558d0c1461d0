"""What the quick path gives for forty drawn scans, so that no change moves it unseen.

Some of them show more than a digit: how they are read in the end is told here too.
"""

import numpy as np
from PIL import Image

from digitrec.model.engine import Engine
from digitrec.normalize.scan import NORMALIZER_VERSION, SIDE
from digitrec.reader import read_scans
from tests.golden.make import COLUMNS, NORMALIZED, SCANS, VERSION, mosaic

REMAKE = "look at what changed, then `python -m tests.golden.make`"
# Another CPU may round a sum of floats otherwise: by a grey level or two, at a pixel here or there.
ROUNDING, ROUNDED_SHARE = 2, 0.01


def test_the_normalizer_gives_what_it_gave() -> None:
    with Image.open(NORMALIZED) as image:
        wanted = np.asarray(image)
    found = mosaic()
    assert found.shape == wanted.shape, REMAKE
    apart = np.abs(found.astype(int) - wanted)
    names = [file.name for file in sorted(SCANS.glob("*.png"))]
    moved = [
        name
        for k, name in enumerate(names)
        if apart[k // COLUMNS * SIDE :, k % COLUMNS * SIDE :][:SIDE, :SIDE].max() > ROUNDING
    ]
    advice = f"a new NORMALIZER_VERSION, if bundles of this one are out there; {REMAKE}"
    assert moved == [], advice
    assert (apart > 0).mean() <= ROUNDED_SHARE, advice


def test_the_golden_file_is_this_versions() -> None:
    with Image.open(NORMALIZED) as image:
        assert image.info[VERSION] == NORMALIZER_VERSION, REMAKE


def test_the_golden_scans_show_digits_and_blanks() -> None:
    """A golden file of nothing would hold the normalizer to nothing."""
    tiles = mosaic().reshape(-1, SIDE, COLUMNS, SIDE).swapaxes(1, 2).reshape(-1, SIDE, SIDE)
    names = [file.stem for file in sorted(SCANS.glob("*.png"))]
    assert len(names) == len(tiles) == 40
    blank = [name for name, tile in zip(names, tiles, strict=True) if not tile.any()]
    assert [name[3:] for name in blank] == ["empty-paper", "lone-speck"]
    assert all(tile.max() in (0, 255) for tile in tiles)


def test_the_golden_scans_are_read(engine: Engine) -> None:
    *written, paper, box, speck = sorted(SCANS.glob("*.png"))
    readings = list(read_scans(written, engine))
    wrong = [
        file.stem
        for file, reading in zip(written, readings, strict=True)
        if reading.digit != int(file.stem[-1])
    ]
    assert wrong == []
    # On a page of its size a single digit may be a page's number: a person says.
    doubted = [
        file.stem
        for file, reading in zip(written, readings, strict=True)
        if reading.decision != "accept"
    ]
    assert set(doubted) <= {"28-corner-of-a-page-3"}
    assert read_scans([paper, box], engine).decisions.tolist() == ["blank", "blank"]
    [dirt] = read_scans([speck], engine)
    assert dirt.digit is None
    assert dirt.decision in ("blank", "review")
