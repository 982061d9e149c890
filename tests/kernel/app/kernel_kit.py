"""What the tests of the kernel's hub and app share: a whole kernel in the test's own loop, an agent that does
what a test tells it, and ways to stop or fail the disk at an exact point."""

from __future__ import annotations

import asyncio
import hashlib
import io
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import grpc
import grpc.aio
from PIL import Image

from stablenew_api import hookimpl
from stablenew_api.clock import SystemClock
from stablenew_api.datafolder import DataFolder, KernelInfo
from stablenew_api.images import pixel_sha256
from stablenew_api.jobs import Artifact
from stablenew_api.leases import Fact, HeldLease, LeaseKey, LeaseState, Outcome
from stablenew_api.scheduler import Assignment, JobView, NodeView, Scheduler
from stablenew_api.stage import Phase, Stage, StageConfig, StageContext, StageImage
from stablenew_api.testing import host_of
from stablenew_client import wire
from stablenew_kernel.app.kernel import Kernel
from stablenew_kernel.domain.settings import Settings
from stablenew_kernel.hub.artifacts import ArtifactStoreServicer
from stablenew_kernel.hub.gallery import GalleryServicer
from stablenew_kernel.hub.library import LibraryServicer
from stablenew_kernel.hub.link import AgentLinkServicer
from stablenew_kernel.hub.packs import PackServicer
from stablenew_kernel.hub.server import bind, make_server
from stablenew_kernel.hub.service import KernelServicer
from stablenew_kernel.store import meta
from stablenew_kernel.store.artifacts import ArtifactStore
from stablenew_kernel.store.database import Connection, Database
from stablenew_kernel.store.errors import StoreError
from stablenew_proto.v1 import (
    agent_link_pb2,
    agent_link_pb2_grpc,
    artifact_store_pb2_grpc,
    gallery_pb2_grpc,
    kernel_pb2_grpc,
    library_pb2_grpc,
    packs_pb2_grpc,
)
from stablenew_proto.v1 import kernel_pb2 as pb

T = TypeVar("T")
DEADLINE = 60.0
TOKEN = "token-of-the-test"


def run(main: Callable[[], Any]) -> Any:
    """Run ``main()`` on a fresh loop; fail if it hangs, leaves a task behind or an exception unseen."""

    async def whole() -> Any:
        loop = asyncio.get_running_loop()
        unseen: list[str] = []
        loop.set_exception_handler(
            lambda _, context: unseen.append(f"{context['message']}: {context.get('exception')!r}")
        )
        async with asyncio.timeout(2 * DEADLINE):
            result = await main()
        await asyncio.sleep(0)
        left = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
        if left:
            await asyncio.wait(left, timeout=DEADLINE)
        left = {task for task in left if not task.done()}
        assert not left, f"tasks left behind: {left}"
        assert not unseen, unseen
        return result

    return asyncio.run(whole())


async def eventually(check: Callable[[], T | None], what: str) -> T:
    """The first true value of ``check``, which the loop is given time to make true."""
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        if value := check():
            return value
        await asyncio.sleep(0.002)
    raise AssertionError(f"not within {DEADLINE:.0f} s: {what}")


# --- plugins ------------------------------------------------------------------------------------------------


class DrawConfig(StageConfig):
    seed: int = -1
    steps: int = 1


class Draw(Stage):
    name, version, title = "txt2img", "1.0", "Draw"
    Config = DrawConfig
    phase = Phase.GENERATE

    def run(self, ctx: StageContext, config: Any, images: Sequence[StageImage]) -> Sequence[StageImage]:
        raise AssertionError("the kernel runs no stage")


class QueueOrder(Scheduler):
    name, title = "queue_order", "Queue order"

    def assign(
        self,
        jobs: Sequence[JobView],
        nodes: Sequence[NodeView],
        fits: Mapping[str, frozenset[str]],
        now: float,
    ) -> Sequence[Assignment]:
        room = {node.node_id: node.free_slots for node in nodes}
        found = []
        for job in jobs:
            best = max(
                (node for node in fits[job.job_id] if room[node]), key=lambda node: room[node], default=""
            )
            if best:
                room[best] -= 1
                found.append(Assignment(job.job_id, best, "queue order"))
        return found


