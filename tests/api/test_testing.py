"""The test kit: its doubles keep the contracts they stand for, and its checks catch what they promise to."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from PIL import Image, ImageChops
from pydantic import BaseModel, Field

from stablenew_api.backend import BackendIdentity, Capabilities, GenerationResult
from stablenew_api.cancel import CancelToken
from stablenew_api.errors import Cancelled, StageFailure
from stablenew_api.images import pixel_sha256
from stablenew_api.jobs import Needs
from stablenew_api.kinds import class_problem
from stablenew_api.scheduler import Assignment, JobView, NodeView, Scheduler
from stablenew_api.stage import Phase, Stage, StageConfig, StageContext, StageImage
from stablenew_api.testing import (
    FakeBackend,
    FakeClock,
    FakeProbe,
    FakeStageContext,
    ManualCancel,
    check_backend,
    check_scheduler,
    check_stage,
    host_of,
    sample_image,
)

# --- doubles ------------------------------------------------------------------------------------------------


def test_clock_moves_only_when_told() -> None:
    clock = FakeClock()
    before = clock.now()
    assert (clock.monotonic(), clock.now()) == (0.0, before)
    clock.advance(90)
    assert clock.monotonic() == 90
    assert (clock.now() - before).total_seconds() == 90
    clock.jump(-3600)
    assert clock.monotonic() == 90
    assert clock.now() < before
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)


def test_cancel_fires_at_the_look_asked_for_and_stays() -> None:
    token = ManualCancel(after=3)
    assert [token.cancelled for _ in range(5)] == [False, False, True, True, True]
    assert token.looks == 5
    with pytest.raises(Cancelled):
        token.raise_if_cancelled()
    with pytest.raises(ValueError, match="from 1"):
        ManualCancel(after=0)


def test_cancel_wakes_everybody_who_waits() -> None:
    token = ManualCancel()
    assert token.wait(0) is False
    woken: list[bool] = []
    waiting = [threading.Thread(target=lambda: woken.append(token.wait(50))) for _ in range(3)]
    for thread in waiting:
        thread.start()
    token.cancel()
    for thread in waiting:
        thread.join(timeout=45)
    assert woken == [True, True, True]
    assert token.wait(50) is True


def test_fake_backend_and_probe_keep_their_contracts() -> None:
    check_backend(FakeBackend)
    backend = FakeBackend()
    check_backend(backend)
    assert not backend.closed  # an instance belongs to the test
    assert backend.requests
    assert class_problem("probe", FakeProbe) == ""
    assert FakeProbe().available() is None
    assert FakeProbe(reason="no card").available() == "no card"
    assert FakeProbe().read()[0].vram_total_bytes == 8 * 1024**3
    probe = FakeProbe(readings=())
    assert probe.read() == ()
    probe.failure = OSError("driver gone")
    with pytest.raises(OSError, match="driver gone"):
        probe.read()


def test_fake_backend_fails_once_when_told() -> None:
    class Txt2Img(GoodStage):
        name, phase = "made", Phase.GENERATE

        def run(self, ctx: StageContext, config: Any, images: Sequence[StageImage]) -> Sequence[StageImage]:
            from stablenew_api.backend import Txt2ImgRequest

            request = Txt2ImgRequest(
                ctx.prompt, ctx.negative_prompt, ctx.seed, 3, 7.0, "Euler", "Automatic", width=32, height=16
            )
            result = ctx.backend.txt2img(request, ctx.progress, ctx.cancel)
            return [StageImage(result.image, result.info)]

    check_stage(Txt2Img)
    context = FakeStageContext()
    assert isinstance(context.backend, FakeBackend)
    context.backend.failure = StageFailure("backend", "gone")
    with pytest.raises(StageFailure, match="gone"):
        Txt2Img().run(context, StageConfig(), [])
    (image,) = Txt2Img().run(context, StageConfig(), [])
    assert image.image.size == (32, 16)
    assert context.steps == [(1, 3), (2, 3), (3, 3)]


def test_sample_image_is_the_same_everywhere() -> None:
    digest = "ad391bdb4af2c98bc3fa3c11e4bb662f2899850c354fe31b458045906e4666a4"
    assert pixel_sha256(sample_image()) == digest
    assert sample_image(1, 1).size == (1, 1)
    assert sample_image(mode="L").mode == "L"


def test_host_of_takes_modules_and_objects() -> None:
    import stablenew_api.errors

    host = host_of(stablenew_api.errors, role="worker", disabled=["errors"])
    assert [(info.name, info.state) for info in host.plugins] == [("errors", "disabled")]
    assert host.role == "worker"


# --- check_stage --------------------------------------------------------------------------------------------


class GoodConfig(StageConfig):
    amount: int = Field(3, ge=0, le=9, title="Amount", description="How much.")


class GoodStage(Stage):
    name, version, title = "good", "1.0", "Good"
    Config: Any = GoodConfig
    phase = Phase.POST

    def run(self, ctx: StageContext, config: Any, images: Sequence[StageImage]) -> Sequence[StageImage]:
        ctx.cancel.raise_if_cancelled()
        return [StageImage(item.image.copy(), item.info) for item in images]


def variant(**members: Any) -> type[GoodStage]:
    return type("Variant", (GoodStage,), members)


def changed(change: Callable[[FakeStageContext, list[StageImage]], Any]) -> type[GoodStage]:
    """The good stage, with its result replaced by ``change(context, result)``."""

    def run(self: GoodStage, ctx: Any, config: Any, images: Sequence[StageImage]) -> Any:
        return change(ctx, list(GoodStage.run(self, ctx, config, images)))

    return variant(run=run)


def config_of(**fields: Any) -> type[GoodStage]:
    """The good stage with a Config of these fields: (annotation, Field)."""
    members = {name: field for name, (_, field) in fields.items()}
    annotations = {name: annotation for name, (annotation, _) in fields.items()}
    config = type("Made", (StageConfig,), {"__annotations__": annotations, "__module__": __name__, **members})
    return variant(Config=config)


class Forgetful(StageConfig):
    """Comes back from JSON as something else."""

    amount: int = Field(3, ge=0, le=9, title="Amount", description="How much.")

    def model_dump(self, **_: Any) -> dict[str, Any]:
        return {}


TOLD = {"title": "T", "description": "D."}
_calls = itertools.count()


def ignore_cancel(self: GoodStage, ctx: Any, config: Any, images: Sequence[StageImage]) -> Any:
    return [StageImage(item.image.copy(), item.info) for item in images]


def swallow_cancel(self: GoodStage, ctx: Any, config: Any, images: Sequence[StageImage]) -> Any:
    with contextlib.suppress(Cancelled):
        ctx.cancel.raise_if_cancelled()
    return [StageImage(item.image.copy(), item.info) for item in images]


def stop_early_only(self: GoodStage, ctx: Any, config: Any, images: Sequence[StageImage]) -> Any:
    ctx.cancel.raise_if_cancelled()
    for _ in range(3):
        if ctx.cancel.cancelled:
            break  # as if it were done: a half-made image that looks finished
    return [StageImage(item.image.copy(), item.info) for item in images]


def in_place(self: GoodStage, ctx: Any, config: Any, images: Sequence[StageImage]) -> Any:
    ctx.cancel.raise_if_cancelled()
    for item in images:
        item.image.paste((0, 0, 0), (0, 0, 4, 4))
    return images


def speckle(value: int) -> Callable[[FakeStageContext, list[StageImage]], list[StageImage]]:
    def change(_: FakeStageContext, images: list[StageImage]) -> list[StageImage]:
        return [
            StageImage(ImageChops.offset(item.image, random.randrange(1 << 30) % 60 + value), item.info)
            for item in images
        ]

    return change


def narrow_seed(ctx: FakeStageContext, images: list[StageImage]) -> list[StageImage]:
    ctx.seed.to_bytes(4, "big")  # OverflowError for a seed of 64 bits
    return images


def backwards(ctx: FakeStageContext, images: list[StageImage]) -> list[StageImage]:
    ctx.progress(2, 3)
    ctx.progress(1, 3)
    return images


def beyond(ctx: FakeStageContext, images: list[StageImage]) -> list[StageImage]:
    ctx.progress(4, 3)
    return images


BAD_STAGES: list[tuple[str, type[Stage], str]] = [
    ("name", variant(name="Film Grain"), "must be lower-case"),
    ("no default", config_of(amount=(str, Field(**TOLD))), "must work with its defaults alone"),
    ("no json", config_of(amount=(float, Field(float("nan"), ge=0, le=1, **TOLD))), "does not fit into JSON"),
    ("no title", config_of(amount=(str, Field("", description="D."))), "field amount has no title"),
    ("no help", config_of(amount=(str, Field("", title="T"))), "field amount has no description"),
    ("no range", config_of(amount=(int, Field(1, ge=0, **TOLD))), "number without a range"),
    (
        "no such list",
        config_of(look=(str, Field("", **TOLD, json_schema_extra={"choices": "sampler"}))),
        "choices 'sampler' is no list of Capabilities",
    ),
    ("needs", variant(needs=classmethod(lambda cls, config: None)), "needs() returned NoneType"),
    (
        "needs vary",
        variant(needs=classmethod(lambda cls, config: Needs(vram_bytes=next(_calls)))),
        "needs() gave two answers",
    ),
    (
        "prompts",
        variant(resolve_prompts=classmethod(lambda cls, config, prompt, negative: prompt)),
        "must return (prompt, negative prompt)",
    ),
    ("provides", variant(provides=classmethod(lambda cls, backend: None)), "provides() returned NoneType"),
    ("nothing", changed(lambda ctx, images: []), "returned no image"),
    ("none", changed(lambda ctx, images: None), "returned NoneType, not a list"),
    ("bare image", changed(lambda ctx, images: [images[0].image]), "not StageImage"),
    ("in place", variant(run=in_place), "changed the pixels of its input"),
    ("global random", changed(speckle(1)), "gave different pixels or info"),
    (
        "clock in info",
        changed(lambda ctx, images: [StageImage(images[0].image, {"Made at": next(_calls)})]),
        "gave different pixels or info",
    ),
    ("key", changed(lambda ctx, images: [StageImage(images[0].image, {"a.b": 1})]), "infotext key 'a.b'"),
    (
        "value",
        changed(lambda ctx, images: [StageImage(images[0].image, {"Key": {1}})]),
        "does not fit into JSON",
    ),
    ("backwards", changed(backwards), "progress went back from 2 to 1"),
    ("beyond", changed(beyond), "reported progress 4 of 3"),
    ("never looks", variant(run=ignore_cancel), "never looks at ctx.cancel"),
    ("swallows", variant(run=swallow_cancel), "although its job was cancelled at look 1"),
    ("half-made", variant(run=stop_early_only), "although its job was cancelled at look 3"),
]


def test_a_good_stage_passes() -> None:
    check_stage(GoodStage)
    check_stage(GoodStage, config={"amount": 9})
    check_stage(GoodStage, config=GoodConfig(amount=0), images=[sample_image(), sample_image(8, 8)])


@pytest.mark.parametrize(
    ("stage", "text"), [pytest.param(stage, text, id=name) for name, stage, text in BAD_STAGES]
)
def test_a_stage_that_breaks_a_rule_is_told_which(stage: type[Stage], text: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_stage(stage)
    assert text in str(caught.value)


def test_a_config_that_json_changes_is_found() -> None:
    with pytest.raises(AssertionError, match="changes on its way through JSON"):
        check_stage(variant(Config=Forgetful), config=Forgetful(amount=9))


def test_seeds_are_tried_in_their_full_width() -> None:
    with pytest.raises(OverflowError):
        check_stage(changed(narrow_seed))


def test_checks_leave_the_global_generator_as_it_was() -> None:
    random.seed(5)
    expected = random.random()
    random.seed(5)
    check_stage(GoodStage)
    assert random.random() == expected


# --- check_backend ------------------------------------------------------------------------------------------


class Forgiving(FakeBackend):
    """Calls the real one with a token that never fires."""

    name = "forgiving"

    def txt2img(self, request: Any, progress: Any, cancel: CancelToken) -> GenerationResult:
        return super().txt2img(request, progress, ManualCancel())


class Small(FakeBackend):
    def upscale(self, request: Any, progress: Any, cancel: CancelToken) -> GenerationResult:
        result = super().upscale(request, progress, cancel)
        return GenerationResult(request.image.copy(), result.info)


class Moody(FakeBackend):
    def txt2img(self, request: Any, progress: Any, cancel: CancelToken) -> GenerationResult:
        result = super().txt2img(request, progress, cancel)
        return GenerationResult(Image.new("RGB", result.image.size, (next(_calls) % 256, 0, 0)), result.info)


class Blaming(FakeBackend):
    def img2img(self, request: Any, progress: Any, cancel: CancelToken) -> GenerationResult:
        try:
            return super().img2img(request, progress, cancel)
        except Cancelled as error:
            raise StageFailure("backend", "interrupted") from error


class Nameless(FakeBackend):
    def identify(self) -> BackendIdentity:
        return BackendIdentity("", "1")


class Useless(FakeBackend):
    def capabilities(self) -> Capabilities:
        return Capabilities()


class NeedsUrl(BaseModel):
    url: str


class Unconfigured(FakeBackend):
    Config: Any = NeedsUrl


@pytest.mark.parametrize(
    ("backend", "text"),
    [
        (Forgiving, "never looks at its cancel token"),
        (Small, "the image is (64, 64), wanted (128, 128)"),
        (Moody, "the same request gave different pixels"),
        (Blaming, "a cancel must raise Cancelled, not StageFailure(backend)"),
        (Nameless, "identify() gives no name"),
        (Useless, "lists no feature"),
        (Unconfigured, "must work with its defaults alone"),
    ],
)
def test_a_backend_that_breaks_a_rule_is_told_which(backend: type[FakeBackend], text: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_backend(backend)
    assert text in str(caught.value)


# --- check_scheduler ----------------------------------------------------------------------------------------


class FirstFit(Scheduler):
    name, title = "first_fit", "First fit"

    def assign(
        self,
        jobs: Sequence[JobView],
        nodes: Sequence[NodeView],
        fits: Mapping[str, frozenset[str]],
        now: float,
    ) -> list[Assignment]:
        free = {node.node_id: node.free_slots for node in nodes}
        made = []
        for job in jobs:
            node = next((n for n in sorted(free) if free[n] and n in fits[job.job_id]), None)
            if node is not None:
                free[node] -= 1
                made.append(Assignment(job.job_id, node, "first that fits"))
        return made


class Result(FirstFit):
    """First fit, and something on top."""

    def __init__(self, change: Callable[[list[Assignment], Sequence[NodeView]], list[Assignment]]) -> None:
        self.change = change

    def assign(self, jobs: Any, nodes: Any, fits: Any, now: float) -> list[Assignment]:
        return self.change(super().assign(jobs, nodes, fits, now), nodes)


class Greedy(FirstFit):
    def assign(self, jobs: Any, nodes: Any, fits: Any, now: float) -> list[Assignment]:
        return [Assignment(job.job_id, min(fits[job.job_id]), "all here") for job in jobs if fits[job.job_id]]


class Meddling(FirstFit):
    def assign(self, jobs: Any, nodes: Any, fits: Any, now: float) -> list[Assignment]:
        made = super().assign(jobs, nodes, fits, now)
        jobs.clear()
        return made


def test_a_good_scheduler_passes() -> None:
    check_scheduler(FirstFit(), work_conserving=True)


@pytest.mark.parametrize(
    ("scheduler", "text"),
    [
        (Result(lambda made, nodes: made + made[:1]), "twice"),
        (Result(lambda made, nodes: [Assignment(a.job_id, "elsewhere", "x") for a in made]), "does not fit it"),
        (Result(lambda made, nodes: [Assignment("ghost", a.node_id, "x") for a in made]), "nobody queued"),
        (Result(lambda made, nodes: [Assignment(a.job_id, a.node_id, " ") for a in made]), "gives no reason"),
        (
            Result(lambda made, nodes: [Assignment(a.job_id, a.node_id, "a\nb") for a in made]),
            "must be one line",
        ),
        (Result(lambda made, nodes: made[: next(_calls) % 2]), "two answers"),
        (Greedy(), "more jobs to node"),
        (Meddling(), "changed its arguments"),
    ],
)
def test_a_scheduler_that_breaks_a_rule_is_told_which(scheduler: Scheduler, text: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_scheduler(scheduler)
    assert text in str(caught.value)


def test_a_lazy_scheduler_is_fine_unless_it_promises_more() -> None:
    lazy = Result(lambda made, nodes: made[:1])
    check_scheduler(lazy)
    with pytest.raises(AssertionError, match="waiting though node"):
        check_scheduler(lazy, work_conserving=True)
