"""Every shipped pix2pix recipe means what it says, and trains."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ganzoo.api import hookimpl
from ganzoo.engine.build import build_loss, build_network
from ganzoo.engine.intervals import Limits
from ganzoo.engine.optimizers import PlayerSettings
from ganzoo.engine.plan import plan_networks
from ganzoo.engine.run import run
from ganzoo.errors import DataMissing, RecipeError
from ganzoo.interfaces import Clock, Field
from ganzoo.recipe import load_recipe

RECIPES = Path(__file__).parents[3] / "recipes"
FACADES = {name: Field((3, 256, 256), "ganzoo/image") for name in ("source", "target")}

UNET, ENCODER_DECODER = "pix2pix/unet", "pix2pix/encoder_decoder"
# recipe: (generator, its terms, the discriminator's input channels and field, batch size)
PAPER = {
    "table1_l1": (UNET, {"l1"}, None, 1),
    "table1_gan": (UNET, {"gan"}, (3, 70), 1),
    "table1_cgan": (UNET, {"gan"}, (6, 70), 1),
    "table1_l1_gan": (UNET, {"gan", "l1"}, (3, 70), 1),
    "table1_l1_cgan": (UNET, {"gan", "l1"}, (6, 70), 1),
    "table2_encoder_decoder_l1": (ENCODER_DECODER, {"l1"}, None, 10),
    "table2_encoder_decoder_l1_cgan": (ENCODER_DECODER, {"gan", "l1"}, (6, 70), 10),
    "table2_unet_l1": (UNET, {"l1"}, None, 10),
    "table2_unet_l1_cgan": (UNET, {"gan", "l1"}, (6, 70), 10),
    "table3_1x1": (UNET, {"gan", "l1"}, (6, 1), 1),
    "table3_16x16": (UNET, {"gan", "l1"}, (6, 16), 1),
    "table3_70x70": (UNET, {"gan", "l1"}, (6, 70), 1),
    "table3_286x286": (UNET, {"gan", "l1"}, (6, 286), 1),
}

# Small enough for a test: 96 pixels is the least that a field of 286 takes, 32 divides it.
TINY = (
    "data=facades/procedural",
    "data.size=96",
    "data.train=20",
    "data.val=2",
    "augment=[]",
    "generator.depth=5",
    "generator.width=2",
    "train.precision=fp32",
    "train.device=cpu",
    "train.threads=1",  # tiny layers lose more by sharing than they gain
    "watch.log=1 steps",
    "watch.samples=never",
)


class Diary:
    """An observer that keeps what is logged."""

    def __init__(self) -> None:
        self.logs: list[dict[str, float]] = []

    @hookimpl
    def ganzoo_logs(self, run, step, logs):
        self.logs.append(dict(logs))


def test_the_paper_has_thirteen_rows():
    assert {path.stem for path in (RECIPES / "paper").glob("table*.toml")} == PAPER.keys()
    assert len(PAPER) == 5 + 4 + 4
    for path in (RECIPES / "paper").glob("table*.toml"):
        lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
        assert lines[0] == 'extends = "../pix2pix_facades.toml"'
        assert len(lines) <= 9, "a row is a few lines"


def test_facades_is_the_canonical_recipe():
    recipe = load_recipe(RECIPES / "pix2pix_facades.toml")
    plan = plan_networks(recipe, FACADES)
    assert plan.io["generator"].images_in() == plan.io["generator"].images_out() == (3, 256, 256)
    assert plan.io["discriminator"].images_in() == (6, 256, 256)
    with torch.device("meta"):
        counts = {
            role: sum(p.numel() for p in build_network(chosen, plan.io[role], 0, role).parameters())
            for role, chosen in plan.chosen.items()
        }
    assert counts == {"generator": 54_413_955, "discriminator": 2_768_705}
    assert [(entry.chosen.id, entry.on) for entry in recipe.augment] == [
        ("images/resize", "train"),
        ("albumentations/random_crop", "train"),
        ("albumentations/horizontal_flip", "train"),
        ("images/resize", "evaluation"),
    ]
    sizes = [entry.chosen.options.model_dump() for entry in recipe.augment]
    assert (sizes[0]["size"], sizes[0]["filter"]) == (286, "bicubic")
    assert (sizes[1]["height"], sizes[1]["width"], sizes[2]["p"]) == (256, 256, 0.5)
    assert recipe.data.id == "images/facades"
    assert recipe.data.options.direction == "right_to_left"
    assert recipe.fallback is not None
    assert (recipe.train.epochs, recipe.train.batch_size) == (200, 1)
    loss = recipe.loss[0].chosen.options
    assert (loss.gan.id, loss.l1.start, loss.gan_weight.start) == ("gan/vanilla", 100, 1)
    assert loss.discriminator_weight == 0.5
    assert recipe.inference.mode == "paper"


def test_facades_schedule_is_the_references():
    recipe = load_recipe(RECIPES / "pix2pix_facades.toml")
    optimizer = recipe.optimizer
    betas = tuple(beta.at(Clock(0, 0, 0.0)) for beta in optimizer.chosen.options.betas)
    assert (optimizer.chosen.id, betas, optimizer.keys.clip) == ("ganzoo/adam", (0.5, 0.999), None)

    def rate(epoch: int) -> float:  # counted from 1, as the reference does
        done = epoch - 1
        return PlayerSettings(optimizer, 200).rate(Clock(400 * done, 400 * done, done / 200, done))

    assert rate(1) == rate(100) == 2e-4
    assert rate(101) == pytest.approx(1.9802e-4, abs=1e-8)
    assert rate(200) == pytest.approx(1.98e-6, abs=1e-8)


@pytest.mark.parametrize("name", PAPER)
def test_a_row_of_the_paper_is_what_it_claims(name):
    generator, _, discriminator, batch_size = PAPER[name]
    recipe = load_recipe(RECIPES / "paper" / f"{name}.toml")
    plan = plan_networks(recipe, FACADES)
    assert plan.chosen["generator"].id == generator
    assert plan.chosen["generator"].options.depth == 8
    assert recipe.train.batch_size == batch_size
    if discriminator is None:
        assert set(plan.players) == {"generator"}
        assert "discriminator" not in plan.chosen
    else:
        channels, field = discriminator
        assert plan.io["discriminator"].images_in() == (channels, 256, 256)
        assert plan.chosen["discriminator"].options.receptive_field() == field
    base = load_recipe(RECIPES / "pix2pix_facades.toml")
    assert recipe.data == base.data
    assert recipe.augment == base.augment
    assert recipe.optimizer == base.optimizer
    assert recipe.train.epochs == base.train.epochs


@pytest.mark.parametrize("name", PAPER)
def test_a_row_of_the_paper_trains_five_steps_and_logs_its_terms(name, tmp_path):
    _, terms, discriminator, batch_size = PAPER[name]
    tiny = TINY if discriminator is None else (*TINY, "discriminator.width=2")
    recipe = load_recipe(RECIPES / "paper" / f"{name}.toml", tiny)
    diary = Diary()
    result = run(recipe, out=tmp_path / "run", limits=Limits(steps=5), observers=[diary])
    assert (result.outcome, result.document["step"]) == ("stopped", 5)
    assert result.document["images"] == 5 * batch_size
    expected = {f"generator/{term}" for term in terms}
    if discriminator is not None:
        expected |= {"discriminator/real", "discriminator/fake"}
        # Half of ln 2 for each of the discriminator's terms at the start, roughly.
        assert 0.1 < diary.logs[0]["discriminator/real"] < 1
    assert len(diary.logs) == 5
    for logs in diary.logs:
        assert {key for key in logs if not key.startswith("lr/")} == expected
    assert set(result.document["weights"]) == (
        {"generator"} if discriminator is None else {"generator", "discriminator"}
    )


def test_the_tutorials_deltas_train_together_even_at_a_1x1_bottleneck(tmp_path):
    deltas = (
        "task.update=simultaneous",
        "loss.discriminator_weight=1",
        "generator.dropout_layers=[1, 2, 3]",
        "generator.bottleneck_norm=true",
        "generator.norm_eps=1e-3",
        "generator.skip_relu=false",
        "discriminator.receptive_field=16",
        "discriminator.width=2",
        "data.size=32",
    )
    recipe = load_recipe(RECIPES / "pix2pix_facades.toml", (*TINY, *deltas))
    diary = Diary()
    result = run(recipe, out=tmp_path / "run", limits=Limits(steps=5), observers=[diary])
    assert result.outcome == "stopped"
    assert 0.4 < diary.logs[0]["discriminator/real"] < 1  # ln 2, not half of it


def test_an_adversarial_term_without_a_discriminator_is_refused():
    recipe = load_recipe(RECIPES / "pix2pix_facades.toml", ["discriminator=none"])
    plan = plan_networks(recipe, FACADES)
    with pytest.raises(RecipeError, match="needs a discriminator"):
        build_loss(recipe, plan, torch.device("cpu"), torch.float32)
    legal = load_recipe(
        RECIPES / "pix2pix_facades.toml", ["discriminator=none", "loss.gan_weight=0"]
    )
    build_loss(legal, plan_networks(legal, FACADES), torch.device("cpu"), torch.float32)


def test_a_size_that_the_unet_cannot_take_is_refused_with_the_nearest_legal_ones():
    recipe = load_recipe(RECIPES / "pix2pix_facades.toml")
    odd = {name: Field((3, 300, 256), "ganzoo/image") for name in ("source", "target")}
    with pytest.raises(RecipeError, match="multiples of 256") as caught:
        plan_networks(recipe, odd)
    assert "height 256 or 512" in caught.value.hint
    assert "depth" not in caught.value.hint  # two halvings make no U-Net
    small = {name: Field((3, 128, 192), "ganzoo/image") for name in ("source", "target")}
    with pytest.raises(RecipeError) as caught:
        plan_networks(recipe, small)
    assert "For these images set generator.depth = 6." in caught.value.hint
    small = {name: Field((3, 128, 128), "ganzoo/image") for name in ("source", "target")}
    with pytest.raises(RecipeError) as caught:
        plan_networks(recipe, small)
    assert "For these images set generator.depth = 7." in caught.value.hint
    plan_networks(load_recipe(RECIPES / "pix2pix_facades.toml", ["generator.depth=7"]), small)


@pytest.mark.parametrize(
    ("name", "epochs", "batch_size"),
    [("pix2pix_maps", 200, 1), ("pix2pix_edges2shoes", 15, 4)],
)
def test_other_data_keep_the_setting_and_never_get_the_facades_stand_in(
    name, epochs, batch_size, monkeypatch, tmp_path
):
    recipe = load_recipe(RECIPES / f"{name}.toml")
    base = load_recipe(RECIPES / "pix2pix_facades.toml")
    assert recipe.name == name
    assert recipe.data.id == "images/side_by_side"
    assert recipe.data.options.direction == "right_to_left"
    assert recipe.fallback is None
    assert (recipe.train.epochs, recipe.train.batch_size) == (epochs, batch_size)
    assert recipe.networks == base.networks
    assert recipe.augment == base.augment
    monkeypatch.delenv("GANZOO_DATA", raising=False)
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataMissing):
        run(recipe, out=tmp_path / "run", limits=Limits(steps=1), observers=[])
    assert not (tmp_path / "run").exists()


@pytest.mark.data
@pytest.mark.parametrize("name", ["pix2pix_facades", "pix2pix_maps", "pix2pix_edges2shoes"])
def test_real_data_train_five_steps(name, tmp_path):
    tiny = ("generator.width=2", "discriminator.width=2", *TINY[-5:])
    recipe = load_recipe(RECIPES / f"{name}.toml", tiny)
    diary = Diary()
    result = run(recipe, out=tmp_path / "run", limits=Limits(steps=5), observers=[diary])
    assert (result.outcome, result.document["step"]) == ("stopped", 5)
    assert result.document["data"]["stand_in"] is False
    assert len(diary.logs) == 5
