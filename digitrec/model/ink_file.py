"""An ink network's ONNX file: where a user has one."""

import os

from digitrec.errors import BundleError, InputError
from digitrec.model.card import INK
from digitrec.model.engine import InkEngine
from digitrec.model.onnx_file import check_self_contained
from digitrec.storage.folder import Folder, open_folder

INK_FOLDER = "ink"  # of a run folder


def load_ink(where: str | os.PathLike[str]) -> bytes:
    """Load the ink network of a run of `train --network ink`, or of any folder with `ink.onnx`.

    Args:
        where: the folder: a path or a URI.

    Raises:
        InputError: none is there, or it can't be run.
    """
    given = open_folder(where)
    onnx = _read(given.below(INK_FOLDER))
    if onnx is None:
        onnx = _read(given)
    if onnx is None:
        raise InputError(
            f"{given.name} holds no ink network: expected the run folder of one, or a folder "
            f"with {INK}"
        )
    try:
        check_self_contained(onnx)
    except ValueError as why:
        raise BundleError(f"{given.name}: {INK} can't be used: {why}") from why
    InkEngine(onnx, f"{given.name}: {INK}")
    return onnx


def _read(folder: Folder) -> bytes | None:
    try:
        return folder.read(INK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as why:
        raise InputError(f"{folder.name}: {INK} can't be read ({why})") from why
