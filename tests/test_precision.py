"""Networks in 16 bits: what is rounded, what isn't, and that it's the same image all the same."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import nn

from ganzoo.errors import DivergedError, EnvironmentFault, ExitCode, UsageError
from ganzoo.inference.application_weights import find_application
from ganzoo.inference.load_application import load_trained
from ganzoo.inference.modes import inference_mode
from ganzoo.inference.precision import PRECISIONS, computing_in, lower_weights
from ganzoo.inference.predict import predict
from ganzoo.inference.trained_application import as_given
from ganzoo.inference.weights_card import WeightsCard
from ganzoo.inference.weights_file import build_network, load_weights, save_weights
from ganzoo.interfaces import Field
from ganzoo.nn.device_and_precision import pick_device, pick_precision
from ganzoo.testing.networks import io_of

TOY = "inference_toy"
pytestmark = pytest.mark.usefixtures("toy_plugin")
CPU = torch.device("cpu")
IMAGE = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(4))


@pytest.fixture
def weights(tmp_path):
    shape = (3, 64, 64)
    card = WeightsCard(
        role="generator",
        kind="generator",
        network={"use": "inference_toy/net"},
        revision=1,
        io=io_of(shape, shape),
        task={"use": "inference_toy/task"},
        fields={"source": Field(shape, "ganzoo/image"), "target": Field(shape, "ganzoo/image")},
        size_multiple=4,
    )
    torch.manual_seed(0)
    net = build_network(card)
    net[7].weight.data.mul_(4)  # a tanh that is used
    return save_weights(tmp_path / "g.safetensors", net.state_dict(), card) or (
        tmp_path / "g.safetensors"
    )


@pytest.fixture
def picture(tmp_path):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "in.png")
    return tmp_path / "in.png"


def levels(path):
    return np.asarray(Image.open(path)).astype(int)


@pytest.mark.parametrize("mode", ["paper", "deterministic", "running"])
def test_bf16_makes_the_image_of_fp32(tmp_path, weights, picture, mode):
    made = {}
    for precision in ("fp32", "bf16"):
        out = tmp_path / f"{precision}.png"
        predict(weights, [picture], out, mode=mode, device="cpu", precision=precision)
        made[precision] = levels(out)
    assert made["fp32"].std() > 20
    apart = np.abs(made["bf16"] - made["fp32"])
    assert apart.any()
    assert apart.max() <= 8
    assert apart.mean() < 1
    # Negative control: with another mask of dropout they'd be far apart.
    predict(weights, [picture], tmp_path / "other.png", mode="paper", seed=1, device="cpu")
    assert np.abs(levels(tmp_path / "other.png") - made["fp32"]).mean() > 10


class Scaled(nn.Conv2d):
    def forward(self, x):
        return self._conv_forward(x, self.weight * self.weight.numel() ** -0.5, self.bias)


class Standardised(nn.Conv2d):
    def _conv_forward(self, x, weight, bias):
        return super()._conv_forward(x, weight - weight.mean(), bias)


def make_net():
    torch.manual_seed(3)
    spectral = nn.utils.parametrizations.spectral_norm(nn.Conv2d(8, 8, 3, padding=1))
    return nn.Sequential(
        nn.Conv2d(3, 8, 4, 2, 1),
        nn.BatchNorm2d(8),
        nn.Dropout(0.5),
        Scaled(8, 8, 3, padding=1),
        Standardised(8, 8, 3, padding=1),
        spectral,
        nn.ConvTranspose2d(8, 3, 4, 2, 1),
        nn.Flatten(2),
        nn.Linear(256, 5),
    )


def used(net, precision="bf16"):
    with inference_mode(net, "paper", 7), computing_in(precision, net):
        return net(IMAGE)


def test_weights_rounded_once_give_what_autocast_gives():
    plain, lowered = make_net(), make_net()
    lower_weights(lowered, "bf16")
    assert torch.equal(used(lowered), used(plain))
    assert not torch.equal(used(plain), used(plain, "fp32").to(torch.bfloat16))
    seen = []
    for module in lowered:  # while it's called
        module.register_forward_pre_hook(lambda one, _: seen.append((one, one_dtype(one))))
    used(lowered)
    halves = {type(one).__name__ for one, dtype in seen if dtype == torch.bfloat16}
    assert halves == {"Conv2d", "ConvTranspose2d", "Linear"}
    rounded_all = make_net()
    for module in rounded_all:  # negative control: what does more than multiply mustn't be rounded
        if isinstance(module, nn.Conv2d):
            module.to(torch.bfloat16)
    assert not torch.equal(used(rounded_all), used(plain))


class Delicate(nn.Module):
    """Uses its layers as other people's networks do: without autocast, and their weights alone."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.conv, self.fc, self.unused = nn.Conv2d(3, 8, 3), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        h = self.conv(x).mean((2, 3))
        with torch.autocast("cpu", enabled=False):
            h = self.fc(h.float())
        return h + torch.lerp(h, self.unused.bias[None], 0.5) * self.unused.weight.norm()


