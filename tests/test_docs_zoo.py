"""docs/zoo.md: what it shows are the figures of runs of the recipes as they are now."""

import dataclasses
import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest

from ganzoo.plugin_system.installed_plugins import CORE
from ganzoo.plugin_system.registry import current

ROOT = Path(__file__).parents[1]


def load_script():
    spec = importlib.util.spec_from_file_location("zoo_script", ROOT / "docs" / "zoo.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


zoo = load_script()


def test_the_document_is_made_from_the_figures():
    assert zoo.DOCUMENT.read_text() == zoo.render(zoo.load())


@pytest.mark.parametrize("entry", zoo.ENTRIES, ids=lambda entry: entry.recipe)
def test_the_figures_are_those_of_the_present_recipes(entry):
    """Run `python docs/zoo.py run` and `python docs/zoo.py` if it fails: a recipe has changed."""
    assert zoo.stale(entry, zoo.load()) == []
    assert zoo.picture_of(entry).is_file()
    assert len(entry.trials) > 1, "a figure without its control"


def test_a_changed_recipe_makes_its_figures_stale():
    entry = zoo.ENTRIES[0]
    trial = dataclasses.replace(entry.trials[0], changes=("train.epochs=7",))
    kept = {trial.key(seed): zoo.load()[entry.trials[0].key(seed)] for seed in entry.seeds}
    changed = dataclasses.replace(entry, trials=(trial,))
    assert zoo.stale(changed, kept) == [(trial, seed) for seed in entry.seeds]


def test_every_plugin_with_a_task_is_there():
    wanted = {
        entry.record.namespace
        for entry in current().components()
        if entry.record.distribution == CORE and entry.component.kind == "task"
    }
    assert wanted <= {entry.plugin for entry in zoo.ENTRIES}


def test_a_run_gives_figures(tmp_path, monkeypatch):
    """The script itself, on a run of two steps."""
    monkeypatch.setattr(zoo, "PICTURES", tmp_path)
    monkeypatch.setattr(zoo, "FIGURES", tmp_path / "zoo.json")
    small = ("train.epochs=1", "data.train=8", "data.val=8", "data.test=8", "train.batch_size=4")
    first = next(entry for entry in zoo.ENTRIES if entry.recipe == "gan_ring")
    trial = dataclasses.replace(first.trials[0], changes=small)
    entry = dataclasses.replace(first, trials=(trial,), seeds=(3,))
    monkeypatch.setattr(zoo, "ENTRIES", (entry,))
    assert zoo.stale(entry, {}) == [(trial, 3)]
    zoo.run((), jobs=1)
    figures = json.loads((tmp_path / "zoo.json").read_text())
    assert zoo.stale(entry, figures) == []
    (one,) = figures.values()
    assert one["step"] == 2
    assert set(entry.figures) <= set(one["metrics"])
    assert zoo.picture_of(entry).is_file()
    shutil.rmtree(tmp_path)
