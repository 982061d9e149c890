"""Protobuf messages as plain Python, for ``--json``."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message


def to_plain(message: Message) -> dict[str, Any]:
    """Every field of ``message`` by its proto name. 64-bit integers stay integers, bytes become hex.

    protobuf's own ``MessageToDict`` writes 64-bit integers as strings, which would spoil seeds for scripts.
    """
    plain: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.has_presence and not message.HasField(field.name):
            plain[field.name] = None
        elif field.message_type is not None and field.message_type.GetOptions().map_entry:
            plain[field.name] = dict(value)
        elif field.is_repeated:
            plain[field.name] = [_plain(field, item) for item in value]
        else:
            plain[field.name] = _plain(field, value)
    return plain


def _plain(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return to_plain(value)
    return value.hex() if isinstance(value, bytes) else value
