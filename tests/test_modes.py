"""The three inference modes: what each computes, and that none leaves a trace."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ganzoo.inference.modes import MODES, inference_mode
from ganzoo.nn.norm import BatchNorm2d


def make_net(norm: type[nn.Module], **options) -> nn.Sequential:
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), norm(8, **options), nn.Dropout(0.5), nn.Conv2d(8, 2, 1), nn.Tanh()
    )
    if net[1].running_mean is not None:
        net[1].running_mean.fill_(0.3)
        net[1].running_var.fill_(2.0)
    return net


IMAGE = torch.randn(1, 3, 9, 9, generator=torch.Generator().manual_seed(4))


def test_each_mode_computes_what_it_says():
    net = make_net(nn.BatchNorm2d)
    with inference_mode(net, "running"):
        running = net(IMAGE)
    with inference_mode(net, "deterministic"):
        deterministic = net(IMAGE)
    with inference_mode(net, "paper", seed=7):
        paper = net(IMAGE)
    stored = make_net(nn.BatchNorm2d).eval()
    assert torch.equal(running, stored(IMAGE))

    trained = make_net(nn.BatchNorm2d).train()
    trained[2].eval()
    assert torch.equal(deterministic, trained(IMAGE))

    trained = make_net(nn.BatchNorm2d).train()
    torch.manual_seed(7)
    assert torch.equal(paper, trained(IMAGE))
    assert len({running.sum().item(), deterministic.sum().item(), paper.sum().item()}) == 3


def test_paper_depends_on_its_seed_alone():
    net = make_net(nn.BatchNorm2d)

    def run(seed, noise=0):
        torch.randn(noise)
        with inference_mode(net, "paper", seed):
            return net(IMAGE)

    assert torch.equal(run(3), run(3, noise=5))
    assert not torch.equal(run(3), run(4))


@pytest.mark.parametrize("mode", ["paper", "deterministic"])
def test_tracking_instance_norm_uses_the_image(mode):
    net = make_net(nn.InstanceNorm2d, track_running_stats=True, affine=True)
    plain = make_net(nn.InstanceNorm2d, affine=True)
    with inference_mode(net, mode, 2):
        first = net(IMAGE)
    with inference_mode(plain, mode, 2):
        assert torch.equal(first, plain(IMAGE))
    with inference_mode(net, "running"):
        assert not torch.equal(first, net(IMAGE))


def snapshot(net):
    return (
        {name: tensor.clone() for name, tensor in net.state_dict().items()},
        {name: id(tensor) for name, tensor in [*net.named_buffers(), *net.named_parameters()]},
        [
            (module.training, getattr(module, "track_running_stats", None))
            for module in net.modules()
        ],
    )


@settings(max_examples=40, deadline=None)
@given(
    mode=st.sampled_from(MODES),
    norm=st.sampled_from(
        [
            (nn.BatchNorm2d, {}),
            (nn.BatchNorm2d, {"track_running_stats": False}),
            (nn.InstanceNorm2d, {"track_running_stats": True}),
            (nn.InstanceNorm2d, {}),
            (nn.SyncBatchNorm, {}),
            (BatchNorm2d, {}),
        ]
    ),
    flags=st.lists(st.booleans(), min_size=6, max_size=6),
    fails=st.booleans(),
)
def test_no_mode_leaves_a_trace(mode, norm, flags, fails):
    net = make_net(norm[0], **norm[1])
    for module, flag in zip(net.modules(), flags, strict=True):
        module.training = flag
    state, ids, settings_before = snapshot(net)
    random = torch.get_rng_state()

    def use():
        with inference_mode(net, mode, 5):
            net(IMAGE)
            if fails:
                raise KeyError

    if fails:
        with pytest.raises(KeyError):
            use()
    else:
        use()
    state_after, ids_after, settings_after = snapshot(net)
    assert ids == ids_after
    assert settings_before == settings_after
    assert state.keys() == state_after.keys()
    assert all(torch.equal(state[name], state_after[name]) for name in state)
    assert torch.equal(random, torch.get_rng_state())
    assert torch.is_grad_enabled()


def test_negative_control_training_mode_does_leave_a_trace():
    net = make_net(nn.BatchNorm2d).train()
    state, _, _ = snapshot(net)
    random = torch.get_rng_state()
    net(IMAGE)
    assert not torch.equal(state["1.running_mean"], net[1].running_mean)
    assert not torch.equal(random, torch.get_rng_state())


@pytest.mark.parametrize("mode", ["paper", "deterministic"])
def test_one_value_per_channel_is_as_in_training(mode):
    """The bottleneck of a network with a norm on a 1x1 map: ganzoo's batch norm gives its shift."""
    net = BatchNorm2d(4)
    net.bias.data = torch.arange(4.0)
    with inference_mode(net, mode):
        assert torch.equal(net(torch.randn(1, 4, 1, 1)).flatten(), net.bias)
    assert net.num_batches_tracked == 0
    assert torch.equal(net.running_mean, torch.zeros(4))


def test_spectral_norm_is_not_stepped():
    torch.manual_seed(0)
    net = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 3)))
    state, _, _ = snapshot(net)
    with inference_mode(net, "paper"):
        net(IMAGE)
    assert all(torch.equal(state[name], value) for name, value in net.state_dict().items())


def test_channels_of_a_batch_would_share_statistics():
    """Why images go one at a time: in a batch the result of one depends on the others."""
    net = make_net(nn.BatchNorm2d)
    with inference_mode(net, "deterministic"):
        alone = net(IMAGE)
        together = net(torch.cat((IMAGE, 3 * IMAGE + 1)))[:1]
    assert not torch.allclose(alone, together, atol=1e-3)
