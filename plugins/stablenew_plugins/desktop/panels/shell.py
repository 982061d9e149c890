"""The window: where each panel stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import area, within
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.core.view import TABS
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels import questions
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.panels.cluster import ClusterPanel
from stablenew_plugins.desktop.panels.commandbar import CommandBar
from stablenew_plugins.desktop.panels.images.compare import ComparePanel
from stablenew_plugins.desktop.panels.images.learning import LearningPanel
from stablenew_plugins.desktop.panels.images.liked import LikedPanel
from stablenew_plugins.desktop.panels.images.preview import PreviewPanel
from stablenew_plugins.desktop.panels.images.promote import PromotePanel
from stablenew_plugins.desktop.panels.images.viewer import ViewerPanel
from stablenew_plugins.desktop.panels.packs.editor import EditorPanel
from stablenew_plugins.desktop.panels.packs.packdialogs import PackListsOverlay, import_packs, new_pack
from stablenew_plugins.desktop.panels.packs.sidebar import SidebarPanel
from stablenew_plugins.desktop.panels.pipeline.comparing import DiffOverlay, ExplainOverlay
from stablenew_plugins.desktop.panels.pipeline.pipeline import PipelinePanel
from stablenew_plugins.desktop.panels.pipeline.presets import PresetsOverlay, SaveOverlay
from stablenew_plugins.desktop.panels.pipeline.taking import TakeOverlay
from stablenew_plugins.desktop.panels.prompt.prompt import PromptPanel
from stablenew_plugins.desktop.panels.queue.queue import QueuePanel
from stablenew_plugins.desktop.panels.settings import open_settings
from stablenew_plugins.desktop.panels.start import open_start
from stablenew_plugins.desktop.panels.statusbar import StatusBar
from stablenew_plugins.desktop.panels.toasts import ToastsPanel
from stablenew_plugins.desktop.theme.tokens import BAR_HEIGHT, FOOT_HEIGHT, NONE

SPLITTER = 6
"""Width of the line between two panels that is dragged."""
LEAST_CENTRE = 560
"""Width that the centre keeps; for it first the preview goes, then the packs."""
TAB_PANELS: Mapping[str, Callable[[Ui, Workbench], Panel]] = {
    "prompt": PromptPanel,
    "pipeline": PipelinePanel,
    "queue": QueuePanel,
    "cluster": ClusterPanel,
    "learning": LearningPanel,
}
OVERLAYS: Mapping[str, Callable[[Ui, Workbench], Callable[[], None] | Panel]] = {
    "editor": EditorPanel,
    "newpack": new_pack,
    "import": import_packs,
    "packlists": PackListsOverlay,
    "settings": open_settings,
    "start": open_start,
    "close": questions.close_question,
    "question": questions.run_question,
    "shortcuts": questions.shortcut_help,
    "viewer": ViewerPanel,
    "compare": ComparePanel,
    "liked": LikedPanel,
    "promote": PromotePanel,
    "preset_save": SaveOverlay,
    "preset_diff": DiffOverlay,
    "explain": ExplainOverlay,
    "apply_image": TakeOverlay,
    "presets": PresetsOverlay,
}
"""By name; what is called returns what closes it, or a panel with ``close`` that is kept up to date."""


class Shell:
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        self._ui, self._bench = ui, bench
        self._bar, self._foot = CommandBar(ui, bench), StatusBar(ui, bench)
        self._sidebar, self._preview = SidebarPanel(ui, bench), PreviewPanel(ui, bench)
        self._toasts = ToastsPanel(ui, bench)
        self._tabs: dict[str, Panel] = {}
        """Those that are complete."""
        self._begun: dict[str, tuple[Panel, Iterator[None]]] = {}
        """Those that are being made, and what goes on making them."""
        self._rooms: dict[Panel, tuple[int, int]] = {}
        """Width and height that each had the last time."""
        self._areas: dict[str, Item] = {}
        self._overlay: Callable[[], None] | Panel | None = None
        self._overlay_name = ""
        self._arranged: tuple[int, ...] = ()
        """What :meth:`_place_all` was done for."""
        self._seen = -1
        self._drag_from: tuple[float, float] | None = None

    def build(self) -> None:
        """Make the window. Tabs are made when they are first looked at, over some frames."""
        ui, c = self._ui, self._ui.colours
        with dpg.window(tag="main", no_scrollbar=True, no_scroll_with_mouse=True):
            with area(ui, c.rail, tag="area.bar", height=ui.px(BAR_HEIGHT), pos=(0, 0), no_scrollbar=True):
                self._bar.build()
            with area(ui, c.rail, tag="area.sidebar", no_scrollbar=True):
                self._sidebar.build()
            with area(ui, NONE, tag="area.centre", no_scrollbar=True, no_scroll_with_mouse=True):
                for tab in TABS:
                    with area(ui, NONE, tag=f"area.{tab}", show=False, pos=(0, 0)) as item:
                        self._areas[tab] = item
            with area(ui, c.rail, tag="area.preview", no_scrollbar=True):
                self._preview.build()
            for side in ("sidebar", "preview"):
                handle = dpg.add_button(tag=f"splitter.{side}", width=ui.px(SPLITTER), height=10)
                colours = {"Button": NONE, "ButtonHovered": c.accent_soft, "ButtonActive": c.accent_line}
                dpg.bind_item_theme(
                    handle,
                    ui.themes.theme({**colours, "Border": NONE}, {"FrameRounding": 0}, dpg.mvButton),
                )
            with area(ui, c.foot, tag="area.foot", height=ui.px(FOOT_HEIGHT), no_scrollbar=True):
                self._foot.build()
        self._toasts.build()
        self.lay_out()
        self._ui.later(self._lay_out_anew)  # the width of the buttons is known behind the first frame

    # --- arrangement ----------------------------------------------------------------------------------------

    def lay_out(self) -> None:
        """Give every part its place in a window of this size."""
        ui, view = self._ui, self._bench.view
        width, height = dpg.get_viewport_client_width(), dpg.get_viewport_client_height()
        middle = max(height - ui.px(BAR_HEIGHT) - ui.px(FOOT_HEIGHT), 1)
        left = ui.px(view.sidebar) if view.sidebar_shown else 0
        right = ui.px(view.preview) if view.preview_shown else 0
        least = ui.px(LEAST_CENTRE)
        if width - left - right < least:
            right = 0
        if width - left < least:
            left = 0
        # A line lies beside the panels, not over them: those would take the pointer from it.
        line = ui.px(SPLITTER)
        before, behind = (line if left else 0), (line if right else 0)
        centre = width - left - right - before - behind
        if (arranged := (width, height, left, right)) != self._arranged:
            self._arranged = arranged
            self._place_all(width, height, left, right, before, behind)
        rooms = [(self._sidebar, left, middle), (self._preview, right, middle)]
        if (tab := self._tabs.get(view.tab)) is not None:  # the others when they come to the front
            rooms.append((tab, centre, middle))
        for panel, wide, high in rooms:
            if self._rooms.get(panel) != (wide, high):
                self._rooms[panel] = (wide, high)
                panel.resized()

    def _place_all(self, width: int, height: int, left: int, right: int, before: int, behind: int) -> None:
        """Place the parts. ``left`` and ``right`` are the widths of the sides, the last two those of the lines
        that are dragged."""
        ui = self._ui
        top, foot = ui.px(BAR_HEIGHT), ui.px(FOOT_HEIGHT)
        middle, centre = max(height - top - foot, 1), width - left - right - before - behind
        self._place("area.bar", 0, 0, width, top)
        self._place("area.sidebar", 0, top, left, middle)
        self._place("area.centre", left + before, top, centre, middle)
        self._place("area.preview", width - right, top, right, middle)
        self._place("splitter.sidebar", left, top, before, middle)
        self._place("splitter.preview", width - right - behind, top, behind, middle)
        self._place("area.foot", 0, height - foot, width, foot)
        for item in self._areas.values():
            dpg.configure_item(item, width=centre, height=middle)
        self._bar.lay_out(width, left + ui.px(20))
        self._foot.lay_out(width)

    def _lay_out_anew(self) -> None:
        self._rooms.clear()
        self._arranged = ()
        self.lay_out()

    def _place(self, item: str, x: int, y: int, width: int, height: int) -> None:
        dpg.configure_item(item, show=width > 0, pos=(x, y), width=max(width, 1), height=max(height, 1))

    def _drag(self) -> None:
        """Follow a line that is being dragged."""
        view, scale = self._bench.view, self._ui.scale
        for side in ("sidebar", "preview"):
            if not dpg.is_item_active(f"splitter.{side}"):
                continue
            at = dpg.get_mouse_pos(local=False)[0] / scale
            if self._drag_from is None:
                self._drag_from = (at, view.sidebar if side == "sidebar" else view.preview)
            moved = at - self._drag_from[0]
            if side == "sidebar":
                view.size_sidebar(self._drag_from[1] + moved)
            else:
                view.size_preview(self._drag_from[1] - moved)
            return
        self._drag_from = None

    # --- frames ---------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Bring what is to be seen up to date. Called each frame. To make an overlay takes long: all else waits
        for the frame after that."""
        view = self._bench.view
        self._drag()
        if self._bench.run.question is not None and view.overlay != "question":
            view.open("question")
        is_other_view = view.revision != self._seen
        if is_other_view:
            self._seen = view.revision
            self._show_tab(view.tab)
            self.lay_out()
        if view.overlay != self._overlay_name:
            self._show_overlay(view.overlay)
            return
        self._bar.refresh()
        self._foot.refresh()
        for panel, item in ((self._sidebar, "area.sidebar"), (self._preview, "area.preview")):
            if dpg.is_item_shown(item):
                panel.refresh()
        if view.tab in self._tabs:
            self._tabs[view.tab].refresh()
        elif not is_other_view:  # which tab it is, is to be seen at once
            self._go_on_making(view.tab)
        if isinstance(self._overlay, Panel):
            self._overlay.refresh()
        self._toasts.refresh()

    def _show_tab(self, tab: str) -> None:
        for name, item in self._areas.items():
            dpg.configure_item(item, show=name == tab and tab in self._tabs)

    def _go_on_making(self, tab: str) -> None:
        """Make a piece of a tab; show it when it is complete."""
        if tab not in self._begun:
            panel = TAB_PANELS[tab](self._ui, self._bench)
            self._begun[tab] = panel, self._make(tab, panel)
        panel, pieces = self._begun[tab]
        if next(pieces, self) is not self:
            return
        del self._begun[tab]
        self._tabs[tab] = panel
        self.lay_out()
        panel.refresh()
        dpg.configure_item(self._areas[tab], show=True)

    def _make(self, tab: str, panel: Panel) -> Iterator[None]:
        within(self._areas[tab], panel.build)
        yield
        for piece in panel.pieces():
            within(self._areas[tab], piece)
            yield

    def _show_overlay(self, name: str) -> None:
        if name == self._overlay_name:
            return
        self._close_overlay()
        self._overlay_name = name
        if name:
            self._overlay = OVERLAYS[name](self._ui, self._bench)

    def _close_overlay(self) -> None:
        overlay, self._overlay = self._overlay, None
        if isinstance(overlay, Panel):
            overlay.close()
        elif overlay is not None:
            overlay()

    def close(self) -> None:
        """Take the window away."""
        self._close_overlay()
        self._toasts.close()
        begun = (panel for panel, _pieces in self._begun.values())
        for panel in (self._sidebar, self._preview, *self._tabs.values(), *begun):
            panel.close()
        dpg.delete_item("main")
