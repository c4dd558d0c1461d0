import io
import shutil
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

from digitrec.errors import ScanError
from digitrec.inputs.decode import MAX_PIXELS, decode

GREY = np.random.default_rng(0).integers(0, 256, (40, 30), dtype=np.uint8)
RGB = np.dstack([GREY, GREY.T[::-1].reshape(40, 30), 255 - GREY])


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises so many pixels, and holds none."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checked = name + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "PPM"])
def test_grey_comes_back_to_the_pixel(kind: str) -> None:
    pixels = decode(encoded(Image.fromarray(GREY), kind)).pixels
    assert np.array_equal(pixels if pixels.ndim == 2 else pixels[:, :, 0], GREY)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_colour_comes_back_in_the_order_red_green_blue(kind: str) -> None:
    assert np.array_equal(decode(encoded(Image.fromarray(RGB), kind)).pixels, RGB)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_colour_comes_back_nearly(kind: str) -> None:
    smooth = np.asarray(Image.fromarray(RGB[:4, :4]).resize((60, 60), Image.Resampling.BILINEAR))
    pixels = decode(encoded(Image.fromarray(smooth), kind, quality=95)).pixels
    assert np.abs(pixels.astype(int) - smooth).mean() < 6


def test_alpha_palette_sixteen_bits_and_cmyk() -> None:
    rgba = np.dstack([RGB, GREY])
    assert np.array_equal(decode(encoded(Image.fromarray(rgba), "PNG")).pixels, rgba)
    assert np.array_equal(decode(encoded(Image.fromarray(rgba), "TIFF")).pixels, rgba)
    palette = Image.fromarray(RGB).quantize(8)
    assert np.array_equal(
        decode(encoded(palette, "PNG")).pixels, np.asarray(palette.convert("RGB"))
    )
    see_through = decode(encoded(palette, "PNG", transparency=0)).pixels
    assert see_through.shape == (40, 30, 4)
    sixteen = cv2.imencode(".png", GREY.astype(np.uint16) * 257)[1].tobytes()
    assert np.array_equal(decode(sixteen).pixels, GREY)
    wide_tiff = encoded(Image.fromarray(GREY.astype(np.uint16) * 257), "TIFF")
    assert np.array_equal(decode(wide_tiff).pixels, GREY)
    cmyk = encoded(Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).convert("CMYK"), "JPEG")
    assert np.abs(decode(cmyk).pixels.astype(int) - 200).max() <= 3
    one_bit = decode(encoded(Image.fromarray(GREY).convert("1"), "PNG")).pixels
    assert set(np.unique(one_bit)) == {0, 255}
    real_numbers = decode(encoded(Image.fromarray(GREY.astype(np.float32) / 255), "TIFF")).pixels
    assert np.abs(real_numbers.astype(int) - GREY).max() <= 1


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_of_several_frames_the_first_is_read_and_said(kind: str) -> None:
    frames = [Image.fromarray(np.full((9, 9), grey, np.uint8)) for grey in (10, 200)]
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    decoded = decode(content)
    assert decoded.more_frames
    assert decoded.pixels.mean() == pytest.approx(10, abs=3)
    assert not decode(encoded(frames[0], kind)).more_frames


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "not-an-image"),
        (b"Dear Sir or Madam", "not-an-image"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (encoded(Image.fromarray(GREY), "PNG")[:30], "truncated"),
        (encoded(Image.fromarray(GREY), "PNG")[:-400], "truncated"),
        (encoded(Image.fromarray(RGB), "JPEG")[:-200], "truncated"),
        (encoded(Image.fromarray(GREY), "BMP")[:-200], "truncated"),
        (encoded(Image.fromarray(GREY), "GIF")[:-200], "truncated"),
        (encoded(Image.fromarray(GREY), "TIFF")[: 40 * 20], "truncated"),
        (png_header(20_000, 20_000), "too-large"),
        (png_header(2**31 - 1, 2**31 - 1), "too-large"),
    ],
)
def test_reasons(content: bytes, code: str) -> None:
    assert_refused(content, code)


@pytest.mark.parametrize("side", [9000, 20_000])
def test_a_small_file_of_too_many_pixels_is_too_large(side: int) -> None:
    # Not made for `test_reasons`, in every process that collects it: hundreds of megabytes.
    fax = encoded(Image.new("1", (side, side)), "TIFF", compression="group4")
    assert_refused(fax, "too-large")


def assert_refused(content: bytes, code: str) -> None:
    with pytest.raises(ScanError) as caught:
        decode(content)
    assert caught.value.code == code
    assert str(caught.value).startswith(f"{code}: ")


def test_a_damaged_png_is_told_from_a_truncated_one() -> None:
    content = bytearray(encoded(Image.fromarray(GREY), "PNG"))
    content[200] ^= 0xFF
    with pytest.raises(ScanError) as caught:
        decode(bytes(content))
    assert caught.value.code == "unreadable"


SEEDS = [
    encoded(Image.fromarray(RGB), kind) for kind in ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF")
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=8),
    st.floats(0.0, 1.0),
)
def test_whatever_comes_is_pixels_or_a_reason(
    seed: bytes, changes: list[tuple[float, int]], kept: float
) -> None:
    content = bytearray(seed[: int(len(seed) * kept)])
    for place, value in changes:
        if content:
            content[int(place * len(content))] = value
    try:
        pixels = decode(bytes(content)).pixels
    except ScanError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.shape[2:] in ((), (3,), (4,))
    assert 0 < pixels.shape[0] * pixels.shape[1] <= MAX_PIXELS


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_exif_says_of_the_camera_is_undone(kind: str, orientation: int) -> None:
    upright = Image.new("L", (40, 30), 255)
    upright.paste(0, (3, 4, 20, 9))
    # What ImageOps would turn back: held against Pillow's own reading of EXIF.
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    content = encoded(upright, kind, exif=exif, quality=95, lossless=True)
    with Image.open(io.BytesIO(content)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("L"))
    pixels = decode(content).pixels
    assert np.array_equal(pixels if pixels.ndim == 2 else pixels[:, :, 0], expected)
    assert pixels.shape[:2] == ((30, 40) if orientation < 5 else (40, 30))


def test_damaged_exif_costs_nothing() -> None:
    content = encoded(Image.fromarray(GREY), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f\1\2")
    assert decode(content).pixels.shape == GREY.shape


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar", "xztar", "npz"])
def test_an_archive_is_to_be_unpacked(tmp_path: Path, kind: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_bytes(b"1")
    if kind == "npz":
        file = tmp_path / "x.npz"
        np.savez(file, np.zeros(3))
    else:
        file = Path(shutil.make_archive(str(tmp_path / "x"), kind, tmp_path / "in"))
    with pytest.raises(ScanError, match=r"not-an-image: an? \w+ archive.*: unpack it"):
        decode(file.read_bytes())


def test_a_bitmap_without_its_header_is_read() -> None:
    buffer = io.BytesIO()
    Image.new("L", (5, 4), 7).save(buffer, "DIB")
    assert (decode(buffer.getvalue()).pixels == 7).all()


def test_a_tiff_of_a_kind_that_is_not_read_is_not_called_truncated() -> None:
    content = cv2.imencode(".tiff", GREY / 255)[1].tobytes()
    with pytest.raises(ScanError, match="unreadable: its kind of TIFF is not read: save it with 8"):
        decode(content)
