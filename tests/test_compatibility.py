"""docs/compatibility.md is what `check` says and two steps of training confirm."""

import importlib.util
import sys
from pathlib import Path

import pytest

from ganzoo import api
from ganzoo.plugin_system import discovery, registry
from ganzoo.plugin_system.installed_plugins import CORE
from ganzoo.plugin_system.registry import current
from ganzoo.recipe import load_recipe

ROOT = Path(__file__).parents[1]
TOYS = Path(__file__).parent / "toys"
DOCUMENT = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")


def _script():
    path = ROOT / "docs" / "compatibility.py"
    spec = importlib.util.spec_from_file_location("docs_compatibility", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def compatibility():
    return _script()


@pytest.fixture(autouse=True)
def _activate(monkeypatch):
    monkeypatch.setattr(registry, "_active", None)
    monkeypatch.setattr(api, "_resolver", api._resolver)
    toys = (TOYS / "fitting_toy.py", TOYS / "broken_toy.py")
    installed = [one for one in discovery.discover(files=toys) if one.distribution.endswith(".py")]
    own = [one for one in discovery.discover() if one.distribution == CORE]
    registry.activate(records=[*own, *installed])


@pytest.fixture
def paired(compatibility):
    task = compatibility.subject_of(current(), current().entry("task", "pix2pix/paired"))
    return compatibility.Host(task, load_recipe("quickstart", registry=current()))


def tables(paired, discriminator, loss):
    return {
        "generator": paired.task.table("generator", "pix2pix/unet"),
        "discriminator": discriminator,
        "loss": [loss],
    }


def test_every_task_network_and_loss_is_in_the_document():
    """A new component has no row until `python docs/compatibility.py` is run."""
    for kind in ("task", "generator", "discriminator", "network", "loss"):
        for entry in current().components(kind):
            if entry.record.distribution == CORE:
                assert f"`{entry.id}`" in DOCUMENT, "run `python docs/compatibility.py`"


def test_toys_of_others_are_in_no_document():
    assert "toy" not in DOCUMENT


def test_a_legal_combination_makes_two_steps(compatibility, paired):
    judge, critic = compatibility.judge, {"use": "fitting_toy/critic"}
    verdict = judge(paired, tables(paired, critic, {"use": "fitting_toy/features"}))
    assert (verdict.reason, verdict.steps) == ("", "")
    assert not compatibility.disagreement(verdict)


@pytest.mark.parametrize(
    ("discriminator", "loss", "reason"),
    [
        ("pix2pix/patchgan", "fitting_toy/features", "IndexError: tuple index out of range"),
        ("fitting_toy/narrow", "gan/hinge", "fitting_toy/narrow can't take 6 x 32 x 32"),
        ("none", "gan/hinge", "needs a discriminator with these options, but the recipe has none"),
        ("fitting_toy/critic", "broken_toy/detached", "don't depend on its weights"),
    ],
)
def test_an_illegal_one_is_refused_with_the_reason(
    compatibility, paired, discriminator, loss, reason
):
    table = "none" if discriminator == "none" else paired.task.table("discriminator", discriminator)
    verdict = compatibility.judge(paired, tables(paired, table, {"use": loss}))
    assert reason in verdict.reason
    assert verdict.steps
    assert not compatibility.disagreement(verdict)


def test_a_disagreement_is_told(compatibility):
    verdict = compatibility.Verdict
    assert "makes two steps" in compatibility.disagreement(verdict("some reason", ""))
    assert "two steps end with boom" in compatibility.disagreement(verdict("", "boom"))


def test_where_check_were_blind_no_document_would_be_made(compatibility, paired, monkeypatch):
    """The control: with the dry run switched off, the same toy is a disagreement."""
    monkeypatch.setattr("ganzoo.engine.check.try_step", lambda *_, **__: None)
    networks = {"generator": ["pix2pix/unet"], "discriminator": ["pix2pix/patchgan"]}
    parts = {
        kind: [compatibility.Part(name, paired.task.table(kind, name)) for name in names]
        for kind, names in networks.items()
    }
    loss = compatibility.Part("fitting_toy/features", {"use": "fitting_toy/features"})
    monkeypatch.setattr(compatibility, "networks", lambda _: parts)
    monkeypatch.setattr(compatibility, "losses", lambda _: [loss])
    said = "check finds nothing wrong, and two steps end with"
    with pytest.raises(compatibility.DisagreementError, match=said):
        compatibility.section(paired)


def test_losses_stand_with_each_loss_that_they_take(compatibility, paired):
    labels = [part.label for part in compatibility.losses(paired.task)]
    assert labels == sorted(labels, key=lambda label: label.partition(",")[0])
    assert "pix2pix/cgan_l1, gan = gan/hinge" in labels
    assert "pix2pix/cgan_l1, gan = gan/vanilla" not in labels  # the default, said once
    assert len(labels) == len(set(labels))


def test_a_penalty_stands_beside_the_recipes_own_loss(compatibility, paired):
    found = compatibility.Section(paired)
    label, change = found._of_loss(compatibility.Part("gan/r1", {"use": "gan/r1"}))
    assert label == "+ gan/r1"
    assert [one["use"] for one in change["loss"]] == ["pix2pix/cgan_l1", "gan/r1"]
    change = found._of_loss(compatibility.Part("gan/hinge", {"use": "gan/hinge"}))
    assert change == ("gan/hinge", {"loss": [{"use": "gan/hinge"}]})


def test_a_task_is_looked_at_in_each_sort_of_shapes(compatibility):
    task = compatibility.subject_of(current(), current().entry("task", "gan/from_noise"))
    names = [host.recipe.name for host in compatibility.hosts(task)]
    assert {"gan_digits", "gan_ring"} & set(names) or "gan_grid25" in names
    shapes = [host.shapes() for host in compatibility.hosts(task)]
    assert len(shapes) == len(set(shapes)) > 1


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_document_is_what_the_code_does(compatibility):
    assert compatibility.document(current()) == DOCUMENT, "run `python docs/compatibility.py`"
