"""The texts about an image in its file, by keyword, whichever of PNG, JPEG and WebP it is.

PNG has them as text chunks (:mod:`stablenew_api.png`). JPEG and WebP have ``parameters``, the A1111 infotext,
in the UserComment of EXIF, as every tool reads it; and our ``stablenew`` JSON as the property ``job`` of XMP,
since a JPEG file has no more than 64 KB for all of its EXIF, and galleries show what other tags take a text.

Formats: JPEG (ITU-T T.81, annex B) up to the start of the scan; WebP container (RFC 9649, section 2).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from stablenew_api import exif, xmp
from stablenew_api.errors import UserError
from stablenew_api.png import PARAMETERS, SIGNATURE, STABLENEW, read_text

PNG, JPEG, WEBP = "png", "jpeg", "webp"

ENDINGS: Mapping[str, str] = {PNG: ".png", JPEG: ".jpg", WEBP: ".webp"}
"""Kind to the ending that a file of it gets."""
MEDIA_TYPES: Mapping[str, str] = {PNG: "image/png", JPEG: "image/jpeg", WEBP: "image/webp"}
"""Kind to the IANA media type."""
READ_ENDINGS = (".png", ".jpg", ".jpeg", ".jfif", ".webp")
"""Endings that such files have elsewhere, too."""

JOB, INFOTEXT = "job", "parameters"
"""Properties of XMP: the ``stablenew`` text; and the infotext, where it is too long for the EXIF of JPEG."""

_LARGEST_SEGMENT = 65_533
_APP0, _APP1, _SCAN, _END = 0xE0, 0xE1, 0xDA, 0xD9
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))


class ImageTextError(UserError):
    """These bytes are no whole image file of a kind that is read here."""


def kind_of(data: bytes) -> str:
    """:data:`PNG`, :data:`JPEG`, :data:`WEBP`, or empty for anything else."""
    if data.startswith(SIGNATURE):
        return PNG
    if data[:3] == b"\xff\xd8\xff":
        return JPEG
    return WEBP if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else ""


def read_texts(data: bytes, name: str = "image") -> dict[str, str]:
    """Keyword to text; of JPEG and WebP, ``parameters`` and ``stablenew`` are the only ones.

    ``name`` is for error texts. Raises UserError for what is none of the three, and for a damaged file.
    """
    kind = kind_of(data)
    if kind == PNG:
        return read_text(data, name)
    block, properties = exif_and_properties(data, name)
    texts: dict[str, str] = {}
    comment = exif.user_comment(exif.text_tags(block).get(exif.USER_COMMENT, b"")).strip("\0 ")
    if comment:
        texts[PARAMETERS] = comment
    elif properties.get(INFOTEXT):
        texts[PARAMETERS] = properties[INFOTEXT]
    if properties.get(JOB):
        texts[STABLENEW] = properties[JOB]
    return texts


def exif_and_properties(data: bytes, name: str = "image") -> tuple[bytes, dict[str, str]]:
    """The EXIF block (empty: none) and our XMP properties of a JPEG or WebP file. Raises ImageTextError."""
    kind = kind_of(data)
    if kind == JPEG:
        parts = [bytes(body) for marker, body in _segments(data, name) if marker == _APP1]
        # More than one is against the standard; some programs split a large block so.
        block = b"".join(part.removeprefix(exif.HEADER) for part in parts if part.startswith(exif.HEADER))
        return block, xmp.jpeg_properties(parts)
    if kind == WEBP:
        chunks = {fourcc: body for fourcc, body in _chunks(data, name) if fourcc in (b"EXIF", b"XMP ")}
        return chunks.get(b"EXIF", b"").removeprefix(exif.HEADER), xmp.properties(chunks.get(b"XMP ", b""))
    raise ImageTextError(f"{name}: no PNG, JPEG or WebP file")


def exif_and_xmp(texts: Mapping[str, str], *, limit: int = 0) -> tuple[bytes, dict[str, str]]:
    """How ``texts`` (``parameters``, ``stablenew``) are written: an EXIF block, and properties for XMP.

    An infotext whose block is longer than ``limit`` bytes (0: no limit) goes to XMP; the block is empty then.
    """
    properties = {JOB: texts[STABLENEW]} if STABLENEW in texts else {}
    block = exif.comment_block(texts[PARAMETERS]) if texts.get(PARAMETERS) else b""
    if limit and len(block) > limit:
        block, properties[INFOTEXT] = b"", texts[PARAMETERS]
    return block, properties


def jpeg_with_texts(jpeg: bytes, texts: Mapping[str, str]) -> bytes:
    """``jpeg``, which has neither yet, with EXIF and XMP; the picture stays byte for byte.

    Raises ImageTextError for what is no JPEG file.
    """
    block, properties = exif_and_xmp(texts, limit=_LARGEST_SEGMENT - len(exif.HEADER))
    at = 2
    for marker, body in _segments(jpeg, "image"):
        if marker == _APP0:  # the JFIF header comes first
            at += 4 + len(body)
        break
    bodies = [exif.HEADER + block] if block else []
    bodies += xmp.jpeg_segments(properties) if properties else []
    new = b"".join(struct.pack(">BBH", 0xFF, _APP1, len(body) + 2) + body for body in bodies)
    return jpeg[:at] + new + jpeg[at:]


def _segments(jpeg: bytes, name: str) -> Iterator[tuple[int, memoryview]]:
    """(marker, body) of each segment up to the scan."""
    view = memoryview(jpeg)
    at = 2
    while True:
        while at + 1 < len(view) and view[at] == view[at + 1] == 0xFF:  # fill bytes
            at += 1
        if at + 2 > len(view):
            raise ImageTextError(f"{name}: the JPEG file is cut off")
        if view[at] != 0xFF:
            raise ImageTextError(f"{name}: a damaged JPEG file")
        marker = view[at + 1]
        at += 2
        if marker in (_SCAN, _END):
            return
        if marker in _WITHOUT_LENGTH:
            continue
        if at + 2 > len(view):
            raise ImageTextError(f"{name}: the JPEG file is cut off")
        (length,) = struct.unpack_from(">H", view, at)
        if length < 2:
            raise ImageTextError(f"{name}: a damaged JPEG file")
        if at + length > len(view):
            raise ImageTextError(f"{name}: the JPEG file is cut off")
        yield marker, view[at + 2 : at + length]
        at += length


def _chunks(webp: bytes, name: str) -> Iterator[tuple[bytes, bytes]]:
    """(name, body) of each chunk. Bytes behind the size that the file names are not the file's."""
    (size,) = struct.unpack_from("<I", webp, 4)
    end = 8 + size
    if end > len(webp):
        raise ImageTextError(f"{name}: the WebP file is cut off")
    at = 12
    while at + 8 <= end:
        fourcc = webp[at : at + 4]
        (length,) = struct.unpack_from("<I", webp, at + 4)
        if at + 8 + length > end:
            raise ImageTextError(f"{name}: a damaged WebP file")
        # The picture itself, which may be large, is not copied.
        yield fourcc, webp[at + 8 : at + 8 + length] if fourcc in (b"EXIF", b"XMP ") else b""
        at += 8 + length + length % 2
