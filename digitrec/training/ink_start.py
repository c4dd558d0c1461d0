"""The first weights of an ink network that begins as another one, and learns on."""

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from digitrec.errors import InputError
from digitrec.model.ink_network import InkNet


@torch.inference_mode()
def first_weights(exported: bytes, scans: NDArray[np.uint8]) -> dict[str, Tensor]:
    """Return the weights by which a network computes what an exported one does, and learns on.

    An export has each normalization folded into the convolution before it. Here they are taken
    apart again, with the means and deviations that some scans give, as if trained on these.

    Args:
        exported: the content of `ink.onnx`.
        scans: uint8 [N, 64, 64], of the kind that it will learn from.

    Returns:
        The state of an `InkNet`.

    Raises:
        InputError: the file holds a network of another architecture.
    """
    network = InkNet()
    weights = _weights(exported)
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            before, place = name.rsplit(".", 1)
            conv = f"{before}.{int(place) - 1}.weight"
            _set(module.running_mean, torch.zeros(module.num_features))
            _set(module.running_var, torch.ones(module.num_features) - module.eps)
            _set(module.weight, torch.ones(module.num_features))
            _set(module.bias, weights.pop(f"{conv}_bias", None))
            _set(network.get_parameter(conv), weights.pop(conv, None))
        elif isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            for part in ("weight", "bias"):
                _set(network.get_parameter(f"{name}.{part}"), weights.pop(f"{name}.{part}", None))
    _split_off_statistics(network, scans)
    return network.state_dict()


def _weights(exported: bytes) -> dict[str, Tensor]:
    return {
        one.name: torch.tensor(numpy_helper.to_array(one).copy())
        for one in onnx.load_from_string(exported).graph.initializer
    }


def _set(parameter: Tensor | None, value: Tensor | None) -> None:
    assert parameter is not None
    if value is None or value.shape != parameter.shape:
        raise InputError(
            "the ink network to begin with is of another architecture: only one that digitrec "
            "trained can be"
        )
    parameter.copy_(value)


def _split_off_statistics(network: InkNet, scans: NDArray[np.uint8]) -> None:
    """Make each normalization one that brings its channels to mean 0 and variance 1, and back."""
    norms = [one for one in network.modules() if isinstance(one, nn.BatchNorm2d)]
    found: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def note(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        variance, mean = torch.var_mean(given[0], (0, 2, 3), correction=0)
        found[module] = mean, variance

    hooks = [norm.register_forward_pre_hook(note) for norm in norms]
    network.eval()
    network(torch.tensor(scans))
    for hook in hooks:
        hook.remove()
    for norm in norms:
        mean, variance = found[norm]
        _set(norm.running_mean, mean)
        _set(norm.running_var, variance)
        _set(norm.weight, (variance + norm.eps).sqrt())
        norm.bias.add_(mean)
