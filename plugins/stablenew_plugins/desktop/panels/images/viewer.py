"""One image, as large as the window."""

from __future__ import annotations

from pathlib import Path

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import Stars, button, icon_button, row, set_text, space, text
from stablenew_plugins.desktop.components.flow import shortened, text_width
from stablenew_plugins.desktop.components.overlay import MARGIN, Overlay
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.components.zoom import ZoomView
from stablenew_plugins.desktop.models.images.zoom import STEP
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons

HEAD, FOOT = 74, 48
"""Heights above and below the image, before scaling."""
PADDING = 22


class ViewerPanel(Panel):
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.viewer)
        self._viewer, self._bench = bench.viewer, bench
        self._zoom = ZoomView(ui, "viewer.image", bench.viewer.point, bench.viewer.touch)
        self.build()

    def build(self) -> None:
        """Make the window over the window."""
        ui, viewer = self.ui, self._viewer
        room = dpg.get_viewport_client_width(), dpg.get_viewport_client_height()
        margin = 2 * ui.px(MARGIN)
        whole = room[1] - margin
        self._overlay = Overlay(
            ui,
            _("Image"),
            self._bench.view.close,
            width=(room[0] - margin) / ui.scale,
            height=whole / ui.scale,
            tag="viewer",
        )
        self._inner = self._overlay.width - 2 * ui.px(PADDING)
        height = whole - ui.px(HEAD + FOOT)
        with self._overlay:
            dpg.configure_item(self._overlay.item, no_scrollbar=True, no_scroll_with_mouse=True)
            self._zoom.build()
            self._zoom.place(self._inner, height)
            viewer.room = self._zoom.view
            with row(ui, 6):
                icon_button(
                    ui, icons.ARROW_LEFT, lambda: viewer.step(-1), _("Image before (Left)"), tag="viewer.back"
                )
                icon_button(
                    ui, icons.ARROW_RIGHT, lambda: viewer.step(1), _("Next image (Right)"), tag="viewer.next"
                )
                self._place = text(ui, "", "small", ui.colours.muted, beside_frame=True, tag="viewer.place")
                self._left = space(ui, 0, 20)
                self._stars = Stars(ui, viewer.rate, "viewer.star")
                self._right = space(ui, 0, 20)
                self._percent = text(ui, "", "small", ui.colours.muted, beside_frame=True, tag="viewer.percent")
                icon_button(
                    ui,
                    icons.ZOOM_OUT,
                    lambda: viewer.zoom_by(1 / STEP),
                    _("Further away (-)"),
                    tag="viewer.out",
                )
                icon_button(ui, icons.ZOOM_IN, lambda: viewer.zoom_by(STEP), _("Closer (+)"), tag="viewer.in")
                button(ui, _("Fit"), viewer.fit, "ghost", tip=_("All of it (F)"), tag="viewer.fit")
                button(
                    ui, "1:1", viewer.toggle_pixels, "ghost", tip=_("Pixel by pixel (Z)"), tag="viewer.pixels"
                )
        # The title is the prompt, which changes with the image: it takes the place of the one of the overlay.
        dpg.push_container_stack(self._overlay.item)
        try:
            self._title = text(ui, "", "medium", pos=(ui.px(PADDING + 74), ui.px(25)))
        finally:
            dpg.pop_container_stack()

    def apply(self) -> None:
        """Bring it up to date."""
        ui, viewer = self.ui, self._viewer
        image = viewer.image
        if image is None:
            return
        self._zoom.show(Path(image.path), image.width, image.height)
        prompt = image.prompt or Path(image.path).name
        set_text(self._title, shortened(ui, prompt, self._inner - ui.px(150), "medium"))
        place = viewer.album.place if viewer.album is not None else ""
        set_text(self._place, place)
        stars = viewer.ratings.of(image).stars
        if stars != self._stars.stars:
            self._stars.show(stars)
        size = f"{image.width} × {image.height}  ·  " if image.width else ""
        percent = f"{size}{viewer.percent} %"
        set_text(self._percent, percent)
        middle = (self._inner - 5 * ui.px(32) - 4 * ui.px(2)) // 2
        left = 2 * (ui.px(34) + ui.px(6)) + text_width(ui, place, "small") + 2 * ui.px(6)
        dpg.configure_item(self._left, width=max(1, middle - left))
        fit = text_width(ui, _("Fit"), "medium") + text_width(ui, "1:1", "medium") + 4 * ui.px(10)
        right = text_width(ui, percent, "small") + 2 * ui.px(34) + fit + 6 * ui.px(6)
        dpg.configure_item(self._right, width=max(1, middle - right))

    def frame(self) -> None:
        """Follow mouse and keys."""
        self._zoom.frame()

    def close(self) -> None:
        """Take it away."""
        self._zoom.close()
        self._overlay.close()
