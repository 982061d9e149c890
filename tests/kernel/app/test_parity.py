"""What is counted is what is previewed is what is queued; and with a rule behind that broken, it shows."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis_kit import A_THIRD
from parity_world import Case, EveryOther, World, cases, some_cases

import stablenew_kernel.app.runs as runs_module
import stablenew_kernel.domain.plan as plan_module
import stablenew_kernel.domain.planned as planned
import stablenew_kernel.domain.setups as setups
import stablenew_plugins.randomizers.random as random_module
from stablenew_api.datafolder import DataFolder
from stablenew_kernel.app.planning import Planner
from stablenew_kernel.app.runs import RunDesk
from stablenew_kernel.domain.plan import Plan, PlannedJob
from stablenew_kernel.domain.planned import Jobs
from stablenew_kernel.hub import views
from stablenew_kernel.store import jobs
from stablenew_proto.v1 import kernel_pb2 as pb

FEW = 30
"""Examples of the slower property."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A kernel without filters: plans are made job by job, when asked for."""
    with World(DataFolder(tmp_path_factory.mktemp("plain"))) as made:
        yield made


@pytest.fixture(scope="module")
def filtered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A kernel with a filter plugin, which sees all jobs at once."""
    with World(DataFolder(tmp_path_factory.mktemp("filtered")), EveryOther()) as made:
        yield made


@given(case=cases())
def test_counted_previewed_and_queued_are_one(world: World, case: Case) -> None:
    world.check(case)


@given(case=cases())
@A_THIRD
def test_with_a_filter_plugin_too(filtered: World, case: Case) -> None:
    filtered.check(case)


@given(case=cases())
@settings(max_examples=FEW, suppress_health_check=[HealthCheck.too_slow])
def test_looking_changes_nothing(world: World, case: Case) -> None:
    world.check_that_looking_changes_nothing(case)


def test_the_cases_are_not_trivial(world: World) -> None:
    """They do meet what they are about, or they would prove nothing."""
    sizes = [world.check(case) for case in some_cases(60)]
    assert sum(size > 1 for size in sizes) > 20
    assert sum(size > 10 for size in sizes) > 5
    assert sizes.count(0) < 10, "hardly any is refused"


def test_the_next_run_draws_anew(world: World) -> None:
    case = next(case for case in some_cases(60) if case.request.seed == -1)
    planner = world.house.kernel.runs._planner
    before = dict(planner._draws)
    world.check(case)
    assert planner._draws != before


# --- break one rule, and it must show -------------------------------------------------------------------------

Patch = Callable[[pytest.MonkeyPatch, World], None]
MUTANTS: dict[str, tuple[Patch, tuple[str, ...]]] = {}


def mutant(*symptoms: str) -> Callable[[Patch], Patch]:
    """Register a mutant under its function's name. ``symptoms``: how its failures may begin."""

    def register(make: Patch) -> Patch:
        MUTANTS[make.__name__] = make, symptoms
        return make

    return register


def _while_previewing(patch: pytest.MonkeyPatch, begin: Callable[[Planner], Callable[[], None]]) -> None:
    """Do something before each dry run, and something after it."""
    original = RunDesk.preview

    async def preview(self: RunDesk, request: pb.PreviewRunRequest) -> AsyncIterator[pb.PreviewRunResponse]:
        end = begin(self._planner)
        try:
            async for message in original(self, request):
                yield message
        finally:
            end()

    patch.setattr(RunDesk, "preview", preview)


@mutant("SPEC")
def preview_plans_with_another_seed(patch: pytest.MonkeyPatch, world: World) -> None:
    """The dry run draws for itself."""

    def begin(planner: Planner) -> Callable[[], None]:
        before = planner._draw, planner._draws
        planner._draw, planner._draws = (
            planner._draw ^ 1,
            {pack: draw ^ 1 for pack, draw in planner._draws.items()},
        )

        def end() -> None:
            planner._draw, planner._draws = before

        return end

    _while_previewing(patch, begin)


