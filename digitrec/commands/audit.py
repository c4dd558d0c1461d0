"""`digitrec audit`: a random sample of a result for a person, and what the answers bound."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitrec.commands.parsing import add_command, add_registry, opened_registry, shown_name
from digitrec.errors import InputError
from digitrec.runtime.terminal import decoders_silent

if TYPE_CHECKING:
    from digitrec.batch.audit import Bound
    from digitrec.datasets.answers import Draw

SAMPLE, ANSWERS = "sample.csv", "0 to 9, blank or not-a-digit"
CLAIMS = (0.01, 0.005, 0.002, 0.001)  # of which is said how many answers they take
OF = {"accepted": "accepted rows", "digits": "rows with a digit"}  # what a sample may be of


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "audit",
        help="Bound the error of a result by what a person says of a random sample of it.",
        description="Bound the error of a result by what a person says of a random sample of it: "
        "draw one, answer as many of it as you like, and see what that bounds.",
    )
    kinds = command.add_subparsers(dest="what", metavar="WHAT", required=True)
    _add_draw(kinds)
    _add_bound(kinds)


def _add_draw(kinds: Any) -> None:
    draw = add_command(
        kinds,
        "draw",
        _draw,
        "Draw rows of a result at random, into a folder with a table that takes the answers, the "
        "scans, and pictures of these. On a folder that holds a sample already, more are drawn.",
        "digitrec audit draw result -n 300 --out sample",
    )
    draw.add_argument("result", metavar="RESULT", help="what classify wrote: its folder, or a URI")
    draw.add_argument(
        "-n", "--count", type=int, required=True, metavar="N", help="how many rows in all"
    )
    draw.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="for the sample")
    draw.add_argument(
        "--of",
        choices=OF,
        default="accepted",
        help="of what is accepted (default), or of all rows with a digit, those to review too",
    )
    draw.add_argument(
        "--per-digit",
        action="store_true",
        help="N rows of each digit as it was read, and a bound for each: for digits that are rare",
    )
    draw.add_argument("--seed", type=int, metavar="N", help="of the draw; default: a new one")
    draw.add_argument(
        "--certainty",
        type=float,
        default=0.95,
        metavar="SHARE",
        help="of the bound that answers shall support; default: 0.95",
    )


def _add_bound(kinds: Any) -> None:
    bound = add_command(
        kinds,
        "bound",
        _bound,
        "Say how much of a result is wrong at most, by the answers that a sample has so far. It "
        "may be asked again after each answer: the bound holds at all times together.",
        "digitrec audit bound result sample",
    )
    bound.add_argument("result", metavar="RESULT", help="the result that the sample is of")
    bound.add_argument(
        "answers",
        type=Path,
        metavar="ANSWERS",
        help=f"the sample's folder, where {SAMPLE} holds the answers in the column label: "
        f"{ANSWERS}; or another table there, with the columns number and label",
    )
    add_registry(bound, "what was found")
    bound.add_argument("--json", action="store_true", help="print the bound as the answer")


def _draw(options: argparse.Namespace) -> None:
    from digitrec.batch.audit import draw
    from digitrec.datasets.answers import read_scans_of
    from digitrec.plots.sample import sheets

    if options.count < 1:
        raise InputError(f"-n must be at least 1, not {options.count}")
    if options.seed is not None and options.seed < 0:
        raise InputError(f"--seed must be at least 0, not {options.seed}")
    if not 0.5 <= options.certainty < 1:
        raise InputError(f"--certainty must be from 0.5 to below 1, not {options.certainty:g}")
    with decoders_silent():
        drawn, rows = draw(
            options.result,
            options.count,
            options.out,
            of=options.of,
            per_digit=options.per_digit,
            seed=options.seed,
            certainty=options.certainty,
        )
        pictures = sheets(read_scans_of(options.out, rows), options.out)
    total, answered = sum(drawn.counts.values()), sum(bool(row.label) for row in rows)
    print(
        f"drawn        {len(rows):,} of {total:,} {OF[drawn.of]}, {answered:,} of them answered\n"
        f"pictures     {options.out}/{pictures[0].name}"
        f"{f' and {len(pictures) - 1} more' if len(pictures) > 1 else ''}\n"
        f"answers go   into {options.out}/{SAMPLE}, column label, from number 1 on: {ANSWERS}\n"
        f"then         digitrec audit bound {shown_name(options.result)} {options.out}\n"
    )
    if not drawn.per_digit:
        print(_plan(drawn))


def _plan(drawn: "Draw") -> str:
    """Say how many answers a claim will take."""
    from digitrec.budget.audit import answers_needed

    total = sum(drawn.counts.values())
    lines = [
        f"answers that it takes to say, with {100 * drawn.certainty:g} % certainty, that of these "
        f"{total:,} at most so many are wrong:",
        f"{'':>8}{'none wrong':>13}{'one wrong':>13}{'two wrong':>13}",
    ]
    for claim in CLAIMS:
        needed = (answers_needed(wrong, total, claim, drawn.certainty) for wrong in range(3))
        cells = "".join(f"{'-' if one is None else f'{one:,}':>13}" for one in needed)
        lines.append(f"{100 * claim:>6g} %{cells}")
    return "\n".join(lines)


def _bound(options: argparse.Namespace) -> None:
    from digitrec.batch.audit import bound

    registry = opened_registry(options)
    found = bound(options.result, options.answers)
    if options.json:
        print(json.dumps({**asdict(found), "bound": found.bound}))
    else:
        print(_words(found))
    if registry is not None:
        from digitrec.registry.runs import record_audit

        record_audit(registry, found, shown_name(options.result))


def _words(found: "Bound") -> str:
    lines = [
        f"answered     {found.answered:,}, of them {found.wrong:,} read wrong",
        f"bound        of the {found.rows:,} {OF[found.of]} at most {found.wrong_at_most:,} are "
        f"wrong, {100 * found.bound:.3g} %, with {100 * found.certainty:g} % certainty",
    ]
    if found.missing is not None:
        lines.append(
            f"not counted  {found.left:,} answers after number {found.missing}, which has none: "
            "a sample without the hard ones is none"
        )
    for digit, of in (found.by_digit or {}).items():
        lines.append(
            f"digit {digit}      {of['answered']:,} of {of['rows']:,} answered, {of['wrong']:,} "
            f"wrong: at most {100 * of['wrong_at_most'] / of['rows']:.3g} % are"
        )
    return "\n".join(lines)
