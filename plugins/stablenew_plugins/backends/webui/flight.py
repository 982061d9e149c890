"""One call on its way: sent by a thread of its own, so that whoever waits for it can give up at any moment.

Who waits (the thread of the stage) wakes up when the reply is there, when there is progress, and 10 times a
second to look at the cancel token and the clock. A second thread asks for progress, and is only started for
calls that last."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_plugins.backends.webui.http import CONNECT_TRIES, Lane, Reply, Server, Trouble, as_failure
from stablenew_plugins.backends.webui.progress import (
    STRANGER_ANSWERS,
    Ids,
    Reading,
    State,
    ask_by_id,
    ask_global,
    decode_preview,
)

if TYPE_CHECKING:
    from stablenew_api.backend import Progress
    from stablenew_api.cancel import CancelToken

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
"""Between two looks at the cancel token."""

CPU_SHARE = 0.005
"""Of a core, at most, that asking for progress takes: an answer that took 2 ms of it is followed by 0.4 s of
rest."""

GIVE_WAY_SECONDS = 0.02
"""How long the next call may take to be sent. A fast one takes 1 to 2 ms."""

PING_SECONDS = 5.0
"""Between two questions whether the server is still alive, for calls that tell no progress."""

LAST_LOOK_SECONDS = 2.0
"""How long to wait for the answer to the question whether a job was interrupted."""

REAP_SECONDS = 60.0
"""How long a job that was given up is followed, to interrupt it when its turn comes."""

LINGER_SECONDS = 10.0
"""How long an interrupted job may take to end. After an exception a server says that it runs until its next
job."""

ARRIVAL_SECONDS = 0.5
"""How long a job that was just sent may take to be known to the server."""

REAP_TRIES = 3
"""How often it is tried where the connection breaks."""

REAP_PAUSE = 0.1
"""Seconds between two looks at it."""


class Turn:
    """Has the next call sent before the last reply is taken apart.

    Both are work for the interpreter, which does one thing at a time, and only the one makes the device wait.
    Nobody waits here as long as calls come one after the other."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._sent = 0
        self._expects = False

    def sent(self) -> int:
        """A call is on its way. Returns its number."""
        with self._news:
            self._sent += 1
            self._news.notify_all()
            return self._sent

    def give_way(self, number: int) -> None:
        """The reply to call ``number`` is here: let the next one go first, if there was one last time."""
        with self._news:
            if self._expects:
                self._expects = self._news.wait_for(lambda: self._sent > number, GIVE_WAY_SECONDS)

    def alone(self) -> bool:
        """Whether calls come one after the other."""
        with self._news:
            return not self._expects

    def over(self, number: int) -> None:
        """Call ``number`` is done with. Whether there was a next one meanwhile tells what to expect."""
        with self._news:
            self._expects = self._sent > number


