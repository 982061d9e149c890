"""Review: a grid of images, rated by key, compared, promoted to later stages."""

from __future__ import annotations

from stablenew_plugins.desktop.models.desk import Desk
from stablenew_plugins.desktop.models.model import Model
from stablenew_plugins.desktop.models.preview import PreviewModel


class ReviewModel(Model):
    """See above."""

    def __init__(self, desk: Desk, preview: PreviewModel) -> None:
        super().__init__()
        self._desk = desk
        self._preview = preview
