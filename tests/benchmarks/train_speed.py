"""How fast training is: `digitrec train`, the same loop without Ray, and the usual way.

    python -m tests.benchmarks.train_speed

Each round trains the report's recipe, the robust one and the large network's for two epochs by
three programs, one after the other, each in a process of its own, on one worker with one thread.
The figures are of the second epoch: images a second of the training alone, without evaluation.

The usual way is PyTorch's own example for MNIST: torchvision's data set with its transforms, and a
`DataLoader` (in this process, as the example has it on a CPU), the same network, batch size and
Adam. It changes images by RandomAffine alone, where the robust recipes change them by more; and it
has neither drawn digits nor coarse scans nor junk.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

BARE, DIGITREC, LOADER = "bare loop", "digitrec train", "DataLoader"
# As `--recipe` and `--network` name them.
RECIPES = {
    "report": ("report", "small"),
    "robust": ("robust", "small"),
    "robust, large": ("robust", "large"),
}
EPOCHS = 2

BARE_LOOP = """
import sys, time, torch
from dataclasses import replace
from digitrec.training.data import joined, strengths, training_parts
from digitrec.training.loop import begin, labelled, train_epoch
from digitrec.training.recipes import RECIPES
recipe = replace(RECIPES[sys.argv[1], sys.argv[2]], epochs=int(sys.argv[3]))
torch.set_num_threads(1)
cpu, parts = torch.device("cpu"), training_parts(recipe, None)
data = labelled(*joined(parts), cpu, strengths(parts, recipe))
network, optimizer = begin(recipe, cpu)
for epoch in range(1, recipe.epochs + 1):
    start = time.perf_counter()
    train_epoch(network, optimizer, data, recipe, epoch).item()
    speed = len(data) / (time.perf_counter() - start)
print(speed)
"""

DATA_LOADER = """
import sys, time, torch
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import datasets, transforms
from digitrec.storage.cache import cache_folder
from digitrec.model.network import MNIST_MEAN, MNIST_STD, NETWORKS
from digitrec.training.recipes import RECIPES
recipe = RECIPES[sys.argv[1], sys.argv[2]]
torch.set_num_threads(1)
changes = [transforms.RandomAffine(15, (0.05, 0.05), (0.9, 1.1), 11)] if recipe.augments else []
usual = [*changes, transforms.ToTensor(), transforms.Normalize((MNIST_MEAN,), (MNIST_STD,))]
training = datasets.MNIST(cache_folder(), train=True, transform=transforms.Compose(usual))
loader = DataLoader(training, batch_size=recipe.batch_size, shuffle=True)
network = NETWORKS[recipe.network](batch_norm=recipe.batch_norm)
optimizer = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
network.train()
for epoch in range(int(sys.argv[3])):
    start = time.perf_counter()
    for images, labels in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
    speed = len(training) / (time.perf_counter() - start)
print(speed)
"""


def python(*arguments: str) -> str:
    """Run a Python program with one thread; give what it printed."""
    command, environment = [sys.executable, *arguments], {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)[:200]} … failed:\n{done.stderr[-3000:]}")
    return done.stdout


def measured(program: str, recipe: str, network: str) -> float:
    """Images a second of the last epoch, by one of the programs."""
    if program != DIGITREC:
        source = BARE_LOOP if program == BARE else DATA_LOADER
        return float(python("-c", source, recipe, network, str(EPOCHS)))
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/run"
        options = ["--recipe", recipe, "--network", network, "--epochs", str(EPOCHS), "--out", out]
        python("-m", "digitrec.cli", "train", "--quiet", *options)
        last = Path(out, "log.jsonl").read_text("utf-8").splitlines()[-1]
    return float(json.loads(last)["images_per_second"])


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    programs = (BARE, DIGITREC, LOADER)
    print(f"{'images/s of training':<22}" + "".join(f"{name:>16}" for name in programs), end="")
    print(f"{'÷ bare loop':>14}{'÷ DataLoader':>15}")
    for name, (recipe, network) in RECIPES.items():
        rounds = [
            [measured(program, recipe, network) for program in programs]
            for _ in range(options.rounds)
        ]
        bare, ours, loader = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratios = [statistics.median(row[1] / row[k] for row in rounds) for k in (0, 2)]
        print(f"{name:<22}{bare:>16,.0f}{ours:>16,.0f}{loader:>16,.0f}", end="")
        print(f"{ratios[0]:>14.2f}{ratios[1]:>15.2f}", flush=True)


if __name__ == "__main__":
    main()
