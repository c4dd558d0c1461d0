"""How the ink network learns: deterministic, whoever draws; loss, step size and measures."""

from dataclasses import replace
from itertools import repeat

import numpy as np
import pytest
import ray
import torch

from digitrec.datasets.synthetic.ink_samples import InkSamples, draw_samples
from digitrec.datasets.synthetic.papers import TRAINED
from digitrec.datasets.synthetic.sets import draw_digits
from digitrec.training.data import validation_digits
from digitrec.training.ink import (
    begin_ink,
    ink_loss,
    mark_quality,
    mark_sums,
    sums_of,
    train_ink_epoch,
)
from digitrec.training.ink_batches import draw_share, drawn_shares
from digitrec.training.ink_data import training_digits
from digitrec.training.ink_recipe import INK, ink_rate_at

IMAGES = draw_digits(40, 0)[0]
CPU = torch.device("cpu")
SHORT = replace(INK, batch_size=4, epochs=2, steps=3)


def test_the_shares_of_several_workers_are_the_batch_of_one() -> None:
    [whole, *shares] = [
        draw_share(SHORT, IMAGES, 2, rank, world_size)
        for rank, world_size in ((0, 1), (0, 3), (1, 3), (2, 3))
    ]
    for rank, share in enumerate(shares):
        assert (share.scans == whole.scans[rank::3]).all()
        assert (share.marks == whole.marks[rank::3]).all()
    assert len({scan.tobytes() for scan in whole.scans}) == 4
    others = draw_share(SHORT, IMAGES, 3).scans
    assert (others != whole.scans).any((1, 2)).sum() >= 3  # what is white all over is alike
    other = draw_share(replace(SHORT, seed=1), IMAGES, 2)
    assert (other.scans != whole.scans).any((1, 2)).all()


@pytest.mark.usefixtures("ray_local")
def test_ray_draws_the_steps_in_their_order_from_any_epoch_on() -> None:
    images = ray.put(IMAGES)
    expected = [draw_share(SHORT, IMAGES, step, 1, 2).scans for step in range(6)]
    for at_once, first_epoch in ((1, 1), (3, 2)):
        drawn = drawn_shares(SHORT, images, at_once, first_epoch, 1, 2)
        steps = expected[3 * (first_epoch - 1) :]
        for share, scans in zip(drawn, steps, strict=True):
            assert (share.scans == scans).all()


def test_a_network_learns_the_same_of_the_same_samples_and_learns() -> None:
    recipe = replace(INK, batch_size=12, epochs=1, steps=25)
    samples = draw_samples(12, [0], IMAGES, TRAINED)
    weights, losses = [], []
    for _ in range(2):
        network, optimizer = begin_ink(recipe, CPU)
        first = train_ink_epoch(network, optimizer, [samples], replace(recipe, steps=1), 1)
        network, optimizer = begin_ink(recipe, CPU)
        whole = train_ink_epoch(network, optimizer, repeat(samples, 25), recipe, 1)
        losses.append((first.item() / 12, whole.item() / (25 * 12)))
        weights.append(torch.cat([p.detach().flatten() for p in network.parameters()]))
    assert torch.equal(*weights)
    assert losses[0] == losses[1]
    assert losses[0][1] < 0.8 * losses[0][0]


def test_certain_and_right_marks_cost_nothing_and_wrong_ones_much() -> None:
    target = torch.zeros(2, 64, 64, dtype=torch.bool)
    target[0, 20:40, 30:34] = True
    right = torch.where(target, 20.0, -20.0)
    written = torch.tensor([20.0, -20.0])
    assert ink_loss(right, written, target) < 0.01
    assert ink_loss(right, -written, target) > 1
    assert ink_loss(-right, written, target) > 10


def test_small_writing_that_is_missed_costs_more_than_its_pixels() -> None:
    target = torch.zeros(2, 64, 64, dtype=torch.bool)
    target[0, 30:34, 30:34] = True
    missed = torch.full((2, 64, 64), -6.0)
    assert ink_loss(missed, torch.tensor([20.0, -20.0]), target) > 0.1


def test_the_step_size_rises_and_then_falls_to_nearly_nothing() -> None:
    rates = [ink_rate_at(INK, progress) for progress in (0, 0.05, 0.5, 1)]
    assert rates[1] == pytest.approx(INK.learning_rate)
    assert rates[0] < rates[2] < rates[1]
    assert 0 < rates[3] < 0.01 * INK.learning_rate


def test_marks_are_measured_on_written_and_on_empty_scans() -> None:
    truth = np.zeros((4, 64, 64), bool)
    truth[:2, :20, :20] = True
    found = truth.copy()
    found[0, :20, 10:20] = False  # a half
    found[1] = False  # all of it
    found[2, :3, :5] = True  # a speck on an empty one
    found[3, :8, :8] = True  # a blot on the other
    measured = mark_quality(sums_of(found, truth))
    assert measured.iou == 0.25
    assert measured.written_missed == 0.5
    assert measured.empty_marked == 0.5


def test_what_several_workers_measure_adds_up_to_what_one_does() -> None:
    network, _ = begin_ink(SHORT, CPU)
    samples = draw_samples(9, [5], IMAGES, TRAINED)
    shares = [mark_sums(network, samples, rank, 4) for rank in range(4)]
    # Other batches, other roundings: a pixel whose logit is 0 may fall to either side.
    np.testing.assert_allclose(sum(shares), mark_sums(network, samples), atol=0.05)


def test_a_worker_steps_by_its_share_of_the_batch() -> None:
    """The batch has 4 samples; this worker of two has one of them, so half of a mean counts."""
    recipe = replace(SHORT, steps=1)
    samples = draw_samples(1, [0], IMAGES, TRAINED)

    def gradient(share: InkSamples, batch_size: int, world_size: int) -> torch.Tensor:
        network, _ = begin_ink(recipe, CPU)
        still = torch.optim.SGD(network.parameters(), lr=0.0)
        asked = replace(recipe, batch_size=batch_size)
        train_ink_epoch(network, still, [share], asked, 1, world_size)
        return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])

    alone, shared = gradient(samples, 1, 1), gradient(samples, 4, 2)
    torch.testing.assert_close(shared, alone / 2)
    assert alone.abs().max() > 0


def test_a_recipe_says_what_is_wrong_with_it() -> None:
    with pytest.raises(ValueError, match="steps must be 1 or more, not 0"):
        replace(INK, steps=0)
    with pytest.raises(ValueError, match="learning_rate must be a number above 0, not -1"):
        replace(INK, learning_rate=-1)


def test_what_is_measured_on_is_not_trained_on() -> None:
    (trained, _), (measured, labels) = training_digits(), validation_digits()
    assert (len(trained), len(measured), len(labels)) == (45_000, 5_000, 5_000)
    kept = {image.tobytes() for image in trained}
    assert sum(image.tobytes() in kept for image in measured) == 0
