"""What stages ask of a backend and of a node: every setting reaches the request, and the needs cover it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD
from pydantic import ValidationError

from stablenew_api.backend import (
    Capabilities,
    DetailRequest,
    Feature,
    Hires,
    Img2ImgRequest,
    Refiner,
    Request,
    Sampling,
    Txt2ImgRequest,
    UpscaleRequest,
)
from stablenew_api.samplers import split_sampler
from stablenew_api.stage import Stage, StageImage
from stablenew_api.testing import FakeBackend, FakeStageContext, sample_image
from stablenew_plugins import detectors, upscalers
from stablenew_plugins.detectors import Find
from stablenew_plugins.stages import ADetailer, FaceRestore, Img2Img, Txt2Img, Upscale
from stablenew_plugins.stages.txt2img import Txt2ImgConfig, variation_of
from stablenew_plugins.stages.unittexts import joined, of_find, parted
from stablenew_plugins.stages.upscale import UpscaleConfig
from stablenew_plugins.vram import GIB, sampling_bytes

NAMES = st.sampled_from(["", "None", "Automatic", "one", "two"])
SHARE = st.sampled_from([0.0, 0.25, 0.5, 1.0])
SAMPLERS = st.sampled_from(["Euler a", "DPM++ 2M", "DPM++ 2M Karras"])
SCHEDULERS = st.sampled_from(["Automatic", "Karras"])
SAMPLING = {
    "model": NAMES,
    "vae": NAMES,
    "clip_skip": st.integers(1, 3),
    "sampler_name": SAMPLERS,
    "scheduler": SCHEDULERS,
    "steps": st.integers(1, 3),
}
UNIT = {
    "adetailer_model": st.sampled_from(["face_yolov8n.pt", "mediapipe_face_full"]),
    "adetailer_sampler": SAMPLERS,
    "adetailer_scheduler": SCHEDULERS,
    "adetailer_prompt": st.sampled_from(["", "a face", "[PROMPT], smiling", "one [SEP] [SKIP] [SEP]"]),
    "max_detections": st.integers(0, 2),
    "adetailer_steps": st.integers(1, 3),
    "ad_inpaint_only_masked": st.booleans(),
}
CONFIGS: dict[type[Stage], dict[str, st.SearchStrategy[Any]]] = {
    Txt2Img: {
        **SAMPLING,
        "width": st.just(64),
        "height": st.sampled_from([64, 128]),
        "styles": st.lists(st.sampled_from(["a", "b"]), max_size=2),
        "subseed": st.integers(-1, 5),
        "subseed_strength": SHARE,
        "enable_hr": st.booleans(),
        "hr_scale": st.sampled_from([1.0, 1.5]),
        "hr_upscaler": st.sampled_from(["Latent", "None", "ESRGAN"]),
        "hr_sampler_name": st.sampled_from(["", "Use same sampler", "Euler"]),
        "hr_checkpoint_name": st.sampled_from(["", "Use same checkpoint", "other"]),
        "refiner_checkpoint": st.sampled_from(["", "None", "refiner"]),
        "refiner_switch_at": SHARE,
        "face_restoration_enabled": st.booleans(),
        "face_restoration_model": st.sampled_from(["", "None", "GFPGAN"]),
        "hypernetwork": NAMES,
        "hypernetwork_strength": SHARE,
    },
    Img2Img: {**SAMPLING, "denoising_strength": SHARE},
    ADetailer: {
        **UNIT,
        "units": st.lists(st.fixed_dictionaries({}, optional=UNIT), max_size=2),
        "detector": st.sampled_from(["auto", "own", "extension"]),
        "checkpoint": NAMES,
        "vae": NAMES,
        "clip_skip": st.integers(1, 2),
        "working_size": st.sampled_from([0, 64]),
    },
    Upscale: {
        **SAMPLING,
        "upscaler": st.sampled_from(["Lanczos", "None", "ESRGAN"]),
        "upscale_mode": st.sampled_from(["single", "img2img"]),
        "gfpgan_visibility": SHARE,
        "codeformer_visibility": SHARE,
        "tile_size": st.sampled_from([0, 64]),
    },
    FaceRestore: {"model": st.sampled_from(["GFPGAN", "CodeFormer"])},
}


class TwoFaces:
    """A detector that always finds two."""

    def find(self, image: Any, confidence: float) -> list[Find]:
        return [Find(40, 10, 56, 30), Find(4, 8, 24, 34)]


class WithoutExtension(FakeBackend):
    """All but ADetailer."""

    offers = frozenset(Feature) - {Feature.DETAIL}


@pytest.fixture(autouse=True)
def faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detectors, "installed", lambda: True)
    monkeypatch.setattr(detectors, "detector", lambda model: TwoFaces())


def names_of(request: Request) -> set[str]:
    """Names in a request that stand for something that a node has or lacks."""
    nothing = ("", "None", "Automatic", "default")
    found: list[tuple[str, str]] = []
    if isinstance(request, Sampling):
        found += [("vaes", request.vae), ("hypernetworks", request.hypernetwork)]
        found += [
            ("face_restorers", request.face_restoration),
            *(("styles", style) for style in request.styles),
        ]
    if isinstance(request, Txt2ImgRequest) and request.hires:
        found += [("hires_upscalers", request.hires.upscaler), ("models", request.hires.model)]
    if isinstance(request, UpscaleRequest):
        found += [("upscalers", request.upscaler)]
    if isinstance(request, DetailRequest):
        found += [("detectors", unit.model) for unit in request.units]
    return {f"{kind}:{name}" for kind, name in found if name not in nothing}


@pytest.mark.parametrize("stage", CONFIGS)
def test_no_request_asks_for_what_the_needs_did_not_name(stage: type[Stage]) -> None:
    @A_THIRD
    @given(st.fixed_dictionaries({}, optional=CONFIGS[stage]), st.booleans())
    def check(settings: dict[str, Any], extension: bool) -> None:
        config = stage.Config.model_validate(settings)
        if getattr(config, "detector", "auto") != "auto":
            extension = config.detector == "extension"  # type: ignore[attr-defined]
        backend = FakeBackend() if extension else WithoutExtension()
        prompt, negative = stage.resolve_prompts(config, "a lighthouse", "blurry")
        ctx = FakeStageContext(prompt=prompt, negative_prompt=negative, backend=backend)
        images = [] if stage is Txt2Img else [StageImage(sample_image(96, 72), {})]
        stage().run(ctx, config, images)
        needs = stage.needs(config)
        granted = needs.features | stage.provides(Capabilities(features=backend.offers)).features
        if stage is ADetailer:  # what detailing stands for, on this node
            assert Feature.DETAILING in granted
            ways = {Feature.DETAIL} if extension else {Feature.INPAINT, Feature.IMG2IMG}
            granted |= {str(way) for way in ways}
        assert backend.requests or stage is ADetailer
        for request in backend.requests:
            assert {str(feature) for feature in request.asks()} <= granted
            assert names_of(request) <= needs.names
            if isinstance(request, Sampling):
                assert request.model == needs.model or f"models:{request.model}" in needs.names

    check()


def requests_of(stage: type[Stage], images: Sequence[StageImage] = (), **settings: Any) -> list[Request]:
    backend = FakeBackend()
    stage().run(FakeStageContext(backend=backend), stage.Config.model_validate(settings), images)
    return backend.requests


def test_txt2img_hands_over_hires_refiner_and_the_rest() -> None:
    [request] = requests_of(
        Txt2Img,
        width=64,
        height=64,
        steps=2,
        enable_hr=True,
        hr_scale=1.5,
        hr_upscaler="ESRGAN",
        hires_steps=3,
        denoising_strength=0.4,
        hr_sampler_name="Euler",
        hr_scheduler="Karras",
        hr_resize_x=96,
        hr_resize_y=80,
        hr_checkpoint_name="big",
        refiner_checkpoint="fine",
        refiner_switch_at=0.7,
        subseed=5,
        subseed_strength=0.2,
        styles=["ink"],
        face_restoration_enabled=True,
        hypernetwork="net",
        hypernetwork_strength=0.5,
    )
    assert isinstance(request, Txt2ImgRequest)
    assert request.hires == Hires("ESRGAN", 0.4, 1.5, 96, 80, 3, "Euler", "Karras", "big")
    assert request.refiner == Refiner("fine", 0.7)
    assert (request.subseed, request.subseed_strength, request.styles) == (5, 0.2, ("ink",))
    assert (request.face_restoration, request.hypernetwork, request.hypernetwork_strength) == (
        "default",
        "net",
        0.5,
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"refiner_checkpoint": "None"},
        {"refiner_checkpoint": " "},
        {"refiner_checkpoint": "fine", "refiner_switch_at": 1},
        {"hr_scale": 2, "hires_steps": 9, "denoising_strength": 0.3},
        {"face_restoration_model": "GFPGAN"},
        {"hypernetwork": "None"},
        {"hypernetwork": "net", "hypernetwork_strength": 0},
        {"subseed": 5},
        {"styles": ""},
    ],
)
def test_what_stands_for_nothing_asks_for_nothing(settings: dict[str, Any]) -> None:
    plain = requests_of(Txt2Img, width=64, height=64, steps=2)
    assert requests_of(Txt2Img, width=64, height=64, steps=2, **settings) == plain
    assert Txt2Img.needs(Txt2ImgConfig.model_validate(settings)) == Txt2Img.needs(Txt2ImgConfig())


def test_a_style_may_be_a_text() -> None:
    assert Txt2ImgConfig.model_validate({"styles": "ink, oil"}).styles == ("ink", "oil")


def test_a_variation_seed_that_was_not_given_follows_from_the_seed() -> None:
    [request] = requests_of(Txt2Img, width=64, height=64, subseed_strength=0.5)
    assert isinstance(request, Txt2ImgRequest)
    assert request.subseed == variation_of(1) != variation_of(2)
    assert 0 <= request.subseed < 2**32


def test_the_vram_of_txt2img_is_that_of_the_larger_pass() -> None:
    config = Txt2ImgConfig(enable_hr=True, hr_scale=2.0)
    assert Txt2Img.needs(config).vram_bytes == sampling_bytes(1024, 1024)
    assert Txt2Img.needs(Txt2ImgConfig(hr_scale=2.0)).vram_bytes == sampling_bytes(512, 512)


def test_a_tile_bounds_the_vram_of_the_diffusion_pass() -> None:
    whole = Upscale.needs(UpscaleConfig(upscale_mode="img2img"))
    large = Upscale.needs(UpscaleConfig(upscale_mode="img2img", upscaling_resize=8.0, upscaler="ESRGAN"))
    tiled = Upscale.needs(UpscaleConfig(upscale_mode="img2img", tile_size=256))
    assert whole.vram_bytes == 6 * GIB
    assert large.vram_bytes == 9 * GIB, "the upscaler's own result, of 4096 x 4096"
    assert tiled.vram_bytes == sampling_bytes(256, 256)


@pytest.mark.parametrize(
    ("sampler", "scheduler", "found"),
    [
        ("DPM++ 2M Karras", "Automatic", ("DPM++ 2M", "Karras")),
        ("DPM++ 2M Karras", "Beta", ("DPM++ 2M", "Beta")),
        ("DPM++ 2M SDE Heun", "Automatic", ("DPM++ 2M SDE Heun", "Automatic")),
        ("DDIM", "Automatic", ("DDIM", "Automatic")),
        ("Euler SGM Uniform", "Automatic", ("Euler", "SGM Uniform")),
        ("Euler a", "Karras", ("Euler a", "Karras")),
    ],
)
def test_sampler_and_scheduler_are_told_apart(sampler: str, scheduler: str, found: tuple[str, str]) -> None:
    assert split_sampler(sampler, scheduler) == found
    needs = Img2Img.needs(Img2Img.Config.model_validate({"sampler_name": sampler, "scheduler": scheduler}))
    wanted = {f"samplers:{found[0]}"} | ({f"schedulers:{found[1]}"} if found[1] != "Automatic" else set())
    assert needs.names == wanted


def test_what_a_node_brings_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    can = Capabilities(features=frozenset({"img2img", "inpaint"}))
    assert ADetailer.provides(can).features == {"detector", "detailing"}
    assert ADetailer.provides(Capabilities()).features == {"detector"}
    monkeypatch.setattr(detectors, "installed", lambda: False)
    assert ADetailer.provides(can) == Capabilities()
    assert ADetailer.provides(Capabilities(features=frozenset({"detail"}))).features == {"detailing"}
    monkeypatch.setattr(upscalers, "names", lambda: ("realesrgan-x4plus",))
    assert Upscale.provides(can) == Capabilities(
        features=frozenset({"upscale"}), upscalers=("Lanczos", "Nearest", "realesrgan-x4plus")
    )
    enlarging = Capabilities(features=frozenset({"upscale"}), upscalers=("ESRGAN",))
    assert Upscale.provides(enlarging) == Capabilities(upscalers=("realesrgan-x4plus",))
    assert Upscale.provides(Capabilities(features=frozenset({"upscale"}))) == Capabilities()


def test_face_restore_is_an_enlargement_by_one() -> None:
    [request] = requests_of(FaceRestore, [StageImage(sample_image(), {})], model="GFPGAN", visibility=0.6)
    assert isinstance(request, UpscaleRequest)
    assert (request.scale, request.upscaler, request.gfpgan_visibility, request.codeformer_visibility) == (
        1.0,
        "None",
        0.6,
        0.0,
    )
    assert FaceRestore.needs(FaceRestore.Config()).features == {"upscale", "face_restoration"}


# --- texts of units ------------------------------------------------------------------------------------------


def letters(text: str) -> str:
    """``text`` without what joining adds and takes away."""
    return text.replace(",", "").replace(" ", "")


TEXT = st.text(alphabet="ab ,", max_size=6).map(str.strip)


@given(TEXT, st.lists(TEXT, min_size=1, max_size=4), TEXT)
def test_what_is_added_to_the_whole_reaches_every_unit(main: str, texts: list[str], added: str) -> None:
    whole = joined(main, texts)
    assert parted(whole, len(texts)) == [text or main for text in texts]
    assert whole.count("[UNIT]") == (len(texts) + 1 if any(texts) else 0)
    # As the kernel adds a global negative prompt.
    together = ", ".join(part for part in (whole.rstrip(", "), added) if part)
    for text, part in zip(texts, parted(together, len(texts)), strict=True):
        assert letters(part) == letters((text or main) + added)


def test_texts_of_several_finds() -> None:
    config = ADetailer.Config.model_validate(
        {"ad_prompt": "red [SEP] [SKIP] [SEP] [PROMPT], old [SEP]", "units": [{"ad_negative_prompt": "x"}]}
    )
    prompt, negative = ADetailer.resolve_prompts(config, "a man", "bad")
    first, second = config.all_units(FakeStageContext(prompt=prompt, negative_prompt=f"{negative}, global"))  # type: ignore[attr-defined]
    assert [of_find(first.prompt, index) for index in range(6)] == [
        "red", None, "a man, old", "a man", "a man", "a man",
    ]  # fmt: skip
    assert (second.prompt, first.negative_prompt, second.negative_prompt) == (
        "a man",
        "bad, global",
        "x, global",
    )


def test_one_unit_has_plain_texts() -> None:
    assert ADetailer.resolve_prompts(ADetailer.Config(), "a man", "bad") == ("a man", "bad")


def test_units_are_checked_like_the_first() -> None:
    with pytest.raises(ValidationError, match=r"units\.0\.ad_confidence"):
        ADetailer.Config.model_validate({"units": [{"ad_confidence": 2}]})


def test_the_extension_gets_all_units() -> None:
    config = ADetailer.Config.model_validate(
        {"ad_steps": 9, "max_detections": 3, "ad_mask_k_largest": 2, "units": [{"ad_model": "hand.pt"}]}
    )
    backend = FakeBackend()
    prompt, negative = ADetailer.resolve_prompts(config, "a man", "bad")
    ctx = FakeStageContext(prompt=prompt, negative_prompt=negative, backend=backend)
    [made] = ADetailer().run(ctx, config, [StageImage(sample_image(), {"Steps": 30})])
    [request] = backend.requests
    assert isinstance(request, DetailRequest)
    assert [unit.model for unit in request.units] == ["face_yolov8n.pt", "hand.pt"]
    assert (request.units[0].steps, request.units[0].max_finds, request.units[0].prompt) == (9, 2, "a man")
    assert made.info["Steps"] == 30, "the picture's own steps stay"


def test_our_detailer_draws_each_find_under_a_mask() -> None:
    backend = WithoutExtension()
    config = ADetailer.Config.model_validate(
        {"steps": 1, "ad_prompt": "left [SEP] right", "working_size": 64, "ad_denoising_strength": 0.5}
    )
    prompt, negative = ADetailer.resolve_prompts(config, "a man", "bad")
    ctx = FakeStageContext(prompt=prompt, negative_prompt=negative, backend=backend, seed=2**64 - 1)
    [made] = ADetailer().run(ctx, config, [StageImage(sample_image(96, 72), {"Seed": 1})])
    sent = [request for request in backend.requests if isinstance(request, Img2ImgRequest)]
    assert [(request.prompt, request.seed) for request in sent] == [("left", 2**64 - 1), ("right", 0)]
    for request in sent:
        assert request.mask is not None
        assert request.mask.size == request.image.size
        assert set(request.mask.tobytes()) <= {0, 255}
        assert all(side % 8 == 0 for side in request.image.size)
    assert made.info["StableNew finds drawn"] == 2
    assert made.info["ADetailer model"] == "face_yolov8n.pt"
    assert made.info["Seed"] == 1


def test_no_find_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nothing:
        def find(self, image: Any, confidence: float) -> list[Find]:
            return []

    monkeypatch.setattr(detectors, "detector", lambda model: Nothing())
    source = sample_image(96, 72)
    config = ADetailer.Config.model_validate({"units": [{"ad_model": "face_yolov8s.pt"}]})
    prompt, negative = ADetailer.resolve_prompts(config, "a man", "bad")
    ctx = FakeStageContext(prompt=prompt, negative_prompt=negative, backend=WithoutExtension())
    [made] = ADetailer().run(ctx, config, [StageImage(source, {})])
    assert made.image.tobytes() == source.tobytes()
    assert (made.info["StableNew finds drawn"], made.info["StableNew finds drawn 2nd"]) == (0, 0)
    assert made.info["ADetailer model 2nd"] == "face_yolov8s.pt"
