"""`digitrec classify`: any number of scans → Parquet."""

import argparse
from typing import Any

from digitrec.commands.parsing import (
    add_command,
    add_ink,
    add_model,
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
        "classify",
        _classify,
        "Classify any number of scans into a folder of Parquet, one row a scan. Called again on "
        "the same folder, it goes on where it was stopped.",
        "digitrec classify scans --out result",
    )
    add_run(command)
    add_model(command)
    command.add_argument(
        "--notes", action="store_true", help="a last column that says what is odd about each scan"
    )
    add_ink(command)
    command.add_argument("--json", action="store_true", help="print _run.json as the answer")
    add_quiet(command)


def _classify(options: argparse.Namespace) -> None:
    from digitrec.batch.classify import classify

    outcome = classify(
        run_settings(options), options.model, with_notes=options.notes, ink=options.ink
    )
    if answered(options, outcome):
        return
    print(_summary(outcome.run, shown_out(options)))


def _summary(run: dict[str, Any], out: str) -> str:
    from digitrec.pipeline import STAGES

    counts = run["counts"]
    digits = "  ".join(f"{digit}: {count:,}" for digit, count in run["digits"].items())
    lines = [
        f"{counts['inputs']:,} scans: {counts['accept']:,} accepted, "
        f"{counts['review']:,} to review, {counts['blank']:,} blank, {counts['error']:,} errors",
        f"digits       {digits}",
    ]
    for title in ("reviews", "errors", "ignored"):
        if counts[title]:
            items = ", ".join(f"{name or 'no ending'} {n:,}" for name, n in counts[title].items())
            lines.append(f"{title:<13}{items}")
    if run["looked_closer"]:
        share = 100 * run["looked_closer"] / run["counts"]["rows"]
        spent = 100 * run["seconds"]["ink"] / sum(run["seconds"][stage] for stage in STAGES)
        lines.append(
            f"odd scans    {run['looked_closer']:,} of them ({share:.1f} %) were looked at "
            f"closely, in {spent:.0f} % of the time"
        )
    if run["first_frames"]:
        lines.append(
            f"frames       of {run['first_frames']:,} files the first frame alone was read"
        )
    lines.append(f"model        {run['model_id']}, no error budget")
    if "images_per_second" in run:
        lines.append(
            f"time         {run['elapsed']:.1f} s in all, first part after {run['first_part']:.1f} "
            f"s; {run['images_per_second']:,.0f} scans/s, mostly {run['limited_by']}"
        )
    lines += [
        f"result       {out}",
        f'look at it   python -c "import pandas; print(pandas.read_parquet({out!r}))"',
    ]
    return "\n".join(lines)
