"""Faces by the LBP cascade that scikit-image ships (trained by the OpenCV project, Liao et al. 2007)."""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from stablenew_plugins.detectors import Find

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST = 640
"""Pixels of the longer side at which a picture is searched: a face that matters is large enough then."""
SMALLEST = 32
"""Pixels of the smallest face at that size."""
BLUR = 1.2
"""Pixels. The cascade compares neighbouring blocks; grain and brush strokes mislead it."""
TALLER, WIDER = 1.35, 1.10
"""The window shows brows to mouth; a face is this much larger. It grows by half of that on each side, and a
little more below, for the chin."""


@lru_cache(maxsize=1)
def _cascade() -> Any:
    file = importlib.import_module("skimage.data").lbp_frontal_face_cascade_filename()
    return importlib.import_module("skimage.feature").Cascade(file)


def neighbours(confidence: float) -> int:
    """The cascade gives no probability. What tells a face from chance is how many windows around a place say
    yes; so many are wanted: 2 at confidence 0, 8 at 0.3 (the usual setting), 22 at 1."""
    return 2 + round(20 * min(1.0, max(0.0, confidence)))


class LbpFaces:
    """Frontal faces. It misses some, and sees some where none are: see docs/stages.md."""

    def find(self, image: Image, confidence: float) -> list[Find]:
        """Faces in ``image``."""
        from PIL import Image as Images
        from PIL import ImageFilter

        shrink = min(1.0, LONGEST / max(image.size))
        size = (max(1, round(image.width * shrink)), max(1, round(image.height * shrink)))
        small = image.convert("RGB").resize(size, Images.Resampling.BOX)
        small = small.filter(ImageFilter.GaussianBlur(BLUR))
        largest = min(small.size)
        if largest < SMALLEST:
            return []
        found = _cascade().detect_multi_scale(
            img=np.asarray(small),
            scale_factor=1.1,
            step_ratio=1,
            min_size=(SMALLEST, SMALLEST),
            max_size=(largest, largest),
            min_neighbor_number=neighbours(confidence),
        )
        finds = []
        for face in found:
            left, top = face["c"] / shrink, face["r"] / shrink
            wide, high = face["width"] / shrink, face["height"] / shrink
            side, up, down = wide * (WIDER - 1) / 2, high * (TALLER - 1) * 0.4, high * (TALLER - 1) * 0.6
            find = Find(
                max(0, round(left - side)),
                max(0, round(top - up)),
                min(image.width, round(left + wide + side)),
                min(image.height, round(top + high + down)),
            )
            if find.right > find.left and find.bottom > find.top:
                finds.append(find)
        return finds
