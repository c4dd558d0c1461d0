"""What Ray Train costs: seconds an epoch and seconds of start-up, beside the same without it.

    python -m tests.benchmarks.train_cost

Each round runs three programs one after the other, so that a slow moment of the machine meets
all of them: the bare training loop in a process of its own, `digitrec train`, and a TorchTrainer
whose training function is empty. Figures are medians over the rounds.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

BARE_LOOP = """
import sys, time, torch
from digitrec.training.loop import begin, evaluate, labelled, train_epoch
from digitrec.training.recipes import REPORT
from digitrec.datasets import mnist

torch.set_num_threads(1)
cpu = torch.device("cpu")
training, test = (labelled(*mnist.load(split), cpu) for split in ("train", "test"))
network, optimizer = begin(REPORT, cpu)
for epoch in range(1, int(sys.argv[1]) + 1):
    start = time.perf_counter()
    train_epoch(network, optimizer, training, REPORT, epoch).item()
    evaluate(network, test).tolist()
    state = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(state, sys.argv[2] + "/state.pt")
    print(time.perf_counter() - start)
"""

EMPTY_TRAINER = """
import sys, ray, ray.train, ray.train.torch

ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
ray.train.torch.TorchTrainer(
    lambda config: None,
    train_loop_config={},
    scaling_config=ray.train.ScalingConfig(num_workers=1),
    run_config=ray.train.RunConfig(name="empty", storage_path=sys.argv[1]),
).fit()
ray.shutdown()
"""


def python(*arguments: str) -> str:
    """Run a Python program; give what it printed."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def bare_loop(epochs: int, folder: str) -> float:
    """Seconds an epoch of training, evaluation and checkpoint, without Ray."""
    return statistics.mean(map(float, python("-c", BARE_LOOP, str(epochs), folder).split()))


def with_ray(epochs: int, folder: str) -> tuple[float, float, float]:
    """Seconds an epoch, seconds until the first one began, and seconds in all, of a real run."""
    start, began = time.perf_counter(), time.time()
    out = f"{folder}/run"
    python("-m", "digitrec.cli", "train", "--quiet", "--epochs", str(epochs), "--out", out)
    elapsed = time.perf_counter() - start
    events = EventAccumulator(f"{out}/tensorboard").Reload().Scalars("loss/train")
    epoch = (events[-1].wall_time - events[0].wall_time) / (epochs - 1)
    return epoch, events[0].wall_time - began - epoch, elapsed


def empty_trainer(folder: str) -> float:
    """Seconds of a whole program that trains nothing with a TorchTrainer."""
    start = time.perf_counter()
    python("-c", EMPTY_TRAINER, folder)
    return time.perf_counter() - start


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5, help="an odd machine needs more")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    rows = []
    for number in range(1, options.rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            bare = bare_loop(options.epochs, folder)
            epoch, start_up, elapsed = with_ray(options.epochs, folder)
            rows.append((bare, epoch, start_up, elapsed, empty_trainer(folder)))
        print(f"round {number}: " + "  ".join(f"{value:.2f}" for value in rows[-1]), flush=True)
    bare, epoch, start_up, elapsed, empty = (
        statistics.median(column) for column in zip(*rows, strict=True)
    )
    ratio = statistics.median(row[1] / row[0] for row in rows)
    more = statistics.median(row[2] - row[4] for row in rows)
    print(f"an epoch, bare loop            {bare:6.2f} s")
    print(f"an epoch, digitrec train       {epoch:6.2f} s   {ratio:.2f} x the bare loop")
    print(f"an empty TorchTrainer          {empty:6.2f} s")
    print(f"start-up of digitrec train     {start_up:6.2f} s   {more:+.2f} s beside the empty one")
    print(f"all of digitrec train          {elapsed:6.2f} s   for {options.epochs} epochs")
    if options.json:
        figures = {"epoch_ratio": ratio, "start_up_seconds_more": more, "rounds": rows}
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
