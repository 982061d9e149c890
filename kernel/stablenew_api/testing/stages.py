"""A context for tests of stages, and the contract check of stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from stablenew_api.backend import Backend, Capabilities
from stablenew_api.cancel import CancelToken
from stablenew_api.errors import Cancelled
from stablenew_api.images import pixel_sha256
from stablenew_api.jobs import Needs, canonical_json
from stablenew_api.kinds import class_problem
from stablenew_api.stage import Phase, Stage, StageConfig, StageImage
from stablenew_api.testing.backends import FakeBackend
from stablenew_api.testing.cancel import ManualCancel
from stablenew_api.testing.images import sample_image
from stablenew_api.testing.rules import check_config, check_info, check_progress, global_random, validated


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
    check_config(who, cls.Config)
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
            check_info(who, item.info)
        check_progress(who, context.steps)
        return list(result), context

    for seed in (1, 2**64 - 1):  # a seed is 64 bits wide; many random generators take 32
        first_cancel = ManualCancel()
        with global_random(1):
            first, _ = run(seed, first_cancel)
        if seed == 1:
            looks = first_cancel.looks
            with global_random(2):
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


def _settings(
    who: str, config: type[StageConfig], given: StageConfig | Mapping[str, Any] | None
) -> StageConfig:
    if given is None:
        return config()
    if isinstance(given, Mapping):
        return config.model_validate(given)
    assert isinstance(given, config), f"{who}: config is a {type(given).__name__}, not a {config.__name__}"
    again = validated(who, config, given.model_dump(mode="json"))
    assert again == given, f"{who}: Config changes on its way through JSON: {given!r} became {again!r}"
    return given


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


def _outcome(images: Sequence[StageImage]) -> list[tuple[str, bytes]]:
    return [(pixel_sha256(item.image), canonical_json(dict(item.info))) for item in images]
