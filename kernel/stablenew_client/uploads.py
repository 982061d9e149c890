"""Files to the kernel's artifact store, by content: what a run begins with travels ahead of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import grpc

from stablenew_api.errors import UserError
from stablenew_api.jobs import Artifact
from stablenew_client.wire import digest_from_proto, digest_to_proto
from stablenew_proto.options import CHUNK_BYTES
from stablenew_proto.v1 import artifact_store_pb2 as pb
from stablenew_proto.v1 import artifact_store_pb2_grpc

T = TypeVar("T")

AT_ONCE = 4
"""Files sent at the same time: the kernel checks and syncs one while the next one is on its way."""

ASKED_AT_ONCE = 1000
"""Digests in one question: some 40 KB."""


class Uploads:
    """The calls; :class:`~stablenew_client.client.KernelClient` has one as ``uploads``."""

    def __init__(self, channel: grpc.Channel, call: Callable[..., Any]) -> None:
        self._stub = artifact_store_pb2_grpc.ArtifactStoreServiceStub(channel)
        self._call = call

    def send(
        self, files: Sequence[tuple[Path, Artifact]], sent: Callable[[int, int], None] = lambda done, of: None
    ) -> None:
        """Bring ``files`` to the kernel, those that it has already left out; returns when it has them all.

        ``sent`` hears how many are there, of how many that were not. Raises UserError for a file that cannot
        be read or that is not what its artifact says any more, and as all calls of the client.
        """
        by_digest = {artifact.sha256: (path, artifact) for path, artifact in files}
        digests = [digest_to_proto(sha256, artifact.size) for sha256, (_, artifact) in by_digest.items()]
        missing: list[tuple[Path, Artifact]] = []
        for begin in range(0, len(digests), ASKED_AT_ONCE):
            request = pb.FindMissingRequest(digests=digests[begin : begin + ASKED_AT_ONCE])
            answer = self._call(self._stub.FindMissing, request)
            missing += [by_digest[digest_from_proto(digest)[0]] for digest in answer.missing]
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="upload") as threads:
            for done, _ in enumerate(threads.map(self._send, missing), 1):
                sent(done, len(missing))

    def _send(self, file: tuple[Path, Artifact]) -> None:
        path, artifact = file
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UserError(f"image {path}: cannot be read ({error.strerror}); check the file") from error
        if len(data) != artifact.size:
            raise UserError(f"image {path}: it was changed a moment ago; run it again")
        self._call(self._stub.Upload, _pieces(data, artifact))


def _pieces(data: bytes, artifact: Artifact) -> Iterator[pb.UploadRequest]:
    digest = digest_to_proto(artifact.sha256, artifact.size)
    for offset in range(0, max(1, len(data)), CHUNK_BYTES):
        yield pb.UploadRequest(
            digest=digest if not offset else None, offset=offset, data=data[offset : offset + CHUNK_BYTES]
        )
