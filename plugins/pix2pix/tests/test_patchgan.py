"""The PatchGAN: its numbers, and its receptive field measured by gradient."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from ganzoo.errors import ExitCode, RecipeError
from ganzoo.testing.networks import io_of
from ganzoo_pix2pix.options import PatchGANOptions
from ganzoo_pix2pix.patchgan import PatchGAN

FULL = io_of((6, 256, 256))
#        field: parameters, side of the map at 256 pixels
TABLE = {
    1: (9_024, 256),
    16: (139_585, 126),
    34: (666_433, 62),
    70: (2_768_705, 30),
    142: (6_964_033, 14),
    286: (11_159_361, 6),
}


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("field", TABLE)
def test_published_parameters_and_map_sizes(field):
    options = PatchGANOptions(receptive_field=field)
    parameters, side = TABLE[field]
    with torch.device("meta"):
        network = PatchGAN(options, FULL)
        assert count(network) == parameters
        assert network(torch.zeros(2, 6, 256, 256)).shape == (2, 1, side, side)


def test_unconditional_parameters():
    with torch.device("meta"):
        assert count(PatchGAN(PatchGANOptions(), io_of((3, 256, 256)))) == 2_765_633


def test_biases_stand_in_for_batch_norm():
    def biased(**options) -> list[bool]:
        net = PatchGAN(PatchGANOptions(width=2, **options), FULL)
        return [layer.bias is not None for layer in net.model if isinstance(layer, nn.Conv2d)]

    assert biased() == [True, False, False, False, True]
    assert biased(norm="instance") == [True] * 5
    assert biased(norm="none") == [True] * 5
    assert biased(receptive_field=1) == [True, False, False]
    assert biased(receptive_field=1, norm="none") == [True] * 3


def test_weights_have_the_references_names():
    with torch.device("meta"):
        keys = PatchGAN(PatchGANOptions(), FULL).state_dict().keys()
    convolutions = {f"model.{layer}.weight" for layer in (0, 2, 5, 8, 11)}
    norms = {
        f"model.{layer}.{name}"
        for layer in (3, 6, 9)
        for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }
    assert keys == convolutions | norms | {"model.0.bias", "model.11.bias"}


def measured_field(network: nn.Module, side: int) -> tuple[int, int, int]:
    """Height, width and count of the input pixels that move the output's middle cell."""
    network = network.double().eval()
    x = torch.rand(1, 2, side, side, dtype=torch.float64, requires_grad=True)
    logits = network(x)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    touched = x.grad.abs().sum((0, 1)) > 0
    rows, columns = touched.any(1).sum(), touched.any(0).sum()
    return int(rows), int(columns), int(touched.sum())


@pytest.mark.parametrize("field", TABLE)
def test_declared_field_is_the_measured_one(field):
    options = PatchGANOptions(receptive_field=field, width=2)
    assert options.receptive_field() == field
    torch.manual_seed(0)
    side = 640 if field == 286 else 320
    network = PatchGAN(options, io_of((2, side, side)))
    assert measured_field(network, side) == (field, field, field**2)


def test_the_measurement_sees_a_wrong_stride():
    network = PatchGAN(PatchGANOptions(width=2), io_of((2, 320, 320)))
    network.model[0].stride = (1, 1)
    assert measured_field(network, 320)[0] != 70


def test_images_too_small_for_the_field_are_refused_with_what_would_do():
    smallest = io_of((6, 96, 128))
    assert PatchGAN(PatchGANOptions(receptive_field=286, width=1), smallest)(
        torch.zeros(2, 6, 96, 128)
    ).shape == (2, 1, 1, 2)
    with pytest.raises(RecipeError, match="at least 96 x 96") as caught:
        PatchGAN(PatchGANOptions(receptive_field=286, width=1), io_of((6, 95, 128)))
    assert caught.value.exit_code == ExitCode.RECIPE
    assert caught.value.hint


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("field", [1, 16, 70])
def test_every_weight_gets_a_finite_gradient_and_the_image_stays(field, norm):
    torch.manual_seed(0)
    network = PatchGAN(
        PatchGANOptions(receptive_field=field, width=4, norm=norm), io_of((6, 32, 32))
    )
    x = torch.rand(2, 6, 32, 32)
    before = x.clone()
    network(x).square().mean().backward()
    assert torch.equal(x, before)
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_mode_and_seed_matter():
    def built(seed: int) -> PatchGAN:
        torch.manual_seed(seed)
        return PatchGAN(PatchGANOptions(width=4), io_of((6, 32, 32)))

    x = torch.rand(2, 6, 32, 32)
    assert torch.equal(built(1)(x), built(1)(x))
    assert not torch.equal(built(1)(x), built(2)(x))
    assert not torch.equal(built(1).eval()(x), built(1)(x))
    weight = PatchGAN(PatchGANOptions(width=16, init_std=0.05), FULL).model[5].weight
    assert weight.std().item() == pytest.approx(0.05, rel=0.02)


@pytest.mark.parametrize("field", [0, 2, 71, 256, "70"])
def test_other_fields_are_refused_and_the_legal_ones_named(field):
    with pytest.raises(ValidationError, match="1, 16, 34, 70, 142 or 286") as caught:
        PatchGANOptions(receptive_field=field)
    assert caught.value.errors()[0]["loc"] == ("receptive_field",)


def test_options_are_written_as_a_recipe_reads_them():
    table = PatchGANOptions(receptive_field=16, width=8).model_dump(mode="json", by_alias=True)
    assert table["receptive_field"] == 16
    assert PatchGANOptions(**table).receptive_field() == 16


def test_classes_are_refused_since_they_would_be_ignored():
    options = PatchGANOptions(receptive_field=16, width=4)
    with pytest.raises(ValueError, match="doesn't use classes, but the task has 10"):
        PatchGAN(options, io_of((3, 32, 32), classes=10))
    assert PatchGAN(options, io_of((3, 32, 32))) is not None
