"""An image that is zoomed into and moved about. Several can look at the same place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.flow import text_width
from stablenew_plugins.desktop.components.textures import Picture
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.images.zoom import STEP, Part, Viewpoint
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme.tokens import NONE

STILL = 6
"""Frames without a move before the part that is to be seen is read as sharp as it is."""
GRID = 64
"""Parts are read in steps of an image's 64th, so that one read serves small moves."""
RING = 3
"""Of the frame, before scaling."""
FIRST_SIDE = 1024
"""Pixels of what is shown while a part is read."""


class ZoomView:
    """See above. The whole image is kept small; of what is zoomed into only the part that is seen is read, so
    that the largest image takes no more memory than the window has pixels."""

    def __init__(
        self, ui: Ui, tag: str, point: Viewpoint, changed: Callable[[], None], *, quiet: bool = False
    ) -> None:
        """``changed``: somebody moved ``point`` here. ``quiet``: nothing is drawn beside the image."""
        self._quiet, self._framed = quiet, False
        self._ui, self._tag, self._point, self._changed = ui, tag, point, changed
        self.width = self.height = 1
        self._size = (1.0, 1.0)
        self._path: Path | None = None
        self._seen: tuple[object, ...] = ()
        self._moved = -1
        self._still = 0
        self._held: tuple[float, float] | None = None
        with dpg.handler_registry() as self._wheel:
            dpg.add_mouse_wheel_handler(callback=lambda _s, notches, _u: self._turned(notches))

    def build(self) -> None:
        """Make it in the current container."""
        ui, c = self._ui, self._ui.colours
        with dpg.drawlist(1, 1, tag=self._tag) as self._drawing:
            self._back = dpg.draw_rectangle(
                (0, 0),
                (1, 1),
                color=NONE if self._quiet else c.line_soft,
                fill=NONE if self._quiet else c.inset,
                rounding=ui.px(8),
            )
            self._image = dpg.draw_image(ui.textures.empty, (0, 0), (1, 1), show=False)
            self._sharp = dpg.draw_image(ui.textures.empty, (0, 0), (1, 1), show=False)
            self._ring = dpg.draw_rectangle(
                (0, 0), (1, 1), color=c.accent, thickness=ui.px(RING), rounding=ui.px(4), show=False
            )
            self._words = dpg.draw_text((0, 0), "", color=c.muted, size=ui.px(13), show=False)
        dpg.bind_item_font(self._words, ui.fonts["small"])

    def place(self, width: int, height: int) -> None:
        """Give it that room."""
        if (width, height) != (self.width, self.height):
            self.width, self.height = width, height
            dpg.configure_item(self._drawing, width=width, height=height)
            dpg.configure_item(self._back, pmax=(width, height))
            self._seen = ()

    def show(self, path: Path | None, width: int, height: int) -> None:
        """Show the image at ``path``, of so many pixels (0: not known)."""
        size = (float(width or 1), float(height or 1))
        if (path, size) != (self._path, self._size):
            self._path, self._size, self._seen, self._still = path, size, (), 0

    def put_frame(self, framed: bool) -> None:
        """Draw a frame around what is seen of the image, or none."""
        self._framed = framed

    @property
    def view(self) -> tuple[float, float]:
        """Its room, as the arithmetic of zooming wants it."""
        return float(self.width), float(self.height)

    def frame(self) -> None:
        """Follow the mouse and the point. Call it in each frame."""
        self._drag()
        if self._point.revision != self._moved:
            self._moved, self._still = self._point.revision, 0
        self._still += 1
        if self._path is None:
            return
        textures = self._ui.textures
        side = min(FIRST_SIDE, max(self.width, self.height))
        whole = textures.fitted(self._path, side, side)
        part = self._point.part(self.view, self._size)
        sharp, box = self._read_part(part, whole)
        failed = bool(textures.failure(self._path))
        seen = (
            self._path,
            self._point.revision,
            None if whole is None else whole.texture,
            None if sharp is None else sharp.texture,
            failed,
            self._framed,
        )
        if seen == self._seen:
            return
        self._seen = seen
        self._draw(part, whole, sharp, box, failed)

    def _read_part(
        self, part: Part, whole: Picture | None
    ) -> tuple[Picture | None, tuple[float, float, float, float]]:
        """The part that is to be seen, sharper than in ``whole``; None where that is enough, or not yet."""
        u0, v0, u1, v1 = part.uv
        box = (
            max(0.0, (u0 * GRID // 1) / GRID),
            max(0.0, (v0 * GRID // 1) / GRID),
            min(1.0, -(-u1 * GRID // 1) / GRID),
            min(1.0, -(-v1 * GRID // 1) / GRID),
        )
        if whole is None or self._path is None:
            return None, box
        on_screen = (part.right - part.left) / max(u1 - u0, 1e-6)
        enough = whole.width >= self._size[0] - 1 or whole.width >= on_screen - 1
        if enough or self._still < STILL:
            return None, box
        # Room for the whole box at the scale of the screen, though a little of it is outside the view.
        wide = round(on_screen * (box[2] - box[0])) + 1
        high = round(on_screen * self._size[1] / self._size[0] * (box[3] - box[1])) + 1
        return self._ui.textures.region(self._path, box, wide, high), box

    def _draw(
        self,
        part: Part,
        whole: Picture | None,
        sharp: Picture | None,
        box: tuple[float, float, float, float],
        failed: bool,
    ) -> None:
        corner, end = (part.left, part.top), (part.right, part.bottom)
        u0, v0, u1, v1 = part.uv
        if whole is None:
            dpg.configure_item(self._image, show=False, texture_tag=self._ui.textures.empty)
        else:
            dpg.configure_item(
                self._image,
                texture_tag=whole.texture,
                pmin=corner,
                pmax=end,
                uv_min=(u0, v0),
                uv_max=(u1, v1),
                show=True,
            )
        if sharp is None:
            dpg.configure_item(self._sharp, show=False, texture_tag=self._ui.textures.empty)
        else:
            across, down = box[2] - box[0], box[3] - box[1]
            dpg.configure_item(
                self._sharp,
                texture_tag=sharp.texture,
                pmin=corner,
                pmax=end,
                uv_min=((u0 - box[0]) / across, (v0 - box[1]) / down),
                uv_max=((u1 - box[0]) / across, (v1 - box[1]) / down),
                show=True,
            )
        inside = self._ui.px(RING) / 2
        dpg.configure_item(
            self._ring,
            pmin=(part.left + inside, part.top + inside),
            pmax=(part.right - inside, part.bottom - inside),
            show=self._framed,
        )
        words = _("The file can't be shown; it may be gone.") if failed else _("Reading …")
        dpg.configure_item(
            self._words,
            text=words,
            show=whole is None,
            pos=((self.width - text_width(self._ui, words, "small")) / 2, self.height / 2 - self._ui.px(8)),
        )

    def _mouse(self) -> tuple[float, float]:
        mouse, corner = dpg.get_mouse_pos(local=False), dpg.get_item_rect_min(self._drawing)
        return mouse[0] - corner[0], mouse[1] - corner[1]

    def _drag(self) -> None:
        if dpg.is_mouse_button_double_clicked(dpg.mvMouseButton_Left) and self.is_hovered:
            self._point.toggle_pixels(self.view, self._size, self._mouse())
            self._changed()
        if not dpg.is_mouse_button_down(dpg.mvMouseButton_Left):
            self._held = None
            return
        x, y = self._mouse()
        if self._held is None:
            if dpg.is_item_hovered(self._drawing) and dpg.is_mouse_button_clicked(dpg.mvMouseButton_Left):
                self._held = (x, y)
            return
        dx, dy = x - self._held[0], y - self._held[1]
        if dx or dy:
            self._held = (x, y)
            self._point.pan(dx, dy, self.view, self._size)
            self._changed()

    def _turned(self, notches: float) -> None:
        if dpg.is_item_hovered(self._drawing) and self._path is not None:
            self._point.zoom_by(STEP**notches, self._mouse(), self.view, self._size)
            self._changed()

    @property
    def is_hovered(self) -> bool:
        """Whether the pointer is over it."""
        return bool(dpg.is_item_hovered(self._drawing))

    def close(self) -> None:
        """Take away what is not in the container."""
        dpg.delete_item(self._wheel)
