"""The pipeline as it is set: stage cards made of each stage's schema, and a value for each setting.

A value is what the next run carries: that of the preset, as the kernel explains it, unless it was changed here.
Changes lie over the preset as ``--set`` does on the command line, and over what a pack brings along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablenew_api.errors import KernelUnavailable, StableNewError
from stablenew_api.jobs import JsonValue
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.pipeline.brought import Brought
from stablenew_plugins.desktop.models.pipeline.cards import (
    RUN_SECTION,
    Card,
    Field,
    card_of,
    fields_of,
    is_given,
    run_schema,
)
from stablenew_plugins.desktop.models.pipeline.folds import Folds
from stablenew_plugins.desktop.models.pipeline.inventory import Inventory
from stablenew_plugins.desktop.models.pipeline.postorder import POST_ORDER, in_post_order
from stablenew_plugins.desktop.models.pipeline.summary import summary
from stablenew_plugins.desktop.models.pipeline.told import Settings, Told, explained
from stablenew_plugins.desktop.models.pipeline.values import as_set
from stablenew_plugins.desktop.text import _

if TYPE_CHECKING:
    from stablenew_proto.v1 import kernel_pb2 as pb

DEFAULT_PRESET = "full"
"""Shipped: the whole chain, which is what "Run full pipeline" promises."""

QUIET = 0.25
"""Seconds without a change before the kernel is asked what comes of it."""

RARE = frozenset({"comfy_workflow", "comfy_image"})
"""Stages that stand under "More stages" unless they are on."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What was typed into a field and is no value of its setting."""

    text: str
    problem: str


@dataclass(slots=True)
class _Asked:
    """The question what comes of the changes, and when it is due."""

    due: float = 0.0
    pending: bool = False


