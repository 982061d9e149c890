"""What is asked about presets over the window: names, what differs, where values come from, what to take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    button,
    checkbox,
    column,
    enable_button,
    icon_button,
    label,
    row,
    set_text,
    space,
    text,
    tooltip,
)
from stablenew_plugins.desktop.components.fields import text_field
from stablenew_plugins.desktop.components.fit import fit
from stablenew_plugins.desktop.components.overlay import Overlay
from stablenew_plugins.desktop.components.picker import Picker
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.pipeline.names import filtered
from stablenew_plugins.desktop.models.pipeline.presets import NOW, Line, Origin
from stablenew_plugins.desktop.models.pipeline.taken import Item as TakenItem
from stablenew_plugins.desktop.models.pipeline.values import short
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import Colour

LINES_SHOWN = 150
"""Of a long list; typing finds the others."""
LINES_A_FRAME = 25
"""Of them, so many are made at once: all of them would hold up a frame."""


class _Over(Panel):
    """An overlay that is kept up to date."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.presets, bench.pipeline)
        self._bench, self._presets, self._pipeline = bench, bench.presets, bench.pipeline
        self._overlay: Overlay | None = None
        self.build()

    def _refill(self, container: Item, fill: Callable[[], None]) -> None:
        dpg.delete_item(container, children_only=True)
        dpg.push_container_stack(container)
        try:
            fill()
        finally:
            dpg.pop_container_stack()

    def _lines(self, rows: Sequence[Sequence[tuple[str, str, Colour]]], widths: Sequence[float]) -> None:
        """A table of ``(words, font, colour)``; ``widths``: parts of the whole."""
        ui = self.ui
        room = (self._overlay.width if self._overlay is not None else ui.px(700)) - ui.px(70)
        with dpg.table(header_row=False, policy=dpg.mvTable_SizingStretchProp, borders_innerH=True) as table:
            dpg.bind_item_theme(table, ui.themes.theme({}, {"CellPadding": (6, 6)}, dpg.mvTable))
            for width in widths:
                dpg.add_table_column(init_width_or_weight=width)
        rooms = [room * width / sum(widths) - ui.px(14) for width in widths]
        self._add_lines(table, list(rows), rooms)

    def _add_lines(
        self, table: Item, rows: Sequence[Sequence[tuple[str, str, Colour]]], rooms: Sequence[float]
    ) -> None:
        """Some of them; the others behind the next frame."""
        ui = self.ui
        if not dpg.does_item_exist(table):
            return
        for cells in rows[:LINES_A_FRAME]:
            with dpg.table_row(parent=table):
                for (words, font, colour), room in zip(cells, rooms, strict=True):
                    flat = words.replace("\n", " ")
                    shown = fit(ui, flat, font, room)
                    item = text(ui, shown, font, colour)
                    if shown != flat:
                        tooltip(ui, item, words if len(words) < 800 else f"{words[:800]}…")
        if rest := rows[LINES_A_FRAME:]:
            ui.later(partial(self._add_lines, table, rest, rooms))

    def close(self) -> None:
        """Take it away."""
        if self._overlay is not None:
            self._overlay.close()


class SaveOverlay(_Over):
    """A name and a description for a preset."""

    def build(self) -> None:
        """Make the items."""
        ui, presets = self.ui, self._presets
        own = presets.is_own
        name = self._pipeline.preset if own else presets.free_name(self._pipeline.preset or _("preset"))
        told = presets.current.description if presets.current is not None else ""
        self._overlay = Overlay(
            ui,
            _("Save the preset"),
            self._bench.view.close,
            width=560,
            sub=_("All settings as they are now. What came with StableNew stays as it is."),
            tag="preset_save",
        )
        with self._overlay, column(ui, 8):
            label(ui, _("Name"))
            self._name = text_field(ui, name, lambda _value: self.apply(), tag="preset_save.name")
            dpg.configure_item(self._name, on_enter=False)
            self._problem = text(ui, "", "small", ui.colours.muted, wrap=ui.px(500))
            label(ui, _("What it is good for"))
            self._told = text_field(ui, told, lambda _value: None, tag="preset_save.description")
            space(ui, 4)
            with row(ui, 10):
                self._do = button(ui, _("Save"), self._save, "primary", icon=icons.SAVE, tag="preset_save.do")
                button(ui, _("Cancel"), self._bench.view.close, "ghost")
        ui.later(lambda: dpg.focus_item(self._name) if dpg.does_item_exist(self._name) else None)

    def apply(self) -> None:
        """Say what is wrong with the name."""
        name, c = dpg.get_value(self._name), self.ui.colours
        problem = self._presets.name_problem(name)
        if problem:
            set_text(self._problem, problem, c.red)
        elif self._presets.failure:
            set_text(self._problem, self._presets.failure, c.red)
        elif self._presets.replaces(name):
            set_text(self._problem, _("There is one of this name: it goes to the trash."), c.amber)
        else:
            set_text(self._problem, _("A new preset."), c.muted)
        enable_button(self._do, not problem and not self._presets.saving)

    def _save(self) -> None:
        self._presets.save_as(dpg.get_value(self._name), dpg.get_value(self._told))


