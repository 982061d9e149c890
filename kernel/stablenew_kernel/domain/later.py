"""Later stages on images that exist: from images and how they were made to a plan, a job an image.

What settings they are run with, lowest first: defaults of the stages; what the image was made with (its model,
VAE, clip skip, sampler, scheduler and CFG scale, and the settings of these very stages, if they were run on it
before); the preset; the last run; ``--set``. Which stages run is said by ``--from-stage`` and the preset, or by
``--stages`` alone: what was run on the image before says nothing about that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from stablenew_api.errors import UserError
from stablenew_api.infotext import parse_infotext
from stablenew_api.jobs import Artifact, JobSpec, JsonValue, canonical_json
from stablenew_api.stage import Stage
from stablenew_kernel.domain.pipeline import Later, Resolver
from stablenew_kernel.domain.plan import PLAN_SEED_BITS, FilterJobs, Plan, PlanRequest, filtered, layers_of
from stablenew_kernel.domain.planned import PlannedJob
from stablenew_kernel.domain.presets import Layer
from stablenew_kernel.domain.seeds import advance_seed, draw_seed
from stablenew_kernel.domain.setups import Setup, Setups
from stablenew_kernel.domain.summary import count
from stablenew_kernel.domain.tokens import named

TAKEN_OVER = ("model", "vae", "clip_skip", "sampler_name", "scheduler", "cfg_scale")
"""Settings of the generating stage that later stages take over where they have such a setting: what makes it
this picture. Steps and strength are each stage's own."""

SOURCE = "source"
"""In a job's provenance: the image that it begins with."""

IMAGE = "image"
"""What the layer of recorded settings is called where the source of a setting is told."""

LISTED = 5
"""Images that are named in one line."""


@dataclass(frozen=True, slots=True)
class Source:
    """An image that exists."""

    artifact: Artifact
    """``name`` is the file's."""
    prompt: str = ""
    negative_prompt: str = ""
    seed: int | None = None
    """None: not known."""
    settings: Mapping[str, JsonValue] | None = None
    """What it was made with: sections, as a preset has them. None: not known."""
    parameters: str = ""
    """Its infotext."""
    pixel_sha256: str = ""
    stages: tuple[str, ...] = ()
    """That made it, as far as that is known."""

    @property
    def name(self) -> str:
        """Of its file."""
        return self.artifact.name

    def provenance(self) -> dict[str, JsonValue]:
        """As it stands in a job."""
        return {
            "name": self.name,
            "sha256": self.artifact.sha256,
            "image_sha256": self.pixel_sha256,
            "prompt": self.prompt,
            "negative_prompt": self.negative_prompt,
            "parameters": [list(pair) for pair in parse_infotext(self.parameters).pairs],
            "stages": list(self.stages),
            "made_with": taken_over(self.settings or {}),
        }


