"""The rows of the tab Queue, as cells."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from stablenew_plugins.desktop.components.table import Cell, Column, Row
from stablenew_plugins.desktop.models.core.plainwords import explain_waiting
from stablenew_plugins.desktop.models.queue.jobwords import Mood, job_line, moment, run_line
from stablenew_plugins.desktop.models.queue.queue import QueueModel
from stablenew_plugins.desktop.text import _
from stablenew_plugins.desktop.theme import icons
from stablenew_plugins.desktop.theme.tokens import Colour, Palette

if TYPE_CHECKING:
    from stablenew_proto.v1 import gallery_pb2
    from stablenew_proto.v1 import kernel_pb2 as pb

MOOD_ICONS: dict[Mood, str] = {
    "waits": icons.CLOCK,
    "works": icons.CIRCLE_PLAY,
    "good": icons.CIRCLE_CHECK,
    "bad": icons.CIRCLE_ALERT,
    "off": icons.CIRCLE_STOP,
    "unsure": icons.CIRCLE_HELP,
}


def mood_colour(colours: Palette, mood: Mood) -> Colour:
    """The colour of a state."""
    return {
        "waits": colours.muted,
        "works": colours.accent_high,
        "good": colours.green,
        "bad": colours.red,
        "off": colours.faint,
        "unsure": colours.amber,
    }[mood]


def queue_columns() -> Sequence[Column]:
    """Of jobs that wait and run."""
    return [
        Column(_("No."), 46, needs=620),
        Column(_("State"), 106),
        Column(_("Run"), 104, needs=700),
        Column(_("Prompt")),
        Column(_("Stages"), 104, needs=1100),
        Column(_("Seed"), 92, needs=980),
        Column(_("Node"), 84, needs=760),
        Column(_("Progress"), 232, kind="bar"),
    ]


def history_columns() -> Sequence[Column]:
    """Of jobs that are over."""
    return [
        Column("", 38, kind="picture"),
        Column(_("State"), 106),
        Column(_("Run"), 104, needs=700),
        Column(_("Prompt")),
        Column(_("Stages"), 104, needs=1100),
        Column(_("Seed"), 92, needs=980),
        Column(_("Node"), 84, needs=760),
        Column(_("Outcome"), 200),
    ]


def found_columns() -> Sequence[Column]:
    """Of images that a search found."""
    return [
        Column("", 38, kind="picture"),
        Column(_("Run"), 104, needs=700),
        Column(_("Prompt")),
        Column(_("Model"), 140, needs=900),
        Column(_("Size"), 92, needs=760),
        Column(_("Seed"), 92),
        Column(_("Stars"), 76, needs=760),
        Column(_("Saved"), 84),
    ]


def run_columns() -> Sequence[Column]:
    """Of runs."""
    return [
        Column(_("State"), 130),
        Column(_("Run")),
        Column(_("Made"), 76),
        Column(_("Progress"), 250, kind="bar"),
        Column(_("Time left"), 84, needs=640),
        Column(_("Folder"), 260, needs=1050),
    ]


class Lines:
    """Makes rows of what a model lists."""

    def __init__(self, queue: QueueModel, colours: Palette) -> None:
        self._queue, self._c = queue, colours

    def waiting(self, index: int) -> Row | None:
        """A row of the queue."""
        c, job = self._c, self._queue.queue.row(index)
        if job is None:
            return None
        line = job_line(job, self._queue.running(job.job_id), self._queue.stage_title)
        bold = c.text if job.state != "queued" else c.muted
        place = str(job.place) if job.place else ""
        priority = f"  ↑{job.priority}" if job.priority > 0 else f"  ↓{-job.priority}" if job.priority else ""
        note = "  ·  ".join(part for part in (line.attempt, line.note) if part)
        return Row(
            [
                Cell(place, c.faint),
                self._state(line.mood, line.state + priority),
                Cell(self._run(job), c.muted),
                Cell(_flat(job.prompt), bold),
                Cell(line.stages, c.muted),
                Cell(str(job.seed), c.muted),
                Cell(job.node, c.muted),
                Cell(note, c.text if line.fraction is not None else c.muted, line.fraction),
            ],
            self._queue.queue.is_selected(job.job_id),
            self._tip(job.prompt, self._why(job)),
        )

    def ended(self, index: int) -> Row | None:
        """A row of the history."""
        c, job = self._c, self._queue.history.row(index)
        if job is None:
            return None
        line = job_line(job, None, self._queue.stage_title)
        note = "  ·  ".join(part for part in (line.attempt, line.note) if part)
        return Row(
            [
                Cell(picture=Path(job.path) if job.path else None),
                self._state(line.mood, line.state),
                Cell(self._run(job), c.muted),
                Cell(_flat(job.prompt)),
                Cell(line.stages, c.muted),
                Cell(str(job.seed), c.muted),
                Cell(job.node, c.muted),
                Cell(note, c.red if job.state == "failed" else c.muted),
            ],
            self._queue.history.is_selected(job.job_id),
            self._tip(job.prompt, job.failure.message),
        )

    def found(self, index: int) -> Row | None:
        """A row of what a search found."""
        c, image = self._c, self._queue.found.row(index)
        if image is None:
            return None
        return Row(
            [
                Cell(picture=Path(image.path)),
                Cell(image.run_name, c.muted),
                Cell(_flat(image.prompt)),
                Cell(image.model, c.muted),
                Cell(_size(image), c.muted),
                Cell(str(image.seed), c.muted),
                Cell("★" * image.stars, c.star),
                Cell(moment(image.saved_at, datetime.now().astimezone()), c.muted),
            ],
            self._queue.found.is_selected(image.job_id),
            self._tip(image.prompt, ", ".join(image.tags)),
        )

    def run(self, index: int) -> Row | None:
        """A row of the runs."""
        c, run = self._c, self._queue.run_now(index)
        if run is None:
            return None
        line = run_line(run)
        return Row(
            [
                self._state(line.mood, line.state),
                Cell(run.name),
                Cell(moment(run.created_at, datetime.now().astimezone()), c.muted),
                Cell(line.counts, c.red if run.failed else c.muted, line.fraction),
                Cell(line.note, c.accent_high),
                Cell(Path(run.out_dir).name, c.muted),
            ],
            self._queue.runs.is_selected(run.run_id),
            run.out_dir,
        )

    def _state(self, mood: Mood, words: str) -> Cell:
        return Cell(f"{MOOD_ICONS[mood]}  {words}", mood_colour(self._c, mood))

    def _run(self, job: pb.Job) -> str:
        return job.run_name or self._queue.run_name(job.run_id)

    @staticmethod
    def _why(job: pb.Job) -> str:
        return explain_waiting(job.waiting_reason).text if job.state == "queued" else ""

    @staticmethod
    def _tip(prompt: str, more: str) -> str:
        return "\n\n".join(part for part in (prompt, more) if part)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _size(image: gallery_pb2.Image) -> str:
    return f"{image.width} × {image.height}" if image.width else ""
