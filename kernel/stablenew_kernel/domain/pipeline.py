"""Which stages run, in which order, with which settings: layers of settings in, a validated pipeline out.

The rule for which stages run: a layer turns a stage on or off with ``pipeline.<stage>_enabled``, or with
``enabled`` in the stage's own section; the highest layer that says anything decides.
``pipeline.post_processors`` turns on the stages it lists and gives their order. What nobody speaks of is off,
except txt2img, which runs unless another generating stage is on.

The rule for order is data of the stages: ``phase`` and ``may_follow``.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue
from stablenew_api.stage import Phase, Stage, StageConfig
from stablenew_kernel.domain.presets import Assignment, Layer, overlay, parse_set

_M = TypeVar("_M", bound=BaseModel)

SET = "--set"
"""Source name of the layer of assignments."""

AXIS = "axis"
"""Source name of the top layer: what an axis of the randomizer sets."""

DEFAULT_STAGE = "txt2img"
"""Runs when no other generating stage is on and nobody turned it off."""

_NOT_STAGES = frozenset({"pipeline", "api", "video", "aesthetic", "randomization"})
"""Sections of old files that belong to no stage plugin; no warning is due for them."""


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
    sources: Mapping[str, str]
    """``section.field`` to the layer that it comes from, of all that some layer sets."""


def sequence(
    stages: Mapping[str, type[Stage]], enabled: Collection[str], post_order: Sequence[str] = ()
) -> tuple[str, ...]:
    """Running order of the ``enabled`` stages: by phase; POST stages as in ``post_order``, then by name.

    Raises UserError when nothing is enabled, no generating stage is, or a stage may not follow the one before.
    """
    if not enabled:
        raise UserError("no stage is enabled; turn one on, for example --set txt2img.enabled=true")
    place = {name: index for index, name in enumerate(post_order)}
    order = sorted(enabled, key=lambda name: (stages[name].phase, place.get(name, len(place)), name))
    if stages[order[0]].phase is not Phase.GENERATE:
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


def near(name: str, known: Iterable[str]) -> str:
    """``did you mean X?`` or ``known: A, B``: help for a misspelt name."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known: {', '.join(known) or 'none'}"


def resolve_pipeline(
    layers: Sequence[Layer],
    sets: Sequence[str],
    stages: Mapping[str, type[Stage]],
    overrides: Mapping[str, JsonValue] | None = None,
) -> Pipeline:
    """Lay ``sets`` over ``layers`` (lowest first) over the stages' defaults, and validate what will run.
    ``overrides`` (``section.field`` to value, a text as ``--set`` takes it) lie on top.

    Settings of stages that will not run are validated only where ``sets`` names them, so that an old preset
    with a plugin's leftovers still loads. Raises UserError naming source, field, value and allowed range.
    """
    assignments = [parse_set(text) for text in sets]
    plain = [_canonical(layer, stages) for layer in layers]
    switches = {key for layer in plain for key in layer.values.get("pipeline", {}) if key.endswith("_enabled")}
    for assignment in assignments:
        plain.append(_canonical(Layer(SET, _assigned(assignment, stages, switches)), stages))
    for name, value in (overrides or {}).items():
        section, _, key = name.partition(".")
        text = Assignment(section, (key,), value) if isinstance(value, str) else None
        values = _assigned(text, stages, switches) if text else {section: {key: value}}
        plain.append(_canonical(Layer(AXIS, values), stages))
    merged = overlay({}, *(layer.values for layer in plain))
    origins = {
        (section, key): layer.source
        for layer in plain
        for section, fields in layer.values.items()
        for key in fields
    }
    settings = _Settings(merged, origins)

    pipeline = settings.validate("pipeline", PipelineSettings)
    enabled = _enabled(settings, pipeline.post_processors, stages)
    order = sequence(stages, enabled, pipeline.post_processors)

    for name in {assignment.section for assignment in assignments} - {"pipeline"} - set(order):
        settings.validate(name, stages[name].Config)
    planned = [
        PlannedStage(
            stages[name],
            settings.validate(name, stages[name].Config),
            settings.validate(name, SeedSettings).seed if stages[name].phase is not Phase.GENERATE else -1,
        )
        for name in order
    ]
    draw = settings.validate(order[0], DrawSettings)
    return Pipeline(
        tuple(planned),
        pipeline.images_per_prompt * draw.batch_size * draw.batch_count,
        draw.seed,
        pipeline.filename_pattern,
        settings.values.get("randomization", {}),
        next((layer.source for layer in reversed(plain) if "randomization" in layer.values), ""),
        tuple(_warnings(plain, assignments, order, stages)),
        pipeline,
        {f"{section}.{key}": source for (section, key), source in origins.items()},
    )


