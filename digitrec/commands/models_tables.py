"""What `digitrec models` prints: aligned tables of a registry's bundles, runs and audits."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from digitrec.model.card import Card
    from digitrec.registry.overview import Kept
    from digitrec.registry.runs import Series

SHOWN = 20  # runs, and audits, the last ones
NONE = "-"


def listed(kept: "Sequence[Kept]") -> str:
    """Return a line for each bundle."""
    titles = ("id", "made, UTC", "parent", "what it is", "gate", "MNIST %", "cover %", "budget %")
    rows = [
        (
            one.id,
            when(one.made),
            one.parent or NONE,
            one.what,
            _gate(one.passed),
            percent(one.accuracy),
            percent(one.coverage),
            NONE if one.budget is None else f"{100 * one.budget:g}",
        )
        for one in kept
    ]
    lines = [
        _table(titles, rows, left=5),
        "",
        "MNIST %: of its test set, read right; cover %: accepted, of the scans that the error",
        "budget was certified on",
        *(f"damaged: {one.damage}" for one in kept if one.damage is not None),
    ]
    return "\n".join(lines)


def beside(first: dict[str, Any], second: dict[str, Any]) -> str:
    """Return what `overview.figures` says of two bundles, beside each other."""
    both = (first, second)
    budgets = sorted({*first["coverages"], *second["coverages"]}, reverse=True)
    facts = [
        ("what it is", *(one["what"] for one in both)),
        ("made, UTC", *(when(one["made"]) for one in both)),
        ("made from", *(one["parent"] or NONE for one in both)),
        ("gate", *(_gate(one["passed"]) for one in both)),
        ("networks, kB", *(f"{one['bytes'] / 1000:,.0f}" for one in both)),
        *(
            (
                f"cover % at {100 * budget:g} %",
                *(percent(one["coverages"].get(budget)) for one in both),
            )
            for budget in budgets
        ),
    ]
    names = list(dict.fromkeys([*first["sets"], *second["sets"]]))
    rows = [
        _beside(name, first["sets"].get(name, {}), second["sets"].get(name, {})) for name in names
    ]
    lines = [_table(("", first["id"], second["id"]), facts)]
    if rows:
        titles = ("set", "right % A", "right % B", "B - A", "ECE A", "ECE B")
        lines += ["", f"A: {first['id']}, B: {second['id']}", _table(titles, rows)]
    return "\n".join(lines)


def _beside(name: str, first: dict[str, Any], second: dict[str, Any]) -> tuple[str, ...]:
    before, after = first.get("accuracy"), second.get("accuracy")
    change = NONE if before is None or after is None else f"{100 * (after - before):+.2f}"
    return (
        name, percent(before), percent(after), change, _number(first.get("ece")),
        _number(second.get("ece")),
    )  # fmt: skip


def _gate(passed: bool | None) -> str:
    return NONE if passed is None else "passed" if passed else "stopped"


def percent(share: float | None, digits: int = 2) -> str:
    """Write a share in percent."""
    return NONE if share is None else f"{100 * share:.{digits}f}"


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.4f}"


def when(time: str) -> str:
    """Write a time to the minute."""
    return time[:16].replace("T", " ")


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Write aligned columns, the first few to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if k < left else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (titles, *rows)
    )


def scored(card: "Card") -> str:
    """Return a bundle's policies, and what it scored."""
    policies = [
        (
            f"{100 * policy.budget:g}",
            policy.source or policy.labelled,
            f"{policy.scans:,}",
            percent(policy.accepted / policy.scans),
            percent(policy.bound, 3),
        )
        for policy in card.policies
    ]
    scores = [
        (
            name,
            f"{of['images']:,}",
            percent(of["accuracy"]),
            percent(of.get("coverage")),
            percent(of.get("accepted_error"), 3),
            _number(of.get("ece")),
        )
        for name, of in card.scorecard.items()
        if "accuracy" in of
    ]
    tables = [
        _table(("budget %", "certified on", "scans", "cover %", "bound %"), policies, 2),
        _table(("set", "scans", "right %", "cover %", "wrong %", "ECE"), scores),
    ]
    return "\n\n".join(
        table for table, rows in zip(tables, (policies, scores), strict=True) if rows
    )


def over_time(known: "Series") -> str:
    """Return the last runs and audits."""
    runs = [
        (
            when(run.time),
            run.model_id,
            f"{run.scans:,}",
            percent(run.review_share),
            run.verdict or NONE,
            NONE if run.distance is None else f"{run.distance:.2f}",
            percent(run.expected_error, 3),
        )
        for run in known.runs[-SHOWN:]
    ]
    audits = [
        (
            when(audit.time),
            audit.model_id,
            f"{audit.answered:,}",
            percent(audit.observed),
            percent(audit.bound),
        )
        for audit in known.audits[-SHOWN:]
    ]
    found = []
    if runs:
        titles = ("run, UTC", "bundle", "scans", "review %", "check", "distance", "expected %")
        found.append(_table(titles, runs, 2) + _earlier(len(known.runs)))
    if audits:
        found.append(
            _table(("audit, UTC", "bundle", "answered", "wrong %", "at most %"), audits, 2)
            + _earlier(len(known.audits))
        )
    return "\n\n".join(found) or "no runs: digitrec classify --registry tells the registry of one"


def _earlier(count: int) -> str:
    return f"\nand {count - SHOWN:,} before" if count > SHOWN else ""
