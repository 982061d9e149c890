"""The complete chain on the backends for servers, on fake ones: what comes out, and a cancel at every stage."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import pytest
import requests
from house import House, eventually, images_of
from PIL import Image
from tests.support.fake_comfyui import FakeComfyUI
from tests.support.fake_webui import FakeSettings, FakeWebUI

from stablenew_api.backend import Progress, Txt2ImgRequest
from stablenew_api.infotext import parse_infotext
from stablenew_api.testing import ManualCancel
from stablenew_client import KernelClient
from stablenew_plugins import detectors
from stablenew_plugins.backends.embedded import EmbeddedBackend, EmbeddedConfig
from stablenew_proto.v1 import kernel_pb2 as pb

pytestmark = pytest.mark.cluster

ON_SERVER = ("txt2img", "img2img", "adetailer", "upscale")
"""Stages that the server does."""
STAGES = (*ON_SERVER, "sharpen", "frame")
SETS = (
    *("txt2img.width=192", "txt2img.height=160", "txt2img.sampler_name=DPM++ 2M", "txt2img.scheduler=Karras"),
    *("txt2img.enable_hr=true", "txt2img.hr_scale=2", "txt2img.hr_upscaler=Latent", "txt2img.steps=6"),
    *("img2img.enabled=true", "img2img.denoising_strength=0.9", "adetailer.enabled=true"),
    *("adetailer.working_size=128", "upscale.enabled=true", "upscale.upscaler=Lanczos"),
    *("upscale.upscaling_resize=1.5", "frame.width_percent=10", 'pipeline.post_processors=["sharpen","frame"]'),
)
LONG = 60.0
"""Seconds that a stage takes which is to be cancelled: too long to wait for it."""
PROMPT = b"portrait of a woman"


class Server(Protocol):
    """A fake server whose work for one stage may be slow."""

    slow: str
    """The stage that takes long; the others take no time."""
    reached: threading.Event
    """That stage is at work."""
    backend: str

    @property
    def url(self) -> str: ...

    def foreign(self) -> None:
        """Another program's image, made and whole. Fails otherwise."""

    def interrupts(self) -> int:
        """How often it was told to interrupt."""


