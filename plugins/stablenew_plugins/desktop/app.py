"""The window: its life, and the one thread that draws.

Each frame: read the mailbox for a few milliseconds, let the models see what time it is, let the panels that are
to be seen catch up, draw, do what was clicked, wait. Nothing here waits for the kernel or for a disk.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import dearpygui.dearpygui as dpg

from stablenew_api.datafolder import DataFolder
from stablenew_api.jsonlog import log_to_file
from stablenew_plugins.desktop.components.keyboard import is_typing, keys_of
from stablenew_plugins.desktop.components.lettering import Lettering
from stablenew_plugins.desktop.components.ui import Ui
from stablenew_plugins.desktop.display import missing, screen_size
from stablenew_plugins.desktop.memory import give_back
from stablenew_plugins.desktop.models.core import shortcuts
from stablenew_plugins.desktop.models.core.background import Background, Threads
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.letters import Faces, Letters, Wanted
from stablenew_plugins.desktop.models.core.link import KernelLink
from stablenew_plugins.desktop.models.core.mailbox import Mailbox
from stablenew_plugins.desktop.models.core.remembered import Remembered
from stablenew_plugins.desktop.models.core.state import KernelState
from stablenew_plugins.desktop.models.core.toasts import Toasts
from stablenew_plugins.desktop.models.core.view import SMALLEST_WINDOW, WINDOW_AT, window_size
from stablenew_plugins.desktop.models.workbench import Workbench
from stablenew_plugins.desktop.panels.shell import Shell
from stablenew_plugins.desktop.probe import Probe
from stablenew_plugins.desktop.theme.merging import Merging, Program

log = logging.getLogger(__name__)

ACTIVE_FPS, IDLE_FPS = 60, 10
AWAKE = 1.5
"""Seconds that it stays active after the last sign of a person."""
DRAIN_BUDGET = 0.003
"""Seconds a frame for messages of other threads."""
SAME_FAULT = 5.0
"""Seconds in which the same fault is told once."""
SAVE_EVERY = 5.0
"""Seconds between two looks at whether something is to be remembered."""


class App:
    """One window on one data folder. Needs a Dear PyGui context and a viewport; see :func:`open_window`."""

    def __init__(
        self,
        data: DataFolder,
        *,
        clock: Callable[[], float] = time.monotonic,
        background: Callable[[Mailbox], Background] = Threads,
        connect: bool = True,
        make_faces: Callable[[Wanted], Faces] | None = None,
    ) -> None:
        """``background`` and ``connect`` are for tests: with ``connect`` off nothing is asked of a kernel.
        ``make_faces`` makes fonts with characters that ours lack; without it those stay question marks."""
        self._clock = clock
        self.mailbox = Mailbox()
        self.background = background(self.mailbox)
        self.desk = Desk(
            data=data,
            background=self.background,
            clock=clock,
            state=KernelState(),
            toasts=Toasts(clock),
            remembered=Remembered.of(data),
        )
        self.bench = Workbench(self.desk)
        self.letters = Letters(self.desk, make_faces) if make_faces is not None else None
        self.link = KernelLink(data, self.mailbox, self.desk.state) if connect else None
        if self.link is not None:
            self.bench.status.start_kernel = self.link.retry
        self.frames = 0
        self.longest_frame = 0.0
        """Seconds that all but the drawing of a frame took, at most."""
        self._awake_until = clock() + AWAKE
        self._mouse = (0.0, 0.0)
        self._saved_at = clock()
        self._next_frame = 0.0
        self._looks = self.bench.view.looks_revision
        self._faults: dict[object, float] = {}
        """When each was told last."""
        self._held: set[int] = set()
        """Keys that were pressed and are still down: more of them are repetitions."""
        self._probe = Probe.wanted(os.environ, self.bench.view.quit)
        with dpg.handler_registry() as self._handlers:
            dpg.add_key_press_handler(callback=self._key_pressed)
            dpg.add_mouse_wheel_handler(callback=lambda *_: self.wake())
            dpg.add_mouse_down_handler(callback=lambda *_: self.wake())
        self.lettering: Lettering | None = None
        self.ui, self.shell = self._draw()
        dpg.set_viewport_resize_callback(lambda *_: self.shell.lay_out())
        dpg.set_exit_callback(lambda *_: self.ask_to_close())

    def _draw(self) -> tuple[Ui, Shell]:
        letters = self.letters
        faces = letters.faces if letters is not None else None
        ui = Ui(self.bench.view.theme, self.bench.view.scale, self.background, faces)
        self.lettering = Lettering(ui, letters) if letters is not None else None
        shell = Shell(ui, self.bench)
        shell.build()
        dpg.set_primary_window("main", True)
        # What lies behind the parts is what a frame begins with. To fill the window once more takes a third of
        # each frame where a processor draws, since there is no graphics card.
        dpg.set_viewport_clear_color(list(ui.colours.bg))
        dpg.configure_item("main", no_background=True)  # being the primary one has set it back
        return ui, shell

    def _draw_anew(self) -> None:
        """In another theme or scale. All that matters is in the models."""
        self._looks = self.bench.view.looks_revision
        self.shell.close()
        self.ui.close()
        self.ui, self.shell = self._draw()

    # --- a frame --------------------------------------------------------------------------------------------

    def frame(self) -> None:
        """One frame, without waiting."""
        began = self._clock()
        if self.mailbox.drain(self._clock, DRAIN_BUDGET, self._failed):
            self._awake_until = max(self._awake_until, began + 0.25)
            if self.lettering is not None:
                self.lettering.hear()
        try:
            self.bench.tick()
            if self.bench.view.looks_revision != self._looks:
                self._draw_anew()
            self.ui.textures.tick()
            self.shell.refresh()
        except Exception as error:  # a fault in one panel must not take the window
            self._failed(error)
        if self._probe is not None:
            self._probe.drain()
        before = self._clock()
        dpg.render_dearpygui_frame()
        drawn = self._clock()
        self._held = {key for key in self._held if dpg.is_key_down(key)}
        self._dispatch()
        self._look_for_letters()
        self.ui.run_later()
        self._remember(drawn)
        if self.frames == 0 and self.link is not None:
            self.link.start()  # it loads gRPC, which takes longer than all else: not before there is a window
        self.frames += 1
        end = self._clock()
        self.longest_frame = max(self.longest_frame, (before - began) + (end - drawn))

    def _dispatch(self) -> None:
        """Do what was clicked and typed. Each callback on its own: one that fails takes no other with it."""
        for job in dpg.get_callback_queue() or ():
            callback, sender, data, user = (*job, None, None, None)[:4]
            if callback is None:
                continue
            self.wake()
            if self.lettering is not None:
                self.lettering.hurry()
            try:
                callback(sender, data, user)
            except Exception as error:
                self._failed(error)

    def _look_for_letters(self) -> None:
        """See to it that there are fonts for what is drawn. Not in the first frame: it is awaited."""
        if self.letters is None or self.lettering is None or self.frames == 0:
            return
        try:
            self.letters.tick()
            self.lettering.frame()
            if self.lettering.is_busy:
                self.wake()
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Log and show ``error``; one that comes again in each frame, once a while."""
        now = self._clock()
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        fault = (type(error), place.tb_frame.f_code if place is not None else None)
        if now - self._faults.get(fault, -SAME_FAULT) < SAME_FAULT:
            return
        self._faults[fault] = now
        log.error("something in the window failed", exc_info=error)
        self.desk.complain(error)

    def wake(self) -> None:
        """Somebody is there: draw at full speed for a while."""
        self._awake_until = self._clock() + AWAKE

    def _pause(self) -> None:
        """Wait for the next frame. A message ends the wait, as far as the rate allows."""
        mouse = tuple(dpg.get_mouse_pos(local=False))
        if mouse != self._mouse:
            self._mouse = (mouse[0], mouse[1])
            self.wake()
        now = self._clock()
        quick = 1 / ACTIVE_FPS
        if now < self._awake_until:
            self._next_frame = max(self._next_frame + quick, now)
            time.sleep(max(0.0, self._next_frame - now))
            return
        self._next_frame = now + quick
        if self.mailbox.wait(1 / IDLE_FPS):
            time.sleep(max(0.0, self._next_frame - self._clock()))

    def _remember(self, now: float) -> None:
        if now - self._saved_at >= SAVE_EVERY:
            self._saved_at = now
            self.save()

    def save(self) -> None:
        """Write what is remembered, in the background."""
        self.bench.view.left_at(dpg.get_viewport_client_width(), dpg.get_viewport_client_height())
        self.background.run(
            self.desk.remembered.save, lambda _none: None, lambda error: log.warning("%s", error)
        )

    # --- keys and the end -----------------------------------------------------------------------------------

    def _key_pressed(self, _sender: Any, key: Any, _user: Any) -> None:
        if not (keys := keys_of(key)):
            return
        view = self.bench.view
        found = shortcuts.find(
            self.bench.shortcuts, keys, tab=view.tab, typing=is_typing(), overlay=view.overlay
        )
        if found is not None and (found.repeats or key not in self._held):
            found.act()
        self._held.add(key)

    def ask_to_close(self) -> None:
        """Close the window; while a run goes on, ask first whether it should go on without a window."""
        if self.bench.editor.holds_back():
            return
        queue = self.desk.state.queue
        if queue is not None and (queue.active or (queue.queued and not queue.paused)):
            self.bench.view.open("close")
        else:
            self.bench.view.quit()

    def run(self) -> None:
        """Draw until the window is closed."""
        while dpg.is_dearpygui_running() and not self.bench.view.quits:
            self.frame()
            self._pause()

    def close(self) -> None:
        """Let go of the kernel and of what was drawn; remember how it was left."""
        self.bench.view.left_at(dpg.get_viewport_client_width(), dpg.get_viewport_client_height())
        if self.bench.view.stops_kernel and (kernel := self.desk.state.kernel) is not None:
            kernel.stop()
        if self._probe is not None:
            self._probe.close()
        if self.link is not None:
            self.link.close()
        if isinstance(self.background, Threads):
            self.background.close()
        try:
            self.desk.remembered.save()
        except OSError as error:
            log.warning("%s", error)
        self.shell.close()
        self.ui.close()
        dpg.delete_item(self._handlers)


def open_window(data: DataFolder) -> int:
    """Open the window and stay until it is closed. Returns the exit code: 0, or 1 if there is no display."""
    if reason := missing():
        sys.stderr.write(f"stablenew: {reason}\n")
        return 1
    give_back()
    try:
        log_to_file(data.logs / "desktop.jsonl")
    except OSError as error:
        sys.stderr.write(f"stablenew: no log of the window can be written ({error})\n")
    dpg.create_context()
    dpg.configure_app(manual_callback_management=True)
    try:
        width, height = window_size(Remembered.of(data), screen_size())
        dpg.create_viewport(
            title="StableNew",
            width=width,
            height=height,
            x_pos=WINDOW_AT[0],
            y_pos=WINDOW_AT[1],
            min_width=SMALLEST_WINDOW[0],
            min_height=SMALLEST_WINDOW[1],
            vsync=False,
            disable_close=True,
        )
        dpg.setup_dearpygui()
        program = Program()
        app = App(data, make_faces=Merging(data.root / "fonts", merge=program))
        dpg.show_viewport()
        try:
            app.run()
        finally:
            program.stop()  # a window that closes does not wait for fonts
            app.close()
    finally:
        dpg.destroy_context()
    return 0
