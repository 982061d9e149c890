"""A kernel that makes nothing: two nodes, runs, jobs in every state, and images that stand on the disk, the
same each time. For pictures of the window, and for measuring it; what packs, presets and stages are, it asks
the real code for.

::

    house = FakeHouse(folder)
    house.open(app)      # as if a kernel had answered
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from tests.desktop.fake_gallery import FakeGallery
from tests.desktop.fake_packs import FakeLibrary, FakePacks
from tests.desktop.pictures import jpeg, picture

from stablenew_api.clock import SystemClock
from stablenew_api.datafolder import DataFolder, KernelInfo
from stablenew_api.errors import UserError
from stablenew_api.host import PluginHost
from stablenew_client.packfiles import read_pack, request_of
from stablenew_client.wildcardfolder import WildcardFolder
from stablenew_kernel.app.library import Library
from stablenew_kernel.app.packs import PackReader
from stablenew_kernel.app.planning import Planner
from stablenew_kernel.domain import cards
from stablenew_kernel.domain.settings import AT_START, Settings, schema_of
from stablenew_kernel.hub import views
from stablenew_proto.v1 import agent_link_pb2 as link
from stablenew_proto.v1 import common_pb2, gallery_pb2, kernel_pb2

NOW = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)
"""When all of it is."""
GIB = 2**30

PACKS = {
    "landscapes.txt": (
        "# What the hills look like at every hour.\n"
        "a [[time]] over {rolling|terraced} hills, __weather__, painterly, <lora:watercolour:0.7>\n"
        "neg: people, text\n\n"
        "a lonely [[place]] by the sea, [[time]], long exposure\nneg: blurry\n\n"
        "mountain lake at [[time]], snowcapped peaks, reflection, crisp and quiet\nneg: boat, fog\n"
    ),
    "landscapes.json": json.dumps(
        {
            "randomization": {
                "matrix": {
                    "mode": "fanout",
                    "slots": [
                        {"name": "time", "values": ["dawn", "noon", "dusk"]},
                        {"name": "place", "values": ["lighthouse", "chapel"]},
                    ],
                }
            }
        },
        indent=2,
    ),
    "portraits.txt": (
        "portrait of a {smith|baker|fisher}, soft window light, 85mm, film grain\nneg: extra fingers\n\n"
        "abstract portrait of a woman, long flowing hair, teal and golden ribbons\nneg: noise, grain\n"
    ),
    "architecture with a name that is far too long for a narrow list of packs.txt": (
        "a brutalist library, overcast, wide angle\n\na gothic greenhouse full of ferns\n"
    ),
    "broken.txt": "a (castle on a [[hill]], golden light\nneg: text\n",
}
STAGES = ("txt2img", "upscale")
FAILURES = (
    (
        "out_of_memory",
        "the GPU ran out of memory at 2048x2048",
        "CUDA out of memory: tried to allocate 4.5 GiB",
    ),
    ("backend", "the WebUI closed the connection", "ConnectionResetError: [Errno 104] peer went away"),
)
MODELS = ("juggernautXL_v9", "dreamshaper_8", "sd_xl_base_1.0")
TAGS = ("keeper", "hands", "print", "too dark")


@dataclass(frozen=True)
class Size:
    """How much there is."""

    queued: int = 9
    done: int = 14
    images: int = 40
    picture: tuple[int, int] = (320, 240)
    """Pixels of each image; each is made anew, which takes a few milliseconds."""


class FakeHouse:
    """See above. Answers as a :class:`~stablenew_client.KernelClient` does, with what it calls."""

    def __init__(self, data: DataFolder, size: Size = Size()) -> None:
        """Fills ``data`` with packs and images."""
        data.create()
        self.data, self.size = data, size
        self.info = KernelInfo("127.0.0.1:7860", "", 1, _at(180), "1.0")
        self.settings_now = Settings()
        self._host = PluginHost.load(role="kernel")
        self._planner = Planner(self._host, data, self.settings_now, Random(5))
        self._reader = PackReader(self._host, self._planner, WildcardFolder(data.wildcards))
        self.library = FakeLibrary(Library(data, self._host, SystemClock()), self._planner)
        self.packs = FakePacks(self._reader, self.nodes)
        self.asked: Counter[str] = Counter()
        """How often each call came that changes something."""
        self.paused = False
        self._fill_folders()
        spec = next(iter(self._planner.plan(self._request("landscapes.txt")).jobs)).spec
        self.spec = spec.canonical()
        self.all_runs = self._make_runs()
        self.all_jobs = self._make_jobs()
        self.gallery = FakeGallery(self._make_images(), self.spec, json.dumps(dict(SETTINGS)).encode())

    # --- what there is --------------------------------------------------------------------------------------

    def _fill_folders(self) -> None:
        self.data.packs.mkdir(parents=True, exist_ok=True)
        for name, text in PACKS.items():
            (self.data.packs / name).write_text(text, encoding="utf-8", newline="\n")
        self.data.wildcards.mkdir(parents=True, exist_ok=True)
        (self.data.wildcards / "weather.txt").write_text("mist\nclear sky\nthunderclouds\n", encoding="utf-8")

    def _request(self, name: str) -> kernel_pb2.RunRequest:
        return request_of(read_pack(str(self.data.packs / name)))

    def _make_runs(self) -> list[kernel_pb2.Run]:
        queued, done = self.size.queued, self.size.done
        folder = self.data.outputs
        return [
            kernel_pb2.Run(
                run_id=_id("run", 0),
                name="landscapes",
                created_at=_at(12),
                out_dir=str(folder / "landscapes"),
                state="running",
                total=queued + done + 4,
                queued=queued,
                active=3,
                done=done,
                failed=1,
                seconds=9 * 60 + 12,
            ),
            kernel_pb2.Run(
                run_id=_id("run", 1),
                name="portraits",
                created_at=_at(65),
                out_dir=str(folder / "portraits"),
                state="done",
                total=24,
                done=23,
                failed=1,
                ended_at=_at(31),
            ),
            kernel_pb2.Run(
                run_id=_id("run", 2),
                name="architecture",
                created_at=_at(140),
                out_dir=str(folder / "architecture"),
                state="cancelled",
                total=12,
                done=3,
                cancelled=9,
                ended_at=_at(128),
            ),
        ]

    def _make_jobs(self) -> list[kernel_pb2.Job]:
        jobs: list[kernel_pb2.Job] = []

        def add(state: str, **more: Any) -> None:
            number = len(jobs)
            over = state in ("done", "failed", "cancelled")
            jobs.append(
                kernel_pb2.Job(
                    job_id=_id("job", number),
                    run_id=_id("run", 0),
                    run_name="landscapes",
                    state=state,
                    attempt=0 if state == "queued" else 1,
                    prompt=PROMPTS[number % len(PROMPTS)],
                    seed=41_000 + number,
                    stages=STAGES,
                    index=number,
                    ended_at=_at(0.3 * (number - self.size.queued)) if over else "",
                    **more,
                )
            )

        add("running", node="gpu-box")
        add("running", node="gpu-box")
        add("leased", node="studio")
        for place in range(1, self.size.queued + 1):
            why = "gpu-box is busy (2 of 2)"
            why = f"waits its turn, {place - 1} before it: {why}" if place > 1 else f"next in the queue: {why}"
            add("queued", place=place, waiting_reason=why, priority=5 if place == 1 else 0)
        for _number in range(self.size.done):
            path = self.data.outputs / "landscapes" / f"{len(jobs):04}.png"
            add("done", node="gpu-box", run_time=8.5 + len(jobs) % 7, path=str(path))
        for kind, message, detail in FAILURES:
            add("failed", node="studio", failure=common_pb2.Failure(kind=kind, message=message, detail=detail))
        add("cancelled")
        add("cancelled")
        return jobs

    def _make_images(self) -> list[gallery_pb2.Image]:
        images = []
        width, height = self.size.picture
        for number in range(self.size.images):
            run = self.all_runs[0 if number < 22 else 1 if number < 36 else 2]
            path = Path(run.out_dir) / f"{number:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                picture(number, width, height).save(path, compress_level=1)
            images.append(
                gallery_pb2.Image(
                    image_sha256=hashlib.sha256(f"image {number}".encode()).hexdigest(),
                    path=str(path),
                    run_id=run.run_id,
                    run_name=run.name,
                    job_id=_id("job", 12 + number),
                    row=number % 3 + 1,
                    saved_at=_at(2 + 3 * number),
                    width=width,
                    height=height,
                    prompt=PROMPTS[number % len(PROMPTS)],
                    negative_prompt="people, text, blurry",
                    seed=41_012 + number,
                    model=MODELS[number % 3],
                    preset=("full", "quick")[number % 2],
                    stages=STAGES if number % 4 else (*STAGES, "adetailer"),
                    node="gpu-box",
                    run_time=8.5 + number % 7,
                    stars=(0, 5, 3, 4, 0, 2)[number % 6],
                    tags=[TAGS[number % 4]] if number % 5 == 1 else [],
                    choices=[gallery_pb2.Choice(slot="time", value=("dawn", "noon", "dusk")[number % 3])],
                )
            )
        return images

    def progress(self, fraction: float = 0.62, number: int = 0) -> kernel_pb2.RunningJob:
        """How far the job ``number`` is, with a picture of it."""
        return kernel_pb2.RunningJob(
            job_id=_id("job", number),
            run_id=_id("run", 0),
            node="gpu-box",
            progress=link.JobProgress(
                lease=link.LeaseKey(job_id=_id("job", number), attempt=1),
                stage="txt2img",
                stage_index=0,
                stage_count=len(STAGES),
                step=round(30 * fraction),
                steps=30,
                fraction=fraction,
                eta=12 * (1 - fraction),
                preview_jpeg=jpeg(picture(7 + number, 256, 192, blur=1 - fraction)),
            ),
        )

    @property
    def queue(self) -> kernel_pb2.QueueSummary:
        """Its counts."""
        states = Counter(job.state for job in self.all_jobs)
        return kernel_pb2.QueueSummary(
            paused=self.paused,
            paused_reason="paused in the desktop" if self.paused else "",
            queued=states["queued"],
            active=states["running"] + states["leased"],
            done=states["done"] + 26,
            failed=states["failed"],
            cancelled=states["cancelled"] + 9,
            seconds=9 * 60 + 12,
        )

    def snapshot(self) -> kernel_pb2.WatchResponse:
        """What a client that watches gets first."""
        return kernel_pb2.WatchResponse(
            runs=self.all_runs,
            progress=[self.progress(0.62, 0), self.progress(0.27, 1)],
            nodes=self.nodes(),
            queue=self.queue,
            snapshot=True,
        )

    def open(self, app: Any) -> None:
        """Let ``app``, which has no link of its own, have this kernel."""
        app.desk.state.connected(self, self.status())
        app.desk.state.news(self.snapshot())

    # --- what a client calls --------------------------------------------------------------------------------

    def close(self) -> None:
        """Nothing to let go of."""

    def stop(self, *, wait_for_running: bool = False) -> None:
        """Nothing to stop."""
        self.asked["stop"] += 1

    def status(self, timeout: float | None = None) -> kernel_pb2.GetStatusResponse:
        return kernel_pb2.GetStatusResponse(
            version="1.0",
            pid=4711,
            data_folder=str(self.data.root),
            address=self.info.address,
            started_at=_at(180),
            sqlite_version="3.45",
            queue=self.queue,
            nodes_online=2,
        )

    def stages(self) -> Sequence[kernel_pb2.Stage]:
        host = self._host
        return [
            views.stage(kind, host.provider("stage", kind.name).name) for kind in cards.offered(host.stages)
        ]

    def plugins(self) -> Sequence[kernel_pb2.Plugin]:
        return [views.plugin(one) for one in self._host.plugins]

    def settings(self) -> kernel_pb2.GetSettingsResponse:
        values = self.settings_now.model_dump(mode="json")
        return kernel_pb2.GetSettingsResponse(
            path=str(self.data.settings),
            settings=[
                kernel_pb2.KernelSetting(
                    name=name,
                    value_json=json.dumps(values[name]).encode(),
                    active_json=json.dumps(values[name]).encode(),
                    schema_json=json.dumps(schema_of(name)).encode(),
                    description=info.description or "",
                    restart=name in AT_START,
                )
                for name, info in Settings.model_fields.items()
            ],
        )

    def change_settings(self, values: Mapping[str, Any]) -> kernel_pb2.ChangeSettingsResponse:
        self.asked["change_settings"] += 1
        self.settings_now = self.settings_now.model_copy(update=dict(values))
        return kernel_pb2.ChangeSettingsResponse(settings=self.settings().settings)

    def _promotion(self, run: kernel_pb2.RunRequest) -> kernel_pb2.PlanSummary:
        """What sending the best images through later stages would be."""
        asked = run.promote
        found = [
            image
            for image in self.gallery.all
            if image.image_sha256 in asked.image_sha256s
            or (asked.min_rating and image.stars >= asked.min_rating and set(asked.tags) <= set(image.tags))
        ]
        return kernel_pb2.PlanSummary(
            jobs=len(found),
            line=f"{len(found)} images through {', '.join(run.only_stages)}",
            time="about 3 min on 2 nodes, from 20 images like these",
        )

    def preview(self, run: kernel_pb2.RunRequest, show: int = 0) -> Iterator[kernel_pb2.PreviewRunResponse]:
        if run.HasField("promote"):
            yield kernel_pb2.PreviewRunResponse(summary=self._promotion(run))
            return
        plan = self._planner.plan(run, dry=True)
        jobs = plan.jobs[: show or plan.count]
        yield kernel_pb2.PreviewRunResponse(
            jobs=[views.planned_job(job, "gpu-box", "has the model loaded") for job in jobs]
        )
        yield kernel_pb2.PreviewRunResponse(
            summary=kernel_pb2.PlanSummary(
                jobs=plan.count,
                line=plan.line,
                warnings=plan.warnings,
                out_dir=str(self.data.outputs),
                seconds=8.0 * plan.count,
                time=f"about {max(1, plan.count * 8 // 60)} min on 2 nodes, from 48 images like these",
            )
        )

    def submit(self, run: kernel_pb2.RunRequest) -> kernel_pb2.SubmitRunResponse:
        self.asked["submit"] += 1
        plan = self._planner.plan(run, dry=True)
        summary = kernel_pb2.PlanSummary(jobs=plan.count, line=plan.line, warnings=plan.warnings)
        return kernel_pb2.SubmitRunResponse(run_id=_id("run", 9), summary=summary)

    def replay_batch(self, request: kernel_pb2.ReplayRequest) -> kernel_pb2.ReplayResponse:
        self.asked["replay"] += 1
        summary = kernel_pb2.PlanSummary(jobs=1, line="1 image again")
        return kernel_pb2.ReplayResponse(run_id=_id("run", 9), summary=summary)

    def runs(self, limit: int = 50) -> Sequence[kernel_pb2.Run]:
        return self.all_runs[:limit]

    def jobs(
        self,
        run_id: str = "",
        states: Sequence[str] = (),
        limit: int = 100,
        offset: int = 0,
        *,
        order: str = "",
    ) -> kernel_pb2.ListJobsResponse:
        found = [
            job
            for job in self.all_jobs
            if (not states or job.state in states) and (not run_id or job.run_id == run_id)
        ]
        return kernel_pb2.ListJobsResponse(jobs=found[offset : offset + limit], total=len(found))

    def job(self, job_id: str) -> kernel_pb2.GetJobResponse:
        found = next((job for job in self.all_jobs if job.job_id.startswith(job_id)), None)
        if found is None:
            raise UserError(f"there is no job {job_id}")
        steps = [("kernel", "", "queued", "")]
        if found.state != "queued":
            steps.append(("kernel", "queued", "leased", "gpu-box has a free slot"))
        if found.state not in ("queued", "leased"):
            steps.append(("gpu-box", "leased", "running", ""))
        if found.state in ("done", "failed", "cancelled"):
            steps.append(("gpu-box", "running", found.state, found.failure.message))
        events = [
            kernel_pb2.JobEvent(at=_at(12 - n), who=who, from_state=before, to_state=after, attempt=1, why=why)
            for n, (who, before, after, why) in enumerate(steps)
        ]
        return kernel_pb2.GetJobResponse(job=found, spec_json=self.spec, events=events)

    def change_jobs(
        self, action: str, job_ids: Sequence[str] = (), **more: Any
    ) -> kernel_pb2.ChangeJobsResponse:
        self.asked[f"change_jobs {action}"] += 1
        return kernel_pb2.ChangeJobsResponse(changed=len(job_ids))

    def set_paused(self, paused: bool, reason: str = "") -> kernel_pb2.QueueSummary:
        self.asked["set_paused"] += 1
        self.paused = paused
        return self.queue

    def nodes(self) -> Sequence[kernel_pb2.Node]:
        gpus = [
            ("GPU-0", "NVIDIA GeForce RTX 4090", 24, 17.2, 0.97, 68),
            ("GPU-1", "RTX 3090", 24, 9.8, 0.41, 57),
        ]
        return [
            kernel_pb2.Node(
                node_id=_id("node", 0),
                info=link.NodeInfo(
                    name="gpu-box",
                    host_name="gpu-box.home",
                    agent_version="1.0",
                    os="Linux 6.1",
                    slots=2,
                    gpus=[
                        link.Gpu(uuid=uuid, name=name, vram_total_bytes=total * GIB)
                        for uuid, name, total, *_rest in gpus
                    ],
                    stages=[link.StageInfo(name=name, version="1.0") for name in (*STAGES, "img2img")],
                    backend=BACKEND,
                ),
                report=link.NodeReport(
                    state="ready",
                    cpu_load=0.23,
                    ram_free_bytes=41 * GIB,
                    disk_free_bytes=612 * GIB,
                    loaded_model=MODELS[0],
                    gpus=[
                        link.GpuLoad(
                            uuid=uuid,
                            vram_used_bytes=int(used * GIB),
                            utilization=load,
                            temperature_c=warm,
                            power_w=310 * load,
                        )
                        for uuid, _name, _total, used, load, warm in gpus
                    ],
                ),
                state="online",
                silent_for=0.4,
                running=[self.progress(0.62, 0), self.progress(0.27, 1)],
            ),
            kernel_pb2.Node(
                node_id=_id("node", 1),
                info=link.NodeInfo(
                    name="studio",
                    host_name="studio.home",
                    agent_version="1.0",
                    os="Windows 11",
                    slots=1,
                    loopback=True,
                    gpus=[link.Gpu(uuid="GPU-2", name="NVIDIA GeForce RTX 3060", vram_total_bytes=12 * GIB)],
                    stages=[link.StageInfo(name=name, version="1.0") for name in STAGES],
                    backend=BACKEND,
                ),
                report=link.NodeReport(
                    state="ready",
                    cpu_load=0.08,
                    ram_free_bytes=9 * GIB,
                    disk_free_bytes=88 * GIB,
                    gpus=[link.GpuLoad(uuid="GPU-2", vram_used_bytes=11 * GIB, temperature_c=49)],
                ),
                state="draining",
                silent_for=1.2,
                last_refusal=FAILURES[0][1],
            ),
            kernel_pb2.Node(
                node_id=_id("node", 2),
                info=link.NodeInfo(name="laptop", host_name="laptop.home", os="macOS 15", slots=1),
                state="offline",
                silent_for=5400,
            ),
        ]

    def drain_node(self, node: str, *, draining: bool, reason: str = "") -> kernel_pb2.Node:
        self.asked["drain_node"] += 1
        return self.nodes()[1]

    def places(self, pack: str = "", slot: str = "") -> Sequence[kernel_pb2.Place]:
        return [
            kernel_pb2.Place(
                pack="landscapes", slot="time", mode="rotate", state="next is 2 of 3", changed_at=_at(12)
            )
        ]

    def reset_places(self, pack: str = "", slot: str = "") -> int:
        self.asked["reset_places"] += 1
        return 1

    def rate(self, image_sha256: str, stars: int, tags: Sequence[str] = (), file_name: str = "") -> bool:
        self.asked["rate"] += 1
        return self.gallery.rate(image_sha256, stars, tags)


PROMPTS = (
    "a dawn over rolling hills, mist, painterly, <lora:watercolour:0.7>",
    "a lonely lighthouse by the sea, dusk, long exposure",
    "mountain lake at noon, snowcapped peaks, reflection, crisp and quiet",
    "a lonely chapel by the sea, dawn, long exposure",
    "a dusk over terraced hills, thunderclouds, painterly, <lora:watercolour:0.7>",
)
SETTINGS: Mapping[str, Any] = {
    "txt2img": {
        "width": 1024,
        "height": 768,
        "steps": 30,
        "cfg_scale": 6.5,
        "sampler_name": "DPM++ 2M",
        "scheduler": "Karras",
    },
    "upscale": {"upscaler": "4x-UltraSharp", "factor": 2.0},
}
BACKEND = link.BackendInfo(
    name="Forge",
    version="f2.0.1v1.10.1-previous-636-gb835f24a",
    note="at http://127.0.0.1:7860",
    models=MODELS,
    vaes=["sdxl_vae"],
    samplers=["Euler", "Euler a", "DPM++ 2M", "DPM++ SDE"],
    schedulers=["Automatic", "Karras", "Exponential"],
    upscalers=["4x-UltraSharp", "R-ESRGAN 4x+", "Lanczos"],
    hires_upscalers=["Latent", "4x-UltraSharp"],
    loras=["watercolour", "film_grain"],
    embeddings=["easynegative"],
    detectors=["face_yolov8n.pt", "hand_yolov8n.pt"],
)


def _at(minutes: float) -> str:
    """So many minutes ago, as the kernel writes it."""
    return (NOW - timedelta(minutes=minutes)).isoformat(timespec="seconds")


def _id(kind: str, number: int) -> str:
    digest = hashlib.sha256(f"{kind} {number}".encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-7{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
