"""What each part of the ROBUST recipe gives: the recipe without it, a short run on three seeds.

    python -m tests.benchmarks.ablation --out runs/ablation

Every run leaves a file in the folder; the same command goes on where it was stopped, and prints
the table. All runs leave the validation part out and are measured on it, on four of the ten
writers of the real digits (where DIGITREC_TEST_DATA names their folder), on drawn digits, and on
letters: the sets on which choices are made. None of them sees MNIST's test set.
"""

import argparse
import json
import multiprocessing
import os
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from digitrec.datasets.labelled import load_labelled
from digitrec.datasets.synthetic.printed import plotted
from digitrec.datasets.synthetic.sets import draw_digits
from digitrec.inputs.decode import decode
from digitrec.model.engine import digit_score, softmax
from digitrec.model.network import DigitNet, folded, scale
from digitrec.normalize.scan import normalize
from digitrec.storage.files import write_json
from digitrec.training.data import Arrays, joined, measuring_set, strengths, training_parts
from digitrec.training.loop import begin, labelled, train_epoch
from digitrec.training.recipes import AUGMENTATION, REPORT, ROBUST, Recipe

EPOCHS, SEEDS = 8, (0, 1, 2)
WRITERS = re.compile(r"writer0[1-4]_")
OTHER_SEED = 2**31  # of drawn digits that no run was trained on
FORM = ("rotation", "shear", "aspect", "scale", "shift", "elastic")


def without(*fields: str) -> Recipe:
    """Give the recipe with some of its parts left out."""
    return replace(ROBUST, **dict.fromkeys(fields, 0))


VARIANTS = {
    "the recipe": ROBUST,
    "without drawn digits": without("drawn"),
    "without coarse scans": without("coarse"),
    "without junk": without("junk"),
    "without changes of form": without(*FORM),
    "without changes of pen and scanner": without("pen_share"),
    "without either": without(*AUGMENTATION),
    "without batch normalization": without("batch_norm"),
    "the report's recipe": REPORT,
}


def train(recipe: Recipe) -> DigitNet:
    """Train a recipe in this process, without Ray."""
    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    parts = training_parts(recipe, None)
    data = labelled(*joined(parts), cpu, strengths(parts, recipe))
    network, optimizer = begin(recipe, cpu)
    for epoch in range(1, recipe.epochs + 1):
        train_epoch(network, optimizer, data, recipe, epoch)
    return folded(network)


def four_writers() -> Arrays | None:
    """Give the real digits on which choices are made, normalized; None where there are none."""
    folder = os.environ.get("DIGITREC_TEST_DATA")
    if not folder:
        return None
    found = load_labelled(str(Path(folder) / "real_digits"))
    chosen = [k for k, scan in enumerate(found.scans) if WRITERS.search(str(scan))]
    scans = [normalize(decode(Path(str(found.scans[k])).read_bytes()).pixels) for k in chosen]
    return np.stack(scans), found.labels[chosen]


def measured(network: DigitNet, recipe: Recipe) -> dict[str, float | None]:
    """Give what a network scores on the sets on which choices are made."""

    def logits(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            answer: NDArray[np.float32] = network(scale(torch.tensor(images))).numpy()
        return answer

    def right(arrays: Arrays) -> float:
        return 100 * float((logits(arrays[0]).argmax(1) == arrays[1]).mean())

    _, validation = measuring_set(recipe, None)
    answers = logits(validation[0])
    likely = softmax(answers)[np.arange(len(answers)), validation[1]]
    least = np.quantile(digit_score(answers), 0.05)
    letters = digit_score(logits(np.stack([normalize(scan) for scan in plotted(1000)])))
    writers = four_writers()
    return {
        "validation": right(validation),
        "NLL": float(-np.log(np.maximum(likely, 1e-12)).mean()),
        "4 writers": right(writers) if writers else None,
        "drawn": right(draw_digits(2000, OTHER_SEED)),
        "letters refused": 100 * float((letters < least).mean()),
    }


def run(name: str, recipe: Recipe, path: Path) -> str:
    """Train and measure a recipe, unless its file is there."""
    if not path.exists():
        write_json(
            path, {"name": name, "recipe": asdict(recipe), **measured(train(recipe), recipe)}
        )
    return f"{name}, seed {recipe.seed}"


def table(rows: list[dict[str, Any]]) -> str:
    """Write the means over the seeds, and in brackets the deviations."""
    columns: dict[str, Callable[[float], str]] = {
        "validation": "{:.2f}".format,
        "NLL": "{:.4f}".format,
        "4 writers": "{:.1f}".format,
        "drawn": "{:.2f}".format,
        "letters refused": "{:.1f}".format,
    }
    lines = ["| | seeds | " + " | ".join(columns) + " |", "|---|---|" + len(columns) * "---|"]
    for name in VARIANTS:
        some = [row for row in rows if row["name"] == name]
        cells = []
        for column, shown in columns.items():
            values = [row[column] for row in some if row[column] is not None]
            few = len(values) < 2
            cells.append(
                "" if few else f"{shown(np.mean(values))} ({shown(np.std(values, ddof=1))})"
            )
        lines.append(f"| {name} | {len(some)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Do the runs that are missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    jobs = []
    for seed in SEEDS:
        for number, (name, variant) in enumerate(VARIANTS.items()):
            recipe = replace(variant, hold_out="validation", epochs=options.epochs, seed=seed)
            jobs.append((name, recipe, options.out / f"{number}-{seed}.json"))
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
        for done in pool.map(run, *zip(*jobs, strict=True)):
            print(done, flush=True)
    print(table([json.loads(path.read_text("utf-8")) for _, _, path in jobs]))


if __name__ == "__main__":
    main()
