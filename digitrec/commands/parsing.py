"""What the commands' parsers share."""

import argparse
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from digitrec.errors import InputError
from digitrec.model.shipped import DEFAULT, DEFAULT_BUDGET, NO_BUDGET
from digitrec.storage.files import is_uri

if TYPE_CHECKING:
    from digitrec.batch.run import Outcome, RunSettings
    from digitrec.model.card import Card
    from digitrec.registry.store import Registry


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
        default=DEFAULT,
        metavar="BUNDLE",
        help="of those shipped with digitrec: cascade, or its two networks alone, small (the "
        "report's) and large; or the folder of a bundle or a run; or a registry, whose champion it "
        "is; default: cascade",
    )


def add_registry(command: Any, what: str) -> None:
    """Add `--registry`: the log that gets an entry."""
    command.add_argument(
        "--registry",
        metavar="REGISTRY",
        help=f"put into the log of this registry {what}: digitrec models show draws them over time",
    )


def opened_registry(options: argparse.Namespace) -> "Registry | None":
    """Open the registry that `add_registry` asked for, before there is anything to put into it."""
    if options.registry is None:
        return None
    from digitrec.registry.store import open_registry

    return open_registry(options.registry)


def add_ink(command: Any) -> None:
    """Add `--ink`: what is ink where a scan alone does not tell."""
    command.add_argument(
        "--ink",
        choices=("auto", "dark", "light"),
        default="auto",
        help="of scans that are cut so tightly that they show no paper: is ink darker or lighter "
        "than paper? auto, the default: as most of the other scans have it",
    )


def add_budget(command: Any) -> None:
    """Add `--max-error` and `--source`: what is accepted."""
    command.add_argument(
        "--max-error",
        type=_budget,
        default=DEFAULT_BUDGET,
        metavar="SHARE",
        help="the error budget: at most this share of the accepted digits is wrong, such as 0.001 "
        "or 0.1%%, by what `digitrec calibrate` certified; none: accept every digit; default: the "
        "bundle's smallest (0.1 %% for those shipped with digitrec, for scans like MNIST's)",
    )
    command.add_argument(
        "--source",
        default="",
        metavar="NAME",
        help="take the policies of this source of scans, as `calibrate --source` named it",
    )


def _budget(text: str) -> float | str:
    return text if text in (DEFAULT_BUDGET, NO_BUDGET) else share(text)


def share(text: str) -> float:
    """Read a share above 0 and below 1, such as 0.001 or 0.1%."""
    number = text.removesuffix("%").rstrip()
    try:
        value = float(number) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no share, such as 0.001 or 0.1%") from None
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"an error budget is above 0 and below 1, not {text}")
    return value


def add_quiet(command: Any) -> None:
    """Add `--quiet`: no progress."""
    command.add_argument("--quiet", action="store_true", help="no progress")


def add_device(command: Any) -> None:
    """Add `--device`: where to train."""
    command.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="auto takes a GPU for every worker where Ray has as many; default: auto",
    )


def training(module: str) -> Any:
    """Import a module that needs the extra for training, such as `training.train`."""
    try:
        return importlib.import_module(f"digitrec.{module}")
    except ImportError as why:
        words = str(why).splitlines()[0]
        raise InputError(
            f"training needs more than is installed ({words}): pip install 'digitrec[train]'"
        ) from why


def add_run(command: Any) -> None:
    """Add what commands that run over inputs share."""
    command.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="a folder, an image file, a glob, a list (.txt, or .csv, .tsv or .parquet with a "
        "column path), or a shard that pack wrote; of this machine, or a URI such as s3://bucket/scans",
    )
    command.add_argument(
        "--out", required=True, metavar="FOLDER", help="new, empty, or a run to go on with; or URI"
    )
    command.add_argument(
        "--overwrite", action="store_true", help="replace what an earlier run left in --out"
    )
    command.add_argument(
        "--update",
        action="store_true",
        help="look at the inputs of a complete --out again: add what is new, read again what "
        "changed, drop what is gone",
    )
    command.add_argument(
        "--retry-errors",
        action="store_true",
        help="read again what could not be found or opened (vanished, unreadable)",
    )
    command.add_argument(
        "--allow-missing",
        action="store_true",
        help="go on, with a row for each, where most of the inputs can't be found or opened",
    )
    command.add_argument(
        "--path-column",
        metavar="NAME",
        help="of lists: default: path, image, file, filename or file_name, the first there is",
    )
    command.add_argument(
        "--content-column",
        metavar="NAME",
        help="of Parquet with image files inside; default: content, bytes, or image with bytes",
    )
    command.add_argument(
        "--no-follow-links",
        action="store_true",
        help="leave out links in folders; default: what they lead to is read",
    )
    command.add_argument(
        "--profile", action="store_true", help="also leave _trace.json, for https://ui.perfetto.dev"
    )


def shown_out(options: argparse.Namespace) -> str:
    """Return `--out` as it may be shown: of a URI without secrets."""
    return shown_name(options.out)


def shown_name(location: str) -> str:
    """Return a path as it is, and a URI without secrets."""
    if not is_uri(location):
        return location
    from digitrec.storage.uris import shown

    return shown(location)


def shown_calibration(card: "Card") -> str:
    """Return the line that tells a bundle's temperature and the least digit score it accepts."""
    least = "none" if (score := card.policy.min_digit_score) is None else f"{score:.4f}"
    return f"calibration  temperature {card.temperature:.3f}, least digit score {least}\n"


def answered(options: argparse.Namespace, outcome: "Outcome") -> bool:
    """Print `_run.json` if `--json` asks for it, else say if there was nothing to do."""
    if options.json:
        print(json.dumps(outcome.run))
        return True
    if not outcome.worked:
        out = shown_out(options)
        print(f"{out} is complete already; --update looks at the inputs again")
    if "again" in outcome.run:
        found = outcome.run["again"]
        print("again        " + ", ".join(f"{count:,} {what}" for what, count in found.items()))
    return False


def run_settings(options: argparse.Namespace) -> "RunSettings":
    """Gather what `add_run` added."""
    from digitrec.batch.run import RunSettings
    from digitrec.inputs.options import InputOptions

    return RunSettings(
        inputs=tuple(options.inputs),
        out=options.out,
        options=InputOptions(
            follow_links=not options.no_follow_links,
            path_column=options.path_column,
            content_column=options.content_column,
        ),
        overwrite=options.overwrite,
        update=options.update,
        retry_errors=options.retry_errors,
        allow_missing=options.allow_missing,
        profile=options.profile,
        quiet=options.quiet,
    )
