"""The ink network's recipe: every setting of a run, as one frozen dataclass."""

from dataclasses import dataclass

from digitrec.datasets.synthetic.papers import TRAINED
from digitrec.training.recipes import check_counts, check_rates, check_seed

RISE = 0.05  # the share of a run in which the learning rate rises


@dataclass(frozen=True, kw_only=True, slots=True)
class InkRecipe:
    """The settings of one run: AdamW, its step size rising over 5 % of the run, then falling.

    Raises:
        ValueError: a field is out of its range; the message names field and value.
    """

    name: str = "ink"
    batch_size: int = 512  # samples a step, over all workers together
    epochs: int = 20
    steps: int = 800  # an epoch
    learning_rate: float = 0.006  # the highest
    weight_decay: float = 0.01
    seed: int = 0  # of the first weights and of all samples
    kinds: tuple[str, ...] = TRAINED  # of print, of `KINDS`
    ink: str | None = None  # id of the ink network that it begins as; None: weights at random

    def __post_init__(self) -> None:
        check_counts(batch_size=self.batch_size, epochs=self.epochs, steps=self.steps)
        check_rates(learning_rate=self.learning_rate)
        check_seed(self.seed)


INK = InkRecipe()


def ink_rate_at(recipe: InkRecipe, progress: float) -> float:
    """Return the step size when a share `progress` of the run, 0 to 1, is done."""
    if progress < RISE:
        return recipe.learning_rate * (0.04 + 0.96 * progress / RISE)
    fall = (1 - progress) / (1 - RISE)
    return recipe.learning_rate * max(fall, 0.002)
