"""Profiles: what is known about a model or a LoRA, in ``profiles/NAME.profile.json`` of the data folder.

A model's profile recommends settings, which lie just above the defaults of the stages; a LoRA's recommends a
weight. Either may have trigger words, which are added to prompts only if the profile says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue
from stablenew_api.models import model_hash, model_name
from stablenew_kernel.domain.jsontext import parse_object
from stablenew_kernel.domain.presets import Layer, Sections
from stablenew_kernel.domain.words import explain

ENDING = ".profile.json"


class ProfileSettings(BaseModel):
    """What a profile says beside its sections of settings."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Literal["model", "lora"] = Field(
        "model", description="What it describes. Not given: `lora` if there is a weight, else `model`."
    )
    description: str = Field("", description="For people.")
    sha256: str = Field("", description="Of the model's file: finds it under any name that tells its hash.")
    hash: str = Field("", description="The short hash that WebUIs show in brackets, likewise.")
    trigger_words: tuple[str, ...] = Field(
        (), description="Words that it was trained on: a list, or a text with commas."
    )
    add_trigger_words: bool = Field(
        False, description="Whether trigger words that a prompt lacks are added to it."
    )
    weight: float | None = Field(
        None, ge=-10, le=10, description="Of a LoRA: taken for `<lora:NAME>` without a weight."
    )

    @field_validator("sha256", "hash")
    @classmethod
    def _is_hex(cls, value: str) -> str:
        if value and not re.fullmatch("[0-9A-Fa-f]{8,64}", value):
            raise ValueError("must be 8 to 64 hex digits")
        return value

    @field_validator("trigger_words", mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, (list, tuple)):
            return value
        return tuple(part.strip() if isinstance(part, str) else part for part in parts if part != "")


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """A profile, read and checked."""

    name: str
    """Of the model or LoRA: the file's name without its ending."""
    settings: ProfileSettings
    layer: Layer
    """Its sections, without a model of their own: which model runs decides which profile is read."""
    warnings: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """``sdxl.profile.json``"""
        return self.layer.source.removeprefix("profile ")

    @property
    def is_lora(self) -> bool:
        """Whether it is about a LoRA."""
        return self.settings.kind == "lora"


def parse_profile(file_name: str, data: bytes) -> Profile:
    """The profile in ``data``, the content of ``NAME.profile.json``.

    Unknown keys are kept in the file and have no effect. Raises UserError with line, column and what is wrong.
    """
    source = f"profile {file_name}"
    file = parse_object(source, data)
    try:
        settings = ProfileSettings.model_validate(
            {key: value for key, value in file.value.items() if value is not None}
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0])
        reason = explain(first, ProfileSettings.model_fields[key])
        raise UserError(f"{source}, {file.place([key])}: {key}: {reason}") from error
    if settings.weight is not None and "kind" not in file.value:
        settings = settings.model_copy(update={"kind": "lora"})
    sections = {key: value for key, value in file.value.items() if isinstance(value, Mapping)}
    warnings = []
    if settings.kind == "lora" and sections:
        warnings.append(f"{source}: settings in the profile of a LoRA have no effect: {', '.join(sections)}")
        sections = {}
    if isinstance(own := sections.get("txt2img"), dict) and (keys := {"model", "model_name"} & own.keys()):
        where = file.place(["txt2img", min(keys)])
        warnings.append(f"{source}, {where}: a profile does not choose the model; ignored: txt2img.{min(keys)}")
        sections = {**sections, "txt2img": {key: own[key] for key in own if key not in keys}}
    layer = Layer(source, Sections(sections, file))
    return Profile(file_name[: -len(ENDING)], settings, layer, tuple(warnings))


def key_of(name: str) -> str:
    """What a model is known by: ``SDXL\\Juggernaut.safetensors [dd08fa32f9]`` is ``juggernaut``."""
    return model_name(name).casefold()


@dataclass(frozen=True, slots=True)
class Added:
    """What a profile did to a prompt."""

    profile: str
    weight: float | None
    """Given to a LoRA that had none; None: not given."""
    words: tuple[str, ...]
    """Added at the end of the prompt."""

    def __or__(self, other: Added) -> Added:
        """Both, of one profile."""
        weight = self.weight if self.weight is not None else other.weight
        return Added(self.profile, weight, tuple(dict.fromkeys((*self.words, *other.words))))

    def to_json(self) -> dict[str, JsonValue]:
        """For the provenance of a job."""
        return {"profile": self.profile, "weight": self.weight, "words": list(self.words)}

    def __str__(self) -> str:
        parts = []
        if self.weight is not None:
            parts.append(f"weight {self.weight:g} where the prompt gives none")
        if self.words:
            parts.append(f"trigger words added: {', '.join(self.words)}")
        return f"profile {self.profile}: {'; '.join(parts)}"