class Basics:
    """A stage and a scheduler: all that a kernel needs."""

    plugin_name = "basics"

    @hookimpl
    def stablenew_stages(self) -> Sequence[type[Stage]]:
        return [Draw]

    @hookimpl
    def stablenew_schedulers(self) -> Sequence[type[Scheduler]]:
        return [QueueOrder]


# --- the kernel ---------------------------------------------------------------------------------------------


@dataclass
class House:
    """A kernel that runs on the test's loop, and a client of it."""

    data: DataFolder
    kernel: Kernel
    database: Database
    artifacts: ArtifactStore
    address: str
    channel: grpc.aio.Channel
    client: Any
    agents: list[FakeAgent] = field(default_factory=list)

    async def agent(self, node_id: str = "n1", **options: Any) -> FakeAgent:
        """An agent that has said Hello and was welcomed."""
        agent = FakeAgent(self, node_id, **options)
        self.agents.append(agent)
        await agent.dial()
        await agent.welcomed.wait()
        return agent

    def request(self, images: int, name: str = "test.txt", **more: Any) -> pb.RunRequest:
        """A run of so many images."""
        values: dict[str, Any] = {"seed": 1000, "confirmed": True, **more}
        return pb.RunRequest(**{"pack_name": name, "pack": b"a house", "count": images, **values})

    async def submit(self, images: int, **more: Any) -> str:
        """Queue so many jobs; return the run's id."""
        answer = await self.client.SubmitRun(pb.SubmitRunRequest(run=self.request(images, **more)))
        return str(answer.run_id)

    async def change(self, action: str, run_id: str = "", **more: Any) -> pb.ChangeJobsResponse:
        answer: pb.ChangeJobsResponse = await self.client.ChangeJobs(
            pb.ChangeJobsRequest(action=action, run_id=run_id, **more)
        )
        return answer

    async def status(self) -> pb.GetStatusResponse:
        answer: pb.GetStatusResponse = await self.client.GetStatus(pb.GetStatusRequest())
        return answer

    async def run_of(self, run_id: str) -> pb.Run:
        answer: pb.ListRunsResponse = await self.client.ListRuns(pb.ListRunsRequest(limit=1000))
        return next(run for run in answer.runs if run.run_id == run_id)

    async def ended(self, run_id: str) -> pb.Run:
        """The run, once it is over."""
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until:
            found = await self.run_of(run_id)
            if found.state != "running":
                return found
            await asyncio.sleep(0.002)
        raise AssertionError(f"not over within {DEADLINE:.0f} s: {found} {await self.status()}")

    async def states(self, run_id: str) -> dict[str, int]:
        """How many jobs of the run are in which state, counted row by row."""
        rows = await self.database.write_async(
            lambda connection: connection.execute(
                "SELECT job.state, count(*) FROM job JOIN run ON run.seq = job.run_seq"
                " WHERE run.run_id = ? GROUP BY job.state",
                (run_id,),
            ).fetchall()
        )
        return dict(rows)

    async def started(self) -> None:
        """Until what the kernel writes of itself at its start is written, so that what waits for the writer is
        what a test asked for."""
        await eventually(lambda: self.kernel.gallery.complete, "the gallery, brought up to date")

    async def recount(self) -> None:
        """The counts that people are shown are those of the database, once nothing moves."""
        await self.kernel.dispatcher.settled()
        counts = await self.database.write_async(lambda connection: meta.queue_state(connection).counts)
        shown = (await self.status()).queue
        assert (shown.queued, shown.done, shown.failed, shown.cancelled) == (
            counts["queued"],
            counts["done"],
            counts["failed"],
            counts["cancelled"],
        )
        assert shown.active == counts["leased"] + counts["running"] + counts["unknown"]


