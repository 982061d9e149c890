"""The command bar: what the next run would be, starting it, stopping it.

What is shown as "next run" is the plan that the kernel makes of the very requests that are then submitted: the
selected packs, with the settings of the pipeline and of the randomizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stablenew_api.errors import NotConfirmed, StableNewError
from stablenew_plugins.desktop.models.desk import Desk
from stablenew_plugins.desktop.models.model import Model
from stablenew_plugins.desktop.models.packs import PacksModel
from stablenew_plugins.desktop.models.pipeline import PipelineModel
from stablenew_plugins.desktop.models.randomizer import RandomizerModel
from stablenew_plugins.desktop.text import _, many

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import kernel_pb2 as pb

QUIET = 0.25
"""Seconds without a change before the plan is asked for."""

SHOWN = 60
"""Jobs of the plan that are shown, of all packs together."""

QueueMode = Literal["run", "collect"]


@dataclass(frozen=True, slots=True)
class PackPlan:
    """What one pack would make."""

    path: Path
    summary: pb.PlanSummary | None = None
    jobs: Sequence[pb.PlannedJob] = ()
    """The first of them."""
    problem: str = ""
    """Why it can't be run; empty: it can."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the next run would be."""

    packs: Sequence[PackPlan] = ()

    @property
    def images(self) -> int:
        """How many images it would make."""
        return sum(pack.summary.jobs for pack in self.packs if pack.summary is not None)

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