def find_field(stage: type[Stage], name: str) -> tuple[str, FieldInfo] | None:
    """The setting of ``stage`` that files may call ``name``: its first name, and what it takes. None: there is
    none."""
    for field_name, info in stage.Config.model_fields.items():
        if name in _names(field_name, info):
            return field_name, info
    return None


@dataclass(frozen=True, slots=True)
class _Settings:
    """Merged settings that remember where each field came from."""

    values: Mapping[str, Mapping[str, JsonValue]]
    origins: Mapping[tuple[str, str], str]

    def validate(self, section: str, model: type[_M]) -> _M:
        """The section as ``model``. Raises UserError naming source, field, value and range."""
        values = self.values.get(section, {})
        if model.model_config.get("extra") != "allow":
            values = {key: value for key, value in values.items() if key in model.model_fields}
        try:
            return model.model_validate(values)
        except ValidationError as error:
            self._refuse(section, model, error)

    def _refuse(self, section: str, model: type[BaseModel], error: ValidationError) -> NoReturn:
        first = error.errors(include_url=False)[0]
        path = [str(part) for part in first["loc"]]
        field = _field_of(model, path[0]) if path else ""
        source = self.origins.get((section, field), "") if field else ""
        name = ".".join((section, field or "", *path[1:])).rstrip(".")
        reason = explain(first, _info_at(model, [field, *path[1:]]))
        raise UserError(
            f"{source}{' ' if source == SET else ': ' if source else ''}{name}: {reason}"
        ) from error


def _field_of(model: type[BaseModel], key: str) -> str:
    for name, info in model.model_fields.items():
        if key in _names(name, info):
            return name
    return key


def _info_at(model: type[BaseModel], path: Sequence[str]) -> FieldInfo | None:
    """The field at ``path``, through nested models; None where there is no such field."""
    info = model.model_fields.get(path[0]) if path else None
    if info is None or len(path) == 1:
        return info
    for member in _members(info.annotation):
        if isinstance(member, type) and issubclass(member, BaseModel):
            return _info_at(member, path[1:])
    return None


def _names(name: str, info: FieldInfo) -> tuple[str, ...]:
    """The field's name and its aliases, as written in files."""
    aliases: list[str] = [name]
    choices = (
        info.validation_alias.choices
        if isinstance(info.validation_alias, AliasChoices)
        else [info.validation_alias]
    )
    aliases.extend(choice for choice in (*choices, info.alias) if isinstance(choice, str))
    return tuple(dict.fromkeys(aliases))


# --- layers in one form --------------------------------------------------------------------------------------


def _fields(section: str, stages: Mapping[str, type[Stage]]) -> dict[str, FieldInfo]:
    """Everything that may stand in a section: the stage's own fields first, then what the plan reads."""
    if section == "pipeline":
        return dict(PipelineSettings.model_fields)
    if section not in stages:
        return {}
    stage = stages[section]
    planned = DrawSettings if stage.phase is Phase.GENERATE else SeedSettings
    return {**planned.model_fields, **stage.Config.model_fields}


def _canonical(layer: Layer, stages: Mapping[str, type[Stage]]) -> Layer:
    """The layer with each field under its first name, and every switch as ``pipeline.<stage>_enabled``.

    Done before layers meet: else an old name in a high layer would lose against a new name in a low one.
    """
    sections: dict[str, dict[str, JsonValue]] = {}
    switches: dict[str, bool] = {}
    for section, values in layer.values.items():
        if not isinstance(values, Mapping):
            if section in stages or section == "pipeline":
                raise UserError(
                    f"{layer.source}: section {section} must be an object of settings, not {values!r}"
                )
            continue
        fields = dict(values)
        if section == "pipeline":
            for key in [key for key in fields if key.endswith("_enabled")]:
                switches[key] = _switch(layer, section, key, fields.pop(key))
        elif section not in _NOT_STAGES:
            for key in (f"{section}_enabled", "enabled"):
                if key in fields:
                    on = _switch(layer, section, key, fields.pop(key))
                    if not isinstance(_pipeline_of(layer).get(f"{section}_enabled"), bool):
                        switches.setdefault(f"{section}_enabled", on)
        for name, info in _fields(section, stages).items():
            found = [key for key in _names(name, info) if key in fields]
            if found:
                value = fields[found[0]]
                for key in found:
                    del fields[key]
                if value is not None or NoneType in _members(info.annotation):
                    fields[name] = value
        sections[section] = fields
    pipeline = sections.get("pipeline", {})
    listed = pipeline.get("post_processors", ())
    if isinstance(listed, (list, tuple)):
        for name in listed:
            switches.setdefault(f"{name}_enabled", True)
    if switches:
        sections["pipeline"] = {**pipeline, **switches}
    return Layer(layer.source, sections)


