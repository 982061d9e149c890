"""Texts in pixels, and our own JPEG and WebP files: what the importers make of them."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD
from importer_kit import IMPORTERS, hide, own_picture
from PIL import Image

from stablenew_api.importer import Imported, import_file, recognise
from stablenew_api.png import read_text, with_text
from stablenew_kernel.app.saving import file_of
from stablenew_kernel.domain.saving import SavedAs
from stablenew_plugins.importers.stealth import hidden_texts

A1111 = "a castle, 蝶\nNegative prompt: fog\nSteps: 20, Sampler: Euler a, Seed: 9, Size: 64x96, Version: f2.0.1"
NOVELAI = json.dumps(
    {
        "Software": "NovelAI",
        "Source": "NovelAI Diffusion V4",
        "Description": "a castle",
        "Comment": json.dumps({"prompt": "a castle", "uc": "fog", "steps": 28, "seed": 7, "scale": 5.5}),
    }
)
SWARM = json.dumps({"sui_image_params": {"prompt": "a castle", "seed": 3, "steps": 20, "model": "xl/dream"}})


def imported(name: str, data: bytes) -> tuple[str, Imported]:
    (importer,) = recognise(IMPORTERS, name, data)
    return importer.name, import_file(importer, name, data)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("rgb", [False, True], ids=["alpha", "rgb"])
def test_an_infotext_in_the_pixels(rgb: bool, packed: bool) -> None:
    kind, found = imported("a.png", hide(A1111, rgb=rgb, packed=packed))
    assert (kind, found.program, found.prompt) == ("a1111_image", "Forge f2.0.1", "a castle, 蝶")
    assert found.settings is not None
    assert found.settings["txt2img"]["steps"] == 20


@pytest.mark.parametrize(
    ("text", "importer", "program"),
    [(NOVELAI, "novelai", "NovelAI (NovelAI Diffusion V4)"), (SWARM, "swarmui", "SwarmUI")],
)
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_other_programs_hide_theirs_alike(text: str, importer: str, program: str, kind: str) -> None:
    name = f"a.{kind.lower()}"
    got, found = imported(name, hide(text, rgb=False, packed=True, kind=kind))
    assert (got, found.program, found.prompt) == (importer, program, "a castle")


def test_texts_of_the_file_come_first() -> None:
    data = with_text(hide(A1111, rgb=False, packed=True), {"parameters": A1111.replace("castle", "house")})
    assert imported("a.png", data)[1].prompt == "a house, 蝶"


def test_an_image_too_small_for_what_it_says_holds_nothing() -> None:
    whole = hide(A1111, rgb=False, packed=False, size=(64, 96))
    with Image.open(io.BytesIO(whole)) as image:
        for size in [(4, 96), (64, 1), (1, 1)]:
            out = io.BytesIO()
            image.crop((0, 0, *size)).save(out, "PNG")
            assert hidden_texts(out.getvalue()) == {}
    assert hidden_texts(whole) == {"parameters": A1111}


def test_a_packed_text_that_is_damaged_holds_nothing() -> None:
    with Image.open(io.BytesIO(hide(A1111, rgb=False, packed=True))) as image:
        image.putpixel((4, 0), (0, 0, 0, 254 if image.getpixel((4, 0))[3] & 1 else 255))  # type: ignore[index]
        out = io.BytesIO()
        image.save(out, "PNG")
    assert hidden_texts(out.getvalue()) == {}


@given(st.binary(max_size=200))
@A_THIRD
def test_no_bytes_are_too_odd(data: bytes) -> None:
    assert hidden_texts(data) == {}


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_our_own_image_is_the_same_in_every_format(kind: str) -> None:
    png, spec = own_picture("upscale.enabled=1", "frame.enabled=1")
    texts = read_text(png)
    texts["parameters"] += ", Model hash: 6ce0161689, Lora hashes: ink: 0123456789ab, Version: StableNew 1"
    ending, data = file_of(png, texts, SavedAs(kind))
    assert isinstance(data, bytes)
    importer, found = imported(f"own{ending}", data)
    assert importer == "stablenew_image"
    plain = imported("own.png", png)[1]
    assert (found.settings, found.prompt, found.files) == (plain.settings, plain.prompt, plain.files)
    assert found.prompt == spec.stages[0].prompt
    assert found.program == "StableNew 1"
    assert found.hashes["model"] == "6ce0161689"
