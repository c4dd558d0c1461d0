"""Error budgets → certified policies, on a labelled set that was read; and where none is, why."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitrec.budget.bounds import least_count, upper_bound
from digitrec.budget.certify import THRESHOLDS, Certified, certify, counted, start_for
from digitrec.datasets.labelled import JOINED
from digitrec.errors import InputError
from digitrec.evaluation.scorecard import card_key
from digitrec.evaluation.scores import Measured
from digitrec.model.card import Card
from digitrec.model.policy import DIGITS, CertifiedPolicy

REFUSED = -1.0  # the score of what no confidence would accept


@dataclass(frozen=True, slots=True)
class NoPolicy:
    """An error budget that some labels can't carry, and why."""

    budget: float
    why: str


Issued = CertifiedPolicy | NoPolicy


@dataclass(frozen=True, kw_only=True, slots=True)
class Budgets:
    """What policies are asked for."""

    budgets: tuple[float, ...] = (0.01, 0.002, 0.001)
    certainty: float = 0.95
    source: str = ""  # whose scans they are for
    by_digit: bool = False  # each digit keeps the budget by itself

    def __post_init__(self) -> None:
        for budget in self.budgets:
            if not 0 < budget < 1:
                raise ValueError(f"an error budget must be above 0 and below 1, not {budget:g}")
        if not 0.5 <= self.certainty < 1:
            raise ValueError(f"certainty must be from 0.5 to below 1, not {self.certainty:g}")


def check_labels(measured: Measured) -> None:
    """Check that labels can say anything about a model.

    Raises:
        InputError: there is a digit of which none is labelled, or none was read as it is labelled.
    """
    missing = sorted(set(range(DIGITS)) - set(measured.labels.tolist()))
    if missing:
        shown = ", ".join(map(str, missing))
        raise InputError(
            f"{measured.name}: no scan is labelled {shown}, so nothing would be known of how "
            "these are read: label scans drawn at random, with all digits"
        )
    if not measured.right.any():
        raise InputError(
            f"{measured.name}: none of {len(measured.labels):,} scans was read as it is labelled: "
            "are they the labels of these scans?"
        )


def scores_of(measured: Measured) -> NDArray[np.float64]:
    """Return what has to reach a threshold: float64 [N], the confidence.

    It is `REFUSED` where a scan is not accepted however low the threshold.

    Args:
        measured: read by a policy without an error budget.
    """
    return np.where(measured.accepted, measured.confidences, REFUSED).astype(np.float64)


def issue(
    card: Card,
    measured: Measured,
    asked: Budgets,
    starts: Sequence[float],
    least: float = 0.0,
) -> list[Issued]:
    """Find a policy for each error budget.

    Args:
        card: of the bundle that read the labelled set, under no budget.
        measured: the labelled set.
        asked: for which budgets.
        starts: where sequences of tests may begin, see `certify.start_for`.
        least: the confidence that all of the labelled scans had to have to be drawn.
    """
    return [_issue(card, measured, asked, budget, starts, least) for budget in asked.budgets]


def _issue(
    card: Card,
    measured: Measured,
    asked: Budgets,
    budget: float,
    starts: Sequence[float],
    least: float,
) -> Issued:
    """Find the policy for an error budget; digits that keep it by themselves share the error."""
    scores, right = scores_of(measured), measured.right
    groups = {"": np.ones(len(scores), bool)}
    if asked.by_digit:
        groups = {f"of those read as {k}, ": measured.answers == k for k in range(DIGITS)}
    certainty = 1 - (1 - asked.certainty) / len(groups)
    thresholds = np.append(THRESHOLDS[least < THRESHOLDS], least)
    found: list[Certified] = []
    for name, some in groups.items():
        start = max(start_for(starts, int(some.sum()), budget, certainty), least)
        one = certify(scores[some], right[some], thresholds, [start], budget, certainty)
        if one is None:
            return NoPolicy(
                budget, name + _why(scores[some], right[some], start, budget, certainty)
            )
        found.append(one)
    return _policy(card, measured, asked, budget, found)


def _policy(
    card: Card, measured: Measured, asked: Budgets, budget: float, found: Sequence[Certified]
) -> CertifiedPolicy:
    """Write down what was found: for all digits together, or for each."""
    thresholds = tuple(one.threshold for one in found)
    begun = tuple(one.start for one in found)
    return CertifiedPolicy(
        policy=replace(
            card.policy,
            max_error=budget,
            min_confidence=thresholds if asked.by_digit else thresholds[0],
        ),
        source=asked.source,
        labelled=JOINED.join(map(card_key, measured.name.split(JOINED))),
        sha256=_content_hash(measured),
        scans=len(measured.labels),
        certainty=asked.certainty,
        start=begun if asked.by_digit else begun[0],
        accepted=sum(one.accepted for one in found),
        wrong=sum(one.wrong for one in found),
        bound=max(one.bound for one in found),
        model_id=card.id,
        normalizer_version=card.normalizer_version,
        temperature=card.temperature,
    )


