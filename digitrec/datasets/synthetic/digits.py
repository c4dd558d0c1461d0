"""The ways in which the world writes the digits, as strokes with free proportions."""

from collections.abc import Callable

from numpy.random import Generator

from digitrec.datasets.synthetic.rare_digits import (
    four_phi,
    four_sail,
    nine_from_left,
    nine_hooked,
    nine_turned,
    one_long,
    seven_footed,
    zero_hooked,
)
from digitrec.datasets.synthetic.strokes import Stroke, Strokes, arc

# As many corners to a line as fit: one on each would be twice as long.
# fmt: off


def _zero(r: Generator) -> Strokes:
    """An oval that begins anywhere at the top, not always closed."""
    return [arc(0.5, 0.5, 1, 1, r.uniform(-0.1, 0.15), -r.uniform(0.93, 1.08), 10)]


def _zero_curled(r: Generator) -> Strokes:
    """An oval whose end goes on inwards or outwards."""
    oval = arc(0.5, 0.5, 1, 1, r.uniform(0.0, 0.15), -1, 10)
    return [[*oval, (r.uniform(0.3, 1.0), r.uniform(-0.1, 0.3))]]


def _zero_begun(r: Generator) -> Strokes:
    """An oval that begins with a stroke from the right."""
    begin = (r.uniform(0.7, 1.25), r.uniform(-0.12, 0.12))
    return [[begin, *arc(0.5, 0.5, 1, 1, r.uniform(-0.12, 0.1), -r.uniform(0.9, 1.05), 10)]]


def _zero_slashed(r: Generator) -> Strokes:
    over = r.uniform(-0.25, 0.12)
    slash = [(1 + over, -over), (-over, 1 + over)]
    return [*_zero(r), slash]


def _one(r: Generator) -> Strokes:
    return [[(0.5 + r.uniform(-0.05, 0.05), 0), (0.5, 0.5), (0.5, 1)]]


def _one_flag(r: Generator) -> Strokes:
    """A short upstroke."""
    top = r.uniform(0.45, 0.6)
    begin = (top - r.uniform(0.15, 0.4), r.uniform(0.08, 0.35))
    return [[begin, (top, 0), (top, 0), (top + r.uniform(-0.06, 0.06), 1)]]


def _one_high(r: Generator) -> Strokes:
    """An upstroke that is half as high as the digit or more: an inverted V."""
    top, down = r.uniform(0.5, 0.75), r.uniform(0.4, 0.95)
    begin = (top - r.uniform(0.35, 0.7 + 0.8 * down), down)
    bend = (top - (top - begin[0]) * r.uniform(0.3, 0.6), down * r.uniform(0.25, 0.6))
    corner = [(top, 0.0)] * (2 if r.random() < 0.8 else 1)
    return [[begin, bend, *corner, (top + r.uniform(-0.1, 0.1), 1)]]


def _one_foot(r: Generator) -> Strokes:
    foot = r.uniform(0.2, 0.45)
    lift = r.uniform(-0.03, 0.03)
    return [*(_one_flag(r) if r.random() < 0.8 else _one(r)), [(0.5 - foot, 1 + lift),
        (0.5 + foot, 1 - lift)]]


def _two(r: Generator) -> Strokes:
    """A straight foot."""
    hook = (r.uniform(0.0, 0.15), r.uniform(0.12, 0.32))
    return [[hook, (0.2, 0), (0.8, 0), (0.95, 0.35), (0.5, 0.7), (0, 1), (0, 1),
        (0.5, 1 + r.uniform(-0.03, 0.03)), (1, 1 + r.uniform(-0.08, 0.04))]]


def _two_looped(r: Generator) -> Strokes:
    size = r.uniform(0.12, 0.28)
    return [[(0.05, r.uniform(0.1, 0.3)), (0.25, 0), (0.8, 0), (0.9, 0.3), (0.6, 0.65), (0.15, 1),
        (-0.05, 1 - size / 2), (0.1, 1 - size), (0.35, 0.95 - size / 3), (0.65, 1.02),
        (1.05, r.uniform(0.8, 1))]]


def _two_wavy(r: Generator) -> Strokes:
    """A foot that is a wave, after a sharp or a round turn."""
    turn = [(0.02, 0.98)] * int(r.integers(1, 3))
    return [[(0.1, r.uniform(0.05, 0.3)), (0.3, 0), (0.8, 0), (0.9, 0.3), (0.55, 0.65), *turn,
        (0.3, r.uniform(0.8, 0.9)), (0.65, 1.02), (1, r.uniform(0.85, 1))]]


