"""Interface of a front end: a program a person looks at, such as the desktop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar


class Frontend(ABC):
    """Started by ``stablenew`` in a process of its own."""

    name: ClassVar[str]
    title: ClassVar[str]

    @abstractmethod
    def run(self, kernel: Any) -> int:
        """Run until the person closes it; ``kernel`` is a ``stablenew_client.KernelClient``. Return the exit
        code."""
