"""Looks for characters that the fonts lack, and gives items other fonts.

Texts come up in a hundred places, so what is drawn is looked through, some items a frame; only a few where
nothing new has been made and nobody does anything. Items get new fonts in the same way: at once that would take
as long as ten frames.
"""

from __future__ import annotations

from collections.abc import Iterator

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.models.core.letters import Faces, Letters

STEP = 40
"""Items a frame: 0.2 ms for looking, 0.4 ms for other fonts. A window has 1,200 to 1,700, and a
third of them a text."""
SLOW_STEP = 6
"""While nothing happens."""
RARELY = 60
"""Frames between two quick rounds for what others than a person change, such as the kernel: it tells something
several times a second, seldom with letters that nobody has seen."""

_VALUES = frozenset({"mvText", "mvInputText"})
_LABELS = frozenset(
    {"mvButton", "mvSelectable", "mvCheckbox", "mvMenuItem", "mvMenu", "mvWindowAppItem", "mvTableColumn"}
)
_LISTS = frozenset({"mvCombo", "mvRadioButton", "mvListbox"})
_DRAWN = "mvDrawText"
_WITH_TEXTS = _VALUES | _LABELS | _LISTS | {_DRAWN}


class Lettering:
    """See above. On one :class:`Ui`."""

    def __init__(self, ui: Ui, letters: Letters) -> None:
        self._ui, self._letters = ui, letters
        self._items: Iterator[int] = iter(())
        self._kinds: dict[int, tuple[str, bool]] = {}
        """What each item with a text is, and whether its font is the one whose letters are all as wide."""
        self._hurries = True
        """Whether something was made or done that no round has seen from its beginning."""
        self._is_quick = True
        """Whether something was before this round began."""
        self._last_made: int | str = 0
        self._heard = False
        self._slow_frames = 0
        """Since the last quick round."""
        self._loading: Faces | None = None
        self._moves: dict[int | str, int | str] = {}
        self._rounds = 0
        """How many times all items are still to be looked through for old fonts."""

    @property
    def is_busy(self) -> bool:
        """Whether items are being given other fonts."""
        return bool(self._moves) or self._loading is not None

    def hurry(self) -> None:
        """Somebody did something: texts may be others."""
        self._hurries = True

    def hear(self) -> None:
        """The kernel, a file or alike told something: texts may be others."""
        self._heard = True

    def frame(self) -> None:
        """Some items. Called behind each frame."""
        self._follow()
        self._slow_frames += 1
        if self._heard and self._slow_frames >= RARELY:
            self._hurries = True
        if (made := dpg.last_item()) != self._last_made:
            self._last_made, self._hurries = made, True
        for _count in range(STEP if self._hurries or self._is_quick or self.is_busy else SLOW_STEP):
            item = next(self._items, None)
            if item is None:
                self._begin_anew()
                return
            if dpg.does_item_exist(item):
                self._look_at(item)

    def _follow(self) -> None:
        """Load the fonts that were made; use them in the frame after that, when they can be measured with."""
        fonts = self._ui.fonts
        if (faces := self._loading) is not None:
            self._loading = None
            self._moves |= fonts.switch(faces)
            # One that was moved before is moved on.
            self._moves = {old: self._moves.get(new, new) for old, new in self._moves.items()}
            self._rounds = 2  # the round that has begun does not count
            dpg.bind_font(fonts["body"])
        elif (faces := self._letters.faces) is not None and not fonts.has(faces):
            fonts.prepare(faces)
            self._loading = faces

    def _begin_anew(self) -> None:
        items = dpg.get_all_items()
        if self._is_quick:
            self._slow_frames = 0
        if self._hurries:
            self._heard = False
        self._is_quick, self._hurries = self._hurries, False
        self._kinds = {item: self._kinds[item] for item in items if item in self._kinds}
        self._rounds = max(0, self._rounds - 1)
        if not self._rounds:
            self._moves = {}
        if not self._moves:
            items = [item for item in items if item not in self._kinds or self._kinds[item][0] in _WITH_TEXTS]
        self._items = iter(items)

    def _look_at(self, item: int) -> None:
        known = self._kinds.get(item)
        if known is None or self._moves:
            info = dpg.get_item_info(item)
            if (font := self._moves.get(info["font"])) is not None:
                dpg.bind_item_font(item, font)
            known = info["type"].removeprefix("mvAppItemType::"), self._ui.fonts.is_mono(info["font"])
            self._kinds[item] = known
        kind, mono = known
        for words in _words_of(item, kind):
            if lacking := self._ui.fonts.lack(words, mono):
                self._letters.need(lacking)


def _words_of(item: int, kind: str) -> list[str]:
    if kind in _VALUES:
        return [str(dpg.get_value(item))]
    if kind in _LABELS:
        return [str(dpg.get_item_configuration(item)["label"] or "")]
    if kind == _DRAWN:
        return [str(dpg.get_item_configuration(item)["text"])]
    if kind in _LISTS:
        return [str(dpg.get_value(item)), *map(str, dpg.get_item_configuration(item)["items"])]
    return []
