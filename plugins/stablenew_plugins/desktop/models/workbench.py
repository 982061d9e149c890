"""All view-models of one window, and how they hang together."""

from __future__ import annotations

from stablenew_plugins.desktop.models.cluster import ClusterModel
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.failures import FailureNews
from stablenew_plugins.desktop.models.core.shortcuts import shortcuts
from stablenew_plugins.desktop.models.core.view import ViewModel
from stablenew_plugins.desktop.models.images.compare import CompareModel
from stablenew_plugins.desktop.models.images.learning import LearningModel
from stablenew_plugins.desktop.models.images.liked import LikedModel
from stablenew_plugins.desktop.models.images.preview import PreviewModel
from stablenew_plugins.desktop.models.images.promote import PromoteModel
from stablenew_plugins.desktop.models.images.ratings import Ratings
from stablenew_plugins.desktop.models.images.review import ReviewModel
from stablenew_plugins.desktop.models.images.viewer import ViewerModel
from stablenew_plugins.desktop.models.packs.editor import EditorModel
from stablenew_plugins.desktop.models.packs.packs import PacksModel
from stablenew_plugins.desktop.models.pipeline.pipeline import PipelineModel
from stablenew_plugins.desktop.models.pipeline.presets import PresetsModel
from stablenew_plugins.desktop.models.prompt.randomizer import RandomizerModel
from stablenew_plugins.desktop.models.prompt.variants import VariantsModel
from stablenew_plugins.desktop.models.queue.queue import QueueModel
from stablenew_plugins.desktop.models.queue.upnext import UpNextModel
from stablenew_plugins.desktop.models.run import RunModel
from stablenew_plugins.desktop.models.settings import SettingsModel
from stablenew_plugins.desktop.models.start import StartModel
from stablenew_plugins.desktop.models.status import StatusModel


class Workbench:
    """The models, each made with those it needs. ``tick`` once a frame."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.state, self.toasts = desk.state, desk.toasts
        self.view = ViewModel(desk)
        self.packs = PacksModel(desk)
        self.pipeline = PipelineModel(desk)
        self.presets = PresetsModel(desk, self.pipeline)
        self.pipeline.on_taken = lambda: self.view.open("apply_image")
        self.presets.open_overlay = self.view.open
        self.randomizer = RandomizerModel(desk, self.packs, self.pipeline)
        self.run = RunModel(desk, self.packs, self.pipeline, self.randomizer)
        self.editor = EditorModel(desk, self.packs, self.pipeline, self.randomizer)
        self.variants = VariantsModel(desk, self.run, self.randomizer)
        self.queue = QueueModel(desk)
        self.upnext = UpNextModel(desk)
        self.failures = FailureNews(desk, self._show_failed)
        self.cluster = ClusterModel(desk)
        self.ratings = Ratings(desk)
        self.promotion = PromoteModel(desk, self.view, self.pipeline)
        self.preview = PreviewModel(desk, self.view, self.pipeline, self.ratings, self.promotion)
        self.viewer = ViewerModel(self.view, self.ratings, self.preview)
        self.compare = CompareModel(desk, self.view, self.ratings)
        self.review = ReviewModel(
            desk, self.view, self.preview, self.ratings, self.promotion, self.viewer, self.compare
        )
        self.learning = LearningModel(desk)
        self.liked = LikedModel(desk, self.view, self.ratings, self.review)
        self.status = StatusModel(desk)
        self.settings = SettingsModel(desk)
        self.start = StartModel(desk, self.view, self.packs, self.pipeline, self.run, self.settings)
        self.packs.open = self.view.open
        self.editor.close_view = self.view.close_anyway
        self.editor.is_open = lambda: self.view.overlay == "editor"
        self.view.may_close["editor"] = self.editor.may_close
        self.status.is_stopping = lambda: bool(self.run.stopping)
        self.status.start_queue = self.run.pause.end
        self.shortcuts = shortcuts(self)

    def _show_failed(self, run_id: str) -> None:
        self.queue.show_failed(run_id)
        self.view.show_tab("queue")

    def tick(self) -> None:
        """Let time pass: what waits for a moment of quiet, what goes away by itself."""
        self.toasts.tick()
        for model in (
            self.packs,
            self.pipeline,
            self.presets,
            self.randomizer,
            self.run,
            self.variants,
            self.editor,
            self.queue,
            self.upnext,
            self.cluster,
            self.ratings,
            self.promotion,
            self.preview,
            self.viewer,
            self.compare,
            self.review,
            self.liked,
            self.status,
            self.settings,
            self.start,
        ):
            model.tick()
