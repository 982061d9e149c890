"""Who this agent is: ``node.json`` in its state folder.

``node_id`` is drawn once and stays. ``epoch`` counts dials: it is raised and on disk *before* each Hello, so
that no two streams of this node, whether of this process or of one before a crash, ever share a number, and the
kernel can tell a late Hello of a dead connection from a new one.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path

from stablenew_api.errors import UserError
from stablenew_api.files import write_atomic


class Identity:
    """The node id and the epoch counter of one state folder. Blocking: one small synced write a dial."""

    def __init__(self, path: Path) -> None:
        """Read ``path``, or draw an id and write it. Raises UserError when the file cannot be read or written:
        going on with a new id would leave the kernel with a ghost that holds our leases."""
        self._path = path
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            self.node_id = str(uuid.UUID(data["node_id"]))
            self.epoch = int(data["epoch"])
        except FileNotFoundError:
            self.node_id = str(uuid.uuid4())
            self.epoch = 0
            self._write(self.epoch)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}: cannot be read ({error}); restore it, or remove it to become a new node"
            ) from error

    def next_epoch(self) -> int:
        """The number of the next dial. It is on disk when this returns. Raises UserError."""
        self._write(self.epoch + 1)
        self.epoch += 1
        return self.epoch

    def _write(self, epoch: int) -> None:
        text = json.dumps({"node_id": self.node_id, "epoch": epoch}) + "\n"
        try:
            write_atomic(self._path, text.encode("utf-8"))
        except OSError as error:
            raise UserError(
                f"{self._path}: cannot be written ({error.strerror}); free some space there or choose another "
                "folder with --state"
            ) from error
