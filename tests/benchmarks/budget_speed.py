"""What an error budget costs: `digitrec classify` with and without one, on the same scans.

    python -m tests.benchmarks.budget_speed

The scans are MNIST's 70,000 images as PNGs. Each round classifies them under the shipped budget
and with `--max-error none`, one after the other; what is printed is the steady speed (see
`digitrec.batch.stats.speed`), the ratio of the two in each round, and how long the check at the end
takes by itself.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from digitrec.budget.drift import compare
from digitrec.model.bundle import load_bundle
from tests.benchmarks.cascade_speed import classified, make_scans

COUNT = 70_000


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print(f"{'scans/s':<10}{'without':>10}{'with 0.1 %':>12}{'with ÷ without':>16}")
    with tempfile.TemporaryDirectory() as folder:
        make_scans(Path(folder), COUNT, lambda image: image)
        for model in ("small", "cascade"):
            pairs = [
                (
                    classified(Path(folder), model, "--max-error", "none"),
                    classified(Path(folder), model),
                )
                for _ in range(rounds)
            ]
            without, within = map(statistics.median, zip(*pairs, strict=True))
            ratio = statistics.median(b / a for a, b in pairs)
            print(f"{model:<10}{without:>10,.0f}{within:>12,.0f}{ratio:>16.2f}", flush=True)
    reference = load_bundle().card.references[""]
    start = time.perf_counter()
    compare(reference, reference)
    print(f"the check at the end: {1000 * (time.perf_counter() - start):.1f} ms")


if __name__ == "__main__":
    main()
