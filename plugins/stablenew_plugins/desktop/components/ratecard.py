"""Stars and tags of an image, to be given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.basic import Stars, button, column, set_text, text
from stablenew_plugins.desktop.components.flow import flow, lines_of, shortened, text_width
from stablenew_plugins.desktop.components.strip import put_at, strip
from stablenew_plugins.desktop.components.ui import Item, Ui
from stablenew_plugins.desktop.text import _, many
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.fonts import size_of
from stablenew_plugins.desktop.theme.tokens import CHIP_PADDING

LINE, GAP = 34, 8
"""Heights of the line with the stars, and of what is below it, before scaling."""
LONGEST = 150
"""Width of a tag at most, before scaling."""
BETWEEN = 6
"""Between chips, before scaling."""
MORE, LESS = "\0more", "\0less"
"""In place of a tag: the chips that show the others, and hide them."""


class TagChips:
    """Tags as chips, those of the image lit, with a field for one of one's own."""

    def __init__(
        self,
        ui: Ui,
        tag: str,
        toggle: Callable[[str], None],
        add: Callable[[str], None] | None = None,
        *,
        folds: bool = False,
    ) -> None:
        """The chips are tagged ``TAG.NUMBER``, the field ``TAG.new``. ``add``: None: no tag can be added.
        ``folds``: they take one line, with those that have no room behind a chip ``TAG.more``."""
        self._folds = self._folded = folds
        self._ui, self._tag, self._toggle, self._add = ui, tag, toggle, add
        self._seen: tuple[object, ...] = ()
        self._args: tuple[Sequence[str], Sequence[str], int, Mapping[str, str] | None] = ((), (), 0, None)
        self._adding = False
        self.lines = 0
        """Of chips."""

    def build(self) -> None:
        """Make the place for them in the current container."""
        self._group = dpg.add_group(tag=self._tag)

    def show(
        self, tags: Sequence[str], lit: Sequence[str], room: int, letters: Mapping[str, str] | None = None
    ) -> None:
        """Show ``tags`` in lines of ``room`` pixels, some of them ``lit``. ``letters``: keys that give them."""
        self._args = (tags, lit, room, letters)
        known = [*tags, *(tag for tag in lit if tag not in tags)]
        keys = letters or {}
        seen = (tuple(known), tuple(lit), room, self._adding, self._folded, tuple(keys.items()))
        if seen == self._seen:
            return
        self._seen = seen
        ui = self._ui
        dpg.delete_item(self._group, children_only=True)
        names = {tag: shortened(ui, tag, ui.px(LONGEST), "small_medium") for tag in known}

        def label(tag: str) -> str:
            return f"{names[tag]}  {keys[tag]}" if tag in keys else names[tag]

        def make(tag: str) -> Item:
            if tag == "":
                return self._make_add()
            if tag in (MORE, LESS):
                return self._make_fold(tag, fold(tag), any(one in lit for one in hidden))
            return button(
                ui,
                label(tag),
                partial(self._toggle, tag),
                "chip_on" if tag in lit else "chip",
                font="small_medium",
                tip=tag if names[tag] != tag else "",
                tag=f"{self._tag}.{known.index(tag)}",
            )

        def width_of(tag: str) -> int:
            if tag == "":
                return ui.px(140 if self._adding else 34)
            words = fold(tag) if tag in (MORE, LESS) else label(tag)
            return text_width(ui, words, "small_medium") + 2 * ui.px(11)

        def fold(tag: str) -> str:
            return _("less") if tag == LESS else many("{n} more", "{n} more", len(hidden))

        ends = [""] if self._add is not None else []
        made, hidden = [*known, *ends], list[str]()
        gap = ui.px(BETWEEN)
        if self._folds and len(lines_of([width_of(one) for one in made], room, gap)) > 1:
            made = [*known, *ends, LESS]
            while self._folded and len(hidden) < len(known):
                hidden = known[len(known) - len(hidden) - 1 :]
                made = [*known[: len(known) - len(hidden)], MORE, *ends]
                if len(lines_of([width_of(one) for one in made], room, gap)) == 1:
                    break

        dpg.push_container_stack(self._group)
        try:
            self.lines = flow(ui, made, width_of, make, room, BETWEEN, even=True)
        finally:
            dpg.pop_container_stack()

    def _make_fold(self, tag: str, words: str, lit: bool) -> Item:
        return button(
            self._ui,
            words,
            self._fold,
            "chip_on" if lit and tag == MORE else "chip",
            font="small_medium",
            tip=_("The other tags") if tag == MORE else _("In one line"),
            tag=f"{self._tag}.more",
        )

    def _fold(self) -> None:
        self._folded = not self._folded
        self._again()

    def _make_add(self) -> Item:
        ui = self._ui
        if not self._adding:
            return button(
                ui,
                "",
                self._begin,
                "chip",
                icon=icons.PLUS,
                font="small_medium",
                tip=_("A tag of your own"),
                tag=f"{self._tag}.add",
            )
        field = dpg.add_input_text(
            hint=_("New tag, then Enter"),
            width=ui.px(140),
            on_enter=True,
            callback=lambda _s, value, _u: self._added(value),
            tag=f"{self._tag}.new",
        )
        dpg.bind_item_font(field, ui.fonts["small"])
        dpg.bind_item_theme(field, ui.themes.theme({}, {"FramePadding": (9, 4), "FrameRounding": 12}))
        dpg.focus_item(field)
        return field

    def _begin(self) -> None:
        self._adding = True
        self._again()

    def _added(self, name: str) -> None:
        self._adding = False
        self._again()
        if self._add is not None and name.strip():
            self._add(name)

    def _again(self) -> None:
        """Draw them anew, behind the callback that asked for it."""
        self._ui.later(lambda: self.show(*self._args))


