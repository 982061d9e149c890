"""A real agent process with real workers, against a kernel that records."""

from __future__ import annotations

import hashlib
import io
import json
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from agent_fakes import PATIENCE, AgentProcess, FakeKernel, async_test, spec, until
from PIL import Image

from stablenew_agent.outbox import Outbox
from stablenew_api.images import pixel_sha256
from stablenew_api.jobs import Artifact, FailureKind
from stablenew_api.leases import LeaseKey, LeaseState, Offer, Outcome, StageResult
from stablenew_client import wire
from stablenew_proto.options import STAGE_RESULTS


def report_of(outcome: Outcome) -> Any:
    """What the worker told."""
    return json.loads(outcome.report)


def agent_of(kernel: FakeKernel, folder: Path, *options: str, **env: str) -> AgentProcess:
    return AgentProcess(folder, f"127.0.0.1:{kernel.port}", *options, **env)


@async_test
async def test_says_who_it_is_and_what_it_can(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path, "--slots", "2", "--probe", "fake") as agent:
        hello = await kernel.connected()
        node = hello.node
        assert (node.name, node.slots, node.loopback, hello.epoch) == ("tested", 2, False, 1)
        assert {"draw", "steps", "noop"} <= {stage.name for stage in node.stages}
        assert (node.backend.name, node.backend.stand_in, list(node.backend.models)) == (
            "test",
            True,
            ["red", "blue"],
        )
        # What the backend can do, and what the stage upscale can where a backend cannot.
        assert set(node.backend.features) - {"detector"} == {"txt2img", "upscale"}
        assert node.gpus
        assert node.gpus[0].vram_total_bytes > 0
        report = await until(lambda: next((r for r in kernel.reports() if r.state == "ready"), None))
        assert report.ram_free_bytes > 0
        assert report.disk_free_bytes > 0
        assert [gpu.uuid for gpu in report.gpus] == [gpu.uuid for gpu in node.gpus]
        assert len(await until(lambda: len(agent.workers()) == 2 and agent.workers())) == 2


@async_test
async def test_noop_jobs_need_no_upload(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path):
        await kernel.connected()
        for number in range(20):
            lease = kernel.offer(f"job-{number}", spec("noop"))
            fact = await kernel.fact(lease)
            assert fact.outcome.state is LeaseState.SUCCEEDED
            assert fact.outcome.outputs == ()
            assert report_of(fact.outcome)["stages"][0]["name"] == "noop"
        assert [fact.fact_id for fact in kernel.facts] == list(range(1, 21))


@async_test
async def test_an_image_is_uploaded_before_its_fact(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path):
        await kernel.connected()
        kernel.store.gate.clear()
        lease = kernel.offer("job-a", spec("draw", seed=200))
        second = kernel.offer("job-b", spec("noop"))
        await kernel.fact(second)  # the worker has gone on, while the image waits for its upload
        assert not [fact for fact in kernel.facts if fact.lease == lease]
        kernel.store.gate.set()
        outcome = (await kernel.fact(lease)).outcome
        assert outcome.state is LeaseState.SUCCEEDED
        artifact = outcome.outputs[0]
        data = kernel.store.files[artifact.sha256]
        image = Image.open(io.BytesIO(data))
        assert (artifact.name, artifact.media_type, artifact.size) == ("image.png", "image/png", len(data))
        assert artifact.tags == {
            "width": "8",
            "height": "8",
            "seed": "200",
            "pixel_sha256": pixel_sha256(image),
        }
        assert image.getpixel((0, 0)) == (200, 0, 0)
        assert image.info == {}
        assert outcome.peak_vram_bytes == 1200
        assert outcome.run_time > 0
        assert report_of(outcome)["backend"] == {"name": "test", "version": "1.0", "stand_in": True}
        assert report_of(outcome)["stages"][0]["info"]["Steps"] == 3
        await until(lambda: not list((tmp_path / "state" / "staging").iterdir()), what="staging is empty")
        await until(lambda: kernel.reports()[-1].loaded_model == "red")


