"""`digitrec data`: MNIST as a folder of scans."""

import argparse
from pathlib import Path
from typing import Any

from digitrec.commands.parsing import add_command, add_data


def add(commands: Any) -> None:
    """Add the command to the parser."""
    data = commands.add_parser("data", help="MNIST as a folder of scans.")
    actions = data.add_subparsers(dest="action", metavar="ACTION", required=True)
    command = add_command(
        actions,
        "export",
        _export,
        "Write MNIST as PNGs into class folders: OUT/0/… to OUT/9/….",
        "digitrec data export --out scans",
    )
    command.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="new or empty")
    command.add_argument("--split", choices=("test", "train"), default="test", help="default: test")
    add_data(command)


def _export(options: argparse.Namespace) -> None:
    from digitrec.scans.labelled import export_mnist

    count = export_mnist(options.split, options.out, options.data)
    print(f"{count:,} scans in {options.out}/0 … {options.out}/9")
