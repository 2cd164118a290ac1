"""The task: pix2pix of volumes, which leaves out places without data."""
# ruff: noqa: ARG003 - the contract says what `apply` is called with

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from ganzoo.api import Options
from ganzoo.errors import DataError
from ganzoo.interfaces import Application, Field, NetIO, Optimize, Role, Task
from ganzoo.nn import fill_no_data
from ganzoo_volumes.options import PairedOptions


class Paired(Task):
    """Learn the target from the source; the discriminator may see the source beside it.

    Places where a mask is 0 have the same value in real and generated volumes before any loss or
    discriminator sees them, so that nothing is learned of them.
    """

    roles: ClassVar[Mapping[str, Role]] = {
        "generator": "generator",
        "discriminator": "discriminator",
    }
    players: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "generator": ("generator",),
        "discriminator": ("discriminator",),
    }
    needs: ClassVar[frozenset[str]] = frozenset({"source", "target"})
    applications: ClassVar[Mapping[str, Application]] = {
        "translate": Application(takes=("source",), gives=("target",), roles=("generator",))
    }
    optional: ClassVar[frozenset[str]] = frozenset({"discriminator"})
    needs_aligned: ClassVar[bool] = True
    honours_masks: ClassVar[bool] = True

    options: PairedOptions

    @classmethod
    def io(cls, role: str, options: PairedOptions, fields: Mapping[str, Field]) -> NetIO:
        """Inputs and outputs of the networks, from the data's fields.

        Raises:
            DataError: source and target aren't volumes of one size.
        """
        source, target = fields["source"], fields["target"]
        if not source.format == target.format == "volumes/volume":
            raise DataError(
                "source and target must be volumes",
                hint="the task volumes/paired takes data of the format volumes/volume",
            )
        if source.shape[1:] != target.shape[1:]:
            raise DataError("source and target must be volumes of one size")
        if role == "generator":
            return NetIO({"source": source}, {"target": target})
        if not options.conditional:
            return NetIO({"target": target})
        channels = source.shape[0] + target.shape[0]
        pair = Field((channels, *target.shape[1:]), target.format, range=(-1, 1))
        return NetIO({"pair": pair})

    def step(self, batch: Mapping[str, Tensor], optimize: Optimize) -> None:
        """The discriminator's turn, then the generator's against the changed discriminator."""
        source, mask = batch["source"], self.fields["target"].mask
        inside = batch[mask] if mask else None
        real = filled(batch["target"], inside)
        fake = filled(self.nets["generator"](source), inside)

        def see(volume: Tensor) -> Tensor:
            return torch.cat([source, volume], 1) if self.options.conditional else volume

        discriminator = self.nets.get("discriminator")
        if discriminator is None:
            seen = self.look("generator", None, real, fake)
            optimize("generator", self.loss.generator(seen))
            return
        seen = self.look("discriminator", discriminator, real, fake.detach(), see)
        optimize("discriminator", self.loss.discriminator(seen))
        with discriminator.frozen() as judge:
            seen = self.look("generator", judge, real, fake, see)
            optimize("generator", self.loss.generator(seen))

    def sample(
        self, batch: Mapping[str, Tensor], nets: Mapping[str, Callable[..., Tensor]]
    ) -> dict[str, Tensor]:
        """Source, what is made of it, and what it should be: the columns of a sample grid."""
        source = batch["source"]
        return {
            "source": source,
            "generated": nets["generator"](source),
            "target": batch["target"],
        }

    @classmethod
    def apply(
        cls,
        name: str,
        options: PairedOptions,
        choices: Options,
        io: Mapping[str, NetIO],
        nets: Mapping[str, Callable[..., Tensor]],
        inputs: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        """What the generator makes of `inputs["source"]`."""
        return {"target": nets["generator"](inputs["source"])}


def filled(volume: Tensor, mask: Tensor | None) -> Tensor:
    """Return a volume that has the same value wherever the mask is 0."""
    return volume if mask is None else fill_no_data(volume, mask)
