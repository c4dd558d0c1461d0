"""`digitrec predict`: digits now, in this process."""

import argparse
import json
import os
from dataclasses import asdict
from typing import Any

from digitrec.commands.parsing import add_command, add_model
from digitrec.errors import InputError


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "predict",
        _predict,
        "Read digits now, in this process, without Ray.",
        "digitrec predict seven.png",
    )
    command.add_argument("files", nargs="+", metavar="FILE", help="an image of one digit")
    add_model(command)
    command.add_argument("--json", action="store_true", help="one JSON object a line")


def _predict(options: argparse.Namespace) -> None:
    from digitrec.reading import read
    from digitrec.scans.inputs import readable

    for file in options.files:
        if not os.path.lexists(file):
            raise InputError(f"no file {readable(file)}")
    readings = read(options.files, options.model)
    for file, reading in zip(map(readable, options.files), readings, strict=True):
        if options.json:
            print(json.dumps({"path": file, **_plain(reading)}))
        elif reading.digit is None:
            print(f"{file}: {reading.reason or reading.decision}")
        else:
            print(f"{file}: {reading.digit}  ({100 * (reading.confidence or 0):.1f} % sure)")


def _plain(reading: Any) -> dict[str, Any]:
    fields = asdict(reading)
    if reading.probabilities is not None:
        fields["probabilities"] = [round(float(value), 6) for value in reading.probabilities]
    return fields
