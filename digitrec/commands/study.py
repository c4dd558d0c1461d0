"""`digitrec study`: the report's batch sizes and learning rates, side by side."""

import argparse
from datetime import datetime
from typing import Any

from digitrec.commands.parsing import (
    add_command,
    add_data,
    add_device,
    add_quiet,
    shown_out,
    training,
)
from digitrec.errors import InputError


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "study",
        _study,
        "Train the report's five settings of batch size and learning rate, as many at a time as "
        "Ray has CPUs; draw its figures 6 to 11 again, and hold its claims against what was "
        "measured. Called again on the same folder, it goes on where it was stopped.",
        "digitrec study --out runs/study",
    )
    command.add_argument(
        "--epochs", type=int, metavar="N", help="of every run; default: the report's 30"
    )
    add_device(command)
    command.add_argument(
        "--out",
        metavar="FOLDER",
        help="new, or a study's to go on with; or a URI; default: runs/study-TIME",
    )
    add_data(command)
    add_quiet(command)


def _study(options: argparse.Namespace) -> None:
    if options.epochs is not None and options.epochs < 1:
        raise InputError(f"epochs must be 1 or more, not {options.epochs}")
    options.out = options.out or f"runs/study-{datetime.now():%Y%m%d-%H%M%S}"
    module = training("report.study")
    studied = module.study(
        module.StudySettings(
            out=options.out,
            epochs=options.epochs,
            device=options.device,
            data=options.data,
            quiet=options.quiet,
        )
    )
    out = shown_out(options)
    print(
        f"{studied.table}\n"
        f"table        {out}/{module.TABLE}\n"
        f"figures      {out}/{module.FIGURES}\n"
        f"TensorBoard  tensorboard --logdir {out}"
    )
