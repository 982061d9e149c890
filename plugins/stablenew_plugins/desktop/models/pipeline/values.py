"""What a value of a setting may be, and how people write one. Pure."""

from __future__ import annotations

import json
import re

from stablenew_api.jobs import JsonValue
from stablenew_plugins.desktop.models.pipeline.cards import Field
from stablenew_plugins.desktop.text import _, many


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
