"""A bundle: a trained network with all that is needed to use and trust it, in one folder.

`digit_recognition_model.pt` (weights), `model.onnx` (the same network, scaling included),
`ink.onnx` (the network that marks what is handwriting, see `ink_network`) and `card.json`. Loading
does not import torch.

A cascade is a bundle too: its card names two others, which lie in its folder as `small/` and
`large/`, and says when the second is asked. Ink is marked by its small member's network.

A registry's location stands for its champion, see `champion`.
"""

import hashlib
import io
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from digitrec.errors import BundleError, InputError
from digitrec.model.card import (
    CARD,
    CASCADE,
    INK,
    MEMBERS,
    ONNX,
    UNCALIBRATED,
    WEIGHTS,
    Calibration,
    Card,
    Ids,
    calibrated,
    card_content,
    cascade_id,
    file_hashes,
    network_id,
    read_card,
    write_card,
)
from digitrec.model.champion import Champion, bundle_folder, champion_of, entry_numbers, is_kept
from digitrec.model.onnx_file import check_self_contained
from digitrec.model.other_ink import with_ink, with_ink_thresholds
from digitrec.model.policy import CertifiedPolicy, Policy
from digitrec.model.shipped import ASSETS, DEFAULT, SHIPPED, shipped_ink
from digitrec.normalize.scan import NORMALIZER_VERSION
from digitrec.storage.files import is_uri
from digitrec.storage.folder import Folder, check_is_new, open_folder
from digitrec.version import __version__

if TYPE_CHECKING:
    from torch import nn

PACKAGES = ("torch", "ray", "onnx", "onnxruntime", "numpy")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A loaded bundle: its card, and the bytes of its ONNX network or a cascade's two members."""

    card: Card
    name: str = field(compare=False)  # where it was found, without passwords
    onnx: bytes = b""
    ink: bytes = b""
    members: "tuple[Bundle, ...]" = ()  # the small one, the large one
    # When a digit is accepted, in place of what the card says applies.
    chosen: Policy | CertifiedPolicy | None = None
    # Where it is the champion, if it was asked for by a registry's name.
    champion: Champion | None = field(default=None, compare=False)

    @property
    def certified(self) -> CertifiedPolicy | None:
        """What certifies the policy in use; None: it keeps no error budget."""
        if self.chosen is None:
            return (
                None if self.card.max_error is None else self.card.policy_for(self.card.max_error)
            )
        return self.chosen if isinstance(self.chosen, CertifiedPolicy) else None

    @property
    def policy(self) -> Policy:
        """When a digit is accepted: as was chosen, else as the card says."""
        if isinstance(self.chosen, Policy):
            return self.chosen
        return self.card.policy if self.certified is None else self.certified.policy


def load_bundle(model: str | os.PathLike[str] = DEFAULT) -> Bundle:
    """Find a bundle by what a user calls it, and load it.

    Args:
        model: see `find_bundle`.

    Raises:
        BundleError: no bundle is there, or it is damaged.
        InputError: a registry's log is damaged, or names no champion.
    """
    folder, champion = _found(model)
    if champion is None:
        return load_folder(folder)
    return replace(load_kept(folder, champion.id), champion=champion)


def load_kept(folder: Folder, identity: str) -> Bundle:
    """Load the bundle that a registry keeps under an id; see `load_folder`.

    Raises:
        BundleError: it is not there, is damaged, or is another one.
    """
    bundle = load_folder(folder)
    if bundle.card.id != identity:
        raise BundleError(f"{folder.name} is damaged: what lies there is {bundle.card.id}")
    return bundle


def champion_before(bundle: Bundle, identity: str) -> Bundle:
    """Return the bundle of an id, of the registry whose champion a bundle is; else that one.

    Raises:
        BundleError: it is damaged.
    """
    champion = bundle.champion
    if champion is None or identity == champion.id:
        return bundle
    folder = bundle_folder(champion.registry, identity)
    if not _holds_card(folder):
        return bundle
    return replace(load_kept(folder, identity), champion=replace(champion, id=identity))


