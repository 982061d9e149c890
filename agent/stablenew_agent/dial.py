"""One stream to the kernel, from dial to end: frames out, frames in. Knows nothing of what they mean.

Whatever is due at one moment travels in one frame: facts in order, the latest progress of each lease, the
latest report. While a frame is being written the next one gathers, so a slow link makes frames larger, never a
queue longer: gauges replace each other, and facts are bounded by what the outbox holds unacked.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from stablenew_api.errors import UserError
from stablenew_client.pace import Pace
from stablenew_proto.options import CHANNEL_OPTIONS
from stablenew_proto.v1 import agent_link_pb2 as pb
from stablenew_proto.v1 import agent_link_pb2_grpc

log = logging.getLogger(__name__)

WELCOME_TIMEOUT = 20.0
"""Seconds from dial to Welcome. A connect attempt alone may take a lost SYN or two."""

GOODBYE_TIMEOUT = 2.0
"""Seconds to wait for the kernel to end a stream we have said goodbye on."""


@dataclass(frozen=True, slots=True)
class LinkEnd:
    """How a stream ended."""

    code: str
    """Name of a gRPC status code; OK when the kernel closed it in order."""
    text: str
    welcomed: bool


class Link:
    """One stream. Made for one dial, used once."""

    def __init__(
        self,
        address: str,
        on_frame: Callable[[pb.ConnectResponse], None],
        before_frame: Callable[[], None],
        busy: Callable[[], bool],
    ) -> None:
        """``on_frame`` gets every frame, the first of which has the Welcome. ``before_frame`` is called just
        before a frame is made up, to hand in facts that are due. While the node is ``busy``, a frame may wait
        for its fellows; the last result before it has nothing to do goes out at once. All on the loop."""
        self.address = address
        self._on_frame = on_frame
        self._before_frame = before_frame
        self._busy = busy
        self._due = asyncio.Event()
        self._facts: list[pb.Fact] = []
        self._progress: dict[tuple[str, int], pb.JobProgress] = {}
        self._report: pb.NodeReport | None = None
        self._goodbye: str | None = None
        self._call: Any = None
        self._welcomed = False

    async def run(self, hello: pb.Hello) -> LinkEnd:
        """Dial, say ``hello``, carry frames until the stream ends. Raises nothing but cancellation."""
        channel = grpc.aio.insecure_channel(self.address, CHANNEL_OPTIONS)
        sender: asyncio.Task[None] | None = None
        try:
            self._call = agent_link_pb2_grpc.AgentLinkServiceStub(channel).Connect()
            async with asyncio.timeout(WELCOME_TIMEOUT):
                await self._call.write(pb.ConnectRequest(hello=hello))
                frame = await self._call.read()
            if frame is not grpc.aio.EOF:
                self._welcomed = True
                sender = asyncio.create_task(self._send(), name="link-sender")
            while frame is not grpc.aio.EOF:
                self._on_frame(frame)
                frame = await self._call.read()
            return self._end(await self._call.code(), await self._call.details())
        except grpc.aio.AioRpcError as error:
            return self._end(error.code(), error.details())
        except TimeoutError:
            return LinkEnd("DEADLINE_EXCEEDED", f"no answer within {WELCOME_TIMEOUT:.0f} s", self._welcomed)
        except asyncio.InvalidStateError:  # write() on a call that has just ended says no more than that
            return self._end(await self._call.code(), await self._call.details())
        except asyncio.CancelledError:
            # grpc.aio reports a call that was cancelled by close() in the very way that a cancelled task would.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return LinkEnd("CANCELLED", "closed by this side", self._welcomed)
        finally:
            if sender is not None:
                sender.cancel()
                await asyncio.gather(sender, return_exceptions=True)
            await channel.close()

    def _end(self, code: grpc.StatusCode, text: str | None) -> LinkEnd:
        return LinkEnd(code.name, text or "", self._welcomed)

    # --- out -----------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Something is due: make up a frame as soon as the last one has left."""
        self._due.set()

    def send_facts(self, facts: Iterable[pb.Fact]) -> None:
        """Facts, in order, already in the outbox."""
        self._facts.extend(facts)
        self._due.set()

    def send_progress(self, progress: pb.JobProgress) -> None:
        """How far a job is; replaces what it said before and has not left yet."""
        lease = progress.lease
        self._progress[lease.job_id, lease.attempt] = progress
        self._due.set()

    def forget_progress(self, job_id: str, attempt: int) -> None:
        """The job ended."""
        self._progress.pop((job_id, attempt), None)

    def send_report(self, report: pb.NodeReport) -> None:
        """The node's figures; replaces a report that has not left yet."""
        self._report = report
        self._due.set()

    def say_goodbye(self, reason: str) -> None:
        """Send what is due and a Goodbye, then close our half of the stream. :meth:`run` returns soon after."""
        self._goodbye = reason
        self._due.set()

    def close(self) -> None:
        """End the stream now; the kernel sees a disconnect."""
        if self._call is not None:
            self._call.cancel()

    async def _send(self) -> None:
        write = self._call.write
        pace = Pace()
        clock = asyncio.get_running_loop().time
        try:
            while True:
                await self._due.wait()
                if self._busy() and (delay := pace.delay(clock())) > 0:
                    await asyncio.sleep(delay)
                self._before_frame()
                self._due.clear()
                pace.sent(clock())
                frame = pb.ConnectRequest(
                    facts=self._facts,
                    progress=self._progress.values(),
                    report=self._report,
                    goodbye=None if self._goodbye is None else pb.Goodbye(reason=self._goodbye),
                )
                last = self._goodbye is not None
                self._facts = []
                self._progress.clear()
                self._report = None
                await write(frame)
                if last:
                    await self._call.done_writing()
                    await asyncio.sleep(GOODBYE_TIMEOUT)
                    self.close()
                    return
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError, grpc.aio.UsageError):
            # The stream ended; the reading side knows why.
            return


# --- addresses ----------------------------------------------------------------------------------------------


def check_address(text: str) -> str:
    """``host:port`` of a kernel on this machine. Raises UserError for anything else."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 < int(port) < 65_536:
        raise UserError(f"--kernel {text!r}: must be HOST:PORT, such as 127.0.0.1:7787")
    name = host.strip("[]")
    if name != "localhost":
        try:
            loopback = ipaddress.ip_address(name).is_loopback
        except ValueError:
            loopback = False
        if not loopback:
            raise UserError(
                f"--kernel {text}: this version reaches a kernel on its own machine only, since the link is "
                "not encrypted yet; pairing of other machines comes with a later version. Until then an SSH "
                f"tunnel works: ssh -N -L {port}:127.0.0.1:{port} {name or 'HOST'}, "
                f"then --kernel 127.0.0.1:{port}"
            )
    return text


def address_from(kernel_json: Path) -> Callable[[], str | None]:
    """A function that reads the kernel's address from ``kernel_json``, anew each time: a kernel that was
    started again may have another port. None while there is no (valid) file."""

    def read() -> str | None:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads(kernel_json.read_text(encoding="utf-8"))["address"])
        return None

    return read
