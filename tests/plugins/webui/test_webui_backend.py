"""The webui backend against the fake server: the contract, what is sent, progress, cancel, hangs, starting."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from PIL import Image
from tests.support.fake_webui import FakeSettings, FakeWebUI
from tests.support.ports import free_port
from webui_kit import (
    PATIENCE,
    Steps,
    decode,
    detail,
    fails,
    img2img,
    make,
    once,
    setup,
    txt2img,
    unit,
    until,
    upscale,
)

from stablenew_api.backend import Feature, Hires, Refiner
from stablenew_api.errors import Cancelled, StageFailure
from stablenew_api.images import pixel_sha256
from stablenew_api.jobs import FailureKind
from stablenew_api.testing import ManualCancel, check_backend, host_of, sample_image
from stablenew_plugins.backends import webui
from stablenew_plugins.backends.webui import WebUIBackend, WebUIConfig
from stablenew_plugins.backends.webui.options import PASSWORD_VARIABLE

FLAVOURS = ["a1111", "forge", "sdnext"]
PROMPT_FIELDS = {"prompt", "negative_prompt"}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_contract(flavour: str) -> None:
    with setup(FakeSettings(flavour=flavour)) as (_fake, backend):
        check_backend(backend)


def test_it_is_an_ordinary_plugin() -> None:
    (plugin,) = host_of(webui).plugins
    assert plugin.state == "active", plugin.reason
    assert host_of(webui).backend("webui") is WebUIBackend
    assert Feature.WORKFLOW not in WebUIBackend.offers


def test_it_is_light_to_import() -> None:
    code = (
        "import sys, stablenew_plugins.backends.webui as w; w.WebUIBackend(w.WebUIConfig());"
        "print([m for m in ('requests', 'urllib3', 'PIL', 'psutil') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("flavour", "name", "version"),
    [("a1111", "A1111", "v1.10.1"), ("forge", "Forge", "f2.0.1"), ("sdnext", "SD.Next", "2025-02-18")],
)
def test_who_is_there_and_what(flavour: str, name: str, version: str) -> None:
    with setup(FakeSettings(flavour=flavour)) as (fake, backend):
        identity = backend.identify()
        assert identity.name == name
        assert version in identity.version
        asked = len(fake.seen)
        can = backend.capabilities()
        assert len(fake.seen) == asked  # once for both
        assert can.features <= WebUIBackend.offers
        assert can.models[1].startswith("SDXL/juggernautXL_v9.safetensors [")
        assert can.vaes == ("vae-ft-mse-840000.safetensors", "sdxl_vae.safetensors")  # no text encoders
        assert can.embeddings == ("easynegative", "xl-negative")
        assert can.detectors[0] == "face_yolov8n.pt"
        assert ("refiner" in can.features) == (flavour != "sdnext")
        # SD.Next does not list latent modes: a list without them would bar the hires pass of most presets.
        assert ("Latent" in can.hires_upscalers) if flavour != "sdnext" else not can.hires_upscalers
        backend.capabilities()
        assert len(fake.seen) > asked  # and anew when asked again


def test_without_the_extension_there_is_no_detailer() -> None:
    with setup(FakeSettings(detailer=False)) as (_fake, backend):
        assert Feature.DETAIL not in backend.capabilities().features
        fails(backend, FailureKind.BAD_INPUT, "can't do this: ADetailer", request=detail())


# --- what is sent, and that it matters ----------------------------------------------------------------------

TWO = Hires(upscaler="Latent", denoising_strength=0.5)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 2},
        {"steps": 5},
        {"cfg_scale": 3.5},
        {"sampler": "Euler a"},
        {"scheduler": "Exponential"},
        {"model": "juggernautXL_v9"},
        {"vae": "sdxl_vae"},
        {"clip_skip": 2},
        {"subseed": 7, "subseed_strength": 0.3},
        {"styles": ("cinematic", "ink")},
        {"hypernetwork": "watercolour", "hypernetwork_strength": 0.6},
        {"face_restoration": "GFPGAN"},
        {"face_restoration": "default"},
        {"refiner": Refiner("counterfeit", 0.8)},
        {"hires": TWO},
        {"hires": Hires("ESRGAN_4x", 0.4, steps=7, sampler="DDIM", scheduler="Karras", model="counterfeit")},
        {"prompt": "a lighthouse <lora:add_detail:0.7>"},
        {"extra": {"tiling": True}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_setting_changes_the_picture(changes: dict[str, Any]) -> None:
    with setup() as (_fake, backend):
        assert pixel_sha256(make(backend).image) != pixel_sha256(make(backend, **changes).image)


def test_the_body_says_everything_and_saves_nothing_on_the_server() -> None:
    with setup() as (fake, backend):
        hires = Hires(
            "Latent", 0.55, scale=1.5, steps=6, sampler="DDIM", scheduler="Karras", model="counterfeit"
        )
        made = make(
            backend,
            hires=hires,
            refiner=Refiner("juggernautXL_v9", 0.8),
            vae="sdxl_vae",
            clip_skip=2,
            seed=2**32 + 5,
        )
        body = fake.last_body("/sdapi/v1/txt2img")
        assert {
            key: body[key] for key in ("save_images", "send_images", "do_not_save_samples", "do_not_save_grid")
        } == {
            "save_images": False,
            "send_images": True,
            "do_not_save_samples": True,
            "do_not_save_grid": True,
        }
        assert (body["batch_size"], body["n_iter"], body["seed"]) == (1, 1, 5)
        assert (body["hr_scale"], body["hr_resize_x"], body["hr_second_pass_steps"]) == (1.5, 0, 6)
        assert body["hr_checkpoint_name"].startswith("anime/counterfeit.ckpt [")
        assert body["refiner_switch_at"] == 0.8
        assert body["override_settings"]["CLIP_stop_at_last_layers"] == 2
        assert body["override_settings"]["sd_vae"] == "sdxl_vae.safetensors"
        assert body["override_settings_restore_afterwards"] is True
        assert made.image.size == (96, 96)
        info = made.info
        assert info["StableNew seed"] == str(2**32 + 5)
        assert (info["Seed"], info["Hires upscaler"], info["Hires steps"]) == (5, "Latent", 6)
        assert (info["Model"], info["VAE"], info["Clip skip"]) == (
            "v1-5-pruned-emaonly",
            "sdxl_vae.safetensors",
            2,
        )
        assert info["Version"] == "v1.10.1"
        assert not made.image.info


@pytest.mark.parametrize(
    ("hires", "size"),
    [
        (Hires("Latent", 0.5, scale=1.3), (80, 80)),  # 83: the multiple of 8 below
        (Hires("Latent", 0.5, width=128), (128, 128)),
        (Hires("Latent", 0.5, width=128, height=96), (128, 96)),
    ],
)
def test_sizes_of_the_hires_pass(hires: Hires, size: tuple[int, int]) -> None:
    with setup() as (_fake, backend):
        assert make(backend, hires=hires).image.size == size


def test_sd_next_has_no_setting_for_clip_skip_and_a_field_instead() -> None:
    with setup(FakeSettings(flavour="sdnext")) as (fake, backend):
        del fake.options["CLIP_stop_at_last_layers"]
        made = make(backend, clip_skip=3, scheduler="Automatic")
        body = fake.last_body("/sdapi/v1/txt2img")
        assert body["clip_skip"] == 3
        assert "CLIP_stop_at_last_layers" not in body["override_settings"]
        assert made.info["Clip skip"] == 3


def test_a_cancel_ends_a_question_to_a_server_that_hangs() -> None:
    with setup(read_timeout=PATIENCE) as (fake, backend):
        fake.traps.add("hang_all")
        cancel = ManualCancel()
        with once(lambda: fake.seen, cancel.cancel), pytest.raises(Cancelled):
            make(backend, cancel=cancel)


def test_the_docs_have_every_option() -> None:
    page = (Path(__file__).parents[3] / "docs" / "backend-webui.md").read_text(encoding="utf-8")
    for name, option in WebUIConfig.model_fields.items():
        default = str(option.default).lower() if isinstance(option.default, bool) else str(option.default)
        default = "none" if option.default in ("", ()) else f"`{default}`"
        assert f"| `{name}` | {default} |" in page, name


def test_a_vae_that_is_in_use_is_not_loaded_again() -> None:
    with setup() as (fake, backend):
        make(backend, vae="Automatic")
        assert "sd_vae" not in fake.last_body("/sdapi/v1/txt2img")["override_settings"]
        make(backend, vae="None")
        assert fake.last_body("/sdapi/v1/txt2img")["override_settings"]["sd_vae"] == "None"


def test_on_forge_a_vae_is_a_module_and_text_encoders_stay() -> None:
    with setup(FakeSettings(flavour="forge")) as (fake, backend):
        fake.options["forge_additional_modules"] = [
            "/models/text_encoder/clip_l.safetensors",
            "/models/VAE/old.safetensors",
        ]
        made = make(backend, vae="sdxl_vae")
        sent = fake.last_body("/sdapi/v1/txt2img")["override_settings"]
        assert sent["forge_additional_modules"] == ["clip_l.safetensors", "sdxl_vae.safetensors"]
        assert "sd_vae" not in sent
        assert made.info["Module 2"] == "sdxl_vae"


def test_samplers_of_before_schedulers() -> None:
    with setup() as (fake, backend):
        make(backend, sampler="DPM++ 2M Karras", scheduler="Automatic")
        body = fake.last_body("/sdapi/v1/txt2img")
        assert (body["sampler_name"], body["scheduler"]) == ("DPM++ 2M", "Karras")
        make(backend, sampler="k_euler_a", scheduler="sgm_uniform")
        body = fake.last_body("/sdapi/v1/txt2img")
        assert (body["sampler_name"], body["scheduler"]) == ("Euler a", "SGM Uniform")


def test_tags_are_sent_by_the_names_of_the_server() -> None:
    with setup() as (fake, backend):
        prompt = (
            "a <lora:style/add_detail.safetensors:0.5> b <lora:my__lora__v1:1> "
            "<hypernet:watercolour:0.4> <embed:easynegative>"
        )
        make(backend, prompt=prompt, negative_prompt="embedding:easynegative, (embedding:xl-negative:1.2)")
        body = fake.last_body("/sdapi/v1/txt2img")
        assert body["prompt"] == (
            "a <lora:add_detail:0.5> b <lora:my__lora__v1:1> <hypernet:watercolour:0.4> easynegative"
        )
        assert body["negative_prompt"] == "easynegative, (xl-negative:1.2)"


def test_a_mask_decides_what_is_drawn() -> None:
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (32, 0, 64, 64))
    with setup() as (fake, backend):
        source = sample_image(64, 64)
        made = make(backend, img2img(image=source, mask=mask, denoising_strength=1.0)).image
        half = (0, 0, 32, 64)
        assert pixel_sha256(made.crop(half)) == pixel_sha256(source.crop(half))
        assert pixel_sha256(made) != pixel_sha256(source)
        body = fake.last_body("/sdapi/v1/img2img")
        assert (body["mask_blur"], body["inpainting_fill"], body["inpaint_full_res"]) == (0, 1, False)
        assert pixel_sha256(decode(body["init_images"][0])) == pixel_sha256(source)
        fails(backend, FailureKind.BAD_INPUT, "the mask has", request=img2img(mask=Image.new("L", (8, 8))))


@pytest.mark.parametrize("size", [(61, 64), (64, 50), (33, 47)])
def test_an_image_of_any_size_keeps_its_size(size: tuple[int, int]) -> None:
    with setup() as (fake, backend):
        source = sample_image(*size)
        made = make(backend, img2img(image=source, denoising_strength=0.0)).image
        assert pixel_sha256(made) == pixel_sha256(source)
        body = fake.last_body("/sdapi/v1/img2img")
        assert body["width"] % 8 == body["height"] % 8 == 0
        assert make(backend, detail(image=source)).image.size == size


def test_an_upscale_with_face_restoration() -> None:
    with setup() as (fake, backend):
        plain = make(backend, upscale(upscaler="ESRGAN_4x"))
        assert plain.info == {
            "Size": "128x128",
            "Postprocess upscale by": 2,
            "Postprocess upscaler": "ESRGAN_4x",
        }
        made = make(backend, upscale(gfpgan_visibility=0.5))
        assert made.info["Postprocess GFPGAN visibility"] == 0.5
        assert fake.last_body("/sdapi/v1/extra-single-image")["gfpgan_visibility"] == 0.5
        assert make(backend, upscale(image=sample_image(50, 50), scale=2.5)).image.size == (120, 120)
        fails(backend, FailureKind.BAD_INPUT, "codeformer_weight 2", request=upscale(codeformer_weight=2))
        fails(backend, FailureKind.BAD_INPUT, "tile_size", request=upscale(tile_size=512))
        fake.traps.add("wrong_size")
        fails(
            backend, FailureKind.BACKEND, "size: 128x128 was asked for, the image has 64x64", request=upscale()
        )
        fake.traps = {"no_images"}
        fails(backend, FailureKind.BACKEND, "no image", request=upscale())


def test_units_with_everything() -> None:
    with setup() as (fake, backend):
        one = unit(
            max_finds=2,
            steps=9,
            cfg_scale=5.5,
            sampler="DDIM",
            scheduler="Karras",
            only_masked=False,
            min_ratio=0.1,
        )
        make(backend, detail(one))
        sent = fake.last_body("/sdapi/v1/img2img")["alwayson_scripts"]["adetailer"]["args"][2]
        assert (sent["ad_mask_k"], sent["ad_mask_filter_method"], sent["ad_steps"], sent["ad_use_steps"]) == (
            2,
            "Area",
            9,
            True,
        )
        assert (sent["ad_sampler"], sent["ad_scheduler"], sent["ad_cfg_scale"]) == ("DDIM", "Karras", 5.5)
        assert sent["ad_inpaint_only_masked"] is False
        assert not fake.console


# --- progress, cancel, time ---------------------------------------------------------------------------------


def test_progress_and_previews_come_on_the_calling_thread_and_received_before_the_end() -> None:
    with setup(FakeSettings(seconds=PATIENCE / 3), poll_interval=0.05) as (fake, backend):
        quiet, watching = Steps(), Steps(watching=True)
        quiet.enough = watching.enough = fake.hurry
        backend.txt2img(txt2img(steps=20), quiet, ManualCancel())
        assert not quiet.previews
        assert all(not seen.body["live_preview"] for seen in fake.calls("/internal/progress"))
        backend.txt2img(txt2img(steps=20, hires=TWO), watching, ManualCancel())
        assert watching.previews
        assert watching.previews[0].size == (64, 64)
        assert watching.threads == {watching.thread}
        assert watching.events[-2:] == ["received", "step"]
        assert watching.steps[-1] == (40, 40)
        assert watching.events.count("received") == 1


def test_the_next_job_may_be_sent_while_the_last_one_is_decoded() -> None:
    with setup(FakeSettings(seconds=0.3)) as (fake, backend):
        backend.capabilities()
        received, begun = threading.Event(), threading.Event()

        class Slow(Steps):
            def received(self) -> None:
                received.set()
                assert begun.wait(PATIENCE)  # decoding begins only when the second job runs

        made: list[Any] = []
        first = threading.Thread(
            target=lambda: made.append(backend.txt2img(txt2img(seed=1), Slow(), ManualCancel()))
        )
        first.start()
        assert received.wait(PATIENCE)
        second = threading.Thread(
            target=lambda: made.append(backend.txt2img(txt2img(seed=2), Steps(), ManualCancel()))
        )
        second.start()
        until(lambda: len(fake.jobs) == 2)
        begun.set()
        first.join()
        second.join()
        assert [result.info["Seed"] for result in made] == [1, 2]


@pytest.mark.parametrize("trap", ["", "hang", "hang_all", "slow_loris"])
@pytest.mark.parametrize("kind", ["txt2img", "upscale"])
def test_a_cancel_is_honoured_within_300_ms_whatever_the_server_does(trap: str, kind: str) -> None:
    """The best of five, of which a quiet machine needs one."""
    took = [_seconds_of_a_cancel(trap, kind)]
    while took[-1] >= 0.3 and len(took) < 5:
        took.append(_seconds_of_a_cancel(trap, kind))
    assert min(took) < 0.3, took


def _seconds_of_a_cancel(trap: str, kind: str) -> float:
    request = txt2img() if kind == "txt2img" else upscale()
    with setup(FakeSettings(seconds=0.0 if trap else 2 * PATIENCE)) as (fake, backend):
        backend.capabilities()
        if trap:
            fake.traps.add(trap)
        cancel = ManualCancel()
        fired: list[float] = []

        def fire() -> None:
            fired.append(time.monotonic())
            cancel.cancel()

        path = "/sdapi/v1/txt2img" if kind == "txt2img" else "/sdapi/v1/extra-single-image"
        begun: Callable[[], object] = fake.is_running
        if trap == "slow_loris":  # the image is made at once, and takes its time to come
            begun = lambda: fake.jobs and fake.jobs[0].ended  # noqa: E731
        elif trap:
            begun = lambda: fake.calls(path)  # noqa: E731
        with once(begun, fire), pytest.raises(Cancelled):
            make(backend, request, cancel)
        took = time.monotonic() - fired[0]
        if not trap:
            until(lambda: fake.jobs[0].ended)  # the server is told, and ends the job before its time
        return took


def test_after_a_cancel_the_next_job_is_made() -> None:
    with setup(FakeSettings(seconds=2 * PATIENCE)) as (fake, backend):
        cancel = ManualCancel()
        with once(fake.is_running, cancel.cancel), pytest.raises(Cancelled):
            make(backend, cancel=cancel, steps=10)
        fake.settings.seconds = 0.2
        assert make(backend, seed=5).info["Seed"] == 5
        assert [job.interrupted for job in fake.jobs] == [True, False]
        assert len(fake.calls("/sdapi/v1/interrupt")) == 1


def test_a_hung_server_is_noticed_long_before_the_job_times_out() -> None:
    with setup(hang_timeout=0.8, poll_interval=0.1, read_timeout=0.4, job_timeout=120) as (fake, backend):
        backend.capabilities()
        fake.traps.add("hang_all")
        fails(backend, FailureKind.TIMEOUT, "hang_timeout", "seems to hang")


def test_a_job_that_takes_too_long_is_interrupted() -> None:
    with setup(FakeSettings(seconds=2 * PATIENCE), job_timeout=1.0) as (fake, backend):
        backend.capabilities()
        fails(backend, FailureKind.TIMEOUT, "1 s (job_timeout)", steps=20)
        until(lambda: fake.jobs and fake.jobs[0].ended)
        assert fake.jobs[0].interrupted


def test_nobody_there_is_tried_again_and_said_soon() -> None:
    port = free_port()
    backend = WebUIBackend(WebUIConfig(url=f"http://127.0.0.1:{port}"))
    with pytest.raises(StageFailure, match="nobody answers"):
        backend.identify()
    backend.close()


def test_a_connection_that_the_server_closed_meanwhile_is_not_used() -> None:
    with setup() as (fake, backend):
        make(backend)
        fake._http.drop_connections()
        for lane in backend._server._free:
            lane.rested_since -= 60  # as if it had rested
        assert make(backend).image.size == (64, 64)
        assert len(fake.jobs) == 2


def test_asking_for_progress_costs_next_to_nothing(tmp_path: Path) -> None:
    """Under 1 % of a core, measured in this process: the server is another one."""
    with setup() as (_fake, backend):
        make(backend)  # everything is imported now
    spent: list[float] = []
    with process(tmp_path, "--seconds", "2") as (port, _child):
        backend = WebUIBackend(WebUIConfig(url=f"http://127.0.0.1:{port}", poll_interval=0.05))
        backend.capabilities()
        while not spent or (spent[-1] >= 2 * 0.03 and len(spent) < 4):  # other threads of ours count, too
            before = time.process_time()
            make(backend, steps=20)
            spent.append(time.process_time() - before)
        backend.close()
    assert min(spent) < 2 * 0.03, spent  # sending, decoding and checking are in it too


# --- connections --------------------------------------------------------------------------------------------


def test_password_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "secret")
    with setup(FakeSettings(auth="me:secret"), user="me") as (fake, backend):
        assert make(backend).image.size == (64, 64)
        assert all("Authorization" in seen.headers for seen in fake.seen)
    assert "hidden" not in repr(WebUIConfig(password="hidden"))


def test_tls(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    key, certificate, both = tmp_path / "key.pem", tmp_path / "cert.pem", tmp_path / "both.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    with setup(FakeSettings(certificate=str(both)), ca_file=str(certificate)) as (_fake, backend):
        assert make(backend).image.size == (64, 64)
    with setup(FakeSettings(certificate=str(both))) as (_fake, backend):
        fails(backend, FailureKind.BACKEND, "TLS with https://127.0.0.1")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"url": "127.0.0.1:7860"}, "must be an address"),
        ({"url": "ftp://x"}, "must be an address"),
        ({"url": "http://me:pw@x"}, "must not hold user and password"),
        ({"url": "http://x:99999"}, "must be an address"),
        ({"start_command": "[1, 2]"}, "list of texts"),
        ({"start_command": '["a"'}, "start_command"),
        ({"job_timeout": "0"}, "job_timeout"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        WebUIConfig.model_validate(options)


def test_options_as_the_command_line_gives_them() -> None:
    config = WebUIConfig.model_validate(
        {"url": "https://host/sd/", "verify_tls": "false", "start_command": '["./webui.sh", "--api", "a b"]'}
    )
    assert config.url == "https://host/sd"
    assert config.host_and_port == ("host", 443)
    assert config.verify_tls is False
    assert config.start_command == ("./webui.sh", "--api", "a b")
    assert WebUIConfig.model_validate(config.model_dump(mode="json")) == config
    assert (
        WebUIConfig.model_validate({"start_command": "./webui.sh --api 'a b'"}).start_command
        == config.start_command
    )


# --- starting the server ------------------------------------------------------------------------------------


def command(port: int, *more: str) -> list[str]:
    return [sys.executable, "-m", "tests.support.fake_webui", "--port", str(port), *more]


class process:
    """The fake as a process of its own, ready."""

    def __init__(self, tmp_path: Path, *more: str) -> None:
        self._ready = tmp_path / "ready"
        self._more = more

    def __enter__(self) -> tuple[int, subprocess.Popen[bytes]]:
        self._child = subprocess.Popen(
            command(0, "--ready-file", str(self._ready), *self._more), stdout=subprocess.DEVNULL
        )
        until(lambda: self._ready.exists() and self._ready.read_text(encoding="utf-8"))
        return int(self._ready.read_text(encoding="utf-8")), self._child

    def __exit__(self, *_exc: object) -> None:
        self._child.terminate()
        self._child.wait(PATIENCE)


@pytest.fixture
def started() -> Iterator[Callable[..., WebUIBackend]]:
    """Backends that start their server; ended afterwards."""
    made: list[WebUIBackend] = []

    def make_one(*more: str, **options: Any) -> WebUIBackend:
        port = free_port()
        config = WebUIConfig(
            url=f"http://127.0.0.1:{port}",
            start_command=tuple(command(port, *more)),
            start_timeout=60,
            **options,
        )
        made.append(WebUIBackend(config))
        return made[-1]

    yield make_one
    for backend in made:
        backend.close()


def test_it_starts_the_server_waits_and_ends_it(started: Callable[..., WebUIBackend]) -> None:
    backend = started("--seconds", "0", "--start-seconds", "0.5")
    assert backend.identify().name == "A1111"
    assert make(backend).image.size == (64, 64)
    child = backend._launcher._process
    assert child is not None
    backend.close()
    assert child.poll() is not None
    assert not psutil.pid_exists(child.pid) or psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE


def test_a_server_that_hangs_is_started_again(started: Callable[..., WebUIBackend]) -> None:
    backend = started("--seconds", "0", "--trap", "hang_all", job_timeout=1.0, read_timeout=0.5)
    backend._inventory = None
    launcher = backend._launcher
    launcher._start()
    until(launcher._listens)
    launcher._ready = True  # it was, before it hung
    first = launcher._process
    assert first is not None
    from stablenew_plugins.backends.webui.inventory import Inventory

    backend._inventory = Inventory(app="A1111")
    backend._inventory_at = time.monotonic()
    fails(backend, FailureKind.TIMEOUT, "it hung, was stopped and is started again")
    assert first.poll() is not None
    # The next job finds it started anew, without the fault.
    object.__setattr__(
        backend.options,
        "start_command",
        tuple(word for word in backend.options.start_command if word not in ("--trap", "hang_all")),
    )
    object.__setattr__(backend.options, "job_timeout", 30.0)
    object.__setattr__(backend.options, "read_timeout", 5.0)
    assert make(backend).image.size == (64, 64)
    assert launcher._process is not None
    assert launcher._process.pid != first.pid


def test_a_server_that_ended_is_started_again(started: Callable[..., WebUIBackend]) -> None:
    backend = started("--seconds", "0")
    make(backend)
    first = backend._launcher._process
    assert first is not None
    first.kill()
    first.wait(PATIENCE)
    assert make(backend).image.size == (64, 64)
    assert backend._launcher._process is not first


def test_a_server_that_cannot_be_started_says_so() -> None:
    for words, text in (
        ((sys.executable, "-c", "raise SystemExit(3)"), "ended by itself (exit code 3)"),
        (("/no/such/program",), "cannot be run"),
    ):
        backend = WebUIBackend(WebUIConfig(url=f"http://127.0.0.1:{free_port()}", start_command=words))
        with pytest.raises(StageFailure) as caught:
            backend.identify()
        assert text in str(caught.value)
        backend.close()


def test_while_it_starts_it_is_asked_rarely(
    started: Callable[..., WebUIBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A1111 answers 404 while it starts, and a storm of questions can end the start."""
    with setup(FakeSettings(also=("still_starting",))) as (fake, _unused):
        monkeypatch.setattr(webui.backend, "START_PATIENCE", 2.0)
        backend = WebUIBackend(WebUIConfig(url=fake.url, start_command=("never-used",)))
        with pytest.raises(StageFailure, match="is starting"):
            backend.identify()
        assert 1 <= len(fake.calls("/sdapi/v1/options")) <= 3
        backend.close()


