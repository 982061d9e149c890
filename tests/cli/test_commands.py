"""Every other command, against a kernel on a real socket or none."""

from __future__ import annotations

import os
import re
import signal
import sys
from datetime import datetime

import click
import grpc
import pytest
from fake_kernel import RUN
from PIL import Image

from stablenew_api.images import pixel_sha256
from stablenew_api.jobs import JobSpec, StageSpec
from stablenew_api.png import with_text
from stablenew_kernel.app.saving import file_of
from stablenew_kernel.cli import plugin_commands
from stablenew_kernel.cli.commands import doctor
from stablenew_kernel.domain.infotext import stablenew_chunk
from stablenew_kernel.domain.saving import SavedAs
from stablenew_proto.v1 import agent_link_pb2 as link
from stablenew_proto.v1 import kernel_pb2 as pb


def node(name: str, node_id: str = "", **report: object) -> pb.Node:
    return pb.Node(
        node_id=node_id or f"id-{name}",
        state="online",
        silent_for=1.0,
        info=link.NodeInfo(
            name=name,
            slots=1,
            gpus=[link.Gpu(uuid="GPU-1", name="RTX 4090", vram_total_bytes=24 * 2**30)],
            backend=link.BackendInfo(name="embedded", version="1.0", stand_in=True),
        ),
        report=link.NodeReport(
            state="ready",
            gpus=[link.GpuLoad(uuid="GPU-1", vram_used_bytes=6 * 2**30, utilization=0.5)],
            **report,
        ),
    )


