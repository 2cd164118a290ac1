"""A training step never waits for the device: it reads no tensor's value, unless it logs.

Here is no GPU, so all that would make the host wait for one raises instead: methods that give a
tensor's value to Python, operations whose result's shape depends on values, and copies of Python's
numbers to the device outside of the loader.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from ganzoo.api import hookimpl
from ganzoo.data.pipeline import open_data
from ganzoo.engine import trainer as trainer_module
from ganzoo.engine.accelerate_session import Session, resolve
from ganzoo.engine.intervals import Limits
from ganzoo.engine.loop import Loop
from ganzoo.engine.run_view import Run
from ganzoo.engine.trainer import Trainer
from ganzoo.observers import Voice
from ganzoo.observers.defaults import default_observers
from ganzoo.recipe import load_recipe
from tests.narrow import narrow, shipped

READERS = (
    *("item", "tolist", "numpy", "cpu", "__array__", "__bool__", "__float__", "__int__"),
    *("__index__", "__complex__", "__contains__", "__repr__", "__format__", "is_nonzero"),
)
"""Methods of a tensor that give its values to Python."""
COPIERS = ("tensor", "as_tensor", "from_numpy", "asarray")
"""Functions of torch that bring Python's values to a device, and wait until they are there."""
MAKERS = ("rand", "randn", "randint", "randperm", "zeros", "empty", *COPIERS)
"""Functions of torch whose `device="cpu"`, in so many words, makes a tensor that the host owns."""
WAITING = {
    *("_local_scalar_dense", "item", "nonzero", "is_nonzero", "masked_select", "equal"),
    *("_unique2", "unique_consecutive", "unique_dim", "bincount", "histc", "argwhere"),
}
"""Operations that make the host wait: their result is, or is as large as, a value says."""


class HostSyncError(AssertionError):
    """Somebody waited for the device."""


