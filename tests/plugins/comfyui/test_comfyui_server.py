"""The ComfyUI backend on a real socket: pictures, progress, queue, cancel."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from comfy_kit import NaiveClient, Reports, img2img, small_graph, txt2img, until, upscale
from PIL import Image
from tests.support.fake_comfyui import FakeComfyUI

from stablenew_api.backend import (
    DetailRequest,
    Feature,
    GenerationResult,
    Hires,
    Refiner,
    WorkflowRequest,
)
from stablenew_api.errors import Cancelled, StageFailure
from stablenew_api.images import pixel_sha256
from stablenew_api.jobs import FailureKind
from stablenew_api.testing import ManualCancel, check_backend, host_of, sample_image
from stablenew_plugins.backends import comfyui
from stablenew_plugins.backends.comfyui import ComfyBackend, ComfyConfig

Connect = Callable[..., ComfyBackend]


def make(backend: ComfyBackend, request: Any, cancel: ManualCancel | None = None) -> GenerationResult:
    call = {"Txt2ImgRequest": backend.txt2img, "Img2ImgRequest": backend.img2img}.get(
        type(request).__name__, backend.upscale
    )
    return call(request, Reports(), cancel or ManualCancel())  # type: ignore[operator]


def pixels(backend: ComfyBackend, request: Any) -> str:
    return pixel_sha256(make(backend, request).image)


def test_the_plugin_loads() -> None:
    (plugin,) = host_of(comfyui).plugins
    assert plugin.state == "active", plugin.reason


def test_contract(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    fake.cache = False
    fake.step_seconds = 0.01
    check_backend(backend)


def test_who_and_what(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    who = backend.identify()
    assert (who.name, who.version, who.stand_in, who.note) == ("comfyui", "0.3.64", False, "cuda:0 Fake GPU")
    can = backend.capabilities()
    assert can.features == ComfyBackend.offers
    assert "SDXL/juggernaut.safetensors" in can.models
    assert "DPM++ 2M" in can.samplers
    assert "Karras" in can.schedulers
    assert {"Lanczos", "4x-UltraSharp.pth"} <= set(can.upscalers)
    assert {"Latent", "4x-UltraSharp.pth"} <= set(can.hires_upscalers)
    assert "easynegative" in can.embeddings


# --- settings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "a mill at dawn"},
        {"prompt": "(a lighthouse:1.3) at dawn"},
        {"prompt": "a lighthouse at dawn <lora:ink:0.5>"},
        {"prompt": "a lighthouse AND dawn"},
        {"prompt": "a lighthouse BREAK at dawn"},
        {"negative_prompt": "easynegative"},
        {"seed": 2},
        {"steps": 6},
        {"cfg_scale": 4.0},
        {"sampler": "Euler a"},
        {"scheduler": "Karras"},
        {"model": "dreamshaper"},
        {"vae": "sdxl_vae"},
        {"clip_skip": 2},
        {"hypernetwork": "paint"},
        {"refiner": Refiner("sd_xl_refiner_1.0", 0.5)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_setting_reaches_the_picture(backend: ComfyBackend, changes: dict[str, Any]) -> None:
    assert pixels(backend, txt2img(**changes)) != pixels(backend, txt2img())


@pytest.mark.parametrize(
    ("hires", "size"),
    [
        (Hires("Latent", 0.5), (128, 128)),
        (Hires("Latent (bicubic)", 0.5, scale=1.5), (96, 96)),
        (Hires("Lanczos", 0.5, width=160, height=96), (160, 96)),
        (Hires("4x-UltraSharp", 0.5, steps=2, sampler="Euler a", model="dreamshaper"), (128, 128)),
        (Hires("4x-UltraSharp", 0.0), (128, 128)),
    ],
)
def test_hires_has_its_size_and_its_own_settings(
    backend: ComfyBackend, hires: Hires, size: tuple[int, int]
) -> None:
    reports = Reports()
    made = backend.txt2img(txt2img(hires=hires), reports, ManualCancel())
    assert made.image.size == size
    assert made.info["Hires upscaler"] == hires.upscaler
    assert made.info["Size"] == "64x64"
    assert reports.steps[-1][0] == reports.steps[-1][1]


def test_little_strength_keeps_the_picture_and_none_does_not_touch_it(backend: ComfyBackend) -> None:
    source = sample_image(64, 64)

    def distance(strength: float) -> float:
        image = make(backend, img2img(image=source, denoising_strength=strength)).image
        pairs = zip(source.tobytes(), image.tobytes(), strict=True)
        return sum(abs(a - b) for a, b in pairs) / len(source.tobytes())

    assert distance(0.0) == 0
    assert distance(0.1) < distance(1.0)


def test_img2img_of_any_size_keeps_its_size(backend: ComfyBackend) -> None:
    made = make(backend, img2img(image=sample_image(70, 51)))
    assert made.image.size == (70, 51)
    assert made.info["Size"] == "70x51"


@pytest.mark.parametrize("size", [(64, 64), (70, 51)])
def test_under_a_mask_black_stays_and_white_changes(backend: ComfyBackend, size: tuple[int, int]) -> None:
    source = sample_image(*size)
    mask = Image.new("L", size, 0)
    box = (8, 8, 40, 40)
    mask.paste(255, box)
    made = make(backend, img2img(image=source, mask=mask, denoising_strength=0.9)).image
    hidden = Image.new("RGB", (32, 32))
    outside = [image.copy() for image in (source, made)]
    for image in outside:
        image.paste(hidden, box[:2])
    assert outside[0].tobytes() == outside[1].tobytes()
    assert made.crop(box).tobytes() != source.crop(box).tobytes()


def test_a_mask_of_another_size_is_refused(backend: ComfyBackend) -> None:
    with pytest.raises(StageFailure, match="the mask is 8 x 8 pixels, its image 64 x 64"):
        make(backend, img2img(mask=Image.new("L", (8, 8))))


@pytest.mark.parametrize(
    ("upscaler", "scale", "size"),
    [("Lanczos", 2.0, (64, 48)), ("Nearest", 0.5, (16, 12)), ("4x-UltraSharp", 1.7, (54, 41))],
)
def test_upscales_have_exactly_their_size(
    backend: ComfyBackend, upscaler: str, scale: float, size: tuple[int, int]
) -> None:
    made = make(backend, upscale(upscaler=upscaler, scale=scale))
    assert made.image.size == size
    assert made.info["Postprocess upscaler"] == upscaler


def test_lora_hashes_are_told_where_the_file_has_one(backend: ComfyBackend) -> None:
    made = make(backend, txt2img(prompt="a <lora:detail:1> <lora:ink:1>"))
    hashes = str(made.info["Lora hashes"])
    assert hashes.startswith("detail: ")
    assert len(hashes) == len("detail: ") + 12


def test_what_it_cannot_do_it_refuses(backend: ComfyBackend) -> None:
    for request, text in (
        (txt2img(styles=("film",)), "prompt styles"),
        (txt2img(subseed=1, subseed_strength=0.5), "variation seeds"),
        (txt2img(face_restoration="default"), "face restoration"),
        (upscale(gfpgan_visibility=1.0), "face restoration"),
        (upscale(extra={"x": 1}), "does not know the setting 'x'"),
    ):
        with pytest.raises(StageFailure, match=text) as caught:
            make(backend, request)
        assert caught.value.kind == FailureKind.BAD_INPUT
    with pytest.raises(StageFailure, match="ADetailer"):
        backend.detail(
            DetailRequest(**{**vars_of(txt2img()), "image": sample_image(), "units": ()}),
            Reports(),
            ManualCancel(),
        )


def vars_of(request: Any) -> dict[str, Any]:
    names = ("prompt", "negative_prompt", "seed", "steps", "cfg_scale", "sampler", "scheduler")
    return {name: getattr(request, name) for name in names}


def test_a_model_that_was_put_there_later_is_found(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    fake.missing_files.add("dreamshaper.safetensors")
    assert "dreamshaper.safetensors" not in backend.capabilities().models
    with pytest.raises(StageFailure, match="no checkpoint 'dreamshaper'"):
        make(backend, txt2img(model="dreamshaper"))
    fake.missing_files.clear()
    assert make(backend, txt2img(model="dreamshaper")).info["Model"] == "dreamshaper"


def test_a_model_that_went_away_meanwhile_is_explained(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    backend.capabilities()
    fake.missing_files.add("dreamshaper.safetensors")
    with pytest.raises(
        StageFailure, match=r"ckpt_name has no 'dreamshaper\.safetensors'; choose one"
    ) as caught:
        make(backend, txt2img(model="dreamshaper"))
    assert caught.value.kind == FailureKind.BAD_INPUT
    assert "CheckpointLoaderSimple (node 1)" in str(caught.value)


def test_a_server_without_checkpoints_says_so(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    fake.missing_files.update(backend.capabilities().models)
    assert backend.capabilities().features == {Feature.UPSCALE, Feature.WORKFLOW}
    with pytest.raises(StageFailure, match="lists no checkpoints; put one into"):
        make(backend, txt2img())


def test_without_embeddings_bare_names_are_text(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    fake.traps["no_embeddings"] = -1
    assert Feature.EMBEDDING not in backend.capabilities().features
    make(backend, txt2img(negative_prompt="easynegative"))
    assert fake.prompts[-1]["prompt"]["3"]["inputs"]["text"] == "easynegative"


def test_the_option_names_the_checkpoint_to_use(connect: Connect, fake: FakeComfyUI) -> None:
    make(connect(checkpoint="dreamshaper"), txt2img())
    assert fake.prompts[-1]["prompt"]["1"]["inputs"]["ckpt_name"] == "dreamshaper.safetensors"


# --- progress ------------------------------------------------------------------------------------------------


def test_steps_of_both_passes_and_previews_are_reported(backend: ComfyBackend) -> None:
    reports = Reports(watching=True)
    backend.txt2img(txt2img(steps=3, hires=Hires("Latent", 0.5, steps=2)), reports, ManualCancel())
    assert sorted({step for step, _ in reports.steps}) == [0, 1, 2, 3, 4, 5]
    assert {of for _, of in reports.steps} == {5}
    assert reports.steps == sorted(reports.steps)
    assert len(reports.previews) == 5
    assert reports.previews[0].size == (8, 8)


def test_nobody_watches_no_preview_is_read(backend: ComfyBackend) -> None:
    reports = Reports()
    backend.txt2img(txt2img(), reports, ManualCancel())
    assert not reports.previews


def test_the_next_call_may_begin_when_the_bytes_are_in(
    backend: ComfyBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stablenew_plugins.backends.comfyui import checks

    order: list[str] = []

    class Ordered(Reports):
        def received(self) -> None:
            order.append("received")

    original = checks.opened

    def opened(*arguments: Any) -> Image.Image:
        order.append("decoded")
        return original(*arguments)

    monkeypatch.setattr(checks, "opened", opened)
    for call, request in ((backend.txt2img, txt2img()), (backend.upscale, upscale())):
        call(request, Ordered(), ManualCancel())  # type: ignore[operator]
        assert order == ["received", "decoded"]
        order.clear()


def test_two_calls_at_once_keep_apart(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    """The second begins while the first decodes."""
    alone = [pixels(backend, txt2img(seed=seed)) for seed in (1, 2)]
    found: dict[int, str] = {}
    may_decode = threading.Event()

    class Slow(Reports):
        def received(self) -> None:
            second.start()
            assert may_decode.wait(60)

    def run_second() -> None:
        found[2] = pixels(backend, txt2img(seed=2))
        may_decode.set()

    second = threading.Thread(target=run_second)
    found[1] = pixel_sha256(backend.txt2img(txt2img(seed=1), Slow(), ManualCancel()).image)
    second.join(60)
    assert [found[1], found[2]] == alone


# --- cancel --------------------------------------------------------------------------------------------------


def in_thread(call: Callable[[], Any]) -> tuple[threading.Thread, list[BaseException]]:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, errors


def ended_by_cancel(thread: threading.Thread, errors: list[BaseException]) -> None:
    thread.join(60)
    assert not thread.is_alive()
    assert [type(error) for error in errors] == [Cancelled]


def test_cancel_before_it_begins(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    cancel = ManualCancel()
    cancel.cancel()
    with pytest.raises(Cancelled):
        make(backend, txt2img(), cancel)
    assert not fake.prompts


def test_cancel_while_the_prompt_is_sent(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    backend.capabilities()
    fake.traps["hang_prompt"] = 1
    cancel = ManualCancel()
    thread, errors = in_thread(lambda: make(backend, txt2img(), cancel))
    until(lambda: ("POST", "/prompt") in fake.calls)
    cancel.cancel()
    ended_by_cancel(thread, errors)


def test_cancel_while_it_waits_takes_only_ours_from_the_queue(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    hold = fake.hold_at(1)
    other = NaiveClient(fake.url).post(small_graph())
    assert hold.reached.wait(60)
    cancel = ManualCancel()
    thread, errors = in_thread(lambda: make(backend, txt2img(), cancel))
    fake.wait_for_prompt(2)
    cancel.cancel()
    ended_by_cancel(thread, errors)
    assert fake.queued == [other]
    assert not fake.interrupted
    hold.go_on.set()
    entry = NaiveClient(fake.url).history(other)
    assert entry is not None
    assert entry["status"]["status_str"] == "success"


def test_cancel_while_it_samples_interrupts_ours_and_the_next_one_runs(
    fake: FakeComfyUI, backend: ComfyBackend
) -> None:
    fake.traps["hang_sampling"] = 1
    cancel = ManualCancel()
    thread, errors = in_thread(lambda: make(backend, txt2img(), cancel))
    fake.wait_for_prompt()
    until(lambda: fake.executed[-1:] == [(fake.prompts[0]["prompt_id"], "5")])
    cancel.cancel()
    ended_by_cancel(thread, errors)
    assert fake.interrupted == [fake.prompts[0]["prompt_id"]]
    assert not fake.queued
    make(backend, txt2img(seed=9))


def test_cancel_while_the_result_comes(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    fake.traps["hang_view"] = 1
    cancel = ManualCancel()
    thread, errors = in_thread(lambda: make(backend, txt2img(), cancel))
    until(lambda: ("GET", "/view") in fake.calls)
    cancel.cancel()
    ended_by_cancel(thread, errors)


def test_cancel_while_another_ones_prompt_runs_interrupts_nothing(
    fake: FakeComfyUI, backend: ComfyBackend
) -> None:
    """An old version interrupts whatever runs: so nothing may be sent to it."""
    fake.traps["old_version"] = -1
    hold = fake.hold_at(1)
    NaiveClient(fake.url).post(small_graph())
    assert hold.reached.wait(60)
    cancel = ManualCancel()
    thread, errors = in_thread(lambda: make(backend, txt2img(), cancel))
    fake.wait_for_prompt(2)
    cancel.cancel()
    ended_by_cancel(thread, errors)
    assert not fake.interrupted
    assert len(fake.queued) == 1
    hold.go_on.set()


# --- workflows -----------------------------------------------------------------------------------------------


def workflow(backend: ComfyBackend, graph: dict[str, Any], **images: Image.Image) -> GenerationResult:
    named = {f"%{name}%": image for name, image in images.items()}
    return backend.workflow(WorkflowRequest(graph, named), Reports(), ManualCancel())


def test_a_workflow_runs_and_says_what_it_used(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    made = workflow(backend, small_graph(seed=7, sampler_name="dpmpp_2m", scheduler="karras"))
    assert made.image.size == (64, 64)
    assert dict(made.info) == {
        "Steps": 4,
        "Sampler": "DPM++ 2M",
        "Schedule type": "Karras",
        "CFG scale": 7,
        "Seed": 7,
        "Size": "64x64",
        "Model": "dreamshaper",
        "Version": "ComfyUI 0.3.64",
    }


def test_a_workflow_gets_its_image(backend: ComfyBackend) -> None:
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "%image%"}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    source = sample_image(40, 30)
    assert pixel_sha256(workflow(backend, graph, image=source).image) == pixel_sha256(source)


def test_a_workflow_of_unknown_nodes_is_refused(backend: ComfyBackend) -> None:
    graph = {"1": {"class_type": "MagicNode", "inputs": {}}, "2": {"class_type": "SaveImage", "inputs": {}}}
    with pytest.raises(StageFailure, match="nodes that this ComfyUI has not: MagicNode; install"):
        workflow(backend, graph)


def test_a_workflow_that_is_not_filled_in_is_explained(backend: ComfyBackend) -> None:
    graph = small_graph()
    del graph["5"]["inputs"]["steps"]
    graph["5"]["inputs"]["cfg"] = 1000.0
    with pytest.raises(StageFailure) as caught:
        workflow(backend, graph)
    assert "KSampler (node 5): the input steps is not filled in" in str(caught.value)
    assert "cfg is 1000.0, must be 0.0 to 100.0" in str(caught.value)


def test_a_workflow_a_part_of_which_cannot_run_is_refused_whole(
    fake: FakeComfyUI, backend: ComfyBackend
) -> None:
    """ComfyUI takes it with 200, and leaves the part out."""
    graph = small_graph()
    graph["8"] = {"class_type": "SaveImage", "inputs": {"images": ["6", 0]}}
    with pytest.raises(StageFailure, match=r"SaveImage \(node 8\): the input filename_prefix is not filled in"):
        workflow(backend, graph)
    fake.wait_until_idle()


def test_the_first_saved_image_is_the_result(backend: ComfyBackend) -> None:
    graph = small_graph()
    graph["02"] = {"class_type": "PreviewImage", "inputs": {"images": ["10", 0]}}
    graph["10"] = {
        "class_type": "ImageScale",
        "inputs": {
            "image": ["6", 0],
            "upscale_method": "area",
            "width": 16,
            "height": 16,
            "crop": "disabled",
        },
    }
    graph["12"] = {"class_type": "SaveImage", "inputs": {"images": ["10", 0], "filename_prefix": "x"}}
    assert workflow(backend, graph).image.size == (64, 64)  # 7 before 12, and saved before shown


def test_the_address_may_be_written_shortly() -> None:
    assert ComfyConfig(url="127.0.0.1:8188/").url == "http://127.0.0.1:8188"
    assert ComfyConfig(url="https://box/comfy/").url == "https://box/comfy"
    for bad in ("ftp://x", "http://", "http://x:port"):
        with pytest.raises(ValueError, match="must be an address"):
            ComfyConfig(url=bad)
    with pytest.raises(ValueError, match="USER:PASSWORD"):
        ComfyConfig(auth="me")
