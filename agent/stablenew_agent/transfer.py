"""Bulk bytes between agent and kernel, by content, on a channel of their own: a cancel never waits behind an
image.

To a kernel on this machine a file is handed over as it is: no byte is sent, and it is not written twice. If the
kernel does not take it, it is uploaded as to any other.

An upload goes straight to ``Upload`` at offset 0: in the usual case nothing of the file is there, and a kernel
that has it all ends the call early. Only when that is refused or cut off does ``QueryUpload`` say where to go
on.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path

import grpc
import grpc.aio

from stablenew_agent.backoff import Backoff
from stablenew_agent.pool.reports import OutputFile
from stablenew_api.errors import StableNewError
from stablenew_api.jobs import Artifact
from stablenew_client import wire
from stablenew_proto.options import CHANNEL_OPTIONS, CHUNK_BYTES
from stablenew_proto.v1 import artifact_store_pb2 as pb
from stablenew_proto.v1 import artifact_store_pb2_grpc
from stablenew_proto.v1 import common_pb2 as common

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Transfers at the same time: enough to hide the round trips, few enough not to swap chunks of many files
about."""

STALLED_AFTER = 60.0
"""Seconds one try of an upload or download may take for each 16 MiB before it is cut off and resumed."""

_AGAIN = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,  # the kernel is away
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.ABORTED,  # another upload of the same file took our place, or was in our way
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.FAILED_PRECONDITION,  # wrong offset: ask where to go on
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,  # the kernel's disk is full; the person is told there
        grpc.StatusCode.DATA_LOSS,  # the bytes it kept are not ours: start anew
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)
"""Answers after which trying again can help. What is not here ends the job with the kernel's own words."""


class TransferError(StableNewError):
    """The kernel will never take, or does not have, this file."""


class NotThere(TransferError):
    """The kernel does not have this file."""


class Transfer:
    """Uploads and downloads of one agent. All methods run on the loop; cancel them to stop them."""

    def __init__(self, address: Callable[[], str | None], rng: random.Random, shared: Path | None) -> None:
        """``address`` gives the kernel's host:port, or None while it is not known. Files below ``shared`` are
        where the kernel can take them."""
        self._address = address
        self._rng = rng
        self._shared = shared
        self._channel: grpc.aio.Channel | None = None
        self._channel_address = ""
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def upload(self, files: Iterable[OutputFile]) -> None:
        """Bring all ``files`` to the kernel; returns when it has them, complete and checked. Waits for a kernel
        that is away. Raises TransferError for a file that it refuses, OSError for one that cannot be read."""
        for file in files:
            async with self._slots:
                await self._persist(partial(self._upload, file))

    async def download(self, artifact: Artifact, path: Path) -> None:
        """Fetch ``artifact`` into ``path``, checked. Raises TransferError, OSError."""
        async with self._slots:
            await self._persist(partial(self._download, artifact, path))

    async def close(self) -> None:
        """Let go of the channel."""
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    async def _persist(self, attempt: Callable[[bool], Awaitable[None]]) -> None:
        backoff = Backoff.for_peer(self._rng, self._shared is not None)
        loop = asyncio.get_running_loop()
        retry = damaged = False
        while True:
            try:
                await attempt(retry)
                return
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.NOT_FOUND:
                    raise NotThere(str(error.details())) from error
                if error.code() not in _AGAIN:
                    raise TransferError(f"the kernel refused a file: {error.details()}") from error
                if error.code() is grpc.StatusCode.DATA_LOSS:
                    # Once may be what an older upload left behind. Twice means that our own file is not what
                    # the worker hashed.
                    if damaged:
                        raise TransferError(f"a file was damaged on this node: {error.details()}") from error
                    damaged = True
                log.info("a transfer was cut off (%s: %s)", error.code().name, error.details())
            retry = True
            await asyncio.sleep(backoff.delay(loop.time()))

    def _stub(self) -> artifact_store_pb2_grpc.ArtifactStoreServiceAsyncStub:
        address = self._address() or self._channel_address or "127.0.0.1:9"  # 9: discard; fails as "away" does
        if self._channel is None or address != self._channel_address:
            # The old channel, if any, still carries calls; it goes when they have ended.
            self._channel = grpc.aio.insecure_channel(address, CHANNEL_OPTIONS)
            self._channel_address = address
        return artifact_store_pb2_grpc.ArtifactStoreServiceStub(self._channel)

    async def _upload(self, file: OutputFile, retry: bool) -> None:
        stub = self._stub()
        artifact = file.artifact
        digest = wire.digest_to_proto(artifact.sha256, artifact.size)
        offset = 0
        if retry:
            kept = await stub.QueryUpload(pb.QueryUploadRequest(digest=digest))
            if kept.complete:
                return
            offset = min(kept.committed_size, artifact.size)
        elif await self._hand_over(stub, file, digest):
            return
        answer = await stub.Upload(_chunks(file.path, digest, offset), timeout=_deadline(artifact.size))
        if not answer.complete:
            raise TransferError(
                f"the kernel kept {answer.committed_size} of {artifact.size} bytes of {artifact.name} and "
                "calls that all of it; update the older side"
            )

    async def _hand_over(
        self,
        stub: artifact_store_pb2_grpc.ArtifactStoreServiceAsyncStub,
        file: OutputFile,
        digest: common.Digest,
    ) -> bool:
        if self._shared is None or not file.path.is_relative_to(self._shared):
            return False
        request = pb.HandOverRequest(digest=digest, path=file.path.relative_to(self._shared).as_posix())
        try:
            return (await stub.HandOver(request, timeout=_deadline(file.artifact.size))).taken
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:  # an older kernel
                return False
            raise

    async def _download(self, artifact: Artifact, path: Path, retry: bool) -> None:
        stub = self._stub()
        request = pb.DownloadRequest(digest=wire.digest_to_proto(artifact.sha256, artifact.size))
        checked = hashlib.sha256()
        temporary = path.with_name(path.name + ".part")
        try:
            with temporary.open("wb") as out:
                async for piece in stub.Download(request, timeout=_deadline(artifact.size)):
                    data = piece.data  # asked for once: each time is a copy
                    out.write(data)
                    checked.update(data)
            if checked.hexdigest() != artifact.sha256:
                raise TransferError(
                    f"input {artifact.name}: the bytes received are not those of {artifact.sha256}"
                )
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _deadline(size: int) -> float:
    return STALLED_AFTER * (1 + size / (16 << 20))


async def _chunks(path: Path, digest: common.Digest, offset: int) -> AsyncIterator[pb.UploadRequest]:
    # Reading from the page cache, to which the worker has just written, takes less than handing it to a thread.
    with path.open("rb") as file:
        file.seek(offset)
        first = True
        while data := file.read(CHUNK_BYTES):
            yield pb.UploadRequest(digest=digest if first else None, offset=offset, data=data)
            offset += len(data)
            first = False
        if first:  # nothing left to send: the kernel has all bytes and has yet to check them
            yield pb.UploadRequest(digest=digest, offset=offset)
