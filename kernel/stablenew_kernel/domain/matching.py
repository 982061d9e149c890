"""Which job fits which node, in people's words. Two-sided matching as in HTCondor; the ranking is the
scheduler's."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import lru_cache

from stablenew_api.backend import FEATURE_TEXTS
from stablenew_api.jobs import Needs
from stablenew_api.models import SHORTEST_HASH, model_hash, model_name
from stablenew_kernel.domain.link import NodeFacts

_GIB = 1 << 30
"""GB of VRAM are 2**30 bytes here, as every GPU tool prints them."""


def gigabytes(size: int) -> str:
    """Bytes as people read VRAM: ``8.0``."""
    return f"{size / _GIB:.1f}"


KINDS = {
    "models": "model",
    "vaes": "VAE",
    "samplers": "sampler",
    "schedulers": "scheduler",
    "upscalers": "upscaler",
    "hires_upscalers": "hires upscaler",
    "loras": "LoRA",
    "embeddings": "embedding",
    "hypernetworks": "hypernetwork",
    "styles": "style",
    "face_restorers": "face restorer",
    "detectors": "detector",
    "scripts": "script",
}
"""What a name of each list of :class:`stablenew_api.backend.Capabilities` is called."""

_FILES = frozenset(
    {"models", "vaes", "upscalers", "hires_upscalers", "loras", "embeddings", "hypernetworks", "detectors"}
)
"""Lists whose names are files: with or without folder, ending and hash."""

MOST_SHOWN = 3
"""Names of a node that are told where another one is asked for."""


class _Names:
    """Names of one kind that a node lists, ready to be asked."""

    __slots__ = ("hashes", "keys", "listed")

    def __init__(self, kind: str, names: frozenset[str]) -> None:
        self.listed = sorted(names)
        self.keys: dict[str, set[str]] = {}
        """Name as compared, to the hashes that the node lists with it."""
        self.hashes: set[str] = set()
        for name in names:
            digest = _content(name) if kind in _FILES else ""
            self.keys.setdefault(_key(kind, name), set()).update([digest] if digest else [])
            self.hashes.update([digest] if digest else [])

    def has(self, kind: str, name: str) -> bool:
        digest = _content(name) if kind in _FILES else ""
        if digest and any(one.startswith(digest) or digest.startswith(one) for one in self.hashes):
            return True
        hashes = self.keys.get(_key(kind, name))
        # The same name with another hash is another file. Where one side tells no hash, the name must do.
        return hashes is not None and not (digest and hashes)


def _key(kind: str, name: str) -> str:
    """A name as it is compared: names that differ in case alone are one file on Windows, and never two models
    that anybody keeps."""
    return (model_name(name) if kind in _FILES else name.strip()).casefold()


def _content(name: str) -> str:
    digest = model_hash(name)
    return digest if len(digest) >= SHORTEST_HASH else ""


# A frozenset keeps its hash, so that asking costs no more for a thousand names than for one.
_names = lru_cache(maxsize=1024)(_Names)


def lacks(needs: Needs, node: NodeFacts) -> str | None:
    """The first name in ``needs`` that the node lists others of its kind without; in people's words."""
    for kind, name in (
        *((("models", needs.model),) if needs.model else ()),
        *(tuple(entry.partition(":")[::2]) for entry in sorted(needs.names)),
    ):
        listed = node.models if kind == "models" else node.names.get(kind)
        if listed and not _names(kind, listed).has(kind, name):
            return (
                f"needs {KINDS.get(kind, kind)} {name}, which {node.name} has not{_instead(kind, name, listed)}"
            )
    return None


def _instead(kind: str, name: str, listed: frozenset[str]) -> str:
    """What the node has that is most like it."""
    by_key = {_key(kind, one): one for one in sorted(listed, reverse=True)}
    close = difflib.get_close_matches(_key(kind, name), by_key, n=MOST_SHOWN, cutoff=0.5)
    return f"; it has: {', '.join(by_key[key] for key in close)}" if close else ""


