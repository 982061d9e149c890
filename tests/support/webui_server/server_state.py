"""What a server has in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from tests.support.webui_server.flavours import OOM_TEXTS, options_of, usual_traps
from tests.support.webui_server.images import Premade
from tests.support.webui_server.lists import model_sha256
from tests.support.webui_server.records import Job, Seen
from tests.support.webui_server.settings import FakeSettings
from tests.support.webui_server.traps import TRAPS


@dataclass(slots=True)
class SharedState:
    """What ``modules/shared_state.py`` has."""

    job: str = ""
    job_count: int = 0
    job_no: int = 0
    sampling_step: int = 0
    sampling_steps: int = 0
    interrupted: bool = False
    skipped: bool = False
    begun: float = 0.0
    preview: str = ""
    preview_id: int = 0


class ServerState:
    """Everything that requests read and change. :attr:`traps` may change while it runs."""

    def __init__(self, settings: FakeSettings) -> None:
        self.settings = settings
        flavour = settings.flavour
        if flavour not in OOM_TEXTS:
            raise ValueError(f"flavour {flavour!r}: a1111, forge or sdnext")
        chosen = usual_traps(flavour) if settings.traps is None else set(settings.traps)
        self.traps: set[str] = (chosen | set(settings.also)) - set(settings.without)
        if unknown := self.traps - TRAPS.keys():
            raise ValueError(f"no such trap: {', '.join(sorted(unknown))}")
        self.missing: set[str] = set(settings.missing)
        self.seen: list[Seen] = []
        self.jobs: list[Job] = []
        self.state = SharedState()
        self.options: dict[str, Any] = {
            "sd_model_checkpoint": self.title(settings.models[0]) if settings.models else None,
            "CLIP_stop_at_last_layers": 1,
            "samples_format": "png",
            "face_restoration_model": "CodeFormer",
            "ESRGAN_tile": 192,
            **options_of(flavour),
        }
        self.loaded = settings.models[0] if settings.models else ""
        self.unloaded = False
        self.oom_count = 0
        self.console: list[str] = []
        """What the server would print."""
        self.release = threading.Event()
        """Ends every hang."""
        self.queue_lock = threading.Lock()
        """Held by the job that is carried out: one at a time."""
        self.current: str | None = None
        self.pending: OrderedDict[str, float] = OrderedDict()
        self.finished: list[str] = []
        self.stop_step = threading.Event()
        """Ends the pauses of the job that runs."""
        size = settings.reply_bytes
        self.premade = Premade(size, settings.reply_size) if size else None

    # --- what it did ----------------------------------------------------------------------------------------

    def calls(self, path: str) -> list[Seen]:
        """Requests to ``path`` (without query), in order."""
        return [seen for seen in list(self.seen) if seen.path.partition("?")[0] == path]

    def told(self) -> dict[str, Any]:
        """For who is in another process: the times of each job, and how often progress was asked for."""
        times = ("arrived", "begun", "ended", "answered")
        questions = ("/internal/progress", "/sdapi/v1/progress")
        return {
            "jobs": [{name: getattr(job, name) for name in times} for job in list(self.jobs)],
            "questions": sum(len(self.calls(path)) for path in questions),
        }

    # --- names ----------------------------------------------------------------------------------------------

    def path_of(self, model: str) -> str:
        """A checkpoint's name as this server writes it."""
        return model.replace("/", "\\") if "windows_paths" in self.traps else model

    def title(self, model: str) -> str:
        """A checkpoint's title."""
        return f"{self.path_of(model)} [{model_sha256(model)[:10]}]"

    def find_model(self, name: object) -> str | None:
        """As ``checkpoint_aliases``: title, name with and without ending, hash."""
        for model in self.settings.models:
            path = self.path_of(model)
            stem = path.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
            sha = model_sha256(model)
            if name in (
                self.title(model),
                path,
                path.rpartition(".")[0],
                stem,
                sha,
                sha[:10],
                f"{stem} [{sha[:10]}]",
            ):
                return model
        return None

    def stem(self, model: str) -> str:
        """Name without folder and ending."""
        return model.rpartition("/")[2].rpartition(".")[0]