@async_test
async def test_inputs_are_fetched(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path):
        await kernel.connected()
        out = io.BytesIO()
        Image.new("RGB", (5, 4), (255, 0, 10)).save(out, "PNG")
        data = out.getvalue()
        digest = hashlib.sha256(data).hexdigest()
        kernel.store.files[digest] = data
        artifact = Artifact("start.png", "image/png", digest, len(data), {})
        made = (await kernel.fact(kernel.offer("job", spec("invert", inputs=(artifact,))))).outcome
        image = Image.open(io.BytesIO(kernel.store.files[made.outputs[0].sha256]))
        assert image.size == (5, 4)
        assert image.getpixel((0, 0)) == (0, 255, 245)
        lost = Artifact("start.png", "image/png", "00" * 32, 5, {})
        failed = (await kernel.fact(kernel.offer("job2", spec("invert", inputs=(lost,))))).outcome
        assert failed.failure is not None
        assert failed.failure.kind is FailureKind.BAD_INPUT, "it is not to be had elsewhere, either"
        assert "no such file here" in failed.failure.message


@async_test
async def test_a_stage_is_kept_at_the_kernel_and_gone_on_from(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path, "--keep-after", "0"):
        kernel.welcome.features.append(STAGE_RESULTS)
        await kernel.connected()
        lease = kernel.offer("job", spec("draw", "hang", "invert", seed=200))
        told = await kernel.fact(lease)
        assert told.stage is not None
        assert (told.outcome.state, told.stage.stages) == (LeaseState.RUNNING, 1)
        (image,) = told.stage.images
        assert kernel.store.files[image.sha256]
        kernel.cancel(lease, grace=0.1)
        await until(lambda: kernel.facts[-1].lease == lease and kernel.facts[-1].stage is None, what="its end")
        assert kernel.facts[-1].outcome.state is LeaseState.CANCELLED

        async def goes_on(job: str, resume: StageResult) -> tuple[Any, list[str]]:
            lease = LeaseKey(job, 1)
            offer = Offer(lease, spec("draw", "invert", seed=200), 60.0, 60.0, resume)
            kernel.send(offers=[wire.offer_to_proto(offer)])
            await until(lambda: [fact for fact in kernel.facts if fact.lease == lease and fact.stage is None])
            made = next(fact.outcome for fact in kernel.facts if fact.lease == lease and fact.stage is None)
            stages = report_of(made)["stages"]
            pixel = Image.open(io.BytesIO(kernel.store.files[made.outputs[0].sha256])).getpixel((0, 0))
            return pixel, [stage.get("node", "here") for stage in stages]

        report = json.loads(told.stage.report)
        report["stages"][0]["node"] = "elsewhere"
        resume = replace(told.stage, report=json.dumps(report).encode())
        assert await goes_on("again", resume) == ((55, 255, 255), ["elsewhere", "here"])
        gone = replace(resume, images=(replace(image, sha256="00" * 32),))
        assert await goes_on("anew", gone) == ((55, 255, 255), ["here", "here"]), "the same image, made anew"
        await until(lambda: not list((tmp_path / "state" / "staging").iterdir()), what="staging is empty")


@async_test
async def test_a_kernel_that_keeps_no_stages_gets_none(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path, "--keep-after", "0"):
        await kernel.connected()
        lease = kernel.offer("job", spec("draw", "raise", seed=200))
        assert (await kernel.fact(lease)).outcome.state is LeaseState.FAILED
        assert kernel.store.files == {}


