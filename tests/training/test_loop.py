from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from digitrec.model.network import DigitNet
from digitrec.training.loop import (
    Labelled,
    epoch_batches,
    epoch_order,
    evaluate,
    labelled,
    loss_of,
    train_epoch,
)
from digitrec.training.recipes import REPORT, ROBUST, Recipe

CPU = torch.device("cpu")
RANDOM = np.random.default_rng(0)


@pytest.fixture
def data() -> Labelled:
    """103 images: no multiple of a batch, nor of a number of workers."""
    random = np.random.default_rng(0)  # the same whichever tests have run before
    images = random.integers(0, 256, (103, 28, 28), dtype=np.uint8)
    return labelled(images, random.integers(0, 10, 103, dtype=np.uint8), CPU)


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


def test_without_junk_the_loss_is_plain_cross_entropy() -> None:
    logits = torch.from_numpy(RANDOM.normal(0, 3, (50, 10)).astype(np.float32))
    labels = torch.arange(50) % 10
    right = logits[torch.arange(50), labels]
    expected = (logits.logsumexp(1) - right).sum()
    torch.testing.assert_close(loss_of(logits, labels, junk=False), expected)
    alone = nn.functional.cross_entropy(logits, labels, reduction="sum")
    assert loss_of(logits, labels, junk=False) == alone


def test_junk_is_an_eleventh_class_of_logit_0() -> None:
    logits = torch.from_numpy(RANDOM.normal(0, 3, (55, 10)).astype(np.float32))
    labels = torch.arange(55) % 11
    padded = torch.cat([logits, torch.zeros(55, 1)], 1)
    expected = (padded.logsumexp(1) - padded[torch.arange(55), labels]).sum()
    torch.testing.assert_close(loss_of(logits, labels, junk=True), expected)
    # What is sure to be no digit costs nothing as junk, and much as a digit.
    unlike = torch.full((1, 10), -20.0)
    assert loss_of(unlike, torch.tensor([10]), junk=True) < 1e-6
    assert loss_of(unlike, torch.tensor([3]), junk=True) == pytest.approx(20, abs=1e-3)


def test_an_augmented_epoch_comes_again_and_is_like_no_other(data: Labelled) -> None:
    with_junk = replace(data, labels=torch.arange(103) % 11)
    # Even where the shuffle does not matter, as there is one batch.
    recipe = replace(ROBUST, batch_size=103, seed=4)

    def gradient(epoch: int, seed: int = 4, rank: int = 0) -> torch.Tensor:
        model = network()
        keeper = KeepsGradients(list(model.parameters()))
        some = replace(recipe, seed=seed)
        train_epoch(model, keeper, with_junk, some, epoch, rank, 1 + rank)
        [only] = keeper.gradients
        return only

    first = gradient(1)
    assert torch.equal(gradient(1), first)
    plain = replace(REPORT, batch_size=103, junk=1)
    model = network()
    keeper = KeepsGradients(list(model.parameters()))
    train_epoch(model, keeper, with_junk, plain, 1)
    for other in (gradient(2), gradient(1, seed=5), keeper.gradients[0]):
        assert (other - first).norm() > 0.01 * first.norm()


def test_what_has_no_strength_is_not_augmented(data: Labelled) -> None:
    def loss(strength: float, recipe: Recipe) -> float:
        some = replace(data, strengths=torch.full((103,), strength))
        model = network()
        return train_epoch(
            model, torch.optim.SGD(model.parameters(), lr=0.0), some, recipe, 1
        ).item()

    plain = loss(1, REPORT)
    augmented = replace(ROBUST, batch_size=REPORT.batch_size, junk=0)
    assert loss(0, augmented) == pytest.approx(plain, rel=1e-5)
    assert loss(1, augmented) != pytest.approx(plain, rel=1e-4)


def test_a_resumed_augmented_run_is_the_uninterrupted_one(data: Labelled) -> None:
    """Epoch 2 from the weights after epoch 1, by a process that has not seen epoch 1."""
    recipe = replace(ROBUST, batch_size=16, epochs=2)

    def epoch(number: int, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        model = DigitNet()
        model.load_state_dict(weights)
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        train_epoch(model, optimizer, data, recipe, number)
        return model.state_dict()

    after_one = epoch(1, network().state_dict())
    torch.rand(17)  # what else draws from torch's own generator does not matter
    whole = epoch(2, after_one)
    torch.rand(5)
    for name, tensor in epoch(2, after_one).items():
        assert torch.equal(tensor, whole[name])
    assert any(not torch.equal(t, whole[name]) for name, t in epoch(1, after_one).items())


def test_a_worker_whose_share_of_a_batch_is_empty_goes_on(data: Labelled) -> None:
    """The last of the batches has 3 images: the fourth worker has none of them."""
    recipe = replace(ROBUST, batch_size=50)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    assert train_epoch(model, optimizer, data, recipe, 1, rank=3, world_size=4) > 0


def test_each_batch_has_its_share_of_corrections_and_all_are_used_alike(data: Labelled) -> None:
    some = replace(data, corrections=7)  # of 103
    recipe = replace(REPORT, batch_size=8, corrections=0.25, steps=10)
    epochs = [torch.stack(epoch_batches(some, recipe, epoch)) for epoch in (1, 2)]
    for batches in epochs:
        assert batches.shape == (10, 8)
        assert ((batches >= 96).sum(1) == 2).all()
    seen = torch.cat(epochs).flatten().bincount(minlength=103)
    # 120 places for 96 others, 40 for 7 corrections.
    assert set(seen[:96].tolist()) == {1, 2}
    assert set(seen[96:].tolist()) == {5, 6}
    assert not torch.equal(*epochs)
    assert torch.equal(torch.stack(epoch_batches(some, recipe, 2)), epochs[1])


def test_without_corrections_each_image_is_in_one_batch(data: Labelled) -> None:
    batches = epoch_batches(data, replace(REPORT, batch_size=10), 3)
    assert sorted(torch.cat(batches).tolist()) == list(range(103))


def test_who_agrees_with_the_champion_has_nothing_to_learn_but_corrections(data: Labelled) -> None:
    champion = network().eval()
    keeper = KeepsGradients(list((model := network()).parameters()))
    model.load_state_dict(champion.state_dict())
    recipe = replace(REPORT, batch_size=103, junk=1, distilled=1.0)
    loss = train_epoch(model, keeper, data, recipe, 1, champion=champion)
    assert loss.abs() < 1e-4
    assert keeper.gradients[0].norm() < 1e-4
    corrected = replace(data, corrections=3)
    recipe = replace(recipe, batch_size=100, corrections=0.03)
    train_epoch(model, keeper, corrected, recipe, 1, champion=champion)
    assert keeper.gradients[1].norm() > 1e-3