class TestQueue:
    def test_lists_jobs_and_sums_up(self, kernel, call):
        kernel.add_run()
        result = call("queue")
        assert result.code == 0, result.err
        lines = result.out.splitlines()
        assert lines[0].split() == ["job", "state", "node", "seed", "stages", "prompt", "note"]
        assert kernel.job_id(0) in lines[1]
        assert "a [[castle]] 0" in lines[1]
        assert lines[1].endswith("no node has the feature upscale")
        assert lines[-1] == "0 queued, 0 running, 0 done, 0 failed, 0 cancelled"

    def test_json_keeps_64_bit_seeds(self, kernel, call):
        kernel.add_run()
        answer = call("queue", "--json").json
        assert answer["jobs"][1]["seed"] == 2**63 + 1
        assert answer["total"] == 2

    def test_filters_travel(self, kernel, call):
        kernel.add_run()
        assert call("queue", "list", "--run", "0197", "--state", "failed", "--limit", 7).code == 0
        (request,) = kernel.requests("ListJobs")
        assert (request.run_id, list(request.states), request.limit) == (RUN, ["failed"], 7)

    def test_more_than_the_limit_is_said(self, kernel, call):
        kernel.add_run()
        assert "... and 1 more (--limit)" in call("queue", "list", "--limit", 1).out

    def test_shows_a_job_with_its_history_and_failure(self, kernel, call):
        kernel.add_run()
        kernel.fail(0)
        kernel.events.append(
            pb.JobEvent(at="2026-11-22", who="attic", from_state="running", to_state="failed", why="500")
        )
        out = call("queue", "show", kernel.job_id(0)).out
        assert "failure: the backend failed: the WebUI answered 500\n    line one\n    line two\n" in out
        assert "  2026-11-22  running -> failed  by attic: 500" in out
        assert "prompt:   a [[castle]] 0" in out

    def test_shows_why_a_job_waits(self, kernel, call):
        kernel.add_run()
        assert "waits:    no node has the feature upscale" in call("queue", "show", kernel.job_id(1)).out
        assert call("queue", "show", kernel.job_id(1), "--json").json["spec"]["stages"][0]["seed"] == 2**64 - 1

    def test_an_unknown_job_is_exit_code_2(self, kernel, call):
        result = call("queue", "show", "ffff")
        assert (result.code, result.err) == (2, "stablenew: error: job 'ffff': there is none\n")

    @pytest.mark.parametrize(
        ("arguments", "action", "jobs", "run", "everything"),
        [
            (["cancel", "a", "b"], "cancel", ["a", "b"], "", False),
            (["cancel", "--run", "demo"], "cancel", [], RUN, False),
            (["retry", "--all"], "retry", [], "", True),
            (["move", "a", "--top"], "move_top", ["a"], "", False),
            (["move", "--run", "0197", "--bottom"], "move_bottom", [], RUN, False),
            (["move", "a", "b", "--before", "c"], "move_before", ["a", "b"], "", False),
            (["priority", "a", "--to", "-2"], "set_priority", ["a"], "", False),
            (["priority", "--all", "--to", "5"], "set_priority", [], "", True),
            (["clear", "--yes"], "clear", [], "", True),
            (["clear", "--yes", "a"], "clear", ["a"], "", False),
        ],
    )
    def test_changes(self, kernel, call, arguments, action, jobs, run, everything):
        kernel.add_run()
        result = call("queue", *arguments)
        assert result.code == 0, result.err
        (request,) = kernel.requests("ChangeJobs")
        assert (request.action, list(request.job_ids), request.run_id, request.all) == (
            action,
            jobs,
            run,
            everything,
        )
        assert "1 job was done already" in result.out

    def test_where_jobs_go_and_their_priority_are_told(self, kernel, call):
        kernel.add_run()
        call("queue", "move", "a", "--before", "0193/4")
        call("queue", "priority", "--run", "demo", "--to", "-7")
        move, priority = kernel.requests("ChangeJobs")
        assert (move.before_job_id, move.priority) == ("0193/4", 0)
        assert (priority.before_job_id, priority.priority) == ("", -7)
        assert "with priority 7" in call("queue", "priority", "--all", "--to", "7").out
        assert call("queue", "priority", "--all", "--to", str(2**31)).code == 2

    @pytest.mark.parametrize(
        "arguments",
        [
            ["cancel"],
            ["cancel", "a", "--all"],
            ["retry", "a", "--run", "x"],
            ["move", "a"],
            ["move", "a", "--top", "--before", "b"],
            ["priority", "--to", "1"],
            ["clear", "a", "--all"],
        ],
    )
    def test_unclear_changes_are_refused_before_the_kernel_is_asked(self, kernel, call, arguments):
        result = call("queue", *arguments)
        assert result.code == 2
        assert result.err.startswith("stablenew: error: say wh")
        assert not kernel.calls

    def test_clear_wants_a_yes_where_nobody_can_be_asked(self, kernel, call):
        result = call("queue", "clear")
        assert result.code == 2
        assert "add --yes" in result.err
        assert not kernel.calls

    def test_clear_asks_and_takes_no_for_an_answer(self, kernel, call, monkeypatch):
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("click.termui.visible_prompt_func", lambda _text: "n")
        result = call("queue", "clear")
        assert result.code == 130
        assert not kernel.requests("ChangeJobs")

    def test_pauses_and_resumes(self, kernel, call):
        assert call("queue", "pause", "--reason", "lunch").out.endswith("; paused (lunch)\n")
        assert call("queue", "resume", "--json").json["paused"] is False

    def test_watches_the_newest_run_that_still_runs(self, kernel, call):
        kernel.add_run()
        kernel.finish(0)
        kernel.finish(1)
        kernel.end()
        result = call("queue", "watch", "--json")
        assert result.code == 0
        assert result.lines[-1]["state"] == "done"

    def test_a_run_cancelled_elsewhere_ends_the_watch_with_130(self, kernel, call):
        kernel.add_run()
        call("queue", "cancel", "--run", "demo")
        result = call("queue", "watch", "demo")
        assert result.code == 130
        assert "0 images in 1 min 00 s; cancelled: 2 of 2" in result.out

    @pytest.mark.parametrize("arguments", [["queue", "watch", "nope"], ["queue", "watch"]])
    def test_watching_nothing_is_refused(self, kernel, call, arguments):
        result = call(*arguments)
        assert result.code == 2
        assert len(result.err.splitlines()) == 1


