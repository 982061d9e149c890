"""The lower part of the tab Queue: one job or run, looked at closely."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    area,
    button,
    card,
    column,
    icon_button,
    label,
    row,
    space,
    text,
    tooltip,
)
from stablenew_plugins.desktop.components.fit import fit
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.core.plainwords import Told
from stablenew_plugins.desktop.models.queue.jobdetails import Details
from stablenew_plugins.desktop.models.queue.jobwords import event_text, moment, mood, run_line, state_word
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.queue.queuelines import MOOD_ICONS, mood_colour
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons

HEIGHT, HIGH = 232, 340
"""Of the card, before scaling; with a technical text."""
PICTURE = 164
"""Side of the picture, before scaling."""
WIDEST = 1.5
"""Width to height that a picture is given, at most."""
WIDE = 600
"""Room for three parts beside each other; in less, what happened stands above the history."""
NAMES = 74
"""Width of the names of facts."""


class QueueDetails:
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        self._ui, self._bench, self._queue = ui, bench, bench.queue
        self._seen: object = None
        self._image: Item | None = None
        self._path: Path | None = None
        self._texture: int | str | None = None
        self._width = 0
        self._high = -1

    def build(self) -> None:
        """Make the empty card."""
        with card(self._ui, (16, 14), height=10, show=False, tag="queue.details") as self._card:
            pass

    @property
    def height(self) -> int:
        """How high it wants to be, before scaling; 0: there is nothing to tell."""
        if not self.is_shown:
            return 0
        return HIGH if self._queue.details.technical else HEIGHT

    @property
    def is_shown(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._queue.details.job_id) or self._queue.selected_run is not None

    def place(self, x: int, y: int, width: int, height: int) -> None:
        """Where it stands, in pixels; without height it is not shown."""
        shown = height > self._ui.px(110)
        dpg.configure_item(self._card, show=shown, pos=(x, y), width=max(1, width), height=max(1, height))
        if width != self._width:
            self._width = width
            self._seen = None
            self.apply()

    def apply(self) -> bool:
        """Draw it anew if it is another one. Returns whether it wants another height."""
        run = self._queue.selected_run
        details = self._queue.details
        seen = (
            details.job_id,
            details.revision,
            run.SerializeToString(deterministic=True) if run is not None else b"",
            tuple(sorted(self._bench.state.nodes)) if details.told is not None else (),
        )
        if seen == self._seen:
            return False
        self._seen = seen
        dpg.delete_item(self._card, children_only=True)
        self._image, self._path, self._texture = None, None, None
        dpg.push_container_stack(self._card)
        try:
            if run is not None:
                self._draw_run()
            elif details.details is not None:
                self._draw_job(details.details)
            elif details.job_id:
                text(self._ui, details.problem or _("One moment …"), "small", self._ui.colours.muted)
        finally:
            dpg.pop_container_stack()
        high, self._high = self._high, self.height
        return high != self._high

    def frame(self) -> None:
        """Show the picture once it is there."""
        if self._image is None or self._path is None:
            return
        side = self._ui.px(PICTURE)
        picture = self._ui.textures.fitted(self._path, round(side * WIDEST), side, self._ui.px(8))
        texture = picture.texture if picture is not None else self._ui.textures.empty
        if texture != self._texture:
            self._texture = texture
            size = (picture.width, picture.height) if picture is not None else (side, side)
            dpg.configure_item(self._image, texture_tag=texture, width=size[0], height=size[1])

    # --- a job ----------------------------------------------------------------------------------------------

    def _draw_job(self, details: Details) -> None:
        ui, queue = self._ui, self._queue
        job, told = details.job, queue.details.told
        buttons: list[tuple[str, str, object, str]] = []
        if details.image is not None:
            buttons.append((icons.IMAGE, _("Open the image (Enter)"), queue.open_image, "open"))
            buttons.append((icons.FOLDER_OPEN, _("Open the folder (O)"), queue.open_folder, "folder"))
        buttons.append((icons.COPY, _("Copy the id (Ctrl+C)"), queue.copy_id, "copy"))
        self._head(
            f"{MOOD_ICONS[mood(job.state)]}  {state_word(job.state)}",
            mood_colour(ui.colours, mood(job.state)),
            job.prompt,
            buttons,
        )
        left = self._width - ui.px(32)
        with row(ui, 18):
            if details.image is not None:
                self._picture(details.image)
                left -= ui.px(PICTURE * WIDEST + 18)
            failed = bool(job.failure.kind) and job.state == "failed"
            wide = left >= ui.px(WIDE)
            if told is not None and queue.details.technical:
                self._facts(left // 3)
                with area(ui, width=left - left // 3 - ui.px(18), height=-1):
                    self._told(told, left - left // 3 - ui.px(18), failed=failed)
                return
            parts = 3 if told is not None and wide else 2
            each = (left - ui.px(18) * (parts - 1)) // parts
            self._facts(each)
            if told is not None and wide:
                with area(ui, width=each, height=-1):
                    self._told(told, each, failed=failed)
            with area(ui, width=each, height=-1), column(ui, 14):
                if told is not None and not wide:
                    self._told(told, each, failed=failed)
                self._history(details, each)

    def _head(
        self,
        state: str,
        colour: tuple[int, int, int, int],
        title: str,
        buttons: list[tuple[str, str, object, str]],
    ) -> None:
        ui = self._ui
        with row(ui, 12):
            text(ui, state, "medium", colour, beside_frame=True)
            room = self._width - ui.px(190 + 36 * (len(buttons) + 1))
            shown = fit(ui, " ".join(title.split()), "medium", room)
            item = text(ui, shown, "medium", beside_frame=True)
            tooltip(ui, item, title)
        with row(ui, 2, pos=(self._width - ui.px(16 + 32 * (len(buttons) + 1)), ui.px(10))):
            for icon, tip, act, name in buttons:
                assert callable(act)
                icon_button(ui, icon, act, tip, size=30, tag=f"queue.details.{name}")
            icon_button(ui, icons.X, self._queue.select_none, _("Close"), size=30, tag="queue.details.close")
        space(ui, 2)

    def _picture(self, path: Path) -> None:
        side = self._ui.px(PICTURE)
        self._path = path
        with column(self._ui, 0):
            dpg.add_spacer(width=round(side * WIDEST), height=0)
            self._image = dpg.add_image(
                self._ui.textures.empty, width=side, height=side, tag="queue.details.image"
            )
        self._ui.on_click(self._image, self._queue.open_image)

    def _facts(self, width: int) -> None:
        ui = self._ui
        with area(ui, width=width, height=-1), column(ui, 7):
            for name, value in self._queue.details.facts:
                with row(ui, 0):
                    label(ui, name)
                    dpg.add_spacer(width=1)
                    item = text(ui, value, "small", wrap=max(ui.px(60), width - ui.px(NAMES + 14)))
                    dpg.configure_item(item, indent=ui.px(NAMES))

    def _told(self, told: Told, width: int, *, failed: bool) -> None:
        ui, c = self._ui, self._ui.colours
        details = self._queue.details
        wrap = width - ui.px(16)
        with column(ui, 8):
            label(ui, _("What happened") if failed else _("Why it waits"))
            text(ui, told.text, "medium", c.red if failed else c.text, wrap=wrap)
            if told.hint:
                with row(ui, 6):
                    text(ui, icons.LIGHTBULB, "small", c.amber)
                    text(ui, told.hint, "small", c.text, wrap=wrap - ui.px(22))
            with row(ui, 6):
                if failed:
                    button(
                        ui,
                        _("Try again"),
                        self._queue.retry,
                        "soft",
                        icon=icons.ROTATE_CW,
                        font="small_medium",
                        tag="queue.details.retry",
                    )
                if told.detail:
                    words = _("Hide the technical text") if details.technical else _("Technical text")
                    button(
                        ui,
                        words,
                        details.toggle_technical,
                        "ghost",
                        font="small_medium",
                        tag="queue.details.technical",
                    )
                if told.detail and details.technical:
                    copy = partial(dpg.set_clipboard_text, told.detail)
                    icon_button(ui, icons.COPY, copy, _("Copy it"), size=30)
            if told.detail and details.technical:
                text(ui, told.detail[-4_000:], "mono", c.muted, wrap=wrap)

    def _history(self, details: Details, width: int) -> None:
        ui, c = self._ui, self._ui.colours
        now = datetime.now().astimezone()
        with column(ui, 7):
            label(ui, _("History"))
            for event in reversed(details.events):
                with row(ui, 8):
                    text(ui, moment(event.at, now, seconds=True), "small", c.faint)
                    with column(ui, 2):
                        text(ui, event_text(event), "small", mood_colour(c, mood(event.to_state)))
                        why = "  ·  ".join(part for part in (event.who, event.why) if part)
                        text(ui, why, "small", c.muted, wrap=max(ui.px(60), width - ui.px(84)))

    # --- a run ----------------------------------------------------------------------------------------------

    def _draw_run(self) -> None:
        ui, c, queue = self._ui, self._ui.colours, self._queue
        run = queue.selected_run
        assert run is not None
        line = run_line(run)
        self._head(f"{MOOD_ICONS[line.mood]}  {line.state}", mood_colour(c, line.mood), run.name, [])
        sheet = Path(run.files[0]) if run.files else None
        with row(ui, 18):
            if sheet is not None and sheet.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"):
                self._picture(sheet)
            with column(ui, 10):
                text(ui, line.counts, "small", c.text)
                if line.note:
                    text(ui, _("about {time} left").format(time=line.note), "small", c.muted)
                text(ui, run.out_dir, "small", c.muted, wrap=max(ui.px(200), self._width - ui.px(PICTURE + 80)))
                if len(run.files) > 1:
                    text(ui, many("{n} report", "{n} reports", len(run.files)), "small", c.muted)
                with row(ui, 8):
                    button(
                        ui,
                        _("Show its jobs"),
                        partial(queue.show_run, run.run_id),
                        "soft",
                        icon=icons.LIST,
                        tag="queue.run.jobs",
                    )
                    button(
                        ui,
                        _("Folder"),
                        queue.open_folder,
                        "soft",
                        icon=icons.FOLDER_OPEN,
                        tag="queue.run.folder",
                    )
                    if run.files:
                        button(
                            ui,
                            _("Contact sheet"),
                            queue.open_image,
                            "soft",
                            icon=icons.IMAGES,
                            tag="queue.run.sheet",
                        )
                with row(ui, 8):
                    button(
                        ui,
                        _("Run again"),
                        partial(queue.whole.again, run),
                        "soft",
                        icon=icons.REFRESH_CW,
                        tip=_("The same images, with the same seeds, as a new run"),
                        tag="queue.run.again",
                    )
                    if run.failed:
                        button(
                            ui,
                            _("Retry what failed"),
                            queue.retry,
                            "soft",
                            icon=icons.ROTATE_CW,
                            tag="queue.run.retry",
                        )
                    if run.state == "running":
                        button(
                            ui,
                            _("Cancel"),
                            queue.cancel,
                            "danger",
                            icon=icons.CIRCLE_STOP,
                            tag="queue.run.cancel",
                        )
