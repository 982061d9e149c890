"""What the diffusers backend does without torch: the prompt, names, folders, options, memory."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew_api.backend import Progress, Txt2ImgRequest, UpscaleRequest
from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_api.kinds import class_problem
from stablenew_api.testing import ManualCancel, host_of, sample_image
from stablenew_plugins.backends import diffusion
from stablenew_plugins.backends.diffusion import folders, libs, offline, tables
from stablenew_plugins.backends.diffusion.memory import GIB, choose_offload, ran_out_of_memory
from stablenew_plugins.backends.diffusion.prompt import (
    Clause,
    Lora,
    Part,
    PromptError,
    Schedule,
    chunks,
    clauses,
    sections,
    take_loras,
    without_comments,
)

# --- attention weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", [("plain", 1.0)]),
        ("a (b) c", [("a ", 1.0), ("b", 1.1), (" c", 1.0)]),
        ("((b))", [("b", 1.21)]),
        ("[b]", [("b", 1 / 1.1)]),
        ("(b:1.3)", [("b", 1.3)]),
        ("(b: 1.3 )", [("b", 1.3)]),
        ("(b:.5)", [("b", 0.5)]),
        ("(b:-1)", [("b", -1.0)]),
        ("((b:1.2) c:2)", [("b", 2.4), (" c", 2.0)]),
        (r"\(b\) \[c\] \\", [("(b) [c] \\", 1.0)]),
        (r"(a \(b\):1.5)", [("a (b)", 1.5)]),
        ("(b", [("b", 1.1)]),
        ("[b", [("b", 1 / 1.1)]),
        ("b) c] d", [("b) c] d", 1.0)]),
        ("a:b", [("a:b", 1.0)]),
        ("a:1.3)", [("a:1.3)", 1.0)]),
        ("(b:1.2.3)", [("b:1.2.3", 1.1)]),
        ("[b:1.3)", [("b:1.3)", 1 / 1.1)]),
        ("", []),
        ("()", []),
    ],
)
def test_attention_is_read_as_the_webui_reads_it(text: str, expected: list[tuple[str, float]]) -> None:
    (parts,) = sections(text)
    assert [part.text for part in parts] == [words for words, _ in expected]
    assert [part.weight for part in parts] == pytest.approx([weight for _, weight in expected])


def test_break_begins_a_section_wherever_it_stands() -> None:
    assert sections("a BREAK b") == ((Part("a", 1.0),), (Part("b", 1.0),))
    assert sections("BREAK b") == ((), (Part("b", 1.0),))
    assert [[part.text for part in section] for section in sections("(a BREAK b:1.5) c")] == [
        ["a"],
        ["b", " c"],
    ]
    assert sections("unBREAKable") == ((Part("unBREAKable", 1.0),),)


PROMPTS = st.text(alphabet="ab ()[]:\\.12,|BREAK", max_size=40)


@given(PROMPTS)
def test_no_prompt_fails_and_no_letter_is_lost(text: str) -> None:
    found = "".join(part.text for section in sections(text) for part in section)
    letters = [char for char in text.replace("BREAK", "") if char in "ab,|"]
    # BREAK is a word: what the alphabet puts together by chance may be one or not.
    assert [char for char in found.replace("BREAK", "") if char in "ab,|"] == letters


@given(st.text(alphabet="ab,| ", min_size=1, max_size=20), st.integers(1, 4), st.booleans())
def test_brackets_multiply(words: str, depth: int, strong: bool) -> None:
    opened, closed, factor = ("(", ")", 1.1) if strong else ("[", "]", 1 / 1.1)
    ((part,),) = sections(opened * depth + words + closed * depth)
    assert (part.text, part.weight) == (words, pytest.approx(factor**depth))


@given(st.text(max_size=30))
def test_an_escaped_text_is_taken_as_it_is(text: str) -> None:
    escaped = "".join("\\" + char if char in "()[]\\" else char for char in text.replace("BREAK", ""))
    assert "".join(part.text for section in sections(escaped) for part in section) == text.replace("BREAK", "")


# --- what changes from step to step -------------------------------------------------------------------------


def texts(prompt: str, steps: int = 4, base: int = 0) -> list[str]:
    schedule = Schedule(prompt)
    return [schedule.at(step, steps, base) for step in range(1, steps + 1)]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("[a:b:0.5]", ["a", "a", "b", "b"]),
        ("[a:b:3]", ["a", "a", "a", "b"]),
        ("x [b:2]", ["x ", "x ", "x b", "x b"]),
        ("[a::1]", ["a", "", "", ""]),
        ("[a|b|]", ["a", "b", "", "a"]),
        ("[[a:b:1]:c:2]", ["a", "b", "c", "c"]),
        ("[(a:1.2):b:2]", ["(a:1.2)", "(a:1.2)", "b", "b"]),
        ("[(a|x):b:2]", ["(a|x)", "(a|x)", "b", "b"]),
        ("[a:b: 2 ]", ["a", "a", "b", "b"]),
        ("[a:b:0]", ["b"] * 4),
        ("[a:b:9]", ["a"] * 4),
        (r"\[a:b:1\]", [r"\[a:b:1\]"] * 4),
        ("[a]", ["[a]"] * 4),
        ("[a:b:c]", ["[a:b:c]"] * 4),
        ("[a:b:1", ["[a:b:1"] * 4),
        ("(a:1.2)", ["(a:1.2)"] * 4),
    ],
)
def test_prompt_editing(prompt: str, expected: list[str]) -> None:
    assert texts(prompt) == expected


def test_the_hires_pass_counts_on() -> None:
    assert texts("[a:b:1.5]") == ["a"] * 4
    assert texts("[a:b:1.5]", base=4) == ["a", "a", "b", "b"]
    assert texts("[a:b:0.5]", base=4) == ["b"] * 4
    assert texts("[a:b:6]", base=4) == ["a", "a", "b", "b"]


def test_only_a_prompt_that_changes_says_so() -> None:
    assert not Schedule("(a:1.2) [b]").changes
    assert Schedule("a [b|c]").changes


def test_editing_inside_editing_has_an_end() -> None:
    with pytest.raises(PromptError, match="50 deep"):
        Schedule("[a:" * 60 + "b" + ":2]" * 60)


@given(PROMPTS, st.integers(1, 9))
def test_a_schedule_never_fails(text: str, step: int) -> None:
    assert isinstance(Schedule(text).at(step, 9), str)


def test_and_joins_prompts_with_weights() -> None:
    assert clauses("a cat AND a dog :1.2") == (Clause("a cat ", 1.0), Clause(" a dog", 1.2))
    assert clauses("a: 2") == (Clause("a: 2", 1.0),)
    assert clauses("sAND") == (Clause("sAND", 1.0),)


def test_comments_are_left_out() -> None:
    assert without_comments("a # b\n# c\nd") == "a\n\nd"


# --- LoRA tags ----------------------------------------------------------------------------------------------


def test_lora_tags_are_taken_out() -> None:
    text, loras = take_loras("a <lora:x> b <lora:y/z:0.5> <lyco:w:0.3:0.4><lora:x:-0.25>")
    assert text == "a  b  "
    assert loras == (Lora("x", 0.75, 0.75), Lora("y/z", 0.5, 0.5), Lora("w", 0.3, 0.4))


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("<lora:x:much>", "'much' is no number"),
        ("<lora:x:1:2:3>", "one weight"),
        ("<hypernet:x:1>", "hypernetworks"),
    ],
)
def test_tags_that_cannot_be_used_are_refused(prompt: str, said: str) -> None:
    with pytest.raises(PromptError, match=said):
        take_loras(prompt)


# --- chunks -------------------------------------------------------------------------------------------------

COMMA = 267
UNITS = st.lists(
    st.tuples(
        st.one_of(st.just([COMMA]), st.lists(st.integers(300, 400), min_size=1, max_size=8)),
        st.floats(0.1, 2),
    ),
    max_size=200,
)


@given(st.lists(UNITS, min_size=1, max_size=3))
def test_chunks_keep_every_token_in_order_and_never_overflow(
    texts: list[list[tuple[list[int], float]]],
) -> None:
    made = chunks(texts, COMMA)
    assert all(len(chunk) <= 75 for chunk in made)
    assert len(made) >= len(texts)
    flat = [(token, weight) for units in texts for ids, weight in units for token in ids]
    assert [pair for chunk in made for pair in chunk] == flat


@given(st.lists(st.lists(st.integers(300, 999), min_size=5, max_size=5, unique=True), max_size=60))
def test_the_vectors_of_an_embedding_stay_together(groups: list[list[int]]) -> None:
    numbered = [[1000 * number + token for token in group] for number, group in enumerate(groups, 1)]
    for chunk in chunks([[(group, 1.0) for group in numbered]], COMMA):
        assert len(chunk) % 5 == 0


def test_a_full_chunk_is_cut_behind_its_last_comma() -> None:
    words = [([300 + number], 1.0) for number in range(70)]
    made = chunks([[*words, ([COMMA], 1.0), *[([500 + number], 1.0) for number in range(10)]]], COMMA)
    assert [len(chunk) for chunk in made] == [71, 10]
    early = chunks([[*words[:40], ([COMMA], 1.0), *words, *words[:10]]], COMMA)
    assert [len(chunk) for chunk in early] == [75, 46]


def test_empty_prompts_have_a_chunk_and_break_makes_one_each() -> None:
    assert chunks([[]], COMMA) == [[]]
    assert chunks([[([1], 1.0)], [], [([2], 1.0)]], COMMA) == [[(1, 1.0)], [], [(2, 1.0)]]


def test_an_embedding_that_fits_no_chunk_is_refused() -> None:
    with pytest.raises(PromptError, match="76 vectors"):
        chunks([[(list(range(76)), 1.0)]], COMMA)


# --- samplers and schedules ---------------------------------------------------------------------------------


def test_automatic_is_what_the_webui_takes() -> None:
    assert tables.choose("DPM++ 2M", "Automatic").schedule == "Karras"
    assert tables.choose("Euler a", "").schedule == "Uniform"
    assert tables.choose("DPM++ 2M SDE", "Automatic").schedule == "Exponential"


def test_names_from_before_webui_1_9_and_other_cases_are_understood() -> None:
    choice = tables.choose("DPM++ 2M Karras", "Automatic")
    assert (choice.sampler, choice.schedule) == ("DPM++ 2M", "Karras")
    assert tables.choose("euler A", "karras").settings["use_karras_sigmas"] is True


@pytest.mark.parametrize(
    ("sampler", "schedule", "said"),
    [
        ("Eular", "Automatic", "nearest: Euler"),
        ("Euler", "Karas", "nearest: Karras"),
        ("DDIM", "Karras", "DDIM.*can have: Automatic, DDIM, Normal.*near it"),
        ("Restart", "Automatic", "no sampler 'Restart'"),
        ("Euler", "Align Your Steps", "no schedule type"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is_near(sampler: str, schedule: str, said: str) -> None:
    with pytest.raises(StageFailure, match=said) as caught:
        tables.choose(sampler, schedule)
    assert caught.value.kind == FailureKind.BAD_INPUT


def test_every_automatic_schedule_is_one_that_the_sampler_can_have() -> None:
    for name, kind in tables.SAMPLERS.items():
        assert tables.automatic(name) in kind.schedules, name
        assert kind.schedules <= set(tables.SCHEDULES), name


# --- folders ------------------------------------------------------------------------------------------------


def safetensors(path: Path, header: dict[str, Any], data: bytes = b"") -> Path:
    packed = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(packed)) + packed + data)
    return path


def tensor(*shape: int) -> dict[str, Any]:
    return {"dtype": "F16", "shape": list(shape), "data_offsets": [0, 0]}


def test_files_and_folders_are_found_by_name(tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    for path in (first / "SDXL" / "b.safetensors", first / "a.SAFETENSORS", second / "a.safetensors"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (first / "pickle.ckpt").touch()
    (first / "deep" / "folder" / "unet").mkdir(parents=True)
    (first / "deep" / "folder" / "model_index.json").write_text("{}", encoding="utf-8")
    (first / "deep" / "folder" / "unet" / "weights.safetensors").touch()
    found = folders.find_models([str(first), str(second), str(tmp_path / "nowhere")])
    assert list(found) == ["a", "deep/folder", "SDXL/b"]
    assert found["a"].path.parent == first
    assert found["deep/folder"].folder
    for name in ("SDXL/b", "SDXL\\b.safetensors", "b", "B", "b.safetensors [6ce0161689]"):
        assert folders.choose("model", name, found).name == "SDXL/b"
    with pytest.raises(StageFailure, match="no model 'SDXL/c'; nearest: SDXL/b"):
        folders.choose("model", "SDXL/c", found)
    with pytest.raises(StageFailure, match="none in its folders"):
        folders.choose("LoRA", "x", {})


def test_a_checkpoint_may_be_named_by_its_own_path(tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    file.touch()
    assert list(folders.find_models([str(file)])) == ["m"]
    (tmp_path / "pipe").mkdir()
    (tmp_path / "pipe" / "model_index.json").touch()
    assert list(folders.find_models([str(tmp_path / "pipe")])) == ["pipe"]


IN = "model.diffusion_model.input_blocks.0.0.weight"


@pytest.mark.parametrize(
    ("names", "family"),
    [
        ({IN: tensor(320, 4, 3, 3), "cond_stage_model.transformer.x": tensor(1)}, folders.Family.SD1),
        ({IN: tensor(320, 9, 3, 3), "cond_stage_model.transformer.x": tensor(1)}, folders.Family.SD1_INPAINT),
        ({IN: tensor(320, 4, 3, 3), "cond_stage_model.model.x": tensor(1)}, folders.Family.SD2),
        (
            {
                IN: tensor(320, 4, 3, 3),
                "conditioner.embedders.1.model.transformer.resblocks.9.mlp.c_proj.bias": tensor(1),
            },
            folders.Family.SDXL,
        ),
        (
            {
                IN: tensor(384, 4, 3, 3),
                "conditioner.embedders.0.model.transformer.resblocks.9.mlp.c_proj.bias": tensor(1),
            },
            folders.Family.SDXL_REFINER,
        ),
    ],
)
def test_a_checkpoint_is_known_by_its_tensors(tmp_path: Path, names: dict[str, Any], family: str) -> None:
    assert folders.file_family(safetensors(tmp_path / "m.safetensors", names)) is family


def test_what_is_no_checkpoint_is_refused_in_words(tmp_path: Path) -> None:
    lora = safetensors(tmp_path / "l.safetensors", {"lora_unet_x.lora_up.weight": tensor(1)})
    with pytest.raises(StageFailure, match=r"l\.safetensors: no complete .* looks like a LoRA"):
        folders.file_family(lora)
    for data in (b"", b"PK\x03\x04garbage", struct.pack("<Q", 9) + b"not json!"):
        (tmp_path / "bad.safetensors").write_bytes(data)
        with pytest.raises(StageFailure, match="cannot be read as a safetensors file") as caught:
            folders.file_family(tmp_path / "bad.safetensors")
        assert caught.value.kind == FailureKind.BAD_INPUT


def test_hashes_are_those_of_the_webui(tmp_path: Path) -> None:
    stated = safetensors(tmp_path / "s.safetensors", {"__metadata__": {"sshs_model_hash": "ab" * 32}}, b"data")
    plain = safetensors(tmp_path / "p.safetensors", {"__metadata__": {}}, b"data")
    edited = safetensors(tmp_path / "e.safetensors", {"__metadata__": {"ss_tag": "new"}}, b"data")
    hashes = folders.Hashes()
    try:
        assert hashes.model(plain).result(10) == hashlib.sha256(plain.read_bytes()).hexdigest()[:10]
        assert hashes.lora(stated).result(10) == "abababababab"
        assert hashes.lora(plain).result(10) == hashlib.sha256(b"data").hexdigest()[:12]
        assert hashes.lora(edited).result(10) == hashes.lora(plain).result(10)
        assert hashes.model(plain) is hashes.model(plain)
        before = hashes.model(plain).result(10)
        plain.write_bytes(b"12345678{}")
        os.utime(plain, ns=(1, 1))
        assert hashes.model(plain).result(10) != before
    finally:
        hashes.close()


# --- what single files lack ---------------------------------------------------------------------------------


def test_the_vocabulary_is_that_of_clip() -> None:
    vocabulary, merges = offline.clip_vocabulary()
    assert len(vocabulary) == 49408
    assert len(merges) == 48894
    known = {
        "!": 0,
        "a</w>": 320,
        "cat</w>": 2368,
        ",</w>": 267,
        "<|startoftext|>": 49406,
        "<|endoftext|>": 49407,
    }
    assert {token: vocabulary[token] for token in known} == known


def test_the_configuration_is_written_as_diffusers_reads_it(tmp_path: Path) -> None:
    offline.write_configs(folders.Family.SDXL, tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text(encoding="utf-8"))
    assert index["_class_name"] == "StableDiffusionXLPipeline"
    for part in ("unet", "vae", "text_encoder", "text_encoder_2"):
        assert (tmp_path / part / "config.json").is_file()
    assert (tmp_path / "scheduler" / "scheduler_config.json").is_file()


# --- memory -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free", "expected"),
    [(24, "none"), (8, "none"), (7, "model"), (6, "model"), (4, "sequential"), (0, "sequential")],
)
def test_weights_wait_where_they_fit(free: int, expected: str) -> None:
    assert choose_offload(weights=6 * GIB, largest=4 * GIB, work=GIB, free=free * GIB) == expected


@given(*[st.integers(0, 10 * GIB)] * 4, st.integers(0, GIB))
def test_more_free_memory_never_means_more_offload(
    weights: int, largest: int, work: int, free: int, more: int
) -> None:
    order = ["none", "model", "sequential"]
    largest = min(largest, weights)
    less = choose_offload(weights, largest, work, free)
    assert order.index(choose_offload(weights, largest, work, free + more)) <= order.index(less)


class OutOfMemoryError(RuntimeError):
    """Named like torch's."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemoryError("CUDA: x"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("HIP out of memory. Tried to allocate"),
        RuntimeError("MPS backend out of memory (MPS allocated: 18 GB)"),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("Invalid buffer size: 24.00 GB"),
    ],
)
def test_running_out_of_memory_is_known_in_every_wording(error: Exception) -> None:
    assert ran_out_of_memory(error)


