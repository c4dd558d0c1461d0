"""Bytes of an image file → pixels, within bounds; or the reason why not.

OpenCV decodes plain PNGs, the bulk of what comes, four times as fast as Pillow; Pillow decodes
all else, and has the last word on what OpenCV refuses.
"""

import io
import struct
import warnings
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from digitrec.errors import ScanError
from digitrec.inputs.levels import from_integers, from_real_numbers
from digitrec.inputs.resolution import height_of_pixels, made_square
from digitrec.inputs.signatures import ends_early, ends_in_header, other_kind, says_short
from digitrec.inputs.whole import FEWER_PIXELS, check_whole
from digitrec.inputs.whole_tiff import BITS, tiff_is_short, tile_size

# A photograph of 64 megapixels passes; what is larger is no scan of one digit.
MAX_PIXELS = 2**26
MAX_BYTES = 2**26
# While a file is decoded it takes no more memory than this, whatever is in it: half a gigabyte,
# less a little that reading takes beside it. That is the 64 megapixels in grey, less of what takes
# more: bytes a pixel, by Pillow's modes.
MAX_HELD = 2**29 - 2**23
HELD = {"1": 3, "L": 3, "P": 12, "I;16": 8, "I": 22, "F": 22, "RGB": 12}
HELD_OTHERWISE, HELD_BY_WEBP, HELD_BY_DEEP_COLOURS = 16, 24, 32
# A JPEG of more pixels is decoded at half its size.
REDUCED_FROM = 2**24
# What is read, and how such files are called.
ENDINGS = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "PPM": (".pgm", ".ppm", ".pbm", ".pnm", ".pfm"),
}
FORMATS = tuple(ENDINGS)
# EXIF's orientations, and what brings each upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ASIDE = (5, 6, 7, 8)  # of these, those that make of its height the width
GDAL_NODATA = 42113

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_CHUNK = struct.Struct(">I4s")  # length and name; then the content and a sum of 4 bytes
PNG_SIZE = struct.Struct(">II")
# Chunks of a PNG that may say what OpenCV does not heed: see `_is_odd`.
ODD_CHUNKS = frozenset((b"acTL", b"eXIf", b"pHYs", b"tRNS"))
PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 4, 6: 4}  # as OpenCV gives them, by the kind of colour
TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PNG_BEGINNING = PNG_SIGNATURE + b"\0\0\0\x0dIHDR"


class Decoded(NamedTuple):
    """The pixels of a scan."""

    pixels: NDArray[np.uint8]  # [H, W] (grey), [H, W, 3] (RGB) or [H, W, 4] (RGBA), square ones
    more_frames: bool = False  # the file holds further frames or pages, which were left out
    # Of the file, width and height, where its pixels are not square; else those of `pixels`.
    in_file: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """The scan's width and height in pixels, as in its file."""
        return self.in_file or (self.pixels.shape[1], self.pixels.shape[0])


def decode(content: bytes) -> Decoded:
    """Decode one image file's content, whatever its format among `FORMATS`.

    Values of any range are brought to 8 bits (see `levels.py`), palettes and CMYK to RGB. An alpha
    that says the same everywhere is dropped, what EXIF says of the camera's orientation is done,
    and pixels that are not square are made so (see `resolution.py`). Bounds are checked on the
    header, before any pixel is decoded.

    Raises:
        ScanError: `not-an-image`, `truncated`, `too-large` or `unreadable`.
    """
    if not content:
        raise ScanError("not-an-image", "the file is empty")
    if len(content) > MAX_BYTES:
        raise ScanError("too-large", f"{len(content)} bytes, the limit is {MAX_BYTES}")
    if _is_plain_png(content):
        width, height = PNG_SIZE.unpack_from(content, 16)
        _check_size(width, height, 3 * _png_bytes(content))
        pixels = _decode_with_opencv(content)
        if pixels is not None:
            return Decoded(_from_opencv(pixels))
    return _decode_with_pillow(content)


def _png_bytes(content: bytes) -> int:
    """Return how many bytes OpenCV takes for a pixel of a PNG with a whole header."""
    bits, colour = content[24], content[25]
    return PNG_CHANNELS.get(colour, 4) * (2 if bits == 16 else 1)


def _decode_with_opencv(content: bytes) -> NDArray[Any] | None:
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # too little memory, or a header that it does not believe
        return None


