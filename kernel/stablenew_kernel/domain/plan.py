"""From a pack and settings to jobs: everything random or user-dependent is decided here, once.

The dry run, the count, the preview and the queue all read the same :class:`Plan`, so they cannot differ. A
plan does not hold its jobs: job *n* is worked out when somebody asks for it, from the row and the image it
belongs to, so a plan of any length takes the memory of its pack.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import overload

from pydantic import ValidationError

from stablenew_api.errors import PluginError, UserError
from stablenew_api.jobs import JobSpec, JsonValue, Needs, StageSpec, canonical_json
from stablenew_api.stage import Phase, Stage
from stablenew_kernel.domain.packs import Pack, Problem, Row
from stablenew_kernel.domain.pipeline import Pipeline, PlannedStage, near, resolve_pipeline
from stablenew_kernel.domain.presets import Layer
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


def plan_run(
    request: PlanRequest,
    stages: Mapping[str, type[Stage]],
    *,
    rng: Random,
    filter_jobs: FilterJobs | None = None,
) -> Plan:
    """Plan a run. Depends on its arguments alone; ``rng`` gives one number, the plan seed.

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
    if len(numbers) * images > MAX_JOBS:
        raise UserError(
            f"{len(numbers)} rows x {images} images are more than {MAX_JOBS:,} jobs; run fewer rows or images"
        )
    seed = pipeline.seed if request.seed is None else request.seed
    if not -1 <= seed < 2**64:
        raise UserError(f"--seed {seed}: must be -1 (draw one) or 0 to {2**64 - 1}")
    plan_seed = rng.getrandbits(PLAN_SEED_BITS) if seed < 0 else 0  # nothing else is drawn yet
    source = _Source(request, pipeline, images, seed, plan_seed)
    jobs: Sequence[PlannedJob] = _Jobs(source, tuple(pack.rows[number - 1] for number in numbers))
    line = _line(len(numbers), images)
    if filter_jobs is not None:
        planned = len(jobs)
        jobs = _filtered(jobs, filter_jobs)
        if len(jobs) != planned:
            line += f"; plugins made it {_count(len(jobs), 'image')}"
    return Plan(pack.title, jobs, line, pipeline.warnings, plan_seed, pipeline.filename_pattern)


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

    def prompts(self, positive: str, negative: str) -> tuple[str, str]:
        stage = self.planned.stage
        try:
            resolved = stage.resolve_prompts(self.planned.config, positive, negative)
        except Exception as error:
            raise PluginError(
                f"stage {stage.name} {stage.version}: resolve_prompts failed: {error!r}"
            ) from error
        return resolved

    def spec(self, prompts: tuple[str, str], image_seed: int, image: int) -> StageSpec:
        planned = self.planned
        seed = image_seed if planned.seed < 0 else advance_seed(planned.seed, image)
        config = dict(self.config)  # a copy a job: a filter plugin that changes one must not change them all
        if self.has_seed:
            config["seed"] = seed
        return StageSpec(planned.stage.name, planned.stage.version, *prompts, seed, config)


def _stage_plan(planned: PlannedStage) -> _StagePlan:
    stage = planned.stage
    config = planned.config.model_dump(mode="json", by_alias=False)
    for field in ("batch_size", "batch_count"):
        if stage.phase is Phase.GENERATE and field in config:
            config[field] = 1  # a batch was made into jobs of one image
    try:
        canonical_json(config)
    except (TypeError, ValueError) as error:
        raise UserError(f"stage {stage.name}: a setting that JSON cannot hold ({error})") from error
    return _StagePlan(planned, config, "seed" in config)


class _Source:
    """Makes any job of the plan from its row and image number."""

    def __init__(
        self, request: PlanRequest, pipeline: Pipeline, images: int, seed: int, plan_seed: int
    ) -> None:
        self.images = images
        self._seed = seed
        self._plan_seed = plan_seed
        self._run_timeout = request.run_timeout
        self._stages = tuple(_stage_plan(planned) for planned in pipeline.stages)
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

    def jobs(self, row: Row, images: range) -> Iterator[JobSpec]:
        """The jobs of ``row`` for image numbers ``images``."""
        positive, negative = resolve(row.positive), resolve(row.negative)
        prompts = [stage.prompts(positive, negative) for stage in self._stages]
        base = draw_seed(self._plan_seed, row.number) if self._seed < 0 else self._seed
        for image in images:
            seed = advance_seed(base, image)
            yield JobSpec(
                tuple(
                    stage.spec(texts, seed, image) for stage, texts in zip(self._stages, prompts, strict=True)
                ),
                self._needs,
                (),
                self._run_timeout,
                {
                    **self._provenance,
                    "row": row.number,
                    "line": row.line,
                    "template": row.template,
                    "choices": {},
                    "image": image,
                    "base_seed": base,
                },
            )


class _Jobs(Sequence[PlannedJob]):
    """All jobs of a plan, row by row, made when asked for."""

    def __init__(self, source: _Source, rows: tuple[Row, ...]) -> None:
        self._source = source
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows) * self._source.images

    @overload
    def __getitem__(self, index: int) -> PlannedJob: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PlannedJob]: ...
    def __getitem__(self, index: int | slice) -> PlannedJob | Sequence[PlannedJob]:
        if isinstance(index, slice):
            return tuple(self[place] for place in range(*index.indices(len(self))))
        place = range(len(self))[index]
        at, image = divmod(place, self._source.images)
        (spec,) = self._source.jobs(self._rows[at], range(image, image + 1))
        return PlannedJob(place, self._rows[at].number, spec)

    def __iter__(self) -> Iterator[PlannedJob]:
        index = 0
        for row in self._rows:
            for spec in self._source.jobs(row, range(self._source.images)):
                yield PlannedJob(index, row.number, spec)
                index += 1


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
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _line(rows: int, images: int) -> str:
    return f"{_count(rows, 'row')} x {_count(images, 'image')} = {_count(rows * images, 'image')}"


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
