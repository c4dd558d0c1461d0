"""What light and dirt leave on a paper: shadows and folds, specks, stains and tape."""

import cv2
import numpy as np
from numpy.random import Generator

from digitrec.datasets.synthetic.sheet import Sheet, drawn_paths, filled


def shadow(sheet: Sheet, rng: Generator) -> None:
    """The shadow of a hand or a phone, with a soft edge that is straight or bent."""
    angle, bow = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.5)
    across = sheet.towards(angle) + bow * sheet.towards(angle + np.pi / 2) ** 2
    softness = np.exp(rng.uniform(np.log(0.01), np.log(0.3)))
    cover = np.clip(0.5 + (across - rng.uniform(-0.4, 0.4)) / (2 * softness), 0, 1)
    sheet.grey *= 1 - np.float32(rng.uniform(0.05, 0.6)) * cover.astype(np.float32)


def glare(sheet: Sheet, rng: Generator) -> None:
    """The reflection of a lamp: a bright spot with a soft edge, in which print gets pale too."""
    y, x = sheet.places()
    middle, radii = rng.uniform(0, 1, 2), rng.uniform(0.15, 0.6, 2)
    distance = ((x - middle[0]) / radii[0]) ** 2 + ((y - middle[1]) / radii[1]) ** 2
    cover = np.exp(-(distance ** rng.uniform(0.7, 3))).astype(np.float32)
    sheet.grey += np.float32(rng.uniform(0.1, 0.8)) * cover * (255 - sheet.grey)


def crease(sheet: Sheet, rng: Generator) -> None:
    """Folds from border to border: light beside dark, or a line that is lighter or darker."""
    for _ in range(int(rng.integers(1, 3))):
        across = sheet.towards(rng.uniform(0, np.pi)) - rng.uniform(-0.4, 0.4)
        beside = across / np.exp(rng.uniform(np.log(0.008), np.log(0.07)))
        fold = np.exp(-(beside**2))
        if rng.random() < 0.6:
            fold = fold * beside * 2.3
        sheet.grey += (fold * rng.normal(0, 0.12) * sheet.paper).astype(np.float32)


def specks(sheet: Sheet, rng: Generator) -> None:
    """Dark specks, and now and then light ones."""
    grey = sheet.print_grey(rng, pale=0.5) if rng.random() < 0.85 else 255.0
    for _ in range(int(rng.integers(1, 12))):
        at = rng.uniform(0, 1, (1, 2)) * [sheet.width, sheet.height]
        path = np.concatenate([at, at + rng.normal(0, 0.01 * sheet.side, (1, 2))])
        width = np.exp(rng.uniform(np.log(0.01), np.log(0.045))) * sheet.side
        sheet.paint(drawn_paths(sheet.shape, [path], width), grey)


def drops(sheet: Sheet, rng: Generator) -> None:
    """Drops and crumbs, up to twice as wide as a pen's stroke, each of its own grey."""
    for _ in range(int(rng.integers(1, 10))):
        at = rng.uniform(0, 1, (1, 2)) * [sheet.width, sheet.height]
        width = rng.uniform(0.015, 0.09) * sheet.side
        path = np.concatenate([at, at + rng.normal(0, 0.3 * width, (1, 2))])
        sheet.paint(drawn_paths(sheet.shape, [path], width), sheet.print_grey(rng, pale=0.3))


def smudge(sheet: Sheet, rng: Generator) -> None:
    """A soft stain, or a ring of a cup."""
    y, x = sheet.places()
    middle, radius = rng.uniform(0, 1, 2), rng.uniform(0.1, 0.5)
    distance = np.sqrt((x - middle[0]) ** 2 + (y - middle[1]) ** 2)
    if rng.random() < 0.3:
        radius += 0.35  # a small ring is a 0
        cover = np.exp(-(((distance - radius) / rng.uniform(0.02, 0.08)) ** 2))
    else:
        cover = np.exp(-((distance / radius) ** 2))
    sheet.lay(cover.astype(np.float32), sheet.paper - rng.uniform(5, 60))


def rubbed(sheet: Sheet, rng: Generator) -> None:
    """What was rubbed out, or a thumb left: a grey patch of any form, soft or nearly sharp."""
    middle, radii = rng.uniform(0.1, 0.9, 2), rng.uniform(0.08, 0.4, 2)
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    rough = 1 + rng.normal(0, 0.12, 12)
    path = middle + (radii * rough[:, None]) * np.stack([np.cos(angles), np.sin(angles)], 1)
    cover = filled(sheet.shape, path * [sheet.width, sheet.height])
    cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), rng.uniform(0.02, 0.1) * sheet.side))
    cells = rng.normal(1, rng.uniform(0.05, 0.3), (8, 8)).astype(np.float32)
    size = (sheet.width, sheet.height)
    cover = cover * np.asarray(cv2.resize(cells, size, interpolation=cv2.INTER_CUBIC))
    sheet.lay(np.clip(cover, 0, 1).astype(np.float32), sheet.paper - rng.uniform(6, 70))


def tape(sheet: Sheet, rng: Generator) -> None:
    """Adhesive tape across the paper: a band a little darker or lighter, with sharp edges."""
    angle, half = rng.uniform(0, np.pi), rng.uniform(0.08, 0.3)
    across = sheet.towards(angle) - rng.uniform(-0.4, 0.4)
    cover = np.clip((half - np.abs(across)) * sheet.side + 0.5, 0, 1).astype(np.float32)
    rim = np.clip(1.5 - np.abs(half - np.abs(across)) * sheet.side, 0, 1).astype(np.float32)
    sheet.grey *= 1 + np.float32(rng.uniform(-0.2, 0.05)) * cover
    sheet.grey *= 1 - np.float32(rng.uniform(0, 0.2)) * rim
