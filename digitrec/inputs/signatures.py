"""What a file's first bytes say that it is, where no decoder takes it; and whether it is cut."""

import struct

# What a short file makes Pillow say, in any format and in any case.
SHORT = (
    *("truncated", "not enough", "unexpected end", "reached eof", "end of file"),
    *("unpack requires", "unpack_from requires", "buffer is not large enough"),
)
# Formats that are taken, and how their files begin.
BEGINNINGS = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a"),
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
)
SMALL_TIFF = (b"II*\0", b"MM\0*")
# What is often found among scans, and what to do about it: where in the file, what lies there.
OTHERS = (
    (0, b"PK\x03\x04", "a zip archive (or a .npz, .docx and the like): unpack it first"),
    (0, b"PK\x05\x06", "a zip archive, an empty one"),
    (0, b"\x1f\x8b", "a gzip archive: unpack it first"),
    (0, b"BZh", "a bzip2 archive: unpack it first"),
    (0, b"\xfd7zXZ\0", "an xz archive: unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive: unpack it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
    (0, b"Rar!\x1a\x07", "a rar archive: unpack it first"),
    (257, b"ustar", "a tar archive: unpack it first"),
    (0, b"%PDF-", "a PDF: save its pages as images first"),
    (0, b"%!PS", "a PostScript file: save its pages as images first"),
    (0, b"\x93NUMPY", "a NumPy array: read it in Python, with digitrec.read"),
    (0, b"\x89HDF\r\n", "an HDF5 file: save its scans as images first"),
    (0, b"PAR1", "a Parquet file: `digitrec classify` reads lists and shards"),
    (4, b"ftypheic", "a HEIC photograph: save it as JPEG first"),
    (4, b"ftypheix", "a HEIC photograph: save it as JPEG first"),
    (4, b"ftypmif1", "a HEIF photograph: save it as JPEG first"),
    (4, b"ftypmsf1", "a HEIF photograph: save it as JPEG first"),
    (4, b"ftypavif", "an AVIF image: save it as PNG first"),
    (4, b"ftyp", "a video, or a photograph in a video's format: save it as JPEG first"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 image: save it as PNG first"),
    (0, b"\xff\x0a", "a JPEG XL image: save it as PNG first"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL image: save it as PNG first"),
    (0, b"8BPS", "a Photoshop file: save it as PNG first"),
    (0, b"<svg", "an SVG drawing: save it as PNG first"),
    (0, b"<!doctype html", "a web page, not the image it may show"),
    (0, b"<html", "a web page, not the image it may show"),
    (0, b"\x7fELF", "a program"),
    (0, b"\x80\x02", "a pickled Python object"),
)


def other_kind(content: bytes) -> str | None:
    """Say in words what a file is that is no image; None where its beginning says nothing."""
    beginning = content[:64].lower()
    for place, signature, words in OTHERS:
        if content.startswith(signature, place) or (
            signature.startswith(b"<") and beginning.lstrip().startswith(signature)
        ):
            return words
    return None


def ends_in_header(content: bytes) -> bool:
    """Return whether a file that no decoder takes begins as one that they take, and is cut."""
    if any(len(content) <= len(known) and known.startswith(content) for known in BEGINNINGS):
        return True
    # Of a TIFF, other than a large one, it can be told; its pixels may be of a kind nobody reads.
    others = (known for known in BEGINNINGS if known not in SMALL_TIFF)
    return ends_early(content) or content.startswith(tuple(others))


def ends_early(content: bytes) -> bool:
    """Return whether a file is shorter than its own header says it is."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return len(content) < 8 + int(struct.unpack_from("<I", content, 4)[0])
    if content[:4] in SMALL_TIFF:
        return _tiff_ends_early(content)
    return False


def _tiff_ends_early(content: bytes) -> bool:
    """Return whether a TIFF's first directory, or a strip that it names, lies beyond the end."""
    order = "<" if content[:1] == b"I" else ">"
    try:
        [directory] = struct.unpack_from(order + "I", content, 4)
        [count] = struct.unpack_from(order + "H", content, directory)
        return bool(directory + 2 + 12 * count > len(content))
    except struct.error:
        return True


def says_short(words: str) -> bool:
    """Return whether a decoder's message says that the file ends early."""
    return any(phrase in words.lower() for phrase in SHORT)
