"""What the engine costs: ganzoo's loop against the same maths called by hand on the same networks.

python -m tests.benchmarks.engine [tiny] [paper] [--precision bf16] [--rounds N] [--json]

All contenders own copies of the same networks, have fused Adam, and take turns in blocks of steps:
a callback of the run itself lets the others have theirs, so that what is measured is the whole loop
with its loader, clocks, hooks, observers and logs (each block logs once and writes its line), and a
busy neighbour meets all alike.

- `by hand`: the loop that anyone would write, on batches that lie ready.
- `accelerate`: the same with networks and optimizers that Accelerate prepared, `accumulate` and
  `backward`, and nothing of ganzoo.
- `ganzoo`: the run.

Goals: at most 2 % beyond `by hand` on the paper's model; at most 150 us a step beyond `accelerate`
on the tiny one, where a step is nearly all overhead.
"""

from __future__ import annotations

import copy
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # torch's own convention

from ganzoo.api import hookimpl
from ganzoo.data.pipeline import PreparedData
from ganzoo.engine.accelerate_session import Session, resolve
from ganzoo.engine.intervals import Limits
from ganzoo.engine.loop import Loop
from ganzoo.engine.run_view import Run
from ganzoo.engine.trainer import Trainer
from ganzoo.interfaces import Field
from ganzoo.observers import Voice
from ganzoo.observers.defaults import default_observers
from ganzoo.recipe import load_recipe
from ganzoo.recipe.model import Recipe
from tests.benchmarks.timing import Spread, arguments, show

MOST_RATIO = 1.02
MOST_BEYOND = 150e-6
_IMAGES = 16


@dataclass(frozen=True)
class Model:
    """One of the benchmark's models.

    Args:
        sets: changes to the recipe `pix2pix_facades`.
        size: side of the images.
        block: steps of a turn, the last of which logs.
    """

    sets: tuple[str, ...]
    size: int
    block: int


MODELS = {
    "tiny": Model(
        (
            *("generator.depth=3", "generator.width=4", "generator.dropout=0.0"),
            *("discriminator.width=4", "discriminator.receptive_field=16", "train.threads=1"),
        ),
        32,
        50,
    ),
    "paper": Model((), 256, 4),
}


class Held:
    """Pairs of noise that lie in memory (`ganzoo.interfaces.DataSource`)."""

    def __init__(self, size: int) -> None:
        shape = (_IMAGES, size, size, 3)
        random = np.random.default_rng(0)
        self.arrays = {
            name: random.integers(0, 256, shape, dtype=np.uint8) for name in ("source", "target")
        }
        self.fields = {name: Field((3, size, size), "ganzoo/image") for name in self.arrays}

    def __len__(self) -> int:
        return _IMAGES

    def load(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """One pair."""
        del rng
        return {name: array[index] for name, array in self.arrays.items()}

    def name(self, index: int) -> str:
        """Its number."""
        return str(index)


class ByHand:
    """pix2pix's step on two networks, with Accelerate's prepared objects or with none.

    Args:
        nets: generator and discriminator; copies are made.
        precision: fp32 or bf16.
        accelerator: prepares networks and optimizers, if given.
    """

    def __init__(
        self,
        nets: Mapping[str, nn.Module],
        precision: str,
        accelerator: Any = None,
    ) -> None:
        self.generator: Any = copy.deepcopy(nets["generator"])
        self.discriminator: Any = copy.deepcopy(nets["discriminator"])
        # Accelerate puts autocast into the networks.
        self.autocast = accelerator is None and precision == "bf16"
        self.accelerator = accelerator
        self.judged = list(self.discriminator.parameters())
        adam: list[Any] = [
            torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999), fused=True)
            for net in (self.generator, self.discriminator)
        ]
        if accelerator is not None:
            self.generator, self.discriminator, *adam = accelerator.prepare(
                self.generator, self.discriminator, *adam
            )
        self.g_adam, self.d_adam = adam

    def __call__(self, source: Tensor, target: Tensor) -> None:
        """Move both players once."""
        if self.accelerator is None:
            self._step(source, target)
        else:
            with self.accelerator.accumulate(self.generator, self.discriminator):
                self._step(source, target)

    def _step(self, source: Tensor, target: Tensor) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            fake = self.generator(source)
            real_logits = self.discriminator(torch.cat([source, target], 1))
            fake_logits = self.discriminator(torch.cat([source, fake.detach()], 1))
        real, unreal = F.softplus(-real_logits).mean(), F.softplus(fake_logits).mean()
        self._backward(0.5 * (real + unreal))
        self.d_adam.step()
        self.d_adam.zero_grad()
        for parameter in self.judged:
            parameter.requires_grad_(False)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            fooled = self.discriminator(torch.cat([source, fake], 1))
        for parameter in self.judged:
            parameter.requires_grad_(True)
        self._backward(F.softplus(-fooled).mean() + 100 * F.l1_loss(fake, target))
        self.g_adam.step()
        self.g_adam.zero_grad()

    def _backward(self, total: Tensor) -> None:
        if self.accelerator is None:
            total.backward()
        else:
            self.accelerator.backward(total)


class Enough(Exception):  # noqa: N818  # no error
    """Ends the run after the last block, before it writes a checkpoint."""


