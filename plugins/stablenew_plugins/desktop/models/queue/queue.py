"""The tab Queue: jobs that wait and run, jobs that are over, runs; a window of rows of each at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.longlist import RowsModel
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.core.opening import open_path
from stablenew_plugins.desktop.models.core.shortcuts import Shortcut
from stablenew_plugins.desktop.models.queue.jobdetails import JobDetailsModel
from stablenew_plugins.desktop.models.queue.jobwords import ACTIVE, ENDED, WAITING, is_next
from stablenew_plugins.desktop.models.queue.pause import Pause
from stablenew_plugins.desktop.models.queue.queuemoves import QueueMoves
from stablenew_plugins.desktop.models.queue.queueruns import WHO, QueueRuns
from stablenew_plugins.desktop.text import _, duration, many

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import gallery_pb2
    from stablenew_proto.v1 import kernel_pb2 as pb

View = Literal["queue", "history", "runs"]
VIEWS: Sequence[View] = ("queue", "history", "runs")
Ended = Literal["all", "done", "failed", "cancelled"]
NEWEST = "newest"
ORDERS: Sequence[str] = (NEWEST, "oldest", "longest", "shortest", "failed", "done")
"""Of the history, as the kernel has them."""

QUIET = 0.3
"""Seconds without a key before a search begins."""
RUNS = 500
"""Of runs the newest are listed."""
MOST_ACTIVE = 1_000
"""Jobs that are being made at a time, at most: a few for each slot of each node."""
ACTIVE_ORDER = ("running", "unknown", "leased")
JUMP = 20
"""Rows that PageUp and PageDown move by."""


class QueueModel(Model):
    """See above. What is listed is in :attr:`queue`, :attr:`history`, :attr:`found` and :attr:`runs`."""

    def __init__(self, desk: Desk, opener: Callable[[Path], None] = open_path) -> None:
        """``opener``: opens a file or a folder."""
        super().__init__()
        self._desk, self._opener = desk, opener
        view = desk.remembered.get("queue_view", "queue")
        self.view: View = view if view in VIEWS else "queue"
        self.ended: Ended = "all"
        order = desk.remembered.get("history_order", NEWEST)
        self.order: str = order if order in ORDERS else NEWEST
        """What the history is sorted by."""
        self.words = ""
        """What is searched for in the history; empty: all that is over is listed."""
        self.run_id = ""
        """Only jobs of this run; empty: of all."""
        self.queue: RowsModel[pb.Job] = RowsModel(desk, "queue", self._fetch_queue, lambda job: job.job_id)
        self.history: RowsModel[pb.Job] = RowsModel(
            desk, "history", self._fetch_history, lambda job: job.job_id
        )
        self.found: RowsModel[gallery_pb2.Image] = RowsModel(
            desk, "found", self._fetch_found, lambda i: i.job_id
        )
        self.runs: RowsModel[pb.Run] = RowsModel(desk, "runs", self._fetch_runs, lambda run: run.run_id)
        self.moves = QueueMoves(desk, self.queue, self._refresh)
        self.whole = QueueRuns(desk, self._say, lambda ids: self._change("retry", ids))
        """What is done with a run as a whole."""
        self.details = JobDetailsModel(desk)
        self.pause = Pause(desk)
        self.holds = False
        """Whether rows are being dragged: Escape is theirs then."""
        self._hues: dict[str, int] = {}
        self.to_copy = ""
        """Put on the clipboard by the panel, which then empties it."""
        self.searching = False
        """Whether the search field is to be typed into; the panel goes there and takes it back."""
        self._search_due: float | None = None
        self._seen: tuple[int, int, pb.QueueSummary | None] = (-1, -1, None)
        self._searched = ""
        desk.state.on_job.append(self._job_changed)

    # --- what is listed -------------------------------------------------------------------------------------

    @property
    def rows(self) -> RowsModel[pb.Job] | RowsModel[gallery_pb2.Image] | RowsModel[pb.Run]:
        """The list that is in front."""
        if self.view == "history":
            return self.found if self._searched else self.history
        return self.queue if self.view == "queue" else self.runs

    @property
    def is_searching(self) -> bool:
        """Whether the history shows what a search found."""
        return self.view == "history" and bool(self._searched)

    def show(self, view: View) -> None:
        """Bring one of the lists to the front."""
        self.view = view
        self._desk.remembered.set("queue_view", view)
        self._show_details()
        self.touch()

    def filter_ended(self, ended: Ended) -> None:
        """List only jobs that ended so."""
        self.ended = ended
        self.history.restart()
        self.touch()

    def sort(self, order: str) -> None:
        """Sort the history: one of :data:`ORDERS`."""
        if order != self.order:
            self.order = order
            self._desk.remembered.set("history_order", order)
            self.history.restart()
            self._show_details()

    def search(self, words: str) -> None:
        """Find images by what they were made with: ``lake steps>=30 seed=42``. After a moment of quiet."""
        self.words = words
        self._search_due = self._desk.clock() + QUIET

    def begin_search(self) -> None:
        """Go to the search field."""
        self.searching = True
        self.show("history")

    def show_run(self, run_id: str) -> None:
        """List only jobs of this run; empty: of all."""
        self.run_id = run_id
        for rows in (self.queue, self.history, self.found):
            rows.restart()
        run = self._desk.state.runs.get(run_id)
        if run_id and self.view == "runs":
            self.show("queue" if run is not None and run.state == "running" else "history")
        self.touch()

    def show_failed(self, run_id: str) -> None:
        """List what failed of this run."""
        self.search("")
        self.filter_ended("failed")
        self.show_run(run_id)
        self.show("history")

    def stage_title(self, stage: str) -> str:
        """What people call ``stage``."""
        return self._desk.state.stage_title(stage)

    def run_name(self, run_id: str) -> str:
        """What a run is called."""
        run = self._desk.state.runs.get(run_id)
        if run is None:
            run = next((run for run in self.runs.rows if run.run_id == run_id), None)
        return run.name if run is not None else run_id[:8]

    def run_hue(self, run_id: str) -> int:
        """A number for the colour of a run, another one for each."""
        return self._hues.setdefault(run_id, len(self._hues))

    def run_now(self, index: int) -> pb.Run | None:
        """A run of the list as the kernel told it last."""
        run = self.runs.row(index)
        return None if run is None else self._desk.state.runs.get(run.run_id, run)

    @property
    def summary(self) -> str:
        """The line below the title."""
        queue = self._desk.state.queue
        if queue is None:
            return _("No kernel answers yet.") if not self._desk.state.is_connected else ""
        parts = [
            many("{n} running", "{n} running", queue.active - self._next_at_nodes(queue.active)),
            many("{n} waiting", "{n} waiting", queue.queued + self._next_at_nodes(queue.active)),
        ]
        if queue.failed:
            parts.append(many("{n} failed", "{n} failed", queue.failed))
        if queue.seconds:
            parts.append(_("about {time} left").format(time=duration(queue.seconds)))
        if queue.paused:
            parts.append(queue.paused_reason or _("paused"))
        if self.view != "runs" and self.rows.chosen > 1:
            parts.append(many("{n} selected", "{n} selected", self.rows.chosen))
        return "  ·  ".join(parts)

    @property
    def view_titles(self) -> dict[View, str]:
        """What stands on the chips of the lists."""
        queue = self._desk.state.queue
        titles: dict[View, str] = {"queue": _("Queue"), "history": _("History"), "runs": _("Runs")}
        if queue is not None:
            if waiting := queue.queued + queue.active:
                titles["queue"] += f"  {waiting:,}"
            if ended := queue.done + queue.failed + queue.cancelled:
                titles["history"] += f"  {ended:,}"
        return titles

    def _next_at_nodes(self, active: int) -> int:
        """How many of the active jobs a node has for later. The first begins without progress, too."""
        return min(sum(map(is_next, self._desk.state.running.values())), max(active - 1, 0))

    def running(self, job_id: str) -> pb.RunningJob | None:
        """What is told of a job while it runs."""
        return self._desk.state.running.get(job_id)

    def _fetch_queue(self, kernel: KernelClient, limit: int, offset: int) -> tuple[Sequence[pb.Job], int]:
        # Only of queued jobs alone does the kernel tell the order in which they run.
        active = kernel.jobs(self.run_id, ACTIVE, MOST_ACTIVE, 0)
        first = sorted(active.jobs, key=self._active_order)
        shown = first[offset : offset + limit]
        left = limit - len(shown)
        waiting = kernel.jobs(self.run_id, WAITING, max(left, 1), max(0, offset - len(first)))
        return [*shown, *waiting.jobs[: max(left, 0)]], len(first) + waiting.total

    def _active_order(self, job: pb.Job) -> tuple[int, bool, int, str]:
        """What is worked on first, and what its node has for later behind it."""
        running = self._desk.state.running.get(job.job_id)
        waits = running is not None and is_next(running)
        return ACTIVE_ORDER.index(job.state), waits, job.index, job.job_id

    def _fetch_history(self, kernel: KernelClient, limit: int, offset: int) -> tuple[Sequence[pb.Job], int]:
        states = ENDED if self.ended == "all" else (self.ended,)
        answer = kernel.jobs(self.run_id, states, limit, offset, order=self.order)
        return answer.jobs, answer.total

    def _fetch_found(
        self, kernel: KernelClient, limit: int, offset: int
    ) -> tuple[Sequence[gallery_pb2.Image], int]:
        from stablenew_proto.v1 import gallery_pb2

        where = gallery_pb2.ImageFilter(words=self._searched, run_id=self.run_id)
        answer = kernel.gallery.images(where, limit=limit, offset=offset)
        return answer.images, answer.total

    def _fetch_runs(self, kernel: KernelClient, limit: int, offset: int) -> tuple[Sequence[pb.Run], int]:
        runs = kernel.runs(RUNS)
        return runs, len(runs)

    # --- staying up to date ---------------------------------------------------------------------------------

    def tick(self) -> None:
        """Refresh what changed, and search when it is time."""
        state = self._desk.state
        seen = (state.jobs_revision, state.images_revision, state.queue)  # paused, moved: the summary is new
        if seen != self._seen:
            if seen[1] != self._seen[1]:
                self.found.refresh()
            self._seen = seen
            for rows in (self.queue, self.history, self.runs):
                rows.refresh()
        if self._search_due is not None and self._desk.clock() >= self._search_due:
            self._search_due = None
            words = self.words.strip()
            if words != self._searched:
                self._searched = words
                self.found.restart()
                self._show_details()
                self.touch()
        if not self.runs.loaded:
            self.runs.look(0, 1)  # for the names of runs that were over when the window opened
        if self.view != "runs":
            self.rows.tick()
        self.runs.tick()
        self.details.tick()

    def _job_changed(self, job: pb.Job) -> None:
        """Put it into the lists at once; where it stands in them comes with the next answer."""
        for rows, kept in ((self.queue, (*ACTIVE, *WAITING)), (self.history, ENDED)):
            if (index := rows.index_of(job.job_id)) is None or (old := rows.row(index)) is None:
                continue
            merged = type(job)()
            merged.CopyFrom(old)
            merged.ClearField("waiting_reason")
            merged.ClearField("failure")
            merged.ClearField("stages")
            merged.MergeFrom(job)
            merged.place = job.place
            merged.ended_at = job.ended_at
            if not job.stages:
                merged.stages.extend(old.stages)
            rows.patch(merged)
            if job.state not in kept:
                rows.drop(job.job_id)

    # --- selection ------------------------------------------------------------------------------------------

    def select(self, index: int, how: Literal["one", "toggle", "range"] = "one") -> None:
        """Select a row of the list in front. Of runs one at a time."""
        self.rows.select(index, how if self.view != "runs" else "one")
        self._show_details()

    def move(self, rows: int, *, extend: bool = False) -> None:
        """Select the row so many further down."""
        self.rows.move(rows, extend=extend and self.view != "runs")
        self._show_details()

    def select_all(self) -> None:
        """Select every job of the list in front."""
        if self.view != "runs":
            self.rows.select_all()

    def select_none(self) -> None:
        """No row; the details go, too."""
        self.rows.select_none()
        self._show_details()

    def escape(self) -> None:
        """Select nothing, unless it is a drag that is to end."""
        if not self.holds and self.rows.chosen:
            self.select_none()

    def _show_details(self) -> None:
        row = self.rows.row(self.rows.cursor) if self.rows.cursor >= 0 else None
        self.details.show(getattr(row, "job_id", "") if self.view != "runs" else "")
        self.touch()

    @property
    def selected(self) -> Sequence[str]:
        """Ids of the selected jobs."""
        return [job_id for job_id in self.rows.selected if job_id] if self.view != "runs" else []

    @property
    def selected_run(self) -> pb.Run | None:
        """The run that is selected in the list of runs."""
        rows = self.runs.selected_rows if self.view == "runs" else ()
        return self._desk.state.runs.get(rows[0].run_id, rows[0]) if rows else None

    def states_selected(self) -> frozenset[str]:
        """States of the selected jobs, as far as they are here."""
        if self.view == "runs" or self.is_searching:
            return frozenset({"done"}) if self.is_searching and self.selected else frozenset()
        rows = self.queue if self.view == "queue" else self.history
        return frozenset(job.state for job in rows.selected_rows)

    # --- doing something with jobs --------------------------------------------------------------------------

    def cancel(self) -> None:
        """Cancel the selected jobs, or the selected run; the message offers to take it back."""
        if (run := self.selected_run) is not None:
            self.whole.cancel(run)
            return
        ids = list(self.selected)
        if not ids or not self.states_selected() & {*ACTIVE, *WAITING}:
            return

        def done(answer: pb.ChangeJobsResponse) -> None:
            text = many("{n} job cancelled.", "{n} jobs cancelled.", answer.changed)
            self._say(text, answer.notes, undo=lambda: self._change("retry", ids))

        self._desk.order(lambda kernel: kernel.change_jobs("cancel", ids, reason=f"cancelled {WHO}"), done)

    def retry(self) -> None:
        """Queue the selected jobs again, as they were: those that failed or were cancelled."""
        if (run := self.selected_run) is not None:
            self.whole.retry(run)
            return
        if ids := list(self.selected):
            self._change("retry", ids, lambda n: many("{n} job queued again.", "{n} jobs queued again.", n))

    def move_top(self) -> None:
        """Make the selected jobs the next ones."""
        self._change("move_top", list(self.selected))

    def move_bottom(self) -> None:
        """Make them the last ones."""
        self._change("move_bottom", list(self.selected))

    def move_up(self) -> None:
        """Put the selected jobs one place further to the front."""
        if self.view == "queue":
            self.moves.up()

    def move_down(self) -> None:
        """Put them one place further to the back."""
        if self.view == "queue":
            self.moves.down()

    def take(self, index: int) -> bool:
        """A row of the queue is dragged: with all that is selected if it is, else alone. False: it can't be."""
        job = self.queue.row(index)
        if job is None or not self.moves.can_take(index):
            return False
        if not self.queue.is_selected(job.job_id):
            self.queue.select(index)
            if self.details.job_id:  # while it is dragged, no details come and take the place of the rows below
                self._show_details()
            self.touch()
        self.holds = True
        return True

    def let_go(self) -> None:
        """Nothing is dragged any more."""
        self.holds = False

    def set_priority(self, priority: int) -> None:
        """Give the selected jobs this priority: higher ones run first."""
        ids = list(self.selected)
        self._change(
            "set_priority",
            ids,
            lambda n: many("{n} job has a new priority.", "{n} jobs have a new priority.", n),
            priority=priority,
        )

    def clear_ended(self) -> None:
        """Forget the jobs that are over, once the person has agreed. Images and their files stay."""
        queue = self._desk.state.queue
        count = queue.done + queue.failed + queue.cancelled if queue is not None else self.history.total
        if not count:
            self._desk.toasts.say(_("There is nothing to clear."))
            return
        text = many("Clear {n} job from the history?", "Clear {n} jobs from the history?", count)
        self._desk.toasts.say(
            text,
            "warning",
            hint=_("Images, their files and ratings stay. This can't be undone."),
            action=_("Clear"),
            act=lambda: self._desk.order(
                lambda kernel: kernel.change_jobs("clear", all_jobs=True),
                lambda answer: self._say(many("{n} job cleared.", "{n} jobs cleared.", answer.changed), ()),
            ),
        )

    def copy_id(self) -> None:
        """Put the ids of what is selected on the clipboard, one a line."""
        run = self.selected_run
        if text := run.run_id if run is not None else "\n".join(self.selected):
            self.to_copy = text
            self._desk.toasts.say(_("Copied."), "good")

    def open_image(self) -> None:
        """Open the image of the row that was selected last; of a run its contact sheet, or its folder."""
        if (run := self.selected_run) is not None:
            self.open(Path(run.files[0] if run.files else run.out_dir))
        elif path := self._path():
            self.open(Path(path))

    def open_folder(self) -> None:
        """Open the folder where the selected image or run is."""
        if (run := self.selected_run) is not None:
            self.open(Path(run.out_dir))
        elif path := self._path():
            self.open(Path(path).parent)

    def open(self, path: Path) -> None:
        """Open a file or folder with the program that the system has for it."""
        self._desk.work(lambda: self._opener(path), lambda _none: None)

    def activate(self, index: int) -> None:
        """What a double click does: open an image, list the jobs of a run."""
        self.select(index)
        if (run := self.selected_run) is not None:
            self.show_run(run.run_id)
        else:
            self.open_image()

    def _path(self) -> str:
        row = self.rows.row(self.rows.cursor) if self.rows.cursor >= 0 else None
        return str(getattr(row, "path", ""))

    def _refresh(self) -> None:
        self.queue.refresh()
        self.history.refresh()

    def _change(
        self,
        action: str,
        ids: Sequence[str],
        words: Callable[[int], str] | None = None,
        *,
        priority: int = 0,
    ) -> None:
        if not ids:
            return

        def done(answer: pb.ChangeJobsResponse) -> None:
            self._refresh()
            if words is not None or answer.notes:
                self._say(words(answer.changed) if words is not None else "", answer.notes)

        self._desk.order(lambda kernel: kernel.change_jobs(action, ids, priority=priority), done)

    def _say(self, text: str, notes: Sequence[str], undo: Callable[[], None] | None = None) -> None:
        hint = "\n".join(notes[:3])
        if undo is None:
            self._desk.toasts.say(text or hint, "warning" if notes else "good", hint=hint if text else "")
        else:
            self._desk.toasts.say(text, "info", hint=hint, action=_("Undo"), act=undo)

    # --- keys -----------------------------------------------------------------------------------------------

    def shortcuts(self) -> Sequence[Shortcut]:
        """Keys of the tab."""

        def key(keys: str, what: str, act: Callable[[], None]) -> Shortcut:
            return Shortcut(keys, what, act, tab="queue", group=_("Queue"))

        last = 1 << 40
        return [
            key("Up", _("The row above"), lambda: self.move(-1)),
            key("Down", _("The row below"), lambda: self.move(1)),
            key("Shift+Up", _("Select upwards"), lambda: self.move(-1, extend=True)),
            key("Shift+Down", _("Select downwards"), lambda: self.move(1, extend=True)),
            key("PageUp", _("A page up"), lambda: self.move(-JUMP)),
            key("PageDown", _("A page down"), lambda: self.move(JUMP)),
            key("Home", _("The first row"), lambda: self.move(-last)),
            key("End", _("The last row"), lambda: self.move(last)),
            key("Ctrl+A", _("Select all rows"), self.select_all),
            key("Escape", _("Select nothing"), self.escape),
            key("Alt+Up", _("Move up in the queue"), self.move_up),
            key("Alt+Down", _("Move down in the queue"), self.move_down),
            key("Alt+Home", _("Move to the top of the queue"), self.move_top),
            key("Alt+End", _("Move to the end of the queue"), self.move_bottom),
            key("Delete", _("Cancel what is selected"), self.cancel),
            key("R", _("Try again what failed or was cancelled"), self.retry),
            key("Space", _("Pause the queue, or go on"), self.pause.toggle),
            key("Enter", _("Open the image"), self.open_image),
            key("O", _("Open the folder"), self.open_folder),
            key("Ctrl+C", _("Copy the id"), self.copy_id),
            key("Ctrl+F", _("Search the history"), self.begin_search),
        ]
