"""The papers' settings of DCGAN, SNGAN and WGAN-GP: what the recipes say, and that they train."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganzoo.api import hookimpl
from ganzoo.engine.build import build_network
from ganzoo.engine.intervals import Limits
from ganzoo.engine.optimizers import PlayerSettings
from ganzoo.engine.plan import plan_networks
from ganzoo.engine.run import run
from ganzoo.errors import DataMissing, RecipeError
from ganzoo.interfaces import Clock, Field
from ganzoo.recipe import load_recipe

PAPER = Path(__file__).parents[3] / "recipes" / "paper"
CIFAR10 = 50_000  # training images

# recipe: (side, parameters of both networks, batch size, betas, critic steps, losses)
TABLE = {
    "dcgan": (64, (12_658_432, 11_036_160), 128, (0.5, 0.999), 1, ["gan/vanilla"]),
    "sngan_cifar10": (32, (4_276_739, 1_053_824), 64, (0.0, 0.9), 5, ["gan/hinge"]),
    "wgan_gp_cifar10": (32, (1_204_483, 1_053_824), 64, (0.0, 0.9), 5, ["gan/wgan", "gan/gp"]),
}
TERMS = {"gan/vanilla": "gan", "gan/hinge": "gan", "gan/wgan": "wgan/gan"}


class Diary:
    """An observer that keeps what is logged."""

    def __init__(self) -> None:
        self.logs: list[dict[str, float]] = []

    @hookimpl
    def ganzoo_logs(self, run, step, logs):
        self.logs.append(dict(logs))


@pytest.fixture
def data(tmp_path, monkeypatch):
    """$GANZOO_DATA with a few noise images, laid out as the recipes' comments say."""
    draw = np.random.default_rng(0)
    for folder in ("cifar10/train/cat", "cifar10/test/cat", "bedrooms"):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(12):
            size = (32, 32) if "cifar10" in folder else (70 + number, 90)
            pixels = draw.integers(256, size=(*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{number}.png")
    monkeypatch.setenv("GANZOO_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", TABLE)
def test_a_recipe_is_what_it_claims(name):
    side, parameters, batch_size, betas, critic_steps, losses = TABLE[name]
    recipe = load_recipe(PAPER / f"{name}.toml")
    plan = plan_networks(recipe, {"real": Field((3, side, side), "ganzoo/image")})
    with torch.device("meta"):
        for role, number in zip(("generator", "discriminator"), parameters, strict=True):
            network = build_network(plan.chosen[role], plan.io[role], 0, role)
            assert sum(one.numel() for one in network.parameters()) == number
    text = (PAPER / f"{name}.toml").read_text()
    assert all(f"# {number:,} parameters" in text for number in parameters)
    optimizer = recipe.optimizer.chosen
    start = Clock(0, 0, 0.0)
    assert (optimizer.id, optimizer.options.lr.at(start)) == ("ganzoo/adam", 2e-4)
    assert tuple(beta.at(start) for beta in optimizer.options.betas) == betas
    assert recipe.players == {}
    assert recipe.train.batch_size == batch_size
    assert recipe.task.options.critic_steps == critic_steps
    assert [entry.chosen.id for entry in recipe.loss] == losses


@pytest.mark.parametrize(
    ("name", "updates"), [("sngan_cifar10", 50_000), ("wgan_gp_cifar10", 100_000)]
)
def test_lengths_are_the_papers_updates_of_the_generator(name, updates):
    recipe = load_recipe(PAPER / f"{name}.toml")
    steps = recipe.train.epochs * CIFAR10 / recipe.train.batch_size
    assert steps / recipe.task.options.critic_steps == updates
    clocks = [Clock(0, 0, progress) for progress in (0, 0.5, 1)]
    rates = [PlayerSettings(recipe.optimizer, recipe.train.epochs).rate(clock) for clock in clocks]
    assert rates == pytest.approx([2e-4, 1e-4, 0])


def test_only_sngans_critic_is_under_spectral_norm():
    recipes = {name: load_recipe(PAPER / f"{name}.toml") for name in TABLE}
    options = {name: one.networks["discriminator"].options for name, one in recipes.items()}
    assert {name: one.spectral_norm for name, one in options.items()} == {
        "dcgan": False,
        "sngan_cifar10": True,
        "wgan_gp_cifar10": False,
    }
    assert options["wgan_gp_cifar10"].pooling == "mean"
    assert options["sngan_cifar10"].pooling == "sum"


@pytest.mark.parametrize("name", TABLE)
def test_a_recipe_trains_on_images_laid_out_as_it_says(name, data, tmp_path):
    _, _, _, _, critic_steps, losses = TABLE[name]
    tiny = (
        "generator.width=2",
        "discriminator.width=2",
        "train.batch_size=2",
        "train.device=cpu",
        "train.threads=1",
        "train.workers=0",
        "watch.log=1 steps",
        "watch.samples=never",
    )
    diary = Diary()
    recipe = load_recipe(PAPER / f"{name}.toml", tiny)
    result = run(recipe, out=tmp_path / "run", limits=Limits(steps=5), observers=[diary])
    assert (result.outcome, result.document["step"]) == ("stopped", 5)
    term = f"generator/{TERMS[losses[0]]}"
    turns = [number for number, logs in enumerate(diary.logs, 1) if term in logs]
    assert turns == list(range(critic_steps, 6, critic_steps))
    assert any("penalty" in key for key in diary.logs[0]) == ("gan/gp" in losses)


def test_classes_by_two_settings(data, tmp_path):
    settings = ("data.classes=true", "task.conditional=true")
    recipe = load_recipe(PAPER / "sngan_cifar10.toml", settings)
    fields = {
        "real": Field((3, 32, 32), "ganzoo/image"),
        "label": Field((), "ganzoo/class", classes=10),
    }
    plan = plan_networks(recipe, fields)
    assert {io.classes for io in plan.io.values()} == {10}


def test_images_of_another_size_and_missing_ones_end_with_words(data, tmp_path, monkeypatch):
    recipe = load_recipe(PAPER / "sngan_cifar10.toml", ["data.root=bedrooms", "train.device=cpu"])
    with pytest.raises(RecipeError, match="square images with a side of 8, 16, 32"):
        run(recipe, out=tmp_path / "run", limits=Limits(steps=1), observers=[])
    monkeypatch.delenv("GANZOO_DATA")
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path / "cifar10")
    recipe = load_recipe(PAPER / "sngan_cifar10.toml", ["train.device=cpu"])
    with pytest.raises(DataMissing, match="cifar10"):
        run(recipe, out=tmp_path / "run", limits=Limits(steps=1), observers=[])
