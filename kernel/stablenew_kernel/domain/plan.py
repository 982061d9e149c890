"""From a pack and settings to jobs: everything random or user-dependent is decided here, once.

The dry run, the count, the preview and the queue all read the same :class:`Plan`, so they cannot differ. A
plan does not hold its jobs: job *n* is worked out when somebody asks for it, from the row and the image it
belongs to, so a plan of any length takes the memory of its pack.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from random import Random
from typing import overload

from pydantic import ValidationError

from stablenew_api.errors import PluginError, UserError
from stablenew_api.jobs import JobSpec, JsonValue, Needs, StageSpec, canonical_json
from stablenew_api.randomizer import Randomizer
from stablenew_api.shuffle import key_of, permute
from stablenew_api.stage import Phase, Stage
from stablenew_kernel.domain.packs import Pack, Problem, Row, located
from stablenew_kernel.domain.pipeline import (
    NO_GLOBAL_NEGATIVE,
    GlobalNegative,
    Pipeline,
    PlannedStage,
    Resolver,
    near,
    used_settings,
)
from stablenew_kernel.domain.presets import Layer
from stablenew_kernel.domain.profiles import NO_PROFILES, Added, Profiles
from stablenew_kernel.domain.randomizer.grammar import shorten
from stablenew_kernel.domain.randomizer.settings import parse_randomization
from stablenew_kernel.domain.randomizer.space import SpaceError
from stablenew_kernel.domain.randomizer.variants import RowVariants, Variants
from stablenew_kernel.domain.rows import parse_rows
from stablenew_kernel.domain.tokens import resolve

MAX_JOBS = 1_000_000
"""Longest plan. The queue was measured up to here; more is almost always a slip of the keyboard."""

PLAN_SEED_BITS = 53
"""A plan seed fits a double, so that any JSON reader keeps it exactly."""

FilterJobs = Callable[[Sequence[JobSpec]], Sequence[JobSpec]]
"""What the ``stablenew_filter_jobs`` hooks do together."""


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a person asks to be run."""

    pack: Pack
    preset: Mapping[str, JsonValue] | None = None
    """Sections, as :func:`~stablenew_kernel.domain.presets.parse_settings` returns them; None: no preset."""
    preset_name: str = ""
    """For error texts, and recorded with each image; e.g. ``full.json``."""
    sidecar: Mapping[str, JsonValue] | None = None
    """As ``preset``; None: the pack has no sidecar."""
    sidecar_name: str = ""
    last_run: Mapping[str, JsonValue] | None = None
    """What the last run used, as :attr:`Plan.used` was then; None: it is not asked for."""
    profiles: Profiles = NO_PROFILES
    """Of models and LoRAs."""
    global_negative: GlobalNegative = NO_GLOBAL_NEGATIVE
    rows: str = ""
    """``1-3,7``; empty: all."""
    sets: Sequence[str] = ()
    """``txt2img.steps=30``, the last one wins."""
    count: int | None = None
    """Images a row, 1 or more; None: what preset and sidecar say, 1 by default."""
    seed: int | None = None
    """-1 draws one; None: what preset and sidecar say, -1 by default."""
    run_timeout: float = 600.0
    """Seconds that a worker may spend on one image."""
    limit: int = 0
    """Only the first so many images; 0: all."""
    sample: int = 0
    """So many images drawn from the whole plan, none twice; 0: all."""
    wildcards: Sequence[Mapping[str, bytes]] = ()
    """Wildcard files, content by relative name with ``/``; the first mapping goes before the next. Those of
    preset and sidecar go before all of them."""


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """One image of a plan."""

    index: int
    """Place in the plan, from 0."""
    row: int
    """Row of the pack, from 1; 0 when it comes from none."""
    spec: JobSpec


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do, exactly."""

    name: str
    """For the run's folder and for people, e.g. ``demo``."""
    jobs: Sequence[PlannedJob]
    """In queue order. ``len``, indexing and iteration are cheap and may be repeated; each gives equal jobs."""
    line: str
    """What varies, in plain words: ``3 rows x 2 images = 6 images``."""
    warnings: tuple[str, ...]
    plan_seed: int
    """All drawn seeds follow from it; 0 when nothing was drawn (a fixed seed, a replay)."""
    filename_pattern: str = ""
    """As the settings say; empty: they don't."""
    used: Mapping[str, JsonValue] | None = None
    """Its settings, for the record of the run: see
    :func:`~stablenew_kernel.domain.pipeline.used_settings`. None for a replay, which has only a job."""


