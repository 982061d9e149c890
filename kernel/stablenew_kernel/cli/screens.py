"""Three ways to show a run: live in a terminal, line by line in a pipe, as JSON lines for scripts."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from stablenew_kernel.cli.output import make_console, one_line_cell, plain, plural, say, say_json, seconds
from stablenew_kernel.cli.runview import News, RunView

if TYPE_CHECKING:
    from rich.console import RenderableType

    from stablenew_proto.v1 import kernel_pb2 as pb


class Screen(ABC):
    """Shows a run. Called from the main thread alone."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @abstractmethod
    def submitted(self, run_id: str, summary: pb.PlanSummary) -> None:
        """The run was queued."""

    @abstractmethod
    def news(self, view: RunView, news: News) -> None:
        """Something worth a line happened."""

    @abstractmethod
    def note(self, text: str) -> None:
        """Something about the run as a whole: it is being cancelled, it waits, the kernel is out of touch."""

    def refresh(self, view: RunView, now: float) -> None:
        """Show how things stand at monotonic time ``now``; called up to ten times a second."""
        return

    @abstractmethod
    def ended(self, view: RunView, summary: dict[str, Any]) -> None:
        """The run has ended; ``summary`` is :func:`stablenew_kernel.cli.follow.summarize`'s."""


class PlainScreen(Screen):
    """Lines for a pipe or a log: at most one a finished image."""

    def submitted(self, run_id: str, summary: pb.PlanSummary) -> None:
        """Two lines, and one a warning."""
        say(f"run {run_id}: {summary.line}")
        if summary.time:
            say(summary.time)
        for warning in summary.warnings:
            say(f"warning: {warning}")

    def news(self, view: RunView, news: News) -> None:
        """One line."""
        say(news_line(view, news))

    def note(self, text: str) -> None:
        """One line."""
        say(text)

    def ended(self, view: RunView, summary: dict[str, Any]) -> None:
        """The closing lines."""
        for line in summary_lines(summary):
            say(line)


class JsonScreen(Screen):
    """One JSON object a line, each with ``event``: submitted, image, failed, retry, note, end."""

    def submitted(self, run_id: str, summary: pb.PlanSummary) -> None:
        """``{"event": "submitted", "run_id": ..., "jobs": ..., ...}``"""
        say_json({"event": "submitted", "run_id": run_id, **plain(summary)})

    def news(self, view: RunView, news: News) -> None:
        """``{"event": "image", "job_id": ..., "path": ..., ...}``"""
        name = "path" if news.kind == "image" else "reason"
        line = {"event": news.kind, "run_id": view.run_id, "job_id": news.job_id, name: news.text}
        say_json({**line, "node": news.node, "seconds": round(news.seconds, 3)})

    def note(self, text: str) -> None:
        """``{"event": "note", "text": ...}``"""
        say_json({"event": "note", "text": text})

    def ended(self, view: RunView, summary: dict[str, Any]) -> None:
        """``{"event": "end", ...}``"""
        say_json({"event": "end", **summary})


class LiveScreen(PlainScreen):
    """A bar for the run and a line a running job, drawn in place; news scrolls by above them."""

    def __init__(self) -> None:
        from rich.live import Live

        self._console = make_console()
        # Drawn by our own loop, not by rich's thread: what is drawn is read from one thread only.
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def submitted(self, run_id: str, summary: pb.PlanSummary) -> None:
        """As in a pipe, above the bar."""
        self._console.print(f"run {run_id}: {summary.line}")
        if summary.time:
            self._console.print(summary.time)
        for warning in summary.warnings:
            self._above(f"warning: {warning}", "yellow")

    def news(self, view: RunView, news: News) -> None:
        """Images move the bar; only trouble gets a line."""
        if news.kind != "image":
            self._above(news_line(view, news), "red" if news.kind == "failed" else "yellow")

    def note(self, text: str) -> None:
        """A line above the bar."""
        self._above(text, "yellow")

    def refresh(self, view: RunView, now: float) -> None:
        """Draw."""
        self._live.update(draw(view, now, self._console.size.height - 4), refresh=True)

    def ended(self, view: RunView, summary: dict[str, Any]) -> None:
        """The closing lines, in place of the bar."""
        self._live.stop()
        super().ended(view, summary)

    def _above(self, text: str, style: str) -> None:
        from rich.text import Text

        # Not print(..., style=): that would colour the bar below too.
        self._console.print(Text(text, style=style))


