"""Work that takes time, done elsewhere; its result comes back to the thread that draws."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from stablenew_plugins.desktop.models.core.mailbox import Mailbox

T = TypeVar("T")

THREADS = 6
"""Enough for a page of thumbnails beside a kernel that takes its time to answer."""


class Background(Protocol):
    """Where view-models send what would hold up a frame: calls of the kernel, files, decoding of images."""

    def run(
        self,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
        key: Hashable = None,
    ) -> None:
        """Do ``work`` in another thread, then ``done(result)`` or ``failed(error)`` in this one.

        Of several with one ``key`` only the newest counts: the results of the others are forgotten, and those
        that have not begun are never done.
        """


class Threads:
    """The real one."""

    def __init__(self, mailbox: Mailbox, threads: int = THREADS) -> None:
        self._mailbox = mailbox
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="desktop")
        self._lock = threading.Lock()
        self._newest: dict[Hashable, int] = {}
        self._count = 0

    def run(
        self,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
        key: Hashable = None,
    ) -> None:
        """See :class:`Background`."""
        with self._lock:
            self._count += 1
            number = self._count
            if key is not None:
                self._newest[key] = number

        def is_newest() -> bool:
            with self._lock:
                return key is None or self._newest.get(key) == number

        def finish(message: Callable[[], None]) -> None:
            if is_newest():
                message()

        def job() -> None:
            if not is_newest():
                return
            try:
                result = work()
            except Exception as error:
                problem = error
                self._mailbox.post(lambda: finish(lambda: failed(problem)))
            else:
                self._mailbox.post(lambda: finish(lambda: done(result)))

        self._pool.submit(job)

    def close(self) -> None:
        """Begin nothing more. What runs ends by itself; its results are not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
