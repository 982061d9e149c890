"""Interface of a backend: what makes images on a node (a WebUI, ComfyUI, diffusers, the embedded engine)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind, JsonValue

if TYPE_CHECKING:
    from PIL.Image import Image
    from pydantic import BaseModel

    from stablenew_api.cancel import CancelToken


class Feature(StrEnum):
    """What a backend may be able to do. A job goes only to nodes that have the features it asks for.

    Others may be added by name: a stage of a plugin and the backend it is made for need only agree.
    """

    TXT2IMG = "txt2img"
    IMG2IMG = "img2img"
    INPAINT = "inpaint"  # img2img under a mask
    UPSCALE = "upscale"
    DETAIL = "detail"  # finds and redraws faces by itself: the ADetailer extension
    DETECTOR = "detector"  # finds faces on the node, without the backend; given by the stage adetailer
    DETAILING = "detailing"  # DETAIL, or DETECTOR and INPAINT; given by the stage adetailer
    WORKFLOW = "workflow"  # runs ComfyUI workflows
    MODEL = "model"  # switches checkpoints
    VAE = "vae"
    LORA = "lora"  # <lora:NAME:WEIGHT> in a prompt
    EMBEDDING = "embedding"  # textual inversion, by its name in a prompt
    CLIP_SKIP = "clip_skip"
    SUBSEED = "subseed"
    STYLES = "styles"
    HYPERNETWORK = "hypernetwork"
    HIRES = "hires"
    HIRES_MODEL = "hires_model"  # the hires pass with another checkpoint
    REFINER = "refiner"
    FACE_RESTORATION = "face_restoration"


FEATURE_TEXTS: Mapping[str, str] = {
    Feature.TXT2IMG: "text to image",
    Feature.IMG2IMG: "image to image",
    Feature.INPAINT: "inpainting under a mask",
    Feature.UPSCALE: "upscaling",
    Feature.DETAIL: "ADetailer",
    Feature.DETECTOR: "a face detector on the node (the extra 'detect')",
    Feature.DETAILING: "ADetailer, or inpainting with a face detector on the node (the extra 'detect')",
    Feature.WORKFLOW: "ComfyUI workflows",
    Feature.MODEL: "choosing a checkpoint",
    Feature.VAE: "choosing a VAE",
    Feature.LORA: "LoRA",
    Feature.EMBEDDING: "embeddings",
    Feature.CLIP_SKIP: "clip skip",
    Feature.SUBSEED: "variation seeds",
    Feature.STYLES: "prompt styles",
    Feature.HYPERNETWORK: "hypernetworks",
    Feature.HIRES: "the hires pass",
    Feature.HIRES_MODEL: "another checkpoint in the hires pass",
    Feature.REFINER: "a refiner",
    Feature.FACE_RESTORATION: "face restoration",
}
"""Each feature for people."""


class Progress:
    """How a backend tells what it does. This one tells nobody: a subclass overrides what it wants to know."""

    def __call__(self, step: int, steps: int, preview: Image | None = None) -> None:
        """After each sampling step: ``step`` of ``steps`` are done."""

    def wants_preview(self) -> bool:
        """Whether somebody looks: ask before making a preview that costs something."""
        return False

    def received(self) -> None:
        """The device has nothing more to do for this call; what is left (decoding, checking) needs it no more.
        The next job may have it meanwhile. A backend that never says so is taken to need it to the end."""


@dataclass(frozen=True, slots=True)
class BackendIdentity:
    """Who the backend is. ``stand_in`` says plainly that it is no AI model."""

    name: str
    version: str
    stand_in: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do right now. Names are the backend's own, for people and for matching; a list that
    is empty is not known."""

    features: frozenset[str] = frozenset()
    """See :class:`Feature`."""
    models: tuple[str, ...] = ()
    vaes: tuple[str, ...] = ()
    samplers: tuple[str, ...] = ()
    schedulers: tuple[str, ...] = ()
    upscalers: tuple[str, ...] = ()
    hires_upscalers: tuple[str, ...] = ()
    """For the hires pass: latent modes and upscalers."""
    loras: tuple[str, ...] = ()
    embeddings: tuple[str, ...] = ()
    hypernetworks: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    face_restorers: tuple[str, ...] = ()
    detectors: tuple[str, ...] = ()
    """Detection models of ADetailer, or of our own detailer."""
    scripts: tuple[str, ...] = ()

    def __or__(self, other: Capabilities) -> Capabilities:
        """What both can do together; names of this one first, none twice."""
        lists = {
            name: tuple(dict.fromkeys((*getattr(self, name), *getattr(other, name)))) for name in self.lists()
        }
        return Capabilities(features=self.features | other.features, **lists)

    @classmethod
    def lists(cls) -> tuple[str, ...]:
        """Names of the fields that are lists of names."""
        return tuple(item.name for item in fields(cls) if item.name != "features")


