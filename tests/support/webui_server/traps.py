"""Switches for all the ways in which a server fools its client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Trap(NamedTuple):
    """A way in which a server fools its client."""

    number: int
    """In the list of traps of the design; 0: a fault that any server may have."""
    text: str
    usual: bool = False
    """Real servers do this; it is on unless switched off."""


TRAPS: Mapping[str, Trap] = {
    "silent_model": Trap(1, "an unknown checkpoint is dropped; the loaded one draws", usual=True),
    "stuck_model": Trap(1, "a known checkpoint is not loaded either"),
    "options_not_applied": Trap(2, "POST /options says 200 and changes nothing"),
    "progress_wrong": Trap(3, "the global progress shows another job: 0.99, then 0.01"),
    "progress_stays": Trap(
        4, "after an exception /internal/progress goes on saying that the job is active", usual=True
    ),
    "internal_open": Trap(5, "/internal/* wants no password", usual=True),
    "partial_200": Trap(6, "an interrupted job answers 200 with a half-made picture", usual=True),
    "grid_first": Trap(8, "a grid comes first"),
    "silent_sampler": Trap(9, "an unknown sampler becomes DPM++ 2M, with 200", usual=True),
    "stuck_sampler": Trap(9, "the sampler is always Euler a"),
    "silent_script": Trap(9, "an unknown always-on script is stripped"),
    "eta_nonsense": Trap(10, "the time left is thousands of per cent wrong"),
    "lost_image": Trap(11, "an exception after the work: 500, the image is gone"),
    "windows_paths": Trap(19, "checkpoints stand in folders, with backslashes"),
    "wrong_infotext": Trap(21, "the first infotext is that of another image"),
    "reroll_detail": Trap(22, "a wildcard is resolved anew for ADetailer when its prompt is empty"),
    "drop_unit": Trap(
        23, "an ADetailer unit with an unknown key or bad value is dropped, with 200", usual=True
    ),
    "detailer_crash": Trap(23, "ADetailer throws; it is logged, and the reply is 200"),
    "hang": Trap(0, "generating calls never answer"),
    "hang_all": Trap(0, "no call is answered"),
    "truncated": Trap(0, "the reply ends in the middle"),
    "slow_loris": Trap(0, "the reply comes a byte at a time, for ever"),
    "slow_lists": Trap(0, "lists come a byte at a time, for ever"),
    "html": Trap(0, "200 with a web page"),
    "huge": Trap(0, "the reply has 100 MB"),
    "endless": Trap(0, "the reply never ends, at full speed"),
    "not_an_image": Trap(0, "the image is text"),
    "not_base64": Trap(0, "the image is no base64"),
    "broken_image": Trap(0, "the image is half a PNG"),
    "wrong_size": Trap(0, "the image is 8 pixels narrower, while info says otherwise"),
    "two_images": Trap(0, "two images for one"),
    "no_images": Trap(0, "200 without an image"),
    "wrong_seed": Trap(0, "another seed was used"),
    "wrong_steps": Trap(0, "other steps were used"),
    "stuck_vae": Trap(0, "the VAE is not loaded"),
    "lora_fails": Trap(0, "a LoRA cannot be loaded; the picture is made without it"),
    "no_info": Trap(0, "info is empty"),
    "oom": Trap(0, "out of memory, 500"),
    "oom_200": Trap(0, "out of memory, 200 without an image"),
    "oom_silent": Trap(0, "out of memory, 200 without an image or a word; /memory counts it"),
    "crash": Trap(0, "the connection is closed without a reply"),
    "unavailable": Trap(0, "503"),
    "redirect": Trap(0, "302 to another host"),
    "extra_fields": Trap(0, "every answer has fields that nobody knows"),
    "null_lists": Trap(0, "lists are null"),
    "odd_lists": Trap(0, "lists are objects, or lists of numbers"),
    "still_starting": Trap(0, "the API answers 404, as while A1111 starts"),
    "global_is_missing": Trap(0, "/sdapi/v1/progress is 404"),
    "no_ids": Trap(0, "force_task_id is ignored, as by SD.Next"),
}
"""Every switch."""
