"""The seed of each image: a base a row, and how far an image is from it."""

from __future__ import annotations

import hashlib
from typing import Literal

SeedMode = Literal["per_image", "per_variant", "fixed"]
"""What makes the seed change: every image, every combination, or nothing."""


def draw_seed(plan_seed: int, row: int) -> int:
    """Base seed of a row, 0 to 2**32 - 1: a pure function of its arguments, so that a row that is added or left
    out changes no other row's images. 32 bits, because that is what every backend takes. Row 0 stands for the
    whole plan."""
    digest = hashlib.sha256(f"stablenew seed {plan_seed} row {row}".encode("ascii")).digest()
    return int.from_bytes(digest[:4], "big")


def advance_seed(base: int, image: int) -> int:
    """Seed of image ``image`` (from 0) of a batch: base + image, as in A1111, inside the base's own range:
    a 32-bit base goes on at 0 after 2**32 - 1, a larger one after 2**64 - 1."""
    return (base + image) % (2**32 if base < 2**32 else 2**64)


def seed_offset(mode: SeedMode, image: int, images: int) -> int:
    """How far image ``image`` (from 0) of a row is from the base, with ``images`` of each combination.

    ``per_image``: one further with every image. ``per_variant``: each combination is a batch of its own, that
    begins one further than the combination before it and goes on by one an image, as a WebUI that is sent
    base + combination does. ``fixed``: never.
    """
    if mode == "fixed":
        return 0
    return image if mode == "per_image" else sum(divmod(image, images))
