"""What there is to say of a registry's bundles: what each is, how it came, and what it scored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from digitrec.errors import BundleError
from digitrec.model.card import Card, read_card
from digitrec.model.champion import (
    GATE,
    PROMOTION,
    REGISTRATION,
    REMOVAL,
    ROLLBACK,
    Entry,
    bundle_folder,
)
from digitrec.registry.store import Registry
from digitrec.storage.folder import Folder

CHAMPION, CHALLENGER, FORMER = "champion", "challenger", "former champion"
TEST = "mnist:test"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """One of a registry's bundles."""

    id: str
    made: str  # when it was registered: ISO 8601, UTC
    parent: str | None
    what: str  # CHAMPION, CHALLENGER or FORMER
    passed: bool | None  # what the gate said last; None: it was not asked
    card: Card | None  # None: it can't be read, the damage says why
    damage: str | None = None

    @property
    def accuracy(self) -> float | None:
        """The share of MNIST's test set that it reads right, if its scorecard has that."""
        scores = {} if self.card is None else self.card.scorecard.get(TEST, {})
        return scores.get("accuracy")

    @property
    def budget(self) -> float | None:
        """The error budget where none is asked for; None: it has none."""
        return None if self.card is None else self.card.max_error

    @property
    def coverage(self) -> float | None:
        """The share of the scans that certified this budget which it accepts."""
        return None if self.budget is None else coverage_of(self.card, self.budget)

    def to_json(self) -> dict[str, Any]:
        """Return it as `digitrec models list --json` has it."""
        return {
            "id": self.id,
            "calibration_id": None if self.card is None else self.card.calibration_id,
            "made": self.made,
            "parent": self.parent,
            "what": self.what,
            "passed": self.passed,
            "mnist_test_accuracy": self.accuracy,
            "max_error": self.budget,
            "coverage": self.coverage,
            "damage": self.damage,
        }


def coverage_of(card: Card | None, budget: float) -> float | None:
    """Return which share of the scans that certified a budget is accepted; None: none did."""
    policy = None if card is None else card.policy_for(budget)
    return None if policy is None else policy.accepted / policy.scans


def overview(registry: Registry) -> list[Kept]:
    """Tell of each of a registry's bundles, the newest first.

    Raises:
        InputError: the log is damaged.
    """
    history = list(registry.history())
    champion = history[0].champion if history else None
    named = {one.fields["bundle"] for one in history if one.kind in (PROMOTION, ROLLBACK)}
    gates: dict[str, bool] = {}
    for entry in reversed(history):
        if entry.kind == GATE:
            gates[entry.fields["bundle"]] = entry.fields["passed"]
    return [
        _kept(registry, entry, champion, named, gates)
        for entry in history
        if entry.kind == REGISTRATION
    ]


def _kept(
    registry: Registry,
    entry: Entry,
    champion: str | None,
    named: set[str],
    gates: dict[str, bool],
) -> Kept:
    identity = entry.fields["bundle"]
    card, damage = None, None
    try:
        card = read_card(bundle_folder(registry.folder, identity))
    except BundleError as why:
        damage = str(why)
    what = FORMER if identity in named else CHALLENGER
    return Kept(
        id=identity,
        made=entry.time,
        parent=entry.fields["parent"],
        what=CHAMPION if identity == champion else what,
        passed=gates.get(identity),
        card=card,
        damage=damage,
    )


def figures(registry: Registry, kept: Kept) -> dict[str, Any]:
    """Return what one bundle is compared with another by.

    Raises:
        OSError: its folder can't be looked into.
    """
    card = kept.card
    budgets: set[float] = (
        set() if card is None else {one.budget for one in card.policies if not one.source}
    )
    scorecard = {} if card is None else card.scorecard
    return {
        **kept.to_json(),
        "bytes": _size(bundle_folder(registry.folder, kept.id)),
        "coverages": {budget: coverage_of(card, budget) for budget in sorted(budgets)},
        "sets": {
            name: {key: scores.get(key) for key in ("accuracy", "ece", "coverage")}
            for name, scores in scorecard.items()
            if "accuracy" in scores
        },
    }


def _size(folder: Folder) -> int:
    """Return how many bytes a bundle's networks have, its members' too."""
    return sum(
        size
        for below in ("", *folder.folders())
        for name, size in folder.sizes(below).items()
        if name.endswith(".onnx")
    )


def about(history: Sequence[Entry], identity: str) -> list[Entry]:
    """Return the entries that a bundle is in, from the registration on."""
    return [
        entry
        for entry in reversed(history)
        if identity in (entry.fields.get("bundle"), entry.fields.get("replaces"))
        or identity in entry.fields.get("bundles", ())
    ]


def in_words(entry: Entry, identity: str) -> str:
    """Say what an entry tells of a bundle."""
    fields = entry.fields
    if entry.kind == REGISTRATION:
        return f"registered{_of(', made from ', fields['parent'])}"
    if entry.kind == GATE:
        if fields["passed"]:
            return "passed the gate"
        lines = [line["words"] for line in fields.get("lines", ()) if not line["passed"]]
        return "; ".join(["stopped by the gate", *lines])
    if entry.kind == PROMOTION:
        if fields["bundle"] == identity:
            return (
                f"promoted to champion{_of(' in place of ', fields['replaces'])}: {fields['why']}"
            )
        return f"{fields['bundle']} took its place: {fields['why']}"
    if entry.kind == ROLLBACK:
        if fields["bundle"] == identity:
            return f"champion again, in place of {fields['replaces']}, by a rollback"
        return f"{fields['bundle']} took its place, by a rollback"
    if entry.kind == REMOVAL:
        return "scans were removed that it was trained on"
    return entry.kind


def _of(words: str, what: str | None) -> str:
    return "" if what is None else words + what