def choose_screen(as_json: bool) -> Screen:
    """The screen that fits where standard output goes."""
    if as_json:
        return JsonScreen()
    return LiveScreen() if sys.stdout.isatty() else PlainScreen()


def news_line(view: RunView, news: News) -> str:
    """``[3/8] out/0003.png (attic, 2.1 s)``"""
    where = ", ".join(part for part in (news.node, seconds(news.seconds) if news.seconds else "") if part)
    tail = f" ({where})" if where else ""
    if news.kind == "image":
        total = 0 if view.run is None else view.run.total
        return f"[{news.number}/{total}] {news.text}{tail}"
    if news.kind == "retry":
        return f"trying again: {one_line_cell(news.text)}{tail}"
    return f"failed: {one_line_cell(news.text)}{tail} (job {news.job_id})"


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """The end of a run in plain words."""
    took, speed = summary["seconds"], summary["images_per_minute"]
    times = f" in {seconds(took)}" if took is not None else ""
    rate = f" ({speed:.1f} images/min)" if speed is not None else ""
    lines = [f"{plural(summary['done'], 'image')}{times}{rate}"]
    if summary["state"] == "cancelled" or summary["cancelled"]:
        lines[0] += f"; cancelled: {summary['cancelled']} of {summary['total']}"
    if summary["done"]:
        lines.append(f"images:        {summary['out_dir']}")
    for file in summary["files"]:
        label = "contact sheet:" if "contact_sheet" in file or "contact-sheet" in file else "report:"
        lines.append(f"{label:<14} {file}")
    if summary["failed"]:
        lines.append(f"{plural(summary['failed'], 'job')} failed:")
        for failure in summary["failures"]:
            lines.append(f"  {failure['count']} x {failure['text']}")
            lines.append(f"      see: stablenew queue show {failure['job_id']}")
        lines.append(f"try them again with: stablenew queue retry --run {summary['run_id']}")
    return lines


def draw(view: RunView, now: float, height: int) -> RenderableType:
    """The bar of the run over a line a running job, in at most ``height`` lines."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    bar = Table.grid(padding=(0, 1))
    for ratio in (None, 1, None):
        bar.add_column(ratio=ratio, no_wrap=True)
    bar.expand = True
    run = view.run
    speed, eta = view.per_second(now), view.eta(now)
    counts = f"{view.settled}/{run.total}" if run is not None else "..."
    if run is not None and run.failed:
        counts += f", {run.failed} failed"
    if speed is not None:
        counts += f"  {speed * 60:.1f} images/min"
    if eta is not None:
        counts += f"  {seconds(eta)} left"
    bar.add_row(
        Text(run.name if run is not None else "run"),
        ProgressBar(total=1.0, completed=view.fraction()),
        Text(counts),
    )
    jobs = Table.grid(padding=(0, 2))
    shown = max(height - 2, 1)
    for running in list(view.running.values())[:shown]:
        jobs.add_row(*(Text(cell) for cell in job_cells(running)))
    lines: list[RenderableType] = [bar, jobs]
    if len(view.running) > shown:
        lines.append(Text(f"  and {len(view.running) - shown} more"))
    if state := state_line(view):
        lines.append(Text(state, style="yellow"))
    return Group(*lines)


def job_cells(running: pb.RunningJob) -> list[str]:
    """Node, stage, step, share and time left of a running job."""
    progress = running.progress
    stage = progress.stage or "starting"
    if progress.stage_count > 1:
        stage += f" ({progress.stage_index + 1}/{progress.stage_count})"
    step = f"step {progress.step}/{progress.steps}" if progress.steps else ""
    left = f"{seconds(progress.eta)} left" if progress.eta > 0 else ""
    return [f"  {running.node}", stage, step, f"{progress.fraction:.0%}", left]


def state_line(view: RunView) -> str:
    """Why nothing seems to happen; empty if something does."""
    if view.queue is not None and view.queue.paused:
        why = f" ({view.queue.paused_reason})" if view.queue.paused_reason else ""
        return f"the queue is paused{why}; go on with: stablenew queue resume"
    return f"waiting: {view.waiting_reason}" if view.waiting_reason and not view.running else ""
