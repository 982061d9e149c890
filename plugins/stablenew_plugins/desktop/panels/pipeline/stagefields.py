"""Fields of stage cards: one for each kind of setting."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    Toggle,
    button,
    column,
    icon_button,
    row,
    set_text,
    style_button,
    text,
    tooltip,
)
from stablenew_plugins.desktop.components.fields import is_in_use, put, text_field
from stablenew_plugins.desktop.components.menu import Entry, open_menu
from stablenew_plugins.desktop.components.picker import Picker
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.pipeline.cards import Field
from stablenew_plugins.desktop.models.pipeline.names import filtered
from stablenew_plugins.desktop.models.pipeline.pipeline import PipelineModel
from stablenew_plugins.desktop.models.pipeline.sizes import shape_of, sizes_like
from stablenew_plugins.desktop.models.pipeline.values import range_of, short, written
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import CONTROL_HEIGHT

WIDE = frozenset({"lines", "list", "json", "choices"})
"""Kinds that take a whole line of a card."""


class FieldView:
    """A setting with its name, help, mark and remark."""

    def __init__(self, ui: Ui, model: PipelineModel, one: Field, width: float, under: str = "") -> None:
        """Make the items, in the container that is current. ``width``: pixels that there are for it.
        ``under``: the title that it stands under."""
        self.ui, self.model, self.one, self.width, self.under = ui, model, one, width, under
        self.tag = f"pipeline.{one.name}"
        with column(ui, 5):
            self._head()
            self.make()
            self._remark = text(ui, "", "small", ui.colours.red, wrap=round(width), show=False)
            ui.on_click(self._remark, self._remark_clicked)
        self.apply()

    def _head(self) -> None:
        """Name, help, and the mark of a difference, which takes it back."""
        ui, one = self.ui, self.one
        with row(ui, 6):
            unit = f"  {one.unit}" if one.unit and one.kind not in ("whole", "number") else ""
            self._title = text(ui, f"{self.title()}{unit}", "small", ui.colours.muted)
            if self.help():
                info = text(ui, icons.INFO, "small", ui.colours.faint, tag=f"{self.tag}.info")
                tooltip(ui, info, self.help())
            self._mark = text(
                ui, f"•  {_('reset')}", "small", ui.colours.accent_high, show=False, tag=f"{self.tag}.reset"
            )
            ui.on_click(self._mark, self._reset)
            self._mark_tip = tooltip(ui, self._mark, "")

    def title(self) -> str:
        """What it is called: under "Hires fix" the hires scale is the scale."""
        first = self.under.partition(" ")[0]
        rest = self.one.title.removeprefix(f"{first} ") if first else self.one.title
        return rest[:1].upper() + rest[1:]

    def help(self) -> str:
        """What it does, in plain words."""
        return self.one.help

    def names(self) -> tuple[str, ...]:
        """The settings that it shows."""
        return (self.one.name,)

    def _reset(self) -> None:
        self.model.reset(*self.names())

    def make(self) -> None:
        """Make what is edited."""
        raise NotImplementedError

    def show(self, value: Any) -> None:
        """Show a value."""
        raise NotImplementedError

    def apply(self) -> None:
        """Bring it up to date."""
        model, ui, one = self.model, self.ui, self.one
        self.show(model.value(one.name))
        changed = any(model.is_changed(name) for name in self.names())
        if dpg.is_item_shown(self._mark) != changed:
            dpg.configure_item(self._mark, show=changed)
        if changed:
            before = ", ".join(short(model.beneath(name)) or _("empty") for name in self.names())
            words = _("In the preset: {value}. A click brings it back.").replace("{value}", before)
            set_text(self._mark_tip, words if len(words) < 400 else f"{words[:400]}…")
        problem = next((found for name in self.names() if (found := model.problem(name))), "")
        if problem:
            self._say(problem, ui.colours.red)
        elif model.is_missing(one):
            self._say(f"{icons.TRIANGLE_ALERT}  {_('No node has this.')}", ui.colours.amber)
        else:
            self._say(self._of_pack(), ui.colours.cyan)

    def _of_pack(self) -> str:
        """What a pack has instead, which a click overrules; empty: nothing else."""
        found = [self.model.brought_at(name) for name in self.names()]
        packs = [one.pack for one in found if one is not None]
        if not packs:
            return ""
        values = [
            short(one.value if one is not None else self.model.value(name)) or _("nothing")
            for one, name in zip(found, self.names(), strict=True)
        ]
        words = _("{pack} has {value}: use mine").replace("{pack}", packs[0])
        return words.replace("{value}", " × ".join(values))

    def _remark_clicked(self) -> None:
        names = [name for name in self.names() if self.model.brought_at(name) is not None]
        if names:
            self.model.use_mine(*names)

    def _say(self, words: str, colour: Any) -> None:
        set_text(self._remark, words, colour)
        if dpg.is_item_shown(self._remark) != bool(words):
            dpg.configure_item(self._remark, show=bool(words))

    def set(self, value: Any) -> None:
        """A person gave it a value."""
        self.model.set(self.one.name, value)

    def type(self, words: str) -> None:
        """A person typed."""
        self.model.type(self.one.name, words)

    def fitted(self) -> None:
        """The widths of items are known now."""

    def written(self, value: Any) -> str:
        """What stands in a field that is typed into: the draft, if there is one."""
        draft = self.model.drafts.get(self.one.name)
        return draft.text if draft is not None else written(self.one, value)


class SwitchField(FieldView):
    """On or off."""

    def make(self) -> None:
        """See :class:`FieldView`."""
        with dpg.group():
            dpg.add_spacer(height=self.ui.px(1))
            self._toggle = Toggle(self.ui, False, self.set, tag=self.tag)

    def show(self, value: Any) -> None:
        """See :class:`FieldView`."""
        if self._toggle.is_on != bool(value):
            self._toggle.show(bool(value))


class SliderField(FieldView):
    """A number between two ends."""

    def help(self) -> str:
        """With the range, and how to type a number."""
        words = f"{range_of(self.one)} {_('Ctrl and click to type a number.')}"
        return f"{self.one.help}\n{words}" if self.one.help else words

    def make(self) -> None:
        """See :class:`FieldView`."""
        one = self.one
        whole = one.kind == "whole"
        least = one.least or 0
        add: Callable[..., Item] = dpg.add_slider_int if whole else dpg.add_slider_float
        ends = (int(least), int(one.most or 0)) if whole else (float(least), float(one.most or 0))
        self.item = add(
            min_value=ends[0],
            max_value=ends[1],
            clamped=True,
            width=-1,
            format=self._format(0 if whole else one.digits),
            callback=lambda _s, value, _u: self._moved(value),
            tag=self.tag,
        )
        self._digits = one.digits

    def _format(self, digits: int) -> str:
        unit = f" {self.one.unit}".replace("%", "%%") if self.one.unit else ""
        return f"%d{unit}" if self.one.kind == "whole" else f"%.{digits}f{unit}"

    def _moved(self, value: float) -> None:
        rounded = self.one.rounded(value)
        self.set(rounded)
        dpg.set_value(self.item, rounded)

    def show(self, value: Any) -> None:
        """See :class:`FieldView`. A value with more digits than a slider sets is shown with all of them."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return
        if self.one.kind == "number":
            digits = max(self.one.digits, min(6, len(f"{value:.6f}".rstrip("0").partition(".")[2])))
            if digits != self._digits:
                self._digits = digits
                dpg.configure_item(self.item, format=self._format(digits))
            if abs(dpg.get_value(self.item) - value) < 1e-6:
                return
        put(self.item, value)


