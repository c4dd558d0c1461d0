"""A bundle: a trained network with all that is needed to use and trust it, in one folder.

`digit_recognition_model.pt` (weights), `model.onnx` (the same network, scaling included) and
`card.json`. Loading reads the card and the ONNX file only, and does not import torch.

A cascade is a bundle too: its card names two others, which lie in its folder as `small/` and
`large/`, and says when the second is asked.
"""

import hashlib
import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from digitrec.errors import BundleError
from digitrec.files import replacing, write_json
from digitrec.model.shipped import DEFAULT, SHIPPED
from digitrec.scans.normalize import NORMALIZER_VERSION
from digitrec.version import __version__

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS, ONNX, CARD = "digit_recognition_model.pt", "model.onnx", "card.json"
SCHEMA_VERSION = 1
CASCADE = "cascade"  # its architecture
MEMBERS = ("small", "large")  # of a cascade: their folders
PACKAGES = ("torch", "ray", "onnx", "onnxruntime", "numpy")


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What a bundle is, where it comes from and what it scored: the content of `card.json`."""

    id: str  # first 12 hex digits of a SHA-256 over the tensors' names, shapes and bytes
    calibration_id: str  # the same of id, calibration, normaliser version and policies
    parent_id: str | None  # the bundle it was retrained from
    architecture: str  # the network's class, or `cascade`
    recipe: dict[str, Any]
    data: dict[str, Any]  # name → number of images and SHA-256 of their content
    normalizer_version: str
    versions: dict[str, str]  # package → version it was made with
    scorecard: dict[str, Any]  # labelled set → what it scored there
    temperature: float  # logits are divided by it before the softmax
    policies: list[dict[str, Any]]  # empty: no error budget
    files: dict[str, str]  # file name → SHA-256, checked on loading
    min_digit_score: float | None = None  # what has less is `not-a-digit`; None: it can't tell
    # Of a cascade: id and calibration id of each member, and the certainty of the small one below
    # which the large one is asked. Its id is a hash of the members' ids and of that.
    members: dict[str, dict[str, str]] | None = None
    hand_over: float | None = None
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a bundle's logits are understood; see `Card`."""

    temperature: float = 1.0
    min_digit_score: float | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """A loaded bundle: its card, and the bytes of its ONNX network or a cascade's two members."""

    card: Card
    onnx: bytes = b""
    members: "tuple[Bundle, ...]" = ()  # the small one, the large one


def load_bundle(model: str | Path = DEFAULT) -> Bundle:
    """Load a bundle and check its ONNX file, or its members, against its card.

    Args:
        model: the name of a shipped bundle (`small`, `large`, `cascade`), a bundle's folder, or a
            run folder that holds one in `bundle/`.

    Raises:
        BundleError: no bundle is there, or it is damaged.
    """
    folder = bundle_folder(model)
    card = _read_card(folder)
    if card.members is not None:
        return Bundle(card, members=tuple(_member(folder, card.members, name) for name in MEMBERS))
    try:
        onnx = (folder / ONNX).read_bytes()
    except OSError as why:
        raise BundleError(f"{folder} is no bundle: {ONNX} can't be read ({why.strerror})") from why
    if hashlib.sha256(onnx).hexdigest() != card.files.get(ONNX):
        raise BundleError(f"{folder / ONNX} is damaged: it is not the file that {CARD} describes")
    return Bundle(card, onnx)


def _member(folder: Path, members: Mapping[str, Any], name: str) -> Bundle:
    """Load a cascade's member, and check that it is the one that the cascade's card names."""
    member = load_bundle(folder / name)
    if members.get(name) != _ids(member.card):
        raise BundleError(f"{folder} is damaged: its member {name} is not the one of its {CARD}")
    return member


def _ids(card: Card) -> dict[str, str]:
    return {"id": card.id, "calibration_id": card.calibration_id}


def bundle_folder(model: str | Path) -> Path:
    """Find the folder of a bundle (see `load_bundle`).

    Raises:
        BundleError: there is none.
    """
    shipped = SHIPPED.get(str(model))
    folders = [shipped] if shipped else [Path(model), Path(model) / "bundle"]
    for folder in folders:
        if (folder / CARD).is_file():
            return folder
    raise BundleError(
        f"{model} is no bundle: expected one of {', '.join(SHIPPED)}, or a folder with {CARD}"
    )


def is_bundle(model: str | Path) -> bool:
    """Tell whether `load_bundle` would find a bundle under this name."""
    try:
        bundle_folder(model)
    except BundleError:
        return False
    return True


def _read_card(folder: Path) -> Card:
    try:
        card = Card(**json.loads((folder / CARD).read_text("utf-8")))
    except (OSError, ValueError, TypeError) as why:
        raise BundleError(f"{folder} is no bundle: {CARD} can't be used ({why})") from why
    if card.schema_version != SCHEMA_VERSION:
        raise BundleError(
            f"{folder} was made for another digitrec: its card has schema version "
            f"{card.schema_version}, this program reads {SCHEMA_VERSION}"
        )
    return card


