"""A whole model of timm with weights of its own, and its file."""

from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file

NAME = "mobilenetv3_small_050"  # small, and its images are normalised by ImageNet's statistics


@pytest.fixture(scope="module")
def model():
    """A whole model with weights unlike any fresh one's, statistics included."""
    torch.manual_seed(7)
    made = timm.create_model(NAME)
    for tensor in made.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(0.05 * torch.rand_like(tensor))
    return made.eval()


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_file(model.state_dict(), path)
    return path
