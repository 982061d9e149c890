"""Settings that an image was made with, to be taken over: which differ from those of the pipeline."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue
from stablenew_client.reading import LARGEST_IMAGE
from stablenew_client.reading import read_file as read_bytes
from stablenew_plugins.desktop.models.pipeline.cards import RUN_SECTION, Card, Field
from stablenew_plugins.desktop.models.pipeline.values import cleaned, problem_of
from stablenew_plugins.desktop.text import _

if TYPE_CHECKING:
    from stablenew_client import KernelClient

_SEEDS = ("seed", "subseed")
"""Settings that make it the same picture rather than one like it: offered, not chosen."""


@dataclass(frozen=True, slots=True)
class Item:
    """A setting that the image has otherwise."""

    name: str
    now: JsonValue
    then: JsonValue
    title: str = ""
    stage: str = ""
    """Title of the stage."""
    chosen: bool = True
    """Whether it is taken unless a person says no."""
    problem: str = ""
    """Why it can't be taken; empty: it can."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What an image tells."""

    label: str
    """Of the image: its file's name."""
    program: str = ""
    """That made it; empty: not known."""
    items: Sequence[Item] = ()
    stages: Sequence[str] = ()
    """That made it, as far as they are known."""
    notes: Sequence[str] = ()
    """What could not be read or has no counterpart here."""
    is_ours: bool = True

    def judged(self, pipeline: Pipeline) -> Taken:
        """With titles, with switches of stages, and with what can't be taken marked."""
        items = [*self._switches(pipeline)]
        for item in self.items:
            one = pipeline.field(item.name)
            card = pipeline.card(item.name.partition(".")[0])
            if card is None or one is None:
                continue
            value = cleaned(one, item.then)
            items.append(
                replace(
                    item,
                    then=value,
                    title=one.title,
                    stage=card.title,
                    chosen=one.key not in _SEEDS,
                    problem=problem_of(one, value),
                )
            )
        return replace(self, items=items)

    def _switches(self, pipeline: Pipeline) -> Sequence[Item]:
        made = []
        for card in pipeline.cards:
            on = card.name in self.stages
            if on != pipeline.is_on(card.name) and self.stages:
                name = f"{RUN_SECTION}.{card.name}_enabled"
                made.append(Item(name, not on, on, _("Runs"), card.title, chosen=on or self.is_ours))
        return made


class Pipeline(Protocol):
    """What is asked of :class:`~.pipeline.PipelineModel`."""

    @property
    def cards(self) -> Sequence[Card]: ...
    def card(self, stage: str) -> Card | None: ...
    def field(self, name: str) -> Field | None: ...
    def is_on(self, stage: str) -> bool: ...


def read_image(kernel: KernelClient, image_sha256: str, now: Mapping[str, JsonValue]) -> Taken:
    """What an image that was made here has otherwise than ``now``. Raises as the kernel does."""
    answer = kernel.gallery.image(image_sha256)
    return Taken(
        Path(answer.image.path).name or image_sha256[:12],
        "StableNew",
        _differing(kernel, answer.settings_json, now),
        list(answer.image.stages),
    )


def read_file(kernel: KernelClient, path: Path, now: Mapping[str, JsonValue]) -> Taken:
    """The same of a file. Raises UserError for one that can't be read or tells nothing."""
    answer = kernel.gallery.read(path.name, read_bytes(str(path), path, LARGEST_IMAGE))
    settings = json.loads(answer.settings_json or b"{}")
    if not settings:
        raise UserError(
            f"{path.name}: this image tells no settings; many programs and sites take them out when they save"
        )
    stages = [name for name in settings if name != RUN_SECTION]
    items = _differing(kernel, answer.settings_json, now)
    return Taken(path.name, answer.program, items, stages, list(answer.notes), bool(answer.spec_json))


def _differing(kernel: KernelClient, settings_json: bytes, now: Mapping[str, JsonValue]) -> Sequence[Item]:
    from stablenew_proto.v1 import library_pb2 as library

    answer = kernel.library.diff(
        library.SettingsSource(content=json.dumps(now).encode("ascii"), label="now"),
        library.SettingsSource(content=settings_json or b"{}", label="image"),
    )
    return [
        Item(one.name, json.loads(one.left_json or b"null"), json.loads(one.right_json))
        for one in answer.differences
        if one.right_json
    ]