def _two_angular(r: Generator) -> Strokes:
    return [[(0.05, r.uniform(0.02, 0.15)), (0.5, -0.03), (0.95, 0.05), (0.9, 0.3), (0, 1), (0, 1),
        (1, r.uniform(0.95, 1.02))]]


def _three(r: Generator) -> Strokes:
    waist, deep = r.uniform(0.42, 0.52), r.uniform(0.35, 0.6)
    return [[(0.0, r.uniform(0.05, 0.2)), (0.35, -0.03), (0.9, 0.0), (0.9, 0.4), (deep, waist),
        (deep, waist), (1, 0.52), (1.02, 0.95), (0.5, 1.03), (0, r.uniform(0.8, 0.97))]]


def _three_flat(r: Generator) -> Strokes:
    """A straight top, a stroke slanting down from it, and one bow."""
    waist = r.uniform(0.35, 0.48)
    back = r.uniform(0.2, 0.5)
    return [[(r.uniform(0.0, 0.12), 0.02), (0.9, 0), (0.9, 0), (back, waist), (back, waist),
        (0.85, waist - 0.02), (1.03, 0.68), (0.9, 1.0), (0.35, 1.05), (0, r.uniform(0.8, 0.95))]]


def _three_looped(r: Generator) -> Strokes:
    return [[(0.05, r.uniform(0.05, 0.2)), (0.4, -0.03), (0.9, 0.02), (0.85, 0.38), (0.45, 0.52),
        (0.25, 0.45), (0.4, 0.38), (0.75, 0.5), (1.0, 0.62), (0.9, 1), (0.4, 1.03),
        (0, r.uniform(0.82, 0.95))]]


def _four_open(r: Generator) -> Strokes:
    across, right = r.uniform(0.5, 0.75), r.uniform(0.6, 0.85)
    left = r.uniform(0.0, 0.12)
    return [[(left + r.uniform(0.0, 0.35), r.uniform(-0.05, 0.1)), (left, across), (left, across),
        (1, across + r.uniform(-0.08, 0.05))],
        [(right + r.uniform(-0.02, 0.08), r.uniform(-0.05, 0.4)), (right, 1)]]


def _four_closed(r: Generator) -> Strokes:
    """A triangle on a stem."""
    across, right = r.uniform(0.5, 0.78), r.uniform(0.6, 0.8)
    return [[(right, 0), (right, 0), (0, across), (0, across),
        (right + r.uniform(0.03, 0.35), across + r.uniform(-0.05, 0.05))], [(right, 0),
        (right + r.uniform(-0.06, 0.03), 1)]]


def _four_pointed(r: Generator) -> Strokes:
    """A closed one whose stem is the last of one line, and which has no stroke to the right."""
    across, right = r.uniform(0.45, 0.65), r.uniform(0.75, 0.95)
    return [[(right, r.uniform(-0.03, 0.05)), (0.4, 0.15), (0.02, across - 0.03), (0.05, across),
        (right, across - r.uniform(0, 0.12)), (right, across - 0.05)], [(right, 0), (right, 0),
        (right - r.uniform(0, 0.15), 1)]]


def _four_round(r: Generator) -> Strokes:
    """Open, its left a bowl: like a ч or a y."""
    bowl, right = r.uniform(0.45, 0.65), r.uniform(0.8, 1)
    return [[(0.03, r.uniform(0, 0.1)), (0.0, bowl * 0.7), (0.2, bowl + 0.03), (0.6, bowl),
        (right, bowl - r.uniform(0.05, 0.25))], [(right + 0.02, r.uniform(-0.02, 0.4)),
        (right - r.uniform(-0.03, 0.15), 1)]]


def _four_looped(r: Generator) -> Strokes:
    """One line with a loop at the stem's top or at the left, and a tail: like a ч."""
    bowl = r.uniform(0.45, 0.6)
    return [[(r.uniform(0, 0.2), 0.0), (0.0, bowl), (0.15, bowl + 0.06), (0.6, bowl - 0.02),
        (0.9, 0.2), (0.95, 0.0), (0.85, r.uniform(0.0, 0.1)), (0.8, 0.5), (0.75, 1),
        (r.uniform(0.75, 1.05), r.uniform(0.92, 1.0))]]