class TestRunsAndNodes:
    def test_runs(self, kernel, call):
        assert "no runs yet" in call("runs").out
        kernel.add_run()
        assert RUN in call("runs").out
        assert call("runs", "--json").json[0]["name"] == "demo"

    def test_nodes(self, kernel, call):
        assert "start one with: stablenew-agent" in call("nodes").out
        kernel.nodes = [node("attic"), node("cellar")]
        out = call("nodes").out
        assert "attic" in out
        assert "6.0 GiB of 24.0 GiB" in out
        assert "embedded 1.0 (stand-in, no AI model)" in out
        assert [item["info"]["name"] for item in call("nodes", "--json").json] == ["attic", "cellar"]

    def test_one_node_in_full(self, kernel, call):
        kernel.nodes = [node("attic", problem="the WebUI does not answer")]
        out = call("nodes", "show", "attic").out
        assert "problem:   the WebUI does not answer" in out
        assert "GPU RTX 4090 (GPU-1): 6.0 GiB of 24.0 GiB used, 50% busy" in out

    def test_a_node_that_nobody_knows_names_those_there_are(self, kernel, call):
        kernel.nodes = [node("attic"), node("twin", "id-1"), node("twin", "id-2")]
        result = call("nodes", "show", "garage")
        assert (result.code, result.err) == (
            2,
            "stablenew: error: node 'garage': not known; there are: attic, twin, twin\n",
        )
        assert "2 match" in call("nodes", "show", "twin").err
        assert call("nodes", "show", "id-2").code == 0

    def test_drain_and_resume(self, kernel, call):
        assert call("nodes", "drain", "attic", "--reason", "gaming").out == "attic gets no more work\n"
        assert call("nodes", "resume", "attic").out == "attic gets work again\n"
        first, second = kernel.requests("DrainNode")
        assert (first.node, first.draining, first.reason, second.draining) == ("attic", True, "gaming", False)


class TestImages:
    @pytest.fixture
    def image(self, tmp_path):
        path = tmp_path / "castle.png"
        Image.new("RGB", (4, 3), (1, 2, 3)).save(path)
        return path

    def test_rates_by_pixels(self, kernel, call, image):
        result = call("rate", image, 4, "--tag", "too noisy", "--tag", "hands")
        assert (result.code, result.out) == (0, "castle.png: ****, too noisy, hands\n")
        (request,) = kernel.requests("RateImage")
        with Image.open(image) as opened:
            assert request.image_sha256 == pixel_sha256(opened)
        assert (request.stars, list(request.tags), request.file_name) == (
            4,
            ["too noisy", "hands"],
            "castle.png",
        )

    @pytest.mark.parametrize("kind", ["jpeg", "webp"])
    def test_a_lossy_file_says_what_it_was_made_from(self, kernel, call, image, kind):
        with Image.open(image) as opened:
            pixels = pixel_sha256(opened)
        spec = JobSpec((StageSpec("txt2img", "1.0", "蝶", "", 5, {"steps": 3}),))
        chunk = stablenew_chunk(
            spec, {}, version="0.1.0", job_id="j", run_id="r", node="n", attempt=1, image_sha256=pixels
        )
        texts = {"parameters": "a\nSteps: 3, Seed: 5, Size: 4x3", "stablenew": chunk}
        ending, data = file_of(image.read_bytes(), texts, SavedAs(kind, 20))
        lossy = image.with_suffix(ending)
        lossy.write_bytes(data)
        with Image.open(lossy) as opened:
            assert pixel_sha256(opened) != pixels
            changed = image.with_name(f"changed{ending}")
            opened.save(changed)  # its texts are gone, so all there is are its own pixels
        assert call("rate", lossy, 4).code == call("rate", changed, 3).code == 0
        first, second = kernel.requests("RateImage")
        assert first.image_sha256 == pixels
        with Image.open(changed) as opened:
            assert second.image_sha256 == pixel_sha256(opened)
        assert call("replay", lossy).code == 0
        assert kernel.requests("Replay")[0].spec_json == spec.canonical()

    def test_an_image_without_a_record_is_said(self, kernel, call, image):
        kernel.known = False
        assert "no record of this image here" in call("rate", image, 0).out

    def test_too_many_stars_are_refused(self, kernel, call, image):
        result = call("rate", image, 6)
        assert result.code == 2
        assert "0<=x<=5" in result.err

    def test_what_is_no_image_is_refused(self, kernel, call, pack, tmp_path):
        assert "not an image that can be read" in call("rate", pack, 3).err
        assert call("rate", tmp_path / "gone.png", 3).err.endswith("gone.png: no such file\n")
        assert not kernel.calls

    def test_replays_exactly_the_job_in_the_image(self, kernel, call, image):
        spec = JobSpec((StageSpec("txt2img", "1.0", "蝶", "", 2**64 - 1, {"steps": 3}),))
        chunk = stablenew_chunk(
            spec, {}, version="0.1.0", job_id="j", run_id="r", node="attic", attempt=1, image_sha256="00"
        )
        image.write_bytes(with_text(image.read_bytes(), {"stablenew": chunk}))
        result = call("replay", image, "--out", image.parent, "--json")
        assert result.code == 0, result.err
        (request,) = kernel.requests("Replay")
        assert request.spec_json == spec.canonical()
        assert (request.source_name, request.out_dir) == ("castle.png", str(image.parent))

    def test_an_image_without_its_job_is_explained(self, kernel, call, image):
        result = call("replay", image)
        assert result.code == 2
        assert "no 'stablenew' text in it" in result.err
        assert not kernel.calls

    def test_an_image_that_is_no_png_is_refused(self, kernel, call, pack):
        result = call("replay", pack)
        assert result.code == 2
        assert "no PNG, JPEG or WebP file" in result.err


