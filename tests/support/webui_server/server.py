"""The server."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from tests.support.webui_server.generate import generate
from tests.support.webui_server.http_server import Handler, HttpServer
from tests.support.webui_server.progress import interrupt
from tests.support.webui_server.records import Job
from tests.support.webui_server.routes import respond
from tests.support.webui_server.server_state import ServerState
from tests.support.webui_server.settings import FakeSettings


class FakeWebUI(ServerState):
    """The server. A context manager; :attr:`traps` may change while it runs."""

    def __init__(self, settings: FakeSettings | None = None) -> None:
        super().__init__(settings or FakeSettings())
        self._http = HttpServer(("127.0.0.1", self.settings.port), Handler)
        self._http.fake = self
        if self.settings.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.settings.certificate)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._thread: threading.Thread | None = None

    # --- life -----------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        """Its address."""
        return f"http{'s' if self.settings.certificate else ''}://127.0.0.1:{self.port}"

    def start(self) -> FakeWebUI:
        """Serve in a thread."""
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.02,), name="fake-webui", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """End it, and every connection."""
        self.release.set()
        self.stop_step.set()
        self._http.shutdown()
        self._http.server_close()
        self._http.drop_connections()
        if self._thread is not None:
            self._thread.join(5)

    def serve_forever(self) -> None:
        """Serve in this thread, until interrupted."""
        self._http.serve_forever(0.2)

    def __enter__(self) -> FakeWebUI:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    # --- requests, which a test may answer otherwise --------------------------------------------------------

    def answer(self, method: str, path: str, query: Mapping[str, list[str]], body: Any) -> Any:
        """The answer to a request that generates nothing. Raises :class:`ApiError`."""
        return respond(self, method, path, query, body)

    def generate(
        self, kind: str, body: Mapping[str, Any], arrived: float | None = None
    ) -> tuple[dict[str, Any], Job]:
        """Carry out a generating call, in turn. Raises :class:`ApiError`."""
        return generate(self, kind, body, arrived)

    # --- for tests ------------------------------------------------------------------------------------------

    def last_body(self, path: str) -> dict[str, Any]:
        """Body of the last POST to ``path``."""
        body = self.calls(path)[-1].body
        assert isinstance(body, dict)
        return body

    def gaps(self) -> list[float]:
        """Seconds that the device was idle between each job and the next one."""
        jobs = list(self.jobs)
        return [after.begun - before.ended for before, after in pairwise(jobs)]

    def hurry(self) -> None:
        """Let the job that runs go on without pauses."""
        self.stop_step.set()

    def is_running(self) -> bool:
        """Whether a job is being carried out."""
        return self.state.job_count > 0

    def wait_until_running(self, seconds: float = 30.0) -> None:
        """Until a job is being carried out."""
        deadline = time.monotonic() + seconds
        while not self.is_running():
            if time.monotonic() > deadline:
                raise TimeoutError("no job has begun")
            time.sleep(0.002)

    def interrupt(self) -> None:
        """Stop whatever runs, as a click on Interrupt does."""
        interrupt(self)
