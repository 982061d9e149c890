"""A kernel for the tests of the command line: the real service on a real port; a script moves its queue."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from stablenew_api.datafolder import DataFolder, KernelInfo
from stablenew_proto.v1 import agent_link_pb2 as link
from stablenew_proto.v1 import common_pb2 as common
from stablenew_proto.v1 import kernel_pb2 as pb
from stablenew_proto.v1 import kernel_pb2_grpc, library_pb2_grpc

TOKEN = "test-token"
RUN = "0197a3b2-4c5d-7e6f-8a9b-000000000001"


def finish_all(kernel: FakeKernel) -> None:
    """The script of a run in which all goes well."""
    for index in range(kernel.jobs_a_run):
        kernel.progress(index)
        kernel.finish(index)
    kernel.end()


def hang(kernel: FakeKernel) -> None:
    """The script of a run whose first job never ends by itself."""
    kernel.progress(0)


class FakeKernel(kernel_pb2_grpc.KernelServiceServicer):
    """One run of ``jobs_a_run`` images at most. ``calls`` has each request, with the name of its method."""

    def __init__(self, data: DataFolder) -> None:
        self.data = data
        self.script: Callable[[FakeKernel], None] = finish_all
        self.jobs_a_run = 2
        self.calls: list[tuple[str, Any]] = []
        self.refuse: dict[str, tuple[grpc.StatusCode, str]] = {}
        self.warnings: list[str] = []
        self.question = ""
        """Not empty: runs are refused with it until they are confirmed."""
        self.seconds = 0.0
        self.files = ["/out/demo/contact_sheet.png"]
        self.plugins: list[pb.Plugin] = []
        self.nodes: list[pb.Node] = []
        self.known = True
        self.cancel_settles = True
        self.queue = pb.QueueSummary()
        self.places: list[pb.Place] = []
        self.runs: list[pb.Run] = []
        self.jobs: dict[str, pb.Job] = {}
        self.events: list[pb.JobEvent] = []
        self.library: Any = None
        self.watched = threading.Event()
        self._news: list[pb.WatchResponse] = []
        self._changed = threading.Condition()
        self._down = False
        self._server: grpc.Server | None = None

    # --- life -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen, and leave word in the data folder."""
        self._down = False
        self.watched.clear()
        self._server = grpc.server(ThreadPoolExecutor(16))
        kernel_pb2_grpc.add_KernelServiceServicer_to_server(self, self._server)
        if self.library is not None:
            library_pb2_grpc.add_LibraryServiceServicer_to_server(self.library, self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self.data.write_kernel(
            KernelInfo(f"127.0.0.1:{port}", TOKEN, 4242, "2026-11-22T20:00:00+00:00", "0.1.0")
        )

    def crash(self) -> None:
        """Go away without a word: kernel.json stays."""
        with self._changed:
            self._down = True
            self._changed.notify_all()
        assert self._server is not None
        self._server.stop(None).wait()

    def stop(self) -> None:
        """Go away in good order."""
        self.data.kernel_json.unlink(missing_ok=True)
        self.crash()

    # --- what scripts do ------------------------------------------------------------------------------------

    @staticmethod
    def job_id(index: int) -> str:
        """The id of the job that makes image ``index``."""
        return f"0197a3b2-4c5d-7e6f-8a9b-10000000{index:04d}"

    def add_run(self) -> None:
        """A run of ``jobs_a_run`` queued jobs."""
        run = pb.Run(
            run_id=RUN,
            name="demo",
            created_at="2026-11-22T20:00:00+00:00",
            out_dir="/out/demo",
            state="running",
            total=self.jobs_a_run,
        )
        self.runs.insert(0, run)
        for index in range(self.jobs_a_run):
            job_id = self.job_id(index)
            self.jobs[job_id] = pb.Job(
                job_id=job_id,
                run_id=RUN,
                state="queued",
                prompt=f"a [[castle]]\n{index}",
                seed=2**63 + index,
                stages=["txt2img", "upscale"],
                index=index,
                waiting_reason="no node has the feature upscale",
            )
        self._count()

    def progress(self, index: int, node: str = "attic") -> None:
        """Job ``index`` runs."""
        job = self.jobs[self.job_id(index)]
        job.state, job.node, job.attempt = "running", node, 1
        progress = link.JobProgress(
            stage="txt2img", stage_index=0, stage_count=2, step=3, steps=20, fraction=0.1, eta=4.0
        )
        running = pb.RunningJob(job_id=job.job_id, run_id=RUN, node=node, progress=progress)
        self._tell(pb.WatchResponse(jobs=[job], progress=[running], runs=[self._count()]))

    def finish(self, index: int) -> None:
        """Job ``index`` is done and its image saved."""
        job = self.jobs[self.job_id(index)]
        job.state, job.run_time, job.path = "done", 1.5, f"/out/demo/{index:04d}.png"
        image = pb.SavedImage(run_id=RUN, job_id=job.job_id, path=job.path, image_sha256="ab" * 32)
        self._tell(pb.WatchResponse(jobs=[job], images=[image], runs=[self._count()]))

    def fail(self, index: int, kind: str = "backend", message: str = "the WebUI answered 500") -> None:
        """Job ``index`` fails for good."""
        job = self.jobs[self.job_id(index)]
        job.state = "failed"
        job.failure.CopyFrom(common.Failure(kind=kind, message=message, detail="line one\nline two"))
        self._tell(pb.WatchResponse(jobs=[job], runs=[self._count()]))

    def end(self, state: str = "done") -> None:
        """The run is over."""
        run = self._count()
        run.state, run.ended_at = state, "2026-11-22T20:01:00+00:00"
        if state == "done":
            run.files.extend(self.files)
        self._tell(pb.WatchResponse(runs=[run]))

    def _count(self) -> pb.Run:
        run = self.runs[0]
        states = [job.state for job in self.jobs.values()]
        run.queued, run.active = states.count("queued"), states.count("running")
        run.done, run.failed, run.cancelled = (states.count(name) for name in ("done", "failed", "cancelled"))
        return run

    def _tell(self, message: pb.WatchResponse) -> None:
        with self._changed:
            self._news.append(message)
            self._changed.notify_all()

    # --- the service ----------------------------------------------------------------------------------------

    def requests(self, name: str) -> list[Any]:
        """The requests of one method so far."""
        return [request for called, request in self.calls if called == name]

    def heard(self, name: str, times: int = 1) -> bool:
        """Wait until method ``name`` was called ``times`` times. False after 20 s."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.requests(name)) >= times, timeout=60)

    def _called(self, name: str, request: Any, context: grpc.ServicerContext) -> None:
        with self._changed:
            self.calls.append((name, request))
            self._changed.notify_all()
        shown = dict(context.invocation_metadata()).get("authorization")
        if shown != f"Bearer {TOKEN}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "wrong token")
        if name in self.refuse:
            context.abort(*self.refuse[name])

    def GetStatus(self, request: Any, context: grpc.ServicerContext) -> pb.GetStatusResponse:
        self._called("GetStatus", request, context)
        return pb.GetStatusResponse(
            version="0.1.0",
            pid=4242,
            data_folder=str(self.data.root),
            address="127.0.0.1:1",
            started_at="2026-11-22T20:00:00+00:00",
            sqlite_version="3.51.3",
            queue=self.queue,
            nodes_online=len(self.nodes),
        )

    def ListPlaces(self, request: Any, context: grpc.ServicerContext) -> pb.ListPlacesResponse:
        self._called("ListPlaces", request, context)
        return pb.ListPlacesResponse(places=self.places)

    def ResetPlaces(self, request: Any, context: grpc.ServicerContext) -> pb.ResetPlacesResponse:
        self._called("ResetPlaces", request, context)
        return pb.ResetPlacesResponse(reset=len(self.places))

    def _summary(self) -> pb.PlanSummary:
        line = f"1 row x {self.jobs_a_run} images = {self.jobs_a_run} images"
        return pb.PlanSummary(
            jobs=self.jobs_a_run,
            line=line,
            warnings=self.warnings,
            out_dir="/out",
            seconds=self.seconds,
            time="about 12 min on 2 nodes; from 48 images like these" if self.seconds else "",
            question=self.question,
        )

    def _ask(self, confirmed: bool, context: grpc.ServicerContext) -> None:
        if self.question and not confirmed:
            context.set_trailing_metadata((("plan-summary-bin", self._summary().SerializeToString()),))
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, self.question)

    def PreviewRun(self, request: Any, context: grpc.ServicerContext) -> Iterator[pb.PreviewRunResponse]:
        self._called("PreviewRun", request, context)
        for index in range(min(self.jobs_a_run, request.show or self.jobs_a_run)):
            job = pb.PlannedJob(
                index=index,
                row=index + 1,
                prompt="a [[castle]] [bold]",
                negative_prompt="fog",
                seed=2**64 - 1 - index,
                stages=["txt2img", "upscale"],
                node="attic",
                reason="idle, has the model loaded",
                spec_sha256="cd" * 32,
                spec_json=b'{"stages":[]}',
            )
            yield pb.PreviewRunResponse(jobs=[job])
        yield pb.PreviewRunResponse(summary=self._summary())

    def _queue_run(self) -> None:
        self.add_run()
        threading.Thread(target=self._play, daemon=True).start()

    def _play(self) -> None:
        # Only once somebody looks (or nobody will): a run may be over before its first watcher comes.
        self.watched.wait(timeout=60)
        self.script(self)

    def SubmitRun(self, request: Any, context: grpc.ServicerContext) -> pb.SubmitRunResponse:
        self._called("SubmitRun", request, context)
        self._ask(request.run.confirmed, context)
        self._queue_run()
        return pb.SubmitRunResponse(run_id=RUN, summary=self._summary())

    def Replay(self, request: Any, context: grpc.ServicerContext) -> pb.ReplayResponse:
        self._called("Replay", request, context)
        self._ask(request.confirmed, context)
        self._queue_run()
        return pb.ReplayResponse(run_id=RUN, summary=self._summary())

    def Watch(self, request: Any, context: grpc.ServicerContext) -> Iterator[pb.WatchResponse]:
        self._called("Watch", request, context)
        context.add_callback(self._wake)
        seen = len(self._news)
        active = [job for job in self.jobs.values() if job.state == "running"]
        yield pb.WatchResponse(snapshot=True, runs=[self._count()], jobs=active, queue=self.queue)
        self.watched.set()
        while True:
            with self._changed:
                while len(self._news) == seen and not self._down and context.is_active():
                    self._changed.wait(timeout=60)
                if self._down or not context.is_active():
                    return
                fresh, seen = self._news[seen:], len(self._news)
            yield from fresh

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def ListRuns(self, request: Any, context: grpc.ServicerContext) -> pb.ListRunsResponse:
        self._called("ListRuns", request, context)
        return pb.ListRunsResponse(runs=self.runs)

    def ListJobs(self, request: Any, context: grpc.ServicerContext) -> pb.ListJobsResponse:
        self._called("ListJobs", request, context)
        jobs = [job for job in self.jobs.values() if not request.states or job.state in request.states]
        return pb.ListJobsResponse(jobs=jobs[: request.limit or 100], total=len(jobs))

    def GetJob(self, request: Any, context: grpc.ServicerContext) -> pb.GetJobResponse:
        self._called("GetJob", request, context)
        for job in self.jobs.values():
            if job.job_id.startswith(request.job_id):
                spec = b'{"stages":[{"seed":18446744073709551615}]}'
                return pb.GetJobResponse(job=job, spec_json=spec, events=self.events)
        context.abort(grpc.StatusCode.NOT_FOUND, f"job {request.job_id!r}: there is none")

    def ChangeJobs(self, request: Any, context: grpc.ServicerContext) -> pb.ChangeJobsResponse:
        self._called("ChangeJobs", request, context)
        open_jobs = [job for job in self.jobs.values() if job.state in ("queued", "running")]
        if request.action == "cancel" and open_jobs and self.cancel_settles:
            for job in open_jobs:
                job.state = "cancelled"
            self._tell(pb.WatchResponse(jobs=open_jobs))
            self.end("cancelled")
        return pb.ChangeJobsResponse(changed=len(open_jobs), notes=["1 job was done already"])

    def SetQueuePaused(self, request: Any, context: grpc.ServicerContext) -> pb.SetQueuePausedResponse:
        self._called("SetQueuePaused", request, context)
        self.queue.paused, self.queue.paused_reason = request.paused, request.reason
        return pb.SetQueuePausedResponse(queue=self.queue)

    def ListNodes(self, request: Any, context: grpc.ServicerContext) -> pb.ListNodesResponse:
        self._called("ListNodes", request, context)
        return pb.ListNodesResponse(nodes=self.nodes)

    def DrainNode(self, request: Any, context: grpc.ServicerContext) -> pb.DrainNodeResponse:
        self._called("DrainNode", request, context)
        return pb.DrainNodeResponse(node=pb.Node(info=link.NodeInfo(name=request.node), state="draining"))

    def ListPlugins(self, request: Any, context: grpc.ServicerContext) -> pb.ListPluginsResponse:
        self._called("ListPlugins", request, context)
        return pb.ListPluginsResponse(plugins=self.plugins)

    def RateImage(self, request: Any, context: grpc.ServicerContext) -> pb.RateImageResponse:
        self._called("RateImage", request, context)
        return pb.RateImageResponse(known=self.known)

    def StopKernel(self, request: Any, context: grpc.ServicerContext) -> pb.StopKernelResponse:
        self._called("StopKernel", request, context)
        return pb.StopKernelResponse()
