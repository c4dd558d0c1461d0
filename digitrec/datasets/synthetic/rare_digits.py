"""Ways of writing the digits that whole countries and schools have, and MNIST hardly."""

from numpy.random import Generator

from digitrec.datasets.synthetic.strokes import Stroke, Strokes, arc

# fmt: off


def zero_hooked(r: Generator) -> Strokes:
    """An oval that ends in a hook over its beginning."""
    oval = arc(0.5, 0.5, 1, 1, r.uniform(0.02, 0.12), -r.uniform(0.95, 1.02), 10)
    x, y = oval[-1]
    inwards = r.uniform(0.1, 0.3)
    return [[*oval, (x + r.uniform(0.05, 0.25), y - r.uniform(0.0, 0.12)),
        (x + r.uniform(0.15, 0.4), y + inwards)]]


def one_long(r: Generator) -> Strokes:
    """An upstroke as long as the stem, or nearly: a roof."""
    top, down = r.uniform(0.5, 0.75), r.uniform(0.85, 1.08)
    begin = (top - r.uniform(0.45, 0.95), down)
    bend = (top - (top - begin[0]) * r.uniform(0.35, 0.6), down * r.uniform(0.35, 0.6))
    return [[begin, bend, (top, 0.0), (top, 0.0), (top + r.uniform(-0.08, 0.12), 1)]]


def four_phi(r: Generator) -> Strokes:
    """One line that runs around its stem: like a φ."""
    across, right = r.uniform(0.5, 0.68), r.uniform(0.85, 1.05)
    stem = r.uniform(0.45, 0.65)
    return [[(stem + r.uniform(-0.05, 0.1), r.uniform(-0.03, 0.12)), (0.12, across * 0.6),
        (0.0, across), (0.25, across + 0.1), (0.7, across), (right, across * r.uniform(0.5, 0.75)),
        (right - 0.1, across * 0.25), (stem + 0.08, across * r.uniform(0.2, 0.45)), (stem, across),
        (stem - r.uniform(-0.05, 0.15), 1)]]


def four_sail(r: Generator) -> Strokes:
    """Closed, of one line: down the stem, or up it, around the sail and across."""
    across, right = r.uniform(0.5, 0.75), r.uniform(0.6, 0.85)
    return [[(right + r.uniform(-0.1, 0.05), 1), (right, 0.5), (right, 0), (right, 0),
        (0, across - r.uniform(0, 0.06)), (0, across), (right, across),
        (right + r.uniform(0.08, 0.35), across + r.uniform(-0.06, 0.03))]]


def seven_footed(r: Generator) -> Strokes:
    """A stem that stands on a stroke, with or without a bar."""
    lift, foot = r.uniform(-0.05, 0.06), r.uniform(0.25, 0.5)
    stem: Stroke = [(r.uniform(0, 0.1), lift), (1, 0), (1, 0), (foot + 0.12, 0.5), (foot, 1)]
    half = r.uniform(0.15, 0.35)
    strokes = [stem, [(foot - half, 1 + r.uniform(-0.03, 0.03)), (foot + half, 1)]]
    if r.random() < 0.4:
        strokes.append([(foot - 0.05, 0.5), (foot + r.uniform(0.35, 0.55), 0.47)])
    return strokes


def _bow(r: Generator, low: float) -> Stroke:
    return [(0.92, r.uniform(0.08, 0.2)), (0.6, -0.03), (0.1, 0.02), (-0.03, low * 0.6),
        (0.15, low), (0.65, low), (0.93, low * 0.4)]


def nine_turned(r: Generator) -> Strokes:
    """A tail that turns back flat under the bowl, and ends far to the left."""
    low = r.uniform(0.42, 0.6)
    flat = r.uniform(0.82, 0.98)
    turn = [(1.0, low + 0.1), (0.92, flat - 0.05), (0.6, flat)]
    return [[*_bow(r, low), (0.97, 0.08), (0.97, 0.08), *turn,
        (r.uniform(-0.25, 0.15), flat + r.uniform(-0.1, 0.05))]]


def nine_from_left(r: Generator) -> Strokes:
    """It begins with a stroke from the left, which the bowl comes back under."""
    low = r.uniform(0.38, 0.55)
    begin: Stroke = [(-r.uniform(0.05, 0.4), r.uniform(-0.02, 0.25)), (0.4, r.uniform(-0.08, 0.05))]
    stem = (r.uniform(0.65, 1.0), 1)
    return [[*begin, (0.9, 0.05), (0.8, low * 0.9), (0.35, low + 0.03), (0.05, low * 0.7),
        (0.35, 0.05), (0.85, 0.05), (0.98, 0.3), stem]]


def nine_hooked(r: Generator) -> Strokes:
    """A bowl that stays open at the top, its line turning down before it is up: nearly a g."""
    low, right = r.uniform(0.4, 0.52), r.uniform(0.85, 1)
    up = r.uniform(0.1, 0.6) * low
    tail: Stroke = [(right + 0.05, 0.62), (0.85, 0.98), (0.4, 1.04),
        (r.uniform(0, 0.3), r.uniform(0.85, 1))]
    straight: Stroke = [(r.uniform(0.55, 0.9), 1.0)]
    return [[(r.uniform(0.6, 1.0), r.uniform(-0.02, 0.08)), (0.3, -0.02), (0.0, low * 0.5),
        (0.15, low), (0.55, low + 0.03), (right, up), (right + 0.02, up + 0.05),
        *(tail if r.random() < 0.6 else straight)]]
