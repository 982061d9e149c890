"""Presets and profiles: saved, compared, renamed, taken out of the trash; and where each value comes from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.core.shortcuts import Shortcut
from stablenew_plugins.desktop.models.pipeline.cards import RUN_SECTION
from stablenew_plugins.desktop.models.pipeline.pipeline import PipelineModel
from stablenew_plugins.desktop.models.pipeline.pipelinevalues import DEFAULT_PRESET
from stablenew_plugins.desktop.models.pipeline.values import short
from stablenew_plugins.desktop.models.prompt.sources import Source
from stablenew_plugins.desktop.text import _, many

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import library_pb2 as pb

NOW = ""
"""In place of a preset's name: what is set now."""

_NO_NAME = frozenset('/\\:*?"<>|')


@dataclass(frozen=True, slots=True)
class Line:
    """A setting in two sets of settings."""

    name: str
    stage: str
    """Title of the stage."""
    title: str
    left: str
    """As people write it; empty: not set."""
    right: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the value of a setting comes from."""

    name: str
    stage: str
    title: str
    value: str
    source: str
    place: str = ""
    """In that file: ``line 3, column 5``."""
    below: Sequence[tuple[str, str]] = ()
    """Source and value of what lies under it, the highest first."""
    used: bool = True


class PresetsModel(Model):
    """See above."""

    def __init__(self, desk: Desk, pipeline: PipelineModel) -> None:
        super().__init__()
        self._desk, self._pipeline = desk, pipeline
        self.entries: Sequence[pb.Entry] = ()
        """Presets, by name."""
        self.problems: Sequence[str] = ()
        """Files that can't be read, and why."""
        self.profiles: Sequence[pb.Entry] = ()
        self.profile_texts: dict[str, str] = {}
        """Name to what it sets, in a line."""
        self.trash: Sequence[pb.Entry] = ()
        self.left, self.right = pipeline.preset, NOW
        """What is compared."""
        self.difference: Sequence[Line] | None = None
        """None: not known yet."""
        self.equal = 0
        self.origins: Sequence[Origin] | None = None
        self.failure = ""
        """Why what was asked for last can't be shown or done; empty: nothing went wrong."""
        self.saving = False
        self.open_overlay: Callable[[str], None] = lambda _name: None
        """Lays one over the window; empty: takes it away."""
        desk.state.on_connected.append(self.load)

    # --- lists ----------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Ask for all that is kept."""
        self._desk.ask(_all_entries, self._show_entries, key="presets")

    def _show_entries(self, answer: _Kept) -> None:
        self.entries, self.problems = answer.presets, answer.problems
        self.profiles, self.profile_texts, self.trash = answer.profiles, answer.profile_texts, answer.trash
        names = [entry.name for entry in self.entries]
        preset = self._pipeline.preset
        if names and preset not in names:
            instead = DEFAULT_PRESET if DEFAULT_PRESET in names else names[0]
            if preset:
                text = _("The preset {name} is not there any more.").replace("{name}", preset)
                hint = _("{name} is used instead.").replace("{name}", instead)
                self._desk.toasts.say(text, "warning", hint=hint)
            self._pipeline.choose_preset(instead)
        self.touch()

    @property
    def names(self) -> Sequence[str]:
        """Of all presets: the person's own first."""
        return [entry.name for entry in sorted(self.entries, key=lambda entry: (entry.shipped, entry.name))]

    def entry(self, name: str) -> pb.Entry | None:
        """The preset called ``name``."""
        return next((entry for entry in self.entries if entry.name == name), None)

    @property
    def current(self) -> pb.Entry | None:
        """The preset that is chosen."""
        return self.entry(self._pipeline.preset)

    @property
    def is_own(self) -> bool:
        """Whether it can be written: one that came with StableNew can't."""
        return self.current is not None and not self.current.shipped

    @property
    def label(self) -> str:
        """What stands in the list: the preset, with a mark where something was changed."""
        name = self._pipeline.preset or _("No preset")
        return f"{name} *" if self._pipeline.unsaved else name

    def choose(self, name: str) -> None:
        """Another preset. Changes over the old one go; the message brings them back."""
        if name == self._pipeline.preset and not self._pipeline.changes:
            return
        lost = len(self._pipeline.changes)
        self._pipeline.choose_preset(name)
        if lost:
            text = many("{n} change was put away with the old preset.", "{n} changes were put away.", lost)
            self._desk.toasts.say(text, "info", action=_("Bring back"), act=self._pipeline.undo)
        self.touch()

    # --- saving ---------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the changes into the preset; of one that came with StableNew ask for another name."""
        if not self.is_own:
            self.failure = ""
            self.open_overlay("preset_save")
        elif self._pipeline.unsaved:
            self._save(self._pipeline.preset, None, replace=True)
        else:
            self._desk.toasts.say(_("There is nothing to save: all is as in the preset."), "info")

    def name_problem(self, name: str) -> str:
        """Why no preset can have this name; empty: one can."""
        if not name.strip():
            return _("Give it a name.")
        if _NO_NAME & set(name) or name.strip().startswith("."):
            return _('A name is that of a file: no / \\ : * ? " < > | and no point in front.')
        entry = self.entry(name.strip())
        if entry is not None and entry.shipped:
            return _("{name} came with StableNew; take another name.").replace("{name}", entry.name)
        return ""

    def replaces(self, name: str) -> bool:
        """Whether there is one of this name, which would go to the trash."""
        return self.entry(name.strip()) is not None

    def save_as(self, name: str, description: str) -> None:
        """Write a new preset: the chosen one with the changes in it."""
        if self.name_problem(name):
            return
        self._save(name.strip(), description.strip(), replace=self.replaces(name))

    def _save(self, name: str, description: str | None, *, replace: bool) -> None:
        pipeline = self._pipeline
        if self.saving:
            return
        if pipeline.drafts:
            self._failed(UserError(_("Some fields have no value yet; mend them before you save")))
            return
        preset, sets, changes = pipeline.preset, pipeline.sets(all_of_them=True), pipeline.changes
        self.saving = True
        self.touch()
        asked = self._desk.ask(
            lambda kernel: kernel.library.save(
                "preset", name, entry=preset or None, sets=sets, description=description, replace=replace
            ),
            partial(self._saved, changes),
            self._failed,
        )
        if not asked:
            self._failed(UserError(_("No kernel answers yet; try again in a moment")))

    def _saved(self, changes: Mapping[str, JsonValue], answer: pb.SaveEntryResponse) -> None:
        self.saving, self.failure = False, ""
        now = self._pipeline.changes
        since = {name: value for name, value in now.items() if name not in changes or changes[name] != value}
        self._pipeline.rebase(answer.entry.name)
        self.open_overlay("")
        text = _("Saved as {name}.").replace("{name}", answer.entry.name)
        if over := len(self._pipeline.changes):
            kept = many(
                "{n} value stays set, since a pack has another.",
                "{n} values stay set, since packs have others.",
                over,
            )
            text = f"{text} {kept}"
        self._desk.toasts.say(text, "good", hint="\n".join(answer.warnings[:3]))
        self._pipeline.set_all(since)
        self.load()
        self.touch()

    def _failed(self, error: Exception) -> None:
        self.saving, self.failure = False, str(error)
        self.touch()
        self._desk.complain(error)

    # --- other work -----------------------------------------------------------------------------------------

    def duplicate(self, name: str, new_name: str) -> None:
        """Copy a preset, and choose the copy."""
        self._work("copy", name, new_name, lambda: self._pipeline.choose_preset(new_name))

    def rename(self, name: str, new_name: str) -> None:
        """Rename one of the person's own."""

        def done() -> None:
            if self._pipeline.preset == name:
                changes = dict(self._pipeline.changes)
                self._pipeline.rebase(new_name)
                self._pipeline.set_all(changes)

        self._work("rename", name, new_name, done)

    def delete(self, name: str) -> None:
        """Put one into the trash; the message takes it out again."""

        def done() -> None:
            text = _("{name} is in the trash.").replace("{name}", name)
            self._desk.toasts.say(text, "info", action=_("Bring back"), act=lambda: self.restore(name))

        self._work("delete", name, "", done)

    def restore(self, name: str) -> None:
        """Take one out of the trash."""
        self._work("restore", name, "", lambda: self._pipeline.choose_preset(name))

    def free_name(self, name: str) -> str:
        """``full 2``: a name like ``name`` that none has."""
        number = 2
        while self.entry(f"{name} {number}") is not None:
            number += 1
        return f"{name} {number}"

    def _work(self, action: str, name: str, new_name: str, done: Callable[[], None]) -> None:
        def finished(_answer: pb.ChangeEntryResponse) -> None:
            self.failure = ""
            done()
            self.load()

        self._desk.order(lambda kernel: kernel.library.change("preset", action, name, new_name), finished)

    # --- comparing ------------------------------------------------------------------------------------------

    def compare(self, left: str, right: str) -> None:
        """Ask what differs; :data:`NOW` is what is set now."""
        self.left, self.right, self.difference, self.failure = left, right, None, ""
        self.touch()
        preset, changes = self._pipeline.preset, dict(self._pipeline.changes)

        def work(kernel: KernelClient) -> pb.DiffSettingsResponse:
            sources = [_source(kernel, name, preset, changes) for name in (left, right)]
            return kernel.library.diff(*sources)

        self._desk.ask(work, self._show_difference, self._not_shown, key="preset diff")

    def _show_difference(self, answer: pb.DiffSettingsResponse) -> None:
        self.difference = [
            Line(one.name, *self._titles(one.name), _shown(one.left_json), _shown(one.right_json))
            for one in answer.differences
        ]
        self.equal = answer.equal
        self.touch()

    def _not_shown(self, error: Exception) -> None:
        self.failure = str(error)
        self.difference, self.origins = self.difference or [], self.origins or []
        self.touch()

    def _titles(self, name: str) -> tuple[str, str]:
        stage, _sep, key = name.partition(".")
        card, one = self._pipeline.card(stage), self._pipeline.field(name)
        if stage == RUN_SECTION and key.endswith("_enabled"):
            switched = self._pipeline.card(key.removesuffix("_enabled"))
            return (switched.title if switched is not None else key.removesuffix("_enabled")), _("Runs")
        title = one.title if one is not None else key.replace("_", " ").capitalize()
        return (card.title if card is not None else stage), title

    # --- where it comes from --------------------------------------------------------------------------------

    def explain(self, source: Source | None = None) -> None:
        """Ask where each value of the next run comes from; ``source``: with what this pack brings."""
        from stablenew_proto.v1 import kernel_pb2

        self.origins, self.failure = None, ""
        self.touch()

        def work(kernel: KernelClient) -> pb.ExplainSettingsResponse:
            request = source.request() if source is not None else kernel_pb2.RunRequest()
            request.pack = b""  # only what settings depend on
            del request.wildcards[:]
            self._pipeline.apply(request)
            return kernel.library.explain(request)

        self._desk.ask(work, self._show_origins, self._not_shown, key="explain")

    def _show_origins(self, answer: pb.ExplainSettingsResponse) -> None:
        self.origins = [
            Origin(
                one.name,
                *self._titles(one.name),
                _shown(one.value_json),
                _source_text(one.source),
                one.place,
                [(_source_text(below.source), _shown(below.value_json)) for below in one.below],
                one.used,
            )
            for one in answer.settings
            if one.used
        ]
        self.touch()

    def origins_like(self, words: str) -> Sequence[Origin]:
        """Those in which all ``words`` occur: in the name, the value or the source."""
        wanted = words.casefold().split()
        return [
            one
            for one in self.origins or ()
            if all(word in f"{one.name} {one.title} {one.value} {one.source}".casefold() for word in wanted)
        ]

    def shortcuts(self) -> Sequence[Shortcut]:
        """Keys of the tab."""
        group = _("Pipeline")
        return (
            Shortcut("Ctrl+S", _("Save the preset"), self.save, tab="pipeline", while_typing=True, group=group),
            Shortcut(
                "Ctrl+D",
                _("Compare with the preset"),
                lambda: self.open_overlay("preset_diff"),
                tab="pipeline",
                group=group,
            ),
        )


