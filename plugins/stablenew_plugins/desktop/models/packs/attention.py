"""Weights of words and LoRAs, changed in steps: ``word``, ``(word:1.1)``, ``(word:1.2)``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from stablenew_plugins.desktop.models.packs.brackets import is_balanced, pairs_of

STEP = 0.1
PLAIN = 1.1
"""What ``(word)`` without a number weighs."""

_TAG = re.compile(r"<(?:lora|lyco|hypernet|embedding):([^<>:{}]+)(?::([^<>{}]*))?>", re.IGNORECASE)
_WEIGHT = re.compile(r":\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*$")
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*")
_TOKEN = re.compile(r"__[^\s_{}|<>,()$#](?:(?!__)[^\n{}|<>,()$#])*__|\[\[[^\[\]|]*\]\]|<[A-Za-z][\w-]*:[^<>]*>")
"""What is one thing: the weight is of all of it."""
_WORD = re.compile(r"(?:\\.|[\w'’-])+")


@dataclass(frozen=True, slots=True)
class Weighed:
    """A text behind a step."""

    text: str
    start: int
    """Of what is selected now."""
    end: int


def weigh(text: str, start: int, end: int, steps: int) -> Weighed | None:
    """``text`` with the weight of ``text[start:end]`` changed by ``steps`` of 0.1; where nothing is selected,
    that of the group, the tag or the word at the place. Weights of words stop at 0, and a group that comes to
    weigh 1 is a group no more. None: nothing there has a weight, or brackets would break.
    """
    start, end = min(start, end), max(start, end)
    if (made := _tag(text, start, end, steps)) is not None:
        return made
    if (made := _group(text, start, end, steps)) is not None:
        return made
    chosen = _chosen(text, start, end)
    if chosen is None:
        return None
    first, last = chosen
    words = text[first:last]
    caret = None if start != end else start + 1
    made_words = f"({words}:{_number(max(0.0, 1 + STEP * steps))})"
    begin, finish = (first + 1, last + 1) if caret is None else (caret, caret)
    return Weighed(text[:first] + made_words + text[last:], begin, finish)


def _number(weight: float) -> str:
    return f"{round(weight, 4) + 0.0:g}"


def _tag(text: str, start: int, end: int, steps: int) -> Weighed | None:
    """A LoRA, with the place inside of its tag."""
    for tag in _TAG.finditer(text):
        if not (tag.start() < start and end < tag.end()) and (tag.start(), tag.end()) != (start, end):
            continue
        if tag[2] is None:
            at = tag.end() - 1
            made, stop = f"{text[:at]}:{_number(1 + STEP * steps)}", at
        else:
            number = _NUMBER.fullmatch(tag[2])
            if number is None:
                return None  # one for each part of the model, or a slip
            made = text[: tag.start(2)] + _number(float(number[1]) + STEP * steps)
            stop = tag.end(2)
        whole = made + text[stop:]
        moved = len(whole) - len(text)
        if (start, end) == (tag.start(), tag.end()):
            return Weighed(whole, start, end + moved)
        return Weighed(whole, min(start, len(made)), min(end, len(made)))
    return None


def _group(text: str, start: int, end: int, steps: int) -> Weighed | None:
    """The innermost ``(...)`` around the place; of a selection only one that has nothing else in it."""
    groups = [(first, last) for first, last in pairs_of(text)[0] if text[first] == "("]
    if start == end:
        around = [(first, last) for first, last in groups if first < start <= last]
    else:
        around = [
            (first, last)
            for first, last in groups
            if (start, end) in ((first, last + 1), _inside(text, first, last))
        ]
    if not around:
        return None
    first, last = max(around)
    begin, stop = _inside(text, first, last)
    found = _WEIGHT.search(text[begin:last])
    weight = float(found[1]) if found is not None else PLAIN
    weight = max(0.0, weight + STEP * steps)
    words = text[begin:stop]
    if _number(weight) == "1":
        made, shift = words, -1
    else:
        made, shift = f"({words}:{_number(weight)})", 0
    whole = text[:first] + made + text[last + 1 :]
    low, high = first + 1 + shift, stop + shift
    return Weighed(whole, min(max(start + shift, low), high), min(max(end + shift, low), high))


def _inside(text: str, first: int, last: int) -> tuple[int, int]:
    """What the group is about, without its weight."""
    found = _WEIGHT.search(text[first + 1 : last])
    return first + 1, first + 1 + found.start() if found is not None else last


def _chosen(text: str, start: int, end: int) -> tuple[int, int] | None:
    """What is to get a weight: whole tokens, without blanks and commas around."""
    for token in _TOKEN.finditer(text):
        if start == end and token.start() <= start <= token.end():
            return None if token[0].startswith("<") else (token.start(), token.end())
        if token.start() < end and token.end() > start:
            start, end = min(start, token.start()), max(end, token.end())
    if start == end:
        words = [word for word in _WORD.finditer(text) if word.start() <= start <= word.end()]
        return (words[-1].start(), words[-1].end()) if words else None
    while start < end and text[start] in " ,\n":
        start += 1
    while end > start and (text[end - 1] in " ,\n"):
        end -= 1
    escaped = (len(text[:start]) - len(text[:start].rstrip("\\"))) % 2
    cut = (len(text[:end]) - len(text[:end].rstrip("\\"))) % 2
    words_ = text[start:end]
    whole = bool(words_) and not escaped and not cut and is_balanced(words_) and not _is_parted(words_)
    return (start, end) if whole else None


def _is_parted(text: str) -> bool:
    """Whether a ``|`` in ``text`` belongs to braces outside of it."""
    bars = [at for at, letter in enumerate(text) if letter == "|"]
    braces = [pair for pair in pairs_of(text)[0] if text[pair[0]] == "{"] if bars else []
    return any(not any(first < at < last for first, last in braces) for at in bars)
