"""One role with options of its own, from the first weights to the use of the trained network."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from ganzoo.cli.show import _components
from ganzoo.data.pipeline import open_data
from ganzoo.engine.check import inspect_recipe
from ganzoo.engine.intervals import Limits
from ganzoo.engine.plan import plan_networks
from ganzoo.engine.run import run
from ganzoo.errors import RecipeError
from ganzoo.inference.evaluate import evaluate_run
from ganzoo.inference.predict import predict
from ganzoo.observers import Voice
from ganzoo.plugin_system.registry import current
from ganzoo.recipe import load_document, load_recipe
from ganzoo.testing import Subject
from ganzoo.testing.tiny import shrunk

RECIPE = """
name = "roles"
task = { use = "cyclegan/unpaired", pool_size = 2 }
generator = { use = "cyclegan/resnet", preset = "tiny" }
discriminator = { use = "pix2pix/patchgan", receptive_field = 16, width = 4 }
loss = "gan/lsgan"
metric = ["ganzoo/l1"]
train = { epochs = 4, device = "cpu", threads = 1, precision = "fp32" }
watch = { validate = "2 steps", samples = "2 steps" }
ema = { enabled = true, roles = ["generator_ab"] }

[data]
use = "cyclegan/hidden_pairs"
pairs = { use = "cyclegan/shapes", size = 16, train = 8, val = 2, test = 2 }
"""
OWN = "networks.generator_ab={width=6, blocks=2}"
OTHER = "networks.discriminator_a={use='pix2pix/patchgan', receptive_field=70}"
ROLES = ("generator_ab", "generator_ba", "discriminator_a", "discriminator_b")


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "roles.toml"
    path.write_text(RECIPE)
    return path


def go(recipe, out=None, *, steps, resume=None):
    loaded = load_recipe(recipe, [OWN]) if recipe else None
    limits = Limits(steps)
    return run(loaded, out=out, resume=resume, limits=limits, voice=Voice(quiet=True))


def first_weights(trainer):
    return {role: net.state_dict() for role, net in trainer.nets.items()}


def test_the_other_roles_begin_with_the_same_bits(recipe, trainer_of):
    plain, changed = (first_weights(trainer_of(recipe, *sets)) for sets in ((), (OWN,)))
    assert set(plain) == set(ROLES)
    for role in ROLES[1:]:
        assert plain[role].keys() == changed[role].keys()
        assert all(torch.equal(plain[role][name], changed[role][name]) for name in plain[role])
    shapes = [{n: t.shape for n, t in one["generator_ab"].items()} for one in (plain, changed)]
    assert shapes[0] != shapes[1]


def test_trained_resumed_bit_for_bit_and_used(recipe, tmp_path):
    go(recipe, tmp_path / "whole", steps=4)
    go(recipe, tmp_path / "parts", steps=2)
    go(None, resume=tmp_path / "parts", steps=4)
    files = [sorted((tmp_path / one / "checkpoints/step_4").glob("*.safetensors"))
             for one in ("whole", "parts")]  # fmt: skip
    for one, two in zip(*files, strict=True):
        first, second = load_file(one), load_file(two)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first), one.name
    names = [file.name for file in files[0] if file.name.endswith(".ema.safetensors")]
    assert names == ["generator_ab.ema.safetensors"]  # ema.roles
    document = evaluate_run(tmp_path / "whole", "test", device="cpu")
    assert set(document["n"]) == {"a_to_b", "b_to_a"}
    source = tmp_path / "one.png"
    Image.fromarray(np.zeros((18, 18, 3), np.uint8)).save(source)
    for name, role in zip(("a_to_b", "b_to_a"), ROLES[:2], strict=True):
        made = predict(
            tmp_path / "whole", [source], tmp_path / name, application=name, precision="fp32"
        )
        assert made["ema"] == {role: role == "generator_ab"}
        assert Image.open(tmp_path / name / "one.png").size == (18, 18)
    provenance = json.loads((tmp_path / "whole" / "provenance.json").read_text())
    assert set(provenance["components"]) >= {"cyclegan/resnet", "pix2pix/patchgan"}


def test_check_counts_each_role(recipe):
    networks = inspect_recipe(load_recipe(recipe, [OWN]))["networks"]
    default = inspect_recipe(load_recipe(recipe))["networks"]
    assert networks["generator_ab"]["parameters"] > default["generator_ab"]["parameters"]
    assert {role: networks[role] for role in ROLES[1:]} == {
        role: default[role] for role in ROLES[1:]
    }


@pytest.mark.parametrize(
    ("override", "message", "hint"),
    [
        ("networks.generator_abc.width=4", "has no role 'generator_abc'", '"generator_ab"'),
        ("networks.generator_ab=none", "needs its generator_ab", ""),
        ("networks.generator_ab=pix2pix/patchgan", "is a discriminator, but", "by `use`"),
        (
            "ema={enabled=true, roles=['generatorab']}",
            "ema.roles: cyclegan/unpaired has no role",
            "Its roles are:",
        ),
        ("generator=none", r"needs a \[generator\] table for its generator_ab", "[networks."),
    ],
)
def test_what_the_plan_refuses(recipe, override, message, hint):
    loaded = load_recipe(recipe, [override])
    with pytest.raises(RecipeError, match=message) as caught:
        plan_networks(loaded, open_data(loaded, "train").fields)
    assert hint in caught.value.hint
    assert caught.value.where == ("roles" if override == "generator=none" else "--set")


def test_a_default_table_that_no_role_uses_is_told(recipe):
    def notes(*overrides):
        loaded = load_recipe(recipe, overrides)
        return plan_networks(loaded, open_data(loaded, "train").fields).notes

    both = [f"networks.discriminator_{name}={{use='gan/dcgan', width=4}}" for name in "ab"]
    assert notes() == notes(OTHER) == notes(both[0]) == ()  # one is another, one uses the table
    (note,) = notes(*both)
    assert note.startswith("[discriminator] has no effect")
    report = inspect_recipe(load_recipe(recipe, both))
    assert note in report["notes"]


def test_an_unknown_role_or_player_of_a_file_has_its_place(recipe):
    for table, message in (
        ("[networks.generator_x]\nwidth = 4", "generator_x"),
        ("[players.x]\nlr = 1", "has no such player"),
    ):
        recipe.write_text(f"{RECIPE}\n{table}\n")
        loaded = load_recipe(recipe)
        with pytest.raises(RecipeError, match=message) as caught:
            plan_networks(loaded, open_data(loaded, "train").fields)
        assert caught.value.where.endswith("roles.toml:16")


def test_all_roles_may_have_their_own_tables(recipe):
    recipe.write_text(RECIPE.replace("generator = {", "networks.generator_ba = {"))
    loaded = load_recipe(recipe, ["networks.generator_ab=cyclegan/resnet"])
    plan = plan_networks(loaded, open_data(loaded, "train").fields)
    assert plan.chosen["generator_ab"].options.blocks == 9
    assert plan.chosen["generator_ba"].options.blocks == 1


def test_the_kit_makes_the_tables_of_roles_tiny_too(recipe, tmp_path):
    sets = ["networks.generator_ab={width=32, blocks=6}", OTHER, "start.generator_ab=gone"]
    loaded = load_recipe(recipe, sets)
    registry = current()
    entry = registry.entry("task", "cyclegan/unpaired")
    subject = Subject(registry, entry.record, entry, tmp_path)
    small = load_document(shrunk(loaded, subject), registry)
    assert small.roles["generator_ab"].chosen == small.networks["generator"]
    assert (loaded.start.sources, small.start.sources) == ({"generator_ab": "gone"}, {})
    assert small.roles["discriminator_a"].chosen.id == "pix2pix/patchgan"
    plan_networks(small, open_data(small, "train").fields)


def test_show_finds_components_that_only_a_role_uses():
    document = {"generator": "cyclegan/resnet", "networks": {"generator_ab": "pix2pix/unet"}}
    assert ("generator", "pix2pix/unet") in _components(document, current())
    document["networks"]["generator_ab"] = {"width": 8}
    used = ("generator", {"use": "cyclegan/resnet", "width": 8})
    assert used in _components(document, current())
