"""Axes: settings that vary, as slots of a prompt do.

An axis is named by its setting: ``txt2img.steps``, or ``steps`` for the first stage that runs and has it;
``size`` sets width and height. ``lora``, ``embedding``, ``negative_embedding`` and ``hypernetwork`` add a tag
to the prompt instead: they become matrix slots of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue
from stablenew_api.stage import Stage
from stablenew_kernel.domain.layers import find_field
from stablenew_kernel.domain.pipeline import PipelineSettings
from stablenew_kernel.domain.randomizer.grammar import normalize
from stablenew_kernel.domain.randomizer.settings import AxisSettings, Randomization
from stablenew_kernel.domain.words import near

MAX_VALUES = 1_000
"""Values of an axis: each is checked against its stage before anything runs."""

VARIANTS = "variants"
"""Models and hypernetworks of ``pipeline`` walk together: the old program's variants."""

_COUNTING = frozenset({"batch_size", "batch_count"})
_SIZE = re.compile(r"\s*(\d{1,6})\s*[xX×]\s*(\d{1,6})\s*")
_NONE = frozenset({"", "none"})
_SLOT = re.compile(r"\[\[\s*(\w[\w \-]*?)\s*\]\]")

_TAGS: Mapping[str, tuple[str, str]] = {
    "lora": ("<lora:{}>", "LoRA"),
    "embedding": ("<embedding:{}>", "embedding"),
    "negative_embedding": ("<embedding:{}>", "negative embedding"),
    "hypernetwork": ("<hypernet:{}>", "hypernetwork"),
}
"""Axes that add a tag to the prompt: how, and their name for people."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A setting that varies."""

    id: str
    """``txt2img.cfg_scale``; its slot is called so."""
    options: tuple[Mapping[str, JsonValue], ...]
    """What each value sets: ``section.field`` to value."""
    labels: tuple[str, ...]
    mode: str
    source: str
    joint: str = ""
    """Not empty: it walks together with the others of that name."""


@dataclass(frozen=True, slots=True)
class Axes:
    """What varies besides the text."""

    settings: tuple[Axis, ...]
    randomization: Randomization
    """With the tags of ``lora`` and the like as matrix slots."""
    added: tuple[str, str] = ("", "")
    """What these add to each row's positive and negative prompt."""
    joints: Mapping[str, str] = field(default_factory=dict)
    """Of these tags: which others each walks together with."""
    of_matrix: frozenset[str] = frozenset()
    """Normalized names of the matrix slots that are axes."""
    tags: Mapping[str, AxisSettings] = field(default_factory=dict)
    """The axes that add a tag, by name: each is a matrix slot of that name."""
    off: tuple[AxisSettings, ...] = ()
    """Those whose mode is off, by the ids that they would have: their settings stay as they are."""
    asked: frozenset[str] = frozenset()
    """What of ``randomization.modes`` names an axis."""


def plan_axes(
    randomization: Randomization,
    asked: Sequence[AxisSettings],
    pipeline: PipelineSettings,
    pipeline_source: Callable[[str], str],
    running: Sequence[type[Stage]],
    stages: Mapping[str, type[Stage]],
    texts: Iterable[str],
) -> Axes:
    """All axes of a run, the slowest first: those of ``pipeline``, of ``randomization``, of the matrix (its
    slots that are settings and that none of the pack's ``texts`` names), and those ``asked`` for on the command
    line, which take the place of others of the same setting.

    Raises UserError for an axis that is no setting of a stage that runs, or whose values are none for it.
    """
    listed = [*_of_pipeline(pipeline, pipeline_source), *randomization.axes]
    own = _Own(randomization, running, stages)
    # Values of something that is no axis yet are those of a matrix slot, which may become one.
    randomization = own.with_slots([*listed, *asked])
    named = named_slots(texts, randomization)
    matrix = tuple(_of_matrix(randomization, running, named))
    settings: dict[str, Axis] = {}
    tags: dict[str, AxisSettings] = {}
    for axis in (*listed, *matrix, *asked):
        given = axis in asked
        tag = _tag_of(axis, running)
        if tag:
            if tag in tags and not given:
                raise UserError(f"{axis.source}: two axes of {tag}; write all values into one")
            tags[tag] = own.changed(axis, tag)
            continue
        made = _axis(axis, running, stages)
        if made.id in settings and not given:
            raise UserError(
                f"{axis.source}: {axis.field} varies already by {settings[made.id].source}; keep one"
            )
        changed = own.changed(axis, made.id)
        settings[made.id] = made if changed is axis else _axis(changed, running, stages)
    off = [
        AxisSettings(axis.id, axis.labels, axis.mode, axis.source)
        for axis in settings.values()
        if axis.options and axis.mode == "off"
    ]
    off += [replace(axis, field=tag) for tag, axis in tags.items() if axis.values and axis.mode == "off"]
    left = tuple(axis for axis in settings.values() if axis.options and axis.mode != "off")
    _refuse_twice(left)
    tags = {tag: axis for tag, axis in tags.items() if axis.mode != "off"}
    return replace(
        _with_tags(left, tags, randomization, named),
        of_matrix=frozenset(axis.field for axis in matrix),
        tags=tags,
        off=tuple(off),
        asked=frozenset(own.asked),
    )


