"""A small champion, and corrections of our own drawing: what a retraining needs, in seconds."""

import csv
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from digitrec.datasets.labelled import png
from digitrec.datasets.synthetic.sets import draw_digit
from digitrec.model.bundle import save_bundle
from digitrec.training.loop import begin, labelled, train_epoch
from digitrec.training.recipes import REPORT
from tests.small_mnist.make import load_small

# The report's recipe on a thousand digits: it reads most of them, and has a lot to learn.
RECIPE = replace(REPORT, epochs=2, learning_rate=0.003, batch_size=32)
WRITERS = 8


def make_champion(folder: Path) -> Path:
    """Train the report's network for some seconds, without Ray; give its bundle."""
    torch.set_num_threads(1)
    network, optimizer = begin(RECIPE, torch.device("cpu"))
    data = labelled(*load_small("train"), torch.device("cpu"))
    for epoch in range(1, RECIPE.epochs + 1):
        train_epoch(network, optimizer, data, RECIPE, epoch)
    save_bundle(folder, network.eval(), recipe=asdict(RECIPE), data={})
    return folder


def make_corrections(folder: Path, count: int = 160, seed: int = 5) -> Path:
    """Draw digits on large scans, by some writers; give a table of what they show."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    rows = []
    for k in range(count):
        scan = draw_digit(k % 10, rng)
        (folder / f"{k:03d}.png").write_bytes(png(np.asarray(scan, np.uint8)))
        rows.append((f"{k:03d}.png", k % 10, f"writer {k // 10 % WRITERS}"))
    table = folder / "corrections.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "group"))
        writer.writerows(rows)
    return table
