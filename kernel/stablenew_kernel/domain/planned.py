"""The jobs of a plan, each made when somebody asks for it, from the row and the image it belongs to."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, repeat
from typing import overload

from stablenew_api.errors import UserError
from stablenew_api.jobs import JobSpec, JsonValue
from stablenew_api.randomizer import Slot, Use
from stablenew_kernel.domain.packs import Pack, Row, located
from stablenew_kernel.domain.randomizer.grammar import shorten
from stablenew_kernel.domain.randomizer.space import Space, SpaceError
from stablenew_kernel.domain.randomizer.variants import Place, RowVariants, Uses, Variant, Variants
from stablenew_kernel.domain.seeds import SeedMode, advance_seed, draw_seed, seed_offset
from stablenew_kernel.domain.setups import MAX_SETUPS, Setup, Setups
from stablenew_kernel.domain.tokens import resolve

ROWS_AT_HAND = 2048
"""Compiled rows that are kept: so many are compiled once, for the count and for the jobs; those beyond, twice.
Rows in which nothing varies are quick to make and not kept."""

AT_ONCE = 256
"""Images of a row whose texts are put together at once."""

_NO_USES = Uses()
_LISTED = 5
_SHOWN = 20
"""Characters of a slot in the line."""


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """One image of a plan."""

    index: int
    """Place in the plan, from 0."""
    row: int
    """Row of the pack, from 1; 0 when it comes from none."""
    spec: JobSpec


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """What all images of a row have in common."""

    row: Row
    texts: tuple[str, str]
    """Positive and negative, before any stage."""
    prompts: list[tuple[str, str]]
    """Of each stage in the first setup; final if there are no ``variants``."""
    variants: RowVariants | None
    """None: nothing varies."""
    spaces: dict[tuple[int, ...], Space] = field(default_factory=dict)
    """By setup, those asked for."""

    @property
    def combinations(self) -> int:
        """How many different ones the row is made in."""
        return 1 if self.variants is None else self.variants.combinations


class JobMaker:
    """Makes any job of a plan from its row and image number."""

    def __init__(
        self,
        pack: Pack,
        setups: Setups,
        variants: Variants,
        *,
        images: int,
        seed: int | None,
        plan_seed: int,
        seed_mode: SeedMode,
        run_timeout: float,
        provenance: Mapping[str, JsonValue],
    ) -> None:
        self.images = images
        """Of each combination."""
        self._pack, self._setups, self._variants = pack, setups, variants
        self._seed, self._plan_seed, self._seed_mode = seed, plan_seed, seed_mode
        self._run_timeout = run_timeout
        self._provenance = provenance
        self._rows: dict[int, PlannedRow] = {}

    def row(self, place: int) -> PlannedRow:
        """The row of this place in the pack, from 0. Raises UserError, with row, line and column, for what
        cannot be resolved."""
        planned = self._rows.get(place)
        if planned is None:
            planned = self._compile(place)
            if planned.variants is not None and len(self._rows) < ROWS_AT_HAND:
                self._rows[place] = planned
        return planned

    def _compile(self, place: int) -> PlannedRow:
        row = self._pack.rows[place]
        setup = self._setups.base
        texts = self._variants.prepare(row.positive, row.negative)
        prompts = setup.prompts(*texts)
        varies = any(sign in text for pair in prompts for text in pair for sign in ("{", "__", "[["))
        if not varies and not self._variants.axes:
            final = [(resolve(positive), resolve(negative)) for positive, negative in prompts]
            return PlannedRow(row, texts, final, None)
        space = self._space(row, setup, prompts)
        planned = PlannedRow(row, texts, prompts, self._variants.row(row.number, space), {setup.key: space})
        for other in self._setups.with_other_prompts:
            self._space_of(planned, other)
        return planned

    def _space(self, row: Row, setup: Setup, prompts: Sequence[tuple[str, str]]) -> Space:
        try:
            return self._variants.space(prompts)
        except SpaceError as error:
            raise UserError(f"pack {self._pack.name}, {_where(row, setup, prompts, error)}") from error

    def _space_of(self, planned: PlannedRow, setup: Setup) -> Space:
        """The space of the row's prompts in ``setup``: the one of the first setup, unless an axis changes what
        a stage makes of the texts."""
        space = planned.spaces.get(setup.key)
        if space is None:
            first = planned.spaces[self._setups.base.key]
            prompts = setup.prompts(*planned.texts)
            space = first if prompts == planned.prompts else self._space(planned.row, setup, prompts)
            if space is not first and _sizes(space) != _sizes(first):
                raise UserError(
                    f"{self._setups.describe(setup)}: changes which slots the prompt of row "
                    f"{planned.row.number} has; write the slots into the row, or into all values"
                )
            if len(planned.spaces) < MAX_SETUPS:
                planned.spaces[setup.key] = space
        return space

    def specs(
        self, planned: PlannedRow, images: Sequence[int], ranks: Sequence[int], uses: Uses
    ) -> Iterator[JobSpec]:
        """The jobs of these images of a row, as :meth:`spec` has them; their texts are put together at once."""
        varied = planned.variants
        if varied is None or varied.kept or len(images) == 1:
            for image, rank in zip(images, ranks, strict=True):
                yield self.spec(planned, image, rank, uses)
            return
        columns = varied.columns(images, self.images)
        texts: Iterable[Sequence[str] | None] = repeat(None, len(images))
        if not self._variants.axes:
            texts = planned.spaces[self._setups.base.key].columns(columns, len(images))
        variants = varied.many(images, self.images, columns)
        for image, rank, variant, made in zip(images, ranks, variants, texts, strict=True):
            yield self.spec(planned, image, rank, uses, variant, made)

    def spec(
        self,
        planned: PlannedRow,
        image: int,
        rank: int,
        uses: Uses,
        variant: Variant | None = None,
        made: Sequence[str] | None = None,
    ) -> JobSpec:
        """The job of image ``image`` (from 0) of a row; ``rank`` images of the row are made before it.
        ``variant`` and ``made``: what is known of it already, its picks and its texts."""
        row, setup, prompts = planned.row, self._setups.base, planned.prompts
        choices: Sequence[Mapping[str, JsonValue]] = ()
        wildcards: Mapping[str, JsonValue] = {}
        if planned.variants is not None:
            variant = variant or planned.variants.variant(image, self.images, rank, uses)
            setup = self._setups.of(variant.picks)
            space = self._space_of(planned, setup)
            texts = list(made) if made is not None else space.texts(variant.picks)
            if self._variants.adds_tags:  # one that is "none" leaves the space before it
                texts = [text.rstrip() for text in texts]
            prompts = list(zip(texts[::2], texts[1::2], strict=True))
            choices = variant.choices
            if space.wildcards:
                wildcards = {"wildcards": dict(space.wildcards)}
        base = setup.seed if self._seed is None else self._seed
        if base < 0:
            base = draw_seed(self._plan_seed, 0 if self._seed_mode == "fixed" else row.number)
        offset = seed_offset(self._seed_mode, image, self.images)
        seed = advance_seed(base, offset)
        return JobSpec(
            tuple(stage.spec(texts, seed, offset) for stage, texts in zip(setup.stages, prompts, strict=True)),
            setup.needs,
            (),
            self._run_timeout,
            {
                **self._provenance,
                "row": row.number,
                "line": row.line,
                "template": row.template,
                "choices": [dict(choice) for choice in choices],
                **wildcards,
                "image": image,
                "base_seed": base,
                "seed_mode": self._seed_mode,
            },
        )


def _sizes(space: Space) -> dict[str, int]:
    return {slot.id: slot.part.size for slot in space.slots}


def _where(row: Row, setup: Setup, prompts: Sequence[tuple[str, str]], error: SpaceError) -> str:
    """What is wrong, with its place in the file, or else with the stage whose prompt it is."""
    at, which = divmod(error.text, 2)
    finding, text = error.finding, prompts[at][which]
    own = (row.positive, row.negative)[which]
    if text.startswith(own) and finding.at < len(own):
        return str(located(row.number, finding, row.places[which]))
    name = setup.stages[at].planned.stage.name
    return (
        f"row {row.number}, line {row.line}, prompt of {name}, character {finding.at + 1}: "
        f"{finding.reason}; {finding.fix}"
    )


class Count:
    """How many images the rows of a plan have together, and what varies in them. Costs O(slots) a row."""

    def __init__(self, maker: JobMaker, rows: Sequence[int]) -> None:
        """``rows`` are places in the pack, from 0."""
        self.rows = rows
        self.images = maker.images
        self.kept: list[tuple[Place, ...]] = []
        """Of each row: the slots of which something is remembered."""
        self.slots: dict[Place, Slot] = {}
        """The same slots, of all rows."""
        self.sames = False
        """Whether some row has several images of a combination and nothing in it varies between them."""
        self._fanned: set[tuple[tuple[str, int], ...]] = set()
        self._drawn: dict[str, None] = {}
        self._walked: dict[str, None] = {}
        counts = []
        for place in rows:
            planned = maker.row(place)
            counts.append(maker.images * planned.combinations)
            variants = planned.variants
            self._fanned.add(variants.fanned if variants is not None else ())
            drawn = variants.drawn if variants is not None else ()
            self._drawn.update(dict.fromkeys(drawn))
            self._walked.update(dict.fromkeys(variants.walked if variants is not None else ()))
            self.sames = self.sames or (maker.images > 1 and not drawn)
            kept = variants.kept if variants is not None else ()
            self.kept.append(tuple(place for place, _ in kept))
            self.slots.update(kept)
        self.ends = list(accumulate(counts))
        """Where the images of each row end, in the whole plan."""
        self.total = self.ends[-1] if counts else 0

    def line(self) -> str:
        """What varies, in plain words."""
        rows = len(self.rows)
        factors = [count_of(rows, "row")]
        combinations = self.total // self.images
        if combinations != rows:
            (fanned,) = self._fanned if len(self._fanned) == 1 else ((),)
            product = rows
            for _, size in fanned:
                product *= size
            if product == combinations:
                factors += [f"{size:,} {shorten(slot, _SHOWN)}" for slot, size in fanned if size > 1]
            else:
                factors = [f"{combinations:,} combinations of {count_of(rows, 'row')}"]
        line = f"{' x '.join([*factors, count_of(self.images, 'image')])} = {count_of(self.total, 'image')}"
        fans = {slot for fanned in self._fanned for slot, _ in fanned}
        drawn = [slot for slot in self._drawn if slot not in fans and slot not in self._walked]
        walked = [slot for slot in self._walked if slot in self._drawn and slot not in fans]
        for how, slots in (("drawn for each image", drawn), ("taken in turn", walked)):
            if slots:
                more = f" and {len(slots) - _LISTED} more" if len(slots) > _LISTED else ""
                line += f"; {how}: {', '.join(shorten(slot, _SHOWN) for slot in slots[:_LISTED])}{more}"
        return line


class Jobs(Sequence[PlannedJob]):
    """The chosen images of a plan, row by row."""

    def __init__(self, maker: JobMaker, count: Count, places: Sequence[int]) -> None:
        """``places`` are numbers of images in the whole plan, in order."""
        self._maker, self._count, self._places = maker, count, places
        self._starts = [bisect_left(places, end) for end in (0, *count.ends)]
        """How many of the chosen images come before each row."""
        self.used: dict[Place, Use] = {}
        """How often the chosen images use each slot of which something is remembered."""
        self._uses: dict[int, Uses] = {}
        for at, kept in enumerate(count.kept):
            images = self._starts[at + 1] - self._starts[at]
            if not kept or not images:
                continue
            before = tuple(self.used.get(place, Use()) for place in kept)
            self._uses[at] = Uses(before)
            for place, use in zip(kept, before, strict=True):
                self.used[place] = Use(use.rows + 1, use.images + images)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> PlannedJob: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PlannedJob]: ...
    def __getitem__(self, index: int | slice) -> PlannedJob | Sequence[PlannedJob]:
        if isinstance(index, slice):
            return tuple(self._make(range(*index.indices(len(self)))))
        return next(self._make((range(len(self))[index],)))

    def __iter__(self) -> Iterator[PlannedJob]:
        return self._make(range(len(self)))

    def _make(self, numbers: Iterable[int]) -> Iterator[PlannedJob]:
        for at, some in self._by_row(numbers):
            first = self._count.ends[at - 1] if at else 0
            planned, uses = self._maker.row(self._count.rows[at]), self._uses.get(at, _NO_USES)
            images: Sequence[int] = [self._places[number] - first for number in some]
            if images[-1] - images[0] == len(images) - 1 == some[-1] - some[0]:
                images = range(images[0], images[-1] + 1)
            ranks = [number - self._starts[at] for number in some]
            for number, spec in zip(some, self._maker.specs(planned, images, ranks, uses), strict=True):
                yield PlannedJob(number, planned.row.number, spec)

    def _by_row(self, numbers: Iterable[int]) -> Iterator[tuple[int, list[int]]]:
        """``numbers``, with the row (by its place in the count) that each some of them belong to."""
        some: list[int] = []
        at, first, end = 0, 0, 0
        for number in numbers:
            place = self._places[number]
            if some and (not first <= place < end or len(some) == AT_ONCE):
                yield at, some
                some = []
            if not first <= place < end:
                at = bisect_right(self._count.ends, place)
                first, end = (self._count.ends[at - 1] if at else 0), self._count.ends[at]
            some.append(number)
        if some:
            yield at, some


def count_of(number: int, thing: str) -> str:
    """``1 image``, ``2,000 images``."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
