"""Weights that a timm encoder refuses, and downloads that fail or aren't made."""

import os
import pickle
import subprocess
import sys

import pytest
import timm
import torch
from safetensors.torch import save_file

import ganzoo_timm_unet.weights as module
from ganzoo.engine.check import inspect_recipe
from ganzoo.errors import DataError, EnvironmentFault, ExitCode, RecipeError
from ganzoo.nn import weights_follow
from ganzoo.recipe import load_recipe
from ganzoo_timm_unet.encoder import Encoder
from ganzoo_timm_unet.options import EncoderOptions

NAME = "mobilenetv3_small_050"  # small, and its images are normalised by ImageNet's statistics
SHAPE = (3, 64, 64)


def encoder(shape=SHAPE, **options):
    return Encoder(EncoderOptions(**{"encoder": NAME, **options}), shape).eval()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda s: s.pop("conv_stem.weight"), "missing: conv_stem.weight"),
        (lambda s: s.update(extra=torch.zeros(1)), "unexpected: extra"),
        (
            lambda s: s.update({"conv_stem.weight": torch.zeros(16, 1, 3, 3)}),
            r"shape: conv_stem.weight is \(16, 1, 3, 3\), the model's is \(16, 3, 3, 3\)",
        ),
    ],
)
def test_another_models_file_is_refused(model, tmp_path, change, problem):
    state = model.state_dict()
    change(state)
    path = tmp_path / "odd.safetensors"
    save_file(state, path)
    with pytest.raises(DataError, match=problem) as refused:
        encoder(weights=str(path))
    assert refused.value.exit_code == ExitCode.DATA
    assert refused.value.where == str(path)


def test_a_deeper_sister_is_refused(tmp_path):
    """resnet34 has all that resnet18 has, of the same shapes, and more: that is what betrays it."""
    path = tmp_path / "deep.safetensors"
    save_file(timm.create_model("resnet34").state_dict(), path)
    with pytest.raises(DataError, match=r"unexpected: layer1\.2"):
        encoder(encoder="resnet18", weights=str(path))


class Evil:
    def __reduce__(self):
        return os.mkdir, (os.environ["EVIL"],)


def test_a_pickle_that_runs_code_is_refused_unrun(tmp_path, monkeypatch):
    mark = tmp_path / "owned"
    monkeypatch.setenv("EVIL", str(mark))
    path = tmp_path / "evil.pth"
    torch.save({"conv_stem.weight": Evil()}, path)
    with pytest.raises(DataError, match="no plain state dict"):
        encoder(weights=str(path))
    path.write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(DataError, match="no plain state dict"):
        encoder(weights=str(path))
    assert not mark.exists()
    pickle.loads(path.read_bytes())  # control: it would have
    assert mark.exists()


@pytest.mark.parametrize(
    ("content", "message"), [(b"junk", "no safetensors"), (None, "no such file")]
)
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_files_that_are_none(tmp_path, content, message, suffix):
    path = tmp_path / f"bad.{suffix}"
    if content:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        encoder(weights=str(path))


def test_a_file_of_something_else(tmp_path):
    path = tmp_path / "list.pth"
    torch.save([torch.zeros(1)], path)
    with pytest.raises(DataError, match="something other than named tensors"):
        encoder(weights=str(path))


def test_a_failing_hub_is_explained(monkeypatch):
    create = timm.create_model

    def offline(name, **keywords):
        if keywords.get("pretrained"):
            raise OSError("no route to host")
        return create(name, **keywords)

    monkeypatch.setattr(module.timm, "create_model", offline)
    with pytest.raises(EnvironmentFault, match="no route to host") as refused:
        encoder(pretrained=True)
    assert refused.value.exit_code == ExitCode.ENVIRONMENT
    assert "weights = " in refused.value.hint
    assert "huggingface.co/timm/mobilenetv3_small_050.lamb_in1k" in refused.value.hint
    encoder()  # control


def test_weights_that_nobody_published():
    with pytest.raises(RecipeError, match="no published weights of 'lcnet_035'"):
        encoder(encoder="lcnet_035", pretrained=True)


def no_download(monkeypatch):
    create = timm.create_model

    def strict(name, **keywords):
        assert not keywords.get("pretrained"), "weights were asked for"
        return create(name, **keywords)

    monkeypatch.setattr(timm, "create_model", strict)


def test_neither_meta_nor_weights_that_follow_download(monkeypatch):
    no_download(monkeypatch)
    with torch.device("meta"):
        encoder(pretrained=True)
    with weights_follow():
        encoder(pretrained=True)
        encoder(weights="gone.pth")
    with pytest.raises(EnvironmentFault, match="weights were asked for"):  # control
        encoder(pretrained=True)


def test_on_meta_a_file_is_looked_at(file):
    with torch.device("meta"):
        encoder(weights=str(file))
        with pytest.raises(DataError, match="no such file"):
            encoder(weights="gone.pth")


def test_check_downloads_nothing_and_sees_bad_files(tiny, monkeypatch):
    no_download(monkeypatch)
    sets = ["generator=timm_unet/unet", f"generator.encoder={NAME}"]
    report = inspect_recipe(load_recipe(tiny, [*sets, "generator.pretrained=true"]))
    assert not report["problems"]
    report = inspect_recipe(load_recipe(tiny, [*sets, "generator.weights=gone.pth"]))
    assert report["problems"][0]["exit_code"] == ExitCode.DATA


@pytest.mark.slow
def test_a_run_without_a_network_ends_with_the_cause(tiny, tmp_path):
    """The real hub client, cut off."""
    words = ["run", tiny, "--set=generator=timm_unet/unet", "--set=generator.encoder=test_resnet"]
    words += ["--set=generator.pretrained=true", f"--out={tmp_path / 'run'}"]
    done = subprocess.run(
        [sys.executable, "-m", "ganzoo", *map(str, words)],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == ExitCode.ENVIRONMENT, done.stderr
    assert "weights of 'test_resnet' can't be loaded" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
