"""The gate: each of its lines holds where nothing is wrong, and stops what it is there for."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from digitrec.datasets.answers import NO_DIGIT
from digitrec.evaluation.scores import Measured
from digitrec.model.policy import ACCEPT, REVIEW
from digitrec.registry.gate import Coverage, Evidence, Gain, Pair, judge, loss

COUNT = 4_000


def measured(
    name: str, labels: NDArray[np.uint8], answers: NDArray[np.integer], confidence: float = 0.999
) -> Measured:
    """Readings that are all as certain, and accepted."""
    count = len(labels)
    probabilities = np.full((count, 10), (1 - confidence) / 9, np.float32)
    probabilities[np.arange(count), np.minimum(answers, 9)] = confidence
    return Measured(
        name=name,
        labels=labels,
        answers=answers.astype(np.int8),
        confidences=np.full(count, confidence, np.float32),
        probabilities=probabilities,
        digit_score=np.full(count, 0.999, np.float32),
        scans=np.zeros((count, 28, 28), np.uint8),
        decisions=np.full(count, ACCEPT, object),
        reasons=np.full(count, None, object),
        looks=np.zeros((count, 8), np.uint8),
    )


def wrong_at(labels: NDArray[np.uint8], *rows: int) -> NDArray[np.int64]:
    answers = labels.astype(np.int64)
    answers[list(rows)] = (answers[list(rows)] + 1) % 10
    return answers


def pair(name: str, before: tuple[int, ...] = (), after: tuple[int, ...] = ()) -> Pair:
    """A set of 4,000 digits of which these rows are read wrong before and after."""
    labels = (np.arange(COUNT) % 10).astype(np.uint8)
    return Pair(
        measured(name, labels, wrong_at(labels, *before)),
        measured(name, labels, wrong_at(labels, *after)),
    )


def empty(accepted: int = 0) -> Pair:
    labels = np.full(COUNT, NO_DIGIT, np.uint8)
    one = measured("no digit", labels, np.zeros(COUNT, np.int64))
    some = np.where(np.arange(COUNT) < accepted, ACCEPT, REVIEW).astype(object)
    none = replace(one, decisions=np.full(COUNT, REVIEW, object))
    return Pair(none, replace(none, decisions=some))


def gain(title: str, each: float = 0.1, groups: int = 8) -> Gain:
    names = np.array([f"writer {k % groups}" for k in range(240)], object)
    noise = np.random.default_rng(0).normal(0, 0.2, 240)
    return Gain(title, noise - noise.mean() + each, names, np.arange(240).astype(object))


def evidence() -> Evidence:
    """What a challenger shows that mends five mistakes and makes one."""
    suite = [replace(pair(f"mnist:{k}", (1, 2), (2,)), units=np.arange(COUNT)) for k in range(4)]
    corrections = pair("corrections", (5, 6, 7)).champion
    return Evidence(
        labels=corrections.labels,
        champion=corrections,
        mnist=pair("mnist:test", (1, 2, 3, 4, 5), (9,)),
        golden=[pair("golden corrections", (1, 2), ())],
        suite=suite,
        empty=empty(),
        coverages=[Coverage(0.01, 0.98, 0.985, np.full(100, 0.005))],
        gains=[gain("all corrections gain"), gain("golden corrections gain")],
        seconds=(1.0, 1.02),
    )


def stopped(changed: Evidence) -> list[str]:
    verdict = judge(changed)
    assert verdict.passed == (not verdict.reasons)
    return [line.name for line in verdict.lines if not line.passed]


def test_who_mends_more_than_it_breaks_passes() -> None:
    verdict = judge(evidence())
    assert verdict.passed, verdict.reasons
    # Each line says its figures, and the log takes them.
    assert all(line.words for line in verdict.lines)
    assert verdict.to_json()["passed"] is True


def test_a_set_that_is_read_worse_stops_it() -> None:
    worse = pair("mnist:test", (1, 2), tuple(range(10, 20)))
    assert "mnist:test not worse" in stopped(replace(evidence(), mnist=worse))
    worse = pair("golden corrections of office", (), (1, 12, 23, 34, 45))
    assert "golden corrections of office not worse" in stopped(replace(evidence(), golden=[worse]))


def test_what_may_be_lost_of_mnist_is_bounded_where_nothing_is_certain() -> None:
    # Twelve against eight is no proof that it is worse, nor that it is not.
    unclear = pair("mnist:test", tuple(range(8)), tuple(range(20, 32)))
    assert stopped(replace(evidence(), mnist=unclear)) == ["mnist:test within 0.15 points"]


def test_one_corruption_of_many_stops_it() -> None:
    whole = evidence()
    worse = replace(pair("mnist:thin", (), tuple(range(0, 90, 9))), units=np.arange(COUNT))
    found = stopped(replace(whole, suite=[*whole.suite, worse]))
    assert "each corruption not worse" in found


def test_a_digit_that_pays_for_the_others_stops_it() -> None:
    # All the new mistakes are 7s, and as many others are mended.
    sevens = tuple(range(7, 57, 10))
    paid = pair("mnist:test", (1, 12, 23, 34, 45, 56, 61), sevens)
    assert "no digit worse" in stopped(replace(evidence(), mnist=paid))


def test_more_wrong_answers_that_nobody_sees_stop_it() -> None:
    rows = tuple(range(0, 60, 6))
    both = pair("mnist:test", rows, rows)
    asked = both.champion.decisions.copy()
    asked[list(rows)] = REVIEW
    warned = replace(both, champion=replace(both.champion, decisions=asked))
    assert stopped(replace(evidence(), mnist=warned)) == ["accepted wrong"]


def test_scans_without_a_digit_that_are_accepted_stop_it() -> None:
    assert stopped(replace(evidence(), empty=empty(accepted=9))) == ["no digit, no answer"]


def test_less_coverage_stops_it_beyond_chance() -> None:
    changes = np.linspace(-0.05, 0.01, 100)
    chance = [Coverage(0.001, 0.96, 0.94, changes)]
    assert stopped(replace(evidence(), coverages=chance)) == []
    lost = [Coverage(0.001, 0.96, 0.9, changes - 0.03)]
    assert stopped(replace(evidence(), coverages=lost)) == ["coverage"]


def test_a_slower_one_is_stopped() -> None:
    assert stopped(replace(evidence(), seconds=(1.0, 1.3))) == ["speed"]


def test_a_source_that_loses_its_policies_stops_it() -> None:
    sources = frozenset({"", "office"}), frozenset({""})
    assert stopped(replace(evidence(), sources=sources)) == ["sources"]
    assert stopped(replace(evidence(), sources=(sources[1], sources[0]))) == []


@pytest.mark.parametrize("groups", [8, 2])
def test_no_evidence_is_no_reason_to_change(groups: int) -> None:
    gains = [gain("all corrections gain", 0.0, groups), gain("golden corrections gain")]
    assert stopped(replace(evidence(), gains=gains)) == ["all corrections gain"]


def test_no_golden_corrections_are_no_evidence() -> None:
    none = Gain("golden corrections gain", np.zeros(0), np.zeros(0, object), np.zeros(0, object))
    whole = evidence()
    assert stopped(replace(whole, gains=[whole.gains[0], none])) == ["golden corrections gain"]


def test_labels_that_contradict_a_certain_champion_stop_it() -> None:
    whole = evidence()
    labels = whole.labels
    of_seven = np.flatnonzero(labels == 7)
    relabelled = labels.copy()
    relabelled[of_seven[::3]] = 1
    for wrong in (np.full_like(labels, 7), np.roll(labels, 3), relabelled):
        assert stopped(replace(whole, labels=wrong)) == ["labels"]
    few = labels.copy()
    some = np.random.default_rng(0).choice(COUNT, COUNT // 200, replace=False)
    few[some] = (few[some] + 1) % 10
    assert stopped(replace(whole, labels=few)) == []


def test_the_loss_of_no_digit_is_by_the_digit_score() -> None:
    labels = np.array([3, 3, NO_DIGIT, NO_DIGIT], np.uint8)
    one = measured("four", labels, np.array([3, 4, 3, NO_DIGIT]), confidence=0.91)
    score = np.array([0.99, 0.99, 0.2, np.nan], np.float32)
    found = loss(replace(one, digit_score=score))
    assert found == pytest.approx([-np.log(0.91), -np.log(0.01), -np.log(0.8), 0], abs=1e-6)