class DiffOverlay(_Over):
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
        key = (id(found), presets.failure)
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


class ExplainOverlay(_Over):
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
        key = (id(presets.origins), self._words, presets.failure)
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


class TakeOverlay(_Over):
    """Settings of an image: choose which to take over."""

    def build(self) -> None:
        """Make the items."""
        ui = self.ui
        self._overlay = Overlay(
            ui,
            _("Settings of an image"),
            self._bench.view.close,
            width=860,
            height=640,
            sub=_("Take over what an image was made with. Prompts stay those of your packs."),
            tag="apply_image",
        )
        self._chosen: set[str] = set()
        self._shown: object = None
        with self._overlay:
            with row(ui, 8):
                self._path = text_field(
                    ui,
                    "",
                    lambda _value: None,
                    hint=_("Paste the path of an image file"),
                    width=520,
                    tag="apply_image.path",
                )
                button(ui, _("Read it"), self._read, "soft", icon=icons.IMAGE, tag="apply_image.read")
            self._told = text(ui, "", "small", ui.colours.muted, wrap=ui.px(800))
            with dpg.child_window(border=False, width=-1, height=-ui.px(50)) as self._list:
                pass
            with row(ui, 10):
                self._do = button(ui, "", self._take, "primary", icon=icons.CHECK, tag="apply_image.do")
                button(ui, _("All"), partial(self._all, True), "ghost", tag="apply_image.all")
                button(ui, _("None"), partial(self._all, False), "ghost", tag="apply_image.none")

    def _read(self) -> None:
        given = dpg.get_value(self._path).strip().strip('"').removeprefix("file://")
        if given:
            self._pipeline.take_from_file(Path(given).expanduser())

    def _items(self) -> Sequence[TakenItem]:
        return self._pipeline.taken.items if self._pipeline.taken is not None else ()

    def apply(self) -> None:
        """Show the lines."""
        taken, c = self._pipeline.taken, self.ui.colours
        if taken is not self._shown:
            self._shown = taken
            self._chosen = {item.name for item in self._items() if item.chosen and not item.problem}
            if taken is None:
                set_text(self._told, "", c.muted)
            elif not taken.items:
                words = _("{name}: everything is set like that already.").replace("{name}", taken.label)
                set_text(self._told, words, c.muted)
            else:
                by = f" ({taken.program})" if taken.program else ""
                words = many("{n} setting differs.", "{n} settings differ.", len(taken.items))
                set_text(self._told, "\n".join([f"{taken.label}{by}: {words}", *taken.notes]), c.muted)
            self._refill(self._list, self._fill)
        self._count()

    def _count(self) -> None:
        words = many("Take {n} setting", "Take {n} settings", len(self._chosen))
        dpg.configure_item(self._do, label=f"{icons.CHECK}  {words}")
        enable_button(self._do, bool(self._chosen))

    def _fill(self) -> None:
        ui, c = self.ui, self.ui.colours
        room = (self._overlay.width if self._overlay is not None else ui.px(700)) - ui.px(120)
        with dpg.table(header_row=False, policy=dpg.mvTable_SizingStretchProp, borders_innerH=True) as table:
            dpg.bind_item_theme(table, ui.themes.theme({}, {"CellPadding": (6, 5)}, dpg.mvTable))
            for weight in (0.3, 1.0, 1.2, 1.5, 1.5):
                dpg.add_table_column(init_width_or_weight=weight)
            for item in self._items():
                with dpg.table_row():
                    checkbox(
                        ui,
                        item.name in self._chosen,
                        partial(self._choose, item.name),
                        enabled=not item.problem,
                        tag=f"apply_image.{item.name}",
                    )
                    text(ui, item.stage, "small", c.muted)
                    text(ui, item.title, "small", c.text)
                    text(ui, fit(ui, short(item.now) or "–", "small", room * 0.25), "small", c.muted)
                    then = fit(ui, short(item.then) or "–", "small", room * 0.25)
                    shown = text(ui, then, "small", c.red if item.problem else c.accent_high)
                    if item.problem:
                        tooltip(ui, shown, item.problem)

    def _choose(self, name: str, chosen: bool) -> None:
        self._chosen = self._chosen | {name} if chosen else self._chosen - {name}
        self._count()

    def _all(self, chosen: bool) -> None:
        self._chosen = {item.name for item in self._items() if chosen and not item.problem}
        self._refill(self._list, self._fill)
        self._count()

    def _take(self) -> None:
        self._pipeline.take(sorted(self._chosen))
        self._bench.view.close()

    def close(self) -> None:
        """Take it away; what was not taken is forgotten."""
        super().close()
        self._pipeline.taken = None


