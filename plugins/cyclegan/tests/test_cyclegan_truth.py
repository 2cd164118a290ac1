"""cyclegan_shapes learns the hidden mapping, both ways; without consistency terms it doesn't."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import pytest
import torch

RECIPE = Path(__file__).parents[3] / "recipes" / "cyclegan_shapes.toml"
TOLERANCE = 0.25
"""A pixel is right if no channel is further off, in units of [-1, 1]."""


def trained(seed: int, cycle: float) -> dict[str, float]:
    """L1 and share of right pixels on the hidden pairs, in both directions, and the identity's."""
    from ganzoo.data.pipeline import open_data
    from ganzoo.engine.accelerate_session import Session, resolve
    from ganzoo.engine.trainer import Trainer
    from ganzoo.plugin_system import registry
    from ganzoo.recipe import load_document, load_recipe

    torch.set_num_threads(1)
    active = registry.activate()
    document = dict(load_recipe(RECIPE).document)
    document["task"] = {**document["task"], "cycle": cycle}
    document["train"] = {
        **document["train"], "seed": seed, "device": "cpu", "threads": 1, "workers": 0
    }  # fmt: skip
    recipe = load_document(document, active)
    test = open_data(recipe, "test")
    samples = [test.sample(index) for index in range(len(test))]
    a, b = (torch.stack([sample[side] for sample in samples]) for side in ("source", "target"))
    session = Session(resolve(recipe.train), accumulate=1)
    try:
        trainer = Trainer(recipe, open_data(recipe, "train"), session)
        while not trainer.done:
            trainer.step()
        with torch.no_grad():
            made_b, made_a = trainer.nets["generator_ab"](a), trainer.nets["generator_ba"](b)
    finally:
        session.close()
    figures = {}
    for name, one, other in (("ab", made_b, b), ("ba", made_a, a), ("identity", a, b)):
        far = (one - other).abs()
        figures[name] = far.mean().item()
        figures[f"right_{name}"] = (far.amax(1) < TOLERANCE).float().mean().item()
    return figures


@pytest.mark.timeout(3600)  # three seeds: 5 minutes on two free cores
@pytest.mark.parametrize(
    "seeds",
    [
        pytest.param((0,), marks=pytest.mark.slow, id="one seed"),
        pytest.param((0, 1, 2), marks=pytest.mark.long, id="three seeds"),
    ],
)
def test_the_hidden_mapping_is_learnt_and_not_without_consistency(seeds):
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        jobs = {
            (seed, cycle): pool.submit(trained, seed, cycle) for cycle in (10, 0) for seed in seeds
        }
        done = {key: job.result() for key, job in jobs.items()}
    identity = done[0, 10]
    assert identity["right_identity"] < 0.5
    for way in ("ab", "ba"):
        mine, control = (median(done[seed, cycle][way] for seed in seeds) for cycle in (10, 0))
        assert mine < 0.85 * identity["identity"], done
        assert mine < 0.85 * control, done
        assert median(done[seed, 10][f"right_{way}"] for seed in seeds) > 0.8
