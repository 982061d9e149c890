"""``stablenew run`` against a kernel on a real socket."""

from __future__ import annotations

import io
import json
import signal
import sys

import grpc
import pytest
from fake_kernel import RUN, hang

from stablenew_kernel.cli import follow
from stablenew_kernel.cli.commands import run
from stablenew_kernel.cli.exits import ExitCode
from stablenew_kernel.cli.interrupts import Interrupts


def test_a_run_goes_to_the_kernel_by_content_and_ends_with_where_the_images_are(kernel, call, pack):
    pack.with_suffix(".json").write_bytes(b'{"txt2img": {}}')
    result = call("run", pack, "--preset", "full", "--rows", "1-3,7", "--set", "txt2img.steps=30", "--count", 2)

    assert result.code == 0, result.err
    request = kernel.requests("SubmitRun")[0].run
    assert request.pack == b"a castle\nneg: fog\n"
    assert (request.pack_name, request.pack_path) == ("demo.txt", str(pack))
    assert (request.sidecar, request.sidecar_name) == (b'{"txt2img": {}}', "demo.json")
    assert (request.preset, request.preset_json, request.rows) == ("full", b"", "1-3,7")
    assert (list(request.sets), request.count) == (["txt2img.steps=30"], 2)
    assert not request.HasField("seed")
    lines = result.out.splitlines()
    assert lines[0] == f"run {RUN}: 1 row x 2 images = 2 images"
    assert "[2/2] /out/demo/0001.png (attic, 1.5 s)" in lines
    assert "2 images in 1 min 00 s (2.0 images/min)" in lines
    assert "images:        /out/demo" in lines
    assert "contact sheet: /out/demo/contact_sheet.png" in lines


def test_what_is_not_given_is_not_sent(kernel, call, pack):
    assert call("run", pack).code == 0
    request = kernel.requests("SubmitRun")[0].run
    assert not request.HasField("count")
    assert not request.HasField("seed")
    assert (request.sidecar, request.sidecar_name, request.out_dir, request.preset) == (b"", "", "", "")


