from dataclasses import FrozenInstanceError, replace

import pytest

from digitrec.training.recipes import REPORT, STUDY


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("epochs", -3),
        ("batch_size", 0),
        ("learning_rate", -1.0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("seed", -1),
    ],
)
def test_a_setting_out_of_range_names_itself(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field} must be .*{value}"):
        replace(REPORT, **{field: value})


def test_recipes_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        REPORT.epochs = 3  # type: ignore[misc]


def test_the_study_has_the_reports_figures() -> None:
    settings = {name: (r.batch_size, r.learning_rate, r.epochs) for name, r in STUDY.items()}
    assert settings == {
        "figure 6": (32, 1e-3, 30),
        "figure 7": (128, 1e-3, 30),
        "figures 9 and 10": (128, 1e-6, 30),
        "figure 11": (128, 1e-5, 30),
    }
    assert len({recipe.name for recipe in (REPORT, *STUDY.values())}) == 5