class TestKernel:
    def test_status(self, kernel, call):
        kernel.queue.queued = 3
        out = call("kernel", "status").out
        assert "queue:       3 queued" in out
        assert call("kernel", "status", "--json").json["running"] is True

    def test_no_kernel_is_exit_code_3(self, call):
        result = call("kernel", "status")
        assert result.code == 3
        assert "stablenew kernel start" in result.err
        result = call("kernel", "status", "--json")
        assert (result.code, result.json["running"], result.err) == (3, False, "")

    def test_start_finds_the_one_that_runs(self, kernel, call):
        assert call("kernel", "start").out.startswith("kernel runs already: pid 4242")
        assert call("kernel", "start", "--json").json["started"] is False

    def test_stop(self, kernel, call, data):
        assert call("kernel", "stop", "--wait").out == "kernel stopped: pid 4242\n"
        assert kernel.requests("StopKernel")[0].wait_for_running
        kernel.stop()
        assert call("kernel", "stop").out == f"no kernel runs on {data.root}\n"
        kernel.start()

    def test_a_token_of_another_kernel_is_no_traceback(self, kernel, call, data):
        info = data.read_kernel()
        data.kernel_json.write_text(
            data.kernel_json.read_text(encoding="utf-8").replace(info.token, "other"), encoding="utf-8"
        )
        result = call("kernel", "status")
        assert result.code == 3
        assert "wrong token" in result.err


