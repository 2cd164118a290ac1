"""timm's image models as encoders that return feature maps, for any channels and image sizes."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import timm
import torch
from torch import Tensor, nn

from ganzoo.errors import DataError, RecipeError, error_text
from ganzoo.nn import weights_follow_now
from ganzoo_timm_unet.options import EncoderOptions
from ganzoo_timm_unet.weights import create_learnt


@dataclass(frozen=True)
class Survey:
    """The properties of an encoder, found on the meta device, where building and running are cheap.

    Args:
        keywords: arguments of `timm.create_model` besides the name.
        reductions: for each feature map, from the finest: image pixels per cell in each direction.
        channels: channels of each feature map.
        channels_last: whether maps have the layout N x H x W x C.
        multiple: height and width of an image are padded to multiples of this number.
        fixed: the only height and width that the encoder accepts; None if it accepts any.
        idle: names of parameters that no feature map depends on.
        cfg: timm's description of the published weights.
    """

    keywords: Mapping[str, Any]
    reductions: tuple[int, ...]
    channels: tuple[int, ...]
    channels_last: bool
    multiple: int
    fixed: tuple[int, int] | None
    idle: frozenset[str]
    cfg: Mapping[str, Any]


def padded_size(height: int, width: int, multiple: int) -> tuple[int, int]:
    """Return the size that an image is padded to, so that every level halves exactly.

    The coarsest map gets at least 2 x 2 cells, because batch norm can't be trained on a single
    cell.
    """
    high, wide = (max(math.ceil(size / multiple), 2) * multiple for size in (height, width))
    return high, wide


class Encoder(nn.Module):
    """Encoder: one feature map of an image for each reduction, from the finest to the coarsest.

    Args:
        options: they name the model and its initial weights.
        shape: (C, H, W) of the images; H and W matter only to encoders with a fixed size.

    Raises:
        RecipeError: when timm has no such model or tag, or the model returns no feature maps for
            such images.
        DataError: when the file of `weights` is missing, unreadable, or belongs to another model.
        EnvironmentFault: when published weights can't be downloaded.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, options: EncoderOptions, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.name = options.encoder
        self.survey = survey(options, shape)
        keywords = self.survey.keywords
        if options.learnt() and not weights_follow_now():
            self.model = create_learnt(options, keywords, self.survey.cfg)
        else:
            self.model = timm.create_model(options.encoder, **keywords)
        for name, parameter in self.model.named_parameters():
            if name in self.survey.idle:
                parameter.requires_grad_(False)
        self.learnt = options.learnt()
        if self.learnt:
            # In one step: [-1, 1] to [0, 1], then the normalisation that the published weights were
            # trained with.
            mean, std = (_per_channel(self.survey.cfg[key], shape[0]) for key in ("mean", "std"))
            self.register_buffer("shift", (2 * mean - 1).view(1, -1, 1, 1))
            self.register_buffer("scale", (0.5 / std).view(1, -1, 1, 1))

    @property
    def reductions(self) -> tuple[int, ...]:
        """Return the image pixels per cell, in each direction, of the maps `forward` returns."""
        return tuple(sorted(set(self.survey.reductions)))

    @property
    def channels(self) -> tuple[int, ...]:
        """Return the channels of the maps `forward` returns; maps of one reduction are joined."""
        each = list(zip(self.survey.reductions, self.survey.channels, strict=True))
        return tuple(sum(c for r, c in each if r == wanted) for wanted in self.reductions)

    def pad(self, x: Tensor) -> Tensor:
        """Mirror N x C x H x W at its right and lower edges, up to a size that `forward` accepts.

        Raises:
            DataError: when the encoder has a fixed size, and this is another one.
        """
        height, width = x.shape[-2:]
        padded = padded_size(height, width, self.survey.multiple)
        if self.survey.fixed not in (None, padded):
            bound = " x ".join(map(str, self.survey.fixed or ()))
            raise DataError(
                f"the encoder {self.name} was built for images of {bound} pixels, padding included,"
                f" and this one is {height} x {width} (H x W)",
                hint="resize the images, or train with an encoder that takes any size, such as a"
                " convolutional one",
            )
        return mirror(x, *padded)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map padded images N x C x H x W in [-1, 1] to feature maps N x channels x h x w."""
        if self.learnt:
            x = (x - self.shift) * self.scale
        maps: dict[int, list[Tensor]] = {}
        for reduction, features in zip(self.survey.reductions, self.model(x), strict=True):
            plain = features.permute(0, 3, 1, 2) if self.survey.channels_last else features
            maps.setdefault(reduction, []).append(plain)
        return [torch.cat(maps[r], 1) if len(maps[r]) > 1 else maps[r][0] for r in self.reductions]


def mirror(x: Tensor, height: int, width: int) -> Tensor:
    """Enlarge N x C x H x W to a size by mirroring it at its lower and right edges.

    The result is that of torch's reflection, but with the edge repeated. This function works for
    any size, and its gradient is deterministic on every device.
    """
    for axis, wanted in ((-2, height), (-1, width)):
        while (size := x.shape[axis]) < wanted:
            missing = min(wanted - size, size)
            x = torch.cat([x, x.narrow(axis, size - missing, missing).flip(axis)], axis)
    return x


def _per_channel(values: tuple[float, ...], channels: int) -> Tensor:
    """Return mean or deviation for as many channels as the first convolution has.

    timm adapts the weights of a first convolution for RGB: it repeats them for other numbers of
    channels, and adds them up for a single channel. The values here are repeated likewise, and
    averaged for a single channel.
    """
    if channels == 1:
        return torch.tensor([sum(values) / len(values)])
    return torch.tensor([values[index % len(values)] for index in range(channels)])


def survey(options: EncoderOptions, shape: tuple[int, int, int]) -> Survey:
    """Return the properties of an encoder for images (C, H, W).

    Raises:
        RecipeError: when timm has no such model or tag, or the model returns no feature maps for
            such images.
    """
    _check_name(options.encoder)
    try:
        # Idle parameters are found by a gradient, so gradients must be on even where the caller has
        # switched them off.
        with torch.inference_mode(mode=False), torch.enable_grad(), torch.device("meta"):
            return _on_meta(options, shape)
    except RecipeError:
        raise
    except Exception as error:  # timm's models raise errors of any type
        size = " x ".join(map(str, shape))
        raise RecipeError(
            f"encoder = {options.encoder!r} gives no feature maps of images {size} (C x H x W):"
            f" {error_text(error)}",
            hint="take another encoder, such as resnet18 or convnext_atto, or another size",
        ) from error


def _on_meta(options: EncoderOptions, shape: tuple[int, int, int]) -> Survey:
    channels, height, width = shape
    keywords: dict[str, Any] = {"features_only": True, "in_chans": channels}
    model: Any = timm.create_model(options.encoder, **keywords)
    deepest = max(model.feature_info.reduction())
    if options.levels != "all":
        keywords["out_indices"] = _first(options.levels, model, options.encoder)
        model = timm.create_model(options.encoder, **keywords)
    fixed = bool(model.pretrained_cfg.get("fixed_input_size"))
    # Some models compute their deep layers even if their output isn't used. Then the deepest layer
    # determines the multiple.
    for multiple in (max(model.feature_info.reduction()), deepest):
        size = padded_size(height, width, multiple)
        if fixed:
            keywords["img_size"] = size
            model = timm.create_model(options.encoder, **keywords)
        idle = _idle(model, torch.zeros(2, channels, *size))
        if not idle:
            break
    layout = getattr(model, "output_fmt", None)  # absent: a model of its own class, always NCHW
    return Survey(
        keywords=keywords,
        reductions=tuple(model.feature_info.reduction()),
        channels=tuple(model.feature_info.channels()),
        channels_last=layout is not None and layout.value == "NHWC",
        multiple=multiple,
        fixed=size if fixed else None,
        idle=idle,
        cfg=model.pretrained_cfg,
    )


def _first(levels: int, model: Any, name: str) -> tuple[int, ...]:
    there = tuple(model.feature_info.out_indices)
    if levels > len(there):
        raise RecipeError(f"levels = {levels}: {name} has {len(there)} levels")
    return there[:levels]


def _idle(model: nn.Module, images: Tensor) -> frozenset[str]:
    """Return the names of parameters that no feature map depends on, such as a last shortcut's.

    They would get no gradient, and several processes would wait for it forever.
    """
    named = dict(model.named_parameters())
    total = torch.stack([features.float().sum() for features in model(images)]).sum()
    gradients = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    return frozenset(name for name, g in zip(named, gradients, strict=True) if g is None)


def _check_name(name: str) -> None:
    base, _, tag = name.partition(".")
    if not timm.is_model(base):
        near = [n for n in difflib.get_close_matches(base, timm.list_models(), 8) if _is_pyramid(n)]
        raise RecipeError(
            f"encoder = {name!r}: timm {timm.__version__} has no model of that name",
            hint=f"Did you mean {', '.join(near[:3])}?" if near else "timm.list_models() has all.",
        )
    tags = [full.partition(".")[2] for full in timm.list_pretrained(base)]
    if tag and tag not in tags:
        raise RecipeError(
            f"encoder = {name!r}: timm {timm.__version__} knows no weights {tag!r} of {base}",
            hint=f"Its weights are: {', '.join(tags) or 'none'}.",
        )


def _is_pyramid(name: str) -> bool:
    """Return whether a model returns maps of several sizes, which a U-Net needs."""
    try:
        with torch.device("meta"):
            model: Any = timm.create_model(name, features_only=True)
            found = model.feature_info.reduction()
    except Exception:  # noqa: BLE001  # timm's models raise errors of any type
        return False
    return any(fine < coarse for fine, coarse in pairwise(found))
