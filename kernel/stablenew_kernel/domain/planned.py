"""The jobs of a plan, each made when somebody asks for it, from the row and the image it belongs to."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import overload

from stablenew_api.errors import UserError
from stablenew_api.jobs import JobSpec, JsonValue
from stablenew_api.randomizer import Slot, Use
from stablenew_kernel.domain.packs import Pack, Problem, Row, located
from stablenew_kernel.domain.randomizer.grammar import has_grammar
from stablenew_kernel.domain.randomizer.space import Space, SpaceError
from stablenew_kernel.domain.randomizer.variants import Place, RowVariants, Uses, Variant, Variants
from stablenew_kernel.domain.seeds import SeedMode, advance_seed, draw_seed, seed_offset
from stablenew_kernel.domain.setups import MAX_SETUPS, Setup, Setups
from stablenew_kernel.domain.summary import Factor, Shape, what_varies
from stablenew_kernel.domain.tokens import unescape

ROWS_AT_HAND = 2048
"""Compiled rows that are kept: so many are compiled once, for the count and for the jobs; those beyond, twice.
Rows in which nothing varies are quick to make and not kept."""

AT_ONCE = 256
"""Images of a row whose texts are put together at once."""

_NO_USES = Uses()


class RowError(UserError):
    """A row that cannot be run."""

    def __init__(self, pack: str, problem: Problem) -> None:
        super().__init__(f"pack {pack}, {problem}")
        self.problem = problem


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
        self.seed_mode = seed_mode
        self._pack, self._setups, self._variants = pack, setups, variants
        self._seed, self._plan_seed = seed, plan_seed
        self._run_timeout = run_timeout
        self._provenance = provenance
        self._rows: dict[int, PlannedRow] = {}
        self._latest: tuple[int, PlannedRow] | None = None
        """For whoever looks at a row behind somebody else, in a pack of more rows than are kept."""

    def row(self, place: int) -> PlannedRow:
        """The row of this place in the pack, from 0. Raises RowError for what cannot be resolved, another
        UserError for what no row could have."""
        planned = self._rows.get(place)
        if planned is not None:
            return planned
        latest = self._latest
        if latest is not None and latest[0] == place:
            return latest[1]
        planned = self._compile(place)
        if planned.variants is not None and len(self._rows) < ROWS_AT_HAND:
            self._rows[place] = planned
        else:
            self._latest = place, planned
        return planned

    def varies(self, place: int) -> bool:
        """Whether anything in the row of this place has to be resolved. If not, nothing in it can be wrong."""
        return bool(self._variants.axes) or _any_grammar(self._prompts(self._pack.rows[place])[1])

    def prompt(self, row: Row) -> str:
        """The row's positive prompt as stages get it, before anything in it is resolved."""
        return self._variants.prepare(row.positive, row.negative)[0]

    def _prompts(self, row: Row) -> tuple[tuple[str, str], list[tuple[str, str]]]:
        """The row's texts, and what the stages of the first setup make of them."""
        texts = self._variants.prepare(row.positive, row.negative)
        return texts, self._setups.base.prompts(*texts)

    def _compile(self, place: int) -> PlannedRow:
        row = self._pack.rows[place]
        setup = self._setups.base
        texts, prompts = self._prompts(row)
        if not self._variants.axes and not _any_grammar(prompts):
            final = [(unescape(positive), unescape(negative)) for positive, negative in prompts]
            return PlannedRow(row, texts, final, None)
        space = self._space(row, setup, prompts)
        planned = PlannedRow(row, texts, prompts, self._variants.row(row.number, space), {setup.key: space})
        for other in self._setups.with_other_prompts:
            self._space_of(planned, other)
        return planned

    def _space(self, row: Row, setup: Setup, prompts: Sequence[tuple[str, str]]) -> Space:
        try:
            space = self._variants.space(prompts)
            space.finish = unescape  # what tags name is read, and they are made bare, when a job is made
            return space
        except SpaceError as error:
            raise RowError(self._pack.name, _problem(row, setup, prompts, error)) from error

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
        prompts, added = setup.adjusted(prompts)
        prompts, needs = setup.named(prompts)
        base = setup.seed if self._seed is None else self._seed
        if base < 0:
            base = draw_seed(self._plan_seed, 0 if self.seed_mode == "fixed" else row.number)
        offset = seed_offset(self.seed_mode, image, self.images)
        seed = advance_seed(base, offset)
        return JobSpec(
            tuple(stage.spec(texts, seed, offset) for stage, texts in zip(setup.stages, prompts, strict=True)),
            needs,
            (),
            self._run_timeout,
            {
                **self._provenance,
                **({"profile": setup.profile.file_name} if setup.profile is not None else {}),
                **({"added": [one.to_json() for one in added]} if added else {}),
                "row": row.number,
                "line": row.line,
                "template": row.template,
                "choices": [dict(choice) for choice in choices],
                **wildcards,
                "image": image,
                "base_seed": base,
                "seed_mode": self.seed_mode,
            },
        )


def _sizes(space: Space) -> dict[str, int]:
    return {slot.id: slot.part.size for slot in space.slots}


def _any_grammar(prompts: Iterable[tuple[str, str]]) -> bool:
    return any(has_grammar(positive) or has_grammar(negative) for positive, negative in prompts)