def resolver_of(request: PlanRequest, stages: Mapping[str, type[Stage]]) -> Resolver:
    """The settings of ``request``, for its plan and for whoever explains them. Raises UserError."""
    layers = [
        Layer(f"{kind} {name}".rstrip(), values)
        for kind, name, values in (
            ("preset", request.preset_name, request.preset),
            ("sidecar", request.sidecar_name, request.sidecar),
            ("last run", "", request.last_run),
        )
        if values is not None
    ]
    return Resolver(
        layers, request.sets, stages, profiles=request.profiles, global_negative=request.global_negative
    )


def plan_run(
    request: PlanRequest,
    stages: Mapping[str, type[Stage]],
    *,
    rng: Random,
    randomizers: Mapping[str, type[Randomizer]] | None = None,
    filter_jobs: FilterJobs | None = None,
) -> Plan:
    """Plan a run. Depends on its arguments alone; ``rng`` gives one number, the plan seed.

    With ``filter_jobs`` the jobs are made at once and handed over; without, they are made when asked for.
    Raises UserError for anything in the request that is wrong, PluginError when a stage plugin or a filter
    breaks its contract.
    """
    pack = request.pack
    pipeline = resolver_of(request, stages).resolve()
    numbers = parse_rows(request.rows, len(pack.rows), pack.name)
    refuse_problems(pack, numbers)
    images = pipeline.images_per_row if request.count is None else request.count
    if images < 1:
        raise UserError(f"--count {images}: must be 1 or more")
    seed = pipeline.seed if request.seed is None else request.seed
    if not -1 <= seed < 2**64:
        raise UserError(f"--seed {seed}: must be -1 (draw one) or 0 to {2**64 - 1}")
    plan_seed = rng.getrandbits(PLAN_SEED_BITS) if seed < 0 else 0
    # With a fixed seed the picks follow from it, too: the same command gives the same images.
    picks_seed = plan_seed or max(seed, 0)
    randomization = parse_randomization(pipeline.randomization, pipeline.randomization_source)
    randomization = randomization.with_files(request.wildcards)
    variants = Variants(randomization, randomizers or {}, picks_seed, pipeline.randomization_source)
    source = _Source(request, pipeline, images, seed, plan_seed, variants)
    all_jobs = _Jobs(source, tuple(pack.rows[number - 1] for number in numbers))
    places: Sequence[int] | None = None
    if request.limit and request.limit < all_jobs.total:
        places = range(request.limit)
    if request.sample and request.sample < (all_jobs.total if places is None else len(places)):
        _refuse_too_many(request.sample)
        of = all_jobs.total if places is None else len(places)
        key = key_of("sample", picks_seed)
        places = sorted(permute(index, of, key) for index in range(request.sample))
    _refuse_too_many(all_jobs.total if places is None else len(places))
    jobs: Sequence[PlannedJob] = all_jobs if places is None else _Chosen(all_jobs, places)
    line = all_jobs.line()
    if places is not None:
        line += f"; {len(places):,} of them {'drawn' if request.sample else 'from the first on'}"
    if filter_jobs is not None:
        planned = len(jobs)
        jobs = _filtered(jobs, filter_jobs)
        if len(jobs) != planned:
            line += f"; plugins made it {_count(len(jobs), 'image')}"
    warnings = (*pipeline.warnings, *source.notes(pack.rows[number - 1] for number in numbers))
    used = used_settings(pipeline, stages, count=request.count, seed=request.seed)
    return Plan(pack.title, jobs, line, warnings, plan_seed, pipeline.filename_pattern, used)


