"""Interface of a front end: a program a person looks at, such as the desktop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from stablenew_api.datafolder import DataFolder


class Frontend(ABC):
    """Started by ``stablenew`` without a command, in a process of its own."""

    name: ClassVar[str]
    title: ClassVar[str]

    @classmethod
    def missing(cls) -> str:
        """What keeps this from being shown here, and what to do, in one line: "no display; ...". Empty: it can
        be shown. Fast; starts nothing."""
        return ""

    @abstractmethod
    def run(self, data: DataFolder) -> int:
        """Run until the person closes it, and return the exit code.

        A ``stablenew_client.KernelClient`` reaches the kernel of ``data``. It is not made beforehand: a window
        should stand before a kernel has started, and stay when that one is restarted.
        """
