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
    "pipeline": _rows("loop_type, loop_count, pack_mode, output_dir"),
}
"""Section to its settings. A stage is turned on and off by ``STAGE_enabled``, in whatever section it stands."""

GLOBAL_NEGATIVE = "apply_global_negative_"
"""``pipeline.apply_global_negative_STAGE``: whether the global negative prompt is added to that stage."""

SECTIONS = frozenset(
    ("txt2img", "img2img", "adetailer", "upscale", "video", "api", "pipeline", "randomization", "aesthetic")
)
"""Sections that files of StableNew are known to have."""

NOT_STAGES = SECTIONS - {"txt2img", "img2img", "adetailer", "upscale"}
"""Of these, the ones that belong to no stage."""
