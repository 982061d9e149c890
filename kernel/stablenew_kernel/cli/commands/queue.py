"""``stablenew queue``: what waits, runs and ran, and every change that a person may make to it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from stablenew_api.errors import UserError
from stablenew_kernel.cli.context import App, DefaultGroup, find_run, json_option, pass_app
from stablenew_kernel.cli.output import plain, plural, say, say_fields, say_json, say_table, seconds, tell
from stablenew_kernel.cli.runview import failure_text

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import kernel_pb2 as pb

F = TypeVar("F", bound=Callable[..., Any])

STATES = ("queued", "leased", "running", "unknown", "done", "failed", "cancelled")


@click.group("queue", cls=DefaultGroup)
def command() -> None:
    """Look at the queue and change it. Without a command: list."""


def targets(decorated: F) -> F:
    """The three ways to say which jobs: ids, ``--run``, ``--all``."""
    decorated = click.option("--all", "all_jobs", is_flag=True, help="Every job there is.")(decorated)
    decorated = click.option("--run", "run", default="", help="Every job of this run.")(decorated)
    return click.argument("jobs", metavar="[JOB]...", nargs=-1)(decorated)


@command.command("list")
@click.option("--run", default="", help="Only this run: the beginning of its id, or its name.")
@click.option(
    "--state", "states", multiple=True, type=click.Choice(STATES), help="Only this state; repeatable."
)
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="How many.")
@json_option
@pass_app
def list_jobs(app: App, run: str, states: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List jobs, the newest first; queued ones alone in the order of the queue, ended ones as they ended."""
    with app.connect_or_start() as kernel:
        answer = kernel.jobs(find_run(kernel, run) if run else "", states, limit)
        queue = kernel.status().queue
    if as_json:
        jobs = [plain(job) for job in answer.jobs]
        say_json({"jobs": jobs, "total": answer.total, "queue": plain(queue)}, indent=1)
        return
    if answer.jobs:
        headers = ("job", "state", "node", "seed", "stages", "prompt", "note")
        say_table(headers, [_row(job) for job in answer.jobs], keep=("job", "state"))
    if answer.total > len(answer.jobs):
        say(f"... and {answer.total - len(answer.jobs)} more (--limit)")
    say(queue_line(queue))


@command.command("show")
@click.argument("job")
@json_option
@pass_app
def show(app: App, job: str, as_json: bool) -> None:
    """Show one JOB: what it makes, where it stands, why it waits or failed, and its history."""
    with app.connect_or_start() as kernel:
        answer = kernel.job(job)
    if as_json:
        say_json(plain(answer), indent=1)
        return
    found = answer.job
    say_fields(
        {
            "job": found.job_id,
            "run": f"{found.run_id} ({found.run_name})" if found.run_name else found.run_id,
            "image": f"{found.index + 1} of its run",
            "state": found.state,
            "place": found.place or "",
            "waits": found.waiting_reason if found.state == "queued" else "",
            "node": found.node,
            "leases": found.attempt,
            "priority": found.priority,
            "seed": found.seed,
            "stages": " > ".join(found.stages),
            "prompt": found.prompt,
            "file": found.path,
            "took": seconds(found.run_time) if found.run_time else "",
        }
    )
    if found.HasField("failure"):
        say(f"failure: {failure_text(found.failure)}")
        for line in found.failure.detail.splitlines():
            say(f"    {line}")
    say("history:")
    for event in answer.events:
        change = f"{event.from_state} -> {event.to_state}" if event.from_state else event.to_state
        say(f"  {event.at}  {change}  by {event.who}" + (f": {event.why}" if event.why else ""))


@command.command("cancel")
@targets
@json_option
@pass_app
def cancel(app: App, jobs: tuple[str, ...], run: str, all_jobs: bool, as_json: bool) -> None:
    """Cancel jobs. Finished images stay; a running job stops within its step."""
    _change(app, "cancel", "cancelled", jobs, run, all_jobs, as_json)


@command.command("retry")
@targets
@json_option
@pass_app
def retry(app: App, jobs: tuple[str, ...], run: str, all_jobs: bool, as_json: bool) -> None:
    """Queue failed or cancelled jobs again, just as they were: same seed, same settings."""
    _change(app, "retry", "queued again", jobs, run, all_jobs, as_json)


@command.command("move")
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@click.option("--run", default="", help="Every queued job of this run.")
@click.option("--top", "where", flag_value="top", help="Before all others.")
@click.option("--bottom", "where", flag_value="bottom", help="Behind all others.")
@click.option("--before", default="", metavar="OTHER", help="Right before this job, with its priority.")
@json_option
@pass_app
def move(app: App, jobs: tuple[str, ...], run: str, where: str | None, before: str, as_json: bool) -> None:
    """Move queued jobs to the top, to the bottom, or before another one. Their own order is kept."""
    if bool(where) + bool(before) != 1:
        raise click.UsageError("say where to: --top, --bottom or --before OTHER")
    _change(app, f"move_{where or 'before'}", "moved", jobs, run, False, as_json, before=before)


