"""Train from noise, and optionally a class, to a sample (arXiv 1406.2661, algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from ganzoo.api import Options
from ganzoo.errors import DataError
from ganzoo.interfaces import Application, Field, NetIO, Optimize, Role, Task
from ganzoo_gan.task_options import FromNoiseOptions


class FromNoise(Task):
    """Task: learn the distribution of the data's field `real`: images, points, or numbers of
    another format, such as sound.

    Each turn draws its own noise, as in the algorithms of arXiv 1406.2661 and 1704.00028. Classes
    aren't drawn: both turns generate samples for the labels of the batch. So real and generated
    samples have the same share of each class, and sample i of both has the same class.
    """

    roles: ClassVar[Mapping[str, Role]] = {
        "generator": "generator",
        "discriminator": "discriminator",
    }
    players: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "generator": ("generator",),
        "discriminator": ("discriminator",),
    }
    needs: ClassVar[frozenset[str]] = frozenset({"real"})
    applications: ClassVar[Mapping[str, Application]] = {
        "sample": Application(
            takes=("noise",), gives=("real",), roles=("generator",), draws=("noise",)
        )
    }

    options: FromNoiseOptions

    @classmethod
    def io(cls, role: str, options: FromNoiseOptions, fields: Mapping[str, Field]) -> NetIO:
        """Return inputs and outputs: noise to a sample (generator), or a sample to a logit.

        Both take the data's class too if the task is conditional.

        Raises:
            DataError: when `real` holds class numbers, or the task is conditional and the classes
                aren't known.
        """
        real = fields["real"]
        if real.format in {"ganzoo/class", "ganzoo/labels"}:
            raise DataError(
                f"must hold numbers that a network can make, but it is of format {real.format}",
                hint="gan/from_noise generates images, points and other fields without classes",
                where="real",
            )
        label = {"label": _class_field(fields)} if options.conditional else {}
        if role == "generator":
            noise = Field((options.latent_size,), "ganzoo/points")
            return NetIO({"noise": noise, **label}, {"real": real})
        return NetIO({"real": real, **label})

    def step(self, batch: Mapping[str, Tensor], optimize: Optimize) -> None:
        """Train the discriminator, and the generator in every `critic_steps`-th step."""
        generator, discriminator = self.nets["generator"], self.nets["discriminator"]
        real, label = batch["real"], self._label(batch)
        condition = {} if label is None else {"label": label}
        beside = tuple(condition.values())
        with torch.no_grad():
            fake = _generate(generator, self._noise(real), label)
        seen = self.look(
            "discriminator", discriminator, real, fake, condition=condition, beside=beside
        )
        optimize("discriminator", self.loss.discriminator(seen))
        # The clock doesn't change between the batches of an accumulated step, so the generator's
        # turn comes in all of them or in none.
        if (self.clock.step + 1) % self.options.critic_steps:
            return
        fake = _generate(generator, self._noise(real), label)
        with discriminator.frozen() as judge:
            seen = self.look("generator", judge, real, fake, condition=condition, beside=beside)
            optimize("generator", self.loss.generator(seen))

    def sample(
        self, batch: Mapping[str, Tensor], nets: Mapping[str, Callable[..., Tensor]]
    ) -> dict[str, Tensor]:
        """Return generated samples, and the batch's real ones (of the same classes, if any)."""
        real = batch["real"]
        generated = _generate(nets["generator"], self._noise(real), self._label(batch))
        return {"generated": generated, "real": real}

    @classmethod
    def apply(
        cls,
        name: str,  # noqa: ARG003  # there is one application
        options: FromNoiseOptions,
        choices: Options,  # noqa: ARG003
        io: Mapping[str, NetIO],  # noqa: ARG003
        nets: Mapping[str, Callable[..., Tensor]],
        inputs: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        """Return samples from `inputs["noise"]` and, if conditional, `inputs["label"]`."""
        label = inputs["label"] if options.conditional else None
        return {"real": _generate(nets["generator"], inputs["noise"], label)}

    @classmethod
    def draw(
        cls,
        name: str,  # noqa: ARG003
        options: FromNoiseOptions,
        io: Mapping[str, NetIO],
        count: int,
        random: torch.Generator,
    ) -> dict[str, Tensor]:
        """Draw `noise`, N x latent_size, and if conditional `label`, N: the classes in turn."""
        its = io["generator"]
        shape = (count, its.vector_in())
        if options.latent == "uniform":
            noise = torch.rand(shape, generator=random) * 2 - 1
        else:
            noise = torch.randn(shape, generator=random)
        if not its.classes:
            return {"noise": noise}
        return {"noise": noise, "label": torch.arange(count) % its.classes}

    def _noise(self, real: Tensor) -> Tensor:
        """Draw noise for as many samples as `real` has, from torch's global generator."""
        shape = (len(real), self.options.latent_size)
        if self.options.latent == "uniform":
            return torch.rand(shape, device=real.device, dtype=real.dtype) * 2 - 1
        return torch.randn(shape, device=real.device, dtype=real.dtype)

    def _label(self, batch: Mapping[str, Tensor]) -> Tensor | None:
        return batch["label"] if self.options.conditional else None


def _generate(net: Callable[..., Tensor], noise: Tensor, label: Tensor | None) -> Tensor:
    return net(noise) if label is None else net(noise, label)


def _class_field(fields: Mapping[str, Field]) -> Field:
    label = fields.get("label")
    if label is None:
        raise DataError(
            "conditional = true needs the class of each sample, but the data have no field `label`",
            hint=f"Their fields are: {', '.join(fields)}. Set task.conditional = false, or take "
            "data with classes.",
        )
    if label.format != "ganzoo/class":
        raise DataError(
            f"must be a class, but it is of format {label.format}",
            hint="gan/from_noise takes one class index for each sample",
            where="label",
        )
    if not label.classes:
        raise DataError(
            "the data don't say how many classes there are",
            hint="Their Field for `label` needs `classes`; or set task.conditional = false.",
            where="label",
        )
    return label
