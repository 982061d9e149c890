"""The runs that are not over, counted in memory, so that no event costs a query."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from stablenew_api.jobs import JobState
from stablenew_kernel.domain.link import Transition
from stablenew_kernel.store.runs import RunRow
from stablenew_proto.v1 import kernel_pb2 as pb

_GROUPS: dict[JobState, str] = {state: "active" if state.active else state.value for state in JobState}
"""What people count together: a job that a node holds, whatever it does with it, is active."""


class LiveRun:
    """A run and its counts: queued, active, done (saved or not), saving, failed, cancelled."""

    def __init__(self, row: RunRow) -> None:
        self.row = row
        self.counts = Counter(
            queued=row.queued,
            active=row.active,
            done=row.done + row.saving,
            saving=row.saving,
            failed=row.failed,
            cancelled=row.cancelled,
        )
        self.seconds = 0.0
        """About how long until its last image; 0: not known."""

    @property
    def settled(self) -> bool:
        """Whether nothing is left to make or to save."""
        return not (self.counts["queued"] or self.counts["active"] or self.counts["saving"])

    def to_proto(self) -> pb.Run:
        """The run as clients see it."""
        counts = self.counts
        return run_message(
            self.row,
            self.seconds if counts["queued"] or counts["active"] else 0.0,
            queued=counts["queued"],
            active=counts["active"] + counts["saving"],
            done=counts["done"] - counts["saving"],
            failed=counts["failed"],
            cancelled=counts["cancelled"],
        )


class RunBoard:
    """Live runs by id, and the counts of the whole queue."""

    def __init__(self) -> None:
        self._runs: dict[str, LiveRun] = {}
        self.totals: Counter[str] = Counter()
        self.seconds = 0.0
        """About how long until the last image of all; 0: not known."""

    def get(self, run_id: str) -> LiveRun | None:
        """The run, if it is not over."""
        return self._runs.get(run_id)

    def __iter__(self) -> Iterator[LiveRun]:
        return iter(self._runs.values())

    def put(self, row: RunRow) -> LiveRun:
        """A run as the store has it now: new, found at start, changed by hand, or opened again."""
        before, run = self._runs.get(row.run_id), LiveRun(row)
        if before is not None:
            run.seconds = before.seconds
        self._runs[row.run_id] = run
        return run

    def remove(self, run_id: str) -> None:
        """A run is over."""
        self._runs.pop(run_id, None)

    def set_totals(self, counts: Mapping[str, int]) -> None:
        """Counts of the whole queue by job state, fresh from the store."""
        self.totals = Counter()
        for state in JobState:
            self.totals[_GROUPS[state]] += counts.get(state, 0)

    def apply(self, transitions: Sequence[Transition]) -> set[str]:
        """Take in committed changes; return the ids of the live runs that they concern."""
        changed = set()
        totals = self.totals
        for transition in transitions:
            before, after = _GROUPS[transition.from_state], _GROUPS[transition.to_state]
            totals[before] -= 1
            totals[after] += 1
            run = self._runs.get(transition.run_id)
            if run is None:
                continue
            counts = run.counts
            counts[before] -= 1
            counts[after] += 1
            if after == "done" and transition.outcome is not None:
                counts["saving"] += len(transition.outcome.outputs)
            changed.add(transition.run_id)
        return changed

    def saved(self, run_id: str) -> LiveRun | None:
        """An image of the run stands in its folder."""
        run = self._runs.get(run_id)
        if run is not None:
            run.counts["saving"] -= 1
        return run

    def queue(self, paused: bool, paused_reason: str) -> pb.QueueSummary:
        """The queue as a whole, for clients."""
        totals = self.totals
        return pb.QueueSummary(
            paused=paused,
            paused_reason=paused_reason,
            queued=totals["queued"],
            active=totals["active"],
            done=totals["done"],
            failed=totals["failed"],
            cancelled=totals["cancelled"],
            seconds=self.seconds if totals["queued"] or totals["active"] else 0.0,
        )


def run_message(row: RunRow, seconds: float = 0.0, **counts: int) -> pb.Run:
    """A run as clients see it, with about how long it still takes; ``counts`` default to those of the row."""
    return pb.Run(
        run_id=row.run_id,
        name=row.name,
        created_at=row.created_at,
        out_dir=row.folder,
        state=row.state,
        total=row.total,
        ended_at=row.ended_at,
        files=row.files,
        seconds=seconds,
        **(
            counts
            or {
                "queued": row.queued,
                "active": row.active + row.saving,
                "done": row.done,
                "failed": row.failed,
                "cancelled": row.cancelled,
            }
        ),
    )
