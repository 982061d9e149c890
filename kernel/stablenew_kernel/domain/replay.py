"""Jobs that were made before, to be made again: from the spec that an image carries to a plan."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import ValidationError

from stablenew_api.errors import UserError
from stablenew_api.jobs import JobSpec, canonical_json
from stablenew_api.stage import Stage
from stablenew_kernel.domain.plan import Plan
from stablenew_kernel.domain.planned import PlannedJob, row_of
from stablenew_kernel.domain.summary import count
from stablenew_kernel.domain.words import near


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
    if spec.canonical() != canonical_json(json.loads(spec_json)):
        raise UserError(f"{name}: the job stored in it has parts that are not known here; update StableNew")
    title = name.rpartition(".")[0] or name
    job = PlannedJob(0, row_of(spec), spec)
    return Plan(title, (job,), "1 image, as it was made", tuple(warnings), 0, filename_pattern)


def replay_batch(specs: Sequence[tuple[str, bytes]], name: str, stages: Mapping[str, type[Stage]]) -> Plan:
    """The jobs of several images, unchanged and in their order. ``specs``: name and spec of each image.

    Raises UserError, as :func:`replay_plan`, for the first image whose job cannot be made again.
    """
    jobs: list[PlannedJob] = []
    warnings: dict[str, list[str]] = {}
    for image, spec_json in specs:
        plan = replay_plan(spec_json, image, stages)
        jobs += [replace(job, index=len(jobs)) for job in plan.jobs]
        for warning in plan.warnings:
            warnings.setdefault(warning.removeprefix(f"{image}: "), []).append(image)
    told = (
        f"{images[0]}{f' and {len(images) - 1:,} more' if len(images) > 1 else ''}: {warning}"
        for warning, images in warnings.items()
    )
    line = f"{count(len(jobs), 'image')}, as {'it was' if len(jobs) == 1 else 'they were'} made"
    return Plan(name, tuple(jobs), line, tuple(told), 0)


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
        and all(isinstance(name, str) for name in (*spec.needs.features, *spec.needs.names))
        and type(spec.run_timeout) in (int, float)
        and spec.run_timeout > 0
    )