@mutant("SPEC")
def dry_run_advances(patch: pytest.MonkeyPatch, world: World) -> None:
    """A dry run uses up what it drew."""

    def begin(planner: Planner) -> Callable[[], None]:
        def end() -> None:
            planner._draw, planner._draws = planner._draw + 1, {}

        return end

    _while_previewing(patch, begin)


@mutant("COUNT", "SPEC", "LINE")
def preview_forgets_the_sidecar(patch: pytest.MonkeyPatch, world: World) -> None:
    """The dry run reads the pack alone."""
    original = Planner.plan
    dry = [False]

    def plan(self: Planner, run: pb.RunRequest, last: Any = None, **more: Any) -> Plan:
        asked = pb.RunRequest.FromString(run.SerializeToString())
        if dry[0]:
            asked.ClearField("sidecar")
        return original(self, asked, last, **more)

    def begin(planner: Planner) -> Callable[[], None]:
        dry[0] = True
        return lambda: dry.__setitem__(0, False)

    patch.setattr(Planner, "plan", plan)
    _while_previewing(patch, begin)


@mutant("COUNT")
def count_ignores_limit(patch: pytest.MonkeyPatch, world: World) -> None:
    """The count is that of the whole plan."""

    def count(plan: Plan) -> int:
        return getattr(plan.jobs, "_count", plan).total if isinstance(plan.jobs, Jobs) else plan.count

    original = RunDesk._summary

    def summary(self: RunDesk, plan: Plan, *rest: Any, **more: Any) -> pb.PlanSummary:
        made = original(self, plan, *rest, **more)
        made.jobs = count(plan)
        return made

    patch.setattr(RunDesk, "_summary", summary)


@mutant("COUNT", "LINE")
def count_multiplies_for_itself(patch: pytest.MonkeyPatch, world: World) -> None:
    """The count is rows x images, worked out beside the plan."""
    original = planned.what_varies

    def what_varies(shapes: Any, images: int, *rest: Any, **more: Any) -> str:
        return original([replace(shape, factors=(), combinations=1) for shape in shapes], images, *rest, **more)

    patch.setattr(planned, "what_varies", what_varies)


@mutant("COUNT")
def queue_drops_the_last(patch: pytest.MonkeyPatch, world: World) -> None:
    """Off by one."""
    original = jobs.insert_jobs

    def insert_jobs(connection: Any, run_id: str, new: Iterable[jobs.NewJob], **more: Any) -> int:
        return original(connection, run_id, list(new)[:-1], **more)

    patch.setattr(jobs, "insert_jobs", insert_jobs)


@mutant("SPEC")
def queue_turns_the_order(patch: pytest.MonkeyPatch, world: World) -> None:
    """The jobs are all there, but not in the order that was shown."""
    original = jobs.insert_jobs

    def insert_jobs(connection: Any, run_id: str, new: Iterable[jobs.NewJob], **more: Any) -> int:
        made = list(new)
        turned = [replace(one, index=two.index) for one, two in zip(reversed(made), made, strict=True)]
        return original(connection, run_id, turned, **more)

    patch.setattr(jobs, "insert_jobs", insert_jobs)


@mutant("SPEC")
def sample_draws_anew(patch: pytest.MonkeyPatch, world: World) -> None:
    """Which images are drawn does not follow from the plan."""
    calls = iter(range(10**9))
    original = plan_module.key_of
    patch.setattr(plan_module, "key_of", lambda *parts: original(*parts, next(calls)))


@mutant("SPEC")
def picks_are_drawn_anew(patch: pytest.MonkeyPatch, world: World) -> None:
    """A strategy with a source of chance of its own."""
    rng = random.Random(1)
    patch.setattr(random_module, "_draw", lambda slot, turn: rng.randrange(slot.size))


@mutant("COUNT")
def queue_filters_again(patch: pytest.MonkeyPatch, world: World) -> None:
    """What was filtered at plan time goes through the filters once more on its way to the queue."""
    host = world.house.kernel._core.host
    original = RunDesk._prepared

    def prepared(self: RunDesk, planned: Plan, *rest: Any) -> Any:
        again = tuple(plan_module.filtered(planned.jobs, host.filter_jobs))
        return original(self, replace(planned, jobs=again), *rest)

    patch.setattr(RunDesk, "_prepared", prepared)


