"""The pictures of many labelled sets together: accuracies, coverage, and what was corrupted."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from digitrec.datasets.corruptions import CORRUPTIONS, CorruptedImages, Corruption
from digitrec.datasets.empty import EMPTY, EmptyKind, EmptySet
from digitrec.datasets.labelled import LabelledSet
from digitrec.datasets.paper import Corrupted
from digitrec.evaluation.empty import EmptyEntry
from digitrec.evaluation.suite import Entry, shortened
from digitrec.inputs.decode import decode
from digitrec.model.engine import Engine
from digitrec.model.policy import ACCEPT, REVIEW
from digitrec.plots.style import NEUTRAL, RIGHT, WRONG, drawing
from digitrec.reader import read_scans
from digitrec.readings import BLANK

LABEL_WIDTH = 28
# Accuracies that the panel's axis names: it is logarithmic in the errors.
TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
HARDEST = 3  # corruptions that the coverage picture shows, beside the sets that are none
SHOWN_DIGITS = (2, 4, 5, 6)  # that the picture of the corruptions shows
SHOWN = len(SHOWN_DIGITS)  # of the scans without a digit
CELL, GAP, ROW = 84, 8, 94  # of that picture, in pixels
REVIEWED = "#d9a441"


def panel(entries: Sequence[Entry], path: Path) -> None:
    """Draw each set's accuracy by each bundle, normalized and plainly resized, as dots."""
    names = list(dict.fromkeys(one.name for one in entries))
    models = list(dict.fromkeys(one.model for one in entries))
    with drawing(path, 9, 1.9 + len(names) * (0.16 + 0.12 * len(models))) as figure:
        axes = figure.add_subplot(
            title="Scans read right, by labelled set (to the right is better)",
            xlabel="read right, in % (the scale is logarithmic in the errors)",
        )
        for k, model in enumerate(models):
            offset = (k - (len(models) - 1) / 2) * 0.6 / len(models)
            for one in entries:
                if one.model == model:
                    _dots(axes, one, names.index(one.name) + offset, f"C{k}")
        axes.set_xscale("log")
        axes.set_xticks([1 - tick for tick in TICKS], [f"{100 * tick:g}" for tick in TICKS])
        axes.minorticks_off()
        axes.invert_xaxis()
        axes.set_yticks(range(len(names)), [shortened(name, LABEL_WIDTH) for name in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.grid(alpha=0.3)
        for k in _where_kinds_change(names):
            axes.axhline(k - 0.5, color=NEUTRAL, linewidth=0.8)
        figure.legend(handles=_panel_legend(models), loc="outside lower center", ncols=3)


def _where_kinds_change(names: Sequence[str]) -> list[int]:
    """Tell after how many sets the exact corruptions begin, and the hard ones."""
    kinds = {f"mnist:{name}": one.kind for name, one in CORRUPTIONS.items()}
    return [k for k in range(1, len(names)) if kinds.get(names[k - 1]) != kinds.get(names[k])]


def _dots(axes: Axes, one: Entry, height: float, colour: str) -> None:
    # A logarithmic axis has no place for no errors: half a scan stands for that.
    least = 0.5 / len(one.error_curve)
    wrong, plain_wrong = max(1 - one.accuracy, least), max(1 - one.plain_accuracy, least)
    axes.plot([plain_wrong, wrong], [height, height], color=colour, alpha=0.3, linewidth=1)
    axes.plot(plain_wrong, height, "o", color=colour, markerfacecolor="white", markersize=8)
    axes.plot(wrong, height, "o", color=colour, markersize=5)


def _panel_legend(models: Sequence[str]) -> list[Line2D]:
    labels = ["digitrec's normalizer", "plain resize"]
    labels += [shortened(model, LABEL_WIDTH) for model in models]
    markers = ["o", "o"] + len(models) * ["s"]
    colours = [NEUTRAL, NEUTRAL] + [f"C{k}" for k in range(len(models))]
    handles = [
        Line2D([], [], linestyle="", marker=marker, color=colour, label=label)
        for label, marker, colour in zip(labels, markers, colours, strict=True)
    ]
    handles[0].set_markersize(5)
    handles[1].set(markerfacecolor="white", markersize=8)
    return handles


def coverage(entries: Sequence[Entry], path: Path) -> None:
    """Draw the error rate among the most confident scans over their share, for the main sets."""
    names = _main_sets(entries)
    models = list(dict.fromkeys(one.model for one in entries))
    with drawing(path, 8.5, 5) as figure:
        axes = figure.add_subplot(
            title="What is left wrong if the doubtful scans go to a person",
            xlabel="coverage: the most confident scans, in % of all",
            ylabel="wrong among them, in %",
            yscale="log",
        )
        for one in entries:
            if one.name in names:
                style = ("-", "--", ":", "-.")[models.index(one.model) % 4]
                _curve(axes, one, f"C{names.index(one.name)}", style, tell_model=len(models) > 1)
        axes.set_xlim(50, 100.5)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        title = (
            "set (wrong at 90 % coverage);\na line begins with its first mistake;\n"
            "dots: what the policy accepts"
        )
        axes.legend(title=title, loc="center left", bbox_to_anchor=(1.01, 0.5))


def _main_sets(entries: Sequence[Entry]) -> list[str]:
    """The sets that are no corruptions, and the hardest of those that are."""
    corrupted = {f"mnist:{name}" for name in CORRUPTIONS}
    ordered = sorted(entries, key=lambda one: one.accuracy)
    hardest = list(dict.fromkeys(one.name for one in ordered if one.name in corrupted))[:HARDEST]
    others = dict.fromkeys(one.name for one in entries if one.name not in corrupted)
    return [*others, *hardest]


def _curve(axes: Axes, one: Entry, colour: str, style: str, *, tell_model: bool) -> None:
    count = len(one.error_curve)
    share = 100 * np.arange(1, count + 1) / count
    # No error yet has no place on a logarithmic axis: the line begins with the first one.
    wrong = np.where(one.error_curve > 0, 100 * one.error_curve, np.nan)
    model = f", {shortened(one.model, 16)}" if tell_model else ""
    at_90 = 100 * one.scores["error_at_coverage"]["0.9"]
    label = f"{shortened(one.name, LABEL_WIDTH)}{model} ({at_90:.2f} %)"
    axes.plot(share, wrong, color=colour, linestyle=style, linewidth=1.5, label=label)
    if error := one.scores["accepted_error"]:
        accepted = 100 * one.scores["accept"] / count
        axes.plot(accepted, 100 * error, "o", color=colour, markersize=5)


def corrupted(sets: Sequence[LabelledSet]) -> list[LabelledSet]:
    """Return those of the sets that a corruption made."""
    return [one for one in sets if isinstance(one.scans, CorruptedImages)]


def empty(entries: Sequence[EmptyEntry], path: Path) -> None:
    """Draw what became of scans without a digit, by set and bundle, as bars of shares."""
    names = list(dict.fromkeys(one.name for one in entries))
    models = list(dict.fromkeys(one.model for one in entries))
    thick = 0.8 / len(models)
    with drawing(path, 9, 1.6 + len(names) * (0.14 + 0.14 * len(models))) as figure:
        axes = figure.add_subplot(
            title="What became of scans without a digit", xlabel="of the scans, in %"
        )
        for one in entries:
            place = (
                names.index(one.name) + (models.index(one.model) - (len(models) - 1) / 2) * thick
            )
            left = 0.0
            for decision, colour in ((ACCEPT, WRONG), (REVIEW, REVIEWED), (BLANK, RIGHT)):
                share = 100 * one.share(decision)
                axes.barh(place, share, 0.9 * thick, left, color=colour)
                left += share
            if len(models) > 1:
                label = shortened(one.model, LABEL_WIDTH)
                axes.text(0.5, place, label, va="center", fontsize=6, color="white")
        axes.set_yticks(range(len(names)), [shortened(name, LABEL_WIDTH) for name in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0, 100)
        colours = {"accepted as a digit": WRONG, "to review": REVIEWED, "blank": RIGHT}
        handles = [Patch(color=colour, label=label) for label, colour in colours.items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)


def corruptions(
    sets: Sequence[LabelledSet], empty_sets: Sequence[EmptySet], engine: Engine, path: Path
) -> None:
    """Draw a few scans of corrupted sets, and of sets without a digit.

    Each scan as it looks, and beside it what the digit network of `engine` gets to see of it.
    """
    kinds = {
        "exact: the same digit, otherwise presented": [one for one in sets if _is(one, "exact")],
        "hard: another hand, pen, paper or scanner": [one for one in sets if _is(one, "hard")],
        "cut: as forms, faxes and phones deliver it": [one for one in sets if _is(one, "cut")],
    }
    columns = [
        (title, [(_pairs(_some_digits(one), engine), _title(_made_by(one))) for one in some])
        for title, some in kinds.items()
        if some
    ]
    if empty_sets:
        shown = [(_pairs(one.scans[:SHOWN], engine), _title(_drawn_by(one))) for one in empty_sets]
        columns.append(("empty: no digit", shown))
    rows = max(len(some) for _, some in columns)
    with drawing(path, 7 * len(columns), 0.8 + 0.62 * rows) as figure:
        figure.suptitle("Scans (left of each pair) and what the network gets to see (right)")
        grid = figure.subplots(1, len(columns), squeeze=False)[0]
        for axes, (title, some) in zip(grid, columns, strict=True):
            mosaic = np.concatenate([pairs for pairs, _ in some])
            below = ((0, rows * ROW - len(mosaic)), (0, 0), (0, 0))
            axes.imshow(np.pad(mosaic, below, constant_values=255))
            axes.set_title(title, fontsize=10)
            places = [k * ROW + CELL / 2 for k in range(len(some))]
            axes.set_yticks(places, [words for _, words in some])
            axes.set_xticks([])
            axes.tick_params(length=0, labelsize=8)
            axes.spines[:].set_visible(False)


def _is(labelled: LabelledSet, kind: str) -> bool:
    return _made_by(labelled).kind == kind


def _made_by(labelled: LabelledSet) -> Corruption:
    return CORRUPTIONS[labelled.name.removeprefix("mnist:")]


def _drawn_by(one: EmptySet) -> EmptyKind:
    return EMPTY[one.name.removeprefix("empty:")]


def _title(kind: Corruption | EmptyKind) -> str:
    return f"{kind.name}\n{kind.words}"


def _some_digits(labelled: LabelledSet) -> list[Corrupted]:
    places = [int(np.flatnonzero(labelled.labels == digit)[0]) for digit in SHOWN_DIGITS]
    return [scan for k in places if not isinstance(scan := labelled.scans[k], str)]


def _pairs(scans: Sequence[Corrupted], engine: Engine) -> NDArray[np.uint8]:
    """Put some scans and what is seen of them into a row: uint8 [94, W, 3]."""
    cells = []
    for scan, seen in zip(scans, read_scans(scans, engine).scans, strict=True):
        pixels = decode(scan).pixels if isinstance(scan, bytes) else scan
        cells += [_cell(pixels, 0), _cell(seen, GAP)]
    return np.concatenate(cells, axis=1)


def _cell(pixels: NDArray[np.uint8], gap: int) -> NDArray[np.uint8]:
    """Fit a scan into a square with a thin frame, and a gap to the right and below."""
    factor = CELL / max(pixels.shape[:2])
    size = [max(1, round(side * factor)) for side in pixels.shape[1::-1]]
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    scan = _as_seen(np.asarray(cv2.resize(pixels, size, interpolation=method), np.uint8))
    cell = np.full((ROW, CELL + gap, 3), 255, np.uint8)
    top, left = (CELL - scan.shape[0]) // 2, (CELL - scan.shape[1]) // 2
    cell[top : top + scan.shape[0], left : left + scan.shape[1]] = scan
    cv2.rectangle(cell, (0, 0), (CELL - 1, CELL - 1), (170, 170, 170))
    return cell


def _as_seen(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring grey, RGB or RGBA to RGB uint8 [H, W, 3]; what is transparent shows white."""
    if pixels.ndim == 2:
        return np.repeat(pixels[:, :, None], 3, axis=2)
    if pixels.shape[2] == 3:
        return pixels
    alpha = pixels[:, :, 3:] / 255
    return np.rint(pixels[:, :, :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
