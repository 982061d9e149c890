"""sharpen: edges made crisper, by unsharp masking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from stablenew_api.stage import StageConfig, StageContext, marks
from stablenew_plugins.stages.post import PostProcessor, rgb

if TYPE_CHECKING:
    from PIL.Image import Image


class SharpenConfig(StageConfig):
    """Settings of sharpen."""

    amount: int = Field(
        80,
        ge=0,
        le=500,
        title="Amount",
        description="In percent; 0 changes nothing.",
        json_schema_extra=marks(unit="%"),
    )
    radius: float = Field(
        1.2,
        ge=0.1,
        le=20,
        title="Radius",
        description="Width of the edges that are sharpened, in pixels.",
        json_schema_extra=marks(unit="px"),
    )
    threshold: int = Field(
        2,
        ge=0,
        le=255,
        title="Threshold",
        description="Differences of brightness below it stay, so that grain is not sharpened; 0 to 255.",
    )


class Sharpen(PostProcessor):
    """Edges made crisper."""

    name, version, title = "sharpen", "1.0", "Sharpen"
    description = "Makes edges crisper, which a picture often wants after it was made larger or smaller."
    Config = SharpenConfig

    def change(self, ctx: StageContext, config: SharpenConfig, image: Image) -> Image:
        """The image, sharper."""
        from PIL import ImageFilter

        if not config.amount:
            return image.copy()
        return rgb(image).filter(ImageFilter.UnsharpMask(config.radius, config.amount, config.threshold))
