"""What the report says of its figures, and whether a study of 30 epochs bears it out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitrec.training.epoch_log import EpochRecord
from digitrec.training.recipes import REPORT, STUDY

REPORTS = REPORT.name
BATCH_32, FASTER, SLOWEST, SLOW = (recipe.name for recipe in STUDY.values())
# A test loss rises if it ends so much above its lowest: its own ups and downs are smaller.
RISE = 1.05


@dataclass(frozen=True, slots=True)
class Curves:
    """A run's epochs: float64 [epochs] each."""

    train_loss: NDArray[np.float64]
    test_loss: NDArray[np.float64]
    accuracy: NDArray[np.float64]  # share of the test set that was read right

    @classmethod
    def of(cls, records: Sequence[EpochRecord]) -> "Curves":
        """Gather them from a run's log."""
        values = [(one.train_loss, one.test_loss, one.test_accuracy) for one in records]
        return cls(*np.array(values).T)

    @property
    def lowest(self) -> str:
        """The lowest test loss, and its epoch."""
        return f"{self.test_loss.min():.4f} ({self.test_loss.argmin() + 1})"

    @property
    def best(self) -> str:
        """The highest accuracy, and its epoch."""
        return f"{100 * self.accuracy.max():.2f} % ({self.accuracy.argmax() + 1})"

    @property
    def rises(self) -> bool:
        """Whether the test loss has its lowest value in the first half, and ends well above it."""
        early = self.test_loss.argmin() < len(self.test_loss) / 2
        return bool(early and self.test_loss[-1] > RISE * self.test_loss.min())


Runs = Mapping[str, Curves]  # by the recipe's name


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of the report about a figure."""

    figure: str
    says: str
    check: Callable[[Runs], tuple[bool, str]]  # whether it is so, and what was measured


def _accuracy(runs: Runs) -> tuple[bool, str]:
    late = 100 * runs[REPORTS].accuracy[10:]
    words = f"{late.min():.2f} to {late.max():.2f} % from epoch 11 on"
    return bool(abs(late - 99).max() < 0.5), words


def _loss(runs: Runs) -> tuple[bool, str]:
    train, test = runs[REPORTS].train_loss[-1], runs[REPORTS].test_loss[-1]
    return bool(min(train, test) < 3e-4), f"training {train:.4f}, test {test:.4f} at the end"


def _rising(name: str) -> Callable[[Runs], tuple[bool, str]]:
    def check(runs: Runs) -> tuple[bool, str]:
        curves = runs[name]
        words = f"test loss {curves.lowest} at its lowest, {curves.test_loss[-1]:.4f} at the end"
        return curves.rises, words

    return check


def _lower(runs: Runs) -> tuple[bool, str]:
    last = [runs[name].test_loss[-1] for name in (FASTER, BATCH_32)]
    return bool(last[0] < last[1]), f"test loss {last[0]:.4f} against {last[1]:.4f} at the end"


def _falling(runs: Runs) -> tuple[bool, str]:
    curves = runs[SLOWEST]
    steps = np.diff(curves.test_loss)
    words = f"test loss falls in {(steps < 0).sum()} of {len(steps)} epochs"
    return bool((steps < 0).all()), f"{words}, to {curves.test_loss[-1]:.3f}"


def _too_low(runs: Runs) -> tuple[bool, str]:
    low, reports = (100 * runs[name].accuracy[-1] for name in (SLOWEST, REPORTS))
    return bool(low < reports - 5), f"{low:.2f} % at the end"


def _under_90(runs: Runs) -> tuple[bool, str]:
    slow, slowest = (100 * runs[name].accuracy[-1] for name in (SLOW, SLOWEST))
    return bool(slowest < slow < 90), f"{slow:.2f} % at the end, against {slowest:.2f} %"


CLAIMS = (
    Claim("3, 4", "accuracy fluctuates around 99 % after epoch 10", _accuracy),
    Claim("3, 4", "loss falls to about 1e-4", _loss),
    Claim("6", "batch 32, 0.001: loss rises in the second half", _rising(BATCH_32)),
    Claim("7", "batch 128, 0.001: loss lower than in figure 6", _lower),
    Claim("7, 8", "and it still rises late", _rising(FASTER)),
    Claim("9", "batch 128, 1e-6: loss falls every epoch", _falling),
    Claim("10", "accuracy too low", _too_low),
    Claim("11", "batch 128, 1e-5: better, still under 90 %", _under_90),
)
