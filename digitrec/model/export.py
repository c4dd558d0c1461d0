"""A network as ONNX, with the scaling of its scans inside, checked to give torch's logits."""

from collections.abc import Sequence
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
    from digitrec.model.network import ScanNet

    return _exported(ScanNet(network), 28, ["logits"])


def export_ink(network: "nn.Module") -> bytes:
    """Write an ink network as an ONNX file; the same weights make the same bytes.

    `scans` uint8 [N, 64, 64] → `marks` float32 [N, 64, 64], `written` float32 [N], both logits.

    Args:
        network: an `InkNet` on the CPU.

    Raises:
        AssertionError: what was exported gives other logits.
    """
    from digitrec.normalize.squared import INK_SIDE

    return _exported(network, INK_SIDE, ["marks", "written"])


def _exported(scan_net: "nn.Module", side: int, outputs: Sequence[str]) -> bytes:
    import logging

    import torch
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    scan_net.eval()
    example = torch.randint(0, 256, (3, side, side), dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    program = torch.onnx.export(
        scan_net,
        (example,),
        input_names=["scans"],
        output_names=outputs,
        dynamic_shapes={"scans": {0: torch.export.Dim("scans")}},
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # None is the answer of the old exporter only
    # The exporter notes where each operation came from: paths of the machine that trained.
    ClearMetadataAndDocStringPass()(program.model)
    onnx: bytes = program.model_proto.SerializeToString()
    _check_export(scan_net, onnx, side, outputs)
    return onnx


def _check_export(scan_net: Any, onnx: bytes, side: int, outputs: Sequence[str]) -> None:
    import onnxruntime
    import torch

    scans = torch.randint(0, 256, (7, side, side), dtype=torch.uint8)
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    answers = session.run(list(outputs), {"scans": scans.numpy()})
    with torch.inference_mode():
        expected = scan_net(scans)
    tensors = expected if isinstance(expected, tuple) else (expected,)
    for answer, tensor in zip(answers, tensors, strict=True):
        np.testing.assert_allclose(answer, tensor.numpy(), rtol=1e-3, atol=1e-3)
