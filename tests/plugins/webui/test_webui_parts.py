"""The pure parts of the webui backend: names, prompts, replies that are anything, out-of-memory texts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD
from webui_kit import txt2img

from stablenew_api.backend import Hires
from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_api.models import nearest
from stablenew_api.testing import sample_image
from stablenew_plugins.backends.outofmemory import is_out_of_memory
from stablenew_plugins.backends.webui.http import Reply, failure_of
from stablenew_plugins.backends.webui.inventory import _PATHS, Inventory, _read
from stablenew_plugins.backends.webui.names import Named, find, look_up
from stablenew_plugins.backends.webui.payload import Builder, Call, Expectation, encode, pad
from stablenew_plugins.backends.webui.progress import decode_preview
from stablenew_plugins.backends.webui.prompts import translate
from stablenew_plugins.backends.webui.reply import check_status, read_sampled, read_upscaled

MODELS = (
    Named("SDXL\\juggernaut.safetensors [dd08fa32f9]", ("juggernaut",), ("dd08fa32f9" + "0" * 54,)),
    Named("old/dream.ckpt", (), ()),
    Named("new/dream.ckpt", (), ()),
    Named("v1.5.safetensors [aaaaaaaaaa]", ("v1.5",), ("aaaaaaaaaa",)),
)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("SDXL\\juggernaut.safetensors [dd08fa32f9]", [0]),
        ("SDXL/juggernaut.safetensors", [0]),
        ("Juggernaut", [0]),
        ("other/place/juggernaut.ckpt", [0]),
        ("dd08fa32f9", [0]),
        ("DD08FA32F9" + "0" * 54, [0]),
        ("renamed.safetensors [dd08fa32f9]", [0]),
        ("juggernaut [bbbbbbbbbb]", []),  # the same name and another hash: another file
        ("dream", [1, 2]),
        ("old/dream", [1]),
        ("dream.ckpt [cccccccccc]", [1, 2]),  # their hashes are not known
        ("v1.5", [3]),
        ("v1", []),
        ("", []),
        ("  ", []),
    ],
)
def test_finding_a_checkpoint(asked: str, found: list[int]) -> None:
    assert find(asked, MODELS) == [MODELS[index] for index in found]


def test_what_is_not_found_or_not_clear_says_what_there_is() -> None:
    for asked, text in (
        ("dream", "may be several on X: old/dream.ckpt, new/dream.ckpt"),
        ("jugernaut", "X has no checkpoint 'jugernaut'; nearest: SDXL\\juggernaut"),
        ("juggernaut [bbbbbbbbbb]", "with another hash, SDXL\\juggernaut"),
    ):
        with pytest.raises(StageFailure) as caught:
            look_up("checkpoint", asked, MODELS, "X")
        assert caught.value.kind == FailureKind.BAD_INPUT
        assert text in str(caught.value)
    assert nearest("x", ()) == "; it has none"


NAMES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="[]\r\n"), min_size=1, max_size=12),
    max_size=6,
    unique=True,
)


@given(NAMES, st.booleans())
@A_THIRD
def test_everything_is_found_by_its_own_name(names: list[str], files: bool) -> None:
    things = [Named(name) for name in names]
    for thing in things:
        assert find(thing.name, things, files) == [thing]


@given(st.text(max_size=60))
def test_a_prompt_without_tags_stays_as_it_is(text: str) -> None:
    if "<" not in text and "embedding:" not in text:
        assert translate(text, (), (), (), "X").text == text


@given(st.text(max_size=20), st.sampled_from(["a b", "my__lora__v1", "x-y.z"]), st.floats(-2, 2))
@A_THIRD
def test_a_known_lora_stays_and_is_noted(around: str, name: str, weight: float) -> None:
    tag = f"<lora:{name}:{weight:.2f}>"
    if "<" not in around and ">" not in around and "embedding:" not in around:
        made = translate(around + tag, (Named(name),), None, None, "X")
        assert made.text == around + tag
        assert made.loras == (name,)
    with pytest.raises(StageFailure, match="no LoRA"):
        translate(tag, (), None, None, "X")
    assert translate(tag, None, None, None, "X").text == tag  # not known: the reply is checked


@pytest.mark.parametrize(
    "text",
    [
        "CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 7.79 GiB total capacity)",
        '{"error":"OutOfMemoryError","detail":"","body":"","errors":""}',
        "HIP out of memory. Tried to allocate 20.00 MiB",
        "MPS backend out of memory (MPS allocated: 17.99 GB, other allocations: 48.00 KB, max 18.13 GB).",
        "Could not allocate tensor with 1073741824 bytes. There is not enough GPU video memory",
        "[enforce fail at alloc_cpu.cpp:114] data. DefaultCPUAllocator: not enough memory",
        "RuntimeError: Not enough memory, use lower resolution (max approx. 640x640). Need: 5.2GB free",
        "CUDA error: out of memory",
        "CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cudaErrorMemoryAllocation",
        "Native API failed. Native API returns: -5 (PI_ERROR_OUT_OF_RESOURCES) -5 (PI_ERROR_OUT_OF_RESOURCES)",
        "UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY",
        "XPU out of memory. Tried to allocate 4.00 GiB",
    ],
)
def test_out_of_memory_in_every_wording(text: str) -> None:
    assert is_out_of_memory(text)
    with pytest.raises(StageFailure) as caught:
        check_status(Reply(500, text.encode()), "http://x", "/sdapi/v1/txt2img")
    assert caught.value.kind == FailureKind.OUT_OF_MEMORY


@pytest.mark.parametrize(
    "text", ["a room, memory lane", "NansException: A tensor with all NaNs", "", "zoom", "mushroom"]
)
def test_what_is_no_lack_of_memory(text: str) -> None:
    assert not is_out_of_memory(text)


def test_a_prompt_about_memory_is_no_lack_of_it() -> None:
    """A 200 is judged by its image, whatever its texts say."""
    call = sampled()
    body = json.dumps(answer(prompt="out of memory")).encode()
    assert read_sampled(Reply(200, body), call).image.size == (16, 8)


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (404, b'{"detail":"Not Found"}', FailureKind.BACKEND, "start the WebUI with --api"),
        (404, b"<html>nginx</html>", FailureKind.BAD_INPUT, "nginx"),
        (
            404,
            b'{"error":"HTTPException","detail":"Sampler not found"}',
            FailureKind.BAD_INPUT,
            "Sampler not found",
        ),
        (422, b'{"detail":[{"loc":["body","steps"],"msg":"not an int"}]}', FailureKind.BAD_INPUT, "not an int"),
        (401, b"", FailureKind.BACKEND, "--api-auth"),
        (403, b"no", FailureKind.BACKEND, "refuses us: no"),
        (500, b'{"error":"RuntimeError","errors":"boom"}', FailureKind.BACKEND, "RuntimeError: boom"),
        (500, b"Internal Server Error", FailureKind.BACKEND, "Internal Server Error"),
        (504, b"", FailureKind.BACKEND, "no reason given"),
        (307, b"", FailureKind.BACKEND, "redirects to elsewhere"),
    ],
)
def test_error_bodies_of_all_kinds(status: int, body: bytes, kind: FailureKind, text: str) -> None:
    failure = failure_of(Reply(status, body), "http://x", "/sdapi/v1/txt2img")
    assert failure.kind == kind
    assert text in str(failure)
    assert "\n" not in str(failure)
    assert f"HTTP {status}" in failure.detail


def sampled(**changes: Any) -> Call:
    return Call("txt2img", {}, Expectation((16, 8), seed=1, asked_seed=1, **changes), 4)


def answer(prompt: str = "x", **info: Any) -> dict[str, Any]:
    text = f"{prompt}\nSteps: 4, Sampler: Euler, Seed: 1, Size: 16x8, Model hash: 0012345678"
    return {
        "images": [encode(sample_image(16, 8))],
        "info": json.dumps({"infotexts": [text], "seed": 1, **info}),
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["images", "info", "image", "html_info", "parameters"])
INFO = st.dictionaries(
    st.sampled_from(["infotexts", "index_of_first_image", "seed", "sd_model_hash", "steps"]), JSON
)


@given(
    st.binary(max_size=64)
    | st.builds(lambda value: json.dumps(value).encode(), JSON | st.dictionaries(KEYS, JSON))
)
def test_any_reply_is_a_result_or_a_failure_with_evidence(body: bytes) -> None:
    for read, path in ((read_sampled, "txt2img"), (read_upscaled, "extra-single-image")):
        call = Call(path, {"upscaling_resize": 2, "upscaler_1": "x"}, Expectation((16, 8)), 1)
        with pytest.raises(StageFailure) as caught:
            read(Reply(200, body, "application/json"), call)
        assert caught.value.kind in (FailureKind.BACKEND, FailureKind.OUT_OF_MEMORY)
        assert caught.value.detail


@given(INFO)
@A_THIRD
def test_any_info_beside_a_good_image(info: dict[str, Any]) -> None:
    whole = answer()
    whole["info"] = json.dumps(info)
    try:
        made = read_sampled(Reply(200, json.dumps(whole).encode()), sampled())
    except StageFailure as error:
        failed: str = error.kind
    else:
        failed = ""
        assert made.image.size == (16, 8)
    assert failed in ("", FailureKind.BACKEND)


def test_values_of_an_infotext() -> None:
    made = read_sampled(Reply(200, json.dumps(answer()).encode()), sampled())
    assert made.info == {
        "Steps": 4,
        "Sampler": "Euler",
        "Seed": 1,
        "Size": "16x8",
        "Model hash": "0012345678",
    }
    with pytest.raises(StageFailure, match="clip skip: 2 was asked for, 1 was used"):
        read_sampled(Reply(200, json.dumps(answer()).encode()), sampled(clip_skip=2))
    with pytest.raises(StageFailure, match="variation seed: 7 was asked for, 9 was used"):
        read_sampled(Reply(200, json.dumps(answer(subseed=9)).encode()), sampled(subseed=7))


@given(st.dictionaries(st.sampled_from(_PATHS), JSON))
def test_any_answers_make_an_inventory(answers: dict[str, Any]) -> None:
    whole = {path: answers.get(path) for path in _PATHS}
    found = _read(Reply(200, b"[]"), whole)
    can = found.capabilities()
    assert {"txt2img", "img2img"} <= can.features
    assert all(isinstance(name, str) for names in can.lists() for name in getattr(can, names))


def test_padding_repeats_the_edge() -> None:
    source = sample_image(13, 9)
    made = pad(source)
    assert made.size == (16, 16)
    assert made.crop((0, 0, 13, 9)).tobytes() == source.tobytes()
    assert made.getpixel((15, 4)) == source.getpixel((12, 4))
    assert made.getpixel((15, 15)) == source.getpixel((12, 8))
    mask = pad(sample_image(13, 9, "L"), black=True)
    assert mask.getpixel((15, 15)) == 0


def test_a_server_that_lists_its_fields_is_believed() -> None:
    old = Inventory(fields={"txt2img": frozenset({"prompt", "enable_hr"})}, upscalers=(Named("Latent"),))
    features = old.features()
    assert "hires" in features
    assert not {"refiner", "hires_model", "face_restoration"} & features
    hires = Hires("Latent", 0.5, scheduler="Karras")
    with pytest.raises(StageFailure, match="does not know hr_scheduler"):
        Builder(old, "X").txt2img(txt2img(hires=hires), "task")


def test_a_preview_is_decoded_or_nothing() -> None:
    image = decode_preview(encode(sample_image(8, 8)))
    assert image is not None
    assert image.size == (8, 8)
    assert decode_preview("data:image/png;base64," + encode(sample_image(8, 8))) is not None
