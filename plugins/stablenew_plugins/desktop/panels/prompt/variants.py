"""What will be made, image by image: each prompt with what was chosen in colour, its seed, stages and node."""

from __future__ import annotations

from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    card,
    column,
    draw_words,
    enable_button,
    icon_button,
    set_text,
    text,
)
from stablenew_plugins.desktop.components.fit import width_of
from stablenew_plugins.desktop.components.flow import text_width
from stablenew_plugins.desktop.components.littext import LINE, column_width, draw_lines
from stablenew_plugins.desktop.components.strip import put_at, strip
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.prompt.choices import wrapped
from stablenew_plugins.desktop.models.prompt.variants import MOST, PAGE, Variant
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import Colour

MOST_LINES = 3
"""Of a prompt; the whole of it is in the tip."""
NUMBER = 46
"""Width of the column of the numbers."""
META = 18
GAP = 20
"""Between two images."""


class VariantsCard:
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        self._ui, self._bench = ui, bench
        self._width = ui.px(800)
        self._slots: list[_Slot] = []
        self._drawn: tuple[tuple[Variant, ...], int, float] | None = None

    def build(self) -> None:
        """Make the items."""
        ui, c, variants = self._ui, self._ui.colours, self._bench.variants
        with card(ui, tag="variants.card") as self._card, column(ui, 6):
            with strip(ui, self._width, ui.px(36)) as self._head:
                put_at(text(ui, _("What will be made"), "h2"), 0, ui.px(8))
                self._place = text(ui, "", "small", c.muted, tag="variants.place")
                self._back = icon_button(
                    ui,
                    icons.CHEVRON_LEFT,
                    partial(variants.turn, -1),
                    _("The page before (Page Up)"),
                    "soft",
                    tag="variants.back",
                )
                self._next = icon_button(
                    ui,
                    icons.CHEVRON_RIGHT,
                    partial(variants.turn, 1),
                    _("Next page (Page Down)"),
                    "soft",
                    tag="variants.next",
                )
            self._state = text(ui, "", "small", c.muted, tag="variants.state")
            self._slots = [_Slot(ui, self._bench, number) for number in range(PAGE)]
            self._more = text(ui, "", "small", c.faint, show=False)

    def resized(self, width: int) -> None:
        """There is room for ``width`` pixels."""
        ui = self._ui
        self._width = inner = width - ui.px(34)
        dpg.configure_item(self._card, width=width)
        dpg.configure_item(self._head, width=inner)
        put_at(self._next, inner - ui.px(34), ui.px(1))
        put_at(self._back, inner - ui.px(74), ui.px(1))
        dpg.configure_item(self._state, wrap=inner)
        self._drawn = None

    def frame(self) -> None:
        """Draw anew when letters have another width: they are measured once something was drawn with them."""
        if self._drawn is None or self._drawn[-1] != column_width(self._ui):
            self.apply()

    def apply(self) -> None:
        """Bring it up to date."""
        variants = self._bench.variants
        set_text(self._place, variants.place)
        beside = self._width - self._ui.px(74 + 12)
        put_at(self._place, beside - text_width(self._ui, variants.place, "small"), self._ui.px(10))
        enable_button(self._back, variants.page > 0)
        enable_button(self._next, variants.page + 1 < variants.pages)
        for item in (self._back, self._next, self._place):
            dpg.configure_item(item, show=variants.total > 0)
        state = self._words()
        set_text(self._state, state, self._ui.colours.red if variants.problem else self._ui.colours.muted)
        dpg.configure_item(self._state, show=bool(state))
        last = variants.page + 1 == variants.pages and variants.total > MOST
        dpg.configure_item(self._more, show=last)
        if last:
            words = _("These are the first {n} of {total} images.")
            set_text(self._more, words.format(n=MOST, total=f"{variants.total:,}"))
        drawn = (tuple(variants.shown), self._width, column_width(self._ui))
        if drawn == self._drawn:
            return
        self._drawn = drawn
        for number, slot in enumerate(self._slots):
            variant = variants.shown[number] if number < len(variants.shown) else None
            slot.show(variant, self._width)

    def _words(self) -> str:
        variants, run = self._bench.variants, self._bench.run
        if variants.problem:
            return variants.problem
        if variants.is_asking and not variants.shown:
            return _("Planning …")
        if variants.total:
            return ""
        if run.is_planning and run.sources:
            return _("Planning …")
        if not run.sources:
            return _("Nothing yet. Every image of the next run will be listed here before you start it.")
        if not self._bench.state.is_connected:
            return _("No kernel answers yet.")
        return _("Nothing can be made of this; see above.")


