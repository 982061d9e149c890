r"""The randomizer's part of the prompt language: text in, a tree out, with the place of whatever is wrong.

The grammar is that of dynamic prompts (https://github.com/adieyal/sd-dynamic-prompts, docs/SYNTAX.md; the
library dynamicprompts 0.31 is what we compare with) and the matrix slots of prompt packs:

- ``{a|b}``, ``{0.5::a|b}``, ``{2$$a|b|c}``, ``{1-2$$ and $$a|b}``: choices
- ``__name__``, ``__folder/*__``, ``__name(variable=value)__``: wildcards
- ``${x={a|b}}``, ``${x=!{a|b}}``, ``${x?=a}``, ``${x}``, ``${x:default}``: variables
- ``%{before … behind$$text}``: wraps
- ``[[slot]]``: matrix slots

``~``, ``!`` and ``@`` behind an opening ``{`` or ``__`` choose a mode (:data:`MODES`). ``<name:...>`` tags are
text up to their end, or to the first brace in them: ``<lora:my__lora:{0.5|1}>``. ``\{``, ``\}``, ``\|``,
``\$``, ``\__`` and ``\[`` are literal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

MAX_DEPTH = 50
"""Choices inside choices; more is a slip, or an attack."""

MAX_TEXT = 200_000
"""Characters of a text that is looked into. Ten times the longest that anybody showed us; parsing stays far
below a second."""

MAX_WEIGHT = 1e9

MODES = {"~": "random", "!": "fanout", "@": "rotate"}
"""Mode by sampler sign."""

_SPECIAL = re.compile(
    r"(?P<escape>\\(?:__|.))|(?P<tag><[A-Za-z][\w-]*:[^<>{}]*?(?=>|\$?\{))|(?P<variable>\$\{)|(?P<wrap>%\{)|(?P<open>\{)"
    r"|(?P<close>\})|(?P<bar>\|)|(?P<dollars>\$\$)"
    # Bounded, so that [[ and a million blanks are not looked at a million times.
    r"|(?P<slot>\[\[\s{0,20}(?P<name>\w[\w \-]{0,99}?)\s{0,20}\]\])|(?P<wildcard>__)",
    re.DOTALL,
)
_NAMED = re.compile(r"__(?P<sign>[~!@]?)(?P<path>(?!\[\[)[^\s_{}|<>,()$#](?:(?!__|\[\[)[^\n{}|<>,()$#])*)__")
"""A wildcard with nothing to resolve in its name. Blanks inside are fine: files have such names."""
_PATH_END = re.compile(r"__|[\n|<>,#]|[{}()]")
_LONGEST_PATH = 2000
_PARAMETER = re.compile(r"\s*([A-Za-z_][\w-]*)\s*=\s*")
_COUNT = re.compile(r"\s*(?:(?P<only>\d+)|(?P<low>\d+)?\s*(?P<dash>-)\s*(?P<high>\d+)?)\s*\$\$")
_SEPARATOR = re.compile(r"([^{}$]*)\$\$")
_WEIGHT = re.compile(r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*::")
_VARIABLE = re.compile(r"\s*(?P<name>[A-Za-z_-][\w-]*)\s*(?:(?P<set>\??=!?)|(?P<default>:)|(?P<end>\}))\s*")
_BLANK = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that keeps a prompt from being resolved."""

    at: int
    """Place in the text, in characters, from 0."""
    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class SlotRef:
    """``[[name]]``."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Wildcard:
    """``__path__``; ``*`` in it stands for any name."""

    path: str
    """Empty where ``name`` has to be resolved first."""
    mode: str
    """By its sampler sign; empty: none."""
    at: int
    source: str
    name: Nodes = ()
    """The path, where it holds choices or variables."""
    parameters: tuple[tuple[str, Nodes], ...] = ()
    """Variables set for its values."""


@dataclass(frozen=True, slots=True)
class Choice:
    """``{a|b}``: ``low`` to ``high`` of the options, joined with ``separator``."""

    options: tuple[tuple[float, Nodes], ...]
    """Weight and content."""
    low: int
    high: int
    """As written; -1: all. There may be fewer options."""
    separator: str
    mode: str
    at: int
    source: str

    @property
    def listed(self) -> Wildcard | None:
        """The wildcard whose values are the options: ``{2$$__w__}``."""
        if len(self.options) == 1:
            nodes = self.options[0][1]
            if len(nodes) == 1 and isinstance(nodes[0], Wildcard):
                return nodes[0]
        return None


@dataclass(frozen=True, slots=True)
class Assign:
    """``${name=value}``: says what ``${name}`` stands for in all of this text; becomes nothing itself."""

    name: str
    value: Nodes
    fixed: bool
    """``=!``: drawn once. Else anew at each use."""
    keep: bool
    """``?=``: only if nobody else says."""
    at: int
    source: str


@dataclass(frozen=True, slots=True)
class Use:
    """``${name}`` or ``${name:default}``."""

    name: str
    default: Nodes | None
    at: int
    source: str


@dataclass(frozen=True, slots=True)
class Wrap:
    """``%{wrapper$$inner}``: the inner text in the place of the wrapper's ellipsis."""

    wrapper: Nodes
    inner: Nodes
    at: int
    source: str


