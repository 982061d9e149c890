"""Exit codes: what a script may rely on. ``docs/cli.md`` has the same table, and a test compares them."""

from __future__ import annotations

from enum import IntEnum

from stablenew_api.errors import Cancelled, KernelUnavailable, NotConfirmed, StableNewError, UserError


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    NO_KERNEL = 3
    BROKEN = 4
    NOT_CONFIRMED = 5
    CANCELLED = 130


MEANING = {
    ExitCode.OK: "done, and nothing failed",
    ExitCode.FAILED: "some images failed, an image tells nothing, or a check found something to fix",
    ExitCode.BAD_INPUT: "the input is wrong (a file, an option, an id); nothing was changed",
    ExitCode.NO_KERNEL: "no kernel runs, it did not start, or it went away",
    ExitCode.BROKEN: "a plugin or StableNew itself is broken",
    ExitCode.NOT_CONFIRMED: "so many images need a yes, and none was given; nothing was queued",
    ExitCode.CANCELLED: "stopped with Ctrl-C, or the run was cancelled",
}
"""What each code says, for the docs."""


def exit_code_for(error: BaseException) -> ExitCode:
    """The code that a command ends with when ``error`` leaves it."""
    if isinstance(error, NotConfirmed):
        return ExitCode.NOT_CONFIRMED
    if isinstance(error, UserError):
        return ExitCode.BAD_INPUT
    if isinstance(error, KernelUnavailable):
        return ExitCode.NO_KERNEL
    if isinstance(error, (Cancelled, KeyboardInterrupt)):
        return ExitCode.CANCELLED
    return ExitCode.BROKEN


def one_line(error: BaseException) -> str:
    """``error`` in one line for people. What we did not raise on purpose is called the bug that it is."""
    text = " ".join(str(error).split())
    if isinstance(error, StableNewError):
        return text or type(error).__name__
    return f"unexpected {type(error).__name__}: {text} (a bug; STABLENEW_DEBUG=1 shows where)"
