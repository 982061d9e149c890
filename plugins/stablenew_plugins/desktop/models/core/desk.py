"""What every view-model works with."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import KernelUnavailable
from stablenew_plugins.desktop.models.core.background import Background
from stablenew_plugins.desktop.models.core.remembered import Remembered
from stablenew_plugins.desktop.models.core.state import KernelState
from stablenew_plugins.desktop.models.core.toasts import Toasts
from stablenew_plugins.desktop.text import _

if TYPE_CHECKING:
    from stablenew_client import KernelClient

T = TypeVar("T")


@dataclass(slots=True)
class Desk:
    """Given to each of them."""

    data: DataFolder
    background: Background
    clock: Callable[[], float]
    """Monotonic seconds."""
    state: KernelState
    toasts: Toasts
    remembered: Remembered

    def ask(
        self,
        question: Callable[[KernelClient], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None] | None = None,
        key: Hashable = None,
    ) -> bool:
        """Ask the kernel in the background, then ``done(answer)`` or ``failed(error)`` here; without ``failed``
        an error is shown. ``key``: see :class:`~.background.Background`. False, and nothing is done, while no
        kernel answers."""
        kernel = self.state.kernel
        if kernel is None:
            return False
        self.background.run(lambda: question(kernel), done, failed or self.complain, key)
        return True

    def order(
        self,
        question: Callable[[KernelClient], T],
        done: Callable[[T], None] = lambda _answer: None,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        """Like :meth:`ask` for what a person wants done: that no kernel answers is an error like others."""
        if not self.ask(question, done, failed):
            (failed or self.complain)(KernelUnavailable(self.state.problem or _("it is still starting")))

    def work(
        self,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None] | None = None,
        key: Hashable = None,
    ) -> None:
        """Do something that takes time and needs no kernel: files, decoding. Otherwise as :meth:`ask`."""
        self.background.run(work, done, failed or self.complain, key)

    def complain(self, error: Exception) -> None:
        """Show ``error`` in plain words; one that is no error of ours is a fault in the program."""
        from stablenew_plugins.desktop.models.core.plainwords import explain

        told = explain(error)
        self.toasts.say(told.text, "error", hint=told.hint, detail=told.detail)
