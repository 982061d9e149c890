"""Each trap of the list of traps that concerns an A1111 server: how it fools a client that trusts a 200, and
that the backend is not fooled. The number in a test's name is the trap's."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import requests
from tests.support.fake_webui import TRAPS, FakeSettings
from tests.support.webui_server.detailer import UNIT_DEFAULTS
from webui_kit import (
    PATIENCE,
    Steps,
    detail,
    fails,
    img2img,
    make,
    naive,
    once,
    setup,
    txt2img,
    unit,
    until,
    upscale,
)

from stablenew_api.backend import Hires, Progress, Refiner
from stablenew_api.errors import Cancelled, StageFailure
from stablenew_api.images import pixel_sha256
from stablenew_api.jobs import FailureKind
from stablenew_api.testing import ManualCancel
from stablenew_plugins.backends.webui import flight
from stablenew_plugins.backends.webui.flight import Flight
from stablenew_plugins.backends.webui.http import Trouble
from stablenew_plugins.backends.webui.progress import ask_by_id

BAD, BACKEND = FailureKind.BAD_INPUT, FailureKind.BACKEND


def test_trap_01_an_unknown_checkpoint_is_refused_before_anything_is_sent() -> None:
    with setup() as (fake, backend):
        _, info, answer = naive(fake, override_settings={"sd_model_checkpoint": "juggernautXL_v8"})
        assert info["sd_model_name"] == "v1-5-pruned-emaonly"  # another one, with 200
        assert answer["parameters"]["override_settings"]["sd_model_checkpoint"] == "juggernautXL_v8"
        made = len(fake.jobs)
        fails(
            backend,
            BAD,
            "no checkpoint 'juggernautXL_v8'",
            "nearest: SDXL/juggernautXL_v9",
            model="juggernautXL_v8",
        )
        assert len(fake.jobs) == made


def test_trap_01_a_checkpoint_that_is_listed_and_yet_not_loaded_is_noticed_by_its_hash() -> None:
    with setup(FakeSettings(also=("stuck_model",))) as (fake, backend):
        _, info, _ = naive(fake, override_settings={"sd_model_checkpoint": "SDXL/juggernautXL_v9.safetensors"})
        assert info["sd_model_name"] == "v1-5-pruned-emaonly"
        failure = fails(
            backend,
            BACKEND,
            "checkpoint: SDXL/juggernautXL_v9",
            "v1-5-pruned-emaonly [",
            model="juggernautXL_v9",
        )
        assert "sd_model_hash" in failure.detail  # the evidence


def test_trap_02_options_are_never_relied_on() -> None:
    """POST /options may say 200 and do nothing; what a job needs goes with the job."""
    with setup(FakeSettings(also=("options_not_applied",))) as (fake, backend):
        url = f"{fake.url}/sdapi/v1/options"
        answer = requests.post(url, json={"sd_model_checkpoint": "anime/counterfeit.ckpt"}, timeout=PATIENCE)
        assert answer.status_code == 200
        assert "v1-5" in requests.get(url, timeout=PATIENCE).json()["sd_model_checkpoint"]
        assert make(backend, model="counterfeit").info["Model"] == "counterfeit"
        assert len(fake.calls("/sdapi/v1/options")) == 2 + 1  # and ours was a GET
        assert fake.calls("/sdapi/v1/options")[-1].method == "GET"


@pytest.mark.parametrize("ids", [True, False], ids=["by id", "global"])
def test_trap_03_progress_never_goes_back_and_is_ours(ids: bool) -> None:
    also = ("progress_wrong", *(() if ids else ("no_ids",)))
    settings = FakeSettings(also=also, seconds=1.0, missing=() if ids else ("/internal/progress",))
    with setup(settings, poll_interval=0.05) as (fake, backend):
        too_far: list[tuple[int, int]] = []

        class Compared(Steps):
            def __call__(self, step: int, steps: int, preview: Any = None) -> None:
                super().__call__(step, steps, preview)
                now = fake.state
                if now.job_count and step > now.sampling_step:
                    too_far.append((step, now.sampling_step))

        steps = Compared()
        backend.txt2img(txt2img(steps=20), steps, ManualCancel())
        numbers = [step for step, of in steps.steps if of == 20]
        assert numbers == sorted(numbers)
        assert numbers[-1] == 20
        assert len(numbers) > 2
        asked = fake.calls("/internal/progress")
        if ids:
            assert {seen.body["id_task"] for seen in asked} == {fake.jobs[0].id}
            assert too_far == [], "0.99 of another job is what the global one says in the first half"
        # idle and done look alike to whoever asks for the global one
        assert requests.get(f"{fake.url}/sdapi/v1/progress", timeout=PATIENCE).json()["progress"] == 0


def test_trap_04_a_job_that_failed_goes_on_being_active_and_nobody_waits_for_it() -> None:
    with setup(FakeSettings(also=("lost_image",))) as (fake, backend):
        fails(backend, BACKEND, "HTTP 500")
        task = fake.jobs[0].id
        answer = requests.post(f"{fake.url}/internal/progress", json={"id_task": task}, timeout=PATIENCE).json()
        assert answer["active"] is True
        assert answer["completed"] is False
        fake.traps.discard("lost_image")
        assert make(backend).image.size == (64, 64)


def test_trap_05_internal_calls_are_open_and_the_api_is_not() -> None:
    with setup(
        FakeSettings(auth="me:secret", seconds=0.3), user="me", password="secret", poll_interval=0.05
    ) as (
        fake,
        backend,
    ):
        assert requests.get(f"{fake.url}/sdapi/v1/options", timeout=PATIENCE).status_code == 401
        assert (
            requests.post(f"{fake.url}/internal/progress", json={"id_task": "x"}, timeout=PATIENCE).status_code
            == 200
        )
        assert make(backend).image.size == (64, 64)
    # Where somebody closed them too, progress comes from the API and the job is made all the same.
    settings = FakeSettings(auth="me:secret", seconds=0.3, without=("internal_open",))
    with (
        setup(settings, user="me", password="wrong") as (fake, backend),
        pytest.raises(StageFailure, match="--api-auth"),
    ):
        backend.identify()


def test_trap_06_an_interrupted_job_is_no_success() -> None:
    """Somebody clicks on Interrupt: 200, with a half-made picture."""
    with setup(FakeSettings(seconds=2 * PATIENCE), poll_interval=0.1) as (fake, backend):
        found: list[BaseException] = []

        def run() -> None:
            try:
                make(backend, steps=30)
            except StageFailure as failure:
                found.append(failure)

        thread = threading.Thread(target=run)
        thread.start()
        fake.wait_until_running()
        until(lambda: len(fake.calls("/internal/progress")) >= 2)
        requests.post(f"{fake.url}/sdapi/v1/interrupt", timeout=PATIENCE)
        thread.join()
        assert fake.jobs[0].interrupted
        (failure,) = found
        assert isinstance(failure, StageFailure)
        assert failure.kind == BACKEND
        assert "interrupted" in str(failure)
        # and the flag that is still up spoils no later job
        fake.settings.seconds = 0.3
        assert make(backend).image.size == (64, 64)


def test_trap_06_an_interrupted_job_too_short_to_be_asked_about() -> None:
    with setup(FakeSettings(seconds=2 * PATIENCE), poll_interval=PATIENCE) as (fake, backend):
        backend.capabilities()
        with once(fake.is_running, fake.interrupt):
            fails(backend, BACKEND, "interrupted the job")
        fake.settings.seconds = 0.0
        assert not fake.calls("/internal/progress")
        assert make(backend).image.size == (64, 64)


def test_trap_06_the_next_job_waits_until_it_is_known_whether_this_one_was_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next job would set the server's flag back."""
    received = threading.Event()
    early: list[bool] = []

    class Told(Progress):
        def received(self) -> None:
            received.set()

    with setup(FakeSettings(seconds=0.4), poll_interval=0.05) as (fake, backend):
        answer = fake.answer

        def slow(method: str, path: str, query: Any, body: Any) -> Any:
            if path == "/sdapi/v1/progress" and fake.jobs and fake.jobs[-1].ended:
                early.append(received.wait(0.2))
            return answer(method, path, query, body)

        monkeypatch.setattr(fake, "answer", slow)
        backend.txt2img(txt2img(), Told(), ManualCancel())
    assert early
    assert not any(early)
    assert received.is_set()


