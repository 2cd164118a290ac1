"""The task: a generator makes sound from noise and a class, and a discriminator judges it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from ganzoo.api import Options
from ganzoo.errors import DataError
from ganzoo.interfaces import Application, Field, NetIO, Optimize, Role, Task
from ganzoo_waves.options import FromNoiseOptions


class FromNoise(Task):
    """Make the data's sounds `real` of the class `label` from noise."""

    roles: ClassVar[Mapping[str, Role]] = {
        "generator": "generator",
        "discriminator": "discriminator",
    }
    players: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "generator": ("generator",),
        "discriminator": ("discriminator",),
    }
    needs: ClassVar[frozenset[str]] = frozenset({"real", "label"})
    needs_aligned: ClassVar[bool] = True  # a sound has the class beside it
    applications: ClassVar[Mapping[str, Application]] = {
        "generate": Application(
            takes=("noise", "label"),
            gives=("real",),
            roles=("generator",),
            draws=("noise", "label"),
        )
    }

    options: FromNoiseOptions

    @classmethod
    def io(cls, role: str, options: FromNoiseOptions, fields: Mapping[str, Field]) -> NetIO:
        """Noise and class to sound; sound and class to logits.

        Raises:
            DataError: `real` isn't sound, or `label` isn't a class.
        """
        real, label = fields["real"], fields["label"]
        if real.format != "waves/sound" or label.format != "ganzoo/class" or not label.classes:
            raise DataError("real must be of the format waves/sound, and label a class")
        if role == "generator":
            noise = Field((options.latent_size,), "ganzoo/points")
            return NetIO({"noise": noise, "label": label}, {"real": real})
        return NetIO({"real": real, "label": label})

    def step(self, batch: Mapping[str, Tensor], optimize: Optimize) -> None:
        """The discriminator's turn, then the generator's against the improved discriminator."""
        discriminator, real, label = self.nets["discriminator"], batch["real"], batch["label"]
        size = (len(real), self.options.latent_size)
        noise = torch.randn(size, device=real.device, dtype=real.dtype)
        fake = self.nets["generator"](noise, label)
        seen = self.look("discriminator", discriminator, real, fake.detach(), beside=[label])
        optimize("discriminator", self.loss.discriminator(seen))
        with discriminator.frozen() as judge:
            seen = self.look("generator", judge, real, fake, beside=[label])
            optimize("generator", self.loss.generator(seen))

    def sample(
        self, batch: Mapping[str, Tensor], nets: Mapping[str, Callable[..., Tensor]]
    ) -> dict[str, Tensor]:
        """Real sounds, and generated ones of the same classes."""
        real, label = batch["real"], batch["label"]
        noise = torch.randn(
            (len(real), self.options.latent_size), device=real.device, dtype=real.dtype
        )
        return {"real": real, "generated": nets["generator"](noise, label)}

    @classmethod
    def apply(
        cls,
        name: str,  # noqa: ARG003
        options: FromNoiseOptions,  # noqa: ARG003
        choices: Options,  # noqa: ARG003
        io: Mapping[str, NetIO],  # noqa: ARG003
        nets: Mapping[str, Callable[..., Tensor]],
        inputs: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        """Make a sound of each row of noise and class."""
        return {"real": nets["generator"](inputs["noise"], inputs["label"])}

    @classmethod
    def draw(
        cls,
        name: str,  # noqa: ARG003
        options: FromNoiseOptions,
        io: Mapping[str, NetIO],
        count: int,
        random: torch.Generator,
    ) -> dict[str, Tensor]:
        """Draw normal noise; the classes are used in turn."""
        return {
            "noise": torch.randn(count, options.latent_size, generator=random),
            "label": torch.arange(count) % io["generator"].classes,
        }
