"""Random changes of a batch of images, as tensors on any device: what `ROBUST` trains on.

Each stands for something that people, pens, scanners and the normalizer do to a digit. They are
made of few passes over the batch, so that they cost less than the network's own step.
"""

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from digitrec.normalize.arrays import SIDE
from digitrec.training.recipes import Recipe

WEAKEST = 0.3  # of the random strength of an image that is changed
# The field that bends a digit is a sum of bumps on a grid of GRID × GRID, each so wide (in pixels).
GRID, BUMP = 7, 4.5
BLUR = (0.0545, 0.2442, 0.4026, 0.2442, 0.0545)  # a Gaussian of 1 pixel


def augment(
    images: Tensor, recipe: Recipe, generator: torch.Generator, strengths: Tensor
) -> Tensor:
    """Change each image at random, as far as its own random strength and the recipe say.

    Args:
        images: float32 [N, 1, 28, 28], 0 (paper) to 1 (full ink), in random order.
        recipe: how far each change may go; `clean_share` of the images stay as they are,
            and pen and scanner change the first `pen_share` of them.
        generator: on the images' device.
        strengths: float32 [N], 0 to 1: how much of it each image gets at most.

    Returns:
        float32 [N, 1, 28, 28], 0 to 1.
    """
    count, device = len(images), images.device
    if not count:  # a worker's share of a run's last batch
        return images

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(count, device=device).uniform_(low, high, generator=generator)

    strength = torch.where(uniform(0, 1) < recipe.clean_share, 0.0, uniform(WEAKEST, 1)) * strengths
    places = _places(recipe, strength, uniform, generator)
    changed = F.grid_sample(images, places, align_corners=False)
    some = slice(0, round(recipe.pen_share * count))  # of a shuffled batch, as good as any
    changed[some] = _pen_and_scanner(changed[some], recipe, strength[some], generator)
    return changed


def _pen_and_scanner(
    images: Tensor, recipe: Recipe, strength: Tensor, generator: torch.Generator
) -> Tensor:
    """Change stroke width, sharpness, contrast and grain: float32 [N, 1, 28, 28]."""

    def amount(limit: float, low: float = -1) -> Tensor:
        shares = torch.empty_like(strength).uniform_(low * limit, limit, generator=generator)
        return (strength * shares).view(-1, 1, 1, 1)

    if recipe.stroke_width:
        images = _stroke_width(images, amount(recipe.stroke_width))
    if recipe.blur:
        images = images.lerp(_blurred(images), amount(recipe.blur, 0))
    if recipe.contrast:
        images = images + amount(recipe.contrast) * images * (1 - images)
        images = images * (1 + amount(recipe.contrast / 2))
    if recipe.noise:
        grain = torch.empty_like(images).normal_(generator=generator)
        images = images + amount(recipe.noise, 0) * grain
    return images.clamp(0, 1)


def _places(
    recipe: Recipe,
    strength: Tensor,
    uniform: Callable[[float, float], Tensor],
    generator: torch.Generator,
) -> Tensor:
    """Say where each pixel comes from: float32 [N, 28, 28, 2], as `grid_sample` takes it."""
    count = len(strength)
    turn = strength * uniform(-1, 1) * math.radians(recipe.rotation)
    slant = strength * uniform(-1, 1) * recipe.shear
    high = torch.exp(strength * uniform(-1, 1) * recipe.scale)
    wide = high * torch.exp(strength * uniform(-1, 1) * recipe.aspect)
    cos, sin = torch.cos(turn), torch.sin(turn)
    rows = [
        torch.stack([cos * wide, (cos * slant - sin) * high], 1),
        torch.stack([sin * wide, (sin * slant + cos) * high], 1),
    ]
    shift = torch.stack([strength * uniform(-1, 1) * (recipe.shift * 2 / SIDE) for _ in "xy"], 1)
    theta = torch.cat([torch.stack(rows, 1), shift[:, :, None]], 2)
    places = F.affine_grid(theta, [count, 1, SIDE, SIDE], align_corners=False)
    if recipe.elastic:
        bumps = torch.empty(count * 2, GRID**2, device=strength.device).normal_(generator=generator)
        bumps = bumps.view(count, 2, -1) * (strength * (recipe.elastic * 2 / SIDE)).view(-1, 1, 1)
        field = (bumps.view(count * 2, -1) @ _basis(strength.device)).view(count, 2, SIDE, SIDE)
        places = places + field.permute(0, 2, 3, 1)
    return places


@functools.cache
def _basis(device: torch.device) -> Tensor:
    """Return bumps float32 [49, 784] whose sums with normal weights have deviation 1."""
    grid = torch.linspace(-2, SIDE + 1, GRID)
    along = torch.exp(-((grid[:, None] - torch.arange(SIDE)[None]) ** 2) / (2 * BUMP**2))
    bumps = (along[:, None, :, None] * along[None, :, None, :]).reshape(GRID**2, SIDE**2)
    return (bumps / bumps.square().sum(0).sqrt()).to(device)


def _stroke_width(images: Tensor, amount: Tensor) -> Tensor:
    """Thicken (above 0) or thin strokes by up to a pixel on each side: amount [N, 1, 1, 1]."""
    padded = F.pad(images, (1, 1, 1, 1))
    middle = padded[..., 1:-1, :]
    across = torch.maximum(torch.maximum(padded[..., :-2, :], padded[..., 2:, :]), middle)
    thick = torch.maximum(torch.maximum(across[..., :-2], across[..., 2:]), across[..., 1:-1])
    across = torch.minimum(torch.minimum(padded[..., :-2, :], padded[..., 2:, :]), middle)
    thin = torch.minimum(torch.minimum(across[..., :-2], across[..., 2:]), across[..., 1:-1])
    return images + amount.clamp(min=0) * (thick - images) + amount.clamp(max=0) * (images - thin)


def _blurred(images: Tensor) -> Tensor:
    kernel = images.new_tensor(BLUR)
    across = F.conv2d(images, kernel.view(1, 1, 1, -1), padding=(0, 2))
    return F.conv2d(across, kernel.view(1, 1, -1, 1), padding=(2, 0))
