"""Noise, and a class if wanted, to a sample (arXiv 1406.2661, algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from ganzoo.errors import DataError
from ganzoo.interfaces import Field, NetIO, Optimize, Role, Task
from ganzoo_gan.task_options import FromNoiseOptions


class FromNoise(Task):
    """Learn the distribution of the data's `real`: images or points.

    Each turn draws its own noise, as the algorithms of arXiv 1406.2661 and 1704.00028 do. Classes
    aren't drawn: both turns generate for the labels of the batch, so that real and generated
    samples have the same share of each class, and pair class by class.
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
    serves: ClassVar[Mapping[str, tuple[str, str]]] = {"generator": ("noise", "real")}

    options: FromNoiseOptions

    @classmethod
    def io(cls, role: str, options: FromNoiseOptions, fields: Mapping[str, Field]) -> NetIO:
        """Generator: noise to a sample. Discriminator: a sample to logits. Both: the classes.

        Raises:
            DataError: `real` is neither image nor points, or classes are wanted and aren't known.
        """
        real = fields["real"]
        if real.kind not in {"image", "points"}:
            raise DataError(
                f"must be an image or points, and it is of kind {real.kind}",
                hint="gan/from_noise generates images or points",
                where="real",
            )
        classes = _classes(fields) if options.conditional else 0
        if role == "generator":
            return NetIO((options.latent_size,), real.shape, classes)
        return NetIO(real.shape, (1,), classes)

    def step(self, batch: Mapping[str, Tensor], optimize: Optimize) -> None:
        """Move the discriminator, and the generator if it is its turn."""
        generator, discriminator = self.nets["generator"], self.nets["discriminator"]
        real, label = batch["real"], self._label(batch)
        condition = {} if label is None else {"label": label}
        with torch.no_grad():
            fake = _generate(generator, self._noise(real), label)
        seen = self.look(
            "discriminator", discriminator, real, fake, condition=condition, label=label
        )
        optimize("discriminator", self.loss.discriminator(seen))
        # The clock stands still between the batches of an accumulated step, so all take part.
        if (self.clock.step + 1) % self.options.critic_steps:
            return
        fake = _generate(generator, self._noise(real), label)
        with discriminator.frozen() as judge:
            seen = self.look("generator", judge, real, fake, condition=condition, label=label)
            optimize("generator", self.loss.generator(seen))

    def sample(
        self, batch: Mapping[str, Tensor], nets: Mapping[str, Callable[..., Tensor]]
    ) -> dict[str, Tensor]:
        """Generated samples, and the batch's real ones (of the same classes, if there are any)."""
        real = batch["real"]
        generated = _generate(nets["generator"], self._noise(real), self._label(batch))
        return {"generated": generated, "real": real}

    @classmethod
    def predict(
        cls,
        options: FromNoiseOptions,
        role: str,  # noqa: ARG003
        net: Callable[..., Tensor],
        inputs: Mapping[str, Tensor],
    ) -> Tensor:
        """Samples from `inputs["noise"]` and, if conditional, `inputs["label"]`."""
        return _generate(net, inputs["noise"], inputs["label"] if options.conditional else None)

    @classmethod
    def draw(
        cls,
        options: FromNoiseOptions,
        role: str,  # noqa: ARG003
        io: NetIO,
        count: int,
        random: torch.Generator,
    ) -> dict[str, Tensor]:
        """`noise`, N x latent_size; if conditional `label`, N: class 0, 1, ... round and round."""
        if options.latent == "uniform":
            noise = torch.rand((count, *io.inputs), generator=random) * 2 - 1
        else:
            noise = torch.randn((count, *io.inputs), generator=random)
        if not io.classes:
            return {"noise": noise}
        return {"noise": noise, "label": torch.arange(count) % io.classes}

    def _noise(self, real: Tensor) -> Tensor:
        """Noise for as many samples, from torch's global generator."""
        shape = (len(real), self.options.latent_size)
        if self.options.latent == "uniform":
            return torch.rand(shape, device=real.device, dtype=real.dtype) * 2 - 1
        return torch.randn(shape, device=real.device, dtype=real.dtype)

    def _label(self, batch: Mapping[str, Tensor]) -> Tensor | None:
        return batch["label"] if self.options.conditional else None


def _generate(net: Callable[..., Tensor], noise: Tensor, label: Tensor | None) -> Tensor:
    return net(noise) if label is None else net(noise, label)


def _classes(fields: Mapping[str, Field]) -> int:
    label = fields.get("label")
    if label is None:
        raise DataError(
            "conditional = true needs the class of each sample, and the data have no field `label`",
            hint=f"Their fields are: {', '.join(fields)}. Set task.conditional = false, or take "
            "data with classes.",
        )
    if label.kind != "class":
        raise DataError(
            f"must be a class, and it is of kind {label.kind}",
            hint="gan/from_noise takes one class index for each sample",
            where="label",
        )
    if not label.classes:
        raise DataError(
            "the data don't say how many classes there are",
            hint="Their Field for `label` needs `classes`; or set task.conditional = false.",
            where="label",
        )
    return label.classes