@asynccontextmanager
async def kernel_on(
    data: DataFolder, *plugins: object, settings: Settings | None = None, clean: bool = True
) -> AsyncIterator[House]:
    """A kernel on ``data``, put together as ``serve`` does it, on a free port."""
    data.create()
    clock = SystemClock()
    database = Database.open(data.database, clock)
    threads = ThreadPoolExecutor(4, thread_name_prefix="kit-files")
    artifacts = ArtifactStore(data.artifacts, data.agents)
    kernel = Kernel(
        data=data,
        settings=settings or Settings(scheduler="queue_order"),
        host=host_of(Basics(), *plugins),
        database=database,
        artifacts=artifacts,
        clock=clock,
        rng=Random(7),
        threads=threads,
    )
    server = make_server(TOKEN)
    agent_link_pb2_grpc.add_AgentLinkServiceServicer_to_server(
        AgentLinkServicer(lambda: kernel.dispatcher), server
    )
    artifact_store_pb2_grpc.add_ArtifactStoreServiceServicer_to_server(
        ArtifactStoreServicer(artifacts, threads), server
    )
    kernel_pb2_grpc.add_KernelServiceServicer_to_server(KernelServicer(kernel), server)
    library_pb2_grpc.add_LibraryServiceServicer_to_server(LibraryServicer(kernel.library), server)
    gallery_pb2_grpc.add_GalleryServiceServicer_to_server(GalleryServicer(kernel.gallery), server)
    packs_pb2_grpc.add_PackServiceServicer_to_server(PackServicer(kernel.packs), server)
    address = f"127.0.0.1:{bind(server, 0)}"
    await kernel.start(KernelInfo(address, TOKEN, 1, "now", "test"), clean=clean)
    await server.start()
    channel = grpc.aio.insecure_channel(address, interceptors=[*show_token(TOKEN)])
    house = House(
        data, kernel, database, artifacts, address, channel, kernel_pb2_grpc.KernelServiceStub(channel)
    )
    try:
        yield house
    finally:
        for agent in house.agents:
            await agent.close()
        await channel.close()
        await kernel.stop()
        await server.stop(0)
        threads.shutdown()
        database.close()


