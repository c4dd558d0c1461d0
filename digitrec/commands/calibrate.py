"""`digitrec calibrate`: error budgets → certified policies, from labelled scans."""

import argparse
import json
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitrec.commands.parsing import add_command, add_quiet, share, shown_name
from digitrec.errors import BundleError, InputError
from digitrec.model.shipped import SHIPPED
from digitrec.runtime.terminal import decoders_silent
from digitrec.storage.files import file_name

if TYPE_CHECKING:
    from digitrec.datasets.labelled import LabelledSet
    from digitrec.evaluation.budgets import Budgets, Issued
    from digitrec.evaluation.scores import Measured
    from digitrec.model.bundle import Bundle

PICTURES = "calibration"  # the folder in a bundle's


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "calibrate",
        _calibrate,
        "Turn error budgets into policies: for each the lowest confidence above which at most that "
        "share of digits is wrong, certified on labelled scans that the bundle has not learnt "
        "from, drawn at random from those it is to read.",
        "digitrec calibrate cascade answers --source office --budgets 1% --out bundle",
    )
    command.add_argument("bundle", metavar="BUNDLE", help="as --model of classify takes it")
    command.add_argument(
        "labelled",
        nargs="+",
        metavar="LABELLED",
        help="labelled scans, as evaluate takes them, or the folder of an `audit draw` that was "
        "answered; several are taken together",
    )
    _add_claim(command)
    _add_sources(command)
    command.add_argument(
        "--out",
        metavar="FOLDER",
        help="a new folder for a copy of the bundle with the policies; or URI; default: they are "
        "written into the bundle, but into none that comes with digitrec or is in a registry",
    )
    command.add_argument("--json", action="store_true", help="print the policies as the answer")
    add_quiet(command)


def _add_claim(command: Any) -> None:
    """Add what is to be certified, and how."""
    command.add_argument(
        "--budgets",
        default="0.01,0.002,0.001",
        metavar="SHARES",
        help="error budgets, such as 0.01,0.001 or 1%%,0.1%%; default: 1 %%, 0.2 %% and 0.1 %%",
    )
    command.add_argument(
        "--certainty",
        type=float,
        default=0.95,
        metavar="SHARE",
        help="with which each budget is kept; default: 0.95",
    )
    command.add_argument(
        "--per-digit",
        action="store_true",
        help="each digit is to keep the budget by itself; what that costs in coverage is shown",
    )
    command.add_argument(
        "--start-from",
        metavar="LABELLED",
        help="where the tests begin is chosen on these scans, which certify nothing; default: as "
        "the bundle has it from before, else mnist:validation",
    )


def _add_sources(command: Any) -> None:
    """Add whose scans they are."""
    command.add_argument(
        "--source",
        default="",
        metavar="NAME",
        help="whose scans they are: the policies are kept under this name, beside the bundle's "
        "own, and apply where `classify --source` asks for them",
    )
    command.add_argument(
        "--by",
        metavar="COLUMN",
        help="of a table of labelled scans: policies for each source that this column names",
    )


def _calibrate(options: argparse.Namespace) -> None:
    from digitrec.evaluation.budgets import Budgets
    from digitrec.model.bundle import load_bundle
    from digitrec.storage.folder import check_is_new, open_folder

    if options.by and options.source:
        raise InputError("--by names the sources by a column: leave --source out")
    try:
        asked = Budgets(
            budgets=_shares(options.budgets),
            certainty=options.certainty,
            source=options.source,
            by_digit=options.per_digit,
        )
    except ValueError as why:
        raise InputError(str(why)) from why
    bundle = load_bundle(options.bundle)
    if options.out:
        check_is_new(open_folder(options.out))
    labelled, starts = _labelled(bundle, options), _starts(bundle, options)
    issued = {
        source: _issue(bundle, source, one, asked, starts) for source, one in labelled.items()
    }
    target = _keep(options, issued, labelled, starts)
    if options.json:
        print(json.dumps({name: [asdict(one) for one in some] for name, some in issued.items()}))
    else:
        for source, one in labelled.items():
            print(_report(source, one.measured, issued[source], asked))
        print(_price(bundle, labelled, issued, asked, starts), end="")
    where = _where(options, issued, target)
    if not options.json:
        print(where)


