"""Whether an ONNX file holds its whole network, told from its bytes.

An ONNX tensor may name a file that its numbers lie in (external data). Such a file is in no hash,
and may be any file of the machine that loads the network. ONNX itself is not needed to tell: a
message of Protocol Buffers is a sequence of numbered fields, and the few that lead to tensors are
followed here (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from collections.abc import Iterator

# Of each kind of message, the fields that lead to tensors, and the kind that they hold.
LEADS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse",
        23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
GRAPH = 7  # the field of a model that makes it one
EXTERNAL_DATA, DATA_LOCATION = 13, 14  # of a tensor
VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5  # how a field is written
FIXED = {EIGHT_BYTES: 8, FOUR_BYTES: 4}


def check_self_contained(content: bytes) -> None:
    """Check that an ONNX file's tensors all lie within it.

    Args:
        content: the file's.

    Raises:
        ValueError: one lies in another file, or the content is no ONNX file.
    """
    try:
        fields = list(_fields(memoryview(content)))
        if not any(field == GRAPH and how == BYTES for field, how, _ in fields):
            raise ValueError("it holds no network")
        waiting = [("model", memoryview(content))]
        while waiting:
            waiting += _below(*waiting.pop())
    except IndexError as why:
        raise ValueError("it is no ONNX file, or cut off") from why


def _below(kind: str, message: memoryview) -> Iterator[tuple[str, memoryview]]:
    """Yield what a message holds that leads to tensors; refuse a tensor that lies elsewhere."""
    for field, how, value in _fields(message):
        if kind == "tensor" and (
            field == EXTERNAL_DATA or (field == DATA_LOCATION and value not in (None, 0))
        ):
            raise ValueError("it keeps numbers in another file (external data)")
        if field in LEADS[kind] and how == BYTES:
            assert isinstance(value, memoryview)
            yield LEADS[kind][field], value


def _fields(message: memoryview) -> Iterator[tuple[int, int, memoryview | int | None]]:
    """Yield a message's fields: number, how it is written, and its bytes or number."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        field, how = tag >> 3, tag & 7
        if tag >> 32 or not field:
            raise ValueError("it is no ONNX file")
        if how == VARINT:
            value, place = _varint(message, place)
            yield field, how, value
            continue
        if how == BYTES:
            size, place = _varint(message, place)
        elif how in FIXED:
            size = FIXED[how]
        else:
            raise ValueError("it is no ONNX file")
        if place + size > len(message):
            raise IndexError("cut off")
        yield field, how, message[place : place + size] if how == BYTES else None
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Read a number of seven bits a byte; give it and the place after it."""
    number = 0
    for shift in range(0, 70, 7):
        byte = message[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place
    raise ValueError("it is no ONNX file")
