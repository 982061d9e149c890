"""What finds faces on a node without the backend's help, for the stage ``adetailer``.

There is one detector: the LBP cascade of scikit-image (extra ``detect``). It is old and small, looks for faces
that look into the camera, ships with its package, needs no network, and runs everywhere. Hands and persons it
cannot find; ADetailer's models for those are refused by name.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind

if TYPE_CHECKING:
    from PIL.Image import Image

FACE_MODELS = (
    "face_yolov8n.pt",
    "face_yolov8n_v2.pt",
    "face_yolov8s.pt",
    "face_yolov8m.pt",
    "face_yolov9c.pt",
    "mediapipe_face_full",
    "mediapipe_face_short",
    "mediapipe_face_mesh",
    "mediapipe_face_mesh_eyes_only",
    "face_lbp",
)
"""Names that mean "faces". All but the last are ADetailer's: presets name these, and our detector answers to
them."""

INSTALL = "pip install 'stablenew[detect]'"


@dataclass(frozen=True, slots=True)
class Find:
    """A thing that was found: left, top, right, bottom in pixels; right and bottom are not part of it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> int:
        """Square pixels."""
        return (self.right - self.left) * (self.bottom - self.top)


class Detector(Protocol):
    """Finds things in pictures."""

    def find(self, image: Image, confidence: float) -> list[Find]:
        """What is in ``image``, in no order. ``confidence``, 0 to 1: less certain finds do not count. The same
        picture always gives the same finds."""


def installed() -> bool:
    """Whether a detector is there."""
    return importlib.util.find_spec("skimage") is not None


def names() -> tuple[str, ...]:
    """Detection models that our detector stands in for; empty where there is none."""
    return FACE_MODELS if installed() else ()


def detector(model: str) -> Detector:
    """The detector for ``model``. Raises StageFailure(BAD_INPUT) for what no detector here can find, and
    BACKEND where the package is missing."""
    if model not in FACE_MODELS:
        raise StageFailure(
            FailureKind.BAD_INPUT,
            f"adetailer: the detector of this node finds faces only, not {model!r}; use a node with the "
            f"ADetailer extension, or one of {', '.join(FACE_MODELS[:3])}, {FACE_MODELS[-1]}",
        )
    if not installed():
        raise StageFailure(
            FailureKind.BACKEND, f"adetailer: no face detector is installed on this node; {INSTALL}"
        )
    from stablenew_plugins.detectors.lbp import LbpFaces

    return LbpFaces()