def _shares(text: str) -> tuple[float, ...]:
    try:
        return tuple(dict.fromkeys(share(one.strip()) for one in text.split(",")))
    except argparse.ArgumentTypeError as why:
        raise InputError(f"--budgets: {why}") from why


@dataclass(frozen=True, slots=True)
class _Labelled:
    """What policies are certified on."""

    measured: "Measured"  # read under no budget
    least: float = 0.0  # the confidence that all of the scans had to have to be drawn
    # What the scans of the source look like; None: as these do.
    looks: dict[str, list[int]] | None = None


def _labelled(bundle: "Bundle", options: argparse.Namespace) -> "dict[str, _Labelled]":
    """Read the labelled scans: by source."""
    from digitrec.datasets.answers import is_drawn, load_answers
    from digitrec.datasets.labelled import column_of, is_of_review, joined, load_labelled
    from digitrec.model.policies import check_unseen

    if any(map(is_drawn, options.labelled)):
        if len(options.labelled) > 1 or options.by:
            raise InputError("a sample that was drawn certifies alone: name no other labels")
        answers = load_answers(options.labelled[0])
        least = answers.least_confidence(bundle.card.id)
        looks = answers.draw.looks if answers.draw.model_id == bundle.card.id else None
        return {options.source: _Labelled(_read(bundle, answers.labelled, options), least, looks)}
    for name in options.labelled:
        check_unseen(bundle, name)
        if is_of_review(name):
            raise InputError(
                f"{shown_name(name)} has labels of a review, of scans that were chosen by a "
                "model's doubt: they train (digitrec retrain) and certify nothing; draw a random "
                "sample with digitrec audit draw"
            )
    labelled = joined([load_labelled(name) for name in options.labelled])
    if options.by is None:
        return {options.source: _Labelled(_read(bundle, labelled, options))}
    if len(options.labelled) > 1:
        raise InputError("--by takes one table of labelled scans, not several sets")
    sources = column_of(options.labelled[0], options.by)
    measured = _read(bundle, labelled, options)
    return {source: _Labelled(measured.only(which)) for source, which in sources.items()}


def _read(bundle: "Bundle", labelled: "LabelledSet", options: argparse.Namespace) -> "Measured":
    from digitrec.evaluation.labelled_set import measure
    from digitrec.model.engine import open_engine
    from digitrec.model.policies import with_policy
    from digitrec.runtime.progress import progress

    engine = open_engine(with_policy(bundle, bundle.card.policy))
    count = len(labelled.scans)
    with decoders_silent(), progress(labelled.name, count, quiet=options.quiet) as advance:
        return measure(engine, labelled, advance)


def _starts(bundle: "Bundle", options: argparse.Namespace) -> list[float]:
    """Return where tests may begin."""
    from digitrec.budget.certify import starts_of
    from digitrec.datasets.labelled import load_labelled
    from digitrec.evaluation.budgets import scores_of

    if options.start_from is None and bundle.card.starts:
        return bundle.card.starts
    name = options.start_from or "mnist:validation"
    if name in options.labelled:
        raise InputError(f"{name} can't both certify and say where the tests begin")
    return starts_of(scores_of(_read(bundle, load_labelled(name), options)))


def _issue(
    bundle: "Bundle", source: str, one: _Labelled, asked: "Budgets", starts: list[float]
) -> "list[Issued]":
    """Find the policies of a source."""
    from digitrec.evaluation.budgets import check_labels, issue

    check_labels(one.measured)
    return issue(bundle.card, one.measured, replace(asked, source=source), starts, one.least)


