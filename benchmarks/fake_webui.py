"""A WebUI that takes as long as it is told and draws noise. ``python -m benchmarks.fake_webui --seconds 0.2``.

What :mod:`benchmarks.webui` measures against: the A1111 API as far as txt2img needs it, over real sockets. An
image is new each time, and ready (base64 and all) when its time is over, so what a reply costs is sending it.
One image is made at a time, as on a GPU.

Prints its port, then serves until its standard input ends. ``GET /bench`` tells what it saw: see :class:`Seen`.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import struct
import sys
import threading
import time
import zlib
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

SAMPLER = "Euler"
LISTS: dict[str, Any] = {
    "/sdapi/v1/samplers": [{"name": SAMPLER, "aliases": ["k_euler"], "options": {}}],
    "/sdapi/v1/schedulers": [{"name": "automatic", "label": "Automatic", "aliases": None}],
    "/sdapi/v1/sd-models": [],
    "/sdapi/v1/options": {},
}
"""What it answers to questions about what is there. To all others: 404."""


@dataclass
class Seen:
    """What the server saw since it was last asked."""

    gaps: list[float] = field(default_factory=list)
    """Seconds from the last byte of a reply to the first one of the next request for an image."""
    images: int = 0
    overlaps: int = 0
    """Requests that came while an image was being made."""
    questions: int = 0
    """About progress."""


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


class Painter:
    """PNGs that differ in their first row, quickly made: the rest (noise, or black) is compressed once."""

    def __init__(self, width: int, height: int, noise: bool = True) -> None:
        self.width, self.height = width, height
        source = random.Random(0)
        row = 3 * width
        self._rest = b"".join(
            b"\0" + (source.randbytes(row) if noise else bytes(row)) for _ in range(height - 1)
        )
        packer = zlib.compressobj(0 if noise else 1, wbits=-15)
        self._packed = chunk(b"IDAT", packer.compress(self._rest) + packer.flush(zlib.Z_FINISH))

    def paint(self, number: int) -> bytes:
        """The image with this number."""
        row = b"\0" + random.Random(number).randbytes(3 * self.width)
        # A zlib stream put together from parts: header, a block of its own for the first row, the rest, sum.
        packer = zlib.compressobj(0, wbits=-15)
        first = packer.compress(row) + packer.flush(zlib.Z_FULL_FLUSH)
        total = zlib.adler32(self._rest, zlib.adler32(row))
        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        return b"".join(
            (
                b"\x89PNG\r\n\x1a\n",
                chunk(b"IHDR", header),
                chunk(b"IDAT", b"\x78\x01" + first),
                self._packed,
                chunk(b"IDAT", struct.pack(">I", total)),
                chunk(b"IEND", b""),
            )
        )


class Server:
    """Answers on as many connections as there are."""

    def __init__(self, seconds: float, noise: bool = True) -> None:
        self._seconds = seconds
        self._noise = noise
        self._gpu = threading.Lock()
        self._painters: dict[tuple[int, int], Painter] = {}
        self._lock = threading.Lock()
        self._seen = Seen()
        self._busy_since: float | None = None
        self._replied: float | None = None

    def serve(self, listener: socket.socket) -> None:
        """Until the process ends."""
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        rest = b""
        try:
            while True:
                while (end := rest.find(b"\r\n\r\n")) < 0:
                    data = connection.recv(65536)
                    if not data:
                        return
                    rest += data
                arrived = time.perf_counter()
                head = rest[:end].decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ", 2)
                lengths = [line[15:] for line in head[1:] if line.lower().startswith("content-length:")]
                rest = rest[end + 4 :]
                length = int(lengths[0]) if lengths else 0
                while len(rest) < length:
                    rest += connection.recv(65536)
                body, rest = rest[:length], rest[length:]
                if (method, path) == ("POST", "/sdapi/v1/txt2img"):
                    self._image(connection, json.loads(body), arrived)
                else:
                    self._question(connection, path.partition("?")[0])
        except OSError:  # whoever asked is gone
            return
        finally:
            connection.close()

    def _question(self, connection: socket.socket, path: str) -> None:
        if path == "/bench":
            with self._lock:
                seen, self._seen, self._replied = self._seen, Seen(), None
            _answer(connection, json.dumps(asdict(seen)).encode("ascii"))
            return
        if path in ("/internal/progress", "/sdapi/v1/progress"):
            since = self._busy_since
            with self._lock:
                self._seen.questions += 1
            done = 0.0 if since is None else min(0.99, (time.perf_counter() - since) / max(self._seconds, 1e-3))
            answer: Any = {
                "active": since is not None,
                "queued": False,
                "completed": since is None,
                "progress": done,
            }
            if path == "/sdapi/v1/progress":
                answer = {
                    "progress": done,
                    "state": {"job_count": int(since is not None), "interrupted": False},
                }
        elif path in LISTS:
            answer = LISTS[path]
        else:
            _answer(connection, b'{"detail":"Not Found"}', "404 Not Found")
            return
        _answer(connection, json.dumps(answer).encode("utf-8"))

    def _image(self, connection: socket.socket, asked: dict[str, Any], arrived: float) -> None:
        with self._lock:
            if self._gpu.locked():
                self._seen.overlaps += 1
            elif self._replied is not None:
                self._seen.gaps.append(arrived - self._replied)
        with self._gpu:
            self._busy_since = begun = max(arrived, self._replied or arrived)
            body = self._paint(asked)
            time.sleep(max(0.0, begun + self._seconds - time.perf_counter()))
            self._busy_since = None
            _answer(connection, body)
            with self._lock:
                self._replied = time.perf_counter()
                self._seen.images += 1

    def _paint(self, asked: dict[str, Any]) -> bytes:
        size = asked["width"], asked["height"]
        painter = self._painters.get(size)
        if painter is None:
            painter = self._painters[size] = Painter(*size, self._noise)
        seed = asked["seed"]
        text = (
            f"{asked['prompt']}\nSteps: {asked['steps']}, Sampler: {SAMPLER}, Schedule type: Automatic, "
            f"CFG scale: {asked['cfg_scale']}, Seed: {seed}, Size: {size[0]}x{size[1]}, Version: v1.10.1"
        )
        info = {"seed": seed, "all_seeds": [seed], "infotexts": [text], "index_of_first_image": 0}
        tail = json.dumps({"parameters": {}, "info": json.dumps(info)}).encode("utf-8")
        return b'{"images":["%s"],%s' % (b64encode(painter.paint(seed)), tail[1:])


def _answer(connection: socket.socket, body: bytes, status: str = "200 OK") -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode("ascii") + body)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until standard input ends."""
    made = argparse.ArgumentParser(description="A WebUI that draws noise.")
    made.add_argument("--seconds", type=float, default=0.2, help="an image takes so long")
    made.add_argument("--plain", action="store_true", help="black instead of noise: the files are small")
    chosen = made.parse_args(argv)
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(
        target=Server(chosen.seconds, not chosen.plain).serve, args=(listener,), daemon=True
    ).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
