"""What an ink network's run draws its samples from, and what it is measured on."""

from collections.abc import Mapping
from pathlib import Path

from digitrec.datasets.synthetic.ink_samples import InkSamples, draw_samples
from digitrec.datasets.synthetic.papers import HELD_BACK
from digitrec.training.data import Arrays, digits_without, validation_digits
from digitrec.training.ink_recipe import InkRecipe

# Of the samples that an epoch is measured on: no training step has it.
MEASURED_SEED, MEASURED_SAMPLES = 2**31, 1024
# The kinds of print on them: those that the network learns, and those that it never sees.
SEEN, HELD = "seen kinds", "held-back kinds"


def training_digits(data: Path | None = None) -> Arrays:
    """Return MNIST's images to train on, uint8 [45000, 28, 28], and their labels.

    Raises:
        MnistError: MNIST can't be had.
    """
    return digits_without("validation", data)


def measured_samples(recipe: InkRecipe, data: Path | None) -> Mapping[str, InkSamples]:
    """Draw what every epoch is measured on, with the digits of the validation part."""
    images, _ = validation_digits(data)
    seed = [MEASURED_SEED, recipe.seed]
    return {
        SEEN: draw_samples(MEASURED_SAMPLES, seed, images, recipe.kinds),
        HELD: draw_samples(MEASURED_SAMPLES, seed, images, HELD_BACK),
    }
