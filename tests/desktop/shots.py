"""Makes the pictures of the desktop in ``docs/images/desktop``: ``python3 dev.py shots [KIND ...]``.

``tabs``: each tab in both themes and at two scales; ``overlays``: what can lie over the window; both with a
fake kernel that has much to show, at a time that stands still. ``walk``: somebody who opens StableNew for the
first time and ends with rated images; real mouse and keyboard events, a real kernel, a real agent and the
embedded engine, in a fresh data folder. A picture that looks as the one before is left as it is.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg
from PIL import Image, ImageChops
from tests.desktop import shots_walk, stillness
from tests.desktop.driver import Driver
from tests.desktop.fewcolours import few_colours
from tests.desktop.window import Window
from tests.desktop.xdisplay import XDisplay, why_not

from stablenew_kernel.domain.summary import question
from stablenew_plugins.desktop.models.core.view import TABS
from stablenew_plugins.desktop.models.pipeline.cards import RUN_SECTION
from stablenew_plugins.desktop.models.run import Question
from stablenew_plugins.desktop.models.settings import Server

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "images" / "desktop"
SIZES = {1.0: (1440, 900), 1.5: (1920, 1180)}
"""Of the window, by scale, in px."""
BORDER = 80
"""Px of the screen that the window leaves free when it opens for the first time."""


PATIENCE = 240.0
"""Seconds until a window comes to rest: pictures are made beside other work, too."""


class Album:
    """The folder that the pictures go to. Tells of each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, name: str, image: Image.Image) -> None:
        """Keep a picture, with few colours, which makes it small."""
        path = self.folder / f"{name}.png"
        self.names.append(name)
        small = few_colours(image)
        if _is_same(small, path):
            print(f"  {name}: as before", flush=True)
            return
        file = io.BytesIO()
        small.save(file, "PNG", optimize=True)
        path.write_bytes(file.getvalue())
        print(f"  {name}: {len(file.getvalue()) // 1024} KiB", flush=True)

    def drop_others(self, prefixes: Sequence[str]) -> None:
        """Remove pictures of these kinds that were not made this time."""
        for path in self.folder.glob("*.png"):
            if path.name.startswith(tuple(prefixes)) and path.stem not in self.names:
                path.unlink()
                print(f"  {path.stem}: removed", flush=True)


def _is_same(image: Image.Image, path: Path) -> bool:
    """Whether the file shows ``image`` to the pixel."""
    if not path.exists():
        return False
    with Image.open(path) as before:
        if before.size != image.size:
            return False
        return ImageChops.difference(before.convert("RGB"), image.convert("RGB")).getbbox() is None


# --- the tabs, and what lies over them ----------------------------------------------------------------------


def tabs(album: Album, screen: XDisplay) -> None:
    """Each tab in both themes and at both scales."""
    with _window(screen) as gui:
        for theme in ("dark", "light"):
            for scale in SIZES:
                with _house(gui, theme, scale) as app:
                    for tab in TABS:
                        app.bench.view.show_tab(tab)
                        album.add(f"{tab}-{theme}-{scale * 100:.0f}", _at_rest(app, gui))


def overlays(album: Album, screen: XDisplay) -> None:
    """What can lie over the window, and the card of a plugin."""
    with _window(screen) as gui, _house(gui, "dark", 1.0) as app:
        for name, show in OVERLAYS.items():
            show(app, gui)
            album.add(f"overlay-{name}", _at_rest(app, gui))
            app.desk.clock.start()
            app.bench.run.question = None
            app.bench.view.close_anyway()
            gui.frames(3)
        album.add("card-film-grain", _card_of_a_plugin(app, gui))


def _at_rest(app: Any, gui: Driver) -> Image.Image:
    """The window once nothing changes any more."""
    gui.park()
    stillness.settle(app, app.frame, PATIENCE)
    return gui.shot()


@contextmanager
def _window(screen: XDisplay) -> Iterator[Driver]:
    """The one window of this process, and the person in front of it."""
    window = Window(screen, *SIZES[1.0])
    try:
        yield Driver(window, screen)
    finally:
        window.close()


@contextmanager
def _folder() -> Iterator[Path]:
    """An empty folder that is called the same each time, since it is to be seen."""
    folder = Path(tempfile.gettempdir()) / "stablenew-shots"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _house(gui: Driver, theme: str, scale: float) -> Iterator[Any]:
    """The desktop with the fake kernel, in the one window of this process."""
    target: Any = gui.target
    target.width, target.height = SIZES[scale]
    target.begin()
    gui.until(lambda: (dpg.get_viewport_client_width(), dpg.get_viewport_client_height()) == SIZES[scale])
    kept: list[tuple[Any, str, Any]] = []

    def patch(module: Any, name: str, value: Any) -> None:
        kept.append((module, name, getattr(module, name)))
        setattr(module, name, value)

    with _folder() as folder, chdir(folder):
        stillness.stop_the_clock(patch)
        try:
            with stillness.still_app(theme, scale) as app:
                target.pump = app
                yield app
                target.pump = target.draw
        finally:
            for module, name, value in kept:
                setattr(module, name, value)
    if target.errors:
        raise AssertionError("errors in the window: " + "; ".join(map(str, target.errors)))
    target.end()


