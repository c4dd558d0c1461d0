"""What the commands' parsers share."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence, with exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Complain and exit."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def add_command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], None],
    summary: str,
    example: str,
) -> Any:
    """Add a command with its help, an example, and the function that runs it."""
    command = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command


def add_data(command: Any) -> None:
    """Add `--data`: where MNIST lies."""
    command.add_argument(
        "--data", type=Path, metavar="FOLDER", help="with MNIST's four files; default: fetched once"
    )


def add_model(command: Any) -> None:
    """Add `--model`: what reads the digits."""
    command.add_argument(
        "--model",
        default="small",
        metavar="BUNDLE",
        help="small (shipped with digitrec), or the folder of a bundle or a run; default: small",
    )


def add_quiet(command: Any) -> None:
    """Add `--quiet`: no progress."""
    command.add_argument("--quiet", action="store_true", help="no progress")
