"""A run that begins from weights: what it takes, adapts, freezes and refuses, and its resumes."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo.api import hookimpl
from ganzoo.cli.main import cli
from ganzoo.data.pipeline import open_data
from ganzoo.engine import starting_weights
from ganzoo.engine.fit_weights import Change, Channels, fit
from ganzoo.engine.intervals import Limits
from ganzoo.engine.plan import plan_networks
from ganzoo.engine.run import run
from ganzoo.errors import DataError, ExitCode, PluginError, RecipeError
from ganzoo.inference.weights_file import load_weights, read_cards, save_bundle
from ganzoo.observers import Voice
from ganzoo.observers.base import Observer
from ganzoo.plugin_system import registry
from ganzoo.recipe import RecipeProblems, load_recipe
from ganzoo.recipe.copy import copied
from ganzoo.recipe.start import split_source
from tests.weights_of import weights_of


class Beginning(Observer):
    """Keeps the weights of a run before its first step."""

    def __init__(self) -> None:
        self.weights: dict[str, torch.Tensor] = {}

    @hookimpl
    def ganzoo_run_started(self, run) -> None:
        for kind, nets in (("", run.nets), (".ema", run.trainer.shown)):
            for role, net in nets.items():
                state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
                self.weights[f"{role}{kind}"] = state


def go(tiny, out=None, *sets, resume=None, steps=2, observers=(), quiet=True):
    recipe = load_recipe(tiny, sets) if tiny else None
    voice = Voice(quiet=quiet)
    return run(
        recipe, out=out, resume=resume, limits=Limits(steps), voice=voice, observers=observers
    )


def stored(path: Path, stem: str = "generator", step: int = 2) -> dict[str, torch.Tensor]:
    return load_file(path / "checkpoints" / f"step_{step}" / f"{stem}.safetensors")


def same(one, two) -> set[str]:
    """The names of tensors that have the same bits in both."""
    return {name for name in one.keys() & two.keys() if torch.equal(one[name], two[name])}


@pytest.fixture
def source(tiny, tmp_path) -> Path:
    """A run of two steps."""
    go(tiny, tmp_path / "source", "train.seed=7")
    return tmp_path / "source"


@pytest.fixture
def averaged(tiny, tmp_path) -> Path:
    """A run of two steps with moving averages."""
    go(tiny, tmp_path / "averaged", "ema.enabled=true", "ema.half_life=1")
    return tmp_path / "averaged"


def begun(tiny, out, *sets) -> dict[str, dict[str, torch.Tensor]]:
    """The weights of a run before its first step."""
    seen = Beginning()
    go(tiny, out, *sets, steps=1, observers=[seen])
    return seen.weights


def refused(tiny, out, *sets, kind=DataError):
    with pytest.raises(kind) as caught:
        go(tiny, out, *sets)
    assert not out.exists()
    return caught.value


# What is taken


def test_a_run_begins_with_exactly_these_weights(tiny, source, tmp_path):
    theirs, fresh = stored(source), begun(tiny, tmp_path / "fresh")
    mine = begun(tiny, tmp_path / "run", f"start.generator={source}")
    assert same(theirs, mine["generator"]) == theirs.keys() == mine["generator"].keys()
    # The controls: initial weights are others, and those of the other network didn't change.
    assert same(theirs, fresh["generator"]) < theirs.keys()
    assert same(fresh["discriminator"], mine["discriminator"]) == fresh["discriminator"].keys()


def test_every_role_may_begin_from_a_run_a_folder_or_a_file(tiny, source, tmp_path):
    folder = source / "checkpoints" / "step_2"
    sets = (f"start.generator={folder}", f"start.discriminator={folder}/discriminator.safetensors")
    mine = begun(tiny, tmp_path / "run", *sets)
    for role in ("generator", "discriminator"):
        assert same(stored(source, role), mine[role]) == mine[role].keys()


def test_the_moving_average_is_taken_where_there_is_one(tiny, averaged, tmp_path):
    plain, average = stored(averaged), stored(averaged, "generator.ema")
    assert same(plain, average) < plain.keys()
    sets = (f"start.generator={averaged}", "ema.enabled=true")
    mine = begun(tiny, tmp_path / "run", *sets)
    assert same(average, mine["generator"]) == average.keys()
    assert same(average, mine["generator.ema"]) == average.keys()
    file = averaged / "checkpoints" / "step_2" / "generator.safetensors"
    mine = begun(tiny, tmp_path / "other", f"start.generator={file}")
    assert same(plain, mine["generator"]) == plain.keys()


def test_weights_are_converted_to_the_precision_of_the_run(tiny, source, tmp_path):
    mine = begun(tiny, tmp_path / "run", f"start.generator={source}", "train.precision=fp64")
    theirs = {
        name: tensor.double() if tensor.is_floating_point() else tensor
        for name, tensor in stored(source).items()
    }
    assert mine["generator"]["encoder.0.0.weight"].dtype == torch.float64
    assert same(theirs, mine["generator"]) == theirs.keys()


def test_without_strict_what_fits_is_taken_and_the_rest_stays_fresh(tiny, source, tmp_path):
    other = ("generator.depth=4", "generator.dropout_layers=[2]")
    fresh = begun(tiny, tmp_path / "fresh", *other)["generator"]
    sets = (*other, f"start.generator={source}")
    error = refused(tiny, tmp_path / "refused", *sets)
    assert "only in the file: " in error.hint
    assert "start.strict = false" in error.hint
    mine = begun(tiny, tmp_path / "run", *sets, "start.strict=false")["generator"]
    theirs = stored(source)
    fits = {name for name in mine if name in theirs and theirs[name].shape == mine[name].shape}
    assert {"encoder.0.0.weight"} < fits < mine.keys()
    assert same(theirs, mine) >= fits
    assert same(fresh, mine) >= mine.keys() - fits
    record = json.loads((tmp_path / "run" / "provenance.json").read_text())["start"]["generator"]
    assert {*record["taken"]} == fits
    assert {*record["other_shape"], *record["fresh"]} == mine.keys() - fits
    assert {*record["unused"]} == theirs.keys() - mine.keys()


def test_what_the_user_is_told(tiny, source, tmp_path):
    def told(*sets):
        arguments = [part for key in sets for part in ("--set", key)]
        out = str(tmp_path / "run")
        done = CliRunner().invoke(
            cli, ["run", str(tiny), "--out", out, "--max-steps", "1", *arguments]
        )
        assert done.exit_code == 0, done.output
        log = (tmp_path / "run" / "log.txt").read_text()
        shutil.rmtree(out)
        return log

    file = source / "checkpoints" / "step_2" / "generator.safetensors"
    begins = f"generator starts from {file} (generator at step 2 of tiny)\n"
    log = told(f"start.generator={source}", "generator.dropout=0.25")
    assert f"{begins}  taken: 46 of the network's 46 tensors\n" in log
    assert "options with other values than in the weights' network: dropout\n" in log
    log = told(f"start.generator={file}", "start.strict=false", "generator.width=8")
    assert begins in log
    assert "\n  another shape: encoder.0.0.weight 4x3x4x4 -> 8x3x4x4\n" in log
    assert " tensors keep their initial values\n" in log
    assert "frozen" not in log
    log = told('start.freeze=["generator/encoder.*"]')
    assert "frozen: 11 of 25 parameter tensors of generator (" in log


def test_where_the_weights_came_from_is_recorded_but_travels_with_no_weights(
    tiny, source, tmp_path
):
    go(tiny, tmp_path / "run", f"start.generator={source}")
    record = json.loads((tmp_path / "run" / "provenance.json").read_text())["start"]["generator"]
    file = source / "checkpoints" / "step_2" / "generator.safetensors"
    assert record["path"] == str(file)
    assert record["sha256"] == read_cards(file)["generator"].sha256 != ""
    assert (record["role"], record["step"], record["ema"]) == ("generator", 2, False)
    assert len(record["taken"]) == 46
    weights = tmp_path / "run" / "checkpoints" / "step_2" / "generator.safetensors"
    assert str(source) not in read_cards(weights)["generator"].to_json()
    assert str(source) in (tmp_path / "run" / "recipe.resolved.toml").read_text()


# What is refused


@pytest.mark.parametrize(
    ("sets", "message", "hint"),
    [
        (("start.generatr={source}",), "no network 'generatr'", 'did you mean "generator"?'),
        (("start.generator={source}:encoder",), "no weights of encoder", "generator.safetensors"),
        (("start.generator={source}/nothing",), "no such run directory", ""),
        (("start.generator={out}",), "no such run directory", ""),
        (("start.generator=" + 300 * "x",), "can't be read", ""),
        (
            ("start.generator={source}/checkpoints/step_2/discriminator.safetensors:generator",),
            "holds the plain weights of discriminator",
            "",
        ),
        (("start.generator=~nobody99/x",), "~nobody99/x: no such run directory", ""),
        (('start.freeze=["encodr.*"]',), "'encodr.*' names no parameter", "generator/encoder"),
        (('start.freeze=["painter/*"]',), "doesn't have", "generator"),
        (('start.freeze=["generator/*"]',), "has no weights to train", "start.freeze"),
    ],
)
def test_a_start_that_the_recipe_names_wrong_is_refused(
    tiny, source, tmp_path, sets, message, hint
):
    out = tmp_path / "run"
    filled = [text.replace("{source}", str(source)).replace("{out}", str(out)) for text in sets]
    error = refused(tiny, out, *filled, kind=RecipeError)
    assert message in error.message
    assert hint in error.hint
    assert error.exit_code == ExitCode.RECIPE
    if "no weights to train" not in message:
        assert error.where == "--set"


def test_a_wrong_name_in_a_file_has_its_line(tiny, source, tmp_path):
    text = tiny.read_text()
    count = len(text.splitlines())
    for line, message in (
        ('freeze = ["encodr.*"]', "'encodr.*' names no parameter"),
        ('freeze = ["painter/*"]', "doesn't have"),
        ('generator = "~nobody99/x"', "no such run directory"),
        ('generatr = "source"', "no network 'generatr'"),
    ):
        tiny.write_text(f"{text}\n[start]\n{line}\n")
        error = refused(tiny, tmp_path / "run", kind=RecipeError)
        assert message in error.message
        assert error.where.endswith(f"tiny.toml:{count + 3}")


def test_only_what_helps_is_proposed(tiny, source, tmp_path):
    def hint(value):
        return refused(tiny, tmp_path / "run", f"start.generator={value}", kind=RecipeError).hint

    assert f"named like this: {source}:discriminator" in hint(f"{source}:encoder")
    (source / "checkpoints" / "step_2" / "manifest.json").rename(tmp_path / "manifest")
    assert "named like this" not in hint(f"{source}:encoder")  # no complete checkpoint
    (tmp_path / "empty").mkdir()
    assert "named like this" not in hint(f"{tmp_path}/empty:encoder")
    file = tmp_path / "alone.safetensors"
    shutil.copy(source / "checkpoints" / "step_2" / "discriminator.safetensors", file)
    told = hint(f"{file}:generator")
    assert told == "Leave out :generator, or name its checkpoint's folder or its run."
    both = (f"start.discriminator={file}", f"start.generator={file}:generator")
    told = refused(tiny, tmp_path / "run", *both, kind=RecipeError).hint
    assert told.startswith("Name each network's own file, or")


def test_a_role_with_the_name_of_a_setting_is_the_plugins_mistake(tiny, monkeypatch):
    recipe = load_recipe(tiny)
    fields = open_data(recipe, "train").fields
    plan = plan_networks(recipe, fields)  # the control
    for setting in ("strict", "adapt", "freeze"):
        monkeypatch.setattr(plan.task, "roles", {**plan.task.roles, setting: "generator"})
        with pytest.raises(PluginError, match=f"'{setting}', which is the name of a setting"):
            plan_networks(recipe, fields)
        monkeypatch.undo()


def test_a_player_with_the_name_of_the_accuracy_is_the_plugins_mistake(tiny, monkeypatch):
    recipe = load_recipe(tiny)
    fields = open_data(recipe, "train").fields
    task = plan_networks(recipe, fields).task  # the control
    monkeypatch.setattr(task, "players", {**task.players, "accuracy": ("generator",)})
    with pytest.raises(PluginError, match="names a player 'accuracy'"):
        plan_networks(recipe, fields)


def test_weights_that_do_not_fit_are_refused(tiny, source, tmp_path):
    out = tmp_path / "run"
    error = refused(tiny, out, f"start.generator={source}", "generator.width=8")
    assert error.exit_code == ExitCode.DATA
    assert error.where == "--set"
    assert "don't fit pix2pix/unet" in error.message
    assert "another shape: encoder.0.0.weight 4x3x4x4 -> 8x3x4x4" in error.hint
    error = refused(tiny, out, f"start.generator={source}:discriminator", "start.strict=false")
    assert "no weights in" in error.message


def test_damaged_weights_are_refused(tiny, source, tmp_path):
    file = source / "checkpoints" / "step_2" / "generator.safetensors"
    alone = tmp_path / "alone.safetensors"
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    alone.write_bytes(content)
    error = refused(tiny, tmp_path / "run", f"start.generator={alone}", "start.strict=false")
    assert "sha256" in error.message
    file.write_bytes(content)
    error = refused(tiny, tmp_path / "run", f"start.generator={source}")
    assert error.exit_code == ExitCode.DATA


def test_all_roles_of_a_run_begin_from_one_checkpoint(tiny, source, tmp_path):
    older = {role: stored(source, role) for role in ("generator", "discriminator")}
    go(None, resume=source, steps=4)
    assert same(older["generator"], stored(source, step=4)) < older["generator"].keys()
    file = source / "checkpoints" / "step_4" / "discriminator.safetensors"
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)
    sets = (f"start.generator={source}", f"start.discriminator={source}/../source:discriminator")
    mine = begun(tiny, tmp_path / "run", *sets)
    for role, weights in older.items():
        assert same(weights, mine[role]) == weights.keys()
    mine = begun(tiny, tmp_path / "one", sets[0])  # the control: one role has a newer checkpoint
    newest = stored(source, step=4)
    assert same(newest, mine["generator"]) == newest.keys()
    file = source / "checkpoints" / "step_2" / "generator.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    error = refused(tiny, tmp_path / "none", *sets)
    assert "no checkpoint in it has intact weights of generator and discr" in error.message


def test_a_file_for_several_roles_is_read_once(tiny, source, tmp_path, monkeypatch):
    both = "generator", "discriminator"
    file = tmp_path / "bundle.safetensors"
    save_bundle(file, {role: load_weights(weights_of(source, role)) for role in both})
    read, files = starting_weights.load_all, []

    def noting(path):
        files.append(path)
        return read(path)

    monkeypatch.setattr(starting_weights, "load_all", noting)
    mine = begun(tiny, tmp_path / "run", *(f"start.{role}={file}" for role in both))
    assert files == [file]
    for role in both:
        assert same(stored(source, role), mine[role]) == mine[role].keys()


def test_weights_of_a_renamed_component_have_its_revision(tiny, tmp_path):
    file = tmp_path / "renamed.py"
    before = registry.current()
    try:
        file.write_text(RENAMED.replace("NAME", "first").replace("MORE", ""))
        registry.activate(files=[file])
        go(tiny, tmp_path / "source", "generator=renamed/first")
        file.write_text(
            RENAMED.replace("NAME", "second").replace(
                "MORE",
                "revision=REVISION), Component(kind='generator', name='first', "
                "renamed_to='renamed/second'",
            )
        )
        text = file.read_text()
        for revision, fits in ((1, True), (2, False)):
            file.write_text(text.replace("REVISION", str(revision)))
            sys.modules.pop("renamed")
            registry.activate(files=[file])
            sets = ("generator=renamed/second", f"start.generator={tmp_path}/source")
            if fits:
                go(tiny, tmp_path / "run", *sets, quiet=False)
                assert "the weights are those of" not in (tmp_path / "run/log.txt").read_text()
            else:
                error = refused(tiny, tmp_path / "other", *sets, kind=PluginError)
                assert "revision 1 of renamed/second" in error.message
    finally:
        registry.activate(records=before.records)


def test_check_finds_the_same_problems_and_tells_the_same(tiny, source):
    def check(*sets):
        arguments = [part for key in sets for part in ("--set", key)]
        done = CliRunner().invoke(cli, ["check", str(tiny), "--json", *arguments])
        return done.exit_code, json.loads(done.stdout)

    code, report = check(f"start.generator={source}", 'start.freeze=["generator/encoder.*"]')
    assert code == 0, report
    told = [note for note in report["notes"] if "taken: 46 of" in note or "frozen: 11" in note]
    assert len(told) == 2
    for sets, expected in (
        ((f"start.generator={source}", "generator.width=8"), ExitCode.DATA),
        ((f"start.generator={source}/no",), ExitCode.RECIPE),
        (('start.freeze=["x"]',), ExitCode.RECIPE),
    ):
        code, report = check(*sets)
        assert code == expected
        assert len(report["problems"]) == 1


# Channels


def test_the_channels_of_the_first_and_last_layer_are_adapted():
    def net(inputs, outputs):
        return nn.Sequential(
            nn.Conv2d(inputs, 4, 3), nn.Conv2d(4, 5, 3), nn.ConvTranspose2d(5, outputs, 3)
        )

    colour, grey, many = net(3, 3), net(1, 1), net(6, 6)
    state = {name: tensor.clone() for name, tensor in colour.state_dict().items()}
    for other, channels in ((grey, 1), (many, 6)):
        found, tensors = fit(state, other, Channels((Change(3, channels),), (Change(3, channels),)))
        assert found.whole
        assert {*found.adapted} == {"0.weight", "2.weight", "2.bias"}
        other.load_state_dict(tensors)
        picture = torch.rand(1, 1, 8, 8)
        first = colour[0](picture.expand(1, 3, 8, 8))
        assert torch.allclose(first, other[0](picture.expand(1, channels, 8, 8)), atol=1e-6)
        features = torch.rand(1, 5, 4, 4)
        before, now = colour[2](features), other[2](features)
        if channels == 1:
            assert torch.allclose(now, before.mean(1, keepdim=True), atol=1e-6)
        else:
            assert torch.equal(now, before.repeat(1, 2, 1, 1))
    # The formula with n = 3 and m = 2: old channels 0 and 2 fall together.
    found, tensors = fit(state, net(2, 3), Channels((Change(3, 2),)))
    assert {*found.adapted} == {"0.weight"}
    mean = (state["0.weight"][:, 0] + state["0.weight"][:, 2]) / 2
    assert torch.allclose(tensors["0.weight"][:, 0], mean * 3 / 2)
    assert torch.allclose(tensors["0.weight"][:, 1], state["0.weight"][:, 1] * 3 / 2)
    # Two images in one tensor are adapted each for itself.
    pair = nn.Conv2d(6, 4, 3)
    _, tensors = fit(pair.state_dict(), nn.Conv2d(2, 4, 3), Channels((Change(6, 2, parts=2),)))
    for image in range(2):
        total = pair.weight[:, 3 * image : 3 * image + 3].sum(1)
        assert torch.allclose(tensors["weight"][:, image], total, atol=1e-6)
    # The controls: without the option, or for another layer, a shape that differs doesn't fit.
    assert {*fit(state, grey, None)[0].other_shape} == {"0.weight", "2.weight", "2.bias"}
    inner = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 3), nn.ConvTranspose2d(6, 3, 3))
    assert {*fit(state, inner, Channels((Change(3, 1),), (Change(3, 1),)))[0].other_shape} == {
        "1.weight",
        "1.bias",
        "2.weight",
    }


class Shifted(nn.Module):
    """A network with buffers of the image's channels, and one of another shape."""

    def __init__(self, channels, others=2):
        super().__init__()
        self.first = nn.Conv2d(channels, 4, 3)
        self.register_buffer("scale", torch.full((1, channels, 1, 1), 2.0))
        self.register_buffer("table", torch.zeros(others))


