"""The desktop's memory: paging through 5,000 images in the Learning tab, each page until all of it is seen.

The images are files of a megapixel, drawn at the usual size of the window. The kernel that lists them is in
another process, as it is in life; without that its memory would be counted, too. Textures count, since a
processor draws here: with a GPU they are in its memory.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any

from benchmarks.common import at_most, describe_machine, emit, options, parser
from benchmarks.desktop_kit import USUAL, app_on, data_folder, memory, missing, viewport

LIMIT = 300.0
"""MB."""
ROWS = 4
"""Of the grid that are to be seen: a page."""
PICTURES = 12
"""That differ; the others are the same under other names."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; 0 in the end."""
    chosen = options(parser(__doc__, images=(5_000, 60, "images that are looked at")), argv)
    describe_machine(Path(chosen.folder))
    if missing("desktop_memory.after"):
        return 0
    with data_folder(chosen.folder) as data:
        _measure(data, chosen.images)
    return 0


def _measure(data: Any, images: int) -> None:
    house, process = _start_house(data, images)
    try:
        with viewport(*USUAL):
            import dearpygui.dearpygui as dpg

            for _number in range(20):
                dpg.render_dearpygui_frame()
            empty = memory()
            app = app_on(data, "learning")
            try:
                house.open(app)
                _settle(app, images)
                fresh = memory()
                begun = time.perf_counter()
                highest = _look_at_all(app, images)
                took = time.perf_counter() - begun
                gc.collect()
                after = memory()
            finally:
                app.close()
    finally:
        process.terminate()
        process.join(10)
    emit("desktop_memory.empty_window", empty, "MB")
    emit("desktop_memory.fresh", fresh, "MB")
    emit("desktop_memory.after", after, "MB", images=images, seconds=took, **at_most(after, LIMIT))
    emit("desktop_memory.highest", highest, "MB")
    emit("desktop_memory.growth", after - fresh, "MB")


def _settle(app: Any, images: int) -> None:
    """Draw until the first page is there, with all of its pictures."""
    deadline = time.monotonic() + 60
    while app.bench.review.total < images or app.bench.review.at(0) is None or app.ui.textures.is_busy:
        app.frame()
        time.sleep(0.01)
        if time.monotonic() > deadline:
            raise RuntimeError(f"{app.bench.review.total} of {images} images are listed")


def _look_at_all(app: Any, images: int) -> float:
    """Page through them; returns the most memory that was used meanwhile, in MB."""
    review = app.bench.review
    highest = 0.0
    while review.cursor < images - 1:
        review.step(review.columns * ROWS)
        for _number in range(3):
            app.frame()
        deadline = time.monotonic() + 30
        while app.ui.textures.is_busy or review.at(review.cursor) is None:
            app.frame()
            if time.monotonic() > deadline:
                raise RuntimeError(f"pictures around image {review.cursor} do not come")
        highest = max(highest, memory())
    return highest


# --- the kernel, in another process -------------------------------------------------------------------------


class Far:
    """What is asked of it is asked in the other process."""

    def __init__(self, connection: Connection, path: str = "") -> None:
        from threading import Lock

        self._connection, self._path = connection, path
        self._lock = Lock()
        self._parts: dict[str, Far] = {}
        if not path:
            self._parts = {name: Far(connection, f"{name}.") for name in ("gallery", "library", "packs")}
            for part in self._parts.values():
                part._lock = self._lock

    def __getattr__(self, name: str) -> Any:
        if name in self._parts:
            return self._parts[name]

        def call(*values: Any, **named: Any) -> Any:
            with self._lock:
                self._connection.send((self._path + name, values, named))
                answer, problem = self._connection.recv()
            if problem is not None:
                raise problem
            return answer

        return call

    def open(self, app: Any) -> None:
        """As a link does, once it is connected."""
        app.desk.state.connected(self, self.status())
        app.desk.state.news(self.snapshot())


def _start_house(data: Any, images: int) -> tuple[Far, Any]:
    context = SpawnContext()
    ours, theirs = context.Pipe()
    process = context.Process(target=_be_house, args=(theirs, str(data.root), images), daemon=True)
    process.start()
    theirs.close()
    if ours.recv() != "ready":
        raise RuntimeError("the kernel that makes nothing did not start")
    return Far(ours), process


def _be_house(connection: Connection, root: str, images: int) -> None:
    from tests.desktop.fake_house import FakeHouse, Size
    from tests.desktop.pictures import picture

    from stablenew_api.datafolder import DataFolder

    data = DataFolder(Path(root))
    made: list[Path] = []
    folders = {0: "landscapes", 1: "portraits", 2: "architecture"}
    for number in range(images):
        folder = data.outputs / folders[0 if number < 22 else 1 if number < 36 else 2]
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{number:04}.png"
        if len(made) < PICTURES:
            picture(number, 1024, 1024).save(path, compress_level=1)
            made.append(path)
        else:
            os.link(made[number % PICTURES], path)
    house: Any = FakeHouse(data, Size(images=images))
    connection.send("ready")
    while True:
        try:
            name, values, named = connection.recv()
        except EOFError:
            return
        target = house
        *parts, last = name.split(".")
        for part in parts:
            target = getattr(target, part)
        try:
            answer = getattr(target, last)(*values, **named)
            connection.send((list(answer) if last == "preview" else answer, None))
        except Exception as error:
            connection.send((None, error))


if __name__ == "__main__":
    sys.exit(main())