Node = str | SlotRef | Wildcard | Choice | Assign | Use | Wrap
Nodes = tuple[Node, ...]
"""Nodes one after the other; a text is as written, its escapes included."""


@dataclass(frozen=True, slots=True)
class Template:
    """A text taken apart."""

    text: str
    nodes: Nodes
    problems: tuple[Finding, ...]


def has_grammar(text: str) -> bool:
    """Whether ``text`` may be anything else than plain text."""
    return "{" in text or "__" in text or "[[" in text


@lru_cache(maxsize=4096)
def parse(text: str) -> Template:
    """Take ``text`` apart. Never raises: what is wrong is in :attr:`Template.problems`. Linear in the length of
    ``text``."""
    if not has_grammar(text):
        return Template(text, (text,) if text else (), ())
    if len(text) > MAX_TEXT:
        found = Finding(
            MAX_TEXT, f"a text of {len(text):,} characters", f"split it: at most {MAX_TEXT:,} are looked into"
        )
        return Template(text, (), (found,))
    parser = _Parser(text)
    nodes = parser.sequence(0, "")
    return Template(text, () if parser.problems else nodes, tuple(parser.problems))


def normalize(name: str) -> str:
    """A slot's name as it is compared: case, ``-``, ``_`` and space make no difference."""
    return re.sub(r"[\s_\-]+", "_", name.strip().casefold())


