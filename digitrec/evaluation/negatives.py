"""How well a bundle tells digits from what is none: letters, scribbles, two digits in one scan."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitrec.datasets.synthetic.negatives import JUNK
from digitrec.datasets.synthetic.printed import LIKE_DIGITS, plotted, printed
from digitrec.datasets.synthetic.sets import draw_junk_scan
from digitrec.model.engine import Engine
from digitrec.reader import read_scans

COMPARED_WITH = "mnist:test"  # what junk is told from
EACH = 1000  # drawn scans of each kind
SEED = 2**31  # no training run has it: seeds end below
PASSES = 0.95  # of the digits, in the figure that compares bundles


def junk_sets() -> Iterator[tuple[str, Sequence[NDArray[np.uint8]]]]:
    """Yield each kind of junk: its name and its scans uint8 [H, W].

    The drawn kinds are those of training in other scans; no network saw the other letters.
    """
    for kind in JUNK:
        rng = np.random.default_rng([SEED, 1])
        yield f"drawn: {kind}", [draw_junk_scan(rng, kind) for _ in range(EACH)]
    yield "letters, printed", printed()
    yield "letters, plotted", plotted(EACH)
    yield "like digits, printed", printed(LIKE_DIGITS)
    yield "like digits, plotted", plotted(EACH, letters=LIKE_DIGITS)


def refused_by(
    engines: Mapping[str, Engine], digits: Mapping[str, NDArray[np.float32]]
) -> dict[str, Any]:
    """Measure, of the bundles that can tell digits from junk, how well they do.

    Args:
        engines: by name.
        digits: by name, the digit scores of digits float32 [N]; see `refusals`.
    """
    return {
        name: refusals(engine, digits[name])
        for name, engine in engines.items()
        if engine.card.policy.min_digit_score is not None
    }


def refusals(engine: Engine, digits: NDArray[np.float32]) -> dict[str, Any]:
    """Measure how much of each kind of junk is refused, and how many digits are with it.

    Args:
        engine: of a bundle that can tell, so that its policy has `min_digit_score`.
        digits: float32 [N], the digit scores of digits: MNIST's test set.

    Returns:
        Of each kind, how many `scans`, the share `refused` (that goes to review as not-a-digit, or
        is blank), and `below`, the share whose digit score is below what 95 % of the digits have.
    """
    least = engine.card.policy.min_digit_score
    assert least is not None
    digits = np.nan_to_num(digits)  # a blank one looks like none
    compared = float(np.quantile(digits, 1 - PASSES))
    rows = {COMPARED_WITH: _row(digits, least, compared)}
    for name, scans in junk_sets():
        readings = read_scans(scans, engine)
        rows[name] = _row(np.where(readings.has_digit, readings.digit_score, 0), least, compared)
    return rows


def _row(digit_score: NDArray[np.floating], least: float, compared: float) -> dict[str, Any]:
    return {
        "scans": len(digit_score),
        "refused": round(float((digit_score < least).mean()), 6),
        "below": round(float((digit_score < compared).mean()), 6),
    }


def table(rows: dict[str, Any]) -> str:
    """Write what `refusals` gives as text."""
    lines = [f"{'is it a digit?':<24}{'scans':>8}{'refused %':>11}{'below 95 %':>12}"]
    for name, row in rows.items():
        shares = f"{100 * row['refused']:>11.2f}{100 * row['below']:>12.2f}"
        lines.append(f"{name:<24}{row['scans']:>8,}{shares}")
    words = "below 95 %: less like a digit than 95 % of MNIST's test digits are"
    return "\n".join([*lines, words])