@dataclass(frozen=True, slots=True)
class Sampling:
    """What every sampling call has. Names and meanings are those of the A1111 API."""

    prompt: str
    """In the A1111 dialect: attention weights, ``BREAK``, ``AND``, ``<lora:NAME:WEIGHT>``; embeddings by their
    bare names. A backend with another dialect translates."""
    negative_prompt: str
    seed: int
    """0 to 2**64 - 1; a backend with smaller seeds takes it modulo its range and says so in ``info``."""
    steps: int
    cfg_scale: float
    sampler: str
    """By its A1111 name."""
    scheduler: str
    """By its A1111 label; ``Automatic``: what suits the sampler."""
    model: str = ""
    """Empty here and below: what the backend uses by itself."""
    vae: str = ""
    clip_skip: int = 1
    subseed: int = -1
    """-1: none; only with a ``subseed_strength`` above 0."""
    subseed_strength: float = 0.0
    """0 to 1."""
    styles: tuple[str, ...] = ()
    hypernetwork: str = ""
    hypernetwork_strength: float = 1.0
    face_restoration: str = ""
    """Name of the face restorer; ``default``: the backend's; empty: none."""
    refiner: Refiner | None = None
    extra: Mapping[str, JsonValue] = field(default_factory=dict)
    """Settings that only some backends know, by name."""

    def asks(self) -> Iterator[str]:
        """Features that this call needs, beyond the call itself."""
        if self.model:
            yield Feature.MODEL
        if self.vae and self.vae not in ("Automatic", "None"):
            yield Feature.VAE
        if self.clip_skip > 1:
            yield Feature.CLIP_SKIP
        if self.subseed_strength > 0:
            yield Feature.SUBSEED
        if self.styles:
            yield Feature.STYLES
        if self.hypernetwork:
            yield Feature.HYPERNETWORK
        if self.face_restoration:
            yield Feature.FACE_RESTORATION
        if self.refiner is not None:
            yield Feature.REFINER


@dataclass(frozen=True, slots=True)
class Refiner:
    """Another checkpoint for the last part of the steps."""

    model: str
    switch_at: float
    """0 to 1, the part of the steps after which it takes over."""