class TestPlugins:
    def test_asks_the_kernel(self, kernel, call):
        kernel.plugins = [
            pb.Plugin(
                name="film_grain", version="1.0", distribution="sn-film", state="active", provides=["stage x 1"]
            ),
            pb.Plugin(name="broken", state="failed", reason="no module named 'nope'"),
        ]
        lines = call("plugins").out.splitlines()
        assert lines[1].split("  ") == ["film_grain", "active", "sn-film 1.0", "stage x 1"]
        assert lines[2].endswith("no module named 'nope'")
        assert call("plugins", "--json").json[1]["state"] == "failed"

    def test_loads_them_itself_without_a_kernel(self, call, data):
        data.plugins.mkdir()
        (data.plugins / "broken.py").write_text("import nope_nope\n", encoding="utf-8")
        listed = {item["name"]: item for item in call("plugins", "--json").json}
        assert listed["broken"]["state"] == "failed"
        assert "nope_nope" in listed["broken"]["reason"]
        assert "stages" in listed

    def test_a_plugin_adds_a_command(self, spawn, data):
        data.plugins.mkdir()
        (data.plugins / "greet.py").write_text(
            "import click\nfrom stablenew_api import hookimpl\n"
            "@click.command('greet', help='Say hello.')\ndef greet(): click.echo('hello')\n"
            "@hookimpl\ndef stablenew_commands(cli): cli.add_command(greet)\n",
            encoding="utf-8",
        )
        assert spawn("greet").communicate(timeout=60) == ("hello\n", "")
        assert re.search(r"greet +Say hello\.", spawn("--help").communicate(timeout=60)[0])

    def test_each_plugin_is_asked_once_first_those_that_name_the_hook(self, data, caplog):
        data.plugins.mkdir()
        hook = "from stablenew_api import hookimpl\nimport click\n"
        (data.plugins / "plain.py").write_text(
            f"{hook}@hookimpl\ndef stablenew_commands(cli): cli.add_command(click.Command('plain'))\n",
            encoding="utf-8",
        )
        cli = click.Group("stablenew")
        plugin_commands.add_if_any(cli, data)
        assert {"plain", "backend"} <= set(cli.commands)
        first = dict(cli.commands)
        plugin_commands.add(cli, data, "plain")
        plugin_commands.add(cli, data, "nobody")
        plugin_commands.add(cli, data, "nobody")
        assert cli.commands == first
        assert not caplog.records, "a second time would clash with the first"

    def test_a_hook_that_the_source_does_not_name_still_adds_its_command(self, data):
        data.plugins.mkdir()
        (data.plugins / "shy.py").write_text(
            "from stablenew_api import hookimpl\nimport click\n"
            "def _add(cli): cli.add_command(click.Command('shy'))\n"
            "_add.__name__ = 'stablenew_' + 'commands'\n"
            "globals()[_add.__name__] = hookimpl(_add)\ndel _add\n",
            encoding="utf-8",
        )
        cli = click.Group("stablenew")
        plugin_commands.add_if_any(cli, data)
        assert "shy" not in cli.commands
        plugin_commands.add(cli, data, "shy")
        assert "shy" in cli.commands

    def test_a_plugin_whose_command_fails_breaks_nothing(self, spawn, data):
        data.plugins.mkdir()
        (data.plugins / "bad.py").write_text(
            "from stablenew_api import hookimpl\n@hookimpl\ndef stablenew_commands(cli): raise RuntimeError\n",
            encoding="utf-8",
        )
        process = spawn("--help")
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        assert "doctor" in out
        process = spawn("waltz")
        assert (
            process.communicate(timeout=60)[1]
            == "stablenew: error: no command 'waltz'; see: stablenew --help\n"
        )
        assert process.returncode == 2


