"""What a job, a run and a job's history say in a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from stablenew_plugins.desktop.models.core.plainwords import explain_failure, explain_waiting
from stablenew_plugins.desktop.text import _, duration, many

if TYPE_CHECKING:
    from stablenew_proto.v1 import kernel_pb2 as pb

Mood = Literal["waits", "works", "good", "bad", "off", "unsure"]
"""What a state means to a person; the colour goes by it."""

ACTIVE = ("leased", "running", "unknown")
WAITING = ("queued",)
ENDED = ("done", "failed", "cancelled")

_MOODS: dict[str, Mood] = {
    "queued": "waits",
    "leased": "works",
    "running": "works",
    "unknown": "unsure",
    "done": "good",
    "failed": "bad",
    "cancelled": "off",
}


@dataclass(frozen=True, slots=True)
class JobLine:
    """One job, in words."""

    state: str
    mood: Mood
    note: str = ""
    """Where it stands: step and time left, why it waits, why it failed, how long it took."""
    fraction: float | None = None
    """0 to 1, of one that runs."""
    stages: str = ""
    attempt: str = ""


def mood(state: str) -> Mood:
    """What the state of a job means."""
    return _MOODS.get(state, "unsure")


def state_word(state: str) -> str:
    """The state of a job, in a word."""
    words = {
        "queued": _("Waiting"),
        "leased": _("Next up"),
        "running": _("Running"),
        "unknown": _("Out of touch"),
        "done": _("Done"),
        "failed": _("Failed"),
        "cancelled": _("Cancelled"),
    }
    return words.get(state, state)


def job_line(job: pb.Job, running: pb.RunningJob | None, title_of: Callable[[str], str] = str) -> JobLine:
    """``job`` in words. ``running``: what is told of it while it runs. ``title_of``: see
    :meth:`~..core.state.KernelState.stage_title`."""
    note, fraction = "", None
    if job.state == "queued":
        note = explain_waiting(job.waiting_reason, job.place).text
    elif job.state == "leased" or (running is not None and is_next(running)):
        note = _("Next on {node}").format(node=job.node)
    elif job.state == "running":
        fraction = running.progress.fraction if running is not None else 0.0
        note = progress_text(running, title_of) if running is not None else _("starts")
    elif job.state == "unknown":
        note = _("{node} is out of touch; it may still be working").format(node=job.node)
    elif job.state == "failed":
        note = explain_failure(job.failure, job, (), title_of=title_of).text
    elif job.state == "done":
        note = seconds_text(job.run_time)
    return JobLine(
        state=state_word(job.state),
        mood=mood(job.state),
        note=note,
        fraction=fraction,
        stages=stages_text(job.stages, title_of),
        attempt=_("try {n}").format(n=job.attempt) if job.attempt > 1 else "",
    )


def is_next(running: pb.RunningJob) -> bool:
    """Whether its node has it and does not work on it yet: a node gets its next job while it still works on the
    one before."""
    return not running.progress.stage


def progress_text(running: pb.RunningJob, title_of: Callable[[str], str] = str) -> str:
    """``Text to image 12/30 · 0:14``."""
    progress = running.progress
    steps = f" {progress.step}/{progress.steps}" if progress.steps else ""
    parts = [f"{title_of(progress.stage)}{steps}".strip()]
    if progress.eta > 0:
        parts.append(duration(progress.eta))
    return "  ·  ".join(part for part in parts if part)


def stages_text(stages: Sequence[str], title_of: Callable[[str], str] = str) -> str:
    """``Text to image +3``."""
    if not stages:
        return ""
    first = title_of(stages[0])
    return first if len(stages) == 1 else f"{first} +{len(stages) - 1}"


def seconds_text(seconds: float) -> str:
    """How long something took: ``1.6 s``, ``2:05``."""
    if seconds <= 0:
        return ""
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)


def moment(at: str, now: datetime, *, seconds: bool = False) -> str:
    """A time as the kernel writes it (UTC, ISO 8601), here and short: ``14:05``, ``Mon 14:05``, ``3 Nov``."""
    try:
        then = datetime.fromisoformat(at)
    except ValueError:
        return at
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    then, now = then.astimezone(now.tzinfo), now
    clock = then.strftime("%H:%M:%S" if seconds else "%H:%M")
    days = (now.date() - then.date()).days
    if days == 0:
        return clock
    if 0 < days < 7:
        return f"{then.strftime('%a')} {clock}"
    day = f"{then.day} {then.strftime('%b')}"
    return day if then.year == now.year else f"{day} {then.year}"


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run, in words."""

    state: str
    mood: Mood
    fraction: float
    counts: str
    note: str = ""


def run_line(run: pb.Run) -> RunLine:
    """``run`` in words."""
    parts = [_("{n} of {total}").format(n=f"{run.done:,}", total=f"{run.total:,}")]
    if run.failed:
        parts.append(many("{n} failed", "{n} failed", run.failed))
    if run.cancelled:
        parts.append(many("{n} cancelled", "{n} cancelled", run.cancelled))
    state, feeling = _run_state(run)
    return RunLine(
        state=state,
        mood=feeling,
        fraction=run.done / run.total if run.total else 0.0,
        counts="  ·  ".join(parts),
        note=duration(run.seconds) if run.seconds and run.state == "running" else "",
    )


def _run_state(run: pb.Run) -> tuple[str, Mood]:
    if run.state == "running":
        return (_("Running"), "works") if run.active else (_("Waiting"), "waits")
    if run.state == "cancelled":
        return _("Cancelled"), "off"
    if run.failed:
        return _("With failures"), "bad"
    return _("Done"), "good"


def event_text(event: pb.JobEvent) -> str:
    """``queued → running``; the first one: ``queued``."""
    to = state_word(event.to_state)
    return f"{state_word(event.from_state)} → {to}" if event.from_state else to
