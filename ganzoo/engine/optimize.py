"""Make one player's optimisation step, check that its terms are finite, and log them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ganzoo.engine.accelerate_session import Session
from ganzoo.engine.optimizers import PlayerSettings, build_optimizer, load_state, state_of
from ganzoo.engine.player_turns import check_turn, total_of, trained
from ganzoo.engine.resting_players import RestingPlayers
from ganzoo.engine.task_names import ACCURACY
from ganzoo.engine.wrapped_networks import PreparedNet
from ganzoo.errors import DivergedError, GanzooError, PluginError
from ganzoo.interfaces import Clock
from ganzoo.recipe.model import Optimizer

_HELD = 1000
"""The largest number of entries for the log that are kept on the device unread. An entry has the
terms of one turn, the accuracy of one batch, or what an augmentation logs of one batch."""


class Stepper:
    """The implementation of `ganzoo.interfaces.Optimize`, called once per player and turn.

    A step doesn't read from the device, with two exceptions. Terms stay on the device until they
    are logged or checked to be finite, or until `_HELD` entries wait there. The gradient scaler of
    fp16 reads whether there was an overflow where torch has no fused kernel (RMSprop).

    Args:
        session: this process's session.
        players: for each player, the roles whose weights it optimises.
        nets: the prepared networks by role.
        options: each player's optimizer table.
        epochs: the planned number of passes over the data, for the schedule.
    """

    def __init__(
        self,
        session: Session,
        players: Mapping[str, tuple[str, ...]],
        nets: Mapping[str, PreparedNet],
        options: Mapping[str, Optimizer],
        epochs: int,
    ) -> None:
        self.session = session
        self.options = options
        self.clock = Clock(0, 0, 0.0)
        self.not_begun: frozenset[str] = frozenset()
        """The players that haven't begun in this step."""
        self.names: dict[str, list[tuple[str, nn.Parameter]]] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self._settings = {player: PlayerSettings(options[player], epochs) for player in players}
        self._parameters: dict[str, list[nn.Parameter]] = {}
        for player, roles in players.items():
            named = trained(player, {role: nets[role].module for role in roles})
            self.names[player] = named
            self._parameters[player] = [p for _, p in named]
            # Accelerate doesn't prepare the optimizer: its wrapper searches sys.path twice in
            # every step.
            self.optimizers[player] = build_optimizer(
                options[player], self._parameters[player], epochs
            )
        self._waiting: list[tuple[int, str, tuple[str, ...], Tensor]] = []
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._first_bad: dict[str, int] = {}
        self.rest = RestingPlayers(options)
        self.accuracy: dict[str, float] = {}
        """The accuracy of discriminators in the last log window, by player."""
        self.moves = dict.fromkeys(players, 0)
        """How often each player's weights were moved, in earlier parts of the run too."""

    def __call__(self, player: str, terms: Mapping[str, Tensor]) -> None:
        """Add the gradients of the sum of `terms`, and make a step when they are complete.

        They are complete after `train.accumulate` batches. A player that rests gets no gradients.
        """
        check_turn(player, self.optimizers, self.not_begun)
        total = total_of(player, terms)
        accelerator = self.session.accelerator
        self.note(player, terms)
        if player in self.rest.resting:
            self.rest.turns += 1
            return
        try:
            accelerator.backward(total)
        except RuntimeError as error:
            if "modified by an inplace operation" not in str(error):
                raise
            raise PluginError(
                f"{player}'s gradient needs weights that another player has already changed",
                hint="Compute both turns first, then optimise the generator, then the other; or "
                "compute this player's terms after the other's step.",
            ) from error
        if accelerator.sync_gradients:
            self._move(player)

    def _move(self, player: str) -> None:
        """Make one step of the player's optimizer, whose gradients are complete."""
        optimizer, parameters = self.optimizers[player], self._parameters[player]
        if all(parameter.grad is None for parameter in parameters):
            raise PluginError(
                f"the terms of player {player!r} don't depend on its weights: they get no gradient",
                hint="The loss or its task took them from another player's networks.",
            )
        self.moves[player] += 1
        options, scaler = self.options[player], self.session.accelerator.scaler
        clip = options.keys.clip
        if clip is not None:
            if scaler is not None:
                scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(parameters, clip.at(self.clock))
        settings = self._settings[player].at(self.clock)
        for group in optimizer.param_groups:
            group.update(settings)
        if scaler is None:
            optimizer.step()
        else:
            # This is done per player, because one's overflow must not skip the other's step.
            scaler.step(optimizer)
            scaler.update()
        # torch's fused kernels don't increment the version of the weights. Without the next line, a
        # later backward pass through a graph that needs the old weights would give wrong gradients
        # without an error.
        torch.autograd.graph.increment_version(parameters)
        for parameter in parameters:
            parameter.grad = None
        if self.moves[player] == 1:
            # A state that can't be saved is an error now, not at the first checkpoint.
            state_of(optimizer, self.names[player], options.chosen.id)

    @property
    def turns(self) -> int:
        """Return a number that grows in each step in which a player has had its turn."""
        return sum(self.moves.values()) + self.rest.turns

    def rate(self, player: str) -> float:
        """Return the player's learning rate at the present clock."""
        return self._settings[player].rate(self.clock)

    def note(self, source: str, values: Mapping[str, Tensor]) -> None:
        """Keep values for the log, where they are called `source/name`.

        Args:
            source: the player whose terms these are, or another part of the run.
            values: tensors of one value, by name; they stay on the device until they are read.
        """
        if not values:
            return
        device = self.session.device
        kept = [value.detach().to(device).reshape(()) for value in values.values()]
        # The values are copied, because their owner may change its tensors later.
        self._waiting.append((self.clock.step + 1, source, tuple(values), torch.stack(kept)))
        if len(self._waiting) >= _HELD:
            self._read()

    def _read(self) -> None:
        """Add the terms that are still on the device to the log window, in one transfer."""
        if not self._waiting:
            return
        values = iter(torch.cat([waiting[-1] for waiting in self._waiting]).tolist())
        for step, player, terms, _ in self._waiting:
            # `values` also contains the terms of the next turns.
            for term, value in zip(terms, values, strict=False):
                key = f"{player}/{term}"
                self._sums[key] = self._sums.get(key, 0.0) + value
                self._counts[key] = self._counts.get(key, 0) + 1
                if not math.isfinite(value):
                    self._first_bad.setdefault(key, step)
        self._waiting.clear()

    def logs(self, *, keep: bool = False) -> dict[str, float]:
        """Return the mean of each term since the last call, over all processes.

        The means of the accuracy are in `accuracy` afterwards. They determine which players rest,
        unless the window stays open.

        This reads from the device.

        Args:
            keep: whether to leave the log window open, so that later means don't change.

        Raises:
            DivergedError: when a term was not finite.
        """
        self.check_finite()
        keys = sorted(self._sums)
        means = [self._sums[key] / self._counts[key] for key in keys]
        if self.session.world > 1 and keys:
            means = self.session.mean(torch.tensor(means, device=self.session.device)).tolist()
        if not keep:
            self._sums, self._counts = {}, {}
        found = dict(zip(keys, means, strict=True))
        start = f"{ACCURACY}/"
        self.accuracy = {
            key.removeprefix(start): found.pop(key) for key in keys if key.startswith(start)
        }
        if not keep:
            self.rest.decide(self.accuracy, self.session)
        return found

    def check_finite(self) -> None:
        """Check in every process that all terms so far were finite.

        Raises:
            DivergedError: when one was not. The error names the player, the term and the first such
                step, and is the same in every process.
        """
        self._read()
        everywhere = [
            item for part in self.session.gather(self._first_bad) for item in part.items()
        ]
        if everywhere:
            key, step = min(everywhere, key=lambda item: item[1])
            player, _, term = key.partition("/")
            known = player in self.optimizers
            what = f"term {term!r} of player {player!r}" if known else f"the logged value {key!r}"
            raise DivergedError(
                f"{what} was not finite at step {step}",
                hint="Lower optimizer.lr, set optimizer.clip, or use train.precision = fp32.",
            )

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the state of optimizers, log window and scaler as tensors and data for JSON."""
        self._read()
        tensors: dict[str, Tensor] = {}
        for player, optimizer in self.optimizers.items():
            mine = state_of(optimizer, self.names[player], self.options[player].chosen.id)
            tensors |= {f"optimizer/{player}/{name}": value for name, value in mine.items()}
        for key, value in self._sums.items():
            tensors[f"window/{key}"] = torch.tensor(value, dtype=torch.float64)
        plain: dict[str, Any] = {"window_counts": dict(self._counts), "turns": dict(self.moves)}
        plain["resting"] = sorted(self.rest.resting)
        plain["optimizer_layout"] = _layout(tensors)
        scaler = self.session.accelerator.scaler
        if scaler is not None:
            plain["scaler"] = scaler.state_dict()
        return tensors, plain

    def load_state(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Restore the values that `state` returned.

        Raises:
            GanzooError: when an optimizer's tensors aren't those that were saved, or belong to
                weights that the networks don't have.
        """
        layout = _layout(tensors)
        if plain.get("optimizer_layout", layout) != layout:  # older: absent
            raise GanzooError("the tensors of optimizers aren't those that were saved")
        for player, optimizer in self.optimizers.items():
            start = f"optimizer/{player}/"
            mine = {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
            load_state(optimizer, self.names[player], mine)
        counts = plain["window_counts"]
        # Old checkpoints don't contain the number of turns; one turn per player is assumed then.
        known = plain.get("turns", dict.fromkeys(self.moves, 1))
        self.moves = {player: int(known.get(player, 0)) for player in self.moves}
        self.rest.resting = frozenset(plain.get("resting", ()))  # older: absent
        self._waiting.clear()
        self._counts = {key: int(count) for key, count in counts.items()}
        self._sums = {key: tensors[f"window/{key}"].item() for key in counts}
        scaler = self.session.accelerator.scaler
        if scaler is not None and "scaler" in plain:
            scaler.load_state_dict(plain["scaler"])


def _layout(tensors: Mapping[str, Tensor]) -> str:
    """Return a hash of names, types and shapes of the tensors of optimizers."""
    rows = sorted(
        f"{name} {value.dtype} {tuple(value.shape)}"
        for name, value in tensors.items()
        if name.startswith("optimizer/")
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()
