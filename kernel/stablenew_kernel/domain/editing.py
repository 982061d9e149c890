"""Changes to presets and profiles, and what differs between two of them. Pure: a file in, another one out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue
from stablenew_kernel.domain.jsontext import JsonFile, new_object
from stablenew_kernel.domain.layers import Known, canonical, loose, names_of
from stablenew_kernel.domain.pipeline import Resolver
from stablenew_kernel.domain.presets import Layer, parse_set, sections_of
from stablenew_kernel.domain.profiles import ProfileSettings
from stablenew_kernel.domain.words import explain, near


def edit_settings(file: JsonFile, sets: Sequence[str], unsets: Sequence[str], resolver: Resolver) -> JsonFile:
    """A preset with ``sets`` (``section.field=value``) in it and without ``unsets`` (``section.field``).

    Values are checked and typed as ``--set`` would; a setting that stands under an old name gets its first one.
    What is not named stays as it was, byte by byte. Raises UserError.
    """
    sections = sections_of(file)
    for text in sets:
        section, path, value = resolver.typed(parse_set(text))
        names = names_of(section, path[0], resolver.known)
        others = [name for name in names if name != path[0]] if len(path) == 1 else []
        file = file.put(sections.path(section, *path), value, instead_of=others)
    for text in unsets:
        section, _, key = text.partition(".")
        values = sections_of(file).get(section)
        here = values if isinstance(values, Mapping) else {}
        given = [name for name in names_of(section, key, resolver.known) if name in here]
        if not given:
            has = [
                f"{name}.{own}" for name, inner in sections.items() if isinstance(inner, dict) for own in inner
            ]
            raise UserError(f"{file.name}: {text} is not set there, so it cannot be unset; {near(text, has)}")
        for name in given:
            file = file.drop(sections.path(section, name))
    return file


def edit_profile(file: JsonFile, sets: Sequence[str], unsets: Sequence[str], resolver: Resolver) -> JsonFile:
    """A profile, changed as :func:`edit_settings` does; ``weight=0.8``, without a section, is the profile's
    own. Raises UserError."""
    own = [text for text in sets if "." not in text.partition("=")[0]]
    for text in own:
        key, equals, value = text.partition("=")
        if not equals or key not in ProfileSettings.model_fields:
            names = ProfileSettings.model_fields
            raise UserError(
                f"--set {text}: write NAME=VALUE or SECTION.FIELD=VALUE; {near(key.strip(), names)}"
            )
        file = file.put([key], _profile_value(key, value.strip()))
    for key in [key for key in unsets if "." not in key]:
        if key not in file.value:
            raise UserError(
                f"{file.name}: {key} is not set there, so it cannot be unset; {near(key, file.value)}"
            )
        file = file.drop([key])
    return edit_settings(
        file, [text for text in sets if text not in own], [key for key in unsets if "." in key], resolver
    )


def _profile_value(key: str, text: str) -> JsonValue:
    info = ProfileSettings.model_fields[key]
    value = text if info.annotation is str else loose(text)
    try:
        checked = ProfileSettings.model_validate({key: value})
    except ValidationError as error:
        raise UserError(f"--set {key}: {explain(error.errors(include_url=False)[0], info)}") from error
    return checked.model_dump(mode="json")[key]


def new_preset(name: str, sections: Mapping[str, JsonValue]) -> JsonFile:
    """A file with ``sections`` in it."""
    file = new_object(name)
    for section, values in sections.items():
        file = file.put([section], values)
    return file


# --- differences ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that two sides have differently."""

    name: str
    """``txt2img.steps``"""
    left: JsonValue
    """None: not set."""
    right: JsonValue


def differences(left: Layer, right: Layer, known: Known) -> tuple[tuple[Difference, ...], int]:
    """What differs, by section in the order of ``left``; and how many settings are equal.

    Old names, and the several ways to turn a stage on, make no difference. Raises UserError for a section that
    is no object.
    """
    one, two = (dict(_flat(canonical(layer, known).values)) for layer in (left, right))
    found = [
        Difference(name, one.get(name), two.get(name))
        for name in dict.fromkeys((*one, *two))
        if not _alike(one.get(name), two.get(name))
    ]
    return tuple(found), len(one.keys() | two.keys()) - len(found)


def _flat(values: Mapping[str, JsonValue], above: str = "") -> Iterable[tuple[str, JsonValue]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        elif value is not None and value != {}:
            yield f"{above}{key}", value


def _alike(left: JsonValue, right: JsonValue) -> bool:
    """7 and 7.0 are alike; 1 and true are not."""
    return left == right and json.dumps(left).isalpha() == json.dumps(right).isalpha()