def test_buffers_are_never_adapted():
    net = Shifted(1)
    found, tensors = fit(Shifted(3).state_dict(), net, Channels((Change(3, 1),)))
    assert found.whole
    assert {*found.adapted} == {"first.weight"}
    assert found.kept == {"scale": ((1, 3, 1, 1), (1, 1, 1, 1))}
    net.load_state_dict(tensors, strict=False)
    assert net.scale.item() == 2
    # The controls: without `adapt` it doesn't fit, and neither does a buffer of another kind.
    assert {*fit(Shifted(3).state_dict(), net, None)[0].other_shape} == {"first.weight", "scale"}
    found, _ = fit(Shifted(3, others=5).state_dict(), net, Channels((Change(3, 1),)))
    assert {*found.other_shape} == {"table"}


@pytest.mark.parametrize("norm", [spectral_norm, nn.utils.spectral_norm])
def test_a_spectrally_normalised_layer_can_be_adapted(norm):
    def net(channels, features=4):
        return nn.Sequential(
            norm(nn.Conv2d(channels, features, 3)), norm(nn.Conv2d(features, 1, 3))
        )

    state, other = net(3).state_dict(), net(1)
    found, tensors = fit(state, other, Channels((Change(3, 1),)))
    assert found.whole
    assert list(found.kept.values()) == [((27,), (9,))]
    other.load_state_dict(tensors, strict=False)
    assert torch.isfinite(other(torch.rand(1, 1, 8, 8))).all()
    # The control: other features are no change of the image's channels.
    assert not fit(state, net(1, features=5), Channels((Change(3, 1),)))[0].whole


