"""A network as ONNX, with the scaling of its scans inside, checked to give torch's logits."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import nn


def export_onnx(network: "nn.Module") -> bytes:
    """Write a network as an ONNX file: `scans` uint8 [N, 28, 28] → `logits` float32 [N, 10].

    The same weights make the same bytes.

    Args:
        network: on the CPU; float32 [N, 1, 28, 28] → logits float32 [N, 10].

    Raises:
        AssertionError: what was exported gives other logits.
    """
    import logging

    import torch
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    from digitrec.model.network import ScanNet

    scan_net = ScanNet(network).eval()
    example = torch.randint(0, 256, (3, 28, 28), dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    program = torch.onnx.export(
        scan_net,
        (example,),
        input_names=["scans"],
        output_names=["logits"],
        dynamic_shapes={"scans": {0: torch.export.Dim("scans")}},
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # None is the answer of the old exporter only
    # The exporter notes where each operation came from: paths of the machine that trained.
    ClearMetadataAndDocStringPass()(program.model)
    onnx: bytes = program.model_proto.SerializeToString()
    _check_export(scan_net, onnx)
    return onnx


def _check_export(scan_net: Any, onnx: bytes) -> None:
    import onnxruntime
    import torch

    scans = torch.randint(0, 256, (7, 28, 28), dtype=torch.uint8)
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    [logits] = session.run(["logits"], {"scans": scans.numpy()})
    with torch.inference_mode():
        expected = scan_net(scans).numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3)
