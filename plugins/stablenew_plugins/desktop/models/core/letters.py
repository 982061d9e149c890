"""Characters that our own fonts do not have: asked for when one comes up, drawn with a font of the system.

What was needed once is remembered, so that the next window finds its fonts made. Fonts that are loaded stay
loaded, so they grow in large steps, and not without end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from stablenew_plugins.desktop.models.core import scripts
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.core.scripts import LANGUAGES, Language
from stablenew_plugins.desktop.text import _

SETTLE = 0.6
"""Seconds from the first new character until fonts are made: others are about to be found."""
REST = 10.0
"""Seconds between two makings of fonts; twice as long each time."""
MOST_BYTES = 48 * 1024 * 1024
"""Of fonts that a window loads for this."""
MOST_REMEMBERED = 2_000
"""Characters, beside the everyday ones of their languages."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What fonts are to be made with."""

    needed: frozenset[str]
    """Characters that were seen."""
    everyday: frozenset[str]
    """The everyday characters of the languages."""
    likely: frozenset[str]
    """Taken along, if the fonts that have the others have them, too."""
    languages: tuple[Language, ...]
    """The shapes of characters that several languages share, the first that there is."""


@dataclass(frozen=True, slots=True)
class Faces:
    """Fonts that were made."""

    files: Mapping[str, Path]
    """By the name of the font of ours that each is made of, without ending."""
    letters: frozenset[str]
    """What they have that ours have not."""
    size: int
    """Bytes that all of them take once they are loaded, in each size that is drawn with."""


class Letters(Model):
    """See above. ``faces``: what was made last; its revision changes with it."""

    def __init__(self, desk: Desk, make: Callable[[Wanted], Faces], platform: str = sys.platform) -> None:
        """``make`` is called in another thread. Raises what says why it cannot be."""
        super().__init__()
        self._desk, self._make, self._platform = desk, make, platform
        self.faces: Faces | None = None
        self._needed: dict[str, None] = {}
        self._languages: tuple[Language, ...] = ()
        self._told: list[str] = []
        self._new: set[str] = set()
        self._asked: frozenset[str] = frozenset()
        self._due = 0.0
        self._rest = REST
        self._making = self._stopped = False
        self._loaded = 0

    def need(self, letters: Set[str]) -> None:
        """``letters`` have come up, and the fonts do not have them."""
        new = set(filter(scripts.can_be_drawn, letters - self._new - self._asked))
        if not new or self._stopped:
            return
        if not self._new:
            self._due = max(self._due, self._desk.clock() + SETTLE)
        self._new |= new

    def tick(self) -> None:
        """Have fonts made when it is time. Called each frame."""
        if not self._new or self._making or self._stopped or self._desk.clock() < self._due:
            return
        if not self._asked:
            self._recall()
        new, self._new = frozenset(self._new), set()
        self._asked |= new
        self._needed.update(dict.fromkeys(sorted(new)))
        needed, languages = frozenset(self._needed), self._languages
        self._making = True
        self._desk.work(
            lambda: _make(self._make, new, needed, languages), lambda made: self._made(new, *made), self._failed
        )

    def _recall(self) -> None:
        """What other windows have needed, so that the same fonts do."""
        kept = self._desk.remembered.get("letters", {})
        languages, needed, told = kept.get("languages"), kept.get("needed"), kept.get("told")
        if isinstance(languages, list):
            self._languages = tuple(dict.fromkeys(one for one in languages if one in LANGUAGES))
        if isinstance(needed, str):
            self._needed = dict.fromkeys(filter(scripts.can_be_drawn, needed[-MOST_REMEMBERED:]))
        if isinstance(told, list):
            self._told = [name for name in told if isinstance(name, str)]

    def _made(self, new: frozenset[str], wanted: Wanted, faces: Faces) -> None:
        self._making = False
        self._due = self._desk.clock() + self._rest
        self._rest *= 2
        self._languages = wanted.languages
        self._tell(new - faces.letters)
        rare = "".join(letter for letter in self._needed if letter not in wanted.everyday)
        self._desk.remembered.set(
            "letters",
            {"languages": list(self._languages), "needed": rare[-MOST_REMEMBERED:], "told": self._told},
        )
        if not new & faces.letters:
            return
        if self._loaded + faces.size > MOST_BYTES:
            self._stopped = True
            self._desk.toasts.say(
                _("Some characters are shown as ?"), hint=_("They are there when the window is opened again.")
            )
            return
        self._loaded += faces.size
        self.faces = faces
        self.touch()

    def _failed(self, error: Exception) -> None:
        self._making, self._stopped = False, True
        self._desk.complain(error)

    def _tell(self, lacking: Set[str]) -> None:
        for name in sorted({scripts.name_of(letter) for letter in lacking} - {""} - set(self._told)):
            self._told.append(name)
            self._desk.toasts.say(
                _("This computer has no font with {script}").format(script=name),
                "warning",
                hint=self._advice(name),
                detail=" ".join(sorted(letter for letter in lacking if scripts.name_of(letter) == name)),
            )

    def _advice(self, name: str) -> str:
        if self._platform == "win32":
            return _("Add the language in Settings > Time & language, then open the window again.")
        if self._platform == "darwin":
            return _("Install such a font with Font Book, then open the window again.")
        if name in {scripts.name_of(letter) for letter in "あ字한"}:
            return _(
                "Install fonts-noto-cjk (Debian, Ubuntu), google-noto-sans-cjk-fonts (Fedora) or "
                "noto-fonts-cjk (Arch), then open the window again."
            )
        return _("Install fonts-noto-core (Debian, Ubuntu) or noto-fonts (Arch), then open the window again.")


def _make(
    make: Callable[[Wanted], Faces],
    new: frozenset[str],
    needed: frozenset[str],
    languages: tuple[Language, ...],
) -> tuple[Wanted, Faces]:
    """In another thread: the lists of what is likely take some milliseconds, too."""
    languages = (*languages, *(one for one in scripts.languages_of(new) if one not in languages))
    common = scripts.everyday(frozenset(), languages)
    wanted = Wanted(needed, common, scripts.everyday(needed, languages), languages)
    return wanted, make(wanted)
