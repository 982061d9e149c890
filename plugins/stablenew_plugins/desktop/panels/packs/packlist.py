"""The list of packs: as many rows as fit, however many packs there are."""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import column, scroll_into_sight, set_text, text
from stablenew_plugins.desktop.components.fit import fit, width_of
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.packs.packinfo import PackEntry
from stablenew_plugins.desktop.models.packs.packs import PacksModel
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import NONE, Colour, Palette, tint

HEIGHT, GAP = 58, 4
"""Of a row, before scaling."""

FACES = (
    icons.SPARKLES,
    icons.SUN,
    icons.PALETTE,
    icons.ACTIVITY,
    icons.SCAN_FACE,
    icons.IMAGE,
    icons.BOX,
    icons.ZAP,
    icons.FLAME,
    icons.MOON,
    icons.APERTURE,
    icons.FILM,
    icons.PEN,
    icons.LAYERS,
    icons.WIND,
    icons.HEART,
)


def face_of(name: str, colours: Palette) -> tuple[str, Colour]:
    """Icon and colour of a pack: always the same for its name."""
    number = crc32(name.lower().encode("utf-8"))
    tones = (colours.accent, colours.amber, colours.green, colours.cyan, colours.pink, colours.red)
    return FACES[number % len(FACES)], tones[number // len(FACES) % len(tones)]


class PackRow:
    """One row: drawn once, then given to whichever pack is to be seen in its place."""

    def __init__(self, ui: Ui, model: PacksModel, number: int, width: int) -> None:
        """In the current container. ``width`` in pixels."""
        self._ui, self._model = ui, model
        self.path: Path | None = None
        self._width, self._hovered, self._lit = width, False, False
        self._shown: tuple[object, ...] = ()
        self._height = ui.px(HEIGHT)
        c, tile = ui.colours, ui.px(36)
        self._top = (self._height - tile) // 2
        # A drawing takes no tooltip: the group around it does.
        self.item = dpg.add_group()
        self._drawing = f"sidebar.pack.{number}"
        with dpg.drawlist(width, self._height, tag=self._drawing, parent=self.item):
            self._back = dpg.draw_rectangle(
                (0.5, 0.5), (width - 1, self._height - 1), rounding=ui.px(10), color=NONE, fill=NONE
            )
            left = ui.px(10)
            self._tile = dpg.draw_rectangle(
                (left, self._top), (left + tile, self._top + tile), rounding=ui.px(9), color=NONE, fill=NONE
            )
            self._icon = self._words((left + ui.px(8.4), self._top + ui.px(6)), "icon_large", 20)
            self._name = self._words((ui.px(58), ui.px(11)), "medium", 15)
            self._line = self._words((ui.px(58), ui.px(31)), "small", 13)
            self._mark = self._words((0, ui.px(31)), "small_medium", 13)
            box = ui.px(20)
            self._box_at = (width - ui.px(13) - box, (self._height - box) / 2)
            x, y = self._box_at
            self._box = dpg.draw_rectangle(
                (x, y), (x + box, y + box), rounding=ui.px(6), color=c.line, fill=c.inset
            )
            self._check = self._words((x + ui.px(2.4), y + ui.px(1)), "icon", 15)
        ui.on_click(self._drawing, self._clicked)
        with dpg.tooltip(self.item, delay=0.6) as tip:
            dpg.bind_item_theme(tip, ui.themes.theme({}, {"WindowPadding": (10, 8)}))
            with column(ui, 4):
                self._tip_name = text(ui, "", "small_medium", wrap=ui.px(340))
                self._tip_problems = text(ui, "", "small", c.amber, wrap=ui.px(340))
                self._tip_path = text(ui, "", "small", c.muted, wrap=ui.px(340))

    def _words(self, place: tuple[float, float], font: str, size: float) -> Item:
        item = dpg.draw_text(place, "", color=self._ui.colours.text, size=self._ui.px(size))
        dpg.bind_item_font(item, self._ui.fonts[font])
        return item

    def show(self, entry: PackEntry | None) -> None:
        """Show ``entry``; None: nothing."""
        model = self._model
        self.path = entry.path if entry is not None else None
        if entry is None:
            self._shown = ()
            dpg.configure_item(self.item, show=False)
            return
        current, selected = entry.path == model.current, model.is_selected(entry.path)
        shown = (entry.path, entry.info, current, selected, model.folder_of(entry), entry.is_current)
        if shown == self._shown:
            return
        self._shown = shown
        self._lit = current
        dpg.configure_item(self.item, show=True)
        self._show_face(entry, selected=selected, current=current)
        self._show_words(entry, current=current)
        self._show_tip(entry)
        self._paint()

    def _show_face(self, entry: PackEntry, *, selected: bool, current: bool) -> None:
        c = self._ui.colours
        icon, tone = face_of(entry.name, c)
        dpg.configure_item(self._tile, fill=tint(tone, 34), color=tint(tone, 60))
        dpg.configure_item(self._icon, text=icon, color=tone)
        dpg.configure_item(
            self._box,
            fill=tint(c.accent, 60) if selected else c.inset,
            color=c.accent_line if selected else c.faint if current else c.line,
        )
        dpg.configure_item(self._check, text=icons.CHECK if selected else "", color=c.accent_high)

    def _show_words(self, entry: PackEntry, *, current: bool) -> None:
        ui, c, info = self._ui, self._ui.colours, entry.info
        left, end = ui.px(58), self._box_at[0] - ui.px(10)
        words, colour = "", c.amber
        if info is not None and info.errors:
            words, colour = f"{icons.OCTAGON_ALERT} {info.errors:,}", c.red
        elif info is not None and info.warnings:
            words, colour = f"{icons.TRIANGLE_ALERT} {info.warnings:,}", c.amber
        room: float = end - left
        if words:
            wide = width_of(ui, words, "small_medium")
            dpg.configure_item(self._mark, pos=(end - wide, ui.px(31)), color=colour)
            room -= wide + ui.px(8)
        dpg.configure_item(self._mark, text=words)
        dpg.configure_item(self._name, text=fit(ui, entry.name, "medium", end - left))
        line = _("reading …") if info is None else info.short
        if info is None and not self._model.can_read:
            line = _("not read yet")
        if info is not None and info.errors and not info.rows:
            line = _("cannot be read")
        if folder := self._model.folder_of(entry):
            line = f"{folder}  ·  {line}"
        dpg.configure_item(self._line, text=fit(ui, line, "small", room), color=c.muted if current else c.faint)

    def _show_tip(self, entry: PackEntry) -> None:
        info = entry.info
        set_text(self._tip_name, f"{entry.name}\n{info.line}" if info is not None and info.rows else entry.name)
        set_text(self._tip_path, str(entry.path))
        more = (info.errors + info.warnings - len(info.problems)) if info is not None else 0
        lines = list(info.problems) if info is not None else []
        lines += [many("{n} more", "{n} more", more)] if more > 0 else []
        colour = self._ui.colours.red if info is not None and info.errors else self._ui.colours.amber
        set_text(self._tip_problems, "\n".join(lines), colour)
        dpg.configure_item(self._tip_problems, show=bool(lines))

    def hover(self) -> None:
        """Look whether the pointer is over it. Called each frame."""
        hovered = bool(dpg.get_item_state(self._drawing).get("hovered", False))
        if hovered != self._hovered:
            self._hovered = hovered
            self._paint()

    def _paint(self) -> None:
        c = self._ui.colours
        fill = c.accent_soft if self._lit else tint(c.muted, 22) if self._hovered else NONE
        dpg.configure_item(self._back, fill=fill, color=c.accent_line if self._lit else NONE)

    def _clicked(self) -> None:
        if self.path is None:
            return
        x = dpg.get_mouse_pos(local=False)[0] - dpg.get_item_rect_min(self._drawing)[0]
        if x >= self._box_at[0] - self._ui.px(8):
            self._model.toggle(self.path)
            return
        ctrl = dpg.is_key_down(dpg.mvKey_ModCtrl) or dpg.is_key_down(dpg.mvKey_LControl)
        shift = dpg.is_key_down(dpg.mvKey_ModShift) or dpg.is_key_down(dpg.mvKey_LShift)
        self._model.click(self.path, ctrl=ctrl, shift=shift)


class PackList:
    """The rows in their scrolling window."""

    def __init__(self, ui: Ui, model: PacksModel) -> None:
        self._ui, self._model = ui, model
        self._rows: list[PackRow] = []
        self._width = self._height = 0
        self._first = 0
        self._followed: Path | None = None
        with dpg.child_window(border=False, tag="sidebar.list") as self.item, column(ui, GAP):
            self._above = dpg.add_spacer(height=0, show=False)
            with column(ui, GAP) as self._pool:
                pass
            self._below = dpg.add_spacer(height=0, show=False)

    @property
    def _step(self) -> int:
        return self._ui.px(HEIGHT) + self._ui.px(GAP)

    def resize(self, width: int, height: int) -> None:
        """Take so many pixels."""
        dpg.configure_item(self.item, width=max(width, 1), height=max(height, 1))
        if (width, height) == (self._width, self._height):
            return
        wide = width != self._width
        self._width, self._height = width, height
        wanted = height // self._step + 3
        if wide:
            self._rows.clear()
            dpg.delete_item(self._pool, children_only=True)
        if len(self._rows) < wanted:
            dpg.push_container_stack(self._pool)
            try:
                for number in range(len(self._rows), wanted):
                    self._rows.append(PackRow(self._ui, self._model, number, width - self._ui.px(14)))
            finally:
                dpg.pop_container_stack()
        self.apply()

    def apply(self) -> None:
        """Give each row its pack."""
        shown = self._model.shown
        count = len(self._rows)
        self._first = min(self._first, max(0, len(shown) - count + 1))
        last = self._first + count
        for number, row in enumerate(self._rows, self._first):
            row.show(self._model.entries.get(shown[number]) if number < len(shown) else None)
        self._space(self._above, self._first)
        self._space(self._below, max(0, len(shown) - last))
        self._model.want(shown[self._first : last])
        if self._model.current != self._followed:
            self._followed = self._model.current
            self._ui.later(self._follow)

    def _space(self, item: Item, rows: int) -> None:
        height = rows * self._step - self._ui.px(GAP)
        dpg.configure_item(item, height=max(height, 0), show=rows > 0)

    def _follow(self) -> None:
        """Scroll to the pack that is looked at, if it is out of sight."""
        shown = self._model.shown
        if self._model.current not in shown or not dpg.does_item_exist(self.item):
            return
        top = shown.index(self._model.current) * self._step
        scroll_into_sight(self.item, top, self._step, self._height)

    def frame(self) -> None:
        """Follow the scroll bar and the pointer."""
        first = max(0, int(dpg.get_y_scroll(self.item)) // self._step - 1)
        if first != self._first and first <= max(0, len(self._model.shown) - len(self._rows) + 1):
            self._first = first
            self.apply()
        for row in self._rows:
            if row.path is not None:
                row.hover()