class _Own:
    """What ``randomization.modes`` and ``.values`` say of axes, by id or as the axis is written."""

    def __init__(
        self, randomization: Randomization, running: Sequence[type[Stage]], stages: Mapping[str, type[Stage]]
    ) -> None:
        self._randomization, self._running, self._stages = randomization, running, stages
        self.asked: set[str] = set()
        """Names in ``modes`` that are axes."""

    def with_slots(self, axes: Iterable[AxisSettings]) -> Randomization:
        """With the values of whatever is none of ``axes`` as those of matrix slots."""
        values = dict(self._randomization.own_values)
        if not values:
            return self._randomization
        for axis in axes:
            tag = _tag_of(axis, self._running)
            for name in (tag or _axis(axis, self._running, self._stages).id, normalize(axis.field)):
                values.pop(name, None)
        definitions = self._randomization.definitions
        slots = {**definitions.slots, **values}
        return replace(self._randomization, definitions=replace(definitions, slots=slots))

    def changed(self, axis: AxisSettings, name: str) -> AxisSettings:
        """``axis``, whose id is ``name``, with its own values and mode; the same one if it has none."""
        for key in dict.fromkeys((normalize(axis.field), name)):
            if (values := self._randomization.own_values.get(key)) is not None and values != axis.values:
                axis = replace(axis, values=values, source=f"randomization.values.{key}")
            if mode := self._randomization.own_modes.get(key):
                self.asked.add(key)
                axis = replace(axis, mode=mode, joint="")
        return axis


def _tag_of(axis: AxisSettings, running: Sequence[type[Stage]]) -> str:
    """Its name if it adds a tag to the prompt; empty: it is a setting."""
    tag = normalize(axis.field)
    return tag if tag in _TAGS and find_field(running[0], tag) is None else ""


def named_slots(texts: Iterable[str], randomization: Randomization) -> set[str]:
    """Matrix slots that one of ``texts`` or some definition names, normalized."""
    definitions = randomization.definitions
    every = (
        *texts,
        randomization.base_prompt,
        *(value for values in definitions.slots.values() for value in values),
        *(value for values in definitions.wildcards.values() for value in values),
        *(value for rule in randomization.rules for value in rule.replacements),
    )
    return {normalize(name) for text in every if "[[" in text for name in _SLOT.findall(text)}


def _is_setting(name: str, running: Sequence[type[Stage]]) -> bool:
    return name == "size" or name in _TAGS or any(find_field(stage, name) for stage in running)


def _of_pipeline(pipeline: PipelineSettings, source: Callable[[str], str]) -> Iterable[AxisSettings]:
    mode = "rotate" if pipeline.variant_mode == "round_robin" else pipeline.variant_mode.strip().casefold()
    models = tuple(model for model in pipeline.model_matrix if model.strip())
    if models:
        where = f"{source('model_matrix')}: pipeline.model_matrix"
        yield AxisSettings("model", models, mode, where, VARIANTS)
    if pipeline.hypernetworks:
        where = f"{source('hypernetworks')}: pipeline.hypernetworks"
        values = []
        for item in pipeline.hypernetworks:
            if isinstance(item, str):
                values.append(item)
                continue
            name, strength = item.get("name"), item.get("strength", 1.0)
            if not isinstance(name, str | None) or not isinstance(strength, int | float):
                raise UserError(f'{where}: {item!r} is not {{"name": NAME, "strength": NUMBER}}')
            values.append("" if (name or "").casefold() in _NONE else f"{name}:{strength:g}")
        yield AxisSettings("hypernetwork", tuple(values), mode, where, VARIANTS)


def _of_matrix(
    randomization: Randomization, running: Sequence[type[Stage]], named: set[str]
) -> Iterable[AxisSettings]:
    mode = randomization.modes["slot"]
    for name, values in randomization.definitions.slots.items():
        on = mode != "off" or name in randomization.own_modes
        if on and name not in named and values and ("." in name or _is_setting(name, running)):
            yield AxisSettings(
                name,
                tuple(values),
                randomization.slot_modes.get(name, mode),
                f"randomization.values.{name}"
                if name in randomization.own_values
                else f"{randomization.source}: randomization.matrix",
                "" if name in randomization.slot_modes else "matrix",
            )