def test_trap_06_a_naive_client_takes_the_half_made_picture() -> None:
    with setup(FakeSettings(seconds=PATIENCE / 2)) as (fake, _backend):
        with once(fake.is_running, fake.interrupt):
            partial, _, _ = naive(fake, steps=20)
        fake.settings.seconds = 0.0
        whole, _, _ = naive(fake, steps=20)
        assert pixel_sha256(partial) != pixel_sha256(whole)


def test_trap_07_an_upscale_has_no_id_and_no_progress() -> None:
    with setup(FakeSettings(seconds=0.4), poll_interval=0.05) as (fake, backend):
        steps = Steps()
        made = backend.upscale(upscale(), steps, ManualCancel())
        assert made.image.size == (128, 128)
        assert steps.steps == [(1, 1)]
        assert not fake.calls("/internal/progress")
        assert "force_task_id" not in fake.last_body("/sdapi/v1/extra-single-image")


def test_trap_08_the_first_image_may_be_a_grid() -> None:
    with setup(FakeSettings(also=("grid_first",))) as (fake, backend):
        grid, _, answer = naive(fake)
        assert grid.size == (32, 32)
        assert len(answer["images"]) == 2
        made = make(backend)
        assert made.image.size == (64, 64)
        assert made.info["Seed"] == 1  # its own infotext too, not the grid's
        assert fake.last_body("/sdapi/v1/txt2img")["do_not_save_grid"] is True


