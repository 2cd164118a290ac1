"""The networks: any family, any channels, any size; what is trained, and what is refused."""

import pytest
import timm
import torch
from pydantic import ValidationError
from torch import nn

from ganzoo.errors import DataError, RecipeError
from ganzoo.testing.networks import io_of
from ganzoo_timm_unet import encoder as encoders
from ganzoo_timm_unet.encoder import Encoder, mirror, padded_size, survey
from ganzoo_timm_unet.options import EncoderOptions, TimmPatchOptions, TimmUNetOptions
from ganzoo_timm_unet.patch import TimmPatch
from ganzoo_timm_unet.unet import TimmUNet, doublings

# One a family; its reductions as timm states them, and whether it gives N x H x W x C.
FAMILIES = {
    "resnet10t": ((2, 4, 8, 16, 32), False),
    "convnext_atto": ((4, 8, 16, 32), False),  # begins at 4
    "test_efficientnet": ((2, 4, 8, 16, 32), False),
    "regnetx_002": ((2, 4, 8, 16, 32), False),
    "mobilenetv3_small_050": ((2, 4, 8, 16, 32), False),
    "pvt_v2_b0": ((4, 8, 16, 32), False),  # a hierarchical transformer
    "swin_tiny_patch4_window7_224": ((4, 8, 16, 32), True),  # bound to a size, channels last
    "test_mambaout": ((4, 8, 16, 32), True),
    "test_vit": ((16, 16, 16), False),  # repeats its only reduction
    "efficientvit_m0": ((16, 32, 64), False),  # begins at 16 and goes beyond 32
    "vgg11": ((1, 2, 4, 8, 16, 32), False),  # begins at 1
    "legacy_xception": ((2, 4, 8, 16, 32), False),  # maps smaller than their share
}


def unet(inputs=(3, 32, 32), outputs=3, **options):
    options = {"encoder": "test_resnet", "width": 4, **options}
    io = io_of(inputs, (outputs, *inputs[1:]))
    return TimmUNet(TimmUNetOptions(**options), io)


def patch(inputs=(3, 32, 32), **options):
    options = {"encoder": "test_resnet", "width": 4, **options}
    return TimmPatch(TimmPatchOptions(**options), io_of(inputs))


def without_gradient(network):
    return [n for n, p in network.named_parameters() if p.requires_grad and p.grad is None]


SLOW = {"vgg11"}  # 100 million weights behind its features, which timm makes first


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in FAMILIES]
)
def test_every_family_makes_images_and_all_of_it_learns(name):
    reductions, channels_last = FAMILIES[name]
    network = unet((3, 32, 32), 2, encoder=name)
    assert network.encoder.survey.reductions == reductions
    assert network.encoder.survey.channels_last is channels_last
    made = network(torch.rand(1, 3, 32, 32) * 2 - 1)
    assert made.shape == (1, 2, 32, 32)
    assert made.abs().max() <= 1
    made.square().sum().backward()
    assert without_gradient(network) == []
    assert sum(p.requires_grad for p in network.encoder.parameters()) > 10


def test_a_layer_that_no_map_depends_on_is_not_trained():
    network = unet(encoder="pit_ti_224")
    idle = {n for n, p in network.encoder.model.named_parameters() if not p.requires_grad}
    assert idle == network.encoder.survey.idle == {"body.norm.weight", "body.norm.bias"}
    network(torch.rand(1, 3, 32, 32)).sum().backward()
    assert without_gradient(network) == []


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_built_where_no_gradients_are(without):
    with without():
        network = unet(encoder="pit_ti_224")
    assert network.encoder.survey.idle == {"body.norm.weight", "body.norm.bias"}


def test_maps_are_the_models_own_channels_first():
    network = Encoder(EncoderOptions(encoder="test_mambaout"), (3, 64, 64)).eval()
    x = torch.rand(2, 3, 64, 64)
    maps, raw = network(x), network.model(x)
    assert [m.shape[1] for m in maps] == [16, 32, 48, 64] == [r.shape[3] for r in raw]
    for mine, theirs in zip(maps, raw, strict=True):
        assert torch.equal(mine, theirs.permute(0, 3, 1, 2))