def _pipeline_of(layer: Layer) -> Mapping[str, JsonValue]:
    pipeline = layer.values.get("pipeline", {})
    return pipeline if isinstance(pipeline, Mapping) else {}


_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def _switch(layer: Layer, section: str, key: str, value: JsonValue) -> bool:
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    mark = " " if layer.source == SET else ": "
    raise UserError(f"{layer.source}{mark}{section}.{key}: {value!r} is not true or false")


def _enabled(
    settings: _Settings, post_processors: Sequence[str], stages: Mapping[str, type[Stage]]
) -> frozenset[str]:
    switches = {
        key.removesuffix("_enabled"): value
        for key, value in settings.values.get("pipeline", {}).items()
        if key.endswith("_enabled")
    }
    enabled = {name for name, on in switches.items() if on}
    for name in sorted(enabled - set(stages)):
        source = settings.origins[("pipeline", f"{name}_enabled")]
        raise UserError(
            f"{source} enables stage {name!r}, which no plugin provides; known: {', '.join(sorted(stages))}; "
            f"install its plugin, or add --set pipeline.{name}_enabled=false"
        )
    for name in post_processors:
        if name in stages and stages[name].phase is not Phase.POST:
            raise UserError(
                f"{settings.origins[('pipeline', 'post_processors')]}: pipeline.post_processors: {name} is no "
                f"post-processor; turn it on with pipeline.{name}_enabled"
            )
    makes = any(stages[name].phase is Phase.GENERATE for name in enabled)
    if not makes and DEFAULT_STAGE in stages and DEFAULT_STAGE not in switches:
        enabled.add(DEFAULT_STAGE)
    return frozenset(enabled)


# --- --set ---------------------------------------------------------------------------------------------------


def _assigned(
    assignment: Assignment, stages: Mapping[str, type[Stage]], switches: Collection[str]
) -> dict[str, dict[str, JsonValue]]:
    """The layer that one ``--set`` is. ``switches`` are names that lower layers turn on or off."""
    section, field = assignment.section, assignment.path[0]
    if section != "pipeline" and section not in stages:
        raise UserError(
            f"{SET} {assignment.name}: there is no section {section!r}; {near(section, [*stages, 'pipeline'])}"
        )
    on_off = (
        [f"{name}_enabled" for name in stages] if section == "pipeline" else ["enabled", f"{section}_enabled"]
    )
    turns_on = field.endswith("_enabled") and assignment.text.lower() in _TRUE
    if field in on_off or (section == "pipeline" and (field in switches or turns_on)):
        _only_field(assignment)
        return {section: {field: assignment.text}}
    fields = _fields(section, stages)
    for name, info in fields.items():
        if field in _names(name, info):
            value = _value(assignment, info)
            for part in reversed(assignment.path[1:]):
                value = {part: value}
            return {section: {name: value}}
    raise UserError(
        f"{SET} {assignment.name}: {section} has no setting {field!r}; {near(field, [*fields, *on_off])}"
    )


def _only_field(assignment: Assignment) -> None:
    if len(assignment.path) > 1:
        raise UserError(f"{SET} {assignment.name}: {assignment.path[0]} holds one value, nothing below it")


def _members(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a type: ``int | None`` gives ``(int, NoneType)``."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return tuple(member for part in get_args(annotation) for member in _members(part))
    return (annotation,)


def _value(assignment: Assignment, info: FieldInfo) -> JsonValue:
    """The text of a ``--set`` as a value that the field's own validation takes from there."""
    text, members = assignment.text, _members(info.annotation)
    origins = {get_origin(member) or member for member in members}
    nests = any(
        origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, BaseModel))
        for origin in origins
    )
    if len(assignment.path) > 1:
        if not nests:
            _only_field(assignment)
        return _loose(text)
    if (
        str in origins
        or Literal in origins
        or any(isinstance(o, type) and issubclass(o, Enum) for o in origins)
    ):
        return text
    if NoneType in origins and text.lower() in ("none", "null", ""):
        return None
    many = bool(origins & {list, tuple, set, frozenset, Sequence})
    if many and not text.startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    if many or nests:
        try:
            return json.loads(text)
        except ValueError as error:
            raise UserError(f"{SET} {assignment.name}: {text!r} is no JSON ({error})") from error
    return text


