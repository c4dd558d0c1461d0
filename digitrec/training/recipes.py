"""Recipes: every setting of a training run, as one frozen dataclass.

A new recipe is written `replace(REPORT, …)`, which shows exactly what it changes.
"""

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """The settings of one training run: Adam on cross-entropy, shuffled anew each epoch.

    Raises:
        ValueError: a field is out of its range; the message names field and value.
    """

    name: str
    batch_size: int  # images a step, over all workers together
    epochs: int
    learning_rate: float  # Adam's step size
    seed: int = 0  # of the first weights and of every epoch's shuffle

    def __post_init__(self) -> None:
        for field in ("batch_size", "epochs"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} must be 1 or more, not {getattr(self, field)}")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise ValueError(f"learning_rate must be a number above 0, not {self.learning_rate}")
        if not 0 <= self.seed < 2**31:
            raise ValueError(f"seed must be from 0 to 2147483647, not {self.seed}")


# The report's figures 3 and 4. It names "data augmentation" without saying which: there is none.
REPORT = Recipe(name="report", batch_size=128, epochs=30, learning_rate=0.0005)

# The report's other settings, by the figures that show them.
STUDY = {
    "figure 6": replace(REPORT, name="report-batch32-lr1e-3", batch_size=32, learning_rate=1e-3),
    "figure 7": replace(REPORT, name="report-lr1e-3", learning_rate=1e-3),
    "figures 9 and 10": replace(REPORT, name="report-lr1e-6", learning_rate=1e-6),
    "figure 11": replace(REPORT, name="report-lr1e-5", learning_rate=1e-5),
}

RECIPES = {recipe.name: recipe for recipe in (REPORT,)}
