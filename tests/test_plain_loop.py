"""With every fast path on, a run's losses are those of a plain PyTorch loop from the same weights.

The plain loop (tests/benchmarks/plain.py) has torch's own layers, and Adam without its fused
kernel; nothing of ganzoo is in it.
"""

from __future__ import annotations

import itertools

import pytest
import torch

from ganzoo.recipe import load_recipe
from tests.benchmarks import plain

SMALL = ["generator.depth=5", "generator.width=32", "discriminator.width=8", "augment=[]"]
"""Of 32 pixels: 256 channels on maps of 1, 4 and 16 pixels are multiplied as matrices."""


def both(precision, trainer_of, sets, side):
    """A trainer and a plain step with its weights, and batches for both."""
    sets = [
        *sets,
        *(f"train.precision={precision}", "train.device=cpu", "generator.dropout=0.0"),
        *("data.use=facades/procedural", f"data.size={side}"),
    ]
    recipe = load_recipe("pix2pix_facades", sets)
    trainer = trainer_of(recipe)
    widths = [recipe.networks[kind].options.width for kind in ("generator", "discriminator")]
    generator = plain.PlainUNet(widths[0], recipe.networks["generator"].options.depth, 0.0)
    discriminator = plain.PlainPatchGAN(widths[1])
    for role, net in (("generator", generator), ("discriminator", discriminator)):
        net.to(trainer.session.dtype)
        mine, theirs = trainer.nets[role].parameters(), net.parameters()
        with torch.no_grad():
            for ours, other in zip(mine, theirs, strict=True):
                assert ours.shape == other.shape
                other.copy_(ours)
    random = torch.Generator().manual_seed(0)
    batches = [
        {
            name: (torch.rand(1, 3, side, side, generator=random) * 2 - 1).to(trainer.session.dtype)
            for name in ("source", "target")
        }
        for _ in range(4)
    ]
    return trainer, plain.PlainStep(generator, discriminator), batches


def largest_distance(trainer, step, batches, steps):
    """Of the steps' losses, relative to the plain loop's."""
    trainer._stream = itertools.cycle(batches)
    distance = 0.0
    for batch in itertools.islice(itertools.cycle(batches), steps):
        trainer.step()
        mine = trainer.stepper.logs()
        theirs = {name: float(term) for name, term in step(**batch).items()}
        assert mine.keys() == theirs.keys()
        distance = max([distance, *(abs(mine[n] - theirs[n]) / theirs[n] for n in mine)])
    return distance


def test_twenty_losses_in_double_precision(trainer_of):
    trainer, step, batches = both("fp64", trainer_of, SMALL, 32)
    assert largest_distance(trainer, step, batches, 20) < 1e-9
    paths = trainer.fast_paths()
    assert paths["fused_optimizers"] == ["generator", "discriminator"]
    assert {"encoder.4.0", "decoder.0.0", "decoder.2.0"} <= {
        *paths["convolutions_by_matrices"]["generator"]
    }


def test_another_beta_would_be_found(trainer_of):
    trainer, step, batches = both("fp64", trainer_of, [*SMALL, "optimizer.betas=[0.5, 0.998]"], 32)
    assert largest_distance(trainer, step, batches, 20) > 1e-6


def test_another_layer_would_be_found(trainer_of):
    trainer, step, batches = both("fp64", trainer_of, [*SMALL, "generator.norm_eps=1e-4"], 32)
    assert largest_distance(trainer, step, batches, 2) > 1e-6


def test_the_first_losses_in_single_precision(trainer_of):
    trainer, step, batches = both("fp32", trainer_of, SMALL, 32)
    assert largest_distance(trainer, step, batches, 2) < 1e-4
    assert trainer.fast_paths()["convolutions_by_matrices"]


@pytest.mark.slow
def test_the_papers_model(trainer_of):
    # Twenty steps take eight minutes of a core; the small model above makes as many.
    trainer, step, batches = both("fp64", trainer_of, ["augment=[]"], 256)
    assert largest_distance(trainer, step, batches, 3) < 1e-9
    assert len(trainer.fast_paths()["convolutions_by_matrices"]["generator"]) == 7


@pytest.mark.slow
def test_the_papers_model_begins_alike_in_single_precision(trainer_of):
    trainer, step, batches = both("fp32", trainer_of, ["augment=[]"], 256)
    assert largest_distance(trainer, step, batches, 2) < 1e-4
