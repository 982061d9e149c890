"""Running one job inside the worker process: its stages in order, then its images as files.

Everything that a stage can do to us ends as a :class:`Done`: nothing a plugin raises gets out of
:meth:`JobRunner.run`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import ValidationError

from stablenew_agent import encode
from stablenew_agent.keeping import StageKeeper
from stablenew_agent.turns import EventToken
from stablenew_api.backend import (
    Backend,
    BackendIdentity,
    Capabilities,
    DetailRequest,
    GenerationResult,
    Img2ImgRequest,
    Progress,
    Txt2ImgRequest,
    UpscaleRequest,
    WorkflowRequest,
)
from stablenew_api.cancel import CancelToken
from stablenew_api.errors import Cancelled, StageFailure
from stablenew_api.faults import crash_point
from stablenew_api.images import pixel_sha256
from stablenew_api.jobs import FailureKind, JsonValue, canonical_json
from stablenew_api.stage import Phase, Stage, StageImage

if TYPE_CHECKING:
    from PIL.Image import Image

PROGRESS_INTERVAL = 0.05
"""Seconds between two progress lines of a job: 20 a second is smoother than anybody can see."""

PREVIEW_INTERVAL = 0.2
"""Seconds between two previews."""

CONFIGS_KEPT = 256
"""Validated configs remembered: the rows of a pack share theirs."""

_KINDS = frozenset(str(kind) for kind in FailureKind)

Emit = Callable[[Mapping[str, JsonValue]], None]
"""Sends one line to the agent."""

_R = TypeVar("_R", contravariant=True)


class _Call(Protocol[_R]):
    def __call__(self, request: _R, progress: Progress, cancel: CancelToken, /) -> GenerationResult: ...


class Device(Protocol):
    """What a job asks before and after its calls of the backend. Thread-safe."""

    def take(self) -> None:
        """Have the device. Raises Cancelled if the job is cancelled while it waits."""

    def release(self) -> None:
        """The device is not needed for now: the next job may have it. Harmless if it was not taken."""


class Received(Progress):
    """The progress of a backend call, and who lets go of the device when the backend has no more need of it."""

    def __init__(self, told: Progress, release: Callable[[], None]) -> None:
        self._told, self._release = told, release

    def __call__(self, step: int, steps: int, preview: Image | None = None) -> None:
        """After each sampling step."""
        self._told(step, steps, preview)

    def wants_preview(self) -> bool:
        """Whether somebody looks."""
        return self._told.wants_preview()

    def received(self) -> None:
        """The device has nothing more to do for this call."""
        self._told.received()
        self._release()


class Recorder(Backend):
    """The backend as the stages of one job see it: passes every call on, has the device for it, and notes peak
    VRAM and the model last used."""

    name, version, title = "recorder", "1", "Recorder"

    def __init__(self, inner: Backend, device: Device, capabilities: Callable[[], Capabilities]) -> None:
        super().__init__(inner.config)
        self.offers = inner.offers  # type: ignore[misc]  # a constant of the class that it stands for
        self._inner = inner
        self._device = device
        self._capabilities = capabilities
        self.last = False
        """Whether no later stage needs the backend: a call then lets go of the device when it can."""
        self.peak_vram = 0
        self.model = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _call(self, call: _Call[_R], request: _R, progress: Progress, cancel: CancelToken) -> GenerationResult:
        self._device.take()
        # A call that fails keeps the device: its job ends next, and the worker may ask the backend how it is.
        result = call(request, Received(progress, self._release), cancel)
        self._release()
        self.peak_vram = max(self.peak_vram, result.peak_vram_bytes)
        used = getattr(request, "model", "") or result.info.get("Model")
        if isinstance(used, str) and used:
            self.model = used
        return result

    def _release(self) -> None:
        if self.last:
            self._device.release()

    def identify(self) -> BackendIdentity:
        """Who answers."""
        return self._inner.identify()

    def capabilities(self) -> Capabilities:
        """What it said last that it can do."""
        return self._capabilities()

    def txt2img(self, request: Txt2ImgRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """Make an image from a prompt."""
        return self._call(self._inner.txt2img, request, progress, cancel)

    def img2img(self, request: Img2ImgRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """Make an image from another one."""
        return self._call(self._inner.img2img, request, progress, cancel)

    def upscale(self, request: UpscaleRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """Enlarge an image."""
        return self._call(self._inner.upscale, request, progress, cancel)

    def detail(self, request: DetailRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """Find and redraw."""
        return self._call(self._inner.detail, request, progress, cancel)

    def workflow(self, request: WorkflowRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """Run a workflow."""
        return self._call(self._inner.workflow, request, progress, cancel)

    def interrupt(self) -> None:
        """Stop the call that runs."""
        self._inner.interrupt()

    def free_memory(self) -> None:
        """Give VRAM back."""
        self._inner.free_memory()


class Context:
    """What one stage gets to see; see :class:`stablenew_api.stage.StageContext`."""

    __slots__ = ("_reporter", "backend", "cancel", "negative_prompt", "prompt", "seed")

    def __init__(
        self, spec: Mapping[str, Any], backend: Backend, cancel: CancelToken, reporter: Reporter
    ) -> None:
        self.prompt: str = spec["prompt"]
        self.negative_prompt: str = spec["negative_prompt"]
        self.seed: int = spec["seed"]
        self.backend = backend
        self.cancel = cancel
        self._reporter = reporter

    def progress(self, step: int, steps: int, preview: Image | None = None) -> None:
        """``step`` of ``steps`` is done."""
        crash_point("worker.stage.step")
        self._reporter.progress(step, steps, preview)

    def wants_preview(self) -> bool:
        """Whether a preview would be shown now."""
        return self._reporter.wants_preview()


class Reporter:
    """Turns the steps of a job into progress lines, not too many of them."""

    def __init__(self, emit: Emit, watched: threading.Event, job: str, attempt: int, stage_count: int) -> None:
        self._emit = emit
        self._job, self._attempt = job, attempt
        self._watched = watched
        self._count = max(1, stage_count)
        self._begun = time.monotonic()
        self._sent = self._previewed = float("-inf")
        self.stage = ""
        self.index = 0

    def wants_preview(self) -> bool:
        """Somebody looks, and the last preview is old enough."""
        return self._watched.is_set() and time.monotonic() - self._previewed >= PREVIEW_INTERVAL

    def progress(self, step: int, steps: int, preview: Image | None) -> None:
        """Send a line, unless the last one is too fresh. A dropped step is made good by the next one."""
        now = time.monotonic()
        if now - self._sent < PROGRESS_INTERVAL:
            return
        self._sent = now
        done = min(1.0, max(0.0, step / steps)) if steps > 0 else 0.0
        fraction = (self.index + done) / self._count
        # Before a few per cent are done the guess would jump about: model loading is in it.
        eta = (now - self._begun) * (1 - fraction) / fraction if fraction > 0.02 else -1.0
        line: dict[str, JsonValue] = {
            "op": "progress",
            "job": self._job,
            "attempt": self._attempt,
            "stage": self.stage,
            "index": self.index,
            "count": self._count,
            "step": max(0, step),
            "steps": max(0, steps),
            "fraction": fraction,
            "eta": eta,
        }
        if preview is not None and self.wants_preview():
            self._previewed = now
            line["preview"] = base64.b64encode(encode.preview_jpeg(preview)).decode("ascii")
        self._emit(line)


class JobRunner:
    """Runs jobs with one backend, from as many threads as there are."""

    def __init__(
        self,
        stages: Mapping[str, type[Stage]],
        backend: Backend,
        identity: Callable[[], BackendIdentity],
        capabilities: Callable[[], Capabilities],
        version: str,
        emit: Emit,
        watched: threading.Event,
        keep_after: float | None = None,
    ) -> None:
        """``keep_after``: see :class:`~stablenew_agent.keeping.StageKeeper`."""
        self._keep_after = keep_after
        self._stages = stages
        self._backend = backend
        self._identity = identity
        self._capabilities = capabilities
        self._version = version
        self._emit = emit
        self._watched = watched
        self._configs: dict[tuple[str, str], Any] = {}
        self._configs_lock = threading.Lock()

    def run(self, job: Mapping[str, Any], cancel: EventToken, device: Device) -> dict[str, JsonValue]:
        """Run ``job`` (a ``job`` line of the agent) and return its ``done`` line. It begins with the device,
        and may end with it."""
        begun = time.perf_counter()
        backend = Recorder(self._backend, device, self._capabilities)
        done: dict[str, JsonValue]
        keeper = StageKeeper(job, self._emit, self._identity, self._keep_after)
        try:
            done = self._succeed(job, cancel, backend, device, keeper)
            keeper.discard()
        except BaseException as error:
            keeper.settle()
            done = self._failed(error, cancel)
        done["op"] = "done"
        done["job"] = job["job"]
        done["attempt"] = job["attempt"]
        done["run_time"] = time.perf_counter() - begun + keeper.seconds_before
        done["peak_vram"] = backend.peak_vram
        done["model"] = backend.model
        return done

    def _succeed(
        self,
        job: Mapping[str, Any],
        cancel: EventToken,
        backend: Recorder,
        device: Device,
        keeper: StageKeeper,
    ) -> dict[str, JsonValue]:
        specs = job["spec"]["stages"]
        reporter = Reporter(self._emit, self._watched, job["job"], job["attempt"], len(specs))
        images: Sequence[StageImage]
        images, reports = keeper.begin() or ([_load(path) for path in job["inputs"]], [])
        last = self._last_on_device(specs)
        if last < len(reports):
            device.release()
        for index, spec in enumerate(specs[len(reports) :], len(reports)):
            cancel.raise_if_cancelled()
            name = spec["name"]
            reporter.stage, reporter.index = name, index
            backend.last = index >= last
            stage = self._stages.get(name)
            if stage is None:
                raise StageFailure(
                    FailureKind.BACKEND,
                    f"stage {name!r} is not installed on this node; install its plugin here",
                )
            config = self._config(name, stage, spec["config"])
            begun = time.perf_counter()
            images = stage().run(Context(spec, backend, cancel, reporter), config, images)
            if index == last and (images or index + 1 < len(specs)):
                device.release()
            reports.append(
                {
                    "name": name,
                    "version": stage.version,
                    "seconds": round(time.perf_counter() - begun, 6),
                    "info": dict(images[0].info) if images else {},
                }
            )
            keeper.made(index + 1, images, reports)
        cancel.raise_if_cancelled()
        seed = str(specs[0]["seed"]) if specs else ""
        files = [_save(image, number, job["out"], seed) for number, image in enumerate(images, 1)]
        identity = self._identity()
        who = {"name": identity.name, "version": identity.version, "stand_in": identity.stand_in}
        try:
            report = canonical_json({"backend": who, "stages": reports, "stablenew": self._version})
        except (TypeError, ValueError) as error:
            raise StageFailure(
                FailureKind.PLUGIN, f"a stage returned info that JSON cannot hold: {error!r}"
            ) from error
        # As text: it travels as it is to the store, and nobody on the way has to take it apart.
        return {"state": "succeeded", "files": files, "report": report.decode("utf-8")}

    def _config(self, name: str, stage: type[Stage], raw: JsonValue) -> Any:
        # The spec is canonical JSON, so the same config always comes with its keys in the same order.
        key = (name, json.dumps(raw))
        config = self._configs.get(key)
        if config is None:
            try:
                config = stage.Config.model_validate(raw)
            except ValidationError as error:
                first = error.errors()[0]
                field = ".".join([name, *map(str, first["loc"])])
                raise StageFailure(
                    FailureKind.BAD_INPUT, f"{field}: {first['msg']} (on this node, {name} {stage.version})"
                ) from error
            with self._configs_lock:
                while len(self._configs) >= CONFIGS_KEPT:
                    del self._configs[next(iter(self._configs))]
                self._configs[key] = config
        return config

    def _last_on_device(self, specs: Sequence[Mapping[str, Any]]) -> int:
        """Index of the last stage that may call the backend; -1: none does."""
        for index in range(len(specs) - 1, -1, -1):
            stage = self._stages.get(specs[index]["name"])
            if stage is not None and stage.phase < Phase.POST:
                return index
        return -1

    def _failed(self, error: BaseException, cancel: EventToken) -> dict[str, JsonValue]:
        if cancel.cancelled:
            # Whatever a backend says about a call that was cut off, the reason is that somebody cut it off.
            return {"state": "cancelled"}
        if isinstance(error, StageFailure):
            kind = str(error.kind) if str(error.kind) in _KINDS else str(FailureKind.PLUGIN)
            return _failure(kind, str(error), error.detail)
        detail = "".join(traceback.format_exception(error))
        if isinstance(error, MemoryError):
            return _failure(FailureKind.OUT_OF_MEMORY, str(error) or "out of memory", detail)
        if isinstance(error, Cancelled):
            return _failure(
                FailureKind.PLUGIN, "a stage says it was cancelled, and nobody cancelled it", detail
            )
        return _failure(FailureKind.PLUGIN, f"{type(error).__name__}: {error}", detail)


def _failure(kind: str, message: str, detail: str) -> dict[str, JsonValue]:
    first_line = next(iter(message.splitlines()), "") or "no reason given"
    return {
        "state": "failed",
        "kind": str(kind),
        "message": _clean(first_line)[:1000],
        "detail": _clean(detail)[-16 * 1024 :],
    }


def _clean(text: str) -> str:
    """``text`` without lone surrogates (a file name in an error text may have some): they are not UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _load(path: str) -> StageImage:
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()
            if image.mode in ("RGB", "RGBA", "L"):
                return StageImage(image)
            # A palette, CMYK: what stages need not know.
            return StageImage(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    except OSError as error:
        raise StageFailure(FailureKind.BAD_INPUT, f"the input image cannot be read: {error}") from error


def _save(made: StageImage, number: int, out: str, seed: str) -> dict[str, JsonValue]:
    """Encode, hash and write one image; a file that has its final name is complete."""
    image = encode.png_ready(made.image)
    data = encode.png(image)
    name = "image.png" if number == 1 else f"image-{number}.png"
    path = f"{out}-{number}.png"
    temporary = f"{path}.part"
    try:
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise StageFailure(
            FailureKind.BACKEND, f"{path}: the image cannot be written ({error.strerror}); free some space"
        ) from error
    return {
        "name": name,
        "path": path,
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "tags": {
            "width": str(image.width),
            "height": str(image.height),
            "seed": seed,
            "pixel_sha256": pixel_sha256(image),
        },
    }
