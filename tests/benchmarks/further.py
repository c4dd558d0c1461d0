"""What each part of `further` gives: a champion learns on from corrections, without one of them.

    python -m tests.benchmarks.further

The corrections are the real digits (DIGITREC_TEST_DATA names their folder), by ten people: each
third of these is read by a network that was trained on the other two. What it forgets is counted on
MNIST's calibration part, which no network has learnt from. MNIST's test set is not looked at.
"""

import argparse
import io
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from digitrec.datasets.labelled import LabelledSet, load_labelled
from digitrec.evaluation.labelled_set import measure
from digitrec.model.bundle import load_bundle
from digitrec.model.card import WEIGHTS
from digitrec.model.engine import open_engine
from digitrec.model.shipped import SHIPPED
from digitrec.training.data import Arrays, joined, strengths, training_parts
from digitrec.training.folds import learn_on
from digitrec.training.loop import begin, scale
from digitrec.training.recipes import Recipe, further

FOLDS = (("writer01", "writer02", "writer03"), ("writer04", "writer05", "writer06"),
         ("writer07", "writer08", "writer09", "writer10"))  # fmt: skip
CPU = torch.device("cpu")
Weights = dict[str, torch.Tensor]


def variants(recipe: Recipe) -> dict[str, Recipe]:
    whole = further(recipe, "champion")
    return {
        "as it is": whole,
        "not averaged with the champion": replace(whole, kept=0.0),
        "nor held to it: labels alone": replace(whole, kept=0.0, distilled=0.0),
        "half as long": replace(whole, epochs=1),
        "twice as many corrections": replace(whole, corrections=2 * whole.corrections),
    }


def normalized(labelled_set: LabelledSet) -> Arrays:
    read = measure(open_engine(load_bundle("small")), labelled_set)
    return read.scans, labelled_set.labels


@torch.inference_mode()
def scored(network: nn.Module, digits: Arrays, temperature: float) -> tuple[int, float]:
    """Give how many digits are read wrong, each once, and the sum of their log-losses in nats."""
    scans, labels = digits
    logits = torch.cat([network(scale(some)) for some in torch.tensor(scans).split(500)])
    likely = torch.softmax(logits / temperature, 1).numpy()
    loss = -np.log(np.maximum(likely[np.arange(len(labels)), labels], 1e-9))
    return int((likely.argmax(1) != labels).sum()), float(loss.sum())


def rows(name: str) -> Iterator[str]:
    """Yield the table's rows for a shipped network."""
    bundle = load_bundle(name)
    start = torch.load(io.BytesIO(Path(SHIPPED[name], WEIGHTS).read_bytes()), weights_only=True)[
        "state_dict"
    ]
    recipe = Recipe(**bundle.card.recipe)
    parts = training_parts(recipe, None, bundle.ink)
    known = joined(parts), strengths(parts, recipe)
    folder = Path(os.environ["DIGITREC_TEST_DATA"], "real_digits", "truth.csv")
    real = load_labelled(str(folder))
    assert real.groups is not None
    digits, writers = normalized(real), real.groups.astype(str)
    calibration = normalized(load_labelled("mnist:calibration"))
    temperature = bundle.card.temperature
    # Its weights have batch normalization folded in.
    champion = begin(replace(recipe, batch_norm=False), CPU, start)[0].eval()
    wrong, loss = scored(champion, digits, temperature)
    forgot, _ = scored(champion, calibration, temperature)
    yield f"{name + ', champion':<40}{wrong:>7}{loss / len(writers):>9.4f}{forgot:>9.1f}"
    for title, variant in variants(recipe).items():
        began, results, others = time.perf_counter(), [], []
        for fold in FOLDS:
            held = np.isin(writers, fold)
            some = digits[0][~held], digits[1][~held]
            network, _ = begin(variant, CPU, learn_on(variant, known, some, start))
            network.eval()
            results.append(scored(network, (digits[0][held], digits[1][held]), temperature))
            others.append(scored(network, calibration, temperature)[0])
        total = np.sum(results, axis=0)
        seconds = (time.perf_counter() - began) / len(FOLDS)
        yield (
            f"{title:<40}{total[0]:>7.0f}{total[1] / len(writers):>9.4f}{np.mean(others):>9.1f}"
            f"{seconds:>9.0f} s"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("networks", nargs="*", default=["small"], help="default: small")
    torch.set_num_threads(1)
    print(f"{'':<40}{'wrong':>7}{'nats':>9}{'MNIST':>9}{'one fold':>11}")
    for name in parser.parse_args().networks:
        for row in rows(name):
            print(row, flush=True)


if __name__ == "__main__":
    main()