def face(picture: Image.Image) -> Image.Image:
    """The picture with a face in it that a detector finds; fake servers draw none."""
    made = picture.convert("RGB")
    side = min(made.size)
    made.paste(_portrait().resize((side, side)), ((made.width - side) // 2, 0))
    return made


@cache
def _portrait() -> Image.Image:
    request = Txt2ImgRequest("portrait of a woman", "", 3, 20, 7.0, "DPM++ 2M", "Karras", width=448, height=448)
    backend = EmbeddedBackend(EmbeddedConfig())
    return backend.txt2img(request, Progress(), ManualCancel()).image


class SlowWebUI(FakeWebUI):
    """See :class:`Server`."""

    slow, backend = "", "webui"

    def __init__(self) -> None:
        super().__init__(FakeSettings())
        self.reached = threading.Event()

    def generate(
        self, kind: str, body: Mapping[str, Any], arrived: float | None = None
    ) -> tuple[dict[str, Any], Any]:
        stage = {"txt2img": "txt2img", "extra-single-image": "upscale"}.get(kind, "img2img")
        if "adetailer" in map(str.lower, body.get("alwayson_scripts", {})):
            stage = "adetailer"
        self.settings.seconds = LONG if stage == self.slow else 0.0
        if stage == self.slow:
            threading.Thread(target=self._tell, daemon=True).start()
            self.slow = ""
        return super().generate(kind, body, arrived)

    def _tell(self) -> None:
        self.wait_until_running()
        self.reached.set()

    def foreign(self) -> None:
        body = {"prompt": "somebody else's", "steps": 4, "width": 64, "height": 64, "seed": 9}
        answer = requests.post(f"{self.url}/sdapi/v1/txt2img", json=body, timeout=LONG)
        (job,) = [job for job in self.jobs if job.body.get("prompt") == body["prompt"]][-1:]
        assert answer.ok
        assert not job.interrupted

    def interrupts(self) -> int:
        return len(self.calls("/sdapi/v1/interrupt"))


class SlowComfyUI(FakeComfyUI):
    """See :class:`Server`."""

    slow, backend = "", "comfyui"

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()

    def _stage(self) -> str:
        assert self._running is not None
        kinds = {node["class_type"] for node in self._running[2].values()}
        if "EmptyLatentImage" in kinds:
            return "txt2img"
        if "SetLatentNoiseMask" in kinds:
            return "adetailer"
        return "img2img" if any(kind.startswith("KSampler") for kind in kinds) else "upscale"

    def _step(self, value: int, most: int, latent: Any) -> None:
        if self._stage() == self.slow:
            self.slow = ""
            self.reached.set()
            # As a sampler's step that takes its time; an interrupt acts at its end.
            until = time.monotonic() + LONG
            while not self._interrupt and time.monotonic() < until:
                time.sleep(0.01)
        super()._step(value, most, latent)

    def _save(self, data: bytes, prefix: str, kind: str) -> list[dict[str, str]]:
        if self._stage() in ("txt2img", "img2img"):
            kept = io.BytesIO()
            with Image.open(io.BytesIO(data)) as image:
                face(image).save(kept, "PNG")
            data = kept.getvalue()
        return super()._save(data, prefix, kind)

    def foreign(self) -> None:
        graph = {
            "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "dreamshaper.safetensors"}},
            "2": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
            "3": {"class_type": "VAEDecode", "inputs": {"samples": ["2", 0], "vae": ["1", 2]}},
            "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "theirs"}},
        }
        answer = requests.post(f"{self.url}/prompt", json={"prompt": graph, "client_id": "them"}, timeout=LONG)
        name = answer.json()["prompt_id"]
        found: dict[str, Any] = eventually(
            lambda: requests.get(f"{self.url}/history/{name}", timeout=LONG).json(),
            "their image",
        )
        assert found[name]["status"]["status_str"] == "success"

    def interrupts(self) -> int:
        return sum(path.endswith("/interrupt") for _, path in self.calls)


class Place:
    """A house with an agent on a fake server."""

    def __init__(self, house: House, server: SlowWebUI | SlowComfyUI) -> None:
        self.house, self.server = house, server
        self.client: KernelClient = house.start_kernel()
        options = [f"url={server.url}", *(["poll_interval=0.1"] if server.backend == "webui" else [])]
        backend = [
            "--backend",
            server.backend,
            *(part for one in options for part in ("--backend-option", one)),
        ]
        house.start_agent("one", *backend, "--keep-after", "0")
        house.wait_online(self.client, 1)

    def begin(self, name: str, *sets: str) -> str:
        """Submit the chain; the run's id."""
        request = self.house.request(*SETS, *sets, pack=PROMPT, out=self.house.folder / name)
        return self.client.submit(request).run_id

    def whys(self, run_id: str) -> list[str]:
        """What the history says of the run's job."""
        return [event.why for event in self.client.job(f"{run_id}/0").events]


@pytest.fixture(scope="module", params=[SlowWebUI, SlowComfyUI], ids=["webui", "comfyui"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One for all tests of a backend."""
    if request.param is SlowComfyUI and not detectors.installed():
        pytest.skip("needs the extra 'detect'")
    house = House(tmp_path_factory.mktemp("place"))
    with request.param() as server:
        try:
            yield Place(house, server)
        finally:
            house.close()


def opened(run: pb.Run) -> tuple[Image.Image, dict[str, str], dict[str, Any]]:
    """The only image of a run, its parameters, its own chunk."""
    (path,) = Path(run.out_dir).glob("0*.png")
    with Image.open(path) as image:
        image.load()
        texts = dict(image.text)  # type: ignore[attr-defined]
    return image, parse_infotext(texts["parameters"]).parameters, json.loads(texts["stablenew"])


def test_the_complete_chain(place: Place) -> None:
    run = place.house.wait_run(place.begin("chain"))
    assert (run.done, run.failed) == (1, 0), place.house.logs()
    assert len(images_of(run)) == 1
    image, told, chunk = opened(run)
    assert [stage["name"] for stage in chunk["stages"]] == list(STAGES)
    assert [stage["name"] for stage in chunk["spec"]["stages"]] == list(STAGES)
    # 192 x 160, twice that by the hires pass, 1.5 times that by upscale, and a frame of 10 % around it.
    assert (told["Size-1"], told["Size-2"]) == ("192", "160")
    assert (told["img2img Size-1"], told["img2img Size-2"]) == ("384", "320")
    assert (told["upscale Size-1"], told["upscale Size-2"]) == ("576", "480")
    assert image.width > 576
    assert image.height > 480
    wanted = {
        "Sampler": "DPM++ 2M",
        "Schedule type": "Karras",
        "Steps": "6",
        "Seed": "1000",
        "Hires upscaler": "Latent",
        "img2img Denoising strength": "0.9",
        "ADetailer model": "face_yolov8n.pt",
        "Postprocess upscaler": "Lanczos",
        "Postprocess upscale by": "1.5",
    }
    assert {key: told.get(key) for key in wanted} == wanted
    assert float(told["Hires upscale"]) == 2
    assert "Model" in told, "a job that names no checkpoint is made with the server's own, and says with which"
    if place.server.backend == "comfyui":
        assert (told["StableNew detailer"], told["StableNew finds drawn"]) == ("own", "1")


@pytest.mark.parametrize("stage", ON_SERVER)
def test_a_cancel_at_any_stage(place: Place, stage: str) -> None:
    client, house, server = place.client, place.house, place.server
    # A seed of its own: what was kept of another test's job would be gone on with.
    place_of_stage = STAGES.index(stage) + 1
    sets = [f"txt2img.seed={2000 + place_of_stage}"]
    if server.backend == "comfyui" and stage == "upscale":
        sets.append("upscale.upscaler=4x-UltraSharp")  # a network, which takes its time tile by tile
    before = server.interrupts()
    server.reached.clear()
    server.slow = stage
    run_id = place.begin(f"cancel-{stage}", *sets)
    assert server.reached.wait(LONG), (place.whys(run_id), house.logs())
    if place_of_stage > 1:
        kept = f"kept behind stage {place_of_stage - 1} of 6"
        eventually(lambda: any(kept in why for why in place.whys(run_id)), kept, LONG / 2)
    problems: list[BaseException] = []

    def other() -> None:
        try:
            server.foreign()
        except BaseException as error:
            problems.append(error)

    # Another program's image waits behind ours at the server; what is meant for us must not hit it.
    waiting = threading.Thread(target=other, daemon=True)
    waiting.start()
    client.change_jobs("cancel", run_id=run_id)
    run = house.wait_run(run_id)
    assert run.cancelled == 1
    folder = Path(run.out_dir)
    assert not [path for path in folder.rglob("*") if path.suffix in (".png", ".part", ".tmp")], "half-written"
    waiting.join(LONG)
    assert not waiting.is_alive(), "the server goes on with what waits behind our job"
    assert not problems, problems
    assert server.interrupts() == before + 1

    client.change_jobs("retry", run_id=run_id)
    retried = eventually(
        lambda: next((run for run in client.runs() if run.run_id == run_id and run.done), None), "retried"
    )
    resumed = [why for why in place.whys(run_id) if "goes on at" in why]
    if place_of_stage == 1:
        assert not resumed
    else:
        assert any(f"goes on at {stage} (stage {place_of_stage} of 6)" in why for why in resumed), place.whys(
            run_id
        )
    again = house.wait_run(place.begin(f"after-{stage}", *sets))
    assert (again.done, again.failed) == (1, 0), "the next run works"
    assert images_of(retried) == images_of(again), "the same pixels as without a cancel"
