"""ArtifactStoreService: bulk bytes by content, on a channel of their own.

Files are read, written, hashed and synced in a small pool of threads: the loop only moves messages.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc

from stablenew_client.wire import WireError, digest_from_proto, digest_to_proto
from stablenew_kernel.store import artifacts
from stablenew_kernel.store.artifacts import (
    ArtifactNotFound,
    ArtifactStore,
    DigestMismatch,
    UploadConflict,
)
from stablenew_kernel.store.errors import StoreError
from stablenew_proto.options import CHUNK_BYTES
from stablenew_proto.v1 import artifact_store_pb2 as pb
from stablenew_proto.v1 import artifact_store_pb2_grpc

T = TypeVar("T")

CODES: tuple[tuple[type[Exception], grpc.StatusCode], ...] = (
    (WireError, grpc.StatusCode.INVALID_ARGUMENT),
    (ValueError, grpc.StatusCode.INVALID_ARGUMENT),
    (ArtifactNotFound, grpc.StatusCode.NOT_FOUND),
    (DigestMismatch, grpc.StatusCode.DATA_LOSS),  # start again at offset 0
    (UploadConflict, grpc.StatusCode.ABORTED),  # ask QueryUpload where to go on
    (StoreError, grpc.StatusCode.UNAVAILABLE),  # disk full and the like: try again later
    (OSError, grpc.StatusCode.UNAVAILABLE),  # the disk fails while a file is read
)
"""What the agent is told for each of our exceptions, and so what it does."""


GATHER = 4
"""Pieces (of 256 KiB) written in one go: each hop to a thread costs more than the piece."""


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
        """Take a file in."""
        first = await context.read()
        if not isinstance(first, pb.UploadRequest):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "an upload begins with its digest")
        sha256, size = await _checked(context, _digest(first.digest))
        upload = await self._begin(context, sha256, size)
        pieces: list[pb.UploadRequest] = []
        try:
            message: Any = first
            while isinstance(message, pb.UploadRequest) and not upload.complete:
                pieces.append(message)
                if len(pieces) >= GATHER:
                    await self._run(context, _append, upload, pieces)
                    pieces.clear()
                message = await context.read()
            await self._run(context, _finish, upload, pieces)
            return pb.UploadResponse(committed_size=upload.committed, complete=upload.complete)
        except asyncio.CancelledError:
            # The link was cut. What has arrived need not be sent again, unless a newer upload took over.
            with contextlib.suppress(UploadConflict, StoreError):
                _append(upload, pieces)
            raise
        finally:
            upload.close()

    async def HandOver(self, request: pb.HandOverRequest, context: Any) -> pb.HandOverResponse:
        """Take over a file of an agent on this machine."""
        sha256, size = await _checked(context, _digest(request.digest))
        if not _is_loopback(context.peer()):
            return pb.HandOverResponse(taken=False)
        taken = await self._run(context, self._store.take_over, sha256, size, request.path)
        return pb.HandOverResponse(taken=taken)

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

    async def _begin(self, context: Any, sha256: str, size: int) -> artifacts.Upload:
        """Open an upload. The race: a link that is cut while the file is being opened in its thread."""
        loop = asyncio.get_running_loop()
        opening = loop.run_in_executor(self._threads, self._store.begin, sha256, size)
        try:
            return await _checked(context, asyncio.shield(opening))
        except asyncio.CancelledError:
            opening.add_done_callback(_close)
            raise

    async def _digests(self, request: pb.FindMissingRequest) -> list[tuple[str, int]]:
        return [digest_from_proto(digest) for digest in request.digests]

    async def _run(self, context: Any, function: Callable[..., T], *arguments: Any) -> T:
        """Call ``function`` in a thread; end the call with the right code if it raises one of ours."""
        loop = asyncio.get_running_loop()
        return await _checked(context, loop.run_in_executor(self._threads, function, *arguments))


def _is_loopback(peer: str) -> bool:
    """Whether gRPC's name of a peer, such as ``ipv4:127.0.0.1:5000``, is one on this machine."""
    return peer.startswith(("ipv4:127.", "ipv6:[::1]", "ipv6:%5B::1%5D", "unix:"))


def _close(opened: asyncio.Future[artifacts.Upload]) -> None:
    """Nobody is left to use it."""
    if not opened.cancelled() and opened.exception() is None:
        opened.result().close()


def _append(upload: artifacts.Upload, pieces: Iterable[pb.UploadRequest]) -> None:
    for piece in pieces:
        if data := piece.data:  # asked for once: each time is a copy
            upload.append(piece.offset, data)


def _finish(upload: artifacts.Upload, pieces: Iterable[pb.UploadRequest]) -> None:
    """Take the last pieces, and put the file in its place if that was all of it."""
    if not upload.complete:
        _append(upload, pieces)
        if upload.committed == upload.size:
            upload.finish()


async def _digest(message: Any) -> tuple[str, int]:
    return digest_from_proto(message)


async def _checked(context: Any, result: Awaitable[T]) -> T:
    try:
        return await result
    except tuple(kind for kind, _ in CODES) as error:
        code = next(code for kind, code in CODES if isinstance(error, kind))
        await context.abort(code, str(error))
        raise
