"""pix2pix's training from pairs of source and target (arXiv 1611.07004, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from ganzoo.api import Options
from ganzoo.errors import DataError
from ganzoo.interfaces import Application, Field, NetIO, Optimize, Role, Task
from ganzoo_pix2pix.options import PairedOptions


class Paired(Task):
    """Task: learn the target from the source, from aligned pairs.

    A recipe may set the discriminator to "none" if its loss doesn't need one (the paper's rows L1).
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
    needs_aligned: ClassVar[bool] = True
    optional: ClassVar[frozenset[str]] = frozenset({"discriminator"})

    options: PairedOptions

    @classmethod
    def io(cls, role: str, options: PairedOptions, fields: Mapping[str, Field]) -> NetIO:
        """Return inputs and outputs: source to target (generator), or an image to logits.

        The discriminator's image is the target, with the source's channels if the task is
        conditional.

        Raises:
            DataError: when source and target aren't images, or a conditional discriminator would
                see them together and they differ in size.
        """
        source, target = fields["source"], fields["target"]
        for name in ("source", "target"):
            if fields[name].format != "ganzoo/image":
                raise DataError(
                    f"must be an image, but it is of format {fields[name].format}",
                    hint="pix2pix/paired maps images to images",
                    where=name,
                )
        if options.conditional and source.shape[1:] != target.shape[1:]:
            sizes = [f"{field.shape[2]} x {field.shape[1]}" for field in (source, target)]
            raise DataError(
                f"source is {sizes[0]} and target {sizes[1]} (W x H), and the conditional "
                "discriminator of pix2pix/paired sees both together",
                hint="Resize both to one size, such as by an [[augment]] with images/resize, or "
                "set task.conditional = false and use a generator that changes the size.",
            )
        if role == "generator":
            return NetIO({"source": source}, {"target": target})
        if not options.conditional:
            return NetIO({"target": target})
        channels = source.shape[0] + target.shape[0]
        return NetIO({"source_and_target": Field((channels, *target.shape[1:]), "ganzoo/image")})

    def step(self, batch: Mapping[str, Tensor], optimize: Optimize) -> None:
        """Train both networks once, or the generator alone if there is no discriminator."""
        source, target = batch["source"], batch["target"]
        fake = self.nets["generator"](source)
        discriminator = self.nets.get("discriminator")
        if discriminator is None:
            seen = self.look("generator", None, target, fake)
            optimize("generator", self.loss.generator(seen))
            return

        def see(image: Tensor) -> Tensor:
            return torch.cat([source, image], 1) if self.options.conditional else image

        condition = {"source": source} if self.options.conditional else {}
        seen = self.look("discriminator", discriminator, target, fake.detach(), see, condition)
        terms = self.loss.discriminator(seen)
        alternate = self.options.update == "alternate"
        if alternate:
            optimize("discriminator", terms)
        with discriminator.frozen() as judge:
            seen = self.look("generator", judge, target, fake, see, condition)
            optimize("generator", self.loss.generator(seen))
        # The generator's gradient needs the discriminator's old weights, so these are updated last.
        if not alternate:
            optimize("discriminator", terms)

    def sample(
        self, batch: Mapping[str, Tensor], nets: Mapping[str, Callable[..., Tensor]]
    ) -> dict[str, Tensor]:
        """Return source, generated image and target, each N x C x H x W in [-1, 1]."""
        source = batch["source"]
        generated = nets["generator"](source)
        return {"source": source, "generated": generated, "target": batch["target"]}

    @classmethod
    def apply(
        cls,
        name: str,  # noqa: ARG003  # there is one application
        options: PairedOptions,  # noqa: ARG003
        choices: Options,  # noqa: ARG003
        io: Mapping[str, NetIO],  # noqa: ARG003
        nets: Mapping[str, Callable[..., Tensor]],
        inputs: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        """Return the generator's output for `inputs["source"]`, N x C x H x W in [-1, 1]."""
        return {"target": nets["generator"](inputs["source"])}
