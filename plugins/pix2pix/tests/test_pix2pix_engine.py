"""The engine's training equals the textbook loop, written out: same images, same bits."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention

from ganzoo.data.pipeline import collate, open_data
from ganzoo.data.rng import seed_for
from ganzoo.data.sampler import permutation
from ganzoo.engine.build import build_network
from ganzoo.engine.plan import plan_networks
from ganzoo.recipe import loads

RECIPE = """
name = "parity"
task = "pix2pix/paired"
data = { use = "facades/procedural", size = 32, train = 5, val = 1, test = 1 }
generator = { use = "pix2pix/unet", depth = 5, width = 4, dropout_layers = [2, 3] }
discriminator = { use = "pix2pix/patchgan", receptive_field = 16, width = 4 }
loss = "pix2pix/cgan_l1"
train = { epochs = 4, precision = "fp32", device = "cpu", threads = 1 }

[[augment]]
use = "albumentations/horizontal_flip"

[optimizer.schedule]
shape = "linear"
hold = 0.5
every = "epoch"
"""
STEPS = 17  # into the fourth epoch, where the learning rate goes down


def by_hand(recipe, *, alternate: bool = True) -> dict[str, dict[str, torch.Tensor]]:
    """As REFERENCE.md has it: D on real and fake apart, halved; then G against the new D."""
    data = open_data(recipe, "train")
    plan = plan_networks(recipe, data.fields)
    nets = {role: build_network(c, plan.io[role], 0, role) for role, c in plan.chosen.items()}
    g, d = nets["generator"], nets["discriminator"]
    adam = {
        role: torch.optim.Adam(net.parameters(), 2e-4, betas=(0.5, 0.999), fused=True)
        for role, net in nets.items()
    }
    ones = torch.ones_like
    bce = nn.BCEWithLogitsLoss()
    torch.manual_seed(seed_for(0, "training", 0))
    for step in range(STEPS):
        epoch, place = divmod(step, len(data))
        batch = collate([data.sample(int(permutation(0, epoch, len(data))[place]), epoch)])
        source, target = batch["source"], batch["target"]
        for optimizer in adam.values():
            # epoch from 1, 2 epochs of 4 at the full rate
            optimizer.param_groups[0]["lr"] = 2e-4 * (1 - max(0, epoch + 1 - 2) / 3)
        fake = g(source)
        real_logits = d(torch.cat([source, target], 1))
        fake_logits = d(torch.cat([source, fake.detach()], 1))
        loss = bce(real_logits, ones(real_logits)) + bce(fake_logits, 0 * fake_logits)
        (loss * 0.5).backward()
        if alternate:
            adam["discriminator"].step()
        d.requires_grad_(requires_grad=False)
        logits = d(torch.cat([source, fake], 1))
        (bce(logits, ones(logits)) + 100 * F.l1_loss(fake, target)).backward()
        adam["generator"].step()
        if not alternate:
            adam["discriminator"].step()
        d.requires_grad_(requires_grad=True)
        for optimizer in adam.values():
            optimizer.zero_grad()
    return {role: net.state_dict() for role, net in nets.items()}


def by_engine(trainer) -> dict[str, dict[str, torch.Tensor]]:
    for _ in range(STEPS):
        trainer.step()
    return {role: net.state_dict() for role, net in trainer.nets.items()}


def worst(one, two) -> float:
    return max(
        (one[role][name].double() - two[role][name].double()).abs().max().item()
        for role in one
        for name in one[role]
    )


def test_the_engine_trains_what_the_loop_by_hand_trains(trainer_of):
    recipe = loads(RECIPE, "parity")
    engine = by_engine(trainer_of(recipe))
    assert worst(engine, by_hand(recipe)) < 1e-6
    # The control: the generator against the discriminator of the step before.
    assert worst(engine, by_hand(recipe, alternate=False)) > 1e-5
