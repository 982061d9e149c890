"""Stage cards: what a stage's schema says of its settings, and what a value of one may be. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from stablenew_api.jobs import JsonValue
from stablenew_api.models import model_name
from stablenew_plugins.desktop.text import _, many

if TYPE_CHECKING:
    from stablenew_proto.v1 import agent_link_pb2 as link
    from stablenew_proto.v1 import kernel_pb2 as pb

Kind = Literal[
    "switch",
    "whole",
    "number",
    "seed",
    "text",
    "lines",
    "colour",
    "option",
    "choice",
    "choices",
    "list",
    "json",
]
"""How a setting is edited: ``option`` is one of a fixed list, ``choice`` one of what nodes have, ``choices``
and ``list`` several texts, ``lines`` a long text, ``json`` all that has no field of its own."""

_LARGEST_SLIDER = 2**31 - 1
"""What Dear PyGui's sliders hold; beyond it a whole number is typed."""

_FILES = frozenset(
    {"models", "vaes", "upscalers", "hires_upscalers", "loras", "embeddings", "hypernetworks", "detectors"}
)
"""Lists whose names are files: compared without folder, ending and hash, as the kernel does."""

_NONE: tuple[JsonValue, ...] = (None, False, 0, -1, "", "None", [], {})
"""Values that ask for nothing."""


@dataclass(frozen=True, slots=True)
class Field:
    """A setting of a stage."""

    stage: str
    key: str
    title: str
    kind: Kind
    default: JsonValue
    help: str = ""
    least: float | None = None
    most: float | None = None
    is_above: bool = False
    """Whether a value must be above :attr:`least`, not only reach it."""
    step: float = 0
    """Values are multiples of it; 0: any."""
    options: tuple[str, ...] = ()
    choices: str = ""
    """The list of a node that values come from."""
    unit: str = ""
    advanced: bool = False
    master: str = ""
    """The setting without which this one has no effect; empty: none."""
    wanted: str = ""
    """The value that it must have; empty: any that asks for something."""
    shortest: int = 0
    longest: int = 0
    """Characters; 0: as many as one likes."""
    pattern: str = ""
    takes_text: bool = False
    """Of a ``json``: whether a text is taken, too."""

    @property
    def name(self) -> str:
        """``txt2img.steps``"""
        return f"{self.stage}.{self.key}"

    @property
    def is_ranged(self) -> bool:
        """Whether a slider shows it: a number with two ends that are not too far apart."""
        if self.kind not in ("whole", "number") or self.least is None or self.most is None:
            return False
        return self.most - self.least <= 5_000 or self.kind == "number"

    @property
    def digits(self) -> int:
        """Behind the point, as many as a person wants to set."""
        if self.kind != "number" or self.least is None or self.most is None:
            return 2
        return 2 if self.most - self.least <= 10 else 1

    def rounded(self, value: float) -> JsonValue:
        """A number as a slider gives it, as one that the stage takes: in range, a multiple, few digits."""
        if self.kind == "number":
            value = round(value, self.digits)
            if self.least is not None and self.is_above and value <= self.least:
                value = self.least + 10**-self.digits
            return value
        whole = round(value)
        if self.step:
            step = round(self.step)
            whole = round(value / step) * step
            if self.least is not None and whole < self.least:
                whole += step
            if self.most is not None and whole > self.most:
                whole -= step
        return whole

    def is_active(self, values: Mapping[str, JsonValue]) -> bool:
        """Whether it has an effect, as ``values`` of its stage (by key) are."""
        if not self.master or self.master not in values:
            return True
        found = values[self.master]
        return str(found) == self.wanted if self.wanted else found not in _NONE


@dataclass(frozen=True, slots=True)
class Group:
    """Settings that another one turns on: the hires pass, the refiner."""

    master: Field
    fields: tuple[Field, ...]

    @property
    def is_switch(self) -> bool:
        """Whether the master is on or off; else it is a name, or none."""
        return self.master.kind == "switch"


