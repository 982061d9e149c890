"""One prompt from being sent to its entry in the history.

The history is the truth; the websocket is only faster. What is known to go wrong, and what is done about it:

* Only the client that queued a prompt hears of it, and a second socket of the same client replaces the first:
  so every run has a client id of its own. Its socket is closed at the end, because one that nobody reads would
  hold up the server's messages to everybody.
* The socket may break: the queue and the history are asked instead, and the socket is opened again.
* A prompt that somebody deletes while it waits never reaches the history: so the queue is watched too.
* An answer to POST /prompt may get lost: our own prompt id, and our client id, tell whether it arrived.
* Older versions choose the prompt id themselves, and their interrupt ignores it: so ours is looked for by
  client id as well, and nothing is interrupted that was not seen to be ours.
* Interrupting is check-then-act in the server: if our prompt ends in between, the next one is hit. A prompt of
  ours that is interrupted without our asking is a BACKEND failure, which is tried again.
"""

from __future__ import annotations

import logging
import os
import platform
import ssl
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

from stablenew_api.errors import Cancelled, StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_plugins.backends.comfyui.checks import execution_failure, node_problems, rejected
from stablenew_plugins.backends.comfyui.events import HELLO, Event, Preview, Tracker, read_message
from stablenew_plugins.backends.comfyui.http import (
    LOOK,
    PAUSE,
    TRIES,
    CallFailed,
    Pending,
    auth_header,
    is_here,
    pause,
    refused,
)

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

    from stablenew_api.backend import Progress
    from stablenew_api.cancel import CancelToken
    from stablenew_plugins.backends.comfyui.http import Server
    from stablenew_plugins.backends.comfyui.options import ComfyConfig

log = logging.getLogger(__name__)

LARGEST_MESSAGE = 64 * 2**20
"""Bytes of a message; a preview may be large."""
CALM, KEEN = 2.0, 0.25
"""Seconds between two looks at queue and history, with a socket and without."""
SOON = 0.002
"""Seconds to a second look for an entry that must come, doubled from look to look up to LOOK."""
QUICK = 5.0
"""Seconds that such a look may take."""
AGAIN = 1.0
"""Seconds between two tries to open the socket."""
MISSES = 3
"""Looks that must find a prompt nowhere before it counts as gone: it changes places between two calls."""
LEAVE = 2.0
"""Seconds that a cancelled prompt has to leave the device before we go anyway."""
CLOSING = 0.5
"""Seconds for the socket's closing handshake."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A prompt that was executed."""

    prompt_id: str
    outputs: Mapping[str, Any]
    """Of the history: node id to ``{"images": [{"filename", "subfolder", "type"}]}``."""
    entry: Mapping[str, Any]
    """All that the history says, for evidence."""


def sweep(server: Server) -> int:
    """Take prompts off the server whose worker, on this machine, is dead: nobody waits for them, and jobs would
    wait behind them. Returns how many. Raises StageFailure when the server does not answer.

    A worker that is killed cannot do it itself; the client id of a prompt says which process sent it.
    """
    import psutil

    queue = server.json("/queue")
    found = 0
    for place in ("pending", "running"):
        items = queue.get(f"queue_{place}") if isinstance(queue, dict) else None
        for item in items or ():
            extra = item[3] if isinstance(item, list) and len(item) > 3 else None
            client = str(extra.get("client_id", "")) if isinstance(extra, dict) else ""
            pid, _, _ = client.removeprefix(_mine()).partition("-")
            if not client.startswith(_mine()) or not pid.isdecimal() or psutil.pid_exists(int(pid)):
                continue
            log.warning("prompt %s was left there by process %s, which is gone; taking it off", item[1], pid)
            if place == "pending":
                server.call("POST", "/queue", body={"delete": [item[1]]})
            else:
                server.call("POST", "/interrupt", body={"prompt_id": item[1]}, tries=1)
            found += 1
    return found


def _mine() -> str:
    """What the client ids of all workers on this machine begin with."""
    return f"stablenew-{platform.node()}-"


