"""The prompt dialect: A1111's syntax turned into what ComfyUI reads. Pure.

What differs between the two (``modules/prompt_parser.py`` and ``modules/extra_networks.py`` of the
AUTOMATIC1111 WebUI; ``comfy/sd1_clip.py`` of ComfyUI):

* Weights of nested brackets multiply in A1111, while ComfyUI takes the innermost number as it is. So the weight
  of each piece of text is worked out here and written flat: ``((a:1.2) b:1.5)`` becomes ``(a:1.8) (b:1.5)``.
* ``[a]`` (divided by 1.1) is plain text in ComfyUI; it becomes ``(a:0.909)``.
* ``BREAK`` and ``AND`` are plain words in ComfyUI; they become several texts, see :class:`Prompt`.
* ``<lora:NAME:WEIGHT>`` is plain text in ComfyUI; it becomes a :class:`Lora`.
* An embedding is ``embedding:NAME`` in ComfyUI and its bare name in A1111.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_plugins.prompting import BREAK, TOKEN, attention, clauses, merged

_TAG = re.compile(r"<(\w+):([^<>]*)>")
_COMMENT = re.compile(r"[ \t]*(?<!\\)#[^\n]*")
_SWITCH = re.compile(r":\s*[\d.]+\s*\Z")
_NETWORKS = {"lora": "lora", "lyco": "lora", "hypernet": "hypernet"}
_EMBEDDINGS = ("embedding", "embed")
_WRITTEN_OUT = re.compile(r"(?<![\w:])embedding:([^\s,():<>]+)")
_HELD = re.compile("\ue000(\\d+)\ue001")
"""Stands for an embedding while brackets are read: its name may look like a weight."""


@dataclass(frozen=True, slots=True)
class Lora:
    """A LoRA that a prompt asks for."""

    name: str
    unet: float
    """Strength on the model; ``text`` that on the text encoder."""
    text: float


@dataclass(frozen=True, slots=True)
class Hypernet:
    """A hypernetwork that a prompt asks for."""

    name: str
    strength: float


@dataclass(frozen=True, slots=True)
class Part:
    """What stands between two ``AND``."""

    chunks: tuple[str, ...]
    """Texts between ``BREAK``, in ComfyUI's syntax; at least one. Encoded one by one, then joined."""
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt, read."""

    parts: tuple[Part, ...]
    """At least one."""
    loras: tuple[Lora, ...] = ()
    """Each name once, in the order in which they appear."""
    hypernets: tuple[Hypernet, ...] = ()

    @property
    def total_weight(self) -> float:
        """Sum of the parts' weights."""
        return sum(part.weight for part in self.parts)


def read_prompt(text: str, embeddings: Collection[str] = (), *, negative: bool = False) -> Prompt:
    """Read ``text``. ``embeddings``: names that ComfyUI knows, as ``/embeddings`` lists them.

    In a ``negative`` prompt A1111 knows neither ``AND`` nor networks: the word is text there, a network is
    refused. Raises StageFailure(BAD_INPUT) for what ComfyUI cannot do: ``[a:b:0.5]``, ``[a|b]``, a ``dyn``
    strength, a negative weight of ``AND``.
    """
    text = re.sub("[\ue000\ue001]", "", _COMMENT.sub("", text))
    held: list[str] = []
    loras: dict[str, Lora] = {}
    hypernets: dict[str, Hypernet] = {}

    def hold(name: str) -> str:
        held.append(name)
        return f"\ue000{len(held) - 1}\ue001"

    def take(match: re.Match[str]) -> str:
        kind = match[1].casefold()
        if kind in _EMBEDDINGS:
            return hold(match[2].strip())
        network = _NETWORKS.get(kind)
        if network is None:
            return match[0]
        if negative:
            raise _cannot(f"{match[0]} in a negative prompt has no effect; put it into the prompt")
        if network == "lora":
            lora = _lora(match[0], match[2])
            loras[lora.name] = lora
        else:
            name, _, strength = match[2].partition(":")
            hypernets[name.strip()] = Hypernet(name.strip(), _number(match[0], strength or "1"))
        return ""

    text = _WRITTEN_OUT.sub(lambda match: hold(match[1]), _TAG.sub(take, text))
    _refuse_scheduling(text)
    marker = _Embeddings(embeddings, held)
    parts = []
    for piece, weight in [(text, 1.0)] if negative else clauses(text):
        if weight < 0:
            raise _cannot("AND with a negative weight; put that text into the negative prompt")
        parts.append(Part(tuple(_chunks(piece, marker)), weight))
    if len(parts) > 1:
        # A1111 leaves empty sub-prompts in; they only dilute, and nobody means them.
        parts = [part for part in parts if any(chunk.strip() for chunk in part.chunks)] or parts[:1]
    if sum(part.weight for part in parts) <= 0:
        raise _cannot("AND whose weights are all 0; give one of them a weight")
    return Prompt(tuple(parts), tuple(loras.values()), tuple(hypernets.values()))


def weighted(text: str) -> list[tuple[str, float]]:
    """Pieces of ``text`` with A1111's weights, ``BREAK`` left in. A backslash that escapes nothing stays: it
    may be part of an embedding's path."""
    return merged(attention(text, stray="\\"))


