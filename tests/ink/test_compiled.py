"""The normaliser's machine code: made once, found again by every other process, or made by each."""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import digitrec
from digitrec.cache import compiled_folder
from digitrec.scans.normalize import normalize
from tests.drawing import digit, shown

pytestmark = pytest.mark.slow

ANNOUNCED = "compiling the normaliser"
PATIENCE = 300  # seconds; compiling takes 20 to 40
# Root may write anywhere, but for this.
WITHOUT_ROOTS_RIGHTS = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
PROGRAM = """
import sys
import numpy as np
from digitrec.scans.normalize import normalize
sys.stdout.buffer.write(normalize(np.load(sys.argv[1])).tobytes())
"""


@dataclass
class Run:
    """What one fresh process gave."""

    image: bytes
    told: str  # on stderr


def fresh_process(
    data: Path, folder: Path, package: Path | None = None, rights: bool = True
) -> Run:
    """Normalise a scan in a process of its own.

    Args:
        data: DIGITREC_DATA there.
        folder: for the scan.
        package: a folder with another copy of the package, to be taken first.
        rights: False: without root's right to write anywhere.
    """
    np.save(folder / "scan.npy", shown(digit(3)))
    where = Path(digitrec.__file__).parents[1] if package is None else package
    environment = {**os.environ, "DIGITREC_DATA": str(data), "PYTHONPATH": str(where)}
    drop = [] if rights or os.geteuid() != 0 else WITHOUT_ROOTS_RIGHTS
    command = [*drop, sys.executable, "-c", PROGRAM, str(folder / "scan.npy")]
    ended = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, timeout=PATIENCE, check=False
    )
    told = ended.stderr.decode()
    assert ended.returncode == 0, told
    return Run(ended.stdout, told)


def wanted() -> bytes:
    return normalize(shown(digit(3))).tobytes()


def contents_of(cache: Path) -> dict[str, str]:
    """Give a hash for each file below a folder."""
    files = [file for file in sorted(cache.rglob("*")) if file.is_file()]
    return {
        str(file.relative_to(cache)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that a first process has filled."""
    folder = tmp_path_factory.mktemp("cache")
    first = fresh_process(folder / "data", folder)
    assert first.told.count(ANNOUNCED) == 1
    assert first.image == wanted()
    assert [path.name for path in (folder / "data").iterdir()] == ["compiled"]
    assert contents_of(folder / "data")
    return folder / "data"


def test_another_process_finds_the_code(cache: Path, tmp_path: Path) -> None:
    before = contents_of(cache)
    again = fresh_process(cache, tmp_path)
    assert again.told == ""
    assert again.image == wanted()
    assert contents_of(cache) == before


def test_another_copy_of_the_package_finds_the_code(cache: Path, tmp_path: Path) -> None:
    """A job on a cluster unpacks the package anew, elsewhere and later."""
    package = Path(digitrec.__file__).parent
    no_bytecode = shutil.ignore_patterns("__pycache__")
    copy = shutil.copytree(package, tmp_path / "job/digitrec", ignore=no_bytecode)
    for source in copy.rglob("*.py"):
        os.utime(source, (1e9, 1e9))
    again = fresh_process(cache, tmp_path, package=copy.parent)
    assert again.told == ""
    assert again.image == wanted()


def test_other_sources_have_other_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a change of the normaliser would go on with the code of before."""
    source = Path(digitrec.__file__).parent / "ink"
    before = compiled_folder()
    shutil.copytree(source, tmp_path / "digitrec/ink")
    monkeypatch.setattr("digitrec.cache.__file__", str(tmp_path / "digitrec/cache.py"))
    assert compiled_folder() == before
    with (tmp_path / "digitrec/ink/levels.py").open("a") as file:
        file.write("# another thought\n")
    assert compiled_folder() != before


def test_a_cache_that_is_read_only_is_used(cache: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0 and shutil.which(WITHOUT_ROOTS_RIGHTS[0]) is None:
        pytest.skip("root may write anywhere, and there is no setpriv to keep it from that")
    folders = [cache, *(path for path in cache.rglob("*") if path.is_dir())]
    before = contents_of(cache)
    try:
        for folder in folders:
            folder.chmod(0o555)
        again = fresh_process(cache, tmp_path, rights=False)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert again.told == ""
    assert again.image == wanted()
    assert contents_of(cache) == before


def test_where_no_cache_can_be_each_process_compiles(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    alone = fresh_process(tmp_path / "file/data", tmp_path)
    assert alone.told.count(ANNOUNCED) == 1
    assert alone.image == wanted()
    assert (tmp_path / "file").read_text() == "in the way"
