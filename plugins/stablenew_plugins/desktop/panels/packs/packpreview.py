"""What is in the pack that is looked at: its rows one by one, with what varies in them and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    area,
    button,
    column,
    icon_button,
    row,
    set_text,
    show_column,
    style_card,
    text,
)
from stablenew_plugins.desktop.components.fit import broken, width_of
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.packs.packinfo import in_words
from stablenew_plugins.desktop.models.packs.packs import PacksModel
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.fonts import size_of
from stablenew_plugins.desktop.theme.tokens import CHIP_PADDING

if TYPE_CHECKING:
    from stablenew_proto.v1 import packs_pb2 as pb

HEIGHT = 250
"""Before scaling, with its heading and buttons, at most."""
LEAST_CARD = 74
"""Height of the card, before scaling, however little stands in it."""
BARE = 46
"""Without the card: the buttons alone."""
ABOVE = 36
"""Heading and gap above and below the card."""
PAD = 12


class PackPreview:
    """In the current container."""

    def __init__(self, ui: Ui, model: PacksModel) -> None:
        self._ui, self._model = ui, model
        self._width = self._needed = 0
        self._measured: object = None
        self._shown: tuple[object, ...] = ()
        c = ui.colours
        with area(ui, tag="sidebar.preview", no_scrollbar=True, no_scroll_with_mouse=True) as self.item:
            self._title = text(ui, _("PACK PREVIEW"), "micro", c.faint, pos=(0, ui.px(8)))
            with row(ui, 2, pos=(0, 0)) as self._pager:
                self._turn(icons.CHEVRON_LEFT, -1, _("Row before (Alt+Left)"), "sidebar.row.before")
                self._place = text(ui, "", "small", c.muted, tag="sidebar.row", beside_frame=26)
                self._turn(icons.CHEVRON_RIGHT, 1, _("Row behind (Alt+Right)"), "sidebar.row.behind")
            with dpg.child_window(
                border=True, always_use_window_padding=True, pos=(0, ui.px(30)), tag="sidebar.row.card"
            ) as self._card:
                style_card(ui, self._card, c.inset, c.line_soft, 10, PAD)
                with column(ui, 8):
                    self._positive = text(ui, "", "small", c.text, wrap=1, tag="sidebar.row.text")
                    self._negative = text(ui, "", "small", c.faint, wrap=1)
                    with column(ui, 6) as self._chips:
                        pass
                    self._problems = text(ui, "", "small", c.amber, wrap=1, tag="sidebar.row.problems")
            with row(ui, 8, pos=(0, 0)) as self._buttons:
                self._edit = button(
                    ui,
                    _("Edit pack"),
                    model.edit,
                    icon=icons.PENCIL,
                    height=34,
                    tag="sidebar.edit",
                    tip=_("Edit the prompts of this pack (Ctrl+E)"),
                )
                self._import = button(
                    ui,
                    _("Import"),
                    lambda: model.open("import"),
                    icon=icons.UPLOAD,
                    height=34,
                    tag="sidebar.import",
                    tip=_("Bring a pack or a folder of packs (Ctrl+O)"),
                )
                icon_button(
                    ui,
                    icons.FOLDER_OPEN,
                    model.reveal,
                    _("Show in the file manager"),
                    "soft",
                    tag="sidebar.reveal",
                )

    def _turn(self, icon: str, steps: int, tip: str, tag: str) -> None:
        act = partial(self._model.turn, steps)
        button(
            self._ui, "", act, "ghost", icon=icon, font="small_medium", width=27, height=27, tip=tip, tag=tag
        )

    def wanted(self, width: int) -> int:
        """Pixels of height, at most :data:`HEIGHT`, in which the longest row of the pack has room: it stays the
        same while one turns from row to row."""
        ui, look = self._ui, self._model.look
        if look is not None and (look is not self._measured or width != self._width):
            self._measured = look
            self._needed = max((self._height_of(one, width) for one in look.rows), default=0)
        card = min(max(self._needed, ui.px(LEAST_CARD)), ui.px(HEIGHT - BARE - ABOVE))
        return card + ui.px(BARE + ABOVE)

    def _height_of(self, one: pb.PackRow, width: int) -> int:
        """Pixels of the card with this row in it."""
        ui = self._ui
        line, gap, room = size_of("small"), 8, width - ui.px(40)
        lines = broken(ui, one.positive, "small", room).count("\n") + 1
        parts = [lines * line]
        if one.negative:
            parts.append((broken(ui, self._without(one), "small", room).count("\n") + 1) * line)
        if chips := self._chip_lines(one, width):
            parts.append(len(chips) * (line + 2 * CHIP_PADDING) + (len(chips) - 1) * 6)
        if problems := self._problems_of(one):
            parts.append(
                sum(broken(ui, in_words(one), "small", room - line).count("\n") + 1 for one in problems) * line
            )
        return ui.px(sum(parts) + gap * (len(parts) - 1) + 2 * PAD + 2)

    def resize(self, width: int, height: int) -> None:
        """Take so many pixels; with little height only the buttons stay."""
        ui = self._ui
        self._width = width
        dpg.configure_item(self.item, width=width, height=height)
        roomy = height > ui.px(BARE + 60)
        for item in (self._title, self._pager, self._card):
            dpg.configure_item(item, show=roomy)
        foot = height - ui.px(BARE)
        dpg.configure_item(self._card, width=width, height=max(foot - ui.px(30) - ui.px(6), 1))
        dpg.set_item_pos(self._buttons, [0, foot + ui.px(2)])
        wide = (width - ui.px(34) - 2 * ui.px(8)) // 2
        for button_item in (self._edit, self._import):
            dpg.configure_item(button_item, width=wide)
        for item in (self._positive, self._negative, self._problems):
            dpg.configure_item(item, wrap=width - ui.px(38))
        self._shown = ()
        self.apply()

    def apply(self) -> None:
        """Show the row."""
        model, c = self._model, self._ui.colours
        dpg.configure_item(self._edit, enabled=model.current is not None)
        look = model.look
        shown = (model.current, model.row, look, model.can_read)
        if shown == self._shown:
            return
        self._shown = shown
        rows = look.rows if look is not None else ()
        one = rows[model.row] if model.row < len(rows) else None
        total = look.row_count if look is not None else 0
        set_text(self._place, f"{one.number:,} / {total:,}" if one is not None else "")
        dpg.configure_item(self._pager, show=total > 1 and dpg.is_item_shown(self._card))
        self._ui.later(self._place_pager)
        if one is not None:
            room = self._width - self._ui.px(40)
            set_text(self._positive, broken(self._ui, one.positive, "small", room), c.text)
            negative = self._without(one) if one.negative else ""
            set_text(self._negative, broken(self._ui, negative, "small", room))
        else:
            set_text(self._positive, self._why_nothing(), c.faint)
            set_text(self._negative, "")
        dpg.configure_item(self._negative, show=bool(one is not None and one.negative))
        self._show_chips(one)
        self._show_problems(one)
        dpg.set_y_scroll(self._card, 0)

    def _why_nothing(self) -> str:
        model = self._model
        if model.current is None:
            return _("Click a pack to see its prompts here.")
        if not model.can_read:
            return _("The prompts are shown when the kernel answers.")
        return _("Reading …") if model.look is None else _("There is no prompt in it that can be read.")

    def _place_pager(self) -> None:
        if dpg.does_item_exist(self._pager):
            wide = dpg.get_item_rect_size(self._pager)[0]
            dpg.set_item_pos(self._pager, [max(0, self._width - wide), 0])

    @staticmethod
    def _without(one: pb.PackRow) -> str:
        return _("not:  {text}").format(text=one.negative)

    def _chip_lines(self, one: pb.PackRow | None, width: int) -> list[list[str]]:
        """What varies in the row, each with the number of its options, in lines."""
        ui, look = self._ui, self._model.look
        slots = [slot for slot in look.slots if one.number in slot.rows] if look is not None and one else []
        room = width - ui.px(38)
        lines: list[list[str]] = [[]]
        used = 0.0
        for slot in slots:
            name = {"slot": f"[[{slot.name}]]"}.get(slot.kind, slot.name)
            label = f"{name if len(name) <= 24 else name[:23] + '…'}  {slot.option_count:,}"
            wide = width_of(ui, label, "small") + ui.px(30)
            if lines[-1] and used + wide > room:
                lines.append([])
                used = 0.0
            lines[-1].append(label)
            used += wide
        return [line for line in lines if line]

    def _show_chips(self, one: pb.PackRow | None) -> None:
        ui = self._ui
        dpg.delete_item(self._chips, children_only=True)
        lines = self._chip_lines(one, self._width)
        show_column(self._chips, bool(lines))
        dpg.push_container_stack(self._chips)
        try:
            for line in lines:
                with row(ui, 6):
                    for label in line:
                        button(ui, label, self._model.edit, "chip", font="small")
        finally:
            dpg.pop_container_stack()

    def _problems_of(self, one: pb.PackRow | None) -> Sequence[pb.PackProblem]:
        look, number = self._model.look, one.number if one is not None else 0
        return [p for p in look.problems if p.row == number or not p.row][:4] if look is not None else []

    def _show_problems(self, one: pb.PackRow | None) -> None:
        c, found = self._ui.colours, self._problems_of(one)
        worst = any(problem.severity == "error" for problem in found)
        mark = icons.OCTAGON_ALERT if worst else icons.TRIANGLE_ALERT
        lines = [f"{mark}  {in_words(problem)}" for problem in found]
        set_text(self._problems, "\n".join(lines), c.red if worst else c.amber)
        dpg.configure_item(self._problems, show=bool(lines))
