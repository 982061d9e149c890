"""How A1111, Forge and SD.Next differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.support.webui_server.lists import ENCODERS, LATENT, SCHEDULERS, VAES
from tests.support.webui_server.openapi import openapi
from tests.support.webui_server.traps import TRAPS

OOM_TEXTS = {
    "a1111": (
        "OutOfMemoryError",
        "CUDA out of memory. Tried to allocate 1024.00 MiB. GPU 0 has a total capacity of 7.78 GiB "
        "of which 512.00 MiB is free.",
    ),
    "forge": (
        "OutOfMemoryError",
        "CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has 8 GiB",
    ),
    "sdnext": (
        "RuntimeError",
        "HIP out of memory. Tried to allocate 20.00 MiB (GPU 0; 11.98 GiB total capacity)",
    ),
}

Route = Callable[[Mapping[str, list[str]], Any], Any]
"""Query and body -> what is answered. May raise ApiError."""


def usual_traps(flavour: str) -> set[str]:
    """Those that are on unless switched off."""
    usual = {name for name, trap in TRAPS.items() if trap.usual}
    return usual - {"silent_sampler"} | {"no_ids"} if flavour == "sdnext" else usual


def options_of(flavour: str) -> dict[str, Any]:
    """Options that the others don't have."""
    return {"forge_additional_modules": []} if flavour == "forge" else {"sd_vae": "Automatic"}


def routes_of(flavour: str) -> dict[tuple[str, str], Route]:
    """Routes that not all have."""
    routes: dict[tuple[str, str], Route] = {}
    if flavour == "forge":
        routes["GET", "/sdapi/v1/sd-modules"] = lambda q, b: [
            *({"model_name": name, "filename": f"/models/VAE/{name}"} for name in VAES),
            *({"model_name": name, "filename": f"/models/text_encoder/{name}"} for name in ENCODERS),
        ]
    else:
        routes["GET", "/sdapi/v1/sd-vae"] = lambda q, b: [
            {"model_name": name, "filename": f"/models/VAE/{name}"} for name in VAES
        ]
    if flavour == "sdnext":
        routes["GET", "/sdapi/v1/version"] = lambda q, b: {
            "app": "sd.next",
            "updated": "2025-02-18",
            "hash": "abcd1234",
            "url": "https://github.com/vladmandic/sdnext/tree/master",
        }
    else:
        routes["GET", "/openapi.json"] = lambda q, b: openapi()
        routes["GET", "/sdapi/v1/latent-upscale-modes"] = lambda q, b: [{"name": name} for name in LATENT]
        version = "v1.10.1" if flavour == "a1111" else "f2.0.1v1.10.1-previous-636-gb835f24a"
        routes["GET", "/internal/sysinfo"] = lambda q, b: {"Platform": "Linux", "Version": version}
        routes["GET", "/sdapi/v1/schedulers"] = lambda q, b: [
            {"name": name, "label": label, "aliases": None, "default_rho": -1, "need_inner_model": False}
            for name, label in SCHEDULERS.items()
        ]
    return routes