def test_a_run_adapts_channels_only_where_it_is_asked_to(tiny, source, tmp_path):
    for split in ("train", "val"):
        (tmp_path / "pictures" / split).mkdir(parents=True)
        from PIL import Image

        for number in range(2):
            picture = Image.effect_noise((64, 32), 50)
            picture.save(tmp_path / "pictures" / split / f"{number}.png")
    data = f'data={{use="images/side_by_side", root="{tmp_path}/pictures", channels="gray"}}'
    sets = (data, f"start.generator={source}", f"start.discriminator={source}")
    error = refused(tiny, tmp_path / "run", *sets)
    assert 'start.adapt = "channels"' in error.hint
    mine = begun(tiny, tmp_path / "run", *sets, "start.adapt=channels")
    for role in ("generator", "discriminator"):
        theirs = stored(source, role)
        record = json.loads((tmp_path / "run" / "provenance.json").read_text())["start"][role]
        assert theirs.keys() - same(theirs, mine[role]) == {*record["adapted"]} != set()
    first = stored(source)["encoder.0.0.weight"].sum(1, keepdim=True)
    assert torch.allclose(mine["generator"]["encoder.0.0.weight"], first, atol=1e-6)
    # The discriminator takes two images at once.
    both = stored(source, "discriminator")["model.0.weight"]
    sums = torch.stack([both[:, :3].sum(1), both[:, 3:].sum(1)], 1)
    assert torch.allclose(mine["discriminator"]["model.0.weight"], sums, atol=1e-6)


