"""KernelService: what clients ask, passed on to the kernel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

import grpc

from stablenew_kernel.hub.answers import answer as _answer
from stablenew_kernel.hub.answers import finish as _finish
from stablenew_kernel.hub.watch import Watcher
from stablenew_proto.v1 import kernel_pb2 as pb
from stablenew_proto.v1 import kernel_pb2_grpc


class RunsPort(Protocol):
    """What clients can ask about runs."""

    def preview(self, request: pb.PreviewRunRequest) -> AsyncIterator[pb.PreviewRunResponse]: ...
    async def submit(self, run: pb.RunRequest) -> pb.SubmitRunResponse: ...
    async def replay(self, request: pb.ReplayRequest) -> pb.ReplayResponse: ...
    async def list_runs(self, limit: int) -> pb.ListRunsResponse: ...


class QueuePort(Protocol):
    """What clients can ask about jobs."""

    async def list_jobs(self, request: pb.ListJobsRequest) -> pb.ListJobsResponse: ...
    async def get_job(self, job_id: str) -> pb.GetJobResponse: ...
    async def change_jobs(self, request: pb.ChangeJobsRequest) -> pb.ChangeJobsResponse: ...
    async def set_paused(self, paused: bool, reason: str) -> pb.QueueSummary: ...


class NodesPort(Protocol):
    """What clients can ask about nodes."""

    async def list_nodes(self) -> pb.ListNodesResponse: ...
    async def drain_node(self, node: str, draining: bool, reason: str) -> pb.Node: ...


class PlacesPort(Protocol):
    """What clients can ask about what the randomizer keeps."""

    async def list_places(self, request: pb.ListPlacesRequest) -> pb.ListPlacesResponse: ...
    async def reset(self, request: pb.ResetPlacesRequest) -> pb.ResetPlacesResponse: ...


class RatingsPort(Protocol):
    """What clients can say about images."""

    async def rate(self, request: pb.RateImageRequest) -> pb.RateImageResponse: ...


class SettingsPort(Protocol):
    """What clients can ask about the person's settings."""

    async def get(self) -> pb.GetSettingsResponse: ...
    async def change(self, request: pb.ChangeSettingsRequest) -> pb.ChangeSettingsResponse: ...


class KernelPort(Protocol):
    """What clients can ask of the kernel; see ``kernel.proto`` for what each call does."""

    @property
    def runs(self) -> RunsPort: ...
    @property
    def queue(self) -> QueuePort: ...
    @property
    def nodes(self) -> NodesPort: ...
    @property
    def places(self) -> PlacesPort: ...
    @property
    def settings(self) -> SettingsPort: ...
    @property
    def gallery(self) -> RatingsPort: ...
    async def status(self) -> pb.GetStatusResponse: ...
    async def watch(self, watcher: Watcher) -> pb.WatchResponse: ...
    def unwatch(self, watcher: Watcher) -> None: ...
    async def plugins(self) -> pb.ListPluginsResponse: ...
    async def stages(self) -> pb.ListStagesResponse: ...
    def request_stop(self, *, wait_for_running: bool = False) -> None: ...