def why_not(needs: Needs, min_vram: int, stages: Iterable[str], node: NodeFacts) -> str | None:
    """Why a job cannot run on a node; None: it can.

    ``needs.vram_bytes`` is a hint and counts only against a node whose VRAM is known; ``min_vram`` was learned
    from running out of memory and must be met for certain. A node that lists no models takes any; so with
    LoRAs, upscalers and every other list of names. Names of files are compared without folder, ending and hash,
    whatever their case, and by their hash where both sides tell one.
    """
    for stage in stages:
        if stage not in node.stages:
            return f"needs stage {stage}, which {node.name} has not"
    if not needs.features <= node.features:
        missing = ", ".join(FEATURE_TEXTS.get(name, name) for name in sorted(needs.features - node.features))
        return f"needs {missing}, which the backend of {node.name} cannot do"
    if (needs.model or needs.names) and (lacking := lacks(needs, node)):
        return lacking
    total = node.vram_total_bytes
    if total < min_vram:
        if not total:
            return f"needs {gigabytes(min_vram)} GB VRAM, and that of {node.name} is not known"
        if gigabytes(total) == gigabytes(min_vram):
            return f"needs more than {gigabytes(total)} GB VRAM, {node.name} has {gigabytes(total)}"
        return f"needs {gigabytes(min_vram)} GB VRAM, {node.name} has {gigabytes(total)}"
    if 0 < total < needs.vram_bytes:
        return f"needs {gigabytes(needs.vram_bytes)} GB VRAM, {node.name} has {gigabytes(total)}"
    return None


def nobody_has(many: Iterable[Needs], nodes: Iterable[NodeFacts]) -> list[str]:
    """Models and names that no node in touch has, a line each, for people; the jobs wait for one that has.
    Nothing where no node is in touch."""
    facts = list(nodes)
    found: dict[str, str] = {}
    if not facts:
        return []
    for needs in set(many):
        wanted = [Needs(model=needs.model)] if needs.model else []
        for one in (*wanted, *(Needs(names=frozenset({entry})) for entry in sorted(needs.names))):
            reasons = [lacks(one, node) for node in facts]
            if all(reasons):
                kind, name = next(iter(one.names), f"models:{one.model}").split(":", 1)
                near = (reasons[0] or "").partition("; it has: ")[2]
                has = f"; {facts[0].name} has: {near}" if near else ""
                found[f"{kind}:{name}"] = (
                    f"{KINDS.get(kind, kind)} {name}: no node in touch has it{has}; "
                    "its jobs wait for a node that has"
                )
    return [found[key] for key in sorted(found)]


class Requirement:
    """What a set of jobs has in common: their run and their needs. Whether a node fits is decided once per
    requirement, not per job: a run of 1,000 images has one or a few.
    """

    __slots__ = ("fits", "min_vram", "needs", "stages", "stamp")

    def __init__(self, needs: Needs, min_vram: int, stages: tuple[str, ...]) -> None:
        self.needs = needs
        self.min_vram = min_vram
        self.stages = stages
        self.fits: frozenset[str] = frozenset()
        """Nodes in touch that could run it."""
        self.stamp = -1
        """Version of the node set that ``fits`` was made for."""


class Matcher:
    """Interns requirements and keeps their answers until a node comes, goes or changes."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeFacts] = {}
        self._known: dict[tuple[Needs, int, tuple[str, ...], str], Requirement] = {}
        self._stamp = 0

    def put(self, node_id: str, facts: NodeFacts) -> None:
        """A node is in touch, with these abilities."""
        self._nodes[node_id] = facts
        self._stamp += 1

    def remove(self, node_id: str) -> None:
        """A node is out of touch."""
        if self._nodes.pop(node_id, None) is not None:
            self._stamp += 1

    def requirement(
        self, needs: Needs, min_vram: int, stages: tuple[str, ...], run_id: str = ""
    ) -> Requirement:
        """The one Requirement object for these needs in this run."""
        key = (needs, min_vram, stages, run_id)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= 4096:  # a queue with a checkpoint axis: forget rather than grow for ever
                self._known.clear()
            found = self._known[key] = Requirement(needs, min_vram, stages)
        return found

    def fits(self, requirement: Requirement) -> frozenset[str]:
        """Ids of the nodes in touch that can run it."""
        if requirement.stamp != self._stamp:
            requirement.fits = frozenset(
                node_id
                for node_id, facts in self._nodes.items()
                if why_not(requirement.needs, requirement.min_vram, requirement.stages, facts) is None
            )
            requirement.stamp = self._stamp
        return requirement.fits
