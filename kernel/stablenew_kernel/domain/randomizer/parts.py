"""What a piece of a prompt can become: counted without being walked, any text of it rendered by its number."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from random import Random

from stablenew_kernel.domain.randomizer.grammar import clean_path

MAX_BITS = 4096
"""Binary digits of the largest count. Python prints numbers of up to 4,300 decimal digits, and nobody makes
10**1233 images."""

MAX_LENGTH = 1_000_000
"""Characters that a text may become: wildcards that name wildcards grow without bound."""

MAX_LEVELS = 60
"""Choices, wildcards and variables inside each other, across files."""

_MANY = 2_000_000
"""Steps to count the ways of picking some of several unlike options; about half a second."""

_ELLIPSIS = re.compile("[\u1801\u2026\u22ee\u22ef\u22f0\u22f1\ufe19]+|\\.{3,}")
"""Where the inner text of a wrap goes; the marks are those of dynamic prompts."""


class Wrong(Exception):
    """Something that a definition names is wrong."""

    def __init__(self, reason: str, fix: str, placed: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix
        self.placed = placed
        """Whether ``reason`` says where."""


def too_many() -> Wrong:
    """Of a size with more than :data:`MAX_BITS`."""
    return Wrong("more than 10^1233 texts, too many to count", "use fewer choices in it")


class Part(ABC):
    """A piece of text that can become ``size`` texts, numbered from 0."""

    size: int
    longest: int
    """Characters that none of its texts has more of."""
    height: int = 0
    """Parts inside each other."""
    marked: bool = False
    """Whether a text of it may hold a tag or an escape."""
    weighted: bool = False

    @abstractmethod
    def render(self, index: int, slots: Mapping[str, str]) -> str:
        """Text ``index``; ``slots`` has what matrix slots and fixed variables in it became."""

    def sample(self, rng: Random) -> int:
        """Draw a number by the weights inside."""
        return rng.randrange(self.size)

    def options(self) -> tuple[Sequence[Part], Sequence[float]]:
        """What it is one of, with weights."""
        return [self], [1.0]

    def _over(self, parts: Sequence[Part], size: int, longest: int) -> None:
        """Set what follows from ``parts``, and check that it stays within bounds."""
        self.size, self.longest = size, longest
        self.height = 1 + max((part.height for part in parts), default=0)
        self.marked = any(part.marked for part in parts)
        if size.bit_length() > MAX_BITS:
            raise too_many()
        if longest > MAX_LENGTH:
            raise Wrong(
                f"a text that can become longer than {MAX_LENGTH:,} characters", "name fewer wildcards in it"
            )
        if self.height > MAX_LEVELS:
            raise Wrong(f"choices and wildcards inside each other, more than {MAX_LEVELS}", "use fewer levels")


class Text(Part):
    size = 1

    def __init__(self, text: str) -> None:
        self._text = text
        self.longest = len(text)
        self.marked = "<" in text or "\\" in text

    def render(self, index: int, slots: Mapping[str, str]) -> str:
        return self._text


class Texts(Part):
    """One of several plain texts that weigh the same."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self.size = len(texts)
        self.longest = max(map(len, texts))
        self.marked = any("<" in text or "\\" in text for text in texts)

    def render(self, index: int, slots: Mapping[str, str]) -> str:
        return self._texts[index]

    def options(self) -> tuple[Sequence[Part], Sequence[float]]:
        return [Text(text) for text in self._texts], [1.0] * self.size


class SlotText(Part):
    """A matrix slot or fixed variable inside something else: it takes the value that this has everywhere, and
    varies with nothing else."""

    size = 1

    def __init__(self, slot: str, of: Part) -> None:
        self.slot = slot
        self._over([of], 1, of.longest)

    def render(self, index: int, slots: Mapping[str, str]) -> str:
        return slots[self.slot]


class Row(Part):
    """Parts one after the other; the last one varies fastest."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        size = 1
        for part in parts:
            size *= part.size
            if size.bit_length() > MAX_BITS:
                break
        self._over(parts, size, sum(part.longest for part in parts))
        self.weighted = any(part.weighted for part in parts)

    def render(self, index: int, slots: Mapping[str, str]) -> str:
        texts = []
        for part in reversed(self._parts):
            index, own = divmod(index, part.size)
            texts.append(part.render(own, slots))
        return "".join(reversed(texts))

    def sample(self, rng: Random) -> int:
        index = 0
        for part in self._parts:
            index = index * part.size + part.sample(rng)
        return index


class Wrapped(Row):
    """The second of two parts in the place of the first one's ellipsis."""

    def render(self, index: int, slots: Mapping[str, str]) -> str:
        wrapper, inner = self._parts
        around, own = divmod(index, inner.size)
        return wrap(wrapper.render(around, slots), inner.render(own, slots))


