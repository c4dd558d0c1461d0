"""TIFFs whose strips end early are truncated, in every compression; whole ones pass."""

import io
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from digitrec.errors import ScanError
from digitrec.inputs.decode import decode

OFFSETS, COUNTS, ROWS = 273, 279, 278
FAX = {
    "tiff_ccitt": ("tiff_ccitt", {}),
    "group3": ("group3", {}),
    "group3, in two dimensions": ("group3", {292: 1}),
    "group3, lines that end with a byte": ("group3", {292: 4}),
    "group4": ("group4", {}),
}
NOISE = np.random.default_rng(0)
PAPER = (NOISE.random((112, 112)) * 60 + 190).astype(np.uint8)
PAPER[20:90, 50:60] = 10


def saved(pixels: np.ndarray, compression: str, rows: int = 0, **options: object) -> bytes:
    """A TIFF of strips of so many rows; 0: of one strip."""
    height, width = pixels.shape[:2]
    line = pixels[0].nbytes if pixels.dtype != bool else (width + 7) // 8
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    strip_size = (rows or height) * line
    image.save(buffer, "TIFF", compression=compression, strip_size=strip_size, **options)
    return buffer.getvalue()


def remade(tiff: bytes, strips: Sequence[bytes] | None = None, **changes: object) -> bytes:
    """The same TIFF with other strips, or with other values of tags: `_279=…`."""
    tags = ImageFileDirectory_v2()
    with Image.open(io.BytesIO(tiff)) as image:
        for tag, value in image.tag_v2.items():
            tags[tag] = value
    strips = strips_of(tiff) if strips is None else strips
    sizes = [len(strip) for strip in strips]
    tags[OFFSETS] = tuple(sum(sizes[:k]) for k in range(len(sizes)))
    tags[COUNTS] = tuple(sizes)
    for name, value in changes.items():
        tags[int(name[1:])] = value
    return b"II*\0\x08\0\0\0" + tags.tobytes(8) + b"".join(strips)


def strips_of(tiff: bytes) -> list[bytes]:
    with Image.open(io.BytesIO(tiff)) as image:
        places = zip(image.tag_v2[OFFSETS], image.tag_v2[COUNTS], strict=True)
        return [tiff[start : start + size] for start, size in places]


def code(content: bytes) -> str:
    try:
        decode(content)
    except ScanError as why:
        return why.code
    return "whole"


def bits(content: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in content)


def as_bytes(text: str) -> bytes:
    return bytes(int(text[k : k + 8].ljust(8, "0"), 2) for k in range(0, len(text), 8))


def page(seed: int) -> np.ndarray:
    """A page of any size and blackness: bool."""
    chance = np.random.default_rng(seed)
    height, width = chance.integers(1, 160, 2)
    return chance.random((height, width)) < chance.choice([0, 0.02, 0.2, 0.5, 0.98, 1])


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", FAX)
def test_a_fax_that_is_whole_passes(name: str, order: int) -> None:
    compression, options = FAX[name]
    for seed in range(60):
        pixels = page(seed)
        rows = 1 + seed * 7 % len(pixels)
        fax = saved(pixels, compression, rows, tiffinfo={**options, 266: order})
        assert np.array_equal(decode(fax).pixels > 0, pixels), seed


@pytest.mark.parametrize("ends", ["", "0" * 8, "0" * 21, "000000000001" * 2 + "10" * 40])
def test_a_fax_of_group_4_is_whole_however_it_ends(ends: str) -> None:
    for seed in range(40):
        fax = saved(page(seed), "group4")
        [strip] = strips_of(fax)
        data = bits(strip)
        data = data[: data.rindex("000000000001" * 2)]
        other = remade(fax, [as_bytes(data + ends)])
        assert np.array_equal(decode(other).pixels > 0, page(seed)), seed


def test_a_fax_of_group_3_is_whole_with_a_mark_of_its_end() -> None:
    for seed in range(40):
        fax = saved(page(seed), "group3")
        [strip] = strips_of(fax)
        other = remade(fax, [strip + as_bytes("000000000001" * 6)])
        assert np.array_equal(decode(other).pixels > 0, page(seed)), seed


def test_a_fax_of_group_3_that_is_not_as_it_should_be_is_not_called_truncated() -> None:
    """Without the mark that its first row begins with: libtiff reads most of it, or all."""
    fax = saved(np.random.default_rng(0).random((40, 60)) < 0.1, "group3")
    rows = bits(strips_of(fax)[0]).replace("000000000001", "|")
    for other in (rows[1:].replace("|", "000000000001"), rows.replace("|", "")):
        assert code(remade(fax, [as_bytes(other)])) == "whole"


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("lacks", [1, 30])
@pytest.mark.parametrize("name", FAX)
def test_a_fax_that_lacks_rows_is_truncated(name: str, lacks: int, order: int) -> None:
    compression, options = FAX[name]
    for dark in (0, 0.1, 0.5, 1):
        pixels = np.random.default_rng(1).random((82, 113)) < dark
        fax = saved(pixels, compression, tiffinfo={**options, 266: order})
        assert code(remade(fax, _257=82 + lacks, _278=82 + lacks)) == "truncated"
        if name == "group3":
            marked = remade(fax, [strips_of(fax)[0] + as_bytes("000000000001" * 6)], _266=1)
            assert order == 2 or code(remade(marked, _257=90, _278=90)) == "truncated"


