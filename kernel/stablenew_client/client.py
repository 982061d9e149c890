"""The client of the kernel. Blocking calls; safe to use from several threads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
import grpc.experimental
from google.protobuf.message import Message

from stablenew_api.datafolder import DataFolder, KernelInfo
from stablenew_api.errors import KernelUnavailable, NotConfirmed, StableNewError, UserError
from stablenew_client.gallery import GalleryClient
from stablenew_client.launch import start_kernel
from stablenew_client.library import LibraryClient
from stablenew_client.packs import PackClient
from stablenew_client.uploads import Uploads
from stablenew_proto.options import CHANNEL_OPTIONS, MAX_REQUEST_BYTES, SUMMARY_KEY
from stablenew_proto.v1 import kernel_pb2 as pb
from stablenew_proto.v1 import kernel_pb2_grpc

T = TypeVar("T")

_USER_CODES = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)
"""Codes whose text tells the person what to mend."""


_ONE_THREAD = (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1)
"""Who iterates over a stream waits for the socket itself, not for a thread that does: a hand-over less."""


class KernelClient:
    """A connection to one kernel.

    Every method raises :class:`~stablenew_api.errors.UserError` for what the person can mend,
    :class:`~stablenew_api.errors.KernelUnavailable` when the kernel is gone, and
    :class:`~stablenew_api.errors.StableNewError` otherwise. Answers are the messages of ``kernel.proto``.
    """

    def __init__(self, info: KernelInfo) -> None:
        self.info = info
        self._channel = grpc.insecure_channel(info.address, options=(*CHANNEL_OPTIONS, _ONE_THREAD))
        self._stub = kernel_pb2_grpc.KernelServiceStub(self._channel)
        self._metadata = (("authorization", f"Bearer {info.token}"),)
        self.library = LibraryClient(self._channel, self._call)
        self.gallery = GalleryClient(self._channel, self._call)
        self.packs = PackClient(self._channel, self._call)
        self.uploads = Uploads(self._channel, self._call)

    @classmethod
    def connect(cls, data: DataFolder, timeout: float = 2.0) -> KernelClient:
        """Attach to the kernel that runs on ``data``. Raises KernelUnavailable within ``timeout`` seconds if
        there is none."""
        info = data.read_kernel()
        if info is None:
            raise KernelUnavailable(f"no kernel runs on {data.root}; start one with: stablenew kernel start")
        client = cls(info)
        try:
            client.status(timeout=timeout)
        except StableNewError as error:
            client.close()
            raise KernelUnavailable(
                f"no kernel answers at {info.address} for {data.root} ({error}); "
                "start one with: stablenew kernel start"
            ) from error
        return client

    @classmethod
    def connect_or_start(cls, data: DataFolder, timeout: float = 30.0) -> KernelClient:
        """Attach to the kernel of ``data``, starting one that outlives us if none runs.

        Raises KernelUnavailable with the reason if it does not come up within ``timeout`` seconds.
        """
        try:
            return cls.connect(data)
        except KernelUnavailable:
            start_kernel(data, timeout=timeout)
            return cls.connect(data)

    def close(self) -> None:
        """Let go of the connection. Runs go on in the kernel."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- kernel ---------------------------------------------------------------------------------------------

    def status(self, timeout: float | None = None) -> pb.GetStatusResponse:
        """Who the kernel is, and how its queue stands."""
        return self._call(self._stub.GetStatus, pb.GetStatusRequest(), timeout)

    def stop(self, *, wait_for_running: bool = False) -> None:
        """Ask the kernel to stop; queued jobs stay queued. Returns once it has agreed."""
        self._call(self._stub.StopKernel, pb.StopKernelRequest(wait_for_running=wait_for_running))

    def plugins(self) -> Sequence[pb.Plugin]:
        """Every plugin the kernel knows, the broken ones with their reason."""
        return self._call(self._stub.ListPlugins, pb.ListPluginsRequest()).plugins

    def stages(self) -> Sequence[pb.Stage]:
        """Every stage that can be part of a pipeline, with the JSON Schema of its settings."""
        return self._call(self._stub.ListStages, pb.ListStagesRequest()).stages

    def settings(self) -> pb.GetSettingsResponse:
        """The person's settings, each with what it means."""
        return self._call(self._stub.GetSettings, pb.GetSettingsRequest())

    def change_settings(self, values: Mapping[str, Any]) -> pb.ChangeSettingsResponse:
        """Write ``values`` by name into settings.toml; None: back to the default. All else in it stays."""
        encoded = {name: json.dumps(value).encode("utf-8") for name, value in values.items()}
        return self._call(self._stub.ChangeSettings, pb.ChangeSettingsRequest(values_json=encoded))

    # --- runs -----------------------------------------------------------------------------------------------

    def preview(self, run: pb.RunRequest, show: int = 0) -> Iterator[pb.PreviewRunResponse]:
        """Plan without queueing: batches of the very jobs that :meth:`submit` would queue, at most ``show`` of
        them (0: all, if a run may have so many); the last message carries the summary."""
        return self._preview(pb.PreviewRunRequest(run=run, show=show))

    def preview_replay(self, replay: pb.ReplayRequest, show: int = 0) -> Iterator[pb.PreviewRunResponse]:
        """Like :meth:`preview`, of what :meth:`replay_batch` would queue."""
        return self._preview(pb.PreviewRunRequest(replay=replay, show=show))

    def _preview(self, request: pb.PreviewRunRequest) -> Iterator[pb.PreviewRunResponse]:
        _refuse_oversize(request)
        return self._stream(self._stub.PreviewRun(request, metadata=self._metadata))

    def submit(self, run: pb.RunRequest) -> pb.SubmitRunResponse:
        """Plan and queue. Returns after the commit: the run survives whatever happens next.

        Raises NotConfirmed, with the question, for a plan that needs a yes; then set ``run.confirmed``.
        """
        request = pb.SubmitRunRequest(run=run)
        _refuse_oversize(request)
        return self._call(self._stub.SubmitRun, request)

    def replay(self, spec_json: bytes, source_name: str, out_dir: str = "") -> pb.ReplayResponse:
        """Queue again exactly the job of ``spec_json`` (from an image's ``stablenew`` chunk)."""
        request = pb.ReplayRequest(spec_json=spec_json, source_name=source_name, out_dir=out_dir)
        return self.replay_batch(request)

    def replay_batch(self, request: pb.ReplayRequest) -> pb.ReplayResponse:
        """Queue again exactly the jobs of ``request``, as one run. Raises NotConfirmed as :meth:`submit`."""
        _refuse_oversize(request)
        return self._call(self._stub.Replay, request)

    def runs(self, limit: int = 50) -> Sequence[pb.Run]:
        """Runs, newest first."""
        return self._call(self._stub.ListRuns, pb.ListRunsRequest(limit=limit)).runs

    def watch(
        self, run_id: str = "", *, jobs: bool = False, progress: bool = True, previews: bool = False
    ) -> WatchStream:
        """The state now, then changes as they are committed. Iterate it; ``close()`` it from any thread."""
        request = pb.WatchRequest(run_id=run_id, jobs=jobs, progress=progress, previews=previews)
        return WatchStream(self._stub.Watch(request, metadata=self._metadata))

    # --- queue ----------------------------------------------------------------------------------------------

    def jobs(
        self,
        run_id: str = "",
        states: Sequence[str] = (),
        limit: int = 100,
        offset: int = 0,
        *,
        order: str = "",
    ) -> pb.ListJobsResponse:
        """Jobs, a page at a time. ``order``: of jobs that are over, ``newest`` (that ended last), ``oldest``,
        ``longest``, ``shortest``, ``failed`` or ``done`` (such first); empty: of one run in plan order, only
        queued ones in queue order, all others newest first."""
        request = pb.ListJobsRequest(run_id=run_id, states=states, limit=limit, offset=offset, order=order)
        return self._call(self._stub.ListJobs, request)

    def job(self, job_id: str) -> pb.GetJobResponse:
        """One job with its spec and history. A unique beginning of the id will do."""
        return self._call(self._stub.GetJob, pb.GetJobRequest(job_id=job_id))

    def change_jobs(
        self,
        action: str,
        job_ids: Sequence[str] = (),
        *,
        run_id: str = "",
        all_jobs: bool = False,
        reason: str = "",
        before: str = "",
        priority: int = 0,
    ) -> pb.ChangeJobsResponse:
        """``action`` is cancel, retry, move_top, move_bottom, move_before (the job ``before``), set_priority
        (to ``priority``) or clear."""
        request = pb.ChangeJobsRequest(
            action=action,
            job_ids=job_ids,
            run_id=run_id,
            all=all_jobs,
            reason=reason,
            before_job_id=before,
            priority=priority,
        )
        return self._call(self._stub.ChangeJobs, request)

    def set_paused(self, paused: bool, reason: str = "") -> pb.QueueSummary:
        """Pause or resume the queue; running jobs go on."""
        request = pb.SetQueuePausedRequest(paused=paused, reason=reason)
        return self._call(self._stub.SetQueuePaused, request).queue

    # --- nodes ----------------------------------------------------------------------------------------------

    def nodes(self) -> Sequence[pb.Node]:
        """Every node that is or was in touch since the kernel started."""
        return self._call(self._stub.ListNodes, pb.ListNodesRequest()).nodes

    def drain_node(self, node: str, *, draining: bool, reason: str = "") -> pb.Node:
        """Give ``node`` (name or unique beginning of its id) no more work, or give it work again."""
        request = pb.DrainNodeRequest(node=node, draining=draining, reason=reason)
        return self._call(self._stub.DrainNode, request).node

    # --- what the randomizer keeps ---------------------------------------------------------------------------

    def places(self, pack: str = "", slot: str = "") -> Sequence[pb.Place]:
        """Where sequential, rotating and least-used slots stand; of one pack and slot, where they are given."""
        return self._call(self._stub.ListPlaces, pb.ListPlacesRequest(pack=pack, slot=slot)).places

    def reset_places(self, pack: str = "", slot: str = "") -> int:
        """Forget what :meth:`places` lists. Returns how many that were."""
        return self._call(self._stub.ResetPlaces, pb.ResetPlacesRequest(pack=pack, slot=slot)).reset

    # --- learning -------------------------------------------------------------------------------------------

    def rate(self, image_sha256: str, stars: int, tags: Sequence[str] = (), file_name: str = "") -> bool:
        """Rate an image by its pixels. Returns whether a record of the image exists here."""
        request = pb.RateImageRequest(image_sha256=image_sha256, stars=stars, tags=tags, file_name=file_name)
        return self._call(self._stub.RateImage, request).known

    # --- plumbing -------------------------------------------------------------------------------------------

    def _call(self, method: Callable[..., T], request: Any, timeout: float | None = None) -> T:
        try:
            return method(request, metadata=self._metadata, timeout=timeout)
        except grpc.RpcError as error:
            raise as_error(error) from error

    def _stream(self, call: Iterator[T]) -> Iterator[T]:
        try:
            yield from call
        except grpc.RpcError as error:
            raise as_error(error) from error


