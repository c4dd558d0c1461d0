import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from digitrec.model.calibration import DOUBTED, RANGE, calibrate, fit_temperature
from digitrec.model.engine import digit_score, softmax

Logits = NDArray[np.float32]


@pytest.fixture(scope="module")
def honest() -> tuple[Logits, NDArray[np.uint8]]:
    """20,000 logits, and labels drawn from what they say."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 10)).astype(np.float32)
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    return logits, labels.astype(np.uint8)


@pytest.mark.parametrize("factor", [0.5, 1, 3])
def test_the_temperature_undoes_a_scaling_of_the_logits(
    factor: float, honest: tuple[Logits, NDArray[np.uint8]]
) -> None:
    logits, labels = honest
    found = fit_temperature(np.float32(factor) * logits, labels)
    assert found == pytest.approx(factor, rel=0.03)


def test_no_temperature_makes_the_labels_likelier(
    honest: tuple[Logits, NDArray[np.uint8]],
) -> None:
    logits, labels = 3 * honest[0], honest[1]

    def unlikeliness(temperature: float) -> float:
        right = softmax(logits / np.float32(temperature))[np.arange(len(labels)), labels]
        return float(-np.log(right).mean(dtype=np.float64))

    found = fit_temperature(logits, labels)
    assert all(unlikeliness(found) < unlikeliness(found * off) for off in (0.9, 0.97, 1.03, 1.1))


def test_labels_that_are_always_or_never_the_likeliest_end_at_the_range() -> None:
    logits = np.eye(10, dtype=np.float32)
    labels = np.arange(10, dtype=np.uint8)
    assert fit_temperature(logits, labels) == pytest.approx(RANGE[0], rel=1e-6)
    assert fit_temperature(logits, (labels + 1) % 10) == pytest.approx(RANGE[1], rel=1e-6)


any_logits = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 6), st.just(10)), elements=st.floats(-1e6, 1e6, width=32)
)


@settings(deadline=None)
@given(any_logits, st.integers(0, 9), st.booleans())
@example(np.zeros((1, 10), np.float32), 0, True)
@example(np.full((3, 10), -500, np.float32), 0, True)
@example(np.full((3, 10), 500, np.float32), 9, True)
def test_any_logits_have_a_calibration(logits: Logits, label: int, junk: bool) -> None:
    found = calibrate(logits, np.full(len(logits), label, np.uint8), junk=junk)
    assert RANGE[0] * 0.999 <= found.temperature <= RANGE[1] * 1.001
    assert (found.policy.min_digit_score is not None) == junk
    assert not junk or 0 <= found.policy.min_digit_score <= 1


def test_one_digit_in_a_hundred_is_doubted(honest: tuple[Logits, NDArray[np.uint8]]) -> None:
    logits, labels = honest
    found = calibrate(logits, labels, junk=True)
    assert found.policy.min_digit_score is not None
    assert DOUBTED == 0.01
    assert (digit_score(logits) < found.policy.min_digit_score).sum() == pytest.approx(200, abs=1)
    assert found.temperature == fit_temperature(logits, labels)
    assert calibrate(logits, labels, junk=False).policy.min_digit_score is None


@given(any_logits)
@example(np.full((1, 10), -500, np.float32))
@example(np.full((1, 10), 500, np.float32))
@example(np.array([[500, *[-500] * 9]], np.float32))
@example(np.zeros((1, 10), np.float32))
def test_digit_score_is_the_sigmoid_of_the_logits_log_sum_exp(logits: Logits) -> None:
    exact = np.logaddexp.reduce(logits.astype(np.float64), axis=1)
    expected = np.exp(-np.logaddexp(0, -exact))
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found = digit_score(logits)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32


def test_digit_score_at_known_places() -> None:
    logits = np.array([[0.0] * 10, [-500.0] * 10, [500.0] * 10], np.float32)
    assert digit_score(logits).tolist() == pytest.approx([10 / 11, 0, 1], abs=1e-6)
