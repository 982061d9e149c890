"""A kernel for tests of the tab Queue: it has jobs, does as it is told, and remembers what that was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from stablenew_api.errors import NotConfirmed, UserError
from stablenew_proto.v1 import gallery_pb2, kernel_pb2

WAITING = ("queued",)


def a_job(number: int, state: str = "queued", **fields: Any) -> kernel_pb2.Job:
    return kernel_pb2.Job(
        job_id=f"job-{number:04d}",
        run_id="run-1",
        state=state,
        prompt=f"lake {number}",
        seed=number,
        stages=["txt2img", "upscale"],
        index=number,
        **fields,
    )


class Kernel:
    """Has jobs, does as it is told, and remembers what that was."""

    def __init__(self, jobs: Sequence[kernel_pb2.Job]) -> None:
        self.all = list(jobs)
        self.done: list[tuple[Any, ...]] = []
        self.notes: list[str] = []
        self.paused = False
        self.searched: list[tuple[str, str]] = []
        self.question = ""
        self.started: set[str] = set()
        """Jobs that run by now, which the window does not know yet."""
        self.orders: list[str] = []
        """Of each page of jobs that are over that was asked for with one."""
        self.replayed: list[kernel_pb2.ReplayRequest] = []
        self.gallery = SimpleNamespace(images=self._images)

    def jobs(
        self,
        run_id: str = "",
        states: Sequence[str] = (),
        limit: int = 100,
        offset: int = 0,
        *,
        order: str = "",
    ) -> kernel_pb2.ListJobsResponse:
        if order:
            self.orders.append(order)
        found = [
            job
            for job in self.all
            if (not run_id or job.run_id == run_id) and (not states or job.state in states)
        ]
        if not run_id and tuple(states) != WAITING:
            found.reverse()  # newest first, as the kernel has them
        return kernel_pb2.ListJobsResponse(jobs=found[offset : offset + limit], total=len(found))

    def job(self, job_id: str) -> kernel_pb2.GetJobResponse:
        found = next(job for job in self.all if job.job_id == job_id)
        if job_id in self.started:
            found.state = "running"
        spec = {"stages": [{"name": "txt2img", "config": {"width": 512, "height": 512, "steps": 20}}]}
        events = [
            kernel_pb2.JobEvent(at="2026-11-27T20:59:52+00:00", who="operator", to_state="queued", why="made")
        ]
        return kernel_pb2.GetJobResponse(job=found, spec_json=json.dumps(spec).encode(), events=events)

    def runs(self, limit: int = 50) -> Sequence[kernel_pb2.Run]:
        return [
            kernel_pb2.Run(
                run_id="run-1", name="demo", state="running", total=9, done=3, failed=1, out_dir="/o"
            )
        ]

    def change_jobs(
        self, action: str, job_ids: Sequence[str] = (), **options: Any
    ) -> kernel_pb2.ChangeJobsResponse:
        if options.get("before") in self.started:
            raise UserError("that job is running: jobs can be moved only before one that is queued")
        self.done.append((action, list(job_ids), {key: value for key, value in options.items() if value}))
        return kernel_pb2.ChangeJobsResponse(changed=len(job_ids) or 1, notes=self.notes)

    def set_paused(self, paused: bool, reason: str = "") -> kernel_pb2.QueueSummary:
        self.paused = paused
        return kernel_pb2.QueueSummary(paused=paused, paused_reason=reason)

    def replay_batch(self, request: kernel_pb2.ReplayRequest) -> kernel_pb2.ReplayResponse:
        if self.question and not request.confirmed:
            raise NotConfirmed(self.question)
        self.replayed.append(request)
        return kernel_pb2.ReplayResponse(summary=kernel_pb2.PlanSummary(jobs=len(request.specs)))

    def _images(
        self, where: gallery_pb2.ImageFilter, *, limit: int = 100, offset: int = 0
    ) -> gallery_pb2.ListImagesResponse:
        self.searched.append((where.words, where.run_id))
        return gallery_pb2.ListImagesResponse(
            images=[gallery_pb2.Image(job_id="job-0001", path="/o/1.png", prompt="lake 1")], total=1
        )
