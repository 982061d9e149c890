"""The diffusers backend on tiny random checkpoints: real loading, real sampling, no download.

Runs where the extra is installed: ``python3 dev.py test --torch``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from diffusion_kit import Watch, World, image_request, request
from PIL import Image

from stablenew_api.backend import GenerationResult, Hires, Progress, Refiner
from stablenew_api.errors import Cancelled, StageFailure
from stablenew_api.images import pixel_sha256
from stablenew_api.jobs import FailureKind
from stablenew_api.testing import ManualCancel, check_backend, sample_image
from stablenew_plugins.backends.diffusion import DiffusersBackend, libs, tables

missing = [name for name in (*libs.CORE, "peft", "torchsde") if not libs.installed(name)]
if missing:
    pytest.skip(f"not installed: {', '.join(missing)} (the extra diffusers)", allow_module_level=True)

pytestmark = [
    # What the libraries say of each other's old habits is not ours to mend.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    # The first import of torch and diffusers takes 8 s of an idle processor, and minutes of a busy one.
    pytest.mark.timeout(240),
]


Draw = Callable[..., GenerationResult]


def pixels(image: Image.Image) -> Any:
    return numpy.asarray(image.convert("RGB"), dtype=int)


def same(first: GenerationResult, second: GenerationResult) -> bool:
    return pixel_sha256(first.image) == pixel_sha256(second.image)


def near(first: Image.Image, second: Image.Image) -> bool:
    """Equal but for rounding: sums in another order."""
    return bool(abs(pixels(first) - pixels(second)).max() <= 1)


# --- the contract -------------------------------------------------------------------------------------------


def test_it_keeps_the_contract(backend: DiffusersBackend) -> None:
    check_backend(backend)


def test_it_says_who_it_is_and_what_it_has(backend: DiffusersBackend) -> None:
    identity = backend.identify()
    assert identity.name == "diffusers"
    assert identity.note.startswith("torch ")
    assert identity.note.endswith(" on cpu")
    can = backend.capabilities()
    assert can.models == ("inpainting", "refiner", "sd", "single", "single-xl", "xl")
    assert can.vaes == ("other", "other-folder")
    assert can.loras == ("both", "style")
    assert can.embeddings == ("old-style", "real-xl", "redcat")
    assert can.samplers == tuple(tables.SAMPLERS)
    assert can.features == backend.offers


@pytest.mark.parametrize("model", ["sd", "xl"])
def test_a_picture_follows_its_settings_and_its_seed(draw: Draw, model: str) -> None:
    first = draw(model=model)
    assert first.image.size == (64, 64)
    assert same(first, draw(model=model))
    for changed in (
        {"seed": 4},
        {"prompt": "a dog"},
        {"negative_prompt": "cat"},
        {"negative_prompt": ""},
        {"cfg_scale": 4.0},
        {"steps": 5},
        {"sampler": "Euler a"},
        {"scheduler": "Karras"},
        {"prompt": "a (cat:1.5)"},
        {"prompt": "a BREAK cat"},
        {"clip_skip": 3},
        {"vae": "other"},
    ):
        assert not same(first, draw(model=model, **changed)), changed
    assert draw(model=model, width=96, height=80).image.size == (96, 80)


def test_what_was_used_stands_in_the_info(draw: Draw, backend: DiffusersBackend, world: World) -> None:
    info = draw(
        model="sd",
        prompt="a redcat <lora:style:0.5>",
        sampler="DPM++ 2M",
        seed=2**32 + 5,
        subseed=9,
        subseed_strength=0.25,
        clip_skip=2,
        vae="other",
    ).info
    assert {**info, "Lora hashes": 0, "TI hashes": 0, "VAE hash": 0, "Version": 0} == {
        "Steps": 4,
        "Sampler": "DPM++ 2M",
        "Schedule type": "Karras",
        "CFG scale": 7,
        "Seed": 5,
        "Size": "64x64",
        "Model": "sd",
        "VAE hash": 0,
        "VAE": "other",
        "Variation seed": 9,
        "Variation seed strength": 0.25,
        "Clip skip": 2,
        "RNG": "CPU",
        "Lora hashes": 0,
        "TI hashes": 0,
        "Version": 0,
    }
    assert str(info["Lora hashes"]).startswith("style: ")
    assert str(info["TI hashes"]).startswith("redcat: ")
    assert len(str(info["VAE hash"])) == 10
    assert str(info["Version"]).startswith("diffusers ")


def test_seeds_beyond_32_bits_are_taken_modulo(draw: Draw) -> None:
    assert same(draw(seed=2**32 + 3), draw(seed=3))
    assert draw(seed=2**64 - 1).info["Seed"] == 2**32 - 1


# --- compared with diffusers' own pipelines -----------------------------------------------------------------


def noise(seed: int, side: int = 8) -> Any:
    import torch

    return torch.randn((1, 4, side, side), generator=torch.Generator("cpu").manual_seed(seed))


@pytest.mark.parametrize(
    ("model", "kind"), [("sd", "StableDiffusionPipeline"), ("xl", "StableDiffusionXLPipeline")]
)
@pytest.mark.parametrize("negative", ["dog", ""])
def test_txt2img_is_what_the_pipeline_of_diffusers_makes(
    draw: Draw, world: World, model: str, kind: str, negative: str
) -> None:
    import diffusers

    pipe = getattr(diffusers, kind).from_pretrained(str(world.root / "models" / model), local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        "a cat, sitting",
        negative_prompt=negative or None,
        width=64,
        height=64,
        num_inference_steps=5,
        guidance_scale=6.0,
        latents=noise(11),
    ).images[0]
    ours = draw(model=model, prompt="a cat, sitting", negative_prompt=negative, seed=11, steps=5, cfg_scale=6.0)
    assert near(ours.image, theirs)


def test_img2img_is_what_the_pipeline_of_diffusers_makes(backend: DiffusersBackend, world: World) -> None:
    import diffusers
    import torch

    pipe = diffusers.StableDiffusionImg2ImgPipeline.from_pretrained(
        str(world.root / "models" / "sd"), local_files_only=True
    )
    pipe.set_progress_bar_config(disable=True)
    picture = torch.from_numpy(pixels(sample_image(64, 64))).float().permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        latents = pipe.vae.encode(picture).latent_dist.mode() * pipe.vae.config.scaling_factor
    theirs = pipe(
        "a cat",
        image=latents,
        strength=0.5,  # 5 of 10 steps; by the WebUI's rule that is what 0.4 does
        negative_prompt="dog",
        num_inference_steps=10,
        guidance_scale=7.0,
        generator=torch.Generator("cpu").manual_seed(3),
    ).images[0]
    ours = backend.img2img(
        image_request(sampler="Euler", scheduler="Automatic", steps=10, denoising_strength=0.4),
        Progress(),
        ManualCancel(),
    )
    assert near(ours.image, theirs)


def test_the_refiner_is_told_what_the_pipeline_of_diffusers_tells_it(
    backend: DiffusersBackend, world: World
) -> None:
    import diffusers
    import torch

    pipe = diffusers.StableDiffusionXLImg2ImgPipeline.from_pretrained(
        str(world.root / "models" / "refiner"), local_files_only=True
    )
    pipe.set_progress_bar_config(disable=True)
    latents = noise(1) * 0.5
    theirs = pipe(
        "a cat",
        image=latents,
        strength=0.5,
        negative_prompt="dog",
        num_inference_steps=10,
        guidance_scale=7.0,
        original_size=(64, 64),
        target_size=(64, 64),
        generator=torch.Generator("cpu").manual_seed(3),
    ).images[0]
    image = Image.fromarray(numpy.zeros((64, 64, 3), dtype="uint8"))
    from stablenew_plugins.backends.diffusion import sampling

    patch = pytest.MonkeyPatch()
    with patch.context() as context:
        context.setattr(sampling, "encode", lambda *_: latents)
        ours = backend.img2img(
            image_request(
                model="refiner", image=image, sampler="Euler", scheduler="", steps=10, denoising_strength=0.4
            ),
            Progress(),
            ManualCancel(),
        )
    assert near(ours.image, theirs)


# --- prompts ------------------------------------------------------------------------------------------------


def test_prompts_that_mean_the_same_give_the_same(draw: Draw) -> None:
    cat = draw(prompt="a cat")
    for prompt in (
        "a (cat:1.0)",
        "a [dog:cat:0]",
        "a [cat:dog:4]",
        "a [cat|cat]",
        "a cat # a comment",
        "A  CAT",
    ):
        assert same(cat, draw(prompt=prompt)), prompt
    assert near(cat.image, draw(prompt="a cat AND a dog:0").image)
    assert not same(cat, draw(prompt="a cat AND a dog"))
    assert not same(cat, draw(prompt="a [cat:dog:2]"))
    assert not same(cat, draw(prompt="a [cat|dog]"))


@pytest.mark.parametrize("model", ["sd", "xl"])
def test_long_prompts_count_to_the_end(draw: Draw, model: str) -> None:
    words = ", ".join(f"word{number}" for number in range(60))
    first = draw(model=model, prompt=words)
    assert not same(first, draw(model=model, prompt=words + " cat"))


def test_the_text_is_cut_into_chunks_of_77(backend: DiffusersBackend) -> None:
    from stablenew_plugins.backends.diffusion.textcoder import Embeddings

    shelf = backend._shelf
    loaded = shelf.get(backend._model("xl"), 64 * 64, ManualCancel())
    import torch

    none = Embeddings(torch, {})
    with torch.no_grad():
        for coder, pooled, width in zip(loaded.coders, (False, True), (32, 48), strict=True):
            one = coder.encode("a cat", 1, none, "cpu")
            two = coder.encode("a cat " * 50, 1, none, "cpu")
            assert (one.hidden.shape, two.hidden.shape) == ((1, 77, width), (1, 154, width))
            assert (one.pooled is not None) is pooled


def test_clip_skip_2_takes_the_last_but_one_layer(draw: Draw, backend: DiffusersBackend) -> None:
    assert not same(draw(), draw(clip_skip=2))
    assert same(draw(model="xl"), draw(model="xl", clip_skip=2))
    with pytest.raises(StageFailure, match="4 layers"):
        draw(clip_skip=9)


def test_an_embedding_stands_for_its_vectors(draw: Draw) -> None:
    assert same(draw(prompt="a redcat, sitting"), draw(prompt="a red cat, sitting"))
    assert same(draw(prompt="a (RedCat:1.3)"), draw(prompt="a (red cat:1.3)"))
    assert same(draw(negative_prompt="old-style"), draw(negative_prompt="red cat"))
    assert not same(draw(prompt="a redcats"), draw(prompt="a red cat"))
    with pytest.raises(StageFailure, match="real-xl: made for a text encoder of width 768, 1280"):
        draw(prompt="real-xl")


# --- LoRA, VAE, files ---------------------------------------------------------------------------------------


def test_a_lora_changes_pixels_as_much_as_it_is_told(draw: Draw) -> None:
    plain = draw()
    assert same(plain, draw(prompt="a cat<lora:style:0>"))
    one, half = draw(prompt="a cat<lora:style:1>"), draw(prompt="a cat<lora:style:0.5>")
    assert not same(plain, one)
    assert not same(one, half)
    assert same(one, draw(prompt="a cat<lora:style:0.5><lora:style:0.5>"))
    both = draw(prompt="a cat<lora:both:1>")
    text, unet = draw(prompt="a cat<lora:both:1:0>"), draw(prompt="a cat<lora:both:0:1>")
    assert len({pixel_sha256(made.image) for made in (plain, both, text, unet)}) == 4
    assert not same(one, draw(prompt="a cat<lora:style:1><lora:both:1>"))
    assert same(plain, draw())


def test_a_lora_is_what_its_file_says(draw: Draw, world: World) -> None:
    """Against the same weights added by hand."""
    import diffusion_tiny as tiny
    from safetensors.torch import load_file

    pipe = tiny.sd()
    weights = load_file(world.root / "loras" / "style.safetensors")
    names = {name.partition(".")[0] for name in weights}
    modules = {f"lora_unet_{name.replace('.', '_')}": module for name, module in pipe.unet.named_modules()}
    for name in names:
        added = weights[f"{name}.lora_up.weight"] @ weights[f"{name}.lora_down.weight"]
        modules[name].weight.data += 0.75 * added * float(weights[f"{name}.alpha"]) / 4
    folder = world.root / "merged" / "merged"
    pipe.save_pretrained(folder)
    merged = world.backend(models=(str(folder),))
    theirs = merged.txt2img(request(model="merged"), Progress(), ManualCancel())
    assert near(draw(prompt="a cat<lora:style:0.75>").image, theirs.image)


def test_a_lora_of_another_family_is_refused_and_leaves_nothing_behind(draw: Draw) -> None:
    before = draw(model="xl")
    with pytest.raises(StageFailure, match="LoRA both: cannot be put into xl") as caught:
        draw(model="xl", prompt="a cat<lora:both:1>")
    assert caught.value.kind == FailureKind.BAD_INPUT
    assert same(before, draw(model="xl"))


def test_a_vae_may_be_a_file_or_a_folder(draw: Draw) -> None:
    own, file, folder = draw(vae="Automatic"), draw(vae="other"), draw(vae="other-folder")
    assert not same(own, file)
    assert same(file, folder)
    assert same(own, draw())


@pytest.mark.parametrize(("file", "folder"), [("single", "sd"), ("single-xl", "xl")])
def test_a_single_file_gives_what_its_folder_gives(draw: Draw, world: World, file: str, folder: str) -> None:
    backend = world.backend(config_folder=str(world.root / "models" / folder))
    made = backend.txt2img(request(model=file), Progress(), ManualCancel())
    assert same(made, draw(model=folder))
    assert len(str(made.info["Model hash"])) == 10
    assert made.info["Model"] == file


def test_a_file_that_does_not_fit_is_refused_in_words(
    draw: Draw, world: World, backend: DiffusersBackend
) -> None:
    with pytest.raises(StageFailure, match=r"single\.safetensors: cannot be loaded as SD 1\.x") as caught:
        draw(model="single")  # its tensors are those of SD 1, and far too small
    assert caught.value.kind == FailureKind.BAD_INPUT
    odd = world.root / "odd"
    (odd / "flux").mkdir(parents=True)
    (odd / "flux" / "model_index.json").write_text('{"_class_name": "FluxPipeline"}', encoding="utf-8")
    (odd / "half").mkdir()
    (odd / "half" / "model_index.json").write_text(
        (world.root / "models" / "sd" / "model_index.json").read_text(encoding="utf-8"), encoding="utf-8"
    )
    other = world.backend(models=(str(odd),))
    for name, said in (
        ("flux", "cannot run a FluxPipeline"),
        ("half", "cannot be loaded as a diffusers folder"),
    ):
        with pytest.raises(StageFailure, match=said):
            other.txt2img(request(model=name), Progress(), ManualCancel())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "sdd"}, "no model 'sdd'; nearest: sd"),
        ({"vae": "othr"}, "no VAE 'othr'; nearest: other"),
        ({"prompt": "<lora:styl:1>"}, "no LoRA 'styl'; nearest: style"),
        ({"prompt": "<lora:style:x>"}, "no number"),
        ({"sampler": "Restart"}, "no sampler"),
        ({"width": 65}, "multiples of 8"),
        ({"height": 8}, "from 64"),
        ({"steps": 0}, "at least 1"),
        ({"subseed_strength": 0.5}, "without a variation seed"),
        ({"styles": ("x",)}, "prompt styles"),
        ({"hypernetwork": "x"}, "hypernetworks"),
        ({"face_restoration": "default"}, "face restoration"),
        ({"extra": {"tiling": True}}, "no setting tiling"),
        ({"hires": Hires("ESRGAN", 0.5)}, "no upscaler 'ESRGAN'"),
        ({"hires": Hires("Latent", 0.5, sampler="DDIM", scheduler="Karras")}, "cannot have the schedule"),
        ({"refiner": Refiner("refiner", 0.5)}, "different families"),
        ({"sampler": "LCM", "steps": 60}, "cannot make 60 steps"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(draw: Draw, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(StageFailure, match=said) as caught:
        draw(**changes)
    assert caught.value.kind == FailureKind.BAD_INPUT


def test_a_checkpoint_that_came_after_the_start_is_found(
    draw: Draw, world: World, backend: DiffusersBackend
) -> None:
    link = world.root / "models" / "later"
    import shutil

    shutil.copytree(world.root / "models" / "sd", link)
    try:
        assert same(draw(model="later"), draw())
    finally:
        shutil.rmtree(link)


def test_only_so_many_checkpoints_are_kept(world: World) -> None:
    small = world.backend(keep_models=1)
    for model in ("sd", "inpainting", "sd"):
        small.txt2img(request(model=model, steps=1), Progress(), ManualCancel())
        assert [loaded.name for loaded in small._shelf._loaded.values()] == [model]
    small.free_memory()
    assert not small._shelf._loaded


# --- samplers -----------------------------------------------------------------------------------------------

COMBINATIONS = [
    (sampler, schedule) for sampler, kind in tables.SAMPLERS.items() for schedule in sorted(kind.schedules)
]


def test_every_sampler_with_every_schedule_can_be_made() -> None:
    import diffusers

    from stablenew_plugins.backends.diffusion import offline, sampling

    seen: dict[tuple[str, tuple[float, ...]], set[str]] = {}
    for sampler, schedule in COMBINATIONS:
        if sampler.startswith("DPM2") and schedule not in ("Karras", "Uniform"):
            continue  # the library goes through all 1,000 training steps in Python
        made = sampling.make_scheduler(diffusers, tables.choose(sampler, schedule), offline.NOISE, 5, "cpu")
        steps = [float(step) for step in made.timesteps]
        assert steps == pytest.approx(sorted(steps, reverse=True), abs=1), (sampler, schedule)
        assert 5 <= len(steps) <= 10, (sampler, schedule)
        seen.setdefault((sampler, tuple(steps)), set()).add(schedule)
    for (sampler, _), schedules in seen.items():
        assert len(schedules) == 1 or schedules in ({"Uniform", "Normal"}, {"SGM Uniform", "Simple"}), sampler


def test_every_sampler_makes_its_own_picture(draw: Draw) -> None:
    found: dict[str, str] = {}
    for sampler in tables.SAMPLERS:
        made = draw(sampler=sampler, scheduler="", steps=6)
        assert pixels(made.image).std() > 5, sampler
        found[pixel_sha256(made.image)] = sampler
    assert sorted(found.values()) == sorted(tables.SAMPLERS)


def test_euler_a_borrows_schedules_and_makes_its_own_picture_with_each(draw: Draw) -> None:
    schedules = sorted(tables.SAMPLERS["Euler a"].schedules - {"Normal", "Simple"})
    made = {pixel_sha256(draw(sampler="Euler a", scheduler=schedule).image) for schedule in schedules}
    assert len(made) == len(schedules)


@pytest.mark.parametrize("sampler", ["Euler", "DPM++ 2M", "DPM++ 2M SDE"])
def test_automatic_is_the_schedule_that_the_info_names(draw: Draw, sampler: str) -> None:
    made = draw(sampler=sampler)
    assert made.info["Schedule type"] == tables.automatic(sampler)
    assert same(made, draw(sampler=sampler, scheduler=made.info["Schedule type"]))


def test_every_argument_of_the_table_is_one_that_the_class_takes() -> None:
    import inspect

    import diffusers

    for sampler, schedule in COMBINATIONS:
        choice = tables.choose(sampler, schedule)
        taken = inspect.signature(getattr(diffusers, choice.kind.scheduler).__init__).parameters
        unknown = {name for name in choice.settings if name not in taken}
        assert not unknown or choice.kind.borrows, (sampler, schedule, unknown)


@pytest.mark.parametrize("sampler", list(tables.SAMPLERS))
def test_progress_goes_over_every_step_once(backend: DiffusersBackend, sampler: str) -> None:
    watch = Watch()
    backend.txt2img(request(sampler=sampler, steps=5), watch, ManualCancel())
    assert [step for step, _ in dict.fromkeys(watch.steps)] == [1, 2, 3, 4, 5]
    assert {steps for _, steps in watch.steps} == {5}
    watch = Watch()
    backend.img2img(image_request(sampler=sampler, scheduler="", denoising_strength=0.5), watch, ManualCancel())
    assert [step for step, _ in dict.fromkeys(watch.steps)] == [1, 2, 3, 4]


# --- variations, hires, refiner -----------------------------------------------------------------------------


def test_a_variation_goes_from_one_seed_to_the_other(draw: Draw) -> None:
    here, there = draw(seed=1), draw(seed=2)
    assert same(here, draw(seed=1, subseed=2, subseed_strength=0.0))
    assert near(there.image, draw(seed=1, subseed=2, subseed_strength=1.0).image)
    between = draw(seed=1, subseed=2, subseed_strength=0.5)
    assert not same(between, here)
    assert not same(between, there)


@pytest.mark.parametrize("upscaler", [*tables.LATENT_MODES, "Lanczos", "None"])
def test_the_hires_pass_has_its_size_and_its_steps(backend: DiffusersBackend, upscaler: str) -> None:
    watch = Watch()
    made = backend.txt2img(request(hires=Hires(upscaler, 0.5, scale=1.5, steps=6)), watch, ManualCancel())
    assert made.image.size == (96, 96)
    assert watch.steps == [(step, 8) for step in range(1, 9)]
    assert watch.received_at == [8]
    assert {key: value for key, value in made.info.items() if "ires" in key or "Denoi" in key} == {
        "Denoising strength": 0.5,
        "Hires upscale": 1.5,
        "Hires steps": 6,
        "Hires upscaler": upscaler,
    }
    assert made.info["Size"] == "64x64", "of the first pass, as in A1111: a reader would enlarge it again"


def test_hires_with_both_sides_another_model_and_sampler(draw: Draw) -> None:
    first = draw(hires=Hires("Lanczos", 0.6, width=96, height=64, sampler="DDIM", model="xl"))
    assert first.image.size == (96, 64)
    assert first.info["Hires checkpoint"] == "xl"
    assert first.info["Hires sampler"] == "DDIM"
    assert first.info["Model"] == "sd"
    assert first.info["Hires resize"] == "96x64"
    assert same(first, draw(hires=Hires("Lanczos", 0.6, width=96, height=64, sampler="DDIM", model="xl")))
    with pytest.raises(StageFailure, match="use an upscaler of images"):
        draw(hires=Hires("Latent", 0.6, model="xl"))


def test_hires_at_strength_0_is_the_enlarged_picture(draw: Draw) -> None:
    assert draw(hires=Hires("Lanczos", 0.0)).image.size == (128, 128)


def test_the_refiner_takes_over_at_its_part_of_the_steps(draw: Draw) -> None:
    alone = draw(model="xl")
    assert same(alone, draw(model="xl", refiner=Refiner("refiner", 1.0)))
    half, late = (draw(model="xl", refiner=Refiner("refiner", part)) for part in (0.5, 0.75))
    assert len({pixel_sha256(made.image) for made in (alone, half, late)}) == 3
    assert half.info["Refiner"] == "refiner"
    assert half.info["Refiner switch at"] == 0.5
    assert not same(half, draw(model="xl", refiner=Refiner("refiner", 0.0)))


# --- img2img and inpainting ---------------------------------------------------------------------------------


def test_strength_decides_how_much_is_drawn_anew(backend: DiffusersBackend) -> None:
    source = sample_image(64, 64)
    kept = backend.img2img(image_request(denoising_strength=0.0), Progress(), ManualCancel())
    assert pixel_sha256(kept.image) == pixel_sha256(source)
    made = [
        backend.img2img(image_request(denoising_strength=part), Progress(), ManualCancel())
        for part in (0.3, 0.6, 1.0)
    ]
    assert len({pixel_sha256(result.image) for result in made}) == 3


@pytest.mark.parametrize("model", ["sd", "inpainting", "xl"])
def test_black_pixels_of_a_mask_stay_to_the_bit(backend: DiffusersBackend, model: str) -> None:
    source = sample_image(72, 64)
    mask = Image.new("L", source.size, 0)
    mask.paste(255, (16, 8, 48, 40))
    mask.paste(128, (48, 8, 56, 40))
    made = backend.img2img(
        image_request(model=model, image=source, mask=mask, denoising_strength=0.9), Progress(), ManualCancel()
    )
    before, after, cover = pixels(source), pixels(made.image), numpy.asarray(mask)
    assert (before == after)[cover == 0].all()
    assert (before != after).any(axis=2)[cover == 255].mean() > 0.9
    assert (before != after).any(axis=2)[cover == 128].mean() > 0.9


def test_a_mask_decides_what_the_rest_looks_like_too(backend: DiffusersBackend) -> None:
    """Outside the mask the latents are held to the image at each step, so the inside is drawn to fit it."""
    source, mask = sample_image(64, 64), Image.new("L", (64, 64), 0)
    mask.paste(255, (16, 16, 48, 48))
    masked = backend.img2img(image_request(image=source, mask=mask), Progress(), ManualCancel())
    free = backend.img2img(image_request(image=source), Progress(), ManualCancel())
    assert not numpy.array_equal(pixels(masked.image)[16:48, 16:48], pixels(free.image)[16:48, 16:48])


def test_an_empty_mask_and_odd_sizes(backend: DiffusersBackend) -> None:
    source = sample_image(75, 61)
    nothing = backend.img2img(
        image_request(image=source, mask=Image.new("L", source.size, 0)), Progress(), ManualCancel()
    )
    assert pixel_sha256(nothing.image) == pixel_sha256(source)
    odd = backend.img2img(image_request(image=source), Progress(), ManualCancel())
    assert odd.image.size == (75, 61)
    with pytest.raises(StageFailure, match="one size"):
        backend.img2img(image_request(mask=Image.new("L", (9, 9))), Progress(), ManualCancel())


# --- while it runs ------------------------------------------------------------------------------------------


def test_previews_are_made_while_somebody_looks(backend: DiffusersBackend) -> None:
    looks: Iterator[bool] = iter([False, True, True, False])
    for model in ("sd", "xl"):
        looks = iter([False, True, True, False])
        watch = Watch(lambda looks=looks: next(looks))  # type: ignore[misc]
        backend.txt2img(request(model=model, width=96), watch, ManualCancel())
        assert [image.size for image in watch.previews] == [(256, 171)] * 2
        assert pixels(watch.previews[0]).std() > 1


def test_the_last_preview_looks_like_the_latents_that_are_decoded(backend: DiffusersBackend) -> None:
    from stablenew_plugins.backends.diffusion import sampling

    seen: list[Any] = []
    patch = pytest.MonkeyPatch()
    with patch.context() as context:
        real = sampling.decode
        context.setattr(
            sampling,
            "decode",
            lambda torch, loaded, latents: seen.append(latents) or real(torch, loaded, latents),
        )
        watch = Watch(lambda: True)
        backend.txt2img(request(sampler="DDIM", scheduler=""), watch, ManualCancel())
    import torch

    final = sampling.rough(torch, seen[0], xl=False)
    away = [abs(pixels(final) - pixels(preview)).mean() for preview in watch.previews]
    assert away[-1] < 2
    assert away[-1] < away[0] / 2


def test_a_cancel_is_honoured_in_the_middle_of_a_step(backend: DiffusersBackend) -> None:
    token = ManualCancel()
    backend.txt2img(request(), Progress(), token)
    whole = token.looks
    assert whole > 4 * 4  # more than once a step: between the blocks of the network too
    for after in (1, whole // 3, whole // 2, whole - 1):
        watch = Watch()
        with pytest.raises(Cancelled):
            backend.txt2img(request(), watch, ManualCancel(after=after))
        assert not watch.received_at
    assert same(
        backend.txt2img(request(), Progress(), ManualCancel()),
        backend.txt2img(request(), Progress(), ManualCancel()),
    )


def test_the_next_call_may_begin_when_the_pixels_are_here(backend: DiffusersBackend, draw: Draw) -> None:
    alone = draw()
    made: list[GenerationResult] = []

    class Eager(Progress):
        def received(self) -> None:
            thread = threading.Thread(target=lambda: made.append(draw(seed=8)))
            thread.start()
            thread.join()

    assert same(backend.txt2img(request(), Eager(), ManualCancel()), alone)
    assert same(made[0], draw(seed=8))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("torch", FailureKind.OUT_OF_MEMORY),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), FailureKind.OUT_OF_MEMORY),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), FailureKind.OUT_OF_MEMORY),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), FailureKind.BACKEND),
    ],
)
def test_memory_that_runs_out_is_freed_and_said(world: World, error: Any, kind: FailureKind) -> None:
    import torch

    backend = world.backend()
    before = backend.txt2img(request(), Progress(), ManualCancel())
    (loaded,) = backend._shelf._loaded.values()
    raised = (
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB") if error == "torch" else error
    )

    def fail(*_: Any, **__: Any) -> None:
        raise raised

    loaded.pipe.unet.forward = fail
    with pytest.raises(StageFailure) as caught:
        backend.txt2img(request(), Progress(), ManualCancel())
    assert caught.value.kind == kind
    assert "Traceback" in caught.value.detail
    if kind == FailureKind.OUT_OF_MEMORY:
        assert "out of memory" in str(caught.value)
        assert not backend._shelf._loaded
        assert same(before, backend.txt2img(request(), Progress(), ManualCancel()))


def test_a_safety_checker_that_came_along_is_heard(world: World) -> None:
    import torch

    backend = world.backend()
    backend.txt2img(request(), Progress(), ManualCancel())
    (loaded,) = backend._shelf._loaded.values()

    class Checker:
        dtype = torch.float32

        def __call__(self, images: Any, clip_input: Any) -> tuple[Any, list[bool]]:
            assert clip_input.shape == (1, 3, 224, 224)
            assert images[0].shape == (64, 64, 3)
            return images, [True]

    from transformers import CLIPImageProcessor

    loaded.pipe.register_modules(feature_extractor=CLIPImageProcessor())
    object.__setattr__(loaded.pipe, "safety_checker", Checker())
    with pytest.raises(StageFailure, match=r"safety checker .* refuses") as caught:
        backend.txt2img(request(), Progress(), ManualCancel())
    assert caught.value.kind == FailureKind.BAD_INPUT


# --- placing ------------------------------------------------------------------------------------------------


class FakePipe:
    """Notes how it is placed: there is no GPU here."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def to(self, device: str) -> None:
        self.calls.append(f"to {device}")

    def remove_all_hooks(self) -> None:
        self.calls.append("remove")

    def enable_model_cpu_offload(self, device: str) -> None:
        self.calls.append(f"model {device}")

    def enable_sequential_cpu_offload(self, device: str) -> None:
        self.calls.append(f"sequential {device}")


