"""A bundle's card, `card.json`: what the bundle is, and ids that say so.

The ids are hashes of what is run and how it is understood, and are computed again whenever a card
is read: a card that was edited, or put beside another network, is refused.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from digitrec.errors import BundleError
from digitrec.model.policy import CertifiedPolicy, Policy, short_hash
from digitrec.normalize.scan import NORMALIZER_VERSION
from digitrec.storage.folder import Folder

WEIGHTS, ONNX, CARD = "digit_recognition_model.pt", "model.onnx", "card.json"
INK = "ink.onnx"
SCHEMA_VERSION = 3
CASCADE = "cascade"  # its architecture
MEMBERS = ("small", "large")  # of a cascade: their folders


@dataclass(frozen=True, slots=True)
class Ids:
    """The ids of a cascade's member, as the cascade's card names it."""

    id: str
    calibration_id: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a bundle's logits are understood; see `Card`."""

    temperature: float = 1.0
    policy: Policy = field(default_factory=Policy)
    reread_below: float = 0.0


UNCALIBRATED = Calibration()


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What a bundle is, where it comes from and what it scored: the content of `card.json`."""

    # First 12 hex digits of a SHA-256 over what is run: the bytes of `model.onnx` and `ink.onnx`.
    id: str
    calibration_id: str  # the same of id, temperature, normalizer version and policies
    parent_id: str | None  # the bundle it was retrained from
    architecture: str  # the network's class, or `cascade`
    recipe: dict[str, Any]
    data: dict[str, Any]  # name → number of images and SHA-256 of their content
    normalizer_version: str
    versions: dict[str, str]  # package → version it was made with
    scorecard: dict[str, Any]  # labelled set → what it scored there
    temperature: float  # logits are divided by it before the softmax
    # The certainty below which a network's answer is the mean of five: see `NetworkEngine`.
    reread_below: float
    policy: Policy  # what is accepted where there is no error budget
    policies: list[CertifiedPolicy]  # for error budgets; empty: there are none
    max_error: float | None  # the error budget where none is asked for, of `policies`; None: none
    # What scans looked like on which policies were certified: by source (`""`: none was named),
    # by feature the counts of its bins; see `digitrec.budget.looks`.
    references: dict[str, dict[str, list[int]]]
    # Where tests for policies may begin, chosen on scans that certify none: see
    # `digitrec.budget.certify.starts_of`. Empty: nothing was chosen.
    starts: list[float]
    files: dict[str, str]  # file name → SHA-256, checked on loading
    # Of a cascade: ids of each member, and the certainty of the small one below which the large
    # one is asked. Its id is a hash of the members' ids and of that.
    members: dict[str, Ids] | None = None
    hand_over: float | None = None
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and math.isfinite(self.temperature)):
            raise ValueError(f"temperature must be above 0, not {self.temperature}")
        if not 0 <= self.reread_below <= 1:
            raise ValueError(f"reread_below must be from 0 to 1, not {self.reread_below}")
        self._check_policies()
        strange = set(self.files) - ({WEIGHTS, ONNX, INK} if self.members is None else set())
        if strange:
            raise ValueError(f"files names {min(strange)!r}, which is no file of such a bundle")
        missing = {ONNX, INK} - set(self.files) if self.members is None else None
        if missing:
            raise ValueError(f"files does not name {max(missing)}")
        if (self.members is None) != (self.hand_over is None):
            raise ValueError("members and hand_over belong together")
        if self.members is not None and set(self.members) != set(MEMBERS):
            raise ValueError(f"members must be {' and '.join(MEMBERS)}")

    def _check_policies(self) -> None:
        """Check that policies are this bundle's own, and that there is the one that applies."""
        for one in self.policies:
            for what, named, own in (
                ("model", one.model_id, self.id),
                ("normalizer", one.normalizer_version, self.normalizer_version),
                ("temperature", one.temperature, self.temperature),
            ):
                if named != own:
                    raise ValueError(
                        f"a policy for {one.policy.max_error} is of {what} {named}, not {own}: "
                        "calibrate again"
                    )
        if self.max_error is not None and self.policy_for(self.max_error) is None:
            raise ValueError(f"there is no policy for max_error {self.max_error}")

    def policy_for(self, max_error: float, source: str = "") -> CertifiedPolicy | None:
        """Return the policy that keeps an error budget and accepts the most; None: there is none.

        Args:
            max_error: the budget: a policy for a smaller one keeps it too.
            source: whose scans they are, as `calibrate --source` named it.
        """
        kept = [
            one
            for one in self.policies
            if one.source == source and one.budget <= max_error * (1 + 1e-9)
        ]
        return max(kept, key=lambda one: (one.budget, one.accepted), default=None)


