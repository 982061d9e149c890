"""What of a plan is the same for many images: the stages as validated, for each combination of axes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from stablenew_api.errors import PluginError, UserError
from stablenew_api.jobs import JsonValue, Needs, StageSpec, canonical_json
from stablenew_api.stage import Phase
from stablenew_kernel.domain.pipeline import AXIS, SET, Pipeline, PlannedStage
from stablenew_kernel.domain.presets import parse_set
from stablenew_kernel.domain.randomizer.axes import Axis
from stablenew_kernel.domain.seeds import advance_seed

MAX_SETUPS = 1024
"""Combinations of axes whose settings are kept at hand."""

Resolve = Callable[[Mapping[str, JsonValue]], Pipeline]
"""The pipeline with these overrides (``section.field`` to value) on top."""


@dataclass(frozen=True, slots=True)
class StagePlan:
    """What of a stage is the same for every job of a setup."""

    planned: PlannedStage
    config: Mapping[str, JsonValue]
    has_seed: bool

    def prompts(self, positive: str, negative: str) -> tuple[str, str]:
        """What the stage makes of a row's texts. Raises PluginError."""
        stage = self.planned.stage
        try:
            resolved = stage.resolve_prompts(self.planned.config, positive, negative)
        except Exception as error:
            raise PluginError(
                f"stage {stage.name} {stage.version}: resolve_prompts failed: {error!r}"
            ) from error
        return resolved

    def spec(self, prompts: tuple[str, str], image_seed: int, offset: int) -> StageSpec:
        """The stage in the job of an image, ``offset`` seeds behind the base."""
        planned = self.planned
        seed = image_seed if planned.seed < 0 else advance_seed(planned.seed, offset)
        config = dict(self.config)  # a copy a job: a filter plugin that changes one must not change them all
        if self.has_seed:
            config["seed"] = seed
        return StageSpec(planned.stage.name, planned.stage.version, *prompts, seed, config)


@dataclass(frozen=True, slots=True)
class Setup:
    """The settings of one combination of axes."""

    key: tuple[int, ...]
    """The option of each axis."""
    stages: tuple[StagePlan, ...]
    needs: Needs
    seed: int
    """Of the generating stage; -1: draw one."""

    def prompts(self, positive: str, negative: str) -> list[tuple[str, str]]:
        """Positive and negative prompt of each stage."""
        return [stage.prompts(positive, negative) for stage in self.stages]


class Setups:
    """Every setup of a plan, made when asked for; the latest are kept."""

    def __init__(self, resolve: Resolve, pipeline: Pipeline, axes: Sequence[Axis], sets: Sequence[str]) -> None:
        """``pipeline`` is the one without overrides. Raises UserError if a value of an axis is none for its
        setting, naming both, or if ``sets`` assigns what an axis varies."""
        self._resolve, self._pipeline, self._axes = resolve, pipeline, axes
        self.get = lru_cache(maxsize=MAX_SETUPS)(self._make)
        """The setup of a key, see :attr:`Setup.key`."""
        for text in sets:
            name = parse_set(text).name
            for axis in axes:
                if any(name == key for key in axis.options[0]):
                    raise UserError(
                        f"{SET} {name}: {axis.source} varies it; leave one out, or --axis {axis.id}=VALUE"
                    )
        self.base = self.get((0,) * len(axes))
        """With the first value of each axis."""
        probe = self.base.prompts("positive", "negative")
        self.with_other_prompts = [
            setup for setup in self._singles() if setup.prompts("positive", "negative") != probe
        ]
        """Those that differ in one value from :attr:`base`, and so in what a stage makes of a row's texts."""

    def of(self, picks: Mapping[str, int]) -> Setup:
        """The setup of an image; ``picks`` has the option of each axis."""
        return self.get(tuple(picks[axis.id] for axis in self._axes)) if self._axes else self.base

    def _singles(self) -> Iterator[Setup]:
        """The setups that differ from :attr:`base` in one value: so each value of each axis is checked."""
        for place, axis in enumerate(self._axes):
            for option in range(1, len(axis.options)):
                key = [0] * len(self._axes)
                key[place] = option
                yield self.get(tuple(key))

    def describe(self, setup: Setup) -> str:
        """``axis img2img.prompt_adjust, value 2``: where ``setup`` differs from :attr:`base`."""
        return ", ".join(
            f"{axis.source}: {axis.id}, value {option + 1}"
            for axis, option in zip(self._axes, setup.key, strict=True)
            if option
        )

    def _make(self, key: tuple[int, ...]) -> Setup:
        overrides: dict[str, JsonValue] = {}
        for axis, option in zip(self._axes, key, strict=True):
            overrides.update(axis.options[option])
        try:
            pipeline = self._resolve(overrides) if overrides else self._pipeline
        except UserError as error:
            raise UserError(self._blame(str(error), key)) from error
        needs = Needs()
        for planned in pipeline.stages:
            try:
                needs |= planned.stage.needs(planned.config)
            except Exception as error:
                raise PluginError(f"stage {planned.stage.name}: needs failed: {error!r}") from error
        return Setup(key, tuple(_stage_plan(planned) for planned in pipeline.stages), needs, pipeline.seed)

    def _blame(self, text: str, key: tuple[int, ...]) -> str:
        """The error with the axis and value that it comes from, as far as it names a setting."""
        for prefix in (f"{AXIS}: ", f"{SET} "):
            for axis, option in zip(self._axes, key, strict=True):
                for name in axis.options[option]:
                    if text.startswith(f"{prefix}{name}"):
                        return f"{axis.source}, value {option + 1}: {text.removeprefix(prefix)}"
        return text


def _stage_plan(planned: PlannedStage) -> StagePlan:
    stage = planned.stage
    config = planned.config.model_dump(mode="json", by_alias=False)
    for field in ("batch_size", "batch_count"):
        if stage.phase is Phase.GENERATE and field in config:
            config[field] = 1  # a batch was made into jobs of one image
    try:
        canonical_json(config)
    except (TypeError, ValueError) as error:
        raise UserError(f"stage {stage.name}: a setting that JSON cannot hold ({error})") from error
    return StagePlan(planned, config, "seed" in config)