def _is_plain_png(content: bytes) -> bool:
    """Return whether this is a whole PNG, upright, with one frame (acTL: an animated one).

    OpenCV makes room for a chunk as large as its header says, up to 4 GB, before it reads it: so
    the chunks must fill the file exactly.
    """
    if content[:16] != PNG_BEGINNING:
        return False
    place, end = len(PNG_SIGNATURE), len(content)
    while place + 12 <= end:
        length, name = PNG_CHUNK.unpack_from(content, place)
        if name in ODD_CHUNKS and _is_odd(content, place, name):
            return False
        place += 12 + length
        if name == b"IEND":
            return bool(place == end)
    return False


def _is_odd(content: bytes, place: int, name: bytes) -> bool:
    """Return whether a chunk says that a PNG is animated or turned, or what OpenCV overlooks.

    That is a resolution that differs in x and y, or a level of grey that is transparent.
    """
    if name == b"pHYs":
        return content[place + 8 : place + 12] != content[place + 12 : place + 16]
    return name != b"tRNS" or content[25] == 0


def _from_opencv(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    if pixels.ndim == 2:
        return from_integers(pixels)
    if pixels.shape[2] == 3:
        return np.asarray(cv2.cvtColor(from_integers(pixels), cv2.COLOR_BGR2RGB), np.uint8)
    colours, alpha = pixels[:, :, 2::-1], pixels[:, :, 3]
    return _with_alpha(from_integers(np.ascontiguousarray(colours)), alpha)


def without_flat_alpha(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Drop the alpha of RGBA [H, W, 4] where it says the same everywhere: it says nothing."""
    low, high, _, _ = cv2.minMaxLoc(pixels[:, :, 3])
    return pixels[:, :, :3] if low == high else pixels


def _with_alpha(colours: NDArray[np.uint8], alpha: NDArray[Any]) -> NDArray[np.uint8]:
    """Lay alpha [H, W] beside colours [H, W, 3]; one that says the same everywhere says nothing."""
    low, high, _, _ = cv2.minMaxLoc(alpha)
    return colours if low == high else np.dstack([colours, from_integers(alpha)])


def _decode_with_pillow(content: bytes) -> Decoded:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check_size(*image.size, 1)
                _reduce(image)
                _check_size(*image.size, _held(content, image))
                if image.format == "TIFF":  # one of its tiles may be larger than it is
                    _check_size(*tile_size(image), _held(content, image))
                # Not n_frames: that walks through all of a file which may have millions.
                more_frames = bool(getattr(image, "is_animated", False))
                ratio, orientation = height_of_pixels(image), _orientation_of_tiff(image)
                image.load()
                check_whole(content, image)
                orientation = orientation or _orientation(image)
                if (deep := _deep_colours(content, image)) is not None:
                    image.close()
                    pixels = _from_pillow(_upright(Image.fromarray(deep), orientation))
                else:
                    pixels = _from_pillow(_upright(image, _orientation(image)))
                return _square(pixels, 1 / ratio if orientation in ASIDE else ratio, more_frames)
    except ScanError:
        raise
    except Image.DecompressionBombError as why:
        raise ScanError("too-large", str(why)) from why
    except UnidentifiedImageError as why:
        raise _unidentified(content) from why
    except MemoryError as why:
        raise ScanError("too-large", "not enough memory to decode it") from why
    except Exception as why:  # damaged files make Pillow raise nearly anything
        raise _damaged(content, why) from why


def _orientation_of_tiff(image: Any) -> int:
    """Return a TIFF's orientation before it is loaded, which turns it; 0 of other formats."""
    return int(image.tag_v2.get(ExifTags.Base.Orientation, 1)) if image.format == "TIFF" else 0


def _orientation(image: Image.Image) -> int:
    """Return what EXIF says; 1, upright, where it says nothing or is damaged.

    Loading it turned a TIFF, and said so in its EXIF.
    """
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # Pillow raises nearly anything there
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turn an image; as it was it is closed: it would take as much memory again."""
    turn = TURNS.get(orientation)
    if turn is None:
        return image
    turned = image.transpose(turn)
    turned.info = image.info
    image.close()
    return turned


def _square(pixels: NDArray[np.uint8], ratio: float, more_frames: bool) -> Decoded:
    if ratio == 1:
        return Decoded(pixels, more_frames)
    height, width = pixels.shape[:2]
    return Decoded(made_square(pixels, ratio), more_frames, (width, height))


def _deep_colours(content: bytes, image: Any) -> NDArray[np.uint8] | None:
    """Decode colours of 16 bits, of which Pillow gives the higher 8 alone: by OpenCV, if it can.

    Returns:
        uint8 [H, W, 3] or [H, W, 4], not yet turned; None of other files.
    """
    if not _has_deep_colours(content, image):
        return None
    pixels = _decode_with_opencv(content)
    return None if pixels is None or pixels.ndim == 2 else _from_opencv(pixels)


def _has_deep_colours(content: bytes, image: Any) -> bool:
    if image.mode not in ("RGB", "RGBA", "LA"):
        return False
    if image.format == "PNG":
        return content[24] == 16 and not image.is_animated
    return image.format == "TIFF" and 16 in image.tag_v2.get(BITS, ())


def _from_pillow(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode in ("L", "1") and not image.has_transparency_data:
        return from_integers(np.asarray(image.convert("L")))
    if image.mode in ("L", "1", "I", "F") or image.mode.startswith("I;16"):
        return _grey(image)
    mode = "RGBA" if image.has_transparency_data else "RGB"
    pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    if mode == "RGB":
        return from_integers(pixels)
    return _with_alpha(from_integers(np.ascontiguousarray(pixels[:, :, :3])), pixels[:, :, 3])


def _grey(image: Any) -> NDArray[np.uint8]:
    """Bring grey of any depth to 8 bits, a level of which may be transparent."""
    values = np.asarray(image.convert("L") if image.mode == "1" else image)
    nodata = _nodata(image)
    if nodata is not None or values.dtype.kind == "f" or values.min() < 0:
        return from_real_numbers(np.array(values, np.float32), nodata)
    clear = image.info.get("transparency")
    if clear is None:
        return from_integers(values)
    if image.mode == "1":
        clear *= 255
    alpha = np.where(values == clear, np.uint8(0), np.uint8(255))
    grey = cv2.cvtColor(from_integers(values), cv2.COLOR_GRAY2RGB)
    return _with_alpha(np.asarray(grey, np.uint8), alpha)


def _nodata(image: Any) -> float | None:
    """Return the value that a TIFF has for "no value", as GDAL writes it."""
    if image.format != "TIFF":
        return None
    try:
        return float(image.tag_v2[GDAL_NODATA])
    except (KeyError, ValueError):
        return None


def _check_size(width: int, height: int, held: int) -> None:
    """Refuse what would take too much memory: `held` bytes a pixel while it is decoded."""
    pixels = width * height
    if pixels > MAX_PIXELS:
        raise ScanError("too-large", f"{width} x {height} pixels, the limit is {MAX_PIXELS}")
    if pixels * held > MAX_HELD:
        most = MAX_HELD // held
        raise ScanError(
            "too-large", f"{width} x {height} pixels of this kind, of which the limit is {most}"
        )


def _reduce(image: Image.Image) -> None:
    """Have a JPEG of very many pixels decoded at half its size or less, which its codec can."""
    width, height = image.size
    if image.format == "JPEG" and width * height > REDUCED_FROM:
        image.draft(None, (width // 2, height // 2))


def _held(content: bytes, image: Image.Image) -> int:
    """Return how many bytes a pixel takes while it is decoded, all copies together: measured."""
    if image.format == "WEBP":
        return HELD_BY_WEBP
    if _has_deep_colours(content, image):
        return HELD_BY_DEEP_COLOURS
    if image.has_transparency_data:
        return HELD_OTHERWISE
    return HELD.get(image.mode, HELD_OTHERWISE)


def _unidentified(content: bytes) -> ScanError:
    if ends_in_header(content):
        return ScanError("truncated", "the file ends within its header")
    if (other := other_kind(content)) is not None:
        return ScanError("not-an-image", other)
    if content.startswith(TIFF_SIGNATURES):
        return ScanError("unreadable", "its kind of TIFF is not read: save it with 8 or 16 bits")
    return ScanError("not-an-image", "none of the formats " + ", ".join(FORMATS))


def _damaged(content: bytes, why: Exception) -> ScanError:
    words = str(why) or type(why).__name__
    if isinstance(why, EOFError) or says_short(words) or ends_early(content):
        return ScanError("truncated", words)
    if content.startswith(TIFF_SIGNATURES) and _is_short_tiff(content):
        return ScanError("truncated", FEWER_PIXELS)
    return ScanError("unreadable", f"damaged: {words}")


def _is_short_tiff(content: bytes) -> bool:
    try:
        return tiff_is_short(content)
    except Exception:  # its header is what is damaged
        return False
