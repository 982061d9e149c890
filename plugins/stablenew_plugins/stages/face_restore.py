"""face_restore: faces of the finished picture mended by the backend (GFPGAN, CodeFormer)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from stablenew_api.backend import UpscaleRequest
from stablenew_api.jobs import Needs
from stablenew_api.stage import Phase, Stage, StageConfig, StageContext, StageImage, marks
from stablenew_plugins.stages.common import NO_IMAGE, PartReport, needs_of, only_image
from stablenew_plugins.vram import UPSCALER_BYTES

if TYPE_CHECKING:
    from PIL.Image import Image


class FaceRestoreConfig(StageConfig):
    """Settings of face_restore."""

    model: Literal["CodeFormer", "GFPGAN"] = Field(
        "CodeFormer", title="Face restorer", description="The network that mends."
    )
    visibility: float = Field(
        0.8, gt=0, le=1, title="Visibility", description="How much of what it makes shows."
    )
    codeformer_weight: float = Field(
        0.5,
        ge=0,
        le=1,
        title="CodeFormer weight",
        description="0 mends most, 1 stays closest to the face.",
        json_schema_extra=marks(only_with="model=CodeFormer"),
    )

    def request(self, image: Image) -> UpscaleRequest:
        """An enlargement by 1 that mends faces: the call of the WebUI's "extras"."""
        codeformer = self.model == "CodeFormer"
        return UpscaleRequest(
            image,
            "None",
            1.0,
            gfpgan_visibility=0.0 if codeformer else self.visibility,
            codeformer_visibility=self.visibility if codeformer else 0.0,
            codeformer_weight=self.codeformer_weight if codeformer else 0.0,
        )


class FaceRestore(Stage):
    """Faces mended by the backend."""

    name, version, title = "face_restore", "1.0", "Face restore"
    description = "Mends blurred or broken faces in the finished picture, with GFPGAN or CodeFormer."
    Config = FaceRestoreConfig
    phase = Phase.POST

    @classmethod
    def needs(cls, config: FaceRestoreConfig) -> Needs:
        """Upscaling and face restoration."""
        return needs_of([config.request(NO_IMAGE)], UPSCALER_BYTES)

    def run(
        self, ctx: StageContext, config: FaceRestoreConfig, images: Sequence[StageImage]
    ) -> Sequence[StageImage]:
        """Each image, mended."""
        made = []
        count = len(only_image(self.name, images))
        for index, image in enumerate(images):
            ctx.cancel.raise_if_cancelled()
            report = PartReport(ctx, index / count, (index + 1) / count)
            result = ctx.backend.upscale(config.request(image.image), report, ctx.cancel)
            # "Size" and the upscaler keys would be of an enlargement that was none.
            told = {
                key: value
                for key, value in result.info.items()
                if key not in ("Size",) and "upscale" not in key
            }
            made.append(StageImage(result.image, {**image.info, **told}))
        return made