def test_trap_09_an_unknown_sampler_is_refused() -> None:
    with setup() as (fake, backend):
        _, info, answer = naive(fake, sampler_name="DPM++ 4M")
        assert info["sampler_name"] == "DPM++ 2M"
        assert answer["parameters"]["sampler_name"] == "DPM++ 4M"
        made = len(fake.jobs)
        fails(backend, BAD, "no sampler 'DPM++ 4M'", "nearest: DPM++ 2M", sampler="DPM++ 4M")
        fails(backend, BAD, "no scheduler 'Karas'", "Karras", scheduler="Karas")
        assert len(fake.jobs) == made


def test_trap_09_another_sampler_than_asked_for_is_noticed() -> None:
    with setup(FakeSettings(also=("stuck_sampler",))) as (fake, backend):
        assert naive(fake, sampler_name="DDIM")[1]["sampler_name"] == "Euler a"
        fails(
            backend,
            BACKEND,
            "sampler: DDIM was asked for, Euler a was used",
            sampler="DDIM",
            scheduler="Automatic",
        )
        fails(backend, BACKEND, "scheduler: Karras was asked for, Automatic was used", sampler="Euler a")


def test_trap_09_an_unknown_script_is_refused() -> None:
    with setup(FakeSettings(also=("silent_script",))) as (fake, backend):
        naive(fake, alwayson_scripts={"ControlNet": {"args": [{}]}})  # 200, without it
        made = len(fake.jobs)
        fails(backend, BAD, "no script 'ControlNet'", extra={"alwayson_scripts": {"ControlNet": {"args": []}}})
        fails(backend, BAD, "no script 'image grid'", extra={"script_name": "image grid", "script_args": []})
        assert len(fake.jobs) == made


def test_trap_10_a_nonsense_eta_goes_nowhere() -> None:
    settings = FakeSettings(also=("eta_nonsense", "no_ids"), seconds=0.5, missing=("/internal/progress",))
    with setup(settings, poll_interval=0.05) as (fake, backend):
        steps = Steps()
        backend.txt2img(txt2img(steps=20), steps, ManualCancel())
        etas = [requests.get(f"{fake.url}/sdapi/v1/progress", timeout=PATIENCE).json()["eta_relative"]]
        assert etas == [0.0]
        assert all(0 <= step <= of for step, of in steps.steps)


