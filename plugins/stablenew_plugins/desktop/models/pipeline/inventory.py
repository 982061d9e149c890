"""What the nodes that are in touch have: models, samplers, upscalers and so on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stablenew_api.backend import Capabilities
from stablenew_plugins.desktop.models.core.state import KernelState
from stablenew_plugins.desktop.models.pipeline.cards import Field
from stablenew_plugins.desktop.models.pipeline.names import is_missing, names_at

if TYPE_CHECKING:
    from stablenew_proto.v1 import kernel_pb2 as pb

_NOT_CHOSEN = frozenset({"loras", "embeddings", "scripts"})
"""Lists that no field chooses from: the long ones."""


class Inventory:
    """Lists of names by kind, of all nodes together. Looked at anew only when a node said something."""

    def __init__(self, state: KernelState) -> None:
        self._state = state
        self._seen = -1
        self._nodes: Sequence[pb.Node] = ()
        self._lists: dict[str, list[str]] = {}

    def is_new(self) -> bool:
        """Look, if there may be something new. Whether there is."""
        if self._state.revision == self._seen:
            return False
        self._seen = self._state.revision
        nodes, before = self._state.online, self._nodes
        self._nodes = nodes
        if len(nodes) == len(before) and all(map(_has_the_same, nodes, before)):
            return False
        backends = [node.info.backend for node in nodes]
        kinds = [kind for kind in Capabilities.lists() if kind not in _NOT_CHOSEN]
        found = {kind: names_at(backends, kind) for kind in kinds}
        changed = found != self._lists
        self._lists = found
        return changed

    def names(self, choices: str) -> Sequence[str]:
        """What the nodes have of a kind. Empty: they do not tell."""
        return self._lists.get(choices, ())

    def lacks(self, one: Field, value: object) -> bool:
        """Whether no node has ``value``, or a part of it, for the setting ``one``."""
        if not one.choices:
            return False
        parts = value if isinstance(value, list) else [value]
        names = self.names(one.choices)
        return any(is_missing(one.choices, str(part or ""), names) for part in parts)


def _has_the_same(one: pb.Node, before: pb.Node) -> bool:
    """Of a node that reports: most of them tell of its load alone, and to compare is cheaper than to list."""
    return one is before or one.info.backend == before.info.backend
