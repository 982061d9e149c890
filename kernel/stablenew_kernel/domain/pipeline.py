"""Which stages run, in which order, with which settings: layers of settings in, a validated pipeline out.

The rule for which stages run: a layer turns a stage on or off with ``pipeline.<stage>_enabled``, or with
``enabled`` in the stage's own section; the highest layer that says anything decides.
``pipeline.post_processors`` turns on the stages it lists and gives their order. What nobody speaks of is off,
except txt2img, which runs unless another generating stage is on.

The rule for order is data of the stages: ``phase`` and ``may_follow``.

Which layer wins, lowest first: defaults of the stages, profile of the model, preset, sidecar, last run,
``--set``, and on top an axis of the randomizer. :class:`Resolver` is the one place where they meet: the plan
and the explanation of its settings both read what it resolved.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue
from stablenew_api.stage import Phase, Stage, StageConfig
from stablenew_kernel.domain.keys import GLOBAL_NEGATIVE, NOT_STAGES, NOT_YET, SECTIONS
from stablenew_kernel.domain.layers import (
    DEFAULT_STAGE,
    Known,
    Merged,
    Plain,
    Setting,
    assigned,
    canonical,
    loose,
    names_of,
    unused,
)
from stablenew_kernel.domain.presets import AXIS, RANDOMIZATION, SET, Assignment, Layer, overlay, parse_set
from stablenew_kernel.domain.profiles import NO_PROFILES, Profile, Profiles
from stablenew_kernel.domain.randomizer.settings import BY_SLOT
from stablenew_kernel.domain.saving import DEFAULT_QUALITY, kind_named
from stablenew_kernel.domain.words import near

_WHOLE = frozenset({"pipeline", RANDOMIZATION})
"""Sections of a run as a whole: no stage's."""


class PipelineSettings(BaseModel):
    """The section ``pipeline``, less its ``<stage>_enabled`` switches."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    images_per_prompt: int = Field(
        1, ge=1, le=100_000, title="Images a row", description="Multiplied by batch size and batch count."
    )
    filename_pattern: str = Field(
        "",
        title="File name",
        description="Pattern for image files, such as {index:05}_{seed}. Empty: the default.",
    )
    image_format: Annotated[Literal["png", "jpeg", "webp"], BeforeValidator(kind_named)] = Field(
        "png", title="File format", description="Of the saved images; what is kept to work on stays lossless."
    )
    image_quality: int = Field(
        DEFAULT_QUALITY,
        ge=1,
        le=100,
        title="Quality",
        description="Of JPEG and WebP files; a WebP file of quality 100 keeps every pixel.",
    )
    post_processors: tuple[str, ...] = Field(
        (), title="Post-processors", description="Stages that run last, in this order."
    )
    seed_mode: Literal["per_image", "per_variant", "fixed"] = Field(
        "per_image",
        title="Seed mode",
        description="per_image counts on with every image of a row; per_variant begins one further with every "
        "combination and counts on with its images; fixed gives every image the same seed.",
    )
    model_matrix: tuple[str, ...] = Field(
        (), title="Models", description="An axis: each row is made with each of these models."
    )
    hypernetworks: tuple[str | dict[str, Any], ...] = Field(
        (),
        title="Hypernetworks",
        description='An axis: NAME, NAME:STRENGTH or {"name", "strength"}; "None" is none.',
    )
    variant_mode: str = Field(
        "fanout",
        title="Variant mode",
        description="How models and hypernetworks vary: fanout, rotate, sequential, random or least_used.",
    )


class DrawSettings(BaseModel):
    """What the plan itself reads in a generating stage's section, whether or not the stage has such fields."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    seed: int = Field(
        -1, ge=-1, le=2**64 - 1, title="Seed", description="Of the first image of a row; -1 draws one."
    )
    batch_size: int = Field(1, ge=1, le=10_000, title="Batch size", description="Images a batch.")
    batch_count: int = Field(
        1,
        ge=1,
        le=10_000,
        title="Batch count",
        description="Batches a row.",
        validation_alias=AliasChoices("batch_count", "n_iter"),
    )


