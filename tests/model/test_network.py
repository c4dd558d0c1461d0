import pytest
import torch
from torch import nn
from torch.nn import functional as F

from digitrec.model.network import MNIST_MEAN, MNIST_STD, DigitNet, LargeNet, ScanNet, folded, scale


def test_it_is_the_reports_network_layer_by_layer() -> None:
    network = DigitNet()
    counts = {
        name: sum(p.numel() for p in layer.parameters()) for name, layer in network.named_children()
    }
    assert counts == {"conv1": 260, "norm1": 0, "conv2": 5020, "norm2": 0, "linear": 3210}
    assert sum(p.numel() for p in network.parameters()) == 8490
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes == {
        "conv1.weight": (10, 1, 5, 5),
        "conv1.bias": (10,),
        "conv2.weight": (20, 10, 5, 5),
        "conv2.bias": (20,),
        "linear.weight": (10, 320),
        "linear.bias": (10,),
    }


def test_shapes_on_the_way() -> None:
    network, seen = DigitNet(), []
    for layer in (network.conv1, network.conv2, network.linear):
        layer.register_forward_hook(lambda _, args, out: seen.append((args[0].shape, out.shape)))
    logits = network(torch.zeros(3, 1, 28, 28))
    assert [tuple(shape) for pair in seen for shape in pair] == [
        (3, 1, 28, 28),
        (3, 10, 24, 24),
        (3, 10, 12, 12),
        (3, 20, 8, 8),
        (3, 320),
        (3, 10),
    ]
    assert logits.shape == (3, 10)


def test_the_large_one_layer_by_layer() -> None:
    network, seen = LargeNet(), []
    for layer in (network.conv1, network.conv2, network.conv3, network.conv4, network.conv5):
        layer.register_forward_hook(lambda _, args, out: seen.append(tuple(out.shape[1:])))
    assert network(torch.zeros(3, 1, 28, 28)).shape == (3, 10)
    assert seen == [(16, 24, 24), (32, 12, 12), (64, 12, 12), (96, 6, 6), (96, 6, 6)]
    assert sum(p.numel() for p in network.parameters()) == 162_954


@pytest.mark.parametrize("make", [DigitNet, LargeNet])
def test_folded_it_says_the_same_without_batch_normalization(
    make: type[DigitNet] | type[LargeNet],
) -> None:
    torch.manual_seed(3)
    network, scaled = make(batch_norm=True), torch.randn(64, 1, 28, 28)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
    assert not torch.allclose(network(scaled), network.eval()(scaled), atol=0.1)
    plain = folded(network)
    assert list(plain.state_dict()) == list(make().state_dict())
    assert sum(p.numel() for p in plain.parameters()) == sum(p.numel() for p in make().parameters())
    torch.testing.assert_close(plain(scaled), network(scaled), atol=1e-4, rtol=1e-4)
    without = make().eval()
    torch.testing.assert_close(folded(without)(scaled), without(scaled))


def test_scaling_is_mnists_mean_and_deviation() -> None:
    scans = torch.tensor([[[0, 255]]], dtype=torch.uint8)
    expected = [(0 - MNIST_MEAN) / MNIST_STD, (1 - MNIST_MEAN) / MNIST_STD]
    torch.testing.assert_close(scale(scans).flatten(), torch.tensor(expected))
    network = DigitNet().eval()
    scans = torch.randint(0, 256, (4, 28, 28), dtype=torch.uint8)
    torch.testing.assert_close(ScanNet(network)(scans), network(scale(scans)))


def test_the_constants_are_mnists(mnist_train: tuple) -> None:
    images = mnist_train[0] / 255
    assert abs(images.mean() - MNIST_MEAN) < 1e-4
    assert abs(images.std() - MNIST_STD) < 1e-4


def test_pooled_before_the_relu_is_the_reports_order() -> None:
    torch.manual_seed(4)
    network, scaled = DigitNet(), torch.randn(64, 1, 28, 28)
    features = F.max_pool2d(F.relu(network.conv1(scaled)), 2)
    features = F.max_pool2d(F.relu(network.conv2(features)), 2)
    logits = network.linear(features.flatten(1))
    assert torch.equal(network(scaled), logits)
    weights = list(network.parameters())
    expected = torch.autograd.grad(logits.square().sum(), weights)
    for found, gradient in zip(
        torch.autograd.grad(network(scaled).square().sum(), weights), expected, strict=True
    ):
        assert torch.equal(found, gradient)
