"""Where a node stands while its row is compiled, and what it was compiled to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stablenew_kernel.domain.randomizer.grammar import Nodes
from stablenew_kernel.domain.randomizer.parts import MAX_LEVELS, Part, Wrong
from stablenew_kernel.domain.randomizer.wildcards import WildcardList


@dataclass(frozen=True, slots=True)
class Made:
    """What a node was compiled to."""

    part: Part
    needs: tuple[str, ...] = ()
    """Ids of the matrix slots and fixed variables in it."""
    uses: frozenset[str] = frozenset()
    """Names of all variables that it asked for."""
    lists: tuple[WildcardList, ...] = ()


@dataclass(eq=False, slots=True)
class Variable:
    """What a name stands for."""

    source: str
    nodes: Nodes
    fixed: str = ""
    """Id of the slot of a variable that is drawn once; empty: it is drawn at each use."""
    scope: Scope | None = None
    """Where names in it are looked up; None: where it is used, as in dynamic prompts."""
    made: Made | None = None
    """Of a fixed one, once it has been used."""
    order: int = 0
    """When that was: whatever is in it was made before."""

    def same(self, other: Variable | None) -> bool:
        """Whether both stand for the same."""
        if self is other:
            return True
        plain = not self.fixed and self.scope is None
        return (
            plain
            and other is not None
            and not other.fixed
            and other.scope is None
            and self.nodes is other.nodes
        )


Scope = Mapping[str, Variable]
"""Variables by name."""


@dataclass(frozen=True, slots=True)
class Where:
    """The place of a node: the variables around it, and the definitions that lead to it."""

    scope: Scope
    stack: tuple[tuple[str, object], ...] = ()
    """Name, and what tells it from others of the same name."""
    level: int = 0

    def inside(self, name: str, key: object, scope: Scope | None = None) -> Where:
        """One step further. Raises Wrong if that has been here before, or is too far."""
        entry = (name, key)
        if entry in self.stack:
            names = [label for label, _ in self.stack[self.stack.index(entry) :]]
            loop = " > ".join([*names, name])
            raise Wrong(f"{name} leads back to itself ({loop})", "take one out of the other's values")
        where = self.deeper()
        return Where(self.scope if scope is None else scope, (*self.stack, entry), where.level)

    def deeper(self) -> Where:
        """One level more."""
        if self.level >= MAX_LEVELS:
            raise Wrong(f"choices and wildcards inside each other, more than {MAX_LEVELS}", "use fewer levels")
        return Where(self.scope, self.stack, self.level + 1)
