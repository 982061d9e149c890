"""Interface of a backend: what makes images on a node (a WebUI, ComfyUI, diffusers, the embedded engine)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from stablenew_api.jobs import JsonValue

if TYPE_CHECKING:
    from PIL.Image import Image
    from pydantic import BaseModel

    from stablenew_api.cancel import CancelToken

    Progress = Callable[[int, int, "Image | None"], None]
    """``progress(step, steps, preview)``, called after each sampling step.

    It may have a method ``wants_preview() -> bool``: ask it before drawing a preview that costs something."""


@dataclass(frozen=True, slots=True)
class BackendIdentity:
    """Who the backend is. ``stand_in`` says plainly that it is no AI model."""

    name: str
    version: str
    stand_in: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do right now. Names are the backend's own, for people and for matching."""

    features: frozenset[str] = frozenset()
    """``txt2img``, ``img2img``, ``upscale``, ``detail``."""
    models: tuple[str, ...] = ()
    vaes: tuple[str, ...] = ()
    samplers: tuple[str, ...] = ()
    schedulers: tuple[str, ...] = ()
    upscalers: tuple[str, ...] = ()
    loras: tuple[str, ...] = ()
    embeddings: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Txt2ImgRequest:
    """One image from a prompt. Names and meanings are those of the A1111 API."""

    prompt: str
    negative_prompt: str
    seed: int
    width: int
    height: int
    steps: int
    cfg_scale: float
    sampler: str
    scheduler: str
    model: str = ""
    vae: str = ""
    clip_skip: int = 1
    extra: Mapping[str, JsonValue] = field(default_factory=dict)
    """Settings that only some backends know, by name."""


@dataclass(frozen=True, slots=True)
class Img2ImgRequest:
    """One image from another one."""

    image: Image
    prompt: str
    negative_prompt: str
    seed: int
    steps: int
    cfg_scale: float
    sampler: str
    scheduler: str
    denoising_strength: float
    """0 (the input, unchanged) to 1 (the input hardly matters)."""
    model: str = ""
    vae: str = ""
    clip_skip: int = 1
    extra: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UpscaleRequest:
    """A larger copy of an image."""

    image: Image
    upscaler: str
    scale: float
    """More than 0; 2.0 doubles both sides."""
    extra: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """What a backend made, and what it really used."""

    image: Image
    info: Mapping[str, JsonValue]
    """A1111 infotext keys and values (``Steps``, ``Sampler``, ``Model``, ...), read back from the backend."""
    peak_vram_bytes: int = 0
    """Measured or modelled; 0 when unknown."""


class Backend(ABC):
    """One backend on one node. Made once a worker with its ``Config``; called from one thread at a time.

    Every generating call raises :class:`~stablenew_api.errors.Cancelled` soon after ``cancel`` fires and
    :class:`~stablenew_api.errors.StageFailure` with OUT_OF_MEMORY, BACKEND, TIMEOUT or BAD_INPUT otherwise.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    title: ClassVar[str]
    Config: ClassVar[type[BaseModel]]

    def __init__(self, config: BaseModel) -> None:
        self.config = config

    @abstractmethod
    def identify(self) -> BackendIdentity:
        """Who answers. Raises StageFailure(BACKEND) when nobody does."""

    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What it can do now. May do I/O; called at start and when the agent refreshes its inventory."""

    @abstractmethod
    def txt2img(self, request: Txt2ImgRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """Make an image from a prompt."""

    @abstractmethod
    def img2img(self, request: Img2ImgRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """Make an image from another one."""

    @abstractmethod
    def upscale(self, request: UpscaleRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """Enlarge an image."""

    def interrupt(self) -> None:
        """Stop the call that runs, from another thread. Default: nothing; the cancel token is enough."""
        return

    def free_memory(self) -> None:
        """Give VRAM back. Default: nothing."""
        return

    def close(self) -> None:
        """Let go of everything; the worker ends. Default: nothing."""
        return
