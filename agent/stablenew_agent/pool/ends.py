"""How a job ended: by the word of its worker, or by the death of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stablenew_agent.pool.jobs import Job
from stablenew_agent.pool.lines import files_of
from stablenew_agent.pool.process import exit_text
from stablenew_agent.pool.reports import WorkerResult
from stablenew_api.jobs import Failure, FailureKind
from stablenew_api.leases import LeaseState
from stablenew_client.wire import shorten_detail


def by_word(job: Job, message: Mapping[str, Any]) -> WorkerResult:
    """What a ``done`` line says became of its job."""
    state = LeaseState(message["state"])
    run_time, vram = message["run_time"], message["peak_vram"]
    if state is LeaseState.SUCCEEDED:
        # Even when it was cancelled meanwhile: the work is done, and the agent's final state is the truth.
        return WorkerResult(state, files_of(message), None, message["report"].encode("utf-8"), run_time, vram)
    if job.timed_out:
        return WorkerResult(
            LeaseState.FAILED, (), _timeout(job, "was stopped"), run_time=run_time, peak_vram_bytes=vram
        )
    failure = None
    if state is LeaseState.FAILED:
        failure = Failure(FailureKind(message["kind"]), message["message"], shorten_detail(message["detail"]))
    return WorkerResult(state, (), failure, run_time=run_time, peak_vram_bytes=vram)


def by_death(job: Job, code: int | None, stderr: str) -> WorkerResult:
    """What became of the job of a worker that died."""
    if job.timed_out:
        return WorkerResult(
            LeaseState.FAILED, (), _timeout(job, "did not stop when asked: its worker was killed")
        )
    if job.cancel_reason is not None:
        return WorkerResult(LeaseState.CANCELLED)
    return WorkerResult(
        LeaseState.FAILED,
        (),
        Failure(
            FailureKind.BACKEND,
            f"the worker process died ({exit_text(code)}); the backend's own log may say why",
            shorten_detail(stderr),
        ),
    )


def share_out(jobs: Sequence[Job]) -> tuple[list[Job], list[Job]]:
    """Those of the ``jobs`` of a worker that died which run again, made ready for that, and those which are
    over; both in their order. Dropped ones are neither."""
    started = [job for job in jobs if job.started]
    blamed = any(job.blamed for job in jobs)
    again: list[Job] = []
    over: list[Job] = []
    for job in jobs:
        job.stop_timers()
        if job.dropped:
            continue
        if job.blamed or job.cancel_reason is not None:
            over.append(job)
        elif not job.started or blamed:
            again.append(job)
        elif len(started) > 1:
            job.alone = True
            again.append(job)
        else:
            over.append(job)
    for job in again:
        job.begin_again()
    return again, over


def _timeout(job: Job, how: str) -> Failure:
    return Failure(
        FailureKind.TIMEOUT,
        f"used up its run_timeout of {job.run_timeout:g} s and {how}; "
        "raise run_timeout in settings.toml if it needs more",
    )
