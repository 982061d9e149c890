"""What the kernel tells of the values of a preset, and of what comes of the changes over it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from stablenew_api.jobs import JsonValue

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import library_pb2 as library

Settings = Mapping[str, "library.Setting"]
"""By name, ``txt2img.steps``."""


def explained(kernel: KernelClient, preset: str, sets: Sequence[str] = ()) -> Settings:
    """The settings of a run of ``preset`` with ``sets``. Raises as the kernel does."""
    from stablenew_proto.v1 import kernel_pb2 as pb

    answer = kernel.library.explain(pb.RunRequest(preset=preset, sets=sets))
    return {setting.name: setting for setting in answer.settings}


class Told:
    """See above. Replaced as the answers come: first those of the preset alone."""

    def __init__(self) -> None:
        self.base: Settings = {}
        """The preset alone."""
        self.now: Settings = {}
        """With the changes, as far as they were told."""

    def beneath(self, name: str, default: JsonValue) -> JsonValue:
        """The value below the changes: that of a model's profile, which a change may have brought, or that of
        the preset; ``default`` where the kernel told none."""
        told = self.now.get(name)
        if told is not None and _is_profile(told.source):
            return _value(told.value_json)
        if told is not None and told.below and _is_profile(told.below[0].source) and told.source == "--set":
            return _value(told.below[0].value_json)
        return _value(self.base[name].value_json) if name in self.base else default

    def source(self, name: str) -> str:
        """Where a value comes from: ``preset full.json``; empty: not told."""
        told = self.now.get(name) or self.base.get(name)
        return told.source if told is not None else ""


def _is_profile(source: str) -> bool:
    return source.startswith("profile ")


def _value(value_json: bytes) -> JsonValue:
    value = _parsed(value_json)
    return _parsed.__wrapped__(value_json) if isinstance(value, list | dict) else value


@lru_cache(maxsize=4096)
def _parsed(value_json: bytes) -> JsonValue:
    """The same few hundred are asked for in each frame in which something changed."""
    value: JsonValue = json.loads(value_json)
    return value
