"""Weights carry their identity, are replaced atomically, and refuse what they can't mean."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ganzoo.api import Chosen, Component, Options
from ganzoo.errors import (
    DataError,
    EnvironmentFault,
    ExitCode,
    PluginError,
    RecipeError,
    UsageError,
)
from ganzoo.files import replacing
from ganzoo.inference import weights_card as cards
from ganzoo.inference import weights_file
from ganzoo.inference.application_weights import find_application
from ganzoo.inference.weights_card import WeightsCard
from ganzoo.inference.weights_file import build_network, load_weights, read_cards, save_weights
from ganzoo.interfaces import Application, Field, NetIO
from ganzoo.plugin_system import registry
from ganzoo.testing.networks import io_of
from tests.weights_of import weights_of


def make_card(**changes: Any) -> WeightsCard:
    image = Field((3, 8, 8), "ganzoo/image", palette=((0, 0, 222), (255, 0, 0)))
    card = WeightsCard(
        role="generator",
        kind="generator",
        network={"use": "toy/net"},
        revision=1,
        io=io_of((3, 8, 8), (3, 8, 8)),
        task={"use": "toy/task"},
        fields={"source": image, "target": Field((3, 8, 8), "ganzoo/image")},
        data={"use": "toy/data", "direction": "right_to_left"},
        plugin={"distribution": "ganzoo-toy", "version": "0.3"},
        size_multiple=4,
        step=12,
        images=12,
        recipe="toy",
        recipe_sha256="ab",
    )
    return dataclasses.replace(card, **changes)


class Net(nn.Module):
    def __init__(self, options: Options, io: NetIO) -> None:
        super().__init__()
        self.conv = nn.Conv2d(io.input.shape[0], io.output.shape[0], 3, padding=1)
        self.norm = nn.BatchNorm2d(io.output.shape[0])

    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        return self.norm(self.conv(x))


class ToyTask:
    applications: ClassVar = {
        "translate": Application(takes=("source",), gives=("target",), roles=("generator",))
    }


@pytest.fixture
def toy_registry(monkeypatch):
    """A registry of two components, so that these tests need no plugin."""
    parts = {
        "generator": Component(kind="generator", name="net", target=lambda: Net),
        "task": Component(kind="task", name="task", target=lambda: ToyTask),
    }
    targets = {"generator": Net, "task": ToyTask}

    def find(kind: str, name: str) -> Component:
        if name.startswith("absent/"):
            raise PluginError("no plugin has the namespace absent", hint="Install it.")
        return parts[kind]

    def choose(kind: str, table: Any) -> Chosen:
        if "gone" in table:
            raise RecipeError("gone: unknown option")
        return Chosen(id=table["use"], component=find(kind, table["use"]), options=Options())

    monkeypatch.setattr(registry, "current", lambda: SimpleNamespace(find=find, choose=choose))
    monkeypatch.setattr(Chosen, "load", lambda self: targets[self.component.kind])
    return SimpleNamespace(parts=parts, targets=targets)


def test_card_round_trip():
    card = make_card(ema=True)
    again = WeightsCard.from_json(card.to_json())
    assert again == card
    assert isinstance(again.io.input.shape, tuple)
    assert again.fields["source"].palette[0] == (0, 0, 222)
    assert again != make_card()  # the negative control: equality does look at the fields


def test_weights_round_trip_of_views_tied_and_transposed_tensors(tmp_path):
    base = torch.arange(24.0)
    state = {
        "whole": base,
        "tied": base,
        "slice": base[4:8],
        "transposed": base.view(4, 6).t(),
        "count": torch.tensor(7),
        "half": torch.ones(2, dtype=torch.bfloat16, requires_grad=True),
    }
    path = tmp_path / "generator.safetensors"
    save_weights(path, state, make_card())
    card, loaded = load_weights(path)
    assert card == make_card() == read_cards(path)["generator"]
    assert loaded.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(loaded[name], tensor.detach()), name
        assert loaded[name].dtype == tensor.dtype
    assert path.stat().st_size < 3000  # the slice wrote 4 numbers, not its whole storage
    first = path.read_bytes()
    save_weights(path, state, make_card())
    assert path.read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_only_tensors_that_safetensors_would_refuse_are_copied():
    whole = torch.randn(4, 4)
    made = weights_file.writable({"whole": whole, "tied": whole, "part": torch.randn(8)[2:]})
    assert made["whole"].data_ptr() == whole.data_ptr()  # a checkpoint needs no second copy
    assert made["tied"].data_ptr() != whole.data_ptr()
    assert torch.equal(made["tied"], whole)
    assert made["part"].untyped_storage().nbytes() == made["part"].nbytes


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail():
        with replacing(path) as temporary:
            temporary.write_text("half of the new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_what_is_not_ours_is_refused_by_name(tmp_path):
    missing = tmp_path / "none.safetensors"
    with pytest.raises(UsageError, match=r"none\.safetensors"):
        load_weights(missing)

    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    pickled = tmp_path / "g.pth"
    pickled.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match=r"g\.pth"):
        load_weights(pickled)
    assert not (tmp_path / "exploded").exists()

    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(1)}, foreign)
    with pytest.raises(DataError, match="without ganzoo's card"):
        load_weights(foreign)

    broken = tmp_path / "broken.safetensors"
    save_file({"a": torch.zeros(1)}, broken, metadata={"ganzoo": '{"format": 1}'})
    with pytest.raises(DataError, match="card can't be read"):
        load_weights(broken)

    truncated = tmp_path / "truncated.safetensors"
    save_weights(truncated, {"a": torch.zeros(100)}, make_card())
    truncated.write_bytes(truncated.read_bytes()[:-20])
    with pytest.raises(DataError, match="damaged"):
        load_weights(truncated)


def test_a_newer_format_says_upgrade(tmp_path):
    values = json.loads(make_card().to_json()) | {"format": cards.FORMAT + 1, "ganzoo": "9.0"}
    path = tmp_path / "new.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={"ganzoo": json.dumps(values)})
    with pytest.raises(EnvironmentFault, match=r"ganzoo 9\.0") as caught:
        load_weights(path)
    assert "new.safetensors" in str(caught.value)
    assert "Upgrade" in caught.value.hint


def test_build_network_fills_it_and_leaves_the_random_state(toy_registry):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    state = Net(Options(), io_of((3, 8, 8), (3, 8, 8))).state_dict()
    torch.set_rng_state(before)
    net = build_network(make_card(), state)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    fresh = build_network(make_card())
    assert torch.equal(fresh.conv.weight, net.conv.weight)  # same RNG state, so the same draw
    state["norm.bias"] += 1
    assert not torch.equal(fresh.norm.bias, state["norm.bias"])


def test_build_network_lists_every_tensor_that_does_not_fit(toy_registry):
    state = build_network(make_card()).state_dict()
    state["stray"] = state.pop("conv.bias")
    state["norm.weight"] = torch.zeros(5)
    with pytest.raises(DataError, match="3 tensors") as caught:
        build_network(make_card(), state, where="g.safetensors")
    message = str(caught.value)
    for part in ("g.safetensors", "missing: conv.bias", "unexpected: stray", "norm.weight is (5,)"):
        assert part in message


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (ValueError("takes 64 pixels"), DataError),
        (RuntimeError("negative dimension"), DataError),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
            RuntimeError,
        ),  # no fault of it
    ],
)
def test_what_a_network_refuses_is_the_cards_fault_but_not_a_lack_of_memory(
    toy_registry, error, becomes
):
    def refuse(*_):
        raise error

    toy_registry.targets["generator"] = refuse
    with pytest.raises(becomes, match=str(error)):
        build_network(make_card())


def test_another_revision_and_a_missing_plugin_are_refused_with_exit_4(toy_registry):
    with pytest.raises(PluginError, match="revision 2") as caught:
        build_network(make_card(revision=2))
    assert caught.value.exit_code == ExitCode.PLUGIN
    assert "ganzoo-toy 0.3" in str(caught.value)
    # an option that only the other revision has is no other fault
    with pytest.raises(PluginError, match="revision 2"):
        build_network(make_card(revision=2, network={**make_card().network, "gone": 1}))
    with pytest.raises(RecipeError, match="unknown option") as caught:
        build_network(make_card(network={**make_card().network, "gone": 1}))
    assert "ganzoo-toy 0.3" in str(caught.value)
    with pytest.raises(PluginError, match=r"ganzoo-toy 0\.3") as caught:
        build_network(make_card(network={"use": "absent/net"}), where="g.safetensors")
    assert "g.safetensors" in str(caught.value)
    assert caught.value.exit_code == ExitCode.PLUGIN


def write_checkpoint(run, step, names, complete=True):
    folder = run / "checkpoints" / f"step_{step}"
    for name in names:
        role = name.split(".")[0]
        save_weights(folder / f"{name}.safetensors", {"a": torch.zeros(1)}, make_card(role=role))
    save_file({"state": torch.zeros(1)}, folder / "training_state.safetensors")
    if complete:
        files = {
            file.name: {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
            for file in folder.iterdir()
        }
        (folder / "manifest.json").write_text(json.dumps({"files": files}))
    return folder


def found(path, role=None, *, ema=None):
    if role is None:
        return find_application(path, ema=ema).path
    return weights_of(path, role, ema=ema)


def test_find_weights_takes_the_newest_complete_checkpoint(tmp_path, toy_registry):
    both = ["discriminator", "generator"]
    write_checkpoint(tmp_path, 900, both)
    new = write_checkpoint(tmp_path, 1000, [*both, "generator.ema"])
    write_checkpoint(tmp_path, 1100, both, complete=False)
    assert found(tmp_path) == new / "generator.ema.safetensors"
    assert found(tmp_path, ema=False) == new / "generator.safetensors"
    assert found(tmp_path, "discriminator") == new / "discriminator.safetensors"
    assert found(new) == new / "generator.ema.safetensors"
    file = new / "generator.safetensors"
    assert found(file) == file
    with pytest.raises(UsageError, match="encoder"):
        found(tmp_path, "encoder")


@pytest.mark.parametrize(
    ("role", "ema", "said"),
    [
        ("discriminator", None, "plain weights of generator, not the plain weights of discrim"),
        (None, True, "plain weights of generator, not the averaged weights of generator"),
    ],
)
def test_find_weights_ignores_no_wish_about_a_named_file(tmp_path, toy_registry, role, ema, said):
    folder = write_checkpoint(tmp_path, 5, ["discriminator", "generator"])
    file = folder / "generator.safetensors"
    with pytest.raises(UsageError, match=said):
        found(file, role, ema=ema)
    assert found(file, "generator", ema=False) == file


def test_find_weights_passes_over_a_damaged_checkpoint_and_says_so(tmp_path, toy_registry, caplog):
    old = write_checkpoint(tmp_path, 900, ["generator"])
    new = write_checkpoint(tmp_path, 1000, ["generator"])
    path = new / "generator.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # still a readable file: only its hash tells
    path.write_bytes(content)
    read_cards(path)["generator"]
    assert found(tmp_path) == old / "generator.safetensors"
    assert "step_1000" in caplog.text


def damage_last_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # still a readable file: only hashes tell
    path.write_bytes(content)


@pytest.mark.parametrize("named", ["generator.safetensors", "generator.ema.safetensors", ""])
@pytest.mark.parametrize("role", [None, "generator"])
def test_a_manifest_is_heeded_wherever_a_path_leads(tmp_path, toy_registry, named, role):
    folder = write_checkpoint(tmp_path, 5, ["generator", "generator.ema"])
    assert found(folder / named, role) == folder / (named or "generator.ema.safetensors")
    for path in folder.glob("generator*"):
        damage_last_byte(path)
    with pytest.raises(DataError, match="sha256 differs") as caught:
        found(folder / named, role)
    assert caught.value.exit_code == ExitCode.DATA
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match=r"manifest\.json"):
        found(folder / named, role)


def test_a_damaged_average_is_not_replaced_by_the_plain_weights(tmp_path, toy_registry, caplog):
    both = ["generator", "generator.ema"]
    old, new = write_checkpoint(tmp_path, 900, both), write_checkpoint(tmp_path, 1000, both)
    damage_last_byte(new / "generator.ema.safetensors")
    assert found(tmp_path) == old / "generator.ema.safetensors"
    assert "step_1000" in caplog.text
    assert found(tmp_path, ema=False) == new / "generator.safetensors"
    (new / "generator.safetensors").write_bytes(b"no card: the role is unknown")
    assert found(tmp_path) == old / "generator.ema.safetensors"
    damage_last_byte(old / "generator.ema.safetensors")
    with pytest.raises(DataError, match="intact") as caught:
        found(tmp_path, "generator")
    assert "step_900" in caught.value.hint


def test_a_file_without_a_manifest_is_known_by_the_hash_in_its_card(tmp_path):
    path = tmp_path / "mailed.safetensors"
    state = {"a": torch.randn(3), "count": torch.tensor(7), "none": torch.zeros(0)}
    save_weights(path, state, make_card())
    load_weights(path)
    whole = path.read_bytes()
    damage_last_byte(path)
    with pytest.raises(DataError, match="sha256 in its card"):
        load_weights(path)
    # the card is held to it as well
    path.write_bytes(whole.replace(b'\\"size_multiple\\":4', b'\\"size_multiple\\":8'))
    assert read_cards(path)["generator"].size_multiple == 8
    with pytest.raises(DataError, match="sha256 in its card"):
        load_weights(path)
    # a file of before there were hashes is believed, as it always was
    card = json.loads(make_card().to_json()) | {"format": 1, "fields": of_format_2(), "io": OLD_IO}
    del card["sha256"]
    save_file(state, path, metadata={"ganzoo": json.dumps(card)})
    assert load_weights(path)[0].format == 1


OLD_IO = {"inputs": [3, 8, 8], "outputs": [3, 8, 8], "classes": 0}
"""As cards of formats 1 and 2 have it."""


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("kind", "old", "inputs", "outputs"),
    [
        ("generator", OLD_IO, {"input": "image"}, {"output": "image"}),
        (
            "generator",
            {"inputs": [5], "outputs": [1, 8, 8], "classes": 3},
            {"input": "points", "label": "class"},
            {"output": "image"},
        ),
        (
            "discriminator",
            {"inputs": [1, 8, 8], "outputs": [1], "classes": 3},
            {"input": "image", "label": "class"},
            {},
        ),
        (
            "network",
            {"inputs": [3, 8, 8], "outputs": [4], "classes": 0},
            {"input": "image"},
            {"output": "points"},
        ),
    ],
)
def test_inputs_and_outputs_of_older_cards_get_names(version, kind, old, inputs, outputs):
    older = {"format": version, "kind": kind, "io": old, "fields": of_format_2()}
    values = json.loads(make_card().to_json()) | older
    io = WeightsCard.from_json(json.dumps(values)).io
    assert {name: one.format.removeprefix("ganzoo/") for name, one in io.inputs.items()} == inputs
    assert {name: one.format.removeprefix("ganzoo/") for name, one in io.outputs.items()} == outputs
    assert io.input.shape == tuple(old["inputs"])
    assert io.classes == old["classes"]
    if outputs:
        assert io.output.shape == tuple(old["outputs"])
    # The control: the present format has no such inputs.
    with pytest.raises(ValueError, match="inputs"):
        WeightsCard.from_json(json.dumps(values | {"format": cards.FORMAT}))


@pytest.mark.parametrize(
    "io",
    [
        {},
        [],
        {"inputs": [3, 8], "outputs": "x", "classes": 0},
        {"inputs": [], "outputs": [], "classes": 0},
        {"inputs": [0, 8, 8], "outputs": [3, 8, 8], "classes": 0},
        {"inputs": [3, 8, 8], "outputs": [3, 8, 8], "classes": -1},
        {"inputs": [3, 8, 8], "outputs": [3, 8, 8], "classes": "2"},
        {"inputs": {"x": 1}, "outputs": 5, "classes": None},
    ],
)
def test_broken_shapes_of_older_cards_are_refused(io):
    older = {"format": 2, "io": io, "fields": of_format_2()}
    values = json.loads(make_card().to_json()) | older
    with pytest.raises(ValueError, match="io"):
        WeightsCard.from_json(json.dumps(values))


def test_a_card_keeps_the_order_of_inputs_and_outputs():
    fields = {"z": Field((4,), "ganzoo/points"), "a": Field((), "ganzoo/class", classes=2)}
    several = dict(reversed([("image", Field((3, 8, 8), "ganzoo/image")), ("latent", fields["z"])]))
    for inputs in (fields, dict(reversed(fields.items()))):
        card = make_card(io=NetIO(inputs, several))
        again = WeightsCard.from_json(card.to_json())
        assert again == card
        assert list(again.io.inputs) == list(inputs)
        assert list(again.io.outputs) == ["latent", "image"]


def of_format_2(**changed: Any) -> dict[str, Any]:
    """The fields of `make_card` as cards up to format 2 had them."""
    fields = json.loads(make_card().to_json())["fields"]
    for one in fields.values():
        kind = one.pop("format").removeprefix("ganzoo/")
        del one["range"]
        one |= {"kind": kind, "low": -1.0, "high": 1.0, **changed}
    return fields


def test_fields_of_older_cards_are_read(tmp_path):
    path = tmp_path / "old.safetensors"
    old = {"format": 2, "fields": of_format_2(), "io": OLD_IO}
    card = json.loads(make_card().to_json()) | old
    save_file({"a": torch.zeros(1)}, path, metadata={"ganzoo": json.dumps(card)})
    assert read_cards(path)["generator"].fields == make_card().fields
    for wrong in (card | {"format": 3}, card | {"fields": of_format_2(low=0.0)}):
        save_file({"a": torch.zeros(1)}, path, metadata={"ganzoo": json.dumps(wrong)})
        with pytest.raises(DataError, match="card can't be read"):
            read_cards(path)["generator"]


WRONG = {
    "role": [5, None, "../../x", "a/b"],
    "kind": ["loss", 1],
    "network": ["toy/net", [], None],
    "revision": ["1", 1.5, True],
    "io": [
        {},
        [],
        {"inputs": [3, 8], "outputs": "x"},
        {"inputs": [], "outputs": []},
        {"inputs": [{"shape": [3], "format": "ganzoo/points"}], "outputs": []},
        {"inputs": [{"name": "x", "shape": [3], "format": "ganzoo/points"}] * 2, "outputs": []},
        {"inputs": [{"name": "../x", "shape": [3], "format": "ganzoo/points"}], "outputs": []},
        {"inputs": [{"name": "x", "shape": [3], "format": "image"}], "outputs": []},
        {
            "inputs": [{"name": "x", "shape": [], "format": "ganzoo/class", "classes": -1}],
            "outputs": [],
        },
    ],
    "task": [1, None],
    "fields": [[], {"source": 1}, {"source": {"shape": [3, -8, 8], "format": "ganzoo/image"}}],
    "data": ["x"],
    "size_multiple": [0, -4, "4", 10**9],
    "inference": [{"mode": "x", "seed": 0}, {"mode": "paper"}, {"mode": "paper", "seed": "0"}],
    "plugin": [{"version": 3}],
    "ema": ["yes", 1],
    "step": [-1, "12"],
    "images": [1.5],
    "recipe": ["../../x", 3],
    "recipe_sha256": [1],
    "ganzoo": [2],
    "format": [0, "1", None],
    "sha256": [0],
    "stranger": [1],
}


@pytest.mark.parametrize("key", sorted(WRONG))
def test_a_card_of_wrong_values_is_refused_in_words(tmp_path, key):
    path = tmp_path / "forged.safetensors"
    for value in WRONG[key]:
        values = json.loads(make_card().to_json()) | {key: value}
        save_file({"a": torch.zeros(1)}, path, metadata={"ganzoo": json.dumps(values)})
        with pytest.raises(DataError, match="card can't be read") as caught:
            read_cards(path)["generator"]
        assert key in caught.value.hint, value
        assert caught.value.where == str(path)
    assert {one.name for one in dataclasses.fields(WeightsCard)} <= WRONG.keys()


@pytest.mark.parametrize("text", ["", "[]", "5", "{", "[" * 5000, '{"format": 1}'])
def test_what_is_no_card_is_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        WeightsCard.from_json(text)


def test_find_weights_says_what_is_missing(tmp_path, toy_registry):
    with pytest.raises(UsageError, match="no complete checkpoint"):
        found(tmp_path)
    with pytest.raises(UsageError, match="no such run"):
        found(tmp_path / "nowhere")
    write_checkpoint(tmp_path / "name" / "20260101-120000", 5, ["generator"])
    for folder in (tmp_path, tmp_path / "name"):
        with pytest.raises(UsageError, match="no complete checkpoint") as caught:
            found(folder)
        assert str(tmp_path / "name" / "20260101-120000") in caught.value.hint
    write_checkpoint(tmp_path, 5, ["generator"])
    with pytest.raises(UsageError, match="averaged"):
        found(tmp_path, ema=True)
    with pytest.raises(UsageError, match="no application 'paint'") as caught:
        find_application(tmp_path, "paint")
    assert "--application translate  (source -> target)" in caught.value.hint


def test_an_older_checkpoint_is_never_used_without_a_word(tmp_path, caplog, toy_registry):
    """A newer one whose manifest or whose weights are gone is named; a whole one needs no word."""
    run = tmp_path / "run"
    for step in (1, 2):
        write_checkpoint(run, step, ["generator"])
    newest, older = (run / "checkpoints" / f"step_{n}/generator.safetensors" for n in (2, 1))
    assert weights_of(run, "generator") == newest
    assert not caplog.messages
    weights = newest.read_bytes()
    newest.unlink()
    assert weights_of(run, "generator") == older
    assert "step_2: its weights are missing; an older checkpoint is used" in caplog.text
    caplog.clear()
    newest.with_name("discriminator.safetensors").write_bytes(b"others")
    assert weights_of(run, "generator") == older
    assert "step_2/generator.safetensors: it is missing" in caplog.text
    caplog.clear()
    newest.write_bytes(weights)
    newest.with_name("manifest.json").unlink()
    assert weights_of(run, "generator") == older
    assert "step_2: its manifest.json is missing; an older checkpoint is used" in caplog.text