class SeedSettings(BaseModel):
    """What the plan itself reads in the section of a later stage."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    seed: int = Field(
        -1, ge=-1, le=2**64 - 1, title="Seed", description="Of this stage alone; -1: the image's seed."
    )


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """A stage that will run."""

    stage: type[Stage]
    config: StageConfig
    seed: int
    """Base seed of this stage alone; -1: the image's, which is the only one that a generating stage has."""
    negative: str = ""
    """The global negative prompt, where it is added to this stage's."""
    profile: Profile | None = None
    """Of the model that draws this stage, if its trigger words are to be added to the prompt."""


@dataclass(frozen=True, slots=True)
class GlobalNegative:
    """The prompt that is added to the negative prompt of each stage that asks for it."""

    text: str = ""
    """As one line; empty: there is none."""
    source: str = "presets/global_negative.txt"
    """The file, for people."""
    problem: str = ""
    """Why it cannot be read: an error for whoever asks for it."""


NO_GLOBAL_NEGATIVE = GlobalNegative()
"""Where there is none."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Validated settings of a run."""

    stages: tuple[PlannedStage, ...]
    """In running order, the generating stage first."""
    images_per_row: int
    seed: int
    """Of the generating stage; -1: draw one a row."""
    filename_pattern: str
    """Empty: not set."""
    randomization: Mapping[str, JsonValue]
    """The section as the layers have it together; empty: none has it."""
    randomization_source: str
    """The highest layer that has it, for error texts."""
    warnings: tuple[str, ...]
    settings: PipelineSettings
    """The section ``pipeline``, validated."""
    sources: Mapping[str, str]
    """Name in the section ``pipeline`` to the layer that it comes from, of all that some layer sets."""
    profile: Profile | None
    """Of the model of txt2img, if it has one."""
    switches: Mapping[str, JsonValue]
    """The section ``pipeline`` as a whole: every stage's ``<stage>_enabled``, and the rest as it came out."""
    batch: tuple[int, int]
    """Batch size and count: both are in ``images_per_row``."""


@dataclass(frozen=True, slots=True)
class Later:
    """Which stages run on an image that exists."""

    from_stage: str = ""
    """This one, and those behind it that the settings turn on."""
    only: tuple[str, ...] = ()
    """These and no others, in place of ``from_stage``."""

    def check(self, stages: Mapping[str, type[Stage]]) -> None:
        """Raises UserError for a stage that is not there, or that makes an image from nothing."""
        if not (self.from_stage or self.only):
            raise UserError("say which stages: --from-stage STAGE, for example upscale")
        for name in self.only or (self.from_stage,):
            option = "--stages" if self.only else "--from-stage"
            later = [one for one, stage in stages.items() if stage.phase is not Phase.GENERATE]
            if name not in stages:
                raise UserError(f"{option} {name}: no such stage; {near(name, later)}")
            if stages[name].phase is Phase.GENERATE:
                raise UserError(
                    f"{option} {name}: this stage begins with nothing; give a later one: {', '.join(later)}"
                )

    def may_run(self, name: str, stages: Mapping[str, type[Stage]]) -> bool:
        """Whether it is one of them, if the settings turn it on."""
        if self.only:
            return name in self.only
        if self.from_stage not in stages:
            return False
        first, stage = stages[self.from_stage], stages[name]
        return name == self.from_stage or stage.phase > first.phase or stage.phase is first.phase is Phase.POST

    def choose(
        self, enabled: Collection[str], stages: Mapping[str, type[Stage]], post_order: Sequence[str]
    ) -> frozenset[str]:
        """Those that run, of what the settings have ``enabled``. Raises UserError."""
        self.check(stages)
        if self.only:
            return frozenset(self.only)
        found = {name for name in enabled if self.may_run(name, stages)} | {self.from_stage}
        order = sequence(stages, found, post_order, begins=False)
        return frozenset(order[order.index(self.from_stage) :])


