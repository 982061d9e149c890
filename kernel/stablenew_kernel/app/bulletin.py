"""Whoever looks is told what changed."""

from __future__ import annotations

from collections.abc import Sequence

from stablenew_kernel.domain.link import Transition
from stablenew_kernel.hub import views
from stablenew_kernel.hub.watch import Watcher
from stablenew_proto.v1 import kernel_pb2 as pb


class Bulletin:
    """The readers, and one method a kind of news. False when nobody looks."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()

    def __bool__(self) -> bool:
        return bool(self._watchers)

    def add(self, watcher: Watcher) -> None:
        """Tell ``watcher`` from now on."""
        self._watchers.add(watcher)

    def remove(self, watcher: Watcher) -> None:
        """The reader is gone."""
        self._watchers.discard(watcher)

    def end(self) -> None:
        """The kernel stops: an open window must not hold it up."""
        for watcher in self._watchers:
            watcher.end()

    @property
    def previews_wanted(self) -> bool:
        """Whether somebody looks at previews."""
        return any(watcher.wants_previews for watcher in self._watchers)

    def run(self, run: pb.Run) -> None:
        """A run's counts or state changed."""
        for watcher in self._watchers:
            watcher.put_run(run)

    def jobs(self, transitions: Sequence[Transition]) -> None:
        """Jobs changed."""
        readers = [watcher for watcher in self._watchers if watcher.wants_jobs]
        if readers:
            for transition in transitions:
                message = views.changed_job(transition)
                for watcher in readers:
                    watcher.put_job(message, final=transition.to_state.final)

    def progress(self, running: pb.RunningJob) -> None:
        """A running job moved on."""
        for watcher in self._watchers:
            watcher.put_progress(running)

    def job_ended(self, job_id: str) -> None:
        """Progress of this job is of no interest any more."""
        for watcher in self._watchers:
            watcher.drop_progress(job_id)

    def node(self, node: pb.Node) -> None:
        """A node came, went or reported."""
        for watcher in self._watchers:
            watcher.put_node(node)

    def image(self, image: pb.SavedImage) -> None:
        """An image stands in its folder."""
        for watcher in self._watchers:
            watcher.put_image(image)

    def queue(self, queue: pb.QueueSummary) -> None:
        """The queue's counts or its pause changed."""
        for watcher in self._watchers:
            watcher.put_queue(queue)
