"""Test doubles and contract checks for plugin authors; used by StableNew's own tests first.

A plugin's test needs nothing but pytest::

    from stablenew_api.testing import check_stage, host_of
    import my_plugin

    def test_contract():
        check_stage(my_plugin.Invert)

    def test_loads():
        (plugin,) = host_of(my_plugin).plugins
        assert plugin.state == "active", plugin.reason

The checks raise AssertionError with a text that says which rule is broken. They draw nothing at random: a check
that fails once fails always.
"""

from __future__ import annotations

import hashlib
import json
import queue
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
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
from stablenew_api.discovery import Candidate
from stablenew_api.errors import Cancelled, StageFailure, UserError
from stablenew_api.host import INFOTEXT_KEY, PluginHost
from stablenew_api.images import pixel_sha256
from stablenew_api.importer import Imported, Importer
from stablenew_api.jobs import Needs, canonical_json
from stablenew_api.kinds import class_problem
from stablenew_api.probe import GpuReading, Probe
from stablenew_api.randomizer import Memory, Randomizer, Slot, Turn, Use
from stablenew_api.scheduler import Assignment, JobView, NodeView, Scheduler
from stablenew_api.stage import Phase, Stage, StageConfig, StageImage

__all__ = [
    "FakeBackend",
    "FakeBackendConfig",
    "FakeClock",
    "FakeProbe",
    "FakeStageContext",
    "ManualCancel",
    "check_backend",
    "check_importer",
    "check_randomizer",
    "check_scheduler",
    "check_stage",
    "host_of",
    "sample_image",
]

GIB = 1024**3


# --- doubles ------------------------------------------------------------------------------------------------


