"""The built-in stages: contract, aliases, ranges, prompts, needs, what they hand to the backend."""

from __future__ import annotations

import io
from typing import Any

import pytest
from pydantic import ValidationError

from stablenew_api.backend import Img2ImgRequest, Txt2ImgRequest, UpscaleRequest
from stablenew_api.errors import Cancelled, StageFailure
from stablenew_api.images import pixel_sha256
from stablenew_api.jobs import FailureKind
from stablenew_api.stage import Phase, Stage, StageImage
from stablenew_api.testing import (
    FakeBackend,
    FakeStageContext,
    ManualCancel,
    check_stage,
    host_of,
    sample_image,
)
from stablenew_plugins import stages
from stablenew_plugins.backends.embedded import EmbeddedBackend, EmbeddedConfig
from stablenew_plugins.stages import (
    ADetailer,
    ColorGrade,
    Convert,
    FaceRestore,
    Frame,
    Img2Img,
    Noop,
    Resize,
    Sharpen,
    Txt2Img,
    Upscale,
    Watermark,
)
from stablenew_plugins.vram import GIB


@pytest.mark.parametrize(
    ("stage", "config"),
    [
        (Txt2Img, {"width": 64, "height": 64, "steps": 3}),
        (Img2Img, {"steps": 3}),
        (Upscale, {}),
        (Upscale, {"upscale_mode": "img2img", "steps": 3}),
        (ADetailer, {"steps": 3}),
        (FaceRestore, {}),
        (Sharpen, {}),
        (ColorGrade, {"warmth": 0.5, "vignette": 0.5, "gamma": 1.2, "contrast": 1.1, "saturation": 0.8}),
        (Resize, {"width": 32, "height": 32}),
        (Watermark, {"text": "no. {seed}"}),
        (Convert, {"mode": "sepia"}),
        (Frame, {"caption": "no. {seed}: {prompt}"}),
        (Noop, {"payload_bytes": 5000}),
    ],
)
def test_contract(stage: type[Stage], config: dict[str, Any]) -> None:
    check_stage(stage, config=config)
    if stage not in (FaceRestore, ADetailer):  # what the embedded engine cannot do, and what needs a detector
        check_stage(stage, config=config, backend=EmbeddedBackend(EmbeddedConfig()))


def test_two_images_at_once() -> None:
    images = [sample_image(), sample_image(32, 32)]
    for stage, config in (
        (Img2Img, {"steps": 2}),
        (Upscale, {}),
        (Upscale, {"upscale_mode": "img2img"}),
        (ADetailer, {"steps": 2, "units": [{"ad_model": "hand_yolov8n.pt"}]}),
        (FaceRestore, {}),
        (Frame, {}),
    ):
        check_stage(stage, config=config, images=images)


def test_the_plugin_loads_with_all() -> None:
    host = host_of(stages)
    (plugin,) = host.plugins
    assert plugin.state == "active", plugin.reason
    assert sorted(host.stages) == sorted(
        [
            "txt2img",
            "img2img",
            "adetailer",
            "upscale",
            "face_restore",
            "sharpen",
            "color_grade",
            "resize",
            "watermark",
            "convert",
            "frame",
            "noop",
            "comfy_workflow",
            "comfy_image",
        ]
    )
    phases = {name: stage.phase for name, stage in host.stages.items()}
    order = [phases[name] for name in ("txt2img", "img2img", "adetailer", "upscale", "frame")]
    assert order == sorted(set(order))
    assert {phases[stage.name] for stage in stages.POST_PROCESSORS} == {Phase.POST}


@pytest.mark.parametrize(
    ("stage", "old", "new", "value"),
    [
        (Txt2Img, "model_name", "model", "sdxl"),
        (Txt2Img, "vae_name", "vae", "mse"),
        (Txt2Img, "n_iter", "batch_count", 3),
        (Img2Img, "model_name", "model", "sdxl"),
        (Img2Img, "vae_name", "vae", "mse"),
        (Upscale, "scale", "upscaling_resize", 1.5),
        (Txt2Img, "hires_steps", "hr_second_pass_steps", 9),
        (ADetailer, "model", "adetailer_model", "hand.pt"),
        (ADetailer, "ad_model", "adetailer_model", "hand.pt"),
        (ADetailer, "conf", "adetailer_confidence", 0.5),
        (ADetailer, "strength", "adetailer_denoise", 0.5),
        (ADetailer, "dilation", "ad_dilate_erode", -3),
    ],
)
def test_old_key_names_are_read_and_the_new_ones_written(
    stage: type[Stage], old: str, new: str, value: object
) -> None:
    assert stage.Config.model_validate({old: value}) == stage.Config.model_validate({new: value})
    written = stage.Config.model_validate({old: value}).model_dump(mode="json")
    assert written[new] == value
    assert old not in written


