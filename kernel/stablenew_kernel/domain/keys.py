"""Settings that files of StableNew are known to have and that no stage of ours has yet, with their old names.

A stage's own ``Config`` says which settings and old names it takes; this table has only the rest, so that old
names work, and nothing is called a misspelling, while the plugin for it is not there. When a stage learns a
setting, its row here goes: a test compares the two with the table in docs/packs-and-presets.md.
"""

from __future__ import annotations

from collections.abc import Mapping

Names = tuple[str, ...]
"""A setting: the name that is written, then older ones that are read."""


def _rows(text: str) -> tuple[Names, ...]:
    return tuple(tuple(row.split()) for row in text.split(","))


NOT_YET: Mapping[str, tuple[Names, ...]] = {
    "txt2img": _rows(
        "subseed, subseed_strength, styles, enable_hr, hr_scale, hr_upscaler, hr_sampler_name, "
        "hr_second_pass_steps hires_steps, hr_resize_x, hr_resize_y, hr_checkpoint_name, denoising_strength, "
        "refiner_checkpoint, refiner_switch_at, face_restoration_enabled, face_restoration_model, "
        "hypernetwork, hypernetwork_strength"
    ),
    "adetailer": _rows(
        "adetailer_model ad_model model, adetailer_confidence ad_confidence conf, "
        "adetailer_mask_feather ad_mask_blur, adetailer_sampler, adetailer_steps ad_steps, "
        "adetailer_denoise ad_denoising_strength strength, adetailer_cfg ad_cfg_scale, "
        "adetailer_prompt ad_prompt, adetailer_negative_prompt, ad_dilate_erode dilation, "
        "ad_inpaint_only_masked, ad_inpaint_only_masked_padding, ad_mask_k_largest, ad_mask_min_ratio, "
        "ad_mask_max_ratio, max_detections"
    ),
    "upscale": _rows("gfpgan_visibility, codeformer_visibility, codeformer_weight, tile_size"),
    "pipeline": _rows("loop_type, loop_count, pack_mode, output_dir"),
}
"""Section to its settings. A stage is turned on and off by ``STAGE_enabled``, in whatever section it stands."""

ONLY_WITH: Mapping[str, str] = {
    **dict.fromkeys(
        (name for row in NOT_YET["txt2img"] for name in row if name.startswith(("hr_", "denoising"))),
        "enable_hr",
    ),
    "refiner_switch_at": "refiner_checkpoint",
    "face_restoration_model": "face_restoration_enabled",
    "hypernetwork_strength": "hypernetwork",
}
"""Settings of ``txt2img`` that ask for nothing while the other one is off."""

GLOBAL_NEGATIVE = "apply_global_negative_"
"""``pipeline.apply_global_negative_STAGE``: whether the global negative prompt is added to that stage."""

SECTIONS = frozenset(
    ("txt2img", "img2img", "adetailer", "upscale", "video", "api", "pipeline", "randomization", "aesthetic")
)
"""Sections that files of StableNew are known to have."""

NOT_STAGES = SECTIONS - {"txt2img", "img2img", "adetailer", "upscale"}
"""Of these, the ones that belong to no stage."""
