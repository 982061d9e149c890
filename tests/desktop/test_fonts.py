"""The fonts as Dear PyGui draws them."""

from __future__ import annotations

from importlib.resources import as_file, files

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.theme import icons

FONTS = files("stablenew_plugins.desktop") / "assets" / "fonts"
NAMES = [f"StableNewUI-{weight}.ttf" for weight in ("Regular", "Medium", "SemiBold", "Bold")]
TEXT = "Ståle Ünï жук Ωμέγα ữ “quotes” – … € 0123456789"
ACROSS = 24


def test_text_and_icons_stand_on_one_line(gui, golden):
    with dpg.font_registry():
        fonts = {}
        for name in [*NAMES, "JetBrainsMono-Regular.ttf"]:
            with as_file(FONTS / name) as path:
                fonts[name] = dpg.add_font(str(path), 18)
    with dpg.window(tag="main"), dpg.group(tag="sample"):
        for name, font in fonts.items():
            inline = f"{icons.PLAY} Run {icons.STAR} " if name in NAMES else ""
            dpg.bind_item_font(dpg.add_text(f"{inline}{TEXT}"), font)
        dpg.bind_item_font(dpg.add_button(label=f"{icons.SAVE} Save pack"), fonts["StableNewUI-SemiBold.ttf"])
        each = list(icons.BY_NAME.values())
        for first in range(0, len(each), ACROSS):
            dpg.bind_item_font(dpg.add_text(" ".join(each[first : first + ACROSS])), fonts[NAMES[0]])
    dpg.set_primary_window("main", True)
    gui.park()
    gui.frames(5)
    golden("fonts", gui.shot("sample"))
