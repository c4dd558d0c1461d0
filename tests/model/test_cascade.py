import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from digitrec import cli
from digitrec.errors import BundleError
from digitrec.model.bundle import (
    load_bundle,
    save_bundle,
    save_cascade,
    write_calibration,
    write_scorecard,
)
from digitrec.model.card import Calibration, calibration_of
from digitrec.model.engine import (
    SHIFTS,
    Answers,
    NetworkEngine,
    handed_over,
    log_of,
    open_engine,
    softmax,
)
from digitrec.model.export import export_ink
from digitrec.model.ink_network import InkNet
from digitrec.model.network import DigitNet, LargeNet
from digitrec.model.policies import with_policy
from digitrec.model.policy import Policy

Scans = NDArray[np.uint8]


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two bundles with first weights, each calibrated in its way."""
    folder = tmp_path_factory.mktemp("members")
    torch.manual_seed(0)
    for network, temperature in ((DigitNet(), 0.02), (LargeNet(), 0.5)):
        save_bundle(
            folder / type(network).__name__,
            network,
            recipe={"hold_out": "validation"},
            data={},
            calibration=Calibration(temperature, Policy(min_digit_score=0.5)),
        )
    return folder / "DigitNet", folder / "LargeNet"


@pytest.fixture
def saved(members: tuple[Path, Path], tmp_path: Path) -> Path:
    save_cascade(tmp_path / "cascade", *members, 0.5, Calibration(0.8, Policy(min_digit_score=0.3)))
    return tmp_path / "cascade"


@pytest.fixture(scope="module")
def scans() -> Scans:
    return np.random.default_rng(0).integers(0, 256, (300, 28, 28), dtype=np.uint8)


def test_the_large_network_answers_where_the_small_one_is_not_certain(
    members: tuple[Path, Path], scans: Scans, tmp_path: Path
) -> None:
    small, large = (open_engine(load_bundle(member)).answers(scans) for member in members)
    hand_over = float(np.median(small.certainty()))
    save_cascade(tmp_path, *members, hand_over, Calibration(0.8, Policy(min_digit_score=0.3)))
    answers = open_engine(load_bundle(tmp_path)).answers(scans)
    assert small.digit_score is not None
    assert large.digit_score is not None
    asked = small.probabilities.max(1) * small.digit_score < hand_over
    assert asked.sum() == len(scans) // 2
    merged = np.where(asked[:, None], large.probabilities, small.probabilities)
    expected = merged.astype(np.float64) ** (1 / 0.8)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answers.probabilities, expected, atol=1e-5)
    digit_score = np.where(asked, large.digit_score, small.digit_score)
    np.testing.assert_allclose(answers.digit_score, digit_score, atol=1e-6)


def test_the_large_network_is_asked_before_a_digit_is_called_none(
    members: tuple[Path, Path], scans: Scans, tmp_path: Path
) -> None:
    """Certain or not."""
    small, large = (open_engine(load_bundle(member)).answers(scans) for member in members)
    assert small.digit_score is not None
    least = float(np.median(small.digit_score))
    save_cascade(tmp_path, *members, 0.0, Calibration(1.0, Policy(min_digit_score=least)))
    bundle = load_bundle(tmp_path)
    answers = open_engine(bundle).answers(scans)
    asked = small.digit_score < least
    assert 100 < asked.sum() < 200
    expected = np.where(asked[:, None], large.probabilities, small.probabilities)
    np.testing.assert_allclose(answers.probabilities, expected, atol=1e-5)
    digit_score = np.where(asked, large.digit_score, small.digit_score)
    np.testing.assert_allclose(answers.digit_score, digit_score, atol=1e-6)
    # So it is where a caller's own policy asks for more.
    stricter = with_policy(bundle, Policy(min_digit_score=float(small.digit_score.max()) + 1e-6))
    np.testing.assert_allclose(
        open_engine(stricter).answers(scans).probabilities, large.probabilities, atol=1e-5
    )
    # An error budget decides, and changes no reading.
    surer = with_policy(bundle, replace(bundle.policy, min_confidence=0.9))
    assert np.array_equal(open_engine(surer).answers(scans).probabilities, answers.probabilities)


def test_what_a_network_is_not_certain_of_is_read_five_times(
    members: tuple[Path, Path], scans: Scans, tmp_path: Path
) -> None:
    images = scans.copy()
    images[:, [0, -1]] = images[:, :, [0, -1]] = 0  # nothing is lost when they are moved
    first = NetworkEngine(load_bundle(members[1]))
    least = float(np.median(first.at_first(images).certainty()))
    shutil.copytree(members[1], tmp_path / "large")
    calibration = calibration_of(load_bundle(members[1]).card)
    write_calibration(tmp_path / "large", replace(calibration, reread_below=least))
    answers = open_engine(load_bundle(tmp_path / "large")).answers(images)
    again = first.at_first(images).certainty() < least
    assert again.sum() == len(images) // 2
    moved = [np.roll(images, by, (1, 2)) for by in ((0, 0), *SHIFTS)]
    means = np.mean([first.at_first(one).probabilities for one in moved], axis=0)
    expected = np.where(again[:, None], means, first.at_first(images).probabilities)
    np.testing.assert_allclose(answers.probabilities, expected, atol=1e-6)
    np.testing.assert_allclose(answers.digit_score, first.at_first(images).digit_score, atol=1e-6)


def test_of_mnist_no_digit_goes_to_review_unseen_by_the_large_network(
    mnist_test: tuple[Scans, Scans],
) -> None:
    bundle, images = load_bundle("cascade"), mnist_test[0]
    answers = open_engine(bundle).answers(images)
    assert answers.digit_score is not None
    least = bundle.card.policy.min_digit_score
    large = open_engine(bundle.members[1]).answers(images[answers.digit_score < least])
    assert len(large.digit_score) == 95
    assert (large.digit_score < least).all()


def test_none_or_all_may_be_asked(members: tuple[Path, Path], scans: Scans, tmp_path: Path) -> None:
    for name, hand_over, member in (("never", 0.0, members[0]), ("always", 1.1, members[1])):
        save_cascade(tmp_path / name, *members, hand_over, Calibration())
        answers = open_engine(load_bundle(tmp_path / name)).answers(scans)
        alone = open_engine(load_bundle(member)).answers(scans)
        np.testing.assert_allclose(answers.probabilities, alone.probabilities, atol=1e-6)
        assert len(open_engine(load_bundle(tmp_path / name)).answers(scans[:0]).probabilities) == 0


def test_networks_that_can_not_tell_digits_from_junk_make_a_cascade_that_can_not() -> None:
    small = Answers(softmax(np.eye(10, dtype=np.float32)), None)
    large = Answers(softmax(3 * np.eye(10, dtype=np.float32)), None)
    asked = np.array([3, 4])
    merged = handed_over(small, asked, Answers(large.probabilities[asked], None))
    assert merged.digit_score is None
    np.testing.assert_allclose(small.certainty(), small.probabilities.max(1))
    np.testing.assert_array_equal(merged.probabilities[3], large.probabilities[3])
    np.testing.assert_array_equal(merged.probabilities[5], small.probabilities[5])


def test_a_probability_of_0_has_a_logarithm() -> None:
    assert np.isfinite(log_of(np.array([0, 1], np.float32))).all()


def test_its_ids_hash_members_rule_and_calibrations(
    members: tuple[Path, Path], saved: Path, tmp_path: Path
) -> None:
    card = load_bundle(saved).card
    save_cascade(tmp_path / "same", *members, 0.5, Calibration(0.8, Policy(min_digit_score=0.3)))
    assert load_bundle(tmp_path / "same").card == card
    save_cascade(tmp_path / "rule", *members, 0.6, Calibration(0.8, Policy(min_digit_score=0.3)))
    assert load_bundle(tmp_path / "rule").card.id != card.id
    small = tmp_path / "small"
    shutil.copytree(members[0], small)
    write_calibration(small, Calibration(0.03, Policy(min_digit_score=0.5)))
    save_cascade(
        tmp_path / "member", small, members[1], 0.5, Calibration(0.8, Policy(min_digit_score=0.3))
    )
    other = load_bundle(tmp_path / "member").card
    assert (other.id, other.calibration_id != card.calibration_id) == (card.id, True)
    # As one that was calibrated later.
    save_cascade(tmp_path / "later", *members, 0.5, Calibration())
    write_calibration(tmp_path / "later", Calibration(0.8, Policy(min_digit_score=0.3)))
    assert load_bundle(tmp_path / "later").card == card
    # What a bundle scored is not what it is.
    write_scorecard(saved / "small", {"mnist:test": {"accuracy": 0.1}})
    assert load_bundle(saved).card == card


def test_its_members_may_get_another_ink_network(
    members: tuple[Path, Path], saved: Path, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    (tmp_path / "ink").mkdir()
    (tmp_path / "ink" / "ink.onnx").write_bytes(export_ink(InkNet()))
    out, ink = tmp_path / "other", ["--ink-network", str(tmp_path)]
    command = ["cascade", *map(str, members), "--like", str(saved), *ink, "--out", str(out)]
    assert cli.main(command) == 0
    before, after = load_bundle(saved), load_bundle(out)
    assert after.card.id != before.card.id
    assert (after.card.hand_over, after.card.policy) == (0.5, before.card.policy)
    for old, new in zip(before.members, after.members, strict=True):
        assert new.ink == (tmp_path / "ink" / "ink.onnx").read_bytes()
        assert (new.onnx, new.card.temperature) == (old.onnx, old.card.temperature)
        assert new.card.parent_id == old.card.id


def test_damage_is_said(members: tuple[Path, Path], saved: Path) -> None:
    shutil.copytree(members[0], saved / "large", dirs_exist_ok=True)
    with pytest.raises(BundleError, match="its member large is not the one"):
        load_bundle(saved)
    shutil.rmtree(saved / "large")
    with pytest.raises(BundleError, match="is no bundle"):
        load_bundle(saved)


def test_the_command_fits_it_on_the_validation_part(
    members: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    mnist_train: object,
) -> None:
    out = str(tmp_path / "fitted")
    assert cli.main(["cascade", *map(str, members), "--out", out]) == 0
    printed = capsys.readouterr().out
    card = load_bundle(out).card
    assert f"below a certainty of {card.hand_over:.4f}" in printed
    assert f"(id {card.id})" in printed
    images = mnist_validation(mnist_train)
    small = open_engine(load_bundle(members[0])).answers(images)
    assert (small.certainty() < card.hand_over).mean() == pytest.approx(0.3, abs=0.001)
    digit_score = open_engine(load_bundle(out)).answers(images).digit_score
    assert (digit_score < card.policy.min_digit_score).mean() == pytest.approx(0.01, abs=0.001)

    # Final bundles have learnt from that part: what was fitted is taken over.
    for name in members:
        shutil.copytree(name, tmp_path / name.name)
        path = tmp_path / name.name / "card.json"
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, "recipe": {"hold_out": "calibration"}}))
    final = [str(tmp_path / name.name) for name in members]
    assert cli.main(["cascade", *final, "--out", str(tmp_path / "final")]) == 2
    assert "has learnt from the validation part" in capsys.readouterr().err
    assert not (tmp_path / "final").exists()
    assert cli.main(["cascade", *final, "--out", str(tmp_path / "final"), "--like", out]) == 0
    other = load_bundle(tmp_path / "final").card
    assert (other.id, other.calibration_id) == (card.id, card.calibration_id)


def mnist_validation(mnist_train: object) -> Scans:
    from digitrec.datasets.labelled import validation_indices

    images: Scans = mnist_train[0]  # type: ignore[index]
    return images[validation_indices(images)]


def test_the_command_refuses_what_it_can_not_use(
    members: tuple[Path, Path], saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small, large = map(str, members)
    for arguments, complaint in (
        ([small, large, "--out", str(saved)], "holds something already"),
        ([small, str(saved), "--out", str(tmp_path / "new")], "of two networks, not of cascades"),
        ([small, large, "--out", str(tmp_path / "new"), "--like", small], "is no cascade"),
        ([small, "nowhere", "--out", str(tmp_path / "new")], "nowhere is no bundle"),
    ):
        assert cli.main(["cascade", *arguments]) == 2
        assert complaint in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    with pytest.raises(BundleError, match="must be networks"):
        save_cascade(tmp_path / "new", members[0], saved, 0.5, Calibration())