class FakeClock:
    """A :class:`~stablenew_api.clock.Clock` that stands still until the test moves it."""

    def __init__(self, monotonic: float = 0.0, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._monotonic = monotonic
        self._now = now

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._monotonic

    def now(self) -> datetime:
        """The date and time, UTC, aware."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass on both scales. Raises ValueError for a negative number."""
        if seconds < 0:
            raise ValueError(f"time does not go back by {-seconds} s")
        self._monotonic += seconds
        self._now += timedelta(seconds=seconds)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as a person or NTP does; the monotonic scale does not notice."""
        self._now += timedelta(seconds=seconds)


class ManualCancel(CancelToken):
    """A cancel token in the test's hand: :meth:`cancel` fires it, from any thread.

    ``after=n`` fires it by itself at the n-th look (1 is the first), so that a cancel in the middle of a stage
    needs neither threads nor time. :attr:`cancelled`, ``raise_if_cancelled()`` and ``wait()`` are looks.
    """

    def __init__(self, *, after: int | None = None) -> None:
        if after is not None and after < 1:
            raise ValueError("after counts looks, from 1")
        self._after = after
        self._fired = False
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.looks = 0
        """How often the token was looked at."""

    def cancel(self) -> None:
        """Fire the token and wake whoever waits."""
        self._fired = True
        self._wake.put(None)

    @property
    def cancelled(self) -> bool:
        """Whether the token has fired. Counts as a look."""
        self.looks += 1
        if self._after is not None and self.looks >= self._after:
            self._fired = True
        return self._fired

    def wait(self, seconds: float) -> bool:
        """Really wait up to ``seconds``, or until :meth:`cancel`. Counts as one look."""
        if self.cancelled:
            return True
        try:
            self._wake.get(timeout=max(seconds, 0.0))
        except queue.Empty:
            return self._fired
        self._wake.put(None)  # for the next one that waits
        return True


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


class FakeStageContext:
    """A :class:`~stablenew_api.stage.StageContext` that keeps what the stage reports.

    ``watching`` is what :meth:`wants_preview` answers.
    """

    def __init__(
        self,
        *,
        prompt: str = "a lighthouse at dawn",
        negative_prompt: str = "blurry",
        seed: int = 1,
        backend: Backend | None = None,
        cancel: CancelToken | None = None,
        watching: bool = False,
    ) -> None:
        self.prompt = prompt
        self.negative_prompt = negative_prompt
        self.seed = seed
        self.backend: Backend = backend if backend is not None else FakeBackend()
        self.cancel: CancelToken = cancel if cancel is not None else ManualCancel()
        self.watching = watching
        self.steps: list[tuple[int, int]] = []
        """(step, steps) of every report, in order."""
        self.previews: list[Image.Image] = []

    def progress(self, step: int, steps: int, preview: Image.Image | None = None) -> None:
        """Keep the report."""
        self.steps.append((step, steps))
        if preview is not None:
            self.previews.append(preview)

    def wants_preview(self) -> bool:
        """:attr:`watching`."""
        return self.watching


class FakeProbe(Probe):
    """A probe that reads what the test put into :attr:`readings`; by default one GPU with 8 GiB, idle."""

    name, title = "fake_gpu", "Fake GPU for tests"

    def __init__(self, readings: Sequence[GpuReading] | None = None, reason: str | None = None) -> None:
        self.readings: list[GpuReading] = list(
            readings
            if readings is not None
            else [GpuReading("GPU-fake-0", "Fake GPU", 8 * GIB, GIB, utilization=0.0, temperature_c=40.0)]
        )
        self.reason = reason
        """What :meth:`available` answers."""
        self.failure: Exception | None = None
        """Raised by :meth:`read` as long as it is set."""

    def available(self) -> str | None:
        """:attr:`reason`."""
        return self.reason

    def read(self) -> Sequence[GpuReading]:
        """:attr:`readings`."""
        if self.failure is not None:
            raise self.failure
        return tuple(self.readings)


def sample_image(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    """A small image in which no two rows and no two columns are alike, the same on every platform."""
    pixels = bytes(
        value
        for y in range(height)
        for x in range(width)
        for value in (x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), (x * 7 + y * 13) % 256)
    )
    return Image.frombytes("RGB", (width, height), pixels).convert(mode)


def host_of(*plugins: object, role: str = "kernel", disabled: Sequence[str] = ()) -> PluginHost:
    """A :class:`~stablenew_api.host.PluginHost` with exactly these modules or objects, without discovery.

    A plugin is called by the last part of its module name, or by its attribute ``plugin_name``.
    """

    def load(plugin: object) -> Callable[[], object]:
        return lambda: plugin

    candidates = []
    for plugin in plugins:
        own = getattr(plugin, "__name__", type(plugin).__name__)
        name = str(getattr(plugin, "plugin_name", own.rpartition(".")[2]))
        candidates.append(Candidate(name, distribution=f"object {own}", version="", load=load(plugin)))
    return PluginHost(role, candidates, disabled)


# --- contract checks ----------------------------------------------------------------------------------------


def check_stage(
    cls: type[Stage],
    *,
    config: StageConfig | Mapping[str, Any] | None = None,
    images: Sequence[Image.Image] | None = None,
    backend: Backend | None = None,
) -> None:
    """Check that ``cls`` keeps the contract of a stage. Raises AssertionError naming the rule that it breaks.

    ``config`` is what to run it with: a ``Config``, or some of its values (default: all defaults). ``images``
    is what it gets (default: nothing for a GENERATE stage, else one RGB image of 64 x 48). ``backend`` replaces
    the :class:`FakeBackend`. The stage runs five times at most.
    """
    who = f"stage {getattr(cls, 'name', cls.__name__)}"
    problem = class_problem("stage", cls)
    assert not problem, problem
    _check_config(who, cls.Config)
    settings = _settings(who, cls.Config, config)
    _check_pure_parts(who, cls, settings)
    if images is None:
        images = () if cls.phase is Phase.GENERATE else (sample_image(),)
    used = backend if backend is not None else FakeBackend()

    def run(seed: int, cancel: ManualCancel) -> tuple[list[StageImage], FakeStageContext]:
        context = FakeStageContext(seed=seed, backend=used, cancel=cancel)
        given = [StageImage(image.copy(), {"Seed": seed}) for image in images]
        before = [pixel_sha256(item.image) for item in given]
        result = cls().run(context, settings, given)
        assert [pixel_sha256(item.image) for item in given] == before, (
            f"{who}: run() changed the pixels of its input; work on image.copy()"
        )
        assert isinstance(result, Sequence), f"{who}: run() returned {type(result).__name__}, not a list"
        assert result, f"{who}: run() returned no image"
        for item in result:
            assert isinstance(item, StageImage), (
                f"{who}: run() returned a {type(item).__name__}, not StageImage"
            )
            _check_info(who, item.info)
        _check_progress(who, context.steps)
        return list(result), context

    for seed in (1, 2**64 - 1):  # a seed is 64 bits wide; many random generators take 32
        first_cancel = ManualCancel()
        with _global_random(1):
            first, _ = run(seed, first_cancel)
        if seed == 1:
            looks = first_cancel.looks
            with _global_random(2):
                second, _ = run(seed, ManualCancel())
            assert _outcome(first) == _outcome(second), (
                f"{who}: the same seed, config and input gave different pixels or info; draw everything random "
                "from ctx.seed, never from a global generator, the clock or the process"
            )

    assert looks, f"{who}: run() never looks at ctx.cancel; call ctx.cancel.raise_if_cancelled() between steps"
    for after in sorted({1, looks // 2 + 1}):
        token = ManualCancel(after=after)
        try:
            run(1, token)
        except Cancelled:
            continue
        raise AssertionError(
            f"{who}: run() returned although its job was cancelled at look {after} of {looks}; "
            "let stablenew_api.errors.Cancelled leave run()"
        )


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
        _check_config(who, backend.Config, described=False)
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
        with _global_random(disturbance):
            result = call(seed, reports, token)
        assert isinstance(result, GenerationResult), f"{who}: returned {type(result).__name__}"
        assert result.image.size == size, f"{who}: the image is {result.image.size}, wanted {size}"
        assert result.peak_vram_bytes >= 0, f"{who}: peak_vram_bytes is {result.peak_vram_bytes}"
        _check_info(who, result.info)
        _check_progress(who, reports.steps)
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


def check_scheduler(scheduler: Scheduler, *, work_conserving: bool = False, cases: int = 200) -> None:
    """Check that a scheduler keeps its contract, over ``cases`` houses of nodes and queues of jobs (always the
    same ones). Raises AssertionError naming the rule that it breaks.

    ``work_conserving`` also asks that no node keeps a free slot while a job that fits it is left over; leave it
    False for a scheduler that makes jobs wait for a better node on purpose.
    """
    problem = class_problem("scheduler", type(scheduler))
    assert not problem, problem
    who = f"scheduler {scheduler.name}"
    for case in range(cases):
        jobs, nodes, fits, now = _house(random.Random(case))  # noqa: S311 - test data, nothing secret
        kept = (tuple(jobs), tuple(nodes), dict(fits))
        result = list(scheduler.assign(jobs, nodes, fits, now))
        assert (tuple(jobs), tuple(nodes), dict(fits)) == kept, f"{who}: assign() changed its arguments"
        with _global_random(case + 1):
            again = list(scheduler.assign(jobs, nodes, fits, now))
        assert result == again, f"{who}: the same arguments gave two answers; depend on the arguments alone"
        free = {node.node_id: node.free_slots for node in nodes}
        left = {job.job_id for job in jobs}
        for assignment in result:
            assert isinstance(assignment, Assignment), f"{who}: assign() returned a {type(assignment).__name__}"
            job, node = assignment.job_id, assignment.node_id
            assert job in fits, f"{who}: assigns job {job}, which nobody queued"
            assert job in left, f"{who}: assigns job {job} twice"
            assert node in fits[job], f"{who}: assigns job {job} to node {node}, which does not fit it"
            assert free[node] > 0, f"{who}: assigns more jobs to node {node} than it has free slots"
            assert assignment.reason.strip(), f"{who}: gives no reason for job {job}; people read it"
            assert "\n" not in assignment.reason, f"{who}: the reason for job {job} must be one line"
            left.discard(job)
            free[node] -= 1
        if work_conserving:
            waiting = sorted((job, node) for job in left for node in fits[job] if free[node] > 0)
            assert not waiting, f"{who}: leaves job {waiting[0][0]} waiting though node {waiting[0][1]} is free"
    assert not scheduler.assign([], [], {}, 0.0), f"{who}: assigns something when there is nothing"


def check_randomizer(randomizer: type[Randomizer], *, cases: int = 100) -> None:
    """Check that a randomizer strategy keeps its contract, over ``cases`` rows of slots (always the same ones).
    Raises AssertionError naming the rule that it breaks.

    A strategy that remembers is run three times over each row, each run with what the last one left, and then
    with what is left of another version of the pack.
    """
    problem = class_problem("randomizer", randomizer)
    assert not problem, problem
    who = f"randomizer {randomizer.name}"
    for case in range(cases):
        draw = random.Random(case)  # noqa: S311 - test data, nothing secret
        slots = _slots(draw, 12)
        memory: dict[str, Any] = {}
        for seed in (case, case + 1, 2**64 - 1):
            memory = _check_run(who, randomizer, slots, memory, seed)
        others = [Slot(slot.id, draw.randint(1, 12), lambda option: f"new {option}") for slot in slots]
        _check_run(who, randomizer, others, memory, case)
        _check_run(who, randomizer, slots, {slot: {"of": "somebody else"} for slot in memory}, case)
    huge = [Slot(f"huge {n}", 10**12, str) for n in range(6)]
    try:
        size = randomizer().size(huge)
    except UserError:
        return  # it says that it cannot serve them
    assert size >= 1, f"{who}: size() must be 1 or more, not {size}"
    turn = Turn(1, 1, size - 1, 10**12, {slot.id: Use(10**6, 10**6) for slot in huge})
    _check_picks(who, randomizer().pick(huge, turn, {}), huge)


def _slots(draw: random.Random, most: int) -> list[Slot]:
    slots = [Slot(f"slot {n}", draw.randint(1, most), str) for n in range(draw.randint(1, 4))]
    if draw.random() < 0.3:
        slots.append(Slot("weighted", 3, str, lambda rng: rng.choices(range(3), (1, 2, 3))[0]))
    if draw.random() < 0.3:
        parts = (Slot("a", 2, str), Slot("b", 3, str))
        slots.append(Slot("a x b", 6, str, parts=parts))
    return slots


def _check_run(
    who: str, randomizer: type[Randomizer], slots: Sequence[Slot], memory: Memory, seed: int
) -> dict[str, Any]:
    """A run of two rows; returns what it leaves."""
    before = canonical_json(memory)
    strategy = randomizer()
    size = strategy.size(slots)
    assert type(size) is int and size >= 1, f"{who}: size() must be a whole number, 1 or more, not {size!r}"  # noqa: PT018
    assert strategy.size(slots) == size, f"{who}: size() gave two answers for the same slots"
    assert not strategy.remembers or size == 1, f"{who}: what remembers cannot multiply images too"
    images = min(2 * size, 24)
    turns = [
        Turn(seed, row + 1, image % size, image, {slot.id: Use(row, row * images + image) for slot in slots})
        for row in range(2)
        for image in range(images)
    ]
    found = [list(strategy.pick(slots, turn, memory)) for turn in turns]
    for picks in found:
        _check_picks(who, picks, slots)
    with _global_random(seed % 2**32):
        again = [list(randomizer().pick(slots, turn, memory)) for turn in reversed(turns)]
    assert found == again[::-1], (
        f"{who}: pick() gave two answers for the same arguments; depend on them alone, not on earlier calls"
    )
    if size == 1:
        for place, slot in enumerate(slots):
            alone = [randomizer().pick([slot], turn, memory)[0] for turn in turns]
            assert alone == [picks[place] for picks in found], (
                f"{who}: the picks of {slot.id} change with the slots beside it; let each follow from its id"
            )
    assert canonical_json(memory) == before, f"{who}: changed the memory that it was given; return a new one"
    if not strategy.remembers:
        return {}
    used = Use(2, len(turns))
    kept = {slot.id: strategy.remember(slot, used, seed, memory.get(slot.id)) for slot in slots}
    assert canonical_json(memory) == before, f"{who}: remember() changed what it was given; return a new value"
    for slot in slots:
        value = kept[slot.id]
        assert randomizer().remember(slot, used, seed, memory.get(slot.id)) == value, (
            f"{who}: remember() depends on something else than its arguments"
        )
        assert json.loads(canonical_json(value)) == value, f"{who}: {value!r} does not survive as JSON"
        words = strategy.describe(value)
        assert words.strip(), f"{who}: describe() says nothing of {value!r}; people read it"
        assert "\n" not in words, f"{who}: describe() must be one line"
    return kept


def _check_picks(who: str, picks: Sequence[int], slots: Sequence[Slot]) -> None:
    assert len(picks) == len(slots), f"{who}: pick() gave {len(picks)} options for {len(slots)} slots"
    for pick, slot in zip(picks, slots, strict=True):
        assert type(pick) is int and 0 <= pick < slot.size, (  # noqa: PT018
            f"{who}: pick() gave {pick!r} for {slot.id}, which has {slot.size} options, from 0"
        )


def _house(draw: random.Random) -> tuple[list[JobView], list[NodeView], dict[str, frozenset[str]], float]:
    """A queue, the nodes in touch, and which job fits which node."""
    models = ("", "sd15", "sdxl", "flux")
    nodes = []
    for index in range(draw.randrange(5)):
        total = draw.choice((4, 8, 12, 24)) * GIB
        free = draw.randrange(1, 4)
        nodes.append(
            NodeView(
                node_id=f"node-{index}",
                name=f"box{index}",
                free_slots=free,
                idle_slots=draw.randrange(free + 1),
                loaded_model=draw.choice(models),
                vram_total_bytes=total,
                vram_free_bytes=draw.randrange(total + 1),
                utilization=draw.random(),
                speed=draw.choice((0.25, 1.0, 3.0)),
            )
        )
    jobs = []
    for index in range(draw.randrange(12)):
        needs = Needs(draw.choice(models), draw.choice((0, 2, 6, 10, 20)) * GIB, frozenset({"txt2img"}))
        run = draw.randrange(3)
        jobs.append(
            JobView(f"job-{index}", f"run-{run}", draw.randrange(3), needs, ("txt2img",), draw.randrange(3))
        )
    jobs.sort(key=lambda job: -job.priority)  # stable: by position among equals, as the kernel hands them over
    fits = {
        job.job_id: frozenset(
            node.node_id
            for node in nodes
            if node.vram_total_bytes >= job.needs.vram_bytes and draw.random() < 0.9
        )
        for job in jobs
    }
    return jobs, nodes, fits, draw.random() * 1e6


def check_importer(cls: type[Importer], examples: Mapping[str, bytes], *, cases: int = 40) -> None:
    """Check that an importer keeps its contract. Raises AssertionError naming the rule that it breaks.

    ``examples`` are files of its format, by name. Each must be known and read; then ``cases`` damaged copies of
    each (always the same ones) must be read or refused with UserError.
    """
    problem = class_problem("importer", cls)
    assert not problem, problem
    who = f"importer {cls.name}"
    for ending in cls.endings:
        dotted = ending.startswith(".") and ending == ending.lower()
        assert dotted, f"{who}: the ending {ending!r} must be lower case and begin with a dot"
    assert examples, f"{who}: give it examples of its format"
    for name, data in examples.items():
        assert not cls.endings or name.lower().endswith(cls.endings), f"{who}: {name} has none of its endings"
        assert cls().sniff(name, data) is True, f"{who}: sniff() does not know {name}"
        with _global_random(1):
            first = cls().read(name, data)
        _check_imported(who, name, first)
        with _global_random(2):
            second = cls().read(name, data)
        assert first == second, f"{who}: read() gave two answers for {name}; depend on the arguments alone"
        _check_damaged(who, cls, name, data, cases)
    for number, nonsense in enumerate((b"", b"\0" * 64, b"\xff\xfe\xfd", b"\x89PNG\r\n\x1a\n", b"plain words")):
        name = f"nonsense-{number}{cls.endings[0] if cls.endings else ''}"
        assert cls().sniff(name, nonsense) is False, f"{who}: sniff() takes {nonsense[:12]!r} for its format"


def _check_imported(who: str, name: str, imported: Imported) -> None:
    assert isinstance(imported, Imported), f"{who}: read() returned {type(imported).__name__}, not Imported"
    assert imported.files or imported.settings is not None, (
        f"{who}: read() of {name} gave neither files nor settings"
    )
    for path, content in imported.files.items():
        assert isinstance(content, bytes), f"{who}: {path} is {type(content).__name__}, not bytes"
        try:
            content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise AssertionError(f"{who}: {path} is not UTF-8; packs and sidecars are") from error
    for note in imported.notes:
        line = isinstance(note, str) and note.strip() and "\n" not in note
        assert line, f"{who}: the note {note!r} is no line"
    try:
        canonical_json(dict(imported.settings or {}))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{who}: the settings of {name} do not fit into JSON: {error}") from error
    for section, values in (imported.settings or {}).items():
        assert isinstance(values, Mapping), f"{who}: the section {section} of {name} must be a mapping"


def _check_damaged(who: str, cls: type[Importer], name: str, data: bytes, cases: int) -> None:
    for case in range(cases):
        draw = random.Random(case)  # noqa: S311 - test data, nothing secret
        damaged = bytearray(data[: draw.randrange(len(data) + 1)] if case % 2 else data)
        for _ in range(draw.randrange(1, 5) if damaged else 0):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        try:
            known = cls().sniff(name, bytes(damaged))
        except Exception as error:
            raise AssertionError(f"{who}: sniff() raised {error!r} for a damaged {name}") from error
        assert isinstance(known, bool), f"{who}: sniff() returned {known!r}, not a bool"
        refusal = _refusal(who, cls, name, bytes(damaged))
        assert "\n" not in refusal, f"{who}: the error {refusal!r} must be one line"


def _refusal(who: str, cls: type[Importer], name: str, data: bytes) -> str:
    """Why ``data`` was not read; empty if it was."""
    try:
        imported = cls().read(name, data)
    except UserError as error:
        return str(error)
    except Exception as error:
        raise AssertionError(
            f"{who}: read() raised {error!r} for a damaged {name}; what cannot be read is a UserError"
        ) from error
    _check_imported(who, name, imported)
    return ""


# --- the rules, one by one ----------------------------------------------------------------------------------


def _check_config(who: str, config: type[BaseModel], *, described: bool = True) -> None:
    """Defaults are valid, JSON holds every value, and people can read what each field is."""
    try:
        defaults = config()
    except Exception as error:
        raise AssertionError(f"{who}: Config() must work with its defaults alone: {error}") from error
    dumped = defaults.model_dump(mode="json")
    try:
        canonical_json(dumped)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{who}: the default Config does not fit into JSON: {error}") from error
    again = _validated(who, config, dumped)
    assert again == defaults, f"{who}: Config changes on its way through JSON: {defaults!r} became {again!r}"
    if not described:
        return
    for name, schema in config.model_json_schema(by_alias=False).get("properties", {}).items():
        info = config.model_fields[name]
        assert info.title, f"{who}: field {name} has no title; it is the label on the stage card"
        assert info.description, f"{who}: field {name} has no description; it is the help on the stage card"
        if schema.get("type") in ("integer", "number") and "enum" not in schema and "const" not in schema:
            low = schema.keys() & {"minimum", "exclusiveMinimum"}
            high = schema.keys() & {"maximum", "exclusiveMaximum"}
            bounded = bool(low and high)
            assert bounded, f"{who}: field {name} is a number without a range; give it ge= and le="
        choices = schema.get("choices", "")
        told = not choices or choices in Capabilities.lists()
        assert told, (
            f"{who}: field {name}: choices {choices!r} is no list of Capabilities; use marks(choices=...)"
        )


def _settings(
    who: str, config: type[StageConfig], given: StageConfig | Mapping[str, Any] | None
) -> StageConfig:
    if given is None:
        return config()
    if isinstance(given, Mapping):
        return config.model_validate(given)
    assert isinstance(given, config), f"{who}: config is a {type(given).__name__}, not a {config.__name__}"
    again = _validated(who, config, given.model_dump(mode="json"))
    assert again == given, f"{who}: Config changes on its way through JSON: {given!r} became {again!r}"
    return given


def _validated(who: str, config: type[BaseModel], dumped: Mapping[str, Any]) -> BaseModel:
    try:
        return config.model_validate(dumped)
    except Exception as error:
        raise AssertionError(f"{who}: Config refuses its own JSON: {error}") from error


def _check_pure_parts(who: str, cls: type[Stage], settings: StageConfig) -> None:
    """``needs`` and ``resolve_prompts``, which the kernel calls at plan time."""
    needs = cls.needs(settings)
    assert isinstance(needs, Needs), f"{who}: needs() returned {type(needs).__name__}, not Needs"
    assert needs == cls.needs(settings), f"{who}: needs() gave two answers for one config"
    assert needs.vram_bytes >= 0, f"{who}: needs() asks for {needs.vram_bytes} bytes of VRAM"
    brings = cls.provides(Capabilities())
    assert isinstance(brings, Capabilities), (
        f"{who}: provides() returned {type(brings).__name__}, not Capabilities"
    )
    prompts = cls.resolve_prompts(settings, "a lighthouse", "blurry")
    pair = isinstance(prompts, tuple) and [type(text) for text in prompts] == [str, str]
    assert pair, f"{who}: resolve_prompts() must return (prompt, negative prompt), not {prompts!r}"
    assert prompts == cls.resolve_prompts(settings, "a lighthouse", "blurry"), (
        f"{who}: resolve_prompts() gave two answers for one config"
    )


def _check_info(who: str, info: Mapping[str, Any]) -> None:
    """Infotext keys are those that A1111's readers accept, and the values are JSON."""
    for key in info:
        readable = isinstance(key, str) and INFOTEXT_KEY.fullmatch(key) is not None
        assert readable, (
            f"{who}: infotext key {key!r} must be letters, digits, spaces, '-' and '/', at least two characters"
        )
    try:
        canonical_json(dict(info))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{who}: info does not fit into JSON: {error}") from error


def _check_progress(who: str, steps: Sequence[tuple[int, int]]) -> None:
    """Progress goes forward and stays within its bounds."""
    last = -1
    for step, of in steps:
        assert 0 <= step <= of, f"{who}: reported progress {step} of {of}"
        assert of > 0, f"{who}: reported progress {step} of {of}"
        assert step >= last, f"{who}: progress went back from {last} to {step}"
        last = step


def _outcome(images: Sequence[StageImage]) -> list[tuple[str, bytes]]:
    return [(pixel_sha256(item.image), canonical_json(dict(item.info))) for item in images]


@contextmanager
def _global_random(seed: int) -> Iterator[None]:
    """The process's global random generators, seeded with ``seed`` inside and put back afterwards: two runs
    with two seeds differ only if the code draws from them."""
    state = random.getstate()
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    numpy_state = numpy.random.get_state() if numpy is not None else None
    if numpy is not None:
        numpy.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
        if numpy is not None:
            numpy.random.set_state(numpy_state)
