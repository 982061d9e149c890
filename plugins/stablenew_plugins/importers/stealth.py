"""Texts hidden in the pixels of an image ("stealth"), as NovelAI, SwarmUI and Forge can write them.

Source: ``modules/stealth_infotext.py`` of Forge. The lowest bits of the alpha channel (or of red, green and
blue), column by column, the highest bit of a byte first: a signature, the length of the text in bits (32 bits),
and the text in UTF-8, by itself or packed with gzip.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from typing import TYPE_CHECKING, Any

from stablenew_api.png import PARAMETERS

if TYPE_CHECKING:
    from numpy import uint8
    from numpy.typing import NDArray

_SIGNATURES = {
    b"stealth_pnginfo": False,
    b"stealth_pngcomp": True,
    b"stealth_rgbinfo": False,
    b"stealth_rgbcomp": True,
}
"""Signature, and whether the text is packed."""
_HEAD = 15 * 8 + 32
_MAX_TEXT = 16 * 2**20
"""Bytes that a text may unpack to."""

_last: tuple[bytes, dict[str, str]] = (b"", {})
"""Digest of the file that was looked at last, and what was in it: each importer asks anew, and decoding pixels
takes long."""


def hidden_texts(data: bytes) -> dict[str, str]:
    """Keyword to text of an image file; empty if nothing is hidden in it, or it cannot be decoded.

    NovelAI hides the texts that its PNG files have, as JSON; others what belongs into ``parameters``.
    """
    global _last
    digest = hashlib.blake2b(data).digest()
    known, texts = _last
    if known != digest:
        text = _hidden(data)
        texts = _keyed(text) if text else {}
        _last = (digest, texts)
    return dict(texts)


def _keyed(text: str) -> dict[str, str]:
    if text.lstrip().startswith("{"):
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            values = None
        if isinstance(values, dict) and isinstance(values.get("Comment"), str):
            return {key: value for key, value in values.items() if isinstance(value, str)}
    return {PARAMETERS: text}


def _hidden(data: bytes) -> str:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "WEBP")) as image:
            if image.mode not in ("RGB", "RGBA", "LA"):
                return ""
            image.load()
            planes = ["A"] if image.mode != "RGB" else []
            planes += ["RGB"] if image.mode != "LA" else []
            return next(filter(None, (_text(_bits(image, plane)) for plane in planes)), "")
    except Exception:  # a damaged file makes Pillow raise nearly anything: it tells nothing
        return ""


def _bits(image: Any, plane: str) -> NDArray[uint8]:
    """The lowest bits of the alpha channel, or of the three colours, column by column."""
    import numpy

    part = image.getchannel("A") if plane == "A" else image.convert("RGB")
    values = numpy.asarray(part)
    order = (1, 0) if values.ndim == 2 else (1, 0, 2)
    return (values.transpose(order) & numpy.uint8(1)).reshape(-1)


def _text(bits: NDArray[uint8]) -> str:
    import numpy

    head = numpy.packbits(bits[:_HEAD]).tobytes()
    packed = _SIGNATURES.get(head[:15])
    if packed is None or len(bits) < _HEAD:
        return ""
    length = int.from_bytes(head[15:19], "big")
    if length > len(bits) - _HEAD or length % 8:
        return ""
    body = numpy.packbits(bits[_HEAD : _HEAD + length]).tobytes()
    if packed:
        unpacker = zlib.decompressobj(31)  # gzip
        body = unpacker.decompress(body, _MAX_TEXT)
        if not unpacker.eof:
            return ""
    return body.decode("utf-8")
