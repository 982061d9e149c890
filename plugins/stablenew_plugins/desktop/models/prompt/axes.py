"""Settings that can vary from image to image, found in the schemas of the stages, and the values they take."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stablenew_plugins.desktop.text import _

if TYPE_CHECKING:
    from stablenew_proto.v1 import kernel_pb2 as pb

_COUNTS = frozenset({"batch_size", "batch_count", "n_iter"})
"""Settings that say how many images are made: they can't vary."""

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Varying:
    """A setting that a person may choose to vary."""

    field: str
    """``txt2img.cfg_scale``, ``size``, ``lora``."""
    title: str
    """"CFG scale"."""
    stage: str
    """Heading of its stage; empty: of no single one."""
    kind: str = "string"
    """integer, number, boolean or string."""
    least: float | None = None
    largest: float | None = None
    options: Sequence[str] = ()
    """All values there are, where the schema lists them."""
    choices: str = ""
    """List of what the nodes have that the values come from: ``samplers``."""
    hint: str = ""
    """An example."""
    about: str = ""

    @property
    def label(self) -> str:
        """For a list of all of them."""
        return f"{self.title}  ·  {self.stage}" if self.stage else self.title


@dataclass(frozen=True, slots=True)
class Axis:
    """A setting that varies."""

    field: str
    values: Sequence[str]
    """As they were written."""
    mode: str = "fanout"

    def text(self, kind: str = "string") -> str:
        """As ``RunRequest.axes`` has it; ``kind``: what the values of the setting are."""
        values = json.dumps([as_json(value, kind) for value in self.values], ensure_ascii=False)
        return f"{self.field}={values}:{self.mode}"


def specials() -> Sequence[Varying]:
    """Those that are no setting of one stage."""
    return (
        Varying("size", _("Size"), "", hint="512x768, 768x512", about=_("Width and height together.")),
        Varying(
            "lora",
            _("LoRA"),
            "",
            choices="loras",
            hint="none, soft:0.8",
            about=_("NAME:WEIGHT is added to the prompt; none adds nothing."),
        ),
        Varying(
            "embedding",
            _("Embedding"),
            "",
            choices="embeddings",
            hint="name:0.8",
            about=_("Added to the prompt."),
        ),
        Varying(
            "negative_embedding",
            _("Negative embedding"),
            "",
            choices="embeddings",
            hint="name",
            about=_("Added to the negative prompt."),
        ),
    )


def settings_of(stages: Iterable[pb.Stage]) -> list[Varying]:
    """Every setting of ``stages`` that can vary: those with one value, in the order of the schemas; then size,
    LoRA and embeddings."""
    found: list[Varying] = []
    for stage in stages:
        properties = json.loads(stage.schema_json or b"{}").get("properties", {})
        for name, schema in properties.items():
            if name not in _COUNTS and (varying := _varying(stage, name, schema)) is not None:
                found.append(varying)
    return [*specials(), *found]


def _varying(stage: pb.Stage, name: str, schema: dict[str, Any]) -> Varying | None:
    kinds = [schema, *schema.get("anyOf", ())]
    kind = next((str(one["type"]) for one in kinds if one.get("type") in _HINTS), "")
    options = next((one["enum"] for one in kinds if "enum" in one), ())
    if not kind and not options:
        return None
    least, largest = schema.get("minimum"), schema.get("maximum")
    return Varying(
        field=f"{stage.name}.{name}",
        title=str(schema.get("title") or name),
        stage=stage.title or stage.name,
        kind=kind or "string",
        least=least,
        largest=largest,
        options=tuple(str(option) for option in options),
        choices=str(schema.get("choices") or ""),
        hint=_hint(kind, schema),
        about=str(schema.get("description") or ""),
    )


_HINTS = {"integer": "20, 30", "number": "5, 7, 9", "boolean": "true, false", "string": "a, b"}


def _hint(kind: str, schema: dict[str, Any]) -> str:
    default, largest = schema.get("default"), schema.get("maximum")
    if kind in ("integer", "number") and isinstance(default, int | float) and default > 0:
        step = default / 2 if largest is None or default * 1.5 <= largest else -default / 4
        numbers = [default, default + step]
        return ", ".join(f"{round(n):d}" if kind == "integer" else f"{n:g}" for n in numbers)
    return _HINTS.get(kind, "a, b")


def split_values(text: str) -> tuple[str, ...]:
    """``5, 7, 9`` as three values. A comma inside a value: one value a line."""
    parts = text.splitlines() if "\n" in text.strip() else text.split(",")
    return tuple(part.strip() for part in parts if part.strip())


def as_json(text: str, kind: str) -> Value:
    """``text`` as a value of a setting of ``kind``; as it is where it is none: the kernel tells that."""
    if kind == "boolean" and text.lower() in ("true", "false", "on", "off", "yes", "no"):
        return text.lower() in ("true", "on", "yes")
    if kind in ("integer", "number"):
        try:
            return int(text)
        except ValueError:
            pass
        try:
            number = float(text)
        except ValueError:
            return text
        return number if number == number and abs(number) != float("inf") else text
    return text


def problem_of(varying: Varying | None, values: Sequence[str]) -> str:
    """What is wrong with ``values`` of a setting, in words for people; empty: nothing that shows here."""
    if not values:
        return _("Write at least one value")
    if varying is None or varying.kind == "string":
        return ""
    for text in values:
        value = as_json(text, varying.kind)
        if isinstance(value, str) or (varying.kind == "integer" and isinstance(value, float)):
            kinds = {
                "integer": _("{value} is no whole number"),
                "number": _("{value} is no number"),
                "boolean": _("{value} is neither true nor false"),
            }
            return kinds[varying.kind].format(value=text)
        low = varying.least is not None and value < varying.least
        high = varying.largest is not None and value > varying.largest
        if low or high:
            return _("{value} is out of range ({least} to {largest})").format(
                value=text, least=_number(varying.least), largest=_number(varying.largest)
            )
    return ""


def _number(value: float | None) -> str:
    return "…" if value is None else f"{value:g}"
