"""What the docs say of presets, profiles and precedence is what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stablenew_kernel.domain.keys import NOT_YET
from stablenew_kernel.domain.layers import canonical, names_of
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.pipeline import Resolver, known_settings
from stablenew_kernel.domain.plan import PlanRequest, resolver_of
from stablenew_kernel.domain.presets import Layer, parse_settings
from stablenew_kernel.domain.profiles import Profiles, ProfileSettings, parse_profile
from stablenew_plugins.stages import stablenew_stages

DOCS = Path(__file__).resolve().parents[3] / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [part.partition("\n")[2] for part in text.split("```")[1::2] if part.partition("\n")[0] == language]


BUILT_IN = {stage.name: stage for stage in stablenew_stages()}
KNOWN = known_settings(BUILT_IN)

FILES: dict[str, str] = {
    "txt2img": """model model_name, vae vae_name, sampler_name, scheduler, steps, cfg_scale, width, height,
        seed, subseed, subseed_strength, clip_skip, batch_size, batch_count n_iter, negative_prompt, styles,
        enable_hr, hr_scale, hr_upscaler, hr_sampler_name, hr_second_pass_steps hires_steps, hr_resize_x,
        hr_resize_y, hr_checkpoint_name, denoising_strength, refiner_checkpoint, refiner_switch_at,
        face_restoration_enabled, face_restoration_model, hypernetwork, hypernetwork_strength""",
    "img2img": """model, vae, sampler_name, scheduler, steps, cfg_scale, denoising_strength, seed, clip_skip,
        prompt_adjust, negative_adjust""",
    "adetailer": """adetailer_model ad_model model, adetailer_confidence ad_confidence conf,
        adetailer_mask_feather ad_mask_blur, adetailer_sampler, adetailer_steps ad_steps,
        adetailer_denoise ad_denoising_strength strength, adetailer_cfg ad_cfg_scale,
        adetailer_prompt ad_prompt, adetailer_negative_prompt, ad_dilate_erode dilation,
        ad_inpaint_only_masked, ad_inpaint_only_masked_padding, ad_mask_k_largest, ad_mask_min_ratio,
        ad_mask_max_ratio, max_detections""",
    "upscale": """upscaler, upscaling_resize scale, upscale_mode, steps, sampler_name, scheduler,
        denoising_strength, gfpgan_visibility, codeformer_visibility, codeformer_weight, tile_size""",
    "pipeline": """loop_type, loop_count, images_per_prompt, pack_mode, variant_mode, model_matrix,
        hypernetworks, output_dir, filename_pattern, image_format, seed_mode""",
}
"""Keys met in real files, with their aliases, the one that is written first: the design's table."""


def rows_of(text: str) -> list[list[str]]:
    return [row.split() for row in text.split(",")]


@pytest.mark.parametrize("section", FILES)
def test_every_name_of_real_files_is_read_and_the_first_is_written(section: str) -> None:
    for first, *older in rows_of(FILES[section]):
        for name in (first, *older):
            assert names_of(section, name, KNOWN)[0] == first
        layer = canonical(Layer("p", {section: {(older or [first])[-1]: 1}}), KNOWN)
        assert layer.values[section] == {first: 1}


@pytest.mark.parametrize("section", NOT_YET)
def test_a_setting_that_a_stage_has_learned_leaves_the_table(section: str) -> None:
    own = set(KNOWN.get(section, {}))
    assert not own & {name for names in NOT_YET[section] for name in names}, (
        "remove its row from domain/keys.py"
    )


def key_table() -> list[str]:
    """The table of the docs, made from the code."""

    def shown(names: tuple[str, ...]) -> str:
        older = ", ".join(f"`{name}`" for name in names[1:])
        return f"`{names[0]}`{f' ({older})' if older else ''}"

    rows = []
    for section in FILES:
        done = [names_of(section, name, KNOWN) for name in KNOWN.get(section, {})]
        stage = BUILT_IN.get(section)
        if stage is not None:  # less what the plan reads besides, and what is for tests
            done = [names for names in done if names[0] in stage.Config.model_fields and names[0] != "fault"]
        switch = [] if section == "pipeline" else [(f"{section}_enabled", "enabled")]
        columns = (", ".join(map(shown, [*switch, *done])), ", ".join(map(shown, NOT_YET.get(section, ()))))
        rows.append(f"| `{section}` | {columns[0]} | {columns[1] or 'nothing'} |")
    return rows


