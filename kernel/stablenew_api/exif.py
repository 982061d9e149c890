"""The EXIF block of JPEG, WebP and AVIF files, as far as it tells how an image was made: both ways.

Format: Exif 2.32 (CIPA DC-008), 4.6; TIFF 6.0, section 2. What is written is what piexif writes for the
AUTOMATIC1111 WebUI (``save_image_with_geninfo`` of ``modules/images.py``): big-endian, with the text in
UserComment as UTF-16, big-endian too, which is the only order that piexif reads.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

HEADER = b"Exif\0\0"
"""Stands before the block in a JPEG file, and in some WebP files."""

EXIF_IFD, MAKER_NOTE, USER_COMMENT = 0x8769, 0x927C, 0x9286

_BYTE, _ASCII, _LONG, _UNDEFINED = 1, 2, 4, 7
_UNICODE = b"UNICODE\0"


def comment_block(text: str) -> bytes:
    """An EXIF block, without :data:`HEADER`, with ``text`` as its UserComment and nothing else."""
    value = _UNICODE + text.encode("utf-16-be", "replace")
    # Both tables are 18 bytes long (count, one entry, end mark); the first begins behind the 8 bytes of head.
    head = b"MM\0*" + struct.pack(">I", 8)
    first = struct.pack(">HHHIII", 1, EXIF_IFD, _LONG, 1, 8 + 18, 0)
    second = struct.pack(">HHHIII", 1, USER_COMMENT, _UNDEFINED, len(value), 8 + 18 + 18, 0)
    return head + first + second + value


def text_tags(block: bytes) -> dict[int, bytes]:
    """Tag to value, as it stands there, of all texts and bytes in the block. A damaged block gives what can be
    read of it. ``block`` may begin with :data:`HEADER`."""
    data = block.removeprefix(HEADER)
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        return {}
    found: dict[int, bytes] = {}
    (first,) = struct.unpack_from(f"{order}I", data, 4)
    places = [first]
    for tag, kind, value in _entries(data, order, first):
        if tag == EXIF_IFD and kind == _LONG and len(value) >= 4 and len(places) < 2:
            places.append(struct.unpack_from(f"{order}I", value)[0])
        elif kind != _LONG:
            found[tag] = value
    for place in places[1:]:
        for tag, kind, value in _entries(data, order, place):
            if kind != _LONG:
                found.setdefault(tag, value)
    return found


def _entries(data: bytes, order: str, place: int) -> Iterator[tuple[int, int, bytes]]:
    """(tag, type, value) of the entries of a table that are texts, bytes or one 32-bit number."""
    if place + 2 > len(data):
        return
    (count,) = struct.unpack_from(f"{order}H", data, place)
    for number in range(count):
        at = place + 2 + 12 * number
        if at + 12 > len(data):
            return
        tag, kind, length = struct.unpack_from(f"{order}HHI", data, at)
        if kind == _LONG and length == 1:
            yield tag, kind, data[at + 8 : at + 12]
        elif kind in (_BYTE, _ASCII, _UNDEFINED):
            start = at + 8 if length <= 4 else struct.unpack_from(f"{order}I", data, at + 8)[0]
            if start + length <= len(data):
                yield tag, kind, data[start : start + length]


def user_comment(value: bytes) -> str:
    """The text of a UserComment: eight bytes that name the encoding, then the text (4.6.5). Never fails.

    Either byte order of UTF-16 is read, with or without a byte order mark: programs differ.
    """
    code, body = value[:8], value[8:]
    if code == _UNICODE:
        if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return body.decode("utf-16", "replace")
        # The byte order is that of the writer: the side with more zeros is the high one.
        high_first = body[0::2].count(0) >= body[1::2].count(0)
        return body.decode("utf-16-be" if high_first else "utf-16-le", "replace")
    if code in (b"ASCII\0\0\0", b"\0" * 8):
        return body.decode("utf-8", "replace")
    return value.decode("utf-8", "replace")
