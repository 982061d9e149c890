"""Which words of some texts are not in all of them, for texts that differ here and there."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

CONTEXT = 3
"""Words beside a difference that are shown; of a longer stretch that is the same the middle is left out."""

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Run:
    """Words in a row that are all the same in the other texts, or all not."""

    words: str
    differs: bool


def marked(texts: Sequence[str]) -> Sequence[Sequence[Run]]:
    """Each of ``texts`` as runs. A word is the same where it has its place in each of the others, too: two
    texts with the same words in another order differ."""
    split = [_WORD.findall(text) for text in texts]
    same = [[True] * len(words) for words in split]
    for here, words in enumerate(split):
        for there, others in enumerate(split):
            if here != there:
                matched = _matched(words, others) if here < there else _matched(others, words, turned=True)
                for place in range(len(words)):
                    same[here][place] &= place in matched
    return [_runs(words, flags) for words, flags in zip(split, same, strict=True)]


def _matched(one: Sequence[str], other: Sequence[str], *, turned: bool = False) -> set[int]:
    """Places in ``one`` (``turned``: in ``other``) of what both have in the same order."""
    found: set[int] = set()
    matcher = SequenceMatcher(None, [_bare(w) for w in one], [_bare(w) for w in other], autojunk=False)
    for block in matcher.get_matching_blocks():
        first = block.b if turned else block.a
        found.update(range(first, first + block.size))
    return found


def _bare(word: str) -> str:
    """Without the comma behind it, which is no difference."""
    return word.rstrip(",.;") or word


def _runs(words: Sequence[str], same: Sequence[bool]) -> Sequence[Run]:
    runs: list[Run] = []
    for word, is_same in zip(words, same, strict=True):
        if runs and runs[-1].differs != is_same:
            runs[-1] = Run(f"{runs[-1].words} {word}", not is_same)
        else:
            runs.append(Run(word, not is_same))
    return runs


def around(runs: Sequence[Run]) -> Sequence[Run]:
    """``runs`` with what is the same cut down to what is near a difference."""
    shown = []
    for place, run in enumerate(runs):
        words = run.words.split()
        before, behind = (CONTEXT if place else 0), (CONTEXT if place < len(runs) - 1 else 0)
        if run.differs or len(runs) == 1 or len(words) <= before + behind + 1:
            shown.append(run)
        else:
            kept = [*words[:before], "…", *(words[-behind:] if behind else [])]
            shown.append(Run(" ".join(kept), False))
    return shown


@dataclass(frozen=True, slots=True)
class Piece:
    """Words of one line that look alike."""

    left: float
    words: str
    differs: bool


def in_lines(
    runs: Sequence[Run], room: float, width_of: Callable[[str], float], most: int
) -> Sequence[Sequence[Piece]]:
    """``runs`` in lines of ``room``, as ``width_of`` measures them; of more than ``most`` lines the last ends
    with an ellipsis. A word that is wider than a line is cut."""
    blank = width_of(" ")
    lines: list[list[Piece]] = [[]]
    right = 0.0
    for run in runs:
        for word in run.words.split():
            wide = width_of(word)
            while wide > room and len(word) > 1:
                word = word.removesuffix("…")[:-1] + "…"
                wide = width_of(word)
            line = lines[-1]
            left = right + blank if line else 0.0
            if line and left + wide > room:
                if len(lines) == most:
                    end = line[-1]
                    line[-1] = Piece(end.left, f"{end.words.rstrip('…')}…", end.differs)
                    return lines
                lines.append([])
                line, left = lines[-1], 0.0
            if line and line[-1].differs == run.differs:
                end = line[-1]
                line[-1] = Piece(end.left, f"{end.words} {word}", end.differs)
                right = end.left + width_of(line[-1].words)
            else:
                line.append(Piece(left, word, run.differs))
                right = left + wide
    return lines if lines[0] else []
