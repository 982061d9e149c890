"""ArtifactStoreService: bulk bytes by content, on a channel of their own.

Files are read, written, hashed and synced in a small pool of threads: the loop only moves messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc

from stablenew_client.wire import WireError, digest_from_proto, digest_to_proto
from stablenew_kernel.store.artifacts import ArtifactNotFound, ArtifactStore, DigestMismatch, UploadConflict
from stablenew_kernel.store.errors import StoreError
from stablenew_proto.options import CHUNK_BYTES
from stablenew_proto.v1 import artifact_store_pb2 as pb
from stablenew_proto.v1 import artifact_store_pb2_grpc

T = TypeVar("T")

CODES: tuple[tuple[type[Exception], grpc.StatusCode], ...] = (
    (WireError, grpc.StatusCode.INVALID_ARGUMENT),
    (ArtifactNotFound, grpc.StatusCode.NOT_FOUND),
    (DigestMismatch, grpc.StatusCode.DATA_LOSS),  # start again at offset 0
    (UploadConflict, grpc.StatusCode.ABORTED),  # ask QueryUpload where to go on
    (StoreError, grpc.StatusCode.UNAVAILABLE),  # disk full and the like: try again later
    (OSError, grpc.StatusCode.UNAVAILABLE),  # the disk fails while a file is read
)
"""What the agent is told for each of our exceptions, and so what it does."""


class ArtifactStoreServicer(artifact_store_pb2_grpc.ArtifactStoreServiceServicer):
    """Serves one :class:`ArtifactStore`."""

    def __init__(self, store: ArtifactStore, threads: ThreadPoolExecutor) -> None:
        self._store = store
        self._threads = threads

    async def FindMissing(self, request: pb.FindMissingRequest, context: Any) -> pb.FindMissingResponse:
        """Which of these the kernel does not hold."""
        sizes = dict(await _checked(context, self._digests(request)))
        missing = await self._run(context, self._store.missing, list(sizes))
        return pb.FindMissingResponse(missing=[digest_to_proto(sha256, sizes[sha256]) for sha256 in missing])

    async def QueryUpload(self, request: pb.QueryUploadRequest, context: Any) -> pb.QueryUploadResponse:
        """How much of an interrupted upload is kept."""
        sha256, _ = await _checked(context, _digest(request.digest))
        size, complete = await self._run(context, self._store.committed, sha256)
        return pb.QueryUploadResponse(committed_size=size, complete=complete)

    async def Upload(
        self, request_iterator: AsyncIterator[pb.UploadRequest], context: Any
    ) -> pb.UploadResponse:
        """Take a file in. Chunks that have arrived by the time the disk is ready are written together."""
        first = await context.read()
        if not isinstance(first, pb.UploadRequest):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "an upload begins with its digest")
        sha256, size = await _checked(context, _digest(first.digest))
        upload = await self._run(context, self._store.begin, sha256, size)
        try:
            message: Any = first
            while isinstance(message, pb.UploadRequest) and not upload.complete:
                if message.data:
                    await self._run(context, upload.append, message.offset, message.data)
                message = await context.read()
            if not upload.complete and upload.committed == size:
                await self._run(context, upload.finish)
            return pb.UploadResponse(committed_size=upload.committed, complete=upload.complete)
        finally:
            upload.close()

    async def Download(self, request: pb.DownloadRequest, context: Any) -> AsyncIterator[pb.DownloadResponse]:
        """Send a file, from ``offset`` on."""
        sha256, _ = await _checked(context, _digest(request.digest))
        if request.offset < 0:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"offset {request.offset} is negative")
        file = await self._run(context, self._store.open, sha256)
        try:
            await self._run(context, file.seek, request.offset)
            while data := await self._run(context, file.read, CHUNK_BYTES):
                yield pb.DownloadResponse(data=data)
        finally:
            file.close()

    async def _digests(self, request: pb.FindMissingRequest) -> list[tuple[str, int]]:
        return [digest_from_proto(digest) for digest in request.digests]

    async def _run(self, context: Any, function: Callable[..., T], *arguments: Any) -> T:
        """Call ``function`` in a thread; end the call with the right code if it raises one of ours."""
        loop = asyncio.get_running_loop()
        return await _checked(context, loop.run_in_executor(self._threads, function, *arguments))


async def _digest(message: Any) -> tuple[str, int]:
    return digest_from_proto(message)


async def _checked(context: Any, result: Awaitable[T]) -> T:
    try:
        return await result
    except tuple(kind for kind, _ in CODES) as error:
        code = next(code for kind, code in CODES if isinstance(error, kind))
        await context.abort(code, str(error))
        raise