@command.command("priority")
@targets
@click.option(
    "--to",
    "priority",
    type=click.IntRange(-(2**31) + 1, 2**31 - 1),
    required=True,
    metavar="N",
    help="The priority: higher runs first, 0 is usual.",
)
@json_option
@pass_app
def set_priority(
    app: App, jobs: tuple[str, ...], run: str, all_jobs: bool, priority: int, as_json: bool
) -> None:
    """Set the priority of queued jobs."""
    done = f"with priority {priority}"
    _change(app, "set_priority", done, jobs, run, all_jobs, as_json, priority=priority)


@command.command("clear")
@targets
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_app
def clear(app: App, jobs: tuple[str, ...], run: str, all_jobs: bool, yes: bool, as_json: bool) -> None:
    """Forget finished, failed and cancelled jobs; without JOB or --run, all of them. Images stay."""
    all_jobs = all_jobs or not (jobs or run)
    _check_targets(jobs, run, all_jobs)
    if not yes:
        if not sys.stdin.isatty():
            raise UserError("queue clear asks first, and nobody is there to answer: add --yes")
        what = "all finished, failed and cancelled jobs" if all_jobs else "them"
        click.confirm(f"Forget {what}? The images stay", abort=True)
    _change(app, "clear", "forgotten", jobs, run, all_jobs, as_json)


@command.command("pause")
@click.option("--reason", default="", help="Shown to whoever wonders.")
@json_option
@pass_app
def pause(app: App, reason: str, as_json: bool) -> None:
    """Start no more jobs; what runs goes on."""
    with app.connect_or_start() as kernel:
        queue = kernel.set_paused(True, reason)
    tell(as_json, plain(queue), queue_line(queue))


@command.command("resume")
@json_option
@pass_app
def resume(app: App, as_json: bool) -> None:
    """Start jobs again."""
    with app.connect_or_start() as kernel:
        queue = kernel.set_paused(False)
    tell(as_json, plain(queue), queue_line(queue))


@command.command("watch")
@click.argument("run", required=False, default="")
@json_option
@pass_app
def watch(app: App, run: str, as_json: bool) -> int:
    """Watch RUN until it ends; without RUN, the newest that still runs. Ctrl-C leaves, the run goes on."""
    from stablenew_kernel.cli.follow import Follower
    from stablenew_kernel.cli.interrupts import Interrupts
    from stablenew_kernel.cli.screens import choose_screen

    with Interrupts() as interrupts, app.connect_or_start() as kernel:
        run_id = find_run(kernel, run) if run else _newest(kernel)
        screen = choose_screen(as_json)
        return Follower(app, kernel, run_id, screen, interrupts, cancel_on_interrupt=False).follow()


def queue_line(queue: pb.QueueSummary) -> str:
    """The queue in one line."""
    counts = f"{queue.queued} queued, {queue.active} running, {queue.done} done, {queue.failed} failed, "
    counts += f"{queue.cancelled} cancelled"
    if not queue.paused:
        return counts
    return f"{counts}; paused{f' ({queue.paused_reason})' if queue.paused_reason else ''}"


def _row(job: pb.Job) -> tuple[object, ...]:
    note = ""
    if job.state == "queued":
        note = job.waiting_reason
    elif job.HasField("failure") and job.state != "done":
        note = failure_text(job.failure)
    return job.job_id, job.state, job.node, job.seed, " > ".join(job.stages), job.prompt, note


def _newest(kernel: KernelClient) -> str:
    runs = kernel.runs(limit=1000)
    for run in runs:
        if run.state == "running":
            return run.run_id
    if not runs:
        raise UserError("there is no run to watch yet; make one with: stablenew run PACK")
    return runs[0].run_id


def _check_targets(jobs: tuple[str, ...], run: str, all_jobs: bool) -> None:
    if bool(jobs) + bool(run) + all_jobs != 1:
        raise click.UsageError("say which jobs: JOB..., or --run RUN, or --all where there is one")


def _change(
    app: App,
    action: str,
    done: str,
    jobs: tuple[str, ...],
    run: str,
    all_jobs: bool,
    as_json: bool,
    *,
    before: str = "",
    priority: int = 0,
) -> None:
    _check_targets(jobs, run, all_jobs)
    with app.connect_or_start() as kernel:
        run_id = find_run(kernel, run) if run else ""
        answer = kernel.change_jobs(
            action,
            jobs,
            run_id=run_id,
            all_jobs=all_jobs,
            reason=f"stablenew queue {action}",
            before=before,
            priority=priority,
        )
    if as_json:
        say_json(plain(answer), indent=1)
        return
    say(f"{plural(answer.changed, 'job')} {done}")
    for note in answer.notes:
        say(f"  {note}")