@dataclass(slots=True)
class _Asked:
    """What the plan that is shown, or on its way, was made of."""

    seen: tuple[int, ...] = ()
    due: float = 0.0
    pending: bool = False


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
        mode = desk.remembered.get("queue_mode", "run")
        self.queue_mode: QueueMode = mode if mode in ("run", "collect") else "run"
        desk.state.on_connected.append(self._replan)

    # --- the plan -------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Ask for the plan anew when something that it depends on changed, after a moment of quiet."""
        now = self._desk.clock()
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
        paths = list(self._packs.selected)
        asked = self._desk.ask(
            lambda kernel: self._plan(kernel, paths), self._planned, self._unplanned, key="plan"
        )
        if asked or not paths:
            self._asked.pending = False
        if not paths:
            self._planned(Plan())

    def _plan(self, kernel: KernelClient, paths: Sequence[Path]) -> Plan:
        plans = []
        left = SHOWN
        for path in paths:
            plan = self._plan_pack(kernel, path, max(1, left))
            left -= len(plan.jobs)
            plans.append(plan)
        return Plan(plans)

    def _plan_pack(self, kernel: KernelClient, path: Path, show: int) -> PackPlan:
        try:
            jobs: list[pb.PlannedJob] = []
            summary = None
            for message in kernel.preview(self._request(path), show):
                jobs += message.jobs
                if message.HasField("summary"):
                    summary = message.summary
            return PackPlan(path, summary, jobs)
        except StableNewError as error:
            return PackPlan(path, problem=str(error))

    def _request(self, path: Path) -> pb.RunRequest:
        """What a run of the pack ``path`` asks for now. Reads files."""
        from stablenew_client.packfiles import read_pack, request_of

        request = request_of(read_pack(str(path)))
        request.pack_path = str(path)
        self._pipeline.apply(request)
        self._randomizer.apply(request)
        return request

    def _planned(self, plan: Plan) -> None:
        self.plan, self.is_planning = plan, False
        self.touch()

    def _unplanned(self, error: Exception) -> None:
        self.is_planning = False
        self._desk.complain(error)
        self.touch()

    # --- doing it -------------------------------------------------------------------------------------------

    @property
    def can_run(self) -> bool:
        """Whether there is something to run, and somebody to run it."""
        return bool(self._packs.selected) and self._desk.state.is_connected and not self.submitting

    @property
    def why_not(self) -> str:
        """Why it can't; empty: it can."""
        if not self._desk.state.is_connected:
            return _("The kernel is not there yet.")
        if not self._packs.selected:
            return _("Choose a prompt pack on the left.")
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
        """Queue it behind all others."""
        self._submit(first=False)

    def run_next(self) -> None:
        """Queue it before all others."""
        self._submit(first=True)

    def _submit(self, *, first: bool) -> None:
        if self.submitting:
            return
        if reason := self.why_not:
            self._desk.toasts.say(reason, "warning")
            return
        paths = list(self._packs.selected)
        self.submitting = True
        self.touch()

        def work(kernel: KernelClient) -> Sequence[pb.SubmitRunResponse] | Question:
            # All are read before the first is queued: a pack that can't be read queues nothing.
            requests = [self._request(path) for path in paths]
            try:
                return submit(kernel, requests, first=first)
            except NotConfirmed as error:
                return Question(str(error), requests, first)

        if self.queue_mode == "collect" and not self.is_paused:
            self._desk.order(lambda kernel: kernel.set_paused(True, _("collecting runs")))
        if not self._desk.ask(work, self._submitted, self._refused):
            self.submitting = False

    def _submitted(self, answer: Sequence[pb.SubmitRunResponse] | Question) -> None:
        self.submitting = False
        self.touch()
        if isinstance(answer, Question):
            self.question = answer
            return
        self.question = None
        images = sum(response.summary.jobs for response in answer)
        text = many("{n} image queued.", "{n} images queued.", images)
        warnings = [warning for response in answer for warning in response.summary.warnings]
        self._desk.toasts.say(text, "warning" if warnings else "good", hint="\n".join(warnings[:3]))

    def _refused(self, error: Exception) -> None:
        self.submitting = False
        self.touch()
        self._desk.complain(error)

    def answer(self, yes: bool) -> None:
        """Answer :attr:`question`."""
        question, self.question = self.question, None
        self.touch()
        if question is None or not yes:
            return
        for request in question.requests:
            request.confirmed = True
        self.submitting = True
        asked = self._desk.ask(
            lambda kernel: submit(kernel, question.requests, first=question.first),
            self._submitted,
            self._refused,
        )
        self.submitting = asked

    # --- stopping -------------------------------------------------------------------------------------------

    @property
    def can_stop(self) -> bool:
        """Whether there is a run to stop."""
        state = self._desk.state
        return state.is_connected and any(
            run.state == "running" and run.run_id not in self.stopping for run in state.runs.values()
        )

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
                kernel.change_jobs("cancel", run_id=run_id, reason="stopped in the desktop")

        self._desk.order(work)

    def _watch_stops(self) -> None:
        runs = self._desk.state.runs
        over = {run_id for run_id in self.stopping if run_id not in runs or runs[run_id].state != "running"}
        if over:
            self.stopping -= over
            self.touch()

    # --- the queue ------------------------------------------------------------------------------------------

    @property
    def is_paused(self) -> bool:
        """Whether the queue is paused."""
        queue = self._desk.state.queue
        return queue is not None and queue.paused

    def toggle_pause(self) -> None:
        """Pause the queue, or let it go on. Jobs that run are finished."""
        paused = not self.is_paused
        self._desk.order(lambda kernel: kernel.set_paused(paused, "paused in the desktop" if paused else ""))

    def choose_mode(self, mode: QueueMode) -> None:
        """``run``: what is added runs at once; ``collect``: it waits until :meth:`toggle_pause` starts it."""
        self.queue_mode = mode
        self._desk.remembered.set("queue_mode", mode)
        self.touch()


def submit(
    kernel: KernelClient, requests: Sequence[pb.RunRequest], *, first: bool
) -> Sequence[pb.SubmitRunResponse]:
    """Queue ``requests``, in order; ``first``: before all others. Raises as ``KernelClient.submit``."""
    answers = []
    for request in requests:
        answers.append(kernel.submit(request))
    if first:
        for answer in reversed(answers):
            kernel.change_jobs("move_top", run_id=answer.run_id)
    return answers