def _four_curled(r: Generator) -> Strokes:
    """Open, its left a bow like a c's, which a stem crosses."""
    right, bowl = r.uniform(0.7, 0.95), r.uniform(0.45, 0.62)
    # The stem begins low: else, with the bow's beginning, it would be a 9.
    stem = [(right, bowl - r.uniform(0.05, 0.22)), (right, bowl),
        (right - r.uniform(-0.05, 0.3), 1)]
    bow = [(r.uniform(0.3, 0.6), r.uniform(-0.03, 0.05)), (0.1, bowl * 0.35), (0.0, bowl * 0.85),
        (0.25, bowl + 0.05), (right + r.uniform(0.0, 0.25), bowl - r.uniform(0.0, 0.12))]
    return [bow, stem]


def _four_crossed(r: Generator) -> Strokes:
    """A slanting stroke, a level one, and a short one across it."""
    across = r.uniform(0.6, 0.78)
    at = r.uniform(0.5, 0.72)
    return [[(r.uniform(0.35, 0.6), 0), (0, across), (0, across),
        (1, across + r.uniform(-0.05, 0.03))],
        [(at + r.uniform(0, 0.05), across - r.uniform(0.15, 0.4)), (at, 1)]]


def _four_low(r: Generator) -> Strokes:
    """Open or closed, its stroke across so low that hardly any stem is left below."""
    across, at = r.uniform(0.68, 0.86), r.uniform(0.5, 0.9)
    left = [(r.uniform(0.25, 0.7), r.uniform(-0.03, 0.05)), (0.12, across * r.uniform(0.4, 0.7)),
        (0.0, across)]
    corner = [(0.0, across)] if r.random() < 0.5 else [(0.15, across + 0.04)]
    return [[*left, *corner, (1.0, across - r.uniform(-0.03, 0.1))],
        [(at + r.uniform(-0.02, 0.15), across - r.uniform(0.15, 0.5)), (at, across), (at, 1)]]


def _five(r: Generator) -> Strokes:
    """One line, or its top put on afterwards and not always meeting the rest."""
    left = r.uniform(0.08, 0.22)
    body = [(left, 0.0), (left - 0.05, 0.43), (left - 0.05, 0.43), (0.45, 0.34), (0.98, 0.42),
        (1.0, 0.9), (0.5, 1.04), (0, r.uniform(0.85, 0.98))]
    lift, reach = r.uniform(-0.08, 0.05), r.uniform(0.75, 1.1)
    if r.random() < 0.5:
        return [[(reach, lift), (left, 0.0), *body]]
    gap = r.uniform(-0.03, 0.12)
    return [body, [(left + gap, r.uniform(-0.03, 0.05)), (reach, lift)]]


def _five_bent(r: Generator) -> Strokes:
    """Round throughout, like an S."""
    return [[(r.uniform(0.85, 1), r.uniform(0, 0.06)), (0.45, -0.02), (0.12, 0.08), (0.08, 0.4),
        (0.5, 0.42), (0.95, 0.55), (0.95, 0.95), (0.45, 1.03), (0, r.uniform(0.88, 0.98))]]


def _five_hook(r: Generator) -> Strokes:
    """A long stem and a small bow."""
    at = r.uniform(0.45, 0.58)
    return [[(0.25, 0), (0.12, at), (0.12, at), (0.5, at - 0.08), (0.85, at + 0.05), (0.9, 0.9),
        (0.5, 1.05), (0.0, r.uniform(0.9, 1.02))], [(0.25, 0.02),
        (r.uniform(0.8, 1.1), r.uniform(-0.08, 0.02))]]


def _six(r: Generator) -> Strokes:
    at = r.uniform(0.45, 0.62)
    return [[(r.uniform(0.6, 0.95), r.uniform(0, 0.05)), (0.3, 0.18), (0.0, 0.6), (0.12, 1.02),
        (0.8, 1.05), (1, 0.72), (0.75, at), (0.3, at + 0.03), (0.05, r.uniform(0.7, 0.85))]]


def _six_straight(r: Generator) -> Strokes:
    """A stem without a bow."""
    at = r.uniform(0.48, 0.65)
    top = r.uniform(0.15, 0.75)
    return [[(top, 0), (0.02, 0.68), (0.1, 1.03), (0.8, 1.05), (0.98, at + 0.15), (0.6, at - 0.04),
        (0.02, r.uniform(0.7, 0.82))]]


def _six_curled(r: Generator) -> Strokes:
    """A hook at the top, a small bow that does not always close."""
    at = r.uniform(0.5, 0.65)
    return [[(0.95, r.uniform(0.1, 0.22)), (0.75, 0), (0.3, 0.1), (0.0, 0.6), (0.15, 1.0),
        (0.7, 1.04), (0.95, 0.8), (0.75, at), (r.uniform(0.25, 0.45), at + 0.08),
        (r.uniform(0.15, 0.3), 0.8)]]


