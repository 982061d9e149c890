"""The section ``randomization`` of presets and sidecars: JSON in, definitions and modes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue
from stablenew_kernel.domain.randomizer.grammar import MODES, normalize, split_options
from stablenew_kernel.domain.randomizer.space import Definitions

_SYNONYMS = {"round_robin": "rotate"}
"""Names of modes in old files."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _MatrixSlot(_Section):
    name: str = Field(min_length=1)
    values: tuple[str, ...] = ()
    mode: str = ""


class _Matrix(_Section):
    enabled: bool = True
    mode: str = "fanout"
    limit: int = Field(0, ge=0)
    slots: tuple[_MatrixSlot, ...] = ()
    base_prompt: str = ""
    prompt_mode: Literal["replace", "append", "prepend"] = "replace"
    raw_text: str = ""


class _Token(_Section):
    token: str = Field(min_length=1)
    values: tuple[str, ...] = ()


class _Wildcards(_Section):
    enabled: bool = True
    mode: str = "random"
    tokens: tuple[_Token, ...] = ()
    raw_text: str = ""
    weights_in_text: bool = False


class _Rule(_Section):
    search: str = Field(min_length=1)
    replacements: tuple[str, ...] = ()


class _Rules(_Section):
    enabled: bool = True
    mode: str = "random"
    rules: tuple[_Rule, ...] = ()
    raw_text: str = ""


class _Choices(_Section):
    mode: str = "random"


class _Randomization(_Section):
    enabled: bool = True
    prompt_sr: _Rules = _Rules()
    wildcards: _Wildcards = _Wildcards()
    matrix: _Matrix = _Matrix()
    choices: _Choices = _Choices()


@dataclass(frozen=True, slots=True)
class Randomization:
    """What the section says."""

    definitions: Definitions
    modes: Mapping[str, str]
    """By kind of slot: slot, wildcard, choice, rule."""
    slot_modes: Mapping[str, str]
    """Of matrix slots that have one of their own, by normalized name."""
    rules: tuple[tuple[str, tuple[str, ...]], ...]
    """Search and replacements."""
    limit: int
    """Combinations a row at most; 0: all."""
    base_prompt: str
    prompt_mode: str

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


def parse_randomization(section: Mapping[str, JsonValue], source: str) -> Randomization:
    """Read the section. ``source`` is the file, for error texts. Raises UserError naming source and field."""
    given = {key: value for key, value in section.items() if value is not None}
    try:
        read = _Randomization.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in ("randomization", *first["loc"]))
        raise UserError(f"{source}: {field}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error
    matrix, wildcards, rules = read.matrix, read.wildcards, read.prompt_sr
    if _mode(rules.mode) not in MODES.values():
        known = ", ".join(sorted(MODES.values()))
        raise UserError(f"{source}: randomization.prompt_sr.mode: {rules.mode!r} is not one of {known}")
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
            slot_modes[name] = _mode(slot.mode)
    tokens = {
        token.token.strip().removeprefix("__").removesuffix("__"): token.values
        for token in wildcards.tokens
        or [_Token(token=name, values=values) for name, values in _raw(wildcards.raw_text, ":", source)]
    }
    replaced = tuple((rule.search, rule.replacements) for rule in rules.rules if rule.replacements)
    replaced = replaced or tuple(_raw(rules.raw_text, "=>", source))
    return Randomization(
        Definitions(slots, tokens, weights_in_text=wildcards.weights_in_text),
        {
            "slot": _mode(matrix.mode) if read.enabled and matrix.enabled else "off",
            "wildcard": _mode(wildcards.mode) if read.enabled and wildcards.enabled else "off",
            "rule": _mode(rules.mode),
            "choice": _mode(read.choices.mode) if read.enabled else "off",
        },
        slot_modes if read.enabled and matrix.enabled else {},
        replaced if read.enabled and rules.enabled else (),
        matrix.limit,
        matrix.base_prompt if read.enabled and matrix.enabled else "",
        matrix.prompt_mode,
    )


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
