"""What several stages share: settings of a sampling call, what they need of a node, joining of prompts,
progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from pydantic import AliasChoices, Field

from stablenew_api.backend import (
    DetailRequest,
    Progress,
    Request,
    Sampling,
    Txt2ImgRequest,
    UpscaleRequest,
)
from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind, Needs
from stablenew_api.samplers import AUTOMATIC, split_sampler
from stablenew_api.stage import StageConfig, marks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from PIL.Image import Image

    from stablenew_api.stage import StageContext, StageImage

MODEL_HELP = "Checkpoint to use, by the name the node gives it. Empty: the node's default."
STEPS_HELP = "Sampling steps. Few are fast and rough; past about 40 little changes."
CFG_HELP = "How strictly the picture follows the prompt. Low: loose and pale; high: hard contrast."
SAMPLER_HELP = (
    "Method that takes the noise away, by its A1111 name. Samplers differ in texture, speed "
    "and how many steps they want."
)
SCHEDULER_HELP = "How the noise is spread over the steps. Automatic: what suits the sampler."
DENOISE_HELP = "How much is drawn anew. Lower keeps the picture, higher invents more; 0 changes nothing."

NONE = "None"
"""What a WebUI writes for "nothing chosen"."""
SEEDS = 2**64


class SamplingConfig(StageConfig):
    """What every stage that samples can be told."""

    model: str = Field(
        "",
        title="Model",
        description=MODEL_HELP,
        validation_alias=AliasChoices("model", "model_name"),
        json_schema_extra=marks(choices="models"),
    )
    vae: str = Field(
        "",
        title="VAE",
        description="VAE that turns latents into pixels, by name. Empty: the one that belongs to the "
        "checkpoint.",
        validation_alias=AliasChoices("vae", "vae_name"),
        json_schema_extra=marks(advanced=True, choices="vaes"),
    )
    sampler_name: str = Field(
        "DPM++ 2M",
        min_length=1,
        title="Sampler",
        description=SAMPLER_HELP,
        json_schema_extra=marks(choices="samplers"),
    )
    scheduler: str = Field(
        AUTOMATIC,
        min_length=1,
        title="Scheduler",
        description=SCHEDULER_HELP,
        json_schema_extra=marks(choices="schedulers"),
    )
    steps: int = Field(20, ge=1, le=150, title="Steps", description=STEPS_HELP)
    cfg_scale: float = Field(7.0, ge=1, le=30, title="CFG scale", description=CFG_HELP)
    clip_skip: int = Field(
        1,
        ge=1,
        le=12,
        title="Clip skip",
        description="Layers of the text encoder that are left out at its end. 1: none; 2 suits many anime "
        "checkpoints.",
        json_schema_extra=marks(advanced=True),
    )

    def sampling(self, texts: Texts) -> dict[str, Any]:
        """The fields of a :class:`~stablenew_api.backend.Sampling`, by name."""
        return {
            "prompt": texts.prompt,
            "negative_prompt": texts.negative_prompt,
            "seed": texts.seed,
            "steps": self.steps,
            "cfg_scale": self.cfg_scale,
            "sampler": self.sampler_name,
            "scheduler": self.scheduler,
            "model": chosen(self.model),
            "vae": self.vae,
            "clip_skip": self.clip_skip,
        }


class Texts(Protocol):
    """What a request takes from the job rather than from the settings. A stage's context is one."""

    @property
    def prompt(self) -> str:
        """The final positive prompt."""

    @property
    def negative_prompt(self) -> str:
        """The final negative prompt."""

    @property
    def seed(self) -> int:
        """0 to 2**64 - 1."""


class PlainTexts:
    """Texts that are given."""

    def __init__(self, prompt: str = "", negative_prompt: str = "", seed: int = 0) -> None:
        self.prompt, self.negative_prompt, self.seed = prompt, negative_prompt, seed % SEEDS


NO_TEXTS = PlainTexts()
"""For the request that only says what a node must have."""
NO_IMAGE = cast("Image", object())
"""An image in such a request. Nothing looks at it."""


def chosen(name: str, *nothing: str) -> str:
    """``name``, or an empty text where it stands for nothing: ``None``, or one of ``nothing``."""
    name = name.strip()
    return "" if name in (NONE, *nothing) else name


def _sampled_by(sampler: str, scheduler: str) -> Iterator[tuple[str, str]]:
    sampler, scheduler = split_sampler(sampler, scheduler)
    yield "samplers", sampler
    yield "schedulers", scheduler


def _names(request: Request) -> Iterator[tuple[str, str]]:
    if isinstance(request, Sampling):
        yield "vaes", request.vae
        yield from _sampled_by(request.sampler, request.scheduler)
        yield from (("styles", style) for style in request.styles)
        yield "hypernetworks", request.hypernetwork
        yield "face_restorers", "" if request.face_restoration == "default" else request.face_restoration
        if request.refiner is not None:
            yield "models", request.refiner.model
    if isinstance(request, Txt2ImgRequest) and request.hires is not None:
        hires = request.hires
        yield "hires_upscalers", hires.upscaler
        yield from _sampled_by(hires.sampler, hires.scheduler)
        yield "models", hires.model
    if isinstance(request, UpscaleRequest):
        yield "upscalers", request.upscaler
    if isinstance(request, DetailRequest):
        for unit in request.units:
            yield "detectors", unit.model
            yield from _sampled_by(unit.sampler, unit.scheduler)


def needs_of(requests: Iterable[Request], vram_bytes: int) -> Needs:
    """What a node must have for ``requests``: the features they ask for, and the names they use, less those
    that every node knows (``Automatic``, ``None``)."""
    needs = Needs(vram_bytes=vram_bytes)
    for request in requests:
        names = frozenset(
            f"{kind}:{name}" for kind, name in _names(request) if name not in ("", AUTOMATIC, NONE)
        )
        model = request.model if isinstance(request, Sampling) else ""
        needs |= Needs(model, vram_bytes, frozenset(str(feature) for feature in request.asks()), names)
    return needs


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


class PartReport(Progress):
    """Progress of a call that makes one of several parts: from ``start`` to ``end`` (0 to 1) of the stage.

    Told in hundredths, so that parts may have any number of steps. Previews are shown where ``whole`` says that
    what is drawn is the whole picture.
    """

    PARTS = 100

    def __init__(self, ctx: StageContext, start: float, end: float, *, whole: bool = False) -> None:
        self._ctx, self._start, self._end, self._whole = ctx, start, end, whole

    def __call__(self, step: int, steps: int, preview: Image | None = None) -> None:
        """Report ``step`` of ``steps`` of this part."""
        done = self._start + (self._end - self._start) * step / max(1, steps)
        shown = preview if preview is not None and self.wants_preview() else None
        self._ctx.progress(min(self.PARTS, int(done * self.PARTS + 1e-6)), self.PARTS, shown)

    def wants_preview(self) -> bool:
        """Whether somebody watches now, and there is something to see."""
        return self._whole and self._ctx.wants_preview()

    def within(self, start: float, end: float, *, whole: bool = False) -> PartReport:
        """A part of this part."""
        width = self._end - self._start
        return PartReport(self._ctx, self._start + width * start, self._start + width * end, whole=whole)