def written(pieces: list[tuple[str, float]]) -> str:
    """Pieces with weights in ComfyUI's syntax. Blanks at the ends of a piece stay outside its brackets: the
    name of an embedding ends where its bracket ends."""
    result = []
    for piece, weight in pieces:
        safe = piece.replace("(", "\\(").replace(")", "\\)")
        shown = f"{weight:.3f}".rstrip("0").rstrip(".")
        core = safe.strip()
        if shown == "1" or not core:
            result.append(safe)
        else:
            before, _, after = safe.partition(core)
            result.append(f"{before}({core}:{shown}){after}")
    return "".join(result)


class _Embeddings:
    """Finds embeddings in a text: bare names, and those that are held."""

    def __init__(self, names: Collection[str], held: list[str]) -> None:
        self._held = held
        # A1111 knows an embedding by its file's name; ComfyUI by its path below the folder.
        self._paths = {re.split(r"[/\\]", name)[-1].casefold(): name for name in sorted(names, reverse=True)}
        self._paths |= {name.casefold(): name for name in names}
        spelled = "|".join(re.escape(name) for name in sorted(self._paths, key=len, reverse=True))
        self._find = (
            re.compile(rf"(?<![\w:/\\.-])(?:{spelled})(?![\w/\\-])", re.IGNORECASE) if spelled else None
        )

    def mark(self, text: str) -> str:
        """``text`` with ``embedding:`` in front of each, and blanks where ComfyUI needs them."""
        if self._find is not None:
            text = self._find.sub(lambda match: f" {_embedding(self._paths[match[0].casefold()])} ", text)
        text = _HELD.sub(lambda match: f" {_embedding(self._known(self._held[int(match[1])]))} ", text)
        # ComfyUI sees one only at the beginning or behind a blank, and its name ends at a blank or a comma.
        text = re.sub(r" {2,}(?=embedding:)", " ", text)
        return re.sub(r"(embedding:[^\s,]+) +(?=[, ])", r"\1", text)

    def _known(self, name: str) -> str:
        return self._paths.get(name.casefold(), name)


def _chunks(text: str, embeddings: _Embeddings) -> Iterator[str]:
    """``text`` between ``BREAK``, in ComfyUI's syntax."""
    chunks: list[list[tuple[str, float]]] = [[]]
    for piece, weight in weighted(text):
        first, *more = BREAK.split(piece)
        chunks[-1].append((embeddings.mark(first), weight))
        chunks += [[(embeddings.mark(item), weight)] for item in more]
    for chunk in chunks:
        yield written(chunk).strip()


def _refuse_scheduling(text: str) -> None:
    """Raise for ``[a:b:0.5]``, ``[b:0.5]`` and ``[a|b]``: ComfyUI cannot change a prompt at a step."""
    opened: list[int] = []
    for match in TOKEN.finditer(text):
        if match[0] == "[":
            opened.append(match.end())
        elif match[0] == "]" and opened:
            inner = text[opened.pop() : match.start()]
            flat = _flat(inner)
            shown = f"[{inner if len(inner) < 60 else inner[:57] + '...'}]"
            if "|" in flat:
                raise _cannot(f"alternating prompts such as {shown}; choose one of them")
            if _SWITCH.search(flat):
                raise _cannot(f"prompts that switch at a step such as {shown}; choose one of the texts")


def _flat(text: str) -> str:
    """``text`` without what stands in brackets of its own, and without escaped characters."""
    depth, kept = 0, []
    for match in re.finditer(r"\\.|.", text, re.DOTALL):
        char = match[0]
        if char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif depth == 0 and len(char) == 1:
            kept.append(char)
    return "".join(kept)


def _lora(tag: str, arguments: str) -> Lora:
    name, *rest = (item.strip() for item in arguments.split(":"))
    plain: list[str] = []
    named: dict[str, str] = {}
    for item in rest:
        key, equals, value = item.partition("=")
        if equals:
            named[key.strip()] = value.strip()
        else:
            plain.append(item)
    if "dyn" in named or len(plain) > 2:
        raise _cannot(f"a dynamic rank as in {tag}; leave it out")
    if unknown := set(named) - {"te", "unet"}:
        raise _cannot(f"{sorted(unknown)[0]} in {tag}; it knows te and unet")
    if not name:
        raise _cannot(f"a LoRA without a name: {tag}")
    text = _number(tag, named.get("te") or (plain[0] if plain else "1"))
    default = plain[1] if len(plain) > 1 else ""
    unet = named.get("unet") or default
    return Lora(name, _number(tag, unet) if unet else text, text)


def _number(tag: str, text: str) -> float:
    value = _float(text)
    if value is None:
        raise _cannot(f"{tag}: {text!r} is no number")
    return value


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _embedding(name: str) -> str:
    if re.search(r"\s", name) or not name:
        raise _cannot(
            f"the embedding {name!r}: a name with a blank cannot be written in ComfyUI; rename its file"
        )
    return f"embedding:{name}"


def _cannot(what: str) -> StageFailure:
    text = " ".join(what.split())
    return StageFailure(FailureKind.BAD_INPUT, f"backend comfyui can't do this in a prompt: {text}")
