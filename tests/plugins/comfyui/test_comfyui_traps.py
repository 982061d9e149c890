"""Traps and faults of ComfyUI, by number where the list of traps has one. In each, a naive client is fooled."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import requests
from comfy_kit import NaiveClient, Reports, img2img, small_graph, txt2img, until
from tests.support.fake_comfyui import FakeComfyUI

from stablenew_api.backend import GenerationResult, WorkflowRequest
from stablenew_api.errors import Cancelled, StageFailure
from stablenew_api.images import pixel_sha256
from stablenew_api.jobs import FailureKind
from stablenew_api.testing import ManualCancel, sample_image
from stablenew_plugins.backends.comfyui import ComfyBackend, run
from stablenew_plugins.backends.comfyui.checks import execution_failure

Connect = Callable[..., ComfyBackend]


def make(backend: ComfyBackend, cancel: ManualCancel | None = None, **changes: Any) -> GenerationResult:
    return backend.txt2img(txt2img(**changes), Reports(), cancel or ManualCancel())


def failure(backend: ComfyBackend, kind: str, text: str, **changes: Any) -> StageFailure:
    with pytest.raises(StageFailure, match=text) as caught:
        make(backend, **changes)
    assert caught.value.kind == kind
    assert "\n" not in str(caught.value)
    return caught.value


# --- 9: never degrade silently -------------------------------------------------------------------------------


def test_trap_09_unknown_names_are_refused_before_anything_is_sent(
    fake: FakeComfyUI, backend: ComfyBackend
) -> None:
    for changes in ({"sampler": "Restart"}, {"scheduler": "Turbo"}, {"prompt": "<lora:nothing:1>"}):
        failure(backend, FailureKind.BAD_INPUT, "ComfyUI has no", **changes)
    assert not fake.prompts


# --- 16: an interrupt hits the next prompt -------------------------------------------------------------------


def test_trap_16_an_interrupt_meant_for_the_one_before_is_tried_again(
    fake: FakeComfyUI, backend: ComfyBackend
) -> None:
    naive = NaiveClient(fake.url)
    fake.traps["interrupt_next"] = 1
    hold = fake.hold_at(1)
    first = naive.post(small_graph(seed=1))
    assert hold.reached.wait(60)
    requests.post(f"{fake.url}/interrupt", json={"prompt_id": first}, timeout=60)
    errors: list[StageFailure] = []
    thread = threading.Thread(
        target=lambda: errors.append(failure(backend, FailureKind.BACKEND, "not by us; the job is tried again"))
    )
    thread.start()
    fake.wait_for_prompt(2)
    hold.go_on.set()
    thread.join(60)
    assert errors  # BACKEND: the kernel queues it again
    entry = naive.history(fake.prompts[1]["prompt_id"])
    assert entry is not None
    assert entry["outputs"] == {}  # a naive client finds no picture and no reason
    make(backend)


def test_an_interrupt_by_a_person_is_tried_again(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    fake.traps["hang_sampling"] = 1
    thread = threading.Thread(target=lambda: (until(lambda: bool(fake.executed)), fake.interrupt()))
    thread.start()
    failure(backend, FailureKind.BACKEND, "was interrupted while it worked at this job, and not by us")
    thread.join(60)


# --- 17: the cache -------------------------------------------------------------------------------------------


def test_trap_17_the_same_job_again_gives_a_new_file(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    naive = NaiveClient(fake.url)
    naive.image(small_graph())
    naive.image(small_graph())
    assert len(fake.files) == 1  # fooled: the second job has no file of its own
    fake.files.clear()
    assert naive.image(small_graph()) is None  # and none at all once somebody tidied up
    first, second = make(backend), make(backend)
    assert len(fake.files) == 2
    assert pixel_sha256(first.image) == pixel_sha256(second.image)
    ids = [body["prompt_id"] for body in fake.prompts[-2:]]
    sampled = [prompt for prompt, node in fake.executed if node == "5" and prompt in ids]
    assert sampled == ids[:1]  # only the saving was done again


def test_trap_17_a_cached_output_that_is_null(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    preview = small_graph()
    preview["7"] = {"class_type": "PreviewImage", "inputs": {"images": ["6", 0]}}
    naive = NaiveClient(fake.url)
    assert naive.image(preview) is not None
    fake.traps["cached_null"] = 2
    assert naive.image(preview) is None
    made = backend.workflow(WorkflowRequest(preview), Reports(), ManualCancel())
    assert made.image.size == (64, 64)


def test_trap_17_a_deleted_file_is_made_again(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    alone = make(backend)
    fake.traps["delete_files"] = 1
    assert NaiveClient(fake.url).image(small_graph()) is None
    fake.traps["delete_files"] = 1
    assert pixel_sha256(make(backend).image) == pixel_sha256(alone.image)
    fake.traps["delete_files"] = -1
    error = failure(backend, FailureKind.BACKEND, "says that it is done, and its image is not there")
    assert "stablenew" in error.detail


def test_trap_17_a_workflow_saves_under_a_new_name(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    for _ in range(2):
        backend.workflow(WorkflowRequest(small_graph(prefix="mine")), Reports(), ManualCancel())
    assert len(fake.files) == 2
    assert all(key[2].startswith("mine-") for key in fake.files)


# --- 18: uploads are renamed ---------------------------------------------------------------------------------


def test_trap_18_the_name_that_the_server_gives_is_used(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    fake.traps["rename_uploads"] = -1
    files = {"image": ("mine.png", b"x", "image/png")}
    answer = requests.post(f"{fake.url}/upload/image", files=files, timeout=60).json()
    assert answer["name"] == "mine (1).png"  # a naive client goes on with mine.png
    made = backend.img2img(img2img(), Reports(), ManualCancel())
    loaded = [node for node in fake.prompts[-1]["prompt"].values() if node["class_type"] == "LoadImage"]
    assert loaded[0]["inputs"]["image"].endswith(" (1).png")
    fake.traps["rename_uploads"] = 0
    again = backend.img2img(img2img(), Reports(), ManualCancel())
    assert pixel_sha256(made.image) == pixel_sha256(again.image)


def test_trap_18_the_same_image_is_uploaded_under_the_same_name(
    fake: FakeComfyUI, backend: ComfyBackend
) -> None:
    for seed in (1, 2):
        backend.img2img(img2img(seed=seed), Reports(), ManualCancel())
    backend.img2img(img2img(image=sample_image(72, 64)), Reports(), ManualCancel())
    names = [
        node["inputs"]["image"]
        for body in fake.prompts
        for node in body["prompt"].values()
        if node["class_type"] == "LoadImage"
    ]
    assert names[0] == names[1] != names[2]


# --- 19: slashes ---------------------------------------------------------------------------------------------


def test_trap_19_models_are_found_whatever_slashes_the_server_writes(
    fake: FakeComfyUI, backend: ComfyBackend
) -> None:
    fake.traps["windows_paths"] = -1
    graph = small_graph()
    graph["1"]["inputs"]["ckpt_name"] = "SDXL/juggernaut.safetensors"
    with pytest.raises(requests.HTTPError):
        NaiveClient(fake.url).post(graph)
    made = make(backend, model="SDXL/juggernaut.safetensors", prompt="x <lora:styles/ink:1>")
    assert made.info["Model"] == "juggernaut"
    sent = fake.prompts[-1]["prompt"]
    assert sent["1"]["inputs"]["ckpt_name"] == "SDXL\\juggernaut.safetensors"
    assert sent["2"]["inputs"]["lora_name"] == "styles\\ink.safetensors"


# --- 20: names that a parser takes for something else --------------------------------------------------------


def test_trap_20_a_lora_with_underscores_and_a_prompt_with_dollars(
    fake: FakeComfyUI, backend: ComfyBackend
) -> None:
    make(backend, prompt="a $5 note {x} <lora:my__lora__v1:0.7>")
    sent = fake.prompts[-1]["prompt"]
    assert sent["2"]["inputs"]["lora_name"] == "my__lora__v1.safetensors"
    assert sent["3"]["inputs"]["text"] == "a $5 note {x}"


# --- E: seen on live servers ---------------------------------------------------------------------------------


def test_a_deleted_pending_prompt_is_noticed(
    fake: FakeComfyUI, backend: ComfyBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never reaches the history: a naive client waits for ever."""
    monkeypatch.setattr(run, "CALM", 0.05)
    naive = NaiveClient(fake.url)
    hold = fake.hold_at(1)
    naive.post(small_graph())
    assert hold.reached.wait(60)
    lost = naive.post(small_graph(seed=2))
    thread = threading.Thread(target=lambda: (fake.wait_for_prompt(3), fake.delete_pending()))
    thread.start()
    failure(backend, FailureKind.BACKEND, "has lost our job from the queue before it ran")
    thread.join(60)
    hold.go_on.set()
    assert naive.history(lost, 0.2) is None


