"""The floor of the dispatch latency: the same processes and hand-overs, with next to nothing in them.

client -> kernel (gRPC call) -> agent (gRPC stream) -> worker (pipe) -> agent -> kernel -> one commit with
``synchronous=FULL`` on a thread of its own -> the answer to the call, and a message to the client's open
stream. No planning, no scheduling, no life cycle, one table; messages are 600 bytes that nobody reads. What a
job takes beyond this is ours; what this takes is Python's, gRPC's, SQLite's and the system's.

``python -m benchmarks.chain kernel|agent|worker`` are its processes.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio
import grpc.experimental

SUBMIT, LINK, WATCH = "Submit", "Link", "Watch"
MESSAGE = b"x" * 600
ROWS = 8
"""Rows a commit."""


class Chain:
    """The three processes, and a client in this one."""

    def __init__(self, folder: Path) -> None:
        """``folder`` gets the database; the caller removes it."""
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._channel: grpc.Channel | None = None

    def __enter__(self) -> Self:
        try:
            kernel = self._start("kernel", str(self._folder / "chain.sqlite3"))
            assert kernel.stdout is not None
            address = kernel.stdout.readline().decode("ascii").strip()
            agent = self._start("agent", address)
            assert agent.stdout is not None
            agent.stdout.readline()  # it is linked
            one_thread = (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1)  # as the client does
            self._channel = grpc.insecure_channel(address, options=(one_thread,))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        if self._channel is not None:
            self._channel.close()
        for process in self._processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def _start(self, *role: str) -> subprocess.Popen[bytes]:
        # They inherit GRPC_EXPERIMENTS, so gRPC is set up as in the program (see stablenew_proto/__init__.py).
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.chain", *role],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            cwd=Path(__file__).resolve().parents[1],
        )
        self._processes.append(process)
        return process

    def latency(self, jobs: int, pause: float) -> float:
        """Median seconds from the call until the stream's message and the answer are there, one job after the
        other, with ``pause`` seconds between them: a machine that rests takes longer to get going."""
        assert self._channel is not None
        submit: Any = self._channel.unary_unary(f"/chain/{SUBMIT}")
        open_watch: Any = self._channel.unary_stream(f"/chain/{WATCH}")
        watch = iter(open_watch(MESSAGE))
        next(watch)
        seconds = []
        for _ in range(jobs):
            time.sleep(pause)
            begun = time.perf_counter()
            submit(MESSAGE)
            next(watch)
            seconds.append(time.perf_counter() - begun)
        return statistics.median(seconds)


def _write(path: str, calls: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]]) -> None:
    """The writer thread."""
    database = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = wal", "synchronous = full"):
        database.execute(f"PRAGMA {pragma}")
    database.execute("CREATE TABLE IF NOT EXISTS job (seq INTEGER PRIMARY KEY, spec BLOB NOT NULL) STRICT")
    while True:
        loop, future = calls.get()
        database.execute("BEGIN IMMEDIATE")
        database.executemany("INSERT INTO job (spec) VALUES (?)", [(MESSAGE,)] * ROWS)
        database.execute("COMMIT")
        loop.call_soon_threadsafe(future.set_result, None)


async def _kernel(path: str) -> None:
    calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_write, args=(path, calls), daemon=True).start()
    loop = asyncio.get_running_loop()
    offer, news = asyncio.Event(), asyncio.Event()
    committed: asyncio.Future[None] = loop.create_future()

    async def submit(request: bytes, _: Any) -> bytes:
        nonlocal committed
        committed = loop.create_future()
        offer.set()
        await committed
        return request

    async def pump(context: Any) -> None:
        while True:
            await offer.wait()
            offer.clear()
            await context.write(MESSAGE)

    async def link(_: Any, context: Any) -> None:
        pumping = asyncio.create_task(pump(context))
        while await context.read() is not grpc.aio.EOF:
            committed.add_done_callback(lambda _: news.set())
            calls.put((loop, committed))
        pumping.cancel()

    async def watch(_: bytes, __: Any) -> AsyncIterator[bytes]:
        yield MESSAGE
        while True:
            await news.wait()
            news.clear()
            yield MESSAGE

    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        SUBMIT: grpc.unary_unary_rpc_method_handler(submit),
        LINK: grpc.stream_stream_rpc_method_handler(link),
        WATCH: grpc.unary_stream_rpc_method_handler(watch),
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("chain", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _say(f"127.0.0.1:{port}")
    await server.wait_for_termination()


async def _agent(address: str) -> None:
    done = asyncio.Event()

    class Worker(asyncio.SubprocessProtocol):
        def pipe_data_received(self, fd: int, data: bytes) -> None:
            done.set()

    command = (sys.executable, "-m", "benchmarks.chain", "worker")
    transport, _ = await asyncio.get_running_loop().subprocess_exec(Worker, *command, stderr=None)
    pipe: Any = transport.get_pipe_transport(0)
    call: Any = grpc.aio.insecure_channel(address).stream_stream(f"/chain/{LINK}")()
    await call.wait_for_connection()

    async def send() -> None:
        while True:
            await done.wait()
            done.clear()
            await call.write(MESSAGE)

    sending = asyncio.create_task(send())
    _say("linked")
    while await call.read() is not grpc.aio.EOF:
        pipe.write(MESSAGE + b"\n")
    sending.cancel()


def _worker() -> None:
    """One thread reads, so that a cancel is heard; the other works."""
    jobs: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            jobs.put(line)
        os._exit(0)  # the agent is gone

    threading.Thread(target=read, daemon=True).start()
    while True:
        sys.stdout.buffer.write(jobs.get())
        sys.stdout.buffer.flush()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    role, *arguments = sys.argv[1:]
    if role == "worker":
        _worker()
    else:
        asyncio.run(_kernel(*arguments) if role == "kernel" else _agent(*arguments))
