"""`digitrec evaluate`: what bundles score on labelled scans."""

import argparse
import json
import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitrec.commands.parsing import add_budget, add_command, add_quiet, shown_name, shown_out
from digitrec.runtime.terminal import decoders_silent
from digitrec.storage.files import file_name, is_uri, make_folder, write_json

if TYPE_CHECKING:
    from digitrec.datasets.empty import EmptySet
    from digitrec.datasets.labelled import LabelledSet
    from digitrec.evaluation.empty import EmptyEntry
    from digitrec.evaluation.scores import Measured
    from digitrec.evaluation.suite import Chosen, Entry
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
        "table with the columns path and label; scans without a digit (empty:paper; likewise); "
        "panel (default): all that are at hand",
    )
    command.add_argument("--out", metavar="FOLDER", help="also draw pictures there; or URI")
    command.add_argument(
        "--keep",
        action="store_true",
        help="write what a bundle scored into its card, beside other sets' scores; "
        "not into those that come with digitrec",
    )
    command.add_argument("--json", action="store_true", help="print the scorecard as the answer")
    add_budget(command)
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
    from digitrec.evaluation import empty
    from digitrec.evaluation.negatives import COMPARED_WITH, refused_by
    from digitrec.evaluation.scorecard import keep, scorecard
    from digitrec.evaluation.suite import choose, table
    from digitrec.model.bundle import load_bundle
    from digitrec.model.engine import open_engine
    from digitrec.model.policies import with_budget

    chosen = choose(named, os.environ.get("DIGITREC_TEST_DATA"))
    bundles = {
        name: with_budget(load_bundle(name), options.max_error, options.source) for name in models
    }
    engines = {shown_name(name): open_engine(bundle) for name, bundle in bundles.items()}
    labelled = [*chosen.given, *chosen.others]
    alone = len(labelled) == len(engines) == 1
    entries = []
    for k, one in enumerate(labelled):
        pictures = out if k < len(chosen.given) else None
        entries += _measure(engines, one, options, report=alone, out=pictures)
    without = [entry for one in chosen.empty for entry in _measure_empty(engines, one, options)]
    scores = {one.model: one.digit_score for one in entries if one.name == COMPARED_WITH}
    refused = refused_by(engines, scores) if chosen.others else {}
    scored = scorecard(engines, [*entries, *without], refused)
    if options.json:
        print(json.dumps(scored))
    else:
        tables = [table(entries)] if entries and not alone else []
        tables += [empty.table(without)] if without else []
        _say([*tables, *chosen.left_out])
        _say_refused(refused)
    if options.keep:
        keep({name: shown_name(name) for name in models}, [*entries, *without], refused)
    if out:
        write_json(out / "scorecard.json", scored)
        _draw_all(out, chosen, entries, without, next(iter(engines.values())))


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
            print(f"by a plain resize instead of normalizing: {100 * plain.accuracy:.2f} % right")
        if out:
            where: list[str | Path] = [out, *([file_name(model)] if len(engines) > 1 else [])]
            _draw(measured, Path(*where, file_name(labelled.name)))
    return entries


def _measure_empty(
    engines: "dict[str, Engine]", one: "EmptySet", options: argparse.Namespace
) -> "list[EmptyEntry]":
    from digitrec.evaluation.empty import measure_empty
    from digitrec.runtime.progress import progress

    with decoders_silent(), progress(one.name, len(one.scans), quiet=options.quiet) as advance:
        return measure_empty(engines, one, advance)


def _draw(measured: "Measured", folder: Path) -> None:
    from digitrec.plots.labelled_set import confusion, mistakes, reliability

    confusion(measured, folder / "confusion.png")
    mistakes(measured, folder / "mistakes.png")
    reliability(measured, folder / "reliability.png")


def _say(paragraphs: list[str]) -> None:
    if paragraphs:
        print("\n\n".join(paragraphs))


def _say_refused(refused: dict[str, Any]) -> None:
    from digitrec.evaluation.negatives import table

    for model, rows in refused.items():
        print(f"\n{model}\n{table(rows)}")


def _draw_all(
    out: Path,
    chosen: "Chosen",
    entries: "list[Entry]",
    without: "list[EmptyEntry]",
    engine: "Engine",
) -> None:
    """Draw what all sets show together, and of single scans what `engine` sees."""
    from digitrec.plots.suite import corrupted, corruptions, coverage, empty, panel

    labelled = [*chosen.given, *chosen.others]
    if entries:
        coverage(entries, out / "coverage.png")
    if len(labelled) > 1:
        panel(entries, out / "panel.png")
    if without:
        empty(without, out / "empty.png")
    pairs = corrupted(labelled)
    if pairs or chosen.empty:
        corruptions(pairs, chosen.empty, engine, out / "corruptions.png")
