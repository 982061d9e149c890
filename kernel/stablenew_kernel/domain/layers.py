"""Layers of settings in one form: each setting under its first name, each switch in one place, each knowing
where it was written; and ``--set`` as one more of them. What a section may hold is told by :data:`Known`."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue
from stablenew_api.stage import Stage
from stablenew_kernel.domain.jsontext import kind_of
from stablenew_kernel.domain.keys import GLOBAL_NEGATIVE, NOT_STAGES, NOT_YET, SECTIONS
from stablenew_kernel.domain.presets import AXIS, RANDOMIZATION, SET, Assignment, Layer, copied
from stablenew_kernel.domain.profiles import Profile
from stablenew_kernel.domain.randomizer.settings import randomization_set
from stablenew_kernel.domain.words import closest, explain, near

_M = TypeVar("_M", bound=BaseModel)

Known = Mapping[str, Mapping[str, FieldInfo]]
"""The settings of each section that something reads: of every stage there is, and of ``pipeline``."""

DEFAULT = "default"
"""Source of a setting that no layer has."""

DEFAULT_STAGE = "txt2img"
"""Runs when no other generating stage is on and nobody turned it off."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting, what it is, and why."""

    name: str
    """``txt2img.steps``"""
    value: JsonValue
    """What the jobs carry."""
    source: str
    """``preset full.json``; :data:`DEFAULT` where no layer has it."""
    place: str = ""
    """In that file: ``line 3, column 5``."""
    title: str = ""
    """For people; empty: no plugin knows this setting."""
    used: bool = True
    """Whether a stage that runs reads it, or the plan."""
    below: tuple[tuple[str, JsonValue], ...] = ()
    """``(source, value)`` of each layer under it, the highest first."""

    def under(self, value: JsonValue, source: str) -> Setting:
        """With one more on top."""
        below = ((self.source, self.value), *self.below)
        return replace(self, value=value, source=source, place="", below=below)


