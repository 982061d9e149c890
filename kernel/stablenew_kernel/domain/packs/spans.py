"""What a prompt is made of, span by span: for colours and chips while somebody types. Any text is taken."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from stablenew_kernel.domain.randomizer.grammar import MAX_TEXT, Node, Wildcard, clean_path, parse, references

_TOKEN = re.compile(
    r"(?P<escape>\\(?:__|.))"
    r"|(?P<comment>^[ \t]*#[^\n]*)"
    r"|(?P<network><(?P<tag>lora|lyco|hypernet|embedding):(?P<model>[^<>{}:]*)[^<>{}]*(?:>|(?=\$?\{)))"
    r"|(?P<other><[A-Za-z][\w-]*:[^<>{}]*(?:>|(?=\$?\{)))"
    r"|(?P<slot>\[\[\s{0,20}(?P<name>\w[\w \-]{0,99}?)\s{0,20}\]\])"
    r"|(?P<wildcard>__[~!@]?(?P<path>(?!\[\[)[^\s_{}|<>,()$#](?:(?!__|\[\[)[^\n{}|<>,()$#])*)__)"
    r"|(?P<underscores>__)"
    r"|(?P<variable>\$\{\s*(?P<variable_name>[A-Za-z_-][\w-]*)\s*(?:\??=!?|:|\}))"
    r"|(?P<wrap>%\{)"
    r"|(?P<choice>\{[~!@]?(?:\s*[\d-]+\s*\$\$(?:[^{}$]*\$\$)?)?)"
    r"|(?P<close>\})|(?P<bar>\|)|(?P<dollars>\$\$)"
    r"|(?P<weight>(?<![\w.])[+-]?(?:\d+(?:\.\d*)?|\.\d+)\s*::|:\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*(?=[)\]]))"
    r"|(?P<open>[(\[])|(?P<shut>[)\]])"
    r"|(?P<comma>,)"
    r"|(?P<break>\b(?:BREAK|AND)\b)",
    re.DOTALL | re.MULTILINE,
)
_PAIRS = {")": "(", "]": "["}
_PLAIN = ("escape", "other", "underscores")
_IN_CHOICES = ("dollars", "bar", "close")
"""Signs that mean something inside of braces alone."""
_LONGEST_LOOK = MAX_TEXT
"""Characters of a text that are looked into; what is behind them is text."""

CHUNK = 75
"""Tokens that CLIP reads at once."""

_WORDS = re.compile(r"[^\W\d_]+|\d|[^\w\s]+|_+")
_TAGS = re.compile(r"<(?:lora|lyco|hypernet):[^<>]*>", re.IGNORECASE)
_EMBEDDING = re.compile(r"<embedding:([^<>:]*)[^<>]*>", re.IGNORECASE)
_ATTENTION = re.compile(r"\\([()\[\]])|:\s*[+-]?[\d.]+\s*[)\]]|[()\[\]]")


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a prompt."""

    start: int
    """In characters, from 0."""
    end: int
    kind: str
    """text, comma, weight, bracket, lora, embedding, wildcard, slot, choice, variable, comment, break or
    error."""
    name: str = ""
    """Of the LoRA, embedding, wildcard, slot or variable."""
    depth: int = 0
    """How many brackets and braces are open around it."""


def spans_of(prompt: str) -> list[Span]:
    """``prompt`` in spans, one behind the other: together they are all of it. Never raises.

    Of a choice, a wrap and a variable that is set, the signs (``{2$$``, ``|``, ``}``) are spans of their own,
    and what is inside is told as outside. A bracket without its partner is an error, as is the place where the
    randomizer's grammar stops understanding. Linear in the length of ``prompt``.
    """
    found = list(_scan(prompt[:_LONGEST_LOOK]))
    if len(prompt) > _LONGEST_LOOK:
        found.append(Span(_LONGEST_LOOK, len(prompt), "text"))
    return _merged(found)


