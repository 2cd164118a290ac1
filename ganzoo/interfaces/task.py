"""Tasks: one training algorithm each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    import torch
    from torch import Tensor

from ganzoo.interfaces.applications import Application
from ganzoo.interfaces.fields import Field
from ganzoo.interfaces.losses import Loss, LossInputs
from ganzoo.interfaces.network_io import NetIO
from ganzoo.interfaces.networks import DiscriminatorOutput, Role, as_output
from ganzoo.interfaces.training import Clock, Net, Optimize


class Task(ABC):
    """A training algorithm: it decides the order of the turns, and the engine does the rest.

    Args:
        options: the task's options.
        nets: prepared networks by role; optional roles that the recipe set to "none" are absent.
        loss: the recipe's loss; several are summed by the engine before the task sees them.
    """

    roles: ClassVar[Mapping[str, Role]]
    """The roles of the networks, each with the table of a recipe that describes it."""
    players: ClassVar[Mapping[str, tuple[str, ...]]]
    """The players, each with the roles whose weights it changes."""
    needs: ClassVar[frozenset[str]]
    """The fields that a batch must have. The data are checked for them."""
    applications: ClassVar[Mapping[str, Application]]
    """The uses of the trained networks, by name: letters, digits, - and _. Commands use the
    first one that suits them unless `--application` names another."""
    needs_aligned: ClassVar[bool] = False
    """Whether the fields in `needs` must belong together: unpaired data are then refused."""
    honours_masks: ClassVar[bool] = False
    """Whether `step` keeps places without data (`Field.mask`) out of its terms, for example by
    `ganzoo.nn.fill_no_data`. Otherwise data with masks in the fields of `needs` are refused."""
    optional: ClassVar[frozenset[str]] = frozenset()
    """Roles that a recipe may set to "none": then not in `nets`, and their player doesn't exist. A
    player of such roles alone may also begin later (`[players.NAME] begin`): until then they aren't
    in `nets` either, so look there in each step, and not in `__init__`."""
    clock: Clock
    """How far the training is. The engine sets it before each step."""
    fields: Mapping[str, Field]
    """The fields of the data, as a batch has them. The engine sets them after `__init__`. The mask
    of a field is in the batch as `batch[self.fields[NAME].mask]`."""

    def __init__(self, options: Any, nets: Mapping[str, Net], loss: Loss) -> None:
        self.options = options
        self.nets = nets
        self.loss = loss

    @classmethod
    @abstractmethod
    def io(cls, role: str, options: Any, fields: Mapping[str, Field]) -> NetIO:
        """Return the inputs and outputs of a role's network, derived from the data's fields.

        No recipe repeats them. `step`, `sample` and `apply` call the network with these inputs,
        by position. A class index states its `classes`.

        Raises:
            DataError: when the fields don't fit the task.
        """

    @abstractmethod
    def step(self, batch: Mapping[str, Tensor], optimize: Optimize) -> None:
        """Make one step of every player; at least one of them must have its turn."""

    @abstractmethod
    def sample(
        self, batch: Mapping[str, Tensor], nets: Mapping[str, Callable[..., Tensor]]
    ) -> dict[str, Tensor]:
        """Return what to show for a batch, by caption, in the order of the sample grid's columns.

        Each is a batch of one of the data's fields, such as images N x C x H x W in [-1, 1]: of the
        last field that its caption names, or else of what the first application gives. Points are
        drawn in one picture.
        """

    @classmethod
    @abstractmethod
    def apply(
        cls,
        name: str,
        options: Any,
        choices: Any,
        io: Mapping[str, NetIO],
        nets: Mapping[str, Callable[..., Any]],
        inputs: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        """Run an application on a batch; the engine sets mode and seed around it.

        Args:
            name: the application's name, one of `applications`.
            options: the task's options.
            choices: the application's own options, an instance of its `options`.
            io: the inputs and outputs of the application's networks, by role.
            nets: all networks that it calls, by role. A network with several outputs returns a
                mapping, as in `io`.
            inputs: the fields in `takes`, with a batch axis, and the mask of each that has one;
                and everything that `draw` gave, if the application draws.

        Returns:
            The fields in `gives`, each with a row for each sample.
        """

    @classmethod
    def draw(
        cls,
        name: str,
        options: Any,
        io: Mapping[str, NetIO],
        count: int,
        random: torch.Generator,
    ) -> dict[str, Tensor]:
        """Draw the inputs of an application that are in its `draws`, and class indices beside them.

        Class indices are called `label`, so that `ganzoo sample --label` can set them.

        Args:
            name: the application's name.
            options: the task's options.
            io: the inputs and outputs of the application's networks, by role.
            count: the number of samples.
            random: a generator on the CPU. It is the only source of random numbers, so that a seed
                means the same on every machine.

        Raises:
            NotImplementedError: the task draws nothing.
        """
        message = f"{cls.__name__} draws no inputs for {name!r}: `draws` needs a method `draw`"
        raise NotImplementedError(message)

    def state_dict(self) -> dict[str, Any]:
        """Return state such as a pool of images, made of tensors and JSON's types."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027  # most have none
        """Restore what `state_dict` returned."""

    def look(
        self,
        turn: Literal["discriminator", "generator"],
        net: Callable[..., Any] | None,
        real: Tensor,
        fake: Tensor,
        see: Callable[[Tensor], Tensor] = lambda image: image,
        condition: Mapping[str, Tensor] | None = None,
        beside: Sequence[Tensor] = (),
    ) -> LossInputs:
        """Show real and fake images to a discriminator, and return what a loss may use.

        Args:
            turn: whose turn it is; the generator's turn skips the real images unless the loss has
                `real_in_generator_turn`.
            net: the discriminator (its frozen form in the generator's turn), None without one.
            real: N x C x H x W.
            fake: the same; detached in the discriminator's turn.
            see: what the discriminator is shown of an image, such as the source beside it.
            condition: passed on to the loss.
            beside: the discriminator's inputs after the first one, such as class indices, N.
        """
        wants_real = turn == "discriminator" or getattr(self.loss, "real_in_generator_turn", False)
        if net is None:
            return LossInputs(
                real, fake, self.clock, None, None, _no_discriminator, condition or {}
            )

        def discriminate(x: Tensor, *, precise: bool = False) -> DiscriminatorOutput:
            return as_output(net(see(x), *beside, precise=precise))

        real_output = discriminate(real) if wants_real else None
        fake_output = discriminate(fake)
        return LossInputs(
            real, fake, self.clock, real_output, fake_output, discriminate, condition or {}
        )


def _no_discriminator(*_: Any, **__: Any) -> DiscriminatorOutput:
    message = "there is no discriminator, but the loss asks one"
    raise RuntimeError(message)
