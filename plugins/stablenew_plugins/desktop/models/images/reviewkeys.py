"""The keys of the tab Learning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from stablenew_plugins.desktop.models.core.shortcuts import Shortcut
from stablenew_plugins.desktop.models.images.starkeys import star_keys
from stablenew_plugins.desktop.models.images.tagkeys import LETTERS
from stablenew_plugins.desktop.text import _

if TYPE_CHECKING:
    from stablenew_plugins.desktop.models.images.review import ReviewModel

TAB = "learning"
MOVING = ("Left", "Right", "Up", "Down", "PageUp", "PageDown")
"""Keys that go on while they are held; all others would do and undo."""


def review_keys(review: ReviewModel) -> Sequence[Shortcut]:
    """What works in the grid."""
    group = _("Learning")

    def last() -> int:
        return review.total - 1

    keys: list[tuple[str, str, Callable[[], None]]] = [
        ("Left", _("Image before"), lambda: review.step(-1)),
        ("Right", _("Next image"), lambda: review.step(1)),
        ("Up", _("Row above"), lambda: review.step_row(-1)),
        ("Down", _("Row below"), lambda: review.step_row(1)),
        ("PageUp", _("Rows before"), lambda: review.step_row(-review.rows)),
        ("PageDown", _("Rows behind"), lambda: review.step_row(review.rows)),
        ("Home", _("First image"), lambda: review.move(0)),
        ("End", _("Last image"), lambda: review.move(last())),
        ("Enter", _("As large as the window"), review.open_cursor),
        ("Space", _("As large as the window"), review.open_cursor),
        ("Ctrl+Space", _("Choose this image, too"), review.toggle_cursor),
        ("Shift+Left", _("Choose up to the image before"), lambda: review.move(review.cursor - 1, extend=True)),
        ("Shift+Right", _("Choose up to the next image"), lambda: review.move(review.cursor + 1, extend=True)),
        ("Shift+Up", _("Choose up to the row above"), lambda: review.step_row(-1, extend=True)),
        ("Shift+Down", _("Choose up to the row below"), lambda: review.step_row(1, extend=True)),
        ("Shift+Home", _("Choose up to the first image"), lambda: review.move(0, extend=True)),
        ("Shift+End", _("Choose up to the last image"), lambda: review.move(last(), extend=True)),
        ("Ctrl+A", _("Choose all that are found"), review.choose_all),
        ("Escape", _("Choose nothing"), review.clear_selection),
        ("C", _("Compare what is chosen"), review.compare),
        ("P", _("Promote what is chosen"), review.promote),
        ("Ctrl+Z", _("Take the last rating back"), review.undo),
    ]
    made = [
        Shortcut(key, what, act, tab=TAB, group=group, repeats=key.endswith(MOVING)) for key, what, act in keys
    ]
    made += star_keys(review.rate, tab=TAB, group=group)
    for letter in LETTERS:
        made.append(Shortcut(letter, "", partial(review.press, letter), tab=TAB, group=group, repeats=False))
    return made
