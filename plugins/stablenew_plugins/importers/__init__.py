"""The built-in importers: what people have of other programs, read into packs, wildcards and settings.

docs/importing.md says what each takes over.
"""

from __future__ import annotations

from collections.abc import Sequence

from stablenew_api import hookimpl
from stablenew_api.importer import Importer
from stablenew_plugins.importers.a1111_image import A1111Image
from stablenew_plugins.importers.comfyui import ComfyUI
from stablenew_plugins.importers.dream_factory import DreamFactory
from stablenew_plugins.importers.fooocus import Fooocus
from stablenew_plugins.importers.fooocus_log import FooocusLog
from stablenew_plugins.importers.invokeai import InvokeAI
from stablenew_plugins.importers.novelai import NovelAI
from stablenew_plugins.importers.prompts_file import PromptsFile
from stablenew_plugins.importers.stablenew_image import StableNewImage
from stablenew_plugins.importers.styles import Styles
from stablenew_plugins.importers.swarmui import SwarmUI
from stablenew_plugins.importers.wildcards import Wildcards


@hookimpl
def stablenew_importers() -> Sequence[type[Importer]]:
    """One a format."""
    return [
        Styles,
        PromptsFile,
        DreamFactory,
        Wildcards,
        StableNewImage,
        A1111Image,
        SwarmUI,
        Fooocus,
        FooocusLog,
        InvokeAI,
        NovelAI,
        ComfyUI,
    ]