def replay_plan(
    spec_json: bytes, name: str, stages: Mapping[str, type[Stage]], *, filename_pattern: str = ""
) -> Plan:
    """The one job that ``spec_json`` (see :func:`stored_spec` of infotext) describes, unchanged.

    ``name`` is the image's file name. Raises UserError if it is no job, or names a stage that no plugin
    provides or whose settings that plugin doesn't take.
    """
    try:
        spec = JobSpec.from_json(json.loads(spec_json))
        complete = bool(spec.stages) and _has_right_types(spec) and bool(spec.canonical())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{name}: the job stored in it cannot be read ({error}); it was changed or cut"
        ) from error
    if not complete:
        raise UserError(f"{name}: the job stored in it is not complete; it was changed or cut")
    warnings = []
    for stage in spec.stages:
        plugin = stages.get(stage.name)
        if plugin is None:
            raise UserError(
                f"{name}: made with stage {stage.name!r}, which no plugin provides; {near(stage.name, stages)}"
            )
        try:
            plugin.Config.model_validate(stage.config)
        except ValidationError as error:
            raise UserError(
                f"{name}: stage {stage.name} {plugin.version} does not take the settings it was made with "
                f"(by version {stage.version}): {error.errors()[0]['msg']}"
            ) from error
        if plugin.version != stage.version:
            warnings.append(
                f"{name}: made with {stage.name} {stage.version}, this is {plugin.version}; pixels may differ"
            )
    title = name.rpartition(".")[0] or name
    job = PlannedJob(0, _row_of(spec), spec)
    return Plan(title, (job,), "1 image, as it was made", tuple(warnings), 0, filename_pattern)


def draw_seed(plan_seed: int, row: int) -> int:
    """Base seed of a row, 0 to 2**32 - 1: a pure function of its arguments, so that a row that is added or left
    out changes no other row's images. 32 bits, because that is what every backend takes."""
    digest = hashlib.sha256(f"stablenew seed {plan_seed} row {row}".encode("ascii")).digest()
    return int.from_bytes(digest[:4], "big")


def advance_seed(base: int, image: int) -> int:
    """Seed of image ``image`` (from 0) of a batch: base + image, as in A1111, inside the base's own range:
    a 32-bit base goes on at 0 after 2**32 - 1, a larger one after 2**64 - 1."""
    return (base + image) % (2**32 if base < 2**32 else 2**64)


def _refuse_too_many(jobs: int) -> None:
    if jobs > MAX_JOBS:
        raise UserError(
            f"{jobs:,} images are more than the {MAX_JOBS:,} jobs a run may have; run fewer rows or images, or "
            "have some of them drawn, for example --sample 500"
        )


def refuse_problems(pack: Pack, rows: Sequence[int]) -> None:
    """Raise UserError if one of ``rows`` (numbers from 1) cannot be run; the text names row and line."""
    wanted = set(rows)
    found: list[Problem] = [problem for problem in pack.problems if not problem.row or problem.row in wanted]
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise UserError(f"pack {pack.name}, {found[0]}{more}")


