"""The right side: the image that is looked at, alive while it is made; those of its run; what is thought and
known of it, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
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
    set_text,
    style_button,
    text,
    tooltip,
)
from stablenew_plugins.desktop.components.flow import shortened, text_width
from stablenew_plugins.desktop.components.menu import Entry, open_menu
from stablenew_plugins.desktop.components.ratecard import RateCard
from stablenew_plugins.desktop.components.stage import ImageStage
from stablenew_plugins.desktop.components.strip import put_at, strip
from stablenew_plugins.desktop.components.thumbs import ThumbStrip, Tile
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.images.imagefacts import Fact
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.base import Panel
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import PAD_CARD

MARGIN, TOP, GAP = 16, 14, 10
"""Around all, and between its parts, before scaling."""
SCROLL_AWAY = 6
"""Between the scroll bar and the edge of the window."""
NAME_WIDTH = 74
"""Of the names of facts."""
FACT_GAP, FACT_HEIGHT = 6, 14
MOST_FACTS = 6
"""Lines that there is room for, and one more to show the others."""
LEAST_HEIGHT = 120
"""Of the image; in a window that is too low for that, the rest is scrolled to."""
HEAD, CHIP, ACTION = 30, 22, 34
"""Heights of the line of the title, of the chip in it, and of what can be done."""
ACTION_GAP, ACTION_PAD = 8, 9


class PreviewPanel(Panel):
    """See above."""

    def __init__(self, ui: Ui, bench: Workbench) -> None:
        super().__init__(ui, bench.preview)
        self._bench = bench
        self._preview = bench.preview
        self._width, self._room = ui.px(300), ui.px(600)
        self._facts: tuple[object, ...] = ()
        self._follow_at = 0
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
                    {"WindowPadding": (MARGIN, TOP), "ChildRounding": 0},
                    dpg.mvChildWindow,
                ),
            )
            dpg.configure_item(area, always_use_window_padding=True)
            with column(ui, GAP):
                self._build_head()
                self._stage.build()
                self._strip.build()
                with column(ui, GAP, tag="preview.cards", show=False):
                    with card(ui, (PAD_CARD, 12), tag="preview.rate"):
                        self._rate.build()
                    self._build_actions()
                    with card(ui, (PAD_CARD, 12), tag="preview.facts"):
                        dpg.add_group(tag="preview.facts.lines")
        self.resized()

    def _build_head(self) -> None:
        ui, preview = self.ui, self._preview
        with strip(ui, ui.px(300), ui.px(HEAD)) as self._head:
            put_at(text(ui, _("Preview"), "h2"), 0, ui.px((HEAD - 16) / 2))
            self._place_of = text(ui, "", "small", ui.colours.faint, tag="preview.place")
            self._place_tip = tooltip(ui, self._place_of, "")
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
                icons.ELLIPSIS_VERTICAL,
                self._open_menu,
                _("Make it again, open its file"),
                size=HEAD,
                tag="preview.more",
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
        self._actions = (
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
        )
        with row(ui, ACTION_GAP):
            for _icon, words, act, tip, name in self._actions:
                button(
                    ui, words, act, "soft", font="small_medium", tip=tip, height=ACTION, tag=f"preview.{name}"
                )

    def _open_menu(self) -> None:
        preview = self._preview
        entries = [
            Entry(_("Replay: exactly this again"), preview.replay, icons.ROTATE_CCW, name="replay"),
            Entry(),
            Entry(_("Open the file"), preview.open_file, icons.EXTERNAL_LINK, name="open"),
            Entry(_("Show it in its folder"), preview.reveal, icons.FOLDER_OPEN, name="folder"),
        ]
        open_menu(self.ui, entries)

    # --- arrangement ----------------------------------------------------------------------------------------

    def resized(self) -> None:
        """See :class:`Panel`."""
        ui = self.ui
        width = dpg.get_item_configuration("area.preview")["width"]
        height = dpg.get_item_configuration("area.preview")["height"]
        if width <= 1:
            return
        dpg.configure_item("preview.scroll", width=width - ui.px(SCROLL_AWAY), height=height)
        self._width = width - 2 * ui.px(MARGIN) - ui.px(4)
        self._room = height
        dpg.configure_item(self._head, width=self._width)
        end = self._width
        for name in ("more", "expand", "reveal"):
            end -= ui.px(HEAD)
            put_at(f"preview.{name}", end, 0)
        follow = text_width(ui, _("Follow"), "small_medium") + ui.px(22)
        self._follow_at = end - ui.px(8) - follow
        put_at("preview.follow", self._follow_at, ui.px((HEAD - CHIP) / 2))
        self._place_actions()
        for name in ("preview.rate", "preview.facts"):
            dpg.configure_item(name, width=self._width)
        self._facts = ()
        self.apply()

    def _place_actions(self) -> None:
        """Each as wide as its words want, together as wide as the rest; the icons go where there is no room."""
        ui = self.ui
        room = self._width - (len(self._actions) - 1) * ui.px(ACTION_GAP)
        for shown in ([f"{icon}  {words}" for icon, words, *_rest in self._actions], None):
            labels = shown or [words for _icon, words, *_rest in self._actions]
            wide = [text_width(ui, words, "small_medium") + 2 * ui.px(ACTION_PAD) for words in labels]
            if sum(wide) <= room:
                break
        spare = max(0, room - sum(wide)) // len(wide)
        for (_icon, _words, _act, _tip, name), words, width in zip(self._actions, labels, wide, strict=True):
            dpg.configure_item(f"preview.{name}", label=words, width=width + spare)

    # --- bringing up to date --------------------------------------------------------------------------------

    def apply(self) -> None:
        """Bring them up to date."""
        preview, ui = self._preview, self.ui
        style_button(ui, "preview.follow", "chip_on" if preview.follow else "chip")
        image = preview.image
        dpg.configure_item("preview.cards", show=image is not None)
        many = len(preview.strip) > 1
        dpg.configure_item("preview.strip", show=many)
        self._strip.place(self._width, len(preview.strip) if many else 0, preview.index)
        for name in ("preview.reveal", "preview.expand", "preview.more"):
            enable_button(name, image is not None)
        self._show_place()
        inner = self._width - 2 * ui.px(PAD_CARD)
        if image is not None and (opinion := preview.opinion) is not None:
            live = preview.is_live
            tags = preview.ratings.tags
            self._rate.show(opinion.stars, tags, opinion.tags, inner, is_made=not live)
            facts = (*preview.facts, live, preview.all_facts)
            if (facts, inner) != self._facts:
                self._facts = (facts, inner)
                self._show_facts(preview.facts, inner)
        self._place_stage()

    def _show_place(self) -> None:
        """Which of its run the image is, as far as there is room beside the title."""
        ui, preview = self.ui, self._preview
        at = text_width(ui, _("Preview"), "h2") + ui.px(10)
        words = preview.place if len(preview.strip) > 1 and preview.index >= 0 else ""
        if at + text_width(ui, words, "small") + ui.px(8) > self._follow_at:
            words = ""
        set_text(self._place_of, words)
        dpg.set_value(self._place_tip, _("Of its run. Left and Right go through it, so does the wheel below."))
        put_at(self._place_of, at, ui.px((HEAD - 12) / 2))

    def _place_stage(self) -> None:
        """The image's place is as high as the image, or the live one, as far as all else has room, too."""
        image, live, ui = self._preview.image, None, self.ui
        lines = MOST_FACTS + 2  # whose image they are of, and the others
        facts = lines * ui.px(FACT_HEIGHT) + (lines - 1) * ui.px(FACT_GAP)
        below = (
            ui.px(2 * 12) + self._rate.height,
            ui.px(ACTION),
            ui.px(2 * 12) + facts,
            self._strip.height,  # whether it is shown or not: the image is not to jump with the second one
        )
        most = self._room - 2 * ui.px(TOP) - ui.px(HEAD + GAP) - sum(below) - len(below) * ui.px(GAP)
        if image is None:
            most = self._room - 2 * ui.px(TOP) - ui.px(HEAD + GAP)
        if self._preview.is_live:
            live = ui.textures.live_picture("preview.image")
        if live is not None:
            height = self._width * live.height // max(live.width, 1)
        elif image is not None and image.width:
            height = self._width * image.height // image.width
        else:
            height = self._width
        least = ui.px(LEAST_HEIGHT)
        self._stage.place(self._width, min(max(height, least), max(most, least)))

    def _show_facts(self, facts: Sequence[Fact], room: int) -> None:
        ui, preview = self.ui, self._preview
        shown = facts if preview.all_facts else [fact for fact in facts if not fact.more]
        rest = sum(fact.more for fact in facts)
        dpg.delete_item("preview.facts.lines", children_only=True)
        dpg.push_container_stack("preview.facts.lines")
        try:
            with column(ui, FACT_GAP):
                if preview.is_live:
                    text(ui, _("OF THE IMAGE BEFORE"), "micro", ui.colours.faint)
                for number, fact in enumerate(shown):
                    self._show_fact(number, fact, room)
                if rest:
                    words = _("Less") if preview.all_facts else many("{n} more", "{n} more", rest)
                    icon = icons.CHEVRON_UP if preview.all_facts else icons.CHEVRON_DOWN
                    more = text(
                        ui,
                        f"{words}  {icon}",
                        "small_medium",
                        ui.colours.accent_high,
                        tag="preview.facts.more",
                    )
                    ui.on_click(more, lambda: preview.show_all_facts(not preview.all_facts))
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
                icons.PLUG, _("No kernel answers yet"), _("Your images are shown as soon as one does.")
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