# Frozen parameters


@pytest.mark.parametrize(
    "start", [(), ("train.accumulate=2", "ema.enabled=true", "ema.half_life=1")]
)
def test_frozen_parameters_alone_stay_as_they_are(tiny, source, tmp_path, start):
    sets = (*start, f"start.generator={source}", 'start.freeze=["generator/encoder.*"]')
    go(tiny, tmp_path / "run", *sets, steps=2)
    stems = ["generator", "generator.ema"] if "ema.enabled=true" in start else ["generator"]
    for stem in stems:
        theirs, mine = stored(source), stored(tmp_path / "run", stem)
        statistics = {name for name in mine if "running_" in name or "num_batches" in name}
        frozen = {name for name in mine if name.startswith("encoder.")} - statistics
        assert len(frozen) == 11
        assert same(theirs, mine) - statistics == frozen
    go(tiny, tmp_path / "free", *start, f"start.generator={source}", steps=2)  # the control
    assert not same(stored(source), stored(tmp_path / "free")) - statistics


def test_a_pattern_without_a_role_is_for_all_networks(tiny, trainer_of):
    trainer = trainer_of(tiny, 'start.freeze=["encoder.0.*", "*l.0.*"]')
    fixed = {
        f"{role}.{name}"
        for role, net in trainer.nets.items()
        for name, parameter in net.named_parameters()
        if not parameter.requires_grad
    }
    assert fixed == {
        "generator.encoder.0.0.weight",
        "discriminator.model.0.weight",
        "discriminator.model.0.bias",
    }
    trained = [name for names in trainer.stepper.names.values() for name, _ in names]
    assert trained
    assert not fixed & {*trained}