@pytest.mark.parametrize("name", FAX)
def test_a_fax_of_which_a_strip_is_cut_is_truncated(name: str) -> None:
    compression, options = FAX[name]
    for which in range(3):
        pixels = np.random.default_rng(which).random((90, 101)) < 0.1
        fax = saved(pixels, compression, 30, tiffinfo=options)
        strips = strips_of(fax)
        strips[which] = strips[which][: len(strips[which]) // 2]
        assert code(remade(fax, strips)) == "truncated"


@pytest.mark.parametrize("seed", range(30))
def test_a_jpeg_in_strips_is_truncated_only_where_one_ends_early(seed: int) -> None:
    chance = np.random.default_rng(seed)
    pixels = np.full((int(chance.integers(40, 120)), int(chance.integers(8, 120))), 240, np.uint8)
    pixels[5:30, 3:6] = 0
    if seed % 2:
        pixels = np.dstack([pixels] * 3)
    tiff = saved(pixels, "jpeg", 16, quality=int(chance.integers(30, 100)))
    assert decode(tiff).pixels.shape == pixels.shape
    strips = strips_of(tiff)
    bare = [strip.removesuffix(b"\xff\xd9") for strip in strips]
    assert np.array_equal(decode(remade(tiff, bare)).pixels, decode(tiff).pixels)
    which = int(chance.integers(len(strips)))
    scan = strips[which].index(b"\xff\xda")
    start = scan + 2 + strips[which][scan + 3]
    for end in (start, start + (len(strips[which]) - start) // 2):
        short = [*strips[:which], strips[which][:end], *strips[which + 1 :]]
        assert code(remade(tiff, short)) == "truncated"
    short = [*strips[:which], strips[which][: start - 4], *strips[which + 1 :]]
    assert code(remade(tiff, short)) in ("truncated", "unreadable")


@pytest.mark.parametrize(
    "compression", ["tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits"]
)
def test_a_strip_that_ends_early_is_truncated_and_one_that_is_damaged_unreadable(
    compression: str,
) -> None:
    for pixels in (PAPER, np.dstack([PAPER] * 3), PAPER < 128, PAPER.astype(np.uint16) * 257):
        tiff = saved(pixels, compression, 40)
        assert decode(tiff).pixels.shape == pixels.shape
        strips = strips_of(tiff)
        cut = [strips[0], strips[1][: len(strips[1]) * 2 // 3], strips[2]]
        assert code(remade(tiff, cut)) == "truncated"
        # One that ends as it should, after fewer rows.
        assert code(remade(tiff, [strips[0], strips[2], strips[2]])) == "truncated"
        if compression != "packbits":  # in which anything goes
            damaged = [strips[0], b"\x80\x7f\xff\xff" + strips[1][4:], strips[2]]
            assert code(remade(tiff, damaged)) == "unreadable"


@pytest.mark.parametrize("compression", ["jpeg", "tiff_lzw", "packbits", "zstd", "group4"])
def test_half_of_the_strips_is_truncated(compression: str) -> None:
    pixels = PAPER < 128 if compression == "group4" else PAPER
    tiff = saved(pixels, compression, 16)
    strips = strips_of(tiff)
    assert code(remade(tiff, strips[:4])) == "truncated"
    assert code(remade(tiff, [*strips[:4], *[b""] * 3])) == "truncated"


def test_a_large_fax_takes_little_time_and_any_number_of_strips() -> None:
    pixels = np.zeros((3508, 2480), bool)
    pixels[::9, ::40] = True
    for rows in (1, 3508):
        assert np.array_equal(decode(saved(pixels, "group4", rows)).pixels > 0, pixels)


def tiled(pixels: np.ndarray, side: int, tiles: Sequence[bytes]) -> bytes:
    """A grey TIFF in deflated tiles."""
    tags = ImageFileDirectory_v2()
    sizes = [len(tile) for tile in tiles]
    described = {256: pixels.shape[1], 257: pixels.shape[0], 258: 8, 259: 8, 262: 1, 277: 1}
    for tag, value in {**described, 322: side, 323: side, 325: tuple(sizes)}.items():
        tags[tag] = value
    tags[324] = (0,) * len(tiles)
    start = 8 + len(tags.tobytes(8))
    tags[324] = tuple(start + sum(sizes[:k]) for k in range(len(sizes)))
    return b"II*\0\x08\0\0\0" + tags.tobytes(8) + b"".join(tiles)


def test_tiles_are_whole_truncated_or_too_large() -> None:
    padded = np.pad(PAPER, (0, 16))
    tiles = [
        zlib.compress(padded[top : top + 64, left : left + 64].tobytes())
        for top in (0, 64)
        for left in (0, 64)
    ]
    assert np.array_equal(decode(tiled(PAPER, 64, tiles)).pixels, PAPER)
    short = [*tiles[:3], tiles[3][: len(tiles[3]) // 2]]
    assert code(tiled(PAPER, 64, short)) == code(tiled(PAPER, 64, tiles[:3])) == "truncated"
    assert code(tiled(PAPER, 30_000, tiles[:1])) == "too-large"