def test_other_errors_are_not_out_of_memory() -> None:
    assert not ran_out_of_memory(RuntimeError("shapes differ"))
    assert not ran_out_of_memory(ValueError("out of memory of the past"))


# --- options and the plugin ---------------------------------------------------------------------------------


def test_folders_are_given_as_in_path() -> None:
    config = diffusion.DiffusersConfig(models=f"/a{os.pathsep}/b", loras="")  # type: ignore[arg-type]
    assert (config.models, config.loras) == (("/a", "/b"), ())
    assert diffusion.DiffusersConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize("option", [{"device": "tpu"}, {"keep_models": 0}, {"offload": "some"}, {"model": "x"}])
def test_wrong_options_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(option))):
        diffusion.DiffusersConfig.model_validate(option)


def test_it_is_a_plugin_like_any_other() -> None:
    assert not class_problem("backend", diffusion.DiffusersBackend)
    (plugin,) = host_of(diffusion).plugins
    assert plugin.state == "active", plugin.reason


def test_without_the_libraries_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libs, "find_spec", lambda name: None)
    backend = diffusion.DiffusersBackend(diffusion.DiffusersConfig())
    calls = [
        backend.identify,
        backend.capabilities,
        lambda: backend.txt2img(
            Txt2ImgRequest(
                prompt="x",
                negative_prompt="",
                seed=1,
                steps=1,
                cfg_scale=1,
                sampler="Euler",
                scheduler="Automatic",
                width=64,
                height=64,
            ),
            Progress(),
            ManualCancel(),
        ),
    ]
    for call in calls:
        with pytest.raises(
            StageFailure, match=r"torch, diffusers.*pip install 'stablenew\[diffusers\]'"
        ) as caught:
            call()
        assert caught.value.kind == FailureKind.BACKEND
    backend.close()


