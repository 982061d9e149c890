"""Prompts to what the UNet is conditioned on: chunks, attention weights, clip skip, embeddings. With torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_plugins.backends.diffusion.folders import Found
from stablenew_plugins.backends.diffusion.prompt import Part, chunks, sections

if TYPE_CHECKING:
    from torch import Tensor

_NEW = 1 << 30
"""Ids from here on stand for vectors of embeddings, until they are put in."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as the UNet takes it."""

    hidden: Tensor
    """1 x (77 a chunk) x channels."""
    pooled: Tensor | None
    """1 x channels; only of SDXL."""


class Embeddings:
    """Textual inversion: vectors that stand for a word. Read from disk when a prompt has the word."""

    def __init__(self, torch: Any, found: Mapping[str, Found]) -> None:
        self._torch = torch
        self._found = {item.name.rpartition("/")[2].lower(): item for item in found.values()}
        self._vectors: dict[str, dict[int, Tensor]] = {}
        names = sorted(self._found, key=len, reverse=True)
        joined = "|".join(re.escape(name) for name in names)
        self._pattern = re.compile(rf"(?<!\w)(?:{joined})(?!\w)", re.IGNORECASE) if names else None
        self.used: dict[str, Path] = {}
        """Those that the prompts since the last ``used.clear()`` have, by name."""

    def split(self, text: str) -> Iterator[tuple[str, bool]]:
        """``text`` in pieces, each with whether it is the name of an embedding."""
        start = 0
        for match in self._pattern.finditer(text) if self._pattern else ():
            yield text[start : match.start()], False
            yield match[0].lower(), True
            start = match.end()
        yield text[start:], False

    def vectors(self, name: str, width: int) -> Tensor:
        """Vectors of the embedding, n x ``width``. Raises StageFailure(BAD_INPUT) when it has none so wide."""
        item = self._found[name]
        if name not in self._vectors:
            self._vectors[name] = self._read(item.path)
        by_width = self._vectors[name]
        if width not in by_width:
            widths = ", ".join(map(str, sorted(by_width)))
            raise StageFailure(
                FailureKind.BAD_INPUT,
                f"embedding {item.name}: made for a text encoder of width {widths}; "
                f"this model's has {width}; use one of its family or take the word out",
            )
        self.used[item.name] = item.path
        return by_width[width]

    def _read(self, path: Path) -> dict[int, Tensor]:
        """Files of A1111 (``string_to_param``), diffusers (``{token: vector}``), safetensors (``emb_params``)
        and of SDXL (``clip_l``, ``clip_g``)."""
        try:
            if path.suffix.lower() == ".safetensors":
                from safetensors.torch import load_file

                values = load_file(path)
            else:
                values = self._torch.load(path, map_location="cpu", weights_only=True)
            inner = values.get("string_to_param", values)
            tensors = [value for value in inner.values() if isinstance(value, self._torch.Tensor)]
            found = {int(vector.shape[-1]): vector.reshape(-1, vector.shape[-1]).float() for vector in tensors}
        except Exception as error:
            raise StageFailure(
                FailureKind.BAD_INPUT, f"{path}: cannot be read as an embedding ({error}); download it again"
            ) from error
        if not found:
            raise StageFailure(FailureKind.BAD_INPUT, f"{path}: no vectors in it")
        return found