@dataclass(frozen=True, slots=True)
class Plain(Layer):
    """A layer in one form, which remembers how it was written."""

    raw: Layer
    written: Mapping[tuple[str, str], tuple[str, str]]
    """Section and field here, to section and key in the file."""

    def where(self, *keys: str) -> str:
        """Of the setting as it was written."""
        return self.raw.where(*self._written(keys))

    def place(self, *keys: str) -> str:
        """Of the setting as it was written."""
        return self.raw.place(*self._written(keys))

    def _written(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        return self.written.get((keys[0], keys[1]), keys) if len(keys) == 2 else keys


@dataclass(frozen=True, slots=True)
class Merged:
    """Merged settings, and the layers that they come from."""

    values: Mapping[str, Mapping[str, JsonValue]]
    layers: Sequence[Plain]
    """Lowest first, less the defaults."""
    profile: Profile | None

    def having(self, section: str, key: str) -> Iterable[Plain]:
        """The layers that have a setting, the highest first."""
        return (layer for layer in reversed(self.layers) if key in layer.values.get(section, {}))

    def where(self, section: str, key: str) -> str:
        """The beginning of an error text about a setting."""
        return next((layer.where(section, key) for layer in self.having(section, key)), "")

    def setting(
        self, section: str, key: str, value: JsonValue, info: FieldInfo | None, *, used: bool = True
    ) -> Setting:
        """The explanation of a setting that came out as ``value``."""
        layers = list(self.having(section, key))
        given = [(layer.source, copied(layer.values[section][key])) for layer in layers]
        if info is not None and not info.is_required():
            given.append((DEFAULT, to_jsonable_python(info.get_default(call_default_factory=True))))
        elif section == "pipeline" and key.endswith("_enabled"):
            given.append((DEFAULT, key == f"{DEFAULT_STAGE}_enabled"))
        elif section == "pipeline" and key.startswith(GLOBAL_NEGATIVE):
            given.append((DEFAULT, False))
        top = given[0][0] if given else DEFAULT
        place = layers[0].place(section, key) if layers else ""
        title = (info.title or key.replace("_", " ").capitalize()) if info is not None else ""
        return Setting(f"{section}.{key}", value, top, place, title, used, tuple(given[1:]))

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
        name = ".".join((section, field or "", *path[1:])).rstrip(".")
        reason = explain(first, _info_at(model, [field, *path[1:]]))
        raise UserError(f"{self.where(section, field) if field else ''}{name}: {reason}") from error


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


def _known_names(section: str, known: Known) -> Iterable[tuple[tuple[str, ...], bool]]:
    """Each setting of a section: its names, the first one first, and whether null is a value of it."""
    for name, info in known.get(section, {}).items():
        yield _names(name, info), NoneType in _members(info.annotation)
    for names in NOT_YET.get(section, ()):
        yield names, False


def find_field(stage: type[Stage], name: str) -> tuple[str, FieldInfo] | None:
    """The setting of ``stage`` that files may call ``name``: its first name, and what it takes. None: there is
    none."""
    for field_name, info in stage.Config.model_fields.items():
        if name in _names(field_name, info):
            return field_name, info
    return None


def names_of(section: str, key: str, known: Known) -> tuple[str, ...]:
    """All names of a setting, the one that is written first; ``key`` alone where nothing knows it."""
    return next((names for names, _ in _known_names(section, known) if key in names), (key,))


def canonical(layer: Layer, known: Known) -> Plain:
    """The layer with each field under its first name, and every switch as ``pipeline.<stage>_enabled``.

    Done before layers meet: else an old name in a high layer would lose against a new name in a low one.
    """
    sections: dict[str, dict[str, JsonValue]] = {}
    switches: dict[str, bool] = {}
    written: dict[tuple[str, str], tuple[str, str]] = {}
    for section, values in layer.values.items():
        if not isinstance(values, Mapping):
            if values is not None and (section in known or section in SECTIONS):
                where = layer.where(section)
                raise UserError(
                    f"{where}section {section} must be an object of settings, not {kind_of(values)}"
                )
            continue
        fields: dict[str, JsonValue] = copied(values)
        if section == "pipeline":
            for key in [key for key in fields if key.endswith("_enabled")]:
                if (value := fields.pop(key)) is not None:
                    switches[key] = _switch(layer, section, key, value)
            for key in [key for key in fields if key.startswith(GLOBAL_NEGATIVE)]:
                if (value := fields.pop(key)) is not None:
                    fields[key] = _switch(layer, section, key, value)
        elif section not in NOT_STAGES:
            for key in (f"{section}_enabled", "enabled"):
                if (value := fields.pop(key, None)) is not None:
                    on = _switch(layer, section, key, value)
                    name = f"{section}_enabled"
                    if _pipeline_of(layer).get(name) is None and name not in switches:
                        switches[name] = on
                        written["pipeline", name] = (section, key)
        for names, nullable in _known_names(section, known):
            found = [key for key in names if key in fields]
            if found:
                key = next((key for key in found if fields[key] is not None), found[0])
                value = fields[key]
                for other in found:
                    del fields[other]
                if value is not None or nullable:
                    fields[names[0]] = value
                    written[section, names[0]] = (section, key)
        sections[section] = fields
    pipeline = sections.get("pipeline", {})
    listed = pipeline.get("post_processors", ())
    if isinstance(listed, (list, tuple)):
        for name in listed:
            if f"{name}_enabled" not in switches:
                switches[f"{name}_enabled"] = True
                written["pipeline", f"{name}_enabled"] = ("pipeline", "post_processors")
    if switches:
        sections["pipeline"] = {**pipeline, **switches}
    return Plain(layer.source, sections, layer, written)


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
    raise UserError(f"{layer.where(section, key)}{section}.{key}: {value!r} is not true or false")


# --- --set ---------------------------------------------------------------------------------------------------


def assigned(
    assignment: Assignment, known: Known, switches: Collection[str]
) -> dict[str, dict[str, JsonValue]]:
    """The layer that one ``--set`` is. ``switches`` are names that lower layers turn on or off."""
    section, field = assignment.section, assignment.path[0]
    if section == RANDOMIZATION:
        return {section: randomization_set(assignment.path, assignment.text, assignment.shown)}
    if section not in known:
        near_by = near(section, [*known, RANDOMIZATION])
        raise UserError(f"{assignment.shown}: there is no section {section!r}; {near_by}")
    stages = [name for name in known if name != "pipeline"]
    on_off = (
        [f"{name}_enabled" for name in stages] if section == "pipeline" else ["enabled", f"{section}_enabled"]
    )
    turns_on = field.endswith("_enabled") and assignment.text.lower() in _TRUE
    flags = [f"{GLOBAL_NEGATIVE}{name}" for name in stages] if section == "pipeline" else []
    if field in (*on_off, *flags) or (section == "pipeline" and (field in switches or turns_on)):
        _only_field(assignment)
        return {section: {field: assignment.text}}
    fields = known[section]
    for name, info in fields.items():
        if field in _names(name, info):
            value = _value(assignment, info)
            for part in reversed(assignment.path[1:]):
                value = {part: value}
            return {section: {name: value}}
    if any(field in names for names in NOT_YET.get(section, ())):
        raise UserError(f"{assignment.shown}: no stage that is installed does this yet; see: stablenew plugins")
    raise UserError(
        f"{assignment.shown}: {section} has no setting {field!r}; {near(field, [*fields, *on_off, *flags])}"
    )


def _only_field(assignment: Assignment) -> None:
    if len(assignment.path) > 1:
        raise UserError(f"{assignment.shown}: {assignment.path[0]} holds one value, nothing below it")


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
        return loose(text)
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
            raise UserError(f"{assignment.shown}: {text!r} is no JSON ({error})") from error
    return text


def loose(text: str) -> JsonValue:
    try:
        return json.loads(text)
    except ValueError:
        return text


# --- what is not used ----------------------------------------------------------------------------------------


def unused(layers: Sequence[Plain], merged: Mapping[str, Any], known: Known) -> Iterable[tuple[str, str]]:
    """What of the layers has no effect: the stage whose it is (empty: it matters whatever runs), and a text."""
    for layer in layers:
        if layer.source == SET:
            yield from _idle_sets(layer, merged, known)
        if layer.source in (SET, AXIS):
            continue
        for section, values in layer.values.items():
            if section not in known and section not in SECTIONS:
                yield "", f"{layer.where(section)}section {section!r} belongs to no stage; ignored"
            if section not in known:
                continue
            fields = known[section]
            later = {names[0] for names in NOT_YET.get(section, ())}
            unknown, not_yet = [], []
            for key, value in values.items():
                is_switch = section == "pipeline" and key.endswith("_enabled")
                if key in fields or is_switch or _idle(value):
                    continue
                if f"{section}.{key}" == _LOOPS:
                    if value not in (1, "1"):
                        yield "", f"{layer.where(section, key)}{_LOOPS} {value!r} is ignored, {_ONE_LOOP}"
                    continue
                if key in later:
                    not_yet.append(f"{section}.{key}")
                elif key.removeprefix(GLOBAL_NEGATIVE) not in (*known, *SECTIONS):
                    names = [*fields, *later, *(f"{GLOBAL_NEGATIVE}{name}" for name in known)]
                    help_ = "; ".join(part for part in (layer.place(section, key), closest(key, names)) if part)
                    unknown.append(f"{section}.{key}{f' ({help_})' if help_ else ''}")
            owner = "" if section == "pipeline" else section
            if unknown:
                yield owner, f"{layer.source}: unknown settings, ignored: {_listed(unknown)}"
            if not_yet:
                yield owner, f"{layer.source}: no stage does this yet, ignored: {_listed(not_yet)}"


def _idle_sets(layer: Plain, merged: Mapping[str, Any], known: Known) -> Iterator[tuple[str, str]]:
    """What ``--set`` asks for that has no effect, as another setting is off. Files are full of such settings:
    theirs are not told."""
    for section, values in layer.values.items():
        for key, value in values.items():
            info = known.get(section, {}).get(key)
            marks = info.json_schema_extra if info is not None else None
            master, _, wanted = str(marks.get("only_with", "") if isinstance(marks, dict) else "").partition(
                "="
            )
            if not master or _off(value) or (owner := known[section].get(master)) is None:
                continue
            found = merged.get(section, {}).get(master, owner.get_default(call_default_factory=True))
            if found != wanted if wanted else _off(found):
                shown = f"{section}.{master}"
                hint = f"is not {wanted}" if wanted else "is off"
                yield section, f"{SET} {section}.{key} has no effect, as {shown} {hint}"


def _off(value: JsonValue) -> bool:
    """As :func:`_idle`, of a value as it was typed, too."""
    return _idle(loose(value) if isinstance(value, str) else value)


_LISTED = 8

_LOOPS = "pipeline.loop_count"
"""How often the old program went through its list."""
_ONE_LOOP = "a run goes through the pack once; for more images of each row use --count"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{', '.join(names[:_LISTED])}{more}"


def _idle(value: JsonValue) -> bool:
    """Whether a setting asks for nothing, so that ignoring it loses nothing."""
    return value in (None, False, 0, -1, "", "None", [], {})
