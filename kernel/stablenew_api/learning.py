"""Learning: the record that every finished image leaves, and the interface of a learning mode."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from stablenew_api.jobs import JsonValue


@dataclass(frozen=True, slots=True)
class LearningRecord:
    """What was made, with what, where, how long it took. Append-only; a rating is a record of its own."""

    record_id: str
    """Job id and output index: the same image is recorded once."""
    at: str
    """UTC, ISO 8601."""
    run_id: str
    job_id: str
    spec_sha256: str
    pack: str
    pack_sha256: str
    row: int
    prompt: str
    negative_prompt: str
    config: Mapping[str, JsonValue]
    """The full effective config: stage name to its config, prompts and seed included."""
    variant: Mapping[str, JsonValue]
    """Template, which slot or axis took which value, and how the seed came about."""
    image_sha256: str
    """Of the decoded pixels: survives a rename, a move and new metadata."""
    node: str
    timings: Mapping[str, float]
    """Seconds by stage name, and ``total``."""

    def to_json(self) -> dict[str, JsonValue]:
        """The record as one JSON line."""
        return {"kind": "image", **{name: getattr(self, name) for name in self.__slots__}}


@dataclass(frozen=True, slots=True)
class Rating:
    """What a person thinks of an image. The latest one of an image wins."""

    at: str
    image_sha256: str
    stars: int
    """1 to 5; 0 takes the rating back."""
    tags: tuple[str, ...] = ()
    file_name: str = ""
    """For people only: images are known by content."""

    def to_json(self) -> dict[str, JsonValue]:
        """The rating as one JSON line."""
        return {
            "kind": "rating",
            "at": self.at,
            "image_sha256": self.image_sha256,
            "stars": self.stars,
            "tags": list(self.tags),
            "file_name": self.file_name,
        }


@dataclass(frozen=True, slots=True)
class Trial:
    """One arm that a learning mode proposes: overrides on top of the base config."""

    overrides: Mapping[str, JsonValue]
    reason: str


class LearningMode(ABC):
    """Proposes what to try next from what was rated. Pure but for the ``rng`` it is handed."""

    name: ClassVar[str]
    title: ClassVar[str]

    @abstractmethod
    def propose(self, history: Sequence[Mapping[str, JsonValue]], budget: int, rng: Random) -> Sequence[Trial]:
        """At most ``budget`` trials."""

    @abstractmethod
    def update(self, feedback: Rating) -> None:
        """Take a rating into account."""
