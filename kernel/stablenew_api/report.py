"""Interface of a report: something made from a finished run, such as a contact sheet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from stablenew_api.jobs import JsonValue

WriteFile = Callable[[str, bytes], Path]
"""``write(name, data)`` saves ``data`` under ``name`` in the run's folder, never overwriting, and returns the
path it got."""


@dataclass(frozen=True, slots=True)
class RunImage:
    """One saved image of a run."""

    path: Path
    caption: str
    manifest: Mapping[str, JsonValue]
    """Its line in ``manifest.jsonl``."""


class Report(ABC):
    """Called by the kernel once a run has ended, in a thread, with the images in plan order."""

    name: ClassVar[str]
    title: ClassVar[str]
    default_enabled: ClassVar[bool] = False
    """Whether a run makes it unless told otherwise."""

    @abstractmethod
    def build(self, title: str, images: Sequence[RunImage], write: WriteFile) -> None:
        """Make the report and hand each of its files to ``write(name, bytes)``, which never overwrites."""
