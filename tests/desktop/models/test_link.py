"""The connection: it comes back by itself, starts a kernel only where one is wanted, outlives every error."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from stablenew_api.datafolder import DataFolder, KernelInfo
from stablenew_api.errors import KernelUnavailable
from stablenew_plugins.desktop.models.core import link as link_module
from stablenew_plugins.desktop.models.core.link import KernelLink
from stablenew_plugins.desktop.models.core.mailbox import Mailbox
from stablenew_proto.v1 import kernel_pb2 as pb


class Stream:
    """News that a test tells; ends when it says so."""

    def __init__(self) -> None:
        self._box: list[pb.WatchResponse] = []
        self._ready = threading.Condition()
        self.closed = False

    def tell(self, message: pb.WatchResponse) -> None:
        with self._ready:
            self._box.append(message)
            self._ready.notify()

    def close(self) -> None:
        with self._ready:
            self.closed = True
            self._ready.notify()

    def __iter__(self) -> Iterator[pb.WatchResponse]:
        while True:
            with self._ready:
                self._ready.wait_for(lambda: bool(self._box) or self.closed, 60)
                if not self._box:
                    return
                message = self._box.pop(0)
            yield message


class House:
    """Kernels that come and go, and who hears of them."""

    def __init__(self, data: DataFolder) -> None:
        self.data = data
        self.running = True
        self.fault: Exception | None = None
        self.started = 0
        self.streams: list[Stream] = []
        self.heard: list[str] = []
        self.mailbox = Mailbox()
        self.link = KernelLink(data, self.mailbox, self)

    # the client

    def connect_or_start(self, _data: DataFolder) -> Any:
        if not self.running:
            self.started += 1
            self.running = True
        return self.connect(_data)

    def connect(self, _data: DataFolder) -> Any:
        if self.fault is not None:
            raise self.fault
        if not self.running:
            raise KernelUnavailable("no kernel runs here")
        stream = Stream()
        self.streams.append(stream)
        return SimpleNamespace(status=pb.GetStatusResponse, watch=lambda **_what: stream, close=lambda: None)

    # the listener

    def connected(self, kernel: Any, status: pb.GetStatusResponse) -> None:
        self.heard.append("connected")

    def news(self, message: pb.WatchResponse) -> None:
        self.heard.extend(run.run_id for run in message.runs)

    def lost(self, reason: str) -> None:
        self.heard.append(f"lost: {reason}")

    # the test

    def until(self, check: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not check() and time.monotonic() < end:
            self.mailbox.wait(0.01)
            self.mailbox.drain(time.monotonic, 1.0, self._failed)
            time.sleep(0.001)
        assert check(), self.heard

    def _failed(self, error: Exception) -> None:
        raise AssertionError(error)

    def leave_word(self, pid: int) -> None:
        self.data.write_kernel(KernelInfo(address="x", token="t", pid=pid, started_at="", version=""))


@pytest.fixture
def house(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    house = House(DataFolder(tmp_path))
    monkeypatch.setattr("stablenew_client.KernelClient", house)
    monkeypatch.setattr(link_module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(link_module, "LONGEST_PAUSE", 0.02)
    yield house
    house.link.close()
    assert not house.link._thread.is_alive()


def test_it_connects_and_hears(house: House) -> None:
    house.link.start()
    house.until(lambda: house.heard == ["connected"])
    house.streams[0].tell(pb.WatchResponse(runs=[pb.Run(run_id="a")]))
    house.until(lambda: house.heard == ["connected", "a"])


def test_a_kernel_that_was_stopped_stays_stopped_until_somebody_wants_one(house: House) -> None:
    house.link.start()
    house.until(lambda: "connected" in house.heard)
    house.running = False  # in good order: no kernel.json is left
    house.streams[0].close()
    house.until(lambda: "lost: no kernel runs here" in house.heard)
    assert house.started == 0
    house.link.retry()
    house.until(lambda: house.heard.count("connected") == 2)
    assert house.started == 1


def test_a_kernel_that_takes_its_time_to_end_is_not_started_anew(house: House) -> None:
    house.link.start()
    house.until(lambda: "connected" in house.heard)
    house.leave_word(os.getpid())  # it lives
    house.running = False
    house.streams[0].close()
    house.until(lambda: "lost: the kernel has stopped" in house.heard)
    time.sleep(0.1)
    assert (house.started, house.heard.count("connected")) == (0, 1)
    house.data.kernel_json.unlink()
    house.until(lambda: "lost: no kernel runs here" in house.heard)
    assert house.started == 0


def test_a_kernel_that_crashed_is_started_anew(house: House) -> None:
    house.link.start()
    house.until(lambda: "connected" in house.heard)
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        house.leave_word(gone.pid)  # a kernel that ends in good order takes this away
    house.running = False
    house.streams[0].close()
    house.until(lambda: house.heard.count("connected") == 2)
    assert house.heard[1] == "lost: the kernel has stopped"
    assert house.started == 1


def test_a_kernel_that_somebody_else_starts_is_found(house: House) -> None:
    house.link.start()
    house.until(lambda: "connected" in house.heard)
    house.running = False
    house.streams[0].close()
    house.until(lambda: "lost: no kernel runs here" in house.heard)
    house.running = True
    house.until(lambda: house.heard.count("connected") == 2)
    assert house.started == 0


def test_whatever_goes_wrong_it_tries_again(house: House) -> None:
    house.fault = ZeroDivisionError("a fault of ours")
    house.link.start()
    house.until(lambda: "lost: ZeroDivisionError: a fault of ours" in house.heard)
    house.fault = None
    house.until(lambda: "connected" in house.heard)


def test_closing_ends_the_stream(house: House) -> None:
    house.link.start()
    house.until(lambda: "connected" in house.heard)
    house.link.close()
    assert house.streams[0].closed
    assert not house.link._thread.is_alive()
