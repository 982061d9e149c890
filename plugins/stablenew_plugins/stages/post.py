"""What the post-processors share: each image changed by a function, nothing else."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stablenew_api.stage import Phase, Stage, StageContext, StageImage

if TYPE_CHECKING:
    from PIL.Image import Image

    from stablenew_api.jobs import JsonValue


class PostProcessor(Stage):
    """A stage that needs no backend."""

    phase = Phase.POST

    def run(self, ctx: StageContext, config: Any, images: Sequence[StageImage]) -> Sequence[StageImage]:
        """Each image, changed."""
        made = []
        for image in images:
            ctx.cancel.raise_if_cancelled()
            made.append(
                StageImage(self.change(ctx, config, image.image), {**image.info, **self.told(ctx, config)})
            )
        return made

    @abstractmethod
    def change(self, ctx: StageContext, config: Any, image: Image) -> Image:
        """A changed copy of ``image``."""

    def told(self, ctx: StageContext, config: Any) -> Mapping[str, JsonValue]:
        """Infotext keys to add. Default: none."""
        return {}


def rgb(image: Image) -> Image:
    """``image`` as RGB; what is transparent lies on white."""
    from PIL import Image as Images

    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = Images.new("RGBA", image.size, (255, 255, 255, 255))
        return Images.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")


def filled_in(text: str, ctx: StageContext) -> str:
    """``text`` with ``{seed}`` and ``{prompt}`` replaced by the image's own, in one line."""
    return " ".join(text.replace("{seed}", str(ctx.seed)).replace("{prompt}", ctx.prompt).split())
