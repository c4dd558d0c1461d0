"""`digitrec predict`: digits now, in this process, and why they were read so."""

import argparse
import json
import os
from dataclasses import asdict
from itertools import chain, count
from pathlib import Path
from typing import Any

from digitrec.commands.parsing import add_budget, add_command, add_ink, add_model
from digitrec.errors import InputError
from digitrec.runtime.terminal import decoders_silent
from digitrec.storage.files import make_folder


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "predict",
        _predict,
        "Read digits now, in this process, without Ray.",
        "digitrec predict seven.png\n  digitrec predict --explain seven.png",
    )
    command.add_argument("files", nargs="+", metavar="FILE", help="an image of one digit")
    add_model(command)
    add_ink(command)
    add_budget(command)
    command.add_argument(
        "--explain", action="store_true", help="draw for each file why it was read so"
    )
    command.add_argument(
        "--out",
        type=Path,
        default=Path("explained"),
        metavar="FOLDER",
        help="where --explain puts the pictures; default: explained",
    )
    command.add_argument("--json", action="store_true", help="one JSON object a line")


def _predict(options: argparse.Namespace) -> None:
    from digitrec.reader import read
    from digitrec.storage.paths import readable

    for file in options.files:
        _check_is_file(file)
    if options.explain:
        make_folder(options.out)
        with decoders_silent():
            _explain(options)
        return
    with decoders_silent():
        readings = read(
            options.files,
            options.model,
            ink=options.ink,
            max_error=options.max_error,
            source=options.source,
        )
    for file, reading in zip(options.files, readings, strict=True):
        _say(readable(file), reading, options)


def _check_is_file(file: str) -> None:
    from digitrec.storage.paths import readable

    if "\0" in file or not os.path.lexists(file):
        raise InputError(f"no file {readable(file)}")
    if os.path.isdir(file):
        raise InputError(
            f"{readable(file)} is a folder: digitrec classify reads folders, predict reads files"
        )


def _explain(options: argparse.Namespace) -> None:
    """Say what each file was read as, and draw why."""
    from digitrec.evaluation.explain import explain
    from digitrec.model.bundle import load_bundle
    from digitrec.model.engine import open_engine
    from digitrec.model.policies import with_budget
    from digitrec.pipeline import INK
    from digitrec.plots.explain import explanation as draw
    from digitrec.storage.paths import readable

    bundle = with_budget(load_bundle(options.model), options.max_error, options.source)
    engine = open_engine(bundle)
    names = _picture_names(options.files)
    for file, name in zip(options.files, names, strict=True):
        explanation = explain(file, engine, INK[options.ink])
        _say(readable(file), explanation.reading, options)
        if explanation.pixels is not None:
            draw(readable(os.path.basename(file)), explanation, options.out / name)
            if not options.json:
                print(f"  {explanation.words}")
                print(f"  why: {options.out / name}")


def _picture_names(files: list[str]) -> list[str]:
    """Name each file's picture: by its own name, with a number where that comes again.

    Some file systems take capitals for small letters.
    """
    from digitrec.storage.paths import readable

    names: list[str] = []
    for file in files:
        stem = readable(os.path.splitext(os.path.basename(file))[0])
        numbered = (f"{stem}-{number}.png" for number in count(2))
        taken = {name.lower() for name in names}
        free = (name for name in chain([f"{stem}.png"], numbered) if name.lower() not in taken)
        names.append(next(free))
    return names


def _say(name: str, reading: Any, options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps({"path": name, **_plain(reading)}))
    elif reading.digit is None:
        print(f"{name}: {reading.reason or reading.decision}")
    elif reading.decision == "review":
        sure = f"{100 * (reading.confidence or 0):.1f} % sure"
        print(f"{name}: to review, perhaps {reading.digit}  ({sure}; {reading.reason})")
    else:
        print(f"{name}: {reading.digit}  ({100 * (reading.confidence or 0):.1f} % sure)")


def _plain(reading: Any) -> dict[str, Any]:
    fields = asdict(reading)
    if reading.probabilities is not None:
        fields["probabilities"] = [round(float(value), 6) for value in reading.probabilities]
    return fields
