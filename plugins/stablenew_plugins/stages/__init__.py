"""The built-in stages: txt2img, img2img, upscale, frame, noop and ComfyUI workflows.

Modules are light to import (no numpy, no Pillow): the kernel and the command line load them too.
"""

from __future__ import annotations

from collections.abc import Sequence

from stablenew_api import hookimpl
from stablenew_api.stage import Stage
from stablenew_plugins.stages.comfy_workflow import ComfyImage, ComfyWorkflow
from stablenew_plugins.stages.frame import Frame
from stablenew_plugins.stages.img2img import Img2Img
from stablenew_plugins.stages.noop import Noop
from stablenew_plugins.stages.txt2img import Txt2Img
from stablenew_plugins.stages.upscale import Upscale

__all__ = ["ComfyImage", "ComfyWorkflow", "Frame", "Img2Img", "Noop", "Txt2Img", "Upscale"]


@hookimpl
def stablenew_stages() -> Sequence[type[Stage]]:
    """The stages above."""
    return [Txt2Img, Img2Img, Upscale, Frame, Noop, ComfyWorkflow, ComfyImage]
