"""The door to every command: parse, run, and turn an error into a sentence and an exit code."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from digitrec.commands import (
    audit,
    calibrate,
    cascade,
    classify,
    data,
    evaluate,
    models,
    pack,
    predict,
    retrain,
    review,
    study,
    train,
    verify,
)
from digitrec.commands.parsing import Parser
from digitrec.errors import DigitrecError
from digitrec.runtime import terminal
from digitrec.storage.cache import cache_folder
from digitrec.storage.paths import readable
from digitrec.version import __version__

EPILOG = "`digitrec COMMAND --help` explains a command and shows an example."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; give its exit code: 0 done, 1 the run failed, 2 wrong usage or input."""
    terminal.take_any_letter()
    options = _parser().parse_args(arguments)
    # What OpenCV can't decode becomes the row's reason; it need not say so too.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    # What matplotlib keeps lies with what digitrec keeps, and not with the user's own.
    os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))
    _log_to_stderr(quiet=getattr(options, "quiet", False))
    code, said = _run(options)
    if (words := terminal.flush()) is not None:
        code, said = 1, said or words
    if said:
        with suppress(OSError):
            print(f"digitrec {options.command}: {said}", file=sys.stderr, flush=True)
    return code


def _run(options: argparse.Namespace) -> tuple[int, str]:
    """Run a command; give its exit code, and what there is to say of it."""
    try:
        options.run(options)
    except DigitrecError as why:
        return why.exit_code, str(why)
    except BrokenPipeError:
        return 1, ""
    except KeyboardInterrupt:
        return 1, "stopped"
    except OSError as why:
        if why.errno in terminal.USERS and why.filename is not None:
            return 2, f"{readable(os.fsdecode(why.filename))} can't be used: {why.strerror}"
        if why.errno in terminal.MACHINES:
            place = "" if why.filename is None else f" ({readable(os.fsdecode(why.filename))})"
            return 1, f"{why.strerror}{place}"
        raise
    return 0, ""


def _log_to_stderr(*, quiet: bool) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.setLevel(logging.WARNING if quiet else logging.INFO)
    logger = logging.getLogger("digitrec")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="digitrec",
        description="Handwritten digits read in bulk, and the doubtful ones left to people.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"digitrec {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in (
        train, study, cascade, data, predict, classify, pack, verify, evaluate, calibrate, audit,
        models,
        retrain, review,
    ):  # fmt: skip
        command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
