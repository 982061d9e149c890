"""Somebody opens it for the first time."""

from __future__ import annotations

import pytest
from session_kit import PATIENCE, images_in


@pytest.mark.slow
def test_a_newcomer_gets_images_with_one_click(gui, sessions, own):
    session = sessions(own, packs={}, welcomed=False)
    gui.until(lambda: gui.visible("start.demo"), patience=PATIENCE)
    session.until(lambda: session.state.online)
    gui.click("start.demo")
    gui.until(lambda: not gui.visible("start.demo"))
    session.until(lambda: session.state.images)
    session.until(lambda: session.app.bench.preview.shown is not None)
    (run,) = session.state.runs.values()
    assert run.name == "demo"
    assert run.total == 6
    assert images_in(run)
    assert session.app.desk.remembered.get("welcomed", False)
