"""Networks, players and task of one run, stepped batch by batch; its whole state in and out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.api import NetOptions
from ganzoo.data.loader import batches
from ganzoo.data.pipeline import PreparedData
from ganzoo.data.sampler import StreamSampler
from ganzoo.engine import checkpoint, rng
from ganzoo.engine.build import build_loss, build_network, optimizer_options, plan_networks
from ganzoo.engine.ema import Ema
from ganzoo.engine.nets import PreparedNet
from ganzoo.engine.session import Session
from ganzoo.engine.stepper import Stepper
from ganzoo.errors import DataError, DivergedError, GanzooError, PluginError
from ganzoo.inference.weights import WeightsCard, fill
from ganzoo.interfaces import Clock
from ganzoo.recipe.model import Recipe
from ganzoo.registry import current


class Trainer:
    """One run's training, without files, hooks and clocks.

    Args:
        recipe: what to train.
        data: the training split.
        session: this process's share of the machine.
    """

    def __init__(self, recipe: Recipe, data: PreparedData, session: Session) -> None:
        self.recipe = recipe
        self.data = data
        self.session = session
        seed = recipe.train.seed
        self.plan = plan_networks(recipe, data.fields)
        loss = build_loss(recipe, self.plan, session.device, session.dtype)
        self.prepared = {
            role: PreparedNet(build_network(chosen, self.plan.io[role], seed, role), session)
            for role, chosen in self.plan.chosen.items()
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
        self.loss = loss
        self.task = self.plan.task(recipe.task.options, self.prepared, loss)
        train = recipe.train
        self.images_per_batch = train.batch_size * session.world
        self.images_per_step = self.images_per_batch * train.accumulate
        self.planned_images = train.epochs * len(data)
        self.planned_steps = -(-self.planned_images // self.images_per_step)
        self.images = 0
        self.steps = 0
        self.seconds = 0.0
        """Time spent in training loops, earlier parts of the run included."""
        self.best: dict[str, Any] | None = None
        # Dropout and the like differ between ranks, and don't depend on how networks were built.
        rng.seed_all(rng.seed_for(seed, "training", session.rank))
        self._stream: Iterator[dict[str, Tensor]] | None = None

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
        """
        if self._stream is None:
            self._stream = self._open_stream()
        clock = self.clock
        self.stepper.clock = clock
        self.task.clock = clock
        accelerator = self.session.accelerator
        wrapped = [net.wrapped for net in self.prepared.values()]
        for _ in range(self.recipe.train.accumulate):
            batch = self.session.move(next(self._stream))
            with accelerator.accumulate(*wrapped):
                self.task.step(batch, self.stepper)
        self.steps += 1
        self.images += self.images_per_step
        for role, ema in self.ema.items():
            ema.update(self.prepared[role].module, self.images_per_step)

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

    def state(self) -> checkpoint.State:
        """Everything that a resume needs; a collective call when there are several processes."""
        session = self.session
        self._check_ranks_agree()
        state = checkpoint.State(step=self.steps, images=self.images)
        for role, net in self.nets.items():
            tensors = dict(net.state_dict())
            if session.world > 1:
                for name, buffer in net.named_buffers():
                    if name in tensors and buffer.is_floating_point():
                        tensors[name] = session.mean(buffer.detach())
            state.weights[role] = (self.card(role, ema=False), tensors)
        for role, ema in self.ema.items():
            state.weights[f"{role}.ema"] = (self.card(role, ema=True), ema.module.state_dict())
        optimizer_tensors, stepper = self.stepper.state()
        state.tensors.update(optimizer_tensors)
        mine: dict[str, Tensor] = {}
        random_tensors, random_plain = rng.get_state()
        mine.update({f"rng/{name}": tensor for name, tensor in random_tensors.items()})
        task = checkpoint.split_tensors(self.task.state_dict(), "task", mine)
        mine.update(self._loss_buffers())
        if session.world > 1:
            for role, net in self.nets.items():
                for name, buffer in net.named_buffers():
                    mine[f"buffer/{role}/{name}"] = buffer.detach()
            for key in [k for k in state.tensors if k.startswith("window/")]:
                mine[key] = state.tensors.pop(key)
        mine = {name: tensor.detach().cpu() for name, tensor in mine.items()}
        ranks = []
        for rank, (tensors, plain) in enumerate(
            session.gather((mine, {"rng": random_plain, "task": task}))
        ):
            state.tensors.update({f"rank{rank}/{name}": t for name, t in tensors.items()})
            ranks.append(plain)
        state.plain = {
            "stepper": stepper,
            "ranks": ranks,
            "best": self.best,
            "seconds": self.seconds,
            "revisions": {role: c.component.revision for role, c in self.plan.chosen.items()},
        }
        return state

    def _check_ranks_agree(self) -> None:
        """Compare the bits of all weights between processes.

        Raises:
            GanzooError: when they have drifted apart; nothing is then saved.
        """
        if self.session.world == 1:
            return
        for role, net in self.nets.items():
            bits = [p.detach().reshape(-1).view(torch.int32).sum() for p in net.parameters()]
            sums = self.session.gather([int(value) for value in bits])
            if any(other != sums[0] for other in sums):
                raise GanzooError(
                    f"the processes' weights of {role} differ after step {self.steps}",
                    hint="A task must call its networks alike in every process. Nothing was saved; "
                    "please report this.",
                )

    def load(self, state: checkpoint.State) -> list[str]:
        """Put a state back.

        Returns:
            What the user should know: a rank count that differs makes the resume inexact.

        Raises:
            PluginError: when a component's revision isn't the saved one's.
        DataError: when the weights aren't those of the recipe's networks.
        """
        notes: list[str] = []
        for role, chosen in self.plan.chosen.items():
            saved = state.plain["revisions"].get(role)
            if saved != chosen.component.revision:
                raise PluginError(
                    f"the checkpoint has revision {saved} of {chosen.id}, the installed one is "
                    f"{chosen.component.revision}",
                    hint="Install the plugin's version that the run began with.",
                )
        for role, net in self.nets.items():
            self._fill(role, net, state, role)
        for role, ema in self.ema.items():
            self._fill(role, ema.module, state, f"{role}.ema")
        ranks = state.plain["ranks"]
        rank = self.session.rank
        mine = {
            name.partition("/")[2]: tensor
            for name, tensor in state.tensors.items()
            if name.startswith(f"rank{rank}/")
        }
        self.stepper.load_state({**state.tensors, **_windows(state, mine)}, state.plain["stepper"])
        if len(ranks) == self.session.world:
            for name, tensor in self._loss_buffers().items():
                if name in mine:  # not in checkpoints from before losses' buffers were saved
                    tensor.copy_(mine[name])
            rng.set_state(
                {n.removeprefix("rng/"): t for n, t in mine.items() if n.startswith("rng/")},
                ranks[rank]["rng"],
            )
            for name, tensor in mine.items():
                if name.startswith("buffer/"):
                    _, role, buffer = name.split("/", 2)
                    self.nets[role].get_buffer(buffer).copy_(tensor)
        else:
            rng.seed_all(rng.seed_for(self.recipe.train.seed, "training", rank, state.step))
            notes.append(
                f"the run had {len(ranks)} processes and goes on with {self.session.world}: "
                "not bit for bit what it would have been"
            )
        if rank < len(ranks):
            self.task.load_state_dict(checkpoint.join_tensors(ranks[rank]["task"], mine))
        self.steps, self.images = state.step, state.images
        self.best = state.plain["best"]
        self.seconds = state.plain["seconds"]
        self._stream = None
        return notes

    def _loss_buffers(self) -> dict[str, Tensor]:
        """What losses that are modules keep from step to step; their weights aren't trained."""
        parts: dict[str, Any] = getattr(self.loss, "parts", {"": self.loss})
        return {
            f"loss/{name}/{buffer}": tensor
            for name, part in parts.items()
            if isinstance(part, nn.Module)
            for buffer, tensor in part.named_buffers()
        }

    def _fill(self, role: str, net: nn.Module, state: checkpoint.State, stem: str) -> None:
        where = f"{stem} of step {state.step}"
        if stem not in state.weights:
            raise DataError("the checkpoint lacks these weights, which the recipe has", where=where)
        fill(net, state.weights[stem][1], self.plan.chosen[role].id, where)

    def card(self, role: str, *, ema: bool) -> WeightsCard:
        """What a role's weights are, for their metadata."""
        chosen = self.plan.chosen[role]
        options = chosen.options
        record = current().record_of(chosen.id)
        recipe = self.recipe
        return WeightsCard(
            role=role,
            kind=self.plan.task.roles[role],
            network=chosen.as_table(),
            revision=chosen.component.revision,
            io=self.plan.io[role],
            task=recipe.task.as_table(),
            fields=dict(self.data.fields),
            data=self.data.chosen.as_table(),
            size_multiple=options.size_multiple() if isinstance(options, NetOptions) else 1,
            inference={"mode": recipe.inference.mode, "seed": 0},
            plugin={"distribution": record.distribution, "version": record.version},
            ema=ema,
            step=self.steps,
            images=self.images,
            recipe=recipe.name,
            recipe_sha256=recipe.sha256,
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


def _windows(state: checkpoint.State, mine: dict[str, Tensor]) -> dict[str, Tensor]:
    # Each rank sums its own terms; a rank that is new takes over the first one's window.
    windows = {name: tensor for name, tensor in mine.items() if name.startswith("window/")}
    if not windows:
        first = {n.removeprefix("rank0/"): t for n, t in state.tensors.items()}
        windows = {name: tensor for name, tensor in first.items() if name.startswith("window/")}
    return windows
