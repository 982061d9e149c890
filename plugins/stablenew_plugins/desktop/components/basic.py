"""Texts, buttons, chips, toggles, cards, bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.ui import Item, Ui, number_of, on
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.fonts import ICON_WIDTH, size_of
from stablenew_plugins.desktop.theme.tokens import (
    CHIP_PADDING,
    CONTROL_HEIGHT,
    GAP,
    NONE,
    PAD_CARD,
    RADIUS_CARD,
    SMALL_HEIGHT,
    WHITE,
    Colour,
    tint,
)

STAR_HEIGHT = 30
"""Of a star that can be clicked, before scaling."""

# --- texts --------------------------------------------------------------------------------------------------


def text(
    ui: Ui,
    words: str,
    font: str = "body",
    colour: Colour | None = None,
    *,
    beside_frame: bool | float = False,
    **options: Any,
) -> Item:
    """A text. ``beside_frame``: it stands in a row with buttons or fields, and is aligned to their texts; if
    they are not as high as fields are, that is their height, before scaling."""
    item = dpg.add_text(words, color=colour or ui.colours.text, **options)
    dpg.bind_item_font(item, ui.fonts[font])
    height = CONTROL_HEIGHT if beside_frame is True else beside_frame
    dpg.bind_item_theme(item, ui.themes.text_in(max(0.0, (height - size_of(font)) / 2)))
    return item


def label(ui: Ui, words: str, **options: Any) -> Item:
    """The small grey name of a field."""
    return text(ui, words, "small", ui.colours.muted, **options)


def heading(ui: Ui, words: str, sub: str = "", **options: Any) -> None:
    """The title of a page, with a line below."""
    with column(ui, 4):
        text(ui, words, "h1", **options)
        if sub:
            text(ui, sub, "small", ui.colours.muted)


def set_text(item: Item, words: str, colour: Colour | None = None) -> None:
    """Change a text, if it is another one."""
    if dpg.get_value(item) != words:
        dpg.set_value(item, words)
    if colour is not None:
        dpg.configure_item(item, color=colour)


# --- arrangement --------------------------------------------------------------------------------------------


def space(ui: Ui, height: float = 0, width: float = 0) -> Item:
    """Nothing, as large as that."""
    return dpg.add_spacer(width=ui.px(width), height=ui.px(height))


@contextmanager
def column(ui: Ui, gap: float = GAP, **options: Any) -> Iterator[Item]:
    """What is made within stands one below the other, ``gap`` apart.

    Two groups: the space behind a group is that of its own theme, and must be that of what it stands in. A tag
    or ``show`` is that of the outer one; what comes out is the inner one, to put more into it: hide that with
    :func:`show_column`.
    """
    with dpg.group(**options), dpg.group() as group:
        dpg.bind_item_theme(group, ui.themes.theme({}, {"ItemSpacing": (GAP, gap)}))
        yield group


def show_column(column_: Item, shown: bool) -> None:
    """Show what :func:`column` gave, or hide it with the space that it takes. To hide the item itself leaves a
    gap."""
    around = dpg.get_item_parent(column_)
    if dpg.is_item_shown(around) != shown:
        dpg.configure_item(around, show=shown)


def within(container: Item, make: Callable[[], object]) -> None:
    """Do ``make``, which makes items, in a container that is there."""
    dpg.push_container_stack(container)
    try:
        make()
    finally:
        dpg.pop_container_stack()


@contextmanager
def row(ui: Ui, gap: float = GAP, **options: Any) -> Iterator[Item]:
    """What is made within stands side by side, ``gap`` apart."""
    with dpg.group(horizontal=True, horizontal_spacing=ui.px(gap), **options) as group:
        yield group


@contextmanager
def grid(ui: Ui, columns: int, **options: Any) -> Iterator[Item]:
    """Rows (``dpg.table_row()``) of ``columns`` equally wide cells. Begin each cell with :func:`cell`."""
    with dpg.table(
        header_row=False, policy=dpg.mvTable_SizingStretchSame, pad_outerX=False, **options
    ) as table:
        dpg.bind_item_theme(table, ui.themes.theme({}, {"CellPadding": (6, 5)}, dpg.mvTable))
        for _number in range(columns):
            dpg.add_table_column()
        yield table


@contextmanager
def uneven_grid(ui: Ui, widths: Sequence[float], **options: Any) -> Iterator[Item]:
    """As :func:`grid`, with columns that share the room as ``widths`` do."""
    with dpg.table(
        header_row=False, policy=dpg.mvTable_SizingStretchProp, pad_outerX=False, **options
    ) as table:
        dpg.bind_item_theme(table, ui.themes.theme({}, {"CellPadding": (6, 5)}, dpg.mvTable))
        for width in widths:
            dpg.add_table_column(width_stretch=True, init_width_or_weight=width)
        yield table


@contextmanager
def cell(ui: Ui, gap: float = 5) -> Iterator[Item]:
    """A cell of a table. Without the empty item its texts would take over the line of the cell before."""
    with column(ui, gap) as group:
        dpg.add_spacer(height=0)
        yield group


@contextmanager
def area(ui: Ui, background: Colour = NONE, **options: Any) -> Iterator[Item]:
    """A part of the window with a background and its own scrolling, without a border."""
    with dpg.child_window(border=False, **options) as item:
        dpg.bind_item_theme(item, ui.themes.panel(background))
        yield item


def scroll_into_sight(item: Item, top: float, height: float, room: float) -> None:
    """Scroll the area ``item``, of which ``room`` is to be seen, no further than it takes to show what stands
    ``top`` below its beginning and is ``height`` high. All in pixels."""
    at = dpg.get_y_scroll(item)
    if top < at:
        dpg.set_y_scroll(item, top)
    elif top + height > at + room:
        dpg.set_y_scroll(item, top + height - room)


@contextmanager
def card(
    ui: Ui,
    pad: float | tuple[float, float] = PAD_CARD,
    background: Colour | None = None,
    border: Colour | None = None,
    radius: float = RADIUS_CARD,
    **options: Any,
) -> Iterator[Item]:
    """A rounded card, as high as what is in it unless ``height`` is given."""
    options.setdefault("width", -1)
    options.setdefault("auto_resize_y", "height" not in options)
    with dpg.child_window(border=True, no_scrollbar=True, always_use_window_padding=True, **options) as item:
        style_card(ui, item, background, border, radius, pad)
        yield item


def style_card(
    ui: Ui,
    item: Item,
    background: Colour | None = None,
    border: Colour | None = None,
    radius: float = RADIUS_CARD,
    pad: float | tuple[float, float] = PAD_CARD,
) -> None:
    """Give a card other colours."""
    colours = {"ChildBg": background or ui.colours.card, "Border": border or ui.colours.line}
    padding = pad if isinstance(pad, tuple) else (pad, pad)
    dpg.bind_item_theme(
        item,
        ui.themes.theme(colours, {"ChildRounding": radius, "WindowPadding": padding}, dpg.mvChildWindow),
    )


# --- buttons ------------------------------------------------------------------------------------------------


def button(
    ui: Ui,
    words: str,
    click: Callable[[], None],
    kind: str = "soft",
    *,
    icon: str = "",
    font: str = "medium",
    tip: str = "",
    width: float = 0,
    height: float = 0,
    **options: Any,
) -> Item:
    """A button: one ``primary`` a screen, ``soft`` for the others, ``ghost`` in rows of them, ``danger``,
    ``chip``; see :meth:`~..theme.look.Themes.button`. ``width`` and ``height`` before scaling; 0: what it
    needs, and as high as a field, or less if its letters are small."""
    if not height and kind.startswith("chip"):
        height = size_of(font) + 2 * CHIP_PADDING
    elif not height:
        height = SMALL_HEIGHT if font.startswith("small") else CONTROL_HEIGHT
    shown = f"{icon}  {words}" if icon and words else icon or words
    item = dpg.add_button(label=shown, callback=on(click), width=ui.px(width), height=ui.px(height), **options)
    dpg.bind_item_font(item, ui.fonts[font])
    ui.pad(item, max(0.0, (height - size_of(font)) / 2))
    style_button(ui, item, kind)
    if tip:
        tooltip(ui, item, tip)
    return item


def icon_button(
    ui: Ui,
    icon: str,
    click: Callable[[], None],
    tip: str,
    kind: str = "ghost",
    size: float = 34,
    **options: Any,
) -> Item:
    """A button of an icon alone; ``tip`` says what it does."""
    return button(ui, "", click, kind, icon=icon, font="icon", tip=tip, width=size, height=size, **options)


def style_button(ui: Ui, item: Item, kind: str) -> None:
    """Give a button another look."""
    dpg.bind_item_theme(item, ui.themes.button(kind, ui.paddings.get(number_of(item), 2)))


def enable_button(item: Item, enabled: bool) -> None:
    """Let a button work, or not: then it looks so."""
    if dpg.is_item_enabled(item) != enabled:
        dpg.configure_item(item, enabled=enabled)


def chips(
    ui: Ui, names: Sequence[str], chosen: Callable[[str], bool], click: Callable[[str], None]
) -> dict[str, Item]:
    """A row of chips; those for which ``chosen`` holds are lit."""
    made = {}
    with row(ui, 6):
        for name in names:
            kind = "chip_on" if chosen(name) else "chip"
            made[name] = button(ui, name, partial(click, name), kind, font="small_medium")
    return made


def tooltip(ui: Ui, item: Item, words: str, *, width: float = 320, **options: Any) -> Item:
    """Show ``words``, in lines of ``width``, when the pointer rests on ``item``. Returns the text, which may
    change."""
    with dpg.tooltip(item, delay=0.4) as tip:
        dpg.bind_item_theme(tip, ui.themes.theme({}, {"WindowPadding": (10, 8)}))
        return text(ui, words, "small", wrap=ui.px(width), **options)


class Toggle:
    """A switch."""

    WIDTH, HEIGHT = 34, 20

    def __init__(
        self, ui: Ui, is_on: bool, change: Callable[[bool], None], *, tip: str = "", **options: Any
    ) -> None:
        """``change`` is called with the new state when it is clicked."""
        self._ui, self._change, self.is_on = ui, change, is_on
        self._w, self._h = ui.px(self.WIDTH), ui.px(self.HEIGHT)
        with dpg.group() as around:  # a drawing takes no tooltip
            self.item = dpg.add_drawlist(self._w, self._h, **options)
        self._track = dpg.draw_rectangle(
            (0, 0), (self._w, self._h), rounding=self._h / 2, color=NONE, fill=NONE, parent=self.item
        )
        self._knob = dpg.draw_circle((0, 0), self._h / 2 - ui.px(3), color=NONE, fill=WHITE, parent=self.item)
        ui.on_click(self.item, self._clicked)
        if tip:
            tooltip(ui, around, tip)
        self.show(is_on)

    def show(self, is_on: bool) -> None:
        """Draw it on or off, without calling anybody."""
        self.is_on = is_on
        c = self._ui.colours
        dpg.configure_item(self._track, fill=c.accent_low if is_on else c.track_off)
        x = self._w - self._h / 2 if is_on else self._h / 2
        dpg.configure_item(self._knob, center=(x, self._h / 2), fill=WHITE if is_on else c.knob_off)

    def _clicked(self) -> None:
        self.show(not self.is_on)
        self._change(self.is_on)


def checkbox(ui: Ui, is_on: bool, change: Callable[[bool], None], words: str = "", **options: Any) -> Item:
    """A box with a check mark."""
    item = dpg.add_checkbox(
        label=words, default_value=is_on, callback=lambda _s, value, _u: change(value), **options
    )
    c = ui.colours
    dpg.bind_item_theme(
        item,
        ui.themes.theme(
            {"FrameBg": c.inset, "CheckMark": c.accent_high, "Border": c.line},
            {"FramePadding": (3, 3), "FrameRounding": 6},
            dpg.mvCheckbox,
        ),
    )
    return item


# --- small drawings -----------------------------------------------------------------------------------------


def badge(ui: Ui, icon: str, colour: Colour, size: float = 36) -> Item:
    """An icon on a tinted tile."""
    side = ui.px(size)
    glyph = ui.px(size * 20 / 36)
    with dpg.drawlist(side, side) as item:
        dpg.draw_rectangle(
            (0, 0), (side, side), rounding=ui.px(9), fill=tint(colour, 34), color=tint(colour, 60)
        )
        place = (side - glyph * ICON_WIDTH) / 2, (side - glyph) / 2
        drawn = dpg.draw_text(place, icon, color=colour, size=glyph)
        dpg.bind_item_font(drawn, ui.fonts["icon_large"])
    return item


def draw_words(ui: Ui, parent: Item, place: tuple[float, float], words: str, colour: Colour, font: str) -> None:
    """Write ``words`` into a drawing; ``place`` in its pixels."""
    item = dpg.draw_text(place, words, color=colour, size=ui.px(size_of(font)), parent=parent)
    dpg.bind_item_font(item, ui.fonts[font])


class Dot:
    """A small filled circle: the state of something."""

    def __init__(self, ui: Ui, colour: Colour, size: float = 8) -> None:
        with dpg.drawlist(ui.px(size + 2), ui.px(16)) as self.item:
            self._circle = dpg.draw_circle(
                (ui.px(size) / 2, ui.px(8.5)), ui.px(size) / 2, fill=colour, color=NONE
            )

    def show(self, colour: Colour) -> None:
        """Give it another colour."""
        dpg.configure_item(self._circle, fill=colour)


class Bar:
    """A thin bar that is filled to a fraction."""

    def __init__(self, ui: Ui, width: float, colour: Colour | None = None, height: float = 6) -> None:
        """``width`` and ``height`` before scaling."""
        self._ui = ui
        self._width, self._height = ui.px(width), ui.px(height)
        self._top = ui.px(8.5) - self._height / 2
        rounding = self._height / 2
        self._fraction = 0.0
        end = (self._width, self._top + self._height)
        with dpg.drawlist(self._width, ui.px(16)) as self.item:
            self._track = dpg.draw_rectangle(
                (0, self._top), end, rounding=rounding, fill=ui.colours.track_off, color=NONE
            )
            self._fill = dpg.draw_rectangle(
                (0, self._top),
                (0, end[1]),
                rounding=rounding,
                fill=colour or ui.colours.accent,
                color=NONE,
                show=False,
            )

    def show(self, fraction: float, colour: Colour | None = None) -> None:
        """Fill it: 0 to 1."""
        self._fraction = min(max(fraction, 0.0), 1.0)
        width = self._width * self._fraction
        options: dict[str, Any] = {"fill": colour} if colour is not None else {}
        dpg.configure_item(self._fill, pmax=(width, self._top + self._height), show=width > 0, **options)

    def resize(self, width: float) -> None:
        """Make it as wide as that, before scaling."""
        if self._ui.px(width) == self._width:
            return
        self._width = self._ui.px(width)
        dpg.configure_item(self.item, width=self._width)
        dpg.configure_item(self._track, pmax=(self._width, self._top + self._height))
        self.show(self._fraction)


class Stars:
    """Five stars; a click rates, a click on the rating takes it back."""

    def __init__(self, ui: Ui, rate: Callable[[int], None], tag: str = "") -> None:
        """``rate`` gets 0 to 5. ``tag``: the stars are tagged ``TAG.1`` to ``TAG.5``."""
        self._ui, self._rate, self.stars = ui, rate, 0
        self._items: list[Item] = []
        self._tips: list[Item] = []
        with row(ui, 2) as self.item:
            for number in range(1, 6):
                options = {"tag": f"{tag}.{number}"} if tag else {}
                self._items.append(
                    button(
                        ui,
                        icons.STAR,
                        partial(self._clicked, number),
                        "star_off",
                        font="icon",
                        width=32,
                        height=STAR_HEIGHT,
                        **options,
                    )
                )
                self._tips.append(tooltip(ui, self._items[-1], self._tip(number)))

    def _tip(self, number: int) -> str:
        if number == self.stars:
            return _("A click takes the stars back (key 0)")
        return many("{n} star (key {n})", "{n} stars (key {n})", number)

    def show(self, stars: int) -> None:
        """Light so many."""
        self.stars = stars
        for number, tip in enumerate(self._tips, 1):
            set_text(tip, self._tip(number))
        for number, item in enumerate(self._items, 1):
            lit = number <= stars
            font = "star" if lit else "icon"
            self._ui.pad(item, (STAR_HEIGHT - size_of(font)) / 2)  # full and empty ones stand on one line
            style_button(self._ui, item, "star" if lit else "star_off")
            dpg.configure_item(item, label="★" if lit else icons.STAR)
            dpg.bind_item_font(item, self._ui.fonts[font])

    def enable(self, enabled: bool) -> None:
        """Whether a click rates."""
        for item in self._items:
            enable_button(item, enabled)

    def _clicked(self, number: int) -> None:
        self._rate(0 if number == self.stars else number)


def empty_state(
    ui: Ui, icon: str, title: str, words: str, action: str = "", act: Callable[[], None] | None = None
) -> None:
    """What stands where there is nothing yet: what would be here, and how to get it."""
    with column(ui, 10):
        space(ui, 28)
        badge(ui, icon, ui.colours.accent, 48)
        text(ui, title, "h2")
        text(ui, words, "small", ui.colours.muted, wrap=ui.px(420))
        if action and act is not None:
            button(ui, action, act, "soft")


__all__ = [
    "CONTROL_HEIGHT",
    "Bar",
    "Dot",
    "Stars",
    "Toggle",
    "area",
    "badge",
    "button",
    "card",
    "cell",
    "checkbox",
    "chips",
    "column",
    "empty_state",
    "enable_button",
    "grid",
    "heading",
    "icon_button",
    "icons",
    "label",
    "row",
    "scroll_into_sight",
    "set_text",
    "show_column",
    "space",
    "style_button",
    "style_card",
    "text",
    "tooltip",
    "uneven_grid",
    "within",
]
