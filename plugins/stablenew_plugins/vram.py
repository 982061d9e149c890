"""How much VRAM a picture is taken to need: the estimate of the stages and the model of the embedded engine.

The figures are of the order of what a Stable Diffusion 1.5 checkpoint in half precision takes. They are hints:
the kernel raises a job's need when it ran out of memory all the same.
"""

from __future__ import annotations

GIB = 1024**3

WEIGHTS_BYTES = 2 * GIB
"""Checkpoint, text encoder and VAE."""
BYTES_PER_PIXEL = 4 * 1024
"""Latents, attention and VAE decoding, a pixel of the picture that is sampled."""
UPSCALER_BYTES = GIB
"""An upscaling network and its tile."""
UPSCALER_BYTES_PER_PIXEL = 512
"""A pixel of the enlarged picture."""

WHOLE_PIXELS = 1024 * 1024
"""Largest picture that the diffusion pass of upscale draws whole: 6 GiB. Above it goes tile by tile."""
TILE_SIDE = 768
"""Side, in pixels, of those tiles: 4.25 GiB each, and large enough that a model sees what it draws."""
TILE_OVERLAP = 64
"""Pixels that neighbouring tiles share, across which the one fades into the other."""


def sampling_bytes(width: int, height: int) -> int:
    """Peak VRAM, in bytes, of sampling a picture of ``width`` x ``height`` pixels.

    ``2 GiB + 4 KiB x pixels``: 3 GiB at 512 x 512, 6 GiB at 1024 x 1024, 18 GiB at 2048 x 2048.
    """
    return WEIGHTS_BYTES + BYTES_PER_PIXEL * width * height


def upscaling_bytes(width: int, height: int) -> int:
    """Peak VRAM, in bytes, of an upscaler whose *result* is ``width`` x ``height`` pixels.

    ``1 GiB + 512 B x pixels``: 1.5 GiB at 1024 x 1024, 3 GiB at 2048 x 2048.
    """
    return UPSCALER_BYTES + UPSCALER_BYTES_PER_PIXEL * width * height
