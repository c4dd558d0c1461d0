"""What a registry knows of runs and audits: their figures, an entry of the log each, over time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from digitrec.errors import DigitrecError, RunError
from digitrec.model.champion import AUDIT, RUN, Entry
from digitrec.registry.store import Registry

if TYPE_CHECKING:
    from digitrec.batch.audit import Bound

COUNTS = ("inputs", "accept", "review", "blank", "error")
# What an entry tells that can't be said twice of the same.
RUN_ITSELF, AUDIT_ITSELF = ("run_id", "finished"), ("run_id", "answered", "wrong", "rows")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFigures:
    """One run of classify."""

    time: str  # when it was finished: ISO 8601, UTC
    model_id: str
    scans: int
    review_share: float | None  # of the digits that were accepted or left to review
    expected_error: float | None  # of the accepted, by their own confidences
    verdict: str | None  # of the input check; None: the run had no error budget
    distance: float | None  # see `budget.drift.Compared`


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditFigures:
    """What an audit came to."""

    time: str
    model_id: str
    answered: int
    wrong: int
    observed: float  # share of the answered that is wrong
    bound: float  # share of the rows that is wrong at most


@dataclass(frozen=True, slots=True)
class Series:
    """The runs and audits that a registry knows, the oldest first."""

    runs: tuple[RunFigures, ...]
    audits: tuple[AuditFigures, ...]


def series(registry: Registry) -> Series:
    """Gather what a registry's log tells of runs and audits.

    Raises:
        InputError: an entry is damaged.
    """
    runs, audits = list[RunFigures](), list[AuditFigures]()
    for entry in registry.entries():
        if entry.kind == RUN:
            runs.append(_run(entry))
        elif entry.kind == AUDIT:
            audits.append(_audit(entry))
    return Series(tuple(reversed(runs)), tuple(reversed(audits)))


def _run(entry: Entry) -> RunFigures:
    told = entry.fields
    check = told["check"] or {}
    return RunFigures(
        time=told["finished"],
        model_id=told["model_id"],
        scans=told["counts"].get("inputs", 0),
        review_share=told.get("review_share"),
        expected_error=told.get("expected_error"),
        verdict=check.get("verdict"),
        distance=check.get("distance"),
    )


def _audit(entry: Entry) -> AuditFigures:
    told = entry.fields
    return AuditFigures(
        time=entry.time,
        model_id=told["model_id"],
        answered=told["answered"],
        wrong=told["wrong"],
        observed=told["wrong"] / told["answered"],
        bound=told["bound"],
    )


def record_run(registry: Registry, run: Mapping[str, Any], out: str) -> None:
    """Put a complete run's figures into a registry's log, once.

    Args:
        registry: which need not be the one that the run's model is of.
        run: what `_run.json` holds.
        out: the result, as it may be shown.

    Raises:
        RunError: the log can't be written to; the result is complete all the same.
    """
    counts, check, policy = run["counts"], run["check"], run["policy"]
    decided = counts["accept"] + counts["review"]
    told = {
        "run_id": run["run_id"],
        "finished": run["finished"],
        "out": out,
        "model_id": run["model_id"],
        "source": run["source"],
        "max_error": None if policy is None else policy["policy"]["max_error"],
        "counts": {name: counts[name] for name in COUNTS},
        "review_share": counts["review"] / decided if decided else None,
        "expected_error": run["expected_error"],
        "check": check and {name: check[name] for name in ("verdict", "distance", "digits")},
        "images_per_second": run.get("images_per_second"),
    }
    _record(registry, RUN, told, RUN_ITSELF, run["finished"], f"{out} is complete")


def record_audit(registry: Registry, found: "Bound", out: str) -> None:
    """Put what an audit came to into a registry's log, once for the same answers.

    Args:
        registry: any.
        found: by `batch.audit.bound`; without an answer there is nothing to tell.
        out: the result, as it may be shown.

    Raises:
        RunError: the log can't be written to.
    """
    if not found.answered:
        return
    told = {
        "run_id": found.run_id,
        "finished": found.finished,
        "out": out,
        "model_id": found.model_id,
        "of": found.of,
        "rows": found.rows,
        "answered": found.answered,
        "wrong": found.wrong,
        "bound": found.bound,
        "certainty": found.certainty,
    }
    _record(registry, AUDIT, told, AUDIT_ITSELF, found.finished, "the bound holds")


def _record(
    registry: Registry,
    kind: str,
    told: dict[str, Any],
    itself: tuple[str, ...],
    finished: str,
    safe: str,
) -> None:
    """Add an entry, unless there is one of the same since the run was finished."""
    try:
        for entry in registry.entries():
            if entry.time < finished:
                break
            if entry.kind == kind and all(entry.fields.get(key) == told[key] for key in itself):
                return
        registry.add(kind, **told)
    except (DigitrecError, OSError) as why:
        raise RunError(f"{safe}, but {registry.name} has no entry of it: {why}") from why