class Flight:
    """A POST that makes an image. Used once; all state of a call is here."""

    def __init__(
        self,
        server: Server,
        path: str,
        body: bytes,
        task_id: str,
        steps: int,
        ids: Ids,
        turn: Turn,
        can_follow: bool = True,
    ) -> None:
        self._server = server
        self._options = server.options
        self._path = path
        self._body = body
        self._task_id = task_id
        self._turn = turn
        self.mark = 0
        """For :meth:`Turn.give_way`."""
        self._steps = max(1, steps)
        self._ids = ids
        self._can_follow = can_follow
        self._news = threading.Condition()
        self._reply: Reply | None = None
        self._trouble: Trouble | None = None
        self._crash: BaseException | None = None
        self._ended = False
        self._over = threading.Event()
        """Nobody waits any more; threads end."""
        self._answered = threading.Event()
        """The reply has begun."""
        self._hold = threading.Lock()
        self._lanes: dict[str, Lane] = {}
        """Those in use, by what for. One that was given back may be somebody else's: it is not ours to cut."""
        self._reading: Reading | None = None
        self._preview_wanted = False
        self._heard = self._began = time.monotonic()
        self._poller: threading.Thread | None = None
        self.sent = False
        """Whether the server may have got it."""
        self._given_up = False
        self._interrupted = False
        self._step = 0

    def run(self, progress: Progress, cancel: CancelToken) -> Reply:
        """The reply, whole. ``progress.received()`` has been called when this returns.

        Raises Cancelled, and StageFailure with TIMEOUT or BACKEND. An interrupted job is no success: A1111
        answers 200 with what it had until then."""
        cancel.raise_if_cancelled()
        lane = self._take("send")
        self.sent = True
        lane.on_sent = self._note_sent
        threading.Thread(target=self._send, args=(lane,), name="webui-send", daemon=True).start()
        try:
            self._wait(progress, cancel)
        except BaseException:
            self._give_up()
            raise
        if self._reply is not None:
            if self._poller is not None:
                # Its last question, asked while the reply was read: our next job would change the answer.
                self._poller.join(LAST_LOOK_SECONDS)
            # The last byte is here: the device has nothing more to do for us.
            progress.received()
        self._over.set()
        if self._crash is not None:
            raise self._crash
        if self._trouble is not None:
            cancel.raise_if_cancelled()
            raise as_failure(self._trouble) from self._trouble
        assert self._reply is not None
        if self._poller is not None:
            if self._poller.is_alive():
                self._cut("poll")
        elif self._reply.status == 200:
            self._ask_quickly()
        if self._interrupted and self._reply.status == 200:
            cancel.raise_if_cancelled()
            raise StageFailure(
                FailureKind.BACKEND,
                "somebody interrupted the job at the WebUI; the half-made image is not taken",
                self._reply.evidence()[:300],
            )
        return self._reply

    def _wait(self, progress: Progress, cancel: CancelToken) -> None:
        options = self._options
        deadline = self._began + options.job_timeout
        first_question = self._began + (options.poll_interval if self._can_follow else PING_SECONDS)
        while True:
            with self._news:
                if not self._ended and self._reading is None:
                    self._news.wait(LOOK_SECONDS)
                ended, reading, self._reading = self._ended, self._reading, None
            if ended:
                return
            cancel.raise_if_cancelled()
            now = time.monotonic()
            if now >= deadline:
                raise StageFailure(
                    FailureKind.TIMEOUT,
                    f"the WebUI had no image ready after {options.job_timeout:g} s (job_timeout)",
                )
            if self._poller is not None and now - self._heard > options.hang_timeout:
                raise StageFailure(
                    FailureKind.TIMEOUT,
                    f"the WebUI has answered nothing for {now - self._heard:.0f} s (hang_timeout); "
                    "it seems to hang",
                )
            self._preview_wanted = self._can_follow and progress.wants_preview()
            if reading is not None and self._can_follow:
                self._report(progress, reading)
            if self._poller is None and now >= first_question:
                self._heard = now
                self._poller = threading.Thread(target=self._poll, name="webui-progress", daemon=True)
                self._poller.start()

    def _report(self, progress: Progress, reading: Reading) -> None:
        if reading.state is not State.RUNNING:
            return
        # It falls back to 0 before the reply comes, and between passes.
        self._step = max(self._step, min(self._steps, int(reading.fraction * self._steps)))
        preview = decode_preview(reading.preview) if reading.preview and progress.wants_preview() else None
        progress(self._step, self._steps, preview)

    def _note_sent(self) -> None:
        self.mark = self._turn.sent()

    # --- the thread that sends ------------------------------------------------------------------------------

    def _send(self, lane: Lane) -> None:
        try:
            lane.refresh()
            reply = self._exchange(lane)
        except Trouble as trouble:
            self._end(trouble=trouble)
        except BaseException as error:  # a bug of ours; the waiting thread raises it
            self._end(crash=error)
        else:
            self._end(reply=reply)
        finally:
            self._let_go("send")

    def _exchange(self, lane: Lane) -> Reply:
        # Who waits gives up first, and cuts the connection.
        timeouts = (self._options.connect_timeout, self._options.job_timeout + 30.0)
        tries = 0
        while True:
            try:
                return lane.exchange("POST", self._path, self._body, timeouts, self._answered.set)
            except Trouble as trouble:
                tries += 1
                # Tried again only if the call surely did not run.
                if trouble.ran or tries >= CONNECT_TRIES or self._over.wait(0.2 * tries):
                    raise

    def _end(
        self, reply: Reply | None = None, trouble: Trouble | None = None, crash: BaseException | None = None
    ) -> None:
        with self._news:
            self._reply, self._trouble, self._crash = reply, trouble, crash
            self._ended = True
            self._answered.set()
            self._news.notify_all()

    # --- the thread that asks -------------------------------------------------------------------------------

    def _poll(self) -> None:
        lane = self._take("poll")
        strangers, preview_id, pause, cost = 0, -1, 0.0, 0.0
        flag = _Flag()
        try:
            while not self._answered.wait(pause):
                began = time.thread_time()
                try:
                    reading = self._ask(lane, preview_id)
                    self._heard = time.monotonic()
                except Trouble as trouble:
                    if not lane.usable:
                        return
                    log.debug("no answer to a question for progress: %s", trouble)
                    reading = None
                if reading is not None:
                    preview_id = reading.preview_id
                    if reading.state is State.RUNNING and not flag.seen:
                        flag.begin(ask_global(lane, self._options, preview=False), reading.fraction)
                    flag.went_on(reading.fraction)
                    unknown = reading.state is State.UNKNOWN
                    strangers = strangers + 1 if unknown else 0
                    settled = time.monotonic() - self._began > ARRIVAL_SECONDS
                    if strangers >= STRANGER_ANSWERS and settled and self._ids.known and not self._ids.proven:
                        log.info("the server does not know our task ids; its global progress is used")
                        self._ids.known, self._ids.doubted = False, True
                    with self._news:
                        self._reading = reading
                        self._news.notify_all()
                least = self._options.poll_interval if self._can_follow else PING_SECONDS
                # The dearer of two in a row opened a connection, or had a preview in it.
                before, cost = cost, time.thread_time() - began
                pause = max(least, min(before, cost) / CPU_SHARE)
            if not self._given_up:
                # Asked while the reply is still being read: our next job sets it back when it begins.
                last = ask_global(lane, self._options, preview=False)
                # Older servers let an upscale begin without setting the flag back.
                self._interrupted = (flag.seen or self._can_follow) and flag.raised(last)
        except Trouble as trouble:
            log.debug("whether the job was interrupted is not known: %s", trouble)
        finally:
            self._let_go("poll")

    def _ask(self, lane: Lane, preview_id: int) -> Reading | None:
        preview = self._preview_wanted
        if self._ids.known and self._task_id:
            reading = ask_by_id(lane, self._options, self._task_id, preview, preview_id)
            if reading is not None:
                self._ids.proven = self._ids.proven or reading.state is not State.UNKNOWN
                return reading
            self._ids.known = False
        return ask_global(lane, self._options, preview)

    def _ask_quickly(self) -> None:
        """Whether a job too short to be asked about was interrupted. The server's flag tells of its last job,
        so it is asked only while no other call of ours is sent. Up twice in a row, it is one that never goes
        down."""
        if not self._can_follow or not self._turn.alone():
            return
        guard = self._server.take_lane()
        try:
            timeouts = (self._options.connect_timeout, LAST_LOOK_SECONDS)
            last = ask_global(guard, self._options, preview=False, timeouts=timeouts)
        except Trouble as trouble:
            log.debug("whether the job was interrupted is not known: %s", trouble)
            return
        finally:
            self._server.give_back(guard)
        up = last is not None and last.interrupted
        self._interrupted = up and not self._ids.flag_up
        self._ids.flag_up = up

    # --- giving up ------------------------------------------------------------------------------------------

    def _give_up(self) -> None:
        """End the threads and the connection, now. The server goes on with the job all the same, since it does
        not notice; :func:`reap` has it stopped."""
        self._given_up = True
        self._over.set()
        self._answered.set()
        self._cut("send", "poll")

    def _take(self, use: str) -> Lane:
        lane = self._server.take_lane()
        with self._hold:
            self._lanes[use] = lane
            if self._given_up:
                lane.cut()
        return lane

    def _let_go(self, use: str) -> None:
        with self._hold:
            lane = self._lanes.pop(use)
        self._server.give_back(lane)

    def _cut(self, *uses: str) -> None:
        with self._hold:
            for use in uses:
                if use in self._lanes:
                    self._lanes[use].cut()


