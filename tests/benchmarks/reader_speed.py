"""How fast `Reader` is as a stage of Ray Data, beside `digitrec classify` on the same files.

    python -m tests.benchmarks.reader_speed

The same PNGs, made from MNIST, are read by the small network three times: by the command, by
`Reader` as tasks, and by `Reader` as actors, one for each CPU. Each is a process of its own, timed
as a whole, Ray's start included; each result is held against the files.
"""

import argparse
import tempfile
from pathlib import Path

from pyarrow import dataset

from tests.benchmarks.classify_speed import CPUS, MNISTS, digitrec, make_scans, python

SIZE = 60_000

PIPELINE = """
import sys
import ray, ray.data
from digitrec import Reader
scans, out, actors = sys.argv[1], sys.argv[2], int(sys.argv[3])
quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
ray.init(address="local", **quiet)
ray.data.DataContext.get_current().enable_progress_bars = False
files = ray.data.read_binary_files(scans, include_paths=True)
stage = {"batch_format": "pyarrow", "batch_size": 1024}
if actors:
    # Half a CPU each, or none would be left to read the files.
    stage |= {"compute": ray.data.ActorPoolStrategy(size=actors), "num_cpus": 0.5}
    digits = files.map_batches(Reader, fn_constructor_kwargs={"model": "small"}, **stage)
else:
    digits = files.map_batches(Reader("small"), **stage)
digits.drop_columns(["bytes"]).write_parquet(out)
"""


def main() -> None:
    """Run the three, print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=SIZE, help=f"default: {SIZE}")
    size = parser.parse_args().size
    print(f"{'program':<24}{'seconds':>10}{'scans/s':>10}{'of classify':>13}{'MB':>8}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        scans, first = make_scans(Path(folder), size, MNISTS), 0.0
        for name, actors in (
            ("digitrec classify", None),
            ("Reader, tasks", 0),
            ("Reader, actors", CPUS),
        ):
            out = Path(folder) / name.replace(" ", "-")
            if actors is None:
                run = digitrec(scans, out)
            else:
                _, run = python("-c", PIPELINE, scans, out, actors)
            rows = dataset.dataset(out, format="parquet").count_rows()
            assert rows == size, f"{name} gave {rows} rows for {size} files"
            rate = size / run["elapsed"]
            first = first or rate
            print(
                f"{name:<24}{run['elapsed']:>10.1f}{rate:>10,.0f}{rate / first:>13.2f}"
                f"{run['peak_mb']:>8,.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
