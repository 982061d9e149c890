"""Talking to the server: connections that can be cut from another thread, limits on time and size.

``requests`` and urllib3 are imported at the first call.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind

if TYPE_CHECKING:
    import requests

    from stablenew_plugins.backends.webui.options import WebUIConfig

EVIDENCE_BYTES = 2000
"""Bytes of a bad reply that are kept."""

CHUNK_BYTES = 1 << 20
"""Read at a time: a picture comes in a few pieces."""

MAX_IDLE_SECONDS = 2.0
"""A connection that rested longer is not used for a POST. Servers close idle connections (uvicorn after 5 s),
and if one is closed just as a job is sent, nobody knows whether the job runs."""

CONNECT_TRIES = 3
"""How often a connection that is refused is tried: then the call surely did not run."""


class Trouble(Exception):
    """No usable reply. ``ran``: whether the call may have reached the server. ``broke``: the connection broke,
    so that another try may do where trying again is harmless."""

    def __init__(self, text: str, ran: bool, broke: bool = False) -> None:
        super().__init__(text)
        self.ran = ran
        self.broke = broke


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server said, all of it."""

    status: int
    body: bytes
    content_type: str = ""
    location: str = ""

    @property
    def ok(self) -> bool:
        """200, or 204, which SD.Next says for ``{}``."""
        return self.status in (200, 204)

    def json(self) -> Any:
        """The body; None where it is empty. Raises ValueError if it is no JSON, with ``RecursionError`` in
        it."""
        if not self.body.strip():
            return None
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("nested too deep") from error

    def evidence(self) -> str:
        """The beginning of the body, for people, with what is needed to judge it."""
        head = self.body[:EVIDENCE_BYTES]
        text = head.decode("utf-8", "backslashreplace")
        text = "".join(letter if letter.isprintable() or letter in "\n\t" else "." for letter in text)
        more = f" ... ({len(self.body)} bytes)" if len(self.body) > len(head) else ""
        return f"HTTP {self.status}, {self.content_type or 'no content type'}\n{text}{more}"

    def error_text(self) -> str:
        """What an error body says, in one line. Servers differ: A1111 sends ``{error, detail, body, errors}``,
        others ``{detail}`` with a text or a list, or plain text."""
        try:
            value = self.json()
        except ValueError:
            value = None
        parts: list[str] = []
        if isinstance(value, dict):
            for key in ("error", "detail", "errors", "message", "body"):
                part = value.get(key)
                if part and str(part) not in parts:
                    parts.append(part if isinstance(part, str) else json.dumps(part))
        text = ": ".join(parts) or self.body[:EVIDENCE_BYTES].decode("utf-8", "replace")
        return " ".join(text.split())[:600] or "no reason given"


