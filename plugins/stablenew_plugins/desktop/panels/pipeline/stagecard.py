"""A stage card: what runs, in a line; unfolded, every setting of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    Toggle,
    badge,
    button,
    cell,
    column,
    grid,
    icon_button,
    row,
    set_text,
    space,
    text,
    tooltip,
    uneven_grid,
    within,
)
from stablenew_plugins.desktop.components.basic import (
    card as card_box,
)
from stablenew_plugins.desktop.components.fit import fit, width_of
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.pipeline.cards import RUN_SECTION, Card, Field, Group, in_order, is_given
from stablenew_plugins.desktop.models.pipeline.more import MoreLine, more_line
from stablenew_plugins.desktop.models.pipeline.pipeline import PipelineModel
from stablenew_plugins.desktop.panels.pipeline.fieldview import FieldView
from stablenew_plugins.desktop.panels.pipeline.numberfields import SizeField
from stablenew_plugins.desktop.panels.pipeline.stagefields import WIDE, field_view
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import NONE, Colour, Palette

PAD = 16
ICONS = {
    "txt2img": icons.IMAGE_PLUS,
    "comfy_workflow": icons.WORKFLOW,
    "txt2img.enable_hr": icons.MAXIMIZE,
    "txt2img.refiner_checkpoint": icons.WAND,
    "img2img": icons.IMAGES,
    "comfy_image": icons.WORKFLOW,
    "adetailer": icons.SCAN_FACE,
    "upscale": icons.EXPAND,
    "face_restore": icons.HEART,
    "sharpen": icons.APERTURE,
    "color_grade": icons.PALETTE,
    "resize": icons.CROP,
    "watermark": icons.STAMP,
    "frame": icons.FRAME,
    "convert": icons.REFRESH_CW,
    RUN_SECTION: icons.LAYERS,
}
PHASE_ICONS = {
    "generate": icons.SPARKLES,
    "refine": icons.WAND,
    "detail": icons.SCAN,
    "enlarge": icons.MAXIMIZE,
    "post": icons.PUZZLE,
}
"""Of stages that are not known here."""
POST_DRAG = "post-processor"
THREE_COLUMNS, TWO_COLUMNS = 600, 430
"""Widths of a card from which on its fields stand in so many columns, before scaling."""


def colour_of(card: Card, colours: Palette) -> Colour:
    """Of a stage's tile: one a phase. The hires pass works as what enlarges does."""
    if card.name == "txt2img.enable_hr":
        return colours.cyan
    return {
        "generate": colours.accent,
        "refine": colours.cyan,
        "detail": colours.pink,
        "enlarge": colours.green,
        "post": colours.amber,
    }.get(card.phase, colours.muted)


