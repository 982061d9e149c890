"""Settings compared over the window: two presets, and where each value comes from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    row,
    set_text,
    text,
)
from stablenew_plugins.desktop.components.fields import text_field
from stablenew_plugins.desktop.components.overlay import Overlay
from stablenew_plugins.desktop.components.picker import Picker
from stablenew_plugins.desktop.models.pipeline.names import filtered
from stablenew_plugins.desktop.models.pipeline.presets import NOW, Line, Origin
from stablenew_plugins.desktop.panels.pipeline.presetoverlay import LINES_SHOWN, PresetOverlay
from stablenew_plugins.desktop.text import _, many


class DiffOverlay(PresetOverlay):
    """What differs between two presets, or a preset and now."""

    def build(self) -> None:
        """Make the items."""
        ui, presets = self.ui, self._presets
        self._overlay = Overlay(
            ui,
            _("Compare"),
            self._bench.view.close,
            width=860,
            height=640,
            sub=_("Setting by setting. What only one of the two sets has nothing on the other side."),
            tag="preset_diff",
        )
        self._shown: object = None
        with self._overlay:
            with row(ui, 10):
                find = filtered
                names = lambda: [self._now_words(), *presets.names]  # noqa: E731
                self._left = Picker(
                    ui, partial(self._choose, 0), names, tag="preset_diff.left", find=find, width=260
                )
                text(ui, _("and"), "small", ui.colours.muted, beside_frame=True)
                self._right = Picker(
                    ui, partial(self._choose, 1), names, tag="preset_diff.right", find=find, width=260
                )
            self._told = text(ui, "", "small", ui.colours.muted)
            with dpg.child_window(border=False, width=-1, height=-1) as self._list:
                pass
        presets.compare(self._pipeline.preset, NOW)

    def _now_words(self) -> str:
        return _("What is set now")

    def _choose(self, side: int, name: str) -> None:
        chosen = NOW if name == self._now_words() else name
        sides = [self._presets.left, self._presets.right]
        sides[side] = chosen
        self._presets.compare(*sides)

    def apply(self) -> None:
        """Show the lines."""
        presets = self._presets
        self._left.show(presets.left, presets.left or self._now_words())
        self._right.show(presets.right, presets.right or self._now_words())
        found = presets.difference
        key = (found, presets.failure)
        if key == self._shown:
            return
        self._shown = key
        if presets.failure:
            set_text(self._told, presets.failure, self.ui.colours.red)
        elif found is None:
            set_text(self._told, _("Comparing …"), self.ui.colours.muted)
        else:
            words = many("{n} setting differs", "{n} settings differ", len(found))
            alike = many("{n} is alike", "{n} are alike", presets.equal)
            set_text(
                self._told, f"{words}, {alike}." if found else _("No setting differs."), self.ui.colours.muted
            )
        self._refill(self._list, lambda: self._fill(found or ()))

    def _fill(self, lines: Sequence[Line]) -> None:
        c = self.ui.colours
        rows = [
            (
                (one.stage, "small", c.muted),
                (one.title, "small", c.text),
                (one.left or "–", "small", c.muted),
                (one.right or "–", "small", c.accent_high),
            )
            for one in lines[:LINES_SHOWN]
        ]
        if rows:
            self._lines(rows, (1.1, 1.3, 1.6, 1.6))


class ExplainOverlay(PresetOverlay):
    """Where each value of the next run comes from."""

    def build(self) -> None:
        """Make the items."""
        ui = self.ui
        self._overlay = Overlay(
            ui,
            _("Where do values come from?"),
            self._bench.view.close,
            width=920,
            height=680,
            sub=_(
                "Every setting of the stages that run, as the kernel explains it. A pack may bring its own "
                "settings: they lie over the preset, and under what you change here."
            ),
            tag="explain",
        )
        self._words = ""
        self._shown: object = None
        with self._overlay:
            text_field(
                ui,
                "",
                self._search,
                hint=_("Find a setting, a value or a source"),
                width=380,
                tag="explain.search",
            )
            self._told = text(ui, "", "small", ui.colours.muted)
            with dpg.child_window(border=False, width=-1, height=-1) as self._list:
                pass
        sources = self._bench.run.sources
        self._of = sources[0].title if sources else ""
        self._presets.explain(sources[0] if sources else None)

    def _search(self, words: str) -> None:
        self._words = words
        self.apply()

    def apply(self) -> None:
        """Show the lines."""
        presets, c = self._presets, self.ui.colours
        key = (presets.origins, self._words, presets.failure)
        if key == self._shown:
            return
        self._shown = key
        found = presets.origins_like(self._words)
        if presets.failure:
            set_text(self._told, presets.failure, c.red)
        elif presets.origins is None:
            set_text(self._told, _("Asking the kernel …"), c.muted)
        else:
            words = many("{n} setting", "{n} settings", len(found))
            set_text(self._told, f"{words}  ·  {self._of}" if self._of else words, c.muted)
        self._refill(self._list, lambda: self._fill(found))

    def _fill(self, found: Sequence[Origin]) -> None:
        c = self.ui.colours
        rows = []
        for one in found[:LINES_SHOWN]:
            changed = self._pipeline.is_changed(one.name)
            source = f"{one.source}, {one.place}" if one.place else one.source
            below = "  ‹  ".join(f"{value or '–'} ({where})" for where, value in one.below)
            rows.append(
                (
                    (one.stage, "small", c.muted),
                    (one.title, "small", c.text),
                    (one.value or "–", "small_medium", c.accent_high if changed else c.text),
                    (source, "small", c.muted),
                    (below, "small", c.faint),
                )
            )
        if rows:
            self._lines(rows, (1.0, 1.2, 1.1, 1.6, 1.7))
        if len(found) > LINES_SHOWN:
            more = many("{n} more: search for it", "{n} more: search for them", len(found) - LINES_SHOWN)
            text(self.ui, more, "small", c.muted)
