"""What the tests of the diffusers backend share. No torch is imported here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from stablenew_api.backend import Img2ImgRequest, Progress, Txt2ImgRequest
from stablenew_api.testing import sample_image
from stablenew_plugins.backends.diffusion import DiffusersBackend, DiffusersConfig


class Watch(Progress):
    """Keeps what it is told."""

    def __init__(self, look: Callable[[], bool] = lambda: False) -> None:
        self.look = look
        self.steps: list[tuple[int, int]] = []
        self.previews: list[Image.Image] = []
        self.received_at: list[int] = []

    def __call__(self, step: int, steps: int, preview: Image.Image | None = None) -> None:
        self.steps.append((step, steps))
        if preview is not None:
            self.previews.append(preview)

    def wants_preview(self) -> bool:
        return self.look()

    def received(self) -> None:
        self.received_at.append(len(self.steps))


def request(**changes: Any) -> Txt2ImgRequest:
    """A small txt2img request on the tiny SD 1."""
    values: dict[str, Any] = {
        "prompt": "a cat",
        "negative_prompt": "dog",
        "seed": 3,
        "steps": 4,
        "cfg_scale": 7.0,
        "sampler": "Euler",
        "scheduler": "Automatic",
        "model": "sd",
        "width": 64,
        "height": 64,
    }
    return Txt2ImgRequest(**values | changes)


def image_request(**changes: Any) -> Img2ImgRequest:
    """A small img2img request on the tiny SD 1."""
    values: dict[str, Any] = {
        "prompt": "a cat",
        "negative_prompt": "dog",
        "seed": 3,
        "steps": 6,
        "cfg_scale": 7.0,
        "sampler": "Euler a",
        "scheduler": "Karras",
        "model": "sd",
        "image": sample_image(64, 64),
        "denoising_strength": 0.6,
    }
    return Img2ImgRequest(**values | changes)


@dataclass
class World:
    """Folders with tiny checkpoints, and backends on them."""

    root: Path

    def backend(self, **options: Any) -> DiffusersBackend:
        """A backend; by default it knows every folder and keeps every checkpoint."""
        values: dict[str, Any] = {"keep_models": 16, "device": "cpu"}
        values |= {name: (str(self.root / name),) for name in ("models", "vaes", "loras", "embeddings")}
        return DiffusersBackend(DiffusersConfig(**values | options))