class Let(Row):
    """The last part, with the others as fixed variables in it."""

    def __init__(self, names: Sequence[str], parts: Sequence[Part]) -> None:
        super().__init__(parts)
        self._names = names
        self.longest = parts[-1].longest

    def render(self, index: int, slots: Mapping[str, str]) -> str:
        index, own = divmod(index, self._parts[-1].size)
        drawn = dict(slots)
        numbers = []
        for part in reversed(self._parts[:-1]):
            index, number = divmod(index, part.size)
            numbers.append(number)
        for name, part, number in zip(self._names, self._parts, reversed(numbers), strict=False):
            drawn[name] = part.render(number, drawn)
        return self._parts[-1].render(own, drawn)


class OneOf(Part):
    """One of several parts, by weight."""

    def __init__(self, parts: Sequence[Part], weights: Sequence[float]) -> None:
        self._parts, self._weights = parts, weights
        self._ends = list(accumulate(part.size for part in parts))
        self._over(parts, self._ends[-1], max(part.longest for part in parts))
        # Uneven also when one option holds more variants than another: each option is as likely as its weight.
        uneven = len(set(weights)) > 1 or len({part.size for part in parts}) > 1
        self.weighted = uneven or any(part.weighted for part in parts)
        self._cumulated = list(accumulate(weights))

    def render(self, index: int, slots: Mapping[str, str]) -> str:
        which = bisect_right(self._ends, index)
        part = self._parts[which]
        return part.render(index - self._ends[which] + part.size, slots)

    def sample(self, rng: Random) -> int:
        (which,) = rng.choices(range(len(self._parts)), cum_weights=self._cumulated)
        part = self._parts[which]
        return self._ends[which] - part.size + part.sample(rng)

    def options(self) -> tuple[Sequence[Part], Sequence[float]]:
        return self._parts, self._weights


class Named(OneOf):
    """A wildcard whose name holds choices: each name they make is an option, as likely as they say."""

    def __init__(self, parts: Sequence[Part], name: Part) -> None:
        super().__init__(parts, [1.0] * len(parts))
        self._name = name
        self.weighted = self.weighted or name.weighted

    def sample(self, rng: Random) -> int:
        which = self._name.sample(rng)
        part = self._parts[which]
        return self._ends[which] - part.size + part.sample(rng)


