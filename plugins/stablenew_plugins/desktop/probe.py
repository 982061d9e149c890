"""Tells a test driver in another process where things are in the window; off unless asked for.

Where the environment variable ``STABLENEW_DESKTOP_PROBE`` names a file, the desktop listens on the loopback
interface and writes ``{"port": 49152, "token": "..."}`` into that file, which only this user may read. Each
line that a client sends is a request, and each line that it gets is the answer to one::

    {"token": "...", "op": "rect", "tag": "run.start"}
    {"result": {"x": 8, "y": 50, "width": 90, "height": 28}}
    {"token": "...", "op": "value", "tag": "no such"}
    {"error": "there is no item 'no such'"}

==========  =============================================================================================
frame       how many frames have been drawn
rect        where item ``tag`` is in the window's content, in px; ``null`` if it is not drawn now
value       the value of item ``tag``
hovered     whether the pointer is over item ``tag`` and nothing between; ``null`` if it cannot tell
item        label, shown, enabled and (of a list to choose from) entries of item ``tag``
tags        all tags that are text
mouse       where in the content the window last saw the pointer, and which buttons (1, 2, 3) are pressed
bounds      where on the screen the window is, and how large its content
quit        close the window, as its close button would once everything has been asked
==========  =============================================================================================

A probe only tells: what a person does, a driver does with real input. Answers come from the thread that draws,
between two frames, so each is true of one frame. While the window is minimised nothing is drawn, and a client
waits.
"""

from __future__ import annotations

import contextlib
import json
import queue
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_api.files import write_atomic

VARIABLE = "STABLENEW_DESKTOP_PROBE"
LONGEST_REQUEST = 65_536
"""Bytes of a line; who sends more is cut off."""
LAST_WORDS = 2.0
"""Seconds at most that a closing probe waits until each client has been given its answer."""

Tag = str | int
Box = dict[str, float]


class ProbeError(Exception):
    """A request that cannot be answered, and why."""


class Probe:
    """Answers questions about the window. :meth:`drain` is called on the thread that draws, once a frame;
    ``quit`` is called there, too, when a client asks to close the window.

    Raises OSError if the file cannot be written or no port can be had.
    """

    def __init__(self, path: Path, quit: Callable[[], None]) -> None:
        self.path = path
        self._quit = quit
        self._token = secrets.token_hex(16)
        self._asked: queue.Queue[tuple[Mapping[str, Any], queue.Queue[str]]] = queue.Queue()
        self._closed = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._clients: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        content = {"port": self._server.getsockname()[1], "token": self._token}
        try:
            write_atomic(path, json.dumps(content).encode(), durable=False, mode=0o600)
        except OSError:
            self._server.close()
            raise
        threading.Thread(target=self._accept, name="probe", daemon=True).start()

    @classmethod
    def wanted(cls, environ: Mapping[str, str], quit: Callable[[], None]) -> Probe | None:
        """The probe that the environment asks for; ``None`` if it asks for none."""
        path = environ.get(VARIABLE)
        return cls(Path(path), quit) if path else None

    def drain(self) -> None:
        """Answer what has been asked since the last frame."""
        while True:
            try:
                request, answer = self._asked.get_nowait()
            except queue.Empty:
                return
            answer.put(self._answer(request))

    def close(self) -> None:
        """Answer nobody any more, and remove the file. What has been answered has been sent when this returns:
        the process may end right after it, and the threads that send end with it."""
        self._closed.set()
        with contextlib.suppress(OSError):  # wakes the thread that accepts; macOS does not know this of it
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        with self._lock:
            clients = dict(self._clients)
        for client in clients:
            with contextlib.suppress(OSError):  # it may be gone already
                client.shutdown(socket.SHUT_RD)  # and still gets its answer
        self.path.unlink(missing_ok=True)
        deadline = time.monotonic() + LAST_WORDS
        for thread in clients.values():
            thread.join(max(0.0, deadline - time.monotonic()))

    # --- threads: one that accepts, one for each client ---

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._server.accept()
            except OSError:  # closed
                return
            thread = threading.Thread(target=self._serve, args=(client,), name="probe client", daemon=True)
            with self._lock:
                self._clients[client] = thread
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, client.makefile("rwb") as lines:
                while line := lines.readline(LONGEST_REQUEST):
                    request = self._request(line)
                    if request is None:
                        return
                    lines.write(self._wait(request).encode() + b"\n")
                    lines.flush()
        except OSError:  # the client has gone, and with it whoever wanted to know
            return
        finally:
            with self._lock:
                del self._clients[client]

    def _request(self, line: bytes) -> Mapping[str, Any] | None:
        """The request in a line; ``None`` if whoever sent it has no business here."""
        try:
            request = json.loads(line)
        except ValueError:
            return None
        if not isinstance(request, dict):
            return None
        token = str(request.get("token", ""))
        return request if secrets.compare_digest(token.encode(), self._token.encode()) else None

    def _wait(self, request: Mapping[str, Any]) -> str:
        answer: queue.Queue[str] = queue.Queue()
        self._asked.put((request, answer))
        closed = False
        while not closed:
            closed = self._closed.is_set()  # before the look: what was answered until then is found by it
            with contextlib.suppress(queue.Empty):
                return answer.get(timeout=0 if closed else 0.2)
        return json.dumps({"error": "the window has been closed"})

    # --- the thread that draws ---

    def _answer(self, request: Mapping[str, Any]) -> str:
        try:
            answer = {"result": self._result(str(request.get("op")), request.get("tag", ""))}
        except ProbeError as error:
            answer = {"error": str(error)}
        return json.dumps(answer, default=str)

    def _result(self, op: str, tag: Tag) -> Any:
        if op == "frame":
            return dpg.get_frame_count()
        if op == "mouse":
            x, y, buttons = mouse()
            return {"x": x, "y": y, "buttons": buttons}
        if op == "bounds":
            x, y = dpg.get_viewport_pos()
            width, height = dpg.get_viewport_client_width(), dpg.get_viewport_client_height()
            return {"x": x, "y": y, "width": width, "height": height}
        if op == "tags":
            return sorted(dpg.get_aliases())
        if op == "quit":
            self._quit()
            return None
        if op not in ABOUT:
            others = "frame, tags, mouse, bounds, quit"
            raise ProbeError(f"op: there is no {op!r}; there are {', '.join(ABOUT)}, {others}")
        return ABOUT[op](tag)