def load_folder(folder: Folder) -> Bundle:
    """Load the bundle in a folder: check its files, or its members, and its ids against its card.

    Raises:
        BundleError: no bundle is there, or it is damaged.
    """
    card = read_card(folder)
    if card.members is not None:
        members = tuple(_member(folder, name, card.members[name]) for name in MEMBERS)
        assert card.hand_over is not None
        _check_id(folder, card, cascade_id([member.card.id for member in members], card.hand_over))
        return Bundle(card, folder.name, members=members)
    files = _files(folder, card)
    onnx, ink = files[ONNX], files[INK]
    _check_id(folder, card, network_id(onnx, ink))
    for name in (ONNX, INK):
        try:
            check_self_contained(files[name])
        except ValueError as why:
            raise BundleError(f"{folder.name}: {name} can't be used: {why}") from why
    return Bundle(card, folder.name, onnx, ink)


def _member(folder: Folder, name: str, named: Ids) -> Bundle:
    """Load a cascade's member, and check that it is the one that the cascade's card names."""
    member = load_folder(folder.below(name))
    if named != _ids(member.card):
        raise BundleError(
            f"{folder.name} is damaged: its member {name} is not the one of its {CARD}"
        )
    if member.members:
        raise BundleError(f"{folder.name} is damaged: its member {name} is a cascade itself")
    return member


def _ids(card: Card) -> Ids:
    return Ids(card.id, card.calibration_id)


def _files(folder: Folder, card: Card) -> dict[str, bytes]:
    """Read the files that a card names, and check each: name → content."""
    contents = {}
    for name, digest in card.files.items():
        try:
            contents[name] = folder.read(name)
        except OSError as why:
            raise BundleError(
                f"{folder.name} is no bundle: {name} can't be read ({why.strerror or why})"
            ) from why
        if hashlib.sha256(contents[name]).hexdigest() != digest:
            raise BundleError(
                f"{folder.name}: {name} is damaged: it is not the file that {CARD} describes"
            )
    return contents


def _check_id(folder: Folder, card: Card, identity: str) -> None:
    if card.id != identity:
        raise BundleError(
            f"{folder.name} is damaged: its {CARD} is that of {card.id}, but what is there to be "
            f"run is {identity}"
        )


def find_bundle(model: str | os.PathLike[str]) -> Folder:
    """Find the folder of a bundle by what a user calls it.

    Args:
        model: the name of a shipped bundle (`small`, `large`, `cascade`; a `Path` is never a
            name), or a bundle's folder, or a run folder that holds one in `bundle/`, or a
            registry, whose champion it is: a path or a URI.

    Raises:
        BundleError: there is none.
        InputError: a registry's log is damaged, or names no champion.
    """
    return _found(model)[0]


def _found(model: str | os.PathLike[str]) -> tuple[Folder, Champion | None]:
    """Find a bundle's folder, and where it is the champion if a registry was named."""
    if isinstance(model, str) and model in SHIPPED:
        return open_folder(SHIPPED[model]), None
    try:
        given = open_folder(model)
        for folder in (given, given.below("bundle")):
            if _holds_card(folder):
                return folder, None
        numbers = entry_numbers(given)
    except (OSError, InputError, ValueError) as why:
        raise BundleError(f"{_shown(model)} is no bundle: it can't be looked into ({why})") from why
    if not numbers:
        raise BundleError(
            f"{given.name} is no bundle: expected one of {', '.join(SHIPPED)}, a folder with "
            f"{CARD}, or a registry"
        )
    champion = champion_of(given, numbers)
    return bundle_folder(given, champion.id), champion


def _holds_card(folder: Folder) -> bool:
    try:
        folder.read(CARD)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False
    return True


def _shown(model: str | os.PathLike[str]) -> str:
    name = os.fspath(model)
    if not is_uri(name):
        return name
    from digitrec.storage.uris import shown

    return shown(name)


