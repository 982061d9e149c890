"""From a pack and settings to jobs: everything random or user-dependent is decided here, once.

The dry run, the count, the preview and the queue all read the same :class:`Plan`, so they cannot differ. A
plan does not hold its jobs: job *n* is worked out when somebody asks for it, from the row and the image it
belongs to, so a plan of any length takes the memory of its pack.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from stablenew_api.errors import PluginError, UserError
from stablenew_api.jobs import JobSpec, JsonValue
from stablenew_api.randomizer import Randomizer
from stablenew_api.shuffle import key_of, permute
from stablenew_api.stage import Stage
from stablenew_kernel.domain.packs import Pack, Problem, Row
from stablenew_kernel.domain.pipeline import (
    NO_GLOBAL_NEGATIVE,
    GlobalNegative,
    Pipeline,
    Resolver,
    used_settings,
)
from stablenew_kernel.domain.planned import Count, JobMaker, Jobs, PlannedJob, row_of
from stablenew_kernel.domain.presets import Layer
from stablenew_kernel.domain.profiles import NO_PROFILES, Added, Profiles
from stablenew_kernel.domain.randomizer.axes import Axes, plan_axes
from stablenew_kernel.domain.randomizer.settings import parse_axis, parse_randomization
from stablenew_kernel.domain.randomizer.variants import Place, Variants
from stablenew_kernel.domain.rows import parse_rows
from stablenew_kernel.domain.saving import AS_MADE, SavedAs
from stablenew_kernel.domain.seeds import advance_seed, draw_seed
from stablenew_kernel.domain.setups import Setups
from stablenew_kernel.domain.summary import count as count_of
from stablenew_kernel.domain.summary import what_part

__all__ = [
    "MAX_JOBS",
    "FilterJobs",
    "Plan",
    "PlanMemory",
    "PlanRequest",
    "PlannedJob",
    "Prepared",
    "Remembered",
    "advance_seed",
    "draw_seed",
    "plan_run",
    "prepare",
    "refuse_problems",
    "refuse_too_many",
    "too_many",
]

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
    axes: Sequence[str] = ()
    """``txt2img.cfg_scale=5,7,9:rotate``: settings that vary."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a randomizer strategy keeps of a slot."""

    mode: str
    slot: str
    before: JsonValue
    """What the plan was made with; None: nothing was kept."""
    after: JsonValue
    """What is to be kept once the run is queued."""


