"""A folder of tiny checkpoints, and the backend on it. torch is imported by what needs it, not by
collecting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stablenew_api.backend import GenerationResult, Img2ImgRequest, Progress, Txt2ImgRequest
from stablenew_api.testing import ManualCancel, sample_image
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
    made: list[DiffusersBackend] = field(default_factory=list)

    def backend(self, **options: Any) -> DiffusersBackend:
        """A backend; by default it knows every folder and keeps every checkpoint."""
        values: dict[str, Any] = {"keep_models": 16, "device": "cpu"}
        values |= {name: (str(self.root / name),) for name in ("models", "vaes", "loras", "embeddings")}
        self.made.append(DiffusersBackend(DiffusersConfig(**values | options)))
        return self.made[-1]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Made once a test process: SD 1, SD 1 for inpainting, SDXL, its refiner, and SD 1 as a single file."""
    import torch

    torch.set_num_threads(1)  # the networks are tiny: a second thread costs more than it gives
    import tiny
    from safetensors.torch import save_file

    root = tmp_path_factory.mktemp("tiny")
    for name in ("models", "vaes", "loras", "embeddings"):
        (root / name).mkdir()
    sd = tiny.sd()
    sd.save_pretrained(root / "models" / "sd")
    tiny.sd(7, in_channels=9).save_pretrained(root / "models" / "inpainting")
    tiny.sdxl().save_pretrained(root / "models" / "xl")
    tiny.refiner().save_pretrained(root / "models" / "refiner")
    save_file(tiny.original_layout(sd), root / "models" / "single.safetensors")
    tiny.save_lora(root / "loras" / "style.safetensors")
    tiny.save_lora(root / "loras" / "both.safetensors", encoder=True)
    other = tiny.sd(11).vae
    other.save_pretrained(root / "vaes" / "other-folder")
    tensors = {
        name.removeprefix("first_stage_model."): tensor
        for name, tensor in tiny.original_layout(tiny.sd(11)).items()
        if name.startswith("first_stage_model.")
    }
    save_file(tensors, root / "vaes" / "other.safetensors")
    words = sd.text_encoder.get_input_embeddings().weight
    two = sd.tokenizer("red cat", add_special_tokens=False)["input_ids"]
    save_file({"emb_params": words[two].detach().clone()}, root / "embeddings" / "redcat.safetensors")
    torch.save({"string_to_param": {"*": words[two].detach().clone()}}, root / "embeddings" / "old-style.pt")
    save_file(
        {"clip_l": torch.ones(1, 768), "clip_g": torch.ones(1, 1280)},
        root / "embeddings" / "real-xl.safetensors",
    )
    made = World(root)
    yield made
    for backend in made.made:
        backend.close()


@pytest.fixture(scope="session")
def backend(world: World) -> DiffusersBackend:
    """Shared by the tests, so that each checkpoint is loaded once."""
    return world.backend()


@pytest.fixture
def draw(backend: DiffusersBackend) -> Callable[..., GenerationResult]:
    """A picture by the shared backend."""

    def made(**changes: Any) -> GenerationResult:
        return backend.txt2img(request(**changes), Progress(), ManualCancel())

    return made
