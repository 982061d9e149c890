"""A desktop in another process is driven by its probe and by real input."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from stablenew_plugins.desktop.probe import LONGEST_REQUEST, Probe

TINY = [sys.executable, str(Path(__file__).with_name("tiny_app.py"))]


@pytest.fixture
def tiny(app_process):
    """A running one."""
    return app_process(TINY)


def test_it_is_clicked_and_typed_into_and_closed(tiny):
    person = tiny.driver
    for _ in range(3):
        person.click("add")
    person.until_value("count", "3")
    person.click("field")
    person.type("Mist, (dawn:1.2) é")
    person.until_value("field", "Mist, (dawn:1.2) é")
    assert person.shot().size == (500, 300)
    assert len(person.shot("add").getcolors(10_000)) > 1
    assert tiny.quit() == 0
    assert tiny.output() == "ready\n"


def test_the_probe_tells_what_there_is(tiny):
    assert tiny.ask("bounds") == {"x": 40, "y": 30, "width": 500, "height": 300}
    assert {"main", "add", "field"} <= set(tiny.ask("tags"))
    assert tiny.ask("item", "off") == {"label": "Off", "shown": True, "enabled": False, "entries": []}
    assert tiny.ask("item", "hidden")["shown"] is False
    assert tiny.ask("rect", "hidden") is None
    assert tiny.ask("rect", "main") == {"x": 0, "y": 0, "width": 500, "height": 300}
    for op, tag, words in [
        ("value", "nothing", "there is no item 'nothing'"),
        ("rect", "list", "aim at an item in it"),
        ("dance", "add", "op: there is no 'dance'; there are rect, value"),
    ]:
        with pytest.raises(AssertionError, match=words):
            tiny.ask(op, tag)


def test_who_has_no_token_hears_nothing(tiny):
    where = json.loads((tiny.folder / "probe.json").read_text(encoding="utf-8"))
    for line in [b'{"op": "frame"}', b'{"op": "quit", "token": "x"}', b"hello", b"[]", b"x" * LONGEST_REQUEST]:
        with socket.create_connection(("127.0.0.1", where["port"]), timeout=60) as client:
            client.sendall(line + b"\n")
            assert _rest(client) == b""
    assert tiny.ask("frame") > 0
    if sys.platform != "win32":
        assert stat.S_IMODE((tiny.folder / "probe.json").stat().st_mode) == 0o600


def _rest(client: socket.socket) -> bytes:
    """What comes until the other end hangs up, in whichever way."""
    try:
        return client.recv(100)
    except ConnectionResetError:
        return b""


def test_what_a_process_said_before_it_died_is_in_the_message(tiny):
    with pytest.raises(AssertionError, match="has ended with exit code 3; it has said:\nready"):
        tiny.driver.click("crash")


def test_a_process_that_does_not_start_says_why(app_process):
    with pytest.raises(AssertionError, match="has ended with exit code 1; it has said:\nno such thing"):
        app_process([sys.executable, "-c", "import sys; sys.exit('no such thing')"])


KILLED = """
import os, signal
from tests.desktop.xdisplay import XDisplay
print(XDisplay(320, 200).pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_display_ends_with_a_process_that_is_killed(screen):
    script = [sys.executable, "-c", KILLED]
    killed = subprocess.run(script, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60)
    server = int(killed.stdout)
    deadline = time.monotonic() + 60
    while psutil.pid_exists(server):
        assert time.monotonic() < deadline, f"Xvfb is still there: process {server}"
        time.sleep(0.02)


def test_there_is_no_probe_unless_it_is_asked_for(tmp_path):
    assert Probe.wanted({}, lambda: None) is None
    assert Probe.wanted({"STABLENEW_DESKTOP_PROBE": ""}, lambda: None) is None
    with pytest.raises(OSError, match="nowhere"):
        Probe.wanted({"STABLENEW_DESKTOP_PROBE": str(tmp_path / "nowhere" / "probe.json")}, lambda: None)


def test_a_closed_probe_hangs_up_and_leaves_no_file(tmp_path):
    probe = Probe(tmp_path / "probe.json", lambda: None)
    where = json.loads(probe.path.read_text(encoding="utf-8"))
    request = json.dumps({"op": "dance", "token": where["token"]}).encode() + b"\n"
    with socket.create_connection(("127.0.0.1", where["port"]), timeout=60) as client:
        client.sendall(request)
        client.setblocking(False)
        deadline = time.monotonic() + 60
        while not (answer := _now(client)) and time.monotonic() < deadline:
            probe.drain()
        assert b"there is no 'dance'" in answer
        client.settimeout(60)
        client.sendall(request)
        probe.close()
        assert _rest(client) in (b"", b'{"error": "the window has been closed"}\n')
    assert not probe.path.exists()


def test_who_closes_the_window_has_its_answer_before_the_process_can_end(tmp_path):
    """The threads that answer die with the process, which ends right after :meth:`Probe.close`."""
    for n in range(30):
        asked = threading.Event()
        probe = Probe(tmp_path / f"{n}.json", asked.set)
        where = json.loads(probe.path.read_text(encoding="utf-8"))
        with socket.create_connection(("127.0.0.1", where["port"]), timeout=60) as client:
            client.sendall(json.dumps({"op": "quit", "token": where["token"]}).encode() + b"\n")
            deadline = time.monotonic() + 60
            while not asked.is_set() and time.monotonic() < deadline:
                probe.drain()
            probe.close()
            client.setblocking(False)
            assert _now(client) == b'{"result": null}\n'
        assert "probe client" not in {thread.name for thread in threading.enumerate()}


def _now(client: socket.socket) -> bytes:
    """What has come until now."""
    try:
        return client.recv(1000)
    except BlockingIOError:
        return b""
