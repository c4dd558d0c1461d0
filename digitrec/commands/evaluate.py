"""`digitrec evaluate`: what a bundle scores on labelled scans."""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from digitrec.commands.parsing import add_command, add_quiet
from digitrec.errors import InputError
from digitrec.files import write_json


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "evaluate",
        _evaluate,
        "Measure bundles on labelled scans: accuracy, confusion, figures by class, mistakes.",
        "digitrec evaluate small mnist:test --out evaluation",
    )
    command.add_argument(
        "sets",
        nargs="+",
        metavar="[BUNDLE] LABELLED",
        help="a bundle (default: small, the shipped one); then mnist:test, mnist:train, "
        "a folder of class folders 0/ to 9/, or a table with the columns path and label",
    )
    command.add_argument("--out", type=Path, metavar="FOLDER", help="also draw pictures there")
    command.add_argument("--json", action="store_true", help="print the scorecard as the answer")
    add_quiet(command)


def _evaluate(options: argparse.Namespace) -> None:
    from digitrec.model.bundle import is_bundle, load_bundle
    from digitrec.model.engine import Engine
    from digitrec.scans.labelled import load_labelled

    model, sources = "small", list(options.sets)
    if is_bundle(sources[0]):
        model = sources.pop(0)
    if not sources:
        raise InputError(f"{model} is a bundle: name a labelled set too, such as mnist:test")
    engine = Engine(load_bundle(model))
    labelled = [load_labelled(source) for source in sources]
    scores = {one.name: _measure(engine, one, options) for one in labelled}
    scorecard = {"model_id": engine.card.id, "scorecard": scores}
    if options.out:
        write_json(options.out / "scorecard.json", scorecard)
    if options.json:
        print(json.dumps(scorecard))
    elif options.out:
        print(f"pictures and scorecard in {options.out}")


def _measure(engine: Any, labelled: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one set, say what came of it, and draw it where `--out` asks for pictures."""
    from digitrec import plots
    from digitrec.progress import progress
    from digitrec.trust.evaluate import measure, report

    with progress(labelled.name, len(labelled.scans), quiet=options.quiet) as advance:
        measured = measure(engine, labelled, advance)
    if not options.json:
        print(report(measured))
    if options.out:
        folder = options.out / re.sub(r"\W+", "-", labelled.name).strip("-")
        plots.confusion(measured, folder / "confusion.png")
        plots.mistakes(measured, folder / "mistakes.png")
    return {**measured.scores(), "confusion": measured.confusion().tolist()}