def test_upscaling_is_pillow_and_needs_no_torch() -> None:
    backend = diffusion.DiffusersBackend(diffusion.DiffusersConfig())
    made = backend.upscale(UpscaleRequest(sample_image(40, 30), "Lanczos", 2.5), Progress(), ManualCancel())
    assert made.image.size == (100, 75)
    assert made.info["Postprocess upscaler"] == "Lanczos"
    with pytest.raises(StageFailure, match="no upscaler 'R-ESRGAN 4x"):
        backend.upscale(UpscaleRequest(sample_image(), "R-ESRGAN 4x+", 2), Progress(), ManualCancel())
    with pytest.raises(StageFailure, match="cannot be enlarged"):
        backend.upscale(UpscaleRequest(sample_image(), "Nearest", 9999), Progress(), ManualCancel())
    with pytest.raises(StageFailure, match="face restoration"):
        backend.upscale(
            UpscaleRequest(sample_image(), "Nearest", 2, gfpgan_visibility=1), Progress(), ManualCancel()
        )
    backend.close()


def test_the_page_names_every_sampler_schedule_and_option() -> None:
    page = (Path(__file__).parents[3] / "docs" / "backend-diffusers.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")] for line in page.splitlines() if line.startswith("|")]
    by_sampler = {name: row for row in rows for name in row[1].split(", ")}
    for sampler, kind in tables.SAMPLERS.items():
        assert kind.scheduler in by_sampler[sampler][2], sampler
        assert tables.automatic(sampler) == by_sampler[sampler][3], sampler
    for name in tables.SCHEDULES:
        assert name in page.partition("Schedule types: ")[2].partition(".")[0]
    for option in diffusion.DiffusersConfig.model_fields:
        assert f"`{option}`" in page, option
