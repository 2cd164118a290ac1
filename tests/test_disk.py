"""A disk without room, or a file that can't be written: named, with what it takes, and no bug."""

import errno
import json
import os
import resource
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from ganzoo.cli.main import main
from ganzoo.engine import checkpoint
from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.errors import EnvironmentFault, ExitCode
from ganzoo.files import cannot_write, read_json, replacing
from ganzoo.observers import Voice
from ganzoo.recipe import load_recipe

QUIET = Voice(quiet=True)


@contextmanager
def largest_file(size: int):
    """No file of this process may become larger: writing fails as on a disk without room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_systems_refusal_names_the_file_whoever_writes_it(tmp_path):
    path = tmp_path / "weights.safetensors"
    for write in (
        lambda file: save_file({"a": torch.zeros(1000)}, file),
        lambda file: file.write_bytes(bytes(4000)),
    ):
        with largest_file(1000), pytest.raises(OSError) as caught, replacing(path) as temporary:
            write(temporary)
        assert caught.value.errno == errno.EFBIG
        assert caught.value.filename == str(path)
        assert not list(tmp_path.iterdir())
    with replacing(path) as temporary:  # the control: without the limit the same is written
        save_file({"a": torch.zeros(1000)}, temporary)
    assert path.stat().st_size > 4000


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    absent = tmp_path / "absent"
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "made"):
        absent.read_bytes()
    assert caught.value.filename == str(absent)
    with pytest.raises(ValueError, match="a plugin's own"), replacing(tmp_path / "made"):
        raise ValueError("a plugin's own")


def test_how_much_it_takes_and_how_much_there_is(tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "file"))
    fault = cannot_write(full, tmp_path, needed=1234567)
    assert fault.exit_code == ExitCode.ENVIRONMENT
    assert fault.where == str(tmp_path / "file")
    assert "No space left on device (it takes 1,234,567 bytes, and " in fault.message
    assert "bytes are free" in fault.message
    refused = cannot_write(PermissionError(errno.EACCES, "Permission denied"), tmp_path)
    assert "bytes" not in refused.message
    assert "permissions" in refused.hint


SETS = ("checkpoints.every=1 steps", "watch.samples=1 steps", "watch.log=1 steps")


def test_at_whatever_file_the_room_ends_a_run_ends_in_words(tiny, tmp_path):
    """Each limit lets smaller files pass than the one at which the run fails."""
    run(load_recipe(tiny, SETS), out=tmp_path / "whole", limits=Limits(1), voice=QUIET)
    whole = tmp_path / "whole"
    step = whole / "checkpoints" / "step_1"
    for file in (
        *(whole / name for name in ("recipe.toml", "recipe.resolved.toml")),
        *(step / name for name in ("generator.safetensors", "training_state.safetensors")),
    ):
        path, size = tmp_path / f"run{file.name}", file.stat().st_size - 1
        with largest_file(size):
            try:
                error = run(load_recipe(tiny, SETS), out=path, limits=Limits(1), voice=QUIET).error
            except EnvironmentFault as fault:  # before the run has begun
                error = fault
        assert error is not None, file
        assert error.exit_code == ExitCode.ENVIRONMENT
        assert Path(error.where).name == ("step_1" if file.parent == step else file.name)
        assert f"{size:,} bytes (ulimit -f)" in error.message
        assert not list(path.rglob("*.tmp"))
        assert not checkpoint.steps(path / "checkpoints")


@pytest.mark.parametrize("name", ["provenance.json", "status.json"])
def test_what_a_run_says_of_itself_and_no_room_for_it(tiny, tmp_path, monkeypatch, name):
    def refuse(path, text):
        if path.name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        path.write_text(text)

    monkeypatch.setattr("ganzoo.files.write_text", refuse)
    with pytest.raises(EnvironmentFault, match="the run directory can't be written") as caught:
        run(load_recipe(tiny), out=tmp_path / "run", limits=Limits(1), voice=QUIET)
    assert caught.value.where == str(tmp_path / "run" / name)


def test_a_full_disk_leaves_the_older_checkpoint_and_the_resume_goes_on(tiny, tmp_path):
    path = tmp_path / "run"
    run(load_recipe(tiny, SETS), out=path, limits=Limits(1), voice=QUIET)
    with largest_file(100_000):
        result = run(None, resume=path, limits=Limits(3), voice=QUIET)
    assert (result.outcome, result.exit_code) == ("failed", ExitCode.ENVIRONMENT)
    assert result.error is not None
    assert "the checkpoint of step 2 can't be written: File too large" in result.error.message
    assert "it takes " in result.error.message
    assert checkpoint.steps(path / "checkpoints") == [1]
    assert read_json(path / "status.json")["state"] == "failed"
    assert run(None, resume=path, limits=Limits(3), voice=QUIET).document["step"] == 3


def test_no_room_for_one_checkpoint_is_said_before_the_first_step(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "ganzoo.engine.loop.shutil.disk_usage", lambda _: SimpleNamespace(free=123456)
    )
    with pytest.raises(
        EnvironmentFault, match=r"takes [\d,]{7,} bytes, and 123,456 bytes are free"
    ):
        run(load_recipe(tiny), out=tmp_path / "run", limits=Limits(1), voice=QUIET)


def test_commands_say_which_file_the_system_refuses(tmp_path, capsys, monkeypatch):
    def refuse(path, text):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("ganzoo.cli.main._invoke", lambda _: refuse(tmp_path / "x.toml", ""))
    assert main(["list", "--json"]) == ExitCode.ENVIRONMENT
    said = json.loads(capsys.readouterr().out)["error"]
    assert said["where"] == str(tmp_path / "x.toml")
    assert said["message"] == "can't be used: Permission denied"


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--resume", "PATH"),
        ("runs", "compare", "PATH", "PATH"),
        ("evaluate", "PATH"),
        ("sample", "PATH"),
        ("bundle", "PATH", "-o", "weights.safetensors"),
    ],
)
def test_a_name_that_no_file_can_have_is_a_mistake_of_the_command(arguments, capsys):
    """The system refuses to look for it, which the commands can't tell from a bug by themselves."""
    code = main([one.replace("PATH", "a" * 300) for one in arguments])
    said = capsys.readouterr().err
    assert code == 2
    assert "can't be a path: File name too long" in said
    assert "bug" not in said
