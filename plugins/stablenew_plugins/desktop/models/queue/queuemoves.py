"""Jobs of the queue put elsewhere in it: a place up or down, or where a person drags them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stablenew_api.errors import UserError
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.longlist import RowsModel
from stablenew_plugins.desktop.models.queue.jobwords import WAITING, state_word
from stablenew_plugins.desktop.text import _, many

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import kernel_pb2 as pb


class QueueMoves:
    """Moves those of the selected jobs of ``rows`` that wait. What runs stands before them and stays."""

    def __init__(self, desk: Desk, rows: RowsModel[pb.Job], changed: Callable[[], None]) -> None:
        """``changed`` is called once the kernel has moved some."""
        self._desk, self._rows, self._changed = desk, rows, changed

    @property
    def places(self) -> Sequence[int]:
        """Where the selected jobs stand that wait, as far as they are here."""
        found = (self._rows.index_of(job.job_id) for job in self._rows.selected_rows if job.state in WAITING)
        return [place for place in found if place is not None]

    def up(self) -> None:
        """One place further to the front."""
        places = self.places
        before = self._rows.row(places[0] - 1) if places and places[0] > 0 else None
        if before is not None and before.state in WAITING:
            self._move(self._ids_at(places), before)

    def down(self) -> None:
        """One place further to the back."""
        places = self.places
        if not places or places[-1] + 1 >= self._rows.total:
            return
        before = self._rows.row(places[-1] + 2)
        if before is not None or places[-1] + 2 >= self._rows.total:
            self._move(self._ids_at(places), before)

    # --- dragging -------------------------------------------------------------------------------------------

    def can_take(self, index: int) -> bool:
        """Whether row ``index`` can be dragged."""
        job = self._rows.row(index)
        return job is not None and job.state in WAITING

    def landing(self, index: int) -> int | None:
        """The row that jobs would stand before which are held before row ``index``: not before one that runs.
        None: that part of the list is not here yet."""
        if index < self._rows.offset or index > self._rows.offset + len(self._rows.rows):
            return None
        behind = (
            self._rows.offset + place for place, job in enumerate(self._rows.rows) if job.state in WAITING
        )
        return max(index, next(behind, self._rows.total))

    def drop(self, index: int) -> None:
        """Put the selected jobs before row ``index``; behind the last one where that is how many there are."""
        states = {job.job_id: job.state for job in self._rows.rows}
        ids = [job_id for job_id in self._rows.selected if states.get(job_id, WAITING[0]) in WAITING]
        while (before := self._rows.row(index)) is not None and before.job_id in ids:
            index += 1
        if not ids or (before is None and index < self._rows.total):
            return
        places = self.places
        if len(places) == len(ids) == places[-1] - places[0] + 1 and index == places[-1] + 1:
            return  # they stand there already
        self._move(ids, before)

    def _move(self, ids: Sequence[str], before: pb.Job | None) -> None:
        if before is None:
            self._desk.order(lambda kernel: kernel.change_jobs("move_bottom", ids), self._done)
            return

        def work(kernel: KernelClient) -> pb.ChangeJobsResponse | str:
            try:
                return kernel.change_jobs("move_before", ids, before=before.job_id)
            except UserError:
                state = kernel.job(before.job_id).job.state
                if state in WAITING:
                    raise
                return state

        def done(answer: pb.ChangeJobsResponse | str) -> None:
            if not isinstance(answer, str):
                self._done(answer)
                return
            self._changed()
            self._desk.toasts.say(
                _("Nothing was moved: the job behind that place does not wait any more ({state}).").format(
                    state=state_word(answer).lower()
                ),
                "warning",
                hint=_("The list is up to date now: drag once more."),
            )

        self._desk.order(work, done)

    def _done(self, answer: pb.ChangeJobsResponse) -> None:
        self._changed()
        if stayed := len(answer.notes):
            self._desk.toasts.say(
                many(
                    "{n} job was not moved: it has started meanwhile.",
                    "{n} jobs were not moved: they have started meanwhile.",
                    stayed,
                ),
                "warning",
            )

    def _ids_at(self, places: Sequence[int]) -> Sequence[str]:
        return [job.job_id for place in places if (job := self._rows.row(place)) is not None]
