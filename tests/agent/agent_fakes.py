"""A kernel that only records, agents as processes, and a proxy that can swallow packets."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import psutil
from tests.support.warm import Process, start

from stablenew_api.jobs import Artifact, JobSpec, StageSpec
from stablenew_api.leases import Cancel, Fact, LeaseKey, Offer
from stablenew_client import wire
from stablenew_proto.options import SERVER_OPTIONS
from stablenew_proto.v1 import agent_link_pb2 as pb
from stablenew_proto.v1 import agent_link_pb2_grpc, artifact_store_pb2_grpc
from stablenew_proto.v1 import artifact_store_pb2 as store_pb

PLUGIN = Path(__file__).with_name("plugin_for_tests.py")
_runner: asyncio.Runner | None = None


def async_test(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run the test on the one loop of this process: grpc.aio does not like a second one."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        global _runner
        if _runner is None:
            _runner = asyncio.Runner()
        _runner.run(test(*args, **kwargs))

    return run


PATIENCE = 45.0
"""Seconds that anything may take on a machine that does ten other things; what passes waits for none of it."""


async def until(condition: Callable[[], Any], seconds: float = PATIENCE, what: str = "") -> Any:
    """Wait until ``condition()`` is true; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or condition}"
        await asyncio.sleep(0.005)
    return value


def spec(*stages: str, seed: int = 7, inputs: tuple[Artifact, ...] = (), **config: Any) -> bytes:
    """Canonical JSON of a job of these stages, all with the same config."""
    return JobSpec(
        tuple(StageSpec(name, "1.0", "a prompt", "", seed, config) for name in stages), inputs=inputs
    ).canonical()