def test_the_layout_is_read_and_not_guessed(monkeypatch):
    """Control: taken for channels first, the same maps don't fit the decoder."""
    monkeypatch.setattr(
        encoders, "_on_meta", lambda *a, old=encoders._on_meta: wrong_layout(old(*a))
    )
    with pytest.raises(RuntimeError, match="channels"):
        unet(encoder="test_mambaout")(torch.rand(1, 3, 32, 32))


def wrong_layout(found):
    return type(found)(**{**vars(found), "channels_last": False})


def test_maps_of_one_reduction_are_joined():
    network = Encoder(EncoderOptions(encoder="test_vit"), (3, 32, 32))
    assert network.reductions == (16,)
    assert network.channels == (3 * 64,)
    (joined,) = network(torch.rand(1, 3, 32, 32))
    assert joined.shape == (1, 192, 2, 2)


@pytest.mark.parametrize(
    ("reductions", "steps"),
    [
        ((2, 4, 8, 16, 32), (16, 8, 4, 2, 1)),
        ((4, 8, 16, 32), (16, 8, 4, 2, 1)),
        ((4, 8, 32), (16, 8, 4, 2, 1)),  # skips 16
        ((16,), (8, 4, 2, 1)),
        ((7, 14), (7, 3.5, 1.75, 1)),
        ((1,), (1,)),
    ],
)
def test_the_decoder_doubles_at_most(reductions, steps):
    assert doublings(reductions) == steps


def test_levels_leave_the_deep_layers_out():
    whole, some = unet(), unet(levels=2)
    assert (whole.encoder.reductions, some.encoder.reductions) == ((2, 4, 8, 16, 32), (2, 4))
    count = [sum(p.numel() for p in n.encoder.parameters()) for n in (whole, some)]
    assert count[1] < count[0] / 4
    with pytest.raises(RecipeError, match="levels = 6: test_resnet has 5 levels"):
        unet(levels=6)


def test_levels_of_a_family_that_computes_the_rest_all_the_same():
    network = unet(encoder="mobilenetv3_small_050", levels=3)
    assert network.encoder.reductions == (2, 4, 8)
    assert network.encoder.survey.multiple == 32
    assert any("blocks.5" in name for name in network.encoder.survey.idle)
    network(torch.rand(1, 3, 32, 32)).sum().backward()
    assert without_gradient(network) == []
    assert unet(levels=3).encoder.survey.multiple == 8  # control: one that leaves it out


@pytest.mark.parametrize("channels", [1, 2, 4, 12])
@pytest.mark.parametrize("make", [unet, patch])
def test_any_channels(make, channels):
    made = make((channels, 32, 32), levels=2)(torch.rand(2, channels, 32, 32))
    assert all(one.shape[0] == 2 for one in ([made] if isinstance(made, torch.Tensor) else made))


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (1, 1), (5, 96), (64, 32)])
def test_any_size_even_another_than_it_was_built_for(size):
    network = unet()
    for batch in (1, 3):  # also in training, where the coarsest map must have several cells
        assert network(torch.rand(batch, 3, *size)).shape == (batch, 3, *size)


def test_a_smaller_padding_would_starve_batch_norm(monkeypatch):
    """Control: why 32 x 32 pixels are padded although 32 divides them."""
    monkeypatch.setattr(encoders, "padded_size", lambda h, w, r: (h, w))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        unet()(torch.rand(1, 3, 32, 32))


def test_sizes_that_need_no_padding_get_none():
    assert padded_size(64, 96, 32) == (64, 96)
    assert padded_size(65, 20, 32) == (96, 64)


def test_mirror():
    x = torch.arange(6.0).view(1, 1, 2, 3)
    assert torch.equal(mirror(x, 2, 3), x)
    assert mirror(x, 2, 8)[0, 0, 0].tolist() == [0, 1, 2, 2, 1, 0, 0, 1]
    assert mirror(x, 5, 3)[0, 0, :, 0].tolist() == [0, 3, 3, 0, 0]


def test_an_encoder_bound_to_a_size_says_so():
    network = unet((3, 64, 64), encoder="test_coatnet")
    assert network.encoder.survey.fixed == (64, 64)
    assert network(torch.rand(1, 3, 50, 64)).shape == (1, 3, 50, 64)  # padded to 64 x 64
    with pytest.raises(DataError, match=r"built for images of 64 x 64 .* this one is 64 x 80"):
        network(torch.rand(1, 3, 64, 80))