class _Flag:
    """Whether the job was interrupted, from the server's flag that says so of its last job."""

    def __init__(self) -> None:
        self.seen = False
        self._at = 0.0
        self._stuck = False
        self._up_already = False

    def begin(self, reading: Reading | None, fraction: float) -> None:
        """What it says when the job is first seen to run."""
        self.seen = True
        self._up_already = reading is not None and reading.interrupted
        self._at = fraction

    def went_on(self, fraction: float) -> None:
        """A job that goes on is not the one that was interrupted: the flag is an older one's."""
        self._stuck = self._stuck or (self._up_already and fraction > self._at)

    def raised(self, last: Reading | None) -> bool:
        """Whether the last reading means that this job was interrupted."""
        return last is not None and last.interrupted and not self._stuck


def reap(server: Server, task_id: str, ids: Ids, stop: threading.Event) -> None:
    """Interrupt the job ``task_id``, that nobody waits for any more: only while it runs, and as soon as it
    does.

    An interrupt stops whatever runs. So it is sent only after the server said that this job runs; in the moment
    between, the job may end and another one, not ours, begin: the API has no way to close that gap. Our own
    next job is not sent before this returns. On a server that knows no ids it is sent only if the server is
    ours alone."""
    end = time.monotonic() + REAP_SECONDS
    for _ in range(REAP_TRIES):
        try:
            with server.lane() as lane:
                _interrupt(server, lane, task_id, ids, stop, end)
            return
        except Trouble as trouble:
            log.info("a job that was given up could not be interrupted: %s", trouble)
        if stop.wait(REAP_PAUSE):
            return


