"""Stages as clients offer them: in order, with what each is good for and the schema of its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema

from stablenew_api.kinds import text_of
from stablenew_api.stage import Phase, Stage
from stablenew_kernel.domain.pipeline import DrawSettings, SeedSettings


def offered(stages: Mapping[str, type[Stage]]) -> Sequence[type[Stage]]:
    """Those for people, by phase. Post-processors as a pipeline runs them: by name; of the others one runs, so
    they stand as their plugins have them."""
    found = [stage for stage in stages.values() if not stage.internal]
    return sorted(found, key=lambda stage: (stage.phase, stage.name if stage.phase is Phase.POST else ""))


def described(stage: type[Stage]) -> str:
    """A line on what the stage is good for: its ``description``, else the first line of its docstring."""
    text = text_of(stage, "description") or (stage.__doc__ or "").strip().partition("\n")[0]
    return " ".join(text.split())


def schema_of(stage: type[Stage]) -> dict[str, Any]:
    """JSON Schema of all that may stand in the stage's section, by the names that ``--set`` takes.

    Those of its ``Config`` first, as :meth:`pydantic.BaseModel.model_json_schema` writes them, with all marks;
    then what the plan reads there (``seed``, of a generating stage also the batch), marked as ``advanced``
    where the stage begins with an image.
    """
    schema = _schema(stage.Config)
    properties = schema.setdefault("properties", {})
    if stage.phase is not Phase.POST:
        generates = stage.phase is Phase.GENERATE
        planned = _schema(DrawSettings if generates else SeedSettings)["properties"]
        for name, setting in planned.items():
            properties.setdefault(name, setting if generates else {**setting, "advanced": True})
    return schema


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=False, schema_generator=_Schema)


class _Schema(GenerateJsonSchema):
    """A type that JSON Schema has no word for takes anything: the stage's own validation has the last one."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}

    def handle_invalid_for_json_schema(self, schema: CoreSchema, error_info: str) -> JsonSchemaValue:
        """Called in place of an error."""
        return {}
