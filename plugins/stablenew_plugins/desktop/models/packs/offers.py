"""What the editor offers while a name is being typed: which ones, what is known of each, which is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.packs.completion import Completion, Names, complete
from stablenew_plugins.desktop.models.packs.packtexts import Kind
from stablenew_plugins.desktop.models.packs.textedit import TextEdit
from stablenew_plugins.desktop.text import many

if TYPE_CHECKING:
    from stablenew_proto.v1 import packs_pb2 as pb

FIRST = 3
"""Values of a wildcard or a slot that are told."""


class Offers:
    """See above."""

    def __init__(self, desk: Desk, touch: Callable[[], None]) -> None:
        """``touch``: called when something visible changed."""
        self._desk, self._touch = desk, touch
        self.completion: Completion | None = None
        self.completing: Kind = "positive"
        """Which text it belongs to."""
        self.choice = 0
        """Of its options the one that Enter takes."""
        self._names = Names()
        self._names_seen = -1
        self._wildcards: dict[str, tuple[int, Sequence[str]]] = {}
        self._beside: Sequence[str] = ()
        self._slots: dict[str, tuple[int, Sequence[str]]] = {}

    def of_pack(self, beside: Sequence[str], slots: Sequence[pb.PackSlot]) -> None:
        """What belongs to the pack: wildcards that lie beside it, its slots."""
        self._beside = beside
        known = {slot.name: (slot.option_count, slot.options[:FIRST]) for slot in slots if slot.kind == "slot"}
        self._slots = known
        for slot in slots:
            if slot.kind == "wildcard" and slot.option_count:
                self._wildcards.setdefault(slot.name.strip("_"), (slot.option_count, slot.options[:FIRST]))
        self._names_seen = -1

    def ask(self) -> None:
        """Ask which wildcards the kernel has."""

        def done(found: Sequence[pb.WildcardInfo]) -> None:
            self._wildcards |= {one.name: (one.values, one.first[:FIRST]) for one in found}
            self._names_seen = -1

        self._desk.ask(lambda kernel: kernel.packs.wildcards(), done, key="editor.wildcards")

    @property
    def names(self) -> Names:
        """All that can be completed."""
        state = self._desk.state
        if state.revision != self._names_seen:
            self._names_seen = state.revision
            backends = [node.info.backend for node in state.nodes.values()]
            self._names = Names(
                loras=sorted({name for backend in backends for name in backend.loras}),
                embeddings=sorted({name for backend in backends for name in backend.embeddings}),
                wildcards=sorted({*self._wildcards, *self._beside}),
                slots=list(self._slots),
            )
        return self._names

    def about(self, option: str) -> tuple[str, str]:
        """Of an option that is offered: how many values, and the first ones; empty where nobody knows."""
        found = self.completion
        known = {"wildcards": self._wildcards, "slots": self._slots}.get(
            found.kind if found is not None else ""
        )
        count, first = (known or {}).get(option, (0, ()))
        if not count:
            return "", ""
        words = ", ".join(" ".join(value.split()) for value in first)
        return many("{n} value", "{n} values", count), words + (", …" if count > len(first) else "")

    def look(self, kind: Kind, edit: TextEdit, *, typed: bool) -> None:
        """See what can be offered at the caret. ``typed``: something was; a caret that moved offers nothing
        new."""
        nothing = edit.caret != edit.anchor or not (typed or self.completion is not None)
        self.completion = None if nothing else complete(edit.text, edit.caret, self.names)
        self.completing, self.choice = kind, 0

    def move(self, steps: int) -> None:
        """Go down so many options."""
        if self.completion is not None:
            self.choice = (self.choice + steps) % len(self.completion.options)
            self._touch()

    def dismiss(self) -> bool:
        """Offer nothing. False: nothing was offered."""
        if self.completion is None:
            return False
        self.completion = None
        self._touch()
        return True