def network_id(onnx: bytes, ink: bytes) -> str:
    """Return the id of a bundle with a network of its own, and an ink network."""
    return hashlib.sha256(onnx + ink).hexdigest()[:12]


def ink_id(onnx: bytes) -> str:
    """Return the id of an ink network: the first 12 hex digits of its file's SHA-256."""
    return hashlib.sha256(onnx).hexdigest()[:12]


def file_hashes(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the SHA-256 of each file's content, as a card has them."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def cascade_id(members: Sequence[str], hand_over: float) -> str:
    """Return the id of a cascade of members with these ids."""
    return short_hash([*members, float(hand_over)])


def calibration_of(card: Card) -> Calibration:
    """Return the calibration that a card holds."""
    return Calibration(card.temperature, card.policy, card.reread_below)


def calibrated(card: Card, calibration: Calibration) -> Card:
    """Return a card with a calibration, and without the policies that another one had."""
    return identified(
        replace(
            card,
            temperature=calibration.temperature,
            policy=calibration.policy,
            reread_below=calibration.reread_below,
            policies=[],
            max_error=None,
            references={},
            starts=[],
        )
    )


def identified(card: Card) -> Card:
    """Return a card with the calibration id that follows from what it holds."""
    return replace(card, calibration_id=calibration_id(card))


def calibration_id(card: Card) -> str:
    """Compute the calibration id of what a card holds."""
    members = card.members or {}
    content = [
        card.id,
        *(members[name].calibration_id for name in MEMBERS if name in members),
        float(card.temperature),
        float(card.reread_below),
        card.normalizer_version,
        card.policy.id,
        [one.to_json() for one in card.policies],
        None if card.max_error is None else float(card.max_error),
        card.references,
    ]
    return short_hash(content)


def read_card(folder: Folder) -> Card:
    """Read a bundle's card, and check all in it that the card alone can tell.

    A field that this program does not know is refused: it may say how the bundle is to be used.

    Raises:
        BundleError: there is none, it is of another version, or a field is wrong.
    """
    where = f"{folder.name} is no bundle: {CARD} can't be used"
    try:
        content = json.loads(folder.read(CARD))
        _check_versions(folder, content)
        card = _strict(content)
    except (OSError, ValueError, RecursionError) as why:
        raise BundleError(f"{where} ({why})") from why
    if card.calibration_id != calibration_id(card):
        raise BundleError(
            f"{folder.name} is damaged: its temperature, policies or id in {CARD} are not those "
            "that calibration_id was made for"
        )
    return card


def _check_versions(folder: Folder, content: Any) -> None:
    """Check for which program a card was made; of what type its versions are is checked later."""
    if not isinstance(content, Mapping):
        raise ValueError("it is no JSON object")
    version = content.get("schema_version")
    if isinstance(version, int) and version != SCHEMA_VERSION:
        raise BundleError(
            f"{folder.name} was made for another digitrec: its card has schema version "
            f"{version}, this program reads {SCHEMA_VERSION}"
        )
    normalizer = content.get("normalizer_version")
    if isinstance(normalizer, str) and normalizer != NORMALIZER_VERSION:
        raise BundleError(
            f"{folder.name} was made with normalizer {normalizer}, this program has "
            f"{NORMALIZER_VERSION}, whose scans it has never seen: train it again"
        )


def _strict(content: Any) -> Card:
    """Turn JSON's values into a card, each of its type.

    Raises:
        ValueError: a field is missing, unknown or of another type; it says which.
    """
    import msgspec

    for what, found, known in (
        ("", content, Card),
        ("policy.", content.get("policy"), Policy),
        *(("policies.", one, CertifiedPolicy) for one in _items(content.get("policies"))),
        *(("members.", one, Ids) for one in _values(content.get("members"))),
    ):
        if isinstance(found, Mapping):
            unknown = set(found) - {one.name for one in fields(known)}
            if unknown:
                raise ValueError(f"there is no field {what}{min(unknown)}")
    # What JSON has no number for (NaN, Infinity) is none here either.
    return msgspec.json.decode(json.dumps(content), type=Card, strict=True)


def _items(content: Any) -> list[Any]:
    return content if isinstance(content, list) else []


def _values(content: Any) -> list[Any]:
    return list(content.values()) if isinstance(content, Mapping) else []


def write_card(folder: Folder, card: Card) -> None:
    """Write a bundle's card, whole or not at all.

    Raises:
        OSError: it can't be written.
    """
    folder.write(CARD, card_content(card))


def card_content(card: Card) -> bytes:
    """Return what a card's file holds."""
    return (json.dumps(asdict(card), indent=2, ensure_ascii=False) + "\n").encode()
