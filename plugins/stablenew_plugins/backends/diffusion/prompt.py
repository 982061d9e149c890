"""Reads a prompt in the A1111 dialect and cuts it into the text encoder's chunks. Pure.

The dialect's rules are those of docs of the WebUI ("Attention/emphasis", "Prompt editing", "Alternating words",
"Composable diffusion", "Infinite prompt length"). A library was not taken: compel has another syntax and
another arithmetic, so no prompt would give the picture that it gives in the WebUI.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from stablenew_plugins import prompting

CHUNK = 75
"""Tokens a chunk; CLIP reads 77 with its begin and end."""
BACKTRACK = 20
"""A chunk that is full is cut at its last comma, if that is at most so many tokens back."""
DEEPEST = 50
"""Levels of ``[from:to:when]`` inside each other."""

_LORA = re.compile(r"<(lora|lyco):([^:<>]+)((?::[^:<>]*)*)>", re.IGNORECASE)
_HYPERNET = re.compile(r"<hypernet:([^:<>]+)(?::[^<>]*)?>", re.IGNORECASE)
_COMMENT = re.compile(r"[^\S\n]*#[^\n]*")
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*")


class PromptError(ValueError):
    """The prompt cannot be read; the text says where."""


@dataclass(frozen=True, slots=True)
class Lora:
    """A ``<lora:NAME:WEIGHT>`` or ``<lora:NAME:TEXT:UNET>`` tag."""

    name: str
    text: float
    """Weight in the text encoder."""
    unet: float


@dataclass(frozen=True, slots=True)
class Clause:
    """One of several prompts that ``AND`` joins."""

    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class Part:
    """Text with its attention weight."""

    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class Switch:
    """``[from:to:when]``."""

    before: tuple[Node, ...]
    after: tuple[Node, ...]
    when: str

    def changes_at(self, steps: int, base: int) -> int:
        """The last step that still has ``before``."""
        number = float(self.when)
        if "." in self.when:
            return min(steps, int((number - (1.0 if base else 0.0)) * steps))
        return min(steps, int(number) - base)


@dataclass(frozen=True, slots=True)
class Alternate:
    """``[a|b]``: one after the other, step by step."""

    options: tuple[tuple[Node, ...], ...]


Node = str | Switch | Alternate


def without_comments(text: str) -> str:
    """``text`` without what stands after a ``#`` in a line, as the WebUI reads it by default."""
    return _COMMENT.sub("", text) if "#" in text else text


def take_loras(prompt: str) -> tuple[str, tuple[Lora, ...]]:
    """The prompt without its LoRA tags, and the LoRAs; one that is named twice has the sum of its weights.

    Raises PromptError for a weight that is no number and for a hypernetwork, which no pipeline here can have.
    """
    if match := _HYPERNET.search(prompt):
        raise PromptError(f"{match[0]}: the diffusers backend cannot use hypernetworks; take it out")
    found: dict[str, tuple[float, float]] = {}
    for match in _LORA.finditer(prompt):
        weights = [part.strip() for part in match[3].split(":")[1:]] or ["1"]
        numbers = []
        for weight in weights:
            if not (number := _NUMBER.fullmatch(weight)):
                raise PromptError(f"{match[0]}: the weight {weight!r} is no number")
            numbers.append(float(number[1]))
        if len(numbers) > 2:
            raise PromptError(
                f"{match[0]}: a LoRA has one weight, or one for the text encoder and one for the UNet"
            )
        name = match[2].strip()
        text, unet = found.get(name, (0.0, 0.0))
        found[name] = (text + numbers[0], unet + numbers[-1])
    return _LORA.sub("", prompt), tuple(Lora(name, *weights) for name, weights in found.items())


def clauses(text: str) -> tuple[Clause, ...]:
    """The prompts that ``AND`` joins."""
    return tuple(Clause(*clause) for clause in prompting.clauses(text))


# --- what changes from step to step -------------------------------------------------------------------------


class Schedule:
    """A prompt whose text may change from step to step: ``[from:to:when]`` and ``[a|b]``."""

    def __init__(self, text: str) -> None:
        self._nodes = _nodes(text, _brackets(text), 0, len(text), 0)
        self.changes = any(not isinstance(node, str) for node in self._nodes)

    def at(self, step: int, steps: int, base: int = 0) -> str:
        """The text at ``step`` (from 1) of ``steps``. ``base``: steps of the pass before this one, 0 in the
        first. ``when`` with a dot is a part of the steps (1.0 to 2.0 in the second pass), else a step."""
        return _text_at(self._nodes, step, steps, base)