class TypedField(FieldView):
    """A number or a text that is typed."""

    def make(self) -> None:
        """See :class:`FieldView`."""
        self.item = text_field(self.ui, "", self.type, tag=self.tag)

    def show(self, value: Any) -> None:
        """See :class:`FieldView`."""
        put(self.item, self.written(value))


class LinesField(TypedField):
    """A long text."""

    LINES = 2

    def make(self) -> None:
        """See :class:`FieldView`."""
        self.item = text_field(self.ui, "", self.type, lines=self.LINES, tag=self.tag)


class JsonField(TypedField):
    """What has no field of its own, as JSON or as lines."""

    def help(self) -> str:
        """With how it is written."""
        how = _("Written as JSON.") if self.one.kind == "json" else _("One a line.")
        return f"{self.one.help}\n{how}" if self.one.help else how

    def make(self) -> None:
        """See :class:`FieldView`."""
        lines = 6 if self.one.takes_text else 3
        self.item = text_field(self.ui, "", self.type, lines=lines, mono=True, tag=self.tag)


class ColourField(TypedField):
    """A colour, typed or picked."""

    def make(self) -> None:
        """See :class:`FieldView`."""
        ui = self.ui
        with row(ui, 8):
            self._picker = dpg.add_color_edit(
                (0, 0, 0, 255),
                no_alpha=True,
                no_inputs=True,
                no_label=True,
                width=ui.px(40),
                callback=lambda _s, value, _u: self._picked(value),
            )
            self.item = text_field(ui, "", self.type, tag=self.tag)

    def _picked(self, value: Any) -> None:
        parts = [round(part * 255) if isinstance(part, float) and part <= 1 else round(part) for part in value]
        self.set("#" + "".join(f"{min(max(part, 0), 255):02x}" for part in parts[:3]))

    def show(self, value: Any) -> None:
        """See :class:`FieldView`."""
        super().show(value)
        code = str(value).lstrip("#")
        if len(code) == 6 and not is_in_use(self._picker):
            try:
                parts = [int(code[at : at + 2], 16) for at in (0, 2, 4)]
            except ValueError:
                return
            dpg.set_value(self._picker, [*parts, 255])


