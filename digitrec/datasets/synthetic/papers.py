"""Papers to write on, with print and dirt: what a scan shows beside handwriting.

Each kind is a function that draws itself on a sheet; `KINDS` names them, so that some can be kept
from training and tried afterwards. The same generator gives the same sheet.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from digitrec.datasets.synthetic import print_edges, print_fields, print_lines, print_stains
from digitrec.datasets.synthetic.sheet import Plane, Sheet


@dataclass(frozen=True, slots=True)
class PrintKind:
    """One kind of print or dirt: how it is drawn, and which others it is like."""

    draw: Callable[[Sheet, Generator], None]
    family: str


def _kinds(family: str, *drawn: Callable[[Sheet, Generator], None]) -> dict[str, PrintKind]:
    return {draw.__name__.replace("_", "-"): PrintKind(draw, family) for draw in drawn}


KINDS: dict[str, PrintKind] = {
    **_kinds(
        "frame",
        print_lines.box,
        print_lines.rounded_box,
        print_lines.double_box,
        print_lines.half_frame,
        print_lines.corner_marks,
        print_lines.comb,
        print_lines.oval,
        print_edges.neighbour_box,
    ),
    **_kinds(
        "line",
        print_lines.lines_across,
        print_lines.base_line,
        print_lines.dashed_lines,
        print_lines.ruled,
        print_lines.squared,
        print_lines.table_cross,
        print_lines.seven_segments,
    ),
    **_kinds(
        "field",
        print_fields.panel,
        print_fields.hatching,
        print_fields.crossed_waves,
        print_fields.wavy_lines,
        print_fields.rosette,
        print_fields.dots,
        print_fields.speckled_tint,
        print_fields.stripes,
        print_fields.shading,
        print_fields.watermark,
    ),
    **_kinds(
        "edge",
        print_edges.desk,
        print_edges.white_bed,
        print_edges.torn_corner,
        print_edges.punched_hole,
        print_edges.neighbour_digit,
    ),
    **_kinds(
        "small",
        print_lines.cell_number,
        print_lines.rim_text,
        print_lines.printed_point,
        print_stains.specks,
        print_stains.smudge,
        print_edges.staple,
        print_edges.hair,
        print_edges.show_through,
    ),
    **_kinds("light", print_stains.crease, print_stains.shadow, print_stains.glare),
    **_kinds(
        "stain", print_stains.rubbed, print_stains.drops, print_stains.tape, print_fields.seal
    ),
}

# Never drawn for training: what is chosen is chosen by these. Twelve of 45, of every family.
HELD_BACK = (
    "rounded-box",
    "half-frame",
    "dashed-lines",
    "table-cross",
    "crossed-waves",
    "rosette",
    "stripes",
    "torn-corner",
    "rim-text",
    "hair",
    "glare",
    "tape",
)
TRAINED = tuple(kind for kind in KINDS if kind not in HELD_BACK)


def draw_paper(shape: tuple[int, int], kinds: Sequence[str], rng: Generator) -> Sheet:
    """Draw a paper with print of the kinds of `KINDS`, in their order, as it is in even light.

    Args:
        shape: height and width in pixels.
        kinds: names; none for a plain paper.
        rng: where all that is random comes from.
    """
    paper = float(rng.uniform(90, 252) if rng.random() < 0.5 else rng.uniform(200, 255))
    sheet = Sheet(np.full(shape, paper, np.float32), paper)
    _texture(sheet, rng)
    for kind in kinds:
        KINDS[kind].draw(sheet, rng)
    return sheet


def _texture(sheet: Sheet, rng: Generator) -> None:
    """A paper's fibres: grain of a few pixels. Half of the papers are smooth."""
    if rng.random() < 0.5:
        return
    step = int(rng.integers(1, 5))
    coarse = (-(-sheet.height // step), -(-sheet.width // step))
    grain = rng.normal(0, rng.uniform(0.3, 5), coarse).astype(np.float32)
    size = (sheet.width, sheet.height)
    sheet.grey += np.asarray(cv2.resize(grain, size, interpolation=cv2.INTER_LINEAR), np.float32)


def shine(sheet: Sheet, rng: Generator) -> None:
    """Put a sheet into uneven light: mostly a slope, now and then a shadow or a crease."""
    if rng.random() < 0.5:
        y, x = sheet.places()
        slopes = rng.normal(0, 0.08, 2)
        sheet.grey *= 1 + np.float32(slopes[0]) * (y - 0.5) + np.float32(slopes[1]) * (x - 0.5)
    if rng.random() < 0.12:
        sheet.grey *= 1 - np.float32(rng.uniform(0.05, 0.45)) * _beyond(sheet, rng, 0.004, 0.2)
    if rng.random() < 0.05:
        edge = _beyond(sheet, rng, 0.01, 0.04)
        sheet.grey *= 1 + np.float32(rng.uniform(-0.6, 0.6)) * edge * (1 - edge)


def _beyond(sheet: Sheet, rng: Generator, sharp: float, soft: float) -> Plane:
    """Return 0 on one side of a line at random and 1 on the other: float32 [H, W]."""
    y, x = sheet.places()
    angle, softness = rng.uniform(0, 2 * np.pi), rng.uniform(sharp, soft)
    across = np.cos(angle) * (x - rng.uniform(0, 1)) + np.sin(angle) * (y - rng.uniform(0, 1))
    return np.asarray(np.clip(0.5 + across / (2 * softness), 0, 1), np.float32)