@dataclass(frozen=True, slots=True)
class PlanMemory:
    """What is to be kept once the run is queued, provided that what the plan was made with still holds."""

    pack: str = ""
    """The pack's name without its ending: a pack that is edited goes on where it was."""
    slots: tuple[Remembered, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do, exactly."""

    name: str
    """For the run's folder and for people, e.g. ``demo``."""
    jobs: Sequence[PlannedJob]
    """In queue order. ``len``, indexing and iteration are cheap and may be repeated; each gives equal jobs."""
    line: str
    """What varies, in plain words: ``3 rows x 2 seeds = 6 images``."""
    warnings: tuple[str, ...]
    plan_seed: int
    """All drawn seeds follow from it; 0 when nothing was drawn (a fixed seed, a replay)."""
    filename_pattern: str = ""
    """As the settings say; empty: they don't."""
    used: Mapping[str, JsonValue] | None = None
    """Its settings, for the record of the run: see
    :func:`~stablenew_kernel.domain.pipeline.used_settings`. None for a replay, which has only a job."""
    memory: PlanMemory = PlanMemory()
    """Empty for a replay."""
    saved_as: SavedAs = AS_MADE
    """A replay is saved as it was made."""

    @property
    def count(self) -> int:
        """How many jobs, exactly: ``len(jobs)`` cannot say it beyond ``sys.maxsize``."""
        return self.jobs.total if isinstance(self.jobs, Jobs) else len(self.jobs)


def layers_of(request: PlanRequest) -> list[Layer]:
    """The settings of ``request``, lowest first."""
    return [
        Layer(f"{kind} {name}".rstrip(), values)
        for kind, name, values in (
            ("preset", request.preset_name, request.preset),
            ("sidecar", request.sidecar_name, request.sidecar),
            ("last run", "", request.last_run),
        )
        if values is not None
    ]


def resolver_of(request: PlanRequest, stages: Mapping[str, type[Stage]]) -> Resolver:
    """The settings of ``request``, for its plan and for whoever explains them. Raises UserError."""
    return Resolver(
        layers_of(request),
        request.sets,
        stages,
        profiles=request.profiles,
        global_negative=request.global_negative,
    )


@dataclass(frozen=True, slots=True)
class Prepared:
    """All of a plan but its rows."""

    pipeline: Pipeline
    axes: Axes
    setups: Setups
    variants: Variants
    maker: JobMaker
    plan_seed: int
    """0: nothing is drawn."""
    picks_seed: int


def prepare(
    request: PlanRequest,
    stages: Mapping[str, type[Stage]],
    *,
    rng: Random,
    randomizers: Mapping[str, type[Randomizer]] | None = None,
    memory: Mapping[Place, JsonValue] | None = None,
    resolved: tuple[Resolver, Pipeline] | None = None,
) -> Prepared:
    """Everything of :func:`plan_run` that is one for all rows; no row is compiled. Raises as that does."""
    pack = request.pack
    if resolved is None:
        resolver = resolver_of(request, stages)
        pipeline = resolver.resolve()
    else:
        resolver, pipeline = resolved
    images = pipeline.images_per_row if request.count is None else request.count
    if images < 1:
        raise UserError(f"--count {images}: must be 1 or more")
    seed = pipeline.seed if request.seed is None else request.seed
    if not -1 <= seed < 2**64:
        raise UserError(f"--seed {seed}: must be -1 (draw one) or 0 to {2**64 - 1}")
    plan_seed = rng.getrandbits(PLAN_SEED_BITS) if seed < 0 else 0
    # With a fixed seed the picks follow from it, too: the same command gives the same images.
    picks_seed = plan_seed or max(seed, 0)

    modes = randomizers or {}
    randomization = parse_randomization(pipeline.randomization, pipeline.randomization_source, modes)
    axes = plan_axes(
        randomization.with_files(request.wildcards),
        [parse_axis(text, modes) for text in request.axes],
        pipeline.settings,
        lambda field: pipeline.sources.get(field, ""),
        [planned.stage for planned in pipeline.stages],
        stages,
        (text for row in pack.rows for text in (row.positive, row.negative)),
    )
    variants = Variants(axes, modes, picks_seed, {} if memory is None else memory)
    setups = Setups(resolver.resolve, pipeline, variants.axes, request.sets, request.profiles)
    drawn_by = f"{pipeline.stages[0].stage.name}.seed"
    for axis in variants.axes:
        if request.seed is not None and drawn_by in axis.options[0]:
            raise UserError(f"--seed {seed}: {axis.source} varies the seed; leave one out")
    maker = JobMaker(
        pack,
        setups,
        variants,
        images=images,
        seed=request.seed,
        plan_seed=plan_seed,
        seed_mode=pipeline.settings.seed_mode,
        run_timeout=request.run_timeout,
        provenance={
            "pack": pack.name,
            "pack_sha256": pack.sha256,
            "preset": request.preset_name,
            "sidecar": request.sidecar_name,
            "images": images,
            "plan_seed": plan_seed,
        },
    )
    return Prepared(pipeline, axes, setups, variants, maker, plan_seed, picks_seed)


def plan_run(
    request: PlanRequest,
    stages: Mapping[str, type[Stage]],
    *,
    rng: Random,
    randomizers: Mapping[str, type[Randomizer]] | None = None,
    filter_jobs: FilterJobs | None = None,
    memory: Mapping[Place, JsonValue] | None = None,
    resolved: tuple[Resolver, Pipeline] | None = None,
) -> Plan:
    """Plan a run. Depends on its arguments alone; ``rng`` gives one number, the plan seed. ``memory`` is what
    randomizer strategies kept of earlier runs of this pack. ``resolved``: what :func:`resolver_of` makes of the
    request, and what that resolves without overrides, if they were made before; nothing in them is changed.

    With ``filter_jobs`` the jobs are made at once and handed over; without, they are made when asked for.
    Raises UserError for anything in the request that is wrong, PluginError when a stage plugin or a filter
    breaks its contract.
    """
    pack = request.pack
    prepared = prepare(request, stages, rng=rng, randomizers=randomizers, memory=memory, resolved=resolved)
    pipeline, setups, maker = prepared.pipeline, prepared.setups, prepared.maker
    numbers = parse_rows(request.rows, len(pack.rows), pack.name)
    refuse_problems(pack, numbers)
    count = Count(maker, [number - 1 for number in numbers])
    total, limit, sample = _wanted(request, count)
    chosen: Sequence[int] | None = None
    if sample:
        key = key_of("sample", prepared.picks_seed)
        chosen = sorted(permute(index, total, key) for index in range(sample))
        total = sample
    all_jobs = Jobs(maker, count, total, chosen)
    line = count.line() + what_part(limit, sample)
    kept = PlanMemory()
    if not too_many(total):
        before = {} if memory is None else memory
        moved = (
            Remembered(*place, before.get(place), prepared.variants.remember(place, count.slots[place], used))
            for place, used in all_jobs.used.items()
        )
        kept = PlanMemory(pack.title, tuple(moved))
    rows = [pack.rows[number - 1] for number in numbers]
    warnings = (*pipeline.warnings, *_notes(request.profiles, setups, pipeline.randomization, rows))
    warnings += tuple(
        f"randomization.modes.{name}: no effect, nothing in these rows is called so"
        for name in prepared.axes.randomization.own_modes
        if name not in prepared.variants.asked
    )
    if pipeline.settings.seed_mode == "fixed" and count.sames:
        warnings += (
            f"pipeline.seed_mode is fixed: the {maker.images:,} images of a combination will be one picture; "
            "use --count 1, or seed_mode per_image",
        )
    jobs: Sequence[PlannedJob] = all_jobs
    if filter_jobs is not None:
        refuse_too_many(total)  # a filter gets all of them at once
        jobs = filtered(all_jobs, filter_jobs)
        if len(jobs) != total:
            line += f"; plugins made it {count_of(len(jobs), 'image')}"
    settings = used_settings(pipeline, stages, count=request.count, seed=request.seed)
    saved_as = SavedAs(pipeline.settings.image_format, pipeline.settings.image_quality)
    return Plan(
        pack.title,
        jobs,
        line,
        warnings,
        prepared.plan_seed,
        pipeline.filename_pattern,
        settings,
        kept,
        saved_as,
    )


def count_images(request: PlanRequest, count: Count) -> int:
    """How many images the plan of ``request`` has, whose rows are all in ``count``. Raises as :func:`plan_run`
    does with these rows. What plugins take out of a plan, and what strategies remember, is not looked at."""
    refuse_problems(request.pack, [place + 1 for place in count.rows])
    total, _limit, sample = _wanted(request, count)
    return sample or total


def _wanted(request: PlanRequest, count: Count) -> tuple[int, int, int]:
    """How many images there are to choose from; how many of these are the first ones, and how many drawn (0:
    all). Raises UserError for more than can be drawn."""
    total = min(request.limit or count.total, count.total)
    limit = total if total < count.total else 0
    sample = request.sample if request.sample < total else 0
    if sample:
        refuse_too_many(sample)
    return total, limit, sample


def _notes(
    profiles: Profiles, setups: Setups, randomization: Mapping[str, JsonValue], rows: Sequence[Row]
) -> Iterable[str]:
    """What profiles add to prompts, for people. Read from the rows and from the values of slots; what only a
    wildcard file brings in is recorded with its job."""
    found: dict[str, Added] = {}
    if profiles:
        values = json.dumps(randomization, ensure_ascii=False)
        texts = [profiles.adjust(values, None)[1]]
        for setup in (setups.base, *setups.single()):
            texts += [setup.adjusted([(row.positive, "")] * len(setup.stages))[1] for row in rows]
        for added in (one for all_of_it in texts for one in all_of_it):
            found[added.profile] = found.get(added.profile, added) | added
    return [str(added) for added in found.values()]


def too_many(jobs: int) -> str:
    """Why a plan of so many jobs cannot be queued; empty: it can."""
    if jobs <= MAX_JOBS:
        return ""
    return (
        f"{count_of(jobs, 'image')} are more than the {MAX_JOBS:,} jobs a run may have; run fewer rows or "
        "images, or have some of them drawn, for example --sample 500"
    )


def refuse_too_many(jobs: int) -> None:
    """Raise UserError if a plan of so many jobs cannot be queued."""
    if why := too_many(jobs):
        raise UserError(why)


def refuse_problems(pack: Pack, rows: Sequence[int]) -> None:
    """Raise UserError if one of ``rows`` (numbers from 1) cannot be run; the text names row and line."""
    wanted = set(rows)
    found: list[Problem] = [problem for problem in pack.problems if not problem.row or problem.row in wanted]
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise UserError(f"pack {pack.name}, {found[0]}{more}")


def filtered(jobs: Sequence[PlannedJob], filter_jobs: FilterJobs) -> Sequence[PlannedJob]:
    """What plugins make of ``jobs``. Raises PluginError, and UserError if they leave none."""
    specs = filter_jobs([job.spec for job in jobs])
    if not isinstance(specs, Sequence) or not all(isinstance(spec, JobSpec) for spec in specs):
        raise PluginError("a filter_jobs plugin returned something else than jobs; see stablenew plugins")
    if not specs:
        raise UserError("plugins that filter jobs left none of them; see stablenew plugins")
    return tuple(PlannedJob(index, row_of(spec), spec) for index, spec in enumerate(specs))
