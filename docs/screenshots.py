"""Draws the pictures of the desktop that the documentation shows: ``python docs/screenshots.py``.

Each tab in both themes and at two scales, with the kernel that makes nothing of the tests. Linux, with Xvfb.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
SIZE = (1600, 1000)
COLOURS = 256
"""Of each picture: it is half as large, and nobody sees it."""


def main() -> int:
    """Draw all; those that are named on the command line, such as ``queue``, if any are."""
    sys.path.insert(0, str(ROOT))
    import dearpygui.dearpygui as dpg
    from tests.desktop.fake_house import Size
    from tests.desktop.stillness import settle, still_app, stop_the_clock
    from tests.desktop.xdisplay import XDisplay

    from stablenew_plugins.desktop.models.view import TABS

    wanted = sys.argv[1:] or TABS
    IMAGES.mkdir(parents=True, exist_ok=True)
    with XDisplay(*SIZE) as screen, tempfile.TemporaryDirectory() as folder:
        os.environ.update(screen.environment())
        os.chdir(folder)
        dpg.create_context()
        dpg.configure_app(manual_callback_management=True)
        dpg.create_viewport(
            title="shots", width=SIZE[0], height=SIZE[1], x_pos=0, y_pos=0, decorated=False, vsync=False
        )
        dpg.setup_dearpygui()
        dpg.show_viewport()
        dpg.render_dearpygui_frame()
        screen.input.move(1, 1)  # what is under the pointer would say so
        for scale in (1.0, 1.5):
            for theme in ("dark", "light"):
                with still_app(theme, scale, Size(picture=(768, 576))) as app:
                    stop_the_clock(setattr)
                    for tab in wanted:
                        app.bench.view.show_tab(tab)
                        settle(app, app.frame)
                        name = f"desktop-{tab}-{theme}" + ("-150" if scale > 1 else "")
                        shot = screen.shot().quantize(COLOURS, dither=0)
                        shot.save(IMAGES / f"{name}.png", optimize=True)
                        sys.stdout.write(f"{name}\n")
        os.chdir(ROOT)
        dpg.destroy_context()
    return 0


if __name__ == "__main__":
    sys.exit(main())
