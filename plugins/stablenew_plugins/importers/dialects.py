"""The prompt languages of other programs, rewritten into that of packs.

Sources: SwarmUI ``src/Text2Image/T2IPromptHandling.cs`` (tags, separators, ``[count]``); ComfyUI's front end
(``dynamicPrompts``: comments); NovelAI's documentation (braces and brackets weigh by 1.05).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from stablenew_plugins.importers.common import Notes, short

_LINE_COMMENT = re.compile(r"(?:(?<=\s)|^)//[^\n]*", re.MULTILINE)
_TAG = re.compile(r"(?P<name>[A-Za-z]+)(?:\[(?P<pre>[^\[\]]*)\])?(?P<colon>:(?P<data>.*))?", re.DOTALL)
_COUNT = re.compile(r"(?P<low>\d{1,3})(?:\s*-\s*(?P<high>\d{1,3}))?\s*(?P<comma>,?)")
_RANGE = re.compile(r"\s*(\d{1,9})\s*-\s*(\d{1,9})\s*")
_MOST_NUMBERS = 200
_DEEPEST = 20
_KEPT = frozenset({"lora", "lyco", "hypernet", "embedding"})
"""Tags that mean the same here."""


def without_comments(text: str) -> str:
    """``text`` without ComfyUI's comments: ``/* ... */``, and ``//`` to the end of a line, where a blank or the
    line's beginning stands before it, so that addresses stay whole."""
    kept: list[str] = []
    at = 0
    while (start := text.find("/*", at)) >= 0 and (end := text.find("*/", start + 2)) >= 0:
        kept.append(text[at:start])
        at = end + 2
    text = "".join((*kept, text[at:]))
    return _LINE_COMMENT.sub("", text) if "//" in text else text


# --- SwarmUI --------------------------------------------------------------------------------------------------


def from_swarm(text: str, notes: Notes, line: int = 0) -> str:
    """SwarmUI's tags: ``<random:a, b>`` becomes ``{a|b}``, ``<random[2,]:a|b>`` ``{2$$, $$a|b}``,
    ``<wildcard:hair>`` and ``<wc:hair>`` ``__hair__``, ``<alternate:a, b>`` ``[a|b]``, ``<fromto[0.5]:a, b>``
    ``[a:b:0.5]``, ``<embed:x>`` ``<embedding:x>``, ``<break>`` ``BREAK``; ``<comment:...>`` goes. Others stay,
    and are noted with ``line``.
    """
    return _swarm(text, notes, line, 0) if "<" in text else text


def _swarm(text: str, notes: Notes, line: int, level: int) -> str:
    parts: list[str] = []
    plain = 0
    for start, end in _outer_tags(text):
        parts.append(text[plain:start])
        parts.append(_tag(text[start:end], notes, line, level))
        plain = end
    return "".join((*parts, text[plain:]))


def _outer_tags(text: str) -> list[tuple[int, int]]:
    """Where the outermost ``<...>`` are. One that is never closed is text."""
    found: list[tuple[int, int]] = []
    opened: list[int] = []
    for match in re.finditer("[<>]", text):
        if match[0] == "<":
            opened.append(match.start())
        elif opened:
            start = opened.pop()
            while found and found[-1][0] > start:  # it lies inside this one
                found.pop()
            found.append((start, match.end()))
    return found


def _tag(source: str, notes: Notes, line: int, level: int) -> str:
    match = _TAG.fullmatch(source[1:-1])
    if match is None:
        return source
    name, pre, data = match["name"].lower(), match["pre"], (match["data"] or "").strip()
    if level >= _DEEPEST:
        notes.add(f"tags nested more than {_DEEPEST} deep: left as they are", line)
        return source
    if name == "random":
        return _random(source, pre, data, notes, line, level)
    if name in ("wildcard", "wc"):
        return _wildcard(source, pre, data, notes, line)
    if name in ("alternate", "alt"):
        return f"[{'|'.join(_swarm(option, notes, line, level + 1) for option in split_smart(data))}]"
    if name == "fromto" and pre and len(options := split_smart(data)) == 2:
        return f"[{':'.join(_swarm(option, notes, line, level + 1) for option in options)}:{pre.strip()}]"
    if name in ("embed", "embedding") and data:
        return f"<embedding:{data}>"
    if name == "break" and not data:
        return "BREAK"
    if name == "comment":
        return ""
    if name not in _KEPT:
        notes.add(f"{short(source)}: this tag of SwarmUI has no like here; left as it is", line)
    return source