def _problem(row: Row, setup: Setup, prompts: Sequence[tuple[str, str]], error: SpaceError) -> Problem:
    """What is wrong, with its place in the file, or else with the stage whose prompt it is."""
    at, which = divmod(error.text, 2)
    finding, text = error.finding, prompts[at][which]
    own = (row.positive, row.negative)[which]
    if text.startswith(own) and finding.at < len(own):
        return located(row.number, finding, row.places[which])
    name = setup.stages[at].planned.stage.name
    reason = f"prompt of {name}, character {finding.at + 1}: {finding.reason}"
    return Problem(row.line, 1, reason, finding.fix, row.number)


class Count:
    """How many images the rows of a plan have together, and what varies in them. Costs O(slots) a row."""

    def __init__(self, maker: JobMaker, rows: Sequence[int]) -> None:
        """``rows`` are places in the pack, from 0."""
        self._maker = maker
        self.rows: list[int] = []
        self.images = maker.images
        self.kept: list[tuple[Place, ...]] = []
        """Of each row: the slots of which something is remembered."""
        self.slots: dict[Place, Slot] = {}
        """The same slots, of all rows."""
        self.sames = False
        """Whether some row has several images of a combination and nothing in it varies between them."""
        self._shapes: dict[tuple[tuple[Factor, ...], int], int] = {}
        """Rows by what multiplies them, and by how many combinations that makes."""
        self._repeat = "image" if maker.seed_mode == "fixed" else "seed"
        self._drawn: dict[str, None] = {}
        self._walked: dict[str, None] = {}
        self.ends: list[int] = []
        """Where the images of each row end, in the whole plan."""
        self.total = 0
        for place in rows:
            self.add(place)

    def add(self, place: int) -> None:
        """One row more. Raises as :meth:`JobMaker.row`; then nothing has changed."""
        maker = self._maker
        planned = maker.row(place)
        self.rows.append(place)
        self.total += maker.images * planned.combinations
        self.ends.append(self.total)
        variants = planned.variants
        shape = variants.fanned if variants is not None else (), planned.combinations
        self._shapes[shape] = self._shapes.get(shape, 0) + 1
        drawn = variants.drawn if variants is not None else ()
        self._drawn.update(dict.fromkeys(drawn))
        self._walked.update(dict.fromkeys(variants.walked if variants is not None else ()))
        self.sames = self.sames or (maker.images > 1 and not drawn)
        kept = variants.kept if variants is not None else ()
        self.kept.append(tuple(place for place, _ in kept))
        self.slots.update(kept)

    def line(self) -> str:
        """What varies, in plain words."""
        shapes = [Shape(rows, factors, size) for (factors, size), rows in self._shapes.items()]
        fans = {factor.name for shape in shapes for factor in shape.factors}
        drawn = [slot for slot in self._drawn if slot not in fans and slot not in self._walked]
        walked = [slot for slot in self._walked if slot in self._drawn and slot not in fans]
        return what_varies(shapes, self.images, drawn, walked, repeat=self._repeat)


class Jobs(Sequence[PlannedJob]):
    """The chosen images of a plan, row by row."""

    def __init__(self, maker: JobMaker, count: Count, total: int, chosen: Sequence[int] | None = None) -> None:
        """The first ``total`` images of the whole plan; or those with the numbers ``chosen``, in order."""
        self._maker, self._count, self._chosen = maker, count, chosen
        self.total = total
        """How many, exactly: ``len`` fails when it is too large."""
        self._starts = [
            min(end, total) if chosen is None else bisect_left(chosen, end) for end in (0, *count.ends)
        ]
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
        return self.total

    @overload
    def __getitem__(self, index: int) -> PlannedJob: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PlannedJob]: ...
    def __getitem__(self, index: int | slice) -> PlannedJob | Sequence[PlannedJob]:
        if isinstance(index, slice):
            return tuple(self._make(range(*index.indices(self.total))))
        return next(self._make((range(self.total)[index],)))

    def __iter__(self) -> Iterator[PlannedJob]:
        return self._make(range(self.total))

    def _make(self, numbers: Iterable[int]) -> Iterator[PlannedJob]:
        for at, some in self._by_row(numbers):
            first = self._count.ends[at - 1] if at else 0
            planned, uses = self._maker.row(self._count.rows[at]), self._uses.get(at, _NO_USES)
            images: Sequence[int] = [self._place(number) - first for number in some]
            if images[-1] - images[0] == len(images) - 1 == some[-1] - some[0]:
                images = range(images[0], images[-1] + 1)
            ranks = [number - self._starts[at] for number in some]
            for number, spec in zip(some, self._maker.specs(planned, images, ranks, uses), strict=True):
                yield PlannedJob(number, planned.row.number, spec)

    def _place(self, number: int) -> int:
        """Where image ``number`` stands in the whole plan."""
        return number if self._chosen is None else self._chosen[number]

    def _by_row(self, numbers: Iterable[int]) -> Iterator[tuple[int, list[int]]]:
        """``numbers``, with the row (by its place in the count) that each some of them belong to."""
        some: list[int] = []
        at, first, end = 0, 0, 0
        for number in numbers:
            place = self._place(number)
            if some and (not first <= place < end or len(some) == AT_ONCE):
                yield at, some
                some = []
            if not first <= place < end:
                at = bisect_right(self._count.ends, place)
                first, end = (self._count.ends[at - 1] if at else 0), self._count.ends[at]
            some.append(number)
        if some:
            yield at, some


def row_of(spec: JobSpec) -> int:
    """The row that a job was made from, from 1; 0: none."""
    row = spec.provenance.get("row", 0)
    return row if type(row) is int and row > 0 else 0
