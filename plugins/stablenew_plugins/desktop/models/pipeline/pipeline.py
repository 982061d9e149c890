"""The pipeline: a preset, what differs from it, and the stage cards made of each stage's schema.

A value is what the next run carries: that of the preset, as the kernel explains it, unless it was changed here.
Changes lie over the preset as ``--set`` does on the command line, and over what a pack brings along.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablenew_api.errors import KernelUnavailable, StableNewError
from stablenew_api.jobs import JsonValue
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.history import History
from stablenew_plugins.desktop.models.core.inventory import Inventory
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.core.shortcuts import Shortcut
from stablenew_plugins.desktop.models.pipeline import cards as card_rules
from stablenew_plugins.desktop.models.pipeline.cards import RUN_SECTION, Card, Field
from stablenew_plugins.desktop.text import _

if TYPE_CHECKING:
    from pathlib import Path

    from stablenew_client import KernelClient
    from stablenew_plugins.desktop.models.pipeline.taken import Taken
    from stablenew_proto.v1 import kernel_pb2 as pb
    from stablenew_proto.v1 import library_pb2 as library

DEFAULT_PRESET = "full"
"""Shipped: the whole chain, which is what "Run full pipeline" promises."""

POST_ORDER = f"{RUN_SECTION}.post_processors"
QUIET = 0.25
"""Seconds without a change before the kernel is asked what comes of it."""

RARE = frozenset({"comfy_workflow", "comfy_image"})
"""Stages that stand under "More stages" unless they are on."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What was typed into a field and is no value of its setting."""

    text: str
    problem: str


@dataclass(frozen=True, slots=True)
class Brought:
    """A setting that a pack has of its own: it lies over the preset."""

    pack: str
    value: JsonValue


@dataclass(frozen=True, slots=True)
class _Step:
    """What undo goes back to."""

    preset: str
    changes: Mapping[str, JsonValue]


@dataclass(slots=True)
class _Asked:
    """The question what comes of the changes, and when it is due."""

    due: float = 0.0
    pending: bool = False