class WatchStream:
    """What :meth:`KernelClient.watch` returns. Ends without error when closed here."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._closed = False

    def __iter__(self) -> Iterator[pb.WatchResponse]:
        try:
            yield from self._call
        except grpc.RpcError as error:
            if self._closed:
                return
            raise as_error(error) from error

    def close(self) -> None:
        """End the stream; the iteration stops."""
        self._closed = True
        self._call.cancel()


def _refuse_oversize(request: Message) -> None:
    """Say so before the kernel's gRPC does, in words that help."""
    size = request.ByteSize()
    if size > MAX_REQUEST_BYTES:
        raise UserError(
            f"{size / 2**20:.0f} MB at once are more than the {MAX_REQUEST_BYTES // 2**20} MB that the kernel "
            "takes; make several runs of it"
        )


def as_error(error: grpc.RpcError) -> StableNewError:
    """Our exception for a failed call, with the kernel's own text."""
    code = error.code() if isinstance(error, grpc.Call) else None
    text = (error.details() if isinstance(error, grpc.Call) else None) or str(error)
    trailing: Any = error.trailing_metadata() if isinstance(error, grpc.Call) else None
    if (summary := dict(trailing or ()).get(SUMMARY_KEY)) is not None:
        return NotConfirmed(text, summary)
    if code in _USER_CODES:
        return UserError(text)
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
        return KernelUnavailable(text)
    return StableNewError(text)