def rect(tag: Tag) -> Box | None:
    """Where an item is in the window's content, in px; ``None`` if it is not drawn now.

    Raises :class:`ProbeError` if there is none, and for a table, menu or child window:
    Dear PyGui does not tell where those are.
    """
    state = _state(tag)
    kind = dpg.get_item_info(tag)["type"]
    if "rect_min" not in state and kind != "mvAppItemType::mvWindowAppItem":
        raise ProbeError(f"Dear PyGui does not tell where {tag!r} ({kind}) is: aim at an item in it")
    if not state.get("visible"):
        return None
    x, y = state.get("rect_min", state["pos"])
    width, height = state["rect_size"]
    return {"x": x, "y": y, "width": width, "height": height}


def value(tag: Tag) -> Any:
    """The value of an item. Raises :class:`ProbeError` if there is none."""
    _state(tag)
    return dpg.get_value(tag)


def hovered(tag: Tag) -> bool | None:
    """Whether the pointer is over an item and nothing lies between; ``None`` where nobody can tell.
    Raises :class:`ProbeError` if there is no such item."""
    over: bool | None = _state(tag).get("hovered")
    return over


def item(tag: Tag) -> dict[str, Any]:
    """Label of an item, whether it is shown and enabled, and what can be chosen in it.
    Raises :class:`ProbeError` if there is none."""
    _state(tag)
    configuration = dpg.get_item_configuration(tag)
    return {
        "label": configuration.get("label"),
        "shown": configuration.get("show", True),
        "enabled": configuration.get("enabled", True),
        "entries": list(configuration.get("items", ())),
    }


def mouse() -> tuple[float, float, list[int]]:
    """Where in the content the window last saw the pointer, in px, and which buttons it saw pressed: 1 left,
    2 middle, 3 right."""
    x, y = dpg.get_mouse_pos(local=False)
    buttons = (dpg.mvMouseButton_Left, dpg.mvMouseButton_Middle, dpg.mvMouseButton_Right)
    return x, y, [number for number, button in enumerate(buttons, 1) if dpg.is_mouse_button_down(button)]


def _state(tag: Tag) -> dict[str, Any]:
    if not isinstance(tag, (str, int)) or not dpg.does_item_exist(tag):
        raise ProbeError(f"there is no item {tag!r}")
    state: dict[str, Any] = dpg.get_item_state(tag)
    return state


ABOUT: Mapping[str, Callable[[Tag], Any]] = {"rect": rect, "value": value, "hovered": hovered, "item": item}
"""Requests about one item."""