@pytest.mark.parametrize(
    ("stage", "key", "value"),
    [
        (Txt2Img, "steps", 0),
        (Txt2Img, "steps", 151),
        (Txt2Img, "steps", "abc"),
        (Txt2Img, "cfg_scale", 0.5),
        (Txt2Img, "width", 500),
        (Txt2Img, "width", 4104),
        (Txt2Img, "height", 56),
        (Txt2Img, "seed", -2),
        (Txt2Img, "seed", 2**64),
        (Txt2Img, "sampler_name", ""),
        (Txt2Img, "fault", "fail@0"),
        (Txt2Img, "fault", "explode"),
        (Img2Img, "denoising_strength", 1.01),
        (Upscale, "upscaling_resize", 0),
        (Upscale, "upscaling_resize", 8.1),
        (Upscale, "upscale_mode", "double"),
        (Frame, "style", "baroque"),
        (Noop, "payload_bytes", -1),
    ],
)
def test_out_of_range_is_refused_by_name(stage: type[Stage], key: str, value: object) -> None:
    with pytest.raises(ValidationError, match=key):
        stage.Config.model_validate({key: value})


def test_prompts_are_joined_with_a_comma() -> None:
    config = stages.txt2img.Txt2ImgConfig(negative_prompt="text, watermark")
    assert Txt2Img.resolve_prompts(config, "sea", "blurry, ") == ("sea", "blurry, text, watermark")
    assert Txt2Img.resolve_prompts(config, "sea", "") == ("sea", "text, watermark")
    assert Txt2Img.resolve_prompts(stages.txt2img.Txt2ImgConfig(), "sea", "a") == ("sea", "a")
    adjusted = stages.img2img.Img2ImgConfig(prompt_adjust="sharp", negative_adjust="noise")
    assert Img2Img.resolve_prompts(adjusted, "sea", "") == ("sea, sharp", "noise")


def test_needs() -> None:
    need = Txt2Img.needs(stages.txt2img.Txt2ImgConfig(model="sdxl", width=1024, height=1024))
    assert (need.model, need.vram_bytes, need.features) == ("sdxl", 6 * GIB, frozenset({"txt2img", "model"}))
    single = Upscale.needs(stages.upscale.UpscaleConfig(model="sdxl"))
    assert (single.model, single.features) == ("", frozenset({"upscale"}))
    diffused = Upscale.needs(stages.upscale.UpscaleConfig(model="sdxl", upscale_mode="img2img"))
    assert (diffused.model, diffused.features) == ("sdxl", frozenset({"upscale", "img2img", "model"}))
    assert diffused.vram_bytes > single.vram_bytes
    assert Frame.needs(stages.frame.FrameConfig()).features == frozenset()


def test_txt2img_hands_over_all_its_settings() -> None:
    backend = FakeBackend()
    config = stages.txt2img.Txt2ImgConfig(
        model="m", vae="v", sampler_name="Euler", scheduler="Karras", steps=7, cfg_scale=3.5, width=128,
        height=64, clip_skip=2, fault="fail@3",
    )  # fmt: skip
    ctx = FakeStageContext(backend=backend, seed=2**64 - 1)
    (made,) = Txt2Img().run(ctx, config, [])
    assert backend.requests == [
        Txt2ImgRequest(ctx.prompt, ctx.negative_prompt, 2**64 - 1, 7, 3.5, "Euler", "Karras", "m", "v", 2,
                       width=128, height=64, extra={"fault": "fail@3"})
    ]  # fmt: skip
    assert made.info["Seed"] == 2**64 - 1
    assert ctx.steps == [(step, 7) for step in range(1, 8)]


def test_img2img_keeps_what_earlier_stages_noted() -> None:
    backend = FakeBackend()
    ctx = FakeStageContext(backend=backend)
    (made,) = Img2Img().run(
        ctx, stages.img2img.Img2ImgConfig(), [StageImage(sample_image(), {"Hires upscale": 2})]
    )
    assert made.info["Hires upscale"] == 2
    (sent,) = backend.requests
    assert isinstance(sent, Img2ImgRequest)
    assert sent.denoising_strength == 0.35


def test_upscale_modes() -> None:
    backend = FakeBackend()
    ctx = FakeStageContext(backend=backend)
    given = [StageImage(sample_image(64, 48), {})]
    (single,) = Upscale().run(ctx, stages.upscale.UpscaleConfig(scale=1.5), given)
    assert single.image.size == (96, 72)
    backend.requests.clear()
    both = stages.upscale.UpscaleConfig(upscale_mode="img2img", steps=4)
    (diffused,) = Upscale().run(ctx, both, given)
    assert [type(sent) for sent in backend.requests] == [UpscaleRequest, Img2ImgRequest]
    assert diffused.image.size == (128, 96)
    assert diffused.info["Postprocess upscale by"] == 2.0


@pytest.mark.parametrize("stage", [Img2Img, Upscale])
def test_without_an_image_it_is_bad_input(stage: type[Stage]) -> None:
    with pytest.raises(StageFailure, match="no image reached") as caught:
        stage().run(FakeStageContext(), stage.Config(), [])
    assert caught.value.kind == FailureKind.BAD_INPUT


