"""Fields that a person fills.

A value that is set while a field is being typed into is ignored; :func:`put` leaves such a field alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.ui import Item, Ui, on_value
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.fonts import measured
from stablenew_plugins.desktop.theme.tokens import CONTROL_HEIGHT


def put(item: Item, value: Any) -> None:
    """Show ``value`` in a field, unless somebody is typing there."""
    if dpg.get_value(item) != value and not is_in_use(item):
        dpg.set_value(item, value)


def is_in_use(item: Item) -> bool:
    """Whether a person holds the field just now. False where nothing is drawn."""
    return bool(dpg.get_item_state(item).get("active", False))


def text_field(
    ui: Ui,
    value: str,
    change: Callable[[str], None],
    *,
    hint: str = "",
    lines: int = 1,
    height: float = 0,
    width: float = -1,
    mono: bool = False,
    **options: Any,
) -> Item:
    """A line of text, or some. ``change`` is called with each change. ``height``: one that takes several lines
    is so high, before scaling, however many there are."""
    if lines > 1:
        height = lines_height(lines)
    shape: dict[str, Any] = {"multiline": True, "height": ui.px(height)} if height else {}
    item = dpg.add_input_text(
        default_value=value,
        callback=on_value(change),
        hint=hint,
        width=ui.px(width) if width > 0 else int(width),
        **shape,
        **options,
    )
    if mono:
        dpg.bind_item_font(item, ui.fonts["mono"])
    return item


def slider(
    ui: Ui,
    value: float,
    change: Callable[[float], None],
    least: float,
    largest: float,
    *,
    digits: int = 0,
    unit: str = "",
    **options: Any,
) -> Item:
    """A number, as a slider, with ``digits`` behind the point and ``unit`` behind it. Typing into it (Ctrl and
    click) keeps the range, not the digits. Of whole numbers, too: a slider that Dear PyGui makes for them has a
    handle as wide as one step, which is a block where there are few. A float holds whole numbers up to
    2 ** 24, and shows no more than six digits behind the point."""
    return dpg.add_slider_float(
        default_value=value,
        min_value=least,
        max_value=largest,
        clamped=True,
        format=number_format(digits, unit),
        width=-1,
        callback=on_value(change),
        **options,
    )


def number_format(digits: int, unit: str = "") -> str:
    """How a :func:`slider` writes its number."""
    return f"%.{digits}f" + (f" {unit}".replace("%", "%%") if unit else "")


def lines_height(lines: int) -> float:
    """How high a field of so many lines is, before scaling."""
    return CONTROL_HEIGHT if lines == 1 else lines * 20 + 14


def int_field(
    ui: Ui, value: int, change: Callable[[int], None], least: int, largest: int, **options: Any
) -> Item:
    """A whole number that is typed."""
    return dpg.add_input_int(
        default_value=value,
        min_value=least,
        max_value=largest,
        min_clamped=True,
        max_clamped=True,
        step=0,
        width=-1,
        callback=on_value(change),
        **options,
    )


def combo(
    ui: Ui,
    items: Sequence[str],
    value: str,
    change: Callable[[str], None],
    *,
    width: float = -1,
    **options: Any,
) -> Item:
    """One of ``items``. An item that is too long is cut by nobody: :func:`~.fit.fit` it before."""
    # What is called a label stands behind a combo, at a distance: here at one that puts it inside.
    chevron = icons.CHEVRON_DOWN + "  "
    inside = -measured(chevron, "body", ui.scale) / ui.scale
    item = dpg.add_combo(
        list(items),
        label=chevron,
        default_value=value,
        callback=on_value(change),
        width=ui.px(width) if width > 0 else int(width),
        height_mode=dpg.mvComboHeight_Large,
        no_arrow_button=True,
        **options,
    )
    dpg.bind_item_theme(item, ui.themes.theme({}, {"ItemInnerSpacing": (inside, 6)}, dpg.mvCombo))
    return item
