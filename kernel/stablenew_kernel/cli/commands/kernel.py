"""``stablenew kernel``: the process that plans, queues and records."""

from __future__ import annotations

import time

import click

from stablenew_api.errors import KernelUnavailable
from stablenew_kernel.cli.context import App, json_option, pass_app
from stablenew_kernel.cli.exits import ExitCode
from stablenew_kernel.cli.output import plain, say, say_fields, say_json, tell

STOP_TIMEOUT = 30.0
"""Seconds that a kernel may take to stop once it has agreed to."""

POLL = 0.05


@click.group("kernel")
def command() -> None:
    """Start and stop the kernel of the data folder. Commands that need it start it by themselves."""


@command.command("start")
@json_option
@pass_app
def start(app: App, as_json: bool) -> None:
    """Start the kernel in the background, unless it runs already."""
    try:
        kernel = app.connect()
        started = False
    except KernelUnavailable:
        kernel = app.connect_or_start()
        started = True
    with kernel:
        status = kernel.status()
    if as_json:
        say_json({"started": started, **plain(status)}, indent=1)
        return
    what = "started" if started else "runs already"
    say(f"kernel {what}: pid {status.pid}, {status.address}, {status.data_folder}")
    if started and status.start_note:
        say(status.start_note)


@command.command("stop")
@click.option("--wait", is_flag=True, help="Let running jobs end first. Queued jobs stay queued either way.")
@json_option
@pass_app
def stop(app: App, wait: bool, as_json: bool) -> int:
    """Stop the kernel and its local agent."""
    try:
        kernel = app.connect()
    except KernelUnavailable:
        tell(as_json, {"stopped": False}, f"no kernel runs on {app.data.root}")
        return ExitCode.OK
    with kernel:
        pid = kernel.info.pid
        kernel.stop(wait_for_running=wait)
    _await_end(app, None if wait else STOP_TIMEOUT)
    tell(as_json, {"stopped": True, "pid": pid}, f"kernel stopped: pid {pid}")
    return ExitCode.OK


@command.command("status")
@json_option
@pass_app
def status(app: App, as_json: bool) -> int:
    """Show the kernel that runs, and its queue. Ends with 3 if none does."""
    from stablenew_kernel.cli.commands.queue import queue_line

    try:
        with app.connect() as kernel:
            answer = kernel.status()
    except KernelUnavailable as error:
        if not as_json:
            raise
        say_json({"running": False, "reason": str(error)})
        return ExitCode.NO_KERNEL
    if as_json:
        say_json({"running": True, **plain(answer)}, indent=1)
        return ExitCode.OK
    say_fields(
        {
            "kernel": f"{answer.version}, pid {answer.pid}, since {answer.started_at}",
            "data folder": answer.data_folder,
            "address": answer.address,
            "SQLite": answer.sqlite_version,
            "nodes": answer.nodes_online,
            "queue": queue_line(answer.queue),
            "at its start": answer.start_note,
            "problem": answer.problem,
        }
    )
    return ExitCode.OK


@command.command("serve")
@pass_app
def serve(app: App) -> int:
    """Be the kernel, in the foreground, until Ctrl-C: for services and containers."""
    from stablenew_kernel.app.serve import serve as serve_kernel

    return serve_kernel(app.data)


def _await_end(app: App, timeout: float | None) -> None:
    """Return once the kernel has let go of the data folder. Raises KernelUnavailable after ``timeout`` s."""
    from filelock import FileLock, Timeout

    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        try:
            # Its lock is the last thing that a kernel gives back, however it ends.
            with FileLock(app.data.lock, timeout=0):
                return
        except Timeout:
            if deadline is not None and time.monotonic() > deadline:
                raise KernelUnavailable(
                    f"the kernel has not stopped within {timeout:.0f} s; it may still be writing images: see "
                    f"{app.data.logs}"
                ) from None
        time.sleep(POLL)