@async_test
async def test_what_stages_raise(tmp_path: Path) -> None:
    cases = {
        "bug": (FailureKind.PLUGIN, "KeyError: 'oops'"),
        "exit": (FailureKind.PLUGIN, "SystemExit: 0"),
        "memory": (FailureKind.OUT_OF_MEMORY, "out of memory"),
        "oom": (FailureKind.OUT_OF_MEMORY, "CUDA out of memory"),
        "json": (FailureKind.PLUGIN, "JSON cannot hold"),
        "surrogate": (FailureKind.PLUGIN, "OSError: no such file: ?"),
    }
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path) as agent:
        await kernel.connected()
        for how, (kind, text) in cases.items():
            failure = (await kernel.fact(kernel.offer(f"job-{how}", spec("raise", how=how)))).outcome.failure
            assert failure is not None
            assert failure.kind is kind, how
            assert text in failure.message
            if kind is FailureKind.PLUGIN and how != "json":
                assert "in run" in failure.detail
        wrong = (await kernel.fact(kernel.offer("job-config", spec("steps", steps="many")))).outcome.failure
        assert wrong is not None
        assert wrong.kind is FailureKind.BAD_INPUT
        assert wrong.message.startswith("steps.steps: Input should be a valid integer")
        missing = (await kernel.fact(kernel.offer("job-missing", spec("nonesuch")))).outcome.failure
        assert missing is not None
        assert missing.kind is FailureKind.BACKEND
        assert len(agent.workers()) == 1
        assert len(agent.children) == 1, "one worker did all of it"


@async_test
async def test_a_chatty_plugin_cannot_break_the_protocol(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path):
        await kernel.connected()
        outcome = (await kernel.fact(kernel.offer("job", spec("chatty")))).outcome
        assert outcome.state is LeaseState.SUCCEEDED
        assert report_of(outcome)["stages"][0]["info"] == {"stdin": "", "raw": ""}


@async_test
async def test_a_cancel_does_not_wait_for_the_end_and_keeps_the_worker(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path) as agent:
        await kernel.connected()
        worker = agent.workers()
        lease = kernel.offer("job", spec("steps", steps=1_000_000))
        await kernel.running(lease)
        kernel.cancel(lease, grace=2 * PATIENCE)
        assert (await kernel.fact(lease)).outcome.state is LeaseState.CANCELLED
        assert (await kernel.fact(kernel.offer("next", spec("noop")))).outcome.state is LeaseState.SUCCEEDED
        assert agent.workers() == worker


@async_test
async def test_a_waiting_lease_is_taken_back_and_never_runs(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path):
        await kernel.connected()
        running = kernel.offer("first", spec("steps"))
        waiting = kernel.offer("second", spec("draw"))
        await kernel.running(running)
        await until(lambda: [h.state for h in kernel.reports()[-1].leases] == ["running", "held"])
        kernel.cancel(waiting)
        assert (await kernel.fact(waiting)).outcome.state is LeaseState.CANCELLED
        kernel.cancel(running)
        await kernel.fact(running)
        assert kernel.store.files == {}


@async_test
async def test_the_next_job_has_the_device_while_the_last_one_is_finished(tmp_path: Path) -> None:
    diary = tmp_path / "diary.txt"
    options = ("--backend-option", f"diary={diary}", "--backend-option", "last_seed=3")
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path, *options) as agent:
        await kernel.connected()
        leases = [kernel.offer(f"job-{seed}", spec("draw", "invert", seed=seed)) for seed in (1, 2, 3)]
        facts = [await kernel.fact(lease) for lease in leases]
        assert [fact.outcome.state for fact in facts] == [LeaseState.SUCCEEDED] * 3
        assert len(agent.workers()) == 1
        lines = diary.read_text(encoding="utf-8").splitlines()
        at = {line: lines.index(line) for line in lines}
        assert len(at) == 9, "each call was made once"
        for seed in (1, 2):
            following = at[f"begin {seed + 1}"]
            assert at[f"received {seed}"] < following, "never two on the device"
            assert following < at[f"end {seed}"], "it did not wait for the last one's end"


