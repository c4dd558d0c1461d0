"""The gate: whether a challenger may take the champion's place, line by line.

Both have read the same scans. No set may have become worse, and the corrections must be read better
than chance explains: a challenger that is as good is not worth a change.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from digitrec.budget.paired import discordant, p_no_gain, p_worse, worse_by_at_most
from digitrec.datasets.answers import NO_DIGIT
from digitrec.evaluation.budgets import together as joined
from digitrec.evaluation.scores import Measured

LEVEL = 0.05  # of each line: so often it stops a challenger that is as good
MARGIN = 0.0015  # of all MNIST digits, that may be read wrong in addition
CLASS_MARGIN = 0.005  # of a digit's scans, likewise
SLOWER = 1.1  # times the champion's time
GROUPS = 5  # so many groups, or more, count each as one
# The champion is certain of what it gives such a confidence. Of other people's digits than it has
# learnt from honest labels contradict it there 1 to 2 in 1,000 times.
CERTAIN, CONTRADICTED = 0.99, 0.01
SURE = 0.001  # how likely so many contradictions are at most, to be too many
CLASSES = 10
# A scan's loss is bounded, so that no single one decides.
LEAST_PROBABILITY = 1e-4


@dataclass(frozen=True, slots=True)
class Pair:
    """A labelled set of N scans as the champion and the challenger read it."""

    champion: Measured
    challenger: Measured
    units: NDArray[Any] | None = None  # [N], what stands or falls together

    @property
    def name(self) -> str:
        """The set's name."""
        return self.champion.name

    @property
    def right(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """What the champion and the challenger read right: bool [N] each."""
        return is_right(self.champion), is_right(self.challenger)

    @property
    def discordant(self) -> tuple[int, int]:
        """How many the challenger reads wrong that the champion reads right, and the reverse."""
        return discordant(*self.right, self.units)


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that the gate looked at."""

    name: str  # short, stable
    passed: bool
    words: str
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gain:
    """What the challenger's reading of N corrections gains, in nats of log-loss; see `better`."""

    title: str
    values: NDArray[np.float64]  # [N]
    groups: NDArray[np.object_]  # [N], who wrote each, where that is known; else its cluster
    clusters: NDArray[np.object_]  # [N], of near-copies


@dataclass(frozen=True, slots=True)
class Coverage:
    """The share of digits that each bundle accepts by the policy that it gets for a budget."""

    budget: float
    before: float
    after: float
    changes: NDArray[np.float64]  # [R], from before to after, on resamples of the labelled scans


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What the gate judges by."""

    labels: NDArray[np.uint8]  # [N], of the corrections: 0 to 9, NO_DIGIT
    champion: Measured  # how the champion reads these
    mnist: Pair
    golden: Sequence[Pair]  # each source's golden corrections
    suite: Sequence[Pair]  # MNIST otherwise presented, by image
    empty: Pair  # scans without a digit
    coverages: Sequence[Coverage]  # for each error budget that the champion has
    gains: Sequence[Gain]
    seconds: tuple[float, float]  # that each took for the same scans
    # For whose scans each has policies.
    sources: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate found."""

    lines: tuple[Line, ...]

    @property
    def passed(self) -> bool:
        """Whether the challenger may take the champion's place."""
        return all(line.passed for line in self.lines)

    @property
    def reasons(self) -> list[str]:
        """Why not: the words of each line that stopped it."""
        return [line.words for line in self.lines if not line.passed]

    def to_json(self) -> dict[str, Any]:
        """Return it as the log has it."""
        return {"passed": self.passed, "lines": [asdict(line) for line in self.lines]}


def judge(evidence: Evidence) -> Verdict:
    """Hold a challenger against the champion."""
    return Verdict(tuple(_lines(evidence)))


def _lines(evidence: Evidence) -> Iterator[Line]:
    yield contradicted(evidence.labels, evidence.champion)
    yield not_worse(evidence.mnist)
    yield within_margin(evidence.mnist)
    for pair in evidence.golden:
        yield not_worse(pair)
    every = corrupted(evidence.suite)
    yield not_worse(every)
    yield worst_of(evidence.suite)
    yield classes([evidence.mnist, every])
    yield accepted_wrong([evidence.mnist, *evidence.golden, *evidence.suite])
    yield not_accepted(evidence.empty)
    if evidence.coverages:
        yield covered(evidence.coverages)
    yield kept_sources(*evidence.sources)
    yield as_quick(evidence.seconds)
    for gain in evidence.gains:
        yield better(gain)


def is_right(measured: Measured) -> NDArray[np.bool_]:
    """Tell which scans were read right: bool [N]; what shows no digit, if it is not accepted."""
    no_digit = measured.labels == NO_DIGIT
    return np.where(no_digit, ~measured.accepted, measured.right)


def contradicted(labels: NDArray[np.uint8], champion: Measured) -> Line:
    """Look at what people say of scans that the champion is certain of.

    It is wrong there now and then; where people contradict it often, all over or in one digit's
    place by another, the labels may be wrong, and a challenger would learn them: then a person
    decides.

    Args:
        labels: uint8 [N], of the corrections.
        champion: how it reads these.
    """
    certain = (champion.confidences >= CERTAIN) & champion.accepted
    answers = champion.answers[certain]
    said = np.zeros((CLASSES, CLASSES + 1), np.int64)
    np.add.at(said, (answers, labels[certain]), 1)
    against = said.copy()
    np.fill_diagonal(against, 0)
    wrong, count = int(against.sum()), int(said.sum())
    stopped = _too_many(wrong, count, at_least=3)
    words = f"people contradict the champion on {wrong:,} of {count:,} scans that it is certain of"
    read, label = np.unravel_index(int(against.argmax()), against.shape)
    if _too_many(int(against[read, label]), int(said[read].sum()), at_least=2):
        stopped = True
        shown = "no digit" if label == NO_DIGIT else str(label)
        words += (
            f", among them {against[read, label]:,} of {said[read].sum():,} that it reads as "
            f"{read} and they as {shown}"
        )
    if stopped:
        words += (
            ": too many. Are the labels right? If they are, digitrec models promote is a person's "
            "to call"
        )
    figures = {"contradicted": wrong, "certain": count, "said": said.tolist()}
    return Line("labels", not stopped, words, figures)


def _too_many(against: int, certain: int, at_least: int) -> bool:
    """Tell whether so many contradictions are no accident."""
    likely = betainc(against, certain - against + 1, CONTRADICTED) if against else 1.0
    return against >= at_least and likely < SURE


def not_worse(pair: Pair, level: float = LEVEL) -> Line:
    """Ask whether a set is read worse than chance explains: McNemar's exact test."""
    worse, better_now = pair.discordant
    p = p_worse(worse, better_now)
    count = len(pair.champion.labels)
    before, after = (int(one.sum()) for one in pair.right)
    return Line(
        f"{pair.name} not worse",
        p >= level,
        f"{pair.name}: {_share(before, count)} read right before, {_share(after, count)} now; "
        f"{better_now:,} better, {worse:,} worse (p = {p:.3g})",
        {"scans": count, "right": [before, after], "worse": worse, "better": better_now, "p": p},
    )


def within_margin(pair: Pair) -> Line:
    """Ask whether so little can have been lost on a set that it does not count."""
    worse, better_now = pair.discordant
    most = worse_by_at_most(worse, better_now, len(pair.champion.labels), 1 - LEVEL)
    return Line(
        f"{pair.name} within {100 * MARGIN:g} points",
        most <= MARGIN,
        f"{pair.name}: {100 * max(most, 0):.2f} points are lost at most, with "
        f"{100 * (1 - LEVEL):g} % certainty; {100 * MARGIN:g} are allowed",
        {"lost_at_most": most},
    )


def worst_of(suite: Sequence[Pair]) -> Line:
    """Ask whether digits are read worse in any single way of presenting them."""
    lines = [not_worse(pair, LEVEL / len(suite)) for pair in suite]
    worst = min(lines, key=lambda line: line.figures["p"])
    return Line(
        "each corruption not worse",
        all(line.passed for line in lines),
        f"the worst of {len(suite)} corruptions: {worst.words}",
        {line.name: line.figures for line in lines},
    )


def corrupted(suite: Sequence[Pair]) -> Pair:
    """Take all ways of presenting digits together, each scan with its unit."""
    units = [
        np.arange(len(one.champion.labels)) if one.units is None else one.units for one in suite
    ]
    before, after = (
        replace(joined(some), name="all corruptions")
        for some in ([one.champion for one in suite], [one.challenger for one in suite])
    )
    return Pair(before, after, np.concatenate(units))


def classes(sets: Sequence[Pair]) -> Line:
    """Ask whether a single digit pays for the others: by more than a margin, and than chance."""
    lost = {f"{pair.name}, {k}": _lost(pair, k) for pair in sets for k in range(CLASSES)}
    stopped = [name for name, (share, p) in lost.items() if share > CLASS_MARGIN and p < LEVEL]
    worst = max(stopped or lost, key=lambda name: lost[name][0])
    share, p = lost[worst]
    return Line(
        "no digit worse",
        not stopped,
        f"the digit that loses most ({worst}) loses {100 * share:.2f} points (p = {p:.3g}); "
        f"{100 * CLASS_MARGIN:g} are allowed",
        {"lost": lost},
    )


def _lost(pair: Pair, digit: int) -> tuple[float, float]:
    """Return the share of a digit's scans that is lost, and how likely so many are by chance."""
    some = pair.champion.labels == digit
    if not some.any():
        return 0.0, 1.0
    before, after = (one[some] for one in pair.right)
    units = None if pair.units is None else pair.units[some]
    return float(before.mean() - after.mean()), p_worse(*discordant(before, after, units))


def accepted_wrong(pairs: Sequence[Pair]) -> Line:
    """Ask whether more wrong answers are accepted, which nobody would look at."""
    before, after = (
        np.concatenate([~(measured.accepted & ~is_right(measured)) for measured in some])
        for some in (
            [pair.champion for pair in pairs], [pair.challenger for pair in pairs]
        )
    )  # fmt: skip
    units = np.concatenate([_units(k, pair) for k, pair in enumerate(pairs)])
    counts, p = _counted(before, after, units)
    return Line(
        "accepted wrong",
        p >= LEVEL,
        f"of all these {len(before):,} scans {counts[0]:,} wrong answers were accepted before, "
        f"{counts[1]:,} now (p = {p:.3g})",
        {"wrong": counts, "p": p},
    )


def _counted(
    before: NDArray[np.bool_], after: NDArray[np.bool_], units: NDArray[Any] | None
) -> tuple[list[int], float]:
    """Count what is not as it should be, before and now; and how likely so many more are."""
    counts = [int((~one).sum()) for one in (before, after)]
    return counts, p_worse(*discordant(before, after, units))


def _units(k: int, pair: Pair) -> NDArray[np.str_]:
    """Name the units of a set: images of MNIST by their number, which several sets share."""
    if pair.units is None:
        return np.array([f"{k}-{row}" for row in range(len(pair.champion.labels))])
    return np.array([f"unit {unit}" for unit in pair.units])


def not_accepted(empty: Pair) -> Line:
    """Ask whether more scans without a digit are taken for one."""
    before, after = (~one.accepted for one in (empty.champion, empty.challenger))
    counts, p = _counted(before, after, empty.units)
    return Line(
        "no digit, no answer",
        p >= LEVEL,
        f"of {len(before):,} scans without a digit {counts[0]:,} were accepted as one before, "
        f"{counts[1]:,} now (p = {p:.3g})",
        {"accepted": counts, "p": p},
    )


def covered(coverages: Sequence[Coverage]) -> Line:
    """Ask whether more digits go to people, under each error budget, than chance explains.

    A single wrong scan more or less moves a certified threshold, and with it the coverage by
    points: by how much is seen where the labelled scans are drawn again from themselves.
    """
    lost = [one for one in coverages if float(np.quantile(one.changes, 1 - LEVEL)) < 0]
    shown = ", ".join(
        f"{100 * one.budget:g} %: {100 * one.before:.2f} % accepted before, "
        f"{100 * one.after:.2f} % now"
        for one in coverages
    )
    beyond = "; beyond chance at " + ", ".join(f"{100 * one.budget:g} %" for one in lost)
    return Line(
        "coverage",
        not lost,
        f"for error budgets of {shown}{beyond if lost else ''}",
        {str(one.budget): [one.before, one.after] for one in coverages},
    )


def kept_sources(before: frozenset[str], after: frozenset[str]) -> Line:
    """Ask whether a source of scans loses its policies."""
    lost = ", ".join(sorted(name or "all others" for name in before - after))
    return Line(
        "sources",
        not lost,
        f"no policy for the scans of {lost}, which the champion has: answer an audit draw of them, "
        "and give it to retrain with --source"
        if lost
        else "for whose scans the champion has policies, the challenger has some too",
        {"before": sorted(before), "after": sorted(after)},
    )


def as_quick(seconds: tuple[float, float]) -> Line:
    """Ask whether the same scans take longer."""
    ratio = seconds[1] / seconds[0]
    return Line(
        "speed",
        ratio <= SLOWER,
        f"the same scans take {ratio:.2f} times as long as before; {SLOWER:g} is allowed",
        {"seconds": list(seconds)},
    )


def better(gain: Gain) -> Line:
    """Ask for evidence that corrections are read better: a paired test on their log-loss.

    What a group wrote is of one kind, so each counts once, where there are enough; else each
    cluster of near-copies does.
    """
    many = len(np.unique(gain.groups.astype(str))) >= GROUPS
    units = (gain.groups if many else gain.clusters).astype(str)
    names, numbers = np.unique(units, return_inverse=True)
    p = p_no_gain(np.bincount(numbers, gain.values, len(names)).astype(np.float64))
    mean = float(gain.values.mean()) if len(gain.values) else 0.0
    what = "groups" if many else "scans, as there are too few groups"
    if np.array_equal(gain.groups, gain.clusters):
        what = "scans, near-copies being one"
    return Line(
        gain.title,
        p < LEVEL,
        f"{gain.title}: {mean:+.4f} nats a scan gained over {len(gain.values):,} scans "
        f"({len(names):,} {what}; p = {p:.3g})",
        {"scans": len(gain.values), "units": len(names), "gain": mean, "p": p},
    )


def loss(measured: Measured) -> NDArray[np.float64]:
    """Return what the true label costs each of N scans, in nats: float64 [N], 0 or more.

    Where a scan shows no digit that is by the digit score: it should be low.
    """
    rows = np.arange(len(measured.labels))
    no_digit = measured.labels == NO_DIGIT
    found = measured.answers != NO_DIGIT
    score = np.nan_to_num(measured.digit_score, nan=0.5)
    likely = measured.probabilities[rows, np.where(no_digit, 0, measured.labels)]
    # Where nothing was found nothing is said of any digit.
    likely = np.where(found, likely, 1 / CLASSES)
    likely = np.where(no_digit, np.where(found, 1 - score, 1.0), likely)
    return np.asarray(-np.log(np.maximum(likely, LEAST_PROBABILITY)), np.float64)


def _share(count: int, of: int) -> str:
    return f"{100 * count / of:.2f} %" if of else "none"
