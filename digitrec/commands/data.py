"""`digitrec data`: folders of scans to try things on: MNIST's, or drawn ones."""

import argparse
from typing import Any

from digitrec.commands.parsing import add_command, add_data, add_quiet, shown_out
from digitrec.errors import InputError


def add(commands: Any) -> None:
    """Add the command to the parser."""
    data = commands.add_parser(
        "data", help="Folders of scans to try things on: MNIST's, or drawn ones."
    )
    actions = data.add_subparsers(dest="action", metavar="ACTION", required=True)
    command = add_command(
        actions,
        "export",
        _export,
        "Write MNIST as PNGs into class folders: OUT/0/… to OUT/9/….",
        "digitrec data export --out scans",
    )
    command.add_argument("--out", required=True, metavar="FOLDER", help="new or empty; or URI")
    command.add_argument("--split", choices=("test", "train"), default="test", help="default: test")
    add_data(command)
    command = add_command(
        actions,
        "draw",
        _draw,
        "Draw digits in the ways that the world writes them, as PNGs in class folders, and beside "
        "them scans that show no digit, in OUT/not-a-digit.",
        "digitrec data draw --out drawn --count 200 --junk 50",
    )
    command.add_argument("--out", required=True, metavar="FOLDER", help="new or empty; or URI")
    command.add_argument(
        "--count", type=int, default=1000, metavar="N", help="of digits; default: 1000"
    )
    command.add_argument(
        "--junk",
        type=int,
        default=0,
        metavar="N",
        help="of letters, scribbles, crossed-out digits and the like; default: 0",
    )
    command.add_argument(
        "--seed", type=int, default=0, metavar="N", help="another one, other scans; default: 0"
    )
    add_quiet(command)


def _export(options: argparse.Namespace) -> None:
    from digitrec.datasets.labelled import export_mnist
    from digitrec.storage.folder import staged

    with staged(options.out, new=True) as folder:
        count = export_mnist(options.split, folder, options.data)
    out = shown_out(options)
    print(f"{count:,} scans in {out}/0 … {out}/9")


def _draw(options: argparse.Namespace) -> None:
    from digitrec.datasets.synthetic.sets import JUNK_FOLDER, write_drawn
    from digitrec.runtime.progress import progress
    from digitrec.storage.folder import staged

    for name in ("count", "junk", "seed"):
        if getattr(options, name) < 0:
            raise InputError(f"--{name} must be 0 or more, not {getattr(options, name)}")
    out, total = shown_out(options), options.count + options.junk
    with (
        staged(options.out, new=True) as folder,
        progress("draw", total, quiet=options.quiet) as advance,
    ):
        write_drawn(folder, options.count, options.junk, options.seed, advance)
    print(f"{options.count:,} digits in {out}/0 … {out}/9")
    if options.junk:
        print(f"{options.junk:,} scans that show none in {out}/{JUNK_FOLDER}")
    print(f"look at it   digitrec classify {out} --out result")
