"""What all panels have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.core.model import Model


class Panel(ABC):
    """A part of the window that draws view-models. Made anew when the theme or the scale changes, so it keeps
    nothing that a model should know."""

    def __init__(self, ui: Ui, *models: Model) -> None:
        """``models``: a change of any of them calls :meth:`apply`."""
        self.ui = ui
        self._models: Sequence[Model] = models
        self._seen: tuple[int, ...] = ()

    @abstractmethod
    def build(self) -> None:
        """Make the items, in the container that is current. Called once. What takes long is left to
        :meth:`pieces`."""

    def pieces(self) -> Sequence[Callable[[], None]]:
        """What makes the rest of the items, in the same container, each in a frame of its own. The panel is
        shown, and called otherwise, behind the last of them. Of a tab only."""
        return ()

    @abstractmethod
    def apply(self) -> None:
        """Bring the items in line with the models. Must be cheap where little has changed: it is called in the
        frame after each change, while the panel is to be seen."""

    def frame(self) -> None:  # noqa: B027
        """What has to be done in each frame while the panel is to be seen, such as following a scroll bar."""

    def refresh(self) -> None:
        """Called in each frame while the panel is to be seen."""
        seen = tuple(model.revision for model in self._models)
        if seen != self._seen:
            self._seen = seen
            self.apply()
        self.frame()

    def resized(self) -> None:  # noqa: B027
        """The room for the panel has another size."""

    def close(self) -> None:  # noqa: B027
        """Take away what is not inside the panel's container: windows, registries."""
