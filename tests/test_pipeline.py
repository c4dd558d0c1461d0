"""From scans to decisions: who is looked at closely, and what the policy makes of it."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from digitrec.datasets.labelled import png
from digitrec.errors import ScanError
from digitrec.model.bundle import Bundle
from digitrec.model.engine import Engine, kept_engine
from digitrec.model.policies import with_policy
from digitrec.model.policy import ACCEPT, REVIEW, Policy
from digitrec.normalize.scan import inspect, is_plain, normalize
from digitrec.pipeline import AT_ONCE, STAGES, Content, read_contents
from digitrec.readings import BLANK, ERROR, NO_DIGIT, Readings
from tests.drawing import Pixels, box_lines, darkened, digit, grain, shown
from tests.normalize.test_notes import with_bar
from tests.small_mnist.make import Digits


def boxed(which: int) -> Pixels:
    return darkened(shown(digit(which, 95, 95, pen=6)), box_lines(95, 95, "trbl"), 80)


def empty_box() -> Pixels:
    return darkened(np.full((95, 95), 255, np.uint8), box_lines(95, 95, "trbl"), 80)


def mixed(small_test: Digits, count: int) -> list[Content]:
    """Scans of every kind, one after the other: plain, done, boxed, empty, broken."""
    rng = np.random.default_rng(0)
    kinds: list[Content] = [
        shown(digit(2)), boxed(3), empty_box(), np.full((40, 30), 250, np.uint8), b"no image",
        ScanError("vanished", "no such file"), png(shown(digit(7))), shown(digit(4), 235, 195),
    ]  # fmt: skip
    done = list(small_test[0][:20])
    return [(kinds + done)[k] for k in rng.integers(0, len(kinds) + len(done), count)]


def read(contents: list[Content], engine: Engine, **options: bool | None) -> Readings:
    return read_contents(contents, len(contents), engine, **options)  # type: ignore[arg-type]


def told(readings: Readings) -> list[tuple[object, ...]]:
    """Give what a user sees of each scan, without the figures' last digits."""
    return [
        (one.digit, one.decision, (one.reason or "").split(":")[0], one.width, one.height,
         one.notes, one.confidence and round(one.confidence, 3))
        for one in readings
    ]  # fmt: skip


# ---- Who is looked at ----


def test_a_plain_scan_is_not_looked_at(engine: Engine) -> None:
    scans: list[Content] = [shown(digit(which)) for which in (0, 1, 2, 4, 5, 7, 8, 9)]
    assert all(is_plain(inspect(scan), scan) for scan in scans if isinstance(scan, np.ndarray))
    readings = read(scans, engine)
    assert not readings.looked.any()
    assert readings.digits.tolist() == [0, 1, 2, 4, 5, 7, 8, 9]
    assert (readings.decisions == ACCEPT).all()
    assert [scan.tolist() for scan in readings.scans] == [normalize(one).tolist() for one in scans]  # type: ignore[arg-type]


def test_what_is_normalized_already_or_nothing_is_not_looked_at(
    engine: Engine, small_test: Digits
) -> None:
    blank = np.full((40, 30), 250, np.uint8)
    readings = read([*small_test[0][:20], blank, b"text"], engine)
    assert not readings.looked.any()
    assert readings.decisions[-2:].tolist() == [BLANK, ERROR]


def test_another_normalizer_is_the_last_word(engine: Engine) -> None:
    readings = read_contents([boxed(3)], 1, engine, normalizer=normalize)
    assert not readings.looked.any()
    assert np.array_equal(readings.scans[0], normalize(boxed(3)))


def test_what_is_odd_is_looked_at_and_read_by_its_marks(engine: Engine) -> None:
    readings = read([boxed(which) for which in range(10)], engine)
    assert readings.looked.all()
    assert readings.digits.tolist() == list(range(10))
    assert readings.seconds["ink"] > 0


def test_what_does_not_look_like_a_digit_is_looked_at_first(bundle: Bundle, engine: Engine) -> None:
    plain = shown(digit(2))
    assert not read([plain], engine).looked[0]
    doubted = read([plain], by(bundle, min_digit_score=1.0))
    assert doubted.looked[0]
    assert doubted.digits[0] == 2


def test_no_error_budget_changes_what_is_read(bundle: Bundle, engine: Engine) -> None:
    scans = [shown(digit(2)), boxed(7), empty_box()]
    plain, strict = read(scans, engine), read(scans, by(bundle, min_confidence=1.0))
    assert np.array_equal(plain.probabilities, strict.probabilities, equal_nan=True)
    assert np.array_equal(plain.looked, strict.looked)
    assert [reason and reason.split(":")[0] for reason in strict.reasons] == [
        "low-confidence", "low-confidence", None,
    ]  # fmt: skip


# ---- What the policy says ----


def by(bundle: Bundle, **changes: float) -> Engine:
    """Open the bundle with another rule."""
    return kept_engine(with_policy(bundle, replace(bundle.card.policy, **changes)))


def test_the_policy_says_what_is_blank(bundle: Bundle) -> None:
    empty, never = empty_box(), by(bundle, max_blank=0.0)
    [clear] = read([empty], by(bundle))
    assert (clear.decision, clear.reason, clear.digit) == (BLANK, None, None)
    [unclear] = read([empty], never)
    assert unclear.decision == REVIEW
    assert unclear.reason is not None
    assert unclear.reason.startswith("unclear: that anything is written there is 0.0")


def test_where_nothing_stands_out_it_is_blank_by_any_policy(bundle: Bundle) -> None:
    readings = read([np.full((40, 30), 250, np.uint8)], by(bundle, max_blank=0.0))
    assert readings.decisions.tolist() == [BLANK]


