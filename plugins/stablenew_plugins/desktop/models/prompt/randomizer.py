"""The randomizer: slots of the selected packs, their modes and values, settings that vary, how many variants;
and which rows of which packs run at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stablenew_api.errors import StableNewError
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.packs.packs import PacksModel
from stablenew_plugins.desktop.models.pipeline.pipeline import PipelineModel
from stablenew_plugins.desktop.models.prompt import axes, rows
from stablenew_plugins.desktop.models.prompt.axes import Axis, Varying
from stablenew_plugins.desktop.models.prompt.chosen import (
    LARGEST_COUNT,
    LARGEST_SEED,
    Chosen,
    Many,
    Seeds,
    from_json,
)
from stablenew_plugins.desktop.models.prompt.hints import Hint, hints_of
from stablenew_plugins.desktop.models.prompt.quick import QuickPrompt
from stablenew_plugins.desktop.models.prompt.slots import (
    AXIS_SOURCE,
    KEPT,
    MODES,
    Line,
    lines_of,
    merged,
    mode_title,
)
from stablenew_plugins.desktop.models.prompt.sources import Source, written
from stablenew_plugins.desktop.text import _, many

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import kernel_pb2 as pb
    from stablenew_proto.v1 import packs_pb2

QUIET = 0.25
"""Seconds without a change before the packs are looked at."""

ROWS_SHOWN = 200
"""Rows of a pack that are listed."""

AS_WRITTEN = "as_written"
"""In place of a mode: the one that pack, sidecar and preset say."""
MIXED = "mixed"

_ROUNDS = 3
"""So often the packs are looked at again because what was found changed what is asked; then it is enough."""


@dataclass(frozen=True, slots=True)
class PackRows:
    """A pack that will run."""

    source: Source
    rows: Sequence[packs_pb2.PackRow] = ()
    """The first :data:`ROWS_SHOWN`."""
    count: int = 0
    slots: Sequence[packs_pb2.PackSlot] = ()
    problem: str = ""
    """Why it can't be run; empty: it can."""