class Store(artifact_store_pb2_grpc.ArtifactStoreServiceServicer):
    """Keeps files in memory. ``cut_after``: drop the next upload once so many bytes have come."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.partial: dict[str, bytearray] = {}
        self.cut_after: int | None = None
        self.offsets: list[int] = []
        self.refuse: tuple[grpc.StatusCode, str] | None = None
        self.damage = 0
        """So many uploads arrive damaged."""
        self.gate = asyncio.Event()
        self.gate.set()

    async def QueryUpload(self, request: Any, context: Any) -> Any:
        sha256, size = wire.digest_from_proto(request.digest)
        if sha256 in self.files:
            return store_pb.QueryUploadResponse(committed_size=size, complete=True)
        return store_pb.QueryUploadResponse(committed_size=len(self.partial.get(sha256, b"")))

    async def Upload(self, request_iterator: Any, context: Any) -> Any:
        await self.gate.wait()
        if self.refuse:
            await context.abort(*self.refuse)
        sha256, size, data = "", 0, bytearray()
        async for message in request_iterator:
            if message.HasField("digest"):
                sha256, size = wire.digest_from_proto(message.digest)
                data = self.partial.setdefault(sha256, bytearray())
                self.offsets.append(message.offset)
            if message.offset != len(data):
                await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"go on at {len(data)}")
            data += message.data
            if self.cut_after is not None and len(data) >= self.cut_after:
                self.cut_after = None
                await context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
        if len(data) != size or hashlib.sha256(data).hexdigest() != sha256 or self.damage:
            self.damage = max(0, self.damage - 1)
            del self.partial[sha256]
            await context.abort(grpc.StatusCode.DATA_LOSS, "not the bytes that were promised")
        self.files[sha256] = bytes(data)
        return store_pb.UploadResponse(committed_size=size, complete=True)

    async def Download(self, request: Any, context: Any) -> Any:
        sha256, _size = wire.digest_from_proto(request.digest)
        if sha256 not in self.files:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such file here")
        yield store_pb.DownloadResponse(data=self.files[sha256])


class FakeKernel(agent_link_pb2_grpc.AgentLinkServiceServicer):
    """Welcomes every agent, acks facts (unless told not to), records frames."""

    def __init__(self) -> None:
        self.store = Store()
        self.hellos: list[pb.Hello] = []
        self.frames: list[pb.ConnectRequest] = []
        self.facts: list[Fact] = []
        self.acking = True
        self.refusal: tuple[grpc.StatusCode, str] | None = None
        self.welcome = pb.Welcome(report_interval=0.2, session_ttl=15.0)
        self.streams: list[asyncio.Queue[pb.ConnectResponse | None]] = []
        self.port = 0
        self._server: grpc.aio.Server | None = None

    async def start(self) -> FakeKernel:
        self._server = grpc.aio.server(options=SERVER_OPTIONS)
        agent_link_pb2_grpc.add_AgentLinkServiceServicer_to_server(self, self._server)
        artifact_store_pb2_grpc.add_ArtifactStoreServiceServicer_to_server(self.store, self._server)
        port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        assert port
        self.port = port
        await self._server.start()
        return self

    async def stop(self) -> None:
        assert self._server is not None
        await self._server.stop(0)

    async def __aenter__(self) -> FakeKernel:
        return await self.start()

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    async def Connect(self, request_iterator: Any, context: Any) -> None:  # type: ignore[override]
        first = await context.read()
        assert first.HasField("hello")
        self.hellos.append(first.hello)
        if self.refusal:
            await context.abort(*self.refusal)
        out: asyncio.Queue[pb.ConnectResponse | None] = asyncio.Queue()
        await context.write(pb.ConnectResponse(welcome=self.welcome))
        self.streams.append(out)
        reader = asyncio.ensure_future(self._read(context, out))
        try:
            while (frame := await out.get()) is not None:
                await context.write(frame)
        finally:
            reader.cancel()
            self.streams.remove(out)

    async def _read(self, context: Any, out: asyncio.Queue[pb.ConnectResponse | None]) -> None:
        while (frame := await context.read()) is not grpc.aio.EOF:
            self.frames.append(frame)
            self.facts += [wire.fact_from_proto(fact) for fact in frame.facts]
            if frame.facts and self.acking:
                out.put_nowait(pb.ConnectResponse(acked_fact_id=frame.facts[-1].fact_id))
        out.put_nowait(None)

    # --- what tests say and ask ---

    def send(self, **fields: Any) -> None:
        self.streams[-1].put_nowait(pb.ConnectResponse(**fields))

    def offer(self, job: str, job_spec: bytes, run_timeout: float = 60.0, attempt: int = 1) -> LeaseKey:
        lease = LeaseKey(job, attempt)
        self.send(offers=[wire.offer_to_proto(Offer(lease, job_spec, run_timeout, 60.0))])
        return lease

    def cancel(self, lease: LeaseKey, grace: float = 5.0) -> None:
        self.send(cancels=[wire.cancel_to_proto(Cancel(lease, "a test wants it", grace))])

    async def connected(self, count: int = 1) -> pb.Hello:
        await until(lambda: len(self.hellos) >= count and self.streams, what=f"{count} Hellos")
        return self.hellos[-1]

    async def fact(self, lease: LeaseKey, seconds: float = PATIENCE) -> Fact:
        def found() -> Fact | None:
            return next((fact for fact in self.facts if fact.lease == lease), None)

        return await until(found, seconds, f"a fact about {lease}")

    def progress(self, lease: LeaseKey) -> list[pb.JobProgress]:
        return [p for f in self.frames for p in f.progress if p.lease.job_id == lease.job_id]

    async def running(self, lease: LeaseKey) -> None:
        await until(lambda: self.progress(lease), what=f"progress of {lease}")

    def reports(self) -> list[pb.NodeReport]:
        return [frame.report for frame in self.frames if frame.HasField("report")]


class AgentProcess:
    """One ``stablenew-agent`` with a data folder of its own."""

    def __init__(self, folder: Path, address: str, *options: str, backend: str = "test", **env: str) -> None:
        self.folder = folder
        plugins = folder / "plugins"
        plugins.mkdir(parents=True, exist_ok=True)
        shutil.copy(PLUGIN, plugins / "for_tests.py")
        self.state = folder / "state"
        self.options = ["--kernel", address, "--data", str(folder), "--state", str(self.state)]
        self.options += ["--backend", backend, "--name", "tested", *options]
        self.env = {**os.environ, **env}
        self.process: Process | None = None
        self.children: list[psutil.Process] = []

    async def __aenter__(self) -> AgentProcess:
        return await self.start()

    async def start(self, **env: str) -> AgentProcess:
        with (self.folder / "stderr.txt").open("ab") as stderr:
            self.process = start(
                "stablenew_agent.main", *self.options, stderr=stderr.fileno(), env={**self.env, **env}
            )
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def workers(self) -> list[psutil.Process]:
        found = psutil.Process(self.pid).children()
        self.children += [child for child in found if child not in self.children]
        return found

    async def kill(self) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.workers()
            self.process.kill()
            await self.exit_code()

    async def exit_code(self, seconds: float = PATIENCE) -> int:
        process = self.process
        assert process is not None
        await until(lambda: process.poll() is not None, seconds, "the agent ends")
        return process.wait()

    def stderr(self) -> str:
        return (self.folder / "stderr.txt").read_text(encoding="utf-8", errors="replace")

    async def __aexit__(self, kind: object, *_error: object) -> None:
        await self.kill()
        if kind is not None:
            sys.stderr.write(self.stderr())
        await until(
            lambda: not any(child.is_running() and child.status() != "zombie" for child in self.children),
            what="workers end with their agent",
        )


class Proxy:
    """A TCP proxy between agent and kernel. :meth:`black_hole` swallows bytes both ways and keeps connections
    open."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._pass = asyncio.Event()
        self._pass.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.port = 0

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def black_hole(self) -> None:
        self._pass.clear()

    def heal(self) -> None:
        self._pass.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                pumps: list[Awaitable[None]] = [self._pump(reader, far_writer), self._pump(far_reader, writer)]
                await asyncio.gather(*pumps)
            finally:
                far_writer.close()
        except OSError:
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if not self._pass.is_set():
                continue  # gone, as on a cable that was pulled
            writer.write(data)
            await writer.drain()
        writer.close()
