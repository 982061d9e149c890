"""What a worker keeps between the stages of a job, and where it goes on with one that others began.

Keeping costs the job nothing but a copy of its images: they are encoded and written by a thread of their own
while the next stage runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stablenew_agent import encode
from stablenew_api.images import pixel_sha256
from stablenew_api.jobs import JsonValue, canonical_json
from stablenew_api.stage import StageImage

if TYPE_CHECKING:
    from PIL.Image import Image

    from stablenew_api.backend import BackendIdentity

log = logging.getLogger(__name__)

KEEP_AFTER = 2.0
"""Seconds of work that are worth keeping: less is made again sooner than it is kept and fetched."""

_EXACT = frozenset({"1", "L", "LA", "RGB", "RGBA"})
"""Modes that come back from a PNG as they went in."""

MARK = "StableNew stage"
"""Text in a PNG between stages: so its bytes are never those of a final image, and it can be removed without a
look at those."""


class StageKeeper:
    """Of one job. :meth:`begin` first, :meth:`made` behind each stage, and at the end :meth:`discard` or
    :meth:`settle`."""

    def __init__(
        self,
        job: Mapping[str, Any],
        emit: Callable[[Mapping[str, JsonValue]], None],
        identity: Callable[[], BackendIdentity],
        keep_after: float | None,
    ) -> None:
        """``job`` is a ``job`` line of the agent. ``keep_after``: seconds, see :data:`KEEP_AFTER`; None: never
        keep anything."""
        self._job = job
        self._emit = emit
        self._identity = identity
        self._after = keep_after
        self._count = len(job["spec"]["stages"])
        self._since = time.perf_counter()
        self._lock = threading.Lock()
        self._over = False
        self._thread: threading.Thread | None = None
        self.seconds_before = 0.0
        """That the stages took which others have made."""

    def begin(self) -> tuple[list[StageImage], list[JsonValue]] | None:
        """Images and reports of the stages that are done already; None: begin at the first one."""
        resume = self._job.get("resume")
        if not resume:
            return None
        from PIL import Image

        try:
            report = resume["report"]
            reports, infos = list(report["stages"]), list(report["infos"])
            if len(reports) != resume["stages"] or len(infos) != len(resume["images"]):
                raise ValueError("the report does not fit the images")
            images = []
            for path, info in zip(resume["images"], infos, strict=True):
                with Image.open(path) as image:
                    image.load()
                    image.info.clear()  # our mark
                    images.append(StageImage(image, dict(info)))
            self.seconds_before = sum(float(stage["seconds"]) for stage in reports)
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("what was kept of job %s cannot be used (%s); it begins anew", self._job["job"], error)
            return None
        return images, reports

    def made(self, stages: int, images: Sequence[StageImage], reports: Sequence[JsonValue]) -> None:
        """The first ``stages`` stages are done. Keeps what they made, if it is worth it."""
        worth = self._after is not None and time.perf_counter() - self._since >= self._after
        if not worth or stages >= self._count or not images:
            return
        if self._thread is not None and self._thread.is_alive():
            return  # the one before is still being written: the disk is slower than the work
        if any(item.image.mode not in _EXACT for item in images):
            return
        self._since = time.perf_counter()
        # Copies: the next stage may draw on what it was given.
        copies = [(item.image.copy(), dict(item.info)) for item in images]
        self._thread = threading.Thread(
            target=self._keep, args=(stages, copies, list(reports)), name="stage-keeper", daemon=True
        )
        self._thread.start()

    def discard(self) -> None:
        """The job is done: nobody needs it any more. Nothing is told after this."""
        with self._lock:
            self._over = True

    def settle(self) -> None:
        """The job is not done: whatever is being kept is worth the wait."""
        if self._thread is not None:
            self._thread.join()
        self.discard()

    def _keep(
        self, stages: int, images: Sequence[tuple[Image, dict[str, JsonValue]]], reports: list[JsonValue]
    ) -> None:
        files: list[dict[str, JsonValue]] = []
        try:
            identity = self._identity()
            report = canonical_json(
                {
                    "backend": {
                        "name": identity.name,
                        "version": identity.version,
                        "stand_in": identity.stand_in,
                    },
                    "stages": reports,
                    "infos": [info for _, info in images],
                }
            )
            for number, (image, _) in enumerate(images, 1):
                if self._over:
                    return
                files.append(_write(image, f"{self._job['out']}-stage{stages}-{number}.png", stages))
        except Exception:  # a job is not to fail because it could not be kept
            log.exception("stage %d of job %s is not kept", stages, self._job["job"])
            return
        line: dict[str, JsonValue] = {
            "op": "stage",
            "job": self._job["job"],
            "attempt": self._job["attempt"],
            "stages": stages,
            "files": files,
            "report": report.decode("utf-8"),
        }
        with self._lock:
            if not self._over:
                self._emit(line)
                return
        for file in files:
            with contextlib.suppress(OSError):  # the agent's next start empties the folder
                os.unlink(file["path"])


def _write(image: Image, path: str, stages: int) -> dict[str, JsonValue]:
    from PIL.PngImagePlugin import PngInfo

    mark = PngInfo()
    mark.add_text(MARK, str(stages))
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=encode.COMPRESS_LEVEL, icc_profile=None, pnginfo=mark)
    data = out.getvalue()
    with open(path, "wb") as file:
        file.write(data)
    return {
        "name": f"stage-{stages}.png",
        "path": path,
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "tags": {"width": str(image.width), "height": str(image.height), "pixel_sha256": pixel_sha256(image)},
    }
