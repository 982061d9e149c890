"""Generating calls: in turn, with progress, and with all that can go wrong."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

from PIL import Image, ImageOps
from tests.support.webui_server.drawing import Drawing
from tests.support.webui_server.errors import ApiError, not_found
from tests.support.webui_server.flavours import OOM_TEXTS
from tests.support.webui_server.images import decode, encode
from tests.support.webui_server.infotext import info_of, infotext
from tests.support.webui_server.lists import SAMPLERS, UPSCALERS
from tests.support.webui_server.records import Job
from tests.support.webui_server.routes import scripts
from tests.support.webui_server.server_state import ServerState, SharedState


def generate(
    server: ServerState, kind: str, body: Mapping[str, Any], arrived: float | None = None
) -> tuple[dict[str, Any], Job]:
    """Carry out a generating call, in turn. Raises :class:`ApiError`."""
    arrived = time.monotonic() if arrived is None else arrived
    if f"/sdapi/v1/{kind}" in server.missing or "still_starting" in server.traps:
        raise not_found()
    if kind == "img2img" and not body.get("init_images"):
        raise ApiError(404, "HTTPException", "Init image not found")
    if kind != "extra-single-image":
        _check_scripts(server, body)
        if server.settings.flavour != "a1111" or "silent_sampler" not in server.traps:
            _check_sampler(server, body)
    named = (
        "" if kind == "extra-single-image" or "no_ids" in server.traps else str(body.get("force_task_id") or "")
    )
    task = named or f"task({kind}-{len(server.jobs)})"
    if kind != "extra-single-image":
        server.pending[task] = time.monotonic()
    with server.queue_lock:
        job = Job(task, kind, body, arrived, time.monotonic())
        server.jobs.append(job)
        server.pending.pop(task, None)
        server.stop_step.clear()
        if "hang" in server.traps or "hang_all" in server.traps:
            server.state = SharedState(job=kind, job_count=1, sampling_steps=1, begun=time.monotonic())
            server.current = task
            server.release.wait()
        server.current = task if kind != "extra-single-image" else server.current
        try:
            answer = _carry_out(server, kind, body, job)
        except ApiError:
            if "progress_stays" not in server.traps:
                server.current = None
            raise
        finally:
            job.ended = time.monotonic()
            server.state.job, server.state.job_count, server.state.sampling_step = "", 0, 0
        if kind != "extra-single-image":
            server.current = None
            server.finished = [*server.finished, task][-16:]
    return answer, job


def _check_sampler(server: ServerState, body: Mapping[str, Any]) -> None:
    name = body.get("sampler_name") or "Euler"
    if name not in SAMPLERS and not any(name in aliases for aliases in SAMPLERS.values()):
        raise ApiError(400 if server.settings.flavour == "forge" else 404, "HTTPException", "Sampler not found")


def _check_scripts(server: ServerState, body: Mapping[str, Any]) -> None:
    known = {name.lower() for names in scripts(server).values() for name in names}
    for name in body.get("alwayson_scripts") or {}:
        if name.lower() not in known and "silent_script" not in server.traps:
            raise ApiError(422, "HTTPException", f"always on script {name} not found")
    script = body.get("script_name")
    if script and script.lower() not in known:
        raise ApiError(422, "HTTPException", f"Script '{script}' not found")


def _carry_out(server: ServerState, kind: str, body: Mapping[str, Any], job: Job) -> dict[str, Any]:
    steps = max(1, int(body.get("steps") or 20))
    passes = 2 if body.get("enable_hr") else 1
    server.state = SharedState(
        job=f"scripts_{kind}", job_count=passes, sampling_steps=steps, begun=time.monotonic()
    )
    if server.unloaded and server.settings.flavour == "a1111":
        raise ApiError(500, "RuntimeError", errors="Expected all tensors to be on the same device")
    if "oom" in server.traps:
        server.oom_count += 1
        error, text = OOM_TEXTS[server.settings.flavour]
        raise ApiError(500, error, errors=text)
    if kind == "extra-single-image":
        _wait(server, server.settings.seconds)
        return _upscale(server, body)
    if int(body.get("steps", 20)) < 1 or int(body.get("width") or 512) < 1:
        raise ApiError(500, "ValueError", errors="height and width must be > 0")
    picture = Drawing(server, kind, body)
    _sample(server, picture, steps, passes, job)
    if "lost_image" in server.traps:
        raise ApiError(500, "TypeError", errors="'NoneType' object is not iterable")
    if "oom_200" in server.traps:
        server.oom_count += 1
        return {"images": [], "parameters": {}, "info": json.dumps({"comments": OOM_TEXTS["sdnext"][1]})}
    if "oom_silent" in server.traps:
        server.oom_count += 1
        return {"images": [], "parameters": {}, "info": ""}
    if job.interrupted and "partial_200" not in server.traps:
        raise ApiError(500, "Interrupted", "interrupted")
    return _reply(server, picture, job)


def _sample(server: ServerState, picture: Drawing, steps: int, passes: int, job: Job) -> None:
    pause = server.settings.seconds / (steps * passes)
    # Not more than 50 times a second: a benchmark measures the client, not this.
    stride = max(1, int(0.02 / pause)) if pause else steps
    for number in range(passes):
        server.state.job_no, server.state.sampling_step = number, 0
        for step in range(stride, steps + stride, stride):
            done = min(step, steps)
            if pause:
                _wait(server, pause * (done - server.state.sampling_step))
            if server.state.interrupted:
                job.interrupted = True
                picture.done = (number + server.state.sampling_step / steps) / passes
                return
            server.state.sampling_step = done
            if pause and not server.premade:
                server.state.preview = picture.preview(done / steps)
                server.state.preview_id += 1


def _wait(server: ServerState, seconds: float) -> None:
    if seconds > 0:
        server.stop_step.wait(seconds)


def _reply(server: ServerState, picture: Drawing, job: Job) -> dict[str, Any]:
    if server.premade:
        pieces = server.premade.base64(picture.seed)
        return {"premade": pieces, "info": json.dumps(info_of(picture, infotext(picture)))}
    text = infotext(picture)
    image = picture.draw()
    info = info_of(picture, text)
    encoded = encode(image, text)
    images = [encoded]
    if "wrong_size" in server.traps:
        images = [encode(image.resize((max(1, image.width - 8), image.height)), text)]
    elif "not_an_image" in server.traps:
        images = [base64.b64encode(b"<svg>no image at all</svg>").decode()]
    elif "not_base64" in server.traps:
        images = ["!!! no base64 !!!"]
    elif "broken_image" in server.traps:
        images = [base64.b64encode(base64.b64decode(encoded)[: len(encoded) // 3]).decode()]
    elif "no_images" in server.traps:
        images = []
    elif "two_images" in server.traps:
        images = [encoded, encoded]
    if "huge" in server.traps:
        return {"premade": [encode(image, text, padding=75_000_000).encode()], "info": json.dumps(info)}
    if "grid_first" in server.traps:
        other = infotext(picture, seed=picture.seed + 1)
        images = [encode(ImageOps.contain(image, (32, 32)), other), *images]
        info.update(index_of_first_image=1, infotexts=[other, text])
    if "wrong_infotext" in server.traps:
        info["infotexts"] = [infotext(picture, seed=picture.seed + 1), *info["infotexts"][1:]]
    parameters = {key: value for key, value in picture.body.items() if key not in ("init_images", "mask")}
    return {
        "images": images,
        # An echo of what was asked, whatever was done.
        "parameters": {**parameters, "init_images": None, "mask": None},
        "info": "" if "no_info" in server.traps else json.dumps(info),
    }


def _upscale(server: ServerState, body: Mapping[str, Any]) -> dict[str, Any]:
    image = decode(body.get("image"))
    scale = float(body.get("upscaling_resize", 2))
    size = (int(image.width * scale) // 8 * 8, int(image.height * scale) // 8 * 8)
    name = body.get("upscaler_1", "None")
    if name not in UPSCALERS:
        # A1111: "could not find upscaler named X, using None as fallback"
        server.console.append(f"could not find upscaler named {name}")
        name = "None"
    method = Image.Resampling.NEAREST if name == "Nearest" else Image.Resampling.LANCZOS
    made = image.resize((max(8, size[0]), max(8, size[1])), method)
    if body.get("gfpgan_visibility") or body.get("codeformer_visibility"):
        made = ImageOps.autocontrast(made)
    if "wrong_size" in server.traps:
        made = made.resize((made.width // 2, made.height // 2))
    encoded = base64.b64encode(b"no image").decode() if "not_an_image" in server.traps else encode(made, "")
    return {"html_info": "<div></div>", "image": "" if "no_images" in server.traps else encoded}
