"""noop: makes nothing, or a picture of noise of a wanted file size. For benchmarks and tests."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pydantic import Field

from stablenew_api.stage import Phase, Stage, StageConfig, StageContext, StageImage, marks


class NoopConfig(StageConfig):
    """Settings of noop."""

    payload_bytes: int = Field(
        0,
        ge=0,
        le=256 * 1024 * 1024,
        title="Size of the image",
        description="About the size of the PNG, in bytes. 0 makes no image at all.",
        json_schema_extra=marks(unit="B"),
    )
    seconds: float = Field(
        0.0,
        ge=0,
        le=86_400,
        title="Time it takes",
        description="Seconds to wait before it is done.",
        json_schema_extra=marks(unit="s"),
    )


class Noop(Stage):
    """Waits, then hands over noise (or nothing)."""

    name, version, title = "noop", "1.0", "No-op (benchmarks and tests)"
    internal = True
    Config = NoopConfig
    phase = Phase.GENERATE

    def run(self, ctx: StageContext, config: NoopConfig, images: Sequence[StageImage]) -> Sequence[StageImage]:
        """No image, or one of random pixels: noise does not compress, so its PNG is as large as its pixels."""
        if config.seconds:
            ctx.cancel.wait(config.seconds)
        ctx.cancel.raise_if_cancelled()
        if not config.payload_bytes:
            return []
        from PIL import Image

        pixels = max(1, config.payload_bytes // 3)
        width = max(1, int(pixels**0.5))
        height = max(1, pixels // width)
        noise = hashlib.shake_128(f"noop {ctx.seed}".encode("ascii")).digest(width * height * 3)
        return [StageImage(Image.frombytes("RGB", (width, height), noise), {"Size": f"{width}x{height}"})]
