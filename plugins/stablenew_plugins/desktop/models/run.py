"""The command bar: what the next run would be, starting it, stopping it.

What is shown as "next run" is the plan that the kernel makes of the very requests that are then submitted: the
selected packs, or the prompt that is written in their place, with the settings of the pipeline and of the
randomizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stablenew_api.errors import NotConfirmed, StableNewError
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.core.toasts import Level
from stablenew_plugins.desktop.models.packs.packs import PacksModel
from stablenew_plugins.desktop.models.pipeline.brought import brought_by
from stablenew_plugins.desktop.models.pipeline.pipeline import PipelineModel
from stablenew_plugins.desktop.models.prompt.randomizer import RandomizerModel
from stablenew_plugins.desktop.models.prompt.sources import Source
from stablenew_plugins.desktop.models.queue.pause import Pause
from stablenew_plugins.desktop.models.queue.queueruns import WHO
from stablenew_plugins.desktop.text import _, many

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import kernel_pb2 as pb
    from stablenew_proto.v1 import library_pb2

QUIET = 0.25
"""Seconds without a change before the plan is asked for."""

SHOWN = 60
"""Jobs of the plan that are shown, of all packs together."""

FEWER = " To make fewer: "
"""What stands behind it, in a question of the kernel, is for the command line."""
SOME = 100
"""Images of each pack that can be had in place of a large run."""

QueueMode = Literal["run", "collect"]


@dataclass(frozen=True, slots=True)
class PackPlan:
    """What one pack would make."""

    source: Source
    summary: pb.PlanSummary | None = None
    jobs: Sequence[pb.PlannedJob] = ()
    """The first of them."""
    settings: Sequence[library_pb2.Setting] = ()
    """Those of its run, with where each comes from; none where the pack has no file of settings."""
    problem: str = ""
    """Why it can't be run; empty: it can."""

    @property
    def path(self) -> Path:
        """Of the pack."""
        return self.source.path

    @property
    def images(self) -> int:
        """How many images it would make."""
        return self.summary.jobs if self.summary is not None else 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What the next run would be."""

    packs: Sequence[PackPlan] = ()

    @property
    def images(self) -> int:
        """How many images it would make."""
        return sum(pack.images for pack in self.packs)

    @property
    def seconds(self) -> float:
        """About how long it would take; 0: not known."""
        known = [pack.summary.seconds for pack in self.packs if pack.summary is not None]
        # Each tells when it would be done if it were queued now, what is queued before it included.
        return 0.0 if not known or not all(known) else max(known) if len(known) == 1 else sum(known)

    @property
    def problems(self) -> Sequence[tuple[Path, str]]:
        """Packs that can't be run, and why."""
        return [(pack.path, pack.problem) for pack in self.packs if pack.problem]

    @property
    def warnings(self) -> Sequence[str]:
        """What is worth a word, each once."""
        found = [text for pack in self.packs if pack.summary is not None for text in pack.summary.warnings]
        return list(dict.fromkeys(found))

    @property
    def jobs(self) -> Sequence[pb.PlannedJob]:
        """The first jobs of it."""
        return [job for pack in self.packs for job in pack.jobs][:SHOWN]


@dataclass(slots=True)
class Question:
    """What is asked before a large run."""

    text: str
    requests: Sequence[pb.RunRequest]
    first: bool
    waits: bool = False
    """Whether the queue is to stand still before they are queued."""

    @property
    def words(self) -> str:
        """What is asked, without how the command line makes fewer."""
        return "\n".join(line.partition(FEWER)[0] for line in self.text.splitlines())


@dataclass(slots=True)
class _Asked:
    """What the plan that is shown, or on its way, was made of."""

    seen: tuple[int, ...] = ()
    due: float = 0.0
    pending: bool = False
    newest: str = ""
    """The newest run: what is drawn, and what goes on from run to run, is another one behind it."""


