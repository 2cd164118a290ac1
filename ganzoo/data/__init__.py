"""Find data sets, decode their files, and convert between arrays and tensors."""

from __future__ import annotations

from ganzoo.data.array_files import read_array, write_array
from ganzoo.data.convert import to_tensor, to_uint8
from ganzoo.data.dataset_paths import cache_folder, data_cache, find_data, places
from ganzoo.data.proposal import Proposal, Proposes, Scale, Sizing
from ganzoo.data.read_image import (
    IMAGE_SUFFIXES,
    ImageInfo,
    decode_image,
    image_info,
    image_size,
)
from ganzoo.data.rng import isolated
from ganzoo.data.write_image import save_image
from ganzoo.files import replacing

__all__ = [
    "IMAGE_SUFFIXES",
    "ImageInfo",
    "Proposal",
    "Proposes",
    "Scale",
    "Sizing",
    "cache_folder",
    "data_cache",
    "decode_image",
    "find_data",
    "image_info",
    "image_size",
    "isolated",
    "places",
    "read_array",
    "replacing",
    "save_image",
    "to_tensor",
    "to_uint8",
    "write_array",
]