def taken_over(settings: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """See :data:`TAKEN_OVER`."""
    return {key: value for key, value in _section(settings, "txt2img").items() if key in TAKEN_OVER}


def source_of(spec: JobSpec) -> Mapping[str, JsonValue]:
    """The image that a job begins with, as :meth:`Source.provenance` has it; empty: none, or not told."""
    source = spec.provenance.get(SOURCE)
    return source if isinstance(source, Mapping) else {}


def work_of(spec: JobSpec) -> str:
    """Names what is done to which picture: sha256 of its pixels and the stages; empty for a job that begins
    with none. Equal for two jobs that make the same image of the same image, wherever its file lies."""
    source = source_of(spec)
    picture = source.get("image_sha256") or source.get("sha256")
    if not picture:
        return ""
    return hashlib.sha256(
        canonical_json({"picture": picture, "stages": [stage.to_json() for stage in spec.stages]})
    ).hexdigest()


def plan_later(
    request: PlanRequest,
    sources: Sequence[Source],
    later: Later,
    stages: Mapping[str, type[Stage]],
    *,
    rng: Random,
    filter_jobs: FilterJobs | None = None,
) -> Plan:
    """Plan ``later`` stages on ``sources``, in their order. Of ``request``, the pack gives the name alone.

    An image that cannot be planned, or is there twice, is left out with a warning. Raises UserError for what is
    wrong with the request, and if no image is left.
    """
    _refuse(request)
    makers = _Makers(request, later, stages)
    plan_seed = rng.getrandbits(PLAN_SEED_BITS)
    seen: dict[str, str] = {}
    problems: list[tuple[str, UserError]] = []
    twice: list[str] = []
    blind: list[str] = []
    jobs: list[PlannedJob] = []
    drawn = False
    for place, source in enumerate(sources):
        picture = source.pixel_sha256 or source.artifact.sha256
        if picture in seen:
            twice.append(f"{source.name} is {seen[picture]}")
            continue
        seen[picture] = source.name
        try:
            setup = makers.setup(source)
        except UserError as error:
            problems.append((source.name, error))
            continue
        if not source.prompt:
            blind.append(source.name)
        if request.limit and len(jobs) >= request.limit:
            break
        seed = source.seed if request.seed is None else request.seed
        if seed is None or seed < 0:
            seed, drawn = draw_seed(plan_seed, place + 1), True
        elif request.seed is not None:
            seed = advance_seed(seed, len(jobs))
        jobs.append(PlannedJob(len(jobs), 0, _spec(request, source, setup, seed, plan_seed if drawn else 0)))
    if not jobs:
        raise problems[0][1] if problems else UserError("no image to run later stages on")
    warnings = [*makers.warnings]
    if twice:
        warnings.append(f"the same picture twice, made once: {_some(twice)}")
    if problems:
        reasons = [f"{name} ({error})" for name, error in problems]
        warnings.append(f"{count(len(problems), 'image')} left out: {_some(reasons)}")
    if blind:
        warnings.append(
            f"no prompt is known of {count(len(blind), 'image')} ({_some(blind)}): stages that draw do so "
            "without one; give one with --prompt"
        )
    names = " > ".join(stage.name for stage in jobs[0].spec.stages)
    line = f"{count(len(jobs), 'image')} through {names}"
    made: Sequence[PlannedJob] = tuple(jobs)
    if filter_jobs is not None:
        made = filtered(made, filter_jobs)
    return Plan(
        request.pack.title, made, line, tuple(warnings), plan_seed if drawn else 0, makers.filename_pattern
    )


def _refuse(request: PlanRequest) -> None:
    """Raises UserError for options that are about rows."""
    for option, given in (
        ("--rows", request.rows),
        ("--axis", request.axes),
        ("--sample", request.sample),
        ("--count", request.count is not None),
    ):
        if given:
            raise UserError(f"{option}: later stages make one image of each image; leave it out")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return f"{', '.join(names[:LISTED])}{more}"


class _Makers:
    """Setups by what images were made with: those of one run share theirs."""

    def __init__(self, request: PlanRequest, later: Later, stages: Mapping[str, type[Stage]]) -> None:
        self._request, self._later, self._stages = request, later, stages
        self._setups: dict[bytes, Setup | UserError] = {}
        self.warnings: dict[str, None] = {}
        self.filename_pattern = ""

    def setup(self, source: Source) -> Setup:
        """Raises UserError."""
        recorded = self._recorded(source.settings or {})
        key = canonical_json(recorded)
        found = self._setups.get(key)
        if found is None:
            try:
                found = self._make(recorded)
            except UserError as error:
                found = error
            self._setups[key] = found
        if isinstance(found, UserError):
            raise found
        return found

    def _make(self, recorded: Mapping[str, JsonValue]) -> Setup:
        request = self._request
        resolver = Resolver(
            [Layer(IMAGE, recorded), *layers_of(request)],
            request.sets,
            self._stages,
            profiles=request.profiles,
            global_negative=request.global_negative,
            later=self._later,
        )
        pipeline = resolver.resolve()
        self.filename_pattern = pipeline.filename_pattern
        # What else stood in an image is no mistake of the person's.
        self.warnings |= {text: None for text in pipeline.warnings if not text.startswith(f"{IMAGE}:")}
        return Setups(resolver.resolve, pipeline, (), request.sets, request.profiles).base

    def _recorded(self, settings: Mapping[str, JsonValue]) -> dict[str, dict[str, JsonValue]]:
        """What of an image's settings counts for later stages; without seeds, which are each image's own."""
        sections: dict[str, dict[str, JsonValue]] = {}
        taken = taken_over(settings)
        for name, stage in self._stages.items():
            if not self._later.may_run(name, self._stages):
                continue
            fields = stage.Config.model_fields
            section = {key: value for key, value in taken.items() if key in fields}
            section |= {key: value for key, value in _section(settings, name).items() if key in fields}
            section.pop("seed", None)
            if section:
                sections[name] = section
        if taken.get("model"):
            sections["txt2img"] = {"model": taken["model"]}  # whose profile counts
        return sections


def _section(settings: Mapping[str, JsonValue], name: str) -> Mapping[str, JsonValue]:
    section = settings.get(name)
    return section if isinstance(section, Mapping) else {}


def _spec(request: PlanRequest, source: Source, setup: Setup, seed: int, plan_seed: int) -> JobSpec:
    negative = named(source.negative_prompt)[0]
    prompts, added = setup.adjusted(setup.prompts(source.prompt, negative))
    prompts, needs = setup.named(prompts)
    return JobSpec(
        tuple(stage.spec(texts, seed, 0) for stage, texts in zip(setup.stages, prompts, strict=True)),
        needs,
        (source.artifact,),
        request.run_timeout,
        {
            "pack": "",
            "preset": request.preset_name,
            **({"profile": setup.profile.file_name} if setup.profile is not None else {}),
            **({"added": [one.to_json() for one in added]} if added else {}),
            "row": 0,
            "image": 0,
            "images": 1,
            "base_seed": seed,
            "plan_seed": plan_seed,
            SOURCE: source.provenance(),
        },
    )


def source_from_spec(spec: JobSpec, artifact: Artifact, pixel_sha256: str, parameters: str) -> Source:
    """An image as the job that made it tells it."""
    first, before = spec.stages[0], source_of(spec)
    return Source(
        artifact,
        str(before.get("prompt", first.prompt)),
        str(before.get("negative_prompt", first.negative_prompt)),
        first.seed,
        settings_of(spec),
        parameters,
        pixel_sha256,
        stages_of(spec),
    )


def settings_of(spec: JobSpec) -> dict[str, JsonValue]:
    """What an image was made with: sections, as a preset has them."""
    settings: dict[str, JsonValue] = {stage.name: dict(stage.config) for stage in spec.stages}
    made_with = source_of(spec).get("made_with")
    if isinstance(made_with, Mapping):
        settings.setdefault("txt2img", dict(made_with))
    return settings


def stages_of(spec: JobSpec) -> tuple[str, ...]:
    """The stages that an image went through, those before its job included as far as they are known."""
    earlier = source_of(spec).get("stages")
    return (*(map(str, earlier) if isinstance(earlier, list) else ()), *(stage.name for stage in spec.stages))


def parse_sections(text: bytes, name: str) -> Mapping[str, JsonValue] | None:
    """Sections of settings that came with an image. Raises UserError."""
    if not text:
        return None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UserError(f"{name}: its settings are no JSON ({error})") from error
    return found if isinstance(found, dict) else None