class RunModel(Model):
    """See above."""

    def __init__(
        self, desk: Desk, packs: PacksModel, pipeline: PipelineModel, randomizer: RandomizerModel
    ) -> None:
        super().__init__()
        self._desk = desk
        self._packs, self._pipeline, self._randomizer = packs, pipeline, randomizer
        self._asked = _Asked()
        self.plan = Plan()
        self.is_planning = False
        self.question: Question | None = None
        """To be answered before anything is queued."""
        self.stopping: set[str] = set()
        """Runs that were asked to stop and have not ended."""
        self.submitting = False
        self.pause = Pause(desk)
        """Of the queue."""
        mode = desk.remembered.get("queue_mode", "run")
        self.queue_mode: QueueMode = mode if mode in ("run", "collect") else "run"
        desk.state.on_connected.append(self._replan)

    # --- the plan -------------------------------------------------------------------------------------------

    @property
    def sources(self) -> Sequence[Source]:
        """What the next run is made of: the selected packs, or else the prompt that is written instead."""
        return self._randomizer.sources

    def tick(self) -> None:
        """Ask for the plan anew when something that it depends on changed, after a moment of quiet."""
        now = self._desk.clock()
        newest = next(reversed(self._desk.state.runs), "")
        if newest != self._asked.newest:
            self._asked.newest = newest
            self._replan()
        seen = (self._packs.plan_revision, self._pipeline.plan_revision, self._randomizer.plan_revision)
        if seen != self._asked.seen:
            self._asked.seen, self._asked.due, self._asked.pending = seen, now + QUIET, True
            self.is_planning = True
            self.touch()
        if self._asked.pending and now >= self._asked.due:
            self._ask_plan()
        self._watch_stops()

    def _replan(self) -> None:
        self._asked.pending, self._asked.due = True, self._desk.clock()

    def _ask_plan(self) -> None:
        sources = list(self.sources)
        asked = self._desk.ask(
            lambda kernel: self._plan(kernel, sources), self._planned, self._unplanned, key="plan"
        )
        if asked or not sources:
            self._asked.pending = False
        if not sources:
            self._planned(Plan())

    def _plan(self, kernel: KernelClient, sources: Sequence[Source]) -> Plan:
        plans = []
        left = SHOWN
        for source in sources:
            plan = self._plan_pack(kernel, source, max(1, left))
            left -= len(plan.jobs)
            plans.append(plan)
        return Plan(plans)

    def _plan_pack(self, kernel: KernelClient, source: Source, show: int) -> PackPlan:
        try:
            jobs: list[pb.PlannedJob] = []
            summary = None
            request = self._randomizer.request(source)
            for message in kernel.preview(request, show):
                jobs += message.jobs
                if message.HasField("summary"):
                    summary = message.summary
            settings = kernel.library.explain(request).settings if request.sidecar else ()
            return PackPlan(source, summary, jobs, settings)
        except StableNewError as error:
            return PackPlan(source, problem=str(error))

    def _planned(self, plan: Plan) -> None:
        self.plan, self.is_planning = plan, False
        if not plan.problems:  # else nobody can tell, and what was known stays
            self._pipeline.show_brought(brought_by(plan, seeded=self._randomizer.seeds_runs))
        self.touch()

    def _unplanned(self, error: Exception) -> None:
        self.plan, self.is_planning = Plan(), False  # the one before is of something else
        self._desk.complain(error)
        self.touch()

    # --- doing it -------------------------------------------------------------------------------------------

    @property
    def can_run(self) -> bool:
        """Whether there is something to run, and somebody to run it."""
        return bool(self.sources) and self._desk.state.is_connected and not self.submitting

    @property
    def why_not(self) -> str:
        """Why it can't; empty: it can."""
        if not self._desk.state.is_connected:
            return _("No kernel answers yet.")
        if not self.sources:
            return _("Choose a prompt pack on the left, or write a prompt in the tab Prompt.")
        if self.plan.problems and len(self.plan.problems) == len(self.plan.packs):
            return self.plan.problems[0][1]
        return ""

    @property
    def label(self) -> str:
        """What stands on the button."""
        if self.queue_mode == "collect":
            return (
                many("Add {n} image", "Add {n} images", self.plan.images)
                if self.plan.images
                else _("Add to queue")
            )
        return (
            many("Run {n} image", "Run {n} images", self.plan.images)
            if self.plan.images
            else _("Run full pipeline")
        )

    def run(self) -> None:
        """Queue the next run; in queue mode "collect" it waits there until the queue is started."""
        self._submit(first=False)

    def add_to_queue(self) -> None:
        """Queue it behind all others. A queue that has nothing to do does not begin with it:
        :attr:`pause` lets it."""
        queue = self._desk.state.queue
        self._submit(first=False, waits=queue is None or not (queue.active or queue.queued))

    def run_next(self) -> None:
        """Queue it before all others."""
        self._submit(first=True)

    def _submit(self, *, first: bool, waits: bool = False) -> None:
        if self.submitting:
            return
        if reason := self.why_not:
            self._desk.toasts.say(reason, "warning")
            return
        sources = list(self.sources)
        waits = (waits or self.queue_mode == "collect") and not self.pause.is_on
        self.submitting = True
        self.touch()

        def work(kernel: KernelClient) -> Sequence[pb.SubmitRunResponse] | Question:
            # All are read, and planned, before the first is queued: one that can't be queued, or that has to be
            # asked about, queues nothing.
            requests = [self._randomizer.request(source) for source in sources]
            if len(requests) > 1 and (asked := questions(kernel, requests)):
                return Question("\n".join(asked), requests, first, waits)
            try:
                return queue(kernel, requests, first=first, paused=waits)
            except NotConfirmed as error:
                return Question(str(error), requests, first, waits)

        stands = waits or self.pause.is_on
        self._desk.order(work, lambda answer: self._submitted(answer, stands), self._refused)

    def _submitted(self, answer: Sequence[pb.SubmitRunResponse] | Question, stands: bool) -> None:
        self.submitting = False
        self.touch()
        if isinstance(answer, Question):
            self.question = answer
            return
        self._replan()
        self.question = None
        images = sum(response.summary.jobs for response in answer)
        text = many("{n} image queued.", "{n} images queued.", images)
        warnings = [warning for response in answer for warning in response.summary.warnings]
        level: Level = "warning" if warnings else "good"
        hint = "\n".join(warnings[:3])
        if stands:  # else somebody waits for images that do not come
            hint = hint or _("The queue is paused: nothing begins before you start it.")
            self._desk.toasts.say(text, level, hint=hint, action=_("Start the queue"), act=self.pause.end)
        else:
            self._desk.toasts.say(text, level, hint=hint)

    def _refused(self, error: Exception) -> None:
        self.submitting = False
        self.touch()
        self._desk.complain(error)

    def answer(self, yes: bool, *, some: bool = False) -> None:
        """Answer :attr:`question`; ``some``: :data:`SOME` images of each pack, drawn, in place of all."""
        question, self.question = self.question, None
        self.touch()
        if question is None or not yes:
            return
        for request in question.requests:
            request.confirmed = True
            if some:
                request.sample = min(SOME, request.sample or SOME)
        self.submitting = True
        waits = question.waits and not self.pause.is_on
        stands = waits or self.pause.is_on
        self._desk.order(
            lambda kernel: queue(kernel, question.requests, first=question.first, paused=waits),
            lambda answer: self._submitted(answer, stands),
            self._refused,
        )

    # --- stopping -------------------------------------------------------------------------------------------

    @property
    def can_stop(self) -> bool:
        """Whether there is a run to stop."""
        state = self._desk.state
        return state.is_connected and any(
            run.state == "running" and run.run_id not in self.stopping for run in state.runs.values()
        )

    @property
    def is_stopping(self) -> bool:
        """Whether all that is being made has been asked to stop, and has not ended."""
        return bool(self.stopping) and not self.can_stop

    def stop(self) -> None:
        """Stop the run that is being made; those behind it stay, and the message offers to stop them, too."""
        state = self._desk.state
        active = [run for run in state.runs.values() if run.state == "running"]
        now = [run for run in active if run.active] or active[:1]
        if not now:
            return
        self._cancel(now)
        left = len(active) - len(now)
        if left:
            text = many("Stopped. {n} run is still queued.", "Stopped. {n} runs are still queued.", left)
            self._desk.toasts.say(text, "info", action=_("Stop everything"), act=self.stop_all)

    def stop_all(self) -> None:
        """Stop every run."""
        self._cancel([run for run in self._desk.state.runs.values() if run.state == "running"])

    def _cancel(self, runs: Sequence[pb.Run]) -> None:
        ids = [run.run_id for run in runs]
        self.stopping.update(ids)
        self.touch()

        def work(kernel: KernelClient) -> None:
            for run_id in ids:
                kernel.change_jobs("cancel", run_id=run_id, reason=f"stopped {WHO}")

        def failed(error: Exception) -> None:
            self.stopping.difference_update(ids)  # they run on, and can be stopped again
            self.touch()
            self._desk.complain(error)

        self._desk.order(work, failed=failed)

    def _watch_stops(self) -> None:
        runs = self._desk.state.runs
        under_way = {run.run_id for run in runs.values() if run.state == "running" or run.active}
        if over := self.stopping - under_way:  # a cancelled run may have a job that has yet to end
            self.stopping -= over
            self.touch()

    # --- whether it runs at once ----------------------------------------------------------------------------

    def switch_mode(self) -> None:
        """The other one of both; see :meth:`choose_mode`."""
        self.choose_mode("run" if self.queue_mode == "collect" else "collect")

    def choose_mode(self, mode: QueueMode) -> None:
        """``run``: what is added runs at once; ``collect``: it waits until :attr:`pause` ends."""
        self.queue_mode = mode
        self._desk.remembered.set("queue_mode", mode)
        self.touch()


def questions(kernel: KernelClient, requests: Sequence[pb.RunRequest]) -> Sequence[str]:
    """What has to be asked before ``requests`` are queued. Raises as ``KernelClient.preview``."""
    summaries = [message.summary for request in requests for message in kernel.preview(request, 1)]
    return [summary.question for summary in summaries if summary.question]


def queue(
    kernel: KernelClient, requests: Sequence[pb.RunRequest], *, first: bool, paused: bool
) -> Sequence[pb.SubmitRunResponse]:
    """Queue ``requests``, in order; ``first``: before all others; ``paused``: in a queue that stands still.
    Raises as ``KernelClient.submit``."""
    if paused:  # before anything of it could begin
        kernel.set_paused(True, _("collecting runs"))
    answers: list[pb.SubmitRunResponse] = []
    try:
        answers += (kernel.submit(request) for request in requests)
    except StableNewError:
        if paused and not answers:  # a queue that nothing was put into is left as it was
            kernel.set_paused(False, "")
        raise
    if first:
        for answer in reversed(answers):
            kernel.change_jobs("move_top", run_id=answer.run_id)
    return answers