class Lane:
    """One connection to the server. One thread at a time uses it; any thread may :meth:`cut` it."""

    def __init__(self, options: WebUIConfig) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._open: list[Any] = []
        self._cut = False
        self.on_sent: Callable[[], None] | None = None
        """Called once a request is sent, to its last byte."""
        self.rested_since = time.monotonic()
        self.session = self._make_session()

    def _make_session(self) -> requests.Session:
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
        from urllib3.connection import HTTPConnection, HTTPSConnection

        lane = self

        class PlainConnection(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                lane._opened(self)

            def getresponse(self) -> Any:
                lane._sent()
                return super().getresponse()

        class TlsConnection(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                lane._opened(self)

            def getresponse(self) -> Any:
                lane._sent()
                return super().getresponse()

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = PlainConnection

        class TlsPool(HTTPSConnectionPool):
            ConnectionCls = TlsConnection

        session = requests.Session()
        # Neither a proxy nor the credentials of a .netrc file that the environment happens to name.
        session.trust_env = False
        session.verify = (self._options.ca_file or True) if self._options.verify_tls else False
        if self._options.user:
            session.auth = (self._options.user, self._options.secret)
        # Base64 of a PNG does not get smaller, but gzip takes the server longer than sending it.
        session.headers["Accept-Encoding"] = "identity"
        session.headers["User-Agent"] = "StableNew"
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0)
        adapter.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}
        self._adapter = adapter
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session

    def _opened(self, connection: Any) -> None:
        with self._lock:
            self._open = [connection]
            cut = self._cut
        if cut:
            connection.close()
            raise ConnectionAbortedError("cut")

    def _sent(self) -> None:
        if self.on_sent is not None:
            self.on_sent()

    def cut(self) -> None:
        """End whatever goes on here, now: who waits for bytes gets an error. For good."""
        with self._lock:
            self._cut = True
            connections, self._open = self._open, []
        for connection in connections:
            sock = getattr(connection, "sock", None)
            if sock is not None:
                with suppress(OSError):
                    # Not SSLSocket.shutdown, which takes the TLS object away from the thread that reads.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

    @property
    def usable(self) -> bool:
        """False after :meth:`cut`."""
        return not self._cut

    def refresh(self, max_idle: float = MAX_IDLE_SECONDS) -> None:
        """Drop the connection if it rested longer than ``max_idle`` seconds."""
        if time.monotonic() - self.rested_since > max_idle:
            self._adapter.poolmanager.clear()

    def close(self) -> None:
        """Let go of the connection."""
        self.session.close()

    def exchange(
        self,
        method: str,
        path: str,
        body: bytes | None,
        timeout: tuple[float, float],
        on_headers: Callable[[], None] | None = None,
    ) -> Reply:
        """Send and read to the last byte. Raises :class:`Trouble`."""
        import requests

        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            response = self.session.request(
                method,
                self._options.url + path,
                data=body,
                headers=headers,
                timeout=timeout,
                stream=True,
                # A redirect would take the credentials and the job elsewhere; it is reported instead.
                allow_redirects=False,
            )
            if on_headers is not None:
                on_headers()
            with response:
                return Reply(
                    response.status_code,
                    self._read(response),
                    response.headers.get("Content-Type", ""),
                    response.headers.get("Location", ""),
                )
        except requests.exceptions.SSLError as error:
            raise Trouble(f"TLS with {self._options.url} fails: {_cause(error)}", ran=False) from error
        except requests.exceptions.ConnectTimeout as error:
            raise Trouble(f"{self._options.url} takes no connection within {timeout[0]:g} s", False) from error
        except requests.exceptions.ReadTimeout as error:
            raise Trouble(f"no answer to {path} within {timeout[1]:g} s", ran=True) from error
        except requests.exceptions.RequestException as error:
            if _never_connected(error):
                raise Trouble(f"nobody answers at {self._options.url} ({_cause(error)})", False) from error
            raise Trouble(f"the connection broke during {path} ({_cause(error)})", True, True) from error
        except OSError as error:  # also what urllib3 raises while a body is read
            raise Trouble(f"the connection broke during {path} ({error})", True, True) from error
        finally:
            self.rested_since = time.monotonic()

    def _read(self, response: requests.Response) -> bytes:
        from urllib3.exceptions import HTTPError

        limit = self._options.max_reply_bytes
        promised = response.headers.get("Content-Length", "")
        if promised.isdigit() and int(promised) > limit:
            raise Trouble(f"the reply has {promised} bytes, more than {limit}", ran=True)
        plain = promised.isdigit() and "Content-Encoding" not in response.headers and not response.raw.chunked
        size = 0
        try:
            if plain:
                # At one go, into memory of the right size: for a picture that takes a third of the time that
                # pieces take, and the device waits for it.
                return response.raw.read(decode_content=False) or b""
            pieces: list[bytes] = []
            for piece in response.raw.stream(CHUNK_BYTES, decode_content=True):
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    raise Trouble(f"the reply has more than {limit} bytes", ran=True)
        except HTTPError as error:
            cut = f"{promised} bytes were announced" if plain else f"{size} bytes came"
            raise Trouble(f"the reply was cut off: {cut} ({error})", True, True) from error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _never_connected(error: BaseException) -> bool:
    from urllib3.exceptions import MaxRetryError, NewConnectionError

    inner = error.args[0] if error.args else None
    return isinstance(inner, MaxRetryError) and isinstance(inner.reason, NewConnectionError)


