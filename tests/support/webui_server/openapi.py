"""What the server says about its routes."""

from __future__ import annotations

from typing import Any

TXT2IMG_FIELDS = (
    "prompt", "negative_prompt", "styles", "seed", "subseed", "subseed_strength", "seed_resize_from_h",
    "seed_resize_from_w", "sampler_name", "scheduler", "batch_size", "n_iter", "steps", "cfg_scale",
    "width", "height", "restore_faces", "tiling", "do_not_save_samples", "do_not_save_grid", "eta",
    "denoising_strength", "s_min_uncond", "s_churn", "s_tmax", "s_tmin", "s_noise", "override_settings",
    "override_settings_restore_afterwards", "refiner_checkpoint", "refiner_switch_at",
    "disable_extra_networks", "enable_hr", "firstphase_width", "firstphase_height", "hr_scale",
    "hr_upscaler", "hr_second_pass_steps", "hr_resize_x", "hr_resize_y", "hr_checkpoint_name",
    "hr_sampler_name", "hr_scheduler", "hr_prompt", "hr_negative_prompt", "force_task_id", "infotext",
    "script_name", "script_args", "send_images", "save_images", "alwayson_scripts",
)  # fmt: skip


def openapi() -> dict[str, Any]:
    """``/openapi.json``, as far as clients look at it."""

    def route(name: str) -> dict[str, Any]:
        schema = {"$ref": f"#/components/schemas/{name}"}
        return {"post": {"requestBody": {"content": {"application/json": {"schema": schema}}}}}

    fields: dict[str, Any] = {name: {} for name in TXT2IMG_FIELDS}
    more = ("init_images mask mask_blur mask_round inpainting_fill inpaint_full_res inpaint_full_res_padding "
            "inpainting_mask_invert resize_mode image_cfg_scale include_init_images "
            "initial_noise_multiplier")  # fmt: skip
    return {
        "info": {"title": "FastAPI", "version": "0.1.0"},
        "paths": {"/sdapi/v1/txt2img": route("Txt2Img"), "/sdapi/v1/img2img": route("Img2Img")},
        "components": {
            "schemas": {
                "Txt2Img": {"properties": fields},
                "Img2Img": {"properties": {**fields, **{name: {} for name in more.split()}}},
            }
        },
    }
