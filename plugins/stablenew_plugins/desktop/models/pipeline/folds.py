"""Which cards are unfolded. Remembered from one time to the next."""

from __future__ import annotations

from collections.abc import Iterable, Set

from stablenew_plugins.desktop.models.core.remembered import Remembered

OPEN, MORE = "open_cards", "open_more"


class Folds:
    """See above."""

    def __init__(self, remembered: Remembered) -> None:
        self._remembered = remembered
        self.open: Set[str] = _names(remembered.get(OPEN, ["txt2img"]))
        """Names of cards whose settings are to be seen."""
        self.more: Set[str] = _names(remembered.get(MORE, []))
        """Names of those that show the settings, too, that most people leave alone."""

    def toggle(self, card: str) -> None:
        """Unfold a card, or fold it."""
        self.show(self.open ^ {card})

    def toggle_more(self, card: str) -> None:
        """Show the settings that most people leave alone, or hide them."""
        self.more = self.more ^ {card}
        self._remembered.set(MORE, sorted(self.more))

    def show(self, cards: Iterable[str]) -> None:
        """Unfold these, and fold the others."""
        self.open = frozenset(cards)
        self._remembered.set(OPEN, sorted(self.open))


def _names(found: Iterable[object]) -> Set[str]:
    return frozenset(name for name in found if isinstance(name, str))
