from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from digitrec.datasets.synthetic.sets import draw_digits
from digitrec.model.network import unit
from digitrec.training.augment import _basis, _places, _stroke_width, augment
from digitrec.training.recipes import AUGMENTATION, REPORT, ROBUST, Recipe

CPU = torch.device("cpu")
AXIS = torch.arange(28) + 0.5


@pytest.fixture(scope="module")
def digits() -> Tensor:
    """40 digits float32 [40, 1, 28, 28]."""
    return unit(torch.from_numpy(draw_digits(40, 0)[0]))


def alone(field: str, value: float) -> Recipe:
    return replace(REPORT, **{field: value})


def augmented(images: Tensor, recipe: Recipe, seed: int = 0) -> Tensor:
    before = images.clone()
    full = torch.ones(len(images))
    changed = augment(images, recipe, torch.Generator().manual_seed(seed), full)
    assert torch.equal(images, before)
    assert changed.shape == images.shape
    assert changed.dtype == torch.float32
    return changed


def centre(images: Tensor) -> Tensor:
    """Give each image's centre of mass, [N, 2]: x and y."""
    ink = images[:, 0]
    sides = [ink.sum(1) @ AXIS, ink.sum(2) @ AXIS]
    return torch.stack(sides, 1) / ink.sum((1, 2))[:, None]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(0, 2**32), st.sampled_from([0.0, 1.0, 0.5]))
def test_any_batch_keeps_its_shape_and_range(count: int, seed: int, level: float) -> None:
    rng = np.random.default_rng(seed)
    images = torch.from_numpy((rng.random((count, 1, 28, 28)) < level).astype(np.float32))
    changed = augmented(images, ROBUST, seed)
    assert ((changed >= 0) & (changed <= 1)).all()


def test_a_clean_image_stays_as_it_is(digits: Tensor) -> None:
    # Sampling each pixel at its own place rounds.
    torch.testing.assert_close(
        augmented(digits, replace(ROBUST, clean_share=1)), digits, atol=1e-4, rtol=0
    )


def test_the_clean_share_is_kept(digits: Tensor) -> None:
    many = digits.repeat(25, 1, 1, 1)
    kept = (augmented(many, replace(ROBUST, clean_share=0.3)) - many).abs().amax((1, 2, 3)) < 1e-4
    assert kept.float().mean() == pytest.approx(0.3, abs=0.05)
    changed = augmented(many, replace(ROBUST, clean_share=0)) - many
    assert (changed.abs().amax((1, 2, 3)) > 1e-4).all()


def test_an_images_own_strength_bounds_its_changes(digits: Tensor) -> None:
    recipe = replace(ROBUST, clean_share=0)
    many, strengths = digits.repeat(10, 1, 1, 1), torch.linspace(0, 1, 400)
    changed = augment(many, recipe, torch.Generator().manual_seed(0), strengths)
    apart = (changed - many).abs().mean((1, 2, 3))
    assert apart[0] < 1e-4
    assert 2 * apart[1:101].mean() < apart[300:].mean()


def test_a_generators_seed_gives_its_batch_again(digits: Tensor) -> None:
    assert torch.equal(augmented(digits, ROBUST, 5), augmented(digits, ROBUST, 5))
    assert not torch.equal(augmented(digits, ROBUST, 5), augmented(digits, ROBUST, 6))


def test_equal_images_are_changed_each_in_its_way(digits: Tensor) -> None:
    changed = augmented(digits[:1].repeat(30, 1, 1, 1), replace(ROBUST, clean_share=0))
    assert len({image.numpy().tobytes() for image in changed}) == 30


@pytest.mark.parametrize("field", AUGMENTATION)
def test_each_setting_alone_changes_the_batch(digits: Tensor, field: str) -> None:
    changed = augmented(digits, alone(field, getattr(ROBUST, field)))
    apart = (changed - digits).abs().mean((1, 2, 3))
    assert (apart > 2e-4).float().mean() > 0.9
    assert apart.mean() < 0.15  # they are still those digits


def test_without_a_setting_nothing_changes(digits: Tensor) -> None:
    assert not REPORT.augments
    assert ROBUST.augments
    torch.testing.assert_close(augmented(digits, REPORT), digits, atol=1e-4, rtol=0)