@pytest.mark.parametrize(
    ("offload", "calls"),
    [("none", ["to cuda"]), ("model", ["remove", "model cuda"]), ("sequential", ["remove", "sequential cuda"])],
)
def test_weights_are_put_where_they_wait(world: World, offload: Any, calls: list[str]) -> None:
    import torch

    from stablenew_plugins.backends.diffusion.pipelines import Loaded, Shelf

    backend = world.backend()
    shelf = Shelf(libs.load(False), backend.options, "cuda", torch.float16, backend._hashes)
    pipe = FakePipe()
    shelf.place(Loaded("x", pipe, False, offload=offload))
    assert pipe.calls == calls


def test_a_device_that_is_not_there_is_refused_in_words(world: World) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(StageFailure, match=r"device=cuda: torch .* sees no such device here; there is cpu"):
        world.backend(device="cuda").identify()


def test_no_model_at_all_says_how_to_give_one(world: World, tmp_path: Path) -> None:
    with pytest.raises(StageFailure, match="--backend-option models=FOLDER"):
        world.backend(models=(str(tmp_path),)).txt2img(request(model=""), Progress(), ManualCancel())
    default = world.backend(default_model="xl").txt2img(request(model="", steps=1), Progress(), ManualCancel())
    assert default.info["Model"] == "xl"