def sequence(
    stages: Mapping[str, type[Stage]],
    enabled: Collection[str],
    post_order: Sequence[str] = (),
    *,
    begins: bool = True,
) -> tuple[str, ...]:
    """Running order of the ``enabled`` stages: by phase; POST stages as in ``post_order``, then by name.

    Raises UserError when nothing is enabled, no generating stage is (but not if there is an image already:
    ``begins`` is false), or a stage may not follow the one before.
    """
    if not enabled:
        raise UserError("no stage is enabled; turn one on, for example --set txt2img.enabled=true")
    place = {name: index for index, name in enumerate(post_order)}
    order = sorted(enabled, key=lambda name: (stages[name].phase, place.get(name, len(place)), name))
    if begins and stages[order[0]].phase is not Phase.GENERATE:
        makers = ", ".join(sorted(name for name, stage in stages.items() if stage.phase is Phase.GENERATE))
        raise UserError(
            f"stage {order[0]} needs an image, and no stage before it makes one; "
            f"enable one of: {makers or 'none known'}"
        )
    for before, after in pairwise(order):
        _check_follows(stages[before], stages[after])
    return tuple(order)


def _check_follows(before: type[Stage], after: type[Stage]) -> None:
    allowed = after.may_follow
    if allowed is None:
        if before.phase < after.phase or before.phase is after.phase is Phase.POST:
            return
        raise UserError(
            f"stages {before.name} and {after.name} do the same work ({after.phase.name}); "
            f"disable one, for example --set {after.name}.enabled=false"
        )
    if before.phase not in allowed:
        may = ", ".join(phase.name for phase in sorted(allowed)) or "nothing"
        raise UserError(
            f"stage {after.name} cannot follow {before.name} ({before.phase.name}): it may follow {may}; "
            f"disable one of the two"
        )


def resolve_pipeline(
    layers: Sequence[Layer],
    sets: Sequence[str],
    stages: Mapping[str, type[Stage]],
    overrides: Mapping[str, JsonValue] | None = None,
) -> Pipeline:
    """:class:`Resolver`, asked once."""
    return Resolver(layers, sets, stages).resolve(overrides)


