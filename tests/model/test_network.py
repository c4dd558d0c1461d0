import torch

from digitrec.model.network import MNIST_MEAN, MNIST_STD, DigitNet, ScanNet, scale


def test_it_is_the_reports_network_layer_by_layer() -> None:
    network = DigitNet()
    counts = [sum(p.numel() for p in layer.parameters()) for layer in network.children()]
    assert counts == [260, 5020, 3210]
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
    for layer in network.children():
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
