"""Data sources, augments and differentiable augments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

from ganzoo.interfaces.fields import Field
from ganzoo.interfaces.networks import DiscriminatorOutput
from ganzoo.interfaces.training import Clock


class DataSource(Protocol):
    """The samples of one split.

    It must pickle, since loader workers may be started by forkserver.

    Attributes `palette`-like extras belong to `fields`. Optional attributes: `metrics`, what this
    data add to an evaluation: ids of metrics, or tables (`{"use": ID, ...}`); `notes`, sentences
    that the user should see once; `arrays`, the whole split in memory by field, one row a sample
    and equal to what `load` gives, which draws nothing then: batches are cut out of it at once
    where a recipe has no augments; `sizes`, a method: height and width of each image of sample
    `index` by field, before augmentation, from headers alone, by which `ganzoo check` finds the
    samples that a crop doesn't fit. For fields that aren't aligned: `own_names`, the names of each
    one's own items by field, of which item i is in sample i, so that an evaluation takes each once;
    `undrawn`, a method: this split with nothing drawn beside a sample, for evaluations of `train`.
    """

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields of a sample, by name, with the shapes of sample 0 before augmentation."""
        ...

    def __len__(self) -> int: ...

    def load(self, index: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
        """Return sample `index`, as arrays in the fields' units.

        Images are H x W x C of 8 or 16 bits or float32, label maps are H x W integers, points are D
        float32, and a class is a 0-d integer.

        Floats of an image without a range are in [-1, 1] already.

        A sample that draws nothing from `rng` must depend on `index` alone as long as the run
        lasts: training keeps it from one epoch to the next (`train.cache`). Drawing is calling
        `rng` itself, or `rng.spawn`, never a copy of it or of its state.

        Raises:
            DataError: naming the file, when a sample can't be read.
        """
        ...

    def name(self, index: int) -> str:
        """Return the name of a sample, for files and messages: a file's stem, or `000012`."""
        ...


class Augment(Protocol):
    """A random or fixed change of a sample; its random numbers come from `rng` alone.

    It must pickle.

    Drawing is calling `rng` itself, or `rng.spawn`, never a copy of it or of its state: a change
    that leaves `rng` alone is a function of the sample, and what it made is kept from one epoch to
    the next (`train.cache`).

    All images of a sample (arrays with three axes) get the same geometry; label maps (two axes)
    are resampled with nearest neighbour.
    """

    def __call__(
        self, sample: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> dict[str, np.ndarray]: ...


class DiffAugment(Protocol):
    """A differentiable change of all images that a discriminator sees, real and generated alike.

    The engine calls it inside every discriminator in training, in both players' turns, so that
    tasks and losses know nothing of it. It draws from torch's global generator, which checkpoints
    keep, anew for each image; gradients pass through it. One that adapts to what discriminators
    answer is an `AdaptiveDiffAugment`.
    """

    def __call__(self, images: Tensor, clock: Clock) -> Tensor:
        """Return images of the same shape.

        Args:
            images: N x C x H x W in [-1, 1]; C may be more than an image's own channels, where the
                task shows a discriminator the source beside it.
            clock: for probabilities that anneal.

        Raises:
            ValueError: the input is no batch of images.
        """
        ...


@runtime_checkable
class AdaptiveDiffAugment(DiffAugment, Protocol):
    """A differentiable augmentation, an `nn.Module`, that adapts to what discriminators return.

    Its state is in buffers, which checkpoints keep and a resume restores. It must be a function of
    what was observed: then it is the same in every process.

    Optional attribute: `needs_decides: bool` (default False), for one that needs the logit above
    which a sample counts as real. A recipe whose losses state no such logit is then refused.
    """

    def observe(
        self, real: DiscriminatorOutput, fake: DiscriminatorOutput, clock: Clock
    ) -> Mapping[str, Tensor]:
        """Use what discriminators returned, once for each batch in which one had its turn.

        The engine calls it when all turns of the batch are over, without gradients. It must not
        wait for the device: no `item()`, and no `if` on a tensor's value.

        Args:
            real: logits for the real images of all processes' batches, in no particular order;
                their first axis is that of samples. There is one tensor for each scale of each
                discriminator. 0 is where the loss decides, if it has a logit for that (`decides`);
                otherwise they are as the discriminator gave them. `features` are empty.
            fake: the same for generated images.
            clock: that of the step.

        Returns:
            Tensors of one value, by name: logs show their means as `COMPONENT/NAME`, next to the
            terms of losses. It may be empty.
        """
        ...
