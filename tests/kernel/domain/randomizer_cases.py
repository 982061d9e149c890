"""What StableNew and dynamicprompts make of the same prompts: cases as data, and both sides as functions.

``docs/randomizer-compatibility.md`` is made from these cases by ``test_randomizer_compatibility.py``.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from stablenew_kernel.domain.randomizer.compiler import Compiler, Definitions
from stablenew_kernel.domain.randomizer.space import Space, SpaceError

VERSION = "0.31.0"
"""Of dynamicprompts: what was executed."""

SHOWN = 12
"""Texts of a case that are compared."""

DRAWS = 4000

FILES: Mapping[str, str] = {
    "colour.txt": "red\nblue # like the sky\n# no value\n\ngreen\nred\n",
    "metal.txt": "3::gold\nsilver\n",
    "people/skin.txt": "pale\ntan\n",
    "people/skin2.txt": "dark\n",
    "tree.yaml": "hair:\n  - 3::blond\n  - black\nnest:\n  a: [x, y]\n  year: [1990, yes]\n",
    "flat.json": '["one", "two"]',
    "dress.txt": "${season:summer} dress\n",
    "loop.txt": "__loop__ again\n",
    "my list.txt": "it\n",
}
"""Wildcard files of the cases."""


@dataclass(frozen=True)
class Case:
    """One prompt."""

    prompt: str
    why: str = ""
    """Why the two differ; empty: they do not."""
    kind: str = "all"
    """all: every text, in order, of the combinatorial generator and of a fanout. shares: how often the random
    generator and mode random give each text. modes: the library's texts, and the mode of each of our slots."""


SECTIONS: Mapping[str, Sequence[Case]] = {
    "Choices": [
        Case("{a|b} {c|d}"),
        Case("{a|{b|c} d}"),
        Case("{{a|b}|c}"),
        Case("{a|}!"),
        Case("{}"),
        Case("{ a | b }"),
        Case("蝶{蛾|é}"),
        Case("{a|b} {a|b}"),
        Case("{a|a|b}"),
        Case("{a|{a|b}}", "an option inside an option is told apart by its place, not by its text"),
    ],
    "Several of them": [
        Case("{2$$a|b}"),
        Case("{2$$a|b|c}"),
        Case("{2$$, $$a|b}"),
        Case("{2$$ and $$a|b|c}"),
        Case("{2$$|$$a|b}"),
        Case("{1-2$$ and $$a|b}"),
        Case("{0-1$$a|b}"),
        Case("{-2$$a|b|c}"),
        Case("{1-$$a|b}"),
        Case("{3$$a|b}"),
        Case("{2$$a|{b|c}}"),
        Case("{2$$a|a|b}"),
        Case("{2$$, $$a|}"),
        Case("{2-1$$a|b}", "a range that runs backwards is a slip"),
        Case("{2$$}", "a choice of nothing is a slip"),
        Case("{-$$a|b}"),
        Case("{$$a|b}"),
        Case("{a$$b}"),
    ],
    "Weights": [
        Case("{3::a|b}", kind="shares"),
        Case("{0.5::a|2::b}", kind="shares"),
        Case("{a|a|b}", kind="shares"),
        Case("{0::a|b}", "what weighs nothing is never made, in no mode"),
        Case("{0::a|b}", kind="shares"),
        Case("{1e3::a|b}", "a weight may have an exponent"),
        Case("{-1::a|b}", "a negative weight is a slip"),
        Case("{a|{b|c}}", kind="shares"),
    ],
    "Wildcards": [
        Case("__people/skin__"),
        Case("__people/skin__ __people/skin__"),
        Case("__people/*__", "values stay in the order of names and lines; the library sorts them"),
        Case("__people/**__", "as above"),
        Case("__skin__"),
        Case("__colour__", "the file's own order, which rotating slots walk; no blank before the #"),
        Case("__my list__"),
        Case("__nest/a__"),
        Case("__flat__"),
        Case("__nest/year__", "in YAML a number or yes is the text that it is"),
        Case("__hair__", "a weight is a weight, in a fanout each value comes once; the file's order"),
        Case("__hair__", kind="shares"),
        Case("__metal__"),
        Case("{2$$__people/skin__}"),
        Case("{2$$ and $$__people/skin__}"),
        Case("{1-2$$__people/skin__}"),
        Case("{2$$__people/skin__|z}"),
        Case("__people/{skin|skin2}__", "each name is made; the library takes one"),
        Case("__${where:people}/skin__"),
        Case("__nobody__", "an unknown wildcard is an error before anything runs"),
        Case("__loop__"),
    ],
    "Variables": [
        Case("${x={a|b}}${x} ${x}"),
        Case("${x=!{a|b}}${x} ${x}", "each value is made, the same one at every use"),
        Case("${x} ${x=a}"),
        Case("${x=a}${x=b}${x}"),
        Case("${x=a}${x?=b}${x}", "?= keeps what the same text says, too"),
        Case("${x:d}"),
        Case("${x:{a|b}}"),
        Case("${x=a}{${x}|b}"),
        Case("${a=x}${b=!${a}}${b}", "a variable that is drawn once may use another one"),
        Case("${x=${x}}${x}"),
        Case("{a|${x=b}}"),
        Case("${x}"),
        Case("__dress__"),
        Case("__dress(season=winter)__"),
        Case("__dress(season={winter|spring})__"),
        Case("${season={winter|spring}}__dress__"),
        Case("${s=winter}__dress(season=${s})__"),
    ],
    "Wraps": [
        Case("%{before … behind$${a|b}}"),
        Case("%{before ... behind$$x}"),
        Case("%{{p|q} … r$${a|b}}"),
        Case("%{no mark$$x}"),
        Case("%{a … b … c$$x}"),
    ],
    "Modes in the prompt": [
        Case("{~a|b} {!c|d}", "each slot goes its own way", "modes"),
        Case("{@a|b} {@c|d}", "as above", "modes"),
        Case("{@a|b} {!c|d}", "as above", "modes"),
        Case("__@people/skin__", "as above", "modes"),
        Case("{!a|{~b|c}}", "the sign of the outermost one counts, for all that is inside it", "modes"),
    ],
    "What belongs to others": [
        Case("({a|b}:1.2)"),
        Case("[{a|b}:c:0.5]"),
        Case("(w:1.2) [a:b:0.5] [a|b] BREAK AND x"),
        Case("{AND|BREAK} x"),
        Case("{a:1.2|b}"),
        Case(r"\(a\) {\(b\)|c}"),
        Case("<lora:n:1> {<lora:x:1>|b}"),
        Case("<lora:n:{0.5|1}>"),
        Case("x}y a|b"),
        Case("a // b /* c */"),
        Case("<lora:my__lora__v1:1>", "a tag is never looked into for __"),
        Case("<lora:my__lora__v1:{0.5|1}>", "as above, its weight may still vary"),
        Case("costs $5, or 5 $ $$", "a $ that begins nothing is text"),
        Case(r"\{a\|b\} \$\{x\} \__y__", "there are escapes"),
        Case("red #1 hero", "a # inside a prompt is text; a pack's lines that begin with it are comments"),
        Case("snake__case _ __", "underscores that name nothing are text"),
        Case("__hair, blue"),
        Case("[[slot]]", "a matrix slot, which somebody must define"),
    ],
    "What is broken": [
        Case("{a"),
        Case("${"),
        Case("%{"),
        Case("__a"),
    ],
}  # fmt: skip


