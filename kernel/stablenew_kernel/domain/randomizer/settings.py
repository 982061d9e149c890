"""The section ``randomization`` of presets and sidecars: JSON in, definitions and modes out."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue
from stablenew_kernel.domain.randomizer.compiler import Definitions, short_id
from stablenew_kernel.domain.randomizer.grammar import MODES, normalize, split_options
from stablenew_kernel.domain.words import near

_SYNONYMS = {"round_robin": "rotate"}
"""Names of modes in old files."""

_SIGNS = {mode: sign for sign, mode in MODES.items()}


def _text(value: object) -> object:
    """Numbers stand for their text: a matrix field may be a setting."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


_Text = Annotated[str, BeforeValidator(_text)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _HasMode(_Section):
    mode: str = ""


class _MatrixSlot(_HasMode):
    name: str = Field(min_length=1)
    values: tuple[_Text, ...] = ()


class _Matrix(_HasMode):
    enabled: bool = True
    mode: str = "fanout"
    limit: int = Field(0, ge=0)
    slots: tuple[_MatrixSlot, ...] = ()
    base_prompt: str = ""
    prompt_mode: Literal["replace", "append", "prepend"] = "replace"
    raw_text: str = ""


class _Token(_HasMode):
    token: str = Field(min_length=1)
    values: tuple[_Text, ...] = ()


class _Wildcards(_HasMode):
    enabled: bool = True
    mode: str = "random"
    tokens: tuple[_Token, ...] = ()
    raw_text: str = ""
    weights_in_text: bool = False


class _Rule(_HasMode):
    search: str = Field(min_length=1)
    replacements: tuple[_Text, ...] = ()


class _Rules(_HasMode):
    enabled: bool = True
    mode: str = "random"
    rules: tuple[_Rule, ...] = ()
    raw_text: str = ""


class _Choices(_HasMode):
    mode: str = "random"


class _Axis(_HasMode):
    field: str = Field(min_length=1)
    values: tuple[Any, ...] = ()
    mode: str = "fanout"
    enabled: bool = True


class _Randomization(_Section):
    enabled: bool = True
    modes: dict[str, str] = {}
    values: dict[str, tuple[_Text, ...]] = {}
    axes: tuple[_Axis, ...] = ()
    prompt_sr: _Rules = _Rules()
    wildcards: _Wildcards = _Wildcards()
    matrix: _Matrix = _Matrix()
    choices: _Choices = _Choices()


@dataclass(frozen=True, slots=True)
class Rule:
    """``search``, wherever it stands in a prompt, becomes one of ``replacements``."""

    search: str
    replacements: tuple[str, ...]
    mode: str

    @property
    def choice(self) -> str:
        """The choice that is put in place of ``search``."""
        return f"{{{_SIGNS.get(self.mode, '')}{'|'.join(self.replacements)}}}"


@dataclass(frozen=True, slots=True)
class AxisSettings:
    """A setting that is to vary, as a file or the command line has it."""

    field: str
    """``txt2img.steps``, ``steps``, ``size``, ``lora``."""
    values: tuple[JsonValue, ...]
    mode: str
    source: str
    """Where it comes from, for error texts: ``sidecar demo.json: randomization.axes``, ``--axis``."""
    joint: str = ""
    """Not empty: it walks together with all axes that say the same, where the mode lets them."""


@dataclass(frozen=True, slots=True)
class Randomization:
    """What the section says."""

    definitions: Definitions
    modes: Mapping[str, str]
    """By kind of slot: slot, wildcard, choice."""
    slot_modes: Mapping[str, str]
    """Of slots that have one of their own: matrix slots by normalized name, ``__wildcards__``, rules."""
    rules: tuple[Rule, ...]
    limit: int
    """Combinations a row at most; 0: all."""
    base_prompt: str
    prompt_mode: str
    axes: tuple[AxisSettings, ...]
    source: str
    """The file, for error texts."""
    own_modes: Mapping[str, str]
    """``randomization.modes``, by :func:`slot_key`: they go before everything else, a sampler sign included."""
    own_values: Mapping[str, tuple[str, ...]]
    """``randomization.values`` of matrix slots and axes, by :func:`slot_key`; those of wildcards are among the
    definitions."""

    def with_files(self, files: Sequence[Mapping[str, bytes]]) -> Randomization:
        """The same with wildcard files, as :attr:`Definitions.files` has them."""
        return replace(self, definitions=replace(self.definitions, files=files))

    def prompt(self, positive: str) -> str:
        """The row's prompt with the matrix' own one in its place, behind or before it."""
        if not self.base_prompt:
            return positive
        texts = {
            "replace": [self.base_prompt],
            "append": [positive, self.base_prompt],
            "prepend": [self.base_prompt, positive],
        }[self.prompt_mode]
        return " ".join(text for text in texts if text)


def parse_randomization(
    section: Mapping[str, JsonValue], source: str, known: Collection[str] = ()
) -> Randomization:
    """Read the section. ``source`` is the file, for error texts; ``known`` are the modes that there are, empty
    to accept any. Raises UserError naming source and field."""
    given = {key: value for key, value in section.items() if value is not None}
    try:
        read = _Randomization.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in ("randomization", *first["loc"]))
        raise UserError(f"{source}: {field}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error
    matrix, wildcards = read.matrix, read.wildcards

    def mode_of(section: _HasMode, field: str) -> str:
        mode = _mode(section.mode)
        if known and mode not in known and "mode" in section.model_fields_set:
            raise UserError(
                f"{source}: randomization.{field}.mode: {section.mode!r} is not one of "
                + ", ".join(sorted(known))
            )
        return mode

    own_modes = {}
    for name, mode in read.modes.items():
        own_modes[slot_key(name)] = _mode(mode)
        if known and _mode(mode) not in known:
            raise UserError(f"randomization.modes.{name}: {mode!r} is not one of {', '.join(sorted(known))}")
    own_values = {slot_key(name): values for name, values in read.values.items()}
    slots: dict[str, tuple[str, ...]] = {}
    slot_modes: dict[str, str] = {}
    for slot in matrix.slots or [
        _MatrixSlot(name=name, values=values) for name, values in _raw(matrix.raw_text, ":", source)
    ]:
        name = normalize(slot.name)
        if name in slots:
            raise UserError(
                f"{source}: randomization.matrix.slots: two slots are called {slot.name!r} "
                "(case, - and _ do not count); rename one"
            )
        slots[name] = slot.values
        if slot.mode:
            slot_modes[name] = mode_of(slot, f"matrix.slots.{slot.name}")
    if not (read.enabled and matrix.enabled):
        slot_modes.clear()
    tokens: dict[str, tuple[str, ...]] = {}
    for token in wildcards.tokens or [
        _Token(token=name, values=values) for name, values in _raw(wildcards.raw_text, ":", source)
    ]:
        path = token.token.strip().removeprefix("__").removesuffix("__")
        tokens[path] = token.values
        if token.mode and read.enabled and wildcards.enabled:
            slot_modes[short_id(f"__{path}__")] = mode_of(token, f"wildcards.tokens.{path}")
    tokens |= {key[2:-2]: values for key, values in own_values.items() if _is_wildcard(key)}
    rules = _rules(read.prompt_sr, source, mode_of) if read.enabled and read.prompt_sr.enabled else ()
    # A mode without a sampler sign cannot be written into the choice: it goes by what the choice says.
    slot_modes.update({short_id(rule.choice): rule.mode for rule in rules if rule.mode not in _SIGNS})
    return Randomization(
        Definitions(slots, tokens, weights_in_text=wildcards.weights_in_text),
        {
            "slot": mode_of(matrix, "matrix") if read.enabled and matrix.enabled else "off",
            "wildcard": mode_of(wildcards, "wildcards") if read.enabled and wildcards.enabled else "off",
            "choice": mode_of(read.choices, "choices") if read.enabled else "off",
        },
        slot_modes,
        rules,
        matrix.limit,
        matrix.base_prompt if read.enabled and matrix.enabled else "",
        matrix.prompt_mode,
        tuple(
            AxisSettings(
                axis.field,
                axis.values,
                mode_of(axis, f"axes.{axis.field}"),
                f"{source}: randomization.axes",
            )
            for axis in read.axes
            if read.enabled and axis.enabled and axis.values
        ),
        source,
        own_modes,
        {key: values for key, values in own_values.items() if not _is_wildcard(key)},
    )


def slot_key(name: str) -> str:
    """What ``randomization.modes`` and ``randomization.values`` call a slot: a matrix slot or an axis by its
    normalized name, all else as it is written in the prompt (``__hair__``, ``{red|green}``)."""
    name = name.strip()
    return name if _is_wildcard(name) or name.startswith(_SIGNS_OF_CHOICES) else normalize(name)


def _is_wildcard(key: str) -> bool:
    return len(key) > 4 and key.startswith("__") and key.endswith("__")


_SIGNS_OF_CHOICES = ("{", "${", "%{", "__")
BY_SLOT = ("modes", "values")
"""Settings that are objects: a value a slot."""


def randomization_set(path: Sequence[str], text: str, shown: str) -> dict[str, JsonValue]:
    """What ``--set randomization.PATH=TEXT`` puts into the section; ``shown`` begins error texts.

    ``modes.SLOT=MODE`` and ``values.SLOT=VALUE | VALUE`` (or a JSON list), SLOT as :func:`slot_key` takes it;
    else one of the section's own settings, such as ``matrix.mode``. Raises UserError.
    """
    if path[0] in BY_SLOT:
        if len(path) != 2:
            raise UserError(f"{shown}: write --set randomization.{path[0]}.SLOT=..., for example .time=")
        value: JsonValue = text if path[0] == "modes" else _listed(text, shown)
        return {path[0]: {path[1]: value}}
    names = list(_plain_settings(_Randomization))
    if ".".join(path) not in names:
        known = [*names, *(f"{name}.SLOT" for name in BY_SLOT)]
        raise UserError(
            f"{shown}: randomization has no setting {'.'.join(path)!r}; {near('.'.join(path), known)}"
        )
    value = text
    if text.lower() in ("true", "false") or text.isdecimal():
        value = json.loads(text.lower())
    for part in reversed(path):
        value = {part: value}
    return dict(value)


def _listed(text: str, shown: str) -> list[JsonValue]:
    if not text.startswith("["):
        return [value.strip() for value in split_options(text)] if text else []
    try:
        listed = json.loads(text)
    except ValueError as error:
        raise UserError(f"{shown}: {text!r} is no JSON list ({error})") from error
    assert isinstance(listed, list)
    return listed


def _plain_settings(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Names of the settings that are one value: ``matrix.mode``."""
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _plain_settings(kind, f"{above}{name}.")
        elif kind in (bool, int, str) or get_origin(kind) is Literal:
            yield f"{above}{name}"


def _rules(section: _Rules, source: str, mode_of: Callable[[_HasMode, str], str]) -> tuple[Rule, ...]:
    given = [rule for rule in section.rules if rule.replacements] or [
        _Rule(search=name, replacements=values) for name, values in _raw(section.raw_text, "=>", source)
    ]
    mode = mode_of(section, "prompt_sr")
    return tuple(
        Rule(
            rule.search,
            rule.replacements,
            mode_of(rule, f"prompt_sr.rules.{rule.search}") if rule.mode else mode,
        )
        for rule in given
    )


def parse_axis(text: str, modes: Collection[str]) -> AxisSettings:
    """``--axis FIELD=VALUE,VALUE[:MODE]``. What stands behind the last colon is a mode if it is one of
    ``modes`` (``lora=soft:0.8`` has none). A JSON list of values may hold commas. Without values the axis is
    none: it takes one of the same field out of preset and sidecar. Raises UserError for another form."""
    field, equals, rest = (part.strip() for part in text.partition("="))
    if not equals or not field:
        raise UserError(
            f"--axis {text}: write --axis FIELD=VALUE,VALUE, for example --axis txt2img.cfg_scale=5,7,9"
        )
    values, colon, mode = rest.rpartition(":")
    if not colon or _mode(mode) not in {*modes, *_SYNONYMS.values()}:
        values, mode = rest, "fanout"
    if values.lstrip().startswith("["):
        try:
            listed = json.loads(values)
        except ValueError as error:
            raise UserError(f"--axis {text}: {values!r} is no JSON list ({error})") from error
        if not isinstance(listed, list):
            raise UserError(f"--axis {text}: {values!r} is no JSON list")
        return AxisSettings(field, tuple(listed), _mode(mode), f"--axis {field}")
    given = tuple(value.strip() for value in values.split(",")) if values.strip() else ()
    return AxisSettings(field, given, _mode(mode), f"--axis {field}")


def _mode(name: str) -> str:
    name = name.strip().casefold()
    return _SYNONYMS.get(name, name)


def _raw(text: str, between: str, source: str) -> list[tuple[str, tuple[str, ...]]]:
    """``name: a | b``, a line each; empty lines and those that start with # are skipped."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, sign, values = line.partition(between)
        if not sign or not name.strip():
            raise UserError(
                f"{source}: randomization: raw_text, line {number}: write NAME {between} VALUE | VALUE, not "
                f"{line.strip()!r}"
            )
        found.append((name.strip(), tuple(value.strip() for value in split_options(values))))
    return found
