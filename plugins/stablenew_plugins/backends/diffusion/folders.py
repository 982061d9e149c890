"""Finds checkpoints, LoRAs and the like in folders, reads what their headers say, and hashes them. No torch."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_plugins.backends.diffusion.tables import look_up

INDEX = "model_index.json"
"""What makes a folder a pipeline of the diffusers layout."""
CHECKPOINTS = (".safetensors",)
"""``.ckpt`` files are pickles, which run code when they are read: they are left out."""
EMBEDDINGS = (".safetensors", ".pt", ".bin")
"""Read with ``weights_only``: a pickle in them runs nothing."""
HEADER_LIMIT = 100 * 1024 * 1024
"""Bytes; what the safetensors library allows a header to have."""
_DEPTH = 8
"""Levels of folders that are looked through."""


class Family(StrEnum):
    """What a checkpoint is."""

    SD1 = "SD 1.x"
    SD1_INPAINT = "SD 1.x inpainting"
    SD2 = "SD 2.x"
    SDXL = "SDXL"
    SDXL_INPAINT = "SDXL inpainting"
    SDXL_REFINER = "SDXL refiner"


@dataclass(frozen=True, slots=True)
class Found:
    """A checkpoint, VAE, LoRA or embedding on disk."""

    name: str
    """Its path in the folder, with ``/`` on every platform and without the suffix."""
    path: Path

    @property
    def folder(self) -> bool:
        """Whether it is a folder of the diffusers layout."""
        return self.path.is_dir()


def find_files(folders: Iterable[str], suffixes: Sequence[str]) -> dict[str, Found]:
    """Files with one of ``suffixes``, by name; of two with one name the first folder's. Folders that are not
    there are skipped."""
    return _find(folders, suffixes, marker="")


def find_models(folders: Iterable[str]) -> dict[str, Found]:
    """Checkpoints, by name: files, and folders with a ``model_index.json``."""
    return _find(folders, CHECKPOINTS, marker=INDEX)


def find_vaes(folders: Iterable[str]) -> dict[str, Found]:
    """VAEs, by name: files, and folders with a ``config.json``."""
    return _find(folders, CHECKPOINTS, marker="config.json")


def _find(folders: Iterable[str], suffixes: Sequence[str], marker: str) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for given in folders:
        root = Path(given).expanduser()
        if root.is_file() or (marker and (root / marker).is_file()):
            name = root.stem if root.is_file() else root.name
            found.setdefault(name, Found(name, root))
            continue
        for where, below, files in os.walk(root, followlinks=True):
            here = Path(where)
            inside = here.relative_to(root)
            for folder in sorted(below):
                if marker and (here / folder / marker).is_file():
                    name = (inside / folder).as_posix()
                    found.setdefault(name, Found(name, here / folder))
                    below.remove(folder)
            if len(inside.parts) >= _DEPTH:
                below.clear()
            for file in sorted(files):
                if file.lower().endswith(tuple(suffixes)) and not file.startswith("."):
                    name = (inside / file).with_suffix("").as_posix()
                    found.setdefault(name, Found(name, here / file))
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def choose(kind: str, name: str, found: Mapping[str, Found]) -> Found:
    """The entry called ``name``: as it is listed, by its file name alone where that is unique, with a suffix or
    with the WebUI's `` [hash]`` behind it, with ``\\`` for ``/``.

    Raises StageFailure(BAD_INPUT) that lists the nearest names.
    """
    wanted = name.strip().replace("\\", "/")
    if wanted.endswith("]") and " [" in wanted:
        wanted = wanted[: wanted.rindex(" [")]
    if wanted.lower().endswith(EMBEDDINGS):
        wanted = wanted[: wanted.rindex(".")]
    if wanted in found:
        return found[wanted]
    same = [item for item in found.values() if item.name.rpartition("/")[2].lower() == wanted.lower()]
    if len(same) == 1:
        return same[0]
    return found[look_up(kind, wanted, found)]


# --- safetensors headers ------------------------------------------------------------------------------------


def read_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file: tensor names to ``{dtype, shape, data_offsets}``, and ``__metadata__``.

    Format: 8 bytes little-endian length, then JSON (https://huggingface.co/docs/safetensors). Raises
    StageFailure(BAD_INPUT) for a file that is none.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= HEADER_LIMIT:
                raise ValueError("its first bytes are no length of a header")
            header = json.loads(file.read(length))
        if not isinstance(header, dict):
            raise ValueError("its header is no table")
    except (OSError, ValueError) as error:
        raise StageFailure(
            FailureKind.BAD_INPUT, f"{path}: cannot be read as a safetensors file ({error}); download it again"
        ) from error
    return header


def file_family(path: Path) -> Family:
    """What the checkpoint file ``path`` is, by the names and shapes of its tensors.

    Raises StageFailure(BAD_INPUT) for anything but Stable Diffusion 1, 2 and XL.
    """
    header = read_header(path)

    def shape(name: str) -> list[int]:
        entry = header.get(name)
        return list(entry["shape"]) if isinstance(entry, dict) and "shape" in entry else []

    inner = "model.diffusion_model."
    first = shape(inner + "input_blocks.0.0.weight")
    inpaint = len(first) == 4 and first[1] == 9
    if first and "conditioner.embedders.1.model.transformer.resblocks.9.mlp.c_proj.bias" in header:
        return Family.SDXL_INPAINT if inpaint else Family.SDXL
    if first and "conditioner.embedders.0.model.transformer.resblocks.9.mlp.c_proj.bias" in header:
        return Family.SDXL_REFINER
    if first and any(name.startswith("cond_stage_model.model.") for name in header):
        return Family.SD2
    if first and any(name.startswith("cond_stage_model.transformer.") for name in header):
        return Family.SD1_INPAINT if inpaint else Family.SD1
    what = "a LoRA" if any("lora" in name for name in header) else "another kind of model, or a part of one"
    raise StageFailure(
        FailureKind.BAD_INPUT,
        f"{path}: no complete Stable Diffusion 1.x, 2.x or XL checkpoint; it looks like {what}",
    )


def folder_index(path: Path) -> dict[str, Any]:
    """The ``model_index.json`` of a diffusers folder. Raises StageFailure(BAD_INPUT) if it cannot be read."""
    try:
        index = json.loads((path / INDEX).read_text(encoding="utf-8"))
        if not isinstance(index, dict):
            raise ValueError("it is no table")
    except (OSError, ValueError) as error:
        raise StageFailure(FailureKind.BAD_INPUT, f"{path / INDEX}: cannot be read ({error})") from error
    return index


def weights_bytes(path: Path) -> int:
    """Bytes of the weights of a checkpoint; of files that a folder has in several precisions, one of each."""
    if path.is_file():
        return path.stat().st_size
    total = 0
    for part in sorted(item for item in path.iterdir() if item.is_dir()):
        sizes = [file.stat().st_size for file in part.glob("*.safetensors") if ".fp16." not in file.name]
        sizes = sizes or [file.stat().st_size for file in part.glob("*.safetensors")]
        total += sum(sizes)
    return total


# --- hashes -------------------------------------------------------------------------------------------------


class Hashes:
    """Hashes of files, computed in a thread of their own and kept by size and time of change.

    ``model`` and ``lora`` may be called from any thread; they return at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str, int, int], Future[str]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model-hashes")

    def model(self, path: Path) -> Future[str]:
        """SHA-256 of the file, 10 hex digits: the WebUI's ``Model hash``."""
        return self._later("model", path)

    def lora(self, path: Path) -> Future[str]:
        """12 hex digits, as in the WebUI's ``Lora hashes``; see :func:`lora_hash`."""
        return self._later("lora", path)

    def embedding(self, path: Path) -> Future[str]:
        """SHA-256 of the file, 12 hex digits, as in the WebUI's ``TI hashes``."""
        return self._later("embedding", path)

    def close(self) -> None:
        """Start no further ones."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _later(self, kind: str, path: Path) -> Future[str]:
        status = path.stat()
        key = (kind, str(path), status.st_size, status.st_mtime_ns)
        with self._lock:
            if key not in self._known:
                job = {"model": _model_hash, "lora": lora_hash, "embedding": _embedding_hash}[kind]
                self._known[key] = self._thread.submit(job, path)
            return self._known[key]


def lora_hash(path: Path) -> str:
    """12 hex digits by which LoRAs are found: ``sshs_model_hash`` of the metadata, else the SHA-256 of all
    behind the header (the *addnet* hash: it stays the same when the metadata are edited)."""
    metadata = read_header(path).get("__metadata__")
    stated = metadata.get("sshs_model_hash") if isinstance(metadata, dict) else None
    if isinstance(stated, str) and len(stated) >= 12:
        return stated[:12]
    with path.open("rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        file.seek(8 + length)
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _model_hash(path: Path) -> str:
    return _sha256(path)[:10]


def _embedding_hash(path: Path) -> str:
    return _sha256(path)[:12]
