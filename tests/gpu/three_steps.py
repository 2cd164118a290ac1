"""Three steps of each shipped recipe in each precision: finite, and near fp32."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ganzoo.data.pipeline import open_data
from ganzoo.engine.accelerate_session import Session, resolve
from ganzoo.engine.trainer import Trainer
from tests.gpu.loops import furthest
from tests.gpu.parts import Setup
from tests.gpu.report import Figure
from tests.narrow import narrow, shipped

STEPS = 3
NEAR = 0.1
"""How far the first step's losses in 16 bits may be from those in fp32: bf16 rounds each number to
1 in 256, and a loss is a mean of many."""


def rows() -> Mapping[str, Callable[[Setup], Figure]]:
    """A row for each shipped recipe."""
    return {name: lambda setup, name=name: _recipe(name, setup) for name in shipped()}


def _recipe(name: str, setup: Setup) -> Figure:
    precisions = ("fp32", "bf16") if setup.device == "cpu" else ("fp32", "bf16", "fp16")
    losses, faults, said = {}, [], []
    for precision in precisions:
        try:
            losses[precision] = _losses(name, setup, precision)
        except Exception as error:  # noqa: BLE001  # one precision's fault must not hide another's
            faults.append(f"{precision}: {type(error).__name__}: {error}".splitlines()[0])
            continue
        if "fp32" in losses and precision != "fp32":
            # Of the first step alone: the weights differ afterwards.
            apart = furthest(losses[precision][:1], losses["fp32"][:1])
            said.append(f"{precision} {apart:.1e}")
            if not apart <= NEAR:
                faults.append(f"{precision} is {apart:.2g} from fp32")
    text = f"losses finite; distance to fp32: {', '.join(said) or 'none'}"
    return Figure("" if faults else text, {"losses": losses}, "; ".join(faults))


def _losses(name: str, setup: Setup, precision: str) -> list[dict[str, float]]:
    settings = {"device": setup.device, "precision": precision, "channels_last": "auto"}
    recipe = narrow(name, setup.folder, log=1, train=settings)
    session = Session(resolve(recipe.train), accumulate=recipe.train.accumulate)
    try:
        trainer = Trainer(recipe, open_data(recipe, "train"), session)
        found = []
        for _ in range(STEPS):
            trainer.step()
            found.append(trainer.stepper.logs())
        trainer.check_finite()
        trainer.close()
    finally:
        session.close()
    return found
