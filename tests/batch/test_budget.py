"""Error budgets in a run: what is accepted by which, what is said of it, and `--strict`."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyarrow import dataset

from digitrec import cli, read
from digitrec.batch.classify import classify
from digitrec.batch.parts import read_file
from digitrec.batch.run import RunSettings
from digitrec.budget.looks import FEATURES, added
from digitrec.errors import BundleError, InputError
from digitrec.model.bundle import load_bundle
from digitrec.model.policies import with_budget, write_policies
from digitrec.model.shipped import SHIPPED
from digitrec.storage.folder import open_folder
from tests.conftest import digits, leave_unfinished, record

REASON = "not-supported: the error budget was certified on scans that look otherwise"


def decisions(out: str) -> dict[str, tuple[str, str | None]]:
    """Give a result's decisions and reasons by file name."""
    rows = dataset.dataset(out, format="parquet").to_table().to_pylist()
    return {Path(row["path"]).name: (row["decision"], row["reason"]) for row in rows}


def accepted(out: str) -> int:
    return sum(decision == "accept" for decision, _ in decisions(out).values())


def test_the_shipped_bundles_keep_one_in_a_thousand() -> None:
    for name in SHIPPED:
        bundle = load_bundle(name)
        assert bundle.certified is not None
        assert bundle.policy.max_error == bundle.card.max_error == 0.001
        assert [one.budget for one in bundle.card.policies] == [0.01, 0.002, 0.001]
        for one in bundle.card.policies:
            assert (one.labelled, one.scans, one.source) == ("mnist:calibration", 10_000, "")
            assert one.bound <= one.budget
            assert one.wrong <= one.accepted * one.budget
        assert set(bundle.card.references[""]) == {feature.name for feature in FEATURES}


def test_a_budget_between_two_is_kept_by_the_smaller_one() -> None:
    bundle = load_bundle("small")
    assert with_budget(bundle, 0.005).policy.max_error == 0.002
    assert with_budget(bundle, 0.5).policy.max_error == 0.01
    assert with_budget(bundle, "none").policy == bundle.card.policy
    assert with_budget(bundle, "none").certified is None
    assert with_budget(with_budget(bundle, "none"), "default").policy == bundle.policy
    with pytest.raises(BundleError, match=r"budget of 0\.05 %: those it has are for 1 %, 0\.2 %"):
        with_budget(bundle, 0.0005)
    for wrong in (0.0, 1.0, -0.1):
        with pytest.raises(BundleError, match="above 0 and below 1"):
            with_budget(bundle, wrong)
    with pytest.raises(BundleError, match="must be a number or none"):
        with_budget(bundle, "all")
    with pytest.raises(BundleError, match="no policy for the source office: it has those without"):
        with_budget(bundle, "default", "office")


def test_a_run_says_by_what_it_accepts(settings: RunSettings, scans: Path) -> None:
    strict = classify(settings).run
    [policy] = [one for one in load_bundle().card.policies if one.budget == 0.001]
    assert strict["policy"] == policy.to_json()
    assert strict["policy_id"] == policy.policy.id
    assert strict["check"]["digits"] == 40
    assert 0 < strict["expected_error"] < 0.01
    loose = classify(replace(settings, overwrite=True), max_error="none").run
    assert (loose["policy"], loose["check"]) == (None, None)
    assert loose["counts"]["accept"] == 40
    # What was read is the same, whatever is accepted of it; and `read` decides alike.
    files = sorted(map(str, scans.iterdir()))
    for budget in ("default", 0.01, "none"):
        out = replace(settings, out=f"{settings.out}-{budget}")
        classify(out, max_error=budget)
        readings = read(files, max_error=budget)
        found = decisions(out.out)
        assert [found[Path(file).name] for file in files] == [
            (reading.decision, reading.reason) for reading in readings
        ]
        assert digits(out.out) == digits(settings.out)


def test_a_run_is_gone_on_with_under_its_own_budget_alone(settings: RunSettings) -> None:
    classify(settings)
    for other in ({"max_error": 0.01}, {"max_error": "none"}, {"strict": True}):
        with pytest.raises(InputError, match=r"holds a result of other (policy|--strict)"):
            classify(settings, **other)  # type: ignore[arg-type]


@pytest.mark.usefixtures("five_parts")
def test_the_check_is_the_same_in_one_piece_and_in_several(
    settings: RunSettings, scans: Path
) -> None:
    several = classify(settings).run
    one = classify(replace(settings, out=f"{settings.out}-2", inputs=(f"{scans}/*",))).run
    leave_unfinished(settings.out)
    for part in list(Path(settings.out).glob("part-*"))[1:3]:
        part.unlink()
    resumed = classify(settings).run
    assert several["check"] == one["check"] == resumed["check"]
    assert several["expected_error"] == pytest.approx(resumed["expected_error"])


