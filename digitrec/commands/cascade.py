"""`digitrec cascade`: two bundles → one, whose large network is asked where the small is unsure."""

import argparse
from typing import TYPE_CHECKING, Any

from digitrec.commands.parsing import (
    add_command,
    add_data,
    shown_calibration,
    shown_out,
)
from digitrec.errors import InputError

if TYPE_CHECKING:
    pass


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "cascade",
        _cascade,
        "Make one bundle of two: the small network answers, the large one is asked where the "
        "small one is not certain. How certain it must be, and what the two together are "
        "calibrated by, is fitted on MNIST's validation part, which both must have left out; or "
        "taken from a cascade of the same recipes for which that was so.",
        "digitrec cascade runs/small runs/large --out runs/cascade",
    )
    command.add_argument("small", metavar="SMALL", help="the bundle that answers first")
    command.add_argument("large", metavar="LARGE", help="the bundle that is asked where it is not")
    command.add_argument("--out", required=True, metavar="FOLDER", help="a new folder, or URI")
    command.add_argument(
        "--like", metavar="CASCADE", help="take what is fitted from this cascade, and fit nothing"
    )
    command.add_argument(
        "--ink-network",
        metavar="RUN_FOLDER",
        help="of a run with `train --network ink`, or a folder with ink.onnx: the ink network in "
        "the place of those that the two have",
    )
    add_data(command)


def _cascade(options: argparse.Namespace) -> None:
    from digitrec.model.bundle import load_bundle, save_cascade
    from digitrec.model.calibration import fit_cascade, fit_of
    from digitrec.model.ink_file import load_ink
    from digitrec.storage.folder import check_is_new, open_folder

    check_is_new(open_folder(options.out))
    small, large = load_bundle(options.small), load_bundle(options.large)
    if small.members or large.members:
        raise InputError("a cascade is made of two networks, not of cascades")
    ink = None if options.ink_network is None else load_ink(options.ink_network)
    if options.like:
        hand_over, calibration = fit_of(load_bundle(options.like))
    else:
        hand_over, calibration = fit_cascade(small, large, options.data)
    save_cascade(options.out, options.small, options.large, hand_over, calibration, ink)
    card = load_bundle(options.out).card
    print(
        f"hand-over    below a certainty of {hand_over:.4f}\n"
        f"{shown_calibration(card)}"
        f"bundle       {shown_out(options)}  (id {card.id})"
    )