def test_a_cancel_ends_the_wait_for_a_start(started: Callable[..., WebUIBackend]) -> None:
    backend = started("--start-seconds", "300")
    cancel = ManualCancel()
    with once(lambda: backend._launcher._process, cancel.cancel), pytest.raises(Cancelled):
        make(backend, cancel=cancel)


# --- the fake itself ----------------------------------------------------------------------------------------


def test_the_fake_serves_big_images_cheaply_and_tells_the_gaps() -> None:
    with FakeWebUI(FakeSettings(reply_bytes=2_000_000, seconds=0.02)) as fake:
        body = {"prompt": "x", "width": 1024, "height": 1024, "steps": 20}
        before = time.process_time()
        for _ in range(5):
            reply = requests.post(f"{fake.url}/sdapi/v1/txt2img", json=body, timeout=PATIENCE)
            assert len(reply.content) > 2_600_000
        assert time.process_time() - before < 2.0
        assert decode(json.loads(reply.content)["images"][0]).size == (1024, 1024)
        assert len(fake.gaps()) == 4
        assert all(gap >= 0 for gap in fake.gaps())
        backend = WebUIBackend(WebUIConfig(url=fake.url))
        assert make(backend, width=1024, height=1024).image.size == (1024, 1024)
        backend.close()


def test_the_fake_can_be_run_by_hand() -> None:
    done = subprocess.run(command(0, "--list-traps"), capture_output=True, text=True, timeout=120, check=True)
    assert "grid_first" in done.stdout
    assert "trap 23" in done.stdout