class PipelineModel(Model):
    """See above. ``name`` is ``"txt2img.steps"`` everywhere."""

    def __init__(self, desk: Desk, draw: Callable[[], int] = lambda: secrets.randbelow(2**32)) -> None:
        """``draw``: a new seed."""
        super().__init__()
        self._desk, self._draw = desk, draw
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
            fields=card_rules.fields_of(RUN_SECTION, card_rules.run_schema()),
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
        self.open_cards: set[str] = set(desk.remembered.get("open_cards", ["txt2img"]))
        self.brought: Mapping[str, Brought] = {}
        """Settings that selected packs bring along, by name, as the plan has them."""
        self.taken: Taken | None = None
        """Settings of an image, to choose from."""
        self.on_taken: Callable[[], None] = lambda: None
        """Called when there is something in :attr:`taken`."""
        self._base: Mapping[str, library.Setting] = {}
        self._now: Mapping[str, library.Setting] = {}
        self._values: dict[str, Mapping[str, JsonValue]] = {}
        self._inventory = Inventory(desk.state)
        self._asked = _Asked()
        self._sent: tuple[str, tuple[str, ...]] = (self.preset, ())
        self._history: History[_Step] = History(desk.clock)
        self._was_on: set[str] = set()
        self._held = ""
        self._send()
        desk.state.on_connected.append(self.load)

    # --- what the kernel tells ------------------------------------------------------------------------------

    def load(self) -> None:
        """Ask for stages and for the preset."""
        self._desk.ask(lambda kernel: kernel.stages(), self._show_stages, key="stages")
        self._load_base()

    def _show_stages(self, stages: Sequence[pb.Stage]) -> None:
        self._desk.state.know_stages(stages)
        cards = [card_rules.card_of(stage) for stage in stages]
        if cards != self.cards:  # a kernel that comes back has the same ones, and nothing is drawn anew
            self.cards = cards
            self.cards_revision += 1
        self._changed_values()
        self._send()

    def _load_base(self) -> None:
        preset = self.preset
        self._desk.ask(
            lambda kernel: _explained(kernel, preset), self._show_base, self._base_failed, key="preset base"
        )
        self._ask_now()

    def _show_base(self, base: Mapping[str, library.Setting]) -> None:
        self._base, self._now, self.is_loaded = base, {}, True
        self._was_on.clear()
        self._changed_values()
        self._send()

    def _base_failed(self, error: Exception) -> None:
        self._base, self._now, self.is_loaded = {}, {}, True
        self._refused(error)

    def _ask_now(self) -> None:
        self._asked.pending, self._asked.due = True, self._desk.clock() + QUIET

    def tick(self) -> None:
        """Ask what comes of the changes after a moment of quiet; look at what nodes have."""
        if self._asked.pending and self._desk.clock() >= self._asked.due:
            preset, sets = self._sent
            asked = self._desk.ask(
                lambda kernel: _explained(kernel, preset, sets), self._show_now, self._refused, key="preset now"
            )
            self._asked.pending = not asked
            self._asked.due = self._desk.clock() + QUIET
        if self._inventory.is_new():
            self.touch()

    def _show_now(self, now: Mapping[str, library.Setting]) -> None:
        self._now, self.refusal = now, ""
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

    def card(self, stage: str) -> Card | None:
        """The card of a stage."""
        if stage == RUN_SECTION:
            return self.run_card
        return next((card for card in self.cards if card.name == stage), None)

    def field(self, name: str) -> Field | None:
        """The setting called ``name``; None: no card has it."""
        stage, _sep, key = name.partition(".")
        card = self.card(stage)
        return card.by_key(key) if card is not None else None

    @property
    def posts(self) -> Sequence[Card]:
        """Post-processors in their order: those that are listed first, the others behind them by name."""
        return self._order_of(self.value(POST_ORDER))

    @property
    def shown(self) -> Sequence[Card]:
        """Cards in the list: what most people use, and what is on, or was on since the preset was chosen, so
        that none goes away under the hand that switches it off."""
        stages = [card for card in self.cards if not card.is_post and self._is_shown(card)]
        return [*stages, *(card for card in self.posts if self._is_shown(card))]

    @property
    def hidden(self) -> Sequence[Card]:
        """The others: "More stages"."""
        stages = [card for card in self.cards if not card.is_post and not self._is_shown(card)]
        return [*stages, *(card for card in self.posts if not self._is_shown(card))]

    def _is_shown(self, card: Card) -> bool:
        if self.is_on(card.name):
            self._was_on.add(card.name)
        return not (card.is_post or card.name in RARE) or card.name in self._was_on

    def fold(self, stage: str) -> None:
        """Unfold a card, or fold it."""
        self.open_cards ^= {stage}
        self._held = stage
        self._desk.remembered.set("open_cards", sorted(self.open_cards))
        self.touch()

    def fold_all(self) -> None:
        """Fold all cards, or unfold those that are on."""
        shown = {card.name for card in self.cards if self.is_on(card.name)}
        self.open_cards = set() if self.open_cards else shown
        self._desk.remembered.set("open_cards", sorted(self.open_cards))
        self.touch()

    # --- values ---------------------------------------------------------------------------------------------

    def value(self, name: str) -> JsonValue:
        """What a run carries."""
        if name in self.changes:
            return self.changes[name]
        return self.beneath(name)

    def beneath(self, name: str) -> JsonValue:
        """What a run would carry if it were not changed here."""
        told = self._now.get(name)
        if told is not None and _is_profile(told.source):
            return _value(told.value_json)
        if told is not None and told.below and _is_profile(told.below[0].source) and told.source == "--set":
            return _value(told.below[0].value_json)
        if name in self._base:
            return _value(self._base[name].value_json)
        one = self.field(name)
        return one.default if one is not None else None

    def values(self, stage: str) -> Mapping[str, JsonValue]:
        """All of a stage, by key."""
        if stage not in self._values:
            card = self.card(stage)
            fields = card.fields if card is not None else ()
            self._values[stage] = {one.key: self.value(one.name) for one in fields}
        return self._values[stage]

    def source(self, name: str) -> str:
        """Where a value comes from, for people: ``preset full.json``."""
        if name in self.changes:
            return _("changed here")
        told = self._now.get(name) or self._base.get(name)
        return told.source if told is not None else _("default")

    def summary(self, stage: str) -> str:
        """A stage in a line."""
        card = self.card(stage)
        return card_rules.summary(card, self.values(stage)) if card is not None else ""

    def is_changed(self, name: str) -> bool:
        """Whether it differs from the preset."""
        return name in self.changes

    def changed_in(self, stage: str) -> int:
        """How many settings of a stage differ from the preset, its switch among them."""
        return sum(self._belongs(name, stage) for name in self.changes)

    def _belongs(self, name: str, stage: str) -> bool:
        if stage == RUN_SECTION:
            return self.run_card.by_key(name.removeprefix(f"{RUN_SECTION}.")) is not None
        return name.partition(".")[0] == stage or name == f"{RUN_SECTION}.{stage}_enabled"

    def brought_at(self, name: str) -> Brought | None:
        """What a pack has instead of what its card says; None: nothing else."""
        found = self.brought.get(name)
        if found is None or name in self.changes or found.value == self.value(name):
            return None
        return found

    @property
    def overruled(self) -> Sequence[str]:
        """Settings that packs have otherwise than the cards."""
        return [name for name in self.brought if self.brought_at(name) is not None]

    def show_brought(self, brought: Mapping[str, Brought]) -> None:
        """The plan has these settings of packs. Of what is changed here it has the change."""
        brought = {name: found for name, found in brought.items() if name not in self.changes}
        if brought != self.brought:
            self.brought = brought
            self.touch()

    def use_mine(self, *names: str) -> None:
        """Let the values of the cards lie over those of the packs; no name: all of them."""
        self.set_all({name: self.value(name) for name in names or self.overruled}, pin=True)

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

    def problems_in(self, stage: str) -> int:
        """How many fields of a stage are in error."""
        card = self.card(stage)
        return sum(bool(self.problem(one.name)) for one in card.fields) if card is not None else 0

    def names(self, choices: str) -> Sequence[str]:
        """What the nodes have of a kind. Empty: they do not tell."""
        return self._inventory.names(choices)

    def is_missing(self, one: Field) -> bool:
        """Whether no node has the value of this setting."""
        return self._inventory.lacks(one, self.value(one.name))

    # --- changing -------------------------------------------------------------------------------------------

    def set(self, name: str, value: JsonValue) -> None:
        """Give a setting a value. One that it can't have is kept as a draft, with the reason."""
        self.set_all({name: value}, step=name)

    def set_all(self, values: Mapping[str, JsonValue], *, step: str = "", pin: bool = False) -> None:
        """Several at once, as one step to undo. ``step``: changes of one name that follow each other closely
        are one. ``pin``: also those that are as in the preset, so that they lie over what packs bring."""
        changes, drafts = dict(self.changes), dict(self.drafts)
        for name, given in values.items():
            one = self.field(name)
            value = card_rules.cleaned(one, given) if one is not None else given
            drafts.pop(name, None)
            if problem := self._problem_of(one, value):
                drafts[name] = Draft(card_rules.short(value), problem)
            elif not pin and self._same(name, value, self.beneath(name)):
                changes.pop(name, None)
            else:
                changes[name] = value
        self._change(self.preset, changes, drafts, step)

    def _problem_of(self, one: Field | None, value: JsonValue) -> str:
        if one is None:
            return ""
        if problem := card_rules.problem_of(one, value):
            return problem
        beneath = self.beneath(one.name)
        if isinstance(value, dict) and isinstance(beneath, dict) and not one.takes_text:
            gone = sorted(beneath.keys() - value.keys())
            if gone:
                return _("The preset has {names} here; it can be changed here, but not taken away.").replace(
                    "{names}", ", ".join(gone)
                )
        return ""

    def _same(self, name: str, value: JsonValue, other: JsonValue) -> bool:
        if name == POST_ORDER:
            order: JsonValue = [card.name for card in self._order_of(other)]
            return bool(value == order)
        return bool(type(value) is type(other) and value == other)

    def type(self, name: str, text: str) -> None:
        """What a person typed into the field of ``name``."""
        one = self.field(name)
        if one is None:
            return
        try:
            value = card_rules.read(one, text)
        except (ValueError, OverflowError) as error:
            reason = str(error) if one.kind == "json" else card_rules.problem_of(one, None)
            self._change(self.preset, self.changes, {**self.drafts, name: Draft(text, reason)}, name)
            return
        self.set(name, value)
        if name in self.drafts:
            self.drafts = {**self.drafts, name: Draft(text, self.drafts[name].problem)}

    def reset(self, *names: str) -> None:
        """Take settings back to the preset."""
        changes = {name: value for name, value in self.changes.items() if name not in names}
        drafts = {name: draft for name, draft in self.drafts.items() if name not in names}
        self._change(self.preset, changes, drafts)

    def reset_stage(self, stage: str) -> None:
        """Take a stage back to the preset."""
        self.reset(*(name for name in (*self.changes, *self.drafts) if self._belongs(name, stage)))

    def revert(self) -> None:
        """Take everything back to the preset."""
        self._change(self.preset, {}, {})

    def choose_preset(self, preset: str) -> None:
        """Another preset; what was changed over the old one goes, and undo brings it back."""
        if preset != self.preset or self.changes:
            self._change(preset, {}, {})

    def rebase(self, preset: str) -> None:
        """The preset was saved with all changes in it, as ``preset``, which is read anew."""
        self._change(preset, {}, {})
        self._load_base()

    def _change(
        self, preset: str, changes: Mapping[str, JsonValue], drafts: Mapping[str, Draft], step: str = ""
    ) -> None:
        if drafts != self.drafts:
            self.drafts = drafts
            self.touch()
        if (preset, changes) == (self.preset, self.changes):
            return
        self._history.leave(_Step(self.preset, self.changes), step)
        self._become(_Step(preset, changes))

    def _become(self, step: _Step) -> None:
        other = step.preset != self.preset
        mine = self.changes.keys() | step.changes.keys()
        self.brought = {name: found for name, found in self.brought.items() if name not in mine}
        self.preset, self.changes = step.preset, step.changes
        self._desk.remembered.set("preset", self.preset)
        self._desk.remembered.set("pipeline_changes", dict(self.changes))
        self._changed_values()
        self._send()
        if other:
            self.is_loaded = False
            self._load_base()

    def undo(self) -> None:
        """Take the last change back."""
        self.drafts = {}
        self._become(self._history.undo(_Step(self.preset, self.changes)))

    def redo(self) -> None:
        """Do again what was taken back."""
        self.drafts = {}
        self._become(self._history.redo(_Step(self.preset, self.changes)))

    @property
    def can_undo(self) -> bool:
        """Whether there is something to take back."""
        return len(self._history) > 0

    @property
    def can_redo(self) -> bool:
        """Whether something was taken back."""
        return self._history.can_redo

    def shortcuts(self) -> Sequence[Shortcut]:
        """Keys of the tab."""
        group = _("Pipeline")
        return (
            Shortcut("Ctrl+Z", _("Take the last change back"), self.undo, tab="pipeline", group=group),
            Shortcut("Ctrl+Shift+Z", _("Do it again"), self.redo, tab="pipeline", group=group),
            Shortcut("Ctrl+Y", _("Do it again"), self.redo, tab="pipeline", group=group),
            Shortcut(
                "Alt+Up", _("Post-processor: earlier"), lambda: self._move_held(-1), "pipeline", group=group
            ),
            Shortcut(
                "Alt+Down", _("Post-processor: later"), lambda: self._move_held(1), "pipeline", group=group
            ),
            Shortcut("Ctrl+E", _("Fold or unfold all cards"), self.fold_all, tab="pipeline", group=group),
        )

    # --- which stages run -----------------------------------------------------------------------------------

    def is_on(self, stage: str) -> bool:
        """Whether a stage runs."""
        return self.value(f"{RUN_SECTION}.{stage}_enabled") is True

    def switch(self, stage: str, on: bool) -> None:
        """Let a stage run, or not. Of those that do the same work only one can run."""
        card = self.card(stage)
        values: dict[str, JsonValue] = {f"{RUN_SECTION}.{stage}_enabled": on}
        if on and card is not None and not card.is_post:
            for other in self.cards:
                if other.phase == card.phase and other.name != stage and self.is_on(other.name):
                    values[f"{RUN_SECTION}.{other.name}_enabled"] = False
        self.set_all(values)

    def switch_group(self, master: Field, on: bool) -> None:
        """Turn on what ``master`` does, or off: a switch, or a name, of which it takes the first one that some
        node has."""
        if master.kind == "switch":
            self.set(master.name, on)
            return
        beneath = self.beneath(master.name)
        names = [name for name in self.names(master.choices) if name != "None"]
        first = beneath if beneath not in ("", "None", None) else (names[0] if names else "")
        if on and not first:
            self._desk.toasts.say(_("No node has one to choose from."), "warning")
            self.touch()
            return
        self.set(master.name, first if on else "")

    def draw_seed(self, name: str) -> None:
        """Give a seed a new number, which then stays."""
        self.set(name, self._draw())

    def lock_seed(self, name: str) -> None:
        """Let a seed stay as it is, or be drawn anew for each run."""
        seed = self.value(name)
        if isinstance(seed, int) and seed >= 0:
            self.set(name, -1)
        else:
            self.draw_seed(name)

    def _move_held(self, by: int) -> None:
        """Move the post-processor that was touched last; at first the last one that is on."""
        on = [card.name for card in self.posts if self.is_on(card.name)]
        held = self._held if self._held in on else (on[-1] if on else "")
        if held:
            self.move(held, by)

    def move(self, stage: str, by: int) -> None:
        """Move a post-processor ``by`` places: -1 is one earlier."""
        order = [card.name for card in self.posts]
        if stage in order:
            at = order.index(stage)
            self._reorder(stage, min(max(at + by, 0), len(order) - 1))

    def move_to(self, stage: str, target: str) -> None:
        """Put a post-processor where another one is."""
        order = [card.name for card in self.posts]
        if stage in order and target in order:
            self._reorder(stage, order.index(target))

    def _reorder(self, stage: str, place: int) -> None:
        self._held = stage
        order: list[JsonValue] = [card.name for card in self.posts if card.name != stage]
        order.insert(place, stage)
        self.set(POST_ORDER, order)

    def _order_of(self, order: JsonValue) -> Sequence[Card]:
        place = {name: at for at, name in enumerate(order)} if isinstance(order, list) else {}
        posts = [card for card in self.cards if card.is_post]
        return sorted(posts, key=lambda card: (place.get(card.name, len(place)), card.name))

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
            made.append(card_rules.as_set(POST_ORDER, on))
        for name, value in sorted(self.changes.items()):
            if name != POST_ORDER and (all_of_them or self._matters(name)):
                made.append(card_rules.as_set(name, value))
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

    # --- settings of an image -------------------------------------------------------------------------------

    def take_from_image(self, image_sha256: str) -> None:
        """Offer the settings of an image that was made here."""
        from stablenew_plugins.desktop.models.pipeline.taken import read_image

        now = self.as_sections()
        self._desk.order(lambda kernel: read_image(kernel, image_sha256, now), self._offer)

    def take_from_file(self, path: Path) -> None:
        """Offer the settings of an image file, whichever program made it."""
        from stablenew_plugins.desktop.models.pipeline.taken import read_file

        now = self.as_sections()
        self._desk.order(lambda kernel: read_file(kernel, path, now), self._offer)

    def _offer(self, taken: Taken) -> None:
        self.taken = taken.judged(self)
        self.touch()
        self.on_taken()

    def take(self, names: Sequence[str]) -> None:
        """Apply what was chosen of :attr:`taken`."""
        taken, self.taken = self.taken, None
        self.touch()
        if taken is not None:
            self.set_all(
                {item.name: item.then for item in taken.items if item.name in names and not item.problem}
            )

    def as_sections(self) -> dict[str, dict[str, JsonValue]]:
        """All values, as a preset has them."""
        made: dict[str, dict[str, JsonValue]] = {
            card.name: dict(self.values(card.name)) for card in (self.run_card, *self.cards)
        }
        for card in self.cards:
            made[RUN_SECTION][f"{card.name}_enabled"] = self.is_on(card.name)
        made[RUN_SECTION]["post_processors"] = [card.name for card in self.posts if self.is_on(card.name)]
        return made


def _explained(kernel: KernelClient, preset: str, sets: Sequence[str] = ()) -> Mapping[str, library.Setting]:
    from stablenew_proto.v1 import kernel_pb2 as pb

    answer = kernel.library.explain(pb.RunRequest(preset=preset, sets=sets))
    return {setting.name: setting for setting in answer.settings}


def _is_profile(source: str) -> bool:
    return source.startswith("profile ")


def _value(value_json: bytes) -> JsonValue:
    value: JsonValue = json.loads(value_json)
    return value
