"""`digitrec cascade`: two bundles → one, whose large network is asked where the small is unsure."""

import argparse
from typing import TYPE_CHECKING, Any

from digitrec.commands.parsing import (
    add_command,
    add_data,
    shown_calibration,
    shown_name,
    shown_out,
)
from digitrec.errors import InputError

if TYPE_CHECKING:
    from digitrec.model.bundle import Bundle
    from digitrec.model.card import Calibration


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
    add_data(command)


def _cascade(options: argparse.Namespace) -> None:
    from digitrec.model.bundle import load_bundle, save_cascade
    from digitrec.storage.folder import check_is_new, open_folder

    check_is_new(open_folder(options.out))
    members = [load_bundle(options.small), load_bundle(options.large)]
    if any(bundle.members for bundle in members):
        raise InputError("a cascade is made of two networks, not of cascades")
    if options.like:
        hand_over, calibration = _taken(options.like)
    else:
        hand_over, calibration = _fitted(members, options)
    save_cascade(options.out, options.small, options.large, hand_over, calibration)
    card = load_bundle(options.out).card
    print(
        f"hand-over    below a certainty of {hand_over:.4f}\n"
        f"{shown_calibration(card)}"
        f"bundle       {shown_out(options)}  (id {card.id})"
    )


def _taken(like: str) -> "tuple[float, Calibration]":
    """Return hand-over and calibration of another cascade."""
    from digitrec.model.bundle import load_bundle
    from digitrec.model.card import Calibration

    card = load_bundle(like).card
    if card.hand_over is None:
        raise InputError(f"{shown_name(like)} is no cascade")
    return card.hand_over, Calibration(card.temperature, card.policy)


def _fitted(members: "list[Bundle]", options: argparse.Namespace) -> "tuple[float, Calibration]":
    """Fit hand-over and calibration on the validation part."""
    from digitrec.datasets import mnist
    from digitrec.datasets.labelled import validation_indices
    from digitrec.model.calibration import calibrate_cascade
    from digitrec.model.engine import open_engine

    for name, bundle in zip((options.small, options.large), members, strict=True):
        if bundle.card.recipe.get("hold_out") != "validation":
            raise InputError(
                f"{shown_name(name)} has learnt from the validation part, on which a cascade is "
                "fitted: train it with --hold-out validation, or take what is fitted from another "
                "with --like"
            )
    images, labels = mnist.load("train", options.data)
    chosen = validation_indices(images)
    small, large = (open_engine(bundle).answers(images[chosen]) for bundle in members)
    return calibrate_cascade(small, large, labels[chosen])
