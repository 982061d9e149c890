"""Tags in prompts that name files: ``<lora:NAME:WEIGHT>`` and its kin. An unknown one is ignored by the
servers, so it is found here first."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stablenew_plugins.backends.webui.names import Named, look_up

_TAG = re.compile(r"<(lora|lyco|hypernet|embedding|embed|ti):([^:<>]+)((?::[^<>]*)?)>", re.IGNORECASE)
_BARE_EMBEDDING = re.compile(r"(?<![\w<:])embedding:([\w.\-]+(?:[/\\][\w.\-]+)*)")
"""ComfyUI's way to name an embedding."""


@dataclass(frozen=True, slots=True)
class PromptText:
    """A prompt as the server takes it."""

    text: str
    loras: tuple[str, ...]
    """LoRAs that it names, by the server's names."""


def translate(
    text: str,
    loras: Sequence[Named] | None,
    hypernetworks: Sequence[Named] | None,
    embeddings: Sequence[Named] | None,
    where: str,
) -> PromptText:
    """``text`` with every file by the server's own name, embeddings as bare words. None: a list is not known,
    and names stay as they are. Raises StageFailure(BAD_INPUT) for a name that the server does not have."""
    used: list[str] = []

    def own(what: str, name: str, known: Sequence[Named] | None) -> str:
        return name if known is None else look_up(what, name, known, where).name

    def replace(match: re.Match[str]) -> str:
        kind, name, rest = match[1].lower(), match[2].strip(), match[3]
        if kind in ("lora", "lyco"):
            found = own("LoRA", name, loras)
            used.append(found)
            return f"<{match[1]}:{found}{rest}>"
        if kind == "hypernet":
            return f"<{match[1]}:{own('hypernetwork', name, hypernetworks)}{rest}>"
        return own("embedding", name, embeddings)

    text = _TAG.sub(replace, text)
    bare: Callable[[re.Match[str]], str] = lambda match: own("embedding", match[1].rstrip("."), embeddings)  # noqa: E731
    return PromptText(_BARE_EMBEDDING.sub(bare, text), tuple(dict.fromkeys(used)))
