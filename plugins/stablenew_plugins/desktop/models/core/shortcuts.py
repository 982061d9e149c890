"""The keys: what each does and where. One table, which the help shows and the window obeys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablenew_plugins.desktop.models.core.view import TABS, tab_titles
from stablenew_plugins.desktop.text import _

if TYPE_CHECKING:
    from stablenew_plugins.desktop.models.workbench import Workbench


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A key with what it does."""

    keys: str
    """``Ctrl+Enter``, ``Escape``, ``1``, ``?``. Ctrl is Cmd on a Mac."""
    what: str
    """Empty: the help does not list it."""
    act: Callable[[], None]
    tab: str = ""
    """Only while this tab is in front; empty: everywhere."""
    while_typing: bool = False
    """Also while a text is being typed."""
    group: str = ""
    """Heading in the help."""
    overlay: str = ""
    """Only while this overlay is open; empty: as the others say."""
    repeats: bool = True
    """Whether a key that is held down does it again and again."""


def shortcuts(bench: Workbench) -> Sequence[Shortcut]:
    """All of them."""
    view, run = bench.view, bench.run
    everywhere, tabs = _("Everywhere"), _("Tabs")
    made = [
        Shortcut("Ctrl+Enter", _("Run, or add to the queue"), run.run, while_typing=True, group=everywhere),
        Shortcut(
            "Ctrl+Shift+Enter",
            _("Run next: before all that waits"),
            run.run_next,
            while_typing=True,
            group=everywhere,
            repeats=False,
        ),
        Shortcut(
            "Ctrl+Alt+Enter",
            _("Add to the queue, behind all that waits"),
            run.add_to_queue,
            while_typing=True,
            group=everywhere,
            repeats=False,
        ),
        Shortcut("Ctrl+.", _("Stop the run"), run.stop, while_typing=True, group=everywhere),
        Shortcut(
            "Ctrl+P", _("Pause the queue, or go on"), run.pause.toggle, while_typing=True, group=everywhere
        ),
        Shortcut(
            "Ctrl+Shift+P",
            _("Runs start at once, or are collected first"),
            run.switch_mode,
            while_typing=True,
            group=everywhere,
            repeats=False,
        ),
        Shortcut(
            "Ctrl+B", _("Show or hide the packs"), view.toggle_sidebar, while_typing=True, group=everywhere
        ),
        Shortcut(
            "Ctrl+I", _("Show or hide the preview"), view.toggle_preview, while_typing=True, group=everywhere
        ),
        Shortcut("Ctrl+,", _("Settings"), lambda: view.open("settings"), while_typing=True, group=everywhere),
        Shortcut("F1", _("This help"), lambda: view.open("shortcuts"), while_typing=True, group=everywhere),
        Shortcut(
            "Escape", _("Close what lies over the window"), view.close, while_typing=True, group=everywhere
        ),
    ]
    titles = tab_titles()
    for number, tab in enumerate(TABS, 1):
        act = lambda tab=tab: view.show_tab(tab)  # noqa: E731
        made.append(Shortcut(f"Ctrl+{number}", titles[tab], act, while_typing=True, group=tabs))
    for model in (
        bench.packs,
        bench.pipeline,
        bench.presets,
        bench.variants,
        bench.editor,
        bench.queue,
        bench.preview,
        bench.review,
        bench.viewer,
        bench.compare,
    ):
        made += model.shortcuts()
    return made


def find(table: Sequence[Shortcut], keys: str, *, tab: str, typing: bool, overlay: str) -> Shortcut | None:
    """What ``keys`` do now: what the overlay or the tab has them for, else what they do everywhere. Under an
    overlay only its own ones, and those that work everywhere and while typing."""
    found = None
    for shortcut in table:
        if shortcut.keys != keys or (typing and not shortcut.while_typing):
            continue
        if shortcut.overlay:
            if shortcut.overlay == overlay:
                return shortcut
            continue
        if (shortcut.tab and (shortcut.tab != tab or overlay)) or (overlay and not shortcut.while_typing):
            continue
        if found is None or (shortcut.tab and not found.tab):
            found = shortcut
    return found
