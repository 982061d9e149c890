"""What each tab looks like, in both themes and at two scales."""

from __future__ import annotations

import dearpygui.dearpygui as dpg
import pytest
from tests.desktop.fake_house import Size
from tests.desktop.golden import Tolerance
from tests.desktop.stillness import settle, still_app, stop_the_clock

from stablenew_plugins.desktop.models.core.view import TABS

SIZE = (1280, 800)
CLOSE = Tolerance(mean=0.8, clearly=40, share=0.004)
"""Letters and corners differ a little with the version of Mesa."""


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_the_tabs_look_as_agreed(gui, golden, tmp_path, monkeypatch, theme, scale):
    monkeypatch.chdir(tmp_path)
    stop_the_clock(monkeypatch.setattr)
    wrong = []
    with still_app(theme, scale, Size(images=16)) as app:
        gui.target.pump = app
        for tab in TABS:
            app.bench.view.show_tab(tab)
            gui.park()
            settle(app, app.frame)
            try:
                golden(f"{tab}-{theme}-{scale * 100:.0f}", gui.shot(), CLOSE)
            except AssertionError as error:
                wrong.append(str(error))
        gui.target.pump = gui.target.draw
    assert dpg.get_viewport_client_width() == SIZE[0]
    assert not wrong, "\n\n".join(wrong)
