"""Stages as clients offer them: which, in which order, with which schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import AliasChoices, Field, PlainValidator

from stablenew_api.backend import Capabilities
from stablenew_api.stage import Phase, Stage, StageConfig, marks
from stablenew_kernel.domain.cards import described, offered, schema_of
from stablenew_kernel.domain.pipeline import Resolver
from stablenew_kernel.domain.presets import Layer
from stablenew_plugins.reference import built_in
from stablenew_plugins.stages import stablenew_stages

BUILT_IN = {stage.name: stage for stage in stablenew_stages()}
SCHEMAS = {stage.name: schema_of(stage) for stage in offered(BUILT_IN)}


class _Odd:
    """No JSON."""


class GrainConfig(StageConfig):
    """Settings of a stage of somebody else."""

    size: int = Field(
        3,
        ge=1,
        le=9,
        title="Size",
        description="Of a grain.",
        validation_alias=AliasChoices("grain_size", "size"),
        json_schema_extra=marks(unit="px", only_with="looks"),
    )
    looks: tuple[str, ...] = Field((), title="Looks", json_schema_extra=marks(choices="styles", advanced=True))
    odd: Annotated[Any, PlainValidator(lambda value: value)] = Field(default_factory=_Odd)


class Grain(Stage):
    """Grain   as of a film.

    More that no card has room for.
    """

    name, version, title = "grain", "1.0", "Grain"
    Config = GrainConfig
    phase = Phase.POST

    def run(self, ctx: Any, config: Any, images: Any) -> Any:
        """Nothing."""
        return images


class Hidden(Grain):
    name, internal = "hidden", True


class Undescribed(Grain):
    name = "undescribed"


def test_what_is_offered_stands_in_the_order_of_the_phases_and_noop_is_not_among_it() -> None:
    names = [stage.name for stage in offered({**BUILT_IN, "grain": Grain, "hidden": Hidden})]
    assert names[:6] == ["txt2img", "comfy_workflow", "img2img", "comfy_image", "adetailer", "upscale"]
    posts = names[6:]
    assert posts == sorted(posts)
    assert "grain" in posts
    assert {"noop", "hidden"}.isdisjoint(names)


def test_post_processors_stand_as_a_pipeline_runs_them() -> None:
    posts = [stage.name for stage in offered(BUILT_IN) if stage.phase is Phase.POST]
    layer = Layer("preset", {"pipeline": {f"{name}_enabled": True for name in reversed(posts)}})
    planned = Resolver([layer], [], BUILT_IN).resolve().stages
    assert [one.stage.name for one in planned if one.stage.phase is Phase.POST] == posts


def test_each_built_in_stage_says_in_a_line_what_it_is_good_for() -> None:
    for stage in built_in()[0]:
        text = described(stage)
        assert text.endswith("."), stage.name
        assert 20 < len(text) <= 110, stage.name
        assert stage.description == text, stage.name


def test_without_a_description_the_docstring_tells() -> None:
    assert described(Grain) == "Grain as of a film."
    assert described(Undescribed) == ""


def settings(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from schema["properties"].items()
    for nested in schema.get("$defs", {}).values():
        yield from nested["properties"].items()


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_card_has_what_it_needs_of_every_setting(name: str) -> None:
    schema = SCHEMAS[name]
    assert json.loads(json.dumps(schema)) == schema
    assert set(BUILT_IN[name].Config.model_fields) <= set(schema["properties"])
    for key, setting in settings(schema):
        assert setting["title"], key
        assert setting["description"], key
        assert "default" in setting, key
        if setting.get("type") in ("integer", "number"):
            assert {"minimum", "exclusiveMinimum"} & set(setting), key
            assert {"maximum", "exclusiveMaximum"} & set(setting), key
        master = setting.get("only_with", "").partition("=")[0]
        assert not master or master in schema["properties"], key
        assert setting.get("choices", "models") in Capabilities.lists(), key


@pytest.mark.parametrize(
    ("stage", "key", "choices"),
    [
        ("txt2img", "model", "models"),
        ("txt2img", "vae", "vaes"),
        ("txt2img", "sampler_name", "samplers"),
        ("txt2img", "scheduler", "schedulers"),
        ("txt2img", "hr_upscaler", "hires_upscalers"),
        ("txt2img", "hr_sampler_name", "samplers"),
        ("txt2img", "hr_scheduler", "schedulers"),
        ("txt2img", "hr_checkpoint_name", "models"),
        ("txt2img", "refiner_checkpoint", "models"),
        ("txt2img", "styles", "styles"),
        ("txt2img", "hypernetwork", "hypernetworks"),
        ("txt2img", "face_restoration_model", "face_restorers"),
        ("img2img", "sampler_name", "samplers"),
        ("adetailer", "adetailer_model", "detectors"),
        ("adetailer", "adetailer_sampler", "samplers"),
        ("adetailer", "checkpoint", "models"),
        ("upscale", "upscaler", "upscalers"),
        ("comfy_image", "model", "models"),
    ],
)
def test_names_that_a_node_tells_are_marked(stage: str, key: str, choices: str) -> None:
    assert SCHEMAS[stage]["properties"][key]["choices"] == choices


def test_marks_ranges_and_choices_of_a_stage_of_somebody_else_are_there() -> None:
    found = schema_of(Grain)["properties"]
    assert found["size"] == {
        "default": 3,
        "description": "Of a grain.",
        "maximum": 9,
        "minimum": 1,
        "only_with": "looks",
        "title": "Size",
        "type": "integer",
        "unit": "px",
    }
    assert found["looks"]["choices"] == "styles"
    assert found["looks"]["advanced"] is True
    assert "type" not in found["odd"]


def test_what_the_plan_reads_is_there_too() -> None:
    assert SCHEMAS["txt2img"]["properties"]["batch_size"]["maximum"] == 64  # its own, not the plan's
    assert {"seed", "batch_size", "batch_count"} <= set(SCHEMAS["comfy_workflow"]["properties"])
    assert SCHEMAS["img2img"]["properties"]["seed"]["advanced"] is True
    assert "batch_size" not in SCHEMAS["img2img"]["properties"]
    assert "seed" not in SCHEMAS["frame"]["properties"]


def test_choices_that_no_node_tells_are_refused_where_they_are_written() -> None:
    with pytest.raises(ValueError, match=r"choices 'sampler': no node tells such a list; use models, "):
        marks(choices="sampler")
    assert marks() == {}