class Turns:
    """The callback that lets the others have their turn between two blocks of the run's steps."""

    def __init__(self, others: Mapping[str, Callable[[], None]], block: int, rounds: int) -> None:
        self.others = others
        self.block, self.rounds = block, rounds
        self.seconds: dict[str, list[float]] = {name: [] for name in (*others, "ganzoo")}
        self.began = time.perf_counter()

    @hookimpl(trylast=True)
    def ganzoo_step_done(self, step: int) -> None:
        """After a block of ours, one of everybody else's; the first block of each is not counted.

        Raises:
            Enough: after the last block.
        """
        if step % self.block:
            return
        spent = {"ganzoo": time.perf_counter() - self.began}
        for name, call in self.others.items():
            began = time.perf_counter()
            for _ in range(self.block):
                call()
            spent[name] = time.perf_counter() - began
        if step > self.block:
            for name, seconds in spent.items():
                self.seconds[name].append(seconds / self.block)
        if step == (self.rounds + 1) * self.block:
            raise Enough
        self.began = time.perf_counter()


def recipe_of(model: Model, precision: str, steps: int) -> Recipe:
    """The paper's recipe with the model's changes, planned for at least `steps` steps."""
    sets = [
        *model.sets,
        *("augment=[]", "data.use=facades/procedural", f"data.size={model.size}"),
        *(f"train.precision={precision}", f"train.epochs={steps // _IMAGES + 1}"),
        *(f"watch.log={model.block} steps", "watch.samples=never", "checkpoints.every=never"),
    ]
    return load_recipe("pix2pix_facades", sets)


def measure(
    model: Model, precision: str, rounds: int, *, terminal: bool, hand_only: bool
) -> dict[str, list[float]]:
    """Seconds a step of each contender, one value a block.

    Args:
        model: what is trained.
        precision: as in `[train]`.
        rounds: blocks of each that count.
        terminal: with the live bar of a terminal.
        hand_only: without `accelerate`.
    """
    recipe = recipe_of(model, precision, (rounds + 1) * model.block)
    session = Session(resolve(recipe.train), accumulate=1)
    with (
        tempfile.TemporaryDirectory() as folder,
        Path(os.devnull).open("w") as nowhere,
        closing(session),
    ):
        data = PreparedData(
            chosen=recipe.data,
            source=Held(model.size),
            augments=(),
            seed=0,
            split="train",
            one_size=True,
        )
        trainer = Trainer(recipe, data, session)
        ready = [session.move(data.batch([(0, index)])) for index in range(_IMAGES)]
        kinds = {"by hand": None} | ({} if hand_only else {"accelerate": session.accelerator})
        others = {
            name: _turn(ByHand(trainer.nets, session.resolved.precision, kind), ready)
            for name, kind in kinds.items()
        }
        turns = Turns(others, model.block, rounds)
        voice = Voice(console=Console(file=nowhere, force_terminal=terminal))
        run = Run(Path(folder), recipe, trainer, voice)
        with suppress(Enough):
            Loop(run, Limits(), [*default_observers(run), turns]).execute()
    return turns.seconds


def _turn(step: ByHand, ready: Sequence[Mapping[str, Tensor]]) -> Callable[[], None]:
    batches = itertools.cycle(ready)
    return lambda: step(**next(batches))


def main() -> None:
    """Print the figures."""
    given = arguments(
        __doc__,
        rounds=24,
        extra=(
            # []: Python 3.11 looks for the default itself among the choices.
            ("models", {"nargs": "*", "choices": [*MODELS, []], "default": []}),
            ("--precision", {"default": "auto", "help": "as in [train] (auto)"}),
            ("--terminal", {"action": "store_true", "help": "with the live bar of a terminal"}),
        ),
    )
    document: dict[str, Any] = {"precision": given.precision, "models": {}}
    lines = []
    for name in given.models or MODELS:
        rounds = measure(
            MODELS[name],
            given.precision,
            given.rounds,
            terminal=given.terminal,
            hand_only=name == "paper",
        )
        # Of each round: a machine that slows down for a while does so for all contenders.
        beyond = {
            who: Spread.of(a - b for a, b in zip(rounds["ganzoo"], rounds[who], strict=True))
            for who in rounds
            if who != "ganzoo"
        }
        spent = {who: Spread.of(seconds) for who, seconds in rounds.items()}
        figures: dict[str, Any] = {who: spread.document() for who, spread in spent.items()}
        share = 1 + beyond["by hand"].median / spent["by hand"].median
        figures["ratio to by hand"] = share
        lines += [f"{name}: {who} {spread.words('ms', 1e3, 3)}" for who, spread in spent.items()]
        for who, more in beyond.items():
            figures[f"seconds beyond {who}"] = more.document()
            lines.append(f"{name}: ganzoo - {who} {more.words('us a step', 1e6, 0)}")
        lines.append(f"{name}: 1 + (ganzoo - by hand) / by hand = {share:.4f}")
        document["models"][name] = figures
    document["goals"] = {"ratio": MOST_RATIO, "seconds beyond accelerate": MOST_BEYOND}
    lines.append(
        f"goals: paper's ratio at most {MOST_RATIO}; tiny at most {MOST_BEYOND * 1e6:.0f} us a "
        "step beyond accelerate"
    )
    show(document, lines, as_json=given.json)


if __name__ == "__main__":
    main()
