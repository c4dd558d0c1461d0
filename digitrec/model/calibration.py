"""How a bundle's logits are understood, fitted on labelled scans that it was not trained on."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitrec.datasets import mnist
from digitrec.datasets.labelled import validation_indices
from digitrec.errors import InputError
from digitrec.model.bundle import Bundle
from digitrec.model.card import Calibration, calibration_of
from digitrec.model.engine import (
    Answers,
    NetworkEngine,
    digit_score,
    handed_over,
    log_of,
    open_engine,
    softmax,
    to_ask,
)
from digitrec.model.policy import Policy

# The share of digits that may go to review for not looking like one.
DOUBTED = 0.01
# The share of digits about which a cascade asks its large network. Asked about a tenth alone, it
# never sees what the small one is certain of by mistake: certified coverage is lower then.
ASKED = 0.3
# Temperatures looked for, and how near to the best one.
RANGE, STEPS = (0.05, 20.0), 60


def calibrate(
    logits: NDArray[np.float32], labels: NDArray[np.uint8], *, junk: bool, reread: float = 0.0
) -> Calibration:
    """Fit a calibration on digits.

    Args:
        logits: float32 [N, 10], as the network gives them.
        labels: uint8 [N], 0 to 9.
        junk: whether the network was trained to tell digits from junk.
        reread: the share of digits that are to be read again, moved.
    """
    score = digit_score(logits) if junk else None
    temperature = fit_temperature(logits, labels)
    policy = Policy(min_digit_score=None if score is None else float(np.quantile(score, DOUBTED)))
    certainty = Answers(softmax(logits / np.float32(temperature)), score).certainty()
    return Calibration(
        temperature, policy, float(np.quantile(certainty, reread)) if reread else 0.0
    )


def fit_cascade(small: Bundle, large: Bundle, data: Path | None) -> tuple[float, Calibration]:
    """Fit a cascade on MNIST's validation part; see `calibrate_cascade`.

    Args:
        small: the bundle that answers first.
        large: the bundle that is asked where it is not certain.
        data: where MNIST lies; None: it is fetched.

    Raises:
        InputError: a bundle has learnt from that part.
        MnistError: MNIST can't be had.
    """
    for bundle in (small, large):
        if bundle.card.recipe.get("hold_out") != "validation":
            raise InputError(
                f"{bundle.name} has learnt from the validation part, on which a cascade is "
                "fitted: train it with --hold-out validation, or take what is fitted from another "
                "with --like"
            )
    images, labels = mnist.load("train", data)
    chosen = validation_indices(images)
    first = NetworkEngine(small).at_first(images[chosen])
    second = open_engine(large).answers(images[chosen])
    return calibrate_cascade(first, second, labels[chosen])


def fit_of(cascade: Bundle) -> tuple[float, Calibration]:
    """Return what was fitted of a cascade: its hand-over and its calibration.

    Raises:
        InputError: it is none.
    """
    card = cascade.card
    if card.hand_over is None:
        raise InputError(f"{cascade.name} is no cascade")
    return card.hand_over, calibration_of(card)


def calibrate_cascade(
    small: Answers, large: Answers, labels: NDArray[np.uint8]
) -> tuple[float, Calibration]:
    """Fit a cascade on digits: the certainty below which it hands over, and its calibration.

    Args:
        small: what its small network says of N digits.
        large: what its large one says of the same.
        labels: uint8 [N], 0 to 9.
    """
    hand_over = float(np.quantile(small.certainty(), ASKED))
    policy = Policy(min_digit_score=_least_score(small, large, small.certainty() < hand_over))
    asked = to_ask(small, hand_over, policy)
    merged = handed_over(
        small,
        asked,
        Answers(
            large.probabilities[asked],
            None if large.digit_score is None else large.digit_score[asked],
        ),
    )
    temperature = fit_temperature(log_of(merged.probabilities), labels)
    return hand_over, Calibration(temperature, policy)


def _least_score(small: Answers, large: Answers, asked: NDArray[np.bool_]) -> float | None:
    """Find the digit score that one digit in a hundred does not reach in a cascade.

    A digit about which the large network is not asked for its certainty reaches a score if either
    network gives it: the large one is asked where the small one's is too low.
    """
    if small.digit_score is None:
        return None
    score = small.digit_score
    if large.digit_score is not None:
        score = np.where(asked, large.digit_score, np.maximum(score, large.digit_score))
    return float(np.quantile(score, DOUBTED))


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """Find the temperature by which the labels are the most likely.

    The likelihood has one maximum in 1/T: where the right digits' mean logit is the mean logit
    that the probabilities expect. It is found by halving (Guo et al., "On calibration of modern
    neural networks", 2017).

    Args:
        logits: float32 [N, 10], as the network gives them.
        labels: uint8 [N], 0 to 9.
    """
    right = logits[np.arange(len(labels)), labels].mean(dtype=np.float64)
    low, high = np.log(RANGE)
    for _ in range(STEPS):
        middle = (low + high) / 2
        expected = (softmax(logits / np.float32(np.exp(middle))) * logits).sum(axis=1)
        # Too sure: the network expects more than it gets, and a higher temperature is right.
        if expected.mean(dtype=np.float64) > right:
            low = middle
        else:
            high = middle
    return float(np.exp((low + high) / 2))
