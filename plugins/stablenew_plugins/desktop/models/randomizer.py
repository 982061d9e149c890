"""The randomizer: slots of the selected packs, their modes and values, how many variants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stablenew_plugins.desktop.models.desk import Desk
from stablenew_plugins.desktop.models.model import Model
from stablenew_plugins.desktop.models.packs import PacksModel
from stablenew_plugins.desktop.models.pipeline import PipelineModel

if TYPE_CHECKING:
    from stablenew_proto.v1 import kernel_pb2 as pb


class RandomizerModel(Model):
    """See above."""

    def __init__(self, desk: Desk, packs: PacksModel, pipeline: PipelineModel) -> None:
        super().__init__()
        self._desk = desk
        self._packs = packs
        self._pipeline = pipeline
        self.plan_revision = 0
        """Grows when what :meth:`apply` does changed."""

    def apply(self, request: pb.RunRequest) -> None:
        """Put modes, values and the number of variants into ``request``.

        Called in another thread: reads only what is replaced as a whole."""
