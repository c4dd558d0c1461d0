"""`digitrec review`: what was read, settled by a person on a page, and what follows from it."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitrec.commands.parsing import add_command, shown_name
from digitrec.errors import InputError
from digitrec.runtime.terminal import decoders_silent
from digitrec.storage.files import is_uri

if TYPE_CHECKING:
    from digitrec.review.collect import Collected
    from digitrec.review.make import Made

PAGE, TASKS, CORRECTIONS = "review.html", "label-studio.json", "corrections.csv"
COUNT = 2000
SHOWN = 10  # of what is listed line by line; --json tells all


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "review",
        help="Have a person settle what was read with doubt, on a page in the browser.",
        description="Have a person settle what was read with doubt, on a page in the browser: one "
        "file, which needs no server and no network. What is exported there becomes corrections, "
        "a corrected result, and an audit's answers.",
    )
    kinds = command.add_subparsers(dest="what", metavar="WHAT", required=True)
    _add_make(kinds)
    _add_collect(kinds)


def _add_make(kinds: Any) -> None:
    make = add_command(
        kinds,
        "make",
        _make,
        "Write the page: the digits in doubt as a contact sheet for each digit that was read, "
        "most doubtful first. All are right but for those that are clicked or typed over.",
        "digitrec review make result --out review.html",
    )
    make.add_argument("result", metavar="RESULT", help="what classify wrote: its folder, or a URI")
    make.add_argument(
        "--out", metavar="FILE", help=f"here or behind a URI; default: {PAGE}, or {TASKS}"
    )
    make.add_argument(
        "-n",
        "--count",
        type=int,
        default=COUNT,
        metavar="N",
        help=f"at most so many, the most doubtful ones; default: {COUNT}",
    )
    make.add_argument(
        "--sample",
        type=Path,
        metavar="FOLDER",
        help="show a sample of `audit draw` instead, one scan after the other, and not what was "
        "read",
    )
    make.add_argument(
        "--language", choices=("en", "zh"), help="of the page; default: the browser's"
    )
    make.add_argument(
        "--format",
        choices=("html", "label-studio"),
        default="html",
        help="the page, or tasks for Label Studio with what was read as predictions, and its "
        "labelling interface beside; default: html",
    )


def _add_collect(kinds: Any) -> None:
    collect = add_command(
        kinds,
        "collect",
        _collect,
        "Check what people exported from the page, and make of it corrections for training, the "
        "answers of an audit, a corrected copy of the result. Where several people answered one "
        "page, what they agree on is taken.",
        "digitrec review collect review-4f1c-anna.csv --out corrections.csv",
    )
    collect.add_argument(
        "exports",
        nargs="+",
        metavar="EXPORT",
        help="what the page exported (.csv) or saved (.json), or Label Studio's JSON",
    )
    collect.add_argument(
        "--result", metavar="RESULT", help="that was reviewed; default: as the exports say"
    )
    collect.add_argument(
        "--sample",
        type=Path,
        metavar="FOLDER",
        help="that was answered; default: as the exports say",
    )
    collect.add_argument(
        "--out",
        metavar="FILE",
        help="for the corrections: .csv, or .parquet with the scans inside; default: "
        f"{CORRECTIONS}, and for a sample none",
    )
    collect.add_argument(
        "--corrected",
        metavar="FOLDER",
        help="a copy of the result, new, with what people say in the columns corrected, reviewer "
        "and time",
    )
    collect.add_argument(
        "--rest", metavar="FILE", help="a page of what several people did not answer alike"
    )
    collect.add_argument("--json", action="store_true", help="print what came of it, all of it")


def _make(options: argparse.Namespace) -> None:
    from digitrec.review.make import make

    if options.count < 1:
        raise InputError(f"--count must be at least 1, not {options.count}")
    out = options.out or (PAGE if options.format == "html" else TASKS)
    with decoders_silent():
        made = make(
            options.result,
            out,
            count=options.count,
            sample=options.sample,
            language=options.language,
            form=options.format,
        )
    print(_made_words(options, made))


def _made_words(options: argparse.Namespace, made: "Made") -> str:
    lines = [f"to settle    {made.items:,} scans"]
    if not options.sample:
        read = ", ".join(f"{count:,} as {digit or 'none'}" for digit, count in made.digits.items())
        lines.append(f"read         {read}")
    if made.left:
        lines.append(
            f"left         {made.left:,} more are to review: --count {made.items + made.left} "
            "takes them too"
        )
    if made.missing:
        lines.append(f"left out     {len(made.missing):,} can't be shown any more:")
        lines += _listed(made.missing)
    tasks, *interface = map(shown_name, made.files)
    if interface:
        lines.append(f"tasks        {tasks}, for the labelling interface in {interface[0]}")
        lines.append("then         import both into Label Studio; of its JSON export:")
    else:
        lines.append(f"page         {tasks}{_size(made.files[0])}: open it in a browser")
        lines.append("then         of what it exports:")
    lines.append("             digitrec review collect EXPORT")
    return "\n".join(lines)


def _size(file: str) -> str:
    return "" if is_uri(file) else f", {Path(file).stat().st_size / 1e6:.1f} MB"


def _collect(options: argparse.Namespace) -> None:
    from digitrec.review.collect import collect

    with decoders_silent():
        found = collect(
            options.exports,
            out=options.out,
            location=options.result,
            sample=options.sample,
            corrected=options.corrected,
            rest=options.rest,
        )
    print(json.dumps(asdict(found)) if options.json else _collected_words(options, found))


def _collected_words(options: argparse.Namespace, found: "Collected") -> str:
    lines = [
        f"settled      {found.settled:,} scans: {found.confirmed:,} as read, "
        f"{found.settled - found.confirmed:,} otherwise"
    ]
    lines += _listed([f"{kind}: {count:,}" for kind, count in found.corrected.items()])
    if found.open:
        lines.append(f"open         {len(found.open):,} scans, which people do not answer alike:")
        lines += _listed(found.open)
    if found.refused:
        lines.append(f"not used     {len(found.refused):,} answers:")
        lines += _listed([f"{one.where}: {one.why}" for one in found.refused])
    if found.corrections:
        lines.append(f"corrections  {shown_name(found.corrections)}")
    if found.corrected_result:
        lines.append(f"corrected    {shown_name(found.corrected_result)}, a copy of the result")
    if found.sample:
        lines.append(f"answers      in {found.sample}, of {found.settled:,} scans")
    if found.rest:
        lines.append(
            f"rest         {shown_name(found.rest)}: for one more person, or both together"
        )
    elif found.open:
        lines.append("rest         --rest rest.html makes a page of what is open")
    lines.append(f"then         {_next(found)}")
    return "\n".join(lines)


def _next(found: "Collected") -> str:
    if found.sample:
        return f"digitrec audit bound {shown_name(found.result)} {found.sample}"
    return (
        f"digitrec retrain --registry REGISTRY --corrections {shown_name(found.corrections or '')}"
    )


def _listed(lines: list[str]) -> list[str]:
    """Return the first of some lines, indented, and how many more there are."""
    shown = [f"  {line}" for line in lines[:SHOWN]]
    return shown + ([f"  and {len(lines) - SHOWN:,} more"] if len(lines) > SHOWN else [])