def _seven_top(r: Generator) -> Stroke:
    left, lift = r.uniform(0.0, 0.12), r.uniform(-0.05, 0.06)
    kind = r.random()
    if kind < 0.25:  # a serif
        return [(left, r.uniform(0.12, 0.3)), (left + 0.02, lift), (left + 0.02, lift), (1, 0),
            (1, 0)]
    if kind < 0.45:  # a wave
        return [(left, r.uniform(0.1, 0.22)), (left + 0.15, -0.04), (0.5, 0.08), (0.75, 0.1),
            (1, 0), (1, 0)]
    return [(left, lift), (1, 0), (1, 0)]


def _seven(r: Generator) -> Strokes:
    return [[*_seven_top(r), (r.uniform(0.2, 0.65), 1)]]


def _seven_curved(r: Generator) -> Strokes:
    foot = r.uniform(0.25, 0.55)
    return [[*_seven_top(r), (foot + 0.15, 0.4), (foot, 0.75), (foot, 1)]]


def _seven_barred(r: Generator) -> Strokes:
    """A bar across the stem, anywhere from the middle to near the foot, straight or curved."""
    [stem] = _seven(r) if r.random() < 0.5 else _seven_curved(r)
    if r.random() < 0.7:
        at, left, right = r.uniform(0.38, 0.62), r.uniform(0.15, 0.42), r.uniform(0.12, 0.42)
    else:  # low, and mostly to the right
        at, left, right = r.uniform(0.6, 0.9), r.uniform(0.0, 0.3), r.uniform(0.2, 0.6)
    middle = 1 + (stem[-1][0] - 1) * at
    lift = r.uniform(-0.08, 0.08)
    bar = [(middle - left, at + lift), (middle, at + r.uniform(-0.06, 0.06)),
        (middle + right, at - lift)]
    return [stem, bar]


def _eight(r: Generator) -> Strokes:
    """One line that begins at the upper right."""
    return [[(r.uniform(0.75, 0.95), r.uniform(0.08, 0.25)), (0.65, -0.03), (0.15, 0.0),
        (0.12, 0.35), (0.5, 0.48), (0.98, 0.7), (0.9, 1.02), (0.1, 1.03), (0.02, 0.7), (0.5, 0.46),
        (0.9, 0.3), (r.uniform(0.75, 0.95), r.uniform(0.02, 0.2))]]


def _eight_waist(r: Generator) -> Strokes:
    """One line that begins at the waist."""
    return [[(0.5, 0.45), (0.02, 0.3), (0.15, -0.03), (0.85, -0.03), (0.95, 0.3), (0.5, 0.45),
        (0, 0.7), (0.1, 1.03), (0.9, 1.03), (1, 0.7),
        (0.5 + r.uniform(-0.1, 0.1), r.uniform(0.4, 0.5))]]


def _eight_stacked(r: Generator) -> Strokes:
    """Two ovals."""
    waist = r.uniform(0.42, 0.52)
    narrow, touch = r.uniform(0.6, 0.95), r.uniform(-0.03, 0.05)
    start = r.uniform(-0.15, 0.15)
    return [arc(0.5 + r.uniform(-0.08, 0.08), waist / 2, narrow, waist + touch, start, -1.03),
        arc(0.5, (1 + waist) / 2, 1, 1 - waist + touch, start, -1.03)]


def _eight_open(r: Generator) -> Strokes:
    """One line whose ends do not meet at the top."""
    return [[(r.uniform(0.65, 0.85), r.uniform(0.0, 0.08)), (0.3, -0.05), (0.05, 0.15), (0.3, 0.42),
        (0.75, 0.55), (1, 0.85), (0.5, 1.08), (0.0, 0.85), (0.3, 0.55), (0.75, 0.35),
        (r.uniform(0.85, 1.05), r.uniform(-0.05, 0.08))]]


def _nine_bow(r: Generator, low: float) -> Stroke:
    return [(0.92, r.uniform(0.1, 0.2)), (0.65, -0.03), (0.1, 0.0), (-0.03, 0.3), (0.15, low),
        (0.65, low), (0.95, 0.2)]


def _nine(r: Generator) -> Strokes:
    """A straight stem."""
    low = r.uniform(0.42, 0.6)
    return [[*_nine_bow(r, low), (0.97, 0.08), (0.97, 0.08), (r.uniform(0.7, 1.0), 1)]]


