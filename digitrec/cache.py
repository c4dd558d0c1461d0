"""Where things lie that are made or fetched once and kept: MNIST, and the compiled normaliser."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The folder named by `DIGITREC_DATA`, else `digitrec` in the user's cache folder."""
    named = os.environ.get("DIGITREC_DATA")
    return Path(named) if named else platformdirs.user_cache_path("digitrec")
