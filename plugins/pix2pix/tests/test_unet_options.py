"""The U-Net's options: dropout, norms, presets, and those that are refused."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from ganzoo.plugin_system.registry import current
from ganzoo.testing.networks import io_of
from ganzoo_pix2pix.encoder_decoder import EncoderDecoder
from ganzoo_pix2pix.options import EncoderDecoderOptions, UNetOptions
from ganzoo_pix2pix.unet import UNet

FULL = io_of((3, 256, 256), (3, 256, 256))
TINY = {"depth": 3, "width": 4}
NETS = {"unet": UNetOptions, "encoder_decoder": EncoderDecoderOptions}
TINY_IO = io_of((3, 8, 8), (3, 8, 8))


@pytest.mark.parametrize(
    ("network", "options"), [(UNet, UNetOptions), (EncoderDecoder, EncoderDecoderOptions)]
)
def test_dropout_is_the_noise_of_training_mode_alone(network, options):
    net = network(options(**TINY, dropout_layers=[1, 2]), TINY_IO)
    x = torch.rand(2, 3, 8, 8)
    assert not torch.equal(net(x), net(x))
    torch.manual_seed(1)
    first = net(x)
    torch.manual_seed(1)
    assert torch.equal(net(x), first)
    net.eval()
    assert torch.equal(net(x), net(x))
    assert not torch.equal(net(x), first)
    silent = network(options(**TINY, dropout=0, dropout_layers=[1, 2]), TINY_IO)
    assert torch.equal(silent(x), silent(x))


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize(
    ("network", "options"), [(UNet, UNetOptions), (EncoderDecoder, EncoderDecoderOptions)]
)
def test_every_weight_gets_a_finite_gradient(network, options, norm):
    net = network(options(**TINY, norm=norm), TINY_IO)
    x = torch.rand(1, 3, 8, 8)
    before = x.clone()
    net(x).square().sum().backward()
    assert torch.equal(x, before)  # nothing in place reaches the caller's image
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert all(layer[0].weight.grad.any() for layer in [*net.encoder, *net.decoder])


def test_dropout_stands_where_it_is_asked():
    def layers(**options) -> list[int]:
        net = UNet(UNetOptions(width=1, **options), FULL)
        return [
            number
            for number, layer in enumerate(net.decoder, start=1)
            if any(isinstance(part, nn.Dropout) for part in layer)
        ]

    assert layers() == [2, 3, 4]
    assert layers(depth=7) == [2, 3]
    assert layers(depth=5) == []
    assert layers(dropout_layers=[1, 2, 3]) == [1, 2, 3]


def test_bottleneck_has_a_norm_only_on_request():
    x = torch.rand(1, 3, 8, 8)

    def bottleneck_of(**options) -> torch.Tensor:
        found = []
        net = UNet(UNetOptions(**TINY, **options), TINY_IO)
        net.encoder[-1].register_forward_hook(lambda _, __, result: found.append(result))
        net(x)
        return found[0]

    assert bottleneck_of().any()
    # One value per channel: the paper's erratum, kept as the option that it is in TensorFlow.
    assert not bottleneck_of(bottleneck_norm=True).any()


def test_presets_are_legal_options():
    by_name = {one: current().find("generator", f"pix2pix/{one}") for one in NETS}
    for name, options in NETS.items():
        presets = by_name[name].presets
        assert presets.keys() == {"torch7", "tensorflow", "tiny"}
        for preset in ("torch7", "tensorflow"):
            assert options(**presets[preset]).dropouts() == (1, 2, 3)
        assert options(**presets["tiny"]).dropouts() == (2,)  # small, and of all its parts
    tensorflow = UNetOptions(**by_name["unet"].presets["tensorflow"])
    assert (tensorflow.norm_eps, tensorflow.skip_relu, tensorflow.bottleneck_norm) == (
        1e-3,
        False,
        True,
    )


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"depth": 1}, "greater than or equal to 2"),
        ({"width": 0}, "greater than or equal to 1"),
        ({"norm": "layer"}, "'batch', 'instance' or 'none'"),
        ({"dropout": 1.0}, "less than 1"),
        ({"dropout_layers": [8]}, "between 1 and 7"),
        ({"dropout_layers": [0]}, "greater than or equal to 1"),
        ({"depth": 3, "dropout_layers": [2, 3]}, "between 1 and 2"),
        ({"norm": "instance", "bottleneck_norm": True}, "needs norm = 'batch'"),
        ({"deepness": 8}, "Extra inputs"),
    ],
)
def test_wrong_options_are_refused(wrong, reason):
    with pytest.raises(ValidationError, match=reason):
        UNetOptions(**wrong)


@pytest.mark.parametrize(
    ("network", "options"),
    [(UNet, UNetOptions(**TINY)), (EncoderDecoder, EncoderDecoderOptions(**TINY))],
)
def test_classes_are_refused_since_they_would_be_ignored(network, options):
    with pytest.raises(ValueError, match="doesn't use classes"):
        network(options, io_of(*([(3, 8, 8)] * 2), classes=10))
