"""A challenger's policies: certified for the budgets that the champion keeps, and for sources."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from digitrec.budget.looks import counted
from digitrec.datasets.labelled import LabelledSet, load_labelled
from digitrec.errors import InputError
from digitrec.evaluation.budgets import Budgets, check_labels, issue, kept
from digitrec.evaluation.labelled_set import measure
from digitrec.evaluation.scores import Measured
from digitrec.model.bundle import Bundle, load_bundle
from digitrec.model.engine import open_engine
from digitrec.model.policies import check_unseen, with_policy, write_policies
from digitrec.registry.pool import Corrections

log = logging.getLogger(__name__)

CALIBRATION = "mnist:calibration"


def certify(location: str, champion: Bundle, corrections: Corrections, data: Path | None) -> None:
    """Write policies into a challenger's card.

    For the champion's budgets on MNIST's calibration part, where it has such policies; and for each
    named source of which enough scans were drawn at random and answered, on these: they are never
    trained on.

    Args:
        location: of the challenger's bundle.
        champion: whose budgets, and whose starts of tests.
        corrections: all of the registry's.
        data: folder with MNIST's four files; None: the cache.
    """
    asked = sorted({one.budget for one in champion.card.policies if not one.source}, reverse=True)
    challenger = load_bundle(location)
    if asked:
        check_unseen(challenger, CALIBRATION)
        measured = _read(challenger, load_labelled(CALIBRATION, data))
        _write(location, challenger, measured, Budgets(budgets=tuple(asked)), champion.card.starts)
    for source in np.unique(corrections.sources[corrections.drawn].astype(str)):
        if source:
            _certify_source(location, challenger, source, corrections, champion.card.starts)


def _certify_source(
    location: str,
    challenger: Bundle,
    source: str,
    corrections: Corrections,
    starts: Sequence[float],
) -> None:
    """Write policies for a source, as far as what was drawn of it carries them.

    What was drawn among the digits that another bundle accepts says nothing of this one's: only
    draws of all digits count.
    """
    drawn = corrections.drawn & (corrections.sources.astype(str) == source)
    rows = np.flatnonzero(drawn & (corrections.least_confidences == 0))
    labelled = LabelledSet(
        f"answers of {source}",
        [corrections.contents[k] for k in rows],
        corrections.labels[rows],
    )
    if not len(rows):
        return
    measured = _read(challenger, labelled)
    try:
        check_labels(measured)
    except InputError as why:
        log.info("no policies for %s: %s", source, why)
        return
    _write(location, challenger, measured, Budgets(source=source), starts)


def _read(bundle: Bundle, labelled: LabelledSet) -> Measured:
    return measure(open_engine(with_policy(bundle, bundle.card.policy)), labelled)


def _write(
    location: str, bundle: Bundle, measured: Measured, budgets: Budgets, starts: Sequence[float]
) -> None:
    policies = kept(issue(bundle.card, measured, budgets, starts))
    if policies:
        write_policies(location, budgets.source, policies, counted(measured.looks), starts)