def _brackets(text: str) -> dict[int, tuple[int, list[int], list[int]]]:
    """Each ``[`` that is closed: where, and where its own colons and bars are."""
    closed: dict[int, tuple[int, list[int], list[int]]] = {}
    stack: list[tuple[str, int, list[int], list[int]]] = []
    index = 0
    while index < len(text):
        char = text[index]
        if char == "\\":
            index += 1
        elif char in "([":
            stack.append((char, index, [], []))
        elif char == ")" and stack and stack[-1][0] == "(":
            stack.pop()
        elif char == "]" and any(frame[0] == "[" for frame in stack[-DEEPEST:]):
            while stack[-1][0] != "[":
                stack.pop()
            _, start, colons, bars = stack.pop()
            closed[start] = (index, colons, bars)
        elif char == ":" and stack:
            stack[-1][2].append(index)
        elif char == "|" and stack:
            stack[-1][3].append(index)
        index += 1
    return closed


def _nodes(
    text: str, brackets: dict[int, tuple[int, list[int], list[int]]], begin: int, end: int, depth: int
) -> tuple[Node, ...]:
    if depth > DEEPEST:
        raise PromptError(f"[from:to:when] and [a|b] stand in each other more than {DEEPEST} deep; simplify it")
    found: list[Node] = []
    plain = index = begin

    def inner(start: int, stop: int) -> tuple[Node, ...]:
        return _nodes(text, brackets, start, stop, depth + 1)

    while index < end:
        if text[index] == "\\":
            index += 2
            continue
        node: Node | None = None
        if text[index] == "[" and index in brackets:
            close, colons, bars = brackets[index]
            if bars:
                cuts = [index, *bars, close]
                node = Alternate(tuple(inner(cut + 1, stop) for cut, stop in itertools.pairwise(cuts)))
            elif len(colons) in (1, 2) and (number := _NUMBER.fullmatch(text, colons[-1] + 1, close)):
                before = inner(index + 1, colons[0]) if len(colons) == 2 else ()
                start = colons[0] + 1 if len(colons) == 2 else index + 1
                node = Switch(before, inner(start, colons[-1]), number[1])
            if node is not None:
                found += [text[plain:index], node]
                plain = index = close + 1
                continue
        index += 1
    found.append(text[plain:end])
    return tuple(node for node in found if node != "")


def _text_at(nodes: Sequence[Node], step: int, steps: int, base: int) -> str:
    texts = []
    for node in nodes:
        if isinstance(node, Switch):
            chosen = node.before if step <= node.changes_at(steps, base) else node.after
            texts.append(_text_at(chosen, step, steps, base))
        elif isinstance(node, Alternate):
            texts.append(_text_at(node.options[(step - 1) % len(node.options)], step, steps, base))
        else:
            texts.append(node)
    return "".join(texts)


# --- attention weights --------------------------------------------------------------------------------------


def sections(text: str) -> tuple[tuple[Part, ...], ...]:
    """The texts between ``BREAK``s, each as parts with their attention weights; neighbours of one weight are
    one part. Never fails."""
    found: list[list[tuple[str, float]]] = [[]]
    for piece, weight in prompting.attention(text):
        first, *more = prompting.BREAK.split(piece)
        found[-1].append((first, weight))
        found += [[(words, weight)] for words in more]
    return tuple(tuple(Part(*part) for part in prompting.merged(section)) for section in found)


# --- chunks -------------------------------------------------------------------------------------------------


def chunks(
    texts: Sequence[Sequence[tuple[Sequence[int], float]]],
    comma: int,
    size: int = CHUNK,
    backtrack: int = BACKTRACK,
) -> list[list[tuple[int, float]]]:
    """Tokens with their weights, cut into chunks of at most ``size``; at least one, maybe empty.

    ``texts``: a section each, as units of tokens that stay together (one token of a word; all the vectors of an
    embedding) with a weight. Each section begins a chunk. A chunk that is full is cut behind its last ``comma``
    token if that is at most ``backtrack`` tokens back, as the WebUI does (``tokenize_line`` of
    ``modules/sd_hijack_clip.py``). Raises PromptError for a unit longer than ``size``.
    """
    done: list[list[tuple[int, float]]] = []
    for units in texts:
        chunk: list[tuple[int, float]] = []
        last_comma = -1  # index in chunk
        for ids, weight in units:
            if len(ids) > size:
                raise PromptError(f"an embedding has {len(ids)} vectors; at most {size} fit into a chunk")
            if len(chunk) + len(ids) > size:
                cut = last_comma + 1
                fits = last_comma >= 0 and len(chunk) - last_comma <= backtrack
                moves = fits and list(ids) != [comma] and len(chunk) - cut + len(ids) <= size
                rest = chunk[cut:] if moves else []
                done.append(chunk[:cut] if moves else chunk)
                chunk, last_comma = rest, -1
            if list(ids) == [comma]:
                last_comma = len(chunk)
            chunk.extend((token, weight) for token in ids)
        done.append(chunk)
    return done or [[]]