# Resumes


def test_a_resume_reads_the_weights_never_again(tiny, source, tmp_path):
    sets = (f"start.generator={source}", 'start.freeze=["generator/encoder.*"]')
    go(tiny, tmp_path / "whole", *sets, steps=4)
    go(tiny, tmp_path / "parts", *sets, steps=2)
    shutil.rmtree(source)
    go(None, resume=tmp_path / "parts", steps=4)
    for stem in ("generator", "discriminator", "training_state"):
        one, two = (stored(tmp_path / name, stem, 4) for name in ("whole", "parts"))
        assert same(one, two) == one.keys() == two.keys()
    record = [
        json.loads((tmp_path / n / "provenance.json").read_text()) for n in ("whole", "parts")
    ]
    assert record[0]["start"] == record[1]["start"]
    go(tiny, tmp_path / "other", steps=4)  # the control: without a start the weights are others
    assert same(stored(tmp_path / "other", step=4), one) < one.keys()


def test_a_run_without_a_checkpoint_begins_again_from_the_same_weights_only(tiny, source, tmp_path):
    sets = (f"start.generator={source}",)
    go(tiny, tmp_path / "run", *sets, steps=2)
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    (tmp_path / "run" / "status.json").write_text(json.dumps({**status, "checkpoint": ""}))
    seen = Beginning()
    go(None, resume=tmp_path / "run", steps=1, observers=[seen])
    assert same(stored(source), seen.weights["generator"]) == stored(source).keys()
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    (tmp_path / "run" / "status.json").write_text(json.dumps({**status, "checkpoint": ""}))
    go(None, resume=source, steps=3)
    with pytest.raises(DataError, match="isn't what this run began with"):
        go(None, resume=tmp_path / "run", steps=2)