class _Parser:
    def __init__(self, text: str, at: int = 0, end: int | None = None) -> None:
        self.text = text
        self.at = at
        self.end = len(text) if end is None else end
        self.problems: list[Finding] = []

    def sequence(self, depth: int, ends: str, inside: str = "") -> Nodes:
        """Nodes up to the end, or up to the next of ``ends`` (``|``, ``}``, ``$``: two of it), which stays
        unread. ``inside`` names what we are in, for texts about signs that have no business there."""
        nodes: list[Node] = []
        plain = self.at
        while (match := _SPECIAL.search(self.text, self.at, self.end)) is not None:
            here, kind = match.start(), match.lastgroup
            if (
                (kind == "close" and "}" in ends)
                or (kind == "bar" and "|" in ends)
                or (kind == "dollars" and "$" in ends)
            ):
                self._text(nodes, plain, here)
                self.at = here
                return tuple(nodes)
            self.at = match.end()
            node: Node | None = None
            if kind == "open":
                node = self._choice(here, depth)
            elif kind == "slot":
                node = SlotRef(match["name"], here)
            elif kind == "wildcard":
                node = self._wildcard(here, depth)
                if node is None and not self.problems:
                    self.at = here + 1
            elif kind == "variable":
                node = self._variable(here, depth, nested=bool(ends))
            elif kind == "wrap":
                node = self._wrap(here, depth)
            elif kind == "dollars" and inside:
                self._wrong(here, f"a $$ that belongs to no count, inside {inside}", r"write {2$$…}, or \$\$")
            elif kind == "bar" and inside == "a variable":
                self._wrong(here, "a | outside of a choice", "write ${x={a|b}}")
            if self.problems:
                # What is behind a broken brace means nothing: one honest error is better than ten.
                self.at = self.end
                return ()
            if node is not None:  # else an escape, a tag or a sign that means nothing here: text
                self._text(nodes, plain, here)
                nodes.append(node)
                plain = self.at
        self._text(nodes, plain, self.end)
        self.at = self.end
        return tuple(nodes)

    def _text(self, nodes: list[Node], start: int, end: int) -> None:
        if start < end:
            nodes.append(self.text[start:end])

    def _skip_blank(self) -> None:
        match = _BLANK.match(self.text, self.at, self.end)
        assert match is not None
        self.at = match.end()

    def _too_deep(self, depth: int, opening: int) -> bool:
        if depth < MAX_DEPTH:
            return False
        self._wrong(opening, f"choices nested more than {MAX_DEPTH} deep", "put some into a matrix slot")
        return True

    # --- choices ----------------------------------------------------------------------------------------------

    def _choice(self, opening: int, depth: int) -> Choice | None:
        """The choice whose inside begins here."""
        if self._too_deep(depth, opening):
            return None
        self._skip_blank()
        mode = MODES.get(self.text[self.at : self.at + 1], "")
        self.at += bool(mode)
        low = high = 1
        separator = ","
        counted = _COUNT.match(self.text, self.at, self.end)
        if counted is not None:
            bounds = self._bounds(counted, opening)
            if bounds is None:
                return None
            low, high = bounds
            self.at = counted.end()
            if between := _SEPARATOR.match(self.text, self.at, self.end):
                separator = between[1]
                self.at = between.end()
        options: list[tuple[float, Nodes]] = []
        while True:
            weight = self._weight()
            if weight is None:
                return None
            self._skip_blank()
            options.append((weight, self.sequence(depth + 1, "|}", "a choice")))
            if self.at >= self.end:
                if not self.problems:
                    self._wrong(opening, "this { is never closed", r"add a }, or write \{ for a brace")
                return None
            closed = self.text[self.at] == "}"
            self.at += 1
            if closed:
                break
        source = self.text[opening : self.at]
        if counted is not None and options == [(1.0, ())]:
            self._wrong(opening, f"the choice {shorten(source)} has no options", "write them behind the $$")
            return None
        if not any(weight > 0 for weight, _ in options):
            self._wrong(opening, f"no option of {shorten(source)} weighs more than 0", "give one a weight")
            return None
        return Choice(tuple(options), low, high, separator, mode, opening, source)

    def _bounds(self, counted: re.Match[str], opening: int) -> tuple[int, int] | None:
        shown = shorten(counted[0].strip())
        if any(digits is not None and len(digits) > 6 for digits in counted.group("only", "low", "high")):
            self._wrong(opening, f"the count {shown} is too large", "at most 999999 options")
            return None
        if counted["only"]:
            return int(counted["only"]), int(counted["only"])
        if not counted["low"] and not counted["high"]:
            self._wrong(opening, f"the range {shown} has no numbers", "write {1-2$$…}, {-2$$…} or {2-$$…}")
            return None
        low = int(counted["low"]) if counted["low"] else 1
        high = int(counted["high"]) if counted["high"] else -1
        if low > high >= 0 and counted["low"]:
            self._wrong(opening, f"the range {low}-{high} runs backwards", f"write {high}-{low}")
            return None
        return min(low, high) if high >= 0 else low, high

    def _weight(self) -> float | None:
        weighed = _WEIGHT.match(self.text, self.at, self.end)
        if weighed is None:
            return 1.0
        weight = float(weighed[1])
        if not (math.isfinite(weight) and 0 <= weight <= MAX_WEIGHT):
            self._wrong(self.at, f"a weight of {shorten(weighed[1])}", f"use 0 to {MAX_WEIGHT:,.0f}")
            return None
        self.at = weighed.end()
        return weight

    # --- wildcards --------------------------------------------------------------------------------------------

    def _wildcard(self, opening: int, depth: int) -> Wildcard | None:
        """The wildcard whose ``__`` is at ``opening``; None if it is none, or if something in it is wrong."""
        if match := _NAMED.match(self.text, opening, self.end):
            path = match["path"]
            if path[-1] not in " \t":
                self.at = match.end()
                return Wildcard(clean_path(path), MODES.get(match["sign"], ""), opening, match[0])
        start = opening + 2
        mode = MODES.get(self.text[start : start + 1], "")
        start += bool(mode)
        scanned = self._scan_path(start)
        if scanned is None:
            # snake__case is text; __hair, is a slip that no backend should see.
            before, behind = self.text[max(0, opening - 1) : opening], self.text[start : start + 1]
            if (behind.isalnum() or (behind and behind in "*{$")) and not (before.isalnum() or before == "_"):
                self._wrong(opening, "this __ is never closed", r"add a __, or write \__ for underscores")
            return None
        path_end, parameters_at, end = scanned
        source = self.text[opening:end]
        if self._too_deep(depth, opening):
            return None
        inner = _Parser(self.text, start, path_end)
        name = inner.sequence(depth + 1, "", "the name of a wildcard")
        parameters: list[tuple[str, Nodes]] = []
        while parameters_at is not None and not inner.problems:
            named = _PARAMETER.match(self.text, parameters_at, end)
            if named is None:
                self._wrong(
                    parameters_at,
                    f"{shorten(source)} has a parameter without =",
                    "write __name(variable=value)__",
                )
                return None
            until = self._end_of_parameter(named.end(), end)
            inner.at, inner.end = named.end(), until
            value = inner.sequence(depth + 1, "", "a parameter")
            parameters.append((named[1], _stripped(value)))
            parameters_at = until + 1 if self.text[until] == "," else None
        self.problems.extend(inner.problems)
        if self.problems:
            return None
        self.at = end
        if len(name) == 1 and isinstance(name[0], str):
            return Wildcard(clean_path(name[0]), mode, opening, source, (), tuple(parameters))
        return Wildcard("", mode, opening, source, name, tuple(parameters))

    def _scan_path(self, start: int) -> tuple[int, int | None, int] | None:
        """Where the name of a wildcard ends, where its parameters begin, and where all of it ends."""
        limit = min(self.end, start + _LONGEST_PATH)
        depth, at, path_end, parameters_at = 0, start, -1, None
        while (match := _PATH_END.search(self.text, at, limit)) is not None:
            sign, at = match[0], match.end()
            if sign in "{}":
                depth += 1 if sign == "{" else -1
                if depth < 0:
                    return None
            elif depth:
                continue
            elif sign == "(" and path_end < 0:
                path_end, parameters_at = match.start(), at
            elif sign == ")" and parameters_at is not None and self.text[at : at + 2] == "__":
                return (path_end, parameters_at, at + 2) if self._is_name(start, path_end) else None
            elif sign == "__" and path_end < 0:
                return (match.start(), None, at) if self._is_name(start, match.start()) else None
            elif sign != "," or path_end < 0:
                return None
        return None

    def _is_name(self, start: int, end: int) -> bool:
        path = self.text[start:end]
        return bool(path) and path == path.strip() and not path.startswith("_")

    def _end_of_parameter(self, start: int, end: int) -> int:
        depth = 0
        for match in re.finditer(r"[{},]", self.text[start : end - 3]):
            if match[0] == ",":
                if not depth:
                    return start + match.start()
            else:
                depth += 1 if match[0] == "{" else -1
        return end - 3  # the closing )__

    # --- variables and wraps ----------------------------------------------------------------------------------

    def _variable(self, opening: int, depth: int, nested: bool) -> Node | None:
        if self._too_deep(depth, opening):
            return None
        named = _VARIABLE.match(self.text, self.at, self.end)
        if named is None:
            self._wrong(opening, "this ${ begins no variable", r"write ${name=value} or ${name}, or \$\{")
            return None
        self.at = named.end()
        name, setting = named["name"], named["set"]
        if named["end"]:
            self.at = named.end("end")  # blanks behind it belong to the text
            return Use(name, None, opening, self.text[opening : self.at])
        if setting and nested:
            self._wrong(opening, f"the variable {name} is set inside something else", "put it at the beginning")
            return None
        value = self.sequence(depth + 1, "}", "a variable")
        if self.problems:
            return None
        if self.at >= self.end:
            self._wrong(opening, "this ${ is never closed", r"add a }, or write \$\{")
            return None
        self.at += 1
        source = self.text[opening : self.at]
        if not setting:
            return Use(name, value, opening, source)
        return Assign(name, value, setting.endswith("!"), setting.startswith("?"), opening, source)

    def _wrap(self, opening: int, depth: int) -> Wrap | None:
        if self._too_deep(depth, opening):
            return None
        parts: list[Nodes] = []
        for sign in "$}":
            self._skip_blank()
            parts.append(self.sequence(depth + 1, sign + "}", "a wrap"))
            if self.problems:
                return None
            if self.at >= self.end:
                self._wrong(opening, "this %{ is never closed", r"add a }, or write %\{")
                return None
            if sign == "$" and self.text[self.at] == "}":
                self._wrong(opening, "this %{ has no $$", "write %{before … behind$$text}")
                return None
            self.at += 2 if sign == "$" else 1
        return Wrap(parts[0], parts[1], opening, self.text[opening : self.at])

    def _wrong(self, at: int, reason: str, fix: str) -> None:
        self.problems.append(Finding(at, reason, fix))