@mutant("COUNT")
def preview_is_not_filtered(patch: pytest.MonkeyPatch, world: World) -> None:
    """The dry run asks no filter."""
    host = world.house.kernel._core.host
    original = host.listens

    def begin(planner: Planner) -> Callable[[], None]:
        patch.setattr(host, "listens", lambda hook: hook != "filter_jobs" and original(hook))
        return lambda: patch.setattr(host, "listens", original)

    _while_previewing(patch, begin)


@mutant("SPEC")
def jobs_share_a_config(patch: pytest.MonkeyPatch, world: World) -> None:
    """All jobs of a plan hold one and the same dict of settings."""
    original = setups.StagePlan.spec

    def spec(self: Any, *arguments: Any) -> Any:
        made = original(self, *arguments)
        self.config.update(made.config)
        return replace(made, config=self.config)

    patch.setattr(setups.StagePlan, "spec", spec)


@mutant("SPEC")
def a_row_is_made_otherwise_from_its_middle(patch: pytest.MonkeyPatch, world: World) -> None:
    """A job that is asked for by its place is not the one that comes by when all are made."""
    original = Jobs.__getitem__

    def get(self: Any, index: Any) -> Any:
        return tuple(other(original(self, index))) if isinstance(index, slice) else original(self, index)

    def other(jobs: Iterable[PlannedJob]) -> Iterator[PlannedJob]:
        for job in jobs:
            stages = tuple(replace(stage, seed=stage.seed ^ (job.index % 2)) for stage in job.spec.stages)
            yield replace(job, spec=replace(job.spec, stages=stages))

    patch.setattr(Jobs, "__getitem__", get)


@mutant("COUNT", "INDEX")
def preview_loses_one_between_batches(patch: pytest.MonkeyPatch, world: World) -> None:
    """Messages of a dry run begin one too late."""
    patch.setattr(runs_module, "PREVIEW_BATCH", 4)
    original = Jobs.__getitem__

    def get(self: Any, index: Any) -> Any:
        if isinstance(index, slice) and index.start:
            index = slice(index.start + 1, index.stop)
        return original(self, index)

    patch.setattr(Jobs, "__getitem__", get)


@mutant("PROMPT")
def preview_shows_the_template(patch: pytest.MonkeyPatch, world: World) -> None:
    """A person sees the row as it is written."""
    patch.setattr(views, "headline", lambda spec: (spec.provenance["template"], "", spec.stages[0].seed))


@mutant("SPEC")
def queue_advances_the_seed(patch: pytest.MonkeyPatch, world: World) -> None:
    """Something on the way to the queue thinks that seeds are its business."""
    original = jobs.NewJob.of

    def of(job_id: str, index: int, spec: Any) -> jobs.NewJob:
        first, *rest = spec.stages
        return original(job_id, index, replace(spec, stages=(replace(first, seed=first.seed + 1), *rest)))

    patch.setattr(jobs.NewJob, "of", staticmethod(of))


NEED_A_FILTER = {"queue_filters_again", "preview_is_not_filtered"}


@pytest.mark.parametrize("name", MUTANTS)
def test_each_rule_is_needed(name: str, world: World, filtered: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one rule broken some case shows it, with the right symptom. (With all rules none does: above.)"""
    apply, symptoms = MUTANTS[name]
    where = filtered if name in NEED_A_FILTER else world
    apply(monkeypatch, where)
    broke = next(filter(None, (_broken(where, case) for case in some_cases(150))), "")
    assert broke, f"150 cases without this rule, and nothing broke: {name}"
    assert broke.startswith(symptoms), f"broke in a way that this rule is not there for: {broke}"


def _broken(world: World, case: Case) -> str:
    """How the property fails for ``case``; empty: it holds."""
    try:
        world.check(case)
    except AssertionError as error:
        return str(error)
    return ""