def test_what_is_unclear_has_no_digit_where_none_was_found(bundle: Bundle) -> None:
    speck = with_bar(70, 70, (35, 23, 4, 4))
    readings = read([speck], by(bundle, max_blank=0.0))
    [reading] = readings
    assert (reading.decision, reading.digit, reading.probabilities) == (REVIEW, None, None)
    assert not readings.scans.any()
    assert np.isnan(readings.confidences).all()


def test_the_policy_says_what_is_written_for_sure(bundle: Bundle) -> None:
    """A bar with straight edges may be print."""
    bar = with_bar(60, 20, (6, 1, 6, 58))
    [doubted] = read([bar], by(bundle))
    assert (doubted.digit, doubted.decision) == (1, REVIEW)
    assert doubted.reason is not None
    assert doubted.reason.startswith("unclear: ")
    [sure] = read([bar], by(bundle, max_blank=0.0, min_written=0.0, min_digit_score=0.5))
    assert (sure.digit, sure.decision, sure.reason) == (1, ACCEPT, None)


def test_what_is_written_is_accepted_or_reviewed_by_its_digit(bundle: Bundle) -> None:
    [taken] = read([boxed(3)], by(bundle))
    assert (taken.digit, taken.decision, taken.reason) == (3, ACCEPT, None)
    [refused] = read([boxed(1)], by(bundle, min_digit_score=1.0))
    assert (refused.digit, refused.decision) == (1, REVIEW)
    assert refused.reason is not None
    assert refused.reason.startswith("not-a-digit: ")


def test_a_small_digit_on_a_page_is_not_blank(engine: Engine) -> None:
    """Whether it is one of the page's own a person says; but that there is one is told."""
    pages: list[Content] = []
    for height in (16, 24, 40):
        for which in range(10):
            ink = np.zeros((250, 250), np.uint8)
            small = digit(which, height, height * 3 // 4, pen=max(1, height / 10), margin=0.02)
            ink[83 : 83 + height, 125 : 125 + height * 3 // 4] = small
            pages.append(shown(ink, 240, 30))
    readings = read(pages, engine)
    assert set(readings.decisions) <= {ACCEPT, REVIEW}
    assert (readings.digits == np.tile(np.arange(10), 3)).mean() > 0.85


# ---- Together and one by one ----


def test_many_scans_are_read_as_one_by_one(engine: Engine, small_test: Digits) -> None:
    contents = mixed(small_test, 60)
    together = told(read(contents, engine, with_notes=True))
    alone = [told(read([content], engine, with_notes=True))[0] for content in contents]
    assert together == alone
    assert {decision for _, decision, *_ in together} == {ACCEPT, BLANK, ERROR}


def test_more_scans_than_are_kept_at_once_keep_their_order(
    engine: Engine, small_test: Digits
) -> None:
    count = 2 * AT_ONCE + 7
    contents = mixed(small_test, count)
    seen: list[int] = []

    def as_they_come() -> Iterator[Content]:
        yield from contents

    readings = read_contents(as_they_come(), count, engine, seen.append, with_notes=True)
    assert len(readings) == count
    parts = [contents[start : start + 100] for start in range(0, count, 100)]
    apart = [one for part in parts for one in told(read(part, engine, with_notes=True))]
    assert told(readings) == apart
    # Each is named before it is touched, and the end of what is kept at once after it.
    assert list(dict.fromkeys(seen)) == list(range(count + 1))


@pytest.mark.parametrize("count", [0, 1, AT_ONCE, AT_ONCE + 1])
def test_any_number_of_scans_is_read(engine: Engine, small_test: Digits, count: int) -> None:
    contents: list[Content] = [small_test[0][k % 200] for k in range(count)]
    readings = read(contents, engine)
    assert readings.digits.tolist() == [small_test[1][k % 200] for k in range(count)]
    assert set(readings.seconds) == set(STAGES)


def test_errors_between_move_nobody(engine: Engine) -> None:
    broken = b"no image", ScanError("vanished", "no such file")
    contents: list[Content] = [broken[0], boxed(3), broken[1], empty_box(), boxed(5), broken[0]]
    readings = read(contents, engine)
    assert readings.decisions.tolist() == [ERROR, ACCEPT, ERROR, BLANK, ACCEPT, ERROR]
    assert readings.digits.tolist() == [NO_DIGIT, 3, NO_DIGIT, NO_DIGIT, 5, NO_DIGIT]
    assert readings.looked.tolist() == [False, True, False, True, True, False]
    assert readings.widths.tolist() == [0, 95, 0, 95, 95, 0]
    assert readings.reasons[2] == "vanished: no such file"


# ---- Notes ----


def test_notes_are_of_what_was_read(engine: Engine) -> None:
    scans = [shown(digit(2)), boxed(3), empty_box(), shown(digit(4), 235, 195), b"no image"]
    assert set(read(scans, engine).notes) == {None}
    notes = read(scans, engine, with_notes=True).notes.tolist()
    assert notes[:3] == [None, "looked at closely", "nothing is marked as handwriting"]
    assert notes[3].startswith("looked at closely; faint: ")
    assert notes[4] is None


def test_grain_alone_is_blank_and_light_ink_is_said(engine: Engine) -> None:
    readings = read([grain(np.full((60, 60), 200, np.uint8), 4), shown(digit(2), 20, 235)], engine)
    assert readings.decisions.tolist() == [BLANK, ACCEPT]
    assert readings.light.tolist()[1]
    assert Policy().max_blank > 0