def test_a_resume_with_the_recipe_works_when_its_folder_has_moved(tiny, source, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    source.rename(here / "source")
    recipe = here / "tiny.toml"
    recipe.write_text(tiny.read_text() + '\n[start]\ngenerator = "source"\n')
    go(recipe, tmp_path / "run", steps=1)
    here.rename(there)
    go(there / "tiny.toml", resume=tmp_path / "run", steps=2, quiet=False)
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "changed for this resume" not in log
    assert "isn't what the last part" not in log
    stored_sources = load_recipe(tmp_path / "run" / "recipe.resolved.toml").start.sources
    assert stored_sources == {"generator": f"{here}/source"}
    text = (there / "tiny.toml").read_text()
    for change in ("strict = false", 'discriminator = "source"'):  # the controls
        (there / "tiny.toml").write_text(f"{text}{change}\n")
        with pytest.raises(RecipeError) as caught:
            go(there / "tiny.toml", resume=tmp_path / "run", steps=3)
        assert f"start.{change.partition(' ')[0]}" in caught.value.hint


def test_a_resume_with_the_recipe_works_when_the_weights_beside_it_are_gone(tiny, source):
    tiny.write_text(tiny.read_text() + '\n[start]\ngenerator = "source"\n')
    go(tiny, tiny.parent / "run", steps=1)
    source.rename(source.with_name("elsewhere"))
    go(tiny, resume=tiny.parent / "run", steps=2)
    with pytest.raises(RecipeError) as caught:
        go(tiny, None, "start.generator=elsewhere", resume=tiny.parent / "run", steps=2)
    assert "start.generator" in caught.value.hint


# The table


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("strict = false", "strict has no effect"),
        ('adapt = "channels"', "adapt has no effect"),
        ("generator = 3", 'must be "FILE" or "RUN[:ROLE]"'),
        ("stric = false", "the settings are strict, adapt and freeze"),
        ('generator = ""', "must have at least 1 characters"),
        ('generator = "a"\nadapt = "all"', 'must be "none" or "channels"'),
        ('generator = "a"\nstrict = "false"', "must be true or false"),
        ('freeze = "encoder.*"', "must be an array"),
    ],
)
def test_a_table_with_a_mistake_is_refused_with_its_place(tiny, table, message):
    tiny.write_text(f"{tiny.read_text()}\n[start]\n{table}\n")
    with pytest.raises(RecipeProblems) as caught:
        load_recipe(tiny)
    (problem,) = caught.value.problems
    assert message in problem.message
    assert problem.line > 1
    assert problem.key.startswith("start")