def split_options(text: str) -> list[str]:
    """``text`` at its ``|``, those inside of braces and tags excepted."""
    found, depth, start = [], 0, 0
    for match in re.finditer(r"\\.|<[^<>]*>|[{}|]", text):
        sign = match[0]
        if sign == "|" and depth == 0:
            found.append(text[start : match.start()])
            start = match.end()
        elif sign == "{":
            depth += 1
        elif sign == "}":
            depth = max(0, depth - 1)
    return [*found, text[start:]]


def clean_path(path: str) -> str:
    r"""A wildcard's name: ``\`` is ``/``, and slashes at its ends mean nothing."""
    return re.sub(r"[\\/]+", "/", path.strip()).strip("/")


def _stripped(nodes: Nodes) -> Nodes:
    """Without the blanks at the end."""
    if nodes and isinstance(nodes[-1], str):
        last = nodes[-1].rstrip()
        return (*nodes[:-1], last) if last else nodes[:-1]
    return nodes


def references(nodes: Nodes) -> Iterator[SlotRef | Wildcard]:
    """Slots and wildcards that ``nodes`` name, in order, nested ones too. Of wildcards whose name has to be
    resolved first, and of the values of any, nothing is known here."""
    for node in nodes:
        if isinstance(node, SlotRef):
            yield node
        elif isinstance(node, Wildcard):
            if node.path:
                yield node
            yield from references(node.name)
            for _, value in node.parameters:
                yield from references(value)
        elif isinstance(node, Choice):
            for _, inner in node.options:
                yield from references(inner)
        elif isinstance(node, Assign):
            yield from references(node.value)
        elif isinstance(node, Use):
            yield from references(node.default or ())
        elif isinstance(node, Wrap):
            yield from references(node.wrapper)
            yield from references(node.inner)


@lru_cache(maxsize=256)
def named_in(text: str) -> tuple[SlotRef | Wildcard, ...]:
    """The :func:`references` of a text."""
    return tuple(references(parse(text).nodes)) if has_grammar(text) else ()


def shorten(text: str, length: int = 30) -> str:
    """``text``, or its beginning and an ellipsis, in at most ``length`` characters."""
    return text if len(text) <= length else text[: length - 1] + "…"
