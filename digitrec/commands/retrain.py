"""`digitrec retrain`: corrections in, a challenger out, and the gate that it has to pass."""

import argparse
import json
from typing import TYPE_CHECKING, Any

from digitrec.commands.parsing import (
    add_command,
    add_data,
    add_device,
    add_quiet,
    shown_name,
    training,
)
from digitrec.errors import InputError
from digitrec.model.shipped import DEFAULT

if TYPE_CHECKING:
    from digitrec.registry.retrain import Outcome

SHOWN = 10  # corrections that are not used, with the reason


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "retrain",
        _retrain,
        "Make a challenger of what people corrected, and put it in the champion's place if the "
        "gate lets it pass: nothing may be read worse, and corrections must be read better than "
        "chance explains. With nothing new it does nothing, so that it may be called as often as "
        "one likes; called again after it was stopped, it goes on.",
        "digitrec retrain --registry models --corrections corrections.csv",
    )
    command.add_argument(
        "--registry",
        required=True,
        metavar="FOLDER",
        help="where bundles and corrections are kept, or URI; one that is not there is made",
    )
    command.add_argument(
        "--corrections",
        nargs="+",
        default=[],
        metavar="FILE",
        help="what `review collect` wrote, or any table with the columns path and label (0 to 9, "
        "blank, not-a-digit) and maybe group: who wrote it; or the folder of an `audit draw` that "
        "was answered, which judges and certifies and is never trained on",
    )
    command.add_argument(
        "--source",
        default="",
        metavar="NAME",
        help="whose scans they are, where the files have no column source: each source has golden "
        "corrections of its own, and policies if enough of its digits were drawn (`audit draw --of "
        "digits`) and answered",
    )
    command.add_argument(
        "--min-corrections",
        type=int,
        default=1,
        metavar="N",
        help="do nothing while fewer are new; default: 1",
    )
    command.add_argument(
        "--promote",
        choices=("gate", "never"),
        default="gate",
        help="gate: if it lets the challenger pass (default); never: a person will decide, by "
        "`digitrec models promote`",
    )
    command.add_argument(
        "--model",
        default=DEFAULT,
        metavar="BUNDLE",
        help="the first champion, of a registry that is made; default: the shipped cascade",
    )
    command.add_argument(
        "--dry-run", action="store_true", help="say what there is to do, and change nothing"
    )
    command.add_argument("--epochs", type=int, metavar="N", help="of each training; default: 2")
    command.add_argument("--workers", type=int, default=1, metavar="N", help="default: 1")
    add_device(command)
    add_data(command)
    command.add_argument("--json", action="store_true", help="print what came of it as the answer")
    add_quiet(command)


def _retrain(options: argparse.Namespace) -> None:
    for name in ("epochs", "workers", "min_corrections"):
        if (value := getattr(options, name)) is not None and value < 1:
            raise InputError(f"--{name.replace('_', '-')} must be 1 or more, not {value}")
    if not options.source.isprintable():
        raise InputError(f"--source {options.source!a} is no name that can be written down")
    module = training("registry.retrain")
    settings = module.RetrainSettings(
        registry=options.registry,
        corrections=tuple(options.corrections),
        source=options.source,
        model=options.model,
        min_corrections=options.min_corrections,
        promote=options.promote == "gate",
        effort=module.Effort(
            epochs=options.epochs,
            workers=options.workers,
            device=options.device,
            data=options.data,
        ),
    )
    outcome = module.plan(settings) if options.dry_run else module.retrain(settings)
    print(json.dumps(outcome.to_json()) if options.json else _words(outcome, options))


def _words(outcome: "Outcome", options: argparse.Namespace) -> str:
    registry = shown_name(options.registry)
    lines = _added(outcome)
    if outcome.state == "planned":
        return "\n".join([*lines, f"{outcome.new:,} are new: a challenger would be made"])
    if outcome.why:
        return "\n".join([*lines, f"nothing done {outcome.why}; champion {outcome.champion}"])
    if outcome.verdict is None:
        few = "" if options.min_corrections == 1 else f" of the {options.min_corrections:,} asked"
        return "\n".join(
            [
                *lines,
                f"{outcome.new:,} new corrections{few}: nothing to do; champion {outcome.champion}",
            ]
        )
    lines += [
        f"{'held' if line.passed else 'STOPPED':<13}{line.words}" for line in outcome.verdict.lines
    ]
    lines.append(f"challenger   {outcome.challenger}")
    if outcome.state == "promoted":
        lines.append("promoted     it is the champion now")
        lines.append(f"undo it      digitrec models rollback {registry}")
    elif outcome.verdict.passed:
        lines.append(f"champion     {outcome.champion}, as before")
        lines.append(f"promote it   digitrec models promote {registry} {outcome.challenger}")
    else:
        lines.append(f"champion     {outcome.champion}, as before: the gate stopped the challenger")
    return "\n".join([*lines, f"report       {outcome.report}"])


def _added(outcome: "Outcome") -> list[str]:
    added = outcome.added
    lines = [added.words()]
    for problem in added.problems[:SHOWN]:
        lines.append(f"not used     {problem}")
    if len(added.problems) > SHOWN:
        lines.append(f"             and {len(added.problems) - SHOWN:,} more")
    return lines