@dataclass(frozen=True, slots=True)
class _StagePlan:
    """What of a stage is the same for every job of the plan."""

    planned: PlannedStage
    config: Mapping[str, JsonValue]
    has_seed: bool
    profiles: Profiles

    def adjusted(self, positive: str) -> tuple[str, tuple[Added, ...]]:
        """The prompt with what profiles add to it, and what that is."""
        return self.profiles.adjust(positive, self.planned.profile)

    def prompts(self, positive: str, negative: str) -> tuple[str, str]:
        """The prompts of this stage from the row's, before anything in them is picked."""
        stage = self.planned.stage
        try:
            resolved = stage.resolve_prompts(self.planned.config, positive, negative)
        except Exception as error:
            raise PluginError(
                f"stage {stage.name} {stage.version}: resolve_prompts failed: {error!r}"
            ) from error
        if self.planned.negative:
            parts = (resolved[1].rstrip(", "), self.planned.negative)
            return resolved[0], ", ".join(part for part in parts if part)
        return resolved

    def spec(self, prompts: tuple[str, str], image_seed: int, image: int) -> StageSpec:
        planned = self.planned
        seed = image_seed if planned.seed < 0 else advance_seed(planned.seed, image)
        config = dict(self.config)  # a copy a job: a filter plugin that changes one must not change them all
        if self.has_seed:
            config["seed"] = seed
        return StageSpec(planned.stage.name, planned.stage.version, *prompts, seed, config)


def _stage_plan(planned: PlannedStage, profiles: Profiles) -> _StagePlan:
    stage = planned.stage
    config = planned.config.model_dump(mode="json", by_alias=False)
    for field in ("batch_size", "batch_count"):
        if stage.phase is Phase.GENERATE and field in config:
            config[field] = 1  # a batch was made into jobs of one image
    try:
        canonical_json(config)
    except (TypeError, ValueError) as error:
        raise UserError(f"stage {stage.name}: a setting that JSON cannot hold ({error})") from error
    return _StagePlan(planned, config, "seed" in config, profiles)


class _Source:
    """Makes any job of the plan from its row and image number."""

    def __init__(
        self,
        request: PlanRequest,
        pipeline: Pipeline,
        images: int,
        seed: int,
        plan_seed: int,
        variants: Variants,
    ) -> None:
        self.images = images
        """Of each combination."""
        self._pack = request.pack
        self._seed = seed
        self._plan_seed = plan_seed
        self._variants = variants
        self._run_timeout = request.run_timeout
        self._stages = tuple(_stage_plan(planned, request.profiles) for planned in pipeline.stages)
        self._profiles = request.profiles
        self._randomization = pipeline.randomization
        self._needs = Needs()
        for planned in pipeline.stages:
            try:
                self._needs |= planned.stage.needs(planned.config)
            except Exception as error:
                raise PluginError(f"stage {planned.stage.name}: needs failed: {error!r}") from error
        self._provenance: Mapping[str, JsonValue] = {
            "pack": request.pack.name,
            "pack_sha256": request.pack.sha256,
            "preset": request.preset_name,
            "sidecar": request.sidecar_name,
            "images": images,
            "plan_seed": plan_seed,
        }
        if pipeline.profile is not None:
            self._provenance = {**self._provenance, "profile": pipeline.profile.file_name}

    def notes(self, rows: Iterable[Row]) -> Iterable[str]:
        """What profiles add to prompts, for people. Read from the rows and from the values of slots; what only
        a wildcard brings in is recorded with its job."""
        found: dict[str, Added] = {}
        if self._profiles:
            values = json.dumps(self._randomization, ensure_ascii=False)
            texts = [self._profiles.adjust(values, None)]
            texts += [stage.adjusted(row.positive) for row in rows for stage in self._stages]
            for added in (one for _, all_of_it in texts for one in all_of_it):
                found[added.profile] = found.get(added.profile, added) | added
        return [str(added) for added in found.values()]

    def varied(self, row: Row) -> tuple[list[tuple[str, str]], RowVariants | None]:
        """The prompts of the row's stages; and what varies in them, if anything does.

        Raises UserError, with row, line and column, for what cannot be resolved."""
        texts = self._variants.prepare(row.positive, row.negative)
        prompts = [stage.prompts(*texts) for stage in self._stages]
        if not any(sign in text for pair in prompts for text in pair for sign in ("{", "__", "[[")):
            return [(resolve(positive), resolve(negative)) for positive, negative in prompts], None
        try:
            return prompts, self._variants.row(row.number, prompts)
        except SpaceError as error:
            raise UserError(f"pack {self._pack.name}, {self._where(row, prompts, error)}") from error

    def _where(self, row: Row, prompts: Sequence[tuple[str, str]], error: SpaceError) -> str:
        """What is wrong, with its place in the file, or else with the stage whose prompt it is."""
        at, which = divmod(error.text, 2)
        finding, text = error.finding, prompts[at][which]
        own = (row.positive, row.negative)[which]
        if text.startswith(own) and finding.at < len(own):
            return str(located(row.number, finding, row.places[which]))
        name = self._stages[at].planned.stage.name
        return (
            f"row {row.number}, line {row.line}, prompt of {name}, character {finding.at + 1}: "
            f"{finding.reason}; {finding.fix}"
        )

    def jobs(self, row: Row, places: range | None = None) -> Iterator[JobSpec]:
        """The jobs of ``row``, or those of its images at ``places``."""
        prompts, varied = self.varied(row)
        base = draw_seed(self._plan_seed, row.number) if self._seed < 0 else self._seed
        combinations = varied.combinations if varied is not None else 1
        wildcards = {"wildcards": dict(varied.wildcards)} if varied is not None and varied.wildcards else {}
        for image in range(combinations * self.images) if places is None else places:
            choices: Sequence[Mapping[str, JsonValue]] = ()
            if varied is not None:
                variant = varied.variant(image, self.images)
                prompts = list(zip(variant.texts[::2], variant.texts[1::2], strict=True))
                choices = variant.choices
            seed = advance_seed(base, image)
            added: dict[Added, None] = {}
            final = []
            for stage, (positive, negative) in zip(self._stages, prompts, strict=True):
                positive, more = stage.adjusted(positive)
                added |= dict.fromkeys(more)
                final.append((positive, negative))
            provenance = self._provenance
            if added:
                provenance = {**provenance, "added": [one.to_json() for one in added]}
            yield JobSpec(
                tuple(stage.spec(texts, seed, image) for stage, texts in zip(self._stages, final, strict=True)),
                self._needs,
                (),
                self._run_timeout,
                {
                    **provenance,
                    "row": row.number,
                    "line": row.line,
                    "template": row.template,
                    "choices": [dict(choice) for choice in choices],
                    **wildcards,
                    "image": image,
                    "base_seed": base,
                },
            )