def _axis(axis: AxisSettings, running: Sequence[type[Stage]], stages: Mapping[str, type[Stage]]) -> Axis:
    if len(axis.values) > MAX_VALUES:
        raise UserError(f"{axis.source}: {axis.field} has {len(axis.values):,} values; at most {MAX_VALUES:,}")
    section, dot, name = axis.field.strip().rpartition(".")
    name = normalize(name)
    if dot and section not in stages:
        raise UserError(f"{axis.source}: there is no stage {section!r}; {near(section, stages)}")
    among = [stage for stage in running if not dot or stage.name == section]
    if not among:
        raise UserError(
            f"{axis.source}: {axis.field} cannot vary, {section} does not run; add --set {section}.enabled=true"
        )
    if name == "size":
        for stage in among:
            if find_field(stage, "width") and find_field(stage, "height"):
                sizes = tuple(_size(axis, stage.name, value) for value in axis.values)
                return _made(axis, f"{stage.name}.size", sizes)
    for stage in among:
        if found := find_field(stage, name):
            return _of_field(axis, f"{stage.name}.{found[0]}")
    known = [f"{stage.name}.{key}" if dot else key for stage in among for key in stage.Config.model_fields]
    known += [] if dot else ["size", *_TAGS]
    raise UserError(
        f"{axis.source}: no stage that runs has a setting {axis.field!r}; {near(axis.field, known)}"
    )


def _of_field(axis: AxisSettings, name: str) -> Axis:
    if name.rpartition(".")[2] in _COUNTING:
        raise UserError(f"{axis.source}: {name} says how many images are made, and cannot vary; use --count")
    return _made(axis, name, tuple({name: value} for value in axis.values))


def _made(axis: AxisSettings, name: str, options: tuple[Mapping[str, JsonValue], ...]) -> Axis:
    labels = tuple(str(value) for value in axis.values)
    return Axis(name, options, labels, axis.mode, axis.source, axis.joint)


def _size(axis: AxisSettings, section: str, value: JsonValue) -> Mapping[str, JsonValue]:
    match = _SIZE.fullmatch(str(value))
    if match is None:
        raise UserError(f"{axis.source}: {value!r} is no size; write WIDTHxHEIGHT, for example 768x512")
    return {f"{section}.width": int(match[1]), f"{section}.height": int(match[2])}


def _refuse_twice(axes: Sequence[Axis]) -> None:
    """``size`` and ``width``, say."""
    by: dict[str, Axis] = {}
    for axis in axes:
        for name in axis.options[0]:
            if name in by:
                raise UserError(f"{axis.source}: {axis.id} and {by[name].id} both set {name}; keep one")
            by[name] = axis


def _with_tags(
    settings: tuple[Axis, ...], tags: Mapping[str, AxisSettings], randomization: Randomization, named: set[str]
) -> Axes:
    """Tags become matrix slots, named behind each row's text unless the text names them itself."""
    slots = dict(randomization.definitions.slots)
    modes = dict(randomization.slot_modes)
    added = ["", ""]
    for tag, axis in tags.items():
        if not axis.values:
            slots.pop(tag, None)
            continue
        slots[tag] = tuple(_tag(tag, axis, value) for value in axis.values)
        if axis.joint != "matrix":
            modes[tag] = axis.mode
        if tag not in named:
            added[tag == "negative_embedding"] += f" [[{tag}]]"
    definitions = replace(randomization.definitions, slots=slots)
    changed = replace(randomization, definitions=definitions, slot_modes=modes)
    joints = {tag: axis.joint for tag, axis in tags.items() if axis.joint}
    return Axes(settings, changed, (added[0], added[1]), joints)


def _tag(tag: str, axis: AxisSettings, value: JsonValue) -> str:
    """``soft:0.8`` as ``<lora:soft:0.8>``; several with a comma between them; nothing for none."""
    if not isinstance(value, str):
        raise UserError(f"{axis.source}: {value!r} is no {_TAGS[tag][1]}; write NAME or NAME:WEIGHT")
    names = [name.strip() for name in value.split(",")]
    for name in names:
        if re.search(r"[<>{}|\n]", name) and not re.fullmatch(r"<\w+:[^<>]+>", name):
            raise UserError(f"{axis.source}: {name!r} is no {_TAGS[tag][1]}; write NAME or NAME:WEIGHT")
    kept = [name for name in names if name.casefold() not in _NONE]
    return " ".join(name if name.startswith("<") else _TAGS[tag][0].format(name) for name in kept)
