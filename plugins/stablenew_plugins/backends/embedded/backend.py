"""The backend plugin: names, limits, time, memory and faults. What draws is imported at the first picture."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, NoReturn

from pydantic import BaseModel, ConfigDict, Field

from stablenew_api.backend import (
    Backend,
    BackendIdentity,
    Capabilities,
    Feature,
    GenerationResult,
    Img2ImgRequest,
    Sampling,
    Txt2ImgRequest,
    UpscaleRequest,
)
from stablenew_api.clock import Clock, SystemClock
from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind, JsonValue
from stablenew_plugins.backends.embedded import tables
from stablenew_plugins.backends.embedded.prompt import Prompt, read_prompt
from stablenew_plugins.vram import GIB, sampling_bytes, upscaling_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

    from stablenew_api.backend import Progress
    from stablenew_api.cancel import CancelToken

VERSION = "1.0"
"""Raised whenever a request gives other pixels than before: it is in every image's metadata."""

STANDARD_PIXELS = 512 * 512
"""The picture that ``seconds_per_step`` is said for."""
MAX_SIDE = 8192
"""Of a picture, in pixels: an upscale beyond it is refused, not started."""

_FAULT = re.compile(r"(fail|hang|crash)@(\d+)|oom")


class EmbeddedConfig(BaseModel):
    """Options of the embedded engine (``--backend-option KEY=VALUE``)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds_per_step: float = Field(
        0.0,
        ge=0,
        le=600,
        title="Seconds a step",
        description="Least time of a sampling step at 512 x 512 and speed 1. 0: as fast as it can.",
    )
    speed: float = Field(
        1.0, gt=0, le=1000, title="Speed", description="Divides every modelled time; 2 is twice as fast."
    )
    load_seconds: float = Field(
        0.0,
        ge=0,
        le=600,
        title="Seconds to load a model",
        description="Spent when another checkpoint is asked for.",
    )
    vram_total_bytes: int = Field(
        0,
        ge=0,
        title="VRAM",
        description="In bytes. A picture that needs more ends out of memory. 0: no limit.",
    )


@dataclass(frozen=True, slots=True)
class _Pass:
    """One sampling pass of a call."""

    request: Txt2ImgRequest | Img2ImgRequest
    size: tuple[int, int]
    total: int
    """Steps of all passes of the call; ``done`` of them were made by earlier ones."""
    done: int = 0
    image: Image | None = None
    mask: Image | None = None
    strength: float = 1.0


def _hang() -> NoReturn:
    """What a wedged driver looks like from outside: no answer, not even to a cancel."""
    while True:
        time.sleep(3600)


def _die() -> NoReturn:
    """What a crash in native code looks like: the process is gone."""
    os._exit(139)


class EmbeddedBackend(Backend):
    """Draws pictures from numbers. A stand-in for testing and demos; no AI model.

    ``clock``, ``hang`` and ``die`` are for tests. See docs/embedded-engine.md for the models of time and
    memory.
    """

    name: ClassVar[str] = "embedded"
    version: ClassVar[str] = VERSION
    title: ClassVar[str] = "Embedded engine (stand-in, no AI model)"
    Config: ClassVar[type[BaseModel]] = EmbeddedConfig
    offers: ClassVar[frozenset[str]] = frozenset(
        {Feature.TXT2IMG, Feature.IMG2IMG, Feature.UPSCALE, Feature.MODEL, Feature.VAE, Feature.LORA}
        | {Feature.CLIP_SKIP, Feature.INPAINT, Feature.HIRES, Feature.HIRES_MODEL, Feature.REFINER}
        | {Feature.SUBSEED}
    )

    def __init__(
        self,
        config: BaseModel,
        clock: Clock | None = None,
        hang: Callable[[], NoReturn] = _hang,
        die: Callable[[], NoReturn] = _die,
    ) -> None:
        super().__init__(config)
        assert isinstance(config, EmbeddedConfig)
        self.options = config
        self._clock = clock or SystemClock()
        self._hang, self._die = hang, die
        self._loaded = ""

    def identify(self) -> BackendIdentity:
        """Name, version, and that it is a stand-in."""
        return BackendIdentity(
            self.name,
            VERSION,
            stand_in=True,
            note="a stand-in for testing and demos; draws from numbers, no AI model",
        )

    def capabilities(self) -> Capabilities:
        """The same names every time. No LoRAs: any name works, and who lists some is asked for no others."""
        return Capabilities(
            features=self.offers,
            models=tuple(tables.MODELS),
            vaes=tuple(tables.VAES),
            samplers=tuple(tables.SAMPLERS),
            schedulers=tuple(tables.SCHEDULERS),
            upscalers=tuple(tables.UPSCALERS),
            hires_upscalers=tuple(tables.HIRES_UPSCALERS),
        )

    def txt2img(self, request: Txt2ImgRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """A picture of the prompt, and with ``hires`` a second pass at the larger size, which the refiner then
        finishes. Extra: ``fault`` (see docs/embedded-engine.md)."""
        size = (request.width, request.height)
        hires = request.hires
        if hires is None:
            return self._sample(_Pass(request, size, request.steps), progress, cancel)
        self.refuse_unknown(request, self.offers)
        tables.look_up("hires upscaler", hires.upscaler, tables.HIRES_UPSCALERS)
        larger = hires.size(*size)
        self._check_size(larger, 1)
        more = hires.steps or request.steps
        total = request.steps + more
        made = self._sample(_Pass(replace(request, refiner=None), size, total), progress, cancel)
        enlarged = self._resampled(made.image, larger, tables.HIRES_UPSCALERS[hires.upscaler], cancel)
        again = replace(
            request,
            steps=more,
            sampler=hires.sampler or request.sampler,
            scheduler=hires.scheduler or request.scheduler,
            model=hires.model or request.model,
        )
        second = self._sample(
            _Pass(again, larger, total, request.steps, enlarged, None, hires.denoising_strength),
            progress,
            cancel,
        )
        info = dict(made.info)
        stand_in = info.pop(STAND_IN_KEY)
        info["Denoising strength"] = _plain(hires.denoising_strength)
        if hires.width or hires.height:
            info["Hires resize"] = f"{hires.width}x{hires.height}"
        else:
            info["Hires upscale"] = _plain(hires.scale)
        if hires.steps:
            info["Hires steps"] = hires.steps
        info["Hires upscaler"] = hires.upscaler
        if hires.sampler:
            info["Hires sampler"] = second.info["Sampler"]
        if hires.scheduler:
            info["Hires schedule type"] = second.info["Schedule type"]
        if hires.model:
            info["Hires checkpoint"] = second.info["Model"]
        info |= {key: value for key, value in second.info.items() if key.startswith("Refiner")}
        info[STAND_IN_KEY] = stand_in
        return GenerationResult(second.image, info, max(made.peak_vram_bytes, second.peak_vram_bytes))

    def img2img(self, request: Img2ImgRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """The image drawn over, where the mask is white; strength 0 returns its pixels unchanged, as RGB."""
        if request.mask is not None and request.mask.size != request.image.size:
            raise StageFailure(
                FailureKind.BAD_INPUT,
                f"the mask has {request.mask.width} x {request.mask.height} pixels, the image "
                f"{request.image.width} x {request.image.height}; they must be the same",
            )
        mask = request.mask.convert("L") if request.mask is not None else None
        return self._sample(
            _Pass(
                request,
                request.image.size,
                request.steps,
                0,
                request.image.convert("RGB"),
                mask,
                request.denoising_strength,
            ),
            progress,
            cancel,
        )

    def _check_size(self, size: tuple[int, int], steps: int) -> None:
        if min(size) < 8 or max(size) > MAX_SIDE or steps < 1:
            raise StageFailure(
                FailureKind.BAD_INPUT,
                f"the embedded engine cannot make {size[0]} x {size[1]} in {steps} steps; "
                f"sides go from 8 to {MAX_SIDE} pixels and steps from 1",
            )

    def _sample(self, one: _Pass, progress: Progress, cancel: CancelToken) -> GenerationResult:
        request, size = one.request, one.size
        cancel.raise_if_cancelled()
        self.refuse_unknown(request, self.offers)
        model = request.model or tables.DEFAULT_MODEL
        sampler, scheduler = tables.sampler_and_scheduler(request.sampler, request.scheduler)
        tables.look_up("model", model, tables.MODELS)
        vae = request.vae or "Automatic"
        tables.look_up("VAE", vae, tables.VAES)
        refiner = request.refiner
        if refiner is not None:
            tables.look_up("model", refiner.model, tables.MODELS)
        width, height = size
        self._check_size(size, request.steps)
        fault, fault_step = self._fault(request.extra)
        needed = sampling_bytes(width, height)
        self._take_memory(needed, f"{width} x {height}", forced=fault == "oom")
        self._load(model, cancel)

        from stablenew_plugins.backends.embedded.engine import Drawing, Settings

        prompt = read_prompt(request.prompt)
        drawing = Drawing(
            Settings(
                prompt=prompt,
                negative=read_prompt(request.negative_prompt),
                seed=request.seed,
                width=width,
                height=height,
                steps=request.steps,
                cfg_scale=request.cfg_scale,
                sampler=sampler,
                scheduler=scheduler,
                model=model,
                vae=vae,
                clip_skip=request.clip_skip,
                strength=one.strength,
                subseed=max(0, request.subseed),
                subseed_strength=request.subseed_strength,
                refiner=refiner.model if refiner is not None else "",
                refiner_share=1.0 - refiner.switch_at if refiner is not None else 0.0,
                part=one.mask is not None or (isinstance(request, Img2ImgRequest) and request.part),
            ),
            one.image,
            one.mask,
        )
        cost = tables.SAMPLERS[sampler].cost * width * height / STANDARD_PIXELS
        least = self.options.seconds_per_step * cost / self.options.speed
        work = drawing.work()
        chunks = 0
        for step in range(1, request.steps + 1):
            started = self._clock.monotonic()
            if one.done + step == fault_step:
                self._break(fault, fault_step)
            # The work is spread evenly over the steps; the last one takes what is left.
            until = drawing.chunks if step == request.steps else drawing.chunks * step // request.steps
            while chunks < until:
                cancel.raise_if_cancelled()
                next(work)
                chunks += 1
            self._wait(least - (self._clock.monotonic() - started), cancel)
            cancel.raise_if_cancelled()
            preview = drawing.preview(step) if progress.wants_preview() else None
            progress(one.done + step, one.total, preview)
        info = self._infotext(
            request, prompt, size, model, vae, sampler, scheduler, one.strength if one.image else None
        )
        return GenerationResult(drawing.result(), info, needed)

    def _resampled(self, image: Image, size: tuple[int, int], upscaler: str, cancel: CancelToken) -> Image:
        from stablenew_plugins.backends.embedded.resample import Resampling

        resampling = Resampling(image, *size, upscaler)
        for _ in resampling.work():
            cancel.raise_if_cancelled()
        return resampling.result()

    def upscale(self, request: UpscaleRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """A larger (or smaller) copy, by one of :data:`~.tables.UPSCALERS`."""
        cancel.raise_if_cancelled()
        self.refuse_unknown(request, self.offers)
        tables.look_up("upscaler", request.upscaler, tables.UPSCALERS)
        image = request.image.convert("RGB")
        width, height = (max(1, round(side * request.scale)) for side in image.size)
        if request.scale <= 0 or max(width, height) > MAX_SIDE:
            raise StageFailure(
                FailureKind.BAD_INPUT,
                f"the embedded engine cannot enlarge {image.width} x {image.height} by {request.scale:g}: "
                f"the result's sides may have 1 to {MAX_SIDE} pixels",
            )
        fault, _ = self._fault(request.extra)
        needed = upscaling_bytes(width, height)
        self._take_memory(needed, f"an upscale to {width} x {height}", forced=fault == "oom")

        from stablenew_plugins.backends.embedded.resample import Resampling

        resampling = Resampling(image, width, height, request.upscaler)
        steps: Iterator[None] = resampling.work()
        least = self.options.seconds_per_step * width * height / STANDARD_PIXELS / self.options.speed
        started = self._clock.monotonic()
        for chunk in range(1, resampling.chunks + 1):
            cancel.raise_if_cancelled()
            next(steps)
            progress(chunk, resampling.chunks, None)
        self._wait(least - (self._clock.monotonic() - started), cancel)
        cancel.raise_if_cancelled()
        info: dict[str, JsonValue] = {
            "Size": f"{width}x{height}",
            "Postprocess upscale by": _plain(request.scale),
            "Postprocess upscaler": request.upscaler,
            STAND_IN_KEY: "yes",
        }
        return GenerationResult(resampling.result(), info, needed)

    def free_memory(self) -> None:
        """Forget the loaded model."""
        self._loaded = ""

    # --- the models of time, memory and faults --------------------------------------------------------------

    def _wait(self, seconds: float, cancel: CancelToken) -> None:
        if seconds > 0:
            cancel.wait(seconds)

    def _load(self, model: str, cancel: CancelToken) -> None:
        if model == self._loaded:
            return
        self._loaded = ""
        self._wait(self.options.load_seconds / self.options.speed, cancel)
        cancel.raise_if_cancelled()
        self._loaded = model

    def _take_memory(self, needed: int, what: str, forced: bool) -> None:
        total = self.options.vram_total_bytes
        if forced:
            raise StageFailure(
                FailureKind.OUT_OF_MEMORY,
                f"out of memory, as the setting 'fault' asked: {what} needs {needed / GIB:.2f} GiB",
            )
        if total and needed > total:
            raise StageFailure(
                FailureKind.OUT_OF_MEMORY,
                f"out of memory: {what} needs {needed / GIB:.2f} GiB of VRAM and {total / GIB:.2f} GiB are "
                "available; make it smaller or use a larger GPU",
                f"needed {needed} bytes, available {total} bytes",
            )

    def _fault(self, extra: Mapping[str, JsonValue]) -> tuple[str, int]:
        wanted = str(extra.get("fault", ""))
        if not wanted:
            return "", 0
        match = _FAULT.fullmatch(wanted)
        if match is None:
            raise StageFailure(
                FailureKind.BAD_INPUT, f"fault {wanted!r}: say oom, fail@STEP, hang@STEP or crash@STEP"
            )
        return match[1] or "oom", int(match[2] or 0)

    def _break(self, fault: str, step: int) -> None:
        if fault == "fail":
            raise StageFailure(FailureKind.BACKEND, f"failed at step {step}, as the setting 'fault' asked")
        if fault == "hang":
            self._hang()
        self._die()

    def _infotext(
        self,
        request: Sampling,
        prompt: Prompt,
        size: tuple[int, int],
        model: str,
        vae: str,
        sampler: str,
        scheduler: str,
        strength: float | None,
    ) -> dict[str, JsonValue]:
        """Keys and values in the WebUI's order (`modules/processing.py`, `create_infotext`)."""
        info: dict[str, JsonValue] = {
            "Steps": request.steps,
            "Sampler": sampler,
            "Schedule type": scheduler,
            "CFG scale": _plain(request.cfg_scale),
            "Seed": request.seed,
            "Size": f"{size[0]}x{size[1]}",
            "Model hash": _short_hash(model, 10),
            "Model": model,
        }
        if vae not in ("Automatic", "None"):
            info["VAE hash"] = _short_hash(vae, 10)
            info["VAE"] = vae
        if request.subseed_strength > 0:
            info["Variation seed"] = max(0, request.subseed)
            info["Variation seed strength"] = _plain(request.subseed_strength)
        if strength is not None:
            info["Denoising strength"] = _plain(strength)
        if request.clip_skip > 1:
            info["Clip skip"] = request.clip_skip
        if prompt.loras:
            info["Lora hashes"] = ", ".join(f"{name}: {_short_hash(name, 12)}" for name, _ in prompt.loras)
        if request.refiner is not None:
            info["Refiner"] = request.refiner.model
            info["Refiner switch at"] = _plain(request.refiner.switch_at)
        info[STAND_IN_KEY] = "yes"
        return info


STAND_IN_KEY = "StableNew stand-in"
"""Infotext key that says that no AI model made the picture."""


def _short_hash(name: str, digits: int) -> str:
    """There is no file to hash; the name and the engine's version stand for it."""
    return hashlib.sha256(f"stablenew embedded engine {VERSION} {name}".encode()).hexdigest()[:digits]


def _plain(number: float) -> float | int:
    """7.0 as 7, as the WebUI writes it."""
    return int(number) if float(number).is_integer() else number