def test_a_restart_is_noticed(
    fake: FakeComfyUI, backend: ComfyBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "CALM", 0.05)
    fake.traps["restart"] = 1
    failure(backend, FailureKind.BACKEND, "has lost our job while it ran: .* restarted")
    make(backend)


def test_a_foreign_origin_is_explained(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    backend.capabilities()
    answer = requests.get(f"{fake.url}/queue", headers={"Origin": "http://elsewhere"}, timeout=60)
    assert answer.status_code == 403
    fake.traps["origin"] = -1
    failure(backend, FailureKind.BACKEND, "status 403: .*Origin.* --enable-cors-header")


def test_a_duplicate_prompt_id_never_happens(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    for _ in range(3):
        make(backend)
    ids = [body["prompt_id"] for body in fake.prompts]
    assert len(set(ids)) == 3
    assert all(str(uuid.UUID(item)) == item for item in ids)
    assert len({body["client_id"] for body in fake.prompts}) == 3


def test_an_old_version_is_followed_all_the_same(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    """It chooses prompt ids itself, and its progress does not say whose it is."""
    fake.traps["old_version"] = -1
    reports = Reports(watching=True)
    backend.txt2img(txt2img(), reports, ManualCancel())
    assert reports.steps[-1] == (4, 4)
    assert len(reports.previews) == 4


def test_an_old_version_is_interrupted_where_it_is_ours_that_runs(
    fake: FakeComfyUI, backend: ComfyBackend
) -> None:
    fake.traps.update(old_version=-1, hang_sampling=1)
    cancel = ManualCancel()
    thread = threading.Thread(
        target=lambda: (until(lambda: "5" in {node for _, node in fake.executed}), cancel.cancel())
    )
    thread.start()
    with pytest.raises(Cancelled):
        make(backend, cancel)
    thread.join(60)
    assert len(fake.interrupted) == 1
    assert not fake.queued


def test_lists_of_newer_versions_are_read(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    fake.traps["new_lists"] = -1
    assert "DPM++ 2M" in backend.capabilities().samplers
    make(backend, model="dreamshaper")


def test_what_a_killed_worker_left_is_taken_off(fake: FakeComfyUI, connect: Connect) -> None:
    """Jobs would wait behind it, and nobody would fetch it."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = f"stablenew-{platform.node()}-"
    naive = NaiveClient(fake.url)
    hold = fake.hold_at(1)
    running = naive.post(small_graph(seed=1), client=f"{here}{gone.pid}-0")
    assert hold.reached.wait(60)
    naive.post(small_graph(seed=2), client=f"{here}{gone.pid}-1")
    kept = [
        naive.post(small_graph(seed=3), client=f"{here}{os.getpid()}-2"),
        naive.post(small_graph(seed=4), client=f"stablenew-elsewhere-{gone.pid}-3"),
        naive.post(small_graph(seed=5)),
    ]
    backend = connect()
    backend.capabilities()
    backend.capabilities()
    assert fake.queued == [running, *kept]
    assert fake.interrupted == [running]
    hold.go_on.set()
    for prompt in kept:
        entry = naive.history(prompt)
        assert entry is not None
        assert entry["status"]["status_str"] == "success"


# --- out of memory, errors -----------------------------------------------------------------------------------


def test_out_of_memory_is_told_as_such_and_memory_is_freed(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    fake.traps["oom"] = 1
    error = failure(backend, FailureKind.OUT_OF_MEMORY, r"ran out of memory in KSampler \(node 5\)")
    assert "OutOfMemoryError" in error.detail
    assert fake.freed == 1
    make(backend)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("torch.OutOfMemoryError", "Allocation on device "),
        ("torch.cuda.OutOfMemoryError", "CUDA out of memory. Tried to allocate 20.00 MiB"),
        ("RuntimeError", "HIP out of memory. Tried to allocate 2.00 GiB"),
        ("RuntimeError", "MPS backend out of memory (MPS allocated: 5 GB)"),
        ("RuntimeError", "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        ("RuntimeError", "DefaultCPUAllocator: not enough memory: you tried to allocate 4 bytes"),
        ("RuntimeError", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
        (
            "RuntimeError",
            "Could not allocate tensor with 1 bytes. There is not enough GPU video memory available!",
        ),
        ("RuntimeError", "XPU out of memory. Tried to allocate 1 GiB"),
    ],
)
def test_each_wording_of_out_of_memory(kind: str, message: str) -> None:
    error = {"exception_type": kind, "exception_message": message, "node_type": "KSampler", "node_id": "5"}
    assert execution_failure(error).kind == FailureKind.OUT_OF_MEMORY


def test_an_error_of_a_node_is_told_in_its_words(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    fake.traps["error"] = 1
    error = failure(
        backend, FailureKind.BACKEND, r"failed in KSampler \(node 5\): tensors must be on the same device"
    )
    assert "execution.py" in error.detail


# --- the wire ------------------------------------------------------------------------------------------------


def test_nobody_listens() -> None:
    backend = ComfyBackend(ComfyBackend.Config(url="http://127.0.0.1:9"))
    with pytest.raises(
        StageFailure, match=r"does not answer at http://127\.0\.0\.1:9 \(nobody listens there\)"
    ):
        backend.identify()
    backend.close()


def test_a_lost_answer_does_not_run_the_job_twice(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    fake.traps["lose_reply"] = 1
    with pytest.raises(requests.ConnectionError):
        NaiveClient(fake.url).post(small_graph(seed=5))  # fooled: it would send it again
    fake.wait_until_idle()
    fake.traps["lose_reply"] = 1
    make(backend)
    assert len(fake.prompts) == 2
    assert len(fake.files) == 2


def test_a_prompt_that_did_not_arrive_is_sent_again(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    fake.traps["drop_prompt"] = 1
    make(backend)
    assert len(fake.prompts) == 1


def test_a_broken_websocket_is_opened_again(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    alone = make(backend)
    fake.cache = False
    fake.traps["drop_socket"] = 1
    reports = Reports()
    made = backend.txt2img(txt2img(), reports, ManualCancel())
    assert pixel_sha256(made.image) == pixel_sha256(alone.image)
    assert reports.steps[-1] == (4, 4)
    assert fake.traps["drop_socket"] == 0


def test_a_proxy_that_stumbles_costs_no_job(
    fake: FakeComfyUI, backend: ComfyBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "CALM", 0.05)
    backend.capabilities()
    fake.traps["queue_502"] = 3
    hold = fake.hold_at(1)
    thread = threading.Thread(target=lambda: (until(lambda: fake.traps["queue_502"] == 0), hold.go_on.set()))
    thread.start()
    make(backend)
    thread.join(60)
    assert len(fake.prompts) == 1


def test_without_a_websocket_no_silence_is_heard(fake: FakeComfyUI, connect: Connect) -> None:
    fake.traps["no_socket"] = -1
    fake.step_seconds = 0.2
    make(connect(stall_timeout=0.3))


def test_without_a_websocket_it_asks(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    fake.traps["no_socket"] = -1
    reports = Reports()
    backend.txt2img(txt2img(), reports, ManualCancel())
    assert reports.steps == [(4, 4)]


def test_a_websocket_that_is_never_answered_holds_nothing_up(fake: FakeComfyUI, connect: Connect) -> None:
    backend = connect(connect_timeout=0.5)
    fake.traps["hang_socket"] = -1
    assert make(backend).image.size == (64, 64)
    cancel = ManualCancel()
    patient = connect(connect_timeout=60)
    patient.capabilities()
    thread = threading.Thread(
        target=lambda: (until(lambda: fake.calls.count(("GET", "/ws")) > 1), cancel.cancel())
    )
    thread.start()
    with pytest.raises(Cancelled):
        make(patient, cancel)
    thread.join(60)
    assert len(fake.prompts) == 1


@pytest.mark.parametrize("trap", ["truncate_view", "html_view", "wrong_size", "two_images"])
def test_a_reply_that_does_not_fit_fails_with_evidence(
    fake: FakeComfyUI, backend: ComfyBackend, trap: str
) -> None:
    fake.traps[trap] = -1
    texts = {
        "truncate_view": "answer to GET /view broke off|the connection broke",
        "html_view": "no image that can be read",
        "wrong_size": "is 32 x 32 pixels, asked were 64 x 64",
        "two_images": "made 2 images, asked was one",
    }
    error = failure(backend, FailureKind.BACKEND, texts[trap])
    assert error.detail


def test_a_download_that_broke_off_is_tried_again(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    fake.traps["truncate_view"] = 1
    make(backend)
    assert len(fake.prompts) == 1


def test_a_hundred_megabytes_are_no_harm(fake: FakeComfyUI, backend: ComfyBackend) -> None:
    fake.traps["huge_view"] = 1
    assert make(backend).image.size == (64, 64)


@pytest.mark.parametrize("trap", ["hang_view", "drip_view"])
def test_a_result_that_does_not_come_is_not_waited_for(fake: FakeComfyUI, connect: Connect, trap: str) -> None:
    backend = connect(read_timeout=1.0)
    backend.capabilities()
    fake.traps[trap] = -1
    failure(backend, FailureKind.TIMEOUT, r"GET /view within 1 s")


def test_a_prompt_that_is_never_answered(fake: FakeComfyUI, connect: Connect) -> None:
    backend = connect(read_timeout=1.0)
    backend.capabilities()
    fake.traps["hang_prompt"] = -1
    failure(backend, FailureKind.TIMEOUT, r"POST /prompt within 1 s")
    assert fake.calls.count(("POST", "/prompt")) == 1  # it may have run: it is not sent again


def test_a_hung_sampler_is_interrupted(fake: FakeComfyUI, connect: Connect) -> None:
    fake.traps["hang_sampling"] = 1
    failure(connect(stall_timeout=0.4), FailureKind.TIMEOUT, r"no progress for 0\.4 s: it hangs")
    fake.wait_until_idle()
    assert len(fake.interrupted) == 1


def test_waiting_in_the_queue_is_no_silence(
    fake: FakeComfyUI, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "CALM", 0.05)
    hold = fake.hold_at(1)
    NaiveClient(fake.url).post(small_graph())
    assert hold.reached.wait(60)
    threading.Timer(2.0, hold.go_on.set).start()
    make(connect(stall_timeout=1.5))


def test_a_job_that_takes_too_long_ends(fake: FakeComfyUI, connect: Connect) -> None:
    hold = fake.hold_at(1)
    NaiveClient(fake.url).post(small_graph())
    assert hold.reached.wait(60)
    failure(connect(job_timeout=0.4), FailureKind.TIMEOUT, r"more than 0\.4 s for the job")
    assert len(fake.queued) == 1  # ours is taken out again
    hold.go_on.set()


def test_a_server_that_goes_away_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "KEEN", 0.05)
    fake = FakeComfyUI()
    fake.start()
    backend = ComfyBackend(ComfyBackend.Config(url=fake.url, lost_timeout=0.5))
    backend.capabilities()
    fake.hold_at(1)
    stopper = threading.Thread(target=lambda: (fake.wait_for_prompt(), fake.stop()))
    stopper.start()
    failure(
        backend, FailureKind.BACKEND, r"no answer for 0\.5 s while our job is there|lost our job|interrupted"
    )
    stopper.join(60)
    backend.close()


def test_a_password_is_asked_for_and_given(fake: FakeComfyUI, connect: Connect) -> None:
    fake.traps["auth"] = -1
    with pytest.raises(StageFailure, match="status 401: it asks for user and password: set the option auth"):
        connect().identify()
    backend = connect(auth="u:p")
    reports = Reports()
    backend.txt2img(txt2img(), reports, ManualCancel())
    assert reports.steps[-1] == (4, 4)
    assert fake.sockets_opened == 1