def _scan(prompt: str) -> Iterator[Span]:
    template = parse(prompt)
    whole = {node.at: node for node in _complex(template.nodes)}
    wrong = {problem.at for problem in template.problems}
    unpaired = _unpaired(prompt)
    closers: list[str] = []
    depth = at = 0
    for match in _TOKEN.finditer(prompt):
        start, end, kind = match.start(), match.end(), str(match.lastgroup)
        if start < at:
            continue  # inside of a wildcard that was told as a whole
        if start > at:
            yield Span(at, start, "text", depth=depth)
        at = end
        node = whole.get(start)
        inside = closers[-1] if closers else ""
        if start in wrong or (start in unpaired and kind in ("open", "shut")):
            yield Span(start, end, "error", depth=depth)
            continue
        if node is not None:
            at = min(len(prompt), start + len(node.source))
            yield Span(start, at, "wildcard", node.path or node.source, depth)
        elif kind in _PLAIN or (not inside and kind in _IN_CHOICES):
            yield Span(start, end, "text", depth=depth)
        elif kind in ("network", "tag", "model"):
            shown = "embedding" if match["tag"] == "embedding" else "lora"
            yield Span(start, end, shown, match["model"].strip(), depth)
        elif kind in ("slot", "name"):
            yield Span(start, end, "slot", match["name"], depth)
        elif kind in ("wildcard", "path"):
            yield Span(start, end, "wildcard", clean_path(match["path"]), depth)
        elif kind in ("variable", "variable_name"):
            yield Span(start, end, "variable", match["variable_name"], depth)
            if not match[0].endswith("}"):
                closers.append("variable")
                depth += 1
        elif kind in ("wrap", "choice"):
            yield Span(start, end, "choice", depth=depth)
            closers.append("choice")
            depth += 1
        elif kind == "close":
            depth -= 1
            yield Span(start, end, closers.pop(), depth=depth)
        elif kind in ("bar", "dollars"):
            yield Span(start, end, "choice", depth=depth - 1)
        elif kind == "open":
            yield Span(start, end, "bracket", depth=depth)
            depth += 1
        elif kind == "shut":
            depth -= 1
            yield Span(start, end, "bracket", depth=max(0, depth))
        else:
            yield Span(start, end, kind, depth=depth)
    if at < len(prompt):
        yield Span(at, len(prompt), "text", depth=depth)


def _complex(nodes: Sequence[Node]) -> Iterator[Wildcard]:
    """Wildcards with parameters, or with choices in their names."""
    for named in references(tuple(nodes)):
        if isinstance(named, Wildcard) and named.parameters:
            yield named
    for node in nodes:
        if isinstance(node, Wildcard) and not node.path:
            yield node


def _unpaired(prompt: str) -> set[int]:
    """Where round and square brackets without a partner stand."""
    stacks: dict[str, list[int]] = {"(": [], "[": []}
    found: set[int] = set()
    for match in _TOKEN.finditer(prompt):
        sign = match[0]
        if match.lastgroup == "open":
            stacks[sign].append(match.start())
        elif match.lastgroup == "shut":
            if stacks[_PAIRS[sign]]:
                stacks[_PAIRS[sign]].pop()
            else:
                found.add(match.start())
    return found.union(*stacks.values())


def _merged(spans: Sequence[Span]) -> list[Span]:
    """Without empty ones, and with texts of one depth that follow each other as one."""
    made: list[Span] = []
    for span in spans:
        if made and span.kind == made[-1].kind == "text" and span.depth == made[-1].depth:
            made[-1] = replace(made[-1], end=span.end)
        elif span.end > span.start:
            made.append(span)
    return made


def estimated_tokens(prompt: str) -> int:
    """About how many tokens CLIP makes of a final ``prompt``, without its start and end. No model is asked.

    A rule of thumb: a word of Latin letters is one, and one more for each six letters beyond the eighth; a
    digit, a run of other signs, is one; a letter of another script is two. Brackets of attention and their
    weights count nothing, LoRA tags neither; an embedding counts as its name does, though it may be longer.
    ``BREAK`` fills the chunk of 75 tokens that it ends. Within a fifth or so of what a WebUI shows for English.
    """
    text = _EMBEDDING.sub(r"\1", _TAGS.sub("", prompt))
    text = _ATTENTION.sub(lambda match: match[1] or " ", text)
    total = 0
    for number, part in enumerate(re.split(r"\bBREAK\b", text)):
        if number:
            total += -total % CHUNK
        total += sum(_of_word(word[0]) for word in _WORDS.finditer(part))
    return total


def _of_word(word: str) -> int:
    if not word[0].isalpha():
        return 1
    if max(word) > "\u024f":
        return 2 * len(word)
    return 1 + max(0, len(word) - 8 + 5) // 6
