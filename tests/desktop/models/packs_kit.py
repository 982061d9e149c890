"""The kernel's own code for packs, for tests of what talks to a kernel."""

from __future__ import annotations

from stablenew_kernel.domain.packs.document import Document, open_document
from stablenew_proto.v1 import packs_pb2 as pb


def apply(name: str, content: bytes, found: list[pb.PackEdit]) -> Document:
    """What the kernel does."""
    document = open_document(name, content)
    for one in found:
        kind = one.WhichOneof("edit")
        if kind == "set_row":
            row = one.set_row
            document = document.set_row(
                row.row,
                positive=row.positive if row.HasField("positive") else None,
                negative=row.negative if row.HasField("negative") else None,
            )
        elif kind == "add_row":
            document = document.add_row(one.add_row.positive, one.add_row.negative, one.add_row.at or None)
        elif kind == "remove_row":
            document = document.remove_row(one.remove_row)
        else:
            document = document.move_row(one.move_row.row, one.move_row.to)
    return document
