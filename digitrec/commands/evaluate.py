"""`digitrec evaluate`: what bundles score on labelled scans."""

import argparse
import json
import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitrec.commands.parsing import add_command, add_quiet, shown_name, shown_out
from digitrec.runtime.terminal import decoders_silent
from digitrec.storage.files import file_name, is_uri, make_folder, write_json

JUNK = "junk"  # what is no digit, in a scorecard

if TYPE_CHECKING:
    from digitrec.datasets.labelled import LabelledSet
    from digitrec.evaluation.scores import Measured
    from digitrec.evaluation.suite import Entry
    from digitrec.model.engine import Engine


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "evaluate",
        _evaluate,
        "Measure bundles on labelled scans: accuracy, confidence, confusion, mistakes.",
        "digitrec evaluate small mnist:test --out evaluation",
    )
    command.add_argument(
        "names",
        nargs="*",
        metavar="BUNDLE|LABELLED",
        help="bundles (default: cascade, a shipped one) and labelled sets: mnist:test, "
        "mnist:train, mnist:calibration, MNIST's test set otherwise presented (mnist:inverted; "
        "a wrong name gets the list), sklearn:digits, a folder of class folders 0/ to 9/, or a "
        "table with the columns path and label; panel (default): all that are at hand",
    )
    command.add_argument("--out", metavar="FOLDER", help="also draw pictures there; or URI")
    command.add_argument(
        "--keep",
        action="store_true",
        help="write what a bundle scored into its card, beside other sets' scores; "
        "not into those that come with digitrec",
    )
    command.add_argument("--json", action="store_true", help="print the scorecard as the answer")
    add_quiet(command)


def _evaluate(options: argparse.Namespace) -> None:
    from digitrec.model.bundle import check_may_change, is_bundle
    from digitrec.model.shipped import DEFAULT
    from digitrec.storage.folder import staged

    if options.out and not is_uri(options.out):
        make_folder(Path(options.out))
    models = [name for name in options.names if is_bundle(name)] or [DEFAULT]
    named = [name for name in options.names if not is_bundle(name)]
    if options.keep:
        for name in models:
            check_may_change(name)
    with staged(options.out) if options.out else nullcontext() as out:
        _measure_all(models, named, options, out)
    if options.out and not options.json:
        print(f"pictures and scorecard in {shown_out(options)}")


def _measure_all(
    models: list[str], named: list[str], options: argparse.Namespace, out: Path | None
) -> None:
    """Measure labelled sets, or the panel, by bundles; say, keep and draw what came of it."""
    from digitrec.evaluation.suite import table
    from digitrec.model.bundle import load_bundle
    from digitrec.model.engine import open_engine

    given, panel, left_out = _labelled(named)
    engines = {shown_name(name): open_engine(load_bundle(name)) for name in models}
    labelled = [*given, *panel]
    alone = len(labelled) == len(engines) == 1
    entries = []
    for k, one in enumerate(labelled):
        pictures = out if k < len(given) else None
        entries += _measure(engines, one, options, report=alone, out=pictures)
    refused = _refused(engines, entries) if panel else {}
    scorecard = _scorecard(engines, entries, refused)
    if options.json:
        print(json.dumps(scorecard))
    elif not alone:
        print("\n".join([table(entries), *left_out]))
        _say_refused(refused)
    if options.keep:
        _keep(models, entries, refused)
    if out:
        _leave(out, scorecard, entries, labelled)


def _labelled(named: list[str]) -> "tuple[list[LabelledSet], list[LabelledSet], list[str]]":
    """Load the sets that are named, and the panel's others if wanted; say what that lacks here."""
    from digitrec.datasets.labelled import load_labelled
    from digitrec.evaluation.suite import PANEL, load_panel

    given = [load_labelled(name) for name in dict.fromkeys(named) if name != PANEL]
    if named and PANEL not in named:
        return given, [], []
    panel, left_out = load_panel(os.environ.get("DIGITREC_TEST_DATA"))
    names = [one.name for one in given]
    return given, [one for one in panel if one.name not in names], left_out


def _measure(
    engines: "dict[str, Engine]",
    labelled: "LabelledSet",
    options: argparse.Namespace,
    *,
    report: bool,
    out: Path | None,
) -> "list[Entry]":
    """Measure one set by each bundle; say what came of it, and draw it, where that is wanted."""
    from digitrec.evaluation import labelled_set
    from digitrec.evaluation.suite import compare, entry
    from digitrec.runtime.progress import progress

    title, count = labelled.name, len(labelled.scans)
    with decoders_silent(), progress(title, count, quiet=options.quiet) as advance:
        compared = compare(list(engines.values()), labelled, advance)
    entries = []
    for model, (measured, plain) in zip(engines, compared, strict=True):
        entries.append(entry(model, measured, plain))
        if report and not options.json:
            print(labelled_set.report(measured))
            print(f"by a plain resize instead of normalising: {100 * plain.accuracy:.2f} % right")
        if out:
            where: list[str | Path] = [out, *([file_name(model)] if len(engines) > 1 else [])]
            _draw(measured, Path(*where, file_name(labelled.name)))
    return entries


def _draw(measured: "Measured", folder: Path) -> None:
    from digitrec.plots import training

    training.confusion(measured, folder / "confusion.png")
    training.mistakes(measured, folder / "mistakes.png")
    training.reliability(measured, folder / "reliability.png")


def _refused(engines: "dict[str, Engine]", entries: "list[Entry]") -> dict[str, Any]:
    """Measure, for the bundles that can tell digits from junk, how well they do."""
    from digitrec.evaluation.negatives import COMPARED_WITH, refusals

    digits = {one.model: one.digit_score for one in entries if one.name == COMPARED_WITH}
    return {
        model: refusals(engine, digits[model])
        for model, engine in engines.items()
        if engine.card.policy.min_digit_score is not None
    }


def _say_refused(refused: dict[str, Any]) -> None:
    from digitrec.evaluation.negatives import table

    for model, rows in refused.items():
        print(f"\n{model}\n{table(rows)}")


def _keep(models: list[str], entries: "list[Entry]", refused: dict[str, Any]) -> None:
    """Write into each bundle's card what it scored, beside what it scored on other sets."""
    from digitrec.evaluation.suite import card_key
    from digitrec.model.bundle import write_scorecard

    for given in dict.fromkeys(models):
        model = shown_name(given)
        scores = {card_key(one.name): one.scores for one in entries if one.model == model}
        if model in refused:
            scores[JUNK] = refused[model]
        write_scorecard(given, scores)


def _scorecard(
    engines: "dict[str, Engine]", entries: "list[Entry]", refused: dict[str, Any]
) -> dict[str, Any]:
    """Return one bundle's id and scorecard, or a list of these in `models` for several bundles."""
    cards = [
        {
            "model": model,
            "model_id": engine.card.id,
            "scorecard": {one.name: one.scores for one in entries if one.model == model},
            **({JUNK: refused[model]} if model in refused else {}),
        }
        for model, engine in engines.items()
    ]
    return cards[0] if len(cards) == 1 else {"models": cards}


def _leave(
    out: Path,
    scorecard: dict[str, Any],
    entries: "list[Entry]",
    labelled: "list[LabelledSet]",
) -> None:
    """Write the scorecard, and draw what all sets show together."""
    from digitrec.plots import suite

    write_json(out / "scorecard.json", scorecard)
    suite.coverage(entries, out / "coverage.png")
    if len(labelled) > 1:
        suite.panel(entries, out / "panel.png")
    if corrupted := suite.corrupted(labelled):
        suite.corruptions(corrupted, out / "corruptions.png")
