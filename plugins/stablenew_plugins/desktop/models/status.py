"""The status bar: what happens now, how far it is, how long it takes, what the GPUs have left."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stablenew_plugins.desktop.models.cluster import node_state
from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.text import _, duration, many, size_of

if TYPE_CHECKING:
    from stablenew_proto.v1 import kernel_pb2 as pb

State = Literal["idle", "running", "stopping", "paused", "error", "starting"]

WINDOW = 120.0
"""Seconds over which the speed is measured."""
_COMMAND = "; start one with: "
"""What follows in a problem is for the command line: here there is a button."""
PERIOD = 0.5
"""Seconds between two looks at what changes by itself."""


@dataclass(frozen=True, slots=True)
class Status:
    """What the status bar says. Empty texts are not shown."""

    state: State
    title: str
    """"Running"."""
    text: str = ""
    """"demo · Upscale · image 19 of 48"."""
    fraction: float = 0.0
    """Of the run, 0 to 1."""
    eta: str = ""
    speed: str = ""
    vram: str = ""
    """"38.0 / 60.0 GB": of all GPUs of all nodes that are in touch."""
    vram_fraction: float = 0.0
    vram_by_node: Sequence[str] = ()
    """"gpu-box: 20.0 / 24.0 GB", a line a node."""
    queued: str = ""
    nodes: str = ""
    nodes_good: bool = False
    node_states: Sequence[str] = ()
    """"gpu-box: ready", a line a node."""
    can_start: bool = False
    """Whether no kernel answers, and a person may have one started."""
    can_resume: bool = False
    """Whether jobs wait because the queue is paused, and a person may let it go on."""


class StatusModel(Model):
    """See above."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._saved: deque[float] = deque()
        self._seen = (-1, -1)
        self._looked = 0.0
        self._began = desk.clock()
        self.is_stopping: Callable[[], bool] = lambda: False
        """Whether somebody asked a run to stop that still runs; set by whoever knows."""
        self.start_kernel: Callable[[], None] = lambda: None
        """Starts a kernel now; set by whoever can. By itself none is started where somebody stopped it."""
        self.start_queue: Callable[[], None] = lambda: None
        """Lets the queue go on; set by whoever can."""
        self.now = Status("starting", _("Starting"))
        desk.state.on_image.append(lambda _image: self._saved.append(desk.clock()))

    def tick(self) -> None:
        """Look again when the kernel told something, and twice a second."""
        now = self._desk.clock()
        if self._desk.state.revision != self._seen[0] or now - self._looked >= PERIOD:
            self._seen, self._looked = (self._desk.state.revision, 0), now
            status = self._look(now)
            if status != self.now:
                self.now = status
                self.touch()

    def _look(self, now: float) -> Status:
        state = self._desk.state
        if not state.is_connected:
            if state.ever_connected or (state.problem and now - self._began > 1):
                problem = state.problem.partition(_COMMAND)[0]
                return Status("error", _("Not connected"), _sentence(problem), can_start=True)
            return Status("starting", _("Starting"), _("the kernel comes up"))
        kind, title = self._state()
        run = state.current
        vram = self._vram()
        used, total = sum(one for one, _all in vram.values()), sum(one for _used, one in vram.values())
        queue = state.queue
        online = state.online
        sick = [node for node in online if node.report.state == "unhealthy"]
        return Status(
            state=kind,
            title=title,
            text=self._text(kind, run),
            fraction=self._fraction(run),
            eta=self._eta(run) if kind == "running" else "",
            speed=self._speed(now) if kind == "running" else "",
            vram=_of(used, total) if total else "",
            vram_fraction=used / total if total else 0.0,
            vram_by_node=[f"{node}: {_of(*sizes)}" for node, sizes in vram.items()],
            queued=many("{n} queued", "{n} queued", queue.queued) if queue is not None and queue.queued else "",
            nodes=many("{n} node", "{n} nodes", len(online)),
            nodes_good=bool(online) and not sick,
            node_states=[f"{node.info.name}: {node_state(node).lower()}" for node in state.by_name],
            can_resume=kind == "paused" and queue is not None and queue.queued > 0,
        )

    def _state(self) -> tuple[State, str]:
        state = self._desk.state
        queue = state.queue
        # The kernel told it when we connected, and paused the queue; a queue that goes on has been mended.
        if state.status is not None and state.status.problem and (queue is None or queue.paused):
            return "error", _("Error")
        if queue is not None and queue.active:
            return ("stopping", _("Stopping")) if self.is_stopping() else ("running", _("Running"))
        if queue is not None and queue.paused:
            return "paused", _("Paused")
        if queue is not None and queue.queued:
            return ("running", _("Waiting")) if state.online else ("error", _("No node"))
        return "idle", _("Idle")

    def _text(self, kind: State, run: pb.Run | None) -> str:
        state = self._desk.state
        if kind == "error":
            problem = state.status.problem if state.status is not None else ""
            return problem or _("jobs wait until an agent is in touch")
        if kind == "paused":
            return state.queue.paused_reason if state.queue is not None else ""
        if run is None:
            return _("ready") if kind == "idle" else ""
        ended = run.done + run.failed + run.cancelled
        stages = (job.progress.stage for job in state.running.values() if job.run_id == run.run_id)
        stage = state.stage_title(next(filter(None, stages), ""))
        place = _("image {n} of {total}").format(n=min(ended + 1, run.total), total=f"{run.total:,}")
        failed = many("{n} failed", "{n} failed", run.failed) if run.failed else ""
        return "  ·  ".join(part for part in (run.name, stage, place, failed) if part)

    def _fraction(self, run: pb.Run | None) -> float:
        if run is None or not run.total:
            return 0.0
        part = sum(
            job.progress.fraction for job in self._desk.state.running.values() if job.run_id == run.run_id
        )
        return min(1.0, (run.done + run.failed + run.cancelled + part) / run.total)

    def _eta(self, run: pb.Run | None) -> str:
        return duration(run.seconds) if run is not None and run.seconds else ""

    def _speed(self, now: float) -> str:
        while self._saved and self._saved[0] < now - WINDOW:
            self._saved.popleft()
        if len(self._saved) < 2:
            return ""
        per_minute = (len(self._saved) - 1) / max(now - self._saved[0], 0.1) * 60
        return _("{n} images/min").format(n=f"{per_minute:.0f}" if per_minute >= 10 else f"{per_minute:.1f}")

    def _vram(self) -> Mapping[str, tuple[int, int]]:
        """Used and all bytes of each node whose GPUs tell."""
        found: dict[str, tuple[int, int]] = {}
        for node in self._desk.state.online:
            loads = {load.uuid: load.vram_used_bytes for load in node.report.gpus}
            told = [gpu for gpu in node.info.gpus if gpu.vram_total_bytes and gpu.uuid in loads]
            if told:
                used, total = sum(loads[gpu.uuid] for gpu in told), sum(gpu.vram_total_bytes for gpu in told)
                before = found.get(node.info.name, (0, 0))  # names need not differ
                found[node.info.name] = (before[0] + used, before[1] + total)
        return found


def _of(used: int, total: int) -> str:
    """ "38.0 / 60.0 GB"."""
    part, whole = size_of(used), size_of(total)
    number, _space, unit = part.rpartition(" ")
    return f"{number} / {whole}" if whole.endswith(f" {unit}") else f"{part} / {whole}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
