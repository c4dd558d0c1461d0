"""`digitrec pack`: millions of small files → few large shards."""

import argparse
from typing import Any

from digitrec.commands.parsing import (
    add_command,
    add_quiet,
    add_run,
    answered,
    run_settings,
    shown_out,
)


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "pack",
        _pack,
        "Pack many small files into few large shards, which classify reads as well. Called again "
        "on the same folder, it goes on where it was stopped.",
        "digitrec pack scans --out shards && digitrec classify shards --out result",
    )
    add_run(command)
    command.add_argument("--json", action="store_true", help="print _run.json as the answer")
    add_quiet(command)


def _pack(options: argparse.Namespace) -> None:
    from digitrec.batch.pack import pack

    outcome = pack(run_settings(options))
    if answered(options, outcome):
        return
    out = shown_out(options)
    counts = outcome.run["counts"]
    print(f"{counts['inputs']:,} scans packed, {counts['error']:,} of them could not be read")
    if "images_per_second" in outcome.run:
        run = outcome.run
        print(
            f"time         {run['elapsed']:.1f} s in all; {run['images_per_second']:,.0f} scans/s, "
            f"mostly {run['limited_by']}"
        )
    print(f"shards       {out}\nread them    digitrec classify {out} --out result")
