"""The door to every command: parse, run, and turn an error into a sentence and an exit code."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from digitrec.commands import cascade, classify, data, evaluate, pack, predict, study, train, verify
from digitrec.commands.parsing import Parser
from digitrec.errors import DigitrecError
from digitrec.version import __version__

EPILOG = "`digitrec COMMAND --help` explains a command and shows an example."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; give its exit code: 0 done, 1 the run failed, 2 wrong usage or input."""
    options = _parser().parse_args(arguments)
    # What OpenCV can't decode becomes the row's reason; it need not say so too.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    _log_to_stderr(quiet=getattr(options, "quiet", False))
    try:
        options.run(options)
    except DigitrecError as why:
        print(f"digitrec {options.command}: {why}", file=sys.stderr)
        return why.exit_code
    except BrokenPipeError:  # whoever read the answer has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print(f"digitrec {options.command}: stopped", file=sys.stderr)
        return 1
    return 0


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
    for command in (train, study, cascade, data, predict, classify, pack, verify, evaluate):
        command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
