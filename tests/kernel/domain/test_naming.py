"""File and folder names that every platform takes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stablenew_api.errors import UserError
from stablenew_api.jobs import JobSpec, StageSpec
from stablenew_kernel.domain.naming import (
    DEFAULT_PATTERN,
    FIELDS,
    MAX_BYTES,
    MAX_CHARACTERS,
    is_safe_name,
    parse_pattern,
    run_folder,
    safe_name,
)

AT = datetime(2026, 11, 22, 21, 3, 14, tzinfo=timezone(timedelta(hours=1)))
CONFIG = {
    "model": "SDXL\\juggernaut.v9.safetensors [dd08fa32f9]",
    "sampler_name": "DPM++ 2M",
    "steps": 20,
    "cfg_scale": 6.5,
    "width": 512,
    "height": 768,
}
SPEC = JobSpec(
    (StageSpec("txt2img", "1", "p", "", 42, CONFIG), StageSpec("frame", "1", "p", "", 42, {})),
    provenance={"pack": "demo.txt", "preset": "full.json", "row": 3, "image": 1},
)


def test_every_field() -> None:
    pattern = "_".join(f"{{{field}}}" for field in FIELDS)
    assert parse_pattern(pattern).name(SPEC, 7, AT) == (
        "8_3_2_42_demo_full_2026-11-22_210314_juggernaut.v9_DPM++ 2M_20_6.5_512_768_frame"
    )
    assert parse_pattern(DEFAULT_PATTERN).name(SPEC, 0, AT) == "00001_003_42"


def test_a_job_that_lacks_a_field_still_gets_a_name() -> None:
    bare = JobSpec((StageSpec("noop", "1", "", "", 1, {}),))
    assert parse_pattern("_".join(f"{{{field}}}" for field in FIELDS)).name(bare, 0, AT)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("{sed}", "there is no field 'sed'; did you mean seed"),
        ("{seed", "write fields as {seed}"),
        ("{}", "there is no field ''"),
        ("{seed.bit_length}", "there is no field"),
        ("{pack!r}", "can't be written as"),
        ("{index:{row}}", "can't be written as"),
        ("{model:d}", "can't be written as"),
        ("{index:999999999}", "can't be written as"),
        ("{index:٩٩٩٩٩٩٩٩٩}", "can't be written as"),
        (f"{{index:0{'9' * 30}d}}", "can't be written as"),
        (f"{{pack:.{'9' * 5000}}}", "can't be written as"),
        ("a/{seed}", "no / or"),
        ("a\\{seed}", "no / or"),
        ("  ", "empty"),
    ],
)
def test_a_wrong_pattern(pattern: str, words: str) -> None:
    with pytest.raises(UserError) as error:
        parse_pattern(pattern)
    assert words in str(error.value)


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_text_becomes_a_name(text: str) -> None:
    name = safe_name(text)
    assert is_safe_name(name + ".png")
    assert 1 <= len(name) <= MAX_CHARACTERS + 1
    assert len(name.encode("utf-8")) <= MAX_BYTES + 1
    assert not set(name) & set('<>:"/\\|?*\0\n\r')
    assert name[0] != " "
    assert name[-1] not in " ."
    assert name not in (".", "..")
    assert safe_name(name) == name


def test_any_text_is_a_name_on_this_machine(tmp_path: Path) -> None:
    for text in ("a" * 500, "日" * 500, "CON", "aux.txt", "..", "", "a:b*c?", "\0\x1f\x9f", "x\ud800y"):
        folder = tmp_path / safe_name(text)
        folder.mkdir(exist_ok=True)
        assert folder.parent == tmp_path
        assert folder.is_dir()


@pytest.mark.parametrize("name", ["con", "NUL", "com1", "LPT9.png", "aux.a.b", "COM²"])
def test_device_names_of_windows_are_avoided(name: str) -> None:
    assert safe_name(name) == f"_{name}"


@pytest.mark.parametrize("text", ["a" * (MAX_CHARACTERS - 1) + " b", "é" * (MAX_BYTES // 2 - 1) + ". é"])
def test_a_name_that_was_cut_ends_in_no_dot_or_blank(text: str) -> None:
    assert safe_name(text)[-1] in "aé"


def test_run_folder() -> None:
    assert run_folder(AT, "demo.txt") == "2026-11-22_210314_demo"
    assert run_folder(AT, "a/b:c") == "2026-11-22_210314_b_c"
