"""Networks under torch.compile: the same maths, names and resumes; and how exact CUDA's fp32 is."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from ganzoo.engine.accelerate_session import Resolved, Session, resolve
from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.nn.device_and_precision import set_fp32
from ganzoo.observers import Voice
from ganzoo.recipe import load_recipe
from ganzoo.recipe.model import Train
from ganzoo.testing.trial import training, weights_of

QUIET = Voice(quiet=True)
SETS = ("generator.dropout=0.0", "train.epochs=8")


@pytest.fixture(autouse=True)
def _new_process():
    """Nothing is compiled yet: torch gives up on code that it compiled eight times."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()


def weights_after(tiny, steps: int, *sets: str) -> dict[str, torch.Tensor]:
    with training(load_recipe(tiny, [*SETS, *sets])) as trainer:
        for _ in range(steps):
            trainer.step()
        return weights_of(trainer.nets)


@pytest.mark.slow
def test_compiled_networks_train_alike(tiny):
    fp64 = "train.precision=fp64"
    eager = weights_after(tiny, 3, fp64)
    compiled = weights_after(tiny, 3, fp64, "train.compile=default")
    assert compiled.keys() == eager.keys()
    for name, value in eager.items():
        torch.testing.assert_close(compiled[name], value, rtol=1e-6, atol=1e-8)
    other = weights_after(tiny, 3, fp64, "train.seed=1")
    assert not all(torch.allclose(other[name], value) for name, value in eager.items())


@pytest.mark.slow
def test_compiled_networks_are_compiled(tiny):
    weights_after(tiny, 1)
    assert not torch._dynamo.utils.counters["frames"]["ok"]
    weights_after(tiny, 1, "train.compile=default")
    assert torch._dynamo.utils.counters["frames"]["ok"]


@pytest.mark.slow
def test_penalties_go_around_the_compiler(tiny, monkeypatch):
    sets = ('loss=[{use="gan/hinge"}, {use="gan/r1"}]', "train.compile=default")
    weights_after(tiny, 1, *sets)
    monkeypatch.setattr(torch.compiler, "set_stance", lambda _: nullcontext())
    with pytest.raises(RuntimeError, match="double backward"):
        weights_after(tiny, 1, *sets)


@pytest.mark.slow
def test_a_compiled_run_resumes_to_the_same_bits(tiny, tmp_path):
    recipe = load_recipe(tiny, ["train.compile=default", "ema.enabled=true"])

    def go(out, resume=None, steps=6):
        result = run(
            None if resume else recipe,
            out=out,
            resume=resume,
            limits=Limits(steps=steps),
            voice=QUIET,
            observers=[],
        )
        assert not result.error, result.error

    go(tmp_path / "whole")
    go(tmp_path / "parts", steps=3)
    torch._dynamo.reset()  # as a new process
    go(None, resume=tmp_path / "parts")
    for role in ("generator", "generator.ema", "discriminator"):
        one, two = (
            (tmp_path / name / "checkpoints" / "step_6" / f"{role}.safetensors").read_bytes()
            for name in ("whole", "parts")
        )
        assert one == two


def test_what_changes_bits_is_compared_at_a_resume():
    before = resolve(Train(device="cpu"))
    assert before.compile == "off"
    assert not before.tf32
    after = resolve(Train(device="cpu", compile="default", tf32=True))
    assert before.differences(after) == ["tf32 False -> True", "compile off -> default"]


def test_runs_from_before_there_was_a_choice_resume():
    stored = Resolved("cpu", "fp32", threads=1, ranks=1, workers=0, channels_last=False)
    train = Train(device="cpu", threads=1, precision="fp32", workers=0)
    assert stored.differences(resolve(train, stored)) == []


@pytest.mark.parametrize("tf32", [False, True])
def test_torch_before_2_9_has_flags_instead(monkeypatch, tf32):
    matmul, cudnn = SimpleNamespace(allow_tf32=False), SimpleNamespace(allow_tf32=True)
    monkeypatch.setattr(torch.backends.cuda, "matmul", matmul)
    monkeypatch.setattr(torch.backends, "cudnn", cudnn)
    session = Session(resolve(Train(device="cpu", tf32=tf32)), accumulate=1)
    assert (matmul.allow_tf32, cudnn.allow_tf32) == (tf32, tf32)
    session.close()
    assert (matmul.allow_tf32, cudnn.allow_tf32) == (False, True)


@pytest.mark.parametrize(("tf32", "said"), [(False, "ieee"), (True, "tf32")])
def test_a_session_says_how_exact_cuda_is(tf32, said):
    before = set_fp32("tf32", "ieee")
    try:
        session = Session(resolve(Train(device="cpu", tf32=tf32)), accumulate=1)
        assert torch.backends.cuda.matmul.fp32_precision == said
        assert torch.backends.cudnn.conv.fp32_precision == said
        session.close()
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
        assert torch.backends.cudnn.conv.fp32_precision == "ieee"
    finally:
        set_fp32(*before)