def test_a_preset_file_travels_by_content_and_the_output_folder_is_absolute(
    kernel, call, pack, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.json").write_bytes(b"{}")
    assert (
        call("run", pack, "--preset", "mine.json", "--out", "here", "--seed", -1, "--report", "html").code == 0
    )
    request = kernel.requests("SubmitRun")[0].run
    assert (request.preset, request.preset_name, request.preset_json) == ("", "mine.json", b"{}")
    assert request.out_dir == str(tmp_path / "here")
    assert request.seed == -1
    assert list(request.reports) == ["html"]


def test_a_value_from_a_file_travels_by_content(kernel, call, pack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flow.json").write_bytes(b'\xef\xbb\xbf{"1": {}}\n')
    sets = ["--set", "comfy_workflow.workflow=@flow.json", "--set", "img2img.prompt_adjust= @@home"]
    assert call("run", pack, *sets).code == 0
    request = kernel.requests("SubmitRun")[0].run
    assert list(request.sets) == ['comfy_workflow.workflow={"1": {}}\n', "img2img.prompt_adjust=@home"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("missing.json", "--set a.b=@missing.json: no such file"),
        (".", "--set a.b=@.: this is a folder; give a file in it"),
        ("raw", "--set a.b=@raw: this is no text in UTF-8"),
        ("huge", "--set a.b=@huge: larger than 2 MiB"),
    ],
)
def test_a_value_from_a_file_that_cannot_be_read_queues_nothing(
    kernel, call, pack, tmp_path, monkeypatch, name, text
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "huge").write_bytes(bytes(2 * 2**20 + 1))
    result = call("run", pack, "--set", f"a.b=@{name}")
    assert result.code == ExitCode.BAD_INPUT
    assert text in result.err
    assert not kernel.requests("SubmitRun")


def test_json_is_one_object_a_line(kernel, call, pack):
    kernel.warnings = ["row 1 is short"]
    result = call("run", pack, "--json")
    events = result.lines
    assert [event["event"] for event in events] == ["submitted", "image", "image", "end"]
    assert events[0]["run_id"] == RUN
    assert events[0]["warnings"] == ["row 1 is short"]
    assert events[1]["path"] == "/out/demo/0000.png"
    assert (events[-1]["done"], events[-1]["failed"], events[-1]["images_per_minute"]) == (2, 0, 2.0)


def test_failures_are_told_in_plain_words_and_make_the_exit_code_1(kernel, call, pack):
    def script(fake):
        fake.progress(0)
        fake.fail(0, "out_of_memory", "needs 12 GiB")
        fake.fail(1, "out_of_memory", "needs 12 GiB")
        fake.finish(2)
        fake.end()

    kernel.jobs_a_run = 3
    kernel.script = script
    result = call("run", pack)
    assert result.code == 1
    assert "2 jobs failed:" in result.out
    assert "  2 x not enough VRAM: needs 12 GiB" in result.out
    assert f"stablenew queue retry --run {RUN}" in result.out
    assert f"failed: not enough VRAM: needs 12 GiB (attic) (job {kernel.job_id(0)})" in result.out


def test_dry_run_shows_every_job_and_queues_nothing(kernel, call, pack):
    result = call("run", pack, "--dry-run")
    assert result.code == 0, result.err
    table = result.out.splitlines()
    assert table[0].split() == ["#", "row", "seed", "stages", "node", "prompt", "why"]
    assert "18446744073709551615  txt2img > upscale  attic  a [[castle]] [bold] | neg: fog" in table[1]
    assert table[1].endswith("idle, has the model loaded")
    assert "1 row x 2 images = 2 images; nothing was queued (--dry-run)" in result.out
    assert not kernel.requests("SubmitRun")


def test_dry_run_as_json_has_each_job_with_its_spec(kernel, call, pack):
    lines = call("run", pack, "--dry-run", "--json").lines
    assert [line["event"] for line in lines] == ["job", "job", "summary"]
    assert lines[0]["seed"] == 2**64 - 1
    assert lines[0]["spec"] == {"stages": []}
    assert lines[2]["jobs"] == 2


def test_a_long_dry_run_is_cut_on_a_terminal_and_says_so(kernel, call, pack, monkeypatch):
    kernel.jobs_a_run = 3000
    kernel.seconds = 720.0
    kernel.question = "3,000 images, more than the 500 that are queued unasked"
    whole = call("run", pack, "--dry-run")
    assert kernel.requests("PreviewRun")[-1].show == 0
    assert whole.out.count("idle, has the model loaded") == 3000
    assert "more (--show" not in whole.out
    few = call("run", pack, "--dry-run", "--show", 20).out.splitlines()
    assert kernel.requests("PreviewRun")[-1].show == 20
    assert len(few) == 1 + 20 + 5
    assert few[21:] == [
        "... and 2,980 more (--show 0: all)",
        "1 row x 3000 images = 3000 images; nothing was queued (--dry-run)",
        "about 12 min on 2 nodes; from 48 images like these",
        "they would go into a new folder in /out",
        "queueing so many asks first; --yes agrees beforehand",
    ]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    on_terminal = call("run", pack, "--dry-run").out
    assert kernel.requests("PreviewRun")[-1].show == 50
    assert "... and 2,950 more (--show 0: all)" in on_terminal
    assert call("run", pack, "--dry-run", "--json").lines[-1]["seconds"] == 720.0
    assert kernel.requests("PreviewRun")[-1].show == 0


class TestALargeRun:
    """It needs a yes."""

    QUESTION = "3,000 images, more than the 500 that are queued unasked: ... To make fewer: --sample 100."

    @pytest.fixture(autouse=True)
    def _asks(self, kernel):
        kernel.question = self.QUESTION

    def answer(self, monkeypatch, text):
        monkeypatch.setattr(run, "can_ask", lambda: True)
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    def test_without_a_terminal_it_is_refused(self, kernel, call, pack):
        result = call("run", pack)
        assert result.code == ExitCode.NOT_CONFIRMED == 5
        assert result.err == (
            f"stablenew: error: {self.QUESTION} To queue them all, add --yes; nothing was queued\n"
        )
        assert not kernel.runs

    def test_yes_agrees_beforehand(self, kernel, call, pack):
        assert call("run", pack, "--yes").code == 0
        (request,) = kernel.requests("SubmitRun")
        assert request.run.confirmed

    def test_a_yes_on_a_terminal_queues_it(self, kernel, call, pack, monkeypatch):
        self.answer(monkeypatch, "y\n")
        result = call("run", pack)
        assert result.code == 0, result.err
        assert result.out.startswith(f"{self.QUESTION}\nQueue them all? [y/N]: ")
        assert [request.run.confirmed for request in kernel.requests("SubmitRun")] == [False, True]

    @pytest.mark.parametrize("text", ["\n", "n\n", "what\nno\n"])
    def test_anything_else_queues_nothing(self, kernel, call, pack, monkeypatch, text):
        self.answer(monkeypatch, text)
        result = call("run", pack)
        assert result.code == ExitCode.NOT_CONFIRMED
        assert result.out.endswith("nothing was queued\n")
        assert not kernel.runs

    def test_a_script_gets_it_as_data(self, kernel, call, pack, monkeypatch):
        self.answer(monkeypatch, "y\n")  # nobody is asked, terminal or not
        result = call("run", pack, "--json")
        assert result.code == ExitCode.NOT_CONFIRMED
        (line,) = result.lines
        assert (line["event"], line["question"], line["jobs"]) == ("question", self.QUESTION, 2)
        assert not result.err
        assert not kernel.runs


def test_how_long_it_takes_is_said_at_once(kernel, call, pack):
    kernel.seconds = 720.0
    assert call("run", pack).out.splitlines()[1] == "about 12 min on 2 nodes; from 48 images like these"
    assert call("run", pack, "--json").lines[0]["seconds"] == 720.0


def test_detach_returns_at_once_with_the_id(kernel, call, pack):
    kernel.script = hang
    kernel.watched.set()
    assert call("run", pack, "--detach", "--json").json["run_id"] == RUN
    assert not kernel.requests("Watch")


def test_what_the_kernel_refuses_is_one_line_and_exit_code_2(kernel, call, pack):
    text = "preset 'ful': there is none; did you mean full?"
    kernel.refuse["SubmitRun"] = (grpc.StatusCode.INVALID_ARGUMENT, text)
    result = call("run", pack, "--preset", "ful")
    assert (result.code, result.err) == (2, f"stablenew: error: {text}\n")


def test_a_paused_queue_is_said(kernel, call, pack, monkeypatch):
    monkeypatch.setattr(follow, "IDLE", 0.0)
    kernel.queue.paused, kernel.queue.paused_reason = True, "after a crash"

    def script(fake):
        assert fake.heard("ListJobs", times=3)
        for index in range(fake.jobs_a_run):
            fake.finish(index)
        fake.end()

    kernel.script = script
    result = call("run", pack)
    assert "the queue is paused (after a crash); go on with: stablenew queue resume\n" in result.out


def test_why_nothing_runs_is_said_once(kernel, call, pack, monkeypatch):
    monkeypatch.setattr(follow, "IDLE", 0.0)

    def script(fake):
        assert fake.heard("ListJobs", times=3)
        for index in range(fake.jobs_a_run):
            fake.finish(index)
        fake.end()

    kernel.script = script
    result = call("run", pack)
    assert result.out.count("waiting: no node has the feature upscale") == 1


def test_a_run_is_found_again_after_the_kernel_crashed_and_came_back(kernel, call, pack):
    def script(fake):
        fake.progress(0)
        fake.crash()
        fake.finish(0)
        fake.start()
        assert fake.watched.wait(60)
        fake.finish(1)
        fake.end()

    kernel.script = script
    result = call("run", pack)
    assert result.code == 0, result.out + result.err
    assert "the kernel is out of touch; looking for it again" in result.out
    assert "2 images" in result.out


def test_a_kernel_that_was_stopped_is_not_waited_for(kernel, call, pack):
    def script(fake):
        fake.progress(0)
        fake.stop()

    kernel.script = script
    result = call("run", pack)
    assert result.code == 3
    assert "the kernel was stopped; the run is kept" in result.err
    assert f"stablenew queue watch {RUN}" in result.err


def test_a_kernel_that_stays_away_is_given_up(kernel, call, pack, monkeypatch):
    monkeypatch.setattr(follow, "PATIENCE", 0.5)
    kernel.script = lambda fake: fake.crash()
    result = call("run", pack)
    assert result.code == 3
    assert "the kernel went away; the run is kept" in result.err


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process on Windows")
class TestInterrupt:
    """Ctrl-C, in real processes."""

    def test_the_first_cancels_the_run_and_waits_for_it(self, kernel, spawn, pack):
        kernel.script = hang
        process = spawn("run", pack, "--json")
        assert json.loads(process.stdout.readline())["event"] == "submitted"
        assert kernel.watched.wait(60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        last = json.loads(out.splitlines()[-1])
        assert (last["event"], last["state"], last["cancelled"]) == ("end", "cancelled", 2)
        (request,) = kernel.requests("ChangeJobs")
        assert (request.action, request.run_id) == ("cancel", RUN)
        assert not err

    def test_the_second_does_not_wait(self, kernel, spawn, pack):
        kernel.script = hang
        kernel.cancel_settles = False
        process = spawn("run", pack)
        assert RUN in process.stdout.readline()
        assert kernel.watched.wait(60)
        process.send_signal(signal.SIGINT)
        assert "cancelling" in process.stdout.readline()
        assert kernel.heard("ChangeJobs")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert "not waiting; the kernel still cancels the run" in out
        assert "Traceback" not in err

    def test_watching_only_leaves(self, kernel, spawn):
        kernel.add_run()
        process = spawn("queue", "watch")
        assert kernel.watched.wait(60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert "left; the run goes on" in out
        assert not kernel.requests("ChangeJobs")

    def test_a_third_breaks_off_whatever_hangs(self):
        # A shell that starts us in the background has it ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with Interrupts() as interrupts:
            assert not interrupts.asked
            signal.raise_signal(signal.SIGINT)
            assert (interrupts.asked, interrupts.insisted) == (True, False)
            signal.raise_signal(signal.SIGINT)
            assert interrupts.insisted
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):  # the usual way again
            signal.raise_signal(signal.SIGINT)
