"""The first start: which engine makes the images, and a first run in one click."""

from __future__ import annotations

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.core.view import ViewModel
from stablenew_plugins.desktop.models.packs.packs import PacksModel
from stablenew_plugins.desktop.models.pipeline.pipeline import PipelineModel
from stablenew_plugins.desktop.models.run import RunModel
from stablenew_plugins.desktop.models.settings import Server, SettingsModel

SEEN = "welcomed"
"""Remembered once a person has been here."""


class StartModel(Model):
    """See above. ``choice`` is the server that is chosen; None: the embedded engine."""

    def __init__(
        self,
        desk: Desk,
        view: ViewModel,
        packs: PacksModel,
        pipeline: PipelineModel,
        run: RunModel,
        settings: SettingsModel,
    ) -> None:
        super().__init__()
        self._desk, self._view = desk, view
        self._packs, self._pipeline, self._run, self._settings = packs, pipeline, run, settings
        self.choice: Server | None = None
        self._seen = -1
        self._demo_waits = False
        desk.state.on_connected.append(self._welcome)

    def _welcome(self) -> None:
        if self._desk.remembered.get(SEEN, False):
            return
        self._view.open("start")
        self._settings.look()

    def tick(self) -> None:
        """Choose the first usable server that is found; run the demo once its pack is there."""
        if self._settings.revision != self._seen:
            self._seen = self._settings.revision
            usable = [server for server in self._settings.servers if server.usable]
            if self.choice is None and usable and not self._desk.remembered.get(SEEN, False):
                self.choice = usable[0]
            self.touch()
        if self._demo_waits and self._run.can_run and not self._run.is_planning:
            self._demo_waits = False
            self._run.run()

    def choose(self, server: Server | None) -> None:
        """Choose what makes the images; None: the embedded engine."""
        self.choice = server
        self.touch()

    def begin(self, *, demo: bool) -> None:
        """Use what is chosen, and close; ``demo``: and run the example pack."""
        self._desk.remembered.set(SEEN, True)
        if self.choice is not None:
            self._settings.use(self.choice)
        self._view.close()
        if demo:
            self._packs.add_examples()
            self._demo_waits = True

    def later(self) -> None:
        """Close, and do not come again."""
        self._desk.remembered.set(SEEN, True)
        self._view.close()
