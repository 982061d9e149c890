"""A folder of tiny checkpoints, and the backend on it. Collecting the tests imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from diffusion_kit import World, request

from stablenew_api.backend import GenerationResult, Progress
from stablenew_api.testing import ManualCancel
from stablenew_plugins.backends.diffusion import DiffusersBackend


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Made once a test process: SD 1, SD 1 for inpainting, SDXL, its refiner, and SD 1 as a single file."""
    import torch

    torch.set_num_threads(1)  # the networks are tiny: a second thread costs more than it gives
    import diffusion_tiny as tiny
    from safetensors.torch import save_file

    root = tmp_path_factory.mktemp("tiny")
    for name in ("models", "vaes", "loras", "embeddings"):
        (root / name).mkdir()
    sd = tiny.sd()
    sd.save_pretrained(root / "models" / "sd")
    tiny.sd(7, in_channels=9).save_pretrained(root / "models" / "inpainting")
    xl = tiny.sdxl()
    xl.save_pretrained(root / "models" / "xl")
    tiny.refiner().save_pretrained(root / "models" / "refiner")
    save_file(tiny.original_layout(sd), root / "models" / "single.safetensors")
    save_file(tiny.original_layout(xl), root / "models" / "single-xl.safetensors")
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
    return World(root)


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