@dataclass(frozen=True, slots=True)
class Card:
    """A stage as it is shown."""

    name: str
    title: str
    phase: str
    plugin: str = ""
    help: str = ""
    fields: tuple[Field, ...] = ()
    groups: tuple[Group, ...] = field(default=())
    """Settings that are turned on together; theirs are not among :attr:`plain`."""

    @property
    def is_post(self) -> bool:
        """Whether its place in the pipeline is the person's choice."""
        return self.phase == "post"

    @property
    def plain(self) -> Sequence[Field]:
        """Settings that are in no group."""
        grouped = {one.key for group in self.groups for one in (group.master, *group.fields)}
        return [one for one in self.fields if one.key not in grouped]

    def by_key(self, key: str) -> Field | None:
        """The setting called ``key``."""
        return next((one for one in self.fields if one.key == key), None)


# --- from the schema -----------------------------------------------------------------------------------------

PROMOTED = frozenset({"txt2img.refiner_checkpoint"})
"""Groups that are shown although their master is marked as advanced."""


def card_of(stage: pb.Stage) -> Card:
    """The card of a stage. What its schema has that nobody knows here becomes a field that takes JSON."""
    schema = json.loads(stage.schema_json or b"{}")
    fields = fields_of(stage.name, schema)
    return Card(
        stage.name,
        stage.title or stage.name,
        stage.phase,
        stage.plugin,
        stage.description,
        fields,
        _groups(fields),
    )


def fields_of(stage: str, schema: Mapping[str, Any]) -> tuple[Field, ...]:
    """The settings that a JSON Schema describes."""
    properties = schema.get("properties", {})
    return tuple(_field(stage, key, one) for key, one in properties.items() if isinstance(one, dict))


def _field(stage: str, key: str, schema: Mapping[str, Any]) -> Field:
    master, _sep, wanted = str(schema.get("only_with", "")).partition("=")
    least, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    title = str(schema.get("title") or key.replace("_", " ").capitalize())
    return Field(
        stage,
        key,
        title,
        _kind(key, title, schema),
        schema.get("default"),
        help=str(schema.get("description", "")),
        least=least if least is not None else above,
        most=schema.get("maximum", schema.get("exclusiveMaximum")),
        is_above=least is None and above is not None,
        step=schema.get("multipleOf", 0),
        options=tuple(str(one) for one in schema.get("enum", ())),
        choices=str(schema.get("choices", "")),
        unit={"x": "×"}.get(str(schema.get("unit", "")), str(schema.get("unit", ""))),
        advanced=bool(schema.get("advanced", False)),
        master=master,
        wanted=wanted,
        shortest=schema.get("minLength", 0),
        longest=schema.get("maxLength", 0),
        pattern=str(schema.get("pattern", "")),
        takes_text=any(one.get("type") == "string" for one in schema.get("anyOf", ())),
    )


def _kind(key: str, title: str, schema: Mapping[str, Any]) -> Kind:
    kind = schema.get("type")
    if "enum" in schema and all(isinstance(one, str) for one in schema["enum"]):
        return "option"
    if kind == "boolean":
        return "switch"
    if kind == "integer":
        return "seed" if _is_seed(key, schema) else "whole"
    if kind == "number":
        return "number"
    if kind == "string":
        if schema.get("choices"):
            return "choice"
        if schema.get("format") == "color":
            return "colour"
        return "lines" if "prompt" in f"{key} {title}".lower() else "text"
    if kind == "array" and schema.get("items", {}).get("type") == "string":
        return "choices" if schema.get("choices") else "list"
    return "json"


def _is_seed(key: str, schema: Mapping[str, Any]) -> bool:
    return "seed" in key and schema.get("maximum", 0) > _LARGEST_SLIDER


def _groups(fields: Sequence[Field]) -> tuple[Group, ...]:
    """A switch, or a name that may be none, with what depends on it."""
    made = []
    for master in fields:
        members = tuple(one for one in fields if one.master == master.key and not one.wanted)
        is_name = master.kind == "choice" and not master.shortest
        if members and (master.kind == "switch" or is_name) and not _sits_alone(master, members):
            made.append(Group(master, members))
    return tuple(made)