def show_token(token: str) -> Iterator[Any]:
    """Client interceptors that show ``token``: gRPC wants one object a kind of call."""

    def with_token(details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        metadata = grpc.aio.Metadata(*(details.metadata or ()), ("authorization", f"Bearer {token}"))
        return details._replace(metadata=metadata)  # type: ignore[attr-defined,no-any-return]

    class Unary(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            return await continuation(with_token(details), request)

    class Stream(grpc.aio.UnaryStreamClientInterceptor):
        async def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
            return await continuation(with_token(details), request)

    yield Unary()
    yield Stream()


# --- an agent -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def png(number: int = 0) -> tuple[bytes, str]:
    """A tiny image, and the sha256 of its pixels."""
    image = Image.new("RGB", (2, 2), (number % 256, number // 256 % 256, 7))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue(), pixel_sha256(image)


class FakeAgent:
    """One stream, and what came down it. Answers offers by itself only if ``works``."""

    def __init__(
        self,
        house: House,
        node_id: str,
        *,
        slots: int = 1,
        epoch: int = 1,
        works: bool = False,
        held: Sequence[HeldLease] = (),
        first_fact: int = 1,
    ) -> None:
        self._house = house
        self.node_id, self.slots, self.epoch, self.works, self.held = node_id, slots, epoch, works, held
        self.welcomed = asyncio.Event()
        self.ended = asyncio.Event()
        self.code: grpc.StatusCode | None = None
        self.text = ""
        self.frames: list[agent_link_pb2.ConnectResponse] = []
        self.offers: list[agent_link_pb2.LeaseOffer] = []
        self.cancels: list[agent_link_pb2.LeaseCancel] = []
        self.watch: list[bool] = []
        self.acked = 0
        self.fact_id = first_fact - 1
        self._channel = grpc.aio.insecure_channel(house.address, [("grpc.use_local_subchannel_pool", 1)])
        self._call: Any = None
        self._task: asyncio.Task[None] | None = None

    async def dial(self, first: agent_link_pb2.ConnectRequest | None = None) -> None:
        """Open the stream with a Hello (or with ``first``) and listen."""
        self._call = agent_link_pb2_grpc.AgentLinkServiceStub(self._channel).Connect()
        await self._call.write(first if first is not None else self.hello())
        self._task = asyncio.create_task(self._listen(), name=f"fake-agent-{self.node_id}")

    def hello(self) -> agent_link_pb2.ConnectRequest:
        info = agent_link_pb2.NodeInfo(
            name=self.node_id,
            slots=self.slots,
            stages=[agent_link_pb2.StageInfo(name="txt2img", version="1.0")],
        )
        return agent_link_pb2.ConnectRequest(
            hello=agent_link_pb2.Hello(
                node_id=self.node_id,
                epoch=self.epoch,
                node=info,
                held_leases=[wire.held_to_proto(held) for held in self.held],
            )
        )

    async def _listen(self) -> None:
        try:
            while isinstance(frame := await self._call.read(), agent_link_pb2.ConnectResponse):
                self.frames.append(frame)
                self.offers += frame.offers
                self.cancels += frame.cancels
                self.acked = max(self.acked, frame.acked_fact_id)
                if frame.HasField("watch"):
                    self.watch.append(frame.watch.previews)
                if frame.HasField("welcome"):
                    self.welcomed.set()
                if self.works:
                    await self._work(frame)
            self.code, self.text = await self._call.code(), await self._call.details()
        except grpc.aio.AioRpcError as error:
            self.code, self.text = error.code(), error.details() or ""
        finally:
            self.ended.set()

    async def _work(self, frame: agent_link_pb2.ConnectResponse) -> None:
        """Run what is offered at once; a cancel always comes too late."""
        outcomes = [(key_of(offer.lease), await self.made()) for offer in frame.offers]
        if outcomes:
            await self.tell(*outcomes)

    async def made(self, number: int = 0) -> Outcome:
        """The outcome of a job that made image ``number``, which is in the store."""
        data, pixels = png(number)
        sha256 = hashlib.sha256(data).hexdigest()
        if self._house.artifacts.path(sha256) is None:
            # On the loop: two agents that put the same image side by side would supersede each other.
            self._house.artifacts.put(data)
        artifact = Artifact("image.png", "image/png", sha256, len(data), {"pixel_sha256": pixels})
        return Outcome(LeaseState.SUCCEEDED, (artifact,), run_time=0.5)

    async def tell(self, *outcomes: tuple[LeaseKey, Outcome]) -> None:
        """Send facts in one frame."""
        facts = []
        for lease, outcome in outcomes:
            self.fact_id += 1
            facts.append(wire.fact_to_proto(Fact(self.fact_id, lease, outcome)))
        await self.send(agent_link_pb2.ConnectRequest(facts=facts))

    async def send(self, frame: agent_link_pb2.ConnectRequest) -> None:
        await self._call.write(frame)

    async def offered(self, count: int) -> list[agent_link_pb2.LeaseOffer]:
        """The offers, once there are so many."""
        await eventually(lambda: len(self.offers) >= count, f"{count} offers to {self.node_id}")
        return self.offers

    def cut(self) -> None:
        """The connection is gone, without a Goodbye."""
        self._call.cancel()

    async def close(self) -> None:
        if self._task is not None:
            self._call.cancel()
            self._task.cancel()
            [end] = await asyncio.gather(self._task, return_exceptions=True)
            assert end is None or isinstance(end, asyncio.CancelledError), f"{self.node_id} died: {end!r}"
        await self._channel.close()


def key_of(lease: agent_link_pb2.LeaseKey) -> LeaseKey:
    return wire.lease_key_from_proto(lease)


# --- the disk -----------------------------------------------------------------------------------------------


@contextmanager
def held_commits(database: Database) -> Iterator[None]:
    """Nothing that is written from now on is committed before the end of the block."""
    reached, go_on = threading.Event(), threading.Event()

    def wait(_: Connection) -> None:
        reached.set()
        assert go_on.wait(DEADLINE)

    waiting = database.write(wait)
    assert reached.wait(DEADLINE)
    try:
        yield
    finally:
        go_on.set()
        waiting.result(DEADLINE)


class FullDisk:
    """While ``full``, every transaction fails as at its COMMIT, whatever is in it."""

    text = "the disk is full; free some space"

    def __init__(self, database: Database) -> None:
        worker: Any = database._writer
        self.full = False
        self.refused = 0
        really = worker._run

        def run(connection: Connection, calls: list[Any]) -> None:
            if not self.full:
                really(connection, calls)
                return
            self.refused += 1
            for call in calls:
                call.error = StoreError(f"{database.path}: {self.text}")

        worker._run = run


def files_of(folder: str | Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}
