"""Names that nodes have: models, samplers and so on; which of them a value means, which a person looks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from stablenew_api.models import model_name

if TYPE_CHECKING:
    from stablenew_proto.v1 import agent_link_pb2 as link

FILES = frozenset(
    {"models", "vaes", "upscalers", "hires_upscalers", "loras", "embeddings", "hypernetworks", "detectors"}
)
"""Lists whose names are files: compared without folder, ending and hash, as the kernel does."""


def names_at(nodes: Iterable[link.BackendInfo], choices: str) -> list[str]:
    """All that the nodes list under ``choices``, each once, in their order."""
    found: dict[str, None] = {}
    for backend in nodes:
        found.update(dict.fromkeys(getattr(backend, choices, ())))
    return list(found)


def is_missing(choices: str, value: str, names: Sequence[str]) -> bool:
    """Whether nodes tell names of this kind, and ``value`` is none of them. No name is never missing."""
    if not names or value in ("", "None", "Automatic"):
        return False
    return _compared(choices, value) not in {_compared(choices, name) for name in names}


def _compared(choices: str, name: str) -> str:
    return (model_name(name) if choices in FILES else name.strip()).casefold()


def filtered(names: Sequence[str], words: str) -> list[str]:
    """The names in which all ``words`` occur, those that begin with them first."""
    wanted = words.casefold().split()
    found = [name for name in names if all(word in name.casefold() for word in wanted)]
    first = " ".join(wanted)
    return sorted(found, key=lambda name: not name.casefold().startswith(first)) if first else found
