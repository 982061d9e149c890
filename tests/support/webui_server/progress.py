"""How far a job is, and how it is stopped."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tests.support.webui_server.errors import not_found
from tests.support.webui_server.server_state import ServerState


def _fraction(server: ServerState) -> float:
    state = server.state
    if not state.job_count:
        return 0.0
    done = state.sampling_step / state.sampling_steps if state.sampling_steps else 0.0
    return min(1.0, (state.job_no + done) / state.job_count)


def global_progress(server: ServerState, query: Mapping[str, list[str]]) -> Any:
    """``/sdapi/v1/progress``: of whatever runs."""
    if "global_is_missing" in server.traps:
        raise not_found()
    state = server.state
    facts = {
        "skipped": state.skipped,
        "interrupted": state.interrupted,
        "stopping_generation": False,
        "job": state.job,
        "job_count": state.job_count,
        "job_timestamp": "20260101000000",
        "job_no": state.job_no,
        "sampling_step": state.sampling_step,
        "sampling_steps": state.sampling_steps,
    }
    if not state.job_count:
        return {
            "progress": 0.0,
            "eta_relative": 0.0,
            "state": facts,
            "current_image": None,
            "textinfo": None,
        }
    progress = min(1.0, 0.01 + _fraction(server))
    if "progress_wrong" in server.traps:
        progress = 0.99 if state.sampling_step < state.sampling_steps / 2 else 0.01
    spent = time.monotonic() - state.begun
    eta = spent / progress - spent
    if "eta_nonsense" in server.traps:
        eta = -77_000.0 if state.sampling_step % 2 else 9e9
    wants = query.get("skip_current_image", ["false"])[0].lower() not in ("true", "1")
    image = state.preview if wants and state.preview else None
    return {
        "progress": progress,
        "eta_relative": eta,
        "state": facts,
        "current_image": image,
        "textinfo": None,
    }


def internal_progress(server: ServerState, body: Any) -> Any:
    """``/internal/progress``: of one task."""
    task = (body or {}).get("id_task")
    active, queued, done = task == server.current, task in server.pending, task in server.finished
    answer: dict[str, Any] = {"active": active, "queued": queued, "completed": done, "id_live_preview": -1}
    if not active:
        return {**answer, "progress": None, "eta": None, "live_preview": None, "textinfo": "Waiting..."}
    answer.update(progress=_fraction(server), eta=1.0, live_preview=None, textinfo=None)
    answer["id_live_preview"] = body.get("id_live_preview", -1)
    if body.get("live_preview", True) and server.state.preview_id != body.get("id_live_preview", -1):
        answer["live_preview"] = (
            f"data:image/png;base64,{server.state.preview}" if server.state.preview else None
        )
        answer["id_live_preview"] = server.state.preview_id
    return answer


def interrupt(server: ServerState) -> Any:
    """Stop whatever runs, as a click on Interrupt does."""
    server.state.interrupted = True
    server.stop_step.set()
    return {}


def skip(server: ServerState) -> Any:
    """Note a click on Skip."""
    server.state.skipped = True
    return {}