class SomeOf(Part):
    """``low`` to ``high`` of several parts, in any order, none twice: all of the shorter ones first, then as
    ``itertools.permutations`` has them, each with all that its parts can become.

    Ordered selections of k options, each in all its variants, number k! times the k-th elementary symmetric
    polynomial of the options' sizes. An option is taken out of these sums by division, so nothing is counted
    anew while an index is taken apart."""

    def __init__(
        self, parts: Sequence[Part], weights: Sequence[float], low: int, high: int, separator: str
    ) -> None:
        self._parts, self._weights, self._separator = parts, weights, separator
        self._low, self._high = low, high
        sizes = [part.size for part in parts]
        self._even = len(set(sizes)) == 1
        lengths = sorted((part.longest for part in parts), reverse=True)
        longest = sum(lengths[:high]) + len(separator) * max(0, high - 1)
        if self._even:
            size = sizes[0]
            if math.lgamma(len(parts) + 1) - math.lgamma(len(parts) - high + 1) > MAX_BITS * math.log(2):
                size = 1 << MAX_BITS  # perm() itself would take long: _over refuses
            ways = (
                [math.perm(len(parts), count) * size**count for count in range(low, high + 1)]
                if size < (1 << MAX_BITS)
                else [size]
            )
            self._sums: list[int] = []
        else:
            if len(parts) * high + len(set(sizes)) * high * high > _MANY:
                raise Wrong(
                    f"{high:,} of {len(parts):,} options that hold different numbers of choices take too long "
                    "to count",
                    "ask for fewer, or make a wildcard of their inner choices",
                )
            self._sums = _sums(sizes, high)
            ways = [self._sums[count] * math.factorial(count) for count in range(low, high + 1)]
        self._ends = list(accumulate(ways))
        self._over(parts, self._ends[-1], longest)
        self.weighted = low < high or any(part.weighted for part in parts) or len(set(weights)) > 1

    def _rest(self, sums: Sequence[int], options: Sequence[int], left: int) -> Callable[[int], int]:
        """How many ways the last ``left`` picks have when an option of a given size has been picked before."""
        if self._even:
            size = self._parts[0].size
            every = math.perm(len(options) - 1, left) * size**left
            return lambda _: every
        times = math.factorial(left)
        known: dict[int, int] = {}

        def ways(size: int) -> int:
            if size not in known:
                known[size] = _without(sums, size, left)[left] * times
            return known[size]

        return ways

    def render(self, index: int, slots: Mapping[str, str]) -> str:
        block = bisect_right(self._ends, index)
        left = self._low + block
        index -= self._ends[block - 1] if block else 0
        options = list(range(len(self._parts)))
        sums: Sequence[int] = self._sums
        chosen: list[Part] = []
        inner = 1  # what the chosen ones can become
        while left:
            left -= 1
            ways = self._rest(sums, options, left)
            if self._even:
                size = self._parts[0].size
                place, index = divmod(index, inner * size * ways(size))
            else:
                for place, option in enumerate(options):  # noqa: B007 the place is what we look for
                    size = self._parts[option].size
                    width = inner * size * ways(size)
                    if index < width:
                        break
                    index -= width
            chosen.append(self._parts[options.pop(place)])
            inner *= size
            if not self._even:
                sums = _without(sums, size, left)
        texts = []
        for part in reversed(chosen):
            index, own = divmod(index, part.size)
            texts.append(part.render(own, slots))
        return self._join(texts[::-1])

    def _join(self, texts: Sequence[str]) -> str:
        """With the separator between; an empty text at an end brings none, as in dynamic prompts."""
        if len(texts) < 2 or not self._separator:
            return "".join(texts)
        return self._separator.join(texts).removeprefix(self._separator).removesuffix(self._separator)

    def sample(self, rng: Random) -> int:
        left = rng.randint(self._low, self._high)
        index = self._ends[left - self._low - 1] if left > self._low else 0
        options = list(range(len(self._parts)))
        sums: Sequence[int] = self._sums
        inner, digits = 1, 0
        while left:
            left -= 1
            weights = [self._weights[option] for option in options]
            (place,) = rng.choices(range(len(options)), weights if any(weights) else None)
            ways = self._rest(sums, options, left)
            if self._even:
                size = self._parts[0].size
                index += place * inner * size * ways(size)
            else:
                before = (self._parts[option].size for option in options[:place])
                index += sum(inner * size * ways(size) for size in before)
            part = self._parts[options.pop(place)]
            inner *= part.size
            digits = digits * part.size + part.sample(rng)
            if not self._even:
                sums = _without(sums, part.size, left)
        return index + digits


def _sums(sizes: Iterable[int], highest: int) -> list[int]:
    """The elementary symmetric polynomials of ``sizes``, from the zeroth to that of degree ``highest``."""
    sums = [1] + [0] * highest
    for size in sizes:
        for degree in range(highest, 0, -1):
            sums[degree] += sums[degree - 1] * size
    return sums


def _without(sums: Sequence[int], size: int, highest: int) -> list[int]:
    """``sums`` up to degree ``highest`` with one ``size`` less."""
    left = [1]
    for degree in range(1, highest + 1):
        left.append(sums[degree] - size * left[-1])
    return left


class ByName(Part):
    """A wildcard whose name holds fixed variables: which of the lists it is follows from these.

    Its numbers stand for a place in each list: the same place where no value weighs more than another, so a
    fanout goes through lists of one length once."""

    def __init__(self, name: Part, lists: Mapping[str, Part]) -> None:
        self._name, self._lists = name, lists
        parts = list(lists.values())
        self.weighted = any(part.weighted for part in parts)
        size = math.prod(part.size for part in parts) if self.weighted else math.lcm(*(p.size for p in parts))
        self._over([name, *parts], size, max(part.longest for part in parts))

    def render(self, index: int, slots: Mapping[str, str]) -> str:
        chosen = clean_path(self._name.render(0, slots))
        if chosen not in self._lists:  # a label, in which variables stay names
            return f"__{chosen}__"
        if not self.weighted:
            part = self._lists[chosen]
            return part.render(index % part.size, slots)
        for name, part in self._lists.items():
            index, own = divmod(index, part.size)
            if name == chosen:
                return part.render(own, slots)
        raise AssertionError(f"{chosen} is none of {list(self._lists)}")

    def sample(self, rng: Random) -> int:
        index = 0
        for part in reversed(list(self._lists.values())):
            index = index * part.size + part.sample(rng)
        return index


def wrap(wrapper: str, inner: str) -> str:
    """``inner`` in the place of the first ellipsis of ``wrapper``; at its end if it has none."""
    mark = _ELLIPSIS.search(wrapper)
    if mark is None:
        return wrapper + inner
    return wrapper[: mark.start()] + inner + wrapper[mark.end() :]
