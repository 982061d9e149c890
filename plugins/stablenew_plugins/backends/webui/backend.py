"""The backend plugin: puts the parts together. Light to import."""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, TypeVar

from pydantic import BaseModel

from stablenew_api.backend import (
    Backend,
    BackendIdentity,
    Capabilities,
    DetailRequest,
    Feature,
    GenerationResult,
    Img2ImgRequest,
    Request,
    Txt2ImgRequest,
    UpscaleRequest,
)
from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_plugins.backends.webui.http import Reply, Server, Trouble
from stablenew_plugins.backends.webui.options import WebUIConfig

if TYPE_CHECKING:
    from stablenew_api.backend import Progress
    from stablenew_api.cancel import CancelToken
    from stablenew_plugins.backends.webui.inventory import Inventory
    from stablenew_plugins.backends.webui.payload import Builder, Call

log = logging.getLogger(__name__)

VERSION = "1.0"

STALE_SECONDS = 20.0
"""An inventory older than this is asked for anew before a name is refused: the file may have come since."""

START_PATIENCE = 20.0
"""Seconds that a question who is there waits for a WebUI that starts; the agent asks again."""

REAPER_PATIENCE = 90.0
"""Seconds that a job waits for the last one to be interrupted."""

API = "/sdapi/v1/"

T = TypeVar("T")


