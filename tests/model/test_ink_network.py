"""The ink network: its shapes, its size, and its ONNX file."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import digitrec
from digitrec.datasets.synthetic.ink_samples import as_marks, draw_written, drawn_ink
from digitrec.datasets.synthetic.negatives import any_digit
from digitrec.datasets.synthetic.papers import HELD_BACK, TRAINED
from digitrec.model.export import export_ink
from digitrec.model.ink_network import InkNet
from digitrec.normalize.squared import squared, squared_cover

SHIPPED = Path(digitrec.__file__).parent / "assets" / "ink"


@pytest.fixture(scope="module")
def network() -> InkNet:
    torch.manual_seed(0)
    return InkNet().eval()


def test_it_has_as_many_parameters_as_it_says(network: InkNet) -> None:
    assert f"{sum(p.numel() for p in network.parameters()):,} parameters" in str(InkNet.__doc__)


@pytest.mark.slow
def test_the_file_gives_the_logits_of_the_network_for_any_number_of_scans(network: InkNet) -> None:
    session = onnxruntime.InferenceSession(export_ink(network), providers=["CPUExecutionProvider"])
    for count in (1, 5):
        scans = torch.randint(0, 256, (count, 64, 64), dtype=torch.uint8)
        marks, written = session.run(["marks", "written"], {"scans": scans.numpy()})
        with torch.inference_mode():
            expected = network(scans)
        assert marks.shape == (count, 64, 64)
        assert written.shape == (count,)
        np.testing.assert_allclose(marks, expected[0].numpy(), atol=1e-3)
        np.testing.assert_allclose(written, expected[1].numpy(), atol=1e-3)


def test_brighter_light_and_less_contrast_change_little(network: InkNet) -> None:
    scans = torch.randint(0, 100, (2, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        dark, light = network(scans)[0], network(scans + 120)[0]
    torch.testing.assert_close(dark, light, atol=1e-3, rtol=1e-3)


def test_an_even_scan_gives_numbers(network: InkNet) -> None:
    with torch.inference_mode():
        marks, written = network(torch.full((1, 64, 64), 255, dtype=torch.uint8))
    assert marks.isfinite().all()
    assert written.isfinite().all()


def test_the_shipped_one_is_what_its_card_says() -> None:
    onnx, card = (
        (SHIPPED / "ink.onnx").read_bytes(),
        json.loads((SHIPPED / "card.json").read_text()),
    )
    assert card["id"] == hashlib.sha256(onnx).hexdigest()[:12]
    assert (tuple(card["kinds"]), tuple(card["held_back"])) == (TRAINED, HELD_BACK)
    assert len(onnx) < 300_000


def test_the_shipped_one_marks_drawn_digits_and_nothing_in_empty_boxes() -> None:
    rng = np.random.default_rng(2**31 + 5)
    written = [draw_written(drawn_ink(any_digit, rng), ("box",), rng) for _ in range(60)]
    empty = [draw_written(None, ("box",), rng) for _ in range(60)]
    session = onnxruntime.InferenceSession(
        (SHIPPED / "ink.onnx").read_bytes(), providers=["CPUExecutionProvider"]
    )
    scans = np.stack([squared(one.scan) for one in written + empty])
    found = session.run(["marks"], {"scans": scans})[0] > 0
    truth = np.stack([as_marks(squared_cover(one.cover)) for one in written])
    common, either = (found[:60] & truth).sum((1, 2)), (found[:60] | truth).sum((1, 2))
    assert np.median(common / either) > 0.8
    assert ((found[60:].sum((1, 2)) >= 16).mean()) < 0.2
