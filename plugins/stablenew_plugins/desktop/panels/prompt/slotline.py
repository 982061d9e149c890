"""A line of the randomizer: a slot, its options as chips, its mode, and the values while they are edited."""

from __future__ import annotations

from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    button,
    card,
    column,
    icon_button,
    label,
    row,
    set_text,
    text,
    tooltip,
)
from stablenew_plugins.desktop.components.fields import combo, put, text_field
from stablenew_plugins.desktop.components.flow import text_width
from stablenew_plugins.desktop.components.strip import put_at, strip
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.prompt.randomizer import AS_WRITTEN, RandomizerModel
from stablenew_plugins.desktop.models.prompt.slots import Line, mode_help, mode_title
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons

HEIGHT = 40
TOKEN, NARROW_TOKEN = 168, 112
"""Width of the first column, and where there is little room."""
NARROW = 640
MODE = 128
COUNT = 64
ACTION = 34
LONGEST_CHIP = 20
"""Letters."""


def as_written() -> str:
    """What stands for the mode that pack and preset say."""
    return _("As written")


class SlotLine:
    """See above."""

    def __init__(self, ui: Ui, randomizer: RandomizerModel, place: int, line: Line, width: int) -> None:
        self._ui, self._randomizer = ui, randomizer
        self._tag = f"randomizer.{place}"
        self._width = width
        self._first = TOKEN if width > ui.px(NARROW) else NARROW_TOKEN
        self.line = line
        self._titles: dict[str, str] = {}
        with column(ui, 4) as self.item:
            self._build()
            with dpg.group(show=False, tag=f"{self._tag}.editor") as self._editor:
                pass

    @staticmethod
    def shape(line: Line) -> tuple[object, ...]:
        """What the items are made of: while it is the same they stay."""
        return (
            line.key,
            tuple(line.options[:12]),
            line.count,
            bool(line.mode_setting or line.axis),
            bool(line.values_setting or line.axis),
        )

    # --- the line -------------------------------------------------------------------------------------------

    def _build(self) -> None:
        ui, c, line = self._ui, self._ui.colours, self.line
        with strip(ui, self._width, ui.px(HEIGHT)):
            with dpg.drawlist(self._width, 1, pos=(0, 0)):
                dpg.draw_line((0, 0), (self._width, 0), color=c.line_soft)
            token = self._randomizer.title(line)
            room = int(self._first / 7.4)
            font = "medium" if line.kind == "axis" else "mono"
            shown = text(
                ui,
                token if len(token) <= room else token[: room - 1] + "…",
                font,
                c.accent_high,
                tag=f"{self._tag}.token",
            )
            put_at(shown, 0, ui.px(13))
            tooltip(ui, shown, self._about())
            self._chips()
            right = self._width - ui.px(ACTION)
            tip = _("Let it vary no more") if line.axis else _("Take back what was changed here")
            icon = icons.X if line.axis else icons.ROTATE_CCW
            self._restore = icon_button(
                ui,
                icon,
                partial(self._randomizer.restore, line.key),
                tip,
                size=30,
                tag=f"{self._tag}.restore",
            )
            put_at(self._restore, right, ui.px(5))
            right -= ui.px(COUNT)
            count = f"× {line.count:,}" if line.count < 10_000_000 else "× …"
            number = text(ui, count, "medium", c.text if line.count else c.red)
            put_at(number, right + ui.px(6), ui.px(12))
            tooltip(ui, number, many("{n} option", "{n} options", line.count))
            right -= ui.px(MODE + 10)
            self._mode(right)

    def _mode(self, x: int) -> None:
        ui, line = self._ui, self.line
        if not (line.mode_setting or line.axis):
            words = _("part of another") if not line.mode else mode_title(line.mode)
            put_at(text(ui, words, "small", ui.colours.faint), x + ui.px(10), ui.px(13))
            self._combo = None
            return
        self._titles = {mode_title(mode): mode for mode in self._randomizer.modes}
        items = [*self._titles] if line.axis else [as_written(), *self._titles]
        self._combo = combo(ui, items, mode_title(line.mode), self._choose, width=MODE, tag=f"{self._tag}.mode")
        put_at(self._combo, x, ui.px(3))
        self._mode_tip = tooltip(ui, self._combo, mode_help(line.mode))

    def _choose(self, title: str) -> None:
        self._randomizer.choose_mode(self.line.key, self._titles.get(title, AS_WRITTEN))
        self.show(self.line)

    def _about(self) -> str:
        line = self.line
        kinds = {
            "slot": _("A slot, the same value wherever the prompt names it."),
            "wildcard": _("A wildcard: a list of values."),
            "choice": _("A choice in the prompt."),
            "axis": _("A setting that varies."),
        }
        parts = [line.token, kinds.get(line.kind, "")]
        if line.source:
            parts.append(_("Its values come from: {source}").format(source=line.source))
        if line.rows:
            parts.append(many("Named in {n} prompt", "Named in {n} prompts", len(line.rows)))
        return "\n".join(part for part in parts if part)

    def _chips(self) -> None:
        ui, line = self._ui, self.line
        room = self._width - ui.px(self._first + MODE + COUNT + ACTION + 30)
        x, left = ui.px(self._first), room
        more_width = ui.px(58)
        shown = 0
        for option in line.options:
            words = option.strip() or _("(nothing)")
            words = words if len(words) <= LONGEST_CHIP else words[: LONGEST_CHIP - 1] + "…"
            width = text_width(ui, words, "small_medium") + ui.px(23)
            last = shown + 1 == line.count
            if left < width + (0 if last else more_width):
                break
            self._chip(words, x, f"{self._tag}.chip.{shown}")
            x, left, shown = x + width + ui.px(5), left - width - ui.px(5), shown + 1
        if not line.count:
            self._chip(_("write values"), x, f"{self._tag}.more", "danger")
        elif shown < line.count:
            rest = line.count - shown
            words = f"+ {rest:,}" if rest < 100_000 else "+ …"
            self._chip(words, x, f"{self._tag}.more")

    def _chip(self, words: str, x: int, tag: str, kind: str = "chip") -> None:
        item = button(
            self._ui,
            words,
            partial(self._randomizer.edit, self.line.key),
            kind,
            font="small_medium",
            tag=tag,
        )
        put_at(item, x, self._ui.px(9))

    # --- bringing it up to date -----------------------------------------------------------------------------

    def show(self, line: Line) -> None:
        """Bring it up to date."""
        self.line = line
        dpg.configure_item(self._restore, show=line.changed)
        if self._combo is not None:
            put(self._combo, mode_title(line.mode))
            set_text(self._mode_tip, mode_help(line.mode))
        edited = self._randomizer.edited == line.key
        if edited != dpg.is_item_shown(self._editor):
            dpg.configure_item(self._editor, show=edited)
            dpg.delete_item(self._editor, children_only=True)
            if edited:
                dpg.push_container_stack(self._editor)
                try:
                    self._edit()
                finally:
                    dpg.pop_container_stack()

    def _edit(self) -> None:
        ui, line, randomizer = self._ui, self.line, self._randomizer
        with card(ui, (14, 12), ui.colours.inset, ui.colours.line_soft, 9, width=self._width), column(ui, 8):
            if not (line.values_setting or line.axis):
                where = _("These options stand in the prompt itself. Change them there.")
                text(ui, where, "small", ui.colours.muted, wrap=self._width - ui.px(40))
                for option in line.options[:12]:
                    text(ui, option or _("(nothing)"), "mono", wrap=self._width - ui.px(40))
                if line.count > 12:
                    text(ui, _("and {n} more").format(n=f"{line.count - 12:,}"), "small", ui.colours.faint)
                button(ui, _("Close"), partial(randomizer.edit, line.key), "soft", height=30)
                return
            label(ui, _("Values, one a line. 3::red comes up three times as often."))
            text_field(
                ui,
                randomizer.edited_text,
                randomizer.write_values,
                lines=min(max(len(randomizer.edited_text.splitlines()) + 1, 3), 10),
                width=-1,
                mono=True,
                tag=f"{self._tag}.values",
            )
            if line.count > len(line.options):
                known = _("Only the first {n} of {count} are shown. What you write takes the place of all.")
                words = known.format(n=len(line.options), count=f"{line.count:,}")
                text(ui, words, "small", ui.colours.amber, wrap=self._width - ui.px(40))
            with row(ui, 8):
                button(
                    ui,
                    _("Done"),
                    partial(randomizer.edit, line.key),
                    "soft",
                    icon=icons.CHECK,
                    height=30,
                    tag=f"{self._tag}.done",
                )
                if not line.axis:
                    button(
                        ui,
                        _("Back to what the pack says"),
                        partial(randomizer.restore, line.key),
                        "ghost",
                        height=30,
                    )