class RateCard:
    """A line with stars, and tags below."""

    def __init__(
        self,
        ui: Ui,
        tag: str,
        rate: Callable[[int], None],
        toggle: Callable[[str], None],
        add: Callable[[str], None],
    ) -> None:
        """Tagged ``TAG.star.1`` to ``TAG.star.5`` and ``TAG.tags``, see :class:`TagChips`."""
        self._ui, self._tag, self._rate = ui, tag, rate
        self._chips = TagChips(ui, f"{tag}.tags", toggle, add)

    @property
    def height(self) -> int:
        """Pixels that it takes."""
        ui = self._ui
        lines = self._chips.lines
        chip = ui.px(size_of("small_medium") + 2 * CHIP_PADDING)
        return ui.px(LINE) + ui.px(GAP) + lines * chip + max(0, lines - 1) * ui.px(BETWEEN)

    def build(self) -> None:
        """Make it in the current container."""
        ui = self._ui
        with column(ui, GAP):
            with strip(ui, ui.px(300), ui.px(LINE)) as self._line:
                self._title = text(ui, "", "medium")
                self._hint = text(ui, "", "small", ui.colours.faint)
                with dpg.group() as self._place:
                    self._stars = Stars(ui, self._rate, f"{self._tag}.star")
            put_at(self._title, 0, 0)
            put_at(self._hint, 0, ui.px(19))
            self._chips.build()

    def show(
        self, stars: int, tags: Sequence[str], lit: Sequence[str], room: int, *, is_made: bool = True
    ) -> None:
        """Show a rating in ``room`` pixels. ``is_made``: False while what is to be seen is no image yet."""
        ui = self._ui
        if not is_made:
            title, hint = _("Being made"), _("Select one to rate it")
        elif stars:
            title, hint = many("{n} star", "{n} stars", stars), _("0 takes them back")
        else:
            title, hint = _("Rate this image"), _("Keys 1 to 5")
        set_text(self._title, title)
        set_text(self._hint, hint)
        dpg.configure_item(self._line, width=room)
        put_at(self._place, room - 5 * ui.px(32) - 4 * ui.px(2) + ui.px(6), ui.px((LINE - 30) / 2))
        shown = stars if is_made else 0
        if shown != self._stars.stars:
            self._stars.show(shown)
        self._stars.enable(is_made)
        self._chips.show(tags, lit if is_made else (), room)