class Run:
    """Sends one graph and follows it. Used once, by one thread."""

    def __init__(
        self,
        server: Server,
        options: ComfyConfig,
        nodes: Mapping[str, Any],
        steps: Mapping[str, int],
        prompt_id: str,
        progress: Progress,
        cancel: CancelToken,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server, self._options = server, options
        self._nodes, self._progress, self._cancel, self._clock = nodes, progress, cancel, clock
        self._client = f"{_mine()}{os.getpid()}-{uuid.uuid4().hex}"
        self._tracker = Tracker(prompt_id, steps)
        self._socket: ClientConnection | None = None
        self._closing = ExitStack()
        self._next_dial = 0.0
        self._shown = (-1, -1)
        self._misses = 0
        self._running = False
        self._leaving = False

    def finish(self) -> Finished:
        """Send it and wait for the end. Raises Cancelled and StageFailure."""
        try:
            self._dial()
            self._submit()
            try:
                return self._follow()
            except Cancelled:
                self._withdraw()
                raise
            except StageFailure as error:
                if error.kind in (FailureKind.TIMEOUT, FailureKind.PLUGIN):
                    self._withdraw()
                raise
        finally:
            self._hang_up()

    # --- sending --------------------------------------------------------------------------------------------

    def _submit(self) -> None:
        extra: dict[str, Any] = {"client_id": self._client}
        if self._options.previews:
            # Each prompt says what previews it wants; older versions know only a command-line option.
            extra["preview_method"] = "latent2rgb"
        body = {
            "prompt": self._nodes,
            "client_id": self._client,
            "prompt_id": self._tracker.prompt_id,
            "extra_data": extra,
        }
        for attempt in range(1, TRIES + 1):
            self._cancel.raise_if_cancelled()
            call = self._server.start("POST", "/prompt", body=body)
            try:
                reply = call.result(self._cancel)
            except Cancelled:
                call.wait(AGAIN)  # it may be queued already; then it must be taken out again
                self._withdraw()
                raise
            except CallFailed as error:
                if error.maybe_run and self._arrived():
                    return
                if error.kind == FailureKind.TIMEOUT:
                    self._withdraw()  # it may have come in meanwhile, and nobody would fetch it
                if attempt == TRIES or error.kind == FailureKind.TIMEOUT:
                    raise
                # Nobody has it: it cannot run twice.
                pause(PAUSE * 2 ** (attempt - 1), self._cancel)
                continue
            if reply.status == 200:
                self._accepted(reply.json())
                return
            if reply.status == 400:
                raise rejected(reply.json(), self._nodes)
            if reply.status >= 500 and self._arrived():
                return
            raise refused(reply)

    def _accepted(self, answer: Any) -> None:
        prompt_id = answer.get("prompt_id") if isinstance(answer, dict) else None
        if not isinstance(prompt_id, str) or not prompt_id:
            raise StageFailure(
                FailureKind.BACKEND, "ComfyUI took the graph and gave no prompt id", repr(answer)[:500]
            )
        self._tracker.prompt_id = prompt_id
        if problems := node_problems(answer.get("node_errors"), self._nodes):
            # It would run the rest and leave these outputs out without a word.
            log.info("withdrawn, as a part of it cannot run: %s", "; ".join(problems))
            self._withdraw()
            raise rejected(answer, self._nodes)

    def _arrived(self) -> bool:
        """Whether ComfyUI has our prompt although it did not say so."""
        try:
            return self._place() is not None or self._entry() is not None
        except StageFailure as error:
            log.info("it is not known whether prompt %s arrived: %s", self._tracker.prompt_id, error)
            return False

    # --- following ------------------------------------------------------------------------------------------

    def _follow(self) -> Finished:
        begun = heard = self._clock()
        looked, lost_since, count = begun, None, self._tracker.heard
        while True:
            self._cancel.raise_if_cancelled()
            self._listen()
            now = self._clock()
            if self._tracker.heard != count:
                count, heard = self._tracker.heard, now
            waits = not self._running and not self._tracker.started
            if waits or self._socket is None:
                heard = now  # it waits its turn, or we cannot hear: that is no silence
            if now - begun > self._options.job_timeout:
                raise StageFailure(
                    FailureKind.TIMEOUT, f"ComfyUI needed more than {self._options.job_timeout:g} s for the job"
                )
            if now - heard > self._options.stall_timeout:
                raise StageFailure(
                    FailureKind.TIMEOUT,
                    f"ComfyUI shows no progress for {self._options.stall_timeout:g} s: it hangs; restart it",
                )
            wait = CALM if self._socket is not None else KEEN
            if not self._tracker.ended and now - looked < wait:
                continue
            try:
                entry = self._look()
                lost_since = None
            except CallFailed as error:
                lost_since = now if lost_since is None else lost_since
                if now - lost_since >= self._options.lost_timeout:
                    raise StageFailure(
                        FailureKind.BACKEND,
                        f"ComfyUI gives no answer for {self._options.lost_timeout:g} s while our job is there: "
                        f"{error}",
                        error.detail,
                    ) from error
                entry = None
            looked = self._clock()
            if entry is not None:
                return self._finished(entry)
            if self._tracker.ended or self._misses:
                # The history is written a moment after the last message.
                pause(min(LOOK, SOON * 2 ** min(self._misses, 8)), self._cancel)

    def _look(self) -> Mapping[str, Any] | None:
        """The entry in the history, if the prompt is done. Raises StageFailure when it is nowhere."""
        place = None if self._tracker.ended else self._place()
        self._running = self._running or place == "running"
        if place is not None:
            self._misses = 0
            return None
        entry = self._entry()
        if entry is not None:
            return entry
        self._misses += 1
        if self._misses < MISSES:
            return None
        place = self._place()
        if place is not None:
            self._misses = 0
            return None
        if self._tracker.ended and self._misses < MISSES * 20:
            return None
        what = "while it ran" if self._running or self._tracker.started else "from the queue before it ran"
        raise StageFailure(
            FailureKind.BACKEND,
            f"ComfyUI has lost our job {what}: somebody deleted it, or ComfyUI was restarted",
        )

    def _finished(self, entry: Mapping[str, Any]) -> Finished:
        status = entry.get("status")
        messages = status.get("messages") if isinstance(status, dict) else None
        said = {
            item[0]: item[1]
            for item in messages or ()
            if isinstance(item, list) and len(item) == 2 and isinstance(item[1], dict)
        }
        if "execution_interrupted" in said:
            raise StageFailure(
                FailureKind.BACKEND,
                "ComfyUI was interrupted while it worked at this job, and not by us; the job is tried again",
                str(said["execution_interrupted"])[:1000],
            )
        if "execution_error" in said:
            raise execution_failure(said["execution_error"])
        if isinstance(status, dict) and status.get("status_str") == "error":
            raise StageFailure(FailureKind.BACKEND, "ComfyUI failed and does not say why", str(status)[:2000])
        outputs = entry.get("outputs")
        self._report(self._tracker.total)
        return Finished(self._tracker.prompt_id, outputs if isinstance(outputs, dict) else {}, entry)

    def _place(self) -> str | None:
        """``running`` or ``pending``; None: not in the queue."""
        queue = self._server.json("/queue", self._token(), limit=self._patience(), tries=1)
        for place in ("running", "pending"):
            items = queue.get(f"queue_{place}") if isinstance(queue, dict) else None
            for item in items or ():
                if self._is_ours(item):
                    return place
        return None

    def _is_ours(self, item: Any) -> bool:
        if not isinstance(item, list) or len(item) < 2:
            return False
        extra = item[3] if len(item) > 3 and isinstance(item[3], dict) else {}
        if item[1] == self._tracker.prompt_id or extra.get("client_id") == self._client:
            self._tracker.prompt_id = str(item[1])
            return True
        return False

    def _entry(self) -> Mapping[str, Any] | None:
        prompt_id = self._tracker.prompt_id
        reply = self._server.call(
            "GET", f"/history/{prompt_id}", self._token(), limit=self._patience(), tries=1
        )
        if reply.status == 404:
            return None
        if reply.status != 200:
            raise refused(reply)
        found = reply.json()
        entry = found.get(prompt_id) if isinstance(found, dict) else None
        return entry if isinstance(entry, dict) else None

    def _token(self) -> CancelToken | None:
        return None if self._leaving else self._cancel

    def _patience(self) -> float:
        return LEAVE if self._leaving else QUICK

    # --- the socket -----------------------------------------------------------------------------------------

    def _dial(self) -> None:
        """Open the socket. Without one it goes on by asking."""
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import connect

        self._next_dial = self._clock() + AGAIN
        parts = urlsplit(self._options.url)
        secure = parts.scheme == "https"
        address = urlunsplit(
            ("wss" if secure else "ws", parts.netloc, f"{parts.path}/ws", f"clientId={quote(self._client)}", "")
        )
        context = ssl.create_default_context() if secure else None
        if context is not None and not self._options.verify_tls:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        wanted = True

        def dial() -> ClientConnection:
            opened = connect(
                address,
                ssl=context,
                proxy=None if is_here(self._options.url) else True,
                additional_headers=auth_header(self._options.auth),
                open_timeout=self._options.connect_timeout,
                close_timeout=CLOSING,
                ping_interval=None,  # a server that loads a model answers late; the looks notice a dead one
                max_size=LARGEST_MESSAGE,
                compression=None,
            )
            if not wanted:
                with opened:
                    log.info("a websocket opened too late")
            return opened

        try:
            opened = Pending(dial, 2 * self._options.connect_timeout, "GET /ws").result(self._cancel)
            self._socket = self._closing.enter_context(opened)
            self._socket.send(HELLO)
        except (OSError, WebSocketException, CallFailed) as error:
            log.info("no websocket to %s (%s); asking instead", self._options.url, error)
            wanted = False
            self._hang_up()
        except Cancelled:
            wanted = False
            raise

    def _hang_up(self) -> None:
        self._closing.close()
        self._socket = None

    def _listen(self) -> None:
        """Take one message in, or wait a moment for one."""
        from websockets.exceptions import ConnectionClosed

        if self._socket is None:
            if self._clock() >= self._next_dial:
                self._dial()
            if self._socket is None:
                pause(LOOK, self._cancel)
            return
        if self._tracker.ended:
            return
        try:
            message = self._socket.recv(timeout=LOOK)
        except TimeoutError:
            return
        except ConnectionClosed as error:
            log.info("the websocket to %s broke (%s); asking instead", self._options.url, error)
            self._hang_up()
            return
        match read_message(message):
            case Event() as event:
                self._tracker.take(event)
                self._report(self._tracker.made)
            case Preview() as preview:
                self._show(preview)

    def _report(self, made: int) -> None:
        now = (made, self._tracker.total)
        if now[0] > max(self._shown[0], 0 if self._tracker.started else -1):
            self._shown = now
            self._progress(*now)

    def _show(self, preview: Preview) -> None:
        if not self._progress.wants_preview():
            return
        ours = preview.prompt_id == self._tracker.prompt_id or (not preview.prompt_id and self._tracker.started)
        if not ours:
            return
        import io

        from PIL import Image

        try:
            with Image.open(io.BytesIO(preview.image)) as image:
                picture = image.convert("RGB")
        except (OSError, ValueError) as error:
            log.info("a preview that cannot be read: %s", error)
            return
        self._progress(max(self._shown[0], 0), self._tracker.total, picture)

    # --- leaving --------------------------------------------------------------------------------------------

    def _withdraw(self) -> None:
        """Take our prompt off the server: out of the queue, or interrupted if it runs. Waits until it is gone,
        for a moment: the device is not ours as long as it works there."""
        self._leaving = True
        ends = self._clock() + LEAVE
        interrupted = False
        try:
            while (place := self._place()) is not None and self._clock() < ends:
                prompt_id = self._tracker.prompt_id
                if place == "pending":
                    self._server.call("POST", "/queue", body={"delete": [prompt_id]}, limit=LEAVE, tries=1)
                elif not interrupted:
                    self._server.call("POST", "/interrupt", body={"prompt_id": prompt_id}, limit=LEAVE, tries=1)
                    interrupted = True
                time.sleep(LOOK / 2)
            if place is not None:
                log.warning("prompt %s is still %s after %g s", self._tracker.prompt_id, place, LEAVE)
        except StageFailure as error:
            log.warning("prompt %s could not be withdrawn: %s", self._tracker.prompt_id, error)
