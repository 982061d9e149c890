"""Interface of a stage: one step of the pipeline, such as txt2img, upscale or film_grain.

A complete third-party stage::

    from pydantic import Field
    from stablenew_api import hookimpl
    from stablenew_api.stage import Phase, Stage, StageConfig, StageContext, StageImage

    class InvertConfig(StageConfig):
        strength: float = Field(1.0, ge=0, le=1, title="Strength", description="0 leaves the image as it is.")

    class Invert(Stage):
        name, version, title = "invert", "1.0", "Invert"
        Config = InvertConfig
        phase = Phase.POST

        def run(self, ctx, config, images):
            from PIL import Image, ImageOps
            results = []
            for item in images:
                ctx.cancel.raise_if_cancelled()
                image = item.image.convert("RGB")
                inverted = Image.blend(image, ImageOps.invert(image), config.strength)
                results.append(StageImage(inverted, {**item.info, "Invert strength": config.strength}))
            return results

    @hookimpl
    def stablenew_stages():
        return [Invert]

It gets its place in the pipeline, its card in the desktop, ``--set invert.strength=0.5`` and its docs from
these lines alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from stablenew_api.backend import Capabilities
from stablenew_api.jobs import JsonValue, Needs

if TYPE_CHECKING:
    from PIL.Image import Image

    from stablenew_api.backend import Backend
    from stablenew_api.cancel import CancelToken


class Phase(IntEnum):
    """Where in the pipeline a stage stands. Phases run in this order; several POST stages may follow each
    other, in the order the user gives."""

    GENERATE = 10  # makes an image from nothing: txt2img
    REFINE = 20  # img2img
    DETAIL = 30  # adetailer
    ENLARGE = 40  # upscale
    POST = 50  # post-processors: no backend needed


def marks(*, advanced: bool = False, only_with: str = "", choices: str = "", unit: str = "") -> dict[str, Any]:
    """What cards and docs should know of a setting, for its ``json_schema_extra``.

    ``advanced``: most people leave it alone. ``only_with``: the setting of the same section without which it
    has no effect (``enable_hr``), or with a value (``mode=img2img``). ``choices``: which list of a node's
    :class:`~stablenew_api.backend.Capabilities` its values come from (``samplers``); of a list of texts, each
    of them. ``unit``: behind the number, as short as it goes (``px``, ``%``, ``x``, ``s``).

    Raises ValueError for ``choices`` that no node tells.
    """
    if choices and choices not in Capabilities.lists():
        raise ValueError(
            f"choices {choices!r}: no node tells such a list; use {', '.join(Capabilities.lists())}"
        )
    given = {"advanced": advanced, "only_with": only_with, "choices": choices, "unit": unit}
    return {name: value for name, value in given.items() if value}


class StageConfig(BaseModel):
    """Base of every stage's ``Config``: a frozen pydantic model.

    Field titles and descriptions are what people read on the stage card and in the docs; give numbers their
    range (``ge``, ``le``) and say the unit; :func:`marks` says more. Old key names are
    ``validation_alias=AliasChoices("new", "old")``.
    Keys that are not fields are kept in the user's file and left out of the job.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, protected_namespaces=())


@dataclass(frozen=True, slots=True)
class StageImage:
    """An image between stages."""

    image: Image
    info: Mapping[str, JsonValue] = field(default_factory=dict)
    """What was really used, by A1111 infotext key (``Steps``, ``Sampler``, ...): ends up in the metadata."""


class StageContext(Protocol):
    """What the worker hands to a running stage."""

    @property
    def prompt(self) -> str:
        """The final positive prompt of this stage."""

    @property
    def negative_prompt(self) -> str:
        """The final negative prompt of this stage."""

    @property
    def seed(self) -> int:
        """The seed of this stage, 0 to 2**64 - 1."""

    @property
    def backend(self) -> Backend:
        """The backend of this node. POST stages should not need it."""

    @property
    def cancel(self) -> CancelToken:
        """Fires when the job is cancelled. Check it at least every 100 ms."""

    def progress(self, step: int, steps: int, preview: Image | None = None) -> None:
        """Report that ``step`` of ``steps`` is done. Cheap; may be called as often as there are steps."""

    def wants_preview(self) -> bool:
        """Whether somebody is watching, so that it is worth making a preview now."""


class Stage(ABC):
    """One step of the pipeline. A new instance is made for each job; ``run`` is called once, in a worker.

    Two jobs may be in one worker, each in a thread of its own: what an instance keeps is its own, what it keeps
    in its class or module needs a lock.
    """

    name: ClassVar[str]
    """Lower-case identifier: the section in presets and the prefix of ``--set``."""
    version: ClassVar[str]
    """PEP 440. Recorded in every job and image."""
    title: ClassVar[str]
    """Heading of the card."""
    description: ClassVar[str] = ""
    """A line for people on what it is good for. Empty: the first line of the class's docstring."""
    internal: ClassVar[bool] = False
    """For benchmarks and tests: it runs like any other, and is not offered to people."""
    Config: ClassVar[type[StageConfig]]
    phase: ClassVar[Phase]
    may_follow: ClassVar[frozenset[Phase] | None] = None
    """Phases that may stand directly before this stage. None: every earlier phase, and POST after POST.
    A GENERATE stage stands first."""

    @classmethod
    def needs(cls, config: Any) -> Needs:
        """What a node must have to run this with ``config``. Pure. Default: nothing."""
        return Needs()

    @classmethod
    def provides(cls, backend: Capabilities) -> Capabilities:
        """What this stage brings to a node by itself: upscalers or detectors from a package that is installed
        there, or a feature that it makes of several of the backend's, which is how a job can need one thing
        *or* another. ``backend`` is what the backend can do, and the result is added to it. Called in the
        worker at start and whenever the backend is asked again. Default: nothing. An exception makes the node
        unhealthy."""
        return Capabilities()

    @classmethod
    def resolve_prompts(cls, config: Any, prompt: str, negative_prompt: str) -> tuple[str, str]:
        """The prompts of this stage from the row's, at plan time, in the kernel. Pure. Default: as is."""
        return prompt, negative_prompt

    @abstractmethod
    def run(self, ctx: StageContext, config: Any, images: Sequence[StageImage]) -> Sequence[StageImage]:
        """Make or change the images and return them.

        ``images`` is empty for a GENERATE stage. Raises :class:`~stablenew_api.errors.Cancelled` when
        ``ctx.cancel`` fires, :class:`~stablenew_api.errors.StageFailure` to fail with a kind; anything else
        counts as a bug of the plugin. Must depend on its arguments alone: the same job gives the same pixels.
        """
