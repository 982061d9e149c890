"""Requests, reports and a naive client for the tests of the ComfyUI backend."""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Callable
from typing import Any

import requests
from PIL import Image
from tests.support.comfy_nodes import MODELS, described

from stablenew_api.backend import Img2ImgRequest, Progress, Txt2ImgRequest, UpscaleRequest
from stablenew_api.testing import sample_image
from stablenew_plugins.backends.comfyui.inventory import Inventory

INVENTORY = Inventory(described(False, False), embeddings=tuple(MODELS["embeddings"]), version="0.3.64")

COMMON: dict[str, Any] = {
    "prompt": "a lighthouse at dawn",
    "negative_prompt": "blurry",
    "seed": 1,
    "steps": 4,
    "cfg_scale": 7.0,
    "sampler": "Euler",
    "scheduler": "Automatic",
}


def txt2img(**changes: Any) -> Txt2ImgRequest:
    return Txt2ImgRequest(**{**COMMON, "width": 64, "height": 64, **changes})


def img2img(**changes: Any) -> Img2ImgRequest:
    given = {"image": sample_image(64, 64), "denoising_strength": 0.5}
    return Img2ImgRequest(**{**COMMON, **given, **changes})


def upscale(**changes: Any) -> UpscaleRequest:
    return UpscaleRequest(**{"image": sample_image(32, 24), "upscaler": "Lanczos", "scale": 2.0, **changes})


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until ``condition`` holds."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it does not come to that"
        time.sleep(0.005)


class Reports(Progress):
    """Keeps what is reported. ``watching``: whether it wants previews."""

    def __init__(self, watching: bool = False) -> None:
        self.watching = watching
        self.steps: list[tuple[int, int]] = []
        self.previews: list[Image.Image] = []
        self.releases = 0

    def __call__(self, step: int, steps: int, preview: Image.Image | None = None) -> None:
        self.steps.append((step, steps))
        if preview is not None:
            self.previews.append(preview)

    def wants_preview(self) -> bool:
        return self.watching

    def received(self) -> None:
        self.releases += 1


class NaiveClient:
    """What a script does that knows only the examples: it posts, polls the history, takes what is there."""

    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, graph: dict[str, Any], prompt_id: str = "", client: str = "naive") -> str:
        body = {"prompt": graph, "client_id": client, "prompt_id": prompt_id or str(uuid.uuid4())}
        answer = requests.post(f"{self.url}/prompt", json=body, timeout=60)
        answer.raise_for_status()
        return str(answer.json()["prompt_id"])

    def history(self, prompt_id: str, seconds: float = 60.0) -> dict[str, Any] | None:
        """The entry; None when it has not come by then."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            found = requests.get(f"{self.url}/history/{prompt_id}", timeout=60).json()
            if prompt_id in found:
                return dict(found[prompt_id])
            time.sleep(0.02)
        return None

    def image(self, graph: dict[str, Any]) -> Image.Image | None:
        """The first image of a graph; None: there is none."""
        entry = self.history(self.post(graph))
        assert entry is not None
        for output in entry["outputs"].values():
            for ref in output["images"]:
                answer = requests.get(f"{self.url}/view", params=ref, timeout=60)
                if answer.ok:
                    return Image.open(io.BytesIO(answer.content))
        return None


def small_graph(seed: int = 1, prefix: str = "naive", **sampler: Any) -> dict[str, Any]:
    """A txt2img graph, written by hand."""
    return {
        "1": {
            "class_type": "CheckpointLoaderSimple",
            "inputs": {"ckpt_name": "dreamshaper.safetensors"},
        },
        "2": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "a lighthouse"}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "blurry"}},
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "5": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["1", 0],
                "seed": seed,
                "steps": 4,
                "cfg": 7.0,
                "sampler_name": "euler",
                "scheduler": "normal",
                "positive": ["2", 0],
                "negative": ["3", 0],
                "latent_image": ["4", 0],
                "denoise": 1.0,
                **sampler,
            },
        },
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
        "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": prefix}},
    }
