"""The rows of the tab Queue, as cells."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from stablenew_plugins.desktop.components.tablecells import Cell, Column, Live, Row
from stablenew_plugins.desktop.models.queue.jobwords import Mood, job_line, moment, run_line, seconds_text
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


def run_colour(colours: Palette, number: int) -> Colour:
    """The colour of the dot of a run."""
    hues = (colours.accent_high, colours.cyan, colours.amber, colours.green, colours.pink, colours.red)
    return hues[number % len(hues)]


def queue_columns() -> Sequence[Column]:
    """Of jobs that wait and run."""
    return [
        Column(_("No."), 40, kind="picture"),
        Column(_("Prompt")),
        Column(_("Run"), 112, kind="dot", needs=560),
        Column(_("Stages"), 116, needs=1180),
        Column(_("Seed"), 92, needs=1060),
        Column(_("Node"), 92, needs=860),
        Column(_("Progress"), 176, kind="bar"),
    ]


def history_columns() -> Sequence[Column]:
    """Of jobs that are over."""
    return [
        Column("", 38, kind="picture"),
        Column(_("Prompt"), kind="lines"),
        Column(_("Run"), 112, kind="dot", needs=760),
        Column(_("Node"), 92, needs=1000),
        Column(_("State"), 104, orders=("failed", "done")),
        Column(_("Took"), 64, orders=("shortest", "longest"), downwards=True),
        Column(_("Finished"), 88, orders=("oldest", "newest"), downwards=True),
    ]


def found_columns() -> Sequence[Column]:
    """Of images that a search found."""
    return [
        Column("", 38, kind="picture"),
        Column(_("Prompt"), kind="lines"),
        Column(_("Run"), 112, kind="dot", needs=760),
        Column(_("Size"), 92, needs=760),
        Column(_("Stars"), 80),
        Column(_("Saved"), 88),
    ]


def run_columns() -> Sequence[Column]:
    """Of runs."""
    return [
        Column(_("State"), 130),
        Column(_("Run"), kind="dot"),
        Column(_("Made"), 84),
        Column(_("Progress"), 190, kind="bar"),
        Column(_("Time left"), 84, needs=640),
        Column(_("Folder"), 240, needs=1050),
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
        running = self._queue.running(job.job_id)
        line = job_line(job, running, self._queue.stage_title)
        note = "  ·  ".join(part for part in (line.attempt, line.note) if part)
        return Row(
            [
                self._number(job, running, line.mood),
                Cell(_flat(job.prompt), c.text if job.state != "queued" else c.muted),
                self._run(job.run_id, job.run_name),
                Cell(line.stages, c.muted),
                Cell(str(job.seed), c.muted),
                Cell(job.node, c.muted),
                Cell(note, self._note_colour(job, line.mood), line.fraction),
            ],
            self._queue.queue.is_selected(job.job_id),
            self._tip(job.prompt, f"{line.state}. {line.note}" if line.note else line.state),
        )

    def _number(self, job: pb.Job, running: pb.RunningJob | None, mood: Mood) -> Cell:
        """Its place; of one that is being made, what is there of the picture."""
        if running is not None and running.progress.preview_jpeg:
            return Cell(picture=Live(("queue", job.job_id), running.progress.preview_jpeg))
        if not job.place:
            return Cell(MOOD_ICONS[mood], mood_colour(self._c, mood))
        if not job.priority:
            return Cell(str(job.place), self._c.faint)
        up = job.priority > 0
        return Cell(f"{job.place} {'↑' if up else '↓'}", self._c.accent_high if up else self._c.faint)

    def _note_colour(self, job: pb.Job, mood: Mood) -> Colour:
        return self._c.text if job.state == "running" else mood_colour(self._c, mood)

    def ended(self, index: int) -> Row | None:
        """A row of the history."""
        c, job = self._c, self._queue.history.row(index)
        if job is None:
            return None
        line = job_line(job, None, self._queue.stage_title)
        failed = job.state == "failed"
        seed = _("seed {n}").format(n=job.seed)
        more = [line.note] if failed else [line.stages, seed]
        return Row(
            [
                Cell(picture=Path(job.path) if job.path else None),
                Cell(
                    _flat(job.prompt),
                    c.text if job.state != "cancelled" else c.muted,
                    note="  ·  ".join(part for part in (*more, line.attempt) if part),
                    note_colour=c.red if failed else c.faint,
                ),
                self._run(job.run_id, job.run_name),
                Cell(job.node, c.muted),
                self._state(line.mood, line.state),
                Cell(seconds_text(job.run_time), c.muted),
                Cell(moment(job.ended_at, datetime.now().astimezone()) if job.ended_at else "", c.muted),
            ],
            self._queue.history.is_selected(job.job_id),
            self._tip(job.prompt, job.failure.message),
        )

    def found(self, index: int) -> Row | None:
        """A row of what a search found."""
        c, image = self._c, self._queue.found.row(index)
        if image is None:
            return None
        more = (image.model, _("seed {n}").format(n=image.seed), ", ".join(image.tags))
        return Row(
            [
                Cell(picture=Path(image.path)),
                Cell(
                    _flat(image.prompt), note="  ·  ".join(part for part in more if part), note_colour=c.faint
                ),
                self._run(image.run_id, image.run_name),
                Cell(_size(image), c.muted),
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
                Cell(run.name, dot=run_colour(c, self._queue.run_hue(run.run_id))),
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

    def _run(self, run_id: str, name: str) -> Cell:
        colour = run_colour(self._c, self._queue.run_hue(run_id))
        return Cell(name or self._queue.run_name(run_id), self._c.muted, dot=colour)

    @staticmethod
    def _tip(prompt: str, more: str) -> str:
        return "\n\n".join(part for part in (prompt, more) if part)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _size(image: gallery_pb2.Image) -> str:
    return f"{image.width} × {image.height}" if image.width else ""
