"""How far a job is, by what the server says. It is decoration: the reply alone is the truth.

``/internal/progress`` knows a job by the id that it was sent with. Where it is missing, or the server takes no
ids (SD.Next), ``/sdapi/v1/progress`` says how far the server is with whatever it does."""

from __future__ import annotations

import base64
import binascii
import io
import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from stablenew_plugins.backends.webui.http import Lane, Reply, mapping

if TYPE_CHECKING:
    from PIL.Image import Image

    from stablenew_plugins.backends.webui.options import WebUIConfig

BY_ID = "/internal/progress"
GLOBAL = "/sdapi/v1/progress"

STRANGER_ANSWERS = 2
"""Answers in a row that know nothing of a job that was sent, after which the server is taken to know no ids."""

PREVIEW_BYTES = 16 * 1024 * 1024
"""Larger previews are not looked at."""


class State(Enum):
    """Where a job is."""

    UNKNOWN = "unknown"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer."""

    state: State
    fraction: float = 0.0
    """0 to 1."""
    preview: str = ""
    """An image as base64 or data URI; empty: none, or the one that was sent last time."""
    preview_id: int = -1
    interrupted: bool = False
    """Whether the last job of the server was interrupted, by anybody."""


@dataclass(slots=True)
class Ids:
    """Whether the server knows jobs by their ids; learned while it is used."""

    known: bool = True
    """False: it has no such call, or takes no ids."""
    doubted: bool = False
    """``known`` is False only because it did not know a job for a while: it may just have been busy."""
    proven: bool = False
    """It has once known a job of ours."""
    flag_up: bool = False
    """Whether its flag ``interrupted`` was up after the last short job."""


def ask_by_id(lane: Lane, options: WebUIConfig, task_id: str, preview: bool, preview_id: int) -> Reading | None:
    """What the server knows of the job ``task_id``. None: it has no such call, or does not let us use it.
    Raises :class:`~.http.Trouble`."""
    body = {"id_task": task_id, "id_live_preview": preview_id, "live_preview": preview}
    reply = lane.exchange("POST", BY_ID, json.dumps(body).encode("utf-8"), _timeouts(options))
    answer = _answer(reply)
    if answer is None or "active" not in answer:
        return None
    if answer.get("active"):
        state = State.RUNNING
    elif answer.get("queued"):
        state = State.QUEUED
    else:
        state = State.COMPLETED if answer.get("completed") else State.UNKNOWN
    number = answer.get("id_live_preview")
    return Reading(
        state, _fraction(answer.get("progress")), _text(answer.get("live_preview")), _whole(number, preview_id)
    )


def ask_global(
    lane: Lane, options: WebUIConfig, preview: bool, timeouts: tuple[float, float] | None = None
) -> Reading | None:
    """What the server does at all. None: it does not say. Raises :class:`~.http.Trouble`."""
    skip = "false" if preview else "true"
    reply = lane.exchange("GET", f"{GLOBAL}?skip_current_image={skip}", None, timeouts or _timeouts(options))
    answer = _answer(reply)
    if answer is None or "progress" not in answer:
        return None
    state = mapping(answer.get("state"))
    busy = bool(state.get("job_count")) or bool(state.get("job"))
    return Reading(
        State.RUNNING if busy else State.UNKNOWN,
        _fraction(answer.get("progress")) if busy else 0.0,
        _text(answer.get("current_image")),
        interrupted=bool(state.get("interrupted")),
    )


def _timeouts(options: WebUIConfig) -> tuple[float, float]:
    return options.connect_timeout, options.read_timeout


def _answer(reply: Reply) -> dict[str, object] | None:
    if not reply.ok:
        return None
    try:
        value = reply.json()
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _fraction(value: object) -> float:
    return min(1.0, max(0.0, float(value))) if isinstance(value, (int, float)) and value == value else 0.0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise


def decode_preview(text: str) -> Image | None:
    """The picture in ``text``; None if there is none to be seen: a preview is not worth a failure."""
    from PIL import Image

    if not text or len(text) > PREVIEW_BYTES:
        return None
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        image = Image.open(io.BytesIO(base64.b64decode(text)), formats=("PNG", "JPEG", "WEBP", "GIF"))
        image.load()
        return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, binascii.Error, Image.DecompressionBombError):
        return None
