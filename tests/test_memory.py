"""Errors about memory are recognised, whoever raises them, and nothing else is."""

import errno

import cv2
import numpy as np
import pytest
import torch

from ganzoo.api import hookimpl
from ganzoo.cli.main import main
from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.errors import EnvironmentFault, ExitCode
from ganzoo.observers import Voice
from ganzoo.process.memory import out_of_memory, shortage
from ganzoo.recipe import load_recipe


def raised(make):
    try:
        make()
    except Exception as error:  # noqa: BLE001
        return error
    pytest.fail("it had the memory")


@pytest.mark.parametrize(
    ("make", "asked"),
    [
        (lambda: torch.empty(2**48, dtype=torch.uint8), "256 TiB"),
        (lambda: np.empty(2**48, np.uint8), "256 TiB"),
        (lambda: bytearray(2**60), ""),
    ],
    ids=["torch", "numpy", "python"],
)
def test_real_refusals_of_the_system(make, asked):
    found = shortage(raised(make))
    assert found is not None
    assert (found.device, found.asked) == ("this machine", asked)


@pytest.mark.parametrize(
    ("error", "device"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has"),
            "the CUDA device",
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), "the CUDA device"),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), "the Apple GPU"),
        (cv2.error("OpenCV(4.9.0): (-4:Insufficient memory) Failed to allocate 9 bytes"), "this"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "this machine"),
        (RuntimeError("can't start new thread"), "this machine"),
        (ImportError("libx.so.62: failed to map segment from shared object"), "this machine"),
    ],
)
def test_what_libraries_say(error, device):
    found = shortage(error)
    assert found is not None
    assert found.device.startswith(device)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        ValueError("out of memory"),  # nobody's way to say it
        OSError(errno.ENOSPC, "No space left on device"),
        KeyError("memory"),
    ],
)
def test_other_errors_are_not_about_memory(error):
    assert shortage(error) is None
    assert out_of_memory(error, "a step", hint="lower it") is None


def test_a_wrapped_error_is_found_and_the_fault_says_what_to_lower():
    try:
        try:
            torch.empty(2**48, dtype=torch.uint8)
        except RuntimeError as error:
            message = "the network failed"
            raise ValueError(message) from error
    except ValueError as error:
        fault = out_of_memory(error, "a step of 4 images", hint="Lower it.", where="x.png")
    assert isinstance(fault, EnvironmentFault)
    assert fault.message == (
        "a step of 4 images needs more memory: this machine has no memory left "
        "(256 TiB more were asked for)"
    )
    assert (fault.hint, fault.where) == ("Lower it.", "x.png")


class Hungry:
    """Makes the backward pass of the third step ask for more memory than any machine has."""

    def __init__(self, size):
        self.size = size

    @hookimpl
    def ganzoo_step_done(self, run, step):
        if step == 2:
            weight = next(run.trainer.nets["generator"].parameters())
            weight.register_hook(lambda _: (torch.empty(self.size, dtype=torch.uint8), None)[1])


@pytest.mark.parametrize("size", [2**48, 1])
def test_a_training_that_needs_more_says_what_to_lower(tiny, tmp_path, size):
    recipe = load_recipe(tiny, ["train.batch_size=3"])
    voice = Voice(quiet=True)
    result = run(
        recipe, out=tmp_path / "run", limits=Limits(4), voice=voice, observers=[Hungry(size)]
    )
    if size == 1:  # negative control
        assert result.error is None
        return
    assert result.exit_code == ExitCode.ENVIRONMENT
    assert "a training step of 3 samples (source 3 x 32 x 32, target" in result.error.message
    assert "256 TiB more were asked for" in result.error.message
    assert "Lower train.batch_size, which is 3" in result.error.hint


def test_no_command_calls_a_lack_of_memory_a_bug(tiny, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    too_wide = ["run", str(tiny), "--set", "generator.width=10000000"]
    assert main(too_wide) == ExitCode.ENVIRONMENT
    said = capsys.readouterr().err
    assert "this command needs more memory: this machine has no memory left" in said
    assert "Traceback" not in said
    assert "bug" not in said