class _Jobs(Sequence[PlannedJob]):
    """All jobs of a plan, row by row, made when asked for. ``len`` only while it is no more than MAX_JOBS."""

    def __init__(self, source: _Source, rows: tuple[Row, ...]) -> None:
        self._source = source
        self._rows = rows
        self._fanned: set[tuple[tuple[str, int], ...]] = set()
        self._drawn: dict[str, None] = {}
        counts = []
        for row in rows:
            _, varied = source.varied(row)
            counts.append(source.images * (varied.combinations if varied is not None else 1))
            self._fanned.add(varied.fanned if varied is not None else ())
            self._drawn.update(dict.fromkeys(varied.drawn if varied is not None else ()))
        self._ends = list(accumulate(counts))
        self.total = self._ends[-1] if counts else 0

    def line(self) -> str:
        """What varies, in plain words."""
        rows, images = len(self._rows), self._source.images
        factors = [_count(rows, "row")]
        combinations = self.total // images
        if combinations != rows:
            (fanned,) = self._fanned if len(self._fanned) == 1 else ((),)
            product = rows
            for _, size in fanned:
                product *= size
            if product == combinations:
                factors += [f"{size:,} {shorten(slot, _SHOWN)}" for slot, size in fanned]
            else:
                factors = [f"{combinations:,} combinations of {_count(rows, 'row')}"]
        line = f"{' x '.join([*factors, _count(images, 'image')])} = {_count(self.total, 'image')}"
        fans = {slot for fanned in self._fanned for slot, _ in fanned}
        drawn = [shorten(slot, _SHOWN) for slot in self._drawn if slot not in fans]
        if drawn:
            more = f" and {len(drawn) - _LISTED} more" if len(drawn) > _LISTED else ""
            line += f"; drawn for each image: {', '.join(drawn[:_LISTED])}{more}"
        return line

    def __len__(self) -> int:
        return self.total

    @overload
    def __getitem__(self, index: int) -> PlannedJob: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PlannedJob]: ...
    def __getitem__(self, index: int | slice) -> PlannedJob | Sequence[PlannedJob]:
        if isinstance(index, slice):
            return tuple(self.at(range(*index.indices(len(self)))))
        place = index + self.total if index < 0 else index
        if not 0 <= place < self.total:
            raise IndexError(index)
        return next(iter(self.at([place])))

    def __iter__(self) -> Iterator[PlannedJob]:
        index = 0
        for row in self._rows:
            for spec in self._source.jobs(row):
                yield PlannedJob(index, row.number, spec)
                index += 1

    def at(self, places: Iterable[int]) -> Iterator[PlannedJob]:
        """The jobs at ``places``; those of one row that follow each other by one are made together."""
        start, following = 0, 0
        for place in places:
            if following and place != start + following:
                yield from self._run(start, following)
                following = 0
            if not following:
                start = place
            following += 1
        if following:
            yield from self._run(start, following)

    def _run(self, start: int, count: int) -> Iterator[PlannedJob]:
        while count:
            at = bisect_right(self._ends, start)
            first = self._ends[at - 1] if at else 0
            here = min(count, self._ends[at] - start)
            specs = self._source.jobs(self._rows[at], range(start - first, start - first + here))
            for place, spec in enumerate(specs, start):
                yield PlannedJob(place, self._rows[at].number, spec)
            start, count = start + here, count - here