class StageCard:
    """See above. The settings are made when it is first unfolded."""

    def __init__(self, ui: Ui, model: PipelineModel, card: Card, width: int) -> None:
        """Make it, in the container that is current. ``width`` in pixels."""
        self.ui, self.model, self.card, self.width = ui, model, card, width
        self._views: list[FieldView] = []
        self._toggles: list[tuple[Group, Toggle]] = []
        self._made: object = None
        self._rows: list[Callable[[], None]] = []
        """What makes the rows of fields that are still missing: some frames are needed for all of them."""
        self._head_seen: object = None
        self._more_line: MoreLine | None = None
        options: dict[str, Any] = (
            {"drop_callback": self._dropped, "payload_type": POST_DRAG} if card.is_post else {}
        )
        with card_box(ui, (PAD, 15), tag=f"pipeline.card.{card.name}", width=width, **options) as self.item:
            self._head()
            self._body = dpg.add_group(show=False)

    # --- the line that is always there ----------------------------------------------------------------------

    def _head(self) -> None:
        ui, card, c = self.ui, self.card, self.ui.colours
        icon = ICONS.get(card.name) or PHASE_ICONS.get(card.phase, icons.PUZZLE)
        with row(ui, 8, pos=(self.width // 2, ui.px(19))) as self._right:
            space(ui, 28)  # the first item of a row must be one that is shown
            self._reset = button(
                ui,
                "",
                partial(self.model.reset_card, card.name),
                "ghost",
                font="small_medium",
                height=28,
                tip=_("Take this stage back to the preset"),
                tag=f"pipeline.reset.{card.name}",
                show=False,
            )
            if card.is_post:
                up = partial(self.model.move, card.name, -1)
                down = partial(self.model.move, card.name, 1)
                tag = f"pipeline.up.{card.name}"
                icon_button(ui, icons.ARROW_UP, up, _("Earlier"), "ghost", size=28, tag=tag)
                tag = f"pipeline.down.{card.name}"
                icon_button(ui, icons.ARROW_DOWN, down, _("Later"), "ghost", size=28, tag=tag)
                space(ui, 28, 2)
            if card.name != RUN_SECTION:
                with column(ui, 0):
                    space(ui, 4)
                    self._toggle = Toggle(
                        ui,
                        False,
                        partial(self.model.switch, card.name),
                        tip=_("Whether this stage runs"),
                        tag=f"pipeline.switch.{card.name}",
                    )
            self._chevron = icon_button(
                ui,
                icons.CHEVRON_DOWN,
                partial(self.model.fold, card.name),
                _("Show or hide the settings"),
                size=28,
                tag=f"pipeline.fold.{card.name}",
            )
        with row(ui, 14, pos=(ui.px(PAD), ui.px(15))):
            if card.is_post:
                self._grip()
            with dpg.group():
                self._badge_on = badge(ui, icon, colour_of(card, c))
                self._badge_off = badge(ui, icon, c.faint)
            with column(ui, 4):
                self._title = text(ui, card.title, "h2", tag=f"pipeline.title.{card.name}")
                self._summary = text(ui, "", "small", c.muted, tag=f"pipeline.summary.{card.name}")
        space(ui, 36)  # what has a place of its own takes no room
        if card.help:
            tooltip(ui, self._title, card.help)
        for item in (self._title, self._summary, self._badge_on, self._badge_off):
            ui.on_click(item, partial(self.model.fold, card.name))
        self._place()

    def _grip(self) -> None:
        """What a post-processor is dragged by."""
        ui, card = self.ui, self.card
        tag = f"pipeline.grip.{card.name}"
        grip = dpg.add_button(label=icons.GRIP_VERTICAL, width=ui.px(18), height=ui.px(36), tag=tag)
        none = (0, 0, 0, 0)
        colours = {"Button": none, "Border": none, "Text": ui.colours.faint, "ButtonHovered": ui.colours.raised}
        dpg.bind_item_theme(grip, ui.themes.theme(colours, {"FramePadding": (0, 0)}, dpg.mvButton))
        with dpg.drag_payload(parent=grip, drag_data=card.name, payload_type=POST_DRAG):
            text(ui, card.title, "medium")
        tooltip(ui, grip, _("Drag it to where it is to run"))

    def _dropped(self, _sender: object, stage: str, _user: object) -> None:
        self.model.move_to(stage, self.card.name)

    def _controls_width(self) -> int:
        """Of the buttons at the right, in pixels."""
        ui = self.ui
        width = 16 + 28 + (42 if self.card.name != RUN_SECTION else 0) + (82 if self.card.is_post else 0)
        words = self._reset_words()
        mark = width_of(ui, words, "small_medium") + 3 * ui.px(8) if words else 0
        return round(ui.px(width) + mark)

    def _reset_words(self) -> str:
        name = self.card.name
        if problems := self.model.problems_in(name):
            return f"{icons.TRIANGLE_ALERT}  {many('{n} problem', '{n} problems', problems)}"
        changed = self.model.changed_in(name)
        return "•  " + many("{n} change", "{n} changes", changed) if changed else ""

    def _place(self) -> None:
        left = self.width - self.ui.px(PAD) - self._controls_width()
        dpg.set_item_pos(self._right, [left, self.ui.px(19)])

    def apply(self) -> None:
        """Bring it up to date."""
        model, card, ui = self.model, self.card, self.ui
        on = card.name == RUN_SECTION or model.is_on(card.name)
        works = card.name == RUN_SECTION or model.takes_part(card)
        unfolded = card.name in model.folds.open
        changed, problems = model.changed_in(card.name), model.problems_in(card.name)
        brought = model.brought_at(card.switch)
        head = (on, works, unfolded, changed, problems, model.summary(card.name), self.width, brought)
        if head != self._head_seen:
            self._head_seen = head
            self._show_head(on, works, unfolded, problems)
        if unfolded:
            self._apply_body()
        shown = unfolded and not self._rows
        if dpg.is_item_shown(self._body) != shown:
            dpg.configure_item(self._body, show=shown)
            ui.later(self.fitted)

    def _show_head(self, on: bool, works: bool, unfolded: bool, problems: int) -> None:
        ui, card, c = self.ui, self.card, self.ui.colours
        dpg.configure_item(self._badge_on, show=works)
        dpg.configure_item(self._badge_off, show=not works)
        room = self.width - self.ui.px(PAD * 2 + 36 + 14 + 24 + (32 if card.is_post else 0))
        room -= self._controls_width()
        set_text(self._title, fit(ui, card.title, "h2", room), c.text if works else c.muted)
        summary = self.model.summary(card.name) or card.help.partition(". ")[0].removesuffix(".")
        if state := self._state(on, works):
            summary = f"{state}  ·  {summary}"
        set_text(self._summary, fit(ui, summary, "small", room), c.muted if works else c.faint)
        if card.name != RUN_SECTION and self._toggle.is_on != on:
            self._toggle.show(on)
        words = self._reset_words()
        dpg.configure_item(self._reset, show=bool(words), label=words)
        dpg.bind_item_theme(
            self._reset,
            ui.themes.theme(
                {
                    "Button": (0, 0, 0, 0),
                    "Border": (0, 0, 0, 0),
                    "ButtonHovered": c.raised,
                    "Text": c.red if problems else c.accent_high,
                },
                {"FramePadding": (8, 3)},
                dpg.mvButton,
            ),
        )
        dpg.configure_item(self._chevron, label=icons.CHEVRON_UP if unfolded else icons.CHEVRON_DOWN)
        self._place()

    def _state(self, on: bool, works: bool) -> str:
        """What is to be said before the summary; empty: it runs, and that is all."""
        card = self.card
        if (brought := self.model.brought_at(card.switch)) is not None:
            words = _("{pack} turns it on") if is_given(brought.value) else _("{pack} turns it off")
            return words.replace("{pack}", brought.pack)
        if on and not works and (stage := self.model.card(card.stage)) is not None:
            return _("{stage} is off").replace("{stage}", stage.title)
        return "" if on else _("Off")

    # --- the settings ---------------------------------------------------------------------------------------

    @property
    def _columns(self) -> int:
        room = self.width / self.ui.scale
        return 3 if room >= THREE_COLUMNS else 2 if room >= TWO_COLUMNS else 1

    @property
    def _is_more(self) -> bool:
        return self.card.name in self.model.folds.more

    def _wanted(self) -> object:
        """What decides which fields there are."""
        active = tuple(one.key for one in self.model.active(self.card))
        on = tuple(self.model.is_given(group.master) for group in self.card.inner)
        return active, on, self._is_more, self._columns, self.width

    def _apply_body(self) -> None:
        if self._wanted() != self._made and not (
            self._made and dpg.is_mouse_button_down(dpg.mvMouseButton_Left)
        ):
            self._make()
            return
        self._show_more()
        for view in self._views:
            view.apply()
        for group, toggle in self._toggles:
            on = self.model.is_given(group.master)
            if toggle.is_on != on:
                toggle.show(on)

    @property
    def is_behind(self) -> bool:
        """Whether fields come or go as soon as the mouse lets go of what it holds."""
        return self.card.name in self.model.folds.open and self._wanted() != self._made

    @property
    def is_filling(self) -> bool:
        """Whether fields are still being made."""
        return bool(self._rows)

    def _make(self) -> None:
        ui, card = self.ui, self.card
        is_first = self._made is None
        self._made = self._wanted()
        self._rows.clear()
        self._views.clear()
        self._toggles.clear()
        dpg.delete_item(self._body, children_only=True)
        dpg.push_container_stack(self._body)
        try:
            with column(ui, 10):
                plain = {one.key for one in card.plain}
                fields = [one for one in self.model.active(card) if one.key in plain]
                self._fields([one for one in fields if not one.advanced], self.width)
                for group in card.inner:
                    if not group.is_advanced:
                        self._group(group)
                self._more_part([one for one in fields if one.advanced])
        finally:
            dpg.pop_container_stack()
        if is_first:
            ui.in_turn(self.item, self._fill())
        else:  # at once: what is there stays to be seen
            for _row in self._fill():
                pass
        ui.later(self.fitted)

    def _fill(self) -> Iterator[None]:
        """Make the rows that are missing, one a time; show them when there are all."""
        while self._rows:
            self._rows.pop(0)()
            yield
        self.apply()

    def _more_part(self, advanced: Sequence[Field]) -> None:
        ui, card = self.ui, self.card
        self._more_line = None
        self._more_button = button(
            ui,
            "",
            partial(self.model.fold_more, card.name),
            "ghost",
            font="small_medium",
            height=28,
            tag=f"pipeline.more.{card.name}",
            show=False,
        )
        self._show_more()
        if self._is_more:
            self._fields(advanced, self.width)
            for group in card.inner:
                if group.is_advanced:
                    self._group(group)

    def _show_more(self) -> None:
        """Say what is behind the line."""
        ui, c = self.ui, self.ui.colours
        line = more_line(self.model, self.card)
        if line == self._more_line or line is None:
            return
        self._more_line = line
        icon = icons.CHEVRON_UP if self._is_more else icons.CHEVRON_DOWN
        dpg.configure_item(self._more_button, label=f"{icon}  {line.text}", show=True)
        colour = {"changed": c.accent_high, "brought": c.cyan, "missing": c.amber, "problem": c.red}
        dpg.bind_item_theme(
            self._more_button,
            ui.themes.theme(
                {
                    "Button": NONE,
                    "Border": NONE,
                    "ButtonHovered": c.raised,
                    "ButtonActive": c.line,
                    "Text": colour.get(line.mood, c.muted),
                },
                {"FramePadding": (8, 7.5)},
                dpg.mvButton,
            ),
        )

    def _fields(self, fields: Sequence[Field], width: float) -> None:
        """Narrow fields in columns, then the wide ones; the first of those stands in the last row, if it is a
        text and there is room: a third of a card is none."""
        ui = self.ui
        narrow = in_order([one for one in fields if one.kind not in WIDE])
        wide = [one for one in fields if one.kind in WIDE]
        sides = {one.key: one for one in narrow if one.key in ("width", "height") and one.kind == "whole"}
        pair = len(sides) == 2
        shown = [one for one in narrow if not (pair and one.key == "height")]
        columns = self._columns
        inner = width - 2 * ui.px(PAD)
        gap = 2 * ui.px(6)
        room = (inner - gap * (columns - 1)) / columns

        def make(one: Field, room: float) -> None:
            with cell(ui):
                if pair and one.key == "width":
                    view: FieldView = SizeField(ui, self.model, one, sides["height"], room)
                else:
                    view = field_view(ui, self.model, one, room)
            self._views.append(view)

        def make_row(ones: Sequence[Field]) -> None:
            with dpg.table_row():
                for one in ones:
                    make(one, room)

        left = len(shown) % columns
        roomy = left and (columns == 2 or columns - left >= 2)
        beside = wide.pop(0) if roomy and wide and wide[0].kind == "lines" else None
        whole = shown[: len(shown) - left] if beside is not None else shown
        with column(ui, 0):
            if whole:
                with grid(ui, columns) as table:
                    for at in range(0, len(whole), columns):
                        self._rows.append(partial(within, table, partial(make_row, whole[at : at + columns])))
            if beside is not None:
                last = inner - left * (room + gap)
                with uneven_grid(ui, [*[room] * left, last]), dpg.table_row():
                    for one in shown[len(whole) :]:
                        make(one, room)
                    make(beside, last)
        for one in wide:
            self._views.append(field_view(ui, self.model, one, inner))

    def _group(self, group: Group) -> None:
        ui, c, master = self.ui, self.ui.colours, group.master
        on = self.model.is_given(master)
        with card_box(ui, (14, 12), background=c.inset, border=c.line_soft, radius=10):
            with row(ui, 10):
                toggle = Toggle(
                    ui,
                    on,
                    partial(self._switch_group, master),
                    tag=f"pipeline.{master.name}" if group.is_switch else f"pipeline.{master.name}.switch",
                )
                self._toggles.append((group, toggle))
                text(ui, master.title, "medium", c.text if on else c.muted)
                if master.help:
                    info = text(ui, icons.INFO, "small", c.faint)
                    tooltip(ui, info, master.help)
                if self.model.is_changed(master.name):
                    mark = text(
                        ui, f"•  {_('reset')}", "small", c.accent_high, tag=f"pipeline.{master.name}.reset"
                    )
                    ui.on_click(mark, partial(self.model.reset, master.name))
            if on:
                fields = [one for one in group.fields if self._is_more or not one.advanced]
                own = [] if group.is_switch else [master]
                self._fields([*own, *fields], self.width - 2 * ui.px(14))

    def _switch_group(self, master: Field, on: bool) -> None:
        self.model.switch_group(master, on)
        self.model.touch()

    # --- sizes ----------------------------------------------------------------------------------------------

    def resized(self, width: int) -> None:
        """There is another width."""
        if width != self.width:
            self.width = width
            dpg.configure_item(self.item, width=width)
            self.apply()

    def fitted(self) -> None:
        """The widths of items are known now."""
        if dpg.does_item_exist(self.item):
            for view in self._views:
                view.fitted()