def test_the_table_of_keys_is_made_from_the_code() -> None:
    text = page("packs-and-presets.md")
    for row in key_table():
        assert row in text


def test_every_key_of_a_profile_is_described() -> None:
    for name, info in ProfileSettings.model_fields.items():
        assert f"| `{name}` | {info.description} |" in page("profiles.md")


def test_the_examples_of_profiles_are_profiles() -> None:
    model, lora = [
        parse_profile("x.profile.json", text.encode()) for text in blocks(page("profiles.md"), "json")
    ]
    assert (model.settings.kind, model.settings.trigger_words, model.warnings) == ("model", ("score_9",), ())
    assert Resolver([model.layer], (), BUILT_IN).resolve().warnings == ()
    assert (lora.settings.weight, lora.settings.trigger_words) == (0.7, ("fine lines", "crisp"))


def test_the_example_of_a_preset_is_a_preset() -> None:
    section = page("packs-and-presets.md").split("## Settings")[1]
    [example] = blocks(section, "json")
    preset = parse_settings("p.json", example.encode())
    made = Resolver([Layer("preset p.json", preset)], (), BUILT_IN).resolve()
    assert [planned.stage.name for planned in made.stages] == ["txt2img", "upscale", "frame"]
    assert made.warnings == ()


def test_the_order_of_the_layers_is_that_of_the_code() -> None:
    """The table says who wins: as one layer after the other is taken away from the top, the next one must."""
    section = page("packs-and-presets.md").split("### Who wins")[1].split("### ")[0]
    listed = [line.split("|")[2].strip() for line in section.splitlines() if line.startswith("| ")][1:]
    sources = {
        "`--set`": "--set",
        "the last run": "last run",
        "the pack's sidecar": "sidecar s",
        "the preset": "preset p",
        "the profile of the model": "profile m.profile.json",
        "the stage's default": "default",
    }
    assert listed == list(sources)
    values = {"txt2img": {"steps": 9}}
    profiles = Profiles((parse_profile("m.profile.json", b'{"txt2img": {"steps": 9}}'),))
    given: dict[str, Any] = {
        "sets": ("txt2img.steps=9",),
        "last_run": values,
        "sidecar": values,
        "preset": values,
    }
    given["profiles"] = profiles
    rest = {"sidecar_name": "s", "preset_name": "p"}
    pack = parse_pack("p.txt", b"a")
    for winner in sources.values():
        asked = PlanRequest(pack, **{**rest, **given, "sets": ("txt2img.model=m", *given.get("sets", ()))})
        found = {setting.name: setting for setting in resolver_of(asked, BUILT_IN).explain()}
        assert found["txt2img.steps"].source == winner
        if given:
            del given[next(iter(given))]


def test_the_example_of_an_explanation_is_the_real_one() -> None:
    """Of ``preset show full --explain --pack packs/demo.txt --set txt2img.steps=50``."""
    root = DOCS.parent
    asked = PlanRequest(
        parse_pack("demo.txt", b"a"),
        preset=parse_settings("full.json", (root / "presets/full.json").read_bytes()),
        preset_name="full.json",
        sidecar=parse_settings("demo.json", (root / "packs/demo.json").read_bytes()),
        sidecar_name="demo.json",
        sets=("txt2img.steps=50",),
    )
    found = {setting.name: setting for setting in resolver_of(asked, BUILT_IN).explain()}
    [example] = [block for block in blocks(page("packs-and-presets.md"), "") if block.startswith("setting ")]
    for line in example.splitlines()[1:]:
        name, value, source, *below = [cell.strip() for cell in re.split(r"  +", line)]
        real = found[name]
        assert value == (real.value if isinstance(real.value, str) and real.value else json.dumps(real.value))
        assert source == ", ".join(part for part in (real.source, real.place) if part)
        assert "".join(below) == "; ".join(f"{one}: {json.dumps(under)}" for one, under in real.below if below)
