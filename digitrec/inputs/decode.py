"""Bytes of an image file → pixels, within bounds; or the reason why not.

OpenCV decodes plain PNGs, the bulk of what comes, four times as fast as Pillow; Pillow decodes
all else, and has the last word on what OpenCV refuses.
"""

import io
import struct
import warnings
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from digitrec.errors import ScanError
from digitrec.inputs.signatures import ends_early, ends_in_header, other_kind, says_short
from digitrec.inputs.whole import FEWER_PIXELS, check_whole
from digitrec.inputs.whole_tiff import tiff_is_short, tile_size

# A photograph of 64 megapixels passes; what is larger is no scan of one digit.
MAX_PIXELS = 2**26
MAX_BYTES = 2**26
# While a file is decoded it takes no more memory than this, whatever is in it. That is the 64
# megapixels in grey, less of what takes more: bytes a pixel, by Pillow's modes.
MAX_HELD = 2**29
HELD = {"1": 3, "L": 3, "P": 12, "I;16": 8, "I": 22, "F": 22, "RGB": 12}
HELD_OTHERWISE, HELD_BY_WEBP = 16, 24
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

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_CHUNK = struct.Struct(">I4s")  # length and name; then the content and a sum of 4 bytes
PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 4, 6: 4}  # as OpenCV gives them, by the kind of colour
TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PNG_BEGINNING = PNG_SIGNATURE + b"\0\0\0\x0dIHDR"


@dataclass(frozen=True, slots=True)
class Decoded:
    """The pixels of a scan.

    `pixels` is uint8 [H, W] (grey), [H, W, 3] (RGB) or [H, W, 4] (RGBA); `more_frames` says that
    the file holds further frames or pages, which were left out.
    """

    pixels: NDArray[np.uint8]
    more_frames: bool = False


def decode(content: bytes) -> Decoded:
    """Decode one image file's content, whatever its format among `FORMATS`.

    16 bits a channel are brought to 8, palettes and CMYK to RGB; what EXIF says of the camera's
    orientation is done. Bounds are checked on the header, before any pixel is decoded.

    Raises:
        ScanError: `not-an-image`, `truncated`, `too-large` or `unreadable`.
    """
    if not content:
        raise ScanError("not-an-image", "the file is empty")
    if len(content) > MAX_BYTES:
        raise ScanError("too-large", f"{len(content)} bytes, the limit is {MAX_BYTES}")
    if _is_plain_png(content):
        width, height = struct.unpack_from(">II", content, 16)
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
    place = len(PNG_SIGNATURE)
    while place + 12 <= len(content):
        length, name = PNG_CHUNK.unpack_from(content, place)
        if name in (b"acTL", b"eXIf"):
            return False
        place += 12 + length
        if name == b"IEND":
            return bool(place == len(content))
    return False


def _from_opencv(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    eight = np.asarray(pixels >> 8 if pixels.dtype == np.uint16 else pixels, np.uint8)
    if eight.ndim == 2:
        return eight
    order = cv2.COLOR_BGRA2RGBA if eight.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(eight, order), np.uint8)


def _decode_with_pillow(content: bytes) -> Decoded:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check_size(*image.size, 1)
                _reduce(image)
                _check_size(*image.size, _held(image))
                if image.format == "TIFF":  # one of its tiles may be larger than it is
                    _check_size(*tile_size(image), _held(image))
                # Not n_frames: that walks through all of a file which may have millions.
                more_frames = bool(getattr(image, "is_animated", False))
                image.load()
                check_whole(content, image)
                return Decoded(_from_pillow(_upright(image)), more_frames)
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


def _upright(image: Image.Image) -> Image.Image:
    """Turn an image as EXIF says; one whose EXIF is damaged stays as it is.

    Loading it turned a TIFF, and said so in its EXIF. The image as it was is closed: it would
    take as much memory again.
    """
    try:
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # Pillow raises nearly anything there
        return image
    if turn is None:
        return image
    turned = image.transpose(turn)
    image.close()
    return turned


def _from_pillow(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode in ("L", "1"):
        return np.asarray(image.convert("L"))
    if image.mode.startswith("I;16"):
        return (np.asarray(image) >> 8).astype(np.uint8)
    if image.mode in ("I", "F"):
        return _to_eight_bits(np.asarray(image, np.float32))
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return np.asarray(image if image.mode == mode else image.convert(mode))


def _to_eight_bits(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Bring pixels of unknown range to 0…255 by their own minimum and maximum."""
    finite = np.nan_to_num(pixels, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(finite.min()), float(finite.max())
    return ((finite - low) * (255.0 / max(high - low, 1e-9))).astype(np.uint8)


def _check_size(width: int, height: int, held: int) -> None:
    """Refuse what would take too much memory: `held` bytes a pixel while it is decoded."""
    if width * height > MAX_PIXELS:
        raise ScanError("too-large", f"{width} x {height} pixels, the limit is {MAX_PIXELS}")
    if width * height * held > MAX_HELD:
        most = MAX_HELD // held
        raise ScanError(
            "too-large", f"{width} x {height} pixels of this kind, of which the limit is {most}"
        )


def _reduce(image: Image.Image) -> None:
    """Have a JPEG of very many pixels decoded at half its size or less, which its codec can."""
    width, height = image.size
    if image.format == "JPEG" and width * height > REDUCED_FROM:
        image.draft(None, (width // 2, height // 2))


def _held(image: Image.Image) -> int:
    """Return how many bytes a pixel takes while it is decoded, all copies together: measured."""
    if image.format == "WEBP":
        return HELD_BY_WEBP
    if image.mode in ("P", "RGB") and image.has_transparency_data:
        return HELD_OTHERWISE
    return HELD.get(image.mode, HELD_OTHERWISE)


def _unidentified(content: bytes) -> ScanError:
    if ends_in_header(content):
        return ScanError("truncated", "the file ends within its header")
    if (other := other_kind(content)) is not None:
        return ScanError("not-an-image", other)
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