def _interrupt(server: Server, lane: Lane, task_id: str, ids: Ids, stop: threading.Event, end: float) -> None:
    """See :func:`reap`. ``end``: monotonic; later than that nothing is sent. Raises Trouble."""
    options = server.options
    begun = time.monotonic()
    sent = seen = False
    while time.monotonic() < end and not stop.is_set():
        by_id = task_id and (ids.known or ids.doubted)
        reading = ask_by_id(lane, options, task_id, False, -1) if by_id else None
        if reading is not None and reading.state is not State.UNKNOWN:
            ids.known, ids.proven, ids.doubted = True, True, False
        if reading is None or _knows_no_ids(reading, ids, time.monotonic() - begun):
            if not options.exclusive:
                return
            reading = ask_global(lane, options, preview=False)
        if reading is None:
            return
        if reading.state is State.RUNNING and not sent:
            timeouts = (options.connect_timeout, options.read_timeout)
            lane.exchange("POST", "/sdapi/v1/interrupt", b"{}", timeouts)
            sent = True
            end = min(end, time.monotonic() + LINGER_SECONDS)
        seen = seen or reading.state in (State.RUNNING, State.QUEUED)
        gone = reading.state is State.UNKNOWN and (seen or time.monotonic() - begun > ARRIVAL_SECONDS)
        if reading.state is State.COMPLETED or gone:
            return
        stop.wait(REAP_PAUSE)


def _knows_no_ids(reading: Reading, ids: Ids, waited: float) -> bool:
    """Whether a server that never knew a job of ours had time enough to know this one."""
    return reading.state is State.UNKNOWN and not ids.proven and waited > ARRIVAL_SECONDS / 2