@async_test
async def test_a_job_that_is_ready_outlives_its_worker(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path) as agent:
        await kernel.connected()
        running, ready = kernel.offer("running", spec("hang")), kernel.offer("ready", spec("draw"))
        await kernel.running(running)
        agent.workers()[0].kill()
        failed, made = (await kernel.fact(running)).outcome, (await kernel.fact(ready)).outcome
        assert (failed.state, made.state) == (LeaseState.FAILED, LeaseState.SUCCEEDED)


@async_test
async def test_a_worker_that_does_not_listen_is_killed_after_the_grace_time(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path) as agent:
        await kernel.connected()
        before = agent.workers()
        lease = kernel.offer("job", spec("hang"))
        await kernel.running(lease)
        asked = time.monotonic()
        kernel.cancel(lease, grace=0.4)
        assert (await kernel.fact(lease)).outcome.state is LeaseState.CANCELLED
        assert time.monotonic() - asked >= 0.4
        assert not before[0].is_running()
        assert (await kernel.fact(kernel.offer("next", spec("noop")))).outcome.state is LeaseState.SUCCEEDED


@async_test
async def test_run_timeout(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path):
        await kernel.connected()
        outcome = (await kernel.fact(kernel.offer("job", spec("steps"), run_timeout=0.3))).outcome
        assert outcome.state is LeaseState.FAILED
        assert outcome.failure is not None
        assert outcome.failure.kind is FailureKind.TIMEOUT
        assert "0.3 s" in outcome.failure.message


@async_test
async def test_a_worker_that_dies_fails_its_job_and_is_replaced(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path) as agent:
        await kernel.connected()
        failure = (await kernel.fact(kernel.offer("job", spec("die", code=9)))).outcome.failure
        assert failure is not None
        assert failure.kind is FailureKind.BACKEND
        assert "exit code 9" in failure.message
        assert "a library gave up" in failure.detail
        lease = kernel.offer("killed", spec("steps"))
        await kernel.running(lease)
        (worker,) = agent.workers()
        worker.kill()
        failure = (await kernel.fact(lease)).outcome.failure
        assert failure is not None
        assert failure.kind is FailureKind.BACKEND
        assert (await kernel.fact(kernel.offer("next", spec("draw")))).outcome.state is LeaseState.SUCCEEDED
        assert len(kernel.hellos) == 1, "the link never noticed"


@async_test
async def test_facts_survive_kill_9_of_the_agent(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path) as agent:
        kernel.acking = False
        await kernel.connected()
        lease = kernel.offer("job", spec("draw"))
        fact = await kernel.fact(lease)
        running = kernel.offer("running", spec("steps"))
        await kernel.running(running)
        await agent.kill()
        kernel.facts.clear()
        kernel.acking = True
        await agent.start()
        hello = await kernel.connected(2)
        assert hello.node_id == kernel.hellos[0].node_id
        assert hello.epoch == kernel.hellos[0].epoch + 1
        assert [(h.lease.job_id, h.state) for h in hello.held_leases] == [("job", "succeeded")]
        assert await kernel.fact(lease) == fact
        after = await kernel.fact(kernel.offer("next", spec("noop")))
        assert after.fact_id > fact.fact_id


@pytest.mark.parametrize(
    ("point", "told"),
    [
        ("agent.offer.received", False),
        ("worker.job.received", None),
        ("worker.stage.step", None),
        ("worker.result.before_send", None),
        ("agent.result.before_upload", False),
        ("agent.result.after_upload", False),
        ("agent.result.after_outbox", True),
    ],
)
@async_test
async def test_crash_points(tmp_path: Path, point: str, told: bool | None) -> None:
    """``told``: whether the restarted agent still knows the result; None: only the worker died."""
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path, STABLENEW_CRASH_AT=point) as agent:
        await kernel.connected()
        agent.workers()
        lease = kernel.offer("job", spec("draw"))
        if told is None:
            outcome = (await kernel.fact(lease)).outcome
            assert outcome.failure is not None
            assert outcome.failure.kind is FailureKind.BACKEND
            return
        assert await agent.exit_code() == 137
        await agent.start(STABLENEW_CRASH_AT="")
        hello = await kernel.connected(2)
        assert [h.lease.job_id for h in hello.held_leases] == (["job"] if told else [])
        again = kernel.offer("job", spec("draw"), attempt=2)
        outcome = (await kernel.fact(again)).outcome
        assert outcome.state is LeaseState.SUCCEEDED
        assert len(kernel.store.files) == 1, "the same bytes both times"
        if told:
            assert (await kernel.fact(lease)).outcome.outputs == outcome.outputs


