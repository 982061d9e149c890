r"""The randomizer's part of the prompt language: text in, a tree out, with the place of whatever is wrong.

The grammar is that of dynamic prompts (https://github.com/adieyal/sd-dynamic-prompts, docs/SYNTAX.md) and the
matrix slots of prompt packs: ``{a|b}``, ``{0.5::a|b}``, ``{2$$a|b|c}``, ``{1-2$$ and $$a|b}``, ``__name__``,
``[[slot]]``; ``~``, ``!`` behind the opening choose random and fanout. ``<name:...>`` tags are never looked
into, and ``\{``, ``\}``, ``\|``, ``\$``, ``\__`` and ``\[`` are literal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

MAX_DEPTH = 50
"""Choices inside choices; more is a slip, or an attack."""

MODES = {"~": "random", "!": "fanout", "@": "rotate"}
"""Mode by sampler sign."""

_SPECIAL = re.compile(
    r"(?P<escape>\\(?:__|.))|(?P<tag><[A-Za-z][\w-]*:[^<>]*>)|(?P<foreign>[$%]\{)|(?P<open>\{)|(?P<close>\})"
    r"|(?P<bar>\|)|(?P<slot>\[\[\s*(?P<name>\w[\w \-]*?)\s*\]\])"
    r"|(?P<wildcard>__(?P<sign>[~!@]?)(?P<path>[^\s_{}|<>,](?:(?!__)[^\s{}|<>,])*)__)",
    re.DOTALL,
)
_COUNT = re.compile(r"\s*(?:(?P<only>\d{1,4})|(?P<low>\d{1,4})?\s*-\s*(?P<high>\d{1,4})?)\s*\$\$")
_SEPARATOR = re.compile(r"([^{}|$]*)\$\$")
_WEIGHT = re.compile(r"\s*(-?(?:\d+(?:\.\d*)?|\.\d+))\s*::")


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
    mode: str
    """By its sampler sign; empty: none."""
    at: int
    source: str


@dataclass(frozen=True, slots=True)
class Choice:
    """``{a|b}``: ``low`` to ``high`` of the options, joined with ``separator``."""

    options: tuple[tuple[float, Nodes], ...]
    """Weight and content."""
    low: int
    high: int
    separator: str
    mode: str
    at: int
    source: str

    @property
    def weighted(self) -> bool:
        """Whether one option is more likely than another."""
        return len({weight for weight, _ in self.options}) > 1


Node = str | SlotRef | Wildcard | Choice
Nodes = tuple[Node, ...]
"""Nodes one after the other; a text is as written, its escapes included."""


@dataclass(frozen=True, slots=True)
class Template:
    """A text taken apart."""

    text: str
    nodes: Nodes
    problems: tuple[Finding, ...]


@lru_cache(maxsize=4096)
def parse(text: str) -> Template:
    """Take ``text`` apart. Never raises: what is wrong is in :attr:`Template.problems`. Linear in the length of
    ``text``."""
    if "{" not in text and "__" not in text and "[[" not in text:
        return Template(text, (text,) if text else (), ())
    parser = _Parser(text)
    nodes = parser.sequence(0)
    return Template(text, () if parser.problems else nodes, tuple(parser.problems))


def normalize(name: str) -> str:
    """A slot's name as it is compared: case, ``-``, ``_`` and space make no difference."""
    return re.sub(r"[\s_\-]+", "_", name.strip().casefold())


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.problems: list[Finding] = []

    def sequence(self, depth: int) -> Nodes:
        """Nodes up to the end, or inside a choice up to its next ``|`` or ``}``, which stay unread."""
        nodes: list[Node] = []
        plain = self.at
        while (match := _SPECIAL.search(self.text, self.at)) is not None:
            ends = depth and (match["bar"] or match["close"])
            node: Node | None = None
            here = match.start()
            if ends:
                self._text(nodes, plain, here)
                self.at = here
                return tuple(nodes)
            self.at = match.end()
            if match["foreign"]:
                self._wrong(here, "variables and wraps are not supported by this version", r"write \$ or \{")
            elif match["open"]:
                self._text(nodes, plain, here)
                node = self._choice(here, depth)
            elif match["slot"]:
                node = SlotRef(match["name"], here)
            elif match["wildcard"]:
                node = Wildcard(match["path"], MODES.get(match["sign"], ""), here, match["wildcard"])
            if node is not None:  # else an escape, a tag or a stray | or }: text
                if not match["open"]:
                    self._text(nodes, plain, here)
                nodes.append(node)
                plain = self.at
        self._text(nodes, plain, len(self.text))
        self.at = len(self.text)
        return tuple(nodes)

    def _text(self, nodes: list[Node], start: int, end: int) -> None:
        if start < end:
            nodes.append(self.text[start:end])

    def _choice(self, opening: int, depth: int) -> Choice | None:
        """The choice whose inside begins here."""
        if depth >= MAX_DEPTH:
            self._wrong(opening, f"choices nested more than {MAX_DEPTH} deep", "put some into a matrix slot")
            self.at = len(self.text)
            return None
        mode = MODES.get(self.text[self.at : self.at + 1], "")
        self.at += bool(mode)
        low = high = 1
        separator = ","
        ranged = False
        if count := _COUNT.match(self.text, self.at):
            self.at = count.end()
            ranged = True
            if count["only"]:
                low = high = int(count["only"])
            else:
                low = int(count["low"]) if count["low"] else 1
                high = int(count["high"]) if count["high"] else -1
            if between := _SEPARATOR.match(self.text, self.at):
                separator = between[1]
                self.at = between.end()
        options: list[tuple[float, Nodes]] = []
        while True:
            weight = 1.0
            where = self.at
            if weighed := _WEIGHT.match(self.text, self.at):
                weight = float(weighed[1])
                self.at = weighed.end()
                if weight < 0:
                    self._wrong(where, f"a weight of {weighed[1]}", "use 0 or more")
            options.append((weight, self.sequence(depth + 1)))
            if self.at >= len(self.text):
                if not self.problems:
                    self._wrong(opening, "this { is never closed", r"add a }, or write \{ for a brace")
                return None
            closed = self.text[self.at] == "}"
            self.at += 1
            if closed:
                break
        source = self.text[opening : self.at]
        if ranged and options == [(1.0, ())]:
            self._wrong(opening, f"the choice {shorten(source)} has no options", "write them behind the $$")
            return None
        if not any(weight > 0 for weight, _ in options):
            self._wrong(opening, f"no option of {shorten(source)} weighs more than 0", "give one a weight")
            return None
        high = len(options) if high < 0 else high
        if low > high:
            self._wrong(opening, f"the range {low}-{high} runs backwards", f"write {high}-{low}")
            return None
        return Choice(
            tuple(options), min(low, len(options)), min(high, len(options)), separator, mode, opening, source
        )

    def _wrong(self, at: int, reason: str, fix: str) -> None:
        self.problems.append(Finding(at, reason, fix))


def references(nodes: Nodes) -> Iterator[SlotRef | Wildcard]:
    """Slots and wildcards that ``nodes`` name, in order, nested ones too."""
    for node in nodes:
        if isinstance(node, SlotRef | Wildcard):
            yield node
        elif isinstance(node, Choice):
            for _, inner in node.options:
                yield from references(inner)


def shorten(text: str, length: int = 30) -> str:
    """``text``, or its beginning and an ellipsis, in at most ``length`` characters."""
    return text if len(text) <= length else text[: length - 1] + "…"
