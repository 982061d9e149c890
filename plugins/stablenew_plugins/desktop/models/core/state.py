"""What the kernel told last: runs, jobs that run, nodes, the queue. Kept up to date by the watch stream."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stablenew_plugins.desktop.models.core.model import Model

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import kernel_pb2 as pb

IMAGES_KEPT = 2_000
"""Of the images that were saved while the window is open, the latest."""


class KernelState(Model):
    """The kernel, as far as the window needs to know it all the time. Pages of jobs and images are not kept."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel: KernelClient | None = None
        """To ask it; None while none answers."""
        self.status: pb.GetStatusResponse | None = None
        self.problem = ""
        """Why none answers."""
        self.ever_connected = False
        self.runs: OrderedDict[str, pb.Run] = OrderedDict()
        self.running: dict[str, pb.RunningJob] = {}
        self.nodes: dict[str, pb.Node] = {}
        self.queue: pb.QueueSummary | None = None
        self.stages: Sequence[pb.Stage] = ()
        """Those that the kernel has, plugins' included, in the order of the pipeline; none: not told yet."""
        self._setting_titles: dict[str, dict[str, str]] = {}
        """By stage and key, for the stages that were asked for."""
        self.images: list[pb.SavedImage] = []
        self.jobs_revision = 0
        """Grows with every change of a job: lists of jobs are asked for again."""
        self.images_revision = 0
        """Grows with every image that is saved."""
        self.on_job: list[Callable[[pb.Job], None]] = []
        """Called with each job that changed."""
        self.on_image: list[Callable[[pb.SavedImage], None]] = []
        """Called with each image that was saved."""
        self.on_connected: list[Callable[[], None]] = []
        """Called when a kernel answers, each time anew."""

    @property
    def is_connected(self) -> bool:
        """Whether a kernel answers."""
        return self.kernel is not None

    @property
    def online(self) -> Sequence[pb.Node]:
        """Nodes that are in touch, by name."""
        return [node for node in self.by_name if node.state != "offline"]

    @property
    def by_name(self) -> Sequence[pb.Node]:
        """All nodes."""
        return sorted(self.nodes.values(), key=lambda node: (node.info.name.lower(), node.node_id))

    @property
    def current(self) -> pb.Run | None:
        """The run that images are made of now; while none are, the newest that is not over."""
        open_runs = [run for run in reversed(self.runs.values()) if run.state == "running"]
        return next((run for run in open_runs if run.active), open_runs[0] if open_runs else None)

    def stage_title(self, stage: str) -> str:
        """What people call the stage with the id ``stage``: "Text to image". The id itself where nobody knows,
        as of a plugin that was removed."""
        return next((one.title for one in self.stages if one.name == stage and one.title), stage)

    def setting_title(self, stage: str, key: str) -> str:
        """What people call the setting ``key`` of a stage: "CFG scale". The key in words where nobody knows."""
        if stage not in self._setting_titles:
            schema = next((one.schema_json for one in self.stages if one.name == stage), b"") or b"{}"
            properties = json.loads(schema).get("properties", {})
            self._setting_titles[stage] = {name: str(one.get("title", "")) for name, one in properties.items()}
        return self._setting_titles[stage].get(key) or key.replace("_", " ").capitalize()

    def know_stages(self, stages: Sequence[pb.Stage]) -> None:
        """The kernel told which stages it has."""
        if list(stages) != list(self.stages):
            self.stages = list(stages)
            self._setting_titles.clear()
            self.touch()

    def connected(self, kernel: KernelClient, status: pb.GetStatusResponse) -> None:
        """See :class:`~.link.Listener`."""
        if self.kernel is not None and self.kernel is not kernel:
            self.kernel.close()
        self.kernel, self.status, self.problem, self.ever_connected = kernel, status, "", True
        self.jobs_revision += 1
        self.images_revision += 1
        self.touch()
        for call in self.on_connected:
            call()

    def lost(self, reason: str) -> None:
        """See :class:`~.link.Listener`."""
        if self.kernel is not None:
            self.kernel.close()
        self.kernel, self.problem = None, reason
        self.running.clear()
        self.touch()

    def news(self, message: pb.WatchResponse) -> None:
        """See :class:`~.link.Listener`."""
        if message.snapshot:
            self.runs.clear()
            self.running.clear()
            self.nodes.clear()
        for run in sorted(message.runs, key=lambda run: run.created_at):
            self.runs[run.run_id] = run
        for job in message.progress:
            self.running[job.job_id] = job
        for node in message.nodes:
            self.nodes[node.node_id] = node
        for changed in message.jobs:
            if changed.state not in ("running", "unknown"):
                self.running.pop(changed.job_id, None)
            for tell in self.on_job:
                tell(changed)
        if message.jobs or message.runs:
            self.jobs_revision += 1
        if message.HasField("queue"):
            self.queue = message.queue
        for image in message.images:
            self.images.append(image)
            for show in self.on_image:
                show(image)
        if message.images:
            del self.images[:-IMAGES_KEPT]
            self.images_revision += 1
        self.touch()
