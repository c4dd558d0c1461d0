"""`digitrec classify`: any number of scans → Parquet."""

import argparse
from typing import Any

from digitrec.commands.parsing import (
    add_budget,
    add_command,
    add_ink,
    add_model,
    add_quiet,
    add_registry,
    add_run,
    answered,
    opened_registry,
    run_settings,
    shown_out,
)

SHOWN = 3  # differences


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands,
        "classify",
        _classify,
        "Classify any number of scans into a folder of Parquet, one row a scan. Called again on "
        "the same folder, it goes on where it was stopped.",
        "digitrec classify scans --out result",
    )
    add_run(command)
    add_model(command)
    command.add_argument(
        "--notes", action="store_true", help="a last column that says what is odd about each scan"
    )
    add_ink(command)
    add_budget(command)
    command.add_argument(
        "--strict",
        action="store_true",
        help="accept nothing unless the scans look like those that the error budget was certified "
        "on; default: the summary says so",
    )
    add_registry(command, "one entry with the figures of this run")
    command.add_argument("--json", action="store_true", help="print _run.json as the answer")
    add_quiet(command)


def _classify(options: argparse.Namespace) -> None:
    from digitrec.batch.classify import classify

    registry = opened_registry(options)
    outcome = classify(
        run_settings(options),
        options.model,
        with_notes=options.notes,
        ink=options.ink,
        max_error=options.max_error,
        source=options.source,
        strict=options.strict,
    )
    if not answered(options, outcome):
        print(_summary(outcome.run, shown_out(options)))
    if registry is not None and outcome.worked:
        from digitrec.registry.runs import record_run

        record_run(registry, outcome.run, shown_out(options))


def _budget_lines(run: dict[str, Any]) -> list[str]:
    """Return what is claimed of the accepted digits, and whether these scans support it."""
    from digitrec.budget.drift import CLOSE, UNKNOWN, Difference

    policy, check = run["policy"], run["check"]
    registry = run.get("registry")
    model = run["model_id"] + (f", champion of {registry}" if registry else "")
    if policy is None:
        return [f"model        {model}, no error budget"]
    whose = f"scans like those of {policy['source'] or policy['labelled']}"
    lines = [
        f"model        {model}",
        f"budget       at most {100 * policy['policy']['max_error']:g} % of the accepted are "
        f"wrong, with {100 * policy['certainty']:g} % certainty, if they are {whose}",
    ]
    if check["verdict"] == CLOSE:
        lines.append(f"check        they look like those: {check['digits']:,} were compared")
    elif check["verdict"] == UNKNOWN:
        lines.append(
            f"check        {check['digits']:,} digits are too few to tell whether they are; "
            "digitrec audit bounds the error of this result"
        )
    else:
        lines.append("check        NOT SUPPORTED: these scans look otherwise")
        lines += [f"             {Difference(**one)}" for one in check["differences"][:SHOWN]]
        lines.append("             digitrec audit bounds the error of this result")
    if run["expected_error"] is not None:
        lines.append(
            f"expected     {100 * run['expected_error']:.3f} % wrong of the accepted, by their own "
            "confidences: an estimate, no bound"
        )
    return lines


def _summary(run: dict[str, Any], out: str) -> str:
    from digitrec.pipeline import STAGES

    counts = run["counts"]
    digits = "  ".join(f"{digit}: {count:,}" for digit, count in run["digits"].items())
    lines = [
        f"{counts['inputs']:,} scans: {counts['accept']:,} accepted, "
        f"{counts['review']:,} to review, {counts['blank']:,} blank, {counts['error']:,} errors",
        f"digits       {digits}",
    ]
    for title in ("reviews", "errors", "ignored"):
        if counts[title]:
            items = ", ".join(f"{name or 'no ending'} {n:,}" for name, n in counts[title].items())
            lines.append(f"{title:<13}{items}")
    if run["looked_closer"]:
        share = 100 * run["looked_closer"] / run["counts"]["rows"]
        spent = 100 * run["seconds"]["ink"] / sum(run["seconds"][stage] for stage in STAGES)
        lines.append(
            f"odd scans    {run['looked_closer']:,} of them ({share:.1f} %) were looked at "
            f"closely, in {spent:.0f} % of the time"
        )
    if run["first_frames"]:
        lines.append(
            f"frames       of {run['first_frames']:,} files the first frame alone was read"
        )
    lines += _budget_lines(run)
    if "images_per_second" in run:
        lines.append(
            f"time         {run['elapsed']:.1f} s in all, first part after {run['first_part']:.1f} "
            f"s; {run['images_per_second']:,.0f} scans/s, mostly {run['limited_by']}"
        )
    lines += [
        f"result       {out}",
        f'look at it   python -c "import pandas; print(pandas.read_parquet({out!r}))"',
    ]
    return "\n".join(lines)
