"""An ink network that begins as another one."""

import numpy as np
import pytest
import torch

from digitrec.errors import InputError
from digitrec.model.export import export_onnx
from digitrec.model.ink_network import InkNet
from digitrec.model.network import DigitNet
from digitrec.model.shipped import shipped_ink
from digitrec.training.ink_start import first_weights

SCANS = np.random.default_rng(0).integers(0, 256, (12, 64, 64), np.uint8)


def test_it_computes_what_the_other_does_and_knows_means_and_deviations() -> None:
    import onnxruntime

    network = InkNet()
    network.load_state_dict(first_weights(shipped_ink(), SCANS))
    session = onnxruntime.InferenceSession(shipped_ink(), providers=["CPUExecutionProvider"])
    marks, written = session.run(["marks", "written"], {"scans": SCANS})
    for mode in (False, True):  # of the same scans the means are what it was told
        network.train(mode)
        with torch.inference_mode():
            found, any_ink = network(torch.tensor(SCANS))
        np.testing.assert_allclose(found.numpy(), marks, rtol=1e-2, atol=1e-2)
        np.testing.assert_allclose(any_ink.numpy(), written, rtol=1e-2, atol=1e-2)


def test_a_network_of_another_architecture_is_refused() -> None:
    other = export_onnx(DigitNet())
    with pytest.raises(InputError, match="of another architecture"):
        first_weights(other, SCANS)
