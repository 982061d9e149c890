"""The built-in stages, from txt2img to the post-processors, ComfyUI workflows, and noop.

Modules are light to import (no numpy, no Pillow): the kernel and the command line load them too.
"""

from __future__ import annotations

from collections.abc import Sequence

from stablenew_api import hookimpl
from stablenew_api.stage import Stage
from stablenew_plugins.stages.adetailer import ADetailer
from stablenew_plugins.stages.color_grade import ColorGrade
from stablenew_plugins.stages.comfy_workflow import ComfyImage, ComfyWorkflow
from stablenew_plugins.stages.convert import Convert
from stablenew_plugins.stages.face_restore import FaceRestore
from stablenew_plugins.stages.frame import Frame
from stablenew_plugins.stages.img2img import Img2Img
from stablenew_plugins.stages.noop import Noop
from stablenew_plugins.stages.resize import Resize
from stablenew_plugins.stages.sharpen import Sharpen
from stablenew_plugins.stages.txt2img import Txt2Img
from stablenew_plugins.stages.upscale import Upscale
from stablenew_plugins.stages.watermark import Watermark

GENERATING = (Txt2Img, Img2Img, ADetailer, Upscale)
POST_PROCESSORS = (FaceRestore, Sharpen, ColorGrade, Resize, Watermark, Frame, Convert)

__all__ = [
    "ADetailer",
    "ColorGrade",
    "ComfyImage",
    "ComfyWorkflow",
    "Convert",
    "FaceRestore",
    "Frame",
    "Img2Img",
    "Noop",
    "Resize",
    "Sharpen",
    "Txt2Img",
    "Upscale",
    "Watermark",
]


@hookimpl
def stablenew_stages() -> Sequence[type[Stage]]:
    """All of them, in the order of their phases; then workflows, and noop."""
    return [*GENERATING, *POST_PROCESSORS, ComfyWorkflow, ComfyImage, Noop]
