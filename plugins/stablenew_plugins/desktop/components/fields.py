"""Fields that a person fills.

A value that is set while a field is being typed into is ignored; :func:`put` leaves such a field alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.ui import Item, Ui, on_value
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.fonts import measured


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
    width: float = -1,
    mono: bool = False,
    **options: Any,
) -> Item:
    """A line of text, or some. ``change`` is called with each change."""
    shape: dict[str, Any] = {"multiline": True, "height": ui.px(lines * 20 + 14)} if lines > 1 else {}
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


def int_field(
    ui: Ui, value: int, change: Callable[[int], None], least: int, largest: int, *, slider: bool, **options: Any
) -> Item:
    """A whole number. A slider takes typed numbers too (Ctrl and click), and keeps them in its range."""
    if slider:
        return dpg.add_slider_int(
            default_value=value,
            min_value=least,
            max_value=largest,
            clamped=True,
            width=-1,
            callback=on_value(change),
            **options,
        )
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


def float_field(
    ui: Ui,
    value: float,
    change: Callable[[float], None],
    least: float,
    largest: float,
    *,
    digits: int = 2,
    **options: Any,
) -> Item:
    """A number, as a slider. What it gives is rounded to ``digits``, so that 0.35 stays 0.35."""
    return dpg.add_slider_float(
        default_value=value,
        min_value=least,
        max_value=largest,
        clamped=True,
        format=f"%.{digits}f",
        width=-1,
        callback=lambda _s, new, _u: change(round(new, digits)),
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
