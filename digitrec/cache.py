"""Where things lie that are made or fetched once and kept: MNIST, and the compiled normaliser."""

import hashlib
import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The folder named by `DIGITREC_DATA`, else `digitrec` in the user's cache folder."""
    named = os.environ.get("DIGITREC_DATA")
    return Path(named) if named else platformdirs.user_cache_path("digitrec")


def compiled_folder() -> Path:
    """The folder with the machine code of `ink/`, named by a hash of what its sources say."""
    sources = sorted((Path(__file__).parent / "ink").glob("*.py"))
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    return cache_folder() / "compiled" / digest[:12]