def test_a_pen_grows_and_shrinks_by_a_pixel_on_each_side() -> None:
    bar = torch.zeros(1, 1, 28, 28)
    bar[..., 8:20, 12:16] = 1

    def drawn(amount: float) -> Tensor:
        return _stroke_width(bar, torch.full((1, 1, 1, 1), amount))

    assert torch.equal(drawn(0), bar)
    assert drawn(1).sum() == 14 * 6
    assert drawn(-1).sum() == 10 * 2
    assert drawn(0.5).sum() == (14 * 6 + 12 * 4) / 2
    assert drawn(-0.5).sum() == (10 * 2 + 12 * 4) / 2


def test_stroke_width_thickens_and_thins(digits: Tensor) -> None:
    recipe = alone("stroke_width", 0.6)
    ratio = augmented(digits, recipe).mean((1, 2, 3)) / digits.mean((1, 2, 3))
    assert 8 < (ratio > 1.005).sum() < 32
    assert 8 < (ratio < 0.995).sum() < 32
    wider = augmented(digits, alone("stroke_width", 1.0)).mean((1, 2, 3)) / digits.mean((1, 2, 3))
    assert wider.max() > ratio.max()
    assert wider.min() < ratio.min()


@pytest.mark.parametrize("pixels", [0.5, 2.0, 4.0])
def test_a_shift_goes_no_further_than_it_may(pixels: float) -> None:
    blob = torch.zeros(300, 1, 28, 28)
    blob[..., 11:17, 12:15] = 1
    moved = centre(augmented(blob, alone("shift", pixels))) - centre(blob)
    assert moved.abs().max() <= pixels + 1e-3
    for axis in (0, 1):
        assert moved[:, axis].max() > 0.6 * pixels
        assert moved[:, axis].min() < -0.6 * pixels


def test_scale_grows_and_shrinks_by_its_factor() -> None:
    square = torch.zeros(300, 1, 28, 28)
    square[..., 9:19, 9:19] = 1
    area = augmented(square, alone("scale", 0.2)).sum((1, 2, 3)) / 100
    assert np.exp(-0.4) - 0.02 <= area.min() < 0.85
    assert 1.15 < area.max() <= np.exp(0.4) + 0.05


def test_a_rotation_turns_no_further_than_it_may() -> None:
    bar = torch.zeros(300, 1, 28, 28)
    bar[..., 4:24, 13:15] = 1
    turned = augmented(bar, alone("rotation", 15))[:, 0]
    x, y = AXIS - 14, (AXIS - 14)[:, None]
    mass = turned.sum((1, 2))
    xx, yy, xy = ((turned * part).sum((1, 2)) / mass for part in (x * x, y * y, x * y))
    degrees = torch.rad2deg(torch.atan2(2 * xy, yy - xx) / 2)
    assert degrees.abs().max() <= 15.1
    assert degrees.max() > 10
    assert degrees.min() < -10


def test_the_bumps_sums_have_deviation_1() -> None:
    basis = _basis(CPU)
    assert basis.shape == (49, 784)
    torch.testing.assert_close(basis.square().sum(0), torch.ones(784))


@pytest.mark.parametrize("pixels", [0.7, 1.4])
def test_an_elastic_field_has_the_deviation_asked_for(pixels: float) -> None:
    count, generator = 500, torch.Generator().manual_seed(0)

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(count).uniform_(low, high, generator=generator)

    full = torch.ones(count)
    bent, straight = (
        _places(alone("elastic", some), full, uniform, generator) for some in (pixels, 0.0)
    )
    field = (bent - straight) * (28 / 2)
    assert field.std() == pytest.approx(pixels, rel=0.05)
    # It is smooth: neighbours go nearly the same way.
    assert (field[:, 1:] - field[:, :-1]).std() < 0.35 * pixels


def test_blur_and_noise_do_what_their_names_say(digits: Tensor) -> None:
    def edges(images: Tensor) -> Tensor:
        return (images[..., 1:] - images[..., :-1]).abs().mean((1, 2, 3))

    blurred = augmented(digits, alone("blur", 1.0))
    assert (edges(blurred) < edges(digits) + 1e-4).all()
    assert edges(blurred).mean() < 0.9 * edges(digits).mean()
    grey = torch.full((200, 1, 28, 28), 0.5)
    deviations = augmented(grey, alone("noise", 0.05)).std((1, 2, 3))
    # At the border a pixel's place may be rounded beyond the image: hence the slack.
    assert deviations.max() < 0.05 * 1.1
    assert deviations.max() > 0.04
