"""What the tests of the webui backend share: a fake server, a backend on it, requests, and a naive client."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from PIL import Image
from tests.support.fake_webui import FakeSettings, FakeWebUI

from stablenew_api.backend import (
    DetailRequest,
    DetailUnit,
    GenerationResult,
    Img2ImgRequest,
    Progress,
    Txt2ImgRequest,
    UpscaleRequest,
)
from stablenew_api.cancel import CancelToken
from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind
from stablenew_api.testing import ManualCancel, sample_image
from stablenew_plugins.backends.webui import WebUIBackend, WebUIConfig

SAMPLING: dict[str, Any] = {
    "prompt": "a lighthouse at dawn",
    "negative_prompt": "blurry",
    "seed": 1,
    "steps": 4,
    "cfg_scale": 7.0,
    "sampler": "DPM++ 2M",
    "scheduler": "Karras",
}


def txt2img(**changes: Any) -> Txt2ImgRequest:
    return Txt2ImgRequest(**{**SAMPLING, "width": 64, "height": 64, **changes})


def img2img(**changes: Any) -> Img2ImgRequest:
    values = {**SAMPLING, "image": sample_image(64, 64), "denoising_strength": 0.5, **changes}
    return Img2ImgRequest(**values)


def detail(*units: DetailUnit, **changes: Any) -> DetailRequest:
    values = {**SAMPLING, "image": sample_image(64, 64), "units": units or (unit(),), **changes}
    return DetailRequest(**values)


def unit(**changes: Any) -> DetailUnit:
    return DetailUnit(**{"model": "face_yolov8n.pt", "prompt": "a face", "negative_prompt": "", **changes})


def upscale(**changes: Any) -> UpscaleRequest:
    return UpscaleRequest(**{"image": sample_image(64, 64), "upscaler": "Lanczos", "scale": 2.0, **changes})


@contextmanager
def setup(settings: FakeSettings | None = None, **options: Any) -> Iterator[tuple[FakeWebUI, WebUIBackend]]:
    """A running fake and a backend on it, both ended afterwards."""
    with FakeWebUI(settings) as fake:
        backend = WebUIBackend(WebUIConfig(url=fake.url, **options))
        try:
            yield fake, backend
        finally:
            backend.close()


def make(
    backend: WebUIBackend, request: Any = None, cancel: CancelToken | None = None, **changes: Any
) -> GenerationResult:
    request = request if request is not None else txt2img(**changes)
    call: Callable[..., GenerationResult] = {
        Txt2ImgRequest: backend.txt2img,
        Img2ImgRequest: backend.img2img,
        DetailRequest: backend.detail,
        UpscaleRequest: backend.upscale,
    }[type(request)]
    return call(request, Progress(), cancel or ManualCancel())


def fails(
    backend: WebUIBackend, kind: FailureKind, *texts: str, request: Any = None, **changes: Any
) -> StageFailure:
    """The failure of a call, whose text must have every one of ``texts``."""
    with pytest.raises(StageFailure) as caught:
        make(backend, request, **changes)
    failure = caught.value
    assert failure.kind == kind, f"{failure.kind}: {failure}"
    for text in texts:
        assert text in str(failure), f"{text!r} is not in: {failure}"
    return failure


def naive(
    fake: FakeWebUI, path: str = "txt2img", **body: Any
) -> tuple[Image.Image, dict[str, Any], dict[str, Any]]:
    """What a plain client gets that trusts a 200: image, info, the whole answer."""
    whole = {"prompt": "a lighthouse at dawn", "seed": 1, "steps": 4, "width": 64, "height": 64, **body}
    response = requests.post(f"{fake.url}/sdapi/v1/{path}", json=whole, timeout=PATIENCE)
    assert response.status_code == 200, response.text
    answer = response.json()
    return decode(answer["images"][0]), json.loads(answer["info"]), answer


def decode(text: str) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(text)))
    image.load()
    return image


PATIENCE = 30.0
"""Seconds that anything may take on a machine that does ten other things; what passes waits for none of it."""


def until(condition: Callable[[], object]) -> None:
    """Wait until ``condition()`` is true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.005)


@contextmanager
def once(condition: Callable[[], object], act: Callable[[], object]) -> Iterator[None]:
    """Have ``act`` done in another thread as soon as ``condition()`` is true, while the block runs."""
    problems: list[BaseException] = []

    def wait() -> None:
        try:
            until(condition)
            act()
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    assert not problems, problems


class Steps(Progress):
    """Keeps what is reported, and when the reply was in."""

    def __init__(self, watching: bool = False) -> None:
        self.steps: list[tuple[int, int]] = []
        self.previews: list[Image.Image] = []
        self.events: list[str] = []
        self.watching = watching
        self.thread = threading.get_ident()
        self.threads: set[int] = set()
        self.moved = threading.Event()
        self.enough: Callable[[], object] | None = None
        """Called once there has been a step, and a preview if one is wanted."""

    def __call__(self, step: int, steps: int, preview: Image.Image | None = None) -> None:
        self.steps.append((step, steps))
        self.threads.add(threading.get_ident())
        self.events.append("step")
        if preview is not None:
            self.previews.append(preview)
        if step > 0:
            self.moved.set()
        if self.enough is not None and self.moved.is_set() and (self.previews or not self.watching):
            self.enough()

    def wants_preview(self) -> bool:
        return self.watching

    def received(self) -> None:
        self.events.append("received")
