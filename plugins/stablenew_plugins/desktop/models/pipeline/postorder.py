"""The order in which post-processors run. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stablenew_api.jobs import JsonValue
from stablenew_plugins.desktop.models.pipeline.cards import RUN_SECTION, Card

POST_ORDER = f"{RUN_SECTION}.post_processors"
"""The setting that has their names."""


def in_post_order(cards: Iterable[Card], order: JsonValue) -> Sequence[Card]:
    """Those of ``cards`` that are post-processors: first the listed ones, the others behind them by name."""
    place = {name: at for at, name in enumerate(order)} if isinstance(order, list) else {}
    posts = [card for card in cards if card.is_post]
    return sorted(posts, key=lambda card: (place.get(card.name, len(place)), card.name))


def moved(order: Sequence[str], name: str, place: int) -> list[JsonValue]:
    """``order`` with ``name`` at ``place``, or as near to it as there are places."""
    made: list[JsonValue] = [one for one in order if one != name]
    made.insert(min(max(place, 0), len(made)), name)
    return made
