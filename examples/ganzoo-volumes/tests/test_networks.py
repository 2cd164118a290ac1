"""What the networks promise beyond the contract: any size, and cells that see what options say."""

import pytest
import torch
from ganzoo_volumes.networks import Patch, UNet
from ganzoo_volumes.options import PatchOptions, UNetOptions

from ganzoo.interfaces import Field, NetIO

SIZE = (9, 16, 12)
SMALL = UNetOptions(width=4, levels=2)


def volume_io(size=SIZE, made=None):
    source, target = (
        Field((1, *one), "volumes/volume", range=(0, 1)) for one in (size, made or size)
    )
    return NetIO({"source": source}, {"target": target})


@pytest.mark.parametrize("size", [SIZE, (1, 1, 1), (5, 7, 31)])
def test_every_size_comes_back_and_lies_in_range(size):
    made = UNet(SMALL, volume_io())(1e3 * torch.randn(2, 1, *size))
    assert made.shape == (2, 1, *size)
    assert made.abs().max() <= 1


def test_padding_changes_no_result_that_needs_none():
    net, x = UNet(SMALL, volume_io()), torch.randn(1, 1, 8, 8, 8)
    padded = torch.nn.functional.pad(x[..., :7], [0, 1, 0, 0, 0, 0], mode="replicate")
    assert torch.equal(net(x[..., :7]), net(padded)[..., :7])


def test_what_does_not_fit_is_refused_with_the_reason():
    image = Field((3, 16, 16), "ganzoo/image")
    with pytest.raises(ValueError, match="one volume"):
        UNet(SMALL, NetIO({"source": image}, {"target": image}))
    with pytest.raises(ValueError, match="of the size that it takes"):
        UNet(SMALL, volume_io(SIZE, (9, 16, 16)))
    with pytest.raises(ValueError, match="at least 16 voxels"):
        Patch(PatchOptions(layers=3), NetIO({"target": Field((1, 8, 32, 32), "volumes/volume")}))


def test_a_cell_of_two_layers_sees_as_much_as_the_options_say():
    options = PatchOptions(width=2, layers=2)  # the preset `tiny`, which ganzoo checks, has one
    io = NetIO({"pair": Field((1, 48, 48, 48), "volumes/volume", range=(-1, 1))})
    x = torch.rand(1, 1, 48, 48, 48, requires_grad=True)
    Patch(options, io)(x)[0, 0, 5, 5, 5].backward()
    for axes in ((0, 1, 3, 4), (0, 1, 2, 4), (0, 1, 2, 3)):
        seen = x.grad.abs().sum(axes).nonzero()
        assert int(seen.max() - seen.min()) + 1 == options.receptive_field()