class SeedField(FieldView):
    """A seed: drawn anew for each run, or one that stays."""

    def make(self) -> None:
        """See :class:`FieldView`."""
        ui = self.ui
        with row(ui, 6):
            self.item = text_field(ui, "", self._typed, hint=_("a new one each run"), width=-1, tag=self.tag)
            dpg.configure_item(self.item, width=-ui.px(2 * CONTROL_HEIGHT + 2 * 6))
            icon_button(
                ui,
                icons.DICE_5,
                lambda: self.model.draw_seed(self.one.name),
                _("Draw a seed that stays"),
                "soft",
                size=CONTROL_HEIGHT,
                tag=f"{self.tag}.dice",
            )
            self._lock = icon_button(
                ui,
                icons.UNLOCK,
                lambda: self.model.lock_seed(self.one.name),
                _("Keep one seed, or draw a new one for each run"),
                "soft",
                size=CONTROL_HEIGHT,
                tag=f"{self.tag}.lock",
            )

    def _typed(self, words: str) -> None:
        self.type(words if words.strip() else "-1")

    def show(self, value: Any) -> None:
        """See :class:`FieldView`."""
        fixed = isinstance(value, int) and value >= 0
        draft = self.model.drafts.get(self.one.name)
        put(self.item, draft.text if draft is not None else str(value) if fixed else "")
        icon = icons.LOCK if fixed else icons.UNLOCK
        if dpg.get_item_label(self._lock) != icon:
            dpg.configure_item(self._lock, label=icon)
            style_button(self.ui, self._lock, "chip_on" if fixed else "soft")


class OptionField(FieldView):
    """One of a few."""

    def make(self) -> None:
        """See :class:`FieldView`."""
        self._picker = Picker(
            self.ui,
            self.set,
            lambda: self.one.options,
            tag=self.tag,
            find=filtered,
            height=CONTROL_HEIGHT,
        )

    def show(self, value: Any) -> None:
        """See :class:`FieldView`."""
        self._picker.show(str(value))

    def fitted(self) -> None:
        """Cut the text to its room."""
        self._picker.lay_out()


class ChoiceField(FieldView):
    """One of what nodes have."""

    def make(self) -> None:
        """See :class:`FieldView`."""
        choices = self.one.choices
        self._picker = Picker(
            self.ui,
            self.set,
            lambda: self.model.names(choices),
            tag=self.tag,
            nothing="" if self.one.shortest else self._nothing(),
            find=filtered,
            height=CONTROL_HEIGHT,
        )

    def _nothing(self) -> str:
        if self.one.choices == "models" and not self.one.master:
            return _("The node's own")
        return _("None or as before") if self.one.master else _("Automatic")

    def show(self, value: Any) -> None:
        """See :class:`FieldView`."""
        self._picker.show(str(value or ""))

    def fitted(self) -> None:
        """Cut the text to its room."""
        self._picker.lay_out()