@dataclass(frozen=True, slots=True)
class Hires:
    """A second pass at a larger size."""

    upscaler: str
    """A latent mode (``Latent``, ``Latent (nearest)``...) or an upscaler."""
    denoising_strength: float
    """0 to 1."""
    scale: float = 2.0
    """More than 1; used where ``width`` and ``height`` are 0."""
    width: int = 0
    """Of the result, in pixels; with ``height`` 0 it follows from the picture's shape, and the other way
    round."""
    height: int = 0
    steps: int = 0
    """0: as many as in the first pass."""
    sampler: str = ""
    """Empty: as in the first pass; the scheduler and checkpoint too."""
    scheduler: str = ""
    model: str = ""

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the result for a first pass of ``width`` x ``height``, multiples of 8 by A1111's
        rule (``calculate_target_resolution`` of ``modules/processing.py``); with both sides given, these."""
        if not self.width and not self.height:
            wide, high = width * self.scale, height * self.scale
        elif not self.height:
            wide, high = self.width, self.width * height / width
        elif not self.width:
            wide, high = self.height * width / height, self.height
        else:
            wide, high = self.width, self.height
        return max(8, int(wide) // 8 * 8), max(8, int(high) // 8 * 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Txt2ImgRequest(Sampling):
    """One image from a prompt."""

    width: int
    height: int
    hires: Hires | None = None

    def asks(self) -> Iterator[str]:
        """Features that this call needs."""
        yield Feature.TXT2IMG
        yield from Sampling.asks(self)
        if self.hires is not None:
            yield Feature.HIRES
            if self.hires.model:
                yield Feature.HIRES_MODEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Img2ImgRequest(Sampling):
    """One image from another one of the same size."""

    image: Image
    denoising_strength: float
    """0 (the input, unchanged) to 1 (the input hardly matters)."""
    mask: Image | None = None
    """Mode L, of the image's size: what is white is drawn anew, what is black stays; grey mixes."""
    part: bool = False
    """The image is a part of a larger picture, which the prompt speaks of. Most backends need not care."""

    def asks(self) -> Iterator[str]:
        """Features that this call needs."""
        yield Feature.IMG2IMG
        yield from Sampling.asks(self)
        if self.mask is not None:
            yield Feature.INPAINT


@dataclass(frozen=True, slots=True)
class DetailUnit:
    """What is looked for in a picture, and how it is drawn anew. Meanings are those of ADetailer."""

    model: str
    """Detection model, such as ``face_yolov8n.pt``."""
    prompt: str
    """Final, never empty for the main one. ``[SEP]`` separates the texts of several finds, ``[SKIP]`` leaves
    one out."""
    negative_prompt: str
    confidence: float = 0.3
    """0 to 1; finds below it do not count."""
    denoising_strength: float = 0.4
    mask_blur: int = 4
    """Pixels."""
    dilate_erode: int = 4
    """Pixels by which the mask grows, or shrinks where negative."""
    only_masked: bool = True
    """The find alone is drawn, at full size; False: the whole picture, under the mask."""
    padding: int = 32
    """Pixels around the find, with ``only_masked``."""
    steps: int = 0
    """0 here, and empty below: as in the request."""
    cfg_scale: float = 0.0
    sampler: str = ""
    scheduler: str = ""
    max_finds: int = 0
    """Only the largest so many; 0: all."""
    min_ratio: float = 0.0
    """Least and greatest area of a find, as parts of the picture."""
    max_ratio: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailRequest(Sampling):
    """A picture whose faces (or hands, or persons) are found and drawn anew, unit after unit."""

    image: Image
    units: tuple[DetailUnit, ...]

    def asks(self) -> Iterator[str]:
        """Features that this call needs."""
        yield Feature.DETAIL
        yield from Sampling.asks(self)


@dataclass(frozen=True, slots=True)
class UpscaleRequest:
    """A larger copy of an image."""

    image: Image
    upscaler: str
    scale: float
    """More than 0; 2.0 doubles both sides."""
    gfpgan_visibility: float = 0.0
    """0 to 1, as are the next two."""
    codeformer_visibility: float = 0.0
    codeformer_weight: float = 0.0
    tile_size: int = 0
    """Pixels a side that are enlarged at a time; 0: the backend's own choice."""
    extra: Mapping[str, JsonValue] = field(default_factory=dict)

    def asks(self) -> Iterator[str]:
        """Features that this call needs."""
        yield Feature.UPSCALE
        if self.gfpgan_visibility or self.codeformer_visibility:
            yield Feature.FACE_RESTORATION


