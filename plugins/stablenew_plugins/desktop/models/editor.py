"""The prompt editor: a row of a pack, with colours, checks and completion."""

from __future__ import annotations

from stablenew_plugins.desktop.models.desk import Desk
from stablenew_plugins.desktop.models.model import Model
from stablenew_plugins.desktop.models.packs import PacksModel
from stablenew_plugins.desktop.models.pipeline import PipelineModel


class EditorModel(Model):
    """See above."""

    def __init__(self, desk: Desk, packs: PacksModel, pipeline: PipelineModel) -> None:
        super().__init__()
        self._desk = desk
        self._packs = packs
        self._pipeline = pipeline
