"""Makes the space of a row: what its texts and the definitions behind them come to."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial

from stablenew_kernel.domain.randomizer.grammar import (
    Assign,
    Choice,
    Finding,
    Node,
    Nodes,
    SlotRef,
    Use,
    Wildcard,
    Wrap,
    clean_path,
    normalize,
    parse,
)
from stablenew_kernel.domain.randomizer.parts import (
    MAX_BITS,
    ByName,
    Let,
    Named,
    OneOf,
    Part,
    Row,
    SlotText,
    SomeOf,
    Text,
    Texts,
    Wrapped,
    Wrong,
    too_many,
)
from stablenew_kernel.domain.randomizer.scope import Made, Scope, Variable, Where
from stablenew_kernel.domain.randomizer.space import Piece, Space, SpaceError, SpaceSlot, WrapPiece
from stablenew_kernel.domain.randomizer.wildcards import Value, WildcardList, Wildcards

_LONGEST_ID = 40

MAX_WORK = 500_000
"""Nodes looked at to compile a row."""

MAX_SLOTS = 10_000
"""Choices of a row, its later stages included."""

MAX_NAMES = 1000
"""Names that a wildcard with choices in its name may have."""

_VERSIONS = 8
"""Meanings of a definition that are kept: it may name variables that mean something else in each text."""

_CHECKED = re.compile(r"[{}\[$%|]|__")
"""What a value without grammar does not have."""

_EMPTY = Made(Text(""))

_Known = tuple[Nodes | None, Mapping[str, Variable | None], Made]
"""Compiled already: with these nodes (kept, so that their identity stays theirs) and these variables."""


@dataclass(frozen=True, slots=True)
class Definitions:
    """What names stand for. Values are templates themselves."""

    slots: Mapping[str, Sequence[str]]
    """By normalized name."""
    wildcards: Mapping[str, Sequence[str]]
    """By name, without the underscores: those of the settings, which go before all files."""
    files: Sequence[Mapping[str, bytes]] = ()
    """Wildcard files, content by relative name; the first mapping goes before the next."""
    weights_in_text: bool = False
    """Whether ``3::blond`` in a text file is a weight."""


class Compiler:
    """Compiles texts over one set of definitions. Each definition is read once, however often it is named."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self.wildcards = Wildcards(definitions.wildcards, definitions.files, definitions.weights_in_text)
        self._known: dict[object, list[_Known]] = {}
        self._work = MAX_WORK
        self._counter = 0

    def compile(self, texts: Sequence[tuple[str, str]]) -> Space:
        """The space of ``texts``, each with the prefix that sets its nameless slots apart (``neg:``).

        Raises SpaceError for what is wrong in them and for names that nobody defined.
        """
        self._work = MAX_WORK
        row = _RowCompiler(self)
        compiled: list[Sequence[Piece]] = []
        for number, (text, prefix) in enumerate(texts):
            template = parse(text)
            if template.problems:
                raise SpaceError(number, template.problems[0])
            try:
                compiled.append(row.text(template.nodes, prefix))
            except Wrong as error:
                raise SpaceError(number, Finding(row.at, error.reason, error.fix)) from error
        return Space(compiled, row.slots, row.lists)

    # --- nodes ------------------------------------------------------------------------------------------------

    def nodes(self, nodes: Nodes, where: Where) -> Made:
        """Nodes one after the other."""
        if len(nodes) == 1:
            return self.node(nodes[0], where)
        if not nodes:
            return _EMPTY
        return _joined(Row, [self.node(node, where) for node in nodes])

    def node(self, node: Node, where: Where) -> Made:
        """A node inside another one."""
        self._work -= 1
        if self._work < 0:
            raise Wrong(f"more than {MAX_WORK:,} steps to work it out", "use fewer variables inside variables")
        if isinstance(node, str):
            return Made(Text(node))
        if isinstance(node, SlotRef):
            name = normalize(node.name)
            made = self.slot(node, where)  # it must exist, and not lead back here
            return Made(SlotText(name, made.part), (name,))
        if isinstance(node, Use):
            return self.use(node, where)
        if isinstance(node, Wildcard):
            return self.wildcard(node, where)
        if isinstance(node, Choice):
            return self._choice(node, where.deeper())
        if isinstance(node, Wrap):
            where = where.deeper()
            return _joined(Wrapped, [self.nodes(node.wrapper, where), self.nodes(node.inner, where)])
        return _EMPTY  # an assignment

    def _choice(self, node: Choice, where: Where) -> Made:
        weights: Sequence[float]
        if node.listed is not None and (node.low, node.high) != (1, 1):
            made = self.wildcard(node.listed, where)
            parts, weights = made.part.options()
            found = [made]
        else:
            merged: dict[object, float] = {}
            contents: dict[object, Nodes] = {}
            for weight, inner in node.options:
                # An option that is written twice is one option, twice as likely.
                key: object = (
                    inner if not inner or (inner[0].__class__ is str and len(inner) == 1) else id(inner)
                )
                merged[key] = merged.get(key, 0.0) + weight
                contents[key] = inner
            kept = [key for key, weight in merged.items() if weight > 0]
            weights = [merged[key] for key in kept]
            if node.low == node.high == 1 and len(set(weights)) == 1:
                plain = ["".join(key) for key in kept if isinstance(key, tuple)]
                if len(plain) == len(kept):
                    return Made(Texts(plain))
            found = [self.nodes(contents[key], where) for key in kept]
            parts = [made.part for made in found]
        part: Part
        if node.low == node.high == 1:
            part = parts[0] if len(parts) == 1 else OneOf(parts, weights)
        else:
            high = len(parts) if node.high < 0 else min(node.high, len(parts))
            part = SomeOf(parts, weights, min(node.low, high), high, node.separator)
        return _with(part, found)

    def use(self, node: Use, where: Where) -> Made:
        """A variable inside something else."""
        variable = where.scope.get(node.name)
        name = f"${{{node.name}}}"
        uses = frozenset((node.name,))
        if variable is None:
            if node.default is None:
                known = ", ".join(f"${{{other}}}" for other in sorted(where.scope)) or "none"
                start = f"${{{node.name}"
                raise Wrong(
                    f"nobody sets the variable {name}",
                    rf"write {start}=…}} at the beginning, {start}:default}}, or \$\{{ (set: {known})",
                )
            made = self.nodes(node.default, where.inside(name, id(node)))
        elif variable.fixed:
            if variable.made is None:
                inside = where.inside(name, id(variable), variable.scope)
                variable.made = self.nodes(variable.nodes, inside)
                self._counter += 1
                variable.order = self._counter
            made = variable.made
            if made.part.size > 1 or made.needs:
                part = SlotText(variable.fixed, made.part)
                made = Made(part, (variable.fixed,), made.uses, made.lists)
        else:
            made = self._remember(
                id(variable.nodes),
                variable.nodes,
                where.inside(name, id(variable.nodes), variable.scope),
                lambda inside: self.nodes(variable.nodes, inside),
            )
        return Made(made.part, made.needs, made.uses | uses, made.lists)

    def slot(self, node: SlotRef, where: Where) -> Made:
        """A matrix slot's own values. They know no variables from outside: the slot is one for all texts."""
        name = normalize(node.name)
        values = self._definitions.slots.get(name)
        if not values:
            known = sorted(self._definitions.slots)
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean [[{close[0]}]]? Else " if close else ""
            shown = ", ".join(known[:10]) + (f" and {len(known) - 10} more" if len(known) > 10 else "")
            raise Wrong(
                f"nobody defines the matrix slot [[{node.name}]]",
                rf"{hint}define it in randomization.matrix.slots (defined: {shown or 'none'}), "
                r"or write \[ for a bracket",
            )
        title = f"[[{name}]]"
        one = WildcardList(title, "", tuple(Value(value) for value in values))

        def place(number: int, at: int) -> str:
            return f"value {number + 1} of {title}, character {at + 1}"

        return self._remember(
            title, None, where.inside(title, title, {}), lambda inside: self._values(one.values, place, inside)
        )

    def wildcard(self, node: Wildcard, where: Where) -> Made:
        """A wildcard; its values are what it is one of."""
        if node.parameters:
            own = {
                name: Variable(f"{node.source}:{name}", value, scope=where.scope)
                for name, value in node.parameters
            }
            where = Where({**where.scope, **own}, where.stack, where.level)
        if node.path:
            return self._list(node.path, where)
        where = where.deeper()
        name = self.nodes(node.name, where)
        paths = [clean_path(text) for text in self._all_texts(name, where)]
        made = {path: self._list(path, where) for path in dict.fromkeys(paths)}
        found = [name, *made.values()]
        if name.needs:
            return _with(ByName(name.part, {path: one.part for path, one in made.items()}), found)
        return _with(Named([made[path].part for path in paths], name.part), found)

    def _all_texts(self, name: Made, where: Where) -> list[str]:
        """Every name that a wildcard may have."""
        fixed = {variable.fixed: variable.made for variable in where.scope.values()}
        drawn: dict[str, Made] = {}

        def collect(needs: Iterable[str]) -> None:
            for need in needs:
                if need not in drawn:
                    made = fixed.get(need) or self.slot(SlotRef(need, 0), Where({}))
                    collect(made.needs)
                    drawn[need] = made

        collect(name.needs)
        count = math.prod(made.part.size for made in drawn.values())
        if name.needs and name.part.size > 1:
            raise Wrong(
                "a choice and a variable that is drawn once (=!), both in the name of a wildcard",
                "put the choice into a variable of its own",
            )
        if count * name.part.size > MAX_NAMES:
            raise Wrong(
                f"more than {MAX_NAMES:,} names that a wildcard may have", "use fewer choices in its name"
            )
        texts = []
        for number in range(count):
            slots: dict[str, str] = {}
            for need, made in drawn.items():
                number, own = divmod(number, made.part.size)
                slots[need] = made.part.render(own, slots)
            texts += [name.part.render(index, slots) for index in range(name.part.size)]
        return texts

    def _list(self, path: str, where: Where) -> Made:
        """What the wildcard ``path`` becomes."""
        title = f"__{path}__"
        lists = self.wildcards.find(path)
        values: dict[str, tuple[Value, WildcardList, int]] = {}
        for one in lists:
            for number, value in enumerate(one.values):
                key = value.text if len(lists) > 1 else f"{number}"
                values.setdefault(key, (value, one, number))
        if not values:
            raise Wrong(*self.wildcards.why_not(path))
        origins = list(values.values())

        def place(number: int, at: int) -> str:
            _, one, own = origins[number]
            return one.place(own, at)

        def make(inside: Where) -> Made:
            made = self._values([value for value, _, _ in origins], place, inside)
            return Made(made.part, made.needs, made.uses, tuple(dict.fromkeys((*lists, *made.lists))))

        return self._remember(title, None, where.inside(title, title), make)

    def _values(self, values: Sequence[Value], place: Callable[[int, int], str], where: Where) -> Made:
        """One of ``values``, each a template."""
        weights = [value.weight for value in values]
        if not any(weights):
            raise Wrong(f"{place(0, 0)}: no value weighs more than 0", "give one a weight")
        if len(set(weights)) == 1 and not any(_CHECKED.search(value.text) for value in values):
            return Made(Texts([value.text for value in values]))
        found = []
        for number, value in enumerate(values):
            if value.weight > 0:
                found.append(self._value(value, partial(place, number), where))
        return _with(OneOf([made.part for made in found], [weight for weight in weights if weight > 0]), found)

    def _value(self, value: Value, place: Callable[[int], str], where: Where) -> Made:
        template = parse(value.text)
        if template.problems:
            problem = template.problems[0]
            raise Wrong(f"{place(problem.at)}: {problem.reason}", problem.fix, placed=True)
        scope = self.scope(template.nodes, where.scope)
        inside = Where(scope, where.stack, where.level)
        found = []
        for node in template.nodes:
            if isinstance(node, Assign):
                continue
            try:
                found.append(self.node(node, inside))
            except Wrong as error:
                if error.placed:
                    raise
                at = 0 if isinstance(node, str) else node.at
                raise Wrong(f"{place(at)}: {error.reason}", error.fix, placed=True) from error
        body = found[0] if len(found) == 1 else _joined(Row, found)
        own = [one for name, one in scope.items() if where.scope.get(name) is not one and one.made is not None]
        own.sort(key=lambda one: one.order)
        lets = [one.made for one in own if one.made is not None]
        if not lets:
            return body
        part = Let([one.fixed for one in own], [*(made.part for made in lets), body.part])
        whole = _with(part, [*lets, body])
        inner = {one.fixed for one in own}
        return Made(part, tuple(need for need in whole.needs if need not in inner), whole.uses, whole.lists)

    # --- variables --------------------------------------------------------------------------------------------

    def scope(self, nodes: Nodes, outer: Scope) -> Scope:
        """The variables that ``nodes`` set, over ``outer``: wherever in the text, and the last one counts."""
        scope = dict(outer)
        for node in nodes:
            if isinstance(node, Assign) and not (node.keep and node.name in scope):
                fixed = ""
                if node.fixed:
                    self._counter += 1
                    fixed = f"${{{node.name}}}{self._counter}"
                # What is drawn once means the same wherever it is used first.
                scope[node.name] = Variable(node.source, node.value, fixed, scope if fixed else None)
        return scope

    def _remember(self, key: object, nodes: Nodes | None, where: Where, make: Callable[[Where], Made]) -> Made:
        """What ``make`` gives, unless it was made before, its variables being what they are now."""
        known = self._known.setdefault(key, [])
        for kept, variables, made in known:
            if kept is nodes and all(
                variable is None if (now := where.scope.get(name)) is None else now.same(variable)
                for name, variable in variables.items()
            ):
                return made
        made = make(where)
        known.append((nodes, {name: where.scope.get(name) for name in made.uses}, made))
        if len(known) > _VERSIONS:
            known.pop(0)
        return made