def test_trap_11_an_image_lost_to_an_exception_is_a_failure_that_is_tried_again() -> None:
    with setup(FakeSettings(also=("lost_image",))) as (fake, backend):
        failure = fails(
            backend, BACKEND, "'NoneType' object is not iterable"
        )  # BACKEND: the kernel tries again
        assert "HTTP 500" in failure.detail
        assert len(fake.jobs) == 1  # and the backend by itself does not


def test_trap_12_one_job_after_the_other_is_at_the_server() -> None:
    """Nothing is posted while a job is not received; the next one may be, while the last one is decoded."""
    with setup(FakeSettings(seconds=0.1)) as (fake, backend):
        for number in range(3):
            make(backend, seed=number)
        assert all(gap >= 0 for gap in fake.gaps())
        assert not fake.pending


def test_trap_19_a_checkpoint_is_found_whatever_its_folder_is_written_like() -> None:
    with setup(FakeSettings(also=("windows_paths",))) as (fake, backend):
        _, info, _ = naive(fake, override_settings={"sd_model_checkpoint": "SDXL/juggernautXL_v9.safetensors"})
        assert info["sd_model_name"] == "v1-5-pruned-emaonly"  # not found there, silently another
        title = fake.title("SDXL/juggernautXL_v9.safetensors")
        assert "\\" in title
        sha = title[-11:-1]
        for name in (
            "SDXL/juggernautXL_v9.safetensors",
            "juggernautXL_v9",
            "sdxl\\JuggernautXL_v9",
            sha,
            f"renamed [{sha}]",
        ):
            assert make(backend, model=name).info["Model"] == "juggernautXL_v9", name
            sent = fake.last_body("/sdapi/v1/txt2img")["override_settings"]["sd_model_checkpoint"]
            assert sent == title


def test_trap_21_the_infotext_is_that_of_the_image() -> None:
    with setup(FakeSettings(also=("wrong_infotext",))) as (fake, backend):
        _, info, _ = naive(fake)
        assert "Seed: 2" in info["infotexts"][0]  # of an image with another seed
        fails(backend, BACKEND, "seed: 1 was asked for, 2 was used")


def test_trap_22_the_detail_pass_gets_its_own_final_prompt() -> None:
    """An empty prompt there means the main one, which an extension may draw anew: it is never left to that."""
    with setup() as (fake, backend):
        make(backend, detail(unit(prompt="a red-haired face [SEP] [SKIP]")))
        args = fake.last_body("/sdapi/v1/img2img")["alwayson_scripts"]["adetailer"]["args"]
        assert args[:2] == [True, True]
        assert args[2]["ad_prompt"] == "a red-haired face [SEP] [SKIP]"


def test_trap_23_a_unit_that_would_be_dropped_is_not_sent() -> None:
    with setup() as (fake, backend):
        bad = {"ad_model": "face_yolov8n.pt", "ad_confidence": 3}
        image, info, _ = naive(fake, alwayson_scripts={"ADetailer": {"args": [True, False, bad]}})
        plain, _, _ = naive(fake)
        assert pixel_sha256(image) == pixel_sha256(plain)  # 200, and nothing was detailed
        assert "ADetailer" not in info["infotexts"][0]
        made = len(fake.jobs)
        fails(
            backend,
            BAD,
            "ADetailer unit 1",
            "confidence is 3; it must be 0 to 1",
            request=detail(unit(confidence=3)),
        )
        fails(backend, BAD, "unit 2: max_ratio", request=detail(unit(), unit(min_ratio=0.5, max_ratio=0.2)))
        fails(
            backend,
            BAD,
            "no ADetailer model 'face_yolov9'",
            "nearest: face_yolov8",
            request=detail(unit(model="face_yolov9")),
        )
        fails(backend, BAD, "only together with a sampler", request=detail(unit(scheduler="Karras")))
        assert len(fake.jobs) == made


