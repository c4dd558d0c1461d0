import itertools
from dataclasses import FrozenInstanceError, replace

import pytest

from digitrec.model.network import NETWORKS
from digitrec.training.recipes import (
    HOLD_OUT,
    RECIPES,
    REPORT,
    RISE,
    STUDY,
    Recipe,
    further,
    learning_rate_at,
)


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
        ("temperature", 0.0),
        ("temperature", float("nan")),
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


@pytest.mark.parametrize("field", ["network", "schedule", "hold_out"])
def test_an_unknown_choice_names_the_known_ones(field: str) -> None:
    known = {
        "network": tuple(NETWORKS),
        "schedule": ("constant", "one-cycle"),
        "hold_out": HOLD_OUT,
    }[field]
    with pytest.raises(ValueError, match=f"{field} must be one of {', '.join(known)}"):
        replace(REPORT, **{field: "other"})
    for value in known:
        assert getattr(replace(REPORT, **{field: value}), field) == value


def test_every_recipe_is_for_the_network_that_it_is_named_by() -> None:
    for (recipe, network), settings in RECIPES.items():
        assert settings.network == network
        assert settings.name == (recipe if network == "small" else f"{recipe}-{network}")


def test_a_constant_learning_rate_stays() -> None:
    assert {learning_rate_at(REPORT, k / 10) for k in range(11)} == {0.0005}


def test_one_cycle_rises_and_falls() -> None:
    recipe = replace(REPORT, schedule="one-cycle", learning_rate=0.02)
    assert learning_rate_at(recipe, 0) == pytest.approx(0.02 * 0.04)
    assert learning_rate_at(recipe, RISE) == pytest.approx(0.02)
    assert learning_rate_at(recipe, 1) == pytest.approx(0.02 * 0.01)
    halfway = (1 + RISE) / 2
    assert learning_rate_at(recipe, halfway) == pytest.approx(0.02 * (0.01 + 0.99 / 2))
    rates = [learning_rate_at(recipe, k / 1000) for k in range(1001)]
    top = round(RISE * 1000)
    assert rates.index(max(rates)) == top
    assert all(a < b for a, b in itertools.pairwise(rates[: top + 1]))
    assert all(a > b for a, b in itertools.pairwise(rates[top:]))
    # Without a jump.
    assert max(abs(a - b) for a, b in itertools.pairwise(rates)) < 0.02 * 0.011


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_a_network_learns_on_as_often_as_one_likes(recipe: Recipe) -> None:
    once = further(recipe, "champion")
    again = further(once, "challenger")
    assert replace(again, start="champion") == once
    for name in ("hold_out", "network", "junk", "seed"):
        assert getattr(once, name) == getattr(recipe, name)
    assert once.augments
    assert once.known_strength == (1 if recipe.augments else 0)
