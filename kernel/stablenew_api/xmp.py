"""The XMP packet of JPEG and WebP files, with texts of ours as properties: both ways.

Format: XMP specification, part 1 (ISO 16684-1) for the packet; part 3, section 1.1.3, for JPEG, where what does
not fit into one segment goes to further ones (extended XMP).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from xml.parsers import expat
from xml.sax.saxutils import escape

NAMESPACE = "urn:stablenew:xmp:1.0/"
"""Of our properties."""

STANDARD = b"http://ns.adobe.com/xap/1.0/\0"
"""What a JPEG segment with the packet begins with."""
EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
"""What one with a part of an extended packet begins with."""

LARGEST = 65_502
"""Bytes of a packet that one segment takes."""
_PART = 65_400
"""Bytes of an extended packet in a segment; the limit that the specification names."""
_MAX_EXTENDED = 64 * 2**20
"""Bytes; a file that says more is not believed."""

_RETURN = {"\r": "&#13;"}
"""A plain one would be read as a line feed."""
_NOTE = "http://ns.adobe.com/xmp/note/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


def packet(properties: Mapping[str, str]) -> bytes:
    """A packet with ``properties``, name to text; names are plain XML names. Characters that XML cannot hold
    become U+FFFD."""
    told = "".join(
        f"<stablenew:{name}>{escape(_allowed(text), _RETURN)}</stablenew:{name}>"
        for name, text in properties.items()
    )
    return _wrap(f'<rdf:Description rdf:about="" xmlns:stablenew="{NAMESPACE}">{told}</rdf:Description>')


def jpeg_segments(properties: Mapping[str, str]) -> list[bytes]:
    """What stands in the APP1 segments of a JPEG file: one, or several where it does not fit into one."""
    whole = packet(properties)
    if len(whole) <= LARGEST:
        return [STANDARD + whole]
    guid = hashlib.md5(whole, usedforsecurity=False).hexdigest().upper()  # as the specification wants it
    pointer = f'<rdf:Description rdf:about="" xmlns:xmpNote="{_NOTE}" xmpNote:HasExtendedXMP="{guid}"/>'
    segments = [STANDARD + _wrap(pointer)]
    for at in range(0, len(whole), _PART):
        place = guid.encode("ascii") + struct.pack(">II", len(whole), at)
        segments.append(EXTENSION + place + whole[at : at + _PART])
    return segments


def properties(data: bytes) -> dict[str, str]:
    """Our properties in a packet, written as elements or (as Adobe's programs do it) as attributes. Empty for
    what is no XML, and for XML with a document type: no packet has one."""
    return _read(data)[0]


def jpeg_properties(segments: list[bytes]) -> dict[str, str]:
    """Our properties in the APP1 segments of a JPEG file; those that are no XMP are passed over. An extended
    packet counts if it is whole and the standard one names it."""
    found: dict[str, str] = {}
    wanted = ""
    for segment in segments:
        if segment.startswith(STANDARD):
            own, guid = _read(segment[len(STANDARD) :])
            found.update(own)
            wanted = guid or wanted
    if wanted:
        found.update(properties(_extended(segments, wanted.encode("ascii", "replace"))))
    return found


def _extended(segments: list[bytes], guid: bytes) -> bytes:
    parts: dict[int, bytes] = {}
    size = 0
    begin = len(EXTENSION)
    for segment in segments:
        if segment.startswith(EXTENSION) and segment[begin : begin + 32] == guid and len(segment) >= begin + 40:
            size, at = struct.unpack_from(">II", segment, begin + 32)
            parts[at] = segment[begin + 40 :]
    whole = b"".join(part for _, part in sorted(parts.items()))
    return whole if len(whole) == size <= _MAX_EXTENDED else b""


def _wrap(description: str) -> bytes:
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">{description}</rdf:RDF></x:xmpmeta>'
        '<?xpacket end="w"?>'
    ).encode()


def _allowed(text: str) -> str:
    """``text`` with what XML 1.0 forbids replaced."""
    return "".join(
        char
        if char in "\t\n\r" or " " <= char <= "\ud7ff" or "\ue000" <= char <= "\ufffd" or char > "\uffff"
        else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )


class _Refused(Exception):
    """Not the XML of a packet."""


def _read(data: bytes) -> tuple[dict[str, str], str]:
    """Our properties, and the id of the extended packet."""
    found: dict[str, str] = {}
    guid = ""
    inside: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal guid
        for key, value in attributes.items():
            space, _, local = key.rpartition(" ")
            if space == NAMESPACE:
                found[local] = value
            elif space == _NOTE and local == "HasExtendedXMP":
                guid = value
        space, _, local = name.rpartition(" ")
        inside.append(local if space == NAMESPACE else "")
        if inside[-1]:
            found[local] = ""

    def end(_name: str) -> None:
        inside.pop()

    def text(part: str) -> None:
        if inside and inside[-1]:
            parts.setdefault(inside[-1], []).append(part)

    def refuse(*_: object) -> None:
        raise _Refused  # entities could unpack to anything

    parts: dict[str, list[str]] = {}
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text, refuse
    try:
        parser.Parse(data.strip(b"\0"), True)
    except (expat.ExpatError, _Refused, ValueError):
        return {}, ""
    return {name: "".join(parts.get(name, [value])) for name, value in found.items()}, guid
