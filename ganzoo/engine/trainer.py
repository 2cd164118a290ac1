"""Networks, players and task of one run, stepped batch by batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.data import rng
from ganzoo.data.loader import batches
from ganzoo.data.pipeline import PreparedData
from ganzoo.data.sampler import StreamSampler
from ganzoo.engine.accelerate_session import Session
from ganzoo.engine.build import build
from ganzoo.engine.ema import Ema
from ganzoo.engine.loss_weights import weights_of
from ganzoo.engine.optimize import Stepper, idle
from ganzoo.engine.plan import optimizer_options, plan_networks
from ganzoo.engine.wrapped_networks import PreparedNet, Promise
from ganzoo.errors import DivergedError, PluginError
from ganzoo.interfaces import Clock
from ganzoo.nn import ways
from ganzoo.recipe.model import Recipe


class Trainer:
    """One run's training, without files, hooks and clocks.

    Args:
        recipe: what to train.
        data: the training split.
        session: this process's share of the machine.
        restored: a checkpoint is loaded right afterwards, so networks needn't load first weights.
    """

    def __init__(
        self, recipe: Recipe, data: PreparedData, session: Session, *, restored: bool = False
    ) -> None:
        self.recipe = recipe
        self.data = data
        self.session = session
        seed = recipe.train.seed
        self.plan = plan_networks(recipe, data.fields)
        self.built = build(recipe, self.plan, session.device, session.dtype, restored=restored)
        self.loss = self.built.loss
        self.diffaugments = self.built.diffaugments
        self.prepared = {
            role: self._prepare(role, network) for role, network in self.built.networks.items()
        }
        self.stepper = Stepper(
            session,
            self.plan.players,
            self.prepared,
            optimizer_options(recipe, self.plan),
            recipe.train.epochs,
        )
        self.ema: dict[str, Ema] = {}
        if recipe.ema.enabled:
            self.ema = {
                role: Ema(net.module, recipe.ema.half_life)
                for role, net in self.prepared.items()
                if self.plan.task.roles[role] == "generator"
            }
        self.task = self.plan.task(recipe.task.options, self.prepared, self.loss)
        train = recipe.train
        self.images_per_batch = train.batch_size * session.world
        self.images_per_step = self.images_per_batch * train.accumulate
        self.planned_images = train.epochs * len(data)
        self.planned_steps = -(-self.planned_images // self.images_per_step)
        self.images = 0
        self.steps = 0
        self.seconds = 0.0
        """Time spent in training loops, earlier parts of the run included."""
        self.between_steps = True
        """False in the middle of a step, where some players have moved and others haven't."""
        self.best: dict[str, Any] | None = None
        # Dropout and the like differ between ranks, and don't depend on how networks were built.
        rng.seed_all(rng.seed_for(seed, "training", session.rank))
        self._stream: Iterator[dict[str, Tensor]] | None = None

    def _prepare(self, role: str, network: nn.Module) -> PreparedNet:
        chosen, io = self.plan.chosen[role], self.plan.io[role]
        table = self.plan.task.roles[role]
        return PreparedNet(
            network,
            self.session,
            Promise(chosen.id, role, io) if table == "generator" else None,
            self.diffaugments if table == "discriminator" else (),
        )

    @property
    def clock(self) -> Clock:
        """How far training is."""
        progress = min(1.0, self.images / self.planned_images)
        return Clock(self.steps, self.images, progress, self.images // len(self.data))

    @property
    def nets(self) -> dict[str, nn.Module]:
        """The raw networks by role."""
        return {role: net.module for role, net in self.prepared.items()}

    @property
    def shown(self) -> dict[str, nn.Module]:
        """Networks for samples, evaluation and use: moving averages where there are any."""
        return self.nets | {role: ema.module for role, ema in self.ema.items()}

    def step(self) -> None:
        """One optimisation step of every player.

        Raises:
            DataError: naming a sample that can't be read.
            PluginError: the task gave no player a turn.
        """
        if self._stream is None:
            self._stream = self._open_stream()
        clock = self.clock
        self.stepper.clock = clock
        self.task.clock = clock
        for net in self.prepared.values():
            net.begin_step(clock)
        accelerator = self.session.accelerator
        wrapped = [net.wrapped for net in self.prepared.values()]
        before = sum(self.stepper.moves.values())
        for _ in range(self.recipe.train.accumulate):
            batch = self.session.move(next(self._stream))
            self.between_steps = False
            with accelerator.accumulate(*wrapped):
                self.task.step(batch, self.stepper)
        if sum(self.stepper.moves.values()) == before:
            raise idle(self.recipe.task.id, self.steps + 1)
        self.steps += 1
        self.images += self.images_per_step
        self.between_steps = True
        for role, ema in self.ema.items():
            ema.update(self.prepared[role].module, self.images_per_step, clock)

    def feed(self, stream: Iterator[dict[str, Tensor]]) -> None:
        """Take batches from here instead of the data's own stream."""
        self._stream = stream

    def restart_stream(self) -> None:
        """Read on from where `images` stands, at the next step."""
        self._stream = None

    def close(self) -> None:
        """End the stream of batches, and its workers."""
        self._stream = None

    def _open_stream(self) -> Iterator[dict[str, Tensor]]:
        train = self.recipe.train
        last = self.planned_steps * self.images_per_step
        # A resume with another batch size or rank count may stand off the grid; go on from there.
        stop = self.images + -(-(last - self.images) // self.images_per_step) * self.images_per_step
        sampler = StreamSampler(
            length=len(self.data),
            batch_size=train.batch_size,
            rank=self.session.rank,
            world=self.session.world,
            seed=train.seed,
            start=self.images,
            stop=stop,
        )
        return batches(
            self.data,
            sampler,
            workers=self.session.resolved.workers,
            pin=self.session.device.type == "cuda",
        )

    @property
    def done(self) -> bool:
        """Whether every planned image has been seen."""
        return self.images >= self.planned_images

    def term_weights(self, terms: Iterable[str]) -> dict[str, float]:
        """Return the weights of logged terms at the present clock (see `loss_weights`)."""
        return weights_of(self.task, self.loss, self.clock, terms)

    def check_turns(self) -> None:
        """Make sure that each player has had a turn; at the end of the plan.

        Raises:
            PluginError: naming those whose weights are the ones that they began with.
        """
        without = [player for player, turns in self.stepper.moves.items() if not turns]
        if without:
            task = self.recipe.task.id
            raise PluginError(
                f"{task} never optimised {', '.join(without)} in {self.steps} steps: the weights "
                "are those that training began with",
                hint="A player that has a turn every so many steps needs a longer training. Else "
                f"the fault lies in the task's plugin; `ganzoo show {task}` says whose it is.",
            )

    def check_finite(self) -> None:
        """Make sure that no term and no weight is poisoned; before anything is saved or shown.

        Raises:
            DivergedError: naming player, term and step, or the tensor; in every process alike.
        """
        self.stepper.check_finite()
        for role, net in self.nets.items():
            self._check_tensors(f"weights of {role}", net.state_dict())
        # A gradient too large for its square leaves the weights finite and stops them for good.
        moments = {n: t for n, t in self.stepper.state()[0].items() if n.startswith("optimizer/")}
        self._check_tensors("moments", moments)

    def _check_tensors(self, what: str, tensors: Mapping[str, Tensor]) -> None:
        floats = [t for t in tensors.values() if t.is_floating_point()]
        finite = [torch.isfinite(t).all().to(self.session.device) for t in floats]
        bad = bool(finite) and not bool(torch.stack(finite).all())
        if self.session.any(bad):
            names = [name for name, t in tensors.items() if not torch.isfinite(t).all()]
            raise DivergedError(
                f"{what} are not finite after step {self.steps} ({names[:3]})",
                hint="Lower optimizer.lr, set optimizer.clip, or use train.precision = fp32.",
            )

    def checkpoint_bytes(self) -> int:
        """Size of one checkpoint on disk: weights, averages, and two moments a weight for Adam."""
        total = 0
        for role, net in self.nets.items():
            weights = sum(t.numel() * t.element_size() for t in net.state_dict().values())
            moments = sum(p.numel() * p.element_size() for p in net.parameters())
            moments *= {"adam": 2, "adamw": 2, "rmsprop": 2, "sgd": 1}[self._optimizer_of(role)]
            total += weights * (2 if role in self.ema else 1) + moments
        return total

    def _optimizer_of(self, role: str) -> str:
        players = (player for player, roles in self.plan.players.items() if role in roles)
        player = next(players, None)
        return self.stepper.options[player].name if player else self.recipe.optimizer.name

    def fast_paths(self) -> dict[str, Any]:
        """What the steps do in another way than plain PyTorch would, as the last one went."""
        convolutions = {
            role: [name for name, way in ways(net).items() if way != "native"]
            for role, net in self.nets.items()
        }
        return {
            "convolutions_by_matrices": {
                role: names for role, names in convolutions.items() if names
            },
            "fused_optimizers": [
                player
                for player, optimizer in self.stepper.optimizers.items()
                if optimizer.defaults.get("fused")
            ],
            "freed_memory_kept": self.session.memory_kept,
        }

    def summary(self) -> dict[str, Any]:
        """Counts for the console and the status file."""
        return {
            "images_per_step": self.images_per_step,
            "planned_images": self.planned_images,
            "planned_steps": self.planned_steps,
            "parameters": {
                role: sum(p.numel() for p in net.parameters()) for role, net in self.nets.items()
            },
            "resolved": dataclasses.asdict(self.session.resolved),
        }