class RandomizerModel(Model):
    """See above."""

    def __init__(self, desk: Desk, packs: PacksModel, pipeline: PipelineModel) -> None:
        super().__init__()
        self._desk = desk
        self._packs = packs
        self._pipeline = pipeline
        self.quick = QuickPrompt(desk.remembered)
        remembered = desk.remembered.get("randomizer", None)
        self.chosen = from_json(remembered if isinstance(remembered, dict) else {})
        self.plan_revision = 0
        """Grows when what :meth:`apply` does, or what runs without a pack, changed."""
        self.packs: Sequence[PackRows] = ()
        """What will run, as far as it was looked at."""
        self.lines: Sequence[Line] = ()
        """Of the slots and of the settings that vary."""
        self.places: Sequence[pb.Place] = ()
        """Where slots stand that go on from run to run, of the packs that will run."""
        self.varying: Sequence[Varying] = ()
        """Settings that can be made to vary."""
        self.is_looking = False
        """Whether the packs are being looked at."""
        self.edited = ""
        """Key of the line whose values are being edited; empty: none."""
        self.edited_text = ""
        """Its values, one a line."""
        self._known: Mapping[str, frozenset[str]] = {}
        """Settings of the slots of each pack, by its key."""
        self._seen: tuple[int, int, int] | None = None
        self._quick_seen, self._quick_pack = self.quick.revision, self.quick.pack
        self._due: float | None = None
        self._rounds = 0
        self._newest = ""
        desk.state.on_connected.append(self._connected)

    # --- what runs ------------------------------------------------------------------------------------------

    @property
    def sources(self) -> Sequence[Source]:
        """What the next run is made of: the selected packs, or else the prompt that is written here."""
        if self._packs.selected:
            return [Source(path) for path in self._packs.selected]
        pack = self.quick.pack
        return [written(pack)] if pack else []

    def request(self, source: Source) -> pb.RunRequest:
        """What a run of ``source`` asks for now. Reads files, so call it in another thread; raises UserError
        for one that can't be read."""
        request = source.request()
        self._pipeline.apply(request)
        self.apply(request)
        return request

    def apply(self, request: pb.RunRequest) -> None:
        """Put rows, modes, values, axes and the number of variants into ``request``.

        Called in another thread: reads only what is replaced as a whole."""
        self.chosen.apply(request, self._known)

    # --- looking at the packs -------------------------------------------------------------------------------

    def tick(self) -> None:
        """Look at the packs again when something that matters changed, after a moment of quiet."""
        if self.quick.revision != self._quick_seen:
            pack = self.quick.pack
            self.plan_revision += pack != self._quick_pack and not self._packs.selected
            self._quick_seen, self._quick_pack = self.quick.revision, pack
            self.touch()
        seen = (self._packs.plan_revision, self._pipeline.plan_revision, self.plan_revision)
        now = self._desk.clock()
        if seen != self._seen:
            self._seen, self._due, self._rounds = seen, now + QUIET, 0
            self.is_looking = True
            self.touch()
        if self._due is not None and now >= self._due:
            self._look()
        newest = next(reversed(self._desk.state.runs), "")
        if newest != self._newest:  # places move with the run that is queued, and not with its jobs
            self._newest = newest
            if self._keeps:
                self.ask_places()

    @property
    def _keeps(self) -> bool:
        return any(line.mode in KEPT for line in self.lines)

    def _connected(self) -> None:
        self._due = self._desk.clock()
        self._desk.ask(lambda kernel: axes.settings_of(kernel.stages()), self._found_settings, key="axes")

    def _found_settings(self, found: Sequence[Varying]) -> None:
        self.varying = found
        self.touch()

    def _look(self) -> None:
        sources = self.sources
        if not sources:
            self._due = None
            self._looked([])
            return
        asked = self._desk.ask(
            lambda kernel: [self._describe(kernel, source) for source in sources],
            self._looked,
            self._failed,
            key="slots",
        )
        if asked:
            self._due = None

    def _describe(self, kernel: KernelClient, source: Source) -> PackRows:
        try:
            answer = kernel.packs.describe(self.request(source), check=False, rows=ROWS_SHOWN)
        except StableNewError as error:
            return PackRows(source, problem=str(error))
        return PackRows(source, answer.rows, answer.row_count, answer.slots)

    def _looked(self, found: Sequence[PackRows]) -> None:
        # What can't run keeps its lines: a value that was written wrong has to be there to be mended.
        before = {pack.source.key: pack for pack in self.packs}
        self.packs = [_kept(pack, before.get(pack.source.key)) for pack in found]
        self.is_looking = False
        self._know()
        self._make_lines()
        self.ask_places()
        self.touch()

    def _failed(self, error: Exception) -> None:
        self.is_looking = False
        self.touch()
        self._desk.complain(error)

    def _know(self) -> None:
        """Which settings belong to which pack; if that changes what is asked for, ask again."""
        known = {
            pack.source.key: frozenset(
                name for slot in pack.slots for name in (slot.setting, slot.options_setting) if name
            )
            for pack in self.packs
        }
        changed = any(
            self._asked(pack.source, known) != self._asked(pack.source, self._known) for pack in self.packs
        )
        self._known = known
        if changed and self._rounds < _ROUNDS:
            rounds = self._rounds + 1
            self.plan_revision += 1
            self._seen = (self._packs.plan_revision, self._pipeline.plan_revision, self.plan_revision)
            self._due, self._rounds = self._desk.clock() + QUIET, rounds

    def _asked(self, source: Source, known: Mapping[str, frozenset[str]]) -> bytes:
        from stablenew_proto.v1 import kernel_pb2 as pb

        request = pb.RunRequest(pack_path=source.key)
        self.chosen.apply(request, known)
        return request.SerializeToString(deterministic=True)

    def _make_lines(self) -> None:
        slots = merged({pack.source.key: pack.slots for pack in self.packs})
        found = {line.token: line for line in slots if line.kind == "axis"}
        own = [self._axis_line(axis, found.get(axis.field)) for axis in self.chosen.axes]
        fields = {line.axis for line in own}
        rest = [
            line
            for line in slots
            if not (line.kind == "axis" and (line.token in fields or line.source.startswith(AXIS_SOURCE)))
        ]
        self.lines = [*own, *map(self._with_changes, rest)]

    def _axis_line(self, axis: Axis, found: Line | None) -> Line:
        return Line(
            key=f"axis:{axis.field}",
            token=axis.field,
            kind="axis",
            options=found.options if found is not None and found.count else tuple(axis.values),
            count=found.count if found is not None and found.count else len(axis.values),
            mode=axis.mode,
            source=_("set here"),
            axis=axis.field,
            changed=True,
        )

    def _with_changes(self, line: Line) -> Line:
        chosen = self.chosen
        mode, values = chosen.modes.get(line.mode_setting), chosen.values.get(line.values_setting)
        if mode is None and values is None:
            return line
        return replace(line, mode=mode or line.mode, changed=True)

    def line(self, key: str) -> Line | None:
        """The line of that key."""
        return next((line for line in self.lines if line.key == key), None)

    def title(self, line: Line) -> str:
        """What stands at the beginning of ``line``."""
        if line.kind != "axis":
            return line.token
        setting = self.setting(line.token)
        return setting.title if setting is not None else line.token

    def setting(self, name: str) -> Varying | None:
        """The setting called ``name`` (``txt2img.steps``), if a stage has it."""
        return next((one for one in self.varying if one.field == name), None)

    @property
    def modes(self) -> Sequence[str]:
        """All there are to choose from: ours, and those that something uses already."""
        return list(dict.fromkeys([*MODES, *(line.mode for line in self.lines if line.mode)]))

    # --- changing -------------------------------------------------------------------------------------------

    def _change(self, **what: Any) -> None:
        self._set(replace(self.chosen, **what))

    def _set(self, chosen: Chosen) -> None:
        if chosen == self.chosen:
            return
        self.chosen = chosen
        self._desk.remembered.set("randomizer", chosen.to_json())
        self.plan_revision += 1
        self._make_lines()
        self.touch()

    def enable(self, enabled: bool) -> None:
        """Let things vary, or give each slot its first option."""
        self._change(enabled=enabled)

    def toggle(self) -> None:
        """On, or off."""
        self.enable(not self.chosen.enabled)

    def choose_mode(self, key: str, mode: str) -> None:
        """Give the line another mode; :data:`AS_WRITTEN`: the one that it has without us."""
        line = self.line(key)
        if line is None:
            return
        if line.axis:
            mode = "fanout" if mode == AS_WRITTEN else mode
            self._change(
                axes=[replace(one, mode=mode) if one.field == line.axis else one for one in self.chosen.axes]
            )
        elif line.mode_setting:
            self._change(modes=_put(self.chosen.modes, line.mode_setting, "" if mode == AS_WRITTEN else mode))

    @property
    def overall(self) -> str:
        """The mode of all lines; :data:`MIXED` if they differ, :data:`AS_WRITTEN` if none was changed."""
        lines = [line for line in self.lines if line.axis or line.mode_setting]
        if not any(line.axis or line.mode_setting in self.chosen.modes for line in lines):
            return AS_WRITTEN
        modes = {line.mode for line in lines}
        return modes.pop() if len(modes) == 1 else MIXED

    def choose_all(self, mode: str) -> None:
        """Give every line that has one the mode ``mode``; :data:`AS_WRITTEN`: its own."""
        modes = self.chosen.modes
        for line in self.lines:
            if line.mode_setting:
                modes = _put(modes, line.mode_setting, "" if mode == AS_WRITTEN else mode)
        own = "fanout" if mode == AS_WRITTEN else mode
        self._change(modes=modes, axes=[replace(axis, mode=own) for axis in self.chosen.axes])

    def edit(self, key: str) -> None:
        """Begin to edit the values of a line, or end it."""
        line = self.line(key)
        self.edited = "" if line is None or self.edited == key else key
        if line is not None and self.edited:
            axis = next((one for one in self.chosen.axes if one.field == line.axis), None)
            own = axis.values if axis is not None else self.chosen.values.get(line.values_setting)
            self.edited_text = "\n".join(own if own is not None else line.options)
        self.touch()

    def write_values(self, text: str) -> None:
        """Give the line that is edited other values, one a line; none: those that it has without us."""
        self.edited_text = text
        line = self.line(self.edited)
        values = lines_of(text)
        if line is None:
            return
        if line.axis:
            if values:
                self._change(
                    axes=[
                        replace(one, values=values) if one.field == line.axis else one
                        for one in self.chosen.axes
                    ]
                )
        elif line.values_setting:
            self._change(values=_put(self.chosen.values, line.values_setting, values))

    def restore(self, key: str) -> None:
        """Take back what was changed of a line; a setting that was made to vary here varies no more."""
        line = self.line(key)
        if line is None:
            return
        if self.edited == key:
            self.edited = ""
        self._change(
            axes=[axis for axis in self.chosen.axes if axis.field != line.axis],
            modes=_put(self.chosen.modes, line.mode_setting, ""),
            values=_put(self.chosen.values, line.values_setting, ()),
        )
        self.touch()

    def forget(self, setting: str) -> None:
        """Take back the change of a setting that no selected pack has."""
        self._change(modes=_put(self.chosen.modes, setting, ""), values=_put(self.chosen.values, setting, ()))

    def reset(self) -> None:
        """Take back all that was changed here, but for the rows."""
        self.edited = ""
        self._set(Chosen(rows=self.chosen.rows))
        self.touch()

    @property
    def is_changed(self) -> bool:
        """Whether :meth:`reset` would do anything."""
        return not replace(self.chosen, rows={}).is_default

    def add_axis(self, name: str, text: str) -> str:
        """Let the setting ``name`` (``txt2img.cfg_scale``) take the values in ``text``. Returns what is wrong
        with that, in words for people; empty: it is done."""
        values = axes.split_values(text)
        setting = self.setting(name)
        if not name:
            return _("Choose a setting")
        if problem := axes.problem_of(setting, values):
            return problem
        others = [axis for axis in self.chosen.axes if axis.field != name]
        kinds = {**self.chosen.kinds, name: setting.kind if setting is not None else "string"}
        self._change(axes=[*others, Axis(name, values)], kinds=kinds)
        return ""

    def suggestions(self, name: str) -> Sequence[str]:
        """Values that the setting ``name`` may take, as far as there is a list of them: from the schema, or
        from what the nodes have."""
        setting = self.setting(name)
        if setting is None:
            return ()
        if setting.options or not setting.choices:
            return setting.options
        found: dict[str, None] = {}
        for node in self._desk.state.online:
            found.update(dict.fromkeys(getattr(node.info.backend, setting.choices, ())))
        return list(found)

    def choose_many(self, how: Many) -> None:
        """How many variants: ``all``, ``per_prompt``, the ``first`` ones, or a ``sample``."""
        self._change(many=how)

    def choose_number(self, number: int) -> None:
        """How many, where not all."""
        self._change(number=min(max(number, 1), LARGEST_COUNT))

    def choose_count(self, count: int) -> None:
        """Images of each combination; 0: as the pipeline says."""
        self._change(count=min(max(count, 0), LARGEST_COUNT))

    def choose_seeds(self, seeds: Seeds) -> None:
        """``as_set`` by the pipeline, ``new`` ones, ``counting`` up from a number, or ``fixed``."""
        self._change(seeds=seeds)

    @property
    def seeds_runs(self) -> bool:
        """Whether what is chosen here gives each run its seed, whatever else has one."""
        return self.chosen.seeds != "as_set"

    def choose_seed(self, seed: int) -> None:
        """The first one, or the only one."""
        self._change(seed=min(max(seed, 0), LARGEST_SEED))

    def type_seed(self, text: str) -> str:
        """As :meth:`choose_seed`, of what a person typed. Returns what is wrong with it; then nothing changes.
        Empty: nothing is."""
        digits = text.replace(" ", "").replace("_", "")
        if not (digits.isascii() and digits.isdigit() and int(digits[:30]) <= LARGEST_SEED):
            return _("0 to {largest}").format(largest=LARGEST_SEED)
        self.choose_seed(int(digits))
        return ""

    # --- rows -----------------------------------------------------------------------------------------------

    def rows_text(self, pack: PackRows) -> str:
        """Which rows of it run, as a person wrote it; empty: all."""
        return self.chosen.rows.get(pack.source.key, "")

    def rows_of(self, pack: PackRows) -> Sequence[int]:
        """Which rows of it run; all of them while what is written means nothing."""
        try:
            return rows.parse_rows(self.rows_text(pack), pack.count)
        except ValueError:
            return range(1, pack.count + 1)

    def rows_problem(self, pack: PackRows) -> str:
        """What is wrong with what is written; empty: nothing."""
        try:
            rows.parse_rows(self.rows_text(pack), pack.count)
        except ValueError as error:
            return str(error) if pack.count else ""
        return ""

    def write_rows(self, pack: PackRows, text: str) -> None:
        """Choose rows: ``1-3,7``; empty: all."""
        self._change(rows=_put(self.chosen.rows, pack.source.key, text.strip()))

    def choose_row(self, pack: PackRows, number: int, runs: bool) -> None:
        """Let a row run, or not. The last one that runs stays: a pack of which nothing runs is not selected."""
        chosen = set(self.rows_of(pack))
        chosen = chosen | {number} if runs else chosen - {number}
        if chosen:
            self.write_rows(pack, rows.format_rows(chosen, pack.count))
        self.touch()

    # --- what goes on from run to run -----------------------------------------------------------------------

    def ask_places(self) -> None:
        """Ask where slots stand that go on from run to run."""
        titles = {pack.source.title for pack in self.packs}
        if not titles:
            self._found_places([])
            return

        def ask(kernel: KernelClient) -> Sequence[pb.Place]:
            return [place for place in kernel.places() if place.pack in titles]

        self._desk.ask(ask, self._found_places, key="places")

    def _found_places(self, found: Sequence[pb.Place]) -> None:
        if list(found) != list(self.places):
            self.places = list(found)
            self.touch()

    def reset_places(self, pack: str = "", slot: str = "") -> None:
        """Let a slot of a pack, or all of those that are shown, begin anew."""
        which = [(pack, slot)] if pack else sorted({(place.pack, "") for place in self.places})

        def work(kernel: KernelClient) -> int:
            return sum(kernel.reset_places(*one) for one in which)

        def done(count: int) -> None:
            self._desk.toasts.say(many("{n} slot begins anew.", "{n} slots begin anew.", count), "good")
            self.plan_revision += 1  # what comes next has changed, and so has the plan
            self.ask_places()

        self._desk.order(work, done)

    # --- a word before it runs ------------------------------------------------------------------------------

    @property
    def hints(self) -> Sequence[Hint]:
        """What is wrong with slots, or of no use."""
        found: list[Hint] = []
        off = not self.chosen.enabled
        running = {pack.source.key: set(self.rows_of(pack)) for pack in self.packs}
        for line in self.lines:
            found += [] if off else hints_of(line, self.title(line), running)
        if self.packs and not self.is_looking and not any(pack.problem for pack in self.packs):
            names = {name for known in self._known.values() for name in known}
            for setting in dict.fromkeys([*self.chosen.modes, *self.chosen.values]):
                if setting not in names:
                    slot = setting.split(".", 2)[-1]
                    text = _("Nothing here is called {slot}: what was changed of it has no effect.")
                    found.append(Hint(text.format(slot=slot), "info", forget=setting))
        return found

    @property
    def summary(self) -> str:
        """One line for the head of the card."""
        if not self.chosen.enabled:
            return _("Off: every slot takes its first option")
        if not self.lines:
            return _("Nothing varies in these prompts")
        counts = {mode: sum(line.mode == mode for line in self.lines) for mode in self.modes}
        parts = [many("{n} thing varies", "{n} things vary", sum(line.mode != "off" for line in self.lines))]
        parts += [f"{count} × {mode_title(mode)}" for mode, count in counts.items() if count]
        return "  ·  ".join(parts)


def _kept(pack: PackRows, before: PackRows | None) -> PackRows:
    if not pack.problem or before is None:
        return pack
    return replace(pack, rows=before.rows, count=before.count, slots=before.slots)


def _put(known: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """``known`` with ``value``, or without it if that is nothing."""
    made = {key: kept for key, kept in known.items() if key != name}
    if name and value:
        made[name] = value
    return made
