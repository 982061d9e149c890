"""Starting the WebUI, waiting until it answers, and starting it again when it hangs."""

from __future__ import annotations

import logging
import os
import random
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_plugins.backends.webui.http import Server, Trouble

if TYPE_CHECKING:
    from stablenew_api.cancel import CancelToken
    from stablenew_plugins.backends.webui.options import WebUIConfig

log = logging.getLogger(__name__)

STOP_SECONDS = 10.0
"""How long a WebUI that was asked to end may take before it is killed."""

PORT_PAUSE = 0.25
"""Seconds between two looks at the port."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
"""Seconds between two questions once the port is open, doubling. A1111 answers 404 while it starts, and many
questions then can end the start."""


class Launcher:
    """The server's process, if we start it."""

    def __init__(self, options: WebUIConfig, server: Server, rng: random.Random | None = None) -> None:
        self._options = options
        self._server = server
        self._rng = rng or random.Random()  # noqa: S311 - spreads questions
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._begun = 0.0
        self._ask_at = 0.0
        self._pause = FIRST_PAUSE
        self._ready = not options.start_command
        self._was_ready = False

    def ensure(self, cancel: CancelToken | None = None, patience: float | None = None) -> None:
        """Return when the server is ready; at once where we are not to start it, or it was ready before.

        Starts it where nobody listens. Raises StageFailure(BACKEND) if it ends, and after ``patience`` seconds
        (default: until it has had ``start_timeout``); the next call goes on waiting.
        """
        if self._ready and (self._process is None or self._process.poll() is None):
            return
        self._ready = False
        wait_until = time.monotonic() + patience if patience is not None else None
        while not self._look():
            now = time.monotonic()
            waited = now - self._begun
            if waited > self._options.start_timeout:
                self.stop()
                raise StageFailure(
                    FailureKind.BACKEND,
                    f"the WebUI did not answer within {self._options.start_timeout:g} s of its start "
                    "(start_timeout); it was stopped",
                )
            if wait_until is not None and now >= wait_until:
                raise StageFailure(FailureKind.BACKEND, f"the WebUI is starting ({waited:.0f} s so far)")
            if cancel is None:
                time.sleep(PORT_PAUSE)  # nobody to wake us
            elif cancel.wait(PORT_PAUSE):
                cancel.raise_if_cancelled()

    def _look(self) -> bool:
        """One step: start it, look at the port, ask."""
        with self._lock:
            process = self._process
            open_port = self._listens()
            if process is None and not open_port:
                self._start()
                return False
            if process is not None and (code := process.poll()) is not None and not open_port:
                self._process = None
                if self._was_ready:
                    log.warning("the WebUI ended by itself (exit code %d)", code)
                    self._start()
                    return False
                raise StageFailure(
                    FailureKind.BACKEND,
                    f"the WebUI that was started ended by itself (exit code {code}); start it by hand to see "
                    f"why: {' '.join(self._options.start_command)}",
                )
            now = time.monotonic()
            if not open_port or now < self._ask_at:
                return False
            if self._answers():
                self._ready = self._was_ready = True
                return True
            # Some jitter, so that two agents do not ask in step.
            self._ask_at = now + self._pause * self._rng.uniform(0.8, 1.2)
            self._pause = min(LONGEST_PAUSE, 2 * self._pause)
            if process is None and not self._begun:
                self._begun = now  # somebody else's, starting
            return False

    def _start(self) -> None:
        folder = Path(self._options.start_folder).expanduser() if self._options.start_folder else None
        if folder is not None and not folder.is_dir():
            raise StageFailure(FailureKind.BACKEND, f"start_folder {folder}: there is no such folder")
        log.info("starting the WebUI: %s", self._options.start_command)
        try:
            self._process = subprocess.Popen(
                self._options.start_command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                # What it prints goes where our own errors go, never into our output.
                stdout=2,
                start_new_session=os.name == "posix",
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except OSError as error:
            raise StageFailure(
                FailureKind.BACKEND, f"start_command {self._options.start_command[0]!r} cannot be run: {error}"
            ) from error
        self._was_ready = False
        self._begun = time.monotonic()
        self._ask_at = 0.0
        self._pause = FIRST_PAUSE

    def _listens(self) -> bool:
        try:
            with socket.create_connection(self._options.host_and_port, timeout=1.0):
                return True
        except OSError:
            return False

    def _answers(self) -> bool:
        """Whether the API is there. That it wants a password, or has no such list, is an answer too."""
        try:
            reply = self._server.get("/sdapi/v1/options", min(10.0, self._options.read_timeout))
        except Trouble:
            return False
        return reply.status not in (404, 502, 503, 504)

    def lost(self) -> None:
        """Nobody answers any more: the next :meth:`ensure` looks, and starts it if that is asked for."""
        self._ready = not self._options.start_command

    def hung(self) -> bool:
        """The server answers no more. Stops it if we started it, so that the next :meth:`ensure` starts it
        again; returns whether we did."""
        if self._process is None:
            return False
        if self._alive():
            return False
        log.warning("the WebUI hangs and is stopped; it is started again for the next job")
        self.stop()
        return True

    def _alive(self) -> bool:
        """Whether it answers anything at all, within a few seconds."""
        try:
            self._server.get("/sdapi/v1/progress?skip_current_image=true", min(5.0, self._options.read_timeout))
        except Trouble:
            return False
        return True

    def stop(self) -> None:
        """End the process that we started, with its children."""
        with self._lock:
            process, self._process = self._process, None
            self._ready = not self._options.start_command
            self._begun = 0.0
        if process is None:
            return
        import psutil

        family: list[psutil.Process] = []
        try:
            parent = psutil.Process(process.pid)
            family = [*parent.children(recursive=True), parent]
        except psutil.NoSuchProcess:
            pass
        for member in family:
            _quietly(member.terminate)
        _gone, left = psutil.wait_procs(family, timeout=STOP_SECONDS)
        for member in left:
            _quietly(member.kill)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            log.warning("the WebUI (process %d) could not be ended", process.pid)


def _quietly(action: object) -> None:
    """Ending a process that has just ended by itself is no error."""
    import psutil

    assert callable(action)
    try:
        action()
    except psutil.Error:
        log.debug("a process of the WebUI could not be ended", exc_info=True)