def _cause(error: BaseException) -> str:
    """The innermost reason, without the object addresses that urllib3 puts in front."""
    inner: Any = error
    while True:
        deeper = getattr(inner, "reason", None) or (inner.args[0] if getattr(inner, "args", None) else None)
        if not isinstance(deeper, BaseException):
            break
        inner = deeper
    return str(inner).rpartition("object at 0x")[2].partition(": ")[2] or str(inner)


@dataclass
class Server:
    """The server: a few lanes, taken and given back."""

    options: WebUIConfig
    _free: list[Lane] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closed: bool = False

    def take_lane(self) -> Lane:
        """A lane for the calling thread. The one used last comes first: its connection is the freshest."""
        with self._lock:
            if self._free:
                return self._free.pop()
        return Lane(self.options)

    def give_back(self, lane: Lane) -> None:
        """Done with it."""
        lane.on_sent = None
        with self._lock:
            if lane.usable and not self._closed:
                self._free.append(lane)
                return
        lane.close()

    @contextmanager
    def lane(self) -> Iterator[Lane]:
        """A lane for the length of the block."""
        lane = self.take_lane()
        try:
            yield lane
        finally:
            self.give_back(lane)

    def close(self) -> None:
        """Close what is free now; lanes in use are closed when they come back."""
        with self._lock:
            self._closed = True
            lanes, self._free = self._free, []
        for lane in lanes:
            lane.close()

    def get(self, path: str, seconds: float | None = None) -> Reply:
        """GET, in ``seconds`` as a whole (default: the read timeout). Tried again once if the connection
        breaks: nothing changes by it. Raises :class:`Trouble`."""
        try:
            return self._ask("GET", path, None, seconds)
        except Trouble as error:
            if not error.broke:
                raise
        return self._ask("GET", path, None, seconds)

    def post(self, path: str, value: object, seconds: float | None = None) -> Reply:
        """POST of JSON, never tried again. Raises :class:`Trouble`."""
        return self._ask("POST", path, json.dumps(value).encode("utf-8"), seconds)

    def _ask(self, method: str, path: str, body: bytes | None, seconds: float | None) -> Reply:
        whole = seconds or self.options.read_timeout
        with self.lane() as lane:
            if body is not None:
                lane.refresh()
            # The socket's timeout is for each piece; a server that sends a byte now and then never runs into
            # it.
            guard = threading.Timer(whole, lane.cut)
            guard.daemon = True
            guard.start()
            try:
                return lane.exchange(method, path, body, (min(whole, self.options.connect_timeout), whole))
            except Trouble as error:
                if lane.usable:
                    raise
                raise Trouble(f"no whole answer to {path} within {whole:g} s", ran=True) from error
            finally:
                guard.cancel()


def failure_of(reply: Reply, url: str, path: str) -> StageFailure:
    """The failure that an error status means."""
    status, text, proof = reply.status, reply.error_text(), reply.evidence()
    if 300 <= status < 400:
        return StageFailure(
            FailureKind.BACKEND,
            f"{url} redirects to {reply.location or 'elsewhere'}; give that as the url",
            proof,
        )
    if status == 401:
        return StageFailure(
            FailureKind.BACKEND,
            f"{url} wants a user and password (--api-auth), or others than were given",
            proof,
        )
    if status == 403:
        return StageFailure(FailureKind.BACKEND, f"{url} refuses us: {text}", proof)
    if status in (404, 405) and text in ("Not Found", "Method Not Allowed", "no reason given"):
        return StageFailure(
            FailureKind.BACKEND,
            f"{url} has no {path}: start the WebUI with --api, or wait until it has started",
            proof,
        )
    if status in (400, 404, 413, 422):
        return StageFailure(FailureKind.BAD_INPUT, f"the WebUI refuses the request: {text}", proof)
    return StageFailure(FailureKind.BACKEND, f"the WebUI failed (HTTP {status}): {text}", proof)


def as_failure(trouble: Trouble, kind: str = FailureKind.BACKEND) -> StageFailure:
    """``trouble`` for people, with what to do where nobody was there."""
    hint = "" if trouble.ran else "; is the WebUI running, with --api, and is the url right?"
    return StageFailure(kind, f"{trouble}{hint}")


def mapping(value: object) -> Mapping[str, Any]:
    """``value`` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}
