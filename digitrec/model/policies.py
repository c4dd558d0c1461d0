"""A bundle's policies: which of them applies, and how they come into its card."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from digitrec.errors import BundleError, InputError
from digitrec.model.bundle import Bundle, changeable
from digitrec.model.card import Card, identified, read_card, write_card
from digitrec.model.policy import CertifiedPolicy, Policy
from digitrec.model.shipped import DEFAULT_BUDGET, NO_BUDGET

# Parts of MNIST's training images that `train --hold-out` may leave out.
UNSEEN = ("mnist:calibration", "mnist:validation")


def with_policy(bundle: Bundle, policy: Policy) -> Bundle:
    """Return a bundle that accepts by a policy of the caller's own."""
    return replace(bundle, chosen=policy)


def with_budget(bundle: Bundle, max_error: float | str, source: str = "") -> Bundle:
    """Return a bundle that keeps an error budget.

    Args:
        bundle: as it was loaded.
        max_error: the largest share of wrong digits among those that are accepted, above 0 and
            below 1; `DEFAULT_BUDGET`, the one that applies if none is asked for; or `NO_BUDGET`.
        source: whose scans they are, as `calibrate --source` named it; of a named source the
            default is the smallest budget that there is.

    Raises:
        BundleError: it has no policy that keeps the budget.
    """
    card = bundle.card
    if max_error == NO_BUDGET:
        return with_policy(bundle, card.policy)
    if isinstance(max_error, str) and max_error != DEFAULT_BUDGET:
        raise BundleError(f"max_error must be a number or {NO_BUDGET}, not {max_error}")
    if not isinstance(max_error, str) and not 0 < max_error < 1:
        raise BundleError(f"an error budget must be above 0 and below 1, not {max_error:g}")
    known = [one for one in card.policies if one.source == source]
    if source and not known:
        raise BundleError(
            f"{bundle.name} has no policy for the source {source}: it has {_sources(card)}; "
            "digitrec calibrate --source makes one from labelled scans"
        )
    if isinstance(max_error, str):
        if not source:
            return replace(bundle, chosen=None)
        max_error = min(one.budget for one in known)
    found = card.policy_for(max_error, source)
    if found is None:
        budgets = ", ".join(f"{100 * one.budget:g} %" for one in known) or "none"
        raise BundleError(
            f"{bundle.name} has no policy for an error budget of {100 * max_error:g} %: those it "
            f"has are for {budgets}; digitrec calibrate makes one from labelled scans"
        )
    return replace(bundle, chosen=found)


def _sources(card: Card) -> str:
    named = {one.source for one in card.policies}
    return ", ".join(sorted(name or "those without a name" for name in named)) or "none at all"


def write_policies(
    model: str | os.PathLike[str],
    source: str,
    policies: Sequence[CertifiedPolicy],
    reference: Mapping[str, list[int]],
    starts: Sequence[float],
) -> Card:
    """Put a source's policies into a bundle's card, in place of those that it had of that source.

    Without a name they are the bundle's own: the one for the smallest budget applies where none is
    asked for.

    Args:
        model: see `find_bundle`.
        source: whose scans they are for; empty: no name.
        policies: certified on readings by this bundle.
        reference: what the labelled scans looked like; see `Card.references`.
        starts: see `Card.starts`.

    Returns:
        The card as it is then.

    Raises:
        BundleError: it is no bundle, or one that the package ships.
    """
    folder = changeable(model)
    card = read_card(folder)
    others = [one for one in card.policies if one.source != source]
    references = {name: counts for name, counts in card.references.items() if name != source}
    if policies:
        references[source] = dict(reference)
    smallest = min((one.budget for one in policies), default=None)
    changed = identified(
        replace(
            card,
            policies=[*others, *policies],
            references=references,
            max_error=card.max_error if source else smallest,
            starts=list(starts),
        )
    )
    write_card(folder, changed)
    return changed


def check_unseen(bundle: Bundle, labelled: str) -> None:
    """Check that a bundle has not learnt from a labelled set, as far as its card tells.

    Raises:
        InputError: it has, so that it reads that set better than any other.
    """
    for one in bundle.members or (bundle,):
        if not any(name.startswith("mnist:train") for name in one.card.data):
            continue
        unseen = {"calibration": UNSEEN[:1], "validation": UNSEEN}.get(
            one.card.recipe.get("hold_out", ""), ()
        )
        if labelled in ("mnist:train", *UNSEEN) and labelled not in unseen:
            raise InputError(f"{bundle.name} has learnt from {labelled}: it certifies nothing")