@async_test
async def test_comes_back_when_the_kernel_does(tmp_path: Path) -> None:
    async with agent_of(kernel := await FakeKernel().start(), tmp_path) as agent:
        hello = await kernel.connected()
        gate = tmp_path / "gate"
        lease = kernel.offer("job", spec("steps", steps=20, gate=str(gate)))
        waiting = kernel.offer("waiting", spec("draw"))
        await kernel.running(lease)
        await kernel.stop()
        gate.touch()
        async with kernel:
            again = await kernel.connected(2)
            assert again.epoch > hello.epoch
            assert {h.lease.job_id for h in again.held_leases} == {"job", "waiting"}
            assert (await kernel.fact(lease)).outcome.state is LeaseState.SUCCEEDED
            assert (await kernel.fact(waiting)).outcome.state is LeaseState.SUCCEEDED
            assert len(agent.workers()) == 1
            assert len(agent.children) == 1


@async_test
async def test_an_interrupted_upload_is_resumed(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path):
        await kernel.connected()
        kernel.store.cut_after = 500_000
        outcome = (await kernel.fact(kernel.offer("job", spec("noop", payload_bytes=1_500_000)))).outcome
        assert outcome.state is LeaseState.SUCCEEDED
        assert outcome.outputs[0].size > 1_000_000
        assert outcome.outputs[0].sha256 in kernel.store.files
        assert kernel.store.offsets[0] == 0
        assert kernel.store.offsets[1] >= 500_000


@async_test
async def test_a_refused_upload_fails_the_job_in_the_kernels_words(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path):
        await kernel.connected()
        kernel.store.refuse = (grpc.StatusCode.INVALID_ARGUMENT, "files above 1 byte are not taken")
        failure = (await kernel.fact(kernel.offer("job", spec("draw")))).outcome.failure
        assert failure is not None
        assert "files above 1 byte are not taken" in failure.message


@async_test
async def test_a_damaged_upload_is_sent_again_once(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path):
        await kernel.connected()
        kernel.store.damage = 1
        assert (await kernel.fact(kernel.offer("job", spec("draw")))).outcome.state is LeaseState.SUCCEEDED
        kernel.store.damage = 2
        failure = (await kernel.fact(kernel.offer("job2", spec("draw", seed=8)))).outcome.failure
        assert failure is not None
        assert failure.kind is FailureKind.BACKEND
        assert "damaged on this node" in failure.message


