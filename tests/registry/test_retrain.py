"""Steps of a retraining; the whole is in `tests/faults` and in `test_poison.py`."""

from pathlib import Path

from digitrec.model.bundle import find_bundle, load_bundle
from digitrec.registry.challenger import Effort
from digitrec.registry.pool import load
from digitrec.registry.retrain import _certified
from digitrec.registry.store import make_registry


def test_the_same_networks_again_keep_the_policies_that_are_registered(tmp_path: Path) -> None:
    registry = make_registry(str(tmp_path / "models"), "small")
    champion, none = load_bundle("small"), load(registry.folder)
    made = str(find_bundle("small").path)
    location = _certified(registry, made, champion, none, Effort())
    assert location == registry.bundle_location(champion.card.id)
    assert registry.register(location) == champion.card.id
    assert registry.check() == []
