"""A server with the A1111 API on a real socket, that draws gradients: for tests, benchmarks and people.

It behaves as A1111 1.10, Forge and SD.Next are documented and were seen to behave, silent fallbacks included,
and has a switch for each trap (:data:`TRAPS`). Its pictures follow the settings: another seed, prompt,
checkpoint or sampler is another picture. It is no AI model.

From the root of a clone::

    python -m tests.support.fake_webui --port 7860 --seconds 3 --trap grid_first

In a test::

    with FakeWebUI(FakeSettings(flavour="forge")) as fake:
        backend = WebUIBackend(WebUIConfig(url=fake.url))
        fake.traps.add("oom")
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import io
import json
import re
import signal
import socket
import ssl
import struct
import sys
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from PIL import Image, ImageDraw, ImageOps
from PIL.PngImagePlugin import PngInfo


class Trap(NamedTuple):
    """A way in which a server fools its client."""

    number: int
    """In the list of traps of the design; 0: a fault that any server may have."""
    text: str
    usual: bool = False
    """Real servers do this; it is on unless switched off."""


TRAPS: Mapping[str, Trap] = {
    "silent_model": Trap(1, "an unknown checkpoint is dropped; the loaded one draws", usual=True),
    "stuck_model": Trap(1, "a known checkpoint is not loaded either"),
    "options_not_applied": Trap(2, "POST /options says 200 and changes nothing"),
    "progress_wrong": Trap(3, "the global progress shows another job: 0.99, then 0.01"),
    "progress_stays": Trap(
        4, "after an exception /internal/progress goes on saying that the job is active", usual=True
    ),
    "internal_open": Trap(5, "/internal/* wants no password", usual=True),
    "partial_200": Trap(6, "an interrupted job answers 200 with a half-made picture", usual=True),
    "grid_first": Trap(8, "a grid comes first"),
    "silent_sampler": Trap(9, "an unknown sampler becomes DPM++ 2M, with 200", usual=True),
    "stuck_sampler": Trap(9, "the sampler is always Euler a"),
    "silent_script": Trap(9, "an unknown always-on script is stripped"),
    "eta_nonsense": Trap(10, "the time left is thousands of per cent wrong"),
    "lost_image": Trap(11, "an exception after the work: 500, the image is gone"),
    "windows_paths": Trap(19, "checkpoints stand in folders, with backslashes"),
    "wrong_infotext": Trap(21, "the first infotext is that of another image"),
    "reroll_detail": Trap(22, "a wildcard is resolved anew for ADetailer when its prompt is empty"),
    "drop_unit": Trap(
        23, "an ADetailer unit with an unknown key or bad value is dropped, with 200", usual=True
    ),
    "detailer_crash": Trap(23, "ADetailer throws; it is logged, and the reply is 200"),
    "hang": Trap(0, "generating calls never answer"),
    "hang_all": Trap(0, "no call is answered"),
    "truncated": Trap(0, "the reply ends in the middle"),
    "slow_loris": Trap(0, "the reply comes a byte at a time, for ever"),
    "slow_lists": Trap(0, "lists come a byte at a time, for ever"),
    "html": Trap(0, "200 with a web page"),
    "huge": Trap(0, "the reply has 100 MB"),
    "endless": Trap(0, "the reply never ends, at full speed"),
    "not_an_image": Trap(0, "the image is text"),
    "not_base64": Trap(0, "the image is no base64"),
    "broken_image": Trap(0, "the image is half a PNG"),
    "wrong_size": Trap(0, "the image is 8 pixels narrower, while info says otherwise"),
    "two_images": Trap(0, "two images for one"),
    "no_images": Trap(0, "200 without an image"),
    "wrong_seed": Trap(0, "another seed was used"),
    "wrong_steps": Trap(0, "other steps were used"),
    "stuck_vae": Trap(0, "the VAE is not loaded"),
    "lora_fails": Trap(0, "a LoRA cannot be loaded; the picture is made without it"),
    "no_info": Trap(0, "info is empty"),
    "oom": Trap(0, "out of memory, 500"),
    "oom_200": Trap(0, "out of memory, 200 without an image"),
    "oom_silent": Trap(0, "out of memory, 200 without an image or a word; /memory counts it"),
    "crash": Trap(0, "the connection is closed without a reply"),
    "unavailable": Trap(0, "503"),
    "redirect": Trap(0, "302 to another host"),
    "extra_fields": Trap(0, "every answer has fields that nobody knows"),
    "null_lists": Trap(0, "lists are null"),
    "odd_lists": Trap(0, "lists are objects, or lists of numbers"),
    "still_starting": Trap(0, "the API answers 404, as while A1111 starts"),
    "global_is_missing": Trap(0, "/sdapi/v1/progress is 404"),
    "no_ids": Trap(0, "force_task_id is ignored, as by SD.Next"),
}
"""Every switch."""

OOM_TEXTS = {
    "a1111": (
        "OutOfMemoryError",
        "CUDA out of memory. Tried to allocate 1024.00 MiB. GPU 0 has a total capacity of 7.78 GiB "
        "of which 512.00 MiB is free.",
    ),
    "forge": (
        "OutOfMemoryError",
        "CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has 8 GiB",
    ),
    "sdnext": (
        "RuntimeError",
        "HIP out of memory. Tried to allocate 20.00 MiB (GPU 0; 11.98 GiB total capacity)",
    ),
}

MODELS = ("v1-5-pruned-emaonly.safetensors", "SDXL/juggernautXL_v9.safetensors", "anime/counterfeit.ckpt")
VAES = ("vae-ft-mse-840000.safetensors", "sdxl_vae.safetensors")
ENCODERS = ("clip_l.safetensors",)
SAMPLERS = {
    "DPM++ 2M": ["k_dpmpp_2m"],
    "DPM++ SDE": ["k_dpmpp_sde"],
    "Euler a": ["k_euler_a", "k_euler_ancestral"],
    "Euler": ["k_euler"],
    "DDIM": ["ddim"],
    "UniPC": ["unipc"],
}
SCHEDULERS = {
    "automatic": "Automatic",
    "karras": "Karras",
    "exponential": "Exponential",
    "sgm_uniform": "SGM Uniform",
}
UPSCALERS = ("None", "Lanczos", "Nearest", "ESRGAN_4x", "R-ESRGAN 4x+")
LATENT = ("Latent", "Latent (antialiased)", "Latent (nearest)", "Latent (nearest-exact)")
LORAS = ("add_detail", "my__lora__v1", "film-grain")
EMBEDDINGS = {"loaded": ("easynegative",), "skipped": ("xl-negative",)}
HYPERNETWORKS = ("watercolour",)
STYLES = {"cinematic": ("{prompt}, cinematic light", "flat"), "ink": ("ink drawing of {prompt}", "")}
RESTORERS = ("CodeFormer", "GFPGAN")
DETECTORS = ("face_yolov8n.pt", "face_yolov8s.pt", "hand_yolov8n.pt", "mediapipe_face_full")

UNIT_DEFAULTS: Mapping[str, Any] = {
    "ad_model": "None",
    "ad_model_classes": "",
    "ad_tab_enable": True,
    "ad_prompt": "",
    "ad_negative_prompt": "",
    "ad_confidence": 0.3,
    "ad_mask_filter_method": "Area",
    "ad_mask_k": 0,
    "ad_mask_min_ratio": 0.0,
    "ad_mask_max_ratio": 1.0,
    "ad_dilate_erode": 4,
    "ad_x_offset": 0,
    "ad_y_offset": 0,
    "ad_mask_merge_invert": "None",
    "ad_mask_blur": 4,
    "ad_denoising_strength": 0.4,
    "ad_inpaint_only_masked": True,
    "ad_inpaint_only_masked_padding": 32,
    "ad_use_inpaint_width_height": False,
    "ad_inpaint_width": 512,
    "ad_inpaint_height": 512,
    "ad_use_steps": False,
    "ad_steps": 28,
    "ad_use_cfg_scale": False,
    "ad_cfg_scale": 7.0,
    "ad_use_checkpoint": False,
    "ad_checkpoint": None,
    "ad_use_vae": False,
    "ad_vae": None,
    "ad_use_sampler": False,
    "ad_sampler": "DPM++ 2M Karras",
    "ad_scheduler": "Use same scheduler",
    "ad_use_noise_multiplier": False,
    "ad_noise_multiplier": 1.0,
    "ad_use_clip_skip": False,
    "ad_clip_skip": 1,
    "ad_restore_face": False,
}
"""Keys of a unit. Others make ADetailer drop it."""

_UNIT_RANGES = {
    "ad_confidence": (0, 1),
    "ad_mask_min_ratio": (0, 1),
    "ad_mask_max_ratio": (0, 1),
    "ad_denoising_strength": (0, 1),
    "ad_mask_k": (0, 10**9),
    "ad_mask_blur": (0, 10**9),
    "ad_inpaint_only_masked_padding": (0, 10**9),
    "ad_steps": (1, 10**9),
    "ad_cfg_scale": (0, 10**9),
}

TXT2IMG_FIELDS = (
    "prompt", "negative_prompt", "styles", "seed", "subseed", "subseed_strength", "seed_resize_from_h",
    "seed_resize_from_w", "sampler_name", "scheduler", "batch_size", "n_iter", "steps", "cfg_scale",
    "width", "height", "restore_faces", "tiling", "do_not_save_samples", "do_not_save_grid", "eta",
    "denoising_strength", "s_min_uncond", "s_churn", "s_tmax", "s_tmin", "s_noise", "override_settings",
    "override_settings_restore_afterwards", "refiner_checkpoint", "refiner_switch_at",
    "disable_extra_networks", "enable_hr", "firstphase_width", "firstphase_height", "hr_scale",
    "hr_upscaler", "hr_second_pass_steps", "hr_resize_x", "hr_resize_y", "hr_checkpoint_name",
    "hr_sampler_name", "hr_scheduler", "hr_prompt", "hr_negative_prompt", "force_task_id", "infotext",
    "script_name", "script_args", "send_images", "save_images", "alwayson_scripts",
)  # fmt: skip


def model_sha256(name: str) -> str:
    """Stands for the hash of a checkpoint's file."""
    return hashlib.sha256(f"fake {name}".encode()).hexdigest()


