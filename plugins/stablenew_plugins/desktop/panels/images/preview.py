"""The right side: the image that is looked at, alive while it is made; those of its run; what is thought and
known of it, and what can be done with it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import (
    button,
    card,
    column,
    enable_button,
    icon_button,
    label,
    row,
    style_button,
    text,
    tooltip,
)
from stablenew_plugins.desktop.components.flow import shortened, text_width
from stablenew_plugins.desktop.components.ratecard import RateCard
from stablenew_plugins.desktop.components.stage import ImageStage
from stablenew_plugins.desktop.components.strip import put_at, strip
from stablenew_plugins.desktop.components.thumbs import ThumbStrip, Tile
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.images.imagefacts import Fact
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import PAD_CARD

MARGIN = 16
NAME_WIDTH = 74
"""Of the names of facts."""
LARGEST_SHARE = 0.46
"""Of the height of the panel, for the image."""
LEAST_HEIGHT = 160
HEAD, CHIP = 30, 22
"""Heights of the line of the title and of the chip in it."""


class PreviewPanel(Panel):
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.preview)
        self._bench = bench
        self._preview = bench.preview
        self._width, self._room = ui.px(300), ui.px(600)
        self._facts: tuple[object, ...] = ()
        self._stage = ImageStage(ui, "preview.image", lambda: bench.viewer.open(bench.preview))
        self._strip = ThumbStrip(ui, "preview.strip", self._tile, self._chosen)
        self._rate = RateCard(
            ui, "preview", self._preview.rate, self._preview.toggle_tag, self._preview.add_tag
        )

    # --- building -------------------------------------------------------------------------------------------

    def build(self) -> None:
        """Make the items."""
        ui = self.ui
        with dpg.child_window(tag="preview.scroll", border=False) as area:
            dpg.bind_item_theme(
                area,
                ui.themes.theme(
                    {"ChildBg": (0, 0, 0, 0)},
                    {"WindowPadding": (MARGIN, 14), "ChildRounding": 0},
                    dpg.mvChildWindow,
                ),
            )
            dpg.configure_item(area, always_use_window_padding=True)
            with column(ui, 10):
                self._build_head()
                self._stage.build()
                self._strip.build()
                with column(ui, 10, tag="preview.cards", show=False):
                    with card(ui, (PAD_CARD, 12), tag="preview.rate"), column(ui, 8):
                        self._rate.build()
                    with card(ui, (PAD_CARD, 13), tag="preview.facts"):
                        dpg.add_group(tag="preview.facts.lines")
                    self._build_actions()
        self.resized()

    def _build_head(self) -> None:
        ui, preview = self.ui, self._preview
        with strip(ui, ui.px(300), ui.px(HEAD)) as self._head:
            put_at(text(ui, _("Preview"), "h2"), 0, ui.px((HEAD - 16) / 2))
            button(
                ui,
                _("Follow"),
                lambda: preview.set_follow(not preview.follow),
                "chip",
                font="small_medium",
                tip=_("Show whatever is newest. Choosing an image switches it off. (F)"),
                height=CHIP,
                tag="preview.follow",
            )
            icon_button(
                ui,
                icons.FOLDER_OPEN,
                preview.reveal,
                _("Show the file in its folder"),
                size=HEAD,
                tag="preview.reveal",
            )
            icon_button(
                ui,
                icons.MAXIMIZE,
                lambda: self._bench.viewer.open(preview),
                _("As large as the window (Space)"),
                size=HEAD,
                tag="preview.expand",
            )

    def _build_actions(self) -> None:
        ui, preview = self.ui, self._preview
        self._actions = [
            [
                (
                    icons.WAND_SPARKLES,
                    _("Refine"),
                    preview.promote,
                    _("Upscale, detail or refine this image"),
                    "promote",
                ),
                (
                    icons.DICE_5,
                    _("Vary seed"),
                    preview.vary_seed,
                    _("Four more like it, with other seeds"),
                    "vary",
                ),
                (
                    icons.COPY,
                    _("Use settings"),
                    preview.use_settings,
                    _("Its settings go into the pipeline"),
                    "use",
                ),
            ],
            [
                (icons.ROTATE_CCW, _("Replay"), preview.replay, _("Make exactly this image again"), "replay"),
                (
                    icons.EXTERNAL_LINK,
                    _("Open file"),
                    preview.open_file,
                    _("With the program of your system"),
                    "open",
                ),
                (icons.FOLDER_OPEN, _("Folder"), preview.reveal, _("Show the file in its folder"), "folder"),
            ],
        ]
        with column(ui, 8):
            for line in self._actions:
                with row(ui, 8):
                    for icon, words, act, tip, name in line:
                        button(ui, words, act, "soft", icon=icon, tip=tip, height=36, tag=f"preview.{name}")

    # --- arrangement ----------------------------------------------------------------------------------------

    def resized(self) -> None:
        """See :class:`Panel`."""
        ui = self.ui
        width = dpg.get_item_configuration("area.preview")["width"]
        height = dpg.get_item_configuration("area.preview")["height"]
        if width <= 1:
            return
        dpg.configure_item("preview.scroll", width=width, height=height)
        self._width = width - 2 * ui.px(MARGIN) - ui.px(4)
        self._room = height
        dpg.configure_item(self._head, width=self._width)
        put_at("preview.expand", self._width - ui.px(HEAD), 0)
        put_at("preview.reveal", self._width - ui.px(2 * HEAD + 2), 0)
        follow = text_width(ui, _("Follow"), "small_medium") + ui.px(22)
        put_at("preview.follow", self._width - ui.px(2 * HEAD + 10) - follow, ui.px((HEAD - CHIP) / 2))
        third = (self._width - 2 * ui.px(8)) // 3
        for line in self._actions:
            for _icon, _words, _act, _tip, name in line:
                dpg.configure_item(f"preview.{name}", width=third)
        for name in ("preview.rate", "preview.facts"):
            dpg.configure_item(name, width=self._width)
        self._facts = ()
        self.apply()

    # --- bringing up to date --------------------------------------------------------------------------------

    def apply(self) -> None:
        """Bring them up to date."""
        preview, ui = self._preview, self.ui
        style_button(ui, "preview.follow", "chip_on" if preview.follow else "chip")
        image = preview.image
        self._place_stage()
        dpg.configure_item("preview.cards", show=image is not None)
        many = len(preview.strip) > 1
        dpg.configure_item("preview.strip", show=many)
        self._strip.place(self._width, len(preview.strip) if many else 0, preview.index)
        for name in ("preview.reveal", "preview.expand"):
            enable_button(name, image is not None)
        inner = self._width - 2 * ui.px(PAD_CARD)
        if image is not None and (opinion := preview.opinion) is not None:
            self._rate.show(opinion.stars, preview.ratings.tags, opinion.tags, inner)
            facts = tuple(preview.facts)
            if (facts, inner) != self._facts:
                self._facts = (facts, inner)
                self._show_facts(facts, inner)

    def _place_stage(self) -> None:
        """The image's place is as high as the image, or the live one, within limits."""
        image, live = self._preview.image, None
        least = self.ui.px(LEAST_HEIGHT)
        most = max(round(self._room * LARGEST_SHARE), least)
        if self._preview.is_live:
            live = self.ui.textures.live_picture("preview.image")
        if live is not None:
            height = self._width * live.height // max(live.width, 1)
        elif image is not None and image.width:
            height = self._width * image.height // image.width
        else:
            height = self._width
        self._stage.place(self._width, min(max(height, least), most))

    def _show_facts(self, facts: tuple[Fact, ...], room: int) -> None:
        ui = self.ui
        dpg.delete_item("preview.facts.lines", children_only=True)
        dpg.push_container_stack("preview.facts.lines")
        try:
            with column(ui, 7):
                for number, fact in enumerate(facts):
                    self._show_fact(number, fact, room)
        finally:
            dpg.pop_container_stack()

    def _show_fact(self, number: int, fact: Fact, room: int) -> None:
        ui = self.ui
        names = ui.px(NAME_WIDTH)
        copy = ui.px(22)
        width = room - names - (copy + ui.px(4) if fact.copies else 0)
        font = "mono" if fact.mono else "small"
        with dpg.group(horizontal=True, horizontal_spacing=0):
            name = label(ui, fact.name)
            space_left = names - text_width(ui, fact.name, "small")
            dpg.add_spacer(width=max(0, space_left))
            shown = shortened(ui, fact.value, width, font)
            value = text(ui, shown, font)
            if shown != fact.value:
                tooltip(ui, value, fact.value)
            if fact.copies:
                dpg.add_spacer(width=max(0, room - names - text_width(ui, shown, font) - copy))
                item = text(ui, icons.COPY, "small", ui.colours.faint, tag=f"preview.copy.{number}")
                ui.on_click(item, partial(self._copy, fact))
                tooltip(ui, item, _("Copy"))
        dpg.set_item_user_data(name, fact.name)

    def _copy(self, fact: Fact) -> None:
        dpg.set_clipboard_text(fact.value)
        self._bench.toasts.say(_("{name} copied.").format(name=fact.name), "good")

    def _tile(self, index: int) -> Tile | None:
        preview = self._preview
        if not 0 <= index < len(preview.strip):
            return None
        image = preview.strip[index]
        opinion = preview.ratings.of(image)
        ringed = preview.image is not None and image.image_sha256 == preview.image.image_sha256
        return Tile(Path(image.path), opinion.stars, len(opinion.tags), ringed=ringed)

    def _chosen(self, index: int) -> None:
        if index < len(self._preview.strip):
            self._preview.show(self._preview.strip[index])

    # --- frames ---------------------------------------------------------------------------------------------

    def frame(self) -> None:
        """Show the image, or the live one."""
        preview = self._preview
        if self._strip_is_shown:
            self._strip.frame()
        image = preview.image
        live = preview.live if preview.is_live else None
        if live is not None:
            self._stage.show_note(live.text, live.eta, live.fraction)
        else:
            self._stage.show_note("", "", 0.0)
        if live is not None and live.jpeg:
            self._stage.show_live(live.number, live.jpeg)
            self._place_stage()
        elif image is not None:
            self._stage.show_file(Path(image.path))
        elif preview.is_loading:
            self._stage.show_words(icons.LOADER, _("Looking for your images"), "")
        elif not self._bench.state.is_connected:
            self._stage.show_words(
                icons.PLUG, _("No kernel yet"), _("Your images are shown as soon as it answers.")
            )
        else:
            self._stage.show_words(
                icons.IMAGE_PLUS, _("Nothing made yet"), _("Run a pack, and watch the image come up here.")
            )

    @property
    def _strip_is_shown(self) -> bool:
        return len(self._preview.strip) > 1

    def close(self) -> None:
        """See :class:`Panel`."""
        self._strip.close()
        self._stage.close()
