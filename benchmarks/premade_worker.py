"""A worker that writes the same noise as a PNG for every job, with the job's id inside, so that no two files
are equal. What is left of an image's way is what ``benchmarks.transfer`` measures: file, link, hash, commit.

Speaks the protocol of :mod:`stablenew_agent.worker`.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import struct
import sys
import zlib

SIZE = int(os.environ.get("STABLENEW_BENCH_IMAGE_BYTES", "2000000"))
"""Bytes of an image, about."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def noise(size: int) -> tuple[int, int, bytes, bytes]:
    """Width, height, and the PNG's bytes before and after the place for a private chunk."""
    width = 1024
    height = max(1, size // (3 * width))
    source = random.Random(0)
    raw = b"".join(b"\0" + source.randbytes(3 * width) for _ in range(height))
    head = _SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return width, height, head, chunk(b"IDAT", zlib.compress(raw, 0)) + chunk(b"IEND", b"")


def main() -> int:
    """Serve the agent until it is gone."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer

    def say(what: dict[str, object]) -> None:
        sink.write(json.dumps(what, separators=(",", ":")).encode("ascii") + b"\n")
        sink.flush()

    if not source.readline():
        return 0
    width, height, head, tail = noise(SIZE)
    names = ("models", "vaes", "samplers", "schedulers", "upscalers", "loras", "embeddings", "scripts")
    say(
        {
            "op": "ready",
            "stages": [{"name": "noop", "version": "1.0"}],
            "identity": ["premade", "1", True, "hands over the same noise every time"],
            "capabilities": {"features": [], **{name: [] for name in names}},
        }
    )
    for line in source:
        job = json.loads(line)
        if job["op"] != "job":
            continue
        data = b"".join((head, chunk(b"biDd", job["job"].encode("ascii")), tail))
        path = f"{job['out']}-1.png"
        with open(path, "wb") as file:
            file.write(data)
        sha256 = hashlib.sha256(data).hexdigest()
        say(
            {
                "op": "done",
                "job": job["job"],
                "attempt": job["attempt"],
                "state": "succeeded",
                "files": [
                    {
                        "name": "image.png",
                        "path": path,
                        "sha256": sha256,
                        "size": len(data),
                        "tags": {"width": str(width), "height": str(height), "pixel_sha256": sha256},
                    }
                ],
                "report": '{"stages":[{"name":"noop","version":"1.0","seconds":0.0,"info":{}}]}',
                "run_time": 0.0,
                "peak_vram": 0,
                "model": "",
            }
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
