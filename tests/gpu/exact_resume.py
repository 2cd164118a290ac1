"""2N steps equal N and N bit for bit under deterministic algorithms; what these cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ganzoo.engine.intervals import Limits
from ganzoo.engine.run import run
from ganzoo.observers import Voice
from tests.gpu.loops import in_turns, papers_recipe, trainer_of
from tests.gpu.parts import Setup
from tests.gpu.report import Figure

N = 10
SETS = (
    *("train.batch_size=2", "data.train=50", "generator.width=8", "discriminator.width=8"),
    *("checkpoints.every=never", "watch.samples=never", "watch.evaluate=never"),
)


def rows() -> Mapping[str, Callable[[Setup], Figure]]:
    """Deterministic, its price, and without."""
    return {
        "2N = N + N, deterministic algorithms": _deterministic,
        "price of deterministic algorithms": _price,
        "2N and 2N again, algorithms as they are": _as_they_are,
    }


@contextmanager
def _deterministically() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def _deterministic(setup: Setup) -> Figure:
    with _deterministically():
        whole = _train(setup, "whole", 2 * N)
        parts = _train(setup, "parts", N)
        _train(setup, "parts", 2 * N, resume=parts)
    differ, largest = _compare(_state(whole), _state(parts))
    if differ:
        return Figure("", {"differ": differ}, f"{len(differ)} tensors differ, by {largest:.1e}")
    return Figure(f"all {len(_state(whole))} tensors of the state are equal bit for bit, N = {N}")


def _as_they_are(setup: Setup) -> Figure:
    first, again = (_state(_train(setup, name, 2 * N)) for name in ("first", "again"))
    differ, largest = _compare(first, again)
    text = f"{len(differ)} of {len(first)} tensors differ, by {largest:.1e} at most"
    return Figure(text, {"differ": len(differ), "largest": largest})


def _price(setup: Setup) -> Figure:
    with trainer_of(papers_recipe(setup)) as trainer:

        def deterministic() -> None:
            with _deterministically():
                trainer.step()

        spent = in_turns(
            {"as they are": trainer.step, "deterministic": deterministic},
            setup.device,
            setup.seconds / 2,
            steps=3 if setup.small else 20,
        )
    price = spent["deterministic"].median - spent["as they are"].median
    said = "; ".join(f"{name} {spread.words('ms')}" for name, spread in spent.items())
    values = {name: spread.document() for name, spread in spent.items()}
    return Figure(f"{price:+.2f} ms a step ({said})", values)


def _train(setup: Setup, name: str, steps: int, resume: Path | None = None) -> Path:
    result = run(
        papers_recipe(setup, *SETS) if resume is None else None,
        out=None if resume else setup.folder / "exact_resume" / name,
        resume=resume,
        limits=Limits(steps),
        voice=Voice(quiet=True),
        observers=[],
    )
    if result.error is not None:
        raise result.error
    return result.path


def _state(path: Path) -> dict[str, Tensor]:
    folder = path / "checkpoints" / f"step_{2 * N}"
    return {
        f"{file.stem}/{name}": tensor
        for file in sorted(folder.glob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }


def _compare(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> tuple[list[str], float]:
    if one.keys() != two.keys():
        message = "the two runs saved other tensors"
        raise AssertionError(message)
    differ = [name for name in one if not torch.equal(one[name], two[name])]
    apart = [(one[name].double() - two[name].double()).abs().max().item() for name in differ]
    return differ, max(apart, default=0.0)