def test_trap_23_a_unit_with_a_key_of_another_version_is_not_sent() -> None:
    from stablenew_plugins.backends.webui.inventory import Inventory
    from stablenew_plugins.backends.webui.payload import Builder

    old = Inventory(detailer=True, detailer_fields=frozenset({"ad_model", "ad_prompt"}))
    with pytest.raises(StageFailure, match=r"does not know ad_\w+ and would drop the unit"):
        Builder(old, "http://x").detail(detail(), "task")


@pytest.mark.parametrize("trap", ["drop_unit", "detailer_crash"])
def test_trap_23_a_picture_that_was_not_detailed_is_noticed(trap: str) -> None:
    with setup(FakeSettings(also=(trap,))) as (fake, backend):
        backend.capabilities()
        if trap == "drop_unit":
            # The server's ADetailer is older than it says.
            original = dict(UNIT_DEFAULTS)
            UNIT_DEFAULTS.pop("ad_mask_blur")  # type: ignore[attr-defined]
        try:
            failure = fails(
                backend, BACKEND, "ADetailer model: face_yolov8n.pt was asked for", request=detail()
            )
        finally:
            if trap == "drop_unit":
                UNIT_DEFAULTS.clear()  # type: ignore[attr-defined]
                UNIT_DEFAULTS.update(original)  # type: ignore[attr-defined]
        assert "the unit was dropped" in str(failure)
        assert fake.console  # only there it could be read


def test_trap_23_what_was_detailed_says_so() -> None:
    with setup() as (fake, backend):
        before = detail()
        made = make(backend, detail(unit(), unit(model="hand_yolov8n.pt", denoising_strength=0.7)))
        assert made.info["ADetailer model"] == "face_yolov8n.pt"
        assert made.info["ADetailer model 2nd"] == "hand_yolov8n.pt"
        assert pixel_sha256(made.image) != pixel_sha256(before.image)
        # img2img's own sampling is skipped, and its stand-in values are not passed on as the truth
        assert fake.jobs
        assert not {"Steps", "Sampler", "Size"} & made.info.keys()


def test_interrupting_stops_our_own_job_and_no_other() -> None:
    """Our job waits behind somebody else's; a cancel must not stop that one, and ours not run to its end."""
    with setup(FakeSettings(seconds=PATIENCE / 2)) as (fake, backend):
        other = threading.Thread(target=naive, args=(fake,), kwargs={"steps": 10})
        other.start()
        fake.wait_until_running()
        cancel = ManualCancel()
        with once(lambda: fake.pending, cancel.cancel), pytest.raises(Cancelled):
            make(backend, cancel=cancel, steps=10)
        asked = len(fake.calls("/internal/progress"))
        until(lambda: len(fake.calls("/internal/progress")) > asked + 1)  # it is followed, and not interrupted
        fake.hurry()
        other.join()
        assert fake.jobs[0].interrupted is False  # somebody else's went on to its end
        until(lambda: len(fake.jobs) == 2 and fake.jobs[1].ended)
        assert fake.jobs[1].interrupted is True  # ours, when its turn came


def test_on_a_shared_server_without_ids_nobody_is_interrupted() -> None:
    settings = FakeSettings(flavour="sdnext", seconds=0.8, missing=("/internal/progress",))
    with setup(settings, exclusive=False, poll_interval=0.1) as (fake, backend):
        cancel = ManualCancel()
        with once(fake.is_running, cancel.cancel), pytest.raises(Cancelled):
            make(backend, cancel=cancel, scheduler="Automatic")
        until(lambda: fake.jobs[0].ended)
        assert not fake.calls("/sdapi/v1/interrupt")


