"""Stage cards: what a stage's schema says of its settings. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from stablenew_api.jobs import JsonValue
from stablenew_plugins.desktop.text import _

if TYPE_CHECKING:
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

    @property
    def is_advanced(self) -> bool:
        """Whether it stands among the settings that most people leave alone."""
        return self.master.advanced and self.master.name not in PROMOTED


def is_given(value: JsonValue) -> bool:
    """Whether a value of a :attr:`Group.master` turns its settings on."""
    return value is True or (isinstance(value, str) and value not in ("", "None"))


@dataclass(frozen=True, slots=True)
class Card:
    """A stage as it is shown, or a part of one that has a card of its own: the hires pass, the refiner."""

    name: str
    """Of the stage; of a part that of its switch, ``txt2img.enable_hr``."""
    title: str
    phase: str
    plugin: str = ""
    help: str = ""
    fields: tuple[Field, ...] = ()
    groups: tuple[Group, ...] = field(default=())
    """Settings that are turned on together; theirs are not among :attr:`plain`."""
    master: Field | None = None
    """Of a part: the setting that turns it on."""

    @property
    def stage(self) -> str:
        """The stage that it is, or is a part of."""
        return self.name.partition(".")[0]

    @property
    def is_post(self) -> bool:
        """Whether its place in the pipeline is the person's choice."""
        return self.phase == "post" and self.master is None

    @property
    def switch(self) -> str:
        """Name of the setting that turns it on."""
        return self.master.name if self.master is not None else f"{RUN_SECTION}.{self.name}_enabled"

    @property
    def plain(self) -> Sequence[Field]:
        """Settings that are in no group."""
        grouped = {one.key for group in self.groups for one in (group.master, *group.fields)}
        return [one for one in self.fields if one.key not in grouped]

    @property
    def parts(self) -> Sequence[Card]:
        """What has a card of its own below this one. A post-processor, which can be moved, keeps all on its
        card."""
        if self.is_post:
            return ()
        return [_part(self, group) for group in self.groups if not group.is_advanced]

    @property
    def inner(self) -> Sequence[Group]:
        """The groups that stand on the card itself."""
        return [group for group in self.groups if self.is_post or group.is_advanced]

    @property
    def own(self) -> Sequence[Field]:
        """The settings that stand on the card itself."""
        elsewhere = {one.key for part in self.parts for one in (part.master, *part.fields) if one is not None}
        return [one for one in self.fields if one.key not in elsewhere]

    def by_key(self, key: str) -> Field | None:
        """The setting called ``key``."""
        return next((one for one in self.fields if one.key == key), None)


# --- from the schema -----------------------------------------------------------------------------------------

RUN_SECTION = "pipeline"
PROMOTED = frozenset({"txt2img.refiner_checkpoint"})
"""Groups that are shown although their master is marked as advanced."""


def _part(card: Card, group: Group) -> Card:
    """The card of a group. Of one that is promoted nothing is hidden."""
    master = group.master
    fields = group.fields if group.is_switch else (master, *group.fields)
    if master.advanced:
        fields = tuple(replace(one, advanced=False) for one in fields)
    return Card(master.name, master.title, card.phase, card.plugin, master.help, fields, master=master)


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
            made.append(Group(master, tuple(replace(one, title=_below(master, one)) for one in members)))
    return tuple(made)


def _below(master: Field, one: Field) -> str:
    """What a setting is called where the title of its group stands above: of "Hires fix" the hires scale is the
    scale."""
    rest = one.title.removeprefix(f"{master.title.partition(' ')[0]} ")
    return rest[:1].upper() + rest[1:]


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
