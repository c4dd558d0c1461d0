"""A bundle's ids bind: what is run, how it is understood, and every file, or it does not load."""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from digitrec.cli import main
from digitrec.errors import BundleError
from digitrec.model.bundle import load_bundle, save_bundle, save_cascade
from digitrec.model.card import (
    CARD,
    INK,
    ONNX,
    WEIGHTS,
    Calibration,
    Card,
    calibration_id,
    network_id,
)
from digitrec.model.engine import open_engine
from digitrec.model.network import DigitNet
from digitrec.model.onnx_file import check_self_contained
from digitrec.model.policy import Policy
from digitrec.model.shipped import SHIPPED, shipped_ink

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The shipped cascade, where it may be spoilt."""
    return Path(shutil.copytree(SHIPPED["cascade"], tmp_path / "copy"))


def edit(folder: Path, change: Change) -> None:
    card = json.loads((folder / CARD).read_text())
    change(card)
    (folder / CARD).write_text(json.dumps(card))


def put(folder: Path, content: bytes, name: str = ONNX) -> None:
    """Put a file into a bundle, with its hash in the card as an attacker would."""
    (folder / name).write_bytes(content)
    edit(folder, lambda card: card["files"].update({name: hashlib.sha256(content).hexdigest()}))


def refused(folder: Path, match: str) -> None:
    with pytest.raises(BundleError, match=match) as caught:
        load_bundle(folder)
    assert "\n" not in str(caught.value)


def test_another_network_does_not_load_under_an_id(copy: Path) -> None:
    put(copy / "small", (copy / "large" / ONNX).read_bytes())
    refused(copy / "small", "what is there to be run is 06e28b1e8ecb")
    refused(copy, "what is there to be run is 06e28b1e8ecb")


def test_a_cascade_with_another_rule_does_not_load_under_its_id(copy: Path) -> None:
    edit(copy, lambda card: card.update(hand_over=0.5))
    refused(copy, "what is there to be run is")


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card["policy"].update(min_digit_score=0.0),
        lambda card: card["policy"].update(min_confidence=0.5),
        lambda card: card["policies"][0]["policy"].update(min_confidence=0.5),
        lambda card: card["policies"].pop(0),
        lambda card: card.update(max_error=0.002),
        lambda card: card.update(reread_below=0.5),
        lambda card: card["references"][""].update(digit=[]),
    ],
)
@pytest.mark.parametrize("name", ["", "small"])
def test_an_edited_calibration_does_not_load_under_its_id(
    name: str, change: Change, copy: Path
) -> None:
    edit(copy / name, change)
    refused(copy / name, "calibration_id")
    refused(copy, "calibration_id")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda card: card.update(temperature="1.0"), r"temperature"),
        (lambda card: card.update(temperature=0), r"temperature must be above 0"),
        (lambda card: card.update(temperature=float("nan")), r"card\.json can't be used"),
        (lambda card: card.update(policies={}), r"policies"),
        (lambda card: card.update(policy=None), r"policy"),
        (lambda card: card["policy"].update(min_confidence="0.5"), r"policy\.min_confidence"),
        (lambda card: card["policy"].update(min_confidence=1.5), r"min_confidence must be from"),
        (lambda card: card["policy"].update(budget=0.1), r"no field policy\.budget"),
        (lambda card: card["policies"][0].update(n=1), r"no field policies\.n"),
        (lambda card: card["policies"][0].update(model_id="a"), r"is of model a, not"),
        (lambda card: card["policies"][0].update(normalizer_version="2"), r"of normalizer 2, not"),
        (lambda card: card["policies"][0].update(temperature=2.0), r"of temperature 2\.0, not"),
        (lambda card: card["policies"][0].update(score="margin"), r"score margin is not known"),
        (
            lambda card: card["policies"][0]["policy"].update(max_error=None),
            r"certified policy has max_error",
        ),
        (lambda card: card.update(max_error=1e-4), r"no policy for max_error 0\.0001"),
        (lambda card: card.update(reread_below=2.0), r"reread_below must be from 0 to 1"),
        (lambda card: card.update(temperature=0.01), r"is of temperature 1\.19, not 0\.01"),
        (lambda card: card.update(min_digit_score=0.9), r"no field min_digit_score"),
        (lambda card: card.update(recipe=[]), r"recipe"),
        (lambda card: card.update(versions={"numpy": 2}), r"versions"),
        (lambda card: card.update(files=["model.onnx"]), r"files"),
        (lambda card: card.update(id=12), r"\.id"),
        (lambda card: card.pop("scorecard"), r"scorecard"),
        (lambda card: card.update(hand_over=0.5), r"belong together"),
        (lambda card: card.update(members={"small": {"id": "a"}}), r"calibration_id"),
        (lambda card: card.update(schema_version=1), r"schema version 1"),
        (lambda card: card.update(schema_version=[2]), r"\.schema_version"),
        (lambda card: card.update(normalizer_version=2), r"\.normalizer_version"),
        (lambda card: card.update(normalizer_version="1"), r"made with normalizer 1"),
    ],
)
def test_a_card_with_a_wrong_field_is_refused_by_its_name(
    change: Change, words: str, copy: Path
) -> None:
    edit(copy / "small", change)
    refused(copy / "small", words)


@pytest.mark.parametrize("content", ["[]", "7", "null", "{", "\udcff", "[" * 100_000, '"x"'])
def test_a_card_that_is_no_object_is_refused(content: str, copy: Path) -> None:
    (copy / "small" / CARD).write_bytes(content.encode("utf-8", "surrogateescape"))
    refused(copy / "small", r"card\.json can't be used")


def test_every_file_that_the_card_names_is_checked(copy: Path) -> None:
    (copy / "small" / WEIGHTS).write_bytes(b"other weights")
    refused(copy / "small", f"{WEIGHTS} is damaged")
    (copy / "small" / WEIGHTS).unlink()
    refused(copy / "small", f"{WEIGHTS} can't be read")


@pytest.mark.parametrize("name", ["../../evil.txt", "/etc/hostname", "sub/model.onnx", "card.json"])
def test_a_card_names_no_file_but_a_bundles_own(name: str, copy: Path, tmp_path: Path) -> None:
    (tmp_path / "evil.txt").write_text("evil")
    edit(copy / "small", lambda card: card["files"].update({name: 64 * "0"}))
    refused(copy / "small", "is no file of such a bundle")
    with pytest.raises(BundleError, match="is no file of such a bundle"):
        save_cascade(tmp_path / "a/b/new", copy / "small", copy / "large", 0.5, Calibration())
    assert not (tmp_path / "a").exists()


def test_of_a_cascade_that_can_not_be_made_nothing_is_written(copy: Path, tmp_path: Path) -> None:
    for large in (copy, tmp_path / "nowhere"):
        with pytest.raises(BundleError):
            save_cascade(tmp_path / "new", copy / "small", large, 0.5, Calibration())
        assert not (tmp_path / "new").exists()


def test_a_cascade_in_a_cascade_is_refused(copy: Path) -> None:
    ids = {name: json.loads((copy / CARD).read_text())[name] for name in ("id", "calibration_id")}
    inner = Path(shutil.copytree(copy, copy.parent / "inner"))
    shutil.rmtree(copy / "small")
    shutil.move(inner, copy / "small")
    edit(copy, lambda card: card["members"].update(small=ids))
    refused(copy, "calibration_id|is a cascade itself|what is there to be run")


def test_a_folder_is_loaded_from_itself_wherever_one_stands(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(3)
    other = copy.parent / "other"
    save_bundle(other / "one", DigitNet(), recipe={}, data={})
    save_cascade(other / "two", other / "one", copy / "large", 0.5, Calibration())
    monkeypatch.chdir(other / "two")
    here = load_bundle(".")
    assert here.members[0].onnx == load_bundle(other / "one").onnx
    assert here.members[0].card.id != load_bundle("small").card.id
    # A name is a shipped bundle's; a path never is.
    assert load_bundle(Path("small")).card == load_bundle("./small").card == here.members[0].card
    assert load_bundle("small").card.id == "4f7ca8bfa51b"
    (copy / "small" / ONNX).write_bytes(b"spoilt")
    monkeypatch.chdir(copy)
    refused(Path("."), "damaged")


def external(tensor: TensorProto) -> TensorProto:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../weights.bin"
    return tensor


def model() -> onnx.ModelProto:
    return onnx.load_from_string((SHIPPED["small"] / ONNX).read_bytes())


def constant(tensor: TensorProto) -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["c"], value=tensor)


def a_tensor() -> TensorProto:
    return numpy_helper.from_array(np.ones(4, np.float32), "t")


def hidden(where: str) -> onnx.ModelProto:
    """The shipped small network with external data in one place."""
    changed, tensor = model(), external(a_tensor())
    graph = helper.make_graph([constant(tensor)], "inner", [], [])
    match where:
        case "initializer":
            external(max(changed.graph.initializer, key=lambda one: len(one.raw_data)))
        case "attribute":
            changed.graph.node.append(constant(tensor))
        case "attribute's tensors":
            changed.graph.node.append(helper.make_node("X", [], ["x"], many=[tensor]))
        case "subgraph":
            changed.graph.node.append(helper.make_node("If", ["c"], ["x"], then_branch=graph))
        case "subgraph's initializer":
            deep = helper.make_graph([], "deep", [], [], initializer=[tensor])
            middle = helper.make_graph(
                [helper.make_node("If", ["c"], ["x"], else_branch=deep)], "m", [], []
            )
            changed.graph.node.append(helper.make_node("If", ["c"], ["x"], bodies=[middle]))
        case "sparse":
            changed.graph.sparse_initializer.add().values.CopyFrom(tensor)
        case "function":
            function = changed.functions.add()
            function.name, function.domain = "f", "d"
            function.node.append(constant(tensor))
        case "training":
            changed.training_info.add().algorithm.CopyFrom(graph)
    return changed


@pytest.mark.parametrize(
    "where",
    [
        "initializer",
        "attribute",
        "attribute's tensors",
        "subgraph",
        "subgraph's initializer",
        "sparse",
        "function",
        "training",
    ],
)
def test_no_network_reads_a_file_beside_it(where: str, copy: Path) -> None:
    content = hidden(where).SerializeToString()
    put(copy / "small", content)
    edit(copy / "small", lambda card: card.update(id=network_id(content, shipped_ink())))
    rebind(copy / "small")
    refused(copy / "small", "external data")


def rebind(folder: Path) -> None:
    """Give a card the calibration id of what it holds, as one who knows how may."""
    edit(folder, lambda card: card.update(policies=[], max_error=None))
    content = json.loads((folder / CARD).read_text())
    content["policy"] = Policy(**content["policy"])
    computed = calibration_id(Card(**content))
    edit(folder, lambda card: card.update(calibration_id=computed))


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\x00" * 9, b"\x3a\xff\xff\xff\xff\x0f", b"ORTM"]
)
def test_what_is_no_onnx_file_is_not_self_contained(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"it is no ONNX file|it holds no network"):
        check_self_contained(content)


def test_any_cut_of_a_network_is_refused_or_whole() -> None:
    content = (SHIPPED["small"] / ONNX).read_bytes()
    check_self_contained(content)
    check_self_contained((SHIPPED["large"] / ONNX).read_bytes())
    for end in range(1, len(content), 997):
        try:
            check_self_contained(content[:end])
        except ValueError:
            continue
        onnx.load_from_string(content[:end])  # it was cut between two fields


def test_the_same_weights_have_the_same_id(tmp_path: Path) -> None:
    """Whatever was exported before in the process."""

    def exported(name: str, network: DigitNet) -> Card:
        save_bundle(tmp_path / name, network, recipe={}, data={})
        return load_bundle(tmp_path / name).card

    torch.manual_seed(5)
    first = exported("first", DigitNet().eval())
    other = exported("between", DigitNet())
    torch.manual_seed(5)
    second = exported("second", DigitNet().eval())
    assert first.id == second.id != other.id
    unnamed = {ONNX: "", INK: ""}
    assert replace(first, files=unnamed) == replace(second, files=unnamed)


def as_bundle(folder: Path, network: onnx.ModelProto) -> Path:
    """Put another network into a bundle, with all ids and hashes that belong to it."""
    content = network.SerializeToString()
    put(folder, content)
    edit(folder, lambda card: card.update(id=network_id(content, shipped_ink())))
    rebind(folder)
    return folder


def sums(
    takes: str = "scans",
    of: int = TensorProto.UINT8,
    shape: Sequence[str | int] = ("n", 28, 28),
    gives: str = "logits",
    to: int = TensorProto.FLOAT,
    result: Sequence[str | int] = ("n", 10),
    pieces: Sequence[int] = (-1, 10),
) -> onnx.ModelProto:
    """A network whose logits are the sums of the first ten rows, of black scans at least."""
    nodes = [
        helper.make_node("Cast", [takes], ["numbers"], to=to),
        helper.make_node("Slice", ["numbers", "zero", "ten", "second"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "last"], ["sums"], keepdims=0),
        # Of a shape that is known when it runs.
        helper.make_node("ReduceMin", ["numbers"], ["least"], keepdims=0),
        helper.make_node("Cast", ["least"], ["none"], to=TensorProto.INT64),
        helper.make_node("Add", ["pieces", "none"], ["shape"]),
        helper.make_node("Reshape", ["sums", "shape"], [gives]),
    ]
    numbers = {"zero": [0], "ten": [10], "second": [1], "last": [-1], "pieces": list(pieces)}
    graph = helper.make_graph(
        nodes,
        "sums",
        [helper.make_tensor_value_info(takes, of, shape)],
        [helper.make_tensor_value_info(gives, to, result)],
        [numpy_helper.from_array(np.array(some, np.int64), k) for k, some in numbers.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def two_inputs() -> onnx.ModelProto:
    network = sums()
    network.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    return network


STRANGE = {
    "another input": (sums(takes="images"), r"takes images tensor\(uint8\) \[n, 28, 28\], not sc"),
    "another type of input": (sums(of=TensorProto.FLOAT), r"takes scans tensor\(float\)"),
    "another shape of input": (sums(shape=("n", 1, 28, 28)), r"takes .*\[n, 1, 28, 28\], not"),
    "another side": (sums(shape=("n", 32, 32)), r"takes .*\[n, 32, 32\], not"),
    "a fixed batch": (sums(shape=(1, 28, 28)), r"takes .*\[1, 28, 28\], not"),
    "one scan at a time": (sums(shape=(28, 28)), r"takes .*\[28, 28\], not"),
    "a second input": (two_inputs(), r"takes scans .* and more tensor\(float\) \[1\], not"),
    "another output": (
        sums(gives="scores"),
        r"gives scores .*, not logits tensor\(float\) \[N, 10\]",
    ),
    "another type of output": (sums(to=TensorProto.DOUBLE), r"gives logits tensor\(double\)"),
    "another number of classes": (sums(result=("n", 11)), r"gives logits .*\[n, 11\], not"),
    "another shape than it says": (sums(pieces=(-1, 5)), r"gives logits \[2, 5\] for 1 scans"),
    "a batch of one, against its word": (sums(pieces=(1, 10)), r"can't be used: .*Reshape"),
}


@pytest.mark.parametrize("what", STRANGE)
def test_a_network_that_takes_or_gives_something_else_is_refused(
    what: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network, words = STRANGE[what]
    loaded = load_bundle(as_bundle(copy / "small", network))
    with pytest.raises(BundleError, match=words) as why:
        open_engine(loaded)
    assert "\n" not in str(why.value)
    command = ["predict", str(SHIPPED["small"] / CARD), "--model", str(copy / "small")]
    assert main(command) == 2
    assert str(why.value) in capsys.readouterr().err


def test_any_network_that_takes_scans_and_gives_logits_runs(copy: Path) -> None:
    engine = open_engine(load_bundle(as_bundle(copy / "small", sums())))
    assert engine.answers(np.zeros((300, 28, 28), np.uint8)).probabilities.shape == (300, 10)
