"""`digitrec train`: a training run on Ray Train."""

import argparse
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from digitrec.commands.parsing import (
    add_command,
    add_data,
    add_device,
    add_quiet,
    shown_calibration,
    training,
)
from digitrec.errors import InputError
from digitrec.training.recipes import RECIPES, Recipe

if TYPE_CHECKING:
    from digitrec.model.card import Card


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "train",
        _train,
        "Train the digit network with Ray Train; leave a run folder with a bundle in it.",
        "digitrec train --epochs 3 --out runs/first",
    )
    command.add_argument(
        "--recipe",
        choices=("report", "robust"),
        default="report",
        help="report: the lab report's own; robust: the same network, trained to hold up on other "
        "people's digits, and to tell what is no digit; default: report",
    )
    command.add_argument(
        "--network",
        choices=("small", "large"),
        default="small",
        help="small: the report's, of 8,490 parameters; large: one of 162,954; default: small",
    )
    command.add_argument("--epochs", type=int, metavar="N", help="default: the recipe's")
    command.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help="images a step over all workers together; default: the recipe's, 128",
    )
    command.add_argument("--learning-rate", type=float, metavar="X", help="default: the recipe's")
    command.add_argument(
        "--hold-out",
        choices=("nothing", "calibration", "validation"),
        help="what of MNIST's 60,000 training images to leave out: nothing, the calibration part "
        "(10,000), or the validation part too (15,000), on which the run is measured then and "
        "its temperature fitted; default: the recipe's",
    )
    command.add_argument("--seed", type=int, metavar="N", help="default: 0")
    command.add_argument("--workers", type=int, default=1, metavar="N", help="default: 1")
    add_device(command)
    command.add_argument(
        "--out",
        metavar="RUN_FOLDER",
        help="a new folder, or a URI such as s3://bucket/run; default: runs/RECIPE-TIME",
    )
    command.add_argument(
        "--resume", action="store_true", help="go on with the run in --out, if there is one"
    )
    add_data(command)
    add_quiet(command)


def _train(options: argparse.Namespace) -> None:
    recipe = _recipe(options)
    if options.resume and not options.out:
        raise InputError("--resume needs --out: the run folder to go on with")
    if options.workers < 1:
        raise InputError(f"workers must be 1 or more, not {options.workers}")
    out = options.out or f"runs/{recipe.name}-{datetime.now():%Y%m%d-%H%M%S}"
    module = training("training.train")
    trained = module.train(
        module.TrainSettings(
            recipe=recipe,
            out=out,
            workers=options.workers,
            device=options.device,
            data=options.data,
            resume=options.resume,
        )
    )
    [(name, scores)] = trained.card.scorecard.items()
    print(
        f"trained {trained.records[-1].epoch} epochs: {100 * scores['accuracy']:.2f} % of {name} "
        f"right, NLL {scores['nll']:.4f} nats, ECE {scores['ece']:.4f}\n"
        f"{_calibration(trained.card)}"
        f"bundle       {out}/bundle  (id {trained.card.id})\n"
        f"pictures     {out}/plots\n"
        f"TensorBoard  tensorboard --logdir {out}/tensorboard\n"
        f"log          {out}/log.jsonl"
    )


def _calibration(card: "Card") -> str:
    if card.policy.min_digit_score is None and card.temperature == 1:
        return ""
    return shown_calibration(card)


def _recipe(options: argparse.Namespace) -> Recipe:
    """The recipe, with what the options change in it."""
    changes = {
        name: value
        for name in ("epochs", "batch_size", "learning_rate", "hold_out", "seed")
        if (value := getattr(options, name)) is not None
    }
    try:
        return replace(RECIPES[options.recipe, options.network], **changes)
    except ValueError as why:
        raise InputError(str(why)) from why
