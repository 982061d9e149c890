"""The connection to the kernel, in a thread of its own: attaches or starts one, listens, and comes back when it
is gone. All it does to the rest is to leave messages.

A kernel that was stopped in good order stays stopped until the person asks for one; one that crashed (its
``kernel.json`` is still there) is started anew, so that a night's run goes on."""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Protocol

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import StableNewError
from stablenew_plugins.desktop.models.core.mailbox import Mailbox

if TYPE_CHECKING:
    from stablenew_client import KernelClient, WatchStream
    from stablenew_proto.v1 import kernel_pb2 as pb

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds between attempts to come back."""

ENDING = 20.0
"""Seconds that a kernel may take to end in good order, from when it lets go of us."""

KEPT = 2_000
"""Unread jobs and images that are kept; of more the oldest go. Whoever lists them asks the kernel."""

ENDED = frozenset({"done", "failed", "cancelled"})
"""States of a job that nothing follows."""


class Listener(Protocol):
    """Who hears of the kernel, on the thread that draws."""

    def connected(self, kernel: KernelClient, status: pb.GetStatusResponse) -> None:
        """A kernel answers. What follows is of this one."""

    def news(self, message: pb.WatchResponse) -> None:
        """Something changed there."""

    def lost(self, reason: str) -> None:
        """No kernel answers, for ``reason``."""


class Pending:
    """News that nobody has read yet: the latest of each thing, so that they do not pile up while a window draws
    nothing for hours. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._runs: dict[str, pb.Run] = {}
        self._jobs: dict[str, pb.Job] = {}
        self._progress: dict[str, pb.RunningJob] = {}
        self._nodes: dict[str, pb.Node] = {}
        self._images: list[pb.SavedImage] = []
        self._queue: pb.QueueSummary | None = None
        self._snapshot = False

    def add(self, message: pb.WatchResponse) -> None:
        """Put ``message`` to what waits. A snapshot makes all before it void."""
        with self._lock:
            if message.snapshot:
                self._clear()
                self._snapshot = True
            self._runs.update((run.run_id, run) for run in message.runs)
            self._nodes.update((node.node_id, node) for node in message.nodes)
            for job in message.jobs:
                self._jobs.pop(job.job_id, None)  # the latest stands last
                self._jobs[job.job_id] = job
                if job.state in ENDED:
                    self._progress.pop(job.job_id, None)
            self._progress.update((job.job_id, job) for job in message.progress)
            self._images.extend(message.images)
            del self._images[:-KEPT]
            while len(self._jobs) > KEPT:
                del self._jobs[next(iter(self._jobs))]
            if message.HasField("queue"):
                self._queue = message.queue

    def take(self) -> pb.WatchResponse:
        """All that waits, as one message; from now on nothing does."""
        from stablenew_proto.v1 import kernel_pb2 as pb

        with self._lock:
            message = pb.WatchResponse(
                runs=self._runs.values(),
                jobs=self._jobs.values(),
                progress=self._progress.values(),
                nodes=self._nodes.values(),
                images=self._images,
                queue=self._queue,
                snapshot=self._snapshot,
            )
            self._clear()
        return message

    def drop(self) -> None:
        """Forget all that waits."""
        with self._lock:
            self._clear()


class KernelLink:
    """See above. Begin with :meth:`start`, end with :meth:`close`."""

    def __init__(self, data: DataFolder, mailbox: Mailbox, listener: Listener) -> None:
        self._data, self._mailbox, self._listener = data, mailbox, listener
        self._closed = threading.Event()
        self._hurry = threading.Event()
        self._lock = threading.Lock()
        self._stream: WatchStream | None = None
        self._thread = threading.Thread(target=self._live, name="kernel-link", daemon=True)
        self._may_start = True
        self._pending = Pending()

    def start(self) -> None:
        """Connect, and stay connected."""
        self._thread.start()

    def retry(self) -> None:
        """Try again now, and start a kernel if none answers."""
        with self._lock:
            self._may_start = True
            self._hurry.set()

    def close(self) -> None:
        """Let go. Runs go on in the kernel. Waits no longer than 2 s."""
        self._closed.set()
        self._hurry.set()
        with self._lock:
            if self._stream is not None:
                self._stream.close()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def _live(self) -> None:
        pause = FIRST_PAUSE
        while not self._closed.is_set():
            reason = self._try_session()
            if self._closed.is_set():
                return
            self._pending.drop()
            if reason is None:
                self._mailbox.post(partial(self._listener.lost, "the kernel has stopped"))
                self._see_it_end()
                pause = FIRST_PAUSE
            else:
                self._mailbox.post(partial(self._listener.lost, reason))
            self._hurry.wait(pause)
            self._hurry.clear()
            pause = min(pause * 2, LONGEST_PAUSE)

    def _try_session(self) -> str | None:
        """As :meth:`_session`. Whatever happens, this thread lives on: there is no other way back."""
        try:
            return self._session()
        except Exception as error:
            log.exception("the connection failed")
            return f"{type(error).__name__}: {error}"

    def _session(self) -> str | None:
        """Connect and listen to the end. Why that was not possible; None: it was, and the kernel is gone."""
        from stablenew_client import KernelClient

        try:
            if self._may_start:
                kernel = KernelClient.connect_or_start(self._data)
            else:
                kernel = KernelClient.connect(self._data)
            status = kernel.status()
            stream = kernel.watch(jobs=True, progress=True, previews=True)
        except StableNewError as error:
            return str(error)
        with self._lock:
            self._stream = stream
        self._mailbox.post(lambda: self._listener.connected(kernel, status))
        try:
            for message in stream:
                self._pending.add(message)
                self._mailbox.post(lambda: self._listener.news(self._pending.take()), key="news")
                if self._closed.is_set():
                    break
        except StableNewError:
            pass  # how it ends when the kernel goes away: that it did is what we return
        finally:
            with self._lock:
                self._stream = None
            stream.close()
        return None

    def _see_it_end(self) -> None:
        """Find out whether the kernel crashed, so that one is to be started, or was stopped: then it takes its
        ``kernel.json`` away, some time after it has let go of us."""
        deadline = time.monotonic() + ENDING
        while (left := self._data.read_kernel()) is not None and _lives(left.pid):
            if self._hurry.is_set() or time.monotonic() > deadline or self._closed.wait(0.05):
                break
        with self._lock:
            if not self._hurry.is_set():
                self._may_start = left is not None


def _lives(pid: int) -> bool:
    """Whether there is such a process. One that only waits for its parent to hear of its end is none."""
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # it is not ours to look at, so there is one
        return True
