"""The pages on packs, metadata and settings say what the code does."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from planning_stages import STAGES

from stablenew_api.errors import UserError
from stablenew_kernel.domain.naming import DEFAULT_PATTERN, FIELDS
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.packs.check import check_pack
from stablenew_kernel.domain.pipeline import PipelineSettings
from stablenew_kernel.domain.plan import PlanRequest, plan_run
from stablenew_kernel.domain.settings import Settings, parse_settings_toml

DOCS = Path(__file__).resolve().parents[3] / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(text: str, language: str = "") -> list[str]:
    """The fenced blocks of a language."""
    return [part.partition("\n")[2] for part in text.split("```")[1::2] if part.partition("\n")[0] == language]


def test_every_field_of_a_file_name_is_described() -> None:
    text = page("metadata.md")
    for field, meaning in FIELDS.items():
        assert f"| `{{{field}}}` | {meaning} |" in text
    assert f"`{DEFAULT_PATTERN}`" in text


def test_every_setting_is_described_with_its_default() -> None:
    text = page("settings.md")
    rows = [line.split("|")[1].strip(" `") for line in text.splitlines() if line.startswith("| `")]
    assert rows == list(Settings.model_fields)
    for name, info in Settings.model_fields.items():
        default = json.dumps(list(info.default) if isinstance(info.default, tuple) else info.default)
        assert f"| `{name}` | `{default}` | {info.description} |" in text
    for example in blocks(text, "toml"):
        assert parse_settings_toml("settings.toml", example.encode("utf-8")) != Settings()


def test_every_setting_of_the_pipeline_is_described() -> None:
    for name in PipelineSettings.model_fields:
        assert f"| `{name}` |" in page("packs-and-presets.md")


def test_the_example_pack_is_two_rows() -> None:
    example = blocks(page("packs-and-presets.md"))[0]
    rows = parse_pack("example.txt", example.encode("utf-8")).rows
    assert [(row.positive, row.negative) for row in rows] == [
        ("sunset over the ocean, a small sailboat, a few birds", "people, text"),
        ("(night city:1.2) skyline, neon", ""),
    ]


def test_the_row_of_the_example_sidecar_is_the_one_described() -> None:
    text = page("packs-and-presets.md")
    example = next(block for block in blocks(text, "json") if "pack_data" in block)
    (row,) = parse_pack("fox.json", example.encode("utf-8")).rows
    assert f"Its row is `{row.positive}`, with `{row.negative}` as the negative prompt" in text


def test_the_example_of_a_check_is_a_real_one() -> None:
    report = check_pack("mine.txt", b"fox, (cat:12)\n\na cat\n\nneg: fog\n", STAGES)
    text = page("packs-and-presets.md")
    for problem in report.problems:
        assert f"  {problem.severity + ':':<8} {problem}" in text
    assert (report.errors, report.warnings) == (0, 2)
    assert "mine.txt: 3 rows, 2 warnings\n" in text


def test_the_error_about_a_slot_is_the_real_one() -> None:
    pack = parse_pack("mine.txt", b"a\n\n\n[[time]]\n")
    with pytest.raises(UserError) as error:
        plan_run(PlanRequest(pack, rows="2"), STAGES, rng=Random(1))
    assert str(error.value) in page("packs-and-presets.md")
