"""What the signatures don't say: transforms and arguments left out, further limits, rules.

Used only when the table is generated.
"""

from __future__ import annotations

from typing import Any

LEFT_OUT: dict[str, str] = {
    "AtLeastOneBBoxRandomCrop": "needs bounding boxes",
    "BBoxSafeRandomCrop": "needs bounding boxes",
    "RandomCropNearBBox": "needs bounding boxes",
    "RandomSizedBBoxSafeCrop": "needs bounding boxes",
    "ConstrainedCoarseDropout": "needs a mask or bounding boxes to say where holes may be",
    "CropNonEmptyMaskIfExists": "needs a mask to say where to crop",
    "MaskDropout": "needs a mask to say what is dropped",
    "FDA": "needs reference images",
    "HistogramMatching": "needs reference images",
    "PixelDistributionAdaptation": "needs reference images",
    "Mosaic": "needs other samples as metadata",
    "OverlayElements": "needs overlays as metadata",
    "TextImage": "needs a font file and text as metadata",
    "Lambda": "its arguments are functions",
    "FromFloat": "changes the depth of images, which is the core's affair",
    "ToFloat": "changes the depth of images, which is the core's affair",
    "ToTensorV2": "changes the type of images, which is the core's affair",
    "Normalize": "changes the range of images, which is the core's affair",
}
"""Transforms that can't run from plain arguments on a sample, and why; 3-D ones come on top."""

DROPPED: dict[str, str] = {
    "mask_interpolation": "label maps always take the nearest pixel",
    "keypoint_remapping_method": "samples have no keypoints",
    "rotate_method": "only bounding boxes are affected",
    "Equalize.mask": "a function or an array",
    "Equalize.mask_params": "goes with the mask function",
    "PlasmaShadow.plasma_size": "albumentations 2.0.8 ignores it",
}
"""Arguments that a recipe can't set (`Class.argument` or any class's `argument`), and why."""

LIMITS: dict[str, dict[str, float]] = {
    "blur_limit": {"min": 3},
    "GaussianBlur.blur_limit": {"min": 0},
    "ColorJitter.brightness": {"min": 0},
    "ColorJitter.contrast": {"min": 0},
    "ColorJitter.saturation": {"min": 0},
    "ColorJitter.hue": {"min": -0.5, "max": 0.5},
    "GridDistortion.distort_limit": {"min": -1, "max": 1},
    "PiecewiseAffine.nb_rows": {"min": 2},
    "PiecewiseAffine.nb_cols": {"min": 2},
    "PlanckianJitter.temperature_limit": {"min": 3000, "max": 15000},
    "Posterize.num_bits": {"min": 1, "max": 7},
    "RandomGravel.gravel_roi": {"min": 0, "max": 1},
    "RandomShadow.shadow_roi": {"min": 0, "max": 1},
    "RandomSunFlare.flare_roi": {"min": 0, "max": 1},
    "ShiftScaleRotate.shift_limit": {"min": -1, "max": 1},
    "ShiftScaleRotate.shift_limit_x": {"min": -1, "max": 1},
    "ShiftScaleRotate.shift_limit_y": {"min": -1, "max": 1},
    "ShiftScaleRotate.scale_limit": {"min": -1},
    "RandomScale.scale_limit": {"above": -1},
    "LongestMaxSize.max_size": {"min": 1},
    "LongestMaxSize.max_size_hw": {"min": 1},
    "SmallestMaxSize.max_size": {"min": 1},
    "SmallestMaxSize.max_size_hw": {"min": 1},
    "Pad.padding": {"min": 0},
    "RandomRain.drop_length": {"min": 1},
    "RandomRain.drop_color": {"min": 0, "max": 255},
    "RandomSunFlare.src_color": {"min": 0, "max": 255},
    "Spatter.color": {"min": 0, "max": 255},
    "fill": {"min": 0, "max": 255},
    "PixelDropout.drop_value": {"min": 0, "max": 255},
    "fill_mask": {"min": 0},
    "PixelDropout.mask_drop_value": {"min": 0},
}
"""Bounds that albumentations checks in code (field validators), late, or not at all."""

_PAIR = {"type": "list", "size": 2, "increasing": True}


def _pair(**bounds: float) -> dict[str, Any]:
    return {**_PAIR, "items": {"type": "number", **bounds}}


NODES: dict[str, dict[str, Any]] = {
    "AdditiveNoise.noise_params": {
        "type": "table",
        "keys": {
            "ranges": {"type": "list", "items": _pair(min=-1, max=1)},
            "mean_range": _pair(min=-1, max=1),
            "std_range": _pair(min=0, max=1),
            "scale_range": _pair(min=0, max=1),
            "alpha_range": _pair(min=0),
            "beta_range": _pair(min=0),
        },
    },
    "Spatter.color": {"type": "list", "size": 3, "items": {"type": "integer"}},
}
"""Arguments whose annotation says less than albumentations accepts."""

SINGLE: dict[str, str] = {
    "blur_limit": "3 to v",
    "ColorJitter.hue": "-v to v",
    "RandomScale.scale_limit": "-v to v",
    "ShiftScaleRotate.shift_limit_x": "-v to v",
    "ShiftScaleRotate.shift_limit_y": "-v to v",
}
"""What a single number stands for where a field validator decides it."""

RULES: dict[str, list[list[str]]] = {
    "Affine": [["at_most_one", "translate_percent", "translate_px"]],
    "Crop": [["below", "x_min", "x_max"], ["below", "y_min", "y_max"]],
    "CropAndPad": [["one", "px", "percent"]],
    "LongestMaxSize": [["one", "max_size", "max_size_hw"]],
    "SmallestMaxSize": [["one", "max_size", "max_size_hw"]],
    "PadIfNeeded": [
        ["one", "min_height", "pad_height_divisor"],
        ["one", "min_width", "pad_width_divisor"],
    ],
    "RandomCropFromBorders": [
        ["sum_at_most_1", "crop_left", "crop_right"],
        ["sum_at_most_1", "crop_top", "crop_bottom"],
    ],
}
"""What must hold between two arguments."""

NEEDED: dict[str, dict[str, Any]] = {
    "CenterCrop": {"height": 24, "width": 24},
    "Crop": {"x_max": 24, "y_max": 24},
    "CropAndPad": {"px": 4},
    "GridElasticDeform": {"num_grid_xy": (4, 4), "magnitude": 4},
    "LongestMaxSize": {"max_size": 24},
    "RandomCrop": {"height": 24, "width": 24},
    "RandomResizedCrop": {"size": (24, 24)},
    "RandomSizedCrop": {"min_max_height": (20, 30), "size": (24, 24)},
    "Resize": {"height": 24, "width": 24},
    "SmallestMaxSize": {"max_size": 24},
    "TimeMasking": {"time_mask_param": 8},
    "XYMasking": {"num_masks_x": 1, "mask_x_length": 4},
    "PadIfNeeded": {"min_height": 64, "min_width": 64},
}
"""Arguments with which a transform runs on a 32 x 32 image, where its defaults don't."""