# --- ours -----------------------------------------------------------------------------------------------------


def _space(prompt: str) -> Space:
    files = {name: text.encode() for name, text in FILES.items()}
    return Compiler(Definitions({}, {}, [files])).compile([(prompt, "")])


def ours(case: Case) -> list[str]:
    """What StableNew makes of it: texts, or one line that begins with ``error:``."""
    try:
        space = _space(case.prompt)
    except SpaceError as error:
        return [f"error: column {error.finding.at + 1}: {error.finding.reason}"]
    if case.kind == "modes":
        return [f"{slot.id}: {slot.mode or 'as set'}" for slot in space.slots]
    ids = [slot.id for slot in space.slots]
    if case.kind == "shares":
        rng = Random(1)
        found = Counter(
            space.texts({slot.id: slot.part.sample(rng) for slot in space.slots})[0] for _ in range(DRAWS)
        )
        return _shares(found)
    picks = itertools.product(*(range(slot.part.size) for slot in space.slots))
    return [space.texts(dict(zip(ids, numbers, strict=True)))[0] for numbers in itertools.islice(picks, SHOWN)]


def count(case: Case) -> int:
    """How many texts StableNew counts."""
    return math.prod(slot.part.size for slot in _space(case.prompt).slots)


def _shares(found: Counter[str]) -> list[str]:
    return [f"{text} {100 * times / DRAWS:.0f} %" for text, times in sorted(found.items())]


# --- theirs ---------------------------------------------------------------------------------------------------


def theirs(case: Case, folder: Path) -> list[str]:
    """What the library makes of it, as :func:`ours`; ``folder`` holds :data:`FILES`."""
    from dynamicprompts.constants import DEFAULT_RANDOM
    from dynamicprompts.generators import CombinatorialPromptGenerator, RandomPromptGenerator
    from dynamicprompts.wildcards import WildcardManager

    manager = WildcardManager(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            DEFAULT_RANDOM.seed(1)  # what a ~ in a combinatorial prompt draws from
            if case.kind == "shares":
                drawn = RandomPromptGenerator(manager, seed=1).generate(case.prompt, DRAWS)
                return _shares(Counter(drawn))
            made: list[str] = CombinatorialPromptGenerator(manager).generate(case.prompt, SHOWN)
            return made
    except Exception as error:  # whatever it raises is what a person sees
        return [f"error: {type(error).__name__}"]


def write_files(folder: Path) -> None:
    """Write :data:`FILES`."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def same(case: Case, mine: Sequence[str], other: Sequence[str]) -> bool:
    """Whether both do the same. An error is one on either side; shares may differ by what chance explains."""
    if case.kind == "modes":
        return False
    if mine[0:1] and other[0:1] and mine[0].startswith("error:") and other[0].startswith("error:"):
        return True
    if case.kind != "shares":
        return list(mine) == list(other)
    split = [dict(share.removesuffix(" %").rsplit(" ", 1) for share in side) for side in (mine, other)]
    return split[0].keys() == split[1].keys() and all(
        abs(float(split[0][text]) - float(split[1][text])) <= 3 for text in split[0]
    )