@async_test
async def test_the_embedded_engine(tmp_path: Path) -> None:
    def job(**config: object) -> bytes:
        return spec("txt2img", "frame", width=128, height=96, **config)

    agent = AgentProcess(tmp_path, "", backend="embedded")
    async with FakeKernel() as kernel:
        agent.options[agent.options.index("--kernel") + 1] = f"127.0.0.1:{kernel.port}"
        async with agent:
            node = (await kernel.connected()).node
            assert node.backend.stand_in
            assert "txt2img" in node.backend.features
            outcome = (await kernel.fact(kernel.offer("job", job(steps=4)))).outcome
            assert outcome.state is LeaseState.SUCCEEDED, outcome.failure
            again = (await kernel.fact(kernel.offer("again", job(steps=4)))).outcome
            assert again.outputs == outcome.outputs, "equal jobs give equal bytes"
            assert [stage["name"] for stage in report_of(outcome)["stages"]] == ["txt2img", "frame"]
            assert outcome.peak_vram_bytes > 0
            lease = kernel.offer("long", job(steps=150))
            await kernel.running(lease)
            kernel.cancel(lease, grace=2 * PATIENCE)
            ended = (await kernel.fact(lease)).outcome.state
            # A quick machine may be through with 150 steps before the cancel arrives.
            assert ended in (LeaseState.CANCELLED, LeaseState.SUCCEEDED)
            crash = (await kernel.fact(kernel.offer("crash", job(steps=4, fault="crash@2")))).outcome.failure
            assert crash is not None
            assert crash.kind is FailureKind.BACKEND
            hang = kernel.offer("hang", job(steps=4, fault="hang@2"), run_timeout=0.5)
            failure = (await kernel.fact(hang)).outcome.failure
            assert failure is not None
            assert failure.kind is FailureKind.TIMEOUT


@async_test
async def test_previews_only_while_somebody_watches(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path):
        await kernel.connected()
        begun = time.monotonic()
        lease = kernel.offer("job", spec("steps", steps=1_000_000))
        await until(lambda: len(kernel.progress(lease)) > 5)
        first, last = kernel.progress(lease)[0], kernel.progress(lease)[-1]
        assert not any(p.preview_jpeg for p in kernel.progress(lease))
        assert last.step > first.step
        assert 0 < last.fraction < 1
        assert (last.stage, last.stage_count, last.steps) == ("steps", 1, 1_000_000)
        kernel.send(watch={"previews": True})
        data = (await until(lambda: [p.preview_jpeg for p in kernel.progress(lease) if p.preview_jpeg]))[0]
        preview = Image.open(io.BytesIO(data))
        assert preview.format == "JPEG"
        assert max(preview.size) == 256
        assert len(data) <= 64 * 1024
        kernel.send(watch={"previews": False})
        count = len(kernel.progress(lease))

        def without() -> bool:
            after = kernel.progress(lease)[count:]
            return len(after) >= 20 and not any(p.preview_jpeg for p in after[-20:])

        await until(without, what="no previews any more")
        told = len(kernel.progress(lease))
        assert told <= 20 * (time.monotonic() - begun) + 3, "at most 20 a second"
        kernel.cancel(lease)
        await kernel.fact(lease)


@async_test
async def test_a_backend_that_does_not_answer_makes_the_node_unhealthy(tmp_path: Path) -> None:
    switch = tmp_path / "on"
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path, "--backend-option", f"answers_when={switch}"):
        hello = await kernel.connected()
        assert hello.node.backend.name == ""
        report = await until(lambda: next((r for r in kernel.reports() if r.state == "unhealthy"), None))
        assert report.problem == "the test backend is switched off; make the file"
        switch.touch()
        hello = await kernel.connected(2)  # what it can do has changed, so it says Hello anew
        assert hello.node.backend.name == "test"
        await until(lambda: kernel.reports()[-1].state == "ready")


@async_test
async def test_a_backend_that_goes_down_is_told_before_the_job_it_failed(tmp_path: Path) -> None:
    """Else the kernel would give that job, and the next ones, to the same node at once."""
    switch = tmp_path / "on"
    switch.touch()
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path, "--backend-option", f"answers_when={switch}"):
        await kernel.connected()
        switch.unlink()
        lease = kernel.offer("job", spec("draw"))
        fact = await kernel.fact(lease)
        assert fact.outcome.failure is not None
        assert fact.outcome.failure.kind is FailureKind.BACKEND
        told = [at for at, frame in enumerate(kernel.frames) if frame.report.problem]
        failed = [at for at, frame in enumerate(kernel.frames) if any(f.state == "failed" for f in frame.facts)]
        assert told[0] <= failed[0], "a frame's report counts before its facts"
        switch.touch()
        await until(lambda: kernel.reports()[-1].state == "ready")
        again = kernel.offer("job", spec("draw"), attempt=2)
        assert (await kernel.fact(again)).outcome.state is LeaseState.SUCCEEDED