class Resolver:
    """Layers of settings, taken in once; :meth:`resolve` lays overrides on top and validates what will run.

    The seam for whatever varies settings within one plan (a model matrix, a slot of samplers): make one
    Resolver a plan and call ``resolve({"txt2img.model": "xl"})`` for each combination. An override lies above
    ``--set`` and is called "axis" where its source is told. The profile is looked up anew for the model that
    comes out, so each model of an axis gets its own. Files are parsed, and their layers brought into one form,
    in ``__init__`` alone: a call costs a merge and the validation of the stages that run (well under a
    millisecond). Nothing that is handed in is changed, and equal overrides give equal results.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        sets: Sequence[str],
        stages: Mapping[str, type[Stage]],
        *,
        profiles: Profiles = NO_PROFILES,
        global_negative: GlobalNegative = NO_GLOBAL_NEGATIVE,
        later: Later | None = None,
    ) -> None:
        """``layers``: lowest first; ``sets`` lie over them. ``later``: there is an image
        already. Raises UserError naming source, place and field."""
        self._stages = stages
        self._later = later
        self._known = known_settings(stages)
        self._profiles = profiles
        self._global_negative = global_negative
        self._assignments = tuple(parse_set(text) for text in sets)
        plain = [canonical(layer, self._known) for layer in layers]
        self._on_off = {
            key for layer in plain for key in layer.values.get("pipeline", {}) if key.endswith("_enabled")
        }
        for assignment in self._assignments:
            plain.append(self._assigned(assignment))
        self._layers = tuple(plain)
        self._merged = overlay({}, *(layer.values for layer in plain))
        self._warnings = tuple(unused(plain, self._merged, self._known))
        self._of_profiles: dict[str, Plain] = {}

    def resolve(self, overrides: Mapping[str, JsonValue] | None = None) -> Pipeline:
        """What runs, with ``overrides`` (``"section.field"`` to a value) on top.

        Settings of stages that will not run are validated only where ``--set`` names them, so that an old
        preset with a plugin's leftovers still loads. Raises UserError naming source, place, field and range.
        """
        return self._resolve(self._settings(overrides or {}))

    def _settings(self, overrides: Mapping[str, JsonValue]) -> Merged:
        """All layers as one, the profile of the model that comes out among them."""
        over = [self._override(name, value) for name, value in overrides.items()]
        layers = (*self._layers, *over)
        merged = overlay(self._merged, *(layer.values for layer in over))  # a copy: a caller cannot spoil ours
        model = merged.get(DEFAULT_STAGE, {}).get("model")
        profile = self._profiles.model(model) if isinstance(model, str) and model else None
        if profile is None:
            return Merged(merged, layers, None)
        if profile.name not in self._of_profiles:
            self._of_profiles[profile.name] = canonical(profile.layer, self._known)
        below = self._of_profiles[profile.name]
        return Merged(overlay(below.values, merged), (below, *layers), profile)

    def _override(self, name: str, value: JsonValue) -> Plain:
        section, _, path = name.partition(".")
        if not section or not path:
            raise UserError(f"{AXIS} {name}: write SECTION.FIELD, for example txt2img.steps")
        text = value if isinstance(value, str) else json.dumps(value)
        assignment = Assignment(section, tuple(path.split(".")), text, AXIS)
        return self._assigned(assignment)

    def _assigned(self, assignment: Assignment) -> Plain:
        values = assigned(assignment, self._known, self._on_off)
        return canonical(Layer(assignment.source, values), self._known)

    def _resolve(self, settings: Merged) -> Pipeline:
        stages = self._stages
        pipeline = settings.validate("pipeline", PipelineSettings)
        later = self._later
        enabled = _enabled(settings, pipeline.post_processors, stages)
        if later is not None:
            enabled = later.choose(enabled, stages, pipeline.post_processors)
        order = sequence(stages, enabled, pipeline.post_processors, begins=later is None)
        for name in {assignment.section for assignment in self._assignments} - _WHOLE - set(order):
            settings.validate(name, stages[name].Config)
        section = settings.values.get("pipeline", {})
        model = settings.values.get(DEFAULT_STAGE, {}).get("model", "")
        profile = settings.profile
        words_of = profile if profile is not None and profile.settings.add_trigger_words else None
        planned = []
        for name in order:
            config = settings.validate(name, stages[name].Config)
            generates = stages[name].phase is Phase.GENERATE
            own_model = getattr(config, "model", "")
            planned.append(
                PlannedStage(
                    stages[name],
                    config,
                    -1 if generates else settings.validate(name, SeedSettings).seed,
                    self._global_negative.text if section.get(f"{GLOBAL_NEGATIVE}{name}") else "",
                    words_of if stages[name].phase < Phase.POST and own_model in ("", model) else None,
                )
            )
        draw = settings.validate(order[0], DrawSettings) if later is None else DrawSettings()
        return Pipeline(
            tuple(planned),
            pipeline.images_per_prompt * draw.batch_size * draw.batch_count,
            draw.seed,
            pipeline.filename_pattern,
            settings.values.get("randomization", {}),
            _randomized_by(settings.layers),
            tuple(self._said(settings, order)),
            pipeline,
            {key: layer.source for layer in settings.layers for key in layer.values.get("pipeline", {})},
            settings.profile,
            {
                **{name: value for name, value in section.items() if name not in PipelineSettings.model_fields},
                **{f"{name}_enabled": name in order for name in stages},
                **pipeline.model_dump(mode="json"),
            },
            (draw.batch_size, draw.batch_count),
        )

    def _said(self, settings: Merged, order: Sequence[str]) -> Iterable[str]:
        """Warnings: what is not used, and what is asked for in vain."""
        yield from (text for section, text in self._warnings if section in ("", *order))
        if (profile := settings.profile) is not None:
            yield from profile.warnings
            layer = self._of_profiles[profile.name]
            found = unused([layer], settings.values, self._known)
            yield from (text for section, text in found if section in ("", *order))
        for name in dict.fromkeys(assignment.section for assignment in self._assignments):
            if name in _WHOLE or name in order:
                continue
            named = [a for a in self._assignments if a.section == name and not a.path[0].endswith("enabled")]
            if named:
                names = ", ".join(assignment.name for assignment in named)
                yield f"{SET} {names}: no effect, {name} is not enabled; add --set {name}.enabled=true"
        flags = settings.values.get("pipeline", {})
        asking = [name for name in order if flags.get(f"{GLOBAL_NEGATIVE}{name}")]
        if asking and self._global_negative.problem:
            raise UserError(self._global_negative.problem)
        if asking and not self._global_negative.text:
            yield (
                f"pipeline.{GLOBAL_NEGATIVE}{asking[0]}: there is no global negative prompt; "
                f"write one into {self._global_negative.source}"
            )

    # --- where it comes from --------------------------------------------------------------------------------

    def explain(
        self,
        overrides: Mapping[str, JsonValue] | None = None,
        *,
        count: int | None = None,
        seed: int | None = None,
    ) -> tuple[Setting, ...]:
        """Every setting, where it comes from and what lay under it: first of the stages that run, in order,
        then of the run as a whole, then what has no effect. Read from the same resolution as :meth:`resolve`,
        so the values are those of the jobs; ``count`` and ``seed`` are those of the command line, which go
        before them. Raises as :meth:`resolve`."""
        settings = self._settings(overrides or {})
        pipeline = self._resolve(settings)
        draw = dict(zip(("batch_size", "batch_count"), pipeline.batch, strict=True))
        found: list[Setting] = []
        for planned in pipeline.stages:
            name = planned.stage.name
            values = planned.config.model_dump(mode="json", by_alias=False)
            generates = planned.stage.phase is Phase.GENERATE
            values = {**values, **({**draw, "seed": pipeline.seed} if generates else {"seed": planned.seed})}
            fields = self._known[name]
            found += [settings.setting(name, key, value, fields.get(key)) for key, value in values.items()]
        known = {setting.name for setting in found}
        of_run = self._known["pipeline"]
        found += [
            settings.setting("pipeline", key, value, of_run.get(key), used=_is_read(key, self._stages))
            for key, value in pipeline.switches.items()
        ]
        known |= {setting.name for setting in found}
        for section, given in settings.values.items():
            for key, value in given.items():
                if f"{section}.{key}" not in known:
                    info = self._known.get(section, {}).get(key)
                    used = section == "randomization"
                    found.append(settings.setting(section, key, value, info, used=used))
        if self._global_negative.text:
            used = any(planned.negative for planned in pipeline.stages)
            text, source = self._global_negative.text, self._global_negative.source
            found.append(Setting("global_negative", text, source, title="Global negative prompt", used=used))
        first = pipeline.stages[0].stage.name
        batch = {f"{first}.batch_size": 1, f"{first}.batch_count": 1, "pipeline.images_per_prompt": count}
        asked = {
            **(batch if count is not None else {}),
            **({f"{first}.seed": seed} if seed is not None else {}),
        }
        for at, setting in enumerate(found):
            if setting.name in asked:
                source = "--seed" if setting.name.endswith(".seed") else "--count"
                found[at] = setting.under(asked[setting.name], source)
        return tuple(sorted(found, key=lambda setting: not setting.used))

    @property
    def known(self) -> Known:
        """The settings of each section that something reads."""
        return self._known

    def typed(self, assignment: Assignment) -> tuple[str, tuple[str, ...], JsonValue]:
        """Section, path and value that ``assignment`` would be in a file, under the first name of its setting.

        Sections and settings of stages that are not there yet are taken as they are. Raises UserError.
        """
        section, path = assignment.section, assignment.path
        if section == RANDOMIZATION and path[0] in BY_SLOT:
            value = self._assigned(assignment).values[section]
            for part in path:
                value = value[part]
            return section, path, value
        key = names_of(section, path[0], self._known)[0]
        if key not in self._known.get(section, {}):
            absent = SECTIONS - NOT_STAGES - self._known.keys()
            switch = section if key in ("enabled", f"{section}_enabled") else key.removesuffix("_enabled")
            later = any(path[0] in names for names in NOT_YET.get(section, ()))
            if switch in absent:
                layer = canonical(Layer(SET, {"pipeline": {f"{switch}_enabled": assignment.text}}), self._known)
            elif later or (section in SECTIONS and section not in self._known):
                return section, (key, *path[1:]), loose(assignment.text)
            else:
                layer = self._assigned(assignment)
            [(key, value)] = layer.values["pipeline"].items()  # a switch, wherever it was written
            return "pipeline", (key,), value
        layer = self._assigned(assignment)
        values = layer.values[section]
        own = PipelineSettings if section == "pipeline" else self._stages[section].Config
        model = next(model for model in (own, DrawSettings, SeedSettings) if key in model.model_fields)
        checked = Merged({section: {key: values[key]}}, (layer,), None).validate(section, model)
        value = checked.model_dump(mode="json", by_alias=False)[key]
        for part in path[1:]:
            value = value[part]
        return section, (key, *path[1:]), value


def _is_read(key: str, stages: Mapping[str, type[Stage]]) -> bool:
    """Whether the plan reads ``pipeline.<key>``."""
    if key.startswith(GLOBAL_NEGATIVE):
        return key.removeprefix(GLOBAL_NEGATIVE) in stages
    return key in PipelineSettings.model_fields or key.removesuffix("_enabled") in stages


def used_settings(
    pipeline: Pipeline, stages: Iterable[str], *, count: int | None = None, seed: int | None = None
) -> dict[str, dict[str, JsonValue]]:
    """What ``pipeline`` used, as a preset that gives the same again: for the run's record, and for the layer
    "last run".

    Complete: every setting of the stages that run and every switch, defaults included, so that laid over any
    preset it gives the same images a row. Without seeds that were drawn, and without ``randomization``, which
    belongs to the pack. ``count`` and ``seed`` are those of the command line.
    """
    first = pipeline.stages[0].stage.name
    used: dict[str, dict[str, JsonValue]] = {}
    for planned in pipeline.stages:
        config = planned.config.model_dump(mode="json", by_alias=False)
        config.pop("seed", None)
        own = (pipeline.seed if seed is None else seed) if planned.stage.name == first else planned.seed
        used[planned.stage.name] = {**config, **({"seed": own} if own >= 0 else {})}
    size, batches = pipeline.batch if count is None else (1, 1)
    used[first] |= {"batch_size": size, "batch_count": batches}
    flags = {f"{GLOBAL_NEGATIVE}{name}": False for name in stages}
    known = (*PipelineSettings.model_fields, *flags)
    used["pipeline"] = flags | {
        key: value for key, value in pipeline.switches.items() if key in known or key.endswith("_enabled")
    }
    if count is not None:
        used["pipeline"]["images_per_prompt"] = count
    return used


def known_settings(stages: Mapping[str, type[Stage]]) -> Known:
    """Everything that may stand in each section: a stage's own fields, and before them what the plan reads."""
    known: dict[str, Mapping[str, FieldInfo]] = {"pipeline": PipelineSettings.model_fields}
    for name, stage in stages.items():
        planned = DrawSettings if stage.phase is Phase.GENERATE else SeedSettings
        known[name] = {**planned.model_fields, **stage.Config.model_fields}
    return known


