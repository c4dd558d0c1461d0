"""A bundle with another ink network than it was trained with: its digits are read as before."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from digitrec.model.card import (
    INK,
    ONNX,
    Calibration,
    Card,
    calibrated,
    calibration_of,
    file_hashes,
    ink_id,
    network_id,
)
from digitrec.model.policy import MAX_BLANK, MIN_WRITTEN


def with_ink(card: Card, files: Mapping[str, bytes], ink: bytes) -> tuple[Card, dict[str, bytes]]:
    """Return card and files of a bundle with another ink network; it has scored nothing yet.

    Args:
        card: of a network's bundle.
        files: its files, by name.
        ink: the other ink network's ONNX file.
    """
    changed = {**files, INK: ink}
    other = replace(
        card,
        id=network_id(files[ONNX], ink),
        parent_id=card.id,
        recipe=_with_teacher(card.recipe, files[INK]),
        scorecard={},
        files=file_hashes(changed),
    )
    return calibrated(other, with_ink_thresholds(calibration_of(card))), changed


def with_ink_thresholds(calibration: Calibration) -> Calibration:
    """Return a calibration with the thresholds of now for what an ink network says."""
    policy = replace(calibration.policy, max_blank=MAX_BLANK, min_written=MIN_WRITTEN)
    return replace(calibration, policy=policy)


def _with_teacher(recipe: Mapping[str, Any], ink: bytes) -> dict[str, Any]:
    """Return a recipe that names the ink network by which its papers were looked at."""
    by_itself = recipe.get("papers") and recipe.get("ink") is None
    return {**recipe, "ink": ink_id(ink)} if by_itself else dict(recipe)
