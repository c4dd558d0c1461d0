"""The normalizer's machine code: made once, found again by every other process, or made by each."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import digitrec
from digitrec.normalize.scan import normalize
from digitrec.storage.cache import _cpu, _usable, compiled_folder, say_complete, usable_folder
from tests.drawing import digit, shown

pytestmark = pytest.mark.slow

ANNOUNCED = "compiling the normalizer"
PATIENCE = 300  # seconds; compiling takes 20 to 40
# Root may write anywhere, but for this.
WITHOUT_ROOTS_RIGHTS = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
# Numba's least effort: a third faster to compile, and the image is the same.
HASTY = {"NUMBA_OPT": "0"}
PROGRAM = """
import sys
import numpy as np
from digitrec.normalize.scan import normalize
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
    """Normalize a scan in a process of its own.

    Args:
        data: DIGITREC_DATA there.
        folder: for the scan.
        package: a folder with another copy of the package, to be taken first.
        rights: False: without root's right to write anywhere.
    """
    np.save(folder / "scan.npy", shown(digit(3)))
    where = Path(digitrec.__file__).parents[1] if package is None else package
    environment = {**os.environ, **HASTY, "DIGITREC_DATA": str(data), "PYTHONPATH": str(where)}
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
    """Else a change of the normalizer would go on with the code of before."""
    source = Path(digitrec.__file__).parent / "normalize"
    before = compiled_folder()
    shutil.copytree(source, tmp_path / "digitrec/normalize")
    monkeypatch.setattr(
        "digitrec.storage.cache.__file__", str(tmp_path / "digitrec/storage/cache.py")
    )
    assert compiled_folder() == before
    with (tmp_path / "digitrec/normalize/histogram.py").open("a") as file:
        file.write("# another thought\n")
    assert compiled_folder() != before


def test_another_cpu_has_its_own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image is built on one machine and runs on others."""
    monkeypatch.setenv("DIGITREC_DATA", str(tmp_path))
    _cpu.cache_clear()
    here = compiled_folder()
    monkeypatch.setenv("NUMBA_CPU_NAME", "another")
    _cpu.cache_clear()
    other = compiled_folder()
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "+sse2")
    _cpu.cache_clear()
    assert len({here, other, compiled_folder()}) == 3
    monkeypatch.undo()
    _cpu.cache_clear()


def start(data: Path, program: str, **more: str) -> "subprocess.Popen[str]":
    """Start a Python process that uses a cache."""
    environment = {**os.environ, **HASTY, "DIGITREC_DATA": str(data), **more}
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_of_processes_on_another_cpu_one_compiles_and_prepare_ends_with_code(
    cache: Path, tmp_path: Path
) -> None:
    """The code of this CPU is there; that of the other is made once, whoever begins."""
    copied = tmp_path / "data"
    shutil.copytree(cache, copied)
    other = {"NUMBA_CPU_NAME": "x86-64" if platform.machine() == "x86_64" else "generic",
             "NUMBA_CPU_FEATURES": ""}  # fmt: skip
    by_prepare = "from digitrec.normalize.scan import prepare\nprepare()"
    by_load = "from digitrec.normalize.scan import load\nload()"
    processes = [start(copied, program, **other) for program in (by_prepare, by_load, by_load)]
    told = "".join(process.communicate(timeout=2 * PATIENCE)[1] for process in processes)
    assert told.count(ANNOUNCED) == 1, told
    last = start(copied, by_load, **other)
    assert last.communicate(timeout=PATIENCE) == ("", "")
    assert fresh_process(copied, tmp_path).told == ""  # and this CPU's is still there


@pytest.mark.parametrize("which", ["data", "data/compiled", "the code's folder", "a file"])
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_code_that_others_could_have_written_is_not_run(
    which: str, mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setenv("DIGITREC_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    folder = compiled_folder()
    folder.mkdir(parents=True)
    file = folder / "find.nbi"
    file.write_bytes(b"a pickle")
    say_complete(folder)
    assert usable_folder() == folder
    _usable.cache_clear()
    path = {"the code's folder": folder, "a file": file}.get(which, tmp_path / which)
    path.chmod(path.stat().st_mode | mode)
    found = usable_folder()
    _usable.cache_clear()
    assert found is not None
    assert found.is_relative_to(tmp_path / "temporary")
    assert [made.stat().st_mode & 0o777 for made in (found, *found.parents[:2])] == [0o700] * 3
    assert f"{path} is not used for machine code" in caplog.text
    assert "chmod go-w" in caplog.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_code_of_another_user_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor from the private folder, where they may have come first."""
    monkeypatch.setenv("DIGITREC_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    folder = compiled_folder()
    folder.mkdir(parents=True)
    os.chown(folder, 12345, 12345)
    found = usable_folder()
    assert found is not None
    assert found.is_relative_to(tmp_path / "temporary")
    _usable.cache_clear()
    os.chown(found, 12345, 12345)
    assert usable_folder() is None
    _usable.cache_clear()
    os.chown(found, os.geteuid(), 0)
    private = found.parents[1]
    private.rename(tmp_path / "elsewhere")
    private.symlink_to(tmp_path / "elsewhere")  # as anybody may in the temporary directory
    os.chown(private, 12345, 12345, follow_symlinks=False)
    assert usable_folder() is None
    _usable.cache_clear()


def test_where_the_cache_is_damaged_the_code_is_made_again(cache: Path, tmp_path: Path) -> None:
    """`prepare` ends with code that loads: a folder with some file in it is not enough."""
    copied = tmp_path / "data"
    shutil.copytree(cache, copied)
    [index] = copied.rglob("render.is_mnist_like*.nbi")  # the function that is compiled soonest
    index.unlink()
    program = "from digitrec.normalize.scan import prepare\nprepare()"
    assert ANNOUNCED in start(copied, program).communicate(timeout=PATIENCE)[1]
    assert fresh_process(copied, tmp_path).told == ""


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


def test_where_the_home_is_read_only_the_second_process_finds_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept in a private folder of the temporary directory; and "once" is true."""
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    first = fresh_process(tmp_path / "file/data", tmp_path)
    assert first.told.count(ANNOUNCED) == 1
    assert "once until" in first.told
    assert first.image == wanted()
    again = fresh_process(tmp_path / "file/data", tmp_path)
    assert (again.told, again.image) == ("", wanted())
    private = tmp_path / "temporary" / f"digitrec-{os.geteuid()}"
    assert private.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "file").read_text() == "in the way"


def test_where_no_cache_can_be_each_process_compiles_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"digitrec-{os.geteuid()}").write_text("in the way too")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    alone = fresh_process(tmp_path / f"digitrec-{os.geteuid()}/data", tmp_path)
    assert alone.told.count(ANNOUNCED) == 1
    assert "for this process alone" in alone.told
    assert alone.image == wanted()