def _loose(text: str) -> JsonValue:
    try:
        return json.loads(text)
    except ValueError:
        return text


# --- plain words ---------------------------------------------------------------------------------------------

_NOT_A = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a text",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "dict": "an object",
    "model": "an object",
}


def explain(error: ErrorDetails, info: FieldInfo | None) -> str:
    """One pydantic error in plain words, with the allowed range if ``info`` tells it."""
    kind, context = error["type"], error.get("ctx", {})
    shown = repr(error["input"])
    shown = shown if len(shown) <= 60 else shown[:59] + "…"
    allowed = allowed_range(info) if info is not None else ""
    within = f" ({allowed})" if allowed else ""
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        return f"{shown} is out of range{within}" if allowed else f"{shown}: {_lower(error['msg'])}"
    if kind == "multiple_of":
        return f"{shown} is not a multiple of {context.get('multiple_of')}{within}"
    if kind in ("literal_error", "enum"):
        return f"{shown} is not one of {context.get('expected')}"
    if kind == "missing":
        return "must be set; it has no default"
    what, _, how = kind.partition("_")
    if what in _NOT_A and how in ("parsing", "type", "from_float", "parsing_size", "attributes_type"):
        return f"{shown} is not {_NOT_A[what]}{within}"
    return f"{shown}: {_lower(error['msg'].removeprefix('Value error, '))}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def allowed_range(info: FieldInfo) -> str:
    """``1 to 150``, ``more than 0, at most 8``, ``at least 1``, or nothing when the field has no limits."""
    limits = {
        name: getattr(item, name)
        for item in info.metadata
        for name in ("ge", "gt", "le", "lt")
        if getattr(item, name, None) is not None
    }
    if "ge" in limits and "le" in limits:
        return f"{limits['ge']} to {limits['le']}"
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    return ", ".join(f"{words[name]} {limits[name]}" for name in words if name in limits)


# --- what is not used ----------------------------------------------------------------------------------------


def _warnings(
    layers: Sequence[Layer],
    assignments: Sequence[Assignment],
    order: Sequence[str],
    stages: Mapping[str, type[Stage]],
) -> Iterable[str]:
    for layer in layers:
        if layer.source in (SET, AXIS):
            continue
        yield from _not_honoured(layer)
        unknown = []
        for section, values in layer.values.items():
            if section not in stages and section not in _NOT_STAGES:
                yield f"{layer.source}: section {section!r} belongs to no stage; ignored"
            elif section in order or section == "pipeline":
                fields = _fields(section, stages)
                unknown += [
                    f"{section}.{key}"
                    for key, value in values.items()
                    if key not in fields
                    and not key.endswith("_enabled")
                    and not _idle(value)
                    and f"{section}.{key}" != _LOOPS
                ]
        if unknown:
            more = f" and {len(unknown) - _LISTED} more" if len(unknown) > _LISTED else ""
            yield f"{layer.source}: unknown settings, ignored: {', '.join(unknown[:_LISTED])}{more}"
    for name in dict.fromkeys(assignment.section for assignment in assignments):
        if name == "pipeline" or name in order:
            continue
        idle = [a.name for a in assignments if a.section == name and not a.path[0].endswith("enabled")]
        if idle:
            yield f"{SET} {', '.join(idle)}: no effect, {name} is not enabled; add --set {name}.enabled=true"


_LISTED = 8

_LOOPS = "pipeline.loop_count"
"""How often the old program went through its list; said in words of its own."""


def _not_honoured(layer: Layer) -> Iterable[str]:
    loops = _pipeline_of(layer).get("loop_count", 1)
    if loops not in (None, "", 0, 1, "1"):
        yield (
            f"{layer.source}: {_LOOPS} {loops!r} is ignored, a run goes through the pack once; for more images "
            "of each row use --count"
        )


def _idle(value: JsonValue) -> bool:
    """Whether a setting asks for nothing, so that ignoring it loses nothing."""
    return value in (None, False, 0, -1, "", "None", [], {})
