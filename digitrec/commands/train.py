"""`digitrec train`: a training run on Ray Train."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from digitrec.commands.parsing import (
    add_command,
    add_device,
    add_quiet,
    shown_calibration,
    training,
)
from digitrec.errors import InputError
from digitrec.training.recipes import RECIPES

if TYPE_CHECKING:
    from digitrec.model.card import Card
    from digitrec.training.sources import Sources

R = TypeVar("R")

# What changes any recipe; and the options of the networks that read digits, and of ink.
CHANGES = ("epochs", "batch_size", "learning_rate", "seed")
DIGITS_ALONE, INK_ALONE = ("recipe", "hold_out"), ("steps",)


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "train",
        _train,
        "Train a network with Ray Train; leave a run folder with a bundle in it. With --network "
        "ink it is the one that marks what is handwriting on a scan: it learns from papers that "
        "are drawn anew for every step, and --ink-network takes it into a later run's bundle.",
        "digitrec train --epochs 3 --out runs/first",
    )
    command.add_argument(
        "--recipe",
        choices=("report", "robust"),
        help="report: the lab report's own; robust: the same network, trained to hold up on other "
        "people's digits, and to tell what is no digit; default: report",
    )
    command.add_argument(
        "--network",
        choices=("small", "large", "ink"),
        default="small",
        help="small: the report's, of 8,490 parameters; large: one of 162,954; ink: the one that "
        "marks handwriting, of 61,717, by its own recipe; default: small",
    )
    command.add_argument(
        "--ink-network",
        metavar="RUN_FOLDER",
        help="of a run with --network ink, or a folder with ink.onnx: the ink network for the "
        "bundle, by which the robust recipe looks at papers too; default: the one that digitrec "
        "ships. With --network ink: the one to begin as; default: weights at random",
    )
    command.add_argument("--epochs", type=int, metavar="N", help="default: the recipe's")
    command.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help="images a step over all workers together; default: the recipe's, 128, or 512 of ink",
    )
    command.add_argument(
        "--steps", type=int, metavar="N", help="an epoch, with --network ink; default: 800"
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
    command.add_argument(
        "--data",
        nargs="+",
        default=[],
        metavar="LABELLED",
        help="what to learn from: a folder with MNIST's four files, or labelled scans, as evaluate "
        "takes them, in MNIST's place; with mnist:train among them they come beside it. Scans "
        "alone: a tenth of them is held back to measure on; default: MNIST, fetched once",
    )
    add_quiet(command)


def _train(options: argparse.Namespace) -> None:
    if options.resume and not options.out:
        raise InputError("--resume needs --out: the run folder to go on with")
    if options.workers < 1:
        raise InputError(f"workers must be 1 or more, not {options.workers}")
    if options.network == "ink":
        _refuse(options, DIGITS_ALONE, "--network ink has a recipe of its own: leave {} out")
        _train_ink(options)
    else:
        _refuse(options, INK_ALONE, "{} is for --network ink alone")
        _train_digits(options)


def _refuse(options: argparse.Namespace, names: Sequence[str], sentence: str) -> None:
    """Refuse the options of other networks."""
    for name in names:
        if getattr(options, name) is not None:
            raise InputError(sentence.format("--" + name.replace("_", "-")))


def _train_digits(options: argparse.Namespace) -> None:
    recipe = _changed(
        RECIPES[options.recipe or "report", options.network], options, (*CHANGES, "hold_out")
    )
    module = training("training.train")
    sources, where = _sources(options), _where(options, recipe.name)
    settings = module.TrainSettings(
        recipe=recipe, labelled=sources.labelled, with_mnist=sources.mnist, **where
    )
    trained = module.train(settings)
    out = where["out"]
    [(name, scores)] = trained.card.scorecard.items()
    print(
        f"trained {trained.records[-1].epoch} epochs: {100 * scores['accuracy']:.2f} % of {name} "
        f"right, NLL {scores['nll']:.4f} nats, ECE {scores['ece']:.4f}\n"
        f"{_calibration(trained.card)}"
        f"bundle       {out}/bundle  (id {trained.card.id})\n"
        f"pictures     {out}/plots\n"
        f"{_logs(out)}"
    )


def _train_ink(options: argparse.Namespace) -> None:
    module = training("training.train_ink")
    recipe = _changed(module.InkRecipe(), options, (*CHANGES, "steps"))
    where = _where(options, recipe.name)
    trained = module.train_ink(module.InkSettings(recipe=recipe, **where))
    out = where["out"]
    print(f"trained {trained.records[-1].epoch} epochs of {recipe.steps} steps")
    for name, scores in trained.card["scorecard"].items():
        print(
            f"{name + ':':17} IoU {scores['iou']:.3f}, "
            f"{100 * scores['empty_marked']:.1f} % of empty papers marked, "
            f"{100 * scores['written_missed']:.1f} % of written ones missed"
        )
    print(f"ink network  {out}/{module.INK_FOLDER}  (id {trained.card['id']})\n{_logs(out)}")


def _where(options: argparse.Namespace, name: str) -> dict[str, Any]:
    """What every training run is told, beside its recipe of that name."""
    return {
        "out": options.out or f"runs/{name}-{datetime.now():%Y%m%d-%H%M%S}",
        "workers": options.workers,
        "device": options.device,
        "data": _sources(options).folder,
        "resume": options.resume,
        "ink_network": options.ink_network,
    }


def _sources(options: argparse.Namespace) -> "Sources":
    from digitrec.training.sources import sources_of

    sources = sources_of(options.data)
    if sources.labelled and options.network == "ink":
        raise InputError("--network ink learns from MNIST's digits alone: --data takes its folder")
    return sources


def _logs(out: str) -> str:
    return f"TensorBoard  tensorboard --logdir {out}/tensorboard\nlog          {out}/log.jsonl"


def _calibration(card: "Card") -> str:
    if card.policy.min_digit_score is None and card.temperature == 1:
        return ""
    return shown_calibration(card)


def _changed(recipe: R, options: argparse.Namespace, names: Sequence[str]) -> R:
    """A recipe, with what the options of these names change in it."""
    given = {name: getattr(options, name) for name in names}
    changes = {name: value for name, value in given.items() if value is not None}
    try:
        return replace(recipe, **changes)  # type: ignore[type-var]
    except ValueError as why:
        raise InputError(str(why)) from why
