"""The extension ADetailer: its detectors, and what its units may hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DETECTORS = ("face_yolov8n.pt", "face_yolov8s.pt", "hand_yolov8n.pt", "mediapipe_face_full")
UNIT_DEFAULTS: Mapping[str, Any] = {
    "ad_model": "None",
    "ad_model_classes": "",
    "ad_tab_enable": True,
    "ad_prompt": "",
    "ad_negative_prompt": "",
    "ad_confidence": 0.3,
    "ad_mask_filter_method": "Area",
    "ad_mask_k": 0,
    "ad_mask_min_ratio": 0.0,
    "ad_mask_max_ratio": 1.0,
    "ad_dilate_erode": 4,
    "ad_x_offset": 0,
    "ad_y_offset": 0,
    "ad_mask_merge_invert": "None",
    "ad_mask_blur": 4,
    "ad_denoising_strength": 0.4,
    "ad_inpaint_only_masked": True,
    "ad_inpaint_only_masked_padding": 32,
    "ad_use_inpaint_width_height": False,
    "ad_inpaint_width": 512,
    "ad_inpaint_height": 512,
    "ad_use_steps": False,
    "ad_steps": 28,
    "ad_use_cfg_scale": False,
    "ad_cfg_scale": 7.0,
    "ad_use_checkpoint": False,
    "ad_checkpoint": None,
    "ad_use_vae": False,
    "ad_vae": None,
    "ad_use_sampler": False,
    "ad_sampler": "DPM++ 2M Karras",
    "ad_scheduler": "Use same scheduler",
    "ad_use_noise_multiplier": False,
    "ad_noise_multiplier": 1.0,
    "ad_use_clip_skip": False,
    "ad_clip_skip": 1,
    "ad_restore_face": False,
}
"""Keys of a unit. Others make ADetailer drop it."""

_UNIT_RANGES = {
    "ad_confidence": (0, 1),
    "ad_mask_min_ratio": (0, 1),
    "ad_mask_max_ratio": (0, 1),
    "ad_denoising_strength": (0, 1),
    "ad_mask_k": (0, 10**9),
    "ad_mask_blur": (0, 10**9),
    "ad_inpaint_only_masked_padding": (0, 10**9),
    "ad_steps": (1, 10**9),
    "ad_cfg_scale": (0, 10**9),
}


def unit_problem(unit: Mapping[str, Any]) -> str:
    """Why ADetailer drops the unit, or empty."""
    for key, value in unit.items():
        if key not in UNIT_DEFAULTS:
            return f"{key}: extra fields not permitted"
        if key in _UNIT_RANGES:
            least, most = _UNIT_RANGES[key]
            if not isinstance(value, (int, float)) or not least <= value <= most:
                return f"{key}: {value!r} is out of range"
    return ""
