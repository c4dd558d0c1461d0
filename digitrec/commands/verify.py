"""`digitrec verify`: is a result what it says, and still up to date?"""

import argparse
import json
from typing import Any

from digitrec.commands.parsing import add_command, add_quiet, shown_name
from digitrec.errors import RunError

SHOWN = 10  # problems


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "verify",
        _verify,
        "Hold a result of classify or pack against its parts: all there, each with a row for each "
        "of its scans, all by one run and one model. Exit code 1 if it does not hold.",
        "digitrec verify result --inputs",
    )
    command.add_argument("result", metavar="RESULT", help="its folder, or a URI")
    command.add_argument(
        "--inputs",
        action="store_true",
        help="also look at the inputs: how many are new, changed or gone since",
    )
    command.add_argument("--json", action="store_true", help="print what was found as the answer")
    add_quiet(command)


def _verify(options: argparse.Namespace) -> None:
    from digitrec.batch.verify import verify
    from digitrec.runtime.progress import progress

    name = shown_name(options.result)
    with progress("verify", None, quiet=options.quiet, unit="rows") as advance:
        verified = verify(options.result, look=options.inputs, advance=advance)
    if options.json:
        print(json.dumps(verified.to_json()))
    elif not verified.problems:
        print(f"{name}: complete, {verified.rows:,} rows in {verified.parts:,} parts, as counted")
        if verified.inputs is not None:
            print(
                "inputs       " + ", ".join(f"{n:,} {what}" for what, n in verified.inputs.items())
            )
    if verified.problems:
        more = len(verified.problems) - SHOWN
        words = "; ".join(verified.problems[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
        raise RunError(f"{name} does not hold: {words}")