def is_bundle(model: str | os.PathLike[str]) -> bool:
    """Return whether `find_bundle` would find a bundle under this name."""
    try:
        find_bundle(model)
    except BundleError:
        return False
    return True


def save_bundle(
    out: str | os.PathLike[str],
    network: "nn.Module",
    *,
    recipe: Mapping[str, Any],
    data: Mapping[str, Any],
    calibration: Calibration = UNCALIBRATED,
    parent_id: str | None = None,
    ink: bytes | None = None,
) -> None:
    """Write a bundle without a scorecard: weights, ONNX networks and card.

    The ONNX file is checked to give torch's logits before it counts.

    Args:
        out: a folder, or its URI; is made, files already there are replaced, each whole.
        network: on the CPU; its class is named as the architecture.
        recipe: the settings it was trained with.
        data: what it was trained on, as `describe_data` says it.
        calibration: how its logits are understood.
        parent_id: the id of the bundle it was retrained from.
        ink: the ink network's ONNX file; None: the one that digitrec ships.
    """
    import torch

    from digitrec.model.export import export_onnx

    architecture, weights = type(network).__name__, io.BytesIO()
    torch.save({"architecture": architecture, "state_dict": dict(network.state_dict())}, weights)
    files = {
        WEIGHTS: weights.getvalue(),
        ONNX: export_onnx(network),
        INK: shipped_ink() if ink is None else ink,
    }
    card = Card(
        id=network_id(files[ONNX], files[INK]),
        calibration_id="",
        parent_id=parent_id,
        architecture=architecture,
        recipe=dict(recipe),
        data=dict(data),
        normalizer_version=NORMALIZER_VERSION,
        versions=package_versions(),
        scorecard={},
        temperature=1.0,
        reread_below=0.0,
        policy=calibration.policy,
        policies=[],
        max_error=None,
        references={},
        starts=[],
        files=file_hashes(files),
    )
    _write(open_folder(out), files, calibrated(card, calibration))


def save_cascade(
    out: str | os.PathLike[str],
    small: str | os.PathLike[str],
    large: str | os.PathLike[str],
    hand_over: float,
    calibration: Calibration,
    ink: bytes | None = None,
    parent_id: str | None = None,
) -> None:
    """Write a cascade without a scorecard: copies of its members, and its card.

    Args:
        out: a folder, or its URI; is made, files already there are replaced, each whole.
        small: the bundle that answers first; see `find_bundle`.
        large: the one that is asked where the first is less certain than `hand_over`.
        hand_over: 0 (never) to 1.
        calibration: how the two together are understood.
        ink: the ink network's ONNX file that takes the place of the members' own; None: they keep
            theirs.
        parent_id: the id of the cascade whose members these are retrained from.

    Raises:
        BundleError: a member is no bundle, or a cascade itself.
    """
    folder, members = open_folder(out), [_network(given) for given in (small, large)]
    if ink is not None:
        members = [with_ink(card, files, ink) for card, files in members]
        calibration = with_ink_thresholds(calibration)
    named = dict(zip(MEMBERS, members, strict=True))
    for name, (card, files) in named.items():
        _write(folder.below(name), files, card)
    card = Card(
        id=cascade_id([card.id for card, _ in members], hand_over),
        calibration_id="",
        parent_id=parent_id,
        architecture=CASCADE,
        recipe={},
        data={},
        normalizer_version=NORMALIZER_VERSION,
        versions=package_versions(),
        scorecard={},
        temperature=1.0,
        reread_below=0.0,
        policy=calibration.policy,
        policies=[],
        max_error=None,
        references={},
        starts=[],
        files={},
        members={name: _ids(card) for name, (card, _) in named.items()},
        hand_over=hand_over,
    )
    _write(folder, {}, calibrated(card, calibration))


