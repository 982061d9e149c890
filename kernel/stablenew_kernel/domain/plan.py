"""From a pack and settings to jobs: everything random or user-dependent is decided here, once.

The dry run, the count, the preview and the queue all read the same :class:`Plan`, so they cannot differ. A
plan does not hold its jobs: job *n* is worked out when somebody asks for it, from the row and the image it
belongs to, so a plan of any length takes the memory of its pack.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from pydantic import ValidationError

from stablenew_api.errors import PluginError, UserError
from stablenew_api.jobs import JobSpec, JsonValue
from stablenew_api.randomizer import Randomizer
from stablenew_api.shuffle import key_of, permute
from stablenew_api.stage import Stage
from stablenew_kernel.domain.packs import Pack, Problem
from stablenew_kernel.domain.pipeline import near, resolve_pipeline
from stablenew_kernel.domain.planned import Count, JobMaker, Jobs, PlannedJob, count_of
from stablenew_kernel.domain.presets import Layer
from stablenew_kernel.domain.randomizer.axes import plan_axes
from stablenew_kernel.domain.randomizer.settings import parse_axis, parse_randomization
from stablenew_kernel.domain.randomizer.variants import Place, Variants
from stablenew_kernel.domain.rows import parse_rows
from stablenew_kernel.domain.seeds import advance_seed, draw_seed
from stablenew_kernel.domain.setups import Setups

__all__ = [
    "MAX_JOBS",
    "FilterJobs",
    "Plan",
    "PlanMemory",
    "PlanRequest",
    "PlannedJob",
    "Remembered",
    "advance_seed",
    "draw_seed",
    "plan_run",
    "refuse_problems",
    "replay_plan",
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
    """What varies, in plain words: ``3 rows x 2 images = 6 images``."""
    warnings: tuple[str, ...]
    plan_seed: int
    """All drawn seeds follow from it; 0 when nothing was drawn (a fixed seed, a replay)."""
    filename_pattern: str = ""
    """As the settings say; empty: they don't."""
    memory: PlanMemory = PlanMemory()
    """Empty for a replay."""


def plan_run(
    request: PlanRequest,
    stages: Mapping[str, type[Stage]],
    *,
    rng: Random,
    randomizers: Mapping[str, type[Randomizer]] | None = None,
    filter_jobs: FilterJobs | None = None,
    memory: Mapping[Place, JsonValue] | None = None,
) -> Plan:
    """Plan a run. Depends on its arguments alone; ``rng`` gives one number, the plan seed. ``memory`` is what
    randomizer strategies kept of earlier runs of this pack.

    With ``filter_jobs`` the jobs are made at once and handed over; without, they are made when asked for.
    Raises UserError for anything in the request that is wrong, PluginError when a stage plugin or a filter
    breaks its contract.
    """
    pack = request.pack
    layers = [
        Layer(f"{kind} {name}".rstrip(), values)
        for kind, name, values in (
            ("preset", request.preset_name, request.preset),
            ("sidecar", request.sidecar_name, request.sidecar),
        )
        if values is not None
    ]
    pipeline = resolve_pipeline(layers, request.sets, stages)
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

    modes = randomizers or {}
    axes = plan_axes(
        parse_randomization(pipeline.randomization, pipeline.randomization_source, modes).with_files(
            request.wildcards
        ),
        [parse_axis(text, modes) for text in request.axes],
        pipeline.settings,
        lambda field: pipeline.sources.get(f"pipeline.{field}", ""),
        [planned.stage for planned in pipeline.stages],
        stages,
        (text for row in pack.rows for text in (row.positive, row.negative)),
    )
    variants = Variants(axes, modes, picks_seed, memory or {})
    setups = Setups(
        lambda overrides: resolve_pipeline(layers, request.sets, stages, overrides),
        pipeline,
        variants.axes,
        request.sets,
    )
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
    count = Count(maker, tuple(number - 1 for number in numbers))
    places = _places(count.total, request, picks_seed)
    all_jobs = Jobs(maker, count, places)
    line = count.line()
    if len(places) < count.total:
        line += f"; {len(places):,} of them {'drawn' if request.sample else 'from the first on'}"
    kept = PlanMemory(
        pack.title,
        tuple(
            Remembered(*place, (memory or {}).get(place), variants.remember(place, count.slots[place], used))
            for place, used in all_jobs.used.items()
        ),
    )
    warnings = pipeline.warnings
    if pipeline.settings.seed_mode == "fixed" and count.sames:
        warnings += (
            f"pipeline.seed_mode is fixed: the {images:,} images of a combination will be one picture; use "
            "--count 1, or seed_mode per_image",
        )
    jobs: Sequence[PlannedJob] = all_jobs
    if filter_jobs is not None:
        jobs = _filtered(all_jobs, filter_jobs)
        if len(jobs) != len(all_jobs):
            line += f"; plugins made it {count_of(len(jobs), 'image')}"
    return Plan(pack.title, jobs, line, warnings, plan_seed, pipeline.filename_pattern, kept)


def _places(total: int, request: PlanRequest, picks_seed: int) -> Sequence[int]:
    """The numbers of the images to be made, in order. Raises UserError if they are too many."""
    wanted = min(total, request.limit or total)
    if request.sample and request.sample < wanted:
        _refuse_too_many(request.sample)
        key = key_of("sample", picks_seed)
        return sorted(permute(index, wanted, key) for index in range(request.sample))
    _refuse_too_many(wanted)
    return range(wanted)


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