@dataclass(frozen=True, slots=True)
class _Kept:
    presets: Sequence[pb.Entry]
    problems: Sequence[str]
    profiles: Sequence[pb.Entry]
    profile_texts: dict[str, str]
    trash: Sequence[pb.Entry]


def _all_entries(kernel: KernelClient) -> _Kept:
    presets, profiles = kernel.library.entries("preset"), kernel.library.entries("profile")
    texts = {}
    for entry in profiles.entries:
        texts[entry.name] = _what_it_sets(kernel.library.get("profile", entry.name).content)
    problems = [*presets.problems, *profiles.problems]
    trash = kernel.library.entries("preset", trash=True).entries
    return _Kept(list(presets.entries), problems, list(profiles.entries), texts, list(trash))


def _what_it_sets(content: bytes) -> str:
    """``steps 28, cfg_scale 5.5; trigger words: a, b`` for the content of a profile."""
    profile = json.loads(content)
    settings = [
        f"{key} {short(value)}"
        for section in profile.values()
        if isinstance(section, dict)
        for key, value in section.items()
    ]
    parts = [", ".join(settings)] if settings else []
    if profile.get("weight") is not None:
        parts.append(_("weight {value}").replace("{value}", short(profile["weight"])))
    if words := profile.get("trigger_words"):
        parts.append(_("trigger words: {words}").replace("{words}", short(words)))
    return "; ".join(parts)


def _source(kernel: KernelClient, name: str, preset: str, changes: dict[str, JsonValue]) -> pb.SettingsSource:
    from stablenew_proto.v1 import library_pb2 as pb

    if name != NOW:
        return pb.SettingsSource(preset=name)
    whole = json.loads(kernel.library.get("preset", preset).content) if preset else {}
    sections = whole.get("preset_data", {}) if "preset_data" in whole or "pack_data" in whole else whole
    for changed, value in changes.items():
        stage, _sep, key = changed.partition(".")
        sections.setdefault(stage, {})[key] = value
    return pb.SettingsSource(content=json.dumps(sections).encode("ascii"), label="now")


def _shown(value_json: bytes) -> str:
    return short(json.loads(value_json)) if value_json else ""


def _source_text(source: str) -> str:
    """In the words of the window, which has no ``--set``."""
    return {"--set": _("changed here"), "default": _("default")}.get(source, source)