def _keep(
    options: argparse.Namespace,
    issued: "dict[str, list[Issued]]",
    labelled: dict[str, _Labelled],
    starts: list[float],
) -> str | None:
    """Write policies and pictures into the bundle or a copy; say where, None: nowhere."""
    from digitrec.budget.looks import counted
    from digitrec.evaluation.budgets import kept
    from digitrec.model.bundle import check_may_change, copy_bundle
    from digitrec.model.policies import write_policies

    policies = {source: kept(some) for source, some in issued.items()}
    if not any(policies.values()):
        return None
    target = options.out
    if target is None:
        try:
            check_may_change(options.bundle)
        except BundleError:
            return None
        target = options.bundle
    else:
        copy_bundle(options.bundle, target)
    for source, some in policies.items():
        if some:
            one = labelled[source]
            looks = counted(one.measured.looks) if one.looks is None else one.looks
            write_policies(target, source, some, looks, starts)
            _draw(target, source, one.measured, issued[source])
    return str(target)


def _draw(target: str, source: str, measured: "Measured", issued: "list[Issued]") -> None:
    from digitrec.model.bundle import find_bundle
    from digitrec.plots.budgets import confidences, coverage
    from digitrec.plots.labelled_set import accepted_mistakes, reliability

    folder = find_bundle(target)
    with tempfile.TemporaryDirectory(prefix="digitrec-") as temporary:
        root = Path(temporary)
        coverage(measured, issued, root / "coverage.png")
        confidences(measured, issued, root / "confidences.png")
        reliability(measured, root / "reliability.png")
        accepted_mistakes(measured, root / "accepted-mistakes.png")
        for picture in sorted(root.iterdir()):
            folder.write(f"{_pictures(source)}/{picture.name}", picture.read_bytes())


def _pictures(source: str) -> str:
    return f"{PICTURES}/{file_name(source)}" if source else PICTURES


def _report(source: str, measured: "Measured", issued: "list[Issued]", asked: "Budgets") -> str:
    """Write what came of a source's labels as text."""
    from digitrec.evaluation.budgets import by_digit_table, kept, table

    scans, wrong = len(measured.labels), int((~measured.right).sum())
    lines = [f"source       {source}"] if source else []
    lines.append(f"labelled     {measured.name}: {scans:,} scans, {wrong:,} of them read wrong")
    if not wrong:
        lines.append("             all right: were they labelled by someone who saw no answers?")
    if measured.groups is not None:
        lines.append(
            "             the bounds take each scan for one by itself, drawn at random: what one "
            "writer wrote is alike, and says less"
        )
    lines += ["", table(issued, asked.certainty), ""]
    if kept(issued):
        lines += [by_digit_table(measured, issued), ""]
    return "\n".join(lines)


def _price(
    bundle: "Bundle",
    labelled: dict[str, _Labelled],
    issued: "dict[str, list[Issued]]",
    asked: "Budgets",
    starts: list[float],
) -> str:
    """Say what it costs in coverage that each source, or each digit, keeps a budget by itself."""
    from digitrec.evaluation.budgets import accepted_by, issue, kept, together

    if not asked.by_digit and len(labelled) == 1:
        return ""
    plain = replace(asked, by_digit=False)
    least = max(one.least for one in labelled.values())
    whole = together([one.measured for one in labelled.values()])
    pooled = {one.budget: one for one in kept(issue(bundle.card, whole, plain, starts, least))}
    lines = []
    for source, some in issued.items():
        measured = labelled[source].measured
        for one in kept(some):
            if one.budget in pooled:
                common = accepted_by(pooled[one.budget], measured).mean()
                lines.append(
                    f"{f'{source}, ' if source else ''}{100 * one.budget:g} %: "
                    f"{100 * one.accepted / one.scans:.2f} % accepted, "
                    f"{100 * common:.2f} % if all kept it together"
                )
    return "".join(f"price        {line}\n" for line in lines)


def _where(
    options: argparse.Namespace, issued: "dict[str, list[Issued]]", target: str | None
) -> str:
    """Say where the policies are."""
    from digitrec.evaluation.budgets import kept

    if target is not None:
        name = shown_name(target)
        return f"bundle       {name}\npictures     {name}/{PICTURES}"
    if any(kept(some) for some in issued.values()):
        whose = "comes with digitrec" if options.bundle in SHIPPED else "may not be changed"
        return (
            f"not kept: {shown_name(options.bundle)} {whose}; --out FOLDER writes a copy of it "
            "with these policies"
        )
    raise InputError("these labels carry no policy: nothing was written")
