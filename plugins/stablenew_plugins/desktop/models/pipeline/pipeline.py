"""The pipeline: a preset, what differs from it, and what a person does to that: change, undo, switch, order."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablenew_api.jobs import JsonValue
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.history import History
from stablenew_plugins.desktop.models.core.shortcuts import Shortcut
from stablenew_plugins.desktop.models.pipeline.cards import RUN_SECTION, Field
from stablenew_plugins.desktop.models.pipeline.pipelinevalues import Draft, PipelineValues
from stablenew_plugins.desktop.models.pipeline.postorder import POST_ORDER, in_post_order, moved
from stablenew_plugins.desktop.models.pipeline.values import cleaned, problem_of, read, short
from stablenew_plugins.desktop.text import _

if TYPE_CHECKING:
    from pathlib import Path

    from stablenew_plugins.desktop.models.pipeline.taken import Taken


@dataclass(frozen=True, slots=True)
class _Step:
    """What undo goes back to."""

    preset: str
    changes: Mapping[str, JsonValue]


class PipelineModel(PipelineValues):
    """See above."""

    def __init__(self, desk: Desk, draw: Callable[[], int] = lambda: secrets.randbelow(2**32)) -> None:
        """``draw``: a new seed."""
        super().__init__(desk)
        self._draw = draw
        self.taken: Taken | None = None
        """Settings of an image, to choose from."""
        self.on_taken: Callable[[], None] = lambda: None
        """Called when there is something in :attr:`taken`."""
        self._history: History[_Step] = History(desk.clock)
        self._held = ""

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
            value = cleaned(one, given) if one is not None else given
            drafts.pop(name, None)
            if problem := self._problem_of(one, value):
                drafts[name] = Draft(short(value), problem)
            elif not pin and self._same(name, value, self.beneath(name)):
                changes.pop(name, None)
            else:
                changes[name] = value
        self._change(self.preset, changes, drafts, step)

    def _problem_of(self, one: Field | None, value: JsonValue) -> str:
        if one is None:
            return ""
        if problem := problem_of(one, value):
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
            order: JsonValue = [card.name for card in in_post_order(self.cards, other)]
            return bool(value == order)
        return bool(type(value) is type(other) and value == other)

    def type(self, name: str, text: str) -> None:
        """What a person typed into the field of ``name``."""
        one = self.field(name)
        if one is None:
            return
        try:
            value = read(one, text)
        except (ValueError, OverflowError) as error:
            reason = str(error) if one.kind == "json" else problem_of(one, None)
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

    def reset_card(self, card: str) -> None:
        """Take what stands on a card back to the preset."""
        self.reset(*(name for name in (*self.changes, *self.drafts) if self._belongs(name, card)))

    def use_preset(self, *names: str) -> None:
        """Let the preset's values lie over those of the packs; no name: all of them."""
        names = names or (*self.from_packs(shared=True), *self.from_packs(shared=False))
        self.set_all({name: self.of_preset(name) for name in names}, pin=True)

    def revert(self) -> None:
        """Take everything back to the preset."""
        self._change(self.preset, {}, {})

    def choose_preset(self, preset: str) -> None:
        """Another preset; what was changed over the old one goes, and undo brings it back."""
        if preset != self.preset or self.changes:
            self._change(preset, {}, {})

    def rebase(self, preset: str) -> None:
        """The preset was saved with all changes in it, as ``preset``, which is read anew. A change over what a
        pack brings stays: without it the next run would have the pack's value again."""
        over = {
            name: value
            for name, value in self.changes.items()
            if name in self.brought and any(value != other for other in self.brought[name].values)
        }
        self._change(preset, over, {})
        self._load_base()

    @property
    def unsaved(self) -> Sequence[str]:
        """What was changed and is otherwise in the preset."""
        return [
            name for name, value in self.changes.items() if not self._same(name, value, self.of_preset(name))
        ]

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

    # --- folding --------------------------------------------------------------------------------------------

    def fold(self, card: str) -> None:
        """Unfold a card, or fold it."""
        self._held = card
        self.folds.toggle(card)
        self.touch()

    def fold_more(self, card: str) -> None:
        """Show the settings of a card that most people leave alone, or hide them."""
        self.folds.toggle_more(card)
        self.touch()

    def fold_all(self) -> None:
        """Fold all cards, or unfold those that are on."""
        shown = [card.name for card in self.shown if self.is_on(card.name)]
        self.folds.show(() if self.folds.open else shown)
        self.touch()

    # --- which stages run -----------------------------------------------------------------------------------

    def switch(self, card: str, on: bool) -> None:
        """Let a stage run, or not. Of those that do the same work only one can run. Of a part: see
        :meth:`switch_group`."""
        found = self.card(card)
        if found is not None and found.master is not None:
            self.switch_group(found.master, on)
            return
        values: dict[str, JsonValue] = {f"{RUN_SECTION}.{card}_enabled": on}
        if on and found is not None and not found.is_post:
            for other in self.cards:
                if other.phase == found.phase and other.name != card and self.is_on(other.name):
                    values[other.switch] = False
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
            self._reorder(stage, order.index(stage) + by)

    def move_to(self, stage: str, target: str) -> None:
        """Put a post-processor where another one is."""
        order = [card.name for card in self.posts]
        if stage in order and target in order:
            self._reorder(stage, order.index(target))

    def _reorder(self, stage: str, place: int) -> None:
        self._held = stage
        self.set(POST_ORDER, moved([card.name for card in self.posts], stage, place))

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
