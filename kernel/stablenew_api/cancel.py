"""The token by which a running stage learns that its job was cancelled."""

from __future__ import annotations

from abc import ABC, abstractmethod

from stablenew_api.errors import Cancelled


class CancelToken(ABC):
    """Handed to every stage and backend call. Thread-safe to read; it never un-cancels."""

    @property
    @abstractmethod
    def cancelled(self) -> bool:
        """Whether the job was cancelled."""

    @abstractmethod
    def wait(self, seconds: float) -> bool:
        """Sleep up to ``seconds``, waking at once on cancel. Return :attr:`cancelled`.

        Use it in place of ``time.sleep`` so that a cancel is honoured within the sleep.
        """

    def raise_if_cancelled(self) -> None:
        """Raise :class:`~stablenew_api.errors.Cancelled` if the job was cancelled. Call it between steps."""
        if self.cancelled:
            raise Cancelled("cancelled")
