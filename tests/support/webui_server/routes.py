"""Answers to requests that generate nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support.webui_server.detailer import DETECTORS, UNIT_DEFAULTS
from tests.support.webui_server.errors import ApiError, not_found
from tests.support.webui_server.flavours import Route, routes_of
from tests.support.webui_server.lists import (
    EMBEDDINGS,
    HYPERNETWORKS,
    LORAS,
    RESTORERS,
    SAMPLERS,
    STYLES,
    UPSCALERS,
    model_sha256,
)
from tests.support.webui_server.progress import global_progress, internal_progress, interrupt, skip
from tests.support.webui_server.server_state import ServerState


def respond(server: ServerState, method: str, path: str, query: Mapping[str, list[str]], body: Any) -> Any:
    """The answer to a request that generates nothing. Raises :class:`ApiError`."""
    if path in server.missing or ("still_starting" in server.traps and path != "/internal/ping"):
        raise not_found()
    route = _routes(server).get((method, path))
    if route is None:
        raise not_found()
    value = route(query, body)
    if isinstance(value, list) and path.startswith("/sdapi"):
        if "null_lists" in server.traps:
            return None
        if "odd_lists" in server.traps:
            return [1, 2, 3] if len(path) % 2 else {"items": value}
    if "extra_fields" in server.traps:
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                item["nobody_knows"] = {"nested": [1, None]}
    return value


def _routes(server: ServerState) -> dict[tuple[str, str], Route]:
    routes: dict[tuple[str, str], Route] = {
        ("GET", "/sdapi/v1/options"): lambda q, b: dict(server.options),
        ("POST", "/sdapi/v1/options"): lambda q, b: _set_options(server, b),
        ("GET", "/sdapi/v1/cmd-flags"): lambda q, b: {"api": True, "api_auth": server.settings.auth or None},
        ("GET", "/sdapi/v1/samplers"): lambda q, b: [
            {"name": name, "aliases": aliases, "options": {}} for name, aliases in SAMPLERS.items()
        ],
        ("GET", "/sdapi/v1/upscalers"): lambda q, b: [
            {"name": name, "model_name": None, "model_path": None, "model_url": None, "scale": 4.0}
            for name in UPSCALERS
        ],
        ("GET", "/sdapi/v1/sd-models"): lambda q, b: [
            _model_item(server, model) for model in server.settings.models
        ],
        ("GET", "/sdapi/v1/loras"): lambda q, b: [
            {
                "name": name,
                "alias": name,
                "path": f"/models/Lora/{name}.safetensors",
                "metadata": {"ss_steps": "9"},
            }
            for name in LORAS
        ],
        ("GET", "/sdapi/v1/embeddings"): lambda q, b: _embeddings(server),
        ("GET", "/sdapi/v1/hypernetworks"): lambda q, b: [
            {"name": name, "path": f"/models/{name}.pt"} for name in HYPERNETWORKS
        ],
        ("GET", "/sdapi/v1/face-restorers"): lambda q, b: [
            {"name": name, "cmd_dir": None} for name in RESTORERS
        ],
        ("GET", "/sdapi/v1/prompt-styles"): lambda q, b: [
            {"name": name, "prompt": text, "negative_prompt": negative}
            for name, (text, negative) in STYLES.items()
        ],
        ("GET", "/sdapi/v1/scripts"): lambda q, b: scripts(server),
        ("GET", "/sdapi/v1/script-info"): lambda q, b: _script_info(server),
        ("GET", "/sdapi/v1/memory"): lambda q, b: _memory(server),
        ("GET", "/sdapi/v1/progress"): lambda q, b: global_progress(server, q),
        ("POST", "/sdapi/v1/interrupt"): lambda q, b: interrupt(server),
        ("POST", "/sdapi/v1/skip"): lambda q, b: skip(server),
        ("POST", "/sdapi/v1/unload-checkpoint"): lambda q, b: _set_unloaded(server, True),
        ("POST", "/sdapi/v1/reload-checkpoint"): lambda q, b: _set_unloaded(server, False),
        ("POST", "/sdapi/v1/refresh-checkpoints"): lambda q, b: None,
        ("POST", "/sdapi/v1/refresh-loras"): lambda q, b: None,
        ("POST", "/internal/progress"): lambda q, b: internal_progress(server, b),
        ("GET", "/internal/pending-tasks"): lambda q, b: {
            "size": len(server.pending),
            "tasks": list(server.pending),
        },
        ("GET", "/internal/ping"): lambda q, b: {},
        ("GET", "/fake/seen"): lambda q, b: server.told(),
    }
    routes.update(routes_of(server.settings.flavour))
    if server.settings.detailer:
        routes["GET", "/adetailer/v1/version"] = lambda q, b: {"version": "24.11.1"}
        routes["GET", "/adetailer/v1/ad_model"] = lambda q, b: {"ad_model": list(DETECTORS)}
        routes["GET", "/adetailer/v1/schema"] = lambda q, b: {
            "title": "ADetailerArgs",
            "type": "object",
            "properties": {key: {"default": value} for key, value in UNIT_DEFAULTS.items()},
            "additionalProperties": False,
        }
    return routes


def _model_item(server: ServerState, model: str) -> dict[str, Any]:
    sha = model_sha256(model)
    path = server.path_of(model)
    folder = "C:\\sd\\models\\" if "windows_paths" in server.traps else "/sd/models/"
    return {
        "title": server.title(model),
        "model_name": path.rpartition(".")[0].replace("/", "_").replace("\\", "_"),
        "hash": sha[:10],
        "sha256": sha,
        "filename": folder + path,
        "config": None,
    }


def _embeddings(server: ServerState) -> Any:
    if server.settings.flavour == "sdnext":
        return {key: list(names) for key, names in EMBEDDINGS.items()}
    item = {"step": 1, "sd_checkpoint": None, "sd_checkpoint_name": None, "shape": 768, "vectors": 8}
    return {key: {name: dict(item) for name in names} for key, names in EMBEDDINGS.items()}


def scripts(server: ServerState) -> dict[str, list[str]]:
    """Names of the scripts, of both kinds."""
    names = ["prompt matrix", "x/y/z plot", *(["adetailer"] if server.settings.detailer else [])]
    return {"txt2img": names, "img2img": [*names, "sd upscale"]}


def _script_info(server: ServerState) -> Any:
    found: list[dict[str, Any]] = [
        {"name": "x/y/z plot", "is_alwayson": False, "is_img2img": False, "args": []},
    ]
    if server.settings.detailer:
        flag = {
            "label": "Enable ADetailer",
            "value": False,
            "minimum": None,
            "maximum": None,
            "choices": None,
        }
        state = {
            "label": "",
            "value": dict(UNIT_DEFAULTS),
            "minimum": None,
            "maximum": None,
            "choices": None,
        }
        args = [flag, {**flag, "label": "Skip img2img"}, state, state]
        found.append({"name": "adetailer", "is_alwayson": True, "is_img2img": True, "args": args})
    return found


def _set_options(server: ServerState, body: Any) -> Any:
    if "options_not_applied" in server.traps:
        return None
    for key, value in (body or {}).items():
        if key == "sd_model_checkpoint":
            if (model := server.find_model(value)) is None:
                raise ApiError(500, "RuntimeError", errors=f"model {value!r} not found")
            server.loaded = model
        server.options[key] = value
    return None if server.settings.flavour == "a1111" else {}


def _set_unloaded(server: ServerState, value: bool) -> Any:
    server.unloaded = value
    return {}


def _memory(server: ServerState) -> Any:
    gib = 1024**3
    return {
        "ram": {"free": 8.0 * gib, "used": 4.0 * gib, "total": 12.0 * gib},
        "cuda": {
            "system": {"free": 2 * gib, "used": 6 * gib, "total": 8 * gib},
            "allocated": {"current": gib, "peak": 5 * gib},
            "events": {"retries": 0, "oom": server.oom_count},
        },
    }