@pytest.mark.parametrize("double", [False, True])
def test_a_network_that_looks_after_its_own_precision_gets_its_own_weights(double):
    plain, lowered = Delicate(), Delicate()
    image = IMAGE.double() if double else IMAGE
    for net in (plain, lowered):
        net.to(image.dtype)
    lower_weights(lowered, "bf16")
    made = []
    for net in (plain, lowered):
        with torch.no_grad(), computing_in("bf16", net):
            if double:  # which autocast leaves alone
                made.append(net.conv(image))
            else:
                made.append(net(image))
    assert torch.equal(*made)
    with torch.no_grad():  # outside of it the network is as it was
        assert torch.equal(plain.conv(image), lowered.conv(image))
    rounded = plain.bfloat16()  # negative control: it has none of this with rounded weights
    with (
        pytest.raises(RuntimeError, match="dtype"),
        torch.no_grad(),
        computing_in("bf16", rounded),
    ):
        rounded(IMAGE)


def test_a_call_that_fails_leaves_a_layer_its_own_weights():
    net = make_net()
    own = [id(parameter) for parameter in net.parameters()]
    lower_weights(net, "bf16")
    with pytest.raises(RuntimeError), torch.no_grad(), computing_in("bf16", net):
        net[0](IMAGE[:, :2])
    assert own == [id(parameter) for parameter in net.parameters()]


def one_dtype(module):
    parameter = next(module.parameters(), None)
    return None if parameter is None else parameter.dtype


def test_fp32_changes_nothing():
    net = make_net()
    names = [(name, id(parameter)) for name, parameter in net.named_parameters()]
    lower_weights(net, "fp32")
    assert names == [(name, id(parameter)) for name, parameter in net.named_parameters()]
    with computing_in("fp32", net):
        assert not torch.is_autocast_enabled("cpu")
        assert not net[2]._forward_pre_hooks


@pytest.mark.parametrize("fails", [False, True])
def test_dropout_draws_in_float32(fails):
    net, seen = make_net(), []
    net[2].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].dtype))
    if fails:
        net[3].register_forward_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            used(net)
    else:
        used(net)
    assert seen == [torch.float32]
    assert not torch.is_autocast_enabled("cpu")
    assert not net[2]._forward_pre_hooks
    if not fails:  # negative control: without that it gets what the convolution made
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            net(IMAGE)
        assert seen[1] == torch.bfloat16


def test_inputs_are_not_rounded_before_the_network():
    net = nn.Sequential(nn.Conv2d(3, 3, 1))
    lower_weights(net, "bf16")
    assert as_given(IMAGE, net).dtype == torch.float32
    assert as_given(IMAGE, net.double()).dtype == torch.float64
    assert as_given(torch.tensor([1]), net).dtype == torch.int64


@pytest.mark.parametrize(
    ("wanted", "fast", "auto", "becomes"),
    [
        ("auto", True, None, "bf16"),
        ("auto", False, None, "fp32"),
        ("auto", True, "fp32", "fp32"),
        ("fp32", True, "bf16", "fp32"),
        ("bf16", False, None, "bf16"),
    ],
)
def test_auto(monkeypatch, wanted, fast, auto, becomes):
    monkeypatch.setattr("ganzoo.nn.device_and_precision.multiplies_bf16", lambda _: fast)
    assert pick_precision(wanted, "cpu", auto=auto) == becomes