@dataclass(slots=True)
class FakeSettings:
    """What the server is like."""

    flavour: str = "a1111"
    """a1111, forge or sdnext."""
    port: int = 0
    auth: str = ""
    """USER:PASSWORD of --api-auth."""
    seconds: float = 0.0
    """For an image."""
    reply_bytes: int = 0
    """Above 0: every image is a PNG of about so many bytes, noise that differs from seed to seed in its first
    row and is encoded once: cheap to serve. For benchmarks."""
    reply_size: tuple[int, int] = (1024, 1024)
    """Its size in pixels, whatever is asked for."""
    traps: frozenset[str] | None = None
    """None: the usual ones of the flavour."""
    also: tuple[str, ...] = ()
    """Traps besides those."""
    without: tuple[str, ...] = ()
    """Traps that are off."""
    missing: tuple[str, ...] = ()
    """Paths that are 404, without a query."""
    models: tuple[str, ...] = MODELS
    detailer: bool = True
    """Whether ADetailer is installed."""
    certificate: str = ""
    """PEM file with key and certificate: speak TLS."""


@dataclass(slots=True)
class Job:
    """A generating call that was carried out."""

    id: str
    kind: str
    body: Mapping[str, Any]
    arrived: float
    """Monotonic, as all times here; when the first bytes of the request were there."""
    begun: float
    ended: float = 0.0
    answered: float = 0.0
    """After the last byte of the reply was handed to the system."""
    interrupted: bool = False


class Seen(NamedTuple):
    """A request."""

    method: str
    path: str
    body: Any
    at: float
    headers: Mapping[str, str]


class ApiError(Exception):
    """An error answer."""

    def __init__(self, status: int, error: str, detail: str = "", errors: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error, "detail": detail, "body": "", "errors": errors}


@dataclass(slots=True)
class State:
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