def test_previews_reach_the_context_only_while_somebody_watches() -> None:
    backend = EmbeddedBackend(EmbeddedConfig())
    config = stages.txt2img.Txt2ImgConfig(width=64, height=64, steps=3)
    for watching in (True, False):
        ctx = FakeStageContext(backend=backend, watching=watching)
        Txt2Img().run(ctx, config, [])
        assert len(ctx.previews) == (3 if watching else 0)
        assert len(ctx.steps) == 3


# --- frame --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["gallery", "dark", "kraft", "print"])
def test_the_frame_leaves_the_picture_alone(style: str) -> None:
    source = sample_image(200, 120)
    config = stages.frame.FrameConfig.model_validate({"style": style, "width_percent": 10})
    (made,) = Frame().run(FakeStageContext(), config, [StageImage(source, {"Seed": 1})])
    left = (made.image.width - 200) // 2
    found = [
        top
        for top in range(made.image.height - 119)
        if pixel_sha256(made.image.crop((left, top, left + 200, top + 120))) == pixel_sha256(source)
    ]
    assert len(found) == 1
    below = made.image.height - found[0] - 120
    assert below > found[0], "the mat is weighted: wider below"
    assert made.info == {"Seed": 1}


def test_a_caption_is_drawn_and_never_leaves_the_frame() -> None:
    bare = stages.frame.framed(sample_image(200, 120), stages.frame.FrameConfig(), "")
    short = stages.frame.framed(sample_image(200, 120), stages.frame.FrameConfig(), "a")
    long = stages.frame.framed(sample_image(200, 120), stages.frame.FrameConfig(), "wide words " * 40)
    assert short.height >= bare.height
    assert pixel_sha256(short) != pixel_sha256(bare.resize(short.size))
    ink = stages.frame.STYLES["gallery"][3]
    columns = [
        x
        for x in range(long.width)
        for y in range(long.height - 30, long.height)
        if long.getpixel((x, y)) == ink
    ]
    assert columns
    assert min(columns) > 10
    assert max(columns) < long.width - 10


def test_modes_other_than_rgb_are_framed_too() -> None:
    for mode in ("L", "RGBA", "P"):
        (made,) = Frame().run(
            FakeStageContext(), stages.frame.FrameConfig(), [StageImage(sample_image(mode=mode))]
        )
        assert made.image.mode == "RGB"


# --- noop ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 1000, 100_000, 2_000_000])
def test_noop_makes_a_png_of_about_the_wanted_size(size: int) -> None:
    (made,) = Noop().run(FakeStageContext(), stages.noop.NoopConfig(payload_bytes=size), [])
    file = io.BytesIO()
    made.image.save(file, "PNG", compress_level=1)
    assert abs(len(file.getvalue()) - size) < 0.02 * size + 200
    again = Noop().run(FakeStageContext(), stages.noop.NoopConfig(payload_bytes=size), [])[0]
    assert pixel_sha256(again.image) == pixel_sha256(made.image)
    if size > 10:
        other = Noop().run(FakeStageContext(seed=2), stages.noop.NoopConfig(payload_bytes=size), [])[0]
        assert pixel_sha256(other.image) != pixel_sha256(made.image)


def test_noop_makes_nothing_by_default_and_waits_on_the_token() -> None:
    assert Noop().run(FakeStageContext(), stages.noop.NoopConfig(), []) == []
    cancelled = FakeStageContext(cancel=ManualCancel(after=1))
    with pytest.raises(Cancelled):
        Noop().run(cancelled, stages.noop.NoopConfig(seconds=3600), [])


def test_importing_the_plugins_stays_light() -> None:
    """Kernel and command line import them at every start."""
    import subprocess
    import sys

    code = (
        "import sys, stablenew_plugins.stages, stablenew_plugins.backends.embedded, "
        "stablenew_plugins.backends.webui, stablenew_plugins.backends.comfyui, "
        "stablenew_plugins.backends.diffusion, stablenew_plugins.backends.check, "
        "stablenew_plugins.schedulers, stablenew_plugins.probes, stablenew_plugins.reports, "
        "stablenew_plugins.importers, stablenew_plugins.randomizers; "
        "heavy = {'numpy', 'PIL', 'pynvml', 'skimage', 'scipy', 'torch', 'requests', 'websockets', 'aiohttp'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert told.stdout.strip() == "[]"


def test_what_samples_in_an_upscale_counts_with_its_diffusion_pass_only() -> None:
    from stablenew_plugins.stages.common import SamplingConfig
    from stablenew_plugins.stages.upscale import UpscaleConfig

    plain, ours = (
        one.model_json_schema(by_alias=False)["properties"] for one in (SamplingConfig, UpscaleConfig)
    )
    for name, schema in plain.items():
        assert ours[name] == {**schema, "only_with": "upscale_mode=img2img"}