def test_a_connection_that_was_given_back_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else may have it by then: the one who interrupts the very job that was given up, say."""
    cut = Flight._cut

    def late(one: Flight, *uses: str) -> None:
        assert one._poller is not None
        one._poller.join()  # the thread that asks has seen that it is over, and gives its connection back
        cut(one, *uses)

    monkeypatch.setattr(Flight, "_cut", late)
    with setup(FakeSettings(seconds=PATIENCE / 2), poll_interval=0.05) as (fake, backend):
        cancel = ManualCancel()
        with once(lambda: fake.calls("/internal/progress"), cancel.cancel), pytest.raises(Cancelled):
            make(backend, cancel=cancel, steps=10)
        until(lambda: fake.jobs[0].ended)
        assert fake.jobs[0].interrupted is True
        assert all(lane.usable for lane in backend._server._free)


def test_a_job_is_interrupted_although_a_connection_breaks_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def breaks_once(*arguments: Any) -> Any:
        if threading.current_thread().name == "webui-interrupt":
            asked.append("once")
            if len(asked) == 1:
                raise Trouble("the connection broke", ran=True, broke=True)
        return ask_by_id(*arguments)

    monkeypatch.setattr(flight, "ask_by_id", breaks_once)
    with setup(FakeSettings(seconds=PATIENCE / 2)) as (fake, backend):
        cancel = ManualCancel()
        with once(fake.is_running, cancel.cancel), pytest.raises(Cancelled):
            make(backend, cancel=cancel, steps=10)
        until(lambda: fake.jobs[0].ended)
        assert fake.jobs[0].interrupted is True


def test_a_server_that_was_too_busy_to_know_a_job_is_asked_for_it_again_when_it_is_given_up() -> None:
    """Else the job would run to its end, while somebody else's waits behind it."""
    with setup(FakeSettings(seconds=PATIENCE / 2), exclusive=False) as (fake, backend):
        backend.capabilities()
        backend._ids.known, backend._ids.doubted = False, True
        cancel = ManualCancel()
        with once(fake.is_running, cancel.cancel), pytest.raises(Cancelled):
            make(backend, cancel=cancel, steps=10)
        until(lambda: fake.jobs[0].ended)
        assert fake.jobs[0].interrupted is True
        assert backend._ids.known


def test_where_ids_are_ignored_the_global_progress_is_used() -> None:
    """SD.Next takes force_task_id and does nothing with it."""
    with setup(FakeSettings(also=("no_ids",), seconds=PATIENCE / 3), poll_interval=0.05) as (fake, backend):
        steps = Steps(watching=True)
        steps.enough = fake.hurry
        backend.txt2img(txt2img(steps=20), steps, ManualCancel())
        assert fake.calls("/internal/progress")
        assert fake.calls("/sdapi/v1/progress")
        assert steps.moved.is_set()
        assert steps.previews


# --- faults that any server may have ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trap", "text"),
    [
        ("wrong_size", "size: 64x64 was asked for, the image has 56x64"),
        ("two_images", "1 image was asked for, the reply has 2"),
        ("no_images", "1 image was asked for, the reply has 0"),
        ("not_an_image", "no image"),
        ("not_base64", "no base64"),
        ("broken_image", "no image"),
        ("wrong_seed", "seed: 1 was asked for, 2 was used"),
        ("wrong_steps", "steps: 4 was asked for, 5 was used"),
        ("no_info", "does not say how"),
        ("html", "no JSON (text/html)"),
        ("truncated", "was cut off"),
        ("crash", "the connection broke"),
        ("unavailable", "HTTP 503"),
        ("redirect", "redirects to http://elsewhere.invalid"),
    ],
)
def test_fault(trap: str, text: str) -> None:
    assert trap in TRAPS
    with setup() as (fake, backend):
        backend.capabilities()
        fake.traps.add(trap)
        failure = fails(backend, BACKEND, text)
        assert len(failure.detail) < 16 * 1024
        sent = len(fake.calls("/sdapi/v1/txt2img"))
        assert sent == 1, "a call that may have run was sent again"
        fake.traps.discard(trap)
        assert make(backend).image.size == (64, 64)


def test_the_naive_client_takes_what_is_wrong() -> None:
    with setup(FakeSettings(also=("wrong_size", "wrong_seed"))) as (fake, _backend):
        image, info, answer = naive(fake)
        assert image.size == (56, 64)
        assert (info["width"], info["seed"], answer["parameters"]["seed"]) == (64, 2, 1)


