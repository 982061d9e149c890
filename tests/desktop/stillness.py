"""The window with nothing in it that moves: the same picture each time, on each machine."""

from __future__ import annotations

import datetime as clock
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.desktop.fake_house import NOW, FakeHouse, Size

from stablenew_api.datafolder import DataFolder

ROOT = Path("StableNew")
"""Of the data folder: relative, since it is to be seen in some places."""
SETTLED = 5
"""Frames without anything new."""
PATIENCE = 90.0


class Still(clock.datetime):
    """Says that it is always the same time."""

    @classmethod
    def now(cls, tz: clock.tzinfo | None = None) -> Any:
        return NOW.astimezone(tz) if tz is not None else NOW.replace(tzinfo=None)


def stop_the_clock(patch: Callable[[Any, str, Any], None]) -> None:
    """Let the desktop's modules take :data:`NOW` for now. ``patch`` is ``monkeypatch.setattr`` or alike."""
    import sys

    for name, module in list(sys.modules.items()):
        if name.startswith("stablenew_plugins.desktop") and getattr(module, "datetime", None) is clock.datetime:
            patch(module, "datetime", Still)


@contextmanager
def still_app(theme: str, scale: float, size: Size | None = None) -> Iterator[Any]:
    """The desktop with a fake kernel, in the window that there is, in the current folder, which is empty."""
    from stablenew_plugins.desktop.app import App

    data = DataFolder(ROOT)
    house = FakeHouse(data, size or Size())
    pack = str(data.packs / "landscapes.txt")
    left = {"welcomed": True, "packs_selected": [pack], "pack_current": pack, "theme": theme, "scale": scale}
    (data.root / "desktop.json").write_text(json.dumps(left), encoding="utf-8")
    app = App(data, connect=False, clock=Watch())
    try:
        app.frame()
        house.open(app)
        yield app
    finally:
        app.close()


class Watch:
    """A monotonic clock that runs as the real one, until it is stopped."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._stopped: float | None = None

    def __call__(self) -> float:
        return 1_000.0 + time.monotonic() - self._began if self._stopped is None else self._stopped

    def stop(self) -> None:
        """No time passes any more."""
        self._stopped = self()

    def start(self) -> None:
        """Time passes again."""
        if self._stopped is not None:
            self._began, self._stopped = time.monotonic() - (self._stopped - 1_000.0), None


def settle(app: Any, frame: Callable[[], None], patience: float = PATIENCE) -> None:
    """Draw until nothing changes any more: all is asked for, decoded and shown. Then the clock stands, and the
    kernel has just said all again: nobody has been silent."""
    app.desk.clock.start()
    deadline = time.monotonic() + patience
    quiet = 0
    seen: tuple[int, ...] = ()
    begun = time.monotonic()
    bench = app.bench
    counting = (bench.cluster,)  # seconds, for as long as the clock runs
    models = [value for value in vars(bench).values() if hasattr(value, "revision") and value not in counting]
    while quiet < SETTLED or time.monotonic() - begun < 1.2:
        frame()
        now = (app.ui.textures.revision, *(model.revision for model in models))
        busy = {
            "pictures": app.ui.textures.is_busy,
            "plan": bench.run.is_planning,
            "messages": bool(len(app.mailbox)),
            "news": now != seen,
        }
        quiet = 0 if any(busy.values()) else quiet + 1
        seen = now
        if time.monotonic() > deadline:
            raise AssertionError(f"the window does not come to rest: {busy}")
        time.sleep(0.03)
    app.desk.clock.stop()
    app.desk.state.news(app.desk.state.kernel.snapshot())
    for _number in range(4):
        frame()