def test_a_recipe_without_a_start_is_the_same_as_before(tiny):
    plain = load_recipe(tiny)
    assert "start" not in plain.document
    named = load_recipe(tiny, ["start.generator=a", "start.strict=false"])
    assert named.document["start"] == {
        "strict": False,
        "adapt": "none",
        "freeze": [],
        "generator": "a",
    }
    assert named.sha256 != plain.sha256 == load_recipe(tiny, ["start.strict=true"]).sha256


def test_a_path_in_a_recipe_names_what_lies_beside_the_recipe(tiny, tmp_path, monkeypatch):
    (tmp_path / "runs" / "first").mkdir(parents=True)
    tiny.write_text(tiny.read_text() + '\n[start]\ngenerator = "runs/first:generator_ab"\n')
    monkeypatch.chdir("/")
    assert load_recipe(tiny).start.sources == {"generator": f"{tmp_path}/runs/first:generator_ab"}
    other = load_recipe(tiny, ["start.generator=runs/first"])
    assert other.start.sources == {"generator": "runs/first"}
    (tmp_path / "sub").mkdir()
    text = copied(tiny, tmp_path / "sub", registry.current())
    assert 'generator = "../runs/first:generator_ab"' in text


def test_a_role_stands_after_the_last_colon(tmp_path):
    assert split_source("runs/a") == ("runs/a", None)
    assert split_source("runs/a:generator_ab") == ("runs/a", "generator_ab")
    assert split_source("C:\\runs\\a") == ("C:\\runs\\a", None)
    assert split_source(":generator") == (":generator", None)
    (tmp_path / "a:b").mkdir()
    assert split_source(f"{tmp_path}/a:b") == (f"{tmp_path}/a:b", None)


