"""Which keys are pressed, in the words of :mod:`~..models.core.shortcuts`."""

from __future__ import annotations

import dearpygui.dearpygui as dpg

_NAMES: dict[int, str] = {
    dpg.mvKey_Return: "Enter",
    dpg.mvKey_NumPadEnter: "Enter",
    dpg.mvKey_Escape: "Escape",
    dpg.mvKey_Spacebar: "Space",
    dpg.mvKey_Delete: "Delete",
    dpg.mvKey_Back: "Backspace",
    dpg.mvKey_Tab: "Tab",
    dpg.mvKey_Left: "Left",
    dpg.mvKey_Right: "Right",
    dpg.mvKey_Up: "Up",
    dpg.mvKey_Down: "Down",
    dpg.mvKey_Home: "Home",
    dpg.mvKey_End: "End",
    dpg.mvKey_Home - 2: "PageUp",  # mvKey_Prior and mvKey_Next are numbers of an older Dear ImGui
    dpg.mvKey_Home - 1: "PageDown",
    dpg.mvKey_Comma: ",",
    dpg.mvKey_Period: ".",
    dpg.mvKey_Slash: "/",
    dpg.mvKey_Minus: "-",
    dpg.mvKey_Plus: "=",
    **{getattr(dpg, f"mvKey_{letter}"): letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"},
    **{getattr(dpg, f"mvKey_NumPad{digit}"): digit for digit in "0123456789"},
    **{getattr(dpg, f"mvKey_F{number}"): f"F{number}" for number in range(1, 13)},
}

# Dear ImGui takes Cmd for Ctrl on a Mac by itself. mvKey_LWin is a number of an older version: always "down".
_MODIFIERS = {
    "Ctrl": (dpg.mvKey_LControl, dpg.mvKey_RControl),
    "Alt": (dpg.mvKey_LAlt, dpg.mvKey_RAlt),
    "Shift": (dpg.mvKey_LShift, dpg.mvKey_RShift),
}

_TYPED_INTO = frozenset({"mvInputText", "mvInputInt", "mvInputFloat", "mvInputDouble", "mvInputIntMulti"})


def keys_of(key: int) -> str:
    """``Ctrl+Shift+A`` for the key that was just pressed; empty for one that nothing is bound to."""
    name = _NAMES.get(key)
    if name is None:
        return ""
    return "+".join([*(word for word in _MODIFIERS if is_held(word)), name])


def is_held(modifier: str) -> bool:
    """Whether ``Ctrl``, ``Alt`` or ``Shift`` is down."""
    return any(dpg.is_key_down(key) for key in _MODIFIERS[modifier])


def is_typing() -> bool:
    """Whether keys go into a field just now."""
    item = dpg.get_focused_item()
    return bool(item) and dpg.does_item_exist(item) and _types_into(item)


def _types_into(item: int | str) -> bool:
    """Whether ``item`` is typed into, or something in it: a group has the focus of what is in it."""
    state = dpg.get_item_state(item)
    kind = dpg.get_item_type(item).rpartition("::")[2]
    if kind in _TYPED_INTO or kind.startswith("mvSlider"):
        return bool(state.get("active", False))
    return any(_types_into(child) for child in dpg.get_item_children(item, 1) or ())
