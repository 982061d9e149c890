"""Rules that several contract checks share. Each raises AssertionError naming the rule that is broken; ``who``
is what is checked, as in ``stage invert``."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel

from stablenew_api.backend import Capabilities
from stablenew_api.host import INFOTEXT_KEY
from stablenew_api.jobs import canonical_json


def check_config(who: str, config: type[BaseModel], *, described: bool = True) -> None:
    """Defaults are valid, JSON holds every value, and people can read what each field is."""
    try:
        defaults = config()
    except Exception as error:
        raise AssertionError(f"{who}: Config() must work with its defaults alone: {error}") from error
    dumped = defaults.model_dump(mode="json")
    try:
        canonical_json(dumped)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{who}: the default Config does not fit into JSON: {error}") from error
    again = validated(who, config, dumped)
    assert again == defaults, f"{who}: Config changes on its way through JSON: {defaults!r} became {again!r}"
    if not described:
        return
    for name, schema in config.model_json_schema(by_alias=False).get("properties", {}).items():
        info = config.model_fields[name]
        assert info.title, f"{who}: field {name} has no title; it is the label on the stage card"
        assert info.description, f"{who}: field {name} has no description; it is the help on the stage card"
        if schema.get("type") in ("integer", "number") and "enum" not in schema and "const" not in schema:
            low = schema.keys() & {"minimum", "exclusiveMinimum"}
            high = schema.keys() & {"maximum", "exclusiveMaximum"}
            bounded = bool(low and high)
            assert bounded, f"{who}: field {name} is a number without a range; give it ge= and le="
        choices = schema.get("choices", "")
        told = not choices or choices in Capabilities.lists()
        assert told, (
            f"{who}: field {name}: choices {choices!r} is no list of Capabilities; use marks(choices=...)"
        )


def validated(who: str, config: type[BaseModel], dumped: Mapping[str, Any]) -> BaseModel:
    """The ``config`` that ``dumped``, its own JSON, makes."""
    try:
        return config.model_validate(dumped)
    except Exception as error:
        raise AssertionError(f"{who}: Config refuses its own JSON: {error}") from error


def check_info(who: str, info: Mapping[str, Any]) -> None:
    """Infotext keys are those that A1111's readers accept, and the values are JSON."""
    for key in info:
        readable = isinstance(key, str) and INFOTEXT_KEY.fullmatch(key) is not None
        assert readable, (
            f"{who}: infotext key {key!r} must be letters, digits, spaces, '-' and '/', at least two characters"
        )
    try:
        canonical_json(dict(info))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{who}: info does not fit into JSON: {error}") from error


def check_progress(who: str, steps: Sequence[tuple[int, int]]) -> None:
    """Progress goes forward and stays within its bounds."""
    last = -1
    for step, of in steps:
        assert 0 <= step <= of, f"{who}: reported progress {step} of {of}"
        assert of > 0, f"{who}: reported progress {step} of {of}"
        assert step >= last, f"{who}: progress went back from {last} to {step}"
        last = step


@contextmanager
def global_random(seed: int) -> Iterator[None]:
    """The process's global random generators, seeded with ``seed`` inside and put back afterwards: two runs
    with two seeds differ only if the code draws from them."""
    state = random.getstate()
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    numpy_state = numpy.random.get_state() if numpy is not None else None
    if numpy is not None:
        numpy.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
        if numpy is not None:
            numpy.random.set_state(numpy_state)