class _Chosen(Sequence[PlannedJob]):
    """Some jobs of a plan, numbered anew."""

    def __init__(self, jobs: _Jobs, places: Sequence[int]) -> None:
        self._jobs, self._places = jobs, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> PlannedJob: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PlannedJob]: ...
    def __getitem__(self, index: int | slice) -> PlannedJob | Sequence[PlannedJob]:
        if isinstance(index, slice):
            numbers = range(*index.indices(len(self)))
            found = self._jobs.at(self._places[number] for number in numbers)
            return tuple(replace(job, index=number) for number, job in zip(numbers, found, strict=True))
        number = range(len(self))[index]
        return replace(self._jobs[self._places[number]], index=number)

    def __iter__(self) -> Iterator[PlannedJob]:
        for number, job in enumerate(self._jobs.at(self._places)):
            yield replace(job, index=number)


def _filtered(jobs: Sequence[PlannedJob], filter_jobs: FilterJobs) -> Sequence[PlannedJob]:
    specs = filter_jobs([job.spec for job in jobs])
    if not isinstance(specs, Sequence) or not all(isinstance(spec, JobSpec) for spec in specs):
        raise PluginError("a filter_jobs plugin returned something else than jobs; see stablenew plugins")
    if not specs:
        raise UserError("plugins that filter jobs left none of them; see stablenew plugins")
    return tuple(PlannedJob(index, _row_of(spec), spec) for index, spec in enumerate(specs))


def _row_of(spec: JobSpec) -> int:
    row = spec.provenance.get("row", 0)
    return row if type(row) is int and row > 0 else 0


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


_LISTED = 5
_SHOWN = 20
"""Characters of a slot in the line."""


def _has_right_types(spec: JobSpec) -> bool:
    return (
        all(
            isinstance(stage.config, Mapping)
            and type(stage.seed) is int
            and 0 <= stage.seed < 2**64
            and all(
                isinstance(text, str)
                for text in (stage.name, stage.version, stage.prompt, stage.negative_prompt)
            )
            for stage in spec.stages
        )
        and isinstance(spec.needs.model, str)
        and type(spec.needs.vram_bytes) is int
        and all(isinstance(feature, str) for feature in spec.needs.features)
        and type(spec.run_timeout) in (int, float)
        and spec.run_timeout > 0
    )
