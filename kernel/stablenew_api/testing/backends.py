"""A backend for tests of stages, and the contract check of backends."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from PIL import Image
from pydantic import BaseModel

from stablenew_api.backend import (
    Backend,
    BackendIdentity,
    Capabilities,
    DetailRequest,
    Feature,
    GenerationResult,
    Img2ImgRequest,
    Progress,
    Request,
    Txt2ImgRequest,
    UpscaleRequest,
    WorkflowRequest,
)
from stablenew_api.cancel import CancelToken
from stablenew_api.errors import Cancelled, StageFailure
from stablenew_api.images import pixel_sha256
from stablenew_api.jobs import canonical_json
from stablenew_api.kinds import class_problem
from stablenew_api.testing.cancel import ManualCancel
from stablenew_api.testing.images import sample_image
from stablenew_api.testing.rules import check_config, check_info, check_progress, global_random


class FakeBackendConfig(BaseModel):
    """Settings of :class:`FakeBackend`: none."""


class FakeBackend(Backend):
    """Returns flat-coloured images, the colour drawn from the whole request, and keeps every request.

    ``failure`` is raised by the next generating call, once; each call looks at ``cancel`` before every step.
    """

    name, version, title = "fake", "1.0", "Fake backend for tests"
    Config = FakeBackendConfig
    offers = frozenset(Feature)

    def __init__(self, config: BaseModel | None = None) -> None:
        super().__init__(config if config is not None else FakeBackendConfig())
        self.requests: list[Request] = []
        self.failure: StageFailure | None = None
        self.interrupts = 0
        self.closed = False

    def identify(self) -> BackendIdentity:
        """A stand-in called ``fake``."""
        return BackendIdentity(self.name, self.version, stand_in=True, note="test double")

    def capabilities(self) -> Capabilities:
        """All features; one name of each kind, and any other is accepted too."""
        return Capabilities(
            features=self.offers,
            models=("fake-model",),
            samplers=("Euler",),
            schedulers=("Automatic",),
            upscalers=("Nearest",),
        )

    def txt2img(self, request: Txt2ImgRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """A flat image of the wanted size."""
        self._start(request)
        facts = (request.prompt, request.negative_prompt, request.steps, request.cfg_scale, request.sampler)
        return self._make((request.width, request.height), facts, request.seed, request.steps, progress, cancel)

    def img2img(self, request: Img2ImgRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """A flat image of the input's size; the input itself at denoising strength 0."""
        self._start(request)
        facts = (
            request.prompt,
            request.negative_prompt,
            request.steps,
            request.cfg_scale,
            request.sampler,
            request.denoising_strength,
            pixel_sha256(request.image),
        )
        result = self._make(request.image.size, facts, request.seed, request.steps, progress, cancel)
        if request.denoising_strength == 0:
            return GenerationResult(request.image.copy(), result.info)
        return result

    def upscale(self, request: UpscaleRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """The input, every pixel repeated."""
        self._start(request)
        cancel.raise_if_cancelled()
        size = tuple(max(1, round(side * request.scale)) for side in request.image.size)
        progress(1, 1, None)
        return GenerationResult(
            request.image.resize((size[0], size[1]), Image.Resampling.NEAREST),
            {"Postprocess upscaler": request.upscaler, "Postprocess upscale by": request.scale},
        )

    def detail(self, request: DetailRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """A flat image of the input's size."""
        self._start(request)
        facts = (request.prompt, request.units, pixel_sha256(request.image))
        return self._make(request.image.size, facts, request.seed, request.steps, progress, cancel)

    def workflow(self, request: WorkflowRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """A flat image of 64 x 64."""
        self._start(request)
        graph = canonical_json(request.graph)
        images = [(name, pixel_sha256(image)) for name, image in sorted(request.images.items())]
        return self._make((64, 64), (graph, images), 0, 1, progress, cancel)

    def interrupt(self) -> None:
        """Count the call."""
        self.interrupts += 1

    def close(self) -> None:
        """Note the call."""
        self.closed = True

    def _start(self, request: Request) -> None:
        self.requests.append(request)
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure

    def _make(
        self,
        size: tuple[int, int],
        facts: tuple[object, ...],
        seed: int,
        steps: int,
        progress: Progress,
        cancel: CancelToken,
    ) -> GenerationResult:
        for step in range(1, steps + 1):
            cancel.raise_if_cancelled()
            progress(step, steps, None)
        digest = hashlib.sha256(repr((facts, seed)).encode("utf-8")).digest()
        image = Image.new("RGB", size, (digest[0], digest[1], digest[2]))
        info = {"Steps": steps, "Seed": seed, "Size": f"{size[0]}x{size[1]}", "Model": "fake-model"}
        return GenerationResult(image, info)


def check_backend(backend: type[Backend] | Backend, *, size: int = 64, steps: int = 4) -> None:
    """Check that a backend keeps its contract. Raises AssertionError naming the rule that it breaks.

    Give the class (made with its default ``Config`` and closed at the end) or an instance that is ready. Every
    feature among txt2img, img2img and upscale that it says it has is called, with images of ``size`` x ``size``
    pixels and ``steps`` steps.
    """
    if isinstance(backend, type):
        problem = class_problem("backend", backend)
        assert not problem, problem
        who = f"backend {backend.name}"
        check_config(who, backend.Config, described=False)
        made = backend(backend.Config())
        try:
            _check_backend(who, made, size, steps)
        finally:
            made.close()
    else:
        problem = class_problem("backend", type(backend))
        assert not problem, problem
        _check_backend(f"backend {backend.name}", backend, size, steps)


def _check_backend(who: str, backend: Backend, size: int, steps: int) -> None:
    identity = backend.identify()
    assert isinstance(identity, BackendIdentity), f"{who}: identify() returned {type(identity).__name__}"
    assert identity.name.strip(), f"{who}: identify() gives no name"
    assert identity.version.strip(), f"{who}: identify() gives no version"
    can = backend.capabilities()
    assert isinstance(can, Capabilities), f"{who}: capabilities() returned {type(can).__name__}"
    assert can.features, f"{who}: capabilities() lists no feature; no job will ever come"
    common: dict[str, Any] = {
        "prompt": "a lighthouse at dawn",
        "negative_prompt": "blurry",
        "steps": steps,
        "cfg_scale": 7.0,
        "sampler": can.samplers[0] if can.samplers else "Euler",
        "scheduler": can.schedulers[0] if can.schedulers else "Automatic",
        "model": can.models[0] if can.models else "",
    }
    source = sample_image(size, size)

    def txt2img(seed: int, progress: Progress, cancel: CancelToken) -> GenerationResult:
        return backend.txt2img(Txt2ImgRequest(**common, seed=seed, width=size, height=size), progress, cancel)

    def img2img(seed: int, progress: Progress, cancel: CancelToken) -> GenerationResult:
        request = Img2ImgRequest(**common, seed=seed, image=source, denoising_strength=0.5)
        return backend.img2img(request, progress, cancel)

    def upscale(seed: int, progress: Progress, cancel: CancelToken) -> GenerationResult:
        upscaler = can.upscalers[0] if can.upscalers else ""
        return backend.upscale(UpscaleRequest(image=source, upscaler=upscaler, scale=2.0), progress, cancel)

    calls = {"txt2img": (txt2img, size), "img2img": (img2img, size), "upscale": (upscale, 2 * size)}
    for feature in sorted(can.features & calls.keys()):
        call, side = calls[feature]
        _check_generation(f"{who}, {feature}", call, (side, side), source)


class _Reports(Progress):
    """Keeps every report."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []

    def __call__(self, step: int, steps: int, preview: Image.Image | None = None) -> None:
        self.steps.append((step, steps))


def _check_generation(
    who: str,
    call: Callable[[int, Progress, CancelToken], GenerationResult],
    size: tuple[int, int],
    source: Image.Image,
) -> None:
    before = pixel_sha256(source)
    results, looks = [], 0
    for seed, disturbance in ((1, 1), (1, 2), (2**64 - 1, 1)):
        reports = _Reports()
        token = ManualCancel()
        with global_random(disturbance):
            result = call(seed, reports, token)
        assert isinstance(result, GenerationResult), f"{who}: returned {type(result).__name__}"
        assert result.image.size == size, f"{who}: the image is {result.image.size}, wanted {size}"
        assert result.peak_vram_bytes >= 0, f"{who}: peak_vram_bytes is {result.peak_vram_bytes}"
        check_info(who, result.info)
        check_progress(who, reports.steps)
        looks = looks or token.looks
        results.append(pixel_sha256(result.image))
    assert results[0] == results[1], f"{who}: the same request gave different pixels"
    assert pixel_sha256(source) == before, f"{who}: changed the pixels of its input"
    assert looks, f"{who}: never looks at its cancel token"
    for after in sorted({1, looks // 2 + 1}):
        try:
            call(1, Progress(), ManualCancel(after=after))
        except Cancelled:
            continue
        except StageFailure as error:
            raise AssertionError(
                f"{who}: a cancel must raise Cancelled, not StageFailure({error.kind})"
            ) from error
        raise AssertionError(f"{who}: returned although it was cancelled at look {after} of {looks}")
