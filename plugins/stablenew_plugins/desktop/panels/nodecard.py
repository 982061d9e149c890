"""The card of one node in the tab Cluster."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    Bar,
    Dot,
    area,
    badge,
    button,
    card,
    column,
    label,
    row,
    set_text,
    show_column,
    style_card,
    text,
    tooltip,
)
from stablenew_plugins.desktop.components.fields import is_in_use, text_field
from stablenew_plugins.desktop.components.fit import fit, width_of
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.models.cluster import ClusterModel, GpuLine, NodeCard, Work, kind_titles
from stablenew_plugins.desktop.panels.queue.queuelines import mood_colour
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import Colour

PREVIEW = 60
"""Side of a live preview, before scaling."""
LIST_HEIGHT = 190
NAMES, NUMBERS = 42, 112
"""Width of what stands before and behind a bar, before scaling."""


@dataclass(slots=True)
class _Gpu:
    name: Item
    gap: Item
    heat: Item
    vram: Item
    vram_bar: Bar
    busy_row: Item
    busy: Item
    busy_bar: Bar


@dataclass(slots=True)
class _Job:
    """The place of a job that runs."""

    group: Item
    image: Item
    title: Item
    note: Item
    bar: Bar
    work: Work | None = None
    texture: int | str | None = None


class NodeCardView:
    """Built once for a number of GPUs and an open list; :meth:`apply` brings it up to date."""

    def __init__(self, ui: Ui, cluster: ClusterModel, shown: NodeCard, width: int) -> None:
        """``width`` in pixels."""
        self._ui, self._cluster, self._first, self._width = ui, cluster, shown, width
        self._inner = width - ui.px(36)
        self._id = shown.node_id
        self._gpus: list[_Gpu] = []
        self._jobs: list[_Job] = []
        self._shown: NodeCard | None = None
        self._listed: object = None
        self._search: Item | None = None

    # --- making ---------------------------------------------------------------------------------------------

    def build(self) -> None:
        """Make the items."""
        ui, c = self._ui, self._ui.colours
        with card(ui, width=self._width, tag=f"cluster.{self._id}") as self._card, column(ui, 10):
            self._build_head()
            with dpg.group(show=False) as self._trouble, column(ui, 4):
                self._problem = text(ui, "", "small", c.red, wrap=self._inner)
                self._hint = text(ui, "", "small", c.muted, wrap=self._inner)
            for line in self._first.gpus:
                self._build_gpu(line)
            with column(ui, 3) as self._cpu_box:
                self._cpu_bar, self._cpu, _row = self._bar_row(_("CPU"), c.green)
                self._room = text(ui, "", "small", c.faint)
            with row(ui, 8) as self._model_row:
                text(ui, icons.BOX, "small", c.faint)
                self._model = text(ui, "", "small")
            with column(ui, 8) as self._work_box:
                pass
            with row(ui, 6, show=False) as self._refusal_row:
                text(ui, icons.TRIANGLE_ALERT, "small", c.amber)
                self._refusal = text(ui, "", "small", c.muted, wrap=self._inner - ui.px(24))
            self._build_foot()
            if self._id in self._cluster.open:
                self._build_lists()

    def _build_head(self) -> None:
        ui, c = self._ui, self._ui.colours
        with row(ui, 12):
            away = self._first.offline
            badge(
                ui, icons.SERVER if away or self._first.gpus else icons.CPU, c.faint if away else c.accent, 38
            )
            with column(ui, 4):
                with row(ui, 8):
                    self._name = text(ui, "", "h2")
                    self._dot = Dot(ui, c.faint)
                    self._state = text(ui, "", "small_medium")
                self._machine = text(ui, "", "small", c.muted)
                self._silent = text(ui, "", "small", c.muted, show=False)
        with row(ui, 8) as self._backend_row:
            text(ui, icons.PLUG, "small", c.faint)
            self._backend = text(ui, "", "small")
        self._note = text(ui, "", "small", c.amber, wrap=self._inner, show=False)

    def _build_gpu(self, line: GpuLine) -> None:
        ui, c = self._ui, self._ui.colours
        with column(ui, 4):
            dpg.add_spacer(height=0)
            with dpg.group(horizontal=True, horizontal_spacing=0):
                name = text(ui, "", "small_medium")
                tooltip(ui, name, line.name)
                gap = dpg.add_spacer(width=1)
                heat = text(ui, "", "small", c.muted)
            vram_bar, vram, _row = self._bar_row(_("VRAM"), c.cyan)
            busy_bar, busy, busy_row = self._bar_row(_("Load"), c.accent)
        self._gpus.append(_Gpu(name, gap, heat, vram, vram_bar, busy_row, busy, busy_bar))

    def _bar_row(self, name: str, colour: Colour) -> tuple[Bar, Item, Item]:
        """A name, a bar and a number, below those of the other rows."""
        ui = self._ui
        with dpg.group(horizontal=True, horizontal_spacing=0) as around:
            label(ui, name)
            dpg.add_spacer(width=max(1, ui.px(NAMES) - round(width_of(ui, name, "small"))))
            bar = Bar(ui, max(40, self._inner / ui.scale - NAMES - NUMBERS), colour, 5)
            dpg.add_spacer(width=ui.px(10))
            number = text(ui, "", "small")
        return bar, number, around

    def _build_job(self) -> _Job:
        ui, c = self._ui, self._ui.colours
        side = ui.px(PREVIEW)
        with row(ui, 12, parent=self._work_box) as group:
            image = dpg.add_image(ui.textures.empty, width=side, height=side)
            with column(ui, 4):
                title = text(ui, "", "small_medium")
                bar = Bar(ui, max(60, self._inner / ui.scale - PREVIEW - 14), c.accent)
                note = text(ui, "", "small", c.muted)
        return _Job(group, image, title, note, bar)

    def _build_foot(self) -> None:
        ui, c = self._ui, self._ui.colours
        self._counts = text(ui, "", "small", c.faint)
        with row(ui, 8):
            self._drain = button(
                ui,
                "",
                self._toggle_drain,
                "soft",
                font="small_medium",
                tag=f"cluster.{self._id}.drain",
                tip=_("Draining: it finishes what it has and takes nothing new."),
            )
            is_open = self._id in self._cluster.open
            self._details = button(
                ui,
                _("Hide details") if is_open else _("Details"),
                partial(self._cluster.toggle, self._id),
                "ghost",
                icon=icons.CHEVRON_UP if is_open else icons.CHEVRON_DOWN,
                font="small_medium",
                tag=f"cluster.{self._id}.details",
            )

    def _build_lists(self) -> None:
        """What the node has, a list a kind."""
        ui, cluster = self._ui, self._cluster
        titles = kind_titles()
        room = self._inner
        line = dpg.add_group(horizontal=True, horizontal_spacing=ui.px(6))
        for kind, count in cluster.kinds(self._id):
            if not count:
                continue
            words = f"{titles[kind]} {count:,}"
            room -= ui.px(len(words) * 6.6 + 30)
            if room < 0:
                line = dpg.add_group(horizontal=True, horizontal_spacing=ui.px(6))
                room = self._inner - ui.px(len(words) * 6.6 + 30)
            dpg.push_container_stack(line)
            button(
                ui,
                words,
                partial(cluster.choose, self._id, kind),
                "chip_on" if kind == cluster.open[self._id] else "chip",
                font="small_medium",
                tag=f"cluster.{self._id}.kind.{kind}",
            )
            dpg.pop_container_stack()
        self._search = text_field(
            ui,
            cluster.words.get(self._id, ""),
            partial(cluster.search, self._id),
            hint=_("Search"),
            tag=f"cluster.{self._id}.search",
        )
        with area(ui, height=ui.px(LIST_HEIGHT), tag=f"cluster.{self._id}.list") as self._list:
            pass

    # --- up to date -----------------------------------------------------------------------------------------

    def apply(self, shown: NodeCard) -> None:
        """Bring the items in line with ``shown``."""
        if self._id in self._cluster.open:
            self._apply_list()
        if shown == self._shown:
            return
        before, self._shown = self._shown, shown
        ui, c = self._ui, self._ui.colours
        colour = mood_colour(c, shown.mood)
        beside = width_of(ui, shown.state, "small_medium") + ui.px(50 + 26)
        set_text(
            self._name,
            self._fit(shown.name, self._inner - beside, "h2"),
            c.muted if shown.offline else c.text,
        )
        set_text(self._state, shown.state, colour)
        self._dot.show(colour)
        self._put(self._silent, shown.silent)
        set_text(self._machine, self._fit(shown.machine, self._inner - ui.px(52)))
        dpg.configure_item(self._backend_row, show=bool(shown.backend))
        set_text(self._backend, self._fit(shown.backend, self._inner - ui.px(24)))
        self._put(self._note, shown.note)
        dpg.configure_item(self._trouble, show=bool(shown.problem or shown.hint))
        set_text(self._problem, shown.problem, c.muted if shown.offline else c.red)
        dpg.configure_item(self._problem, show=bool(shown.problem))
        self._put(self._hint, shown.hint)
        for items, line in zip(self._gpus, shown.gpus, strict=False):
            self._apply_gpu(items, line)
        show_column(self._cpu_box, bool(shown.cpu))
        set_text(self._cpu, shown.cpu)
        self._cpu_bar.show(shown.cpu_fraction)
        self._put(self._room, self._fit(shown.room, self._inner))
        dpg.configure_item(self._model_row, show=bool(shown.model))
        set_text(self._model, self._fit(shown.model, self._inner - ui.px(30)))
        self._apply_works(shown)
        dpg.configure_item(self._refusal_row, show=bool(shown.refusal))
        set_text(self._refusal, _("Last refused: {reason}").format(reason=shown.refusal))
        self._put(self._counts, self._fit(shown.counts, self._inner))
        words = _("Take work again") if shown.draining else _("Drain")
        icon = icons.PLAY if shown.draining else icons.PAUSE
        dpg.configure_item(self._drain, label=f"{icon}  {words}")
        dpg.configure_item(self._drain, show=not shown.offline)
        dpg.configure_item(self._details, show=bool(shown.counts) or not shown.offline)
        if before is None or before.mood != shown.mood:
            style_card(ui, self._card, border=c.red if shown.mood == "bad" else None)

    def _apply_gpu(self, items: _Gpu, line: GpuLine) -> None:
        ui, c = self._ui, self._ui.colours
        heat = width_of(ui, line.heat, "small")
        name = self._fit(line.name, self._inner - heat - ui.px(12), "small_medium")
        set_text(items.name, name)
        set_text(items.heat, line.heat, c.red if line.hot else c.muted)
        room = self._inner - heat - width_of(ui, name, "small_medium")
        dpg.configure_item(items.gap, width=max(1, int(room)))
        set_text(items.vram, line.vram or _("not known"))
        items.vram_bar.show(line.fraction, c.red if line.fraction > 0.95 else c.cyan)
        dpg.configure_item(items.busy_row, show=bool(line.busy))
        set_text(items.busy, line.busy)
        items.busy_bar.show(line.busy_fraction)

    def _apply_works(self, shown: NodeCard) -> None:
        show_column(self._work_box, bool(shown.works))
        while len(self._jobs) < len(shown.works):
            self._jobs.append(self._build_job())
        for number, items in enumerate(self._jobs):
            work = shown.works[number] if number < len(shown.works) else None
            before, items.work = items.work, work
            if (before is None) != (work is None) or before is None:
                dpg.configure_item(items.group, show=work is not None)
            if before is not None and (work is None or before.job_id != work.job_id):
                self._clear_picture(items, before)
            if work is not None:
                width = self._inner - self._ui.px(PREVIEW + 14)
                set_text(items.title, self._fit(work.title, width, "small_medium"))
                set_text(items.note, self._fit(work.note, width))
                items.bar.show(work.fraction)

    def _clear_picture(self, items: _Job, before: Work) -> None:
        """The place is that of another job from now on."""
        self._ui.textures.end_live(self._slot(before))
        side = self._ui.px(PREVIEW)
        items.texture = None
        dpg.configure_item(items.image, texture_tag=self._ui.textures.empty, width=side, height=side)

    def _apply_list(self) -> None:
        ui, c = self._ui, self._ui.colours
        names, more = self._cluster.names(self._id)
        listed = (tuple(names), more)
        if listed == self._listed:
            return
        self._listed = listed
        dpg.delete_item(self._list, children_only=True)
        dpg.push_container_stack(self._list)
        try:
            with column(ui, 5):
                for name in names:
                    text(ui, name, "small")
                if more:
                    text(ui, many("{n} more: search", "{n} more: search", more), "small", c.faint)
                if not names:
                    text(ui, _("Nothing of that name."), "small", c.faint)
        finally:
            dpg.pop_container_stack()

    def frame(self) -> None:
        """Show the live previews that are there."""
        side = self._ui.px(PREVIEW)
        for items in self._jobs:
            work = items.work
            if work is None or not work.preview:
                continue
            slot = self._slot(work)
            picture = self._ui.textures.live(slot, hash(work.preview), work.preview, side, side, self._ui.px(8))
            if picture is not None and picture.texture != items.texture:
                items.texture = picture.texture
                dpg.configure_item(
                    items.image, texture_tag=picture.texture, width=picture.width, height=picture.height
                )

    def _slot(self, work: Work) -> tuple[str, str, str]:
        return ("cluster", self._id, work.job_id)

    def close(self) -> None:
        """Let the live previews go."""
        for items in self._jobs:
            if items.work is not None:
                self._ui.textures.end_live(self._slot(items.work))

    def is_typing(self) -> bool:
        """Whether its search field is in use."""
        return self._search is not None and is_in_use(self._search)

    def focus(self) -> None:
        """Go to the search field."""
        if self._search is not None:
            dpg.focus_item(self._search)

    def _toggle_drain(self) -> None:
        if self._shown is not None and self._shown.draining:
            self._cluster.resume(self._id)
        else:
            self._cluster.drain(self._id)

    @staticmethod
    def _put(item: Item, words: str) -> None:
        set_text(item, words)
        dpg.configure_item(item, show=bool(words))

    def _fit(self, words: str, width: float, font: str = "small") -> str:
        return fit(self._ui, words, font, max(width, self._ui.px(60)))
