"""The overlay of the first start."""

from __future__ import annotations

from collections.abc import Callable

from stablenew_plugins.desktop.components.overlay import Overlay
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.text import _


def open_start(ui: Ui, bench: Workbench) -> Callable[[], None]:
    """Lay it over the window."""
    overlay = Overlay(ui, _("Welcome"), bench.view.close, tag="start")
    return overlay.close