class PipelineValues(Model):
    """See above. ``name`` is ``"txt2img.steps"`` everywhere."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.plan_revision = 0
        """Grows when what :meth:`apply` does changed."""
        self.cards_revision = 0
        """Grows when there are other cards: then they are drawn anew."""
        self.cards: Sequence[Card] = ()
        """In the order of their phases. Post-processors: see :attr:`posts`."""
        self.run_card = Card(
            RUN_SECTION,
            _("Images and files"),
            "",
            fields=fields_of(RUN_SECTION, run_schema()),
        )
        self.preset: str = desk.remembered.get("preset", DEFAULT_PRESET)
        self.changes: Mapping[str, JsonValue] = dict(desk.remembered.get("pipeline_changes", {}))
        """What differs from the preset, by name. Replaced as a whole, never changed."""
        self.drafts: Mapping[str, Draft] = {}
        """Fields that hold something else than a value; the run carries the last value."""
        self.refusal = ""
        """Why the kernel would refuse such a run; empty: it would not."""
        self.is_loaded = False
        """Whether cards and preset are known."""
        self.folds = Folds(desk.remembered)
        self.brought: Mapping[str, Brought] = {}
        """Settings that selected packs bring along, by name, as the plan has them."""
        self._told = Told()
        self._parts: Mapping[str, Sequence[Card]] = {}
        self._values: dict[str, Mapping[str, JsonValue]] = {}
        self._inventory = Inventory(desk.state)
        self._asked = _Asked()
        self._sent: tuple[str, tuple[str, ...]] = (self.preset, ())
        self._was_on: set[str] = set()
        self._send()
        desk.state.on_connected.append(self.load)

    # --- what the kernel tells ------------------------------------------------------------------------------

    def load(self) -> None:
        """Ask for stages and for the preset."""
        self._desk.ask(lambda kernel: kernel.stages(), self._show_stages, key="stages")
        self._load_base()

    def _show_stages(self, stages: Sequence[pb.Stage]) -> None:
        self._desk.state.know_stages(stages)
        cards = [card_of(stage) for stage in stages]
        if cards != self.cards:  # a kernel that comes back has the same ones, and nothing is drawn anew
            self.cards, self._parts = cards, {card.name: card.parts for card in cards}
            self.cards_revision += 1
        self._changed_values()
        self._send()

    def _load_base(self) -> None:
        preset = self.preset
        self._desk.ask(
            lambda kernel: explained(kernel, preset), self._show_base, self._base_failed, key="preset base"
        )
        self._ask_now()

    def _show_base(self, base: Settings) -> None:
        self._told.base, self._told.now, self.is_loaded = base, {}, True
        self._was_on.clear()
        self._changed_values()
        self._send()

    def _base_failed(self, error: Exception) -> None:
        self._told.base, self._told.now, self.is_loaded = {}, {}, True
        self._refused(error)

    def _ask_now(self) -> None:
        self._asked.pending, self._asked.due = True, self._desk.clock() + QUIET

    def tick(self) -> None:
        """Ask what comes of the changes after a moment of quiet; look at what nodes have."""
        if self._asked.pending and self._desk.clock() >= self._asked.due:
            preset, sets = self._sent
            asked = self._desk.ask(
                lambda kernel: explained(kernel, preset, sets), self._show_now, self._refused, key="preset now"
            )
            self._asked.pending = not asked
            self._asked.due = self._desk.clock() + QUIET
        if self._inventory.is_new():
            self.touch()

    def _show_now(self, now: Settings) -> None:
        self._told.now, self.refusal = now, ""
        self._changed_values()

    def _refused(self, error: Exception) -> None:
        if isinstance(error, KernelUnavailable):
            return  # the window shows it, and asks again when a kernel is there
        self.refusal = str(error)
        self._changed_values()
        if not isinstance(error, StableNewError):
            self._desk.complain(error)

    def _changed_values(self) -> None:
        self._values.clear()
        self.touch()

    # --- cards ----------------------------------------------------------------------------------------------

    def card(self, name: str) -> Card | None:
        """The card of a stage, or of a part of one."""
        if name == RUN_SECTION:
            return self.run_card
        cards = self._parts.get(name.partition(".")[0], ()) if "." in name else self.cards
        return next((card for card in cards if card.name == name), None)

    def field(self, name: str) -> Field | None:
        """The setting called ``name``; None: no card has it."""
        stage, _sep, key = name.partition(".")
        card = self.card(stage)
        return card.by_key(key) if card is not None else None

    @property
    def posts(self) -> Sequence[Card]:
        """Post-processors in their order."""
        return in_post_order(self.cards, self.value(POST_ORDER))

    @property
    def shown(self) -> Sequence[Card]:
        """Cards in the list, each followed by those of its parts: what most people use, and what is on, or was
        on since the preset was chosen, so that none goes away under the hand that switches it off."""
        return self._listed(shown=True)

    @property
    def hidden(self) -> Sequence[Card]:
        """The others: "More stages"."""
        return self._listed(shown=False)

    def _listed(self, *, shown: bool) -> Sequence[Card]:
        stages = [*(card for card in self.cards if not card.is_post), *self.posts]
        found = [card for card in stages if self._is_shown(card) == shown]
        return [one for card in found for one in (card, *self._parts.get(card.name, ()))]

    def _is_shown(self, card: Card) -> bool:
        if self.is_on(card.name):
            self._was_on.add(card.name)
        return not (card.is_post or card.name in RARE) or card.name in self._was_on

    # --- values ---------------------------------------------------------------------------------------------

    def value(self, name: str) -> JsonValue:
        """What a run carries."""
        if name in self.changes:
            return self.changes[name]
        return self.beneath(name)

    def beneath(self, name: str) -> JsonValue:
        """What a run would carry if it were not changed here."""
        found = self.brought.get(name)
        return found.value if found is not None and found.is_shared else self.of_preset(name)

    def of_preset(self, name: str) -> JsonValue:
        """What a run would carry if no pack had settings of its own, either."""
        one = self.field(name)
        return self._told.beneath(name, one.default if one is not None else None)

    def values(self, stage: str) -> Mapping[str, JsonValue]:
        """All of a stage, by key."""
        if stage not in self._values:
            card = self.card(stage)
            fields = card.fields if card is not None else ()
            self._values[stage] = {one.key: self.value(one.name) for one in fields}
        return self._values[stage]

    def values_on(self, card: Card) -> Mapping[str, JsonValue]:
        """Those of its stage as if it were on: what it would do is to be seen, and set, before it is."""
        values, master = self.values(card.stage), card.master
        if master is None or master.kind != "switch":
            return values
        return {**values, master.key: True}

    def active(self, card: Card) -> Sequence[Field]:
        """The settings of a card that have an effect, or would have one if it were on."""
        values, master = self.values_on(card), card.master
        return [
            one
            for one in card.fields
            if one.is_active(values) or (master is not None and one.master == master.key and not one.wanted)
        ]

    def is_master(self, one: Field) -> bool:
        """Whether others are turned on by it: then none of its names means that they are off."""
        card = self.card(one.stage)
        return card is not None and any(group.master.key == one.key for group in card.groups)

    def is_given(self, master: Field) -> bool:
        """Whether what ``master`` turns on is on."""
        return is_given(self.value(master.name))

    def source(self, name: str) -> str:
        """Where a value comes from, for people: ``preset full.json``."""
        if name in self.changes:
            return _("changed here")
        if (found := self.brought.get(name)) is not None and found.is_shared:
            return _("the pack's own")
        return self._told.source(name) or _("default")

    def summary(self, card: str) -> str:
        """A stage, or a part of one, in a line."""
        found = self.card(card)
        return summary(found, self.values_on(found)) if found is not None else ""

    def is_changed(self, name: str) -> bool:
        """Whether it differs from the preset."""
        return name in self.changes

    def changed_in(self, card: str) -> int:
        """How many settings of a card differ from the preset, its switch among them."""
        return sum(self._belongs(name, card) for name in self.changes)

    def _belongs(self, name: str, card: str) -> bool:
        found = self.card(card)
        if found is None or card == RUN_SECTION:
            return found is not None and found.by_key(name.removeprefix(f"{RUN_SECTION}.")) is not None
        return name == found.switch or any(one.name == name for one in found.own)

    def brought_at(self, name: str) -> Brought | None:
        """What packs have otherwise than the preset, if nothing was changed here; None: nothing. Where it is
        shared, the card shows it; else the card shows what the preset has."""
        found = self.brought.get(name)
        if found is None or name in self.changes:
            return None
        of_preset = self.of_preset(name)
        return found if any(value != of_preset for value in found.values) else None

    def from_packs(self, *, shared: bool) -> Sequence[str]:
        """Settings of the cards that packs have otherwise than the preset: those that all share, or the others,
        of which no card can show the value."""
        switches = {card.switch for card in self.cards}
        names = (name for name in self.brought if name in switches or self.field(name) is not None)
        brought = ((name, self.brought_at(name)) for name in names)
        return [name for name, found in brought if found is not None and found.is_shared == shared]

    def show_brought(self, brought: Mapping[str, Brought]) -> None:
        """The packs of the next run have these settings of their own."""
        if brought != self.brought:
            self.brought = brought
            self._changed_values()
            self._send()

    def problem(self, name: str) -> str:
        """What is wrong with a field: what was typed there, or what the kernel says; empty: nothing."""
        if name in self.drafts:
            return self.drafts[name].problem
        return self._refusal_at(name)

    def _refusal_at(self, name: str) -> str:
        before, found, reason = self.refusal.partition(f"{name}:")
        if not found or (before and before[-1].isalnum()):
            return ""
        return reason.strip()

    @property
    def unplaced_refusal(self) -> str:
        """The kernel's refusal, if it is about no field of a card."""
        if not self.refusal:
            return ""
        names = (one.name for card in (self.run_card, *self.cards) for one in card.fields)
        return "" if any(self._refusal_at(name) for name in names) else self.refusal

    def problems_in(self, card: str) -> int:
        """How many fields of a card are in error."""
        found = self.card(card)
        return sum(bool(self.problem(one.name)) for one in found.own) if found is not None else 0

    def names(self, choices: str) -> Sequence[str]:
        """What the nodes have of a kind. Empty: they do not tell."""
        return self._inventory.names(choices)

    def is_missing(self, one: Field) -> bool:
        """Whether no node has the value of this setting."""
        return self._inventory.lacks(one, self.value(one.name))

    def is_on(self, card: str) -> bool:
        """Whether a stage is to run, or what a part does is to be done."""
        found = self.card(card) if "." in card else None
        if found is None or found.master is None:
            return self.value(f"{RUN_SECTION}.{card}_enabled") is True
        return self.is_given(found.master)

    def takes_part(self, card: Card) -> bool:
        """Whether a card has to do with the run: it is on, and so is the stage that it is a part of."""
        return self.is_on(card.name) and self.is_on(card.stage)

    # --- what a run is asked for ----------------------------------------------------------------------------

    def apply(self, request: pb.RunRequest) -> None:
        """Put preset and changed settings into ``request``.

        Called in another thread: reads only what is replaced as a whole."""
        preset, sets = self._sent
        request.preset = preset
        request.sets.extend(sets)

    def sets(self, *, all_of_them: bool = False) -> tuple[str, ...]:
        """The changes as a run is asked for them. Those of a stage that is off, or of a setting that has no
        effect as things are, are left out, unless ``all_of_them``."""
        made = []
        if POST_ORDER in self.changes:
            on: list[JsonValue] = [card.name for card in self.posts if self.is_on(card.name)]
            made.append(as_set(POST_ORDER, on))
        for name, value in sorted(self.changes.items()):
            if name != POST_ORDER and (all_of_them or self._matters(name)):
                made.append(as_set(name, value))
        return tuple(made)

    def _matters(self, name: str) -> bool:
        stage, _sep, key = name.partition(".")
        if stage == RUN_SECTION:
            return True
        one = self.field(name)
        if not self.cards:
            return True
        return one is not None and self.is_on(stage) and one.is_active(self.values(stage)) and bool(key)

    def _send(self) -> None:
        sent = (self.preset, self.sets())
        if sent != self._sent:
            self._sent = sent
            self.plan_revision += 1
        self._ask_now()

    def as_sections(self) -> dict[str, dict[str, JsonValue]]:
        """All values, as a preset has them."""
        made: dict[str, dict[str, JsonValue]] = {
            card.name: dict(self.values(card.name)) for card in (self.run_card, *self.cards)
        }
        for card in self.cards:
            made[RUN_SECTION][f"{card.name}_enabled"] = self.is_on(card.name)
        made[RUN_SECTION]["post_processors"] = [card.name for card in self.posts if self.is_on(card.name)]
        return made
