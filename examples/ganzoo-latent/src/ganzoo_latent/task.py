"""The task: a variational autoencoder whose images a discriminator judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from ganzoo.api import Options
from ganzoo.errors import DataError
from ganzoo.interfaces import Application, Clock, Field, NetIO, Optimize, Role, Task
from torch import Tensor

from ganzoo_latent.options import FACTOR, AutoencoderOptions


class Autoencoder(Task):
    """Learn a code of images from which the images can be made again.

    The encoder gives the mean and the log-variance of a normal distribution. In training the
    decoder gets a code that is drawn from it; after training it gets the mean. Encoder and decoder
    are one player. They minimise the terms of the loss and the Kullback-Leibler divergence of the
    codes from a standard normal distribution. The discriminator sees images and reconstructions;
    it can be left out, or begin later.
    """

    roles: ClassVar[Mapping[str, Role]] = {
        "encoder": "network",
        "decoder": "generator",
        "discriminator": "discriminator",
    }
    players: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "autoencoder": ("encoder", "decoder"),
        "discriminator": ("discriminator",),
    }
    needs: ClassVar[frozenset[str]] = frozenset({"real"})
    applications: ClassVar[Mapping[str, Application]] = {
        "encode": Application(takes=("real",), gives=("mean",), roles=("encoder",)),
        "decode": Application(takes=("code",), gives=("real",), roles=("decoder",)),
        "reconstruct": Application(takes=("real",), gives=("real",), roles=("encoder", "decoder")),
    }
    optional: ClassVar[frozenset[str]] = frozenset({"discriminator"})

    options: AutoencoderOptions

    @classmethod
    def io(cls, role: str, options: AutoencoderOptions, fields: Mapping[str, Field]) -> NetIO:
        """Inputs and outputs of the networks, from the field `real` of the data.

        Raises:
            DataError: it isn't images whose height and width are multiples of 4.
        """
        real = fields["real"]
        if real.format != "ganzoo/image":
            raise DataError(f"an autoencoder learns images, not {real.format}")
        _, height, width = real.shape
        if height % FACTOR or width % FACTOR:
            raise DataError(
                f"height and width must be multiples of {FACTOR}, and these images are "
                f"{width} x {height}"
            )
        code = Field((options.channels, height // FACTOR, width // FACTOR), "latent/code")
        if role == "encoder":
            return NetIO({"real": real}, {"mean": code, "logvar": code})
        if role == "decoder":
            return NetIO({"code": code}, {"real": real})
        return NetIO({"real": real})

    def step(self, batch: Mapping[str, Tensor], optimize: Optimize) -> None:
        """The discriminator's turn, then that of encoder and decoder."""
        real = batch["real"]
        encoded = self.nets["encoder"](real)
        mean, logvar = encoded["mean"], encoded["logvar"]
        fake = self.nets["decoder"](mean + torch.exp(logvar / 2) * torch.randn_like(mean))
        kl = (mean.square() + logvar.exp() - 1 - logvar).mean() / 2
        own = {"kl": self.options.kl.at(optimize.clock) * kl}
        discriminator = self.nets.get("discriminator")
        if discriminator is None:
            seen = self.look("generator", None, real, fake)
            optimize("autoencoder", {**self.loss.generator(seen), **own})
            return
        seen = self.look("discriminator", discriminator, real, fake.detach())
        optimize("discriminator", self.loss.discriminator(seen))
        with discriminator.frozen() as judge:
            seen = self.look("generator", judge, real, fake)
            optimize("autoencoder", {**self.loss.generator(seen), **own})

    def term_weights(self, clock: Clock) -> dict[str, float]:
        """Return the weight of `kl`: logs then show the divergence without its weight too."""
        return {"kl": self.options.kl.at(clock)}

    def sample(
        self, batch: Mapping[str, Tensor], nets: Mapping[str, Callable[..., Any]]
    ) -> dict[str, Tensor]:
        """Images, and what is made of their codes: the columns of a sample grid."""
        real = batch["real"]
        return {"real": real, "reconstruction": nets["decoder"](nets["encoder"](real)["mean"])}

    @classmethod
    def apply(
        cls,
        name: str,
        options: AutoencoderOptions,
        choices: Options,
        io: Mapping[str, NetIO],
        nets: Mapping[str, Callable[..., Any]],
        inputs: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        """Encode images to the means of their codes, decode codes to images, or do both."""
        del options, choices, io
        if name == "decode":
            return {"real": nets["decoder"](inputs["code"])}
        mean = nets["encoder"](inputs["real"])["mean"]
        return {"mean": mean} if name == "encode" else {"real": nets["decoder"](mean)}
