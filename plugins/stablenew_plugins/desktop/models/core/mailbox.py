"""What other threads hand to the one that draws. They never call Dear PyGui, and never wait for a frame: a
minimised window may draw none for hours."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

Message = Callable[[], None]
"""What the drawing thread does with it."""

LARGEST = 10_000
"""Messages without a key that are kept; of more the oldest are dropped."""


class Mailbox:
    """Thread-safe. Messages with a key replace an unread one of the same key; the others keep their order."""

    def __init__(self, largest: int = LARGEST) -> None:
        self._lock = threading.Lock()
        self._plain: deque[Message] = deque(maxlen=largest)
        self._keyed: OrderedDict[Hashable, Message] = OrderedDict()
        self._something = threading.Event()
        self.dropped = 0
        """How many were lost because nobody read them."""

    def post(self, message: Message, key: Hashable = None) -> None:
        """Leave ``message``. Never blocks for long, never raises."""
        with self._lock:
            if key is not None:
                self._keyed[key] = message
            else:
                self.dropped += len(self._plain) == self._plain.maxlen
                self._plain.append(message)
        self._something.set()

    def wait(self, seconds: float) -> bool:
        """Wait until there is a message, no longer than ``seconds``. Whether there is one."""
        return self._something.wait(seconds) if seconds > 0 else self._something.is_set()

    def drain(self, clock: Callable[[], float], budget: float, failed: Callable[[Exception], None]) -> int:
        """Do what is waiting, until ``budget`` seconds of ``clock`` are over; what is left waits for the next
        frame. An exception of a message goes to ``failed`` and stops nothing. Returns how many were done."""
        end = clock() + budget
        done = 0
        while (message := self._next()) is not None:
            try:
                message()
            except Exception as error:
                failed(error)
            done += 1
            if clock() >= end:
                break
        return done

    def _next(self) -> Message | None:
        with self._lock:
            if self._plain:
                return self._plain.popleft()
            if self._keyed:
                return self._keyed.popitem(last=False)[1]
            self._something.clear()
            return None

    def __len__(self) -> int:
        with self._lock:
            return len(self._plain) + len(self._keyed)
