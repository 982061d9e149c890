"""The first start: which engine makes the images, and a first run in one click."""

from __future__ import annotations

from stablenew_plugins.desktop.models.desk import Desk
from stablenew_plugins.desktop.models.model import Model
from stablenew_plugins.desktop.models.packs import PacksModel
from stablenew_plugins.desktop.models.pipeline import PipelineModel
from stablenew_plugins.desktop.models.run import RunModel
from stablenew_plugins.desktop.models.settings import SettingsModel


class StartModel(Model):
    """See above."""

    def __init__(
        self, desk: Desk, packs: PacksModel, pipeline: PipelineModel, run: RunModel, settings: SettingsModel
    ) -> None:
        super().__init__()
        self._desk = desk
        self._packs = packs
        self._pipeline = pipeline
        self._run = run
        self._settings = settings
