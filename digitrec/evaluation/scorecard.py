"""Scorecards: what bundles scored on labelled sets, as `scorecard.json` and cards hold it."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from digitrec.evaluation.empty import EmptyEntry
from digitrec.evaluation.suite import Entry
from digitrec.model.bundle import write_scorecard
from digitrec.model.engine import Engine
from digitrec.model.policy import short_hash
from digitrec.storage.files import is_uri

JUNK = "junk"  # what is no digit


def scorecard(
    engines: Mapping[str, Engine], entries: Sequence[Entry | EmptyEntry], refused: Mapping[str, Any]
) -> dict[str, Any]:
    """Return one bundle's id and scorecard, or a list of these in `models` for several bundles.

    Args:
        engines: bundles by the names that entries have for them.
        entries: what each scored on each set.
        refused: what each refused, if that was measured; see `negatives.refused_by`.
    """
    cards = [
        {
            "model": model,
            "model_id": engine.card.id,
            "scorecard": {one.name: one.scores for one in entries if one.model == model},
            **({JUNK: refused[model]} if model in refused else {}),
        }
        for model, engine in engines.items()
    ]
    return cards[0] if len(cards) == 1 else {"models": cards}


def keep(
    bundles: Mapping[str, str], entries: Sequence[Entry | EmptyEntry], refused: Mapping[str, Any]
) -> None:
    """Write into each bundle's card what it scored, beside what it scored on other sets.

    Args:
        bundles: locations, and the names that entries have for them.
        entries: as `scorecard` takes them.
        refused: as there.

    Raises:
        BundleError: a bundle may not be changed.
    """
    for location, model in bundles.items():
        scores = {card_key(one.name): one.scores for one in entries if one.model == model}
        if model in refused:
            scores[JUNK] = refused[model]
        write_scorecard(location, scores)


def card_key(name: str) -> str:
    """Return the name that a labelled set has in a card's scorecard.

    A card goes where its bundle goes: of a folder or table it has the last part of the name, not
    the places of this machine, and a hash that tells it from others of that name.
    """
    if not is_uri(name) and not os.path.exists(name):
        return name
    place = name.rstrip("/") if is_uri(name) else os.path.realpath(name)
    return f"{os.path.basename(place)}@{short_hash(place)[:8]}"
