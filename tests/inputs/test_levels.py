"""What range a file's values have is told by them, and makes no difference."""

import io
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from digitrec.inputs.decode import decode
from digitrec.model.engine import Engine
from digitrec.reader import read_scans

Pixels = np.ndarray


def drawn(seed: int) -> Pixels:
    """A five on paper of any light, or light on dark, with noise: uint8 [H, W]."""
    rng = np.random.default_rng(seed)
    side = int(rng.integers(28, 100))
    bright, dark = rng.uniform(130, 250), rng.uniform(0, 90)
    paper, pen = (bright, dark) if rng.random() < 0.7 else (dark, bright)
    levels = np.full((side, side), paper, np.float32)
    points = np.array([(0.7, 0.2), (0.35, 0.2), (0.3, 0.45), (0.65, 0.6), (0.5, 0.8), (0.3, 0.75)])
    cv2.polylines(levels, [np.int32(points * side)], False, pen, max(side // 12, 1), cv2.LINE_AA)
    noisy = levels + rng.uniform(0, 6) * rng.standard_normal(levels.shape)
    return np.rint(np.clip(noisy, 0, 255)).astype(np.uint8)


def png(pixels: Pixels) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def saved(pixels: Pixels | Image.Image, kind: str = "TIFF", **options: object) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def with_alpha(grey: Pixels, alpha: int) -> Pixels:
    return np.dstack([grey, grey, grey, np.full_like(grey, alpha)])


def as_bits(grey: Pixels, bits: int) -> Pixels:
    return np.rint(grey * ((2**bits - 1) / 255)).astype(np.uint16)


def palette(grey: Pixels) -> Image.Image:
    image = Image.fromarray(grey).copy()
    image.putpalette([level for level in range(256) for _ in range(3)])
    return image


def unused(grey: Pixels) -> int:
    """A level that a scan has not."""
    return int(np.setdiff1d(np.arange(256), grey)[-1])


def tags(code: int, value: str) -> TiffImagePlugin.ImageFileDirectory_v2:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[code] = value
    info.tagtype[code] = 2
    return info


KINDS: dict[str, Callable[[Pixels], bytes]] = {
    "8 bits in 16, PNG": lambda grey: png(grey.astype(np.uint16)),
    "8 bits in 16, TIFF": lambda grey: saved(grey.astype(np.uint16)),
    "10 bits in 16, PNG": lambda grey: png(as_bits(grey, 10)),
    "10 bits in 16, TIFF": lambda grey: saved(as_bits(grey, 10)),
    "12 bits in 16, PNG": lambda grey: png(as_bits(grey, 12)),
    "12 bits in 16, TIFF": lambda grey: saved(as_bits(grey, 12)),
    "16 bits, PNG": lambda grey: png(grey.astype(np.uint16) * 257),
    "16 bits, TIFF": lambda grey: saved(grey.astype(np.uint16) * 257),
    "8 bits in 32": lambda grey: saved(grey.astype(np.int32)),
    "16 bits in 32": lambda grey: saved(grey.astype(np.int32) * 257),
    "real numbers to 1": lambda grey: saved(grey.astype(np.float32) / 255),
    "real numbers to 255": lambda grey: saved(grey.astype(np.float32)),
    "real numbers to 4095": lambda grey: saved(grey.astype(np.float32) * (4095 / 255)),
    "real numbers from -1 to 1": lambda grey: saved(grey.astype(np.float32) / 127.5 - 1),
    "alpha 0": lambda grey: png(with_alpha(grey, 0)),
    "alpha 1": lambda grey: png(with_alpha(grey, 1)),
    "alpha 255": lambda grey: png(with_alpha(grey, 255)),
    "alpha 0, TIFF": lambda grey: saved(with_alpha(grey, 0)),
    "alpha 255 in 16 bits": lambda grey: png(with_alpha(grey, 255).astype(np.uint16)),
    "colours, 8 bits in 16": lambda grey: png(np.dstack(3 * [grey]).astype(np.uint16)),
    "a palette": lambda grey: saved(palette(grey), "PNG"),
    "a palette, GIF": lambda grey: saved(palette(grey), "GIF"),
    "a level that is clear": lambda grey: saved(grey, "PNG", transparency=unused(grey)),
    "a level of 16 bits that is clear": lambda grey: saved(
        grey.astype(np.uint16) * 257, "PNG", transparency=unused(grey) * 257
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000))
def test_a_scan_is_the_same_in_whatever_range(kind: str, seed: int) -> None:
    grey = drawn(seed)
    pixels = decode(KINDS[kind](grey)).pixels
    if pixels.ndim == 3:
        assert pixels.shape[2] == 3
        pixels = pixels[:, :, 0]
    assert np.array_equal(pixels, grey)


@pytest.mark.parametrize(("scale", "start"), [(40.0, 0.0), (0.02, -2.0), (1e5, -1e7)])
def test_real_numbers_of_any_other_range_are_only_scaled(scale: float, start: float) -> None:
    grey = drawn(7).astype(np.float32)
    pixels = decode(saved(start + scale * grey)).pixels
    least = grey.min() if start else 0
    expected = (grey - least) * (255 / (grey.max() - least))
    assert np.abs(pixels - expected).max() < 1


@pytest.mark.parametrize("bits", [8, 16])
def test_a_mask_of_0_and_1_is_black_and_white(bits: int) -> None:
    mask = (drawn(3) < 128).astype(f"uint{bits}")
    for content in (png(mask), saved(mask), png(np.dstack(3 * [mask]))):
        pixels = decode(content).pixels
        assert np.array_equal(pixels if pixels.ndim == 2 else pixels[:, :, 0], mask * 255)


def test_an_alpha_of_0_and_1_that_shows_the_ink_is_kept() -> None:
    ink = (drawn(3) < 128).astype(np.uint8)
    pixels = decode(png(np.dstack([0 * ink, 0 * ink, 0 * ink, ink]))).pixels
    assert np.array_equal(pixels[:, :, 3], ink * 255)
    assert not pixels[:, :, :3].any()


def test_clear_paper_is_clear() -> None:
    grey = np.where(drawn(3) < 128, np.uint8(90), np.uint8(0))
    for content in (
        saved(grey, "PNG", transparency=0),
        saved(Image.fromarray(grey > 0), "PNG", transparency=0),
    ):
        pixels = decode(content).pixels
        assert np.array_equal(pixels[:, :, 3], np.where(grey > 0, 255, 0))


@pytest.mark.parametrize("full", [1, 255])
def test_pixels_without_a_value_and_dead_ones_change_nothing_else(full: int) -> None:
    grey = drawn(4)
    real = grey.astype(np.float32) * (full / 255)
    odd = np.zeros(grey.shape, bool)
    for k, value in enumerate((np.nan, np.inf, -np.inf, -3.4e38, 1e6, -300.0)):
        odd[5 * k, 7], real[5 * k, 7] = True, value
    pixels = decode(saved(real)).pixels
    assert np.array_equal(pixels[~odd], grey[~odd])
    assert np.abs(pixels[odd].astype(int) - np.median(grey)).max() < 3


@pytest.mark.parametrize("kind", ["float32", "uint16"])
def test_what_a_file_has_for_no_value_is_paper(kind: str) -> None:
    grey = drawn(4)
    values = grey.astype(kind)
    values[:6] = 9999
    content = saved(values, tiffinfo=tags(42113, "9999"))
    pixels = decode(content).pixels
    assert np.array_equal(pixels[6:], grey[6:])
    assert np.abs(pixels[:6].astype(int) - np.median(grey[6:])).max() < 3


def test_a_value_for_nothing_that_is_black_stays_black() -> None:
    grey = np.where(drawn(3) < 128, np.uint8(255), np.uint8(0))
    content = saved(grey.astype(np.float32), tiffinfo=tags(42113, "0"))
    assert np.array_equal(decode(content).pixels, grey)


def test_values_within_a_mask_alone_stand_out() -> None:
    ink = drawn(3) < 128
    real = np.where(ink, np.float32(0.9), np.float32(np.nan))
    pixels = decode(saved(real)).pixels
    assert pixels[ink].min() > 200
    assert pixels[~ink].max() == 0


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_faint_ink_in_16_bits_is_not_made_strong(kind: str) -> None:
    grey = np.rint(205 + (drawn(5) - 128.0) / 16)
    pixels = decode(saved((grey * 257).astype(np.uint16), kind)).pixels
    assert np.array_equal(pixels, grey)


@pytest.mark.parametrize("side", [28, 95])
@pytest.mark.parametrize(
    ("level", "noise"), [(0, 20), (300, 60), (1500, 200), (30_000, 700), (62_000, 900)]
)
def test_an_empty_page_of_16_bits_is_blank(
    engine: Engine, level: int, noise: int, side: int
) -> None:
    rng = np.random.default_rng(side)
    pages = level + noise * rng.standard_normal((20, side, side))
    scans = [png(np.clip(page, 0, 65535).astype(np.uint16)) for page in pages]
    scans += [saved(page.astype(np.float32) / 65535) for page in pages]
    scans += [saved(page.astype(np.float32) - level) for page in pages]
    decisions = read_scans(scans, engine).decisions
    # In a few of the smallest noise may be a faint stroke, which a person says.
    assert (decisions == "blank").mean() >= (1 if side > 28 else 0.75)
    assert not (decisions == "accept").any()
    # As dark, and as even, as it was.
    assert max(int(np.ptp(decode(scan).pixels)) for scan in scans) < 40


def test_an_empty_dark_page_of_8_bits_is_no_mask(engine: Engine) -> None:
    rng = np.random.default_rng(1)
    scans = [png(rng.binomial(1, 0.3, (40, 40)).astype(np.uint8)) for _ in range(20)]
    assert set(read_scans(scans, engine).decisions) == {"blank"}
    assert max(int(decode(scan).pixels.max()) for scan in scans) == 1


def test_colours_of_16_bits_that_are_turned_keep_their_range() -> None:
    """Pillow gives the higher 8 of 16 bits, in which there is nothing here."""
    colours = np.dstack([drawn(6), drawn(6)[::-1], drawn(6).T])
    exif = Image.Exif()
    exif[274] = 6
    content = bytearray(png(colours.astype(np.uint16)[:, :, ::-1]))
    chunk = b"eXIf" + exif.tobytes()[6:]
    length, check = struct.pack(">I", len(chunk) - 4), struct.pack(">I", zlib.crc32(chunk))
    content[33:33] = length + chunk + check
    assert np.array_equal(decode(bytes(content)).pixels, np.rot90(colours, -1))


@pytest.mark.parametrize("alpha", [0, 1, 255])
def test_an_array_with_an_alpha_that_says_nothing_is_read_without(
    engine: Engine, alpha: int
) -> None:
    grey = drawn(7)
    bare, beside = read_scans([grey, with_alpha(grey, alpha)], engine)
    assert (beside.digit, beside.confidence) == (bare.digit, bare.confidence)
    assert bare.decision != "blank"