RENAMED = """
from torch import nn
from ganzoo.api import Component, hookimpl


class Painter(nn.Conv2d):
    def __init__(self, options, io):
        super().__init__(3, 3, 3, padding=1)


@hookimpl
def ganzoo_components():
    return [Component(kind="generator", name="NAME", target=lambda: Painter, MORE)]
"""

PAINTING = """
from torch import nn
from ganzoo.api import component
from ganzoo.nn import weights_follow_now

built = []


class Painter(nn.Conv2d):
    def __init__(self, options, io):
        super().__init__(3, 3, 3, padding=1)
        built.append(weights_follow_now())


@component("generator")
def painter():
    return Painter
"""


def test_what_is_replaced_in_full_needs_no_pretrained_weights(tiny, tmp_path):
    file = tmp_path / "painting.py"
    file.write_text(PAINTING)
    before = registry.current()
    registry.activate(files=[file])
    try:
        import painting

        go(tiny, tmp_path / "first", "generator=painting/painter")
        sets = ("generator=painting/painter", f"start.generator={tmp_path}/first")
        for strict, expected in (("true", True), ("false", False)):
            painting.built.clear()
            go(tiny, tmp_path / strict, *sets, f"start.strict={strict}")
            assert painting.built == [expected]
    finally:
        registry.activate(records=before.records)
