"""Recipes: every setting of a training run, as one frozen dataclass.

A new recipe is written `replace(REPORT, …)`, which shows exactly what it changes.
"""

import math
from dataclasses import dataclass, replace

# Which images a run leaves out of MNIST's training set, from none to the most.
HOLD_OUT = ("nothing", "calibration", "validation")


def check_counts(**fields: int) -> None:
    """Raise ValueError for a field below 1."""
    for name, value in fields.items():
        if value < 1:
            raise ValueError(f"{name} must be 1 or more, not {value}")


def check_rates(**fields: float) -> None:
    """Raise ValueError for a field that is no number above 0."""
    for name, value in fields.items():
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be a number above 0, not {value}")


def check_seed(seed: int) -> None:
    """Raise ValueError for a seed that torch or numpy would not take."""
    if not 0 <= seed < 2**31:
        raise ValueError(f"seed must be from 0 to 2147483647, not {seed}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """The settings of one training run: Adam on cross-entropy, shuffled anew each epoch.

    Raises:
        ValueError: a field is out of its range; the message names field and value.
    """

    name: str
    batch_size: int  # images a step, over all workers together
    epochs: int
    learning_rate: float  # Adam's step size; of a schedule, the highest
    network: str = "small"  # or large: see `digitrec.model.network`
    seed: int = 0  # of the first weights, of every epoch's shuffle and of all that is random
    schedule: str = "constant"  # or one-cycle: see `learning_rate_at`
    batch_norm: bool = False  # while it is trained: folded into the convolutions afterwards
    weight_decay: float = 0.0  # apart from the gradient, as in AdamW
    # What it is trained on: MNIST's training images, and what is drawn beside them.
    hold_out: str = "nothing"  # see HOLD_OUT; "validation" leaves the calibration part out too
    coarse: int = 0  # of its images once more, as scans of few pixels give them
    drawn: int = 0  # drawn digits, in the styles that MNIST lacks
    junk: int = 0  # drawn scans that show no digit
    papers: int = 0  # drawn papers, written or empty, as a closer look reads them
    ink: str | None = None  # id of the ink network that looks; None: the one that digitrec ships
    given: str | None = None  # id of the labelled sets beside MNIST, or in its place; None: none
    # Of a run that goes on from a bundle, the champion; see `further`.
    start: str | None = None  # its id
    corrections: float = 0.0  # share of each batch that people corrected
    distilled: float = 0.0  # of the rest: share of what the champion says in what labels say
    steps: int | None = None  # an epoch at most; None: as many as it has batches
    kept: float = 0.0  # share of its weights in those that the run leaves
    # How far `augment` goes: each image by a random share of these.
    clean_share: float = 0.0  # share of the images that stay as they are
    drawn_strength: float = 1.0  # of it all, on what is drawn: it varies of itself
    known_strength: float = 1.0  # of it all, on all but corrections
    rotation: float = 0.0  # degrees
    shear: float = 0.0  # pixels to the side for each upwards
    aspect: float = 0.0  # of the width alone: the logarithm of a factor
    scale: float = 0.0  # of width and height together: the logarithm of a factor
    shift: float = 0.0  # pixels
    elastic: float = 0.0  # pixels, the deviation of a smooth field
    pen_share: float = 1.0  # share of the images whose pen and scanner change too, as follows
    stroke_width: float = 0.0  # pixels by which strokes grow or shrink on each side
    blur: float = 0.0  # how much of a blurred image is mixed in, 0 to 1
    contrast: float = 0.0  # by which half-tones change; full ink by half as much
    noise: float = 0.0  # deviation, full ink being 1
    # Fitted on the validation part by runs that left it out; a run with junk alone has the second.
    temperature: float = 1.0  # logits are divided by it before the softmax
    min_digit_score: float | None = None  # what has less goes to review as not-a-digit
    reread_below: float = 0.0  # what the network is less certain of is read five times
    reread: float = 0.0  # the share of digits for which that is so, where it is fitted

    def __post_init__(self) -> None:
        check_counts(batch_size=self.batch_size, epochs=self.epochs)
        check_rates(learning_rate=self.learning_rate, temperature=self.temperature)
        check_seed(self.seed)
        if self.steps is not None:
            check_counts(steps=self.steps)
        for name, most in (("corrections", 0.9), ("kept", 0.9), ("distilled", 1)):
            if not 0 <= (share := getattr(self, name)) <= most:
                raise ValueError(f"{name} must be from 0 to {most}, not {share:g}")
        for field, known in (
            ("network", ("small", "large")),
            ("schedule", ("constant", "one-cycle")),
            ("hold_out", HOLD_OUT),
        ):
            if getattr(self, field) not in known:
                raise ValueError(f"{field} must be one of {', '.join(known)}")

    @property
    def augments(self) -> bool:
        """Whether the images are changed at random."""
        return any(getattr(self, part) for part in AUGMENTATION)


# The fields that say how far `augment` goes.
AUGMENTATION = (
    "rotation", "shear", "aspect", "scale", "shift", "elastic", "stroke_width", "blur",
    "contrast", "noise",
)  # fmt: skip

# The share of a one-cycle schedule in which the learning rate rises.
RISE = 0.1


def learning_rate_at(recipe: Recipe, progress: float) -> float:
    """Return the step size when a share `progress` of the run, 0 to 1, is done.

    One cycle rises over a tenth of the run from a 25th of the recipe's learning rate, and falls
    as a cosine to a 100th of it (Smith and Topin, "Super-convergence", 2018).
    """
    if recipe.schedule == "constant":
        return recipe.learning_rate
    if progress < RISE:
        return recipe.learning_rate * (0.04 + 0.96 * progress / RISE)
    fall = (1 + math.cos(math.pi * (progress - RISE) / (1 - RISE))) / 2
    return recipe.learning_rate * (0.01 + 0.99 * fall)


# The report's figures 3 and 4. It names "data augmentation" without saying which: there is none.
REPORT = Recipe(name="report", batch_size=128, epochs=30, learning_rate=0.0005)

# The report's other settings, by the figures that show them.
STUDY = {
    "figure 6": replace(REPORT, name="report-batch32-lr1e-3", batch_size=32, learning_rate=1e-3),
    "figure 7": replace(REPORT, name="report-lr1e-3", learning_rate=1e-3),
    "figures 9 and 10": replace(REPORT, name="report-lr1e-6", learning_rate=1e-6),
    "figure 11": replace(REPORT, name="report-lr1e-5", learning_rate=1e-5),
}

# The report's network, trained to hold up outside of MNIST. What each part gives is measured by
# `python -m tests.benchmarks.ablation`.
ROBUST = Recipe(
    name="robust",
    batch_size=128,
    epochs=40,
    learning_rate=0.01,
    schedule="one-cycle",
    batch_norm=True,
    weight_decay=0.02,
    hold_out="calibration",
    coarse=5_000,
    drawn=12_000,
    junk=4_000,
    papers=16_000,
    clean_share=0.1,
    drawn_strength=0.4,
    rotation=15,
    shear=0.2,
    aspect=0.12,
    scale=0.12,
    shift=1.5,
    elastic=1.0,
    pen_share=0.3,
    stroke_width=0.6,
    blur=0.7,
    contrast=0.6,
    noise=0.05,
    temperature=1.19,
    min_digit_score=0.933,
    reread_below=0.998,
    reread=0.25,
)

# The same for the large network, which learns more of images that are changed less.
ROBUST_LARGE = replace(
    ROBUST,
    name="robust-large",
    network="large",
    epochs=20,
    learning_rate=0.005,
    clean_share=0.2,
    pen_share=0.2,
    temperature=1.22,
    min_digit_score=0.988,
    reread_below=0.9963,
    reread=0.1,
)

# By `--recipe` and `--network`.
RECIPES = {
    ("report", "small"): REPORT,
    ("report", "large"): replace(REPORT, name="report-large", network="large"),
    ("robust", "small"): ROBUST,
    ("robust", "large"): ROBUST_LARGE,
}

# How a champion's network learns from corrections, by network: its learning rate, and the share of
# each batch that is corrections. Chosen by cross-validation over the writers of real digits.
FURTHER = {"small": (0.003, 0.125), "large": (0.002, 0.25)}


def further(recipe: Recipe, champion: str, epochs: int | None = None) -> Recipe:
    """Return the recipe by which a bundle's network learns on, from corrections too.

    The rest of each batch is what the recipe has had before, and there the network is to say what
    it said: so it forgets little. In the end its weights are averaged with those that it had.

    One that was trained on plain images alone has more to learn: corrections are changed at random
    as by the robust recipe, the rest is to follow labels too, and less is kept of its weights.

    Args:
        recipe: by which the network was trained.
        champion: the bundle's id.
        epochs: of 340 steps each; None: 2.
    """
    learning_rate, corrections = FURTHER[recipe.network]
    plain = not recipe.augments or not recipe.known_strength
    changes = {name: getattr(ROBUST, name) for name in (*AUGMENTATION, "clean_share", "pen_share")}
    return replace(
        recipe,
        name=f"{recipe.name.removesuffix('-further')}-further",
        epochs=epochs or 2,
        learning_rate=learning_rate,
        schedule="one-cycle",
        batch_norm=False,
        start=champion,
        corrections=corrections,
        distilled=0.5 if plain else 1.0,
        steps=340,
        kept=0.25 if plain else 0.5,
        **({**changes, "known_strength": 0.0} if plain else {}),
    )