def test_evidence_is_kept() -> None:
    with setup() as (fake, backend):
        backend.capabilities()
        fake.traps.add("html")
        assert "Please log in" in fails(backend, BACKEND).detail
        fake.traps = {"not_an_image"}
        assert "<svg>no image" in fails(backend, BACKEND).detail


@pytest.mark.parametrize("flavour", ["a1111", "forge", "sdnext"])
@pytest.mark.parametrize("trap", ["oom", "oom_200", "oom_silent"])
def test_out_of_memory_is_told_and_memory_freed(flavour: str, trap: str) -> None:
    with setup(FakeSettings(flavour=flavour)) as (fake, backend):
        backend.capabilities()
        fake.traps.add(trap)
        fails(backend, FailureKind.OUT_OF_MEMORY, "out of memory", scheduler="Automatic")
        assert len(fake.calls("/sdapi/v1/unload-checkpoint")) == 1
        fake.traps.discard(trap)
        # A1111 fails here if nobody loads it again.
        assert make(backend, scheduler="Automatic").image.size == (64, 64)
        assert len(fake.calls("/sdapi/v1/reload-checkpoint")) == 1
        assert make(backend, scheduler="Automatic").image.size == (64, 64)
        assert len(fake.calls("/sdapi/v1/reload-checkpoint")) == 1


def test_a_slow_loris_runs_into_the_limit_of_the_whole_job() -> None:
    with setup(FakeSettings(), job_timeout=0.8, read_timeout=0.5) as (fake, backend):
        backend.capabilities()
        fake.traps.add("slow_loris")
        fails(backend, FailureKind.TIMEOUT, "job_timeout")
        fake.traps = {"slow_lists"}
        with pytest.raises(StageFailure, match="no whole answer"):
            backend.capabilities()


def test_a_reply_of_100_mb_is_taken_and_one_without_end_is_not() -> None:
    with setup() as (fake, backend):
        backend.capabilities()
        fake.traps.add("huge")
        assert make(backend).image.size == (64, 64)
    with setup(FakeSettings(), max_reply_mib=8) as (fake, backend):
        backend.capabilities()
        fake.traps.add("endless")
        fails(backend, BACKEND, "more than 8388608 bytes")
    with setup(FakeSettings(reply_bytes=2_000_000), max_reply_mib=1) as (_fake, backend):
        # As its length says, before it is read.
        fails(backend, BACKEND, "the reply has 26", width=1024, height=1024)


@pytest.mark.parametrize("trap", ["extra_fields", "null_lists", "odd_lists"])
@pytest.mark.parametrize("flavour", ["a1111", "forge", "sdnext"])
def test_lists_that_cannot_be_read_are_not_known_and_the_job_is_made(trap: str, flavour: str) -> None:
    with setup(FakeSettings(flavour=flavour, also=(trap,))) as (_fake, backend):
        can = backend.capabilities()
        if trap == "extra_fields":
            assert can.samplers
        else:
            assert not can.samplers
            assert not can.models
            assert "model" not in can.features
            # What cannot be checked before is checked after; with unknown schedulers, none is asked for.
        made = make(backend, scheduler="Karras" if flavour != "sdnext" else "Automatic")
        assert made.info["Sampler"] == "DPM++ 2M"
        if trap != "extra_fields" and flavour == "a1111":
            fails(backend, BACKEND, "sampler: DPM++ 4M was asked for, DPM++ 2M was used", sampler="DPM++ 4M")


def test_every_list_may_be_missing() -> None:
    with setup() as (fake, backend):
        backend.identify()
        lists = {seen.path.partition("?")[0] for seen in fake.seen} - {"/sdapi/v1/options"}
        fake.missing |= lists
        backend._inventory = None
        can = backend.capabilities()
        assert {"txt2img", "img2img"} <= can.features
        assert not {"detail", "upscale", "lora", "vae", "model", "styles"} & can.features
        assert backend.identify().name == "WebUI"
        assert make(backend).image.size == (64, 64)
        fails(backend, BAD, "can't do this: choosing a checkpoint", model="x")


