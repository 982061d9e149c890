"""What is asked over the window: whether a run goes on without it, whether to queue so many; and all keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import area, button, column, row, space, text, within
from stablenew_plugins.desktop.components.overlay import Overlay
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.run import SOME
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.text import _, formula
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import NONE

Opened = Callable[[], None]
"""Closes it again."""
Keys = tuple[str, list[tuple[str, str]]]
"""A group of keys: its name, and for each key what it does."""


def close_question(ui: Ui, bench: Workbench) -> Opened:
    """Whether the run goes on when the window closes."""
    overlay = Overlay(
        ui,
        _("A run is going on"),
        bench.view.close,
        width=560,
        sub=_("It can go on without this window: open StableNew again to see it."),
        tag="close",
    )
    with overlay:
        space(ui, 4)
        with row(ui, 10):
            button(ui, _("Let it go on"), bench.view.quit, "primary", icon=icons.PLAY, tag="close.leave")
            button(
                ui,
                _("Stop, keep the queue"),
                lambda: bench.view.quit(stop_kernel=True),
                "soft",
                icon=icons.SQUARE,
                tag="close.stop",
            )
            button(ui, _("Stay here"), bench.view.close, "ghost", tag="close.stay")
    return overlay.close


def run_question(ui: Ui, bench: Workbench) -> Opened:
    """Whether to queue so many images."""
    question = bench.run.question

    def answer(yes: bool, *, some: bool = False) -> None:
        bench.run.answer(yes, some=some)
        bench.view.close()

    overlay = Overlay(
        ui,
        _("That is a large run"),
        lambda: answer(False),
        width=560,
        sub=formula(question.words) if question is not None else "",
        tag="question",
    )
    with overlay:
        space(ui, 4)
        with row(ui, 10):
            button(ui, _("Queue them all"), lambda: answer(True), "primary", tag="question.yes")
            several = question is not None and len(question.requests) > 1
            label = _("Draw {n} of each") if several else _("Draw {n} of them")
            button(ui, label.format(n=SOME), lambda: answer(True, some=True), "soft", tag="question.some")
            button(ui, _("Not now"), lambda: answer(False), "ghost", tag="question.no")
    return overlay.close


def shortcut_help(ui: Ui, bench: Workbench) -> Opened:
    """All keys."""
    overlay = Overlay(ui, _("Keys"), bench.view.close, width=820, height=620, tag="shortcuts")
    with overlay, area(ui, NONE, width=-1, height=-1), row(ui, 40, show=False) as page:
        columns: tuple[list[Keys], ...] = ([], [])
        listed = [shortcut for shortcut in bench.shortcuts if shortcut.what]
        for group, found in groupby(listed, key=lambda shortcut: shortcut.group):
            lines = [(shortcut.keys, shortcut.what) for shortcut in found]
            shorter = min(columns, key=lambda column: sum(len(lines) + 2 for _group, lines in column))
            shorter.append((group, lines))
        places: list[tuple[Item, Keys]] = []
        for part in columns:
            with column(ui, 6) as place:
                places += [(place, keys) for keys in part]
    ui.in_turn(page, _add_keys(ui, page, places))
    return overlay.close


def _add_keys(ui: Ui, page: Item, places: Sequence[tuple[Item, Keys]]) -> Iterator[None]:
    """All keys, a group at a time; then they are shown."""
    for place, keys in places:
        within(place, partial(_add_group, ui, keys))
        yield
    dpg.configure_item(page, show=True)


def _add_group(ui: Ui, keys: Keys) -> None:
    group, lines = keys
    text(ui, group, "h2")
    for key, what in lines:
        with row(ui, 12):
            space(ui, 0, 2)
            text(ui, f"{key:<18}", "mono", ui.colours.accent_high, wrap=0)
            text(ui, what, "small", ui.colours.muted)
    space(ui, 6)
