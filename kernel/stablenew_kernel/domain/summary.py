"""A plan in plain words: what varies, how many images that makes, and what to ask before a large one. Pure.

It takes plain data, so that whoever adds a way to vary has nothing to change here but, perhaps, a word.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from stablenew_api.randomizer import Slot
from stablenew_kernel.domain.randomizer.grammar import shorten

_SHAPES = 4
"""Different kinds of rows that are told apart in a line; more are only counted."""
_LISTED = 5
"""Names of what is drawn in a line."""
_OPTIONS = 3
"""First options that are shown of a choice, which has no other name."""
_LETTERS = 20
"""Of an option or a nameless slot."""
_EXACT = 10**60
"""Numbers are written out below this."""
_TASTE = 100
"""Images that are offered in place of a large plan."""

_WILDCARD = re.compile(r"__[~!@]?(.*)__")
_ALIKE = frozenset(("clothing", "furniture", "hair", "lighting", "makeup", "scenery", "weather"))
"""Names that have no plural."""
_PLURALS = {"child": "children", "foot": "feet", "man": "men", "person": "people", "woman": "women"}


@dataclass(frozen=True, slots=True)
class Factor:
    """Something that multiplies the images of a row."""

    name: str
    """``light``, ``__hair__``, ``{red|green}``, ``txt2img.sampler_name``; ``neg:`` before it."""
    size: int
    options: tuple[str, ...] = ()
    """The first few, as text; shown where the name says nothing."""


def factor_of(slot: Slot) -> Factor:
    """A slot as a factor."""
    options = range(min(slot.size, _OPTIONS)) if "{" in slot.id else ()
    return Factor(slot.id, slot.size, tuple(slot.label(option) for option in options))


@dataclass(frozen=True, slots=True)
class Shape:
    """Rows that vary alike."""

    rows: int
    factors: tuple[Factor, ...]
    combinations: int
    """Of each row: the product of the factors, or fewer where a limit or a strategy says so."""


def what_varies(
    shapes: Sequence[Shape],
    images: int,
    drawn: Sequence[str] = (),
    walked: Sequence[str] = (),
    *,
    repeat: str = "seed",
) -> str:
    """``4 styles x 3 lights x 2 seeds = 24 images``: the product on the left is the number on the right.

    ``images`` of each combination, called ``repeat``; ``drawn`` names what each image takes for itself,
    ``walked`` what goes on from image to image and from run to run.
    """
    rows = sum(shape.rows for shape in shapes)
    combinations = sum(shape.rows * shape.combinations for shape in shapes)
    terms: list[str] = []
    if len(shapes) == 1:
        terms = _terms(shapes[0])
    elif len(shapes) <= _SHAPES:
        each = " + ".join(" x ".join(_terms(shape)) or "1 row" for shape in shapes)
        terms = [f"({each})" if images > 1 else each]
    else:
        terms = [f"{count(combinations, 'combination')} (of {count(rows, 'row')})"]
    if images > 1:
        terms.append(count(images, repeat))
    product = " x ".join(terms) or count(rows, "row")
    line = f"{product} = {count(combinations * images, 'image')}"
    if drawn:
        line += f"; each takes its own {_listed(drawn)}"
    if walked:
        line += f"; in turn: {_listed(walked)}"
    return line


def _listed(slots: Sequence[str]) -> str:
    names = list(dict.fromkeys(_own(name) for name in slots))
    if len(names) > _LISTED:
        names[_LISTED:] = [f"{len(names) - _LISTED} more"]
    *first, last = names
    return f"{', '.join(first)}{' and ' if first else ''}{last}"


def what_part(limit: int, sample: int) -> str:
    """What of a plan is made: the first ``limit`` of it, or ``sample`` that are drawn from that; 0: all."""
    if sample and limit:
        return f"; {number(sample)} of the first {number(limit)}, drawn"
    if sample:
        return f"; {number(sample)} of them, drawn"
    return f"; the first {number(limit)} of them" if limit else ""


def question(images: int, line: str, time: str, above: int, *, sampled: bool = True) -> str:
    """What to ask before so many ``images`` are queued, and how to make fewer; one line, no yes or no in it.

    ``time``: how long they take, in words. ``above``: the setting. ``sampled``: whether ``--sample`` would
    help (a replay has none).
    """
    taste = min(_TASTE, above)
    fewer = (
        f"--sample {taste} draws {taste} of them, --limit {taste} makes the first {taste}"
        if sampled
        else "name fewer images"
    )
    return (
        f"{count(images, 'image')}, more than the {number(above)} that are queued unasked: {line}; {time}. "
        f"To make fewer: {fewer}."
    )


def count(size: int, thing: str) -> str:
    """``1 row``, ``2,000 rows``."""
    return f"{number(size)} {thing if size == 1 else plural(thing)}"


def number(size: int) -> str:
    """With commas; a number that nobody would read as its order of magnitude."""
    if size < _EXACT:
        return f"{size:,}"
    return f"about 10^{int(math.log10(size) + 1e-9)}"  # str() of it may be refused as too long


def plural(thing: str) -> str:
    """The plural of an English noun as pack authors use them; ``time of day`` gives ``times of day``."""
    head, of, rest = thing.partition(" of ")
    before, space, word = head.rpartition(" ")
    lower = word.casefold()
    if lower in _ALIKE:
        return f"kinds of {thing}"
    if lower in _PLURALS:
        word = _PLURALS[lower]
    elif lower.endswith("s") and not lower.endswith(("ss", "us", "is")):
        pass  # named in the plural already
    elif lower.endswith(("s", "x", "z", "ch", "sh")):
        word += "es"
    elif lower.endswith("y") and lower[-2:-1] not in ("", *"aeiou"):
        word = word[:-1] + "ies"
    else:
        word += "s"
    return f"{before}{space}{word}{of}{rest}"


def _terms(shape: Shape) -> list[str]:
    """What is multiplied; nothing for a single row that does not vary."""
    terms = [count(shape.rows, "row")] if shape.rows > 1 else []
    factors = [_factor(factor) for factor in shape.factors if factor.size > 1]
    if math.prod(factor.size for factor in shape.factors) == shape.combinations:
        return terms + factors
    if shape.combinations > 1:
        terms.append(f"{count(shape.combinations, 'combination')} (of {' x '.join(factors)})")
    return terms


def _factor(factor: Factor) -> str:
    name, negative = _plain(factor.name)
    if "{" in name:
        texts = [shorten(" ".join(text.split()), _LETTERS) or "nothing" for text in factor.options[:_OPTIONS]]
        more = ", …" if factor.size > len(texts) else ""
        shown = f" ({', '.join(texts)}{more})" if texts else ""
        return f"{number(factor.size)} {negative}options{shown}"
    if re.fullmatch(r"[A-Za-z]+(?: [A-Za-z]+)*", name):
        return f"{number(factor.size)} {negative}{plural(name)}"
    return f"{number(factor.size)} {negative}values of {shorten(name, _LETTERS)}"


def _own(name: str) -> str:
    """A slot as something that an image takes."""
    name, negative = _plain(name)
    return negative + shorten(name, _LETTERS)


def _plain(name: str) -> tuple[str, str]:
    """The name of a slot as people say it; and ``negative `` if it stands in the negative prompt."""
    negative = "negative " if name.startswith("neg:") else ""
    name = re.sub(r"#\d+$", "", name.removeprefix("neg:"))
    if "{" in name:
        return name, negative
    if (wildcard := _WILDCARD.fullmatch(name)) is not None:
        if "*" in wildcard[1]:
            return name, negative
        name = wildcard[1].rpartition("/")[2]
    return re.sub(r"[_\-\s]+", " ", name.rpartition(".")[2] or name).strip() or name, negative