def _sits_alone(master: Field, members: Sequence[Field]) -> bool:
    """Whether a switch is better shown among the other settings: one that is on by itself, with one detail."""
    return master.kind == "switch" and master.default is True and len(members) == 1


FIRST = ("model", "sampler_name", "scheduler", "steps", "cfg_scale", "width", "height", "seed")
"""Settings that stand first on a card of a stage that draws, whatever its schema's order."""


def in_order(fields: Sequence[Field]) -> list[Field]:
    """As a card shows them: what people change most stands first."""
    if not fields or fields[0].key not in FIRST:
        return list(fields)
    return sorted(fields, key=lambda one: FIRST.index(one.key) if one.key in FIRST else len(FIRST))


RUN_SECTION = "pipeline"


def run_schema() -> Mapping[str, Any]:
    """Schema of what holds for a whole run, whatever its stages: the section ``pipeline`` of presets, as far as
    a card shows it."""
    return {
        "properties": {
            "images_per_prompt": {
                "type": "integer",
                "title": _("Images a row"),
                "description": _("How often each prompt of the pack is drawn, each time with another seed."),
                "default": 1,
                "minimum": 1,
                "maximum": 100_000,
            },
            "seed_mode": {
                "type": "string",
                "title": _("Seeds"),
                "description": _(
                    "per_image counts on with every image of a row; per_variant begins one further with every "
                    "combination; fixed gives every image the same seed."
                ),
                "default": "per_image",
                "enum": ["per_image", "per_variant", "fixed"],
            },
            "image_format": {
                "type": "string",
                "title": _("File format"),
                "description": _("Of the saved images; what is kept to work on stays lossless."),
                "default": "png",
                "enum": ["png", "jpeg", "webp"],
            },
            "image_quality": {
                "type": "integer",
                "title": _("Quality"),
                "description": _("Of JPEG and WebP files; a WebP file of quality 100 keeps every pixel."),
                "default": 90,
                "minimum": 1,
                "maximum": 100,
                "advanced": True,
            },
            "filename_pattern": {
                "type": "string",
                "title": _("File name"),
                "description": _("Pattern such as {index:05}_{seed}. Empty: the usual one."),
                "default": "",
                "advanced": True,
            },
        }
    }


# --- values --------------------------------------------------------------------------------------------------


def problem_of(one: Field, value: JsonValue) -> str:
    """Why ``value`` is none for this setting, in plain words; empty: it is one."""
    if one.kind in ("whole", "number", "seed"):
        return _number_problem(one, value)
    if one.kind in ("text", "lines", "colour", "choice", "option"):
        return _text_problem(one, value)
    if one.kind == "switch":
        return "" if isinstance(value, bool) else _("This is on or off.")
    if one.kind in ("choices", "list"):
        is_list = isinstance(value, list) and all(isinstance(part, str) and part.strip() for part in value)
        return "" if is_list else _("Texts, one a line.")
    return ""


def _number_problem(one: Field, value: JsonValue) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return _("A number, please.")
    if one.kind != "number" and value != int(value):
        return _("A whole number, please.")
    low = one.least is not None and (value <= one.least if one.is_above else value < one.least)
    if low or (one.most is not None and value > one.most):
        return range_of(one)
    if one.step and value % one.step:
        return _("A multiple of {step}, please.").replace("{step}", f"{one.step:g}")
    return ""


def _text_problem(one: Field, value: JsonValue) -> str:
    if not isinstance(value, str):
        return _("A text, please.")
    if one.options and value not in one.options:
        return _("One of: {names}.").replace("{names}", ", ".join(one.options))
    if len(value) < one.shortest:
        return _("This must not be empty.")
    if one.longest and len(value) > one.longest:
        return many("At most {n} character.", "At most {n} characters.", one.longest)
    if one.pattern and not re.search(one.pattern, value):
        return _("A colour as #rrggbb.") if one.kind == "colour" else _("This has another form than it should.")
    return ""


