"""The nodes: shown, drained, remembered while they are away."""

from __future__ import annotations

from collections.abc import Mapping

from stablenew_kernel.app.core import Core
from stablenew_kernel.domain.link import DrainSet, NodeStatus
from stablenew_kernel.hub import views
from stablenew_kernel.hub.link import AgentLink
from stablenew_kernel.store import nodes
from stablenew_kernel.store.errors import NotFound
from stablenew_proto.v1 import kernel_pb2 as pb


class NodeDesk:
    """What clients ask about nodes; see ``kernel.proto``."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.running: dict[str, pb.RunningJob] = {}
        """Latest progress by job id."""
        self.refusals: dict[str, str] = {}
        """What each node (by id) last refused or failed."""
        self._remembered: dict[str, bytes] = {}

    def restore(self, remembered: Mapping[str, bytes]) -> None:
        """NodeInfo by node id, as the store has it."""
        self._remembered = dict(remembered)

    @property
    def online(self) -> int:
        """How many are in touch."""
        return sum(status.connected for status in self._statuses())

    def messages(self) -> list[pb.Node]:
        """Every node, connected or not, by name."""
        return [self._message(status) for status in self._statuses()]

    def changed(self, node_id: str) -> None:
        """Something about a node changed: tell whoever looks."""
        listens = self._core.host.listens("node_changed")
        if not self._core.bulletin and not listens:
            return
        status = next((status for status in self._statuses() if status.node_id == node_id), None)
        if status is None:
            return
        message = self._message(status)
        self._core.bulletin.node(message)
        if listens:
            plain = {"node_id": node_id, "name": status.name, "state": message.state}
            self._core.threads.submit(self._core.host.node_changed, plain)

    async def list_nodes(self) -> pb.ListNodesResponse:
        """Every node, connected or not, by name."""
        return pb.ListNodesResponse(nodes=self.messages())

    async def drain_node(self, node: str, draining: bool, reason: str) -> pb.Node:
        """No more work for a node, or work again."""
        statuses = self._statuses()
        found = [status for status in statuses if status.name == node] or [
            status for status in statuses if node and status.node_id.startswith(node)
        ]
        if len(found) != 1:
            known = ", ".join(status.name for status in statuses) or "none"
            problem = "no node is" if not found else f"{len(found)} nodes are"
            raise NotFound(f"{problem} called {node!r}; known: {known}; give a name or the beginning of an id")
        self._core.dispatcher.feed(DrainSet(found[0].node_id, draining, reason))
        await self._core.dispatcher.settled()
        status = next(status for status in self._statuses() if status.node_id == found[0].node_id)
        return self._message(status)

    def _statuses(self) -> list[NodeStatus]:
        return self._core.dispatcher.coordinator.nodes(self._core.clock.monotonic())

    def _message(self, status: NodeStatus) -> pb.Node:
        running = [
            self.running.get(lease.job.job_id)
            or pb.RunningJob(job_id=lease.job.job_id, run_id=lease.job.run_id, node=status.name)
            for lease in status.leases
        ]
        link = self._core.dispatcher.link_of(status.node_id)
        if link is not None:
            self._remember(link)
        return views.node(
            status,
            link,
            self._remembered.get(status.node_id, b""),
            running,
            self.refusals.get(status.node_id, ""),
        )

    def _remember(self, link: AgentLink) -> None:
        """Keep what a node is, to show it while it is away."""
        info = link.info.SerializeToString(deterministic=True)
        if self._remembered.get(link.node_id) != info:
            self._remembered[link.node_id] = info
            self._core.database.write(lambda connection: nodes.save_info(connection, link.node_id, info))
