"""How fast inputs are listed, and in how much memory: one large folder, and many small ones.

    python -m tests.benchmarks.listing

Each row is a process of its own, which lists a tree of empty files as `classify` does, cut into
chunks that are kept. Memory is what the process gained while it listed.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

LIST = """
import json, resource, sys, time
from digitrec.batch.chunks import read_end
from digitrec.batch.listing import Listing, list_chunks
from digitrec.storage.folder import open_folder

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

folder = open_folder(sys.argv[2])
before, start = peak(), time.perf_counter()
first = None
for number in list_chunks(folder, Listing(inputs=(sys.argv[1],))):
    first = first or time.perf_counter() - start
seconds = time.perf_counter() - start
end = read_end(folder)
print(json.dumps({
    "inputs": end.inputs, "seconds": seconds, "first": first, "mb": peak() - before
}))
"""
SIZES = (50_000, 100_000, 200_000)
PER_FOLDER = 2


def make_flat(folder: Path, files: int) -> None:
    """Fill one folder with empty files."""
    folder.mkdir()
    for k in range(files):
        (folder / f"{k:07d}.png").touch()


def make_deep(folder: Path, files: int) -> None:
    """Make folders with two empty files each."""
    for k in range(files // PER_FOLDER):
        inner = folder / f"{k:06d}"
        inner.mkdir(parents=True)
        for name in "ab":
            (inner / f"{name}.png").touch()


def listed(folder: Path) -> dict[str, float]:
    """List a tree in a process of its own; give what it measured."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-c", LIST, str(folder), out]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
    measured: dict[str, float] = json.loads(answer.stdout)
    return measured


def main() -> None:
    """Make the trees, list them, print a table."""
    print(f"{'tree':<28}{'files':>9}{'files/s':>12}{'first chunk':>14}{'memory':>10}")
    for title, make, sizes in (
        ("one folder", make_flat, SIZES),
        ("folders of two", make_deep, tuple(size // 2 for size in SIZES)),
    ):
        for size in sizes:
            with tempfile.TemporaryDirectory() as name:
                make(Path(name, "tree"), size)
                row = listed(Path(name, "tree"))
            print(
                f"{title:<28}{row['inputs']:>9,}{row['inputs'] / row['seconds']:>12,.0f}"
                f"{row['first']:>12.2f} s{row['mb']:>7.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