@pytest.mark.parametrize("make", [unet, patch])
def test_the_seed_alone_decides_the_weights(make):
    built = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        built.append(make().state_dict())
    same = [torch.equal(a, b) for a, b in zip(built[0].values(), built[1].values(), strict=True)]
    assert all(same)
    assert not torch.equal(
        built[0]["encoder.model.conv1.0.weight"], built[2]["encoder.model.conv1.0.weight"]
    )


def test_dropout_is_where_it_says():
    network = unet(dropout=0.5)
    drops = [m for m in network.decoder.modules() if isinstance(m, nn.Dropout)]
    assert [d.p for d in drops] == [0.5] * 3  # at 16, 8 and 4 of 32
    x = torch.rand(1, 3, 32, 32)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
def test_norms_of_the_decoder(norm):
    network = unet(norm=norm)
    convs = [m for m in network.decoder.modules() if isinstance(m, nn.Conv2d)]
    assert all((c.bias is None) is (norm == "batch") for c in convs)
    network(torch.rand(2, 3, 32, 32)).sum().backward()
    assert without_gradient(network) == []


# -- the discriminator ---------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["spectral", "batch", "instance", "none"])
def test_patch_judges_every_level(norm):
    logits = patch((6, 64, 64), norm=norm)(torch.rand(2, 6, 64, 64))
    assert [tuple(one.shape) for one in logits] == [(2, 1, s, s) for s in (32, 16, 8, 4, 2)]


def test_spectral_heads_have_norm_one():
    network = patch(levels=1)
    weight = network.heads[0][0].weight.flatten(1)
    for _ in range(30):  # one power iteration each
        network(torch.rand(1, 3, 32, 32))
        weight = network.heads[0][0].weight.flatten(1)
    assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1, abs=0.02)
    plain = patch(levels=1, norm="none").heads[0][0].weight.flatten(1)  # control
    assert torch.linalg.matrix_norm(plain, 2).item() != pytest.approx(1, abs=0.02)


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("convnext_ato", "timm .* has no model"),
        ("resnet18.nope", "knows no weights 'nope' of resnet18"),
        ("inception_v4", "gives no feature maps of images 3 x 32 x 32"),  # too small for it
    ],
)
def test_an_encoder_that_cannot_be_is_explained(name, message):
    with pytest.raises(RecipeError, match=message) as refused:
        unet(encoder=name)
    assert refused.value.exit_code == 3
    assert f"encoder = '{name}'" in refused.value.message
    assert "did you mean convnext_atto" in refused.value.hint.lower() or name != "convnext_ato"


def test_nearest_names_give_pyramids():
    """Plain transformers have a single reduction, so they aren't named."""
    with pytest.raises(RecipeError) as refused:
        survey(EncoderOptions(encoder="vit_tiny_patch16_223"), (3, 32, 32))
    assert "vit_tiny" not in refused.value.hint
    assert timm.is_model("vit_tiny_patch16_224")  # control: there is a near name to leave out


@pytest.mark.parametrize(
    "bad",
    [
        {"encoder": "hf-hub:timm/resnet18"},
        {"encoder": "local-dir:/tmp"},
        {"encoder": "../resnet18"},
        {"levels": 0},
        {"pretrained": True, "weights": "a.pth"},
        {"frozen": True},
    ],
)
def test_options_refuse(bad):
    TimmPatchOptions(pretrained=True, frozen=True)
    with pytest.raises(ValidationError):
        TimmPatchOptions(**bad)


@pytest.mark.parametrize(
    ("io", "message"),
    [
        (io_of((16,), (3, 32, 32)), "takes images"),
        (io_of((3, 32, 32), (2,)), "makes images"),
        (io_of((3, 32, 32), (3, 64, 64)), "differ"),
        (io_of((3, 32, 32), (3, 32, 32), classes=2), "doesn't use classes"),
    ],
)
def test_unet_refuses_what_is_no_image(io, message):
    with pytest.raises(ValueError, match=message):
        TimmUNet(TimmUNetOptions(), io)


def test_patch_refuses_points_and_classes():
    with pytest.raises(ValueError, match="takes images"):
        TimmPatch(TimmPatchOptions(), io_of((2,)))
    with pytest.raises(ValueError, match="doesn't use classes"):
        TimmPatch(TimmPatchOptions(), io_of((3, 32, 32), classes=2))
