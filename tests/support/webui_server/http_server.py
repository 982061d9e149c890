"""The socket: HTTP/1.1, passwords, and replies that break off, trickle or never end."""

from __future__ import annotations

import base64
import json
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.support.webui_server.errors import ApiError
from tests.support.webui_server.records import Seen

if TYPE_CHECKING:
    from tests.support.webui_server.server import FakeWebUI


class HttpServer(ThreadingHTTPServer):
    """A thread for each connection."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    fake: FakeWebUI

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        """End those that are open."""
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is nothing to speak of."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Reads requests and sends what the server answers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpServer

    _arrived = 0.0

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def parse_request(self) -> bool:
        """Called once the first line of a request is there."""
        self._arrived = time.monotonic()
        return super().parse_request()

    def do_GET(self) -> None:
        self._handle("GET", None)

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(data) if data else None
        except ValueError:
            body = None
        self._handle("POST", body)

    def _handle(self, method: str, body: Any) -> None:
        fake = self.server.fake
        parts = urlsplit(self.path)
        path, query = parts.path, parse_qs(parts.query)
        fake.seen.append(Seen(method, self.path, body, time.monotonic(), dict(self.headers.items())))
        if not self._allowed(path):
            error = {
                "error": "HTTPException",
                "detail": "Incorrect username or password",
                "body": "",
                "errors": "",
            }
            self._send_json(401, error, {"WWW-Authenticate": "Basic"})
            return
        if "hang_all" in fake.traps and not (
            method == "POST" and path.startswith("/sdapi/v1/") and "2img" in path
        ):
            fake.release.wait()
        if "redirect" in fake.traps:
            self._send(302, [b""], "text/html", {"Location": "http://elsewhere.invalid/sdapi/v1/txt2img"})
            return
        if "unavailable" in fake.traps:
            self._send(503, [b"<html>Service Unavailable</html>"], "text/html")
            return
        kind = path.removeprefix("/sdapi/v1/")
        try:
            if method == "POST" and kind in ("txt2img", "img2img", "extra-single-image"):
                self._generate(kind, body if isinstance(body, dict) else {})
                return
            value = fake.answer(method, path, query, body)
        except ApiError as error:
            self._send_json(error.status, error.body)
            return
        if "slow_lists" in fake.traps and isinstance(value, list):
            self._trickle(json.dumps(value).encode(), "application/json")
        elif value == {} and fake.settings.flavour == "sdnext":
            self._send(204, [], "application/json")
        else:
            self._send_json(200, value)

    def _allowed(self, path: str) -> bool:
        fake = self.server.fake
        if not fake.settings.auth or (path.startswith("/internal/") and "internal_open" in fake.traps):
            return True
        wanted = "Basic " + base64.b64encode(fake.settings.auth.encode()).decode()
        return self.headers.get("Authorization") == wanted

    def _generate(self, kind: str, body: Mapping[str, Any]) -> None:
        fake = self.server.fake
        answer, job = fake.generate(kind, body, self._arrived)
        traps = fake.traps
        if "crash" in traps:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if "html" in traps:
            self._send(200, [b"<html><body>Please log in</body></html>"], "text/html")
            return
        if "premade" in answer:
            info = json.dumps(answer["info"]).encode()
            pieces: list[bytes] = [
                b'{"images":["',
                *answer["premade"],
                b'"],"parameters":{},"info":',
                info,
                b"}",
            ]
            self._send(200, pieces, "application/json")
            job.answered = time.monotonic()
            return
        if "extra_fields" in traps:
            answer["nobody_knows"] = 1
        data = json.dumps(answer).encode("utf-8")
        if "truncated" in traps:
            self._head(200, len(data), "application/json")
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif "slow_loris" in traps:
            self._trickle(data, "application/json")
        elif "endless" in traps:
            self._endless()
        else:
            self._send(200, [data], "application/json")
        job.answered = time.monotonic()

    def _trickle(self, data: bytes, kind: str) -> None:
        """A byte now and then: each one resets the client's timeout for reading."""
        self._head(200, len(data), kind)
        for byte in data:
            self.wfile.write(bytes([byte]))
            if self.server.fake.release.wait(0.05):
                return

    def _endless(self) -> None:
        self._head(200, None, "application/json")
        piece = b" " * (1 << 20)
        while not self.server.fake.release.is_set():
            self.wfile.write(b"100000\r\n" + piece + b"\r\n")

    def _head(
        self, status: int, length: int | None, kind: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", kind)
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
        elif status != 204:
            self.send_header("Content-Length", str(length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()

    def _send(
        self, status: int, pieces: Sequence[bytes], kind: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self._head(status, sum(map(len, pieces)), kind, headers)
        for piece in pieces:
            self.wfile.write(piece)

    def _send_json(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        self._send(status, [json.dumps(value).encode("utf-8")], "application/json", headers)