def _randomized_by(layers: Sequence[Plain]) -> str:
    """The highest layer that has the section: a file, if one does, as ``--set`` names its own."""
    found = [layer.source for layer in reversed(layers) if RANDOMIZATION in layer.values]
    return next((source for source in found if source not in (SET, AXIS)), found[0] if found else "")


def _enabled(
    settings: Merged, post_processors: Sequence[str], stages: Mapping[str, type[Stage]]
) -> frozenset[str]:
    switches = {
        key.removesuffix("_enabled"): value
        for key, value in settings.values.get("pipeline", {}).items()
        if key.endswith("_enabled")
    }
    enabled = {name for name, on in switches.items() if on}
    for name in sorted(enabled - set(stages)):
        where = settings.where("pipeline", f"{name}_enabled").rstrip(": ")
        raise UserError(
            f"{where} enables stage {name!r}, which no plugin provides; known: {', '.join(sorted(stages))}; "
            f"install its plugin, or add --set pipeline.{name}_enabled=false"
        )
    for name in post_processors:
        if name in stages and stages[name].phase is not Phase.POST:
            raise UserError(
                f"{settings.where('pipeline', 'post_processors')}pipeline.post_processors: {name} is no "
                f"post-processor; turn it on with pipeline.{name}_enabled"
            )
    makes = any(stages[name].phase is Phase.GENERATE for name in enabled)
    if not makes and DEFAULT_STAGE in stages and DEFAULT_STAGE not in switches:
        enabled.add(DEFAULT_STAGE)
    return frozenset(enabled)
