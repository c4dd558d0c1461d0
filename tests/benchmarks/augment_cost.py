"""What the augmentation costs: a training step with it beside the plain step.

    python -m tests.benchmarks.augment_cost

Both take turns, in rounds of a few dozen steps, so that a slow moment of the machine meets both.
"""

import argparse
import statistics
import time

import torch

from digitrec.datasets import mnist
from digitrec.model.network import standardize, unit
from digitrec.training.augment import augment
from digitrec.training.loop import begin, loss_of
from digitrec.training.recipes import ROBUST

STEPS = 40


def main() -> None:
    """Time both and print their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    images, labels = (torch.tensor(part) for part in mnist.load("train"))
    network, optimizer = begin(ROBUST, torch.device("cpu"))
    generator, full = torch.Generator().manual_seed(0), torch.ones(ROBUST.batch_size)

    def step(start: int, *, augmented: bool) -> None:
        chosen = slice(start, start + ROBUST.batch_size)
        batch = unit(images[chosen])
        if augmented:
            batch = augment(batch, ROBUST, generator, full)
        optimizer.zero_grad(set_to_none=True)
        logits = network(standardize(batch))
        loss_of(logits, labels[chosen].long(), junk=True).backward()
        optimizer.step()

    def seconds(*, augmented: bool) -> float:
        start = time.perf_counter()
        for k in range(STEPS):
            step(k * ROBUST.batch_size, augmented=augmented)
        return (time.perf_counter() - start) / STEPS

    rows = [(seconds(augmented=False), seconds(augmented=True)) for _ in range(options.rounds + 1)][
        1:
    ]  # the first round warms up
    plain, with_it = (1000 * statistics.median(column) for column in zip(*rows, strict=True))
    ratio = statistics.median(row[1] / row[0] - 1 for row in rows)
    print(f"plain step       {plain:6.2f} ms   batch of {ROBUST.batch_size}, one thread")
    print(f"augmented step   {with_it:6.2f} ms")
    print(f"augmentation     {100 * ratio:6.0f} % of the plain step")


if __name__ == "__main__":
    main()
