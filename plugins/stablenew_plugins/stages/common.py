"""What several stages share: names of settings, joining of prompts, progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stablenew_api.backend import Progress
from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image

    from stablenew_api.stage import StageContext, StageImage

MODEL_HELP = "Checkpoint to use, by the name the node gives it. Empty: the node's default."
VAE_HELP = "VAE that turns latents into pixels, by name. Empty: the one that belongs to the checkpoint."
SAMPLER_HELP = (
    "Method that takes the noise away, by its A1111 name. Samplers differ in texture, speed "
    "and how many steps they want."
)
SCHEDULER_HELP = "How the noise is spread over the steps. Automatic: what suits the sampler."
STEPS_HELP = "Sampling steps. Few are fast and rough; past about 40 little changes."
CFG_HELP = "How strictly the picture follows the prompt. Low: loose and pale; high: hard contrast."
DENOISE_HELP = "How much is drawn anew. Lower keeps the picture, higher invents more; 0 changes nothing."
CLIP_SKIP_HELP = (
    "Layers of the text encoder that are left out at its end. 1: none; 2 suits many anime checkpoints."
)


def join_prompts(first: str, second: str) -> str:
    """Two prompts as one, with a comma between them; an empty one leaves no comma behind."""
    first, second = first.strip(), second.strip()
    if not first or not second:
        return first or second
    return f"{first.rstrip(',').rstrip()}, {second.lstrip(',').lstrip()}"


def only_image(name: str, images: Sequence[StageImage]) -> Sequence[StageImage]:
    """``images``, or StageFailure(BAD_INPUT) when the stage stands where no image reaches it."""
    if not images:
        raise StageFailure(
            FailureKind.BAD_INPUT,
            f"{name}: no image reached this stage; put txt2img (or an input image) before it",
        )
    return images


class StepReport(Progress):
    """A backend's progress, reported to the stage's context.

    ``done`` steps of ``total`` were made by earlier calls of the same stage.
    """

    def __init__(self, ctx: StageContext, done: int = 0, total: int | None = None) -> None:
        self._ctx, self._done, self._total = ctx, done, total

    def __call__(self, step: int, steps: int, preview: Image | None = None) -> None:
        """Report ``step`` of ``steps``. A preview that nobody asked for is dropped."""
        if preview is not None and not self._ctx.wants_preview():
            preview = None
        self._ctx.progress(self._done + step, self._total or self._done + steps, preview)

    def wants_preview(self) -> bool:
        """Whether somebody watches now."""
        return self._ctx.wants_preview()
