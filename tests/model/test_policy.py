import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitrec.model.policy import Policy

CONFIDENCES = np.array([0.99, 0.8, 0.99, 0.8], np.float32)
DIGITS = np.array([0, 1, 2, 3], np.int8)
SCORES = np.array([0.9, 0.9, 0.2, np.nan], np.float32)


def test_without_bounds_every_digit_is_accepted() -> None:
    decisions, reasons = Policy().decide(DIGITS, CONFIDENCES, SCORES)
    assert decisions.tolist() == 4 * ["accept"]
    assert reasons.tolist() == 4 * [None]


def test_what_is_below_a_bound_goes_to_review_with_its_code() -> None:
    policy = Policy(max_error=0.01, min_confidence=0.9, min_digit_score=0.5)
    decisions, reasons = policy.decide(DIGITS, CONFIDENCES, SCORES)
    assert decisions.tolist() == ["accept", "review", "review", "review"]
    assert reasons.tolist() == [
        None,
        "low-confidence: its confidence is 0.800, 0.900 is needed",
        "not-a-digit: its digit score is 0.200, 0.500 is needed",
        "low-confidence: its confidence is 0.800, 0.900 is needed",
    ]
    assert policy.is_digit(SCORES).tolist() == [True, True, False, True]


def test_each_digit_may_need_a_confidence_of_its_own() -> None:
    least = tuple(0.9 if digit == 1 else 0.7 for digit in range(10))
    decisions, reasons = Policy(min_confidence=least).decide(DIGITS, CONFIDENCES, SCORES)
    assert decisions.tolist() == ["accept", "review", "accept", "accept"]
    assert reasons[1] == "low-confidence: its confidence is 0.800, 0.900 is needed"
    assert Policy(min_confidence=least).id != Policy(min_confidence=0.7).id
    with pytest.raises(ValueError, match="min_confidence must be a number or 10, not 2"):
        Policy(min_confidence=(0.5, 0.5))
    with pytest.raises(ValueError, match=r"min_confidence must be from 0 to 1, not 1\.5"):
        Policy(min_confidence=(*least[:9], 1.5))


def test_a_confidence_near_1_is_told_from_its_bound() -> None:
    [reason] = (
        Policy(min_confidence=0.99996)
        .decide(np.array([3]), np.array([0.99995]), np.array([np.nan]))
        .reasons
    )
    assert reason == "low-confidence: its confidence is 0.999950, 0.999960 is needed"


def test_both_doubts_are_not_a_digit_and_a_bound_is_enough() -> None:
    policy = Policy(min_confidence=0.9, min_digit_score=0.5)
    three = np.array([3])
    [reason] = policy.decide(three, np.array([0.1]), np.array([0.1])).reasons
    assert reason.startswith("not-a-digit: ")
    assert policy.decide(three, np.array([0.9]), np.array([0.5])).decisions.tolist() == ["accept"]
    assert policy.decide(three, np.array([np.nan]), np.array([0.5])).decisions.tolist() == [
        "review"
    ]
    assert len(policy.decide(np.zeros(0, int), np.zeros(0), np.zeros(0)).decisions) == 0


def test_what_may_be_no_writing_goes_to_review_as_unclear() -> None:
    written = np.array([0.979, 0.985, np.nan, 0.5], np.float32)
    decisions, reasons = Policy(min_digit_score=0.5).decide(DIGITS, CONFIDENCES, SCORES, written)
    assert decisions.tolist() == ["review", "accept", "review", "review"]
    assert [None if why is None else why.split(":")[0] for why in reasons] == [
        "unclear", None, "not-a-digit", "unclear",
    ]  # fmt: skip
    assert reasons[3] == "unclear: that anything is written there is 0.500 likely, 0.980 is needed"


def test_what_is_called_blank_is_not_accepted_too() -> None:
    with pytest.raises(ValueError, match="max_blank must be at most min_written"):
        Policy(max_blank=0.6, min_written=0.5)


def test_its_id_is_of_its_content() -> None:
    ids = {
        policy.id
        for policy in (
            Policy(),
            Policy(max_error=0.001),
            Policy(min_confidence=0.001),
            Policy(min_digit_score=0.001),
            Policy(max_blank=0.001),
            Policy(min_written=0.99),
        )
    }
    assert len(ids) == 6
    assert all(len(one) == 12 and set(one) <= set("0123456789abcdef") for one in ids)
    assert Policy(min_confidence=1).id == Policy(min_confidence=1.0).id


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf")])
@pytest.mark.parametrize(
    "name", ["max_error", "min_confidence", "min_digit_score", "max_blank", "min_written"]
)
def test_a_bound_is_from_0_to_1(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be from 0 to 1"):
        Policy(**{name: value})


numbers = st.floats(0, 1, width=32)


@given(st.lists(st.tuples(numbers, numbers)), numbers, numbers)
def test_decisions_and_reasons_belong_together(
    scores: list[tuple[float, float]], confidence: float, digit_score: float
) -> None:
    policy = Policy(min_confidence=confidence, min_digit_score=digit_score)
    columns = np.array(scores, np.float32).reshape(-1, 2).T
    decisions, reasons = policy.decide(np.zeros(len(scores), np.int8), *columns)
    expected = [a >= confidence and b >= digit_score for a, b in scores]
    assert (decisions == "accept").tolist() == expected
    assert [why is None for why in reasons] == expected