@dataclass(frozen=True, slots=True, eq=False)
class Profiles:
    """The profiles of a data folder."""

    known: tuple[Profile, ...] = ()
    broken: Mapping[str, str] = field(default_factory=dict)
    """Files that cannot be read, by name, and why: an error for a run that would need one of them."""

    def __bool__(self) -> bool:
        return bool(self.known or self.broken)

    def model(self, name: str) -> Profile | None:
        """The profile of the model ``name``: by the hash that the name carries, else by the name, without
        folder and ending, in any case. Raises UserError for a profile that cannot be read, or two that fit."""
        digest = model_hash(name)
        models = [profile for profile in self.known if not profile.is_lora]
        fits = [profile for profile in models if digest and _has_hash(profile.settings, digest)]
        return self._one(name, fits or [profile for profile in models if key_of(profile.name) == key_of(name)])

    def lora(self, name: str) -> Profile | None:
        """The profile of the LoRA ``name``. Raises as :meth:`model`."""
        fits = [profile for profile in self.known if profile.is_lora and key_of(profile.name) == key_of(name)]
        return self._one(name, fits)

    def _one(self, name: str, fits: list[Profile]) -> Profile | None:
        if len(fits) > 1:
            names = " and ".join(profile.file_name for profile in fits)
            raise UserError(f"{name}: two profiles fit, {names}; keep one of them: stablenew profile delete")
        if not fits:
            for file_name, problem in self.broken.items():
                if key_of(file_name[: -len(ENDING)]) == key_of(name):
                    raise UserError(problem)
        return fits[0] if fits else None

    def adjust(self, prompt: str, model: Profile | None) -> tuple[str, tuple[Added, ...]]:
        """``prompt``, with the weight that its LoRAs lack and with trigger words that it lacks; and what was
        done. ``model``: the profile of the model that draws it. Raises as :meth:`lora`."""
        if not self or (model is None and "<lora:" not in prompt.casefold()):
            return prompt, ()
        return _adjust(self, prompt, model)


NO_PROFILES = Profiles()
"""Of a data folder that has none."""


def _has_hash(settings: ProfileSettings, digest: str) -> bool:
    own = [text.casefold() for text in (settings.sha256, settings.hash) if text]
    return any(text.startswith(digest) or digest.startswith(text) for text in own)


_LORA = re.compile(r"<lora:\s*([^<>:]+?)\s*(:[^<>]*)?>", re.IGNORECASE)


def loras_in(text: str) -> Iterable[str]:
    """Names of the LoRAs that ``text`` asks for."""
    return dict.fromkeys(found[1] for found in _LORA.finditer(text))


@lru_cache(maxsize=256)  # the images of a row share their prompt
def _adjust(profiles: Profiles, prompt: str, model: Profile | None) -> tuple[str, tuple[Added, ...]]:
    weights: dict[str, float] = {}

    def weigh(found: re.Match[str]) -> str:
        profile = profiles.lora(found[1])
        if (found[2] or "").strip(": ") or profile is None or profile.settings.weight is None:
            return found[0]
        weights[profile.name] = profile.settings.weight
        return f"<lora:{found[1]}:{profile.settings.weight:g}>"

    text = _LORA.sub(weigh, prompt)
    asked = [profile for name in loras_in(prompt) if (profile := profiles.lora(name)) is not None]
    done = []
    for profile in dict.fromkeys([*asked, *([model] if model is not None else [])]):
        words = [word for word in profile.settings.trigger_words if word and not _has_word(text, word)]
        words = words if profile.settings.add_trigger_words else []
        if words:
            text = ", ".join(part for part in (text.rstrip().rstrip(","), *words) if part)
        weight = weights.get(profile.name) if profile.is_lora else None
        if words or weight is not None:
            done.append(Added(profile.file_name, weight, tuple(words)))
    return text, tuple(done)


def _has_word(text: str, word: str) -> bool:
    plain = _LORA.sub(" ", text)  # the name of a LoRA is no word of the prompt
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", plain, re.IGNORECASE) is not None
