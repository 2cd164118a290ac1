"""Train the networks of one run step by step."""

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
from ganzoo.engine.discriminator_answers import Answers
from ganzoo.engine.ema import Ema
from ganzoo.engine.late_players import LatePlayers, PresentNets
from ganzoo.engine.loss_weights import weights_of
from ganzoo.engine.optimize import Stepper
from ganzoo.engine.plan import plan_networks, planned_steps
from ganzoo.engine.player_turns import idle
from ganzoo.engine.players import discriminator_player, optimizer_options
from ganzoo.engine.starting_weights import begin, find_together
from ganzoo.engine.task_names import ACCURACY
from ganzoo.engine.wrapped_networks import Declared, PreparedNet
from ganzoo.errors import DivergedError, PluginError
from ganzoo.interfaces import Clock
from ganzoo.nn import ways
from ganzoo.plugin_system.blame import in_plugin_of
from ganzoo.recipe.model import Recipe


class Trainer:
    """The training of one run, without files, hooks and intervals.

    Args:
        recipe: the recipe to train.
        data: the training split.
        session: this process's session.
        restored: whether a checkpoint is loaded right afterwards, so that networks needn't load
            pretrained weights or those of `[start]`.
    """

    def __init__(
        self, recipe: Recipe, data: PreparedData, session: Session, *, restored: bool = False
    ) -> None:
        self.recipe = recipe
        self.data = data
        self.session = session
        seed = recipe.train.seed
        self.plan = plan_networks(recipe, data.fields)
        files = {} if restored else find_together(session, recipe, self.plan)
        self.built = build(recipe, self.plan, session.device, session.dtype, restored=restored)
        self.started = begin(recipe, self.plan, self.built.networks, files, load=True)
        """What networks began from, other than their initial weights."""
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
                role: Ema(self.prepared[role].module, recipe.ema.half_life)
                for role in self.plan.averaged
            }
        self.answers = Answers(recipe, self.loss, self.diffaugments)
        self.late = LatePlayers(recipe, self.plan)
        self._present = PresentNets(self.prepared)
        self.task = self.plan.make_task(recipe.task.options, self._present, self.answers.loss)
        self._discriminator = discriminator_player(self.plan)
        train = recipe.train
        self.images_per_batch = train.batch_size * session.world
        self.images_per_step = self.images_per_batch * train.accumulate
        self.planned_images = train.epochs * len(data)
        self.planned_steps = planned_steps(train, len(data), session.world)
        self.late.check_begins(len(data), session.world)
        self.images = 0
        self.steps = 0
        self.seconds = 0.0
        """Time spent in training loops, earlier parts of the run included."""
        self.between_steps = True
        """False in the middle of a step, where some players have moved and others haven't."""
        self.best: dict[str, Any] | None = None
        # Random numbers of the training, such as those of dropout, differ between ranks and don't
        # depend on how many were drawn to build the networks.
        rng.seed_all(rng.seed_for(seed, "training", session.rank))
        self._stream: Iterator[dict[str, Tensor]] | None = None

    def _prepare(self, role: str, network: nn.Module) -> PreparedNet:
        chosen, io = self.plan.chosen[role], self.plan.io[role]
        table = self.plan.task.roles[role]
        return PreparedNet(
            network,
            self.session,
            Declared(self.recipe.task.id, chosen.id, role, io),
            self.diffaugments if table == "discriminator" else (),
        )

    @property
    def clock(self) -> Clock:
        """Return the progress of the training."""
        progress = min(1.0, self.images / self.planned_images)
        return Clock(self.steps, self.images, progress, self.images // len(self.data))

    @property
    def nets(self) -> dict[str, nn.Module]:
        """Return the raw networks by role."""
        return {role: net.module for role, net in self.prepared.items()}

    @property
    def shown(self) -> dict[str, nn.Module]:
        """Return the networks for samples and evaluation: the EMA where there is one."""
        return self.nets | {role: ema.module for role, ema in self.ema.items()}

    def step(self) -> None:
        """Make one optimisation step, in which the task gives turns to its players.

        Raises:
            DataError: when a sample can't be read; the error names it.
            PluginError: when the task gives no player a turn.
        """
        if self._stream is None:
            self._stream = self._open_stream()
        clock = self.clock
        self.stepper.clock = clock
        self.task.clock = clock
        self.stepper.not_begun = self.late.not_begun(clock)
        self._present.hidden = self.late.hidden(self.stepper.not_begun)
        for net in self.prepared.values():
            net.begin_step(clock)
        accelerator = self.session.accelerator
        wrapped = [net.wrapped for net in self.prepared.values()]
        before = self.stepper.turns
        for _ in range(self.recipe.train.accumulate):
            batch = self.session.move(next(self._stream))
            self.between_steps = False
            with accelerator.accumulate(*wrapped):
                self.task.step(batch, self.stepper)
            for name, values in self.answers.tell(clock, self.session.joined).items():
                self.stepper.note(name, values)
            right = self.answers.accuracy()
            if right is not None:
                self.stepper.note(ACCURACY, {self._discriminator: right})
        if self.stepper.turns == before:
            raise idle(self.recipe.task.id, self.steps + 1)
        self.steps += 1
        self.images += self.images_per_step
        self.between_steps = True
        for role, ema in self.ema.items():
            ema.update(self.prepared[role].module, self.images_per_step, clock)

    def feed(self, stream: Iterator[dict[str, Tensor]]) -> None:
        """Use the batches of `stream` in place of those of the training data."""
        self._stream = stream

    def restart_stream(self) -> None:
        """Reopen the stream of batches at the position `images` in the next step."""
        self._stream = None

    def close(self) -> None:
        """Close the stream of batches, and end its workers."""
        self._stream = None

    def _open_stream(self) -> Iterator[dict[str, Tensor]]:
        train = self.recipe.train
        last = self.planned_steps * self.images_per_step
        # After a resume with another number of processes, `images` may not be a multiple of the
        # images per step. The steps then continue from there.
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
        """Return whether all planned images have been used."""
        return self.images >= self.planned_images

    def term_weights(self, terms: Iterable[str]) -> dict[str, float]:
        """Return the weights of logged terms at the present clock (see `loss_weights`)."""
        return weights_of(self.task, self.loss, self.clock, terms)

    def check_turns(self) -> None:
        """Check at the end of the plan that each player has had a turn.

        Raises:
            PluginError: when a player had none, so that its weights are the initial ones. The error
                names these players.
        """
        without = [player for player, turns in self.stepper.moves.items() if not turns]
        if without:
            task = self.recipe.task.id
            raise PluginError(
                f"{task} never optimised {', '.join(without)} in {self.steps} steps: the weights "
                "are those with which the training began",
                hint=f"A player that isn't optimised in every step needs a longer training. If "
                f"this isn't the reason: {in_plugin_of(task)}",
            )

    def check_finite(self) -> None:
        """Check that all terms, weights and optimizer moments are finite.

        This is called before anything is saved or shown.

        Raises:
            DivergedError: when one isn't finite, in every process. The error names player, term
                and step, or the tensors.
        """
        self.stepper.check_finite()
        for role, net in self.nets.items():
            self._check_tensors(f"weights of {role}", net.state_dict())
        # Where the square of a gradient overflows, the second moment becomes infinite. The weights
        # then stay finite, but they never change again.
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
        """Return the size of a checkpoint on disk: weights, EMA and the optimizers' moments.

        Every optimizer is counted as Adam, which has two moments per weight.
        """
        total = 0
        for role, net in self.nets.items():
            weights = sum(t.numel() * t.element_size() for t in net.state_dict().values())
            moments = sum(p.numel() * p.element_size() for p in net.parameters())
            total += weights * (2 if role in self.ema else 1) + 2 * moments
        return total

    def fast_paths(self) -> dict[str, Any]:
        """Return the faster implementations that the last step used in place of plain PyTorch."""
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
        """Return counts and settings for the console and the status file."""
        return {
            "images_per_step": self.images_per_step,
            "planned_images": self.planned_images,
            "planned_steps": self.planned_steps,
            "parameters": {
                role: sum(p.numel() for p in net.parameters()) for role, net in self.nets.items()
            },
            "resolved": dataclasses.asdict(self.session.resolved),
        }
