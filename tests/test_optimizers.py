"""The optimizers and schedules of the core."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from ganzoo.optimizers.torch_optimizers import eager

OPTIMIZERS = [
    (torch.optim.Adam, {"betas": (0.5, 0.999), "fused": True}),
    (torch.optim.Adam, {"weight_decay": 0.1}),
    (torch.optim.AdamW, {"fused": True}),
    (torch.optim.SGD, {"momentum": 0.9, "fused": True}),
    (torch.optim.RMSprop, {"momentum": 0.5}),
]


def train(kind, settings, *, rate=0.1):
    """Weights and state after five steps, with a save and a load between them."""
    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    optimizer = kind(net.parameters(), rate, **settings)
    for step in range(5):
        optimizer.zero_grad()
        net(torch.ones(4, 3)).square().sum().backward()
        optimizer.step()
        if step == 2:
            saved = optimizer.state_dict()
            optimizer = kind(net.parameters(), 123.0, **settings)
            optimizer.load_state_dict(saved)
    state = [value for one in optimizer.state_dict()["state"].values() for value in one.values()]
    return [*net.parameters(), *(value for value in state if value is not None)]


@pytest.mark.parametrize(("kind", "settings"), OPTIMIZERS)
def test_the_numbers_are_torchs(kind, settings):
    mine, theirs = train(eager(kind), settings), train(kind, settings)
    assert len(mine) == len(theirs) > 2
    assert all(torch.equal(one, other) for one, other in zip(mine, theirs, strict=True))
    other = train(eager(kind), settings, rate=0.2)  # the control: the rate is heard
    assert not torch.equal(mine[0], other[0])


def test_it_is_still_torchs_class_and_leaves_that_alone():
    before = torch.optim.Adam.step
    kind = eager(torch.optim.Adam)
    optimizer = kind([nn.Parameter(torch.ones(1))])
    assert isinstance(optimizer, torch.optim.Adam)
    assert torch.optim.Adam.step is before
    assert torch.is_grad_enabled()


USE = """
import sys, torch
from ganzoo.optimizers.torch_optimizers import eager
weight = torch.nn.Parameter(torch.ones(3))
optimizer = {kind}([weight], 0.1)
weight.sum().backward()
optimizer.step()
optimizer.zero_grad()
optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize(
    ("kind", "imported"), [("eager(torch.optim.Adam)", "False"), ("torch.optim.Adam", "True")]
)
def test_the_compiler_stays_out(kind, imported):
    command = [sys.executable, "-c", USE.format(kind=kind)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == imported
