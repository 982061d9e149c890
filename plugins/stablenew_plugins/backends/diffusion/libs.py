"""The libraries of the extra ``diffusers``, imported when they are needed and not before."""

from __future__ import annotations

import importlib
import os
import warnings
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind

CORE = ("torch", "diffusers", "transformers", "safetensors", "accelerate")
"""Without these nothing works. ``peft`` is for LoRA, ``torchsde`` and ``scipy`` for some samplers."""

HOW = (
    "install them where the agent runs: pip install 'stablenew[diffusers]' (on Windows with an NVIDIA GPU "
    "first "
    "pip install torch --index-url https://download.pytorch.org/whl/cu126; elsewhere pip finds the right torch)"
)


@dataclass(frozen=True, slots=True)
class Libraries:
    """The modules."""

    torch: Any
    diffusers: Any
    transformers: Any


def installed(name: str) -> bool:
    """Whether the module ``name`` can be imported; it is not imported."""
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def require() -> None:
    """Raise StageFailure(BACKEND) that says what to install, if something is missing."""
    missing = [name for name in CORE if not installed(name)]
    if missing:
        raise StageFailure(FailureKind.BACKEND, f"the diffusers backend lacks {', '.join(missing)}; {HOW}")


def version_of(name: str) -> str:
    """The installed version of the distribution ``name``; empty if there is none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def load_torch() -> Any:
    """The module torch. Raises StageFailure(BACKEND) when it, or what belongs to it, is not there."""
    require()
    return _imported("torch")


@lru_cache(maxsize=1)
def load(allow_download: bool) -> Libraries:
    """All of them, quiet. Raises StageFailure(BACKEND). The hub is switched off unless ``allow_download``;
    ``HF_HUB_OFFLINE`` switches it off in any case."""
    require()
    if not allow_download:
        os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    torch = _imported("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the libraries are not ours to mend
        transformers = _imported("transformers")
        diffusers = _imported("diffusers")
        for module in (diffusers.utils.logging, transformers.utils.logging):
            module.set_verbosity_error()
            module.disable_progress_bar()
    return Libraries(torch, diffusers, transformers)


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception as error:  # a broken installation fails in many ways: OSError, RuntimeError, ...
        raise StageFailure(
            FailureKind.BACKEND,
            f"{name} is installed but cannot be imported ({type(error).__name__}: {error}); {HOW}",
        ) from error


def pick_device(torch: Any, wanted: str) -> str:
    """``cuda``, ``mps`` or ``cpu``. Raises StageFailure(BACKEND) when ``wanted`` is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(name for name, works in there.items() if works)
    if not there[wanted]:
        raise StageFailure(
            FailureKind.BACKEND,
            f"device={wanted}: torch {torch.__version__} sees no such device here; there is "
            f"{', '.join(name for name, works in there.items() if works)}; {HOW}",
        )
    return wanted


def pick_dtype(torch: Any, wanted: str, device: str) -> Any:
    """The torch dtype of the weights."""
    if wanted == "auto":
        return torch.float32 if device == "cpu" else torch.float16
    return getattr(torch, wanted)
