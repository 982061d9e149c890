"""The slots of a pack, as its plan has them: what varies, with which options, in which mode."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stablenew_api.errors import PluginError, UserError
from stablenew_api.randomizer import Slot
from stablenew_kernel.domain.packs.model import Pack
from stablenew_kernel.domain.plan import Prepared
from stablenew_kernel.domain.planned import Count, PlannedRow
from stablenew_kernel.domain.randomizer.compiler import short_id
from stablenew_kernel.domain.randomizer.grammar import (
    Choice,
    SlotRef,
    Use,
    Wildcard,
    has_grammar,
    named_in,
    normalize,
    parse,
)
from stablenew_kernel.domain.randomizer.settings import AxisSettings
from stablenew_kernel.domain.randomizer.space import SpaceError
from stablenew_kernel.domain.randomizer.variants import slot_name

SHOWN = 200
"""Options of a slot, and rows that name it, that are listed."""

MODES, VALUES = "randomization.modes.", "randomization.values."


@dataclass(slots=True)
class SlotInfo:
    """A place in prompts, or a setting, that takes one of several options."""

    name: str
    """``time`` of ``[[time]]``, ``__hair__``, ``{red|green}``, ``txt2img.steps``."""
    kind: str
    """slot, wildcard, choice or axis."""
    options: Sequence[str] = ()
    """The first :data:`SHOWN`."""
    count: int = 0
    """All options, exactly; 0: nobody defines it, or what it stands for is broken."""
    mode: str = ""
    """That the plan uses for it; empty: it is a part of another slot, and has none of its own."""
    source: str = ""
    """Where its options come from, for people."""
    rows: list[int] = field(default_factory=list)
    """The first :data:`SHOWN` rows that name it."""
    setting: str = ""
    """What ``--set`` changes its mode; empty: nothing does."""
    options_setting: str = ""
    """What ``--set`` changes its options; empty: they stand in the prompt itself, or in several lists."""


class Survey:
    """The slots of a pack, and how many images it makes, from one look at each row: rows are compiled once for
    both, and for a check that goes along."""

    def __init__(self, prepared: Prepared, pack: Pack, counted: Collection[int]) -> None:
        """``prepared``: the plan of ``pack``; ``counted``: places of the rows that run, from 0, in order."""
        self._prepared, self._pack, self._counted = prepared, pack, counted
        self._slots = _Slots(prepared)
        self._slots.axes()
        self._count = Count(prepared.maker, ())
        self._refused = False

    def row(self, place: int) -> None:
        """Look at the row of this place. To be called for each row, in order."""
        row = self._pack.rows[place]
        self._slots.row(place, row.number, self._prepared.variants.prepare(row.positive, row.negative))
        if place in self._counted and not self._refused:
            try:
                self._count.add(place)
            except (UserError, PluginError):
                self._refused = True

    @property
    def slots(self) -> list[SlotInfo]:
        """Every slot of the rows that were looked at: the axes first, then as the rows name them.

        One that several rows name is listed once, with the options that it has in the first of them. Rows that
        cannot run tell what they name, too.
        """
        return list(self._slots.found.values())

    @property
    def count(self) -> Count | None:
        """Of the rows that run; None: one of them is refused."""
        return None if self._refused else self._count


class _Slots:
    """Collects them."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._randomization = prepared.axes.randomization
        self._rules = {short_id(rule.choice) for rule in self._randomization.rules}
        self.found: dict[tuple[str, str], SlotInfo] = {}

    def axes(self) -> None:
        """Settings that vary, and those that would if their mode were not off."""
        axes = self._prepared.axes
        for axis in axes.settings:
            self._axis(axis.id, axis.labels, axis.mode, axis.source)
        for off in axes.off:
            self._axis(off.field, [str(value) for value in off.values], off.mode, off.source)
        for tag in axes.tags.values():
            if tag.values:
                self._tag(tag)

    def _axis(self, name: str, labels: Sequence[str], mode: str, source: str) -> SlotInfo:
        info = SlotInfo(
            name, "axis", labels[:SHOWN], len(labels), mode, source, [], MODES + name, VALUES + name
        )
        return self.found.setdefault(("axis", name), info)

    def _tag(self, tag: AxisSettings) -> None:
        name = normalize(tag.field)
        self._axis(name, [str(value) for value in tag.values], tag.mode, tag.source)

    def row(self, place: int, number: int, texts: tuple[str, str]) -> None:
        """Those of one row."""
        if not any(map(has_grammar, texts)) and not self._prepared.maker.varies(place):
            return
        named = {short_id(node.source): node for text in texts for node in _wildcards(text)}
        here: set[tuple[str, str]] = set()
        try:
            planned: PlannedRow | None = self._prepared.maker.row(place)
        except (UserError, PluginError):
            planned = None
        if planned is not None and planned.variants is not None:
            kinds = {slot.id: slot.kind for space in planned.spaces.values() for slot in space.slots}
            for slot, mode in planned.variants.slots:
                if slot.id in kinds:
                    here.add(self._put(slot, kinds[slot.id], mode, number, named))
        for node in (one for text in texts for one in _named(text, alone=planned is None)):
            key = self._key(node)
            if key not in here:
                here.add(key)
                self._alone(node, key, number, named, slot=planned is None or isinstance(node, SlotRef))
        for key in here:
            rows = self.found[key].rows
            if len(rows) < SHOWN:
                rows.append(number)

    def _key(self, node: SlotRef | Wildcard | Choice | Use) -> tuple[str, str]:
        if isinstance(node, SlotRef):
            name = normalize(node.name)
            return ("axis" if ("axis", name) in self.found else "slot"), name
        return ("wildcard" if isinstance(node, Wildcard) else "choice"), short_id(node.source)

    def _put(
        self, slot: Slot, kind: str, mode: str, number: int, named: Mapping[str, Wildcard]
    ) -> tuple[str, str]:
        """A slot of a row that can run."""
        name = slot_name(slot.id)
        if kind == "slot" and ("axis", name) in self.found:
            return "axis", name
        key = kind, name
        if key not in self.found:
            options = [slot.label(index) for index in range(min(slot.size, SHOWN))]
            wildcard = named.get(name)
            self.found[key] = SlotInfo(
                name,
                kind,
                options,
                slot.size,
                mode,
                self._source(kind, name, wildcard, number),
                setting=MODES + name,
                options_setting=_options_setting(kind, name, wildcard),
            )
        elif not self.found[key].mode:  # a part of another one so far
            self.found[key].mode, self.found[key].setting = mode, MODES + name
        return key

    def _alone(
        self,
        node: SlotRef | Wildcard | Choice | Use,
        key: tuple[str, str],
        number: int,
        named: Mapping[str, Wildcard],
        *,
        slot: bool,
    ) -> None:
        """What a row names that is no ``slot`` of its plan: part of a choice, or the row cannot run."""
        if key in self.found:
            return
        kind, name = key
        source = f"[[{node.name}]]" if isinstance(node, SlotRef) else node.source
        info = SlotInfo(name, kind, source=self._source(kind, name, named.get(name), number))
        self.found[key] = info
        info.options_setting = _options_setting(kind, name, named.get(name))
        if slot:
            info.setting = MODES + name
            info.mode = self._randomization.own_modes.get(name, "") or self._randomization.modes[kind]
        try:
            space = self._prepared.variants.space([(source, "")])
            modes = {one.id: (one, mode) for one, mode in self._prepared.variants.row(number, space).slots}
        except (SpaceError, UserError, PluginError):
            return  # the check says what is wrong with it; here it is something without options
        first = next((modes[one.id] for one in space.slots if slot_name(one.id) == name), None)
        if first is not None:
            info.options = [first[0].label(index) for index in range(min(first[0].size, SHOWN))]
            info.count = first[0].size
            info.mode = first[1] if slot else ""

    def _source(self, kind: str, name: str, wildcard: Wildcard | None, number: int) -> str:
        definitions, where = self._randomization.definitions, self._randomization.source
        if kind == "slot":
            if name in self._randomization.own_values:
                return VALUES + name
            return where if name in definitions.slots else ""
        if kind == "choice":
            return f"{where}: randomization.prompt_sr" if name in self._rules else f"row {number}"
        if wildcard is None:
            return f"row {number}"
        lists = self._prepared.variants.wildcards.find(wildcard.path)
        files = dict.fromkeys(f"wildcards/{one.source}" if one.source else where for one in lists)
        return ", ".join(list(files)[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")


def _options_setting(kind: str, name: str, wildcard: Wildcard | None) -> str:
    if kind == "wildcard":
        plain = wildcard is not None and not set("*=") & set(wildcard.path)
        return f"{VALUES}__{wildcard.path}__" if wildcard is not None and plain else ""
    return f"{VALUES}{name}" if kind == "slot" else ""


def _wildcards(text: str) -> Iterator[Wildcard]:
    yield from (node for node in named_in(text) if isinstance(node, Wildcard))


def _named(text: str, *, alone: bool) -> Iterator[SlotRef | Wildcard | Choice | Use]:
    """What ``text`` names, in order; ``alone``: choices and variables in it, too, but not those inside."""
    if not has_grammar(text):
        return
    found: list[SlotRef | Wildcard | Choice | Use] = list(named_in(text))
    if alone:
        found += [node for node in parse(text).nodes if isinstance(node, Choice | Use)]
    yield from sorted(found, key=lambda node: node.at)