def _start(app: Any, gui: Driver) -> None:
    settings = app.bench.settings
    settings.servers = [Server("http://127.0.0.1:7860", "webui", "Forge f2.0.1", True)]
    settings.touch()
    app.bench.start.choose(settings.servers[0])
    app.bench.view.open("start")


def _engine(app: Any, gui: Driver) -> None:
    app.bench.settings.show("engine")
    app.bench.view.open("settings")


def _appearance(app: Any, gui: Driver) -> None:
    app.bench.settings.show("look")
    app.bench.view.open("settings")


def _editor(app: Any, gui: Driver) -> None:
    packs = app.bench.packs
    packs.current = gui.until(lambda: packs.current).absolute()
    packs.edit()
    gui.until(lambda: gui.visible("editor.row.0"))
    gui.click("editor.positive.text", across=0.9, down=0.9)
    gui.type(", __we")
    gui.until(lambda: gui.visible("editor.option.0"))


def _compare(app: Any, gui: Driver) -> None:
    review = app.bench.review
    app.bench.view.show_tab("learning")
    gui.until(lambda: review.total and review.at(2) is not None)
    app.bench.compare.open([image for place in range(3) if (image := review.at(place)) is not None])


def _promote(app: Any, gui: Driver) -> None:
    app.bench.review.promote_keepers()
    gui.until(lambda: app.bench.promotion.summary is not None or app.bench.promotion.problem)


def _question(app: Any, gui: Driver) -> None:
    text = question(1920, "(2 rows x 3 times + 3 times x 2 places) x 160 seeds", "about 4 h on 2 nodes", 500)
    app.bench.run.question = Question(text, (), False)


def _card_of_a_plugin(app: Any, gui: Driver) -> Image.Image:
    """The card of ``plugins/example``, all others folded."""
    card = "pipeline.card.film_grain"
    app.bench.view.show_tab("pipeline")
    app.bench.pipeline.switch("film_grain", True)
    app.bench.pipeline.fold_all()
    gui.until(lambda: dpg.does_item_exist(card))
    gui.scroll_to("pipeline.fold.film_grain", "pipeline.title.txt2img")
    gui.click("pipeline.fold.film_grain")
    gui.until(lambda: "film_grain" in app.bench.pipeline.folds.open)
    gui.until(lambda: dpg.does_item_exist("pipeline.film_grain.size"))
    gui.scroll_to(f"pipeline.fold.{RUN_SECTION}", "pipeline.title.film_grain")  # the card below
    shown = _at_rest(app, gui)
    window, title = gui.target.bounds(), gui.rect("pipeline.title.film_grain")
    width, height = dpg.get_item_rect_size(card)
    left, top = title.x - 98, title.y - 15  # what is before the title: a grip and an icon
    return shown.crop((round(left), round(top), round(left + width), round(min(top + height, window.height))))


def _opened(name: str) -> Callable[[Any, Driver], None]:
    return lambda app, gui: app.bench.view.open(name)


OVERLAYS: dict[str, Callable[[Any, Driver], None]] = {
    "start": _start,
    "settings-engine": _engine,
    "settings-appearance": _appearance,
    "editor": _editor,
    "compare": _compare,
    "liked": _opened("liked"),
    "promote": _promote,
    "question": _question,
    "closing": _opened("close"),
    "shortcuts": _opened("shortcuts"),
}


# --- the walk -----------------------------------------------------------------------------------------------


def walk(album: Album, screen: XDisplay) -> None:
    """From the first start to rated images."""
    numbers = count(1)
    shots_walk.walk(lambda name, image: album.add(f"walk-{next(numbers):02}-{name}", image), screen)


KINDS: dict[str, tuple[Callable[[Album, XDisplay], None], tuple[int, int], Sequence[str]]] = {
    "tabs": (tabs, SIZES[1.5], [f"{tab}-" for tab in TABS]),
    "overlays": (overlays, SIZES[1.0], ["overlay-", "card-"]),
    "walk": (walk, SIZES[1.0], ["walk-"]),
}
"""What makes them, how large the window is at most, and how their names begin."""


def main(arguments: Sequence[str]) -> int:
    """Make the pictures of the kinds that are named, or all."""
    unknown = [name for name in arguments if name not in KINDS]
    if unknown:
        print(f"shots: there is no kind {unknown[0]!r}; there are: {', '.join(KINDS)}", file=sys.stderr)
        return 2
    if reason := why_not():
        print(f"shots: {reason}", file=sys.stderr)
        return 1
    kinds = arguments or list(KINDS)
    if len(kinds) == 1:
        _make(kinds[0])
        return 0
    # Dear PyGui never closes a window, which would outlive its display: a process has one.
    here = [sys.executable, "-m", "tests.desktop.shots"]
    failed = [kind for kind in kinds if subprocess.run([*here, kind], cwd=ROOT, check=False).returncode]
    return 1 if failed else 0


def _make(kind: str) -> None:
    """The pictures of one kind."""
    os.environ.pop("WAYLAND_DISPLAY", None)
    make, (width, height), prefixes = KINDS[kind]
    print(f"{kind}:", flush=True)
    album = Album(FOLDER)
    with XDisplay(width + BORDER, height + BORDER) as screen:
        make(album, screen)
    album.drop_others(prefixes)
    size = sum(path.stat().st_size for path in FOLDER.glob("*.png"))
    print(f"  {len(album.names)} pictures; with all others the folder has {size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
