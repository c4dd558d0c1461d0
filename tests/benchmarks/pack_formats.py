"""Which format a shard should have, and from how many readings on packing pays.

    python -m tests.benchmarks.pack_formats

Packs the same scans (MNIST's test images as PNGs, `--copies` of them) as tar, as webdataset reads
it, and as Parquet with the bytes in a column, and reads both back in one process: all members one
after the other, and one chunk in the middle alone, as a worker of many does. Then it reads the
files themselves. All is in the page cache; each figure is the best of `--rounds`, taken in turn.
"""

import argparse
import io
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from digitrec.datasets import mnist
from digitrec.datasets.labelled import png
from digitrec.inputs.fetch import contents
from digitrec.inputs.shards import row_contents, shard_columns, shard_schema, stream_rows
from digitrec.inputs.units import Found

CHUNK = 16_384
Scans = list[tuple[str, bytes]]


def write_tar(scans: Scans, file: Path) -> None:
    """Write a tar with a member a scan."""
    with tarfile.open(file, "w") as archive:
        for name, content in scans:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_parquet(scans: Scans, file: Path, compression: str) -> None:
    """Write a shard as `digitrec pack` does, but for the compression of the contents."""
    kinds = {"path": "zstd", "reason": "zstd", "content": compression}
    with parquet.ParquetWriter(
        file, shard_schema(), compression=kinds, use_dictionary=False, write_statistics=False
    ) as writer:
        for start in range(0, len(scans), CHUNK):
            names, found = zip(*scans[start : start + CHUNK], strict=True)
            table = pa.table([names, found, [None] * len(names)], schema=shard_schema())
            writer.write_table(table)


def read_tar(file: Path) -> Iterator[bytes]:
    """Give all members of a tar."""
    with tarfile.open(file) as archive:
        for member in archive:
            inner = archive.extractfile(member)
            assert inner is not None
            yield inner.read()


def read_tar_chunk(file: Path, number: int) -> Iterator[bytes]:
    """Give the members of one chunk of a tar, which has no index: all before are passed over."""
    with tarfile.open(file) as archive:
        for k, member in enumerate(archive):
            if k // CHUNK > number:
                return
            if k // CHUNK == number:
                inner = archive.extractfile(member)
                assert inner is not None
                yield inner.read()


def read_parquet(file: Path) -> Iterator[object]:
    """Give all members of a shard."""
    for found in stream_rows(
        open_file := parquet.ParquetFile(file), str(file), shard_columns(open_file.schema_arrow)
    ):
        yield from row_contents(found)


def read_parquet_chunk(file: Path, number: int) -> Iterator[object]:
    """Give the members of one row group of a shard, as `classify` does."""
    names = parquet.ParquetFile(file).read_row_group(number, columns=["path"])["path"].to_pylist()
    return row_contents(Found(names, str(file), number))


def seconds(work: Callable[[], object]) -> float:
    """Time a piece of work, and take all that it yields."""
    start = time.perf_counter()
    result = work()
    if isinstance(result, Iterator):
        for _ in result:
            pass
    return time.perf_counter() - start


def main() -> None:
    """Measure, and print a table in microseconds a scan."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copies", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    images = [png(image) for image in mnist.load("test")[0]] * options.copies
    scans = [(f"{k:07d}.png", content) for k, content in enumerate(images)]
    middle = len(scans) // CHUNK // 2
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [str(folder / scan) for scan, _ in scans]
        for path, (_, content) in zip(paths, scans, strict=True):
            Path(path).write_bytes(content)
        tar, plain, zstd = folder / "a.tar", folder / "plain.parquet", folder / "zstd.parquet"
        steps: dict[str, Callable[[], object]] = {
            "write tar": lambda: write_tar(scans, tar),
            "write parquet": lambda: write_parquet(scans, plain, "none"),
            "write parquet, zstd": lambda: write_parquet(scans, zstd, "zstd"),
            "read files": lambda: contents(paths),
            "read tar": lambda: read_tar(tar),
            "read parquet": lambda: read_parquet(plain),
            "read parquet, zstd": lambda: read_parquet(zstd),
            "one chunk of tar": lambda: read_tar_chunk(tar, middle),
            "one chunk of parquet": lambda: read_parquet_chunk(plain, middle),
        }
        for _ in range(options.rounds):
            for step, work in steps.items():
                best[step] = min(best.get(step, 1e9), seconds(work))
        for step, spent in best.items():
            count = CHUNK if step.startswith("one chunk") else len(scans)
            print(f"{step:<22}{1e6 * spent / count:8.1f} us a scan")
        raw = sum(len(content) for _, content in scans)
        for file in (tar, plain, zstd):
            print(f"{file.name:<22}{file.stat().st_size / raw:8.2f} x the images' bytes")


if __name__ == "__main__":
    main()