def range_of(one: Field) -> str:
    """``1 to 150``, for people."""
    if one.least is not None and one.most is not None:
        words = _("Above {least}, up to {most}.") if one.is_above else _("From {least} to {most}.")
        return words.replace("{least}", short(one.least)).replace("{most}", short(one.most))
    if one.least is not None:
        words = _("Above {least}.") if one.is_above else _("{least} or more.")
        return words.replace("{least}", short(one.least))
    return _("{most} or less.").replace("{most}", short(one.most)) if one.most is not None else ""


def short(value: JsonValue) -> str:
    """A value as people write it: ``0.5``, ``20``, ``a, b``."""
    if isinstance(value, bool):
        return _("on") if value else _("off")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ", ".join(str(part) for part in value)
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def cleaned(one: Field, value: JsonValue) -> JsonValue:
    """``value`` as a run can carry it: texts without blanks around them, which no run keeps."""
    if isinstance(value, str) and one.kind != "json":
        return value.strip()
    if isinstance(value, list) and one.kind in ("choices", "list"):
        return [part.strip() if isinstance(part, str) else part for part in value]
    if one.kind == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def as_set(name: str, value: JsonValue) -> str:
    """``value`` of the setting ``name`` as a run is asked for it: ``txt2img.steps=30``."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{name}={text}"


def read(one: Field, text: str) -> JsonValue:
    """What a person typed, as a value. Raises ValueError for what is none."""
    text = text.strip()
    if one.kind in ("whole", "seed"):
        return int(text.replace(" ", "").replace("_", ""))
    if one.kind == "number":
        return float(text.replace(",", "."))
    if one.kind in ("choices", "list"):
        return [line.strip() for line in text.splitlines() if line.strip()]
    if one.kind == "json":
        return _read_json(one, text)
    return text


def _read_json(one: Field, text: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(text or json.dumps(one.default))
    except RecursionError as error:
        raise ValueError(_("This JSON is nested too deeply.")) from error
    except ValueError as error:
        raise ValueError(_("This is no JSON: {why}").replace("{why}", str(error))) from error
    wanted = type(one.default)
    if wanted in (dict, list) and not isinstance(value, wanted):
        raise ValueError(_("JSON in {braces}, please.").replace("{braces}", "{ }" if wanted is dict else "[ ]"))
    return value


def written(one: Field, value: JsonValue) -> str:
    """A value as a person types it; :func:`read` gives it back."""
    if one.kind in ("choices", "list") and isinstance(value, list):
        return "\n".join(str(part) for part in value)
    if one.kind == "json":
        return "" if value in ({}, []) else json.dumps(value, ensure_ascii=False, indent=1)
    return value if isinstance(value, str) else short(value)


# --- what nodes have -----------------------------------------------------------------------------------------


def names_at(nodes: Iterable[link.BackendInfo], choices: str) -> list[str]:
    """All that the nodes list under ``choices``, each once, in their order."""
    found: dict[str, None] = {}
    for backend in nodes:
        found.update(dict.fromkeys(getattr(backend, choices, ())))
    return list(found)


def is_missing(choices: str, value: str, names: Sequence[str]) -> bool:
    """Whether nodes tell names of this kind, and ``value`` is none of them. No name is never missing."""
    if not names or value in ("", "None", "Automatic"):
        return False
    return _compared(choices, value) not in {_compared(choices, name) for name in names}


def _compared(choices: str, name: str) -> str:
    return (model_name(name) if choices in _FILES else name.strip()).casefold()


def filtered(names: Sequence[str], words: str) -> list[str]:
    """The names in which all ``words`` occur, those that begin with them first."""
    wanted = words.casefold().split()
    found = [name for name in names if all(word in name.casefold() for word in wanted)]
    first = " ".join(wanted)
    return sorted(found, key=lambda name: not name.casefold().startswith(first)) if first else found


# --- in one line ---------------------------------------------------------------------------------------------

SIZE = "width × height"
"""Stands for both; no setting can be called so."""
TELLING: Mapping[str, tuple[str, ...]] = {
    "txt2img": ("model", "sampler_name", "steps", "cfg_scale", SIZE, "enable_hr", "refiner_checkpoint"),
    "img2img": ("model", "denoising_strength", "sampler_name", "steps"),
    "adetailer": ("adetailer_model", "adetailer_denoise", "adetailer_steps"),
    "upscale": ("upscaler", "upscaling_resize", "upscale_mode", "denoising_strength", "tile_size"),
    "pipeline": ("images_per_prompt", "seed_mode", "image_format"),
}
"""What matters most of a stage; of others it is what stands first."""

SUMMED_UP = 5
"""Values in one line, at most."""


def summary(card: Card, values: Mapping[str, JsonValue]) -> str:
    """The most telling values of a stage, in a line: ``DPM++ 2M · 30 steps · CFG 7 · 768 × 512``. ``values`` by
    key."""
    keys = TELLING.get(card.name) or tuple(
        SIZE if one.key == "width" and card.by_key("height") else one.key
        for one in card.fields
        if not one.advanced
        and one.kind not in ("seed", "json")
        and not (one.key == "height" and card.by_key("width"))
    )
    parts = [_told(card, key, values) for key in keys]
    return "  ·  ".join([part for part in parts if part][:SUMMED_UP])


def _told(card: Card, key: str, values: Mapping[str, JsonValue]) -> str:
    if key == SIZE:
        return f"{short(values.get('width'))} × {short(values.get('height'))}"
    one = card.by_key(key)
    if one is None or not one.is_active(values):
        return ""
    value = values.get(key, one.default)
    if value in ("", None, [], {}) or (value is False) or (value == "None"):
        return ""
    return _in_words(one, value, values)


def _in_words(one: Field, value: JsonValue, values: Mapping[str, JsonValue]) -> str:
    key, text = one.key, short(value)
    if key == "enable_hr":
        return _("hires {factor}×").replace("{factor}", short(values.get("hr_scale", "")))
    if key == "refiner_checkpoint":
        return _("refiner {name}").replace("{name}", model_name(text))
    if key == "images_per_prompt" and isinstance(value, int):
        return many("{n} image a row", "{n} images a row", value)
    if key == "seed_mode":
        return {"per_image": "", "per_variant": _("a seed a variant"), "fixed": _("one seed")}.get(text, text)
    if one.kind == "switch":
        return one.title.lower()
    if one.choices in _FILES and one.kind == "choice":
        return model_name(text)
    if one.kind in ("whole", "number"):
        if value == 0 and one.default == 0:
            return ""
        if one.title.lower() == "steps" and isinstance(value, int):
            return many("{n} step", "{n} steps", value)
        if key == "cfg_scale" or key.endswith("_cfg"):
            return f"CFG {text}"
        if "denois" in key:
            return _("denoise {value}").replace("{value}", text)
        if one.unit == "×":
            return f"{text}×"
        return f"{one.title.lower()} {text}{f' {one.unit}' if one.unit else ''}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


_LONGEST = 28
"""Characters of a text in a summary."""


# --- sizes ---------------------------------------------------------------------------------------------------

SHAPES = ((1, 1), (5, 4), (4, 3), (3, 2), (16, 9), (21, 9))


def shape_of(width: int, height: int) -> str:
    """``3:2`` for 768 × 512; empty if it is none that has a name. Sides may be off by a multiple of 8."""
    long, small = max(width, height), min(width, height)
    for a, b in SHAPES:
        if small > 0 and abs(long / small - a / b) < 0.02 * a / b:
            return f"{a}:{b}" if width >= height else f"{b}:{a}"
    return ""


def sizes_like(width: int, height: int, step: int = 8) -> list[tuple[str, int, int]]:
    """Sizes of about as many pixels as this one, in all shapes: ``(shape, width, height)``; wide ones first."""
    step = max(1, step)
    pixels = max(width * height, step * step)
    made = []
    for a, b in SHAPES:
        wide = max(step, round((pixels * a / b) ** 0.5 / step) * step)
        high = max(step, round((pixels * b / a) ** 0.5 / step) * step)
        made.append((f"{a}:{b}", wide, high))
    made += [
        (f"{b}:{a}", high, wide) for (a, b), (_shape, wide, high) in zip(SHAPES, made, strict=True) if a != b
    ]
    return made