@dataclass(frozen=True, slots=True)
class WorkflowRequest:
    """A ComfyUI workflow in API format, with everything filled in."""

    graph: Mapping[str, JsonValue]
    """Node id to ``{"class_type", "inputs"}``."""
    images: Mapping[str, Image] = field(default_factory=dict)
    """Images to upload: a placeholder, as it stands in the graph's inputs, to the image."""
    model: str = ""
    """Checkpoint that it uses, where that is known."""

    def asks(self) -> Iterator[str]:
        """Features that this call needs."""
        yield Feature.WORKFLOW


Request = Txt2ImgRequest | Img2ImgRequest | DetailRequest | UpscaleRequest | WorkflowRequest


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """What a backend made, and what it really used."""

    image: Image
    info: Mapping[str, JsonValue]
    """A1111 infotext keys and values (``Steps``, ``Sampler``, ``Model``, ...), read back from the backend."""
    peak_vram_bytes: int = 0
    """Measured or modelled; 0 when unknown."""


class Backend(ABC):
    """One backend on one node. Made once a worker with its ``Config``.

    The worker prepares the next job in another thread: a second call may begin as soon as the first one said
    ``progress.received()`` or returned, never earlier. So one call at a time is on the device, and a backend
    needs no lock of its own for that.

    Every generating call raises :class:`~stablenew_api.errors.Cancelled` soon after ``cancel`` fires and
    :class:`~stablenew_api.errors.StageFailure` with OUT_OF_MEMORY, BACKEND, TIMEOUT or BAD_INPUT otherwise.
    What a backend cannot do it refuses, see :meth:`refuse_unknown`: it never leaves a setting out in silence.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    title: ClassVar[str]
    Config: ClassVar[type[BaseModel]]
    offers: ClassVar[frozenset[str]] = frozenset()
    """The most that a backend of this kind can do; ``capabilities().features`` is what it can do now. The table
    of settings and backends in the docs is made from it."""

    def __init__(self, config: BaseModel) -> None:
        self.config = config

    @abstractmethod
    def identify(self) -> BackendIdentity:
        """Who answers. Raises StageFailure(BACKEND) when nobody does."""

    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What it can do now. May do I/O; called at start and when the agent refreshes its inventory."""

    def txt2img(self, request: Txt2ImgRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """Make an image from a prompt."""
        raise self.cannot(Feature.TXT2IMG)

    def img2img(self, request: Img2ImgRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """Make an image from another one."""
        raise self.cannot(Feature.IMG2IMG)

    def detail(self, request: DetailRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """Find and redraw. Only backends with the feature; elsewhere the stage does it with img2img."""
        raise self.cannot(Feature.DETAIL)

    def upscale(self, request: UpscaleRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """Enlarge an image."""
        raise self.cannot(Feature.UPSCALE)

    def workflow(self, request: WorkflowRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """Run a workflow; the first image that it saves is the result."""
        raise self.cannot(Feature.WORKFLOW)

    def interrupt(self) -> None:
        """Stop the call that runs, from another thread. Default: nothing; the cancel token is enough."""
        return

    def free_memory(self) -> None:
        """Give VRAM back. Default: nothing."""
        return

    def close(self) -> None:
        """Let go of everything; the worker ends. Default: nothing."""
        return

    def cannot(self, *features: str) -> StageFailure:
        """The error that says that this backend lacks ``features``."""
        named = ", ".join(FEATURE_TEXTS.get(feature, feature) for feature in features)
        return StageFailure(
            FailureKind.BAD_INPUT,
            f"backend {self.name} can't do this: {named}; leave it out, or use a node whose backend can",
        )

    def refuse_unknown(self, request: Request, features: frozenset[str]) -> None:
        """Raise :meth:`cannot` if ``request`` asks for more than ``features``."""
        if missing := [feature for feature in request.asks() if feature not in features]:
            raise self.cannot(*missing)