class PresetsOverlay(_Over):
    """All presets, those in the trash, and the profiles."""

    def build(self) -> None:
        """Make the items."""
        ui = self.ui
        self._overlay = Overlay(
            ui,
            _("Presets and profiles"),
            self._bench.view.close,
            width=820,
            height=680,
            sub=_(
                "A preset is a whole pipeline. A profile says what suits a model, and lies below the preset."
            ),
            tag="presets",
        )
        self._renaming = ""
        self._shown: object = None
        with self._overlay, dpg.child_window(border=False, width=-1, height=-1) as self._list:
            pass
        self._presets.load()

    def apply(self) -> None:
        """Show the lists."""
        presets = self._presets
        key = (
            tuple((entry.name, entry.description) for entry in presets.entries),
            tuple((entry.name, entry.changed_at) for entry in presets.trash),
            tuple(presets.profile_texts.items()),
            tuple(presets.problems),
            self._pipeline.preset,
            self._renaming,
        )
        if key != self._shown:
            self._shown = key
            self._refill(self._list, self._fill)

    def _fill(self) -> None:
        ui, presets, c = self.ui, self._presets, self.ui.colours
        with column(ui, 8):
            for name in presets.names:
                self._preset(name)
            for problem in presets.problems:
                text(ui, problem, "small", c.red, wrap=ui.px(740))
            if presets.trash:
                space(ui, 6)
                text(ui, _("In the trash"), "h2")
                for entry in presets.trash:
                    with row(ui, 10):
                        text(ui, fit(ui, entry.name, "body", ui.px(420)), "body", c.muted, beside_frame=True)
                        restore = partial(presets.restore, entry.name)
                        button(ui, _("Restore"), restore, "ghost", icon=icons.UNDO_2, font="small_medium")
            space(ui, 6)
            text(ui, _("Profiles"), "h2")
            if not presets.profiles:
                words = _("None yet: NAME.profile.json in the folder profiles says what suits the model NAME.")
                text(ui, words, "small", c.muted, wrap=ui.px(740))
            for entry in presets.profiles:
                with column(ui, 2):
                    kind = _("LoRA") if entry.subject == "lora" else _("model")
                    text(ui, f"{fit(ui, entry.name, 'medium', ui.px(560))}  ·  {kind}", "medium")
                    told = presets.profile_texts.get(entry.name, "") or entry.description
                    text(ui, fit(ui, told, "small", ui.px(740)), "small", c.muted)

    def _preset(self, name: str) -> None:
        ui, presets, c = self.ui, self._presets, self.ui.colours
        entry = presets.entry(name)
        if entry is None:
            return
        on = name == self._pipeline.preset
        with row(ui, 6):
            if self._renaming == name:
                field = text_field(ui, name, lambda _value: None, width=300, tag="presets.rename")
                dpg.configure_item(field, on_enter=True, callback=lambda *_: self._renamed(name, field))
                button(ui, _("Rename"), lambda: self._renamed(name, field), "soft", height=33)
                button(ui, _("Cancel"), partial(self._rename, ""), "ghost", height=33)
                return
            icon_button(
                ui,
                icons.CIRCLE_CHECK if on else icons.CIRCLE,
                partial(presets.choose, name),
                _("Use it"),
                "chip_on" if on else "ghost",
                size=32,
                tag=f"presets.use.{name}",
            )
            new = partial(presets.duplicate, name, presets.free_name(name))
            icon_button(ui, icons.COPY, new, _("Duplicate"), size=32, tag=f"presets.copy.{name}")
            if not entry.shipped:
                tag = f"presets.rename.{name}"
                icon_button(ui, icons.PENCIL, partial(self._rename, name), _("Rename"), size=32, tag=tag)
                gone = partial(presets.delete, name)
                icon_button(ui, icons.TRASH_2, gone, _("Into the trash"), size=32, tag=f"presets.delete.{name}")
            else:  # names stand one below the other
                space(ui, 32, 32)
                space(ui, 32, 32)
            with column(ui, 2):
                with row(ui, 10):
                    text(ui, fit(ui, name, "medium", ui.px(380)), "medium", c.accent_high if on else c.text)
                    if entry.shipped:
                        text(ui, _("came with StableNew"), "small", c.faint)
                text(ui, fit(ui, entry.description, "small", ui.px(560)), "small", c.muted)

    def _rename(self, name: str) -> None:
        self._renaming = name
        self._presets.touch()

    def _renamed(self, name: str, field: Item) -> None:
        new = dpg.get_value(field).strip()
        problem = self._presets.name_problem(new)
        if new == name:
            self._rename("")
        elif problem or self._presets.replaces(new):
            words = problem or _("There is a preset of this name already.")
            self._bench.toasts.say(words, "warning")
        else:
            self._presets.rename(name, new)
            self._rename("")