class _RowCompiler:
    """Compiles the texts of one row: what they have in common are the slots."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler
        self.slots: dict[str, SpaceSlot] = {}
        self.lists: dict[WildcardList, None] = {}
        self.at = 0
        """Place of the node that is looked at."""
        self._size = 1
        self._fixed: dict[str, Variable] = {}
        self._meanings: dict[str, object] = {}
        """What each id stands for, where the same words could mean two things."""

    def text(self, nodes: Nodes, prefix: str) -> Sequence[Piece]:
        """The pieces of a text."""
        assigned = tuple(node.source for node in nodes if isinstance(node, Assign))
        scope = dict(self._compiler.scope(nodes, {}))
        for name, variable in scope.items():
            if variable.fixed:
                # The same for all texts that say the same, so that a later stage takes the row's own picks.
                variable.fixed = self._id(prefix + short_id(variable.source), assigned)
                variable.scope = scope
                scope[name] = self._fixed.setdefault(variable.fixed, variable)
        # Counted anew in each text: a later stage's prompt begins with the row's, and takes the same picks.
        return self._pieces(nodes, Where(scope), prefix, {})

    def _pieces(self, nodes: Nodes, where: Where, prefix: str, used: dict[str, int]) -> list[Piece]:
        pieces: list[Piece] = []
        for node in nodes:
            if isinstance(node, str):
                _append(pieces, node)
            elif isinstance(node, Wrap):
                inside = where.deeper()
                pieces.append(
                    WrapPiece(
                        self._pieces(node.wrapper, inside, prefix, used),
                        self._pieces(node.inner, inside, prefix, used),
                    )
                )
            elif not isinstance(node, Assign):
                self.at = node.at
                _append(pieces, self._piece(node, where, prefix, used))
        return pieces

    def _piece(
        self, node: SlotRef | Wildcard | Choice | Use, where: Where, prefix: str, used: dict[str, int]
    ) -> Piece:
        made = self._compiler.node(node, where)
        self.lists.update(dict.fromkeys(made.lists))
        if isinstance(node, SlotRef):
            return self._needed(normalize(node.name), where)
        name = prefix + short_id(node.source)
        inner: Node = node
        if isinstance(node, Use):
            variable = where.scope.get(node.name)
            nodes = variable.nodes if variable is not None else node.default or ()
            if made.part.size == 1 and not made.needs:
                return made.part.render(0, {})
            if isinstance(made.part, SlotText):
                return self._needed(made.part.slot, where)
            name = f"{prefix}${{{node.name}}}"
            inner = nodes[0] if len(nodes) == 1 else node
        meaning = tuple(
            sorted((use, of.source if (of := where.scope.get(use)) is not None else "") for use in made.uses)
        )
        name = self._id(name, meaning)
        used[name] = used.get(name, 0) + 1
        if used[name] > 1:
            name = f"{name}#{used[name]}"
        kind, mode = _kind(inner)
        return self._slot(name, kind, mode, made, where)

    def _needed(self, name: str, where: Where) -> SpaceSlot:
        """The slot of a matrix slot or of a fixed variable."""
        if name in self.slots:
            return self.slots[name]
        variable = self._fixed.get(name)
        if variable is None:
            return self._slot(name, "slot", "", self._compiler.slot(SlotRef(name, self.at), where), where)
        assert variable.made is not None, f"{name} is needed, so it was compiled"
        inner = variable.nodes[0] if len(variable.nodes) == 1 else None
        return self._slot(name, *_kind(inner), variable.made, where)

    def _slot(self, name: str, kind: str, mode: str, made: Made, where: Where) -> SpaceSlot:
        if name not in self.slots:
            if len(self.slots) == MAX_SLOTS:
                raise Wrong(f"more than {MAX_SLOTS:,} choices in a row", "use fewer, or split the row")
            self._size *= made.part.size
            if self._size.bit_length() > MAX_BITS:
                raise too_many()
            # What a slot needs comes behind it: its own place is where it was first read.
            self.slots[name] = SpaceSlot(name, kind, mode, made.part, made.needs)
            for inner in made.needs:
                self._needed(inner, where)
        return self.slots[name]

    def _id(self, name: str, meaning: object) -> str:
        """``name``, or another one if that means something else in this row already."""
        found, number = name, 1
        while self._meanings.setdefault(found, meaning) != meaning:
            number += 1
            found = f"{name}~{number}"
        return found


def _append(pieces: list[Piece], piece: Piece) -> None:
    """Add ``piece``; texts that follow each other are one."""
    if isinstance(piece, str) and pieces and isinstance(pieces[-1], str):
        pieces[-1] += piece
    else:
        pieces.append(piece)


def _kind(node: Node | None) -> tuple[str, str]:
    """Kind and mode of the slot that ``node`` makes."""
    if isinstance(node, Wildcard):
        return "wildcard", node.mode
    if isinstance(node, Choice):
        listed = node.listed
        return "choice", node.mode or (listed.mode if listed is not None else "")
    return "choice", ""


def _with(part: Part, made: Iterable[Made]) -> Made:
    """``part``, made of ``made``."""
    made = [one for one in made if one.needs or one.uses or one.lists]
    if not made:
        return Made(part)
    return Made(
        part,
        tuple(dict.fromkeys(need for one in made for need in one.needs)),
        frozenset().union(*(one.uses for one in made)),
        tuple(dict.fromkeys(used for one in made for used in one.lists)),
    )


def _joined(kind: type[Row], made: Sequence[Made]) -> Made:
    return _with(kind([one.part for one in made]), made)


def short_id(source: str) -> str:
    """``source``, or its beginning and a hash: the id of a slot that has no name."""
    if len(source) <= _LONGEST_ID:
        return source
    return f"{source[:24]}…{hashlib.sha256(source.encode('utf-8')).hexdigest()[:8]}"