def _network(model: str | os.PathLike[str]) -> tuple[Card, dict[str, bytes]]:
    """Return card and files of a bundle that is no cascade."""
    source = find_bundle(model)
    card = load_folder(source).card
    if card.members is not None:
        raise BundleError(f"{source.name} is a cascade: its members must be networks")
    return card, _files(source, card)


def _write(folder: Folder, files: Mapping[str, bytes], card: Card) -> None:
    """Write a bundle's files; the card comes last, and makes a bundle of them."""
    for name, content in files.items():
        folder.write(name, content)
    write_card(folder, card)


def package_versions() -> dict[str, str]:
    """Return the versions that a card names: digitrec's, Python's, and those of some packages."""
    return {
        "digitrec": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
    }


def check_may_change(model: str | os.PathLike[str]) -> None:
    """Check that a bundle is the user's own to write into.

    Raises:
        BundleError: it is one that the package ships, or one in a registry, or none.
    """
    changeable(model)


def changeable(model: str | os.PathLike[str]) -> Folder:
    """Return the folder of a bundle that is the user's own; see `check_may_change`."""
    folder = find_bundle(model)
    if folder.remote is None and Path(folder.path).resolve().is_relative_to(ASSETS.resolve()):
        raise BundleError(
            f"{folder.name} comes with the package, which nothing is written into: copy its folder "
            "and name the copy"
        )
    if is_kept(folder):
        raise BundleError(
            f"{folder.name} is kept in a registry, where bundles stay as they are: copy its folder "
            "and name the copy"
        )
    return folder


def write_scorecard(model: str | os.PathLike[str], scorecard: Mapping[str, Any]) -> None:
    """Put what a bundle scored (labelled set → scores) into its card; other sets' scores stay.

    Raises:
        BundleError: it is no bundle, or one that the package ships.
    """
    folder = changeable(model)
    card = read_card(folder)
    write_card(folder, replace(card, scorecard={**card.scorecard, **scorecard}))


def write_calibration(model: str | os.PathLike[str], calibration: Calibration) -> None:
    """Put a calibration into a bundle's card, and the id that follows from it.

    Raises:
        BundleError: it is no bundle, or one that the package ships.
    """
    folder = changeable(model)
    write_card(folder, calibrated(read_card(folder), calibration))


def copy_bundle(model: str | os.PathLike[str], out: str | os.PathLike[str]) -> None:
    """Write a copy of a bundle into a new folder.

    Raises:
        BundleError: `model` is no bundle.
        InputError: `out` holds something already.
    """
    source, target = find_bundle(model), open_folder(out)
    card = load_folder(source).card
    check_is_new(target)
    _copy_parts(source, target, card)
    write_card(target, card)


def copy_kept(source: Folder, target: Folder, create: Callable[[str, bytes], bool]) -> None:
    """Write a copy of a bundle into a place of a registry; one that is there already stays.

    The card comes last, and once: whoever is stopped before leaves files that nobody looks at, and
    that the next copy of the same bundle replaces by the same.

    Args:
        source: the bundle's folder.
        target: the folder for bundles of its id alone.
        create: makes a file of `target` that must not exist yet; see `storage.once`.

    Raises:
        BundleError: it is no bundle.
        OSError: a file can't be written.
    """
    card = read_card(source)
    if not _holds_card(target):
        _copy_parts(source, target, card)
        create(CARD, card_content(card))


def _copy_parts(source: Folder, target: Folder, card: Card) -> None:
    """Copy all of a bundle but its card."""
    for name in card.members or {}:
        below = source.below(name)
        member = read_card(below)
        _write(target.below(name), _files(below, member), member)
        target.sync(name)
    for name, content in _files(source, card).items():
        target.write(name, content)


def describe_data(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> dict[str, Any]:
    """Describe a labelled set for the card: how many images, and a SHA-256 of their content."""
    digest = hashlib.sha256(images.tobytes())
    digest.update(labels.tobytes())
    return {"images": len(labels), "sha256": digest.hexdigest()}
