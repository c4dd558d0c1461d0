"""Results in which everything is in doubt, made in this process: no Ray."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from digitrec.batch import classify as classifying
from digitrec.batch.classify import Classifier, classify
from digitrec.batch.run import RunSettings
from digitrec.datasets.labelled import png
from digitrec.model.bundle import Bundle
from digitrec.model.policies import with_policy
from digitrec.model.policy import Policy
from tests.small_mnist.make import Digits


def doubting(bundle: Bundle, *budget: object) -> Bundle:
    """Give a bundle that accepts nothing."""
    return with_policy(bundle, Policy(min_confidence=1.0, min_digit_score=1.0))


@pytest.fixture
def all_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifying, "with_budget", doubting)


@pytest.fixture
def fresh(settings: RunSettings, five_parts: None, all_in_doubt: None) -> str:
    """Forty scans in five parts, all of them read right and to review; the test's own."""
    assert classify(settings).run["counts"]["review"] == 40
    return settings.out


@pytest.fixture(scope="session")
def doubted(small_test: Digits, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same for all tests, which leave it as it is."""
    folder = tmp_path_factory.mktemp("doubted")
    (folder / "scans").mkdir()
    for k in range(40):
        (folder / "scans" / f"{k:02d}-{small_test[1][k]}.png").write_bytes(png(small_test[0][k]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifying, "with_budget", doubting)
        patch.setattr(Classifier, "size", lambda self, number: 8)
        settings = RunSettings(
            inputs=(str(folder / "scans"),), out=str(folder / "result"), quiet=True
        )
        assert classify(settings).run["counts"]["review"] == 40
    return settings.out


def exported(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    """Write rows as a page exports them; give the file's name."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, names, restval="")
        table.writeheader()
        table.writerows(rows)
    return str(path)
