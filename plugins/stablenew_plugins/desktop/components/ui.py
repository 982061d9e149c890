"""What all components and panels draw with: scale, colours, fonts, looks, textures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_plugins.desktop.components.textures import Textures
from stablenew_plugins.desktop.models.core.background import Background
from stablenew_plugins.desktop.models.core.letters import Faces
from stablenew_plugins.desktop.theme.fonts import fonts_at
from stablenew_plugins.desktop.theme.look import Themes
from stablenew_plugins.desktop.theme.tokens import PALETTES, Palette

Item = int | str
"""A Dear PyGui item: its number or its tag."""


def number_of(item: Item) -> int:
    """The number of an item that is known by it or by its tag."""
    return int(dpg.get_alias_id(item)) if isinstance(item, str) else item


class Ui:
    """One theme at one scale. A new one is made, and everything drawn anew, when either changes."""

    def __init__(self, theme: str, scale: float, background: Background, faces: Faces | None = None) -> None:
        """Make fonts and the base theme. There must be a Dear PyGui context. ``faces``: fonts in the place of
        ours."""
        self.scale = scale
        self.colours: Palette = PALETTES[theme]
        self.fonts = fonts_at(scale, faces)
        self.themes = Themes(self.colours, self.px)
        self.textures = Textures(background)
        self._next: list[Callable[[], None]] = []
        self._clicks: dict[int, Callable[[], None]] = {}
        self._leaves: dict[int, Callable[[], None]] = {}
        self.paddings: dict[int, float] = {}
        """Of buttons: what is above and below their texts, before scaling."""
        with dpg.item_handler_registry() as self._handlers:
            dpg.add_item_clicked_handler(dpg.mvMouseButton_Left, callback=self._clicked)
        with dpg.item_handler_registry() as self._leaving:
            dpg.add_item_deactivated_after_edit_handler(callback=self._left)
        dpg.bind_theme(self.themes.base())
        dpg.bind_font(self.fonts["body"])

    def px(self, measure: float) -> int:
        """A measure in pixels of this scale. Negative ones, which count from the other side, too."""
        return round(measure * self.scale)

    def pad(self, item: Item, padding: float) -> None:
        """Keep that ``item``, a button, has so much above and below its text."""
        if len(self.paddings) > 4_000:  # those of items that are long gone
            self.paddings = {key: value for key, value in self.paddings.items() if dpg.does_item_exist(key)}
        self.paddings[number_of(item)] = padding

    def on_click(self, item: Item, call: Callable[[], None]) -> None:
        """Do ``call`` when ``item``, one that has no callback of its own (a drawing, a text), is clicked."""
        self._clicks = _of_this_world(self._clicks)
        self._clicks[number_of(item)] = call
        dpg.bind_item_handler_registry(item, self._handlers)

    def _clicked(self, _sender: Any, data: Any, _user: Any) -> None:
        # An item with a tag is told by its tag.
        if (call := self._clicks.get(number_of(data[1]))) is not None:
            call()

    def on_leave(self, item: Item, call: Callable[[], None]) -> None:
        """Do ``call`` when a person leaves ``item``, a field in which something was typed: by Enter, by Tab or
        by a click elsewhere."""
        self._leaves = _of_this_world(self._leaves)
        self._leaves[number_of(item)] = call
        dpg.bind_item_handler_registry(item, self._leaving)

    def _left(self, _sender: Any, data: Any, _user: Any) -> None:
        if (call := self._leaves.get(number_of(data))) is not None:
            call()

    def later(self, call: Callable[[], None]) -> None:
        """Do ``call`` behind the next frame: when sizes of new items are known, or an item that is just being
        used may go."""
        self._next.append(call)

    def in_turn(self, item: Item, steps: Iterator[object]) -> None:
        """Go on with ``steps``, one behind each of the next frames, for as long as there is ``item``."""

        def step() -> None:
            if dpg.does_item_exist(item) and next(steps, self) is not self:
                self.later(step)

        self.later(step)

    def run_later(self) -> None:
        """Do what waits. Called by the app behind each frame."""
        waiting, self._next = self._next, []
        for call in waiting:
            call()

    def close(self) -> None:
        """Take away what this made, but the fonts. Call it when nothing is drawn with it any more."""
        self.textures.close()
        self.themes.close()
        dpg.delete_item(self._handlers)
        dpg.delete_item(self._leaving)


def _of_this_world(calls: dict[int, Callable[[], None]]) -> dict[int, Callable[[], None]]:
    """``calls`` by item; without those of items that have gone, where there are many."""
    if len(calls) <= 2_000:
        return calls
    return {item: call for item, call in calls.items() if dpg.does_item_exist(item)}


def on(call: Callable[[], None]) -> Callable[[Any, Any, Any], None]:
    """``call`` as a callback of Dear PyGui: what it passes is left out."""
    return lambda _sender, _data, _user: call()


def on_value(call: Callable[[Any], None]) -> Callable[[Any, Any, Any], None]:
    """``call(new value)`` as a callback of Dear PyGui."""
    return lambda _sender, value, _user: call(value)