def coverages(
    measured: Measured,
    budget: float,
    certainty: float,
    starts: Sequence[float],
    samples: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Return the share of N scans that a certified policy accepts, on each of R samples: [R].

    It is 0 where a sample certifies none.

    Args:
        measured: read under no budget.
        budget: which the policy is to keep.
        certainty: with which.
        starts: where sequences of tests may begin, see `certify.start_for`.
        samples: int [R, M], the indices of the scans that are in each.
    """
    scores, right = scores_of(measured), measured.right
    start = start_for(starts, samples.shape[1], budget, certainty)
    shares = np.zeros(len(samples))
    for k, some in enumerate(samples):
        found = certify(scores[some], right[some], THRESHOLDS, [start], budget, certainty)
        if found is not None:
            shares[k] = found.accepted / len(some)
    return shares


def _content_hash(measured: Measured) -> str:
    """Return a SHA-256 of the normalized scans and their labels."""
    digest = hashlib.sha256(measured.scans.tobytes())
    digest.update(measured.labels.tobytes())
    return digest.hexdigest()


def _why(
    scores: NDArray[np.float64],
    is_right: NDArray[np.bool_],
    start: float,
    budget: float,
    certainty: float,
) -> str:
    """Say why there is no policy, and how many labels might carry one."""
    counts, wrongs = counted(scores, is_right, np.array([start]))
    count, wrong = int(counts[0]), int(wrongs[0])
    needed = least_count(wrong, budget, certainty)
    bound = upper_bound(wrong, count, certainty) if count else 1.0
    words = (
        f"{count:,} have a confidence of {start:.4f} or more, {wrong:,} of them wrong: that bounds "
        f"the error by {100 * bound:.2g} %. With so many wrong, {needed:,} are needed"
    )
    if wrong >= budget * count and wrong:
        return f"{words}; but the error seen there is above the budget, and may well stay so"
    more = math.ceil((needed - count) * len(scores) / count) if count else needed
    return f"{words}, so about {more:,} more labelled scans"


def table(issued: Sequence[Issued], certainty: float) -> str:
    """Write policies as text: a line for each error budget."""
    title = f"at most ({100 * certainty:g} %)"
    head = f"{'budget':>8}{'confidence':>12}{'accepted':>11}{'coverage':>11}{'wrong':>7}{title:>17}"
    return "\n".join([head, *map(_row, issued)])


def _row(one: Issued) -> str:
    budget = f"{100 * one.budget:>6g} %"
    if isinstance(one, NoPolicy):
        return f"{budget}  no policy: {one.why}"
    least = one.policy.min_confidence
    return (
        f"{budget}{f'{least:.4f}' if isinstance(least, float) else 'by digit':>12}"
        f"{one.accepted:>11,}{100 * one.accepted / one.scans:>9.2f} %{one.wrong:>7,}"
        f"{100 * one.bound:>15.4f} %"
    )


def by_digit_table(measured: Measured, issued: Sequence[Issued]) -> str:
    """Write what becomes of each digit as text: how many are accepted, and wrong of these."""
    policies = kept(issued)
    titles = [f"accepted at {100 * one.budget:g} % (wrong)" for one in policies]
    lines = [f"{'digit':<7}{'labelled':>9}" + "".join(f"{title:>26}" for title in titles)]
    accepted = [accepted_by(one, measured) for one in policies]
    for digit in range(DIGITS):
        of_digit = measured.labels == digit
        cells = ""
        for which in accepted:
            some = which & of_digit
            count, wrong = int(some.sum()), int((some & ~measured.right).sum())
            share = 100 * count / max(int(of_digit.sum()), 1)
            cells += f"{f'{count:,}  {share:.1f} %  ({wrong})':>26}"
        lines.append(f"{digit:<7}{int(of_digit.sum()):>9,}{cells}")
    return "\n".join(lines)


def accepted_by(one: CertifiedPolicy, measured: Measured) -> NDArray[np.bool_]:
    """Tell which labelled scans a policy accepts: bool [N]."""
    return np.asarray(scores_of(measured) >= np.maximum(one.policy.needed(measured.answers), 0.0))


def together(measured: Sequence[Measured]) -> Measured:
    """Put the scans of several sets together."""
    columns: dict[str, Any] = {
        item.name: np.concatenate([getattr(one, item.name) for one in measured])
        for item in fields(Measured)
        if isinstance(getattr(measured[0], item.name), np.ndarray)
    }
    return replace(measured[0], **columns)


def kept(issued: Sequence[Issued]) -> list[CertifiedPolicy]:
    """Return the policies among what was found."""
    return [one for one in issued if isinstance(one, CertifiedPolicy)]
