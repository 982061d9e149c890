"""The overlay of the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    Toggle,
    area,
    button,
    column,
    icon_button,
    label,
    row,
    space,
    text,
)
from stablenew_plugins.desktop.components.choicecard import choice_card
from stablenew_plugins.desktop.components.fields import combo, text_field
from stablenew_plugins.desktop.components.flow import text_width
from stablenew_plugins.desktop.components.overlay import Overlay
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.settings import EMBEDDED, FOLDER_KEYS, Server, Setting
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import NONE, SCALES

WIDTH, HEIGHT = 980, 700
EDGE, SECTIONS_WIDTH, BETWEEN = 22, 210, 20
FIELD = 300
"""Width of what is at the right of a setting."""
LOGIN = 120
"""Width of the fields for a user and a password."""
LEAST_WORDS = 220
"""Width that its description keeps beside that."""
USUAL = {"url": "http://127.0.0.1:7860", "user": "", "password": ""}
"""What stands in the fields of an address at first."""
MARKS = {"ok": icons.CIRCLE_CHECK, "note": icons.INFO, "fix": icons.CIRCLE_ALERT}


def open_settings(ui: Ui, bench: Workbench) -> Panel:
    """Lay it over the window."""
    panel = SettingsPanel(ui, bench)
    panel.build()
    return panel


class SettingsPanel(Panel):
    """See above: the sections at the left, one of them at the right."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.settings, bench.state)
        self._bench, self._model = bench, bench.settings
        self._typed = dict(USUAL)
        self._drawn: object = None
        self._buttons: dict[str, Item] = {}
        self._lines: dict[str, tuple[Item, tuple[Any, ...]]] = {}
        """Of settings of the kernel: the line of each, and what it shows."""

    def build(self) -> None:
        """Make the overlay."""
        ui, model = self.ui, self._model
        model.load()
        self._overlay = Overlay(
            ui, _("Settings"), self._bench.view.close, width=WIDTH, height=HEIGHT, tag="settings"
        )
        self._sections: dict[str, tuple[str, str, Callable[[], None]]] = {
            "look": (icons.PALETTE, _("Appearance"), self._look),
            "engine": (icons.CPU, _("Engine"), self._engine),
            "folders": (icons.FOLDER, _("Folders"), self._folders),
            "kernel": (icons.SLIDERS_HORIZONTAL, _("Runs and kernel"), self._kernel),
            "about": (icons.INFO, _("About"), self._about),
        }
        with self._overlay, row(ui, BETWEEN):
            with column(ui, 4):
                for name, (icon, title, _build) in self._sections.items():
                    self._buttons[name] = button(
                        ui,
                        title,
                        partial(model.show, name),
                        "tab",
                        icon=icon,
                        width=SECTIONS_WIDTH,
                        height=36,
                        tag=f"settings.section.{name}",
                    )
            with area(ui, NONE, width=-1, height=-1) as self._page:
                pass

    def apply(self) -> None:
        """Show the section, if something in it is another than what is shown."""
        model = self._model
        shown = (
            model.section,
            tuple(setting.name for setting in model.settings),
            model.engine,
            model.engine_url,
            tuple(model.servers),
            model.checked,
            model.is_checking,
            model.is_looking,
            model.check_problem,
            self._bench.state.is_connected,
        )
        if shown == self._drawn:
            self._draw_changed_settings()
            return
        self._drawn = shown
        self._lines.clear()
        for name, item in self._buttons.items():
            self._style_section(item, name == model.section)
        dpg.delete_item(self._page, children_only=True)
        dpg.push_container_stack(self._page)
        try:
            with column(self.ui, 12):
                self._sections[model.section][2]()
        finally:
            dpg.pop_container_stack()

    def _style_section(self, item: Item, chosen: bool) -> None:
        c = self.ui.colours
        face, words, border = (c.raised, c.text, c.line) if chosen else (NONE, c.muted, NONE)
        colours = {"Button": face, "ButtonHovered": c.raised, "ButtonActive": c.line, "Text": words}
        measures = {"ButtonTextAlign": (0.0, 0.5)}
        with_border = {**colours, "Border": border}
        dpg.bind_item_theme(item, self.ui.themes.theme(with_border, measures, dpg.mvButton))

    def close(self) -> None:
        """Take it away."""
        self._overlay.close()

    # --- sections -------------------------------------------------------------------------------------------

    def _look(self) -> None:
        ui, view = self.ui, self._bench.view
        self._title(_("Appearance"), _("Only for this window."))
        with self._line(_("Theme"), _("Light suits a bright room.")), row(ui, 8):
            for theme, title, icon in (("dark", _("Dark"), icons.MOON), ("light", _("Light"), icons.SUN)):
                kind = "chip_on" if view.theme == theme else "chip"
                button(
                    ui,
                    title,
                    partial(self._later, partial(view.choose_theme, theme)),
                    kind,
                    icon=icon,
                    height=28,
                    tag=f"settings.theme.{theme}",
                )
        with self._line(_("Size of everything"), _("Letters, buttons and pictures alike.")), row(ui, 6):
            for scale in SCALES:
                kind = "chip_on" if abs(view.scale - scale) < 0.01 else "chip"
                button(
                    ui,
                    f"{scale * 100:.0f}%",
                    partial(self._later, partial(view.choose_scale, scale)),
                    kind,
                    font="small_medium",
                    height=28,
                    tag=f"settings.scale.{scale * 100:.0f}",
                )
        with self._line(_("Keys"), _("All that the keyboard can do (F1).")):
            button(
                ui,
                _("Show all keys"),
                partial(self._later, partial(view.open, "shortcuts")),
                "soft",
                icon=icons.KEYBOARD,
            )

    @contextmanager
    def _line(
        self, title: str, words: str, *, note: str = "", problem: str = "", wide: bool = False
    ) -> Iterator[None]:
        """A setting: what it is at the left, what is made within at the right, or below where it is ``wide`` or
        there is little room. ``note`` stands behind the title."""
        ui, c = self.ui, self.ui.colours
        room = self._room
        beside = not wide and room >= ui.px(FIELD + LEAST_WORDS)
        left = room - ui.px(FIELD + BETWEEN) if beside else room
        with dpg.drawlist(room, 1):
            dpg.draw_line((0, 0), (room, 0), color=c.line_soft)
        with dpg.group(horizontal=beside, horizontal_spacing=ui.px(BETWEEN)):
            with column(ui, 4):
                dpg.add_spacer(width=left, height=0)
                with row(ui, 10):
                    text(ui, title, "medium")
                    if note:
                        text(ui, note, "small", c.amber)
                if words:
                    text(ui, words, "small", c.muted, wrap=left)
                if problem:
                    text(ui, problem, "small", c.red, wrap=left)
            with column(ui, 6):
                yield

    @property
    def _room(self) -> int:
        """Pixels beside the sections; a scroll bar has its own."""
        return self._overlay.width - self.ui.px(2 * EDGE + SECTIONS_WIDTH + BETWEEN + 14)

    def _later(self, call: Callable[[], None]) -> None:
        """The button that is being clicked goes with what this does."""
        self.ui.later(call)

    def _engine(self) -> None:
        ui, model = self.ui, self._model
        self._title(
            _("Engine"),
            _("What makes the images on this machine. Other machines have their own; see the tab Cluster."),
        )
        self._choice(
            icons.APERTURE,
            _("Embedded engine"),
            _("A stand-in that paints simple pictures, without an AI model. For trying things out."),
            model.engine == EMBEDDED,
            model.use_embedded,
            "settings.use.embedded",
        )
        if model.engine != EMBEDDED:
            self._choice(
                icons.SERVER,
                model.engine_title,
                model.engine_url or _("its usual address"),
                True,
                lambda: None,
                "settings.use.current",
            )
        for number, server in enumerate(model.servers):
            if server.kind == model.engine and server.url == model.engine_url:
                continue
            self._server(server, f"settings.use.found{number}")
        with row(ui, 8):
            words = _("Looking …") if model.is_looking else _("Look on this machine")
            button(ui, words, model.look, "soft", icon=icons.SEARCH, tag="settings.look")
        space(ui, 4)
        label(ui, _("Or an address"))
        with row(ui, 8):
            words = _("Asking …") if model.is_checking else _("Check")
            check = text_width(ui, f"{icons.PLUG}  {words}", "medium") / ui.scale + 24
            url = max(self._room / ui.scale - 2 * LOGIN - check - 3 * 8, LOGIN)
            text_field(ui, self._typed["url"], partial(self._type, "url"), width=url, tag="settings.url")
            user = partial(self._type, "user")
            text_field(ui, self._typed["user"], user, hint=_("user, if any"), width=LOGIN)
            text_field(
                ui,
                self._typed["password"],
                partial(self._type, "password"),
                hint=_("password"),
                width=LOGIN,
                password=True,
            )
            button(ui, words, self._check, "soft", icon=icons.PLUG, width=check, tag="settings.check")
        if model.check_problem:
            self._finding("fix", model.check_problem, "")
        if model.checked is not None:
            self._server(model.checked, "settings.use.checked")

    def _use(self, server: Server) -> None:
        self._typed = dict(USUAL)
        self._model.use(server)

    def _type(self, name: str, value: str) -> None:
        self._typed[name] = value

    def _check(self) -> None:
        self._model.check(self._typed["url"], self._typed["user"], self._typed["password"])

    def _server(self, server: Server, tag: str) -> None:
        icon = icons.WORKFLOW if server.kind == "comfyui" else icons.SERVER
        use = partial(self._use, server)
        self._choice(icon, server.name, server.url, False, use if server.usable else None, tag)
        for finding in server.findings:
            if finding.level != "ok" or server is self._model.checked:
                self._finding(finding.level, f"{finding.topic}: {finding.text}", finding.advice)

    def _finding(self, level: str, words: str, advice: str) -> None:
        ui, c = self.ui, self.ui.colours
        colour = {"ok": c.green, "note": c.cyan, "fix": c.red}[level]
        with row(ui, 8):
            text(ui, MARKS[level], "small", colour)
            with column(ui, 2):
                text(ui, " ".join(words.split()), "small", c.text, wrap=ui.px(600))
                if advice:
                    text(ui, advice, "small", c.muted, wrap=ui.px(600))

    def _choice(
        self, icon: str, title: str, sub: str, chosen: bool, use: Callable[[], None] | None, tag: str
    ) -> None:
        c = self.ui.colours
        mark = None
        if chosen:
            mark = f"{icons.CHECK}  {_('In use')}", "small_medium", c.accent_high
        elif use is None:
            mark = _("Not usable yet"), "small", c.red
        choice_card(
            self.ui,
            icon,
            c.accent if chosen else c.cyan,
            title,
            sub,
            self._room,
            chosen=chosen,
            mark=mark,
            action=_("Use this"),
            act=partial(self._later, use) if use is not None else None,
            tag=tag,
        )

    def _folders(self) -> None:
        model = self._model
        self._title(_("Folders"), _("Where packs are looked for, and where images go."))
        data = self._bench.desk.data
        self._path(_("Data folder"), str(data.root), _("queue, history, settings"))
        for name in FOLDER_KEYS:
            setting = next((one for one in model.settings if one.name == name), None)
            if setting is not None:
                self._setting(setting)

    def _path(self, title: str, path: str, what: str) -> None:
        ui = self.ui
        with self._line(title, what, wide=True), row(ui, 8):
            text(ui, path, "mono", beside_frame=28)
            copy = partial(dpg.set_clipboard_text, path)
            icon_button(ui, icons.COPY, copy, _("Copy the path"), "quiet", 28)

    def _kernel(self) -> None:
        model = self._model
        self._title(_("Runs and kernel"), model.path)
        if model.problem:
            self._finding("fix", model.problem, _("Correct the file; nothing is written over it."))
        if not self._bench.state.is_connected:
            self._finding("note", _("No kernel answers, so its settings can't be shown."), "")
        for title, settings in model.groups:
            if settings:
                space(self.ui, 10)
                text(self.ui, title.upper(), "micro", self.ui.colours.faint)
            for setting in settings:
                self._setting(setting)

    # --- settings of the kernel -----------------------------------------------------------------------------

    def _setting(self, setting: Setting) -> None:
        """A line of its own, which alone is drawn anew when the setting changes."""
        with column(self.ui, 12) as line:
            self._draw_setting(setting)
        self._lines[setting.name] = (line, self._shown_of(setting))

    def _shown_of(self, setting: Setting) -> tuple[Any, ...]:
        return setting, self._model.refused.get(setting.name)

    def _draw_changed_settings(self) -> None:
        """Someone may be typing in another line."""
        for setting in self._model.settings:
            if setting.name not in self._lines:
                continue
            line, drawn = self._lines[setting.name]
            shown = self._shown_of(setting)
            if shown == drawn:
                continue
            dpg.delete_item(line, children_only=True)
            dpg.push_container_stack(line)
            try:
                self._draw_setting(setting)
            finally:
                dpg.pop_container_stack()
            self._lines[setting.name] = (line, shown)

    def _draw_setting(self, setting: Setting) -> None:
        model = self._model
        note = _("at the next start of the kernel") if setting.waits else ""
        wide = setting.name in FOLDER_KEYS or setting.schema.get("type") == "array"
        refusal = model.refused.get(setting.name)
        problem = refusal.reason if refusal is not None else ""
        with self._line(setting.title, setting.description, note=note, problem=problem, wide=wide):
            self._field(setting)

    def _field(self, setting: Setting) -> None:
        ui, model = self.ui, self._model
        kind, tag, value = setting.schema.get("type"), f"settings.{setting.name}", model.shown(setting)
        change: Callable[[Any], None] = partial(model.change, setting.name)
        if kind == "boolean":
            with row(ui, 0):
                space(ui, 0, FIELD - Toggle.WIDTH)
                Toggle(ui, bool(value), change, tag=tag)
        elif "enum" in setting.schema:
            choices = [str(one) for one in setting.schema["enum"]]
            combo(ui, choices, str(value), change, width=FIELD, tag=tag)
        elif kind in ("integer", "number"):
            words = value if isinstance(value, str) else f"{value:.10g}"
            self._typed_into(text_field(ui, words, _not_yet, width=FIELD, tag=tag), setting, _number)
        elif kind == "array":
            words = "\n".join(str(line) for line in value or ())
            wide = self._room / ui.scale
            field = text_field(ui, words, _not_yet, lines=3, hint=_("one a line"), width=wide, tag=tag)
            self._typed_into(field, setting, _lines)
        else:
            width = self._room / ui.scale if setting.name in FOLDER_KEYS else FIELD
            field = text_field(ui, str(value or ""), _not_yet, width=width, tag=tag)
            self._typed_into(field, setting, str)

    def _typed_into(self, field: Item, setting: Setting, read: Callable[[str], Any]) -> None:
        """What is typed there is written when the person leaves the field."""

        def leave() -> None:
            value = read(dpg.get_value(field))
            if value != self._model.shown(setting):
                self._model.change(setting.name, value)

        self.ui.on_leave(field, leave)

    def _about(self) -> None:
        ui, state = self.ui, self._bench.state
        self._title(_("About"), "")
        status = state.status
        lines = (
            [(_("Version"), status.version), (_("Kernel"), f"{status.address}, pid {status.pid}")]
            if status
            else []
        )
        for title, words in lines:
            with self._line(title, ""):
                space(ui, 0)
                text(ui, words, "small", wrap=ui.px(FIELD))
        space(ui, 6)
        text(
            ui,
            _("The fonts Inter and JetBrains Mono: SIL Open Font License. The icons of Lucide: ISC License."),
            "small",
            ui.colours.muted,
            wrap=ui.px(600),
        )

    def _title(self, title: str, sub: str) -> None:
        with column(self.ui, 3):
            text(self.ui, title, "h2")
            if sub:
                text(self.ui, sub, "small", self.ui.colours.muted, wrap=self.ui.px(640))


def _not_yet(_typed: str) -> None:
    """A setting is written when its field is left, not with each key."""


def _number(typed: str) -> int | float | str:
    """A number as it was typed; what is none is left to the kernel to refuse."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(typed)
    return typed


def _lines(typed: str) -> list[str]:
    """The lines that are not empty."""
    return [line.strip() for line in typed.splitlines() if line.strip()]