def test_other_things_that_are_silently_not_done() -> None:
    two = Hires(upscaler="Latent", denoising_strength=0.5)
    with setup() as (fake, backend):
        fails(backend, BAD, "no VAE 'vae-ft-mse'", "nearest: vae-ft-mse-840000", vae="vae-ft-mse")
        fails(backend, BAD, "no style 'cinema'", "cinematic", styles=("cinema",))
        fails(backend, BAD, "no hypernetwork 'watercolor'", "watercolour", hypernetwork="watercolor")
        fails(backend, BAD, "no LoRA 'add_details'", "add_detail", prompt="x <lora:add_details:1>")
        fails(backend, BAD, "no embedding 'easy'", "easynegative", negative_prompt="<embedding:easy>")
        fails(backend, BAD, "no upscaler 'ESRGAN_8x'", "ESRGAN_4x", request=upscale(upscaler="ESRGAN_8x"))
        fails(backend, BAD, "no hires upscaler 'Latent2'", "Latent", hires=Hires("Latent2", 0.5))
        fails(backend, BAD, "no checkpoint 'refiner'", refiner=Refiner("refiner", 0.8))
        fails(backend, BAD, "no checkpoint 'other'", hires=Hires("Latent", 0.5, model="other"))
        fails(backend, BAD, "no face restorer 'GPFGAN'", "GFPGAN", face_restoration="GPFGAN")
        fails(backend, BAD, "extra 'tilling'", "tiling", extra={"tilling": True})
        fails(backend, BAD, "extra 'seed'", extra={"seed": 5})
        fails(backend, BAD, "no setting 'eta_noise'", extra={"override_settings": {"eta_noise": 1}})
        fails(backend, BAD, "width 65", width=65)
        fails(backend, BAD, "needs a variation seed", subseed_strength=0.5)
        assert not fake.jobs
        fake.traps |= {"stuck_vae"}
        fails(backend, BACKEND, "VAE: sdxl_vae.safetensors was asked for", vae="sdxl_vae")
        fake.traps |= {"lora_fails"}
        fails(backend, BACKEND, "LoRA: add_detail was asked for", prompt="x <lora:add_detail:1>")
    with setup(FakeSettings(flavour="sdnext")) as (fake, backend):
        fails(backend, BAD, "can't do this: a refiner", refiner=Refiner("v1-5-pruned-emaonly", 0.8))
        fails(backend, BAD, "scheduler 'Karras'", "no schedulers beside", scheduler="Karras")
        assert make(backend, hires=two, scheduler="Automatic").image.size == (128, 128)


def test_a_refused_request_is_bad_input_and_a_refused_user_is_not() -> None:
    with setup(FakeSettings(without=("silent_sampler",))) as (fake, backend):
        backend._inventory = None
        fake.missing.add("/sdapi/v1/samplers")
        fails(backend, BAD, "Sampler not found", sampler="nonsense")
    with setup(FakeSettings(auth="a:b")) as (_fake, backend):
        fails(backend, BACKEND, "wants a user and password")


def test_an_api_that_is_not_there_says_what_to_do() -> None:
    with setup(FakeSettings(also=("still_starting",))) as (_fake, backend):
        with pytest.raises(StageFailure, match="start the WebUI with --api"):
            backend.capabilities()
        assert backend.options.url.startswith("http://127.0.0.1")
    with setup() as (fake, backend):
        fake.stop()
        fails(backend, BACKEND, "nobody answers", "--api")


def test_a_preview_that_is_no_image_is_no_failure() -> None:
    from stablenew_plugins.backends.webui.progress import decode_preview

    assert decode_preview("data:image/png;base64,AAAA") is None
    assert decode_preview("!") is None
    assert decode_preview("") is None


def test_img2img_needs_its_image() -> None:
    with setup() as (fake, backend):
        answer = requests.post(f"{fake.url}/sdapi/v1/img2img", json={"prompt": "x"}, timeout=PATIENCE)
        assert answer.status_code == 404
        assert make(backend, img2img()).image.size == (64, 64)
        assert Progress().wants_preview() is False