class FakeWebUI:
    """The server. A context manager; :attr:`traps` may change while it runs."""

    def __init__(self, settings: FakeSettings | None = None) -> None:
        self.settings = settings or FakeSettings()
        flavour = self.settings.flavour
        if flavour not in OOM_TEXTS:
            raise ValueError(f"flavour {flavour!r}: a1111, forge or sdnext")
        usual = {name for name, trap in TRAPS.items() if trap.usual}
        if flavour == "sdnext":
            usual = usual - {"silent_sampler"} | {"no_ids"}
        chosen = usual if self.settings.traps is None else set(self.settings.traps)
        self.traps: set[str] = (chosen | set(self.settings.also)) - set(self.settings.without)
        if unknown := self.traps - TRAPS.keys():
            raise ValueError(f"no such trap: {', '.join(sorted(unknown))}")
        self.missing: set[str] = set(self.settings.missing)
        self.seen: list[Seen] = []
        self.jobs: list[Job] = []
        self.state = State()
        self.options: dict[str, Any] = {
            "sd_model_checkpoint": self.title(self.settings.models[0]) if self.settings.models else None,
            "sd_vae": "Automatic",
            "CLIP_stop_at_last_layers": 1,
            "samples_format": "png",
            "face_restoration_model": "CodeFormer",
            "ESRGAN_tile": 192,
        }
        if flavour == "forge":
            del self.options["sd_vae"]
            self.options["forge_additional_modules"] = []
        self.loaded = self.settings.models[0] if self.settings.models else ""
        self.unloaded = False
        self.oom_count = 0
        self.console: list[str] = []
        """What the server would print."""
        self.release = threading.Event()
        """Ends every hang."""
        self.queue_lock = threading.Lock()
        self.current: str | None = None
        self.pending: OrderedDict[str, float] = OrderedDict()
        self.finished: list[str] = []
        self._stop_step = threading.Event()
        size = self.settings.reply_bytes
        self._premade = Premade(size, self.settings.reply_size) if size else None
        self._http = _HttpServer(("127.0.0.1", self.settings.port), _Handler)
        self._http.fake = self
        if self.settings.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.settings.certificate)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._thread: threading.Thread | None = None

    # --- life -----------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        """Its address."""
        return f"http{'s' if self.settings.certificate else ''}://127.0.0.1:{self.port}"

    def start(self) -> FakeWebUI:
        """Serve in a thread."""
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.02,), name="fake-webui", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """End it, and every connection."""
        self.release.set()
        self._stop_step.set()
        self._http.shutdown()
        self._http.server_close()
        self._http.drop_connections()
        if self._thread is not None:
            self._thread.join(5)

    def serve_forever(self) -> None:
        """Serve in this thread, until interrupted."""
        self._http.serve_forever(0.2)

    def __enter__(self) -> FakeWebUI:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    # --- for tests ------------------------------------------------------------------------------------------

    def calls(self, path: str) -> list[Seen]:
        """Requests to ``path`` (without query), in order."""
        return [seen for seen in list(self.seen) if seen.path.partition("?")[0] == path]

    def last_body(self, path: str) -> dict[str, Any]:
        """Body of the last POST to ``path``."""
        body = self.calls(path)[-1].body
        assert isinstance(body, dict)
        return body

    def gaps(self) -> list[float]:
        """Seconds that the device was idle between each job and the next one."""
        jobs = list(self.jobs)
        return [after.begun - before.ended for before, after in pairwise(jobs)]

    def _told(self) -> dict[str, Any]:
        """For who is in another process: the times of each job, and how often progress was asked for."""
        times = ("arrived", "begun", "ended", "answered")
        questions = ("/internal/progress", "/sdapi/v1/progress")
        return {
            "jobs": [{name: getattr(job, name) for name in times} for job in list(self.jobs)],
            "questions": sum(len(self.calls(path)) for path in questions),
        }

    def hurry(self) -> None:
        """Let the job that runs go on without pauses."""
        self._stop_step.set()

    def is_running(self) -> bool:
        """Whether a job is being carried out."""
        return self.state.job_count > 0

    def wait_until_running(self, seconds: float = 30.0) -> None:
        """Until a job is being carried out."""
        deadline = time.monotonic() + seconds
        while not self.is_running():
            if time.monotonic() > deadline:
                raise TimeoutError("no job has begun")
            time.sleep(0.002)

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

    # --- routes ---------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, query: Mapping[str, list[str]], body: Any) -> Any:
        """The answer to a request that generates nothing. Raises :class:`ApiError`."""
        if path in self.missing or ("still_starting" in self.traps and path != "/internal/ping"):
            raise _not_found()
        route = self._routes().get((method, path))
        if route is None:
            raise _not_found()
        value = route(query, body)
        if isinstance(value, list) and path.startswith("/sdapi"):
            if "null_lists" in self.traps:
                return None
            if "odd_lists" in self.traps:
                return [1, 2, 3] if len(path) % 2 else {"items": value}
        if "extra_fields" in self.traps:
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict):
                    item["nobody_knows"] = {"nested": [1, None]}
        return value

    def _routes(self) -> dict[tuple[str, str], Any]:
        flavour = self.settings.flavour
        routes: dict[tuple[str, str], Any] = {
            ("GET", "/sdapi/v1/options"): lambda q, b: dict(self.options),
            ("POST", "/sdapi/v1/options"): lambda q, b: self._set_options(b),
            ("GET", "/sdapi/v1/cmd-flags"): lambda q, b: {"api": True, "api_auth": self.settings.auth or None},
            ("GET", "/sdapi/v1/samplers"): lambda q, b: [
                {"name": name, "aliases": aliases, "options": {}} for name, aliases in SAMPLERS.items()
            ],
            ("GET", "/sdapi/v1/upscalers"): lambda q, b: [
                {"name": name, "model_name": None, "model_path": None, "model_url": None, "scale": 4.0}
                for name in UPSCALERS
            ],
            ("GET", "/sdapi/v1/latent-upscale-modes"): lambda q, b: [{"name": name} for name in LATENT],
            ("GET", "/sdapi/v1/sd-models"): lambda q, b: [
                self._model_item(model) for model in self.settings.models
            ],
            ("GET", "/sdapi/v1/loras"): lambda q, b: [
                {
                    "name": name,
                    "alias": name,
                    "path": f"/models/Lora/{name}.safetensors",
                    "metadata": {"ss_steps": "9"},
                }
                for name in LORAS
            ],
            ("GET", "/sdapi/v1/embeddings"): lambda q, b: self._embeddings(),
            ("GET", "/sdapi/v1/hypernetworks"): lambda q, b: [
                {"name": name, "path": f"/models/{name}.pt"} for name in HYPERNETWORKS
            ],
            ("GET", "/sdapi/v1/face-restorers"): lambda q, b: [
                {"name": name, "cmd_dir": None} for name in RESTORERS
            ],
            ("GET", "/sdapi/v1/prompt-styles"): lambda q, b: [
                {"name": name, "prompt": text, "negative_prompt": negative}
                for name, (text, negative) in STYLES.items()
            ],
            ("GET", "/sdapi/v1/scripts"): lambda q, b: self._scripts(),
            ("GET", "/sdapi/v1/script-info"): lambda q, b: self._script_info(),
            ("GET", "/sdapi/v1/memory"): lambda q, b: self._memory(),
            ("GET", "/sdapi/v1/progress"): lambda q, b: self._progress(q),
            ("POST", "/sdapi/v1/interrupt"): lambda q, b: self.interrupt(),
            ("POST", "/sdapi/v1/skip"): lambda q, b: self._skip(),
            ("POST", "/sdapi/v1/unload-checkpoint"): lambda q, b: self._set_unloaded(True),
            ("POST", "/sdapi/v1/reload-checkpoint"): lambda q, b: self._set_unloaded(False),
            ("POST", "/sdapi/v1/refresh-checkpoints"): lambda q, b: None,
            ("POST", "/sdapi/v1/refresh-loras"): lambda q, b: None,
            ("POST", "/internal/progress"): lambda q, b: self._internal_progress(b),
            ("GET", "/internal/pending-tasks"): lambda q, b: {
                "size": len(self.pending),
                "tasks": list(self.pending),
            },
            ("GET", "/internal/ping"): lambda q, b: {},
            ("GET", "/fake/seen"): lambda q, b: self._told(),
            ("GET", "/openapi.json"): lambda q, b: _openapi(),
        }
        if flavour == "forge":
            routes["GET", "/sdapi/v1/sd-modules"] = lambda q, b: [
                *({"model_name": name, "filename": f"/models/VAE/{name}"} for name in VAES),
                *({"model_name": name, "filename": f"/models/text_encoder/{name}"} for name in ENCODERS),
            ]
        else:
            routes["GET", "/sdapi/v1/sd-vae"] = lambda q, b: [
                {"model_name": name, "filename": f"/models/VAE/{name}"} for name in VAES
            ]
        if flavour == "sdnext":
            routes["GET", "/sdapi/v1/version"] = lambda q, b: {
                "app": "sd.next",
                "updated": "2025-02-18",
                "hash": "abcd1234",
                "url": "https://github.com/vladmandic/sdnext/tree/master",
            }
            del routes["GET", "/openapi.json"], routes["GET", "/sdapi/v1/latent-upscale-modes"]
        else:
            version = "v1.10.1" if flavour == "a1111" else "f2.0.1v1.10.1-previous-636-gb835f24a"
            routes["GET", "/internal/sysinfo"] = lambda q, b: {"Platform": "Linux", "Version": version}
            routes["GET", "/sdapi/v1/schedulers"] = lambda q, b: [
                {"name": name, "label": label, "aliases": None, "default_rho": -1, "need_inner_model": False}
                for name, label in SCHEDULERS.items()
            ]
        if self.settings.detailer:
            routes["GET", "/adetailer/v1/version"] = lambda q, b: {"version": "24.11.1"}
            routes["GET", "/adetailer/v1/ad_model"] = lambda q, b: {"ad_model": list(DETECTORS)}
            routes["GET", "/adetailer/v1/schema"] = lambda q, b: {
                "title": "ADetailerArgs",
                "type": "object",
                "properties": {key: {"default": value} for key, value in UNIT_DEFAULTS.items()},
                "additionalProperties": False,
            }
        return routes

    def _model_item(self, model: str) -> dict[str, Any]:
        sha = model_sha256(model)
        path = self.path_of(model)
        folder = "C:\\sd\\models\\" if "windows_paths" in self.traps else "/sd/models/"
        return {
            "title": self.title(model),
            "model_name": path.rpartition(".")[0].replace("/", "_").replace("\\", "_"),
            "hash": sha[:10],
            "sha256": sha,
            "filename": folder + path,
            "config": None,
        }

    def _embeddings(self) -> Any:
        if self.settings.flavour == "sdnext":
            return {key: list(names) for key, names in EMBEDDINGS.items()}
        item = {"step": 1, "sd_checkpoint": None, "sd_checkpoint_name": None, "shape": 768, "vectors": 8}
        return {key: {name: dict(item) for name in names} for key, names in EMBEDDINGS.items()}

    def _scripts(self) -> Any:
        names = ["prompt matrix", "x/y/z plot", *(["adetailer"] if self.settings.detailer else [])]
        return {"txt2img": names, "img2img": [*names, "sd upscale"]}

    def _script_info(self) -> Any:
        found: list[dict[str, Any]] = [
            {"name": "x/y/z plot", "is_alwayson": False, "is_img2img": False, "args": []},
        ]
        if self.settings.detailer:
            flag = {
                "label": "Enable ADetailer",
                "value": False,
                "minimum": None,
                "maximum": None,
                "choices": None,
            }
            state = {
                "label": "",
                "value": dict(UNIT_DEFAULTS),
                "minimum": None,
                "maximum": None,
                "choices": None,
            }
            args = [flag, {**flag, "label": "Skip img2img"}, state, state]
            found.append({"name": "adetailer", "is_alwayson": True, "is_img2img": True, "args": args})
        return found

    def _set_options(self, body: Any) -> Any:
        if "options_not_applied" in self.traps:
            return None
        for key, value in (body or {}).items():
            if key == "sd_model_checkpoint":
                if (model := self.find_model(value)) is None:
                    raise ApiError(500, "RuntimeError", errors=f"model {value!r} not found")
                self.loaded = model
            self.options[key] = value
        return None if self.settings.flavour == "a1111" else {}

    def _set_unloaded(self, value: bool) -> Any:
        self.unloaded = value
        return {}

    def _memory(self) -> Any:
        gib = 1024**3
        return {
            "ram": {"free": 8.0 * gib, "used": 4.0 * gib, "total": 12.0 * gib},
            "cuda": {
                "system": {"free": 2 * gib, "used": 6 * gib, "total": 8 * gib},
                "allocated": {"current": gib, "peak": 5 * gib},
                "events": {"retries": 0, "oom": self.oom_count},
            },
        }

    # --- progress, interrupt --------------------------------------------------------------------------------

    def _fraction(self) -> float:
        state = self.state
        if not state.job_count:
            return 0.0
        done = state.sampling_step / state.sampling_steps if state.sampling_steps else 0.0
        return min(1.0, (state.job_no + done) / state.job_count)

    def _progress(self, query: Mapping[str, list[str]]) -> Any:
        if "global_is_missing" in self.traps:
            raise _not_found()
        state = self.state
        facts = {
            "skipped": state.skipped,
            "interrupted": state.interrupted,
            "stopping_generation": False,
            "job": state.job,
            "job_count": state.job_count,
            "job_timestamp": "20260101000000",
            "job_no": state.job_no,
            "sampling_step": state.sampling_step,
            "sampling_steps": state.sampling_steps,
        }
        if not state.job_count:
            return {
                "progress": 0.0,
                "eta_relative": 0.0,
                "state": facts,
                "current_image": None,
                "textinfo": None,
            }
        progress = min(1.0, 0.01 + self._fraction())
        if "progress_wrong" in self.traps:
            progress = 0.99 if state.sampling_step < state.sampling_steps / 2 else 0.01
        spent = time.monotonic() - state.begun
        eta = spent / progress - spent
        if "eta_nonsense" in self.traps:
            eta = -77_000.0 if state.sampling_step % 2 else 9e9
        wants = query.get("skip_current_image", ["false"])[0].lower() not in ("true", "1")
        image = state.preview if wants and state.preview else None
        return {
            "progress": progress,
            "eta_relative": eta,
            "state": facts,
            "current_image": image,
            "textinfo": None,
        }

    def _internal_progress(self, body: Any) -> Any:
        task = (body or {}).get("id_task")
        active, queued, done = task == self.current, task in self.pending, task in self.finished
        answer: dict[str, Any] = {"active": active, "queued": queued, "completed": done, "id_live_preview": -1}
        if not active:
            return {**answer, "progress": None, "eta": None, "live_preview": None, "textinfo": "Waiting..."}
        answer.update(progress=self._fraction(), eta=1.0, live_preview=None, textinfo=None)
        answer["id_live_preview"] = body.get("id_live_preview", -1)
        if body.get("live_preview", True) and self.state.preview_id != body.get("id_live_preview", -1):
            answer["live_preview"] = (
                f"data:image/png;base64,{self.state.preview}" if self.state.preview else None
            )
            answer["id_live_preview"] = self.state.preview_id
        return answer

    def interrupt(self) -> Any:
        """Stop whatever runs, as a click on Interrupt does."""
        self.state.interrupted = True
        self._stop_step.set()
        return {}

    def _skip(self) -> Any:
        self.state.skipped = True
        return {}

    # --- generating -----------------------------------------------------------------------------------------

    def generate(
        self, kind: str, body: Mapping[str, Any], arrived: float | None = None
    ) -> tuple[dict[str, Any], Job]:
        """Carry out a generating call, in turn. Raises :class:`ApiError`."""
        arrived = time.monotonic() if arrived is None else arrived
        if f"/sdapi/v1/{kind}" in self.missing or "still_starting" in self.traps:
            raise _not_found()
        if kind == "img2img" and not body.get("init_images"):
            raise ApiError(404, "HTTPException", "Init image not found")
        if kind != "extra-single-image":
            self._check_scripts(body)
            if self.settings.flavour != "a1111" or "silent_sampler" not in self.traps:
                self._check_sampler(body)
        named = (
            ""
            if kind == "extra-single-image" or "no_ids" in self.traps
            else str(body.get("force_task_id") or "")
        )
        task = named or f"task({kind}-{len(self.jobs)})"
        if kind != "extra-single-image":
            self.pending[task] = time.monotonic()
        with self.queue_lock:
            job = Job(task, kind, body, arrived, time.monotonic())
            self.jobs.append(job)
            self.pending.pop(task, None)
            self._stop_step.clear()
            if "hang" in self.traps or "hang_all" in self.traps:
                self.state = State(job=kind, job_count=1, sampling_steps=1, begun=time.monotonic())
                self.current = task
                self.release.wait()
            self.current = task if kind != "extra-single-image" else self.current
            try:
                answer = self._carry_out(kind, body, job)
            except ApiError:
                if "progress_stays" not in self.traps:
                    self.current = None
                raise
            finally:
                job.ended = time.monotonic()
                self.state.job, self.state.job_count, self.state.sampling_step = "", 0, 0
            if kind != "extra-single-image":
                self.current = None
                self.finished = [*self.finished, task][-16:]
        return answer, job

    def _check_sampler(self, body: Mapping[str, Any]) -> None:
        name = body.get("sampler_name") or "Euler"
        if name not in SAMPLERS and not any(name in aliases for aliases in SAMPLERS.values()):
            raise ApiError(
                400 if self.settings.flavour == "forge" else 404, "HTTPException", "Sampler not found"
            )

    def _check_scripts(self, body: Mapping[str, Any]) -> None:
        known = {name.lower() for names in self._scripts().values() for name in names}
        for name in body.get("alwayson_scripts") or {}:
            if name.lower() not in known and "silent_script" not in self.traps:
                raise ApiError(422, "HTTPException", f"always on script {name} not found")
        script = body.get("script_name")
        if script and script.lower() not in known:
            raise ApiError(422, "HTTPException", f"Script '{script}' not found")

    def _carry_out(self, kind: str, body: Mapping[str, Any], job: Job) -> dict[str, Any]:
        steps = max(1, int(body.get("steps") or 20))
        passes = 2 if body.get("enable_hr") else 1
        self.state = State(
            job=f"scripts_{kind}", job_count=passes, sampling_steps=steps, begun=time.monotonic()
        )
        if self.unloaded and self.settings.flavour == "a1111":
            raise ApiError(500, "RuntimeError", errors="Expected all tensors to be on the same device")
        if "oom" in self.traps:
            self.oom_count += 1
            error, text = OOM_TEXTS[self.settings.flavour]
            raise ApiError(500, error, errors=text)
        if kind == "extra-single-image":
            self._wait(self.settings.seconds)
            return self._upscale(body)
        if int(body.get("steps", 20)) < 1 or int(body.get("width") or 512) < 1:
            raise ApiError(500, "ValueError", errors="height and width must be > 0")
        picture = Drawing(self, kind, body)
        self._sample(picture, steps, passes, job)
        if "lost_image" in self.traps:
            raise ApiError(500, "TypeError", errors="'NoneType' object is not iterable")
        if "oom_200" in self.traps:
            self.oom_count += 1
            return {"images": [], "parameters": {}, "info": json.dumps({"comments": OOM_TEXTS["sdnext"][1]})}
        if "oom_silent" in self.traps:
            self.oom_count += 1
            return {"images": [], "parameters": {}, "info": ""}
        if job.interrupted and "partial_200" not in self.traps:
            raise ApiError(500, "Interrupted", "interrupted")
        return self._reply(picture, job)

    def _sample(self, picture: Drawing, steps: int, passes: int, job: Job) -> None:
        pause = self.settings.seconds / (steps * passes)
        # Not more than 50 times a second: a benchmark measures the client, not this.
        stride = max(1, int(0.02 / pause)) if pause else steps
        for number in range(passes):
            self.state.job_no, self.state.sampling_step = number, 0
            for step in range(stride, steps + stride, stride):
                done = min(step, steps)
                if pause:
                    self._wait(pause * (done - self.state.sampling_step))
                if self.state.interrupted:
                    job.interrupted = True
                    picture.done = (number + self.state.sampling_step / steps) / passes
                    return
                self.state.sampling_step = done
                if pause and not self._premade:
                    self.state.preview = picture.preview(done / steps)
                    self.state.preview_id += 1

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self._stop_step.wait(seconds)

    def _reply(self, picture: Drawing, job: Job) -> dict[str, Any]:
        if self._premade:
            pieces = self._premade.base64(picture.seed)
            return {"premade": pieces, "info": json.dumps(picture.info(picture.infotext()))}
        text = picture.infotext()
        image = picture.draw()
        info = picture.info(text)
        encoded = _encode(image, text)
        images = [encoded]
        if "wrong_size" in self.traps:
            images = [_encode(image.resize((max(1, image.width - 8), image.height)), text)]
        elif "not_an_image" in self.traps:
            images = [base64.b64encode(b"<svg>no image at all</svg>").decode()]
        elif "not_base64" in self.traps:
            images = ["!!! no base64 !!!"]
        elif "broken_image" in self.traps:
            images = [base64.b64encode(base64.b64decode(encoded)[: len(encoded) // 3]).decode()]
        elif "no_images" in self.traps:
            images = []
        elif "two_images" in self.traps:
            images = [encoded, encoded]
        if "huge" in self.traps:
            return {"premade": [_encode(image, text, padding=75_000_000).encode()], "info": json.dumps(info)}
        if "grid_first" in self.traps:
            other = picture.infotext(seed=picture.seed + 1)
            images = [_encode(ImageOps.contain(image, (32, 32)), other), *images]
            info.update(index_of_first_image=1, infotexts=[other, text])
        if "wrong_infotext" in self.traps:
            info["infotexts"] = [picture.infotext(seed=picture.seed + 1), *info["infotexts"][1:]]
        parameters = {key: value for key, value in picture.body.items() if key not in ("init_images", "mask")}
        return {
            "images": images,
            # An echo of what was asked, whatever was done.
            "parameters": {**parameters, "init_images": None, "mask": None},
            "info": "" if "no_info" in self.traps else json.dumps(info),
        }

    def _upscale(self, body: Mapping[str, Any]) -> dict[str, Any]:
        image = _decode(body.get("image"))
        scale = float(body.get("upscaling_resize", 2))
        size = (int(image.width * scale) // 8 * 8, int(image.height * scale) // 8 * 8)
        name = body.get("upscaler_1", "None")
        if name not in UPSCALERS:
            # A1111: "could not find upscaler named X, using None as fallback"
            self.console.append(f"could not find upscaler named {name}")
            name = "None"
        method = Image.Resampling.NEAREST if name == "Nearest" else Image.Resampling.LANCZOS
        made = image.resize((max(8, size[0]), max(8, size[1])), method)
        if body.get("gfpgan_visibility") or body.get("codeformer_visibility"):
            made = ImageOps.autocontrast(made)
        if "wrong_size" in self.traps:
            made = made.resize((made.width // 2, made.height // 2))
        encoded = base64.b64encode(b"no image").decode() if "not_an_image" in self.traps else _encode(made, "")
        return {"html_info": "<div></div>", "image": "" if "no_images" in self.traps else encoded}


class Drawing:
    """A picture of a txt2img or img2img request, and what the server says about it."""

    def __init__(self, fake: FakeWebUI, kind: str, body: Mapping[str, Any]) -> None:
        self.fake, self.kind, self.body = fake, kind, body
        self.done = 1.0
        overrides = dict(body.get("override_settings") or {})
        self.options = {**fake.options, **overrides}
        self.model = self._load(overrides.get("sd_model_checkpoint"))
        seed = int(body.get("seed", -1))
        self.seed = (seed if seed >= 0 else 4242) + ("wrong_seed" in fake.traps)
        self.steps = int(body.get("steps", 20)) + ("wrong_steps" in fake.traps)
        self.cfg = float(body.get("cfg_scale", 7))
        self.sampler, self.scheduler = self._sampler()
        self.clip_skip = int(
            body.get("clip_skip", 1)
            if fake.settings.flavour == "sdnext"
            else self.options.get("CLIP_stop_at_last_layers", 1)
        )
        # A1111 rounds down, and its infotext does not.
        self.asked = (int(body.get("width") or 512), int(body.get("height") or 512))
        self.size = (max(8, self.asked[0] // 8 * 8), max(8, self.asked[1] // 8 * 8))
        self.prompt, self.negative = self._styled()
        self.units = self._units()

    def _load(self, name: object) -> str:
        fake = self.fake
        if name is None or "stuck_model" in fake.traps:
            return fake.loaded
        found = fake.find_model(name)
        if found is None:
            if "silent_model" not in fake.traps:
                raise ApiError(500, "RuntimeError", errors=f"model {name!r} not found")
            return fake.loaded
        fake.loaded = found
        return found

    def _sampler(self) -> tuple[str, str]:
        name = str(self.body.get("sampler_name") or "Euler")
        scheduler = str(self.body.get("scheduler") or "Automatic")
        if "stuck_sampler" in self.fake.traps:
            return "Euler a", "Automatic"
        labels = {**{key.lower(): label for key, label in SCHEDULERS.items()}}
        labels.update({label.lower(): label for label in SCHEDULERS.values()})
        for label in SCHEDULERS.values():
            if name.endswith(f" {label}") and name not in SAMPLERS:
                name, scheduler = name.removesuffix(f" {label}"), label
        for known, aliases in SAMPLERS.items():
            if name == known or name in aliases:
                return known, labels.get(scheduler.lower(), "Automatic")
        # get_sampler_and_scheduler of modules/sd_samplers.py
        return "DPM++ 2M", "Karras"

    def _styled(self) -> tuple[str, str]:
        prompt, negative = str(self.body.get("prompt") or ""), str(self.body.get("negative_prompt") or "")
        for style in self.body.get("styles") or ():
            if style in STYLES:
                text, against = STYLES[style]
                prompt = text.replace("{prompt}", prompt)
                negative = ", ".join(part for part in (negative, against) if part)
        return prompt, negative

    def _units(self) -> list[dict[str, Any]]:
        scripts = {name.lower(): value for name, value in (self.body.get("alwayson_scripts") or {}).items()}
        args = (scripts.get("adetailer") or {}).get("args") or []
        if not self.fake.settings.detailer or not args or args[0] is not True:
            return []
        found = []
        for unit in (one for one in args if isinstance(one, dict)):
            if problem := _unit_problem(unit):
                self.fake.console.append(f"[-] ADetailer: ValidationError: {problem}")
                if "drop_unit" not in self.fake.traps:
                    raise ApiError(422, "ValidationError", problem)
            elif unit.get("ad_model", "None") != "None":
                found.append({**UNIT_DEFAULTS, **unit})
        if "detailer_crash" in self.fake.traps:
            self.fake.console.append("*** Error running postprocess_image: adetailer")
            return []
        return found

    @property
    def skips_sampling(self) -> bool:
        """ADetailer's ``skip_img2img``."""
        scripts = {name.lower(): value for name, value in (self.body.get("alwayson_scripts") or {}).items()}
        args = (scripts.get("adetailer") or {}).get("args") or [False, False]
        return bool(self.kind == "img2img" and len(args) > 1 and args[0] is True and args[1] is True)

    def final_size(self) -> tuple[int, int]:
        """After the hires pass."""
        if not self.body.get("enable_hr"):
            return self.size
        x, y = int(self.body.get("hr_resize_x") or 0), int(self.body.get("hr_resize_y") or 0)
        if not x and not y:
            scale = float(self.body.get("hr_scale") or 2)
            x, y = int(self.size[0] * scale), int(self.size[1] * scale)
        x, y = x or y * self.size[0] // self.size[1], y or x * self.size[1] // self.size[0]
        return x // 8 * 8, y // 8 * 8

    def loras(self) -> list[str]:
        """Those that are loaded."""
        if "lora_fails" in self.fake.traps:
            return []
        return [name for name in re.findall(r"<lora:([^:>]+)", self.prompt) if name in LORAS]

    def _facts(self) -> str:
        keys = ("subseed", "subseed_strength", "denoising_strength", "hr_upscaler", "hr_second_pass_steps",
                "hr_sampler_name", "hr_scheduler", "hr_checkpoint_name", "refiner_checkpoint", 
                "refiner_switch_at",
                "restore_faces", "tiling")  # fmt: skip
        extra = {key: self.body[key] for key in keys if key in self.body}
        vae = self.options.get("sd_vae"), self.options.get("forge_additional_modules")
        return repr((self.prompt, self.negative, self.model, self.sampler, self.scheduler, self.steps, self.cfg,
                     self.clip_skip, self.loras(), vae, sorted(extra.items(), key=str)))  # fmt: skip

    def _paint(self, size: tuple[int, int], facts: str, seed: int) -> Image.Image:
        digest = hashlib.sha256(facts.encode("utf-8")).digest()
        dark, light = (
            (digest[0] // 3, digest[1] // 3, digest[2] // 3),
            tuple(128 + value // 2 for value in digest[3:6]),
        )
        gradient = Image.linear_gradient("L").rotate(digest[6] / 255 * 360, Image.Resampling.BILINEAR)
        image = ImageOps.colorize(gradient.resize(size), dark, light)
        draw = ImageDraw.Draw(image)
        spot = hashlib.sha256(f"{seed} {facts}".encode()).digest()
        for index in range(0, 24, 6):
            x, y = spot[index] / 255 * size[0], spot[index + 1] / 255 * size[1]
            radius = (4 + spot[index + 2] / 255 * 28) / 128 * min(size)
            box = (x - radius, y - radius, x + radius, y + radius)
            draw.ellipse(box, fill=(spot[index + 3], spot[index + 4], spot[index + 5]))
        return image

    def draw(self) -> Image.Image:
        """The picture."""
        facts, size = self._facts(), self.final_size()
        if self.kind == "img2img":
            source = _decode(self.body["init_images"][0])
            if self.skips_sampling:
                image = source
            else:
                source = source.resize(self.size)
                strength = float(self.body.get("denoising_strength", 0.75))
                image = Image.blend(source, self._paint(self.size, facts, self.seed), min(1.0, strength))
                if self.body.get("mask"):
                    mask = _decode(self.body["mask"]).convert("L").resize(self.size)
                    image = Image.composite(image, source, mask)
        else:
            image = self._paint(size, facts, self.seed)
        for number, unit in enumerate(self.units):
            strength = float(unit["ad_denoising_strength"])
            prompt = unit["ad_prompt"] or self.prompt
            patch = self._paint(
                (max(1, image.width // 4), max(1, image.height // 4)), f"{prompt}{unit}", self.seed
            )
            spot = (image.width * (1 + number) // 4, image.height * 3 // 8)
            before = image.crop((*spot, spot[0] + patch.width, spot[1] + patch.height))
            image.paste(Image.blend(before, patch, strength), spot)
        if self.done < 1.0:  # interrupted: noise is left
            noise = Image.effect_noise(image.size, 80).convert("RGB")
            image = Image.blend(image, noise, 1 - self.done)
        return image

    def preview(self, done: float) -> str:
        """A small picture of what there is after a part of the steps."""
        image = self._paint((64, 64), self._facts(), self.seed)
        return _encode(Image.blend(Image.new("RGB", (64, 64), (90, 90, 90)), image, done), "")

    def infotext(self, seed: int | None = None) -> str:
        """As ``create_infotext`` writes it."""
        pairs = {key: value for key, value in self._pairs(seed).items() if value is not None}
        line = ", ".join(f"{key}: {_quote(value)}" for key, value in pairs.items())
        prompt = self.prompt
        if "reroll_detail" in self.fake.traps:
            prompt = prompt.replace("__colour__", "red")
        negative = f"\nNegative prompt: {self.negative}" if self.negative else ""
        return f"{prompt}{negative}\n{line}"

    def _pairs(self, seed: int | None) -> dict[str, Any]:
        fake, body = self.fake, self.body
        flavour = fake.settings.flavour
        stand_in = self.skips_sampling
        width, height = (128, 128) if stand_in else self.asked
        vae = None if "stuck_vae" in fake.traps else self.options.get("sd_vae")
        pairs: dict[str, Any] = {
            "Steps": 1 if stand_in else self.steps,
            "Sampler": "Euler" if stand_in else self.sampler,
            "Schedule type": None if flavour == "sdnext" else self.scheduler,
            "CFG scale": _plain(self.cfg),
            "Seed": self.seed if seed is None else seed,
            "Face restoration": self.options["face_restoration_model"] if body.get("restore_faces") else None,
            "Size": f"{width}x{height}",
            "Model hash": model_sha256(self.model)[:10],
            "Model": fake.stem(self.model),
            "VAE": vae if vae not in (None, "Automatic", "None") else None,
            "Denoising strength": body.get("denoising_strength") if body.get("enable_hr") or (stand_in is False
            and self.kind == "img2img") else None,
            "Clip skip": self.clip_skip if self.clip_skip > 1 else None,
        }  # fmt: skip
        if "stuck_vae" in fake.traps and self.options.get("sd_vae") not in (None, "Automatic", "None"):
            pairs["VAE"] = "some_other_vae.pt"
        if flavour == "forge":
            for number, module in enumerate(self.options.get("forge_additional_modules") or (), 1):
                pairs[f"Module {number}"] = str(module).rpartition(".")[0]
        if float(body.get("subseed_strength") or 0) > 0:
            pairs.update(
                {"Variation seed": body.get("subseed"), "Variation seed strength": body["subseed_strength"]}
            )
        if (
            body.get("refiner_checkpoint")
            and flavour != "sdnext"
            and (refiner := fake.find_model(body["refiner_checkpoint"]))
        ):
            pairs.update({"Refiner": f"{fake.stem(refiner)} [{model_sha256(refiner)[:10]}]",
                          "Refiner switch at": body.get("refiner_switch_at")})  # fmt: skip
        if body.get("enable_hr"):
            if body.get("hr_resize_x") or body.get("hr_resize_y"):
                pairs["Hires resize"] = f"{body.get('hr_resize_x')}x{body.get('hr_resize_y')}"
            else:
                pairs["Hires upscale"] = body.get("hr_scale")
            pairs["Hires steps"] = body.get("hr_second_pass_steps") or None
            pairs["Hires upscaler"] = body.get("hr_upscaler")
            pairs["Hires sampler"] = body.get("hr_sampler_name")
            pairs["Hires schedule type"] = body.get("hr_scheduler")
            if other := fake.find_model(body.get("hr_checkpoint_name")):
                pairs["Hires checkpoint"] = f"{fake.stem(other)} [{model_sha256(other)[:10]}]"
        for number, unit in enumerate(self.units):
            suffix = f" {number + 1}{('st', 'nd', 'rd', 'th')[min(number, 3)]}" if number else ""
            pairs[f"ADetailer model{suffix}"] = unit["ad_model"]
            pairs[f"ADetailer confidence{suffix}"] = unit["ad_confidence"]
            pairs[f"ADetailer denoising strength{suffix}"] = unit["ad_denoising_strength"]
        if self.units:
            pairs["ADetailer version"] = "24.11.1"
        if loras := self.loras():
            pairs["Lora hashes"] = ", ".join(f"{name}: {model_sha256(name)[:12]}" for name in loras)
        elif "<lora:" in self.prompt and "lora_fails" in fake.traps:
            pairs["Lora hashes"] = "some_other: abcdef123456"
        pairs["Version"] = {"a1111": "v1.10.1", "forge": "f2.0.1v1.10.1", "sdnext": "abcd1234"}[flavour]
        if flavour == "sdnext":
            pairs["App"] = "SD.Next"
        return pairs

    def info(self, text: str) -> dict[str, Any]:
        """``Processed.js()``."""
        stand_in = self.skips_sampling
        return {
            "prompt": self.prompt,
            "all_prompts": [self.prompt],
            "negative_prompt": self.negative,
            "all_negative_prompts": [self.negative],
            "seed": self.seed,
            "all_seeds": [self.seed],
            "subseed": int(self.body.get("subseed") or -1),
            "all_subseeds": [int(self.body.get("subseed") or -1)],
            "width": 128 if stand_in else self.asked[0],
            "height": 128 if stand_in else self.asked[1],
            "sampler_name": "Euler" if stand_in else self.sampler,
            "cfg_scale": self.cfg,
            "steps": 1 if stand_in else self.steps,
            "batch_size": 1,
            "sd_model_name": self.fake.stem(self.model),
            "sd_model_hash": model_sha256(self.model)[:10],
            "infotexts": [text],
            "index_of_first_image": 0,
            "job_timestamp": "20260101000000",
            "clip_skip": self.clip_skip,
        }


def _unit_problem(unit: Mapping[str, Any]) -> str:
    for key, value in unit.items():
        if key not in UNIT_DEFAULTS:
            return f"{key}: extra fields not permitted"
        if key in _UNIT_RANGES:
            least, most = _UNIT_RANGES[key]
            if not isinstance(value, (int, float)) or not least <= value <= most:
                return f"{key}: {value!r} is out of range"
    return ""


def _not_found() -> ApiError:
    error = ApiError(404, "HTTPException")
    error.body = {"detail": "Not Found"}
    return error


def _plain(number: float) -> float | int:
    return int(number) if float(number).is_integer() else number


def _quote(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(sign in text for sign in ",:\n") else text


def _openapi() -> dict[str, Any]:
    def route(name: str) -> dict[str, Any]:
        schema = {"$ref": f"#/components/schemas/{name}"}
        return {"post": {"requestBody": {"content": {"application/json": {"schema": schema}}}}}

    fields = {name: {} for name in TXT2IMG_FIELDS}
    more = ("init_images mask mask_blur mask_round inpainting_fill inpaint_full_res inpaint_full_res_padding "
            "inpainting_mask_invert resize_mode image_cfg_scale include_init_images "
            "initial_noise_multiplier")  # fmt: skip
    return {
        "info": {"title": "FastAPI", "version": "0.1.0"},
        "paths": {"/sdapi/v1/txt2img": route("Txt2Img"), "/sdapi/v1/img2img": route("Img2Img")},
        "components": {
            "schemas": {
                "Txt2Img": {"properties": fields},
                "Img2Img": {"properties": {**fields, **{name: {} for name in more.split()}}},
            }
        },
    }


def _decode(text: object) -> Image.Image:
    if not isinstance(text, str):
        raise ApiError(500, "HTTPException", "Invalid encoded image")
    if text.startswith("data:image/"):
        text = text.partition(",")[2]
    try:
        return Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")
    except (OSError, binascii.Error) as error:
        raise ApiError(500, "HTTPException", "Invalid encoded image") from error


def _encode(image: Image.Image, text: str, padding: int = 0) -> str:
    info = PngInfo()
    if text:
        info.add_text("parameters", text)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info, compress_level=1)
    data = buffer.getvalue()
    if padding:
        data = _pad_png(data, padding)
    return base64.b64encode(data).decode("ascii")


def _pad_png(png: bytes, size: int) -> bytes:
    """``png`` with a private chunk of ``size`` bytes before its end."""
    body = b"paDd" + bytes(size)
    return png[:-12] + struct.pack(">I", size) + body + struct.pack(">I", zlib.crc32(body)) + png[-12:]


class Premade:
    """PNGs of about ``size`` bytes and ``pixels`` pixels: noise, as much of it as fits, and a black rest. They
    differ in their first row; all else is packed and encoded once."""

    def __init__(self, size: int, pixels: tuple[int, int]) -> None:
        import random

        width, height = self._pixels = pixels
        self._row = 3 * width
        source = random.Random(0)
        noisy = min(height - 1, size // self._row)
        self._rest = b"".join(
            b"\0" + (source.randbytes(self._row) if number < noisy else bytes(self._row))
            for number in range(height - 1)
        )
        packer = zlib.compressobj(1, wbits=-15)
        data = packer.compress(self._rest) + packer.flush(zlib.Z_FINISH)
        self._middle = _chunk(b"IDAT", data)
        self._cut = len(self._middle) // 3 * 3
        self._encoded = base64.b64encode(self._middle[: self._cut])

    def base64(self, seed: int) -> list[bytes]:
        """The picture of ``seed``, as base64 in pieces."""
        import random

        row = b"\0" + random.Random(seed).randbytes(self._row)
        # A zlib stream put together from parts: header, a block of its own for the first row, the rest, sum.
        packer = zlib.compressobj(0, wbits=-15)
        first = b"\x78\x01" + packer.compress(row) + packer.flush(zlib.Z_FULL_FLUSH)
        head = b"".join(
            (
                b"\x89PNG\r\n\x1a\n",
                _chunk(b"IHDR", struct.pack(">IIBBBBB", *self._pixels, 8, 2, 0, 0, 0)),
                # Base64 takes three bytes at a time, so the middle begins at a multiple of three.
                _chunk(b"paDd", bytes(-(8 + 25 + 12 + 12 + len(first)) % 3)),
                _chunk(b"IDAT", first),
            )
        )
        total = zlib.adler32(self._rest, zlib.adler32(row))
        tail = self._middle[self._cut :] + _chunk(b"IDAT", struct.pack(">I", total)) + _chunk(b"IEND", b"")
        return [base64.b64encode(head), self._encoded, base64.b64encode(tail)]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# --- HTTP ---------------------------------------------------------------------------------------------------


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    fake: FakeWebUI

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        """End those that are open."""
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is nothing to speak of."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HttpServer

    _arrived = 0.0

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def parse_request(self) -> bool:
        """Called once the first line of a request is there."""
        self._arrived = time.monotonic()
        return super().parse_request()

    def do_GET(self) -> None:
        self._handle("GET", None)

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(data) if data else None
        except ValueError:
            body = None
        self._handle("POST", body)

    def _handle(self, method: str, body: Any) -> None:
        fake = self.server.fake
        parts = urlsplit(self.path)
        path, query = parts.path, parse_qs(parts.query)
        fake.seen.append(Seen(method, self.path, body, time.monotonic(), dict(self.headers.items())))
        if not self._allowed(path):
            error = {
                "error": "HTTPException",
                "detail": "Incorrect username or password",
                "body": "",
                "errors": "",
            }
            self._send_json(401, error, {"WWW-Authenticate": "Basic"})
            return
        if "hang_all" in fake.traps and not (
            method == "POST" and path.startswith("/sdapi/v1/") and "2img" in path
        ):
            fake.release.wait()
        if "redirect" in fake.traps:
            self._send(302, [b""], "text/html", {"Location": "http://elsewhere.invalid/sdapi/v1/txt2img"})
            return
        if "unavailable" in fake.traps:
            self._send(503, [b"<html>Service Unavailable</html>"], "text/html")
            return
        kind = path.removeprefix("/sdapi/v1/")
        try:
            if method == "POST" and kind in ("txt2img", "img2img", "extra-single-image"):
                self._generate(kind, body if isinstance(body, dict) else {})
                return
            value = fake.answer(method, path, query, body)
        except ApiError as error:
            self._send_json(error.status, error.body)
            return
        if "slow_lists" in fake.traps and isinstance(value, list):
            self._trickle(json.dumps(value).encode(), "application/json")
        elif value == {} and fake.settings.flavour == "sdnext":
            self._send(204, [], "application/json")
        else:
            self._send_json(200, value)

    def _allowed(self, path: str) -> bool:
        fake = self.server.fake
        if not fake.settings.auth or (path.startswith("/internal/") and "internal_open" in fake.traps):
            return True
        wanted = "Basic " + base64.b64encode(fake.settings.auth.encode()).decode()
        return self.headers.get("Authorization") == wanted

    def _generate(self, kind: str, body: Mapping[str, Any]) -> None:
        fake = self.server.fake
        answer, job = fake.generate(kind, body, self._arrived)
        traps = fake.traps
        if "crash" in traps:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if "html" in traps:
            self._send(200, [b"<html><body>Please log in</body></html>"], "text/html")
            return
        if "premade" in answer:
            info = json.dumps(answer["info"]).encode()
            pieces: list[bytes] = [
                b'{"images":["',
                *answer["premade"],
                b'"],"parameters":{},"info":',
                info,
                b"}",
            ]
            self._send(200, pieces, "application/json")
            job.answered = time.monotonic()
            return
        if "extra_fields" in traps:
            answer["nobody_knows"] = 1
        data = json.dumps(answer).encode("utf-8")
        if "truncated" in traps:
            self._head(200, len(data), "application/json")
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif "slow_loris" in traps:
            self._trickle(data, "application/json")
        elif "endless" in traps:
            self._endless()
        else:
            self._send(200, [data], "application/json")
        job.answered = time.monotonic()

    def _trickle(self, data: bytes, kind: str) -> None:
        """A byte now and then: each one resets the client's timeout for reading."""
        self._head(200, len(data), kind)
        for byte in data:
            self.wfile.write(bytes([byte]))
            if self.server.fake.release.wait(0.05):
                return

    def _endless(self) -> None:
        self._head(200, None, "application/json")
        piece = b" " * (1 << 20)
        while not self.server.fake.release.is_set():
            self.wfile.write(b"100000\r\n" + piece + b"\r\n")

    def _head(
        self, status: int, length: int | None, kind: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", kind)
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
        elif status != 204:
            self.send_header("Content-Length", str(length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()

    def _send(
        self, status: int, pieces: Sequence[bytes], kind: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self._head(status, sum(map(len, pieces)), kind, headers)
        for piece in pieces:
            self.wfile.write(piece)

    def _send_json(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        self._send(status, [json.dumps(value).encode("utf-8")], "application/json", headers)


def _pixels(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def main(arguments: Iterable[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="fake_webui", description="An A1111-API server that draws gradients.")
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument("--flavour", choices=sorted(OOM_TEXTS), default="a1111")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for an image")
    parser.add_argument("--start-seconds", type=float, default=0.0, help="time until the API is there")
    parser.add_argument("--auth", default="", metavar="USER:PASSWORD")
    parser.add_argument("--trap", action="append", default=[], choices=sorted(TRAPS), metavar="NAME")
    parser.add_argument(
        "--without", action="append", default=[], metavar="NAME", help="a usual trap, switched off"
    )
    parser.add_argument("--no-detailer", action="store_true", help="ADetailer is not installed")
    parser.add_argument("--reply-bytes", type=int, default=0, help="PNGs of so many bytes, premade")
    parser.add_argument(
        "--reply-size", type=_pixels, default=(1024, 1024), metavar="WxH", help="their size in pixels"
    )
    parser.add_argument("--list-traps", action="store_true")
    parser.add_argument("--ready-file", type=Path, help="written once it listens; holds the port")
    chosen = parser.parse_args(None if arguments is None else list(arguments))
    if chosen.list_traps:
        for name, trap in TRAPS.items():
            number = f"trap {trap.number}" if trap.number else "fault"
            print(f"{name:20} {number:8} {'usual' if trap.usual else '':6} {trap.text}")
        return 0
    settings = FakeSettings(
        flavour=chosen.flavour,
        port=chosen.port,
        auth=chosen.auth,
        seconds=chosen.seconds,
        reply_bytes=chosen.reply_bytes,
        reply_size=chosen.reply_size,
        also=tuple(chosen.trap),
        without=tuple(chosen.without),
        detailer=not chosen.no_detailer,
    )
    fake = FakeWebUI(settings)
    if chosen.start_seconds:
        fake.traps.add("still_starting")
        timer = threading.Timer(chosen.start_seconds, fake.traps.discard, ("still_starting",))
        timer.daemon = True
        timer.start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"a fake WebUI ({chosen.flavour}) at {fake.url}", flush=True)
    if chosen.ready_file is not None:
        chosen.ready_file.write_text(str(fake.port), encoding="utf-8")
    try:
        fake.serve_forever()
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
