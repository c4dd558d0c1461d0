"""From corrections to a challenger, through the gate, and to the champion's place if it holds.

Each step leaves something that the next call finds: corrections in `data/`, trainings in
`work/<key>/`, the challenger in `bundles/`, then the log's entries. Whoever is stopped anywhere
leaves the champion in use, and the next call goes on.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from digitrec.model.bundle import Bundle, load_bundle, write_scorecard
from digitrec.model.champion import GATE, REMOVAL, Entry
from digitrec.model.policy import short_hash
from digitrec.model.shipped import DEFAULT
from digitrec.registry.additions import Added, add
from digitrec.registry.certified import certify
from digitrec.registry.challenger import Effort, make_challenger
from digitrec.registry.evidence import gather, judged_by
from digitrec.registry.gate import GROUPS, Verdict, judge
from digitrec.registry.pool import Corrections, load, read_used, write_used
from digitrec.registry.report import Told, page
from digitrec.registry.store import Registry, clear_work, make_registry, open_registry, page_name
from digitrec.runtime.ray_session import ray_session
from digitrec.storage.folder import within
from digitrec.storage.lock import exclusive

NOTHING, PROMOTED, KEPT, PLANNED = "nothing new", "promoted", "not promoted", "planned"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class RetrainSettings:
    """What one retraining is told."""

    registry: str
    corrections: tuple[str, ...] = ()
    source: str = ""  # whose scans they are, where their files do not say it
    model: str = DEFAULT  # the first champion, of a registry that is made
    min_corrections: int = 1  # new ones, for a challenger to be made
    promote: bool = True  # if the gate lets it pass
    effort: Effort = field(default_factory=Effort)

    def __post_init__(self) -> None:
        if self.min_corrections < 1:
            raise ValueError(f"min_corrections must be 1 or more, not {self.min_corrections}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a retraining came to."""

    state: str  # NOTHING, PROMOTED, KEPT or PLANNED
    champion: str  # as it is now
    new: int  # corrections that came or went since the last challenger was judged
    added: Added  # what this call brought
    challenger: str | None = None
    verdict: Verdict | None = None
    report: str | None = None  # where the page lies
    why: str = ""  # nothing was done, though there is something new

    def to_json(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        return {
            "state": self.state,
            "champion": self.champion,
            "challenger": self.challenger,
            "new": self.new,
            "problems": [str(one) for one in self.added.problems],
            "gate": None if self.verdict is None else self.verdict.to_json(),
            "report": self.report,
            "why": self.why,
        }


def retrain(settings: RetrainSettings) -> Outcome:
    """Make a challenger of corrections, and promote it if the gate lets it pass.

    Raises:
        InputError: something that is given can't be used, or another retraining is at it.
        RunError: the training failed, or another promoted meanwhile; the champion stays.
        OSError: the registry can't be written to.
    """
    registry = make_registry(settings.registry, settings.model)
    with exclusive(registry.folder, registry.location) as check_lease:
        _finish(registry)
        added = _add(registry, settings)
        corrections = load(registry.folder)
        champion = registry.bundle(registry.id_of("champion"))
        new = _new(registry, corrections)
        if new < settings.min_corrections:
            clear_work(registry)
            return Outcome(state=NOTHING, champion=champion.card.id, new=new, added=added)
        return _challenge(registry, settings, champion, corrections, added, new, check_lease)


def plan(settings: RetrainSettings) -> Outcome:
    """Say what `retrain` would do, and change nothing.

    Raises:
        InputError: there is no such registry, or a file of corrections can't be read.
    """
    registry = open_registry(settings.registry)
    added = _add(registry, settings, dry_run=True)
    new = _new(registry, load(registry.folder)) + added.new
    champion = registry.id_of("champion")
    state = NOTHING if new < settings.min_corrections else PLANNED
    return Outcome(state=state, champion=champion, new=new, added=added)


def _add(registry: Registry, settings: RetrainSettings, *, dry_run: bool = False) -> Added:
    removed: dict[str, str] = {}
    for entry in registry.history():
        if entry.kind == REMOVAL:
            removed = {**dict.fromkeys(entry.fields["scans"], entry.time), **removed}
    return add(
        registry.folder,
        settings.corrections,
        source=settings.source,
        removed=removed,
        dry_run=dry_run,
    )


def _challenge(
    registry: Registry,
    settings: RetrainSettings,
    champion: Bundle,
    corrections: Corrections,
    added: Added,
    new: int,
    check_lease: Callable[[], None],
) -> Outcome:
    """Train, calibrate, judge, register and decide; all of which can be done again."""
    effort, identity = settings.effort, corrections.id
    judging = judged_by(corrections, effort.data)
    if judging.any():
        log.info("%d corrections are MNIST's, by which the gate judges", int(judging.sum()))
        corrections = replace(corrections, golden=corrections.golden | judging)
    if why := too_few(corrections):
        return Outcome(state=NOTHING, champion=champion.card.id, new=new, added=added, why=why)
    key = short_hash([champion.card.calibration_id, identity, effort.epochs])
    with ray_session():
        made = make_challenger(registry, key, champion, corrections, effort)
    check_lease()
    location = _certified(registry, made.location, champion, corrections, effort)
    challenger = load_bundle(location)
    evidence = gather(champion, challenger, made.folds, corrections, effort.data, _say)
    verdict = judge(evidence)
    check_lease()
    promoted = verdict.passed and settings.promote and registry.champion() == champion.card.id
    told = Told(
        registry=registry,
        champion=champion,
        challenger=challenger,
        corrections=corrections,
        added=added,
        new=new,
        evidence=evidence,
        verdict=verdict,
        runs=made.runs,
        promoted=promoted,
    )
    report = _write_down(told, location, identity)
    _finish(registry)
    clear_work(registry)
    now = registry.id_of("champion")
    return Outcome(
        state=PROMOTED if now == challenger.card.id else KEPT,
        champion=now,
        new=new,
        added=added,
        challenger=challenger.card.id,
        verdict=verdict,
        report=within(registry.name, report),
    )


def too_few(corrections: Corrections) -> str:
    """Say why no challenger could pass on these corrections, however good; empty: one could."""
    golden = len(np.unique(corrections.clusters[corrections.golden].astype(str)))
    trained = len(np.unique(corrections.clusters[~corrections.golden].astype(str)))
    if golden >= GROUPS and trained >= 2:
        return ""
    return (
        f"{trained:,} to train and {golden:,} golden ones, near-copies counting once, are too few "
        f"to show anything: it takes 2 and {GROUPS}"
    )


def _certified(
    registry: Registry, made: str, champion: Bundle, corrections: Corrections, effort: Effort
) -> str:
    """Give a challenger its policies, and return where it lies.

    Where only golden corrections have come, training gives the same networks again: these are
    registered, and keep the policies that they have.
    """
    identity = load_bundle(made).card.id
    if all(entry.fields["bundle"] != identity for entry in registry.registered()):
        certify(made, champion, corrections, effort.data)
        return made
    log.warning("%s is registered already, and keeps its policies", identity)
    return registry.bundle_location(identity)


def _write_down(told: Told, location: str, corrections: str) -> str:
    """Register a challenger, write its report, and what the gate said; give the report's name.

    Args:
        told: what is to be told of it.
        location: of its bundle.
        corrections: the id of all that there were.
    """
    registry, challenger, champion = told.registry, told.challenger.card, told.champion.card
    if location != registry.bundle_location(challenger.id):
        on_mnist = told.evidence.mnist.challenger
        write_scorecard(location, {on_mnist.name: on_mnist.scores()})
    write_used(registry.folder, challenger.id, told.corrections)
    registry.register(location, parent=champion.id)
    report = page_name(challenger.id)
    registry.folder.write(report, page(told).encode("utf-8", "backslashreplace"))
    registry.add(
        GATE,
        bundle=challenger.id,
        against=champion.id,
        corrections=corrections,
        scans=len(told.corrections),
        promote=told.promoted,
        report=report,
        **told.verdict.to_json(),
    )
    return report


def _finish(registry: Registry) -> None:
    """Promote what the gate let pass, if whoever asked it was stopped before that was done."""
    entry = _last_gate(registry)
    if entry is None or not entry.fields["promote"]:
        return
    since = registry.last()
    assert since is not None
    # A promotion or rollback after the gate's entry has decided otherwise, or done it.
    if since.header.since is not None and since.header.since > entry.number:
        return
    bundle, against = entry.fields["bundle"], entry.fields["against"]
    if since.champion != against:
        log.warning("%s stays a challenger: %s was promoted meanwhile", bundle, since.champion)
        return
    registry.promote(bundle, expected=against, why=f"the gate let it pass: entry {entry.number}")


def _last_gate(registry: Registry) -> Entry | None:
    return next((entry for entry in registry.history() if entry.kind == GATE), None)


def _new(registry: Registry, corrections: Corrections) -> int:
    """Count the corrections that came or went since the last challenger was judged.

    One that is labelled otherwise now counts twice.
    """
    now = set(zip(corrections.sha256, corrections.said, strict=True))
    entry = _last_gate(registry)
    if entry is None:
        return len(now)
    used = read_used(registry.folder, entry.fields["bundle"])
    return len(now ^ {(name, label) for side in used.values() for name, label in side.items()})


def _say(words: str) -> None:
    log.info("reading %s, as before and as now", words)
