"""What stands in a digit's place without being one."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from digitrec.datasets.synthetic.digits import DIGIT_STYLES
from digitrec.datasets.synthetic.letters import LETTERS, SIGNS
from digitrec.datasets.synthetic.strokes import Strokes


def any_digit(rng: Generator) -> Strokes:
    """Return the strokes of any digit."""
    return variant(int(rng.integers(10)), rng)(rng)


def variant(digit: int, rng: Generator) -> Callable[[Generator], Strokes]:
    """Return any of the ways in which a digit is written."""
    variants = DIGIT_STYLES[digit]
    return variants[rng.integers(len(variants))]


def letter(rng: Generator) -> Strokes:
    """Return a letter that is not shaped like a digit."""
    variants = list(LETTERS.values())[rng.integers(len(LETTERS))]
    return variants[rng.integers(len(variants))]


def sign(rng: Generator) -> Strokes:
    """Return a sign."""
    return list(SIGNS.values())[rng.integers(len(SIGNS))]


def scribble(rng: Generator) -> Strokes:
    """Return a line without a plan, or one to and fro."""
    if rng.random() < 0.6:
        corners = int(rng.integers(7, 18))
        return [[(x, y) for x, y in rng.uniform(0, 1, (corners, 2)).tolist()]]
    turns = int(rng.integers(6, 12))
    across = np.stack([np.arange(turns) / (turns - 1), np.arange(turns) % 2], 1)
    across += rng.normal(0, 0.12, across.shape)
    if rng.random() < 0.5:
        across = across[:, ::-1]
    return [[(x, y) for x, y in across.tolist()]]


def crossed_out(rng: Generator) -> Strokes:
    """Return a digit with a cross, strokes or a scribble over it."""
    kind = rng.random()
    if kind < 0.35:
        over: Strokes = [[(-0.1, 0), (1.1, 1)], [(1.1, 0), (-0.1, 1)]]
    elif kind < 0.65:
        lines = int(rng.integers(2, 5))
        over = [[(-0.2, y), (1.2, y - 0.1)] for y in rng.uniform(0.1, 0.9, lines).tolist()]
    else:
        over = scribble(rng)
    return [*any_digit(rng), *over]


def two_digits(rng: Generator) -> Strokes:
    """Return two digits beside each other, near enough to touch."""
    away = rng.uniform(1.0, 1.35)
    second: Strokes = [[(x + away, y) for x, y in stroke] for stroke in any_digit(rng)]
    return [*any_digit(rng), *second]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of junk, and its share of what is drawn."""

    strokes: Callable[[Generator], Strokes]
    share: float


JUNK = {
    "letter": Kind(letter, 0.55),
    "sign": Kind(sign, 0.1),
    "scribble": Kind(scribble, 0.15),
    "crossed-out": Kind(crossed_out, 0.1),
    "two-digits": Kind(two_digits, 0.1),
}