class ChoicesField(FieldView):
    """Several of what nodes have."""

    def make(self) -> None:
        """See :class:`FieldView`."""
        self._shown: list[str] | None = None
        self._chips = dpg.add_group(horizontal=True, horizontal_spacing=self.ui.px(6))
        self._picker = Picker(
            self.ui,
            self._add,
            lambda: [name for name in self.model.names(self.one.choices) if name not in (self._shown or ())],
            tag=self.tag,
            find=filtered,
            width=280,
            height=CONTROL_HEIGHT,
        )
        self._picker.show("", _("Add …"))

    def _add(self, name: str) -> None:
        self.set([*(self._shown or ()), name])

    def _drop(self, name: str) -> None:
        self.set([one for one in self._shown or () if one != name])

    def show(self, value: Any) -> None:
        """See :class:`FieldView`."""
        names = [str(one) for one in value] if isinstance(value, list) else []
        if names == self._shown:
            return
        self._shown = names
        dpg.delete_item(self._chips, children_only=True)
        dpg.configure_item(self._chips, show=bool(names))
        dpg.push_container_stack(self._chips)
        try:
            for name in names:
                button(self.ui, f"{name}  {icons.X}", partial(self._drop, name), "chip_on", font="small_medium")
        finally:
            dpg.pop_container_stack()

    def fitted(self) -> None:
        """Cut the text to its room."""
        self._picker.lay_out()


class SizeField(FieldView):
    """Width and height, turned around or given another shape together."""

    def __init__(self, ui: Ui, model: PipelineModel, one: Field, other: Field, width: float) -> None:
        """``one`` is the width, ``other`` the height."""
        self.other = other
        super().__init__(ui, model, one, width)

    def title(self) -> str:
        """See :class:`FieldView`."""
        return _("Size")

    def help(self) -> str:
        """See :class:`FieldView`."""
        step = _("multiples of {n}").replace("{n}", f"{self.one.step:g}") if self.one.step else ""
        ends = range_of(self.one).rstrip(".")
        return "  ·  ".join(part for part in (_("Width and height in pixels"), ends, step) if part)

    def names(self) -> tuple[str, ...]:
        """See :class:`FieldView`."""
        return self.one.name, self.other.name

    def make(self) -> None:
        """See :class:`FieldView`."""
        ui = self.ui
        rest = CONTROL_HEIGHT + 66 + 16 + 4 * 6
        half = max(44.0, (self.width / ui.scale - rest) / 2)
        with row(ui, 6):
            self._width = text_field(ui, "", partial(self._typed, self.one), width=half, tag=self.tag)
            text(ui, "×", "body", ui.colours.muted, beside_frame=True)
            tag = f"pipeline.{self.other.name}"
            self._height = text_field(ui, "", partial(self._typed, self.other), width=half, tag=tag)
            icon_button(
                ui,
                icons.ARROW_UP_DOWN,
                self._swap,
                _("Turn it around"),
                "soft",
                size=CONTROL_HEIGHT,
                tag=f"{self.tag}.swap",
            )
            self._shape = button(
                ui,
                "",
                self._shapes,
                "soft",
                font="small_medium",
                width=66,
                height=CONTROL_HEIGHT,
                tag=f"{self.tag}.shape",
                tip=_("Another shape of about as many pixels"),
            )

    def _typed(self, one: Field, words: str) -> None:
        self.model.type(one.name, words)

    def _sides(self) -> tuple[int, int]:
        width, height = (self.model.value(name) for name in self.names())
        return (width, height) if isinstance(width, int) and isinstance(height, int) else (0, 0)

    def _swap(self) -> None:
        width, height = self._sides()
        self.model.set_all({self.one.name: height, self.other.name: width})

    def _shapes(self) -> None:
        width, height = self._sides()
        step = int(self.one.step) or 1
        entries = [
            Entry(
                f"{shape}   {wide} × {high}",
                partial(self.model.set_all, {self.one.name: wide, self.other.name: high}),
            )
            for shape, wide, high in sizes_like(width, height, step)
        ]
        open_menu(self.ui, entries)

    def show(self, value: Any) -> None:
        """See :class:`FieldView`."""
        for item, one in ((self._width, self.one), (self._height, self.other)):
            draft = self.model.drafts.get(one.name)
            put(item, draft.text if draft is not None else short(self.model.value(one.name)))
        shape = shape_of(*self._sides()) or _("Shape")
        if dpg.get_item_label(self._shape) != shape:
            dpg.configure_item(self._shape, label=shape)


def field_view(ui: Ui, model: PipelineModel, one: Field, width: float, under: str = "") -> FieldView:
    """The field for a setting."""
    kinds: dict[str, type[FieldView]] = {
        "switch": SwitchField,
        "text": TypedField,
        "lines": LinesField,
        "colour": ColourField,
        "option": OptionField,
        "choice": ChoiceField,
        "choices": ChoicesField,
        "list": JsonField,
        "json": JsonField,
        "seed": SeedField,
    }
    kind = SliderField if one.is_ranged else kinds.get(one.kind, TypedField)
    return kind(ui, model, one, width, under)