class _Slot:
    """A place for one image."""

    def __init__(self, ui: Ui, bench: Workbench, place: int) -> None:
        self._ui, self._bench = ui, bench
        self._variant: Variant | None = None
        with dpg.group(horizontal=True, horizontal_spacing=ui.px(4), show=False) as self._item:
            with dpg.group(tag=f"variants.{place}") as around:  # a drawing takes no tooltip
                self._drawing: Item = dpg.add_drawlist(10, 10, tag=f"variants.{place}.drawing")
            self._edit = icon_button(
                ui, icons.PENCIL, self._open, _("Edit this prompt"), "quiet", 30, tag=f"variants.{place}.edit"
            )
            dpg.bind_item_font(self._edit, ui.fonts["body"])
        with dpg.tooltip(around, delay=0.5) as tip:
            dpg.bind_item_theme(tip, ui.themes.theme({}, {"WindowPadding": (12, 10)}))
            self._tip = text(ui, "", "small", wrap=ui.px(520))

    def show(self, variant: Variant | None, width: int) -> None:
        """Draw ``variant``, or nothing."""
        self._variant = variant
        dpg.configure_item(self._item, show=variant is not None)
        if variant is None:
            return
        ui = self._ui
        width -= ui.px(34)
        dpg.configure_item(self._edit, show=variant.source.written is None)
        columns = int((width - ui.px(NUMBER)) / column_width(ui))
        lines = wrapped(variant.job.prompt, variant.lit, columns, MOST_LINES)
        height = ui.px(GAP) + len(lines) * ui.px(LINE) + ui.px(META)
        dpg.delete_item(self._drawing, children_only=True)
        dpg.configure_item(self._drawing, width=width, height=height)
        c = ui.colours
        dpg.draw_line((0, 0), (width, 0), color=c.line_soft, parent=self._drawing)
        top = ui.px(GAP / 2)
        self._word((0, top), f"{variant.number:,}", c.faint)
        draw_lines(ui, self._drawing, lines, (ui.px(NUMBER), top))
        self._meta(variant, width, top + len(lines) * ui.px(LINE) + ui.px(1))
        job = variant.job
        parts = [job.prompt]
        if job.negative_prompt:
            parts.append(_("Negative: {text}").format(text=job.negative_prompt))
        if job.reason:
            parts.append(_("Node: {reason}").format(reason=job.reason))
        dpg.set_value(self._tip, "\n\n".join(parts))

    def _open(self) -> None:
        if self._variant is not None:
            path = self._variant.source.path
            self._bench.packs.look_at(path)
            self._bench.editor.begin_at(path, self._variant.job.row - 1)
            self._bench.view.open("editor")

    def _meta(self, variant: Variant, width: int, y: float) -> None:
        c, job = self._ui.colours, variant.job
        settings = "  ".join(f"{one.slot.rpartition('.')[2]} {one.value}" for one in variant.settings)
        x: float = self._ui.px(NUMBER)
        parts: list[tuple[str, Colour]] = [
            (settings, c.accent_high),
            (_("seed {seed}").format(seed=job.seed), c.muted),
            (" › ".join(map(self._bench.state.stage_title, job.stages)), c.muted),
            (job.node or _("no node yet"), c.muted if job.node else c.amber),
            (variant.source.title if len(self._bench.run.plan.packs) > 1 else "", c.faint),
        ]
        for words, colour in parts:
            if not words:
                continue
            wide = width_of(self._ui, words, "small")
            if x + wide > width:
                break
            self._word((x, y), words, colour)
            x += wide + self._ui.px(18)

    def _word(self, place: tuple[float, float], words: str, colour: Colour) -> None:
        draw_words(self._ui, self._drawing, place, words, colour, "small")
