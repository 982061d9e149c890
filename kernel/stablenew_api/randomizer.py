"""Interface of a randomizer strategy: which value a slot takes in the n-th variant."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class Randomizer(ABC):
    """A strategy such as fanout, rotate or random. Pure: called by the kernel at plan time."""

    name: ClassVar[str]
    title: ClassVar[str]

    @abstractmethod
    def size(self, slots: Mapping[str, Sequence[str]], config: Any) -> int | None:
        """Number of distinct variants, or None when there is no end."""

    @abstractmethod
    def pick(self, slots: Mapping[str, Sequence[str]], config: Any, key: str, index: int) -> Mapping[str, str]:
        """The value of each slot in variant ``index``. Depends on its arguments alone; ``key`` seeds it."""