def split_smart(data: str) -> list[str]:
    """The options of a tag, as SwarmUI splits them: at ``||`` if there is one outside of inner tags, else at
    ``|``, else at commas."""
    depth = 0
    bars = doubles = False
    for match in re.finditer(r"<|>|\|\|?", data):
        if match[0] in "<>":
            depth += 1 if match[0] == "<" else -1
        elif depth == 0:
            bars, doubles = True, doubles or match[0] == "||"
    separator = "||" if doubles else "|" if bars else ","
    options, start, depth = [], 0, 0
    for match in re.finditer(f"[<>]|{re.escape(separator)}", data):
        if match[0] in "<>":
            depth += 1 if match[0] == "<" else -1
        elif depth == 0:
            options.append(data[start : match.start()])
            start = match.end()
    return [option.strip() for option in (*options, data[start:])]


def _random(source: str, pre: str | None, data: str, notes: Notes, line: int, level: int) -> str:
    options: list[str] = []
    for option in split_smart(data):
        if numbers := _RANGE.fullmatch(option):
            low, high = int(numbers[1]), int(numbers[2])
            if not 0 <= high - low < _MOST_NUMBERS:
                notes.add(
                    f"{short(source)}: at most {_MOST_NUMBERS} numbers are written out; left as it is", line
                )
                return source
            options.extend(str(number) for number in range(low, high + 1))
        else:
            options.append(as_option(_swarm(option, notes, line, level + 1)))
    count = _count(pre)
    if count is None:
        notes.add(f"{short(source)}: the number in [{short(pre)}] is none; left as it is", line)
        return source
    return f"{{{count}{'|'.join(options)}}}"


def _count(pre: str | None) -> str | None:
    """``2,`` as ``2$$, $$``; empty for one option; None for what is no number."""
    if pre is None or pre.strip() in ("", "1"):
        return ""
    match = _COUNT.fullmatch(pre.strip())
    if match is None:
        return None
    number = match["low"] + (f"-{match['high']}" if match["high"] else "")
    return f"{number}$${', ' if match['comma'] else ' '}$$"


def _wildcard(source: str, pre: str | None, data: str, notes: Notes, line: int) -> str:
    name, comma, _ = data.partition(",")
    name = name.strip()
    if not re.fullmatch(r"[^\s_{}|<>,](?:(?!__)[^{}|<>,])*", name):
        notes.add(f"{short(source)}: no name of a wildcard; left as it is", line)
        return source
    if comma:
        notes.add(f"{short(source)}: not=... is left out", line)
    if pre is not None and pre.strip() not in ("", "1"):
        notes.add(f"{short(source)}: one value is drawn here, not [{short(pre)}]", line)
    if " " in name:
        notes.add(f"{short(source)}: a name has no blanks here; they became _", line)
    return f"__{'_'.join(name.split())}__"


def as_option(text: str) -> str:
    """``text`` as one option of a choice: a ``|`` outside of inner choices is escaped."""
    depth, parts, start = 0, [], 0
    for match in re.finditer(r"\\.|[{}|]", text, re.DOTALL):
        if match[0] in "{}":
            depth += 1 if match[0] == "{" else -1
        elif match[0] == "|" and depth <= 0:
            parts.append(text[start : match.start()] + r"\|")
            start = match.end()
    return "".join((*parts, text[start:]))


# --- NovelAI --------------------------------------------------------------------------------------------------


def from_novelai(text: str, notes: Notes) -> str:
    """``{words}`` as ``(words:1.05)`` and ``[words]`` as ``(words:0.95)``, however deep; ``1.2::words::`` as
    ``(words:1.2)``. Parentheses, which mean nothing there, are escaped."""
    text = re.sub(r"(?<!\\)([()])", r"\\\1", text)
    text = re.sub(r"(?<![\d.])(-?\d{1,6}(?:\.\d{1,6})?)::([^:{}\[\]]+)::", r"(\2:\1)", text)
    opened: list[str] = []
    for sign in re.findall(r"[{}\[\]]", text):
        if sign in "{[":
            opened.append(sign)
        elif not opened or opened.pop() + sign not in ("{}", "[]"):
            opened.append("?")
            break
    if opened:
        notes.add("braces or brackets that do not pair were left as they are")
        return text
    signs = {"{": "(", "}": ":1.05)", "[": "(", "]": ":0.95)"}
    return re.sub(r"[{}\[\]]", lambda found: signs[found[0]], text)


def add_loras(prompt: str, tags: Sequence[str]) -> str:
    """``prompt`` with the tags behind it that it does not have yet."""
    have = {match.casefold() for match in re.findall(r"<lora:([^:<>]+)", prompt, re.IGNORECASE)}
    new = [tag for tag in tags if tag[6:-1].partition(":")[0].casefold() not in have]
    return " ".join((prompt, *new)) if prompt else " ".join(new)