class WebUIBackend(Backend):
    """A1111, Forge, reForge or SD.Next, through their HTTP API."""

    name: ClassVar[str] = "webui"
    version: ClassVar[str] = VERSION
    title: ClassVar[str] = "WebUI (A1111, Forge, reForge, SD.Next)"
    Config: ClassVar[type[BaseModel]] = WebUIConfig
    offers: ClassVar[frozenset[str]] = frozenset(Feature) - {Feature.WORKFLOW}

    def __init__(self, config: BaseModel) -> None:
        super().__init__(config)
        assert isinstance(config, WebUIConfig)
        self.options = config
        self._server = Server(config)
        self._lock = threading.Lock()
        self._inventory: Inventory | None = None
        self._inventory_at = 0.0
        self._unloaded = False
        self._fresh = False
        self._reaper: threading.Thread | None = None
        self._closing = threading.Event()
        from stablenew_plugins.backends.webui.flight import Turn
        from stablenew_plugins.backends.webui.launcher import Launcher
        from stablenew_plugins.backends.webui.progress import Ids

        self._ids = Ids()
        self._turn = Turn()
        self._launcher = Launcher(config, self._server)

    # --- what is there --------------------------------------------------------------------------------------

    def identify(self) -> BackendIdentity:
        """The server's program and version. Starts the server where that is asked for."""
        self._launcher.ensure(patience=START_PATIENCE)
        has = self._discover()
        self._fresh = True
        return BackendIdentity(has.app, has.version or "unknown", note=f"at {self.options.url}")

    def capabilities(self) -> Capabilities:
        """What the server has now."""
        self._launcher.ensure(patience=START_PATIENCE)
        # Whoever wants to know what there is asks who is there first: once is enough for both.
        fresh, self._fresh = self._fresh, False
        return (self._known() if fresh else self._discover()).capabilities()

    def _known(self) -> Inventory:
        return self._inventory or self._discover()

    def _discover(self) -> Inventory:
        from stablenew_plugins.backends.webui.inventory import discover

        try:
            found = discover(self._server)
        except StageFailure as failure:
            self._note_absence(failure)
            raise
        for line in found.missing:
            log.info("not known: %s", line)
        self._inventory, self._inventory_at = found, time.monotonic()
        self._ids.known = not found.sd_next
        return found

    # --- the calls ------------------------------------------------------------------------------------------

    def txt2img(self, request: Txt2ImgRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """An image from a prompt."""
        return self._generate(request, lambda builder, task: builder.txt2img(request, task), progress, cancel)

    def img2img(self, request: Img2ImgRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """An image from another one."""
        return self._generate(request, lambda builder, task: builder.img2img(request, task), progress, cancel)

    def detail(self, request: DetailRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """ADetailer over an image."""
        return self._generate(request, lambda builder, task: builder.detail(request, task), progress, cancel)

    def upscale(self, request: UpscaleRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """A larger copy, by the Extras tab."""
        return self._generate(request, lambda builder, _task: builder.upscale(request), progress, cancel)

    def _generate(
        self, request: Request, build: Callable[[Builder, str], Call], progress: Progress, cancel: CancelToken
    ) -> GenerationResult:
        cancel.raise_if_cancelled()
        self._launcher.ensure(cancel)
        call = self._build(request, build, cancel)
        cancel.raise_if_cancelled()
        self._wait_for_reaper(cancel)
        if self._unloaded:
            _watching(self._load_again, cancel)
        cancel.raise_if_cancelled()
        reply, number = self._fly(call, progress, cancel)
        cancel.raise_if_cancelled()
        from stablenew_plugins.backends.webui.reply import NoImage, check_status, read_sampled, read_upscaled

        try:
            check_status(reply, self.options.url, API + call.path)
            read = read_upscaled if call.path == "extra-single-image" else read_sampled
            result = read(reply, call)
        except StageFailure as failure:
            cancel.raise_if_cancelled()
            if isinstance(failure, NoImage) and _watching(self._ran_out, cancel):
                _watching(self.free_memory, cancel)
                raise StageFailure(
                    FailureKind.OUT_OF_MEMORY, "the WebUI ran out of memory and sent no image", failure.detail
                ) from failure
            if failure.kind == FailureKind.OUT_OF_MEMORY:
                _watching(self.free_memory, cancel)
            raise
        finally:
            self._turn.over(number)
        cancel.raise_if_cancelled()
        progress(call.steps, call.steps, None)
        return result

    def _build(self, request: Request, build: Callable[[Builder, str], Call], cancel: CancelToken) -> Call:
        from stablenew_plugins.backends.webui.payload import Builder

        task = f"task(stablenew-{uuid.uuid4().hex})"
        has = self._inventory or _watching(self._discover, cancel)
        try:
            self.refuse_unknown(request, has.features())
            return build(Builder(has, self.options.url), task)
        except StageFailure as failure:
            age = time.monotonic() - self._inventory_at
            if failure.kind != FailureKind.BAD_INPUT or age < STALE_SECONDS:
                raise
        has = _watching(self._discover, cancel)
        self.refuse_unknown(request, has.features())
        return build(Builder(has, self.options.url), task)

    def _fly(self, call: Call, progress: Progress, cancel: CancelToken) -> tuple[Reply, int]:
        from stablenew_api.errors import Cancelled
        from stablenew_plugins.backends.webui.flight import Flight

        body = json.dumps(call.body).encode("utf-8")
        flight = Flight(
            self._server,
            API + call.path,
            body,
            call.task_id,
            call.steps,
            self._ids,
            self._turn,
            can_follow=bool(call.task_id),
        )
        try:
            reply = flight.run(progress, cancel)
        except Cancelled:
            if flight.sent:
                self._reap(call.task_id)
            raise
        except StageFailure as failure:
            self._note_absence(failure)
            if failure.kind == FailureKind.TIMEOUT:
                if self._launcher.hung():
                    raise StageFailure(
                        FailureKind.TIMEOUT, f"{failure}; it hung, was stopped and is started again"
                    ) from failure
                self._reap(call.task_id)
            raise
        self._turn.give_way(flight.mark)
        return reply, flight.mark

    def _note_absence(self, failure: StageFailure) -> None:
        cause = failure.__cause__
        if isinstance(cause, Trouble) and not cause.ran:
            self._launcher.lost()

    def _reap(self, task_id: str) -> None:
        from stablenew_plugins.backends.webui.flight import reap

        reaper = threading.Thread(
            target=reap,
            args=(self._server, task_id, self._ids, self._closing),
            name="webui-interrupt",
            daemon=True,
        )
        self._reaper = reaper
        reaper.start()

    def _wait_for_reaper(self, cancel: CancelToken) -> None:
        """An interrupt that is meant for the last job must not hit the next one."""
        reaper = self._reaper
        end = time.monotonic() + REAPER_PATIENCE
        while reaper is not None and reaper.is_alive() and time.monotonic() < end:
            reaper.join(0.2)
            cancel.raise_if_cancelled()
        self._reaper = None

    # --- memory ---------------------------------------------------------------------------------------------

    def free_memory(self) -> None:
        """Have the server let go of its checkpoint; it is loaded again before the next job."""
        try:
            reply = self._server.post(f"{API}unload-checkpoint", {})
        except Trouble as trouble:
            log.warning("the server could not free its memory: %s", trouble)
            return
        if reply.ok:
            self._unloaded = True
        else:
            log.warning("the server could not free its memory: HTTP %d %s", reply.status, reply.error_text())

    def _ran_out(self) -> bool:
        """Whether memory ran out since the inventory was made, by the server's own count: SD.Next may answer
        200 without an image and without a word."""
        from stablenew_plugins.backends.webui.inventory import read_oom_count

        before = self._inventory.oom_count if self._inventory is not None else None
        if before is None:
            return False
        try:
            now = read_oom_count(self._server.get(f"{API}memory").json())
        except (Trouble, ValueError):
            return False  # then the failure stays what it is: no image
        if now is None or now <= before:
            return False
        self._inventory = replace(self._inventory, oom_count=now) if self._inventory is not None else None
        return True

    def _load_again(self) -> None:
        """A1111 only moves the checkpoint to the RAM, and fails at the next job if nobody moves it back."""
        self._unloaded = False
        try:
            reply = self._server.post(f"{API}reload-checkpoint", {}, self.options.job_timeout)
        except Trouble as trouble:
            log.warning("the server could not load its checkpoint again: %s", trouble)
            return
        if not reply.ok:
            log.warning("the server could not load its checkpoint again: HTTP %d", reply.status)

    def close(self) -> None:
        """End what runs here, and the server if we started it."""
        self._closing.set()
        self._launcher.stop()
        self._server.close()


def _watching(work: Callable[[], T], cancel: CancelToken) -> T:
    """What ``work`` returns or raises; Cancelled soon after ``cancel`` fires, and ``work`` ends by itself. For
    questions to a server that may hang, which have time-outs, but long ones."""
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # raised again by who waits
            failed.append(error)

    worker = threading.Thread(target=run, name="webui-ask", daemon=True)
    worker.start()
    while worker.is_alive():
        worker.join(0.1)
        cancel.raise_if_cancelled()
    if failed:
        raise failed[0]
    return done[0]
