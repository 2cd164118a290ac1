"""The initial weights of an encoder: published ones through timm, or those of a local file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ganzoo.errors import DataError, EnvironmentFault, RecipeError, error_text
from ganzoo_timm_unet.options import EncoderOptions


def create_learnt(
    options: EncoderOptions, keywords: Mapping[str, Any], cfg: Mapping[str, Any]
) -> nn.Module:
    """Build an encoder with the weights that the options name.

    On the meta device a local file is read and compared, and nothing is downloaded.

    Args:
        options: options with `pretrained` or `weights`.
        keywords: arguments of `timm.create_model` with which the encoder can be built.
        cfg: timm's description of the published weights.

    Raises:
        RecipeError: when no published weights of that model are known.
        DataError: when the file is missing, unreadable, or belongs to another model.
        EnvironmentFault: when the hub can't be reached, or fails.
    """
    on_meta = torch.empty(0).is_meta
    if options.weights is not None:
        path = os.path.expanduser(options.weights)  # noqa: PTH111  # pathlib's raises RuntimeError
        state = _fitted(options.encoder, Path(path))
        if on_meta:
            return timm.create_model(options.encoder, **keywords)
        # timm itself leaves out weights that no feature map needs, and adapts the first convolution
        # and the weights that depend on the image's size.
        encoder = timm.create_model(
            options.encoder,
            pretrained=True,
            pretrained_cfg_overlay={"state_dict": state},
            **keywords,
        )
        for module in encoder.modules():  # timm keeps the overlay, a second copy of the weights
            for name in ("pretrained_cfg", "default_cfg"):
                getattr(module, name, {}).pop("state_dict", None)
        return encoder
    if not (cfg.get("hf_hub_id") or cfg.get("url")):
        raise RecipeError(
            f"pretrained: no published weights of {options.encoder!r} are known to timm",
            hint="take another encoder, pretrained = false, or a file of your own with weights",
        )
    if on_meta:
        return timm.create_model(options.encoder, **keywords)
    try:
        return timm.create_model(options.encoder, pretrained=True, **keywords)
    except Exception as error:  # HTTP clients raise errors of many types; the model is valid
        raise EnvironmentFault(
            f"the weights of {options.encoder!r} can't be loaded from {cfg.get('hf_hub_id')}:"
            f" {error_text(error)}",
            hint="Without a network connection, download the file on another machine "
            "(model.safetensors of"
            f" https://huggingface.co/{cfg.get('hf_hub_id')}) and name it:"
            ' weights = "PATH/model.safetensors" instead of pretrained = true.',
        ) from error


def _fitted(name: str, path: Path) -> dict[str, Tensor]:
    """Return a file's tensors, after a check that they are the whole model's without classifier."""
    state = read(path)
    with torch.device("meta"):
        whole: Any = timm.create_model(name, num_classes=0)
    wanted = whole.state_dict()
    heads = whole.pretrained_cfg.get("classifier") or ()
    heads = tuple({n.partition(".")[0] for n in ([heads] if isinstance(heads, str) else heads)})
    problems = [
        f"missing: {key}"
        for key in wanted
        if key not in state and not key.endswith("num_batches_tracked")
    ]
    problems += [
        f"shape: {key} is {tuple(state[key].shape)}, the model's is {tuple(tensor.shape)}"
        for key, tensor in wanted.items()
        if key in state and state[key].shape != tensor.shape
    ]
    problems += [
        f"unexpected: {key}"
        for key in state
        if key not in wanted and key.partition(".")[0] not in heads
    ]
    if problems:
        more = [f"... and {len(problems) - 12} more"] if len(problems) > 12 else []
        raise DataError(
            f"{len(problems)} tensors don't fit timm's {name}",
            where=str(path),
            hint="\n".join([*problems[:12], *more]),
        )
    return {key: state[key] for key in wanted if key in state}


def read(path: Path) -> dict[str, Tensor]:
    """Read a local file of weights; nothing in it is executed.

    Args:
        path: a `.safetensors` file, or any other file with a state dict by `torch.save`, directly
            or under `state_dict` or `model`.

    Raises:
        DataError: when there is no such file, or it is neither of these.
    """
    if not path.is_file():
        raise DataError("weights: there is no such file", where=str(path))
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader raises errors of many types
        reason = error_text(error, kind=False)
        raise DataError(
            f"weights: no safetensors file and no plain state dict ({reason})",
            where=str(path),
            hint="Other pickles could run code, so they are never loaded; save"
            " model.state_dict() with safetensors.torch.save_file or torch.save.",
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise DataError("weights: it contains something other than named tensors", where=str(path))
    return dict(content)