class KernelServicer(kernel_pb2_grpc.KernelServiceServicer):
    """Serves one kernel."""

    def __init__(self, kernel: KernelPort) -> None:
        self._kernel = kernel

    async def GetStatus(self, request: pb.GetStatusRequest, context: Any) -> pb.GetStatusResponse:
        """Who the kernel is, and how its queue stands."""
        return await _answer(context, self._kernel.status())

    async def PreviewRun(
        self, request: pb.PreviewRunRequest, context: Any
    ) -> AsyncIterator[pb.PreviewRunResponse]:
        """The very jobs that SubmitRun would queue."""
        stream = self._kernel.runs.preview(request)
        while (batch := await _answer(context, anext(stream, None))) is not None:
            yield batch

    async def SubmitRun(self, request: pb.SubmitRunRequest, context: Any) -> pb.SubmitRunResponse:
        """Plan and queue."""
        return await _answer(context, self._kernel.runs.submit(request.run))

    async def Replay(self, request: pb.ReplayRequest, context: Any) -> pb.ReplayResponse:
        """Queue a stored job again."""
        return await _answer(context, self._kernel.runs.replay(request))

    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.WatchResponse]:
        """The state now, then what changes."""
        watcher = Watcher(request)
        snapshot = await _answer(context, self._kernel.watch(watcher))
        try:
            yield snapshot
            async for message in watcher.messages():
                yield message
        finally:
            self._kernel.unwatch(watcher)
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the kernel has stopped")

    async def ListRuns(self, request: pb.ListRunsRequest, context: Any) -> pb.ListRunsResponse:
        """Runs, newest first."""
        return await _answer(context, self._kernel.runs.list_runs(request.limit))

    async def ListJobs(self, request: pb.ListJobsRequest, context: Any) -> pb.ListJobsResponse:
        """Jobs, a page at a time."""
        return await _answer(context, self._kernel.queue.list_jobs(request))

    async def GetJob(self, request: pb.GetJobRequest, context: Any) -> pb.GetJobResponse:
        """One job with its history."""
        return await _answer(context, self._kernel.queue.get_job(request.job_id))

    async def ChangeJobs(self, request: pb.ChangeJobsRequest, context: Any) -> pb.ChangeJobsResponse:
        """Cancel, retry, move or clear."""
        return await _finish(context, self._kernel.queue.change_jobs(request))

    async def SetQueuePaused(
        self, request: pb.SetQueuePausedRequest, context: Any
    ) -> pb.SetQueuePausedResponse:
        """Pause or resume."""
        queue = await _finish(context, self._kernel.queue.set_paused(request.paused, request.reason))
        return pb.SetQueuePausedResponse(queue=queue)

    async def ListNodes(self, request: pb.ListNodesRequest, context: Any) -> pb.ListNodesResponse:
        """Nodes by name."""
        return await _answer(context, self._kernel.nodes.list_nodes())

    async def DrainNode(self, request: pb.DrainNodeRequest, context: Any) -> pb.DrainNodeResponse:
        """No more work for a node, or work again."""
        node = await _finish(
            context, self._kernel.nodes.drain_node(request.node, request.draining, request.reason)
        )
        return pb.DrainNodeResponse(node=node)

    async def ListPlugins(self, request: pb.ListPluginsRequest, context: Any) -> pb.ListPluginsResponse:
        """Every plugin, the broken ones with their reason."""
        return await _answer(context, self._kernel.plugins())

    async def ListStages(self, request: pb.ListStagesRequest, context: Any) -> pb.ListStagesResponse:
        """Every stage that is offered to people."""
        return await _answer(context, self._kernel.stages())

    async def GetSettings(self, request: pb.GetSettingsRequest, context: Any) -> pb.GetSettingsResponse:
        """The person's settings."""
        return await _answer(context, self._kernel.settings.get())

    async def ChangeSettings(
        self, request: pb.ChangeSettingsRequest, context: Any
    ) -> pb.ChangeSettingsResponse:
        """Write some of them."""
        return await _finish(context, self._kernel.settings.change(request))

    async def RateImage(self, request: pb.RateImageRequest, context: Any) -> pb.RateImageResponse:
        """Rate an image by its pixels."""
        return await _finish(context, self._kernel.gallery.rate(request))

    async def ListPlaces(self, request: pb.ListPlacesRequest, context: Any) -> pb.ListPlacesResponse:
        """What the randomizer keeps between runs."""
        return await _answer(context, self._kernel.places.list_places(request))

    async def ResetPlaces(self, request: pb.ResetPlacesRequest, context: Any) -> pb.ResetPlacesResponse:
        """Forget it."""
        return await _finish(context, self._kernel.places.reset(request))

    async def StopKernel(self, request: pb.StopKernelRequest, context: Any) -> pb.StopKernelResponse:
        """Agree to stop; the stop itself comes after the answer."""
        self._kernel.request_stop(wait_for_running=request.wait_for_running)
        return pb.StopKernelResponse()
