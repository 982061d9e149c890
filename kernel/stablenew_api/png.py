"""Text chunks of PNG files, spliced in and read without touching the pixels.

Format: PNG specification, third edition (W3C), sections 5 (chunks, CRC) and 11.3.3 (tEXt, zTXt, iTXt). Which
kind of chunk a text goes to follows Pillow's ``PngInfo.add_text``: tEXt when it is Latin-1, else iTXt.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

from stablenew_api.errors import UserError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PARAMETERS = "parameters"
"""Keyword of the A1111 infotext."""
STABLENEW = "stablenew"
"""Keyword of our JSON."""

_TEXT_KINDS = (b"tEXt", b"zTXt", b"iTXt")
_MAX_TEXT = 64 * 1024 * 1024
"""Bytes that all texts of a file may unpack to; Pillow's MAX_TEXT_MEMORY. Stops a decompression bomb."""


class PngError(UserError):
    """These bytes are no whole PNG file."""


def with_text(png: bytes, texts: Mapping[str, str]) -> bytes:
    """``png`` with ``texts`` (keyword to text) right after IHDR, replacing texts of the same keywords.

    Everything else, the pixels above all, stays byte for byte. Raises PngError for what is no PNG file and
    ValueError for a keyword that PNG forbids or a text with a NUL character.
    """
    return b"".join(pieces_with_text(png, texts))


def pieces_with_text(png: bytes | memoryview, texts: Mapping[str, str]) -> list[bytes | memoryview]:
    """:func:`with_text` in as few pieces as there can be, those of ``png`` as views into it: an image that is
    only to be written need not be copied first."""
    view = memoryview(png)
    pieces: list[bytes | memoryview] = []
    begin = 0  # of what is still to be taken over
    end = len(SIGNATURE)
    for kind, whole, data in _chunks(view):
        at, end = end, end + len(whole)
        if kind in _TEXT_KINDS and bytes(data).partition(b"\0")[0].decode("latin-1") in texts:
            pieces.append(view[begin:at])
            begin = end
        elif kind == b"IHDR":
            pieces.append(view[begin:end])
            pieces.extend(_text_chunk(keyword, text) for keyword, text in texts.items())
            begin = end
    pieces.append(view[begin:end])
    return pieces


def without_text(png: bytes) -> bytes:
    """``png`` without any text chunk. Raises PngError for what is no PNG file."""
    return b"".join((SIGNATURE, *(whole for kind, whole, _ in _chunks(png) if kind not in _TEXT_KINDS)))


def read_text(png: bytes, name: str = "image") -> dict[str, str]:
    """Keyword to text, of all three kinds of text chunk; the last one of a keyword counts.

    ``name`` is for error texts. Raises PngError for what is no PNG file and for a damaged text.
    """
    texts: dict[str, str] = {}
    budget = _MAX_TEXT
    for kind, whole, data in _chunks(png, name):
        if kind not in _TEXT_KINDS:
            continue
        if zlib.crc32(whole[4:-4]) != int.from_bytes(whole[-4:], "big"):
            raise PngError(f"{name}: a text in it is damaged (wrong checksum)")
        try:
            keyword, text = _read_chunk(kind, bytes(data), budget)
        except (ValueError, zlib.error) as error:
            raise PngError(f"{name}: a text in it is damaged ({error})") from error
        budget -= len(text)
        texts[keyword] = text
    return texts


def _chunks(png: bytes | memoryview, name: str = "image") -> Iterator[tuple[bytes, memoryview, memoryview]]:
    """(kind, whole chunk, data) of each chunk up to IEND. Bytes after IEND are not the file's: dropped."""
    view = memoryview(png)
    if view[: len(SIGNATURE)] != SIGNATURE:
        raise PngError(f"{name}: not a PNG file")
    at = len(SIGNATURE)
    first = True
    while True:
        if at + 12 > len(view):
            raise PngError(f"{name}: the PNG file is cut off")
        (length,) = struct.unpack_from(">I", view, at)
        kind = bytes(view[at + 4 : at + 8])
        end = at + 12 + length
        if end > len(view):
            raise PngError(f"{name}: the PNG file is cut off")
        if first is not (kind == b"IHDR"):
            raise PngError(f"{name}: a damaged PNG file (IHDR is not where it belongs)")
        first = False
        yield kind, view[at:end], view[at + 8 : end - 4]
        if kind == b"IEND":
            return
        at = end


def _text_chunk(keyword: str, text: str) -> bytes:
    key = _keyword(keyword)
    if "\0" in text:
        raise ValueError(f"the text of {keyword!r} has a NUL character, which PNG forbids")
    try:
        return _chunk(b"tEXt", key + b"\0" + text.encode("latin-1"))
    except UnicodeEncodeError:
        # compression flag and method 0; language tag and translated keyword empty
        return _chunk(b"iTXt", key + b"\0\0\0\0\0" + text.encode("utf-8"))


def _keyword(keyword: str) -> bytes:
    key = keyword.encode("latin-1")
    printable = all(32 <= byte <= 126 or byte >= 161 for byte in key)
    if not 1 <= len(key) <= 79 or not printable or key != key.strip() or b"  " in key:
        raise ValueError(
            f"{keyword!r} is no PNG keyword: 1 to 79 printable Latin-1 characters, single spaces inside"
        )
    return key


def _chunk(kind: bytes, data: bytes) -> bytes:
    return b"".join(
        (struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))
    )


def _read_chunk(kind: bytes, data: bytes, budget: int) -> tuple[str, str]:
    key, _, rest = data.partition(b"\0")
    keyword = key.decode("latin-1")
    if kind == b"tEXt":
        return keyword, rest.decode("latin-1")
    if kind == b"zTXt":
        if rest[:1] != b"\0":
            raise ValueError("unknown compression")
        return keyword, _inflate(rest[1:], budget).decode("latin-1")
    compressed, method, rest = rest[:1], rest[1:2], rest[2:]
    _language, _, rest = rest.partition(b"\0")
    _translated, _, body = rest.partition(b"\0")
    if compressed == b"\0":
        return keyword, body.decode("utf-8")
    if compressed != b"\1" or method != b"\0":
        raise ValueError("unknown compression")
    return keyword, _inflate(body, budget).decode("utf-8")


def _inflate(data: bytes, budget: int) -> bytes:
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(data, max(1, budget))
    if not unpacker.eof:
        raise ValueError("cut off, or too long")
    return text
