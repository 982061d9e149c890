"""The pipeline: a preset, what differs from it, and the stage cards made of each stage's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stablenew_plugins.desktop.models.desk import Desk
from stablenew_plugins.desktop.models.model import Model

if TYPE_CHECKING:
    from stablenew_proto.v1 import kernel_pb2 as pb


class PipelineModel(Model):
    """See above."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.plan_revision = 0
        """Grows when what :meth:`apply` does changed."""

    def apply(self, request: pb.RunRequest) -> None:
        """Put preset and changed settings into ``request``.

        Called in another thread: reads only what is replaced as a whole."""
