"""Images as base64, and premade ones for benchmarks."""

from __future__ import annotations

import base64
import binascii
import io
import random
import struct
import zlib

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tests.support.webui_server.errors import ApiError


def decode(text: object) -> Image.Image:
    """The picture of a request. Raises ApiError."""
    if not isinstance(text, str):
        raise ApiError(500, "HTTPException", "Invalid encoded image")
    if text.startswith("data:image/"):
        text = text.partition(",")[2]
    try:
        return Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")
    except (OSError, binascii.Error) as error:
        raise ApiError(500, "HTTPException", "Invalid encoded image") from error


def encode(image: Image.Image, text: str, padding: int = 0) -> str:
    """A PNG with ``text`` as its parameters, and ``padding`` bytes besides, as base64."""
    info = PngInfo()
    if text:
        info.add_text("parameters", text)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info, compress_level=1)
    data = buffer.getvalue()
    if padding:
        data = _pad_png(data, padding)
    return base64.b64encode(data).decode("ascii")


def _pad_png(png: bytes, size: int) -> bytes:
    """``png`` with a private chunk of ``size`` bytes before its end."""
    body = b"paDd" + bytes(size)
    return png[:-12] + struct.pack(">I", size) + body + struct.pack(">I", zlib.crc32(body)) + png[-12:]


class Premade:
    """PNGs of about ``size`` bytes and ``pixels`` pixels: noise, as much of it as fits, and a black rest. They
    differ in their first row; all else is packed and encoded once."""

    def __init__(self, size: int, pixels: tuple[int, int]) -> None:

        width, height = self._pixels = pixels
        self._row = 3 * width
        source = random.Random(0)
        noisy = min(height - 1, size // self._row)
        self._rest = b"".join(
            b"\0" + (source.randbytes(self._row) if number < noisy else bytes(self._row))
            for number in range(height - 1)
        )
        packer = zlib.compressobj(1, wbits=-15)
        data = packer.compress(self._rest) + packer.flush(zlib.Z_FINISH)
        self._middle = _chunk(b"IDAT", data)
        self._cut = len(self._middle) // 3 * 3
        self._encoded = base64.b64encode(self._middle[: self._cut])

    def base64(self, seed: int) -> list[bytes]:
        """The picture of ``seed``, as base64 in pieces."""

        row = b"\0" + random.Random(seed).randbytes(self._row)
        # A zlib stream put together from parts: header, a block of its own for the first row, the rest, sum.
        packer = zlib.compressobj(0, wbits=-15)
        first = b"\x78\x01" + packer.compress(row) + packer.flush(zlib.Z_FULL_FLUSH)
        head = b"".join(
            (
                b"\x89PNG\r\n\x1a\n",
                _chunk(b"IHDR", struct.pack(">IIBBBBB", *self._pixels, 8, 2, 0, 0, 0)),
                # Base64 takes three bytes at a time, so the middle begins at a multiple of three.
                _chunk(b"paDd", bytes(-(8 + 25 + 12 + 12 + len(first)) % 3)),
                _chunk(b"IDAT", first),
            )
        )
        total = zlib.adler32(self._rest, zlib.adler32(row))
        tail = self._middle[self._cut :] + _chunk(b"IDAT", struct.pack(">I", total)) + _chunk(b"IEND", b"")
        return [base64.b64encode(head), self._encoded, base64.b64encode(tail)]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
