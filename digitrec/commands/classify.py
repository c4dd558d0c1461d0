"""`digitrec classify`: folders of scans → Parquet, with Ray Data."""

import argparse
import json
from pathlib import Path
from typing import Any

from digitrec.commands.parsing import add_command, add_model, add_quiet
from digitrec.errors import InputError


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "classify",
        _classify,
        "Classify folders of scans with Ray Data into a folder of Parquet, one row a scan.",
        "digitrec classify scans --out result",
    )
    command.add_argument("inputs", nargs="+", metavar="INPUT", help="a folder or an image file")
    command.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="new or empty")
    add_model(command)
    command.add_argument("--json", action="store_true", help="print _run.json as the answer")
    add_quiet(command)


def _classify(options: argparse.Namespace) -> None:
    from digitrec.bulk.classify import ClassifySettings, classify

    for path in (*options.inputs, str(options.out)):
        if "://" in path:
            raise InputError(f"{path}: classify reads and writes this machine's folders only")
    run = classify(
        ClassifySettings(
            inputs=tuple(options.inputs),
            out=options.out,
            model=options.model,
            quiet=options.quiet,
        )
    )
    print(json.dumps(run) if options.json else _summary(run, options.out))


def _summary(run: dict[str, Any], out: Path) -> str:
    counts = run["counts"]
    digits = "  ".join(f"{digit}: {count:,}" for digit, count in run["digits"].items())
    lines = [
        f"{counts['inputs']:,} scans: {counts['accept']:,} accepted, "
        f"{counts['review']:,} to review, {counts['blank']:,} blank, {counts['error']:,} errors",
        f"digits       {digits}",
    ]
    for title in ("errors", "ignored"):
        if counts[title]:
            items = ", ".join(f"{name or 'no ending'} {n:,}" for name, n in counts[title].items())
            lines.append(f"{title:<13}{items}")
    if run["first_frames"]:
        lines.append(
            f"frames       of {run['first_frames']:,} files the first frame alone was read"
        )
    lines += [
        f"model        {run['model_id']}, no error budget",
        f"time         {run['elapsed']:.1f} s in all, {run['images_per_second']:,.0f} scans/s "
        "once Ray had started",
        f"result       {out}",
        f'look at it   python -c "import pandas; print(pandas.read_parquet({str(out)!r}))"',
    ]
    return "\n".join(lines)