def test_auto_elsewhere(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    assert pick_precision("auto", "cpu") == "bf16"
    assert pick_precision("auto", "mps") == "fp32"
    assert pick_precision("auto", "cuda") == "fp16"
    assert pick_precision("fp16", "cuda") == "fp16"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    assert pick_precision("auto", "cuda") == "bf16"
    with pytest.raises(EnvironmentFault, match="needs CUDA") as caught:
        pick_precision("fp16", "cpu")
    assert caught.value.exit_code == ExitCode.ENVIRONMENT
    with pytest.raises(EnvironmentFault, match="no fp64"):
        pick_precision("fp64", "mps")


@pytest.mark.parametrize(
    ("there", "auto"), [(("cuda", "mps"), "cuda"), (("mps",), "mps"), ((), "cpu")]
)
def test_devices(monkeypatch, there, auto):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in there)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in there)
    assert pick_device("auto") == auto
    assert pick_device("cpu") == "cpu"
    for device in ("cuda", "mps"):
        if device in there:
            assert pick_device(device) == device
        else:
            with pytest.raises(
                EnvironmentFault, match=f"the device {device} was requested"
            ) as caught:
                pick_device(device)
            assert "--device cpu" in caught.value.hint


def test_results_say_their_precision(tmp_path, monkeypatch, weights, picture):
    from ganzoo.cli.predict import command

    for fast, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(
            "ganzoo.nn.device_and_precision.multiplies_bf16", lambda _, fast=fast: fast
        )
        out = tmp_path / f"{expected}.png"
        arguments = [weights, picture, "-o", out, "--device", "cpu", "--json"]
        result = CliRunner().invoke(command, [str(one) for one in arguments])
        assert result.exit_code == 0, result.exception
        assert json.loads(result.stdout)["precision"] == expected
        assert f"on cpu in {expected}" in result.stderr
        assert json.loads(Image.open(out).text["ganzoo"])["precision"] == expected
        plain = tmp_path / f"plain_{expected}.png"
        predict(weights, [picture], plain, device="cpu", precision=expected)
        assert np.array_equal(levels(out), levels(plain))
    assert not np.array_equal(levels(tmp_path / "bf16.png"), levels(tmp_path / "fp32.png"))


def test_a_precision_of_training_alone_is_refused(weights, picture, tmp_path):
    """It would be computed in fp32, and the result would say fp64."""
    with pytest.raises(UsageError, match="aren't computed in fp64"):
        predict(weights, [picture], tmp_path / "out.png", device="cpu", precision="fp64")
    assert not (tmp_path / "out.png").exists()


def test_commands_know_the_precisions():
    from ganzoo.cli.predict import command
    from ganzoo.cli.sample import command as sample

    for one, default in ((command, "auto"), (sample, "fp32")):
        option = next(parameter for parameter in one.params if parameter.name == "precision")
        assert tuple(option.type.choices) == ("auto", *PRECISIONS)
        assert option.default == default


def test_a_value_that_overflows_names_its_file_and_the_precision(tmp_path, weights, picture):
    card, state = load_weights(weights)
    state["7.bias"][0] = float("nan")
    save_weights(weights, state, card)
    hints = {}
    for precision in ("fp32", "bf16"):
        with pytest.raises(DivergedError) as caught:
            predict(weights, [picture], tmp_path / "o.png", device="cpu", precision=precision)
        assert caught.value.where == str(picture)
        hints[precision] = caught.value.hint
    assert "--precision fp32" in hints["bf16"]
    assert "--precision" not in hints["fp32"]


def test_the_file_keeps_its_weights(weights):
    before = weights.read_bytes()
    trained = load_trained(find_application(weights), device="cpu", precision="bf16")
    net = trained.nets["generator"]
    net[0].register_forward_pre_hook(lambda one, _: seen.append(one.weight.dtype))
    seen = []
    with torch.no_grad(), computing_in("bf16", net):
        net[0](IMAGE)
    assert seen == [torch.bfloat16]
    assert net[1].weight.dtype == torch.float32
    assert dataclasses.replace(trained, precision="fp32").precision == "fp32"
    assert weights.read_bytes() == before