class Guard(TorchDispatchMode):
    """Raises at whatever would wait, while `armed`; counts it while not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.armed = False
        self.seen = 0
        self.hosts = WeakIdKeyDictionary()
        for name in READERS:
            monkeypatch.setattr(torch.Tensor, name, self._watched(getattr(torch.Tensor, name)))
        # It looks at the indices on a CPU alone (aten/native/Onehot.cpp); a GPU's kernel asserts.
        one_hot = torch.nn.functional.one_hot
        monkeypatch.setattr(torch.nn.functional, "one_hot", self._unwatched(one_hot))
        for name in MAKERS:
            monkeypatch.setattr(torch, name, self._maker(getattr(torch, name), name))

    def _watched(self, function: Any) -> Any:
        def watched(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            if tensor not in self.hosts:
                self._found(function.__name__)
            with self.off():  # what it is made of
                return function(tensor, *args, **kwargs)

        return watched

    def _unwatched(self, function: Any) -> Any:
        def unwatched(*args: Any, **kwargs: Any) -> Any:
            with self.off():
                return function(*args, **kwargs)

        return unwatched

    def _maker(self, function: Any, name: str) -> Any:
        def made(*args: Any, **kwargs: Any) -> Any:
            by_host = kwargs.get("device") == "cpu" and isinstance(kwargs["device"], str)
            if name in COPIERS and not by_host:
                self._found(name)
            tensor = function(*args, **kwargs)
            if by_host:
                self.hosts[tensor] = True
            return tensor

        return made

    def _found(self, what: str) -> None:
        self.seen += 1
        if self.armed:
            raise HostSyncError(what)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.partition("::")[2]
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
        if tensors and all(one in self.hosts for one in tensors):
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                self.hosts[result] = True
            return result
        by_mask = name in {"index", "index_put", "index_put_"} and any(
            one is not None and one.dtype in {torch.bool, torch.uint8} for one in args[1]
        )
        if name in WAITING or by_mask:
            self._found(name)
        return func(*args, **(kwargs or {}))

    @contextmanager
    def off(self) -> Iterator[None]:
        """Work of the host alone: the loader."""
        armed, self.armed = self.armed, False
        try:
            yield
        finally:
            self.armed = armed


class Between:
    """Arms the guard from one step's end to the next one's, unless that one logs."""

    def __init__(self, guard: Guard, log: int) -> None:
        self.guard = guard
        self.log = log
        self.guarded = 0

    @hookimpl(trylast=True)
    def ganzoo_step_done(self, step: int) -> None:
        """The step is over, and so are the hooks of others."""
        self.guarded += self.guard.armed
        self.guard.armed = (step + 1) % self.log != 0


LOG = 4


def go(recipe, monkeypatch, path, *more: object, steps=2 * LOG + 1, scaler=None) -> Guard:
    """Train under guard; returns the guard, which has seen at least one log."""
    guard = Guard(monkeypatch)
    real = trainer_module.batches

    def batches(*args: Any, **kwargs: Any) -> Iterator[Any]:
        stream = real(*args, **kwargs)
        while True:
            with guard.off():
                batch = next(stream, None)
            if batch is None:
                return
            yield batch

    monkeypatch.setattr(trainer_module, "batches", batches)
    session = Session(resolve(recipe.train), accumulate=recipe.train.accumulate)
    session.accelerator.scaler = scaler
    between = Between(guard, LOG)
    try:
        trainer = Trainer(recipe, open_data(recipe, "train"), session)
        path.mkdir(exist_ok=True)
        run = Run(path, recipe, trainer, Voice(quiet=True))
        loop = Loop(run, Limits(steps=steps), [*default_observers(run), *more, between])
        with guard:
            loop.run.last_step = steps
            loop._steps(())  # what comes after the last step may read
    finally:
        guard.armed = False
        session.close()
    assert guard.seen  # a log was read
    assert between.guarded > LOG
    return guard


@pytest.mark.parametrize("name", shipped())
def test_no_recipe_of_the_zoo_waits_in_a_step(name, monkeypatch, tmp_path):
    own = {"precision": load_recipe(name).train.precision}
    go(narrow(name, tmp_path, log=LOG, train=own), monkeypatch, tmp_path / "run")


@pytest.mark.parametrize(
    "sets",
    [
        ("train.accumulate=2", "optimizer.clip=1", "ema.enabled=true"),
        ("train.precision=bf16", 'diffaugment=[{use="gan/diffaugment", p=0.5}]'),
        ("train.precision=bf16", 'diffaugment=[{use="gan/ada", p=0.5, interval=1}]'),
        ("optimizer.name=sgd", "optimizer.clip=1"),
        ("optimizer.name=rmsprop",),
        ("optimizer.name=adamw", "optimizer.lr={from=1e-3, to=1e-4}"),
        ('loss=[{use="gan/hinge"}, {use="gan/r1"}, {use="gan/r2"}]',),
        ('loss=[{use="gan/wgan"}, {use="gan/gp"}]',),
    ],
)
def test_nothing_that_a_recipe_may_switch_on_waits(sets, tiny, monkeypatch, tmp_path):
    recipe = load_recipe(tiny, [*sets, f"watch.log={LOG} steps", "train.epochs=40"])
    go(recipe, monkeypatch, tmp_path / "run")


def test_the_scaler_of_fp16_waits_for_no_fused_optimizer(tiny, monkeypatch, tmp_path):
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    recipe = load_recipe(tiny, ["optimizer.clip=1", f"watch.log={LOG} steps", "train.epochs=40"])
    go(recipe, monkeypatch, tmp_path / "run", scaler=scaler)


def test_what_the_host_drew_for_itself_is_no_wait(monkeypatch):
    with Guard(monkeypatch) as guard:
        guard.armed = True
        assert (torch.rand(3, device="cpu") < 2).all()
        with pytest.raises(HostSyncError):
            assert (torch.rand(3, device=torch.device("cpu")) < 2).all()
        guard.armed = False


READS = {
    "item": lambda x: x.mean().item(),
    "float": lambda x: float(x.mean()),
    "truth": lambda x: bool(torch.isfinite(x).all()),
    "array": lambda x: x.detach().numpy(),
    "copy": lambda x: x.detach().cpu(),
    "mask": lambda x: x[x > 0],
    "shape": lambda x: (x > 0).nonzero(),
    "to device": lambda x: x + torch.tensor([1.0], device=x.device),
}


@pytest.mark.parametrize("how", READS)
def test_a_callback_that_reads_is_caught(how, tiny, monkeypatch, tmp_path):
    class Reads:
        @hookimpl
        def ganzoo_step_done(self, run: Any) -> None:
            READS[how](next(run.nets["generator"].parameters()))

    with pytest.raises(HostSyncError):
        go(load_recipe(tiny, [f"watch.log={LOG} steps"]), monkeypatch, tmp_path / "run", Reads())


@pytest.mark.parametrize("how", READS)
def test_a_loss_that_reads_is_caught(how, tiny, monkeypatch, tmp_path):
    from ganzoo_gan.losses import Vanilla

    real = Vanilla.real

    def reading(self: Any, logits: torch.Tensor) -> torch.Tensor:
        READS[how](logits)
        return real(self, logits)

    monkeypatch.setattr(Vanilla, "real", reading)
    with pytest.raises(HostSyncError):
        go(load_recipe(tiny, [f"watch.log={LOG} steps"]), monkeypatch, tmp_path / "run")


def test_a_callback_may_read_in_a_step_that_logs(tiny, monkeypatch, tmp_path):
    class Reads:
        @hookimpl
        def ganzoo_step_done(self, run: Any, step: int) -> None:
            if step % LOG == 0:
                next(run.nets["generator"].parameters()).mean().item()

    go(load_recipe(tiny, [f"watch.log={LOG} steps"]), monkeypatch, tmp_path / "run", Reads())
