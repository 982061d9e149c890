"""What comes over the websocket, and what it says of one prompt. Pure.

Text is ``{"type": ..., "data": {...}}``. Binary begins with a big-endian uint32: 1 is a preview (uint32 format,
image), 4 a preview with metadata (uint32 length, JSON, image); others are not for us.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HELLO = json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
"""First message of ours: only then previews say which prompt they belong to."""

_PREVIEW, _PREVIEW_WITH_METADATA = 1, 4


@dataclass(frozen=True, slots=True)
class Event:
    """A text message."""

    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Preview:
    """A picture in the making."""

    image: bytes
    """A JPEG or PNG file."""
    prompt_id: str
    """Empty: not known."""


def read_message(message: str | bytes) -> Event | Preview | None:
    """A message; None for what is not understood: a newer server may say more than we know."""
    if isinstance(message, bytes):
        return _read_binary(message)
    try:
        found = json.loads(message)
    except ValueError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("data"), dict):
        return None
    return Event(str(found.get("type", "")), found["data"])


def _read_binary(message: bytes) -> Preview | None:
    if len(message) < 8:
        return None
    kind, number = struct.unpack_from(">II", message)
    if kind == _PREVIEW:
        return Preview(message[8:], "")
    if kind != _PREVIEW_WITH_METADATA or 8 + number > len(message):
        return None
    try:
        metadata = json.loads(message[8 : 8 + number])
    except ValueError:
        return None
    prompt = metadata.get("prompt_id") if isinstance(metadata, dict) else None
    return Preview(message[8 + number :], prompt if isinstance(prompt, str) else "")


class Tracker:
    """Follows one prompt through the events. ``steps``: what each node of it counts."""

    def __init__(self, prompt_id: str, steps: Mapping[str, int]) -> None:
        self.prompt_id = prompt_id
        self.started = False
        """ComfyUI works at it, or did."""
        self.ended = False
        """It says that it is done; the history tells how."""
        self.heard = 0
        """Messages that were about it."""
        self._steps = dict(steps)
        self._done: dict[str, float] = {}
        self._current = ""

    @property
    def total(self) -> int:
        """Steps in all; at least 1."""
        return max(1, sum(self._steps.values()))

    @property
    def made(self) -> int:
        """Steps that are made; never goes back."""
        made = sum(part * self._steps[node] for node, part in self._done.items() if node in self._steps)
        return min(self.total, int(made + 1e-6))

    def take(self, event: Event) -> None:
        """Take an event in; those of other prompts are passed by."""
        data = event.data
        prompt = data.get("prompt_id")
        if event.kind == "progress" and prompt is None and self.started:
            prompt = self.prompt_id  # old versions leave it out, and send progress only to whom it belongs
        if prompt != self.prompt_id:
            return
        self.heard += 1
        match event.kind:
            case "execution_start":
                self.started = True
            case "execution_cached":
                self.started = True
                for node in data.get("nodes") or ():
                    self._advance(str(node), 1.0)
            case "executing":
                self.started = True
                self._finish(self._current)
                node = data.get("node")
                self.ended = self.ended or node is None
                self._current = str(node or "")
            case "progress":
                self.started = True
                node = data.get("node")
                self._advance(self._current if node is None else str(node), _part(data))
            case "progress_state":
                self.started = True
                nodes = data.get("nodes")
                for node, state in nodes.items() if isinstance(nodes, dict) else ():
                    if isinstance(state, dict) and state.get("state") in ("running", "finished"):
                        self._advance(str(node), 1.0 if state["state"] == "finished" else _part(state))
            case "executed":
                self._finish(str(data.get("node", "")))
            case "execution_success" | "execution_error" | "execution_interrupted":
                self.ended = True

    def _finish(self, node: str) -> None:
        if node:
            self._advance(node, 1.0)

    def _advance(self, node: str, part: float) -> None:
        self._done[node] = max(self._done.get(node, 0.0), part)


def _part(data: Mapping[str, Any]) -> float:
    value, most = data.get("value"), data.get("max")
    if not isinstance(value, int | float) or not isinstance(most, int | float) or most <= 0:
        return 0.0
    return min(1.0, max(0.0, value / most))
