from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from digitrec.model.network import DigitNet
from digitrec.training.loop import Labelled, epoch_order, evaluate, labelled, train_epoch
from digitrec.training.recipes import REPORT

CPU = torch.device("cpu")
RANDOM = np.random.default_rng(0)


@pytest.fixture
def data() -> Labelled:
    """103 images: no multiple of a batch, nor of a number of workers."""
    images = RANDOM.integers(0, 256, (103, 28, 28), dtype=np.uint8)
    return labelled(images, RANDOM.integers(0, 10, 103, dtype=np.uint8), CPU)


def network() -> nn.Module:
    torch.manual_seed(0)
    return DigitNet()


def test_orders_differ_by_epoch_and_seed_and_come_again() -> None:
    orders = [tuple(epoch_order(50, seed, epoch).tolist()) for seed in (0, 1) for epoch in (1, 2)]
    assert len(set(orders)) == 4
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert tuple(epoch_order(50, 0, 1).tolist()) == orders[0]


class KeepsGradients(torch.optim.SGD):
    """Plain steps of size 0 that keep every step's gradient."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        super().__init__(parameters, lr=0.0)
        self.gradients: list[torch.Tensor] = []

    def step(self, closure: None = None) -> None:
        parameters = self.param_groups[0]["params"]
        self.gradients.append(torch.cat([p.grad.flatten() for p in parameters]))


@pytest.mark.parametrize("world_size", [2, 3, 7])
def test_workers_together_take_the_step_of_one(data: Labelled, world_size: int) -> None:
    recipe = replace(REPORT, batch_size=16)

    def gradients(rank: int, size: int) -> list[torch.Tensor]:
        model = network()
        keeper = KeepsGradients(list(model.parameters()))
        train_epoch(model, keeper, data, recipe, 1, rank, size)
        return keeper.gradients

    alone = gradients(0, 1)
    shares = [gradients(rank, world_size) for rank in range(world_size)]
    assert len(alone) == 7
    for step, expected in enumerate(alone):
        averaged = torch.stack([share[step] for share in shares]).mean(0)
        torch.testing.assert_close(averaged, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("world_size", [1, 2, 3, 200])
def test_every_test_image_counts_once(data: Labelled, world_size: int) -> None:
    model = network()
    sums = torch.stack([evaluate(model, data, r, world_size) for r in range(world_size)]).sum(0)
    torch.testing.assert_close(sums, evaluate(model, data), rtol=1e-5, atol=1e-5)
    assert sums[1] == int(sums[1]) <= 103


def test_it_learns(data: Labelled) -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    recipe = replace(REPORT, batch_size=16, learning_rate=3e-3)
    losses = [train_epoch(model, optimizer, data, recipe, epoch).item() for epoch in range(1, 21)]
    assert losses[-1] < losses[0] / 10
    assert evaluate(model, data)[1] == 103
