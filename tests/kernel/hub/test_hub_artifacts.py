"""Bulk bytes over a real socket: resumed, refused, and never half there."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from kernel_kit import eventually, kernel_on, run

from stablenew_api.datafolder import DataFolder
from stablenew_kernel.hub.artifacts import _is_loopback
from stablenew_kernel.store.artifacts import ArtifactStore, Upload
from stablenew_kernel.store.errors import os_error
from stablenew_proto.options import CHUNK_BYTES
from stablenew_proto.v1 import artifact_store_pb2 as pb
from stablenew_proto.v1 import artifact_store_pb2_grpc, common_pb2

DATA = bytes(range(256)) * 4096  # 1 MiB: four chunks


def digest(data: bytes, size: int | None = None) -> common_pb2.Digest:
    return common_pb2.Digest(
        sha256=hashlib.sha256(data).digest(), size_bytes=len(data) if size is None else size
    )


def chunks(data: bytes, start: int = 0, named: common_pb2.Digest | None = None) -> Iterator[pb.UploadRequest]:
    yield pb.UploadRequest(digest=digest(data) if named is None else named)
    for offset in range(start, len(data), CHUNK_BYTES):
        yield pb.UploadRequest(offset=offset, data=data[offset : offset + CHUNK_BYTES])


@asynccontextmanager
async def store_on(data: DataFolder) -> AsyncIterator[tuple[Any, ArtifactStore]]:
    async with kernel_on(data) as house, grpc.aio.insecure_channel(house.address) as channel:
        yield artifact_store_pb2_grpc.ArtifactStoreServiceStub(channel), house.artifacts


async def code_of(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


def test_a_file_goes_in_and_comes_out(data: DataFolder) -> None:
    async def main() -> None:
        async with store_on(data) as (stub, store):
            for content in (DATA, b"", b"x"):
                named = digest(content)
                assert (await stub.FindMissing(pb.FindMissingRequest(digests=[named]))).missing == [named]
                answer = await stub.Upload(chunks(content))
                assert (answer.committed_size, answer.complete) == (len(content), True)
                assert not (await stub.FindMissing(pb.FindMissingRequest(digests=[named]))).missing
                asked = await stub.QueryUpload(pb.QueryUploadRequest(digest=named))
                assert (asked.committed_size, asked.complete) == (len(content), True)
                for offset in (0, 1, len(content), len(content) + 7):
                    request = pb.DownloadRequest(digest=named, offset=offset)
                    parts = [part.data async for part in stub.Download(request)]
                    assert b"".join(parts) == content[offset:]
                    assert all(len(part) <= CHUNK_BYTES for part in parts)
            assert not store._uploads

    run(main)


def test_an_upload_that_was_cut_goes_on_where_it_stopped(data: DataFolder) -> None:
    async def main() -> None:
        async with store_on(data) as (stub, store):
            named = digest(DATA)
            call = stub.Upload()
            for message in list(chunks(DATA))[:3]:
                await call.write(message)
            sha256 = named.sha256.hex()
            await eventually(lambda: store._uploads, "the upload begun")
            call.cancel()
            await eventually(lambda: not store._uploads, "the cut noticed")
            asked = await stub.QueryUpload(pb.QueryUploadRequest(digest=named))
            # What had arrived is kept; how much that was is up to the wire.
            assert (asked.committed_size % CHUNK_BYTES, asked.complete) == (0, False)
            answer = await stub.Upload(chunks(DATA, asked.committed_size))
            assert answer.complete
            assert store.read(sha256) == DATA

    run(main)


def test_an_upload_that_ends_early_says_how_far_it_came(data: DataFolder) -> None:
    async def main() -> None:
        async with store_on(data) as (stub, store):
            answer = await stub.Upload(iter(list(chunks(DATA))[:2]))
            assert (answer.committed_size, answer.complete) == (CHUNK_BYTES, False)
            assert store.path(hashlib.sha256(DATA).hexdigest()) is None

    run(main)


def test_what_exists_already_ends_early(data: DataFolder) -> None:
    async def main() -> None:
        async with store_on(data) as (stub, store):
            store.put(DATA)
            call = stub.Upload()
            await call.write(pb.UploadRequest(digest=digest(DATA)))  # and nothing more, nor an end
            answer = await call
            assert (answer.committed_size, answer.complete) == (len(DATA), True)

    run(main)


def _nothing_first() -> Iterator[pb.UploadRequest]:
    yield pb.UploadRequest(offset=0, data=b"x")


@pytest.mark.parametrize(
    ("messages", "code", "says"),
    [
        (lambda: chunks(DATA, named=digest(b"other", len(DATA))), grpc.StatusCode.DATA_LOSS, "upload it again"),
        (lambda: chunks(DATA, named=digest(DATA, 10)), grpc.StatusCode.DATA_LOSS, "more than the 10 bytes"),
        (lambda: chunks(DATA, CHUNK_BYTES), grpc.StatusCode.ABORTED, "expected offset 0, got 262144"),
        (_nothing_first, grpc.StatusCode.INVALID_ARGUMENT, "not a sha256 digest"),
        (lambda: iter(()), grpc.StatusCode.INVALID_ARGUMENT, "begins with its digest"),
        (
            lambda: iter([pb.UploadRequest(digest=common_pb2.Digest(sha256=b"x" * 32, size_bytes=-1))]),
            grpc.StatusCode.INVALID_ARGUMENT,
            "not a sha256 digest",
        ),
    ],
    ids=["wrong digest", "more than promised", "wrong offset", "no digest", "nothing at all", "negative size"],
)
def test_bad_uploads_are_refused_and_leave_nothing_that_counts(
    data: DataFolder,
    messages: Callable[[], Iterator[pb.UploadRequest]],
    code: grpc.StatusCode,
    says: str,
) -> None:
    async def main() -> None:
        async with store_on(data) as (stub, store):
            found, text = await code_of(stub.Upload(messages()))
            assert (found, says in text) == (code, True), text
            assert "\n" not in text
            assert not store._uploads
            complete = [path for path in store.folder.rglob("*") if path.is_file()]
            assert all(path.parent.name == "partial" for path in complete)
            # And it can be done right.
            assert (await stub.Upload(chunks(DATA))).complete

    run(main)


@pytest.mark.parametrize("step", ["append", "finish"])
def test_a_full_disk_means_later(data: DataFolder, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with store_on(data) as (stub, store):
            really = getattr(Upload, step)

            def full(upload: Upload, *arguments: Any) -> Any:
                if step == "finish" or upload.committed:
                    raise os_error(OSError(errno.ENOSPC, "No space left on device"), store.folder)
                return really(upload, *arguments)

            with monkeypatch.context() as patch:
                patch.setattr(Upload, step, full)
                found, text = await code_of(stub.Upload(chunks(DATA)))
            assert found is grpc.StatusCode.UNAVAILABLE
            assert text == f"{store.folder}: the disk is full; free some space"
            asked = await stub.QueryUpload(pb.QueryUploadRequest(digest=digest(DATA)))
            assert not asked.complete
            assert asked.committed_size > 0
            assert (await stub.Upload(chunks(DATA, asked.committed_size))).complete

    run(main)


def test_downloads_that_cannot_be(data: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with store_on(data) as (stub, store):
            unknown = pb.DownloadRequest(digest=digest(b"never seen"))
            found, text = await code_of(stub.Download(unknown).read())
            assert found is grpc.StatusCode.NOT_FOUND
            assert hashlib.sha256(b"never seen").hexdigest() in text
            found, _ = await code_of(stub.Download(pb.DownloadRequest()).read())
            assert found is grpc.StatusCode.INVALID_ARGUMENT
            store.put(DATA)
            negative = pb.DownloadRequest(digest=digest(DATA), offset=-1)
            found, text = await code_of(stub.Download(negative).read())
            assert (found, text) == (grpc.StatusCode.INVALID_ARGUMENT, "offset -1 is negative")

            class Broken:
                def seek(self, offset: int) -> None: ...
                def close(self) -> None: ...
                def read(self, size: int) -> bytes:
                    raise OSError(errno.EIO, "Input/output error")

            monkeypatch.setattr(store, "open", lambda sha256: Broken())
            found, text = await code_of(stub.Download(pb.DownloadRequest(digest=digest(DATA))).read())
            assert found is grpc.StatusCode.UNAVAILABLE
            assert "Input/output error" in text

    run(main)


def test_an_agent_on_this_machine_hands_its_file_over(data: DataFolder) -> None:
    async def main() -> None:
        async with store_on(data) as (stub, store):
            folder = data.agent("near")
            folder.mkdir(parents=True)
            (folder / "one.png").write_bytes(DATA)
            data.lock.write_bytes(b"")

            async def hand_over(path: str) -> bool:
                return bool((await stub.HandOver(pb.HandOverRequest(digest=digest(DATA), path=path))).taken)

            assert not await hand_over("near/two.png")
            code, text = await code_of(hand_over("../kernel.lock"))
            assert code is grpc.StatusCode.INVALID_ARGUMENT, text
            assert await hand_over("near/one.png")
            assert store.read(digest(DATA).sha256.hex()) == DATA
            assert not (folder / "one.png").exists()

    run(main)


@pytest.mark.parametrize(
    ("peer", "near"),
    [("ipv4:127.0.0.1:5", True), ("ipv6:[::1]:5", True), ("ipv4:192.168.0.7:5", False), ("", False)],
)
def test_only_a_peer_on_this_machine_can_hand_over(peer: str, near: bool) -> None:
    assert _is_loopback(peer) is near