@async_test
async def test_drain_with_exit(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path) as agent:
        await kernel.connected()
        gate = tmp_path / "gate"
        lease = kernel.offer("job", spec("steps", steps=20, gate=str(gate)))
        await kernel.running(lease)
        kernel.send(drain={"draining": True, "reason": "maintenance", "exit_when_idle": True})
        late = kernel.offer("late", spec("noop"))
        assert (await kernel.fact(late)).outcome.state is LeaseState.REJECTED
        gate.touch()
        assert (await kernel.fact(lease)).outcome.state is LeaseState.SUCCEEDED
        assert await agent.exit_code() == 0
        assert kernel.frames[-1].HasField("goodbye")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to one process")
@async_test
async def test_signals(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    options = ("--backend-option", f"says_goodbye={closed}")
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path, *options) as agent:
        await kernel.connected()
        gate = tmp_path / "gate"
        running = kernel.offer("running", spec("steps", steps=20, gate=str(gate)))
        waiting = kernel.offer("waiting", spec("noop"))
        await kernel.running(running)
        assert agent.process is not None
        agent.workers()
        agent.process.send_signal(signal.SIGINT)
        assert (await kernel.fact(waiting)).outcome.state is LeaseState.REJECTED
        gate.touch()
        assert (await kernel.fact(running)).outcome.state is LeaseState.SUCCEEDED
        assert await agent.exit_code() == 0
        assert closed.exists(), "the backend was let go in good order"
        kernel.facts.clear()

        await agent.start()
        await kernel.connected(2)
        running = kernel.offer("running-2", spec("hang"))
        await kernel.running(running)
        agent.workers()
        agent.process.send_signal(signal.SIGTERM)
        assert await agent.exit_code() == 0
        assert kernel.facts == [], (
            "a job that was cut off is nobody's cancel: the kernel gives it to another node"
        )
        assert kernel.frames[-1].HasField("goodbye")


@async_test
async def test_an_unrecoverable_refusal_ends_the_agent(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path) as agent:
        kernel.refusal = (grpc.StatusCode.PERMISSION_DENIED, "revoked on Sunday")
        assert await agent.exit_code() == 4
        assert "revoked on Sunday" in agent.stderr().splitlines()[-1]


@async_test
async def test_one_agent_a_state_folder(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path) as agent:
        await kernel.connected()
        async with AgentProcess(tmp_path, f"127.0.0.1:{kernel.port}") as second:
            assert await second.exit_code() == 3
            assert f"another agent uses {agent.state}" in second.stderr()


@async_test
async def test_exits_when_the_kernel_stays_away(tmp_path: Path) -> None:
    async with agent_of(kernel := await FakeKernel().start(), tmp_path, "--exit-after-lost", "1") as agent:
        await kernel.connected()
        lease = kernel.offer("job", spec("steps", steps=250))
        await kernel.running(lease)
        await kernel.stop()
        assert await agent.exit_code() == 0
        outbox = Outbox(agent.state / "outbox.sqlite3")
        ended = {fact.lease: fact.outcome.state for fact in [*kernel.facts, *outbox.load()]}
        outbox.close()
        assert ended == {lease: LeaseState.SUCCEEDED}, "not while a job runs"


@async_test
async def test_a_worker_ends_with_its_agent_even_when_it_is_busy(tmp_path: Path) -> None:
    async with FakeKernel() as kernel, agent_of(kernel, tmp_path) as agent:
        await kernel.connected()
        lease = kernel.offer("job", spec("hang"))
        await kernel.running(lease)
        (worker,) = agent.workers()
        await agent.kill()
        await until(
            lambda: not psutil.pid_exists(worker.pid) or worker.status() == "zombie", what="the worker ends"
        )