def _nine_curled(r: Generator) -> Strokes:
    """A tail like a g's."""
    low = r.uniform(0.33, 0.55)
    return [[*_nine_bow(r, low), (0.97, 0.1), (0.97, 0.1), (1, 0.6), (0.9, 0.98), (0.45, 1.05),
        (r.uniform(0, 0.2), r.uniform(0.8, 0.97))]]


def _nine_bent(r: Generator) -> Strokes:
    """A stem that bends to the left."""
    low = r.uniform(0.42, 0.58)
    return [[*_nine_bow(r, low), (0.98, 0.2), (0.85, 0.65), (r.uniform(0.2, 0.6), 1)]]


def _nine_begun(r: Generator) -> Strokes:
    """A bow that begins to the right of the stem, with a flat top."""
    low, right = r.uniform(0.33, 0.55), r.uniform(0.85, 1)
    bow = [(right + r.uniform(0.05, 0.35), r.uniform(-0.06, 0.12)), (0.5, r.uniform(-0.03, 0.06)),
        (0.05, 0.2), (0.1, low), (0.5, low + 0.03), (right, low * r.uniform(0.3, 0.8))]
    tail = [(right + 0.02, 0.6), (0.8, 0.98), (0.4, 1.04), (r.uniform(0, 0.25), r.uniform(0.82, 1))]
    return [[*bow, (right + 0.03, low * 0.3), *(tail if r.random() < 0.6 else
        [(r.uniform(0.5, 0.9), 1)])]]


def _nine_angular(r: Generator) -> Strokes:
    """A bow with a flat top that does not meet the stem's."""
    low, right = r.uniform(0.38, 0.52), r.uniform(0.85, 1)
    bow = [(right, r.uniform(0.0, 0.12)), (0.4, r.uniform(-0.03, 0.05)), (0.05, 0.12), (0.1, low),
        (0.5, low), (right, r.uniform(0.05, low))]
    tail = ([(right, 0.6), (0.7, 1)] if r.random() < 0.5 else [(right, 0.8), (0.7, 1.03),
        (r.uniform(0.1, 0.4), r.uniform(0.9, 1.0))])
    return [bow, [(right + r.uniform(-0.03, 0.06), r.uniform(0.0, 0.1)), *tail]]


def _nine_open(r: Generator) -> Strokes:
    """A bow that does not close at the top: like a g or a y."""
    low, stem = r.uniform(0.42, 0.55), r.uniform(0.88, 1.0)
    start = (r.uniform(0.6, 0.9), r.uniform(0, 0.06))
    bow = [start, (0.3, 0), (0.0, 0.2), (0.05, low), (0.5, low + 0.04)]
    tail = [(stem, 0.6), (0.8, 1.0), (0.4, 1.05), (r.uniform(0, 0.25), r.uniform(0.85, 1))]
    if r.random() < 0.5:
        return [[*bow, (stem, low * r.uniform(0.5, 0.9))], [(stem, r.uniform(-0.02, 0.15)), *tail]]
    # The line goes up as far as it came from: else it would be a 5.
    return [[*bow, (stem, low * 0.7), (stem + 0.02, r.uniform(0, 0.12)), (stem + 0.04, 0.3), *tail]]


# fmt: on
# The variants of each digit: all are drawn equally often.
# What stands twice is drawn twice as often.
DIGIT_STYLES: tuple[tuple[Callable[[Generator], Strokes], ...], ...] = (
    (_zero, _zero_curled, _zero_begun, _zero_slashed, zero_hooked),
    (_one, _one_flag, _one_high, _one_high, _one_foot, one_long),
    (_two, _two_looped, _two_wavy, _two_angular),
    (_three, _three_flat, _three_looped),
    (
        _four_open,
        _four_closed,
        _four_pointed,
        _four_round,
        _four_looped,
        _four_curled,
        _four_crossed,
        _four_low,
        _four_low,
        four_phi,
        four_sail,
    ),
    (_five, _five_bent, _five_hook),
    (_six, _six_straight, _six_curled),
    (_seven, _seven_curved, _seven_barred, seven_footed),
    (_eight, _eight_waist, _eight_stacked, _eight_open),
    (
        _nine,
        _nine_curled,
        _nine_curled,
        _nine_bent,
        _nine_begun,
        _nine_angular,
        _nine_open,
        nine_turned,
        nine_from_left,
        nine_hooked,
    ),
)
