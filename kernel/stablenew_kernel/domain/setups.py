"""What of a plan is the same for many images: the stages as validated, for each combination of axes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from stablenew_api.backend import Feature
from stablenew_api.errors import PluginError, UserError
from stablenew_api.jobs import JsonValue, Needs, StageSpec, canonical_json
from stablenew_api.stage import Phase
from stablenew_kernel.domain.pipeline import Pipeline, PlannedStage
from stablenew_kernel.domain.presets import AXIS, SET, parse_set
from stablenew_kernel.domain.profiles import NO_PROFILES, Added, Profile, Profiles
from stablenew_kernel.domain.randomizer.axes import Axis
from stablenew_kernel.domain.seeds import advance_seed
from stablenew_kernel.domain.tokens import named

MAX_SETUPS = 1024
"""Combinations of axes whose settings are kept at hand."""

DRAWING = frozenset({Feature.TXT2IMG, Feature.IMG2IMG, Feature.INPAINT, Feature.DETAIL, Feature.WORKFLOW})
"""Features of a stage that draws by its prompt, and so uses what tags in it name."""

Resolve = Callable[[Mapping[str, JsonValue]], Pipeline]
"""The pipeline with these overrides (``section.field`` to value) on top."""


@dataclass(frozen=True, slots=True)
class StagePlan:
    """What of a stage is the same for every job of a setup."""

    planned: PlannedStage
    config: Mapping[str, JsonValue]
    has_seed: bool
    draws: bool
    """Whether it draws by its prompts."""

    def prompts(self, positive: str, negative: str) -> tuple[str, str]:
        """What the stage makes of a row's texts, before anything in them is picked. Raises PluginError."""
        stage = self.planned.stage
        try:
            resolved = stage.resolve_prompts(self.planned.config, positive, negative)
        except Exception as error:
            raise PluginError(
                f"stage {stage.name} {stage.version}: resolve_prompts failed: {error!r}"
            ) from error
        if self.planned.negative and not resolved[1].endswith(self.planned.negative):
            parts = (resolved[1].rstrip(", "), self.planned.negative)
            return resolved[0], ", ".join(part for part in parts if part)
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
    profile: Profile | None
    """Of its model."""
    profiles: Profiles

    def prompts(self, positive: str, negative: str) -> list[tuple[str, str]]:
        """Positive and negative prompt of each stage."""
        return [stage.prompts(positive, negative) for stage in self.stages]

    def adjusted(self, prompts: Sequence[tuple[str, str]]) -> tuple[list[tuple[str, str]], tuple[Added, ...]]:
        """Final prompts of each stage with what profiles add to them, and what that is."""
        found, added = [], dict[Added, None]()
        for stage, (positive, negative) in zip(self.stages, prompts, strict=True):
            positive, more = self.profiles.adjust(positive, stage.planned.profile)
            found.append((positive, negative))
            added |= dict.fromkeys(more)
        return found, tuple(added)

    def named(self, prompts: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], Needs]:
        """Prompts of each stage as a backend gets them, and what the job needs with the LoRAs and embeddings
        that they name. A LoRA in a negative prompt does nothing."""
        if not any("<" in positive or "<" in negative for positive, negative in prompts):
            return prompts, self.needs
        made: list[tuple[str, str]] = []
        names: frozenset[str] = frozenset()
        for stage, (positive, negative) in zip(self.stages, prompts, strict=True):
            positive, wanted = named(positive)
            negative, unwanted = named(negative)
            made.append((positive, negative))
            if stage.draws:
                names |= wanted | {name for name in unwanted if name.startswith("embeddings:")}
        return made, _with_names(self.needs, names)


class Setups:
    """Every setup of a plan, made when asked for; the latest are kept."""

    def __init__(
        self,
        resolve: Resolve,
        pipeline: Pipeline,
        axes: Sequence[Axis],
        sets: Sequence[str],
        profiles: Profiles = NO_PROFILES,
    ) -> None:
        """``pipeline`` is the one without overrides. Raises UserError if a value of an axis is none for its
        setting, naming both, or if ``sets`` assigns what an axis varies."""
        self._resolve, self._pipeline, self._axes, self._profiles = resolve, pipeline, axes, profiles
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
            setup for setup in self.single() if setup.prompts("positive", "negative") != probe
        ]
        """Those that differ in one value from :attr:`base`, and so in what a stage makes of a row's texts."""

    def of(self, picks: Mapping[str, int]) -> Setup:
        """The setup of an image; ``picks`` has the option of each axis."""
        return self.get(tuple(picks[axis.id] for axis in self._axes)) if self._axes else self.base

    def single(self) -> Iterator[Setup]:
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
        plans: list[StagePlan] = []
        for planned in pipeline.stages:
            try:
                own = planned.stage.needs(planned.config)
                needs |= own
            except Exception as error:
                raise PluginError(f"stage {planned.stage.name}: needs failed: {error!r}") from error
            plans.append(_stage_plan(planned, own))
        return Setup(
            key,
            tuple(plans),
            needs,
            pipeline.seed,
            pipeline.profile,
            self._profiles,
        )

    def _blame(self, text: str, key: tuple[int, ...]) -> str:
        """The error with the axis and value that it comes from, as far as it names a setting."""
        for prefix in (f"{AXIS} ", f"{SET} "):
            for axis, option in zip(self._axes, key, strict=True):
                for name in axis.options[option]:
                    if text.startswith(f"{prefix}{name}"):
                        return f"{axis.source}, value {option + 1}: {text.removeprefix(prefix)}"
        return text


@lru_cache(maxsize=4096)  # one object for all jobs that need the same
def _with_names(needs: Needs, names: frozenset[str]) -> Needs:
    return replace(needs, names=needs.names | names)


def _stage_plan(planned: PlannedStage, needs: Needs) -> StagePlan:
    stage = planned.stage
    config = planned.config.model_dump(mode="json", by_alias=False)
    for field in ("batch_size", "batch_count"):
        if stage.phase is Phase.GENERATE and field in config:
            config[field] = 1  # a batch was made into jobs of one image
    try:
        canonical_json(config)
    except (TypeError, ValueError) as error:
        raise UserError(f"stage {stage.name}: a setting that JSON cannot hold ({error})") from error
    draws = stage.phase is Phase.GENERATE or not DRAWING.isdisjoint(needs.features)
    return StagePlan(planned, config, "seed" in config, draws)
