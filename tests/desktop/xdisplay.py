"""An X display without a screen, and mouse and keyboard on it. Linux only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from PIL import Image, ImageGrab
from Xlib import XK, X
from Xlib import display as xlib_display
from Xlib.ext import xtest

MODIFIERS = {"ctrl": "Control_L", "shift": "Shift_L", "alt": "Alt_L", "super": "Super_L"}
CHARACTERS = {"\n": "Return", "\t": "Tab", "\b": "BackSpace"}
WHEEL = {"up": 4, "down": 5, "left": 6, "right": 7}


def why_not() -> str:
    """What keeps an :class:`XDisplay` from being made here; empty if nothing does."""
    if not sys.platform.startswith("linux"):
        return f"real input is sent through an X server only, and this is {sys.platform}"
    if shutil.which("Xvfb") is None:
        return "Xvfb is not installed: `python3 dev.py test` installs it or says how"
    return ""


def dying_with_us(command: Sequence[str]) -> list[str]:
    """``command`` so that it ends when this process does, also when this one is killed or crashes; as it is
    where util-linux is not installed. Not by a function between fork and exec: we have threads."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", *command] if setpriv else [*command]


class XDisplay:
    """An Xvfb with a free number, for as long as this process lives or until :meth:`close`."""

    def __init__(self, width: int = 1920, height: int = 1200) -> None:
        self.width, self.height = width, height
        reading, writing = os.pipe()
        command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{width}x{height}x24"]
        # It ends with its last client, which is us: the signal alone is lost where it arrives at a bad moment.
        self._process = subprocess.Popen(
            dying_with_us([*command, "-nolisten", "tcp", "-terminate"]),
            pass_fds=(writing,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        with open(reading, encoding="ascii") as pipe:
            number = pipe.readline().strip()  # written when it is ready; empty when it has ended
        if not number:
            raise RuntimeError(f"Xvfb did not start: exit code {self._process.wait(10)}")
        self.name = f":{number}"
        """What ``DISPLAY`` has to be."""
        self.pid = self._process.pid
        self.input = XInput(self.name)

    def environment(self) -> dict[str, str]:
        """The environment of this process, with what makes a program draw here and the same on each machine."""
        kept = {name: value for name, value in os.environ.items() if name != "WAYLAND_DISPLAY"}
        if "PYTEST_XDIST_WORKER" in kept:  # the other processors are at work already
            kept["LP_NUM_THREADS"] = "0"
        return {**kept, "DISPLAY": self.name, "XDG_SESSION_TYPE": "x11", "LIBGL_ALWAYS_SOFTWARE": "1"}

    def shot(self, box: tuple[int, int, int, int] | None = None) -> Image.Image:
        """What is on the screen, without the pointer; of it ``box`` (left, top, right, bottom; px)."""
        return ImageGrab.grab(bbox=box, xdisplay=self.name).convert("RGB")

    def close(self) -> None:
        """End it, and the windows on it."""
        self.input.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)

    def __enter__(self) -> XDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class XInput:
    """Mouse and keyboard of a display, moved through XTEST: a program cannot tell them from real ones.

    Each method returns when the server has taken the event; when the program sees it is the program's affair.
    """

    def __init__(self, name: str) -> None:
        self._display: Any = xlib_display.Display(name)
        self._held: set[int] = set()
        self._keys_held: list[int] = []
        first, last = self._display.display.info.min_keycode, self._display.display.info.max_keycode
        mapping = self._display.get_keyboard_mapping(first, last - first + 1)
        self._spare = [first + n for n, keysyms in enumerate(mapping) if not any(keysyms)]
        self._taught: dict[int, int] = {}
        if not self._spare:
            raise RuntimeError("the keyboard of this display has no key to spare for characters it lacks")

    def _send(self, kind: int, detail: int = 0, **where: int) -> None:
        xtest.fake_input(self._display, kind, detail, **where)
        self._display.sync()

    # --- the mouse ---

    def move(self, x: float, y: float) -> None:
        """Move the pointer to a place on the screen, in px."""
        self._send(X.MotionNotify, x=round(x), y=round(y))

    def down(self, button: int = 1) -> None:
        """Press a button: 1 left, 2 middle, 3 right."""
        self._held.add(button)
        self._send(X.ButtonPress, button)

    def up(self, button: int = 1) -> None:
        """Let a button go."""
        self._held.discard(button)
        self._send(X.ButtonRelease, button)

    def notch(self, direction: str) -> None:
        """Turn the wheel by one notch: up, down, left or right."""
        self._send(X.ButtonPress, WHEEL[direction])
        self._send(X.ButtonRelease, WHEEL[direction])

    # --- the keyboard ---

    def key_down(self, name: str) -> None:
        """Press a key by its X name (``Return``, ``a``, ``F5``, ``Left``) or that of a modifier (``ctrl``)."""
        keycode, _ = self._keycode(self._keysym(MODIFIERS.get(name, name)))
        self._keys_held.append(keycode)
        self._send(X.KeyPress, keycode)

    def key_up(self, name: str) -> None:
        """Let a key go."""
        keycode, _ = self._keycode(self._keysym(MODIFIERS.get(name, name)))
        if keycode in self._keys_held:
            self._keys_held.remove(keycode)
        self._send(X.KeyRelease, keycode)

    def character(self, text: str) -> None:
        """Type one character, whether the keyboard of the display has it or not."""
        keycode, shifted = self._keycode(self._keysym(CHARACTERS.get(text, text)))
        shift, _ = self._keycode(self._keysym("Shift_L"))
        if shifted:
            self._send(X.KeyPress, shift)
        self._send(X.KeyPress, keycode)
        self._send(X.KeyRelease, keycode)
        if shifted:
            self._send(X.KeyRelease, shift)

    def release_everything(self) -> None:
        """Let go what is pressed."""
        for button in sorted(self._held):
            self.up(button)
        while self._keys_held:
            self._send(X.KeyRelease, self._keys_held.pop())

    def close(self) -> None:
        """Forget the display."""
        self._display.close()

    @staticmethod
    def _keysym(name: str) -> int:
        """The number that X has for a key's name or for a character."""
        keysym: int = XK.string_to_keysym(name)
        if keysym == X.NoSymbol and len(name) == 1:
            codepoint = ord(name)
            keysym = codepoint if 0x20 <= codepoint < 0x100 else 0x0100_0000 + codepoint
        if keysym == X.NoSymbol:
            raise ValueError(
                f"X has no key {name!r}; names are those of keysymdef.h: Return, Escape, Left, F5, a"
            )
        return keysym

    def _keycode(self, keysym: int) -> tuple[int, bool]:
        """The key that gives ``keysym``, and whether with shift. What no key gives is put on a spare key."""
        if keysym in self._taught:
            return self._taught[keysym], False
        keys = [(key, index == 1) for key, index in self._display.keysym_to_keycodes(keysym) if index < 2]
        if keys:
            return min(keys)  # the higher ones are those of other keyboards than a person's
        keycode = self._spare.pop(0)
        self._spare.append(keycode)
        self._taught = {taken: key for taken, key in self._taught.items() if key != keycode}
        self._taught[keysym] = keycode
        self._display.change_keyboard_mapping(keycode, [[keysym, keysym]])
        self._display.sync()
        return keycode, False
