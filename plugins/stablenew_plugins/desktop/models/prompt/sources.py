"""What a run is made of: a pack, or a prompt that was written in the window."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stablenew_plugins.desktop.models.prompt.quick import NAME

if TYPE_CHECKING:
    from stablenew_proto.v1 import kernel_pb2 as pb


@dataclass(frozen=True, slots=True)
class Source:
    """One of them."""

    path: Path
    """Of the pack; for a written prompt only what it is called."""
    written: bytes | None = None
    """A pack by content; None: it is the file."""

    @property
    def key(self) -> str:
        """What it is known by: the ``pack_path`` of its requests."""
        return str(self.path) if self.written is None else ""

    @property
    def title(self) -> str:
        """Its name without the ending."""
        return self.path.stem

    def request(self) -> pb.RunRequest:
        """A run of it, without any further option. Reads files; raises UserError for one that it can't read."""
        from stablenew_proto.v1 import kernel_pb2 as pb

        if self.written is not None:
            return pb.RunRequest(pack_name=NAME, pack=self.written)
        from stablenew_client.packfiles import read_pack, request_of

        request = request_of(read_pack(str(self.path)))
        request.pack_path = str(self.path)
        return request


def written(pack: bytes) -> Source:
    """A prompt that was written here, as a pack."""
    return Source(Path(NAME), pack)