class TestDoctor:
    def findings(self, call) -> dict[str, list[dict[str, str]]]:
        by_topic: dict[str, list[dict[str, str]]] = {}
        for finding in call("doctor", "--json").json["findings"]:
            by_topic.setdefault(finding["topic"], []).append(finding)
        return by_topic

    def test_says_what_it_saw(self, call, data):
        found = self.findings(call)
        assert found["Python"][0]["text"].startswith(sys.version.split()[0])
        assert "grpcio" in found["packages"][0]["text"]
        assert found["SQLite"][0]["level"] in ("ok", "note")
        assert str(data.root) in found["data folder"][0]["text"]
        assert found["kernel"][0]["text"].startswith("none runs")
        assert found["port"][0]["level"] == "ok"
        assert found["GPU"][-1]["level"] in ("ok", "note")
        assert not any("Fake GPU" in finding["text"] for finding in found["GPU"])

    def test_a_broken_plugin_and_bad_settings_must_be_fixed(self, call, data):
        data.plugins.mkdir()
        (data.plugins / "broken.py").write_text("1 / 0\n", encoding="utf-8")
        data.settings.write_text("prot = 1\n", encoding="utf-8")
        found = self.findings(call)
        assert any("broken: failed" in finding["text"] for finding in found["plugins"])
        assert found["settings"][0]["level"] == "fix"
        result = call("doctor")
        assert result.code == 1
        assert "to fix" in result.out.splitlines()[-1]

    @pytest.mark.parametrize(
        ("lines", "words"),
        [
            ('local_backend = "webiu"', "did you mean webui"),
            (
                'local_backend = "webui"\nlocal_backend_options = ["link=http://x"]',
                "link: backend webui has no",
            ),
            ('local_backend = "webui"\nlocal_backend_options = ["read_timeout=soon"]', "read_timeout: "),
        ],
    )
    def test_a_backend_that_is_not_there_or_not_set_up_must_be_fixed(self, call, data, lines, words):
        data.settings.write_text(f"{lines}\n", encoding="utf-8")
        found = self.findings(call)["backend"]
        assert any(finding["level"] == "fix" and words in finding["text"] for finding in found)

    def test_plugins_are_asked(self, call, data):
        data.plugins.mkdir()
        code = (
            "from stablenew_api import hookimpl\nfrom stablenew_api.doctor import NOTE, Finding\n"
            "@hookimpl\ndef stablenew_doctor(backend, options):\n"
            "    return [Finding(NOTE, 'lamp', f'{backend} {dict(options)}')]\n"
        )
        (data.plugins / "lamp.py").write_text(code, encoding="utf-8")
        broken = (
            "from stablenew_api import hookimpl\n@hookimpl\ndef stablenew_doctor(): raise OSError('no lamp')\n"
        )
        (data.plugins / "dark.py").write_text(broken, encoding="utf-8")
        data.settings.write_text(
            'local_backend = "embedded"\nlocal_backend_options = ["seconds_per_step=0"]\n', encoding="utf-8"
        )
        found = self.findings(call)
        assert found["lamp"][0]["text"] == "embedded {'seconds_per_step': '0'}"
        assert any("failed in doctor: OSError: no lamp" in finding["text"] for finding in found["plugins"])

    def test_a_port_that_another_program_holds_must_be_fixed(self, call, data):
        import socket

        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            data.settings.write_text(f"port = {port}\n", encoding="utf-8")
            (finding,) = self.findings(call)["port"]
        assert finding["level"] == "fix"
        assert finding["text"].startswith(f"{port} is not to be had")

    def test_the_running_kernel_is_asked(self, kernel, call):
        kernel.nodes = [node("attic"), node("cellar", problem="the WebUI does not answer")]
        kernel.queue.paused, kernel.queue.paused_reason = True, "disk full"
        found = self.findings(call)
        assert "port" not in found
        assert [finding["level"] for finding in found["nodes"]] == ["ok", "fix"]
        assert found["queue"][0]["text"] == "paused (disk full)"

    def test_settings_that_the_kernel_has_not_read_are_told(self, kernel, call, data):
        def told() -> bool:
            return any("has not read it" in finding["text"] for finding in self.findings(call)["kernel"])

        started = datetime.fromisoformat(data.read_kernel().started_at).timestamp()
        assert not told()
        data.settings.write_text("local_slots = 2\n", encoding="utf-8")
        os.utime(data.settings, (started - 60, started - 60))
        assert not told()
        os.utime(data.settings, (started + 60, started + 60))
        assert told()

    def test_a_kernel_that_crashed_is_told(self, kernel, call):
        kernel.crash()
        (finding,) = self.findings(call)["kernel"]
        assert finding["level"] == "note"
        kernel.start()

    def test_a_check_that_breaks_is_a_finding(self, data, monkeypatch):
        monkeypatch.setattr(doctor, "requires", lambda _name: 1 / 0)
        levels = {finding.topic: finding.level for finding in doctor.examine(data)}
        assert levels["packages"] == "fix"
        assert "SQLite" in levels

    @pytest.mark.parametrize(
        ("found", "has_bug"), [("3.40.1", True), ("3.51.2", True), ("3.51.3", False), ("4.0", False)]
    )
    def test_the_wal_reset_bug_by_version(self, found, has_bug):
        assert doctor.sqlite_has_wal_reset_bug(found) is has_bug


def test_every_command_that_needs_a_kernel_says_so_in_one_line_when_it_cannot_start(call, data, monkeypatch):
    from stablenew_api.errors import KernelUnavailable
    from stablenew_client import client

    def refuse(_data: object, timeout: float) -> None:
        raise KernelUnavailable("the database is newer than this program; update it")

    monkeypatch.setattr(client, "start_kernel", refuse)
    for arguments in (["queue"], ["runs"], ["nodes"], ["queue", "watch"], ["kernel", "start"]):
        result = call(*arguments)
        assert (result.code, result.err) == (
            3,
            "stablenew: error: the database is newer than this program; update it\n",
        )


def test_an_error_inside_the_kernel_is_exit_code_4(kernel, call):
    kernel.refuse["ListRuns"] = (grpc.StatusCode.INTERNAL, "disk I/O error")
    result = call("runs")
    assert (result.code, result.err) == (4, "stablenew: error: disk I/O error\n")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process on Windows")
def test_ctrl_c_outside_a_run_is_one_line(kernel, spawn):
    kernel.add_run()
    process = spawn("queue", "watch", RUN, "--json")
    assert kernel.watched.wait(60)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "left; the run goes on" in out
    assert err == ""