def save_bundle(
    folder: Path,
    network: "nn.Module",
    *,
    recipe: Mapping[str, Any],
    data: Mapping[str, Any],
    calibration: Calibration = Calibration(),
    parent_id: str | None = None,
) -> None:
    """Write a bundle without a scorecard: weights, ONNX network and card.

    The ONNX file is checked to give torch's logits before it counts.

    Args:
        folder: is made; files already there are replaced, each whole.
        network: on the CPU; its class is named as the architecture.
        recipe: the settings it was trained with.
        data: what it was trained on, as `describe_data` says it.
        calibration: how its logits are understood.
        parent_id: the id of the bundle it was retrained from.
    """
    import torch

    architecture, weights = type(network).__name__, network.state_dict()
    with replacing(folder / WEIGHTS) as temporary:
        torch.save({"architecture": architecture, "state_dict": dict(weights)}, temporary)
    with replacing(folder / ONNX) as temporary:
        temporary.write_bytes(_export_onnx(network))
    identity = _weights_id(weights)
    card = Card(
        id=identity,
        calibration_id=_calibration_id(identity, calibration, policies=[]),
        parent_id=parent_id,
        architecture=architecture,
        recipe=dict(recipe),
        data=dict(data),
        normalizer_version=NORMALIZER_VERSION,
        versions=_versions(),
        scorecard={},
        temperature=calibration.temperature,
        min_digit_score=calibration.min_digit_score,
        policies=[],
        files={
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in (WEIGHTS, ONNX)
        },
    )
    write_json(folder / CARD, asdict(card))


def save_cascade(
    folder: Path, small: Path, large: Path, hand_over: float, calibration: Calibration
) -> None:
    """Write a cascade without a scorecard: copies of its members, and its card.

    Args:
        folder: is made; files already there are replaced, each whole.
        small: the folder of the bundle that answers first.
        large: that of the one which is asked where the first is less certain than `hand_over`.
        hand_over: 0 (never) to 1.
        calibration: how the two together are understood.

    Raises:
        BundleError: a member is no bundle, or a cascade itself.
    """
    cards = []
    for name, source in zip(MEMBERS, (small, large), strict=True):
        bundle = load_bundle(source)
        if bundle.members:
            raise BundleError(f"{source} is a cascade: its members must be networks")
        for file in (*bundle.card.files, CARD):
            with replacing(folder / name / file) as temporary:
                shutil.copyfile(bundle_folder(source) / file, temporary)
        cards.append(bundle.card)
    identity = _hash([*(card.id for card in cards), hand_over])
    card = Card(
        id=identity,
        calibration_id=_calibration_id(
            identity, calibration, policies=[], members=[card.calibration_id for card in cards]
        ),
        parent_id=None,
        architecture=CASCADE,
        recipe={},
        data={},
        normalizer_version=NORMALIZER_VERSION,
        versions=_versions(),
        scorecard={},
        **asdict(calibration),
        policies=[],
        files={},
        members={name: _ids(card) for name, card in zip(MEMBERS, cards, strict=True)},
        hand_over=hand_over,
    )
    write_json(folder / CARD, asdict(card))


def _versions() -> dict[str, str]:
    return {
        "digitrec": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
    }


def write_scorecard(folder: Path, scorecard: Mapping[str, Any]) -> None:
    """Put a scorecard (labelled set → what the bundle scored) into the bundle's card."""
    write_json(folder / CARD, {**asdict(_read_card(folder)), "scorecard": dict(scorecard)})


def write_calibration(folder: Path, calibration: Calibration) -> None:
    """Put a calibration into the bundle's card, and what follows from it."""
    card = _read_card(folder)
    calibrated = {
        **asdict(card),
        **asdict(calibration),
        "calibration_id": _calibration_id(
            card.id,
            calibration,
            card.policies,
            [one["calibration_id"] for one in (card.members or {}).values()],
        ),
    }
    write_json(folder / CARD, calibrated)


def describe_data(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> dict[str, Any]:
    """Describe a labelled set for the card: how many images, and a SHA-256 of their content."""
    digest = hashlib.sha256(images.tobytes())
    digest.update(labels.tobytes())
    return {"images": len(labels), "sha256": digest.hexdigest()}


def _weights_id(weights: "Mapping[str, Tensor]") -> str:
    digest = hashlib.sha256()
    for name, tensor in weights.items():
        digest.update(f"{name} {list(tensor.shape)}".encode())
        digest.update(tensor.numpy().astype("<f4").tobytes())
    return digest.hexdigest()[:12]


def _calibration_id(
    identity: str,
    calibration: Calibration,
    policies: list[dict[str, Any]],
    members: Sequence[str] = (),
) -> str:
    return _hash([identity, *members, *astuple(calibration), NORMALIZER_VERSION, policies])


def _hash(content: list[Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _export_onnx(network: "nn.Module") -> bytes:
    import logging

    import torch
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    from digitrec.model.network import ScanNet

    scan_net = ScanNet(network).eval()
    example = torch.randint(0, 256, (3, 28, 28), dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    program = torch.onnx.export(
        scan_net,
        (example,),
        input_names=["scans"],
        output_names=["logits"],
        dynamic_shapes={"scans": {0: torch.export.Dim("scans")}},
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # None is the answer of the old exporter only
    # The exporter notes where each operation came from: paths of the machine that trained.
    ClearMetadataAndDocStringPass()(program.model)
    onnx: bytes = program.model_proto.SerializeToString()
    _check_export(scan_net, onnx)
    return onnx


def _check_export(scan_net: Any, onnx: bytes) -> None:
    import onnxruntime
    import torch

    scans = torch.randint(0, 256, (7, 28, 28), dtype=torch.uint8)
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    [logits] = session.run(["logits"], {"scans": scans.numpy()})
    with torch.inference_mode():
        expected = scan_net(scans).numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3)
