"""Real-ESRGAN (Wang et al. 2021) on the processor, by ncnn."""

from __future__ import annotations

import importlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_plugins.tiling import mosaic
from stablenew_plugins.upscalers import files_of

if TYPE_CHECKING:
    from PIL.Image import Image

    from stablenew_api.backend import Progress
    from stablenew_api.cancel import CancelToken

TILE, FAST, FAST_TILE = 128, "realesr-animevideov3", 256
"""Pixels a side: a cancel comes between tiles, and such a tile of a slow network takes some four seconds on two
cores, one of the fast network half a second."""
OVERLAP = 16


def _ncnn() -> Any:
    return importlib.import_module("ncnn")


@lru_cache(maxsize=1)
def _network(parameters: Path, weights: Path) -> Any:
    net = _ncnn().Net()
    options = net.opt
    options.use_vulkan_compute = False  # so that every node gives the same picture, with a GPU or without
    options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
    options.use_bf16_storage = False
    options.openmp_blocktime = 0  # its threads do not spin while they wait: others need the processor, too
    if net.load_param(str(parameters)) or net.load_model(str(weights)):
        raise StageFailure(FailureKind.BACKEND, f"upscale: {weights} cannot be read; install the package again")
    return net


def enlarge(image: Image, name: str, scale: float, tile: int, progress: Progress, cancel: CancelToken) -> Image:
    """``image`` enlarged by the network ``name``: by its own factor, tile by tile, then to the exact size.

    ``tile``: pixels a side, 0 for the usual one. The same picture each time on one kind of processor; between
    kinds the last bit may differ.
    """
    from PIL import Image as Images

    parameters, weights, factor = files_of(name, scale)
    cancel.raise_if_cancelled()
    net = _network(parameters, weights)

    def work(part: Image, index: int, count: int) -> Image:
        cancel.raise_if_cancelled()
        planes = np.asarray(part, np.uint8).transpose(2, 0, 1).astype(np.float32) / np.float32(255)
        planes = np.ascontiguousarray(planes)
        extractor = net.create_extractor()
        # A copy in ncnn's own memory: it does not keep numpy's alive.
        extractor.input(net.input_names()[0], _ncnn().Mat(planes).clone())
        code, out = extractor.extract(net.output_names()[0])
        if code:
            raise StageFailure(FailureKind.BACKEND, f"upscale: {name} failed with ncnn's code {code}")
        made = np.clip(np.array(out) * np.float32(255) + np.float32(0.5), 0, 255).astype(np.uint8)
        progress(index + 1, count, None)
        return Images.fromarray(np.ascontiguousarray(made.transpose(1, 2, 0)))

    side = max(tile or (FAST_TILE if name == FAST else TILE), OVERLAP * 2)
    large = mosaic(image.convert("RGB"), side, OVERLAP, factor, work)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return large if large.size == size else large.resize(size, Images.Resampling.LANCZOS)