class TextCoder:
    """One text encoder with its tokenizer."""

    def __init__(self, torch: Any, tokenizer: Any, encoder: Any, xl: bool) -> None:
        self._torch, self._tokenizer, self._encoder, self._xl = torch, tokenizer, encoder, xl
        self._comma = int(self._ids(",")[-1])

    def encode(self, text: str, clip_skip: int, embeddings: Embeddings, device: Any) -> Encoded:
        """``text`` in the A1111 dialect, without tags and schedules."""
        torch = self._torch
        placed: list[Tensor] = []
        width = int(self._encoder.config.hidden_size)
        units = [self._units(section, embeddings, width, placed) for section in sections(text)]
        cut = chunks(units, self._comma)
        begin, end = self._tokenizer.bos_token_id, self._tokenizer.eos_token_id
        rows, weights, vectors = [], [], []
        for number, chunk in enumerate(cut):
            ids = []
            for position, (token, _) in enumerate(chunk, 1):
                if token >= _NEW:
                    vectors.append((number, position, placed[token - _NEW]))
                ids.append(end if token >= _NEW else token)
            padding = 75 - len(ids)
            rows.append([begin, *ids, end, *[self._tokenizer.pad_token_id] * padding])
            weights.append([1.0, *(weight for _, weight in chunk), *[1.0] * (padding + 1)])
        tokens = torch.tensor(rows, dtype=torch.long, device=device)
        with self._put_in(vectors):
            out = self._encoder(tokens, output_hidden_states=True)
        hidden = self._layer(out, clip_skip)
        factors = torch.tensor(weights, dtype=torch.float32, device=hidden.device).unsqueeze(-1)
        if bool((factors != 1).any()):
            # As the WebUI does ("Original" emphasis): times the weights, then the mean it had before.
            weighted = hidden.float() * factors
            hidden = (weighted * (hidden.float().mean() / weighted.mean())).to(hidden.dtype)
        pooled = None
        if self._xl and hasattr(self._encoder, "text_projection"):
            # Of the first chunk, where its text ends; not by the highest id, as transformers does for old
            # configurations.
            last = out.last_hidden_state[0, len(cut[0]) + 1].unsqueeze(0)
            pooled = self._encoder.text_projection(last)
        return Encoded(hidden.reshape(1, -1, hidden.shape[-1]), pooled)

    def _layer(self, out: Any, clip_skip: int) -> Any:
        """The layer that the UNet reads. SDXL was trained with the last but one, so clip skip 1 and 2 are the
        same there."""
        last = max(2, clip_skip) if self._xl else clip_skip
        if last >= len(out.hidden_states):
            raise StageFailure(
                FailureKind.BAD_INPUT,
                f"clip skip {clip_skip}: the text encoder has {len(out.hidden_states) - 1} layers; use a "
                "smaller one",
            )
        if self._xl:
            return out.hidden_states[-last]
        if last <= 1:
            return out.last_hidden_state
        inner = getattr(self._encoder, "text_model", self._encoder)  # flat from transformers 5.6 on
        return inner.final_layer_norm(out.hidden_states[-last])

    def _ids(self, text: str) -> Sequence[int]:
        ids: Sequence[int] = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def _units(
        self, parts: Sequence[Part], embeddings: Embeddings, width: int, placed: list[Tensor]
    ) -> list[tuple[Sequence[int], float]]:
        units: list[tuple[Sequence[int], float]] = []
        for part in parts:
            for piece, is_embedding in embeddings.split(part.text):
                if is_embedding:
                    vectors = embeddings.vectors(piece, width)
                    units.append(([_NEW + len(placed) + number for number in range(len(vectors))], part.weight))
                    placed.extend(vectors)
                elif piece.strip():
                    units.extend(([token], part.weight) for token in self._ids(piece))
        return units

    @contextmanager
    def _put_in(self, vectors: Sequence[tuple[int, int, Tensor]]) -> Iterator[None]:
        """While it is open the token embedding gives ``vectors`` at their (chunk, position)."""
        if not vectors:
            yield
            return

        def replace(_module: Any, _inputs: Any, output: Any) -> Any:
            output = output.clone()
            for chunk, position, vector in vectors:
                output[chunk, position] = vector.to(output)
            return output

        hook = self._encoder.get_input_embeddings().register_forward_hook(replace)
        try:
            yield
        finally:
            hook.remove()


def joined(torch: Any, parts: Sequence[Encoded], dtype: Any) -> Encoded:
    """The encodings of several text encoders side by side, as SDXL takes them."""
    hidden = torch.cat([part.hidden for part in parts], dim=-1).to(dtype)
    pooled = parts[-1].pooled
    return Encoded(hidden, None if pooled is None else pooled.to(dtype))


Encode = Callable[[str], Encoded]
