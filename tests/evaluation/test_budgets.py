"""`calibrate`: labelled scans → certified policies, and why there is none."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet
from scipy.stats import binom

from digitrec import cli
from digitrec.batch.audit import draw
from digitrec.batch.classify import classify
from digitrec.batch.run import RunSettings
from digitrec.budget.drift import CLOSE, FAR, compare
from digitrec.budget.looks import counted
from digitrec.datasets.corruptions import CORRUPTIONS
from digitrec.datasets.labelled import load_labelled, png
from digitrec.evaluation.budgets import Budgets, NoPolicy, accepted_by, issue
from digitrec.evaluation.labelled_set import measure
from digitrec.evaluation.scores import Measured
from digitrec.model.bundle import load_bundle
from digitrec.model.engine import open_engine
from digitrec.model.policies import with_budget
from digitrec.model.shipped import SHIPPED
from tests.batch.test_audit import answer
from tests.evaluation.test_scores import simulated
from tests.small_mnist.make import Digits


@pytest.fixture
def labelled(small_test: Digits, tmp_path: Path) -> Path:
    """A hundred drawn digits in class folders, and a table of them with their two sources."""
    rows = ["path,label,site"]
    for k, (image, label) in enumerate(zip(*small_test, strict=True)):
        if k == 100:
            break
        path = tmp_path / "labelled" / str(label) / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(image))
        rows.append(f"labelled/{label}/{k}.png,{label},{'north' if k % 20 < 10 else 'south'}")
    (tmp_path / "table.csv").write_text("\n".join(rows))
    return tmp_path / "labelled"


def test_labels_become_policies_in_a_copy_of_a_bundle(
    labelled: Path, settings: RunSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "own")
    calibrate = ["calibrate", "small", str(labelled), "--quiet", "--source", "drawn"]
    assert cli.main([*calibrate, "--budgets", "5%,0.1%", "--out", out]) == 0
    said = capsys.readouterr().out
    assert f"labelled     {labelled}: 100 scans, 0 of them read wrong" in said
    assert "all right: were they labelled by someone who saw no answers?" in said
    assert "0.1 %  no policy: " in said
    assert "With so many wrong, 2,995 are needed, so about 2," in said
    before, after = load_bundle("small").card, load_bundle(out).card
    assert [one for one in after.policies if not one.source] == before.policies
    [own] = [one for one in after.policies if one.source == "drawn"]
    assert (own.budget, own.certainty, own.scans) == (0.05, 0.95, 100)
    assert own.labelled.startswith("labelled@")  # and no place of this machine
    assert str(tmp_path) not in Path(out, "card.json").read_text()
    assert (own.wrong, own.bound <= 0.05, own.model_id) == (0, True, after.id)
    assert after.max_error == before.max_error
    assert sum(after.references["drawn"]["digit"]) == 100
    for name in ("coverage", "confidences", "reliability", "accepted-mistakes"):
        picture = Path(out, "calibration", "drawn", f"{name}.png")
        assert picture.read_bytes().startswith(b"\x89PNG")
    run = classify(settings, out, max_error=0.05, source="drawn").run
    assert run["policy"] == own.to_json()
    # Again, with other budgets: the source's policies are replaced, the others stay.
    assert cli.main(["calibrate", out, *calibrate[2:], "--budgets", "0.1"]) == 0
    assert [one.budget for one in load_bundle(out).card.policies] == [0.01, 0.002, 0.001, 0.1]


def test_a_shipped_bundle_is_not_written_to(
    labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = load_bundle("small").card
    assert cli.main(["calibrate", "small", str(labelled), "--quiet", "--budgets", "0.1"]) == 0
    assert "not kept: small comes with digitrec; --out FOLDER writes a copy" in (
        capsys.readouterr().out
    )
    assert load_bundle("small").card == before


def test_each_source_of_a_table_has_its_policies(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, table = str(tmp_path / "own"), str(tmp_path / "table.csv")
    calibrate = ["calibrate", "small", table, "--by", "site", "--budgets", "0.1", "--quiet"]
    assert cli.main([*calibrate, "--out", out]) == 0
    said = capsys.readouterr().out
    assert "source       north" in said
    assert "source       south" in said
    assert "price        north, 10 %: 100.00 % accepted, 100.00 % if all kept it together" in said
    own = {one.source: one for one in load_bundle(out).card.policies if one.source}
    assert {source: one.scans for source, one in own.items()} == {"north": 50, "south": 50}
    assert cli.main([*calibrate[:3], "--by", "office", "--quiet"]) == 2
    assert "it has no column office" in capsys.readouterr().err
    assert cli.main([*calibrate, "--source", "x"]) == 2


def test_what_a_bundle_has_learnt_from_certifies_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("mnist:train", "mnist:validation"):
        for model in ("small", "cascade"):
            assert cli.main(["calibrate", model, name, "--quiet"]) == 2
            assert f"has learnt from {name}: it certifies nothing" in capsys.readouterr().err


def test_each_digit_may_keep_the_budget_by_itself(measured: Measured) -> None:
    card = load_bundle("small").card
    [together] = issue(card, measured, Budgets(budgets=(0.02,)), card.starts)
    [each] = issue(card, measured, Budgets(budgets=(0.02,), by_digit=True), card.starts)
    assert not isinstance(together, NoPolicy)
    assert not isinstance(each, NoPolicy)
    assert isinstance(each.policy.min_confidence, tuple)
    assert each.accepted < together.accepted  # its price
    assert isinstance(together.policy.min_confidence, float)
    bad = each.policy.min_confidence[4]  # which 3s are read as
    assert bad == max(each.policy.min_confidence) > together.policy.min_confidence
    [none] = issue(card, measured, Budgets(budgets=(0.0001,), by_digit=True), card.starts)
    assert isinstance(none, NoPolicy)
    assert none.why.startswith("of those read as 0, ")


@pytest.fixture
def measured() -> Measured:
    """Six thousand digits read with a known error, of which the 3s are read worst."""
    rng, count = np.random.default_rng(2), 6_000
    labels = np.arange(count) % 10
    confidences = 1 - 10 ** rng.uniform(-6, -0.3, count)
    faulty = rng.random(count) < (1 - confidences) * np.where(labels == 3, 1, 0.1)
    return replace(
        simulated(confidences, ~faulty),
        labels=labels.astype(np.uint8),
        answers=np.where(faulty, (labels + 1) % 10, labels).astype(np.int8),
    )


def test_labels_that_say_nothing_are_refused(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate = ["calibrate", "small", str(labelled), "--quiet"]
    for options, words in (
        (["--budgets", "0"], "--budgets: an error budget is above 0 and below 1, not 0"),
        (["--budgets", "1.5"], "above 0 and below 1"),
        (["--budgets", "few"], "--budgets: few is no share"),
        (["--certainty", "1"], "certainty must be from 0.5 to below 1, not 1"),
        (["--budgets", "0.001"], "these labels carry no policy: nothing was written"),
        (["--start-from", str(labelled)], "can't both certify and say where the tests begin"),
    ):
        assert cli.main([*calibrate, *options, "--out", str(tmp_path / "new")]) == 2
        assert words in capsys.readouterr().err
    table = (tmp_path / "table.csv").read_text().splitlines()
    wrong = [
        table[0],
        *(f"{row.split(',')[0]},{(int(row.split(',')[1]) + 1) % 10},x" for row in table[1:]),
    ]
    (tmp_path / "wrong.csv").write_text("\n".join(wrong))
    assert cli.main(["calibrate", "small", str(tmp_path / "wrong.csv"), "--quiet"]) == 2
    assert "none of 100 scans was read as it is labelled" in capsys.readouterr().err
    shutil.rmtree(labelled / "7")
    assert cli.main([*calibrate, "--budgets", "0.1"]) == 2
    assert "no scan is labelled 7" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_answers_to_a_sample_certify_a_policy_of_that_source(
    settings: RunSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classify(settings)
    sample, out = tmp_path / "sample", str(tmp_path / "own")
    draw(settings.out, 40, sample, seed=2)
    calibrate = ["calibrate", "cascade", str(sample), "--source", "forms", "--quiet"]
    assert cli.main(calibrate) == 2
    assert "number 1 has no label yet" in capsys.readouterr().err
    answer(sample)
    assert cli.main([*calibrate, "--budgets", "0.1", "--out", out]) == 0
    [own] = [one for one in load_bundle(out).card.policies if one.source == "forms"]
    # Of those that are accepted nothing is known below the confidence that these needed.
    [applied] = [one for one in load_bundle().card.policies if one.budget == 0.001]
    assert own.policy.min_confidence == applied.policy.min_confidence
    assert (own.accepted, own.wrong) == (40, 0)
    capsys.readouterr()
    assert cli.main(["calibrate", "small", *calibrate[2:]]) == 2
    assert "which says nothing of model" in capsys.readouterr().err
    assert cli.main([*calibrate[:3], str(sample), "--quiet"]) == 2
    assert "certifies alone" in capsys.readouterr().err


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_labels_of_a_review_certify_nothing(
    ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {"path": ["a.png"], "label": ["3"], "predicted": ["8"], "reviewer": ["anna"]}
    file = tmp_path / f"corrections{ending}"
    if ending == ".csv":
        csv.write_csv(pa.table(rows), file)
    else:
        parquet.write_table(pa.table(rows), file)
    assert cli.main(["calibrate", "small", str(file), "--quiet"]) == 2
    told = capsys.readouterr().err
    assert "chosen by a model's doubt" in told
    assert "audit draw" in told


@pytest.mark.mnist
@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_policies_hold_on_mnists_test_images(name: str) -> None:
    bundle = load_bundle(name)
    measured = measure(open_engine(with_budget(bundle, "none")), load_labelled("mnist:test"))
    for one in bundle.card.policies:
        accepted = accepted_by(one, measured)
        wrong = int((accepted & ~measured.right).sum())
        assert wrong <= binom.ppf(0.95, accepted.sum(), one.budget)
        assert accepted.mean() == pytest.approx(one.accepted / one.scans, abs=0.01)
    # And the scans are such as those that the policies were certified on.
    reference = bundle.card.references[""]
    assert compare(counted(measured.looks), reference).verdict == CLOSE
    rng = np.random.default_rng(0)
    for count in (100, 1_000, 10_000):
        draws = (measured.looks[rng.integers(10_000, size=count)] for _ in range(1_000))
        alarms = sum(compare(counted(some), reference).verdict == FAR for some in draws)
        assert alarms <= 10 + 3 * np.sqrt(10)  # one in a hundred is the rate


@pytest.mark.mnist
@pytest.mark.slow
@pytest.mark.parametrize("name", [one.name for one in CORRUPTIONS.values() if one.kind == "hard"])
def test_what_is_harder_than_mnist_is_told_from_it(name: str) -> None:
    """A tenth of each: by a hundred such draws in a row nothing harder would pass."""
    bundle = load_bundle("small")
    scans = load_labelled(f"mnist:{name}")
    some = replace(
        scans, scans=[scans.scans[k] for k in range(0, 10_000, 10)], labels=scans.labels[::10]
    )
    measured = measure(open_engine(bundle), some)
    assert compare(counted(measured.looks), bundle.card.references[""]).verdict == FAR


def test_other_peoples_digits_are_told_from_mnists(real_digits: Path) -> None:
    for name in ("small", "cascade"):
        bundle = load_bundle(name)
        for labelled in (str(real_digits), "sklearn:digits"):
            measured = measure(open_engine(bundle), load_labelled(labelled))
            assert compare(counted(measured.looks), bundle.card.references[""]).verdict == FAR


def test_a_calibration_as_json(labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["calibrate", "small", str(labelled), "--quiet", "--budgets", "0.1,0.001", "--json"]
    assert cli.main(arguments) == 0
    kept, refused = json.loads(capsys.readouterr().out)[""]
    assert kept["policy"]["max_error"] == 0.1
    assert set(refused) == {"budget", "why"}
