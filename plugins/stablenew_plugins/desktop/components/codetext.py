"""A field for prompts: lines that wrap, colours while one types, and a caret whose place is known.

Dear PyGui's own fields have none of these. What is typed and pasted goes into one of two fields that nobody
sees and is taken from there; keys that move the caret are read by themselves. Of the two, a fresh one takes
over when the caret of the other has left its end, where new letters are looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.keyboard import keys_of
from stablenew_plugins.desktop.components.littext import column_width
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.core.scripts import columns_of
from stablenew_plugins.desktop.models.packs.brackets import pair_at
from stablenew_plugins.desktop.models.packs.highlight import Piece
from stablenew_plugins.desktop.models.packs.textedit import TextEdit, Where
from stablenew_plugins.desktop.theme.fonts import MONO_SIZE
from stablenew_plugins.desktop.theme.tokens import NONE, Colour, Palette, tint

SIZE = 16
"""Of the letters, before scaling."""
LINE = 25
PAD = 10
BLINK = 0.53
DOUBLE_CLICK = 0.4
"""Seconds."""
FRESH_FROM = 400
"""Letters behind which a fresh hidden field takes over."""

_MOVES: dict[str, Where] = {
    "Left": "left",
    "Right": "right",
    "Up": "up",
    "Down": "down",
    "Home": "home",
    "End": "end",
    "Ctrl+Left": "word_left",
    "Ctrl+Right": "word_right",
    "Ctrl+Home": "start",
    "Ctrl+End": "finish",
}
_DISTURBING = frozenset({"Left", "Right", "Up", "Down", "Home", "PageUp", "PageDown"})
"""Keys that, with Ctrl and Shift or without, take the caret of the hidden field away from its end; Ctrl+A does,
too."""

_UNSEEN = (
    "FrameBg",
    "FrameBgHovered",
    "FrameBgActive",
    "Border",
    "Text",
    "TextSelectedBg",
    "InputTextCursor",
    "NavHighlight",
    "ChildBg",
    "ScrollbarGrab",
)
"""Colours of a field that nobody sees."""

TOKENS = frozenset({"lora", "embedding", "wildcard", "slot", "variable"})
"""Kinds that are shown on a tinted tile."""


def colour_of(kind: str, c: Palette) -> Colour:
    """The colour of a piece of a prompt."""
    return {
        "comma": c.faint,
        "weight": c.amber,
        "bracket": c.amber,
        "lora": c.pink,
        "embedding": c.cyan,
        "wildcard": c.green,
        "slot": c.accent_high,
        "choice": c.cyan,
        "variable": c.cyan,
        "comment": c.faint,
        "break": c.muted,
        "error": c.red,
    }.get(kind, c.text)


class CodeText:
    """See above. ``edit`` is the text; this draws it and does to it what a person does."""

    def __init__(
        self,
        ui: Ui,
        edit: TextEdit,
        changed: Callable[[], None],
        intercept: Callable[[str], bool],
        *,
        tag: str,
        hint: str = "",
    ) -> None:
        """In the current container. ``changed``: the text or the caret is another one. ``intercept`` gets each
        key (``Enter``, ``Ctrl+Left``) first, and says whether it took it."""
        self._ui, self.edit, self._changed, self._intercept = ui, edit, changed, intercept
        self._hint = hint
        self._pieces: Sequence[Piece] = ()
        self._marks: Sequence[tuple[int, str]] = ()
        self._drawn: tuple[Any, ...] | None = None
        self._width = self._height = 0
        self._focused = self._dragging = self._word = self._caret_shown = False
        self._blink_from = 0.0
        self._pressed_at = (-1, 0.0)
        self._caret: Item | None = None
        self._last = ["", ""]
        self._active = 0
        c = ui.colours
        with dpg.child_window(border=True, tag=tag, always_use_window_padding=True) as self.item:
            self._hidden = [self._hidden_field(f"{tag}.keys.{number}") for number in range(2)]
            self._canvas: Item = dpg.add_drawlist(10, 10, tag=f"{tag}.text", pos=(0, 0))
        self._looks = [
            ui.themes.theme(
                {"ChildBg": c.inset, "Border": line},
                {"ChildRounding": 8, "WindowPadding": (0, 0)},
                dpg.mvChildWindow,
            )
            for line in (c.line, c.accent)
        ]
        dpg.bind_item_theme(self.item, self._looks[0])
        with dpg.handler_registry() as self._keys:
            dpg.add_key_press_handler(callback=self._key)
        with dpg.item_handler_registry() as self._mouse:
            dpg.add_item_clicked_handler(dpg.mvMouseButton_Left, callback=self._pressed)
        dpg.bind_item_handler_registry(self._canvas, self._mouse)

    def _hidden_field(self, tag: str) -> Item:
        field: Item = dpg.add_input_text(
            multiline=True, tab_input=True, no_undo_redo=True, width=1, height=1, pos=(1, 1), tag=tag
        )
        colours = dict.fromkeys(_UNSEEN, NONE)
        theme = self._ui.themes.theme(colours, {"FramePadding": (0, 0)}, dpg.mvInputText)
        dpg.bind_item_theme(field, theme)
        return field

    def resize(self, width: int, height: int) -> None:
        """Take so many pixels."""
        self._width, self._height = width, height
        dpg.configure_item(self.item, width=width, height=height)
        self._drawn = None

    @property
    def wanted_height(self) -> int:
        """Pixels in which all of its text can be seen, and a line more."""
        return self._y(len(self.edit.lines) + 1) + self._ui.px(PAD)

    def show(self, pieces: Sequence[Piece], marks: Sequence[tuple[int, str]] = ()) -> None:
        """What the parts of the text are. ``marks``: places of problems, each with its severity."""
        self._pieces, self._marks = pieces, marks

    def focus(self) -> None:
        """Let it have what is typed."""
        self._focused = True
        dpg.focus_item(self._hidden[self._active])

    def _focus_again(self) -> None:
        if dpg.does_item_exist(self.item):
            self.focus()

    @property
    def has_focus(self) -> bool:
        """Whether it has what is typed."""
        return any(bool(dpg.get_item_state(field).get("active", False)) for field in self._hidden)

    @property
    def caret_place(self) -> tuple[int, int]:
        """Where the caret is, in pixels of the window's client area: left, and below its line."""
        line, column = self.edit.place(self.edit.caret)
        x, y = dpg.get_item_rect_min(self._canvas)
        return int(x + self._x(line, column)), int(y + self._y(line + 1))

    def close(self) -> None:
        """Let go of the keys."""
        dpg.delete_item(self._keys)
        dpg.delete_item(self._mouse)

    # --- each frame -----------------------------------------------------------------------------------------

    def frame(self) -> None:
        """Take what was typed; follow the mouse; draw if something changed; blink."""
        self._take()
        self._drag()
        focused = self.has_focus or self._dragging
        if focused != self._focused:
            self._focused = focused
            self._drawn = None
        edit = self.edit
        font = self._ui.fonts["mono"]
        drawn = (edit.text, edit.caret, edit.anchor, focused, self._pieces, self._marks, self._advance, font)
        if drawn != self._drawn:
            moved = self._drawn is None or drawn[:3] != self._drawn[:3]
            self._drawn = drawn
            self._blink_from = dpg.get_total_time()
            self._draw()
            if moved and focused:
                self._reveal()
        if self._caret is not None:
            shown = focused and int((dpg.get_total_time() - self._blink_from) / BLINK) % 2 == 0
            if shown != self._caret_shown:
                self._caret_shown = shown
                dpg.configure_item(self._caret, show=shown)

    def _take(self) -> None:
        for number, field in enumerate(self._hidden):
            now, before = dpg.get_value(field), self._last[number]
            if now == before:
                continue
            self._last[number] = now
            words = _added(before, now)
            if words.strip("\n\t") == "":
                continue
            self.edit.insert(words)
            self._changed()
            if len(now) > FRESH_FROM:
                self._refresh_field()

    def _refresh_field(self) -> None:
        """Let the other hidden field, an empty one, take over."""
        self._active = 1 - self._active
        dpg.set_value(self._hidden[self._active], "")
        self._last[self._active] = ""
        dpg.focus_item(self._hidden[self._active])

    # --- keys -----------------------------------------------------------------------------------------------

    def _key(self, _sender: Any, code: Any, _user: Any) -> None:
        # Escape: the hidden field has let go already.
        if not (self._focused or self.has_focus) or not (keys := keys_of(code)):
            return
        self._take()
        if self._intercept(keys):
            return
        if keys == "Escape":
            self._ui.later(self._focus_again)
            return
        if self._act(keys):
            self._changed()
        if (keys == "Ctrl+A" or keys.rpartition("+")[2] in _DISTURBING) and any(self._last):
            self._refresh_field()

    def _act(self, keys: str) -> bool:
        edit = self.edit
        plain = keys.replace("Shift+", "")
        if plain in _MOVES:
            edit.move(_MOVES[plain], select="Shift+" in keys)
        elif plain in ("Backspace", "Ctrl+Backspace"):
            edit.erase(word=plain.startswith("Ctrl"))
        elif keys in ("Delete", "Ctrl+Delete"):
            edit.erase(forward=True, word=keys.startswith("Ctrl"))
        elif keys == "Ctrl+A":
            edit.select_all()
        elif keys in ("Ctrl+C", "Ctrl+X", "Shift+Delete"):
            if edit.selected:
                dpg.set_clipboard_text(edit.selected)
                if keys != "Ctrl+C":
                    edit.erase()
        elif keys == "Ctrl+Z":
            edit.undo()
        elif keys == "Ctrl+Y":
            edit.redo()
        else:
            return False
        return True

    # --- mouse ----------------------------------------------------------------------------------------------

    def _pressed(self, *_event: Any) -> None:
        at, now = self._under_mouse(), dpg.get_total_time()
        # A drawing is not told of double clicks.
        again = at == self._pressed_at[0] and now - self._pressed_at[1] < DOUBLE_CLICK
        self._pressed_at = (at, 0.0 if again else now)
        self.edit.put(at, select=dpg.is_key_down(dpg.mvKey_LShift))
        if again:
            self.edit.select_word()
        self._dragging, self._word = True, again  # the keys come when the button is let go
        self._changed()

    def _drag(self) -> None:
        if not self._dragging:
            return
        if not dpg.is_mouse_button_down(dpg.mvMouseButton_Left):
            self._dragging = False
            self.focus()
            return
        at = self._under_mouse()
        if at != self.edit.caret and not self._word:
            self.edit.put(at, select=True)

    def _under_mouse(self) -> int:
        x, y = dpg.get_mouse_pos(local=False)
        left, top = dpg.get_item_rect_min(self._canvas)
        line = int((y - top - self._ui.px(PAD)) // self._ui.px(LINE))
        columns = (x - left - self._ui.px(PAD)) / self._advance
        return self.edit.at(line, self.edit.column_at(line, columns))

    # --- drawing --------------------------------------------------------------------------------------------

    @property
    def _advance(self) -> float:
        """Width of a column; a letter takes one, a Chinese one two."""
        return column_width(self._ui) * self._ui.px(SIZE) / self._ui.px(MONO_SIZE)

    def _x(self, line: int, letters: int) -> float:
        """Behind so many letters of a line."""
        return self._ui.px(PAD) + self.edit.columns_before(line, letters) * self._advance

    def _y(self, line: int) -> int:
        return self._ui.px(PAD) + line * self._ui.px(LINE)

    def _draw(self) -> None:
        ui, edit, c = self._ui, self.edit, self._ui.colours
        room = self._width - 2 * ui.px(PAD) - ui.px(12)
        edit.columns = max(8, int(room / self._advance))
        height = max(self._height - 2, self._y(len(edit.lines)) + ui.px(PAD))
        dpg.configure_item(self._canvas, width=max(self._width - ui.px(12), 1), height=height)
        dpg.delete_item(self._canvas, children_only=True)
        dpg.bind_item_theme(self.item, self._looks[self._focused])
        start, end = edit.selection
        if start != end and self._focused:
            self._tiles(start, end, tint(c.accent, 80), 0, 0)
        if not edit.text and self._hint:
            self._words(self._hint, 0, 0, c.faint)
        pair = pair_at(edit.text, edit.caret) if self._focused and start == end else None
        for at in pair or ():
            self._tiles(at, at + 1, tint(c.amber, 70), 4, 2)
        for piece in self._pieces:
            colour = colour_of(piece.kind, c)
            if piece.kind in TOKENS:
                self._tiles(piece.start, piece.end, tint(colour, 30), 5, 2)
            for line, first, last in self._on_lines(piece.start, piece.end):
                self._words(edit.text[first:last], line, first - edit.lines[line].start, colour)
            if piece.kind == "error":
                self._underline(piece.start, piece.end, c.red)
        for at, severity in self._marks:
            if at < len(edit.text):
                self._underline(at, at + 1, c.red if severity == "error" else c.amber)
        line, column = edit.place(edit.caret)
        x, y = self._x(line, column), self._y(line)
        self._caret = dpg.draw_line(
            (x, y + ui.px(2)),
            (x, y + ui.px(LINE - 4)),
            color=c.accent_high,
            thickness=ui.px(2),
            parent=self._canvas,
            show=self._focused,
        )
        self._caret_shown = self._focused

    def _words(self, words: str, line: int, column: int, colour: Colour) -> None:
        if not words.strip():
            return
        ui = self._ui
        place = (self._x(line, column), self._y(line) + ui.px(1.5))
        drawn = dpg.draw_text(
            place, self._drawable(words.rstrip()), color=colour, size=ui.px(SIZE), parent=self._canvas
        )
        dpg.bind_item_font(drawn, ui.fonts["mono"])

    def _drawable(self, words: str) -> str:
        """``words`` with marks as wide as they in the place of characters that no font has yet."""
        lacking = self._ui.fonts.lack(words, mono=True)
        if not lacking:
            return words
        return "".join("?".ljust(n)[:n] if (n := columns_of(c)) != 1 and c in lacking else c for c in words)

    def _on_lines(self, start: int, end: int) -> Sequence[tuple[int, int, int]]:
        """Line, first and last of each part of ``text[start:end]``."""
        return [
            (number, max(start, line.start), min(end, line.end))
            for number, line in enumerate(self.edit.lines)
            if line.start < end and line.end > start
        ]

    def _tiles(self, start: int, end: int, fill: Colour, rounding: float, inset: float) -> None:
        ui = self._ui
        for line, first, last in self._on_lines(start, end):
            begin = self.edit.lines[line].start
            dpg.draw_rectangle(
                (self._x(line, first - begin) - ui.px(1), self._y(line) + ui.px(inset - 1)),
                (self._x(line, last - begin) + ui.px(1), self._y(line) + ui.px(LINE - inset - 2)),
                color=NONE,
                fill=fill,
                rounding=ui.px(rounding),
                parent=self._canvas,
            )

    def _underline(self, start: int, end: int, colour: Colour) -> None:
        ui = self._ui
        for line, first, last in self._on_lines(start, end):
            begin = self.edit.lines[line].start
            y = self._y(line) + ui.px(LINE - 5)
            dpg.draw_line(
                (self._x(line, first - begin), y),
                (self._x(line, last - begin), y),
                color=colour,
                thickness=ui.px(2),
                parent=self._canvas,
            )

    def _reveal(self) -> None:
        """Scroll to the caret."""
        line, _column = self.edit.place(self.edit.caret)
        top, below = self._y(line), self._y(line + 1)
        at = dpg.get_y_scroll(self.item)
        if top < at:
            dpg.set_y_scroll(self.item, max(0, top - self._ui.px(PAD)))
        elif below > at + self._height:
            dpg.set_y_scroll(self.item, below - self._height + self._ui.px(PAD))


def _added(before: str, now: str) -> str:
    """What was typed or pasted into a text. Empty: it only became shorter."""
    if len(now) <= len(before):
        return ""
    same = next((n for n, (a, b) in enumerate(zip(before, now, strict=False)) if a != b), len(before))
    return now[same : same + len(now) - len(before)]