@pytest.mark.usefixtures("five_parts")
def test_an_update_counts_what_is_there_then(settings: RunSettings, scans: Path) -> None:
    classify(settings)
    shutil.copy(scans / "00-7.png", scans / "01-2.png")  # another content
    (scans / "02-1.png").unlink()
    (scans / "99-7.png").write_bytes((scans / "00-7.png").read_bytes())
    updated = classify(replace(settings, update=True)).run
    fresh = classify(replace(settings, out=f"{settings.out}-2")).run
    assert updated["check"] == fresh["check"]
    assert updated["counts"]["accept"] == fresh["counts"]["accept"]
    assert updated["expected_error"] == pytest.approx(fresh["expected_error"])


@pytest.fixture
def own(settings: RunSettings, tmp_path: Path) -> str:
    """A bundle with a policy for a source that the scans are like."""
    bundle = tmp_path / "own"
    shutil.copytree(SHIPPED["cascade"], bundle)
    classify(settings, max_error="none")
    [loose, *_] = load_bundle(bundle).card.policies
    # So many scans that the comparison may say `close`.
    looks = {
        name: [1000 * count for count in bins] for name, bins in looks_of(settings.out).items()
    }
    write_policies(bundle, "drawn", [replace(loose, source="drawn")], looks, [])
    return str(bundle)


def looks_of(out: str) -> dict[str, list[int]]:
    total: dict[str, list[int]] = {}
    for part in Path(out).glob("part-*"):
        told, _ = read_file(open_folder(out), part.name)
        total = added(total, told.stats.looks)
    return total


@pytest.mark.usefixtures("five_parts")
def test_strict_accepts_nothing_that_the_claim_does_not_cover(
    settings: RunSettings, scans: Path, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = replace(settings, out=f"{settings.out}-strict")
    first = classify(run, own, source="drawn", strict=True).run
    assert first["check"]["verdict"] == "unknown"  # too few to tell
    assert (first["counts"]["accept"], first["counts"]["reviews"]["not-supported"]) == (0, 40)
    assert set(decisions(run.out).values()) == {("review", REASON)}
    # More scans came, and it can be told: what is accepted by the policy is so now.
    monkeypatch.setattr("digitrec.budget.drift.LEAST", 41)
    (scans / "99-7.png").write_bytes((scans / "00-7.png").read_bytes())
    second = classify(replace(run, update=True), own, source="drawn", strict=True).run
    assert second["check"]["verdict"] == "close"
    assert second["counts"]["accept"] == accepted(run.out) == 41
    assert second["counts"]["reviews"] == {}
    assert cli.main(["verify", run.out, "--quiet"]) == 0
    with pytest.raises(InputError, match="--strict holds scans against an error budget"):
        classify(replace(settings, out=f"{settings.out}-3"), max_error="none", strict=True)


def test_what_is_said_at_the_end(
    settings: RunSettings, own: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def said(*options: str) -> str:
        inputs = [*settings.inputs, "--out", str(tmp_path / "said"), "--quiet", "--overwrite"]
        assert cli.main(["classify", *inputs, *options]) == 0
        return capsys.readouterr().out

    far = said()
    assert "at most 0.1 % of the accepted are wrong, with 95 % certainty, if they are" in far
    assert "scans like those of mnist:calibration" in far
    assert "an estimate, no bound" in far
    unknown = said("--model", own, "--source", "drawn")
    assert "scans like those of drawn" in unknown
    assert "check        40 digits are too few to tell" in unknown
    assert "no error budget" in said("--max-error", "none")
    assert record(tmp_path / "said")["policy"] is None
    assert "at most 1 % of" in said("--max-error", "1%")


def test_a_budget_that_can_not_be_kept_is_refused(
    settings: RunSettings, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments: list[Any] = ["classify", *settings.inputs, "--out", str(tmp_path / "new")]
    assert cli.main([*arguments, "--max-error", "0.0001"]) == 2
    assert "has no policy for an error budget of 0.01 %" in capsys.readouterr().err
    for wrong in ("0", "1", "-1", "many", "100%"):
        with pytest.raises(SystemExit):
            cli.main([*arguments, f"--max-error={wrong}"])
        assert "is no share" in (said := capsys.readouterr().err) or "above 0 and below 1" in said
    assert cli.main(["predict", f"{settings.inputs[0]}/00-7.png", "--max-error", "1e-5"]) == 2
    capsys.readouterr()
    assert cli.main(["predict", f"{settings.inputs[0]}/00-7.png", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["decision"] == "accept"
    assert not (tmp_path / "new").exists()
