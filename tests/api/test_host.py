"""The plugin host: what loads, what does not, what it says, and that nobody suffers for somebody else's bug."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from pydantic import BaseModel

from stablenew_api import STABLENEW_API, hookimpl
from stablenew_api.discovery import GROUP, Candidate
from stablenew_api.errors import PluginError
from stablenew_api.host import (
    DISABLE_VARIABLE,
    MUTE_AFTER,
    TRY_AGAIN_EVERY,
    PluginHost,
    PluginInfo,
    PluginState,
)
from stablenew_api.jobs import JobSpec
from stablenew_api.probe import Probe
from stablenew_api.stage import Phase, Stage, StageConfig
from stablenew_api.testing import FakeBackend, FakeProbe, host_of


def a_stage(name: str = "grain", **changes: Any) -> type[Stage]:
    attributes: dict[str, Any] = {
        "name": name,
        "version": "1.0",
        "title": "Grain",
        "Config": StageConfig,
        "phase": Phase.POST,
        "run": lambda self, ctx, config, images: images,
        **changes,
    }
    return type("Made", (Stage,), {key: value for key, value in attributes.items() if value is not None})


def a_plugin(plugin_name: str = "p", **members: Any) -> SimpleNamespace:
    """A plugin object: a hook is a keyword without its prefix; plain values become attributes."""
    plugin = SimpleNamespace(plugin_name=plugin_name)
    for key, value in members.items():
        if callable(value):
            setattr(plugin, f"stablenew_{key}", hookimpl(value))
        else:
            setattr(plugin, key, value)
    return plugin


def stages_of(*classes: Any) -> Callable[[], list[Any]]:
    def stages() -> list[Any]:
        return list(classes)

    return stages


def only(host: PluginHost) -> PluginInfo:
    (info,) = host.plugins
    return info


# --- what loads ---------------------------------------------------------------------------------------------


def test_registers_every_kind() -> None:
    def stages() -> list[type[Stage]]:
        return [a_stage()]

    def backends() -> tuple[type[FakeBackend]]:
        return (FakeBackend,)

    def probes() -> list[type[Probe]]:
        return [FakeProbe]

    host = host_of(a_plugin(stages=stages, backends=backends, probes=probes))
    info = only(host)
    assert (info.state, info.reason) == (PluginState.ACTIVE, "")
    assert info.provides == ("stage grain 1.0", "backend fake 1.0", "probe fake_gpu")
    assert host.stage("grain").name == "grain"
    assert host.backend("fake") is FakeBackend
    assert dict(host.probes) == {"fake_gpu": FakeProbe}
    assert host.provider("stage", "grain") == info
    for empty in (host.schedulers, host.reports, host.randomizers, host.learning_modes, host.frontends):
        assert not empty


def test_the_mappings_are_read_only() -> None:
    host = host_of(a_plugin(stages=stages_of(a_stage())))
    with pytest.raises(TypeError):
        host.stages["other"] = a_stage("other")  # type: ignore[index]


def test_listing_is_json() -> None:
    host = host_of(a_plugin(stages=stages_of(a_stage())))
    assert only(host).to_json() == {
        "name": "p",
        "version": "",
        "distribution": "object SimpleNamespace",
        "state": "active",
        "reason": "",
        "provides": ["stage grain 1.0"],
    }


def test_an_unknown_role_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="kernel, agent, worker, cli"):
        PluginHost.load(role="kernle", entry_points=())


def test_importing_the_host_is_cheap() -> None:
    heavy = {"PIL", "numpy", "pydantic", "click"}
    code = f"import sys, stablenew_api.host; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == []


# --- what does not ------------------------------------------------------------------------------------------


class NotAStage:
    name, version, title, Config, phase = "grain", "1.0", "Grain", StageConfig, Phase.POST


class OwnConfig(BaseModel):
    pass


class SwitchConfig(StageConfig):
    enabled: bool = True


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        ([NotAStage], "is not a subclass of stablenew_api.stage.Stage"),
        ([a_stage()()], "classes, not instances"),
        ([a_stage(version=None)], "lacks version"),
        ([a_stage(title=None, phase=None)], "lacks title, phase"),
        ([a_stage(Config=None)], "lacks Config"),
        ([a_stage(title=" ")], "title must be a text that is not empty"),
        ([a_stage(version=1)], "version must be a text"),
        ([a_stage("Film Grain")], "name 'Film Grain' must be lower-case"),
        ([a_stage("film-grain")], "name 'film-grain' must be lower-case"),
        ([a_stage("pipeline")], "'pipeline' is reserved"),
        ([a_stage(run=None)], "does not implement run"),
        ([a_stage(Config=OwnConfig)], "Config must be a subclass of stablenew_api.stage.StageConfig"),
        ([a_stage(Config=SwitchConfig)], "Config has a field enabled"),
        ([a_stage(phase=50)], "phase must be one of Phase.GENERATE"),
        ([a_stage(may_follow={Phase.POST})], "may_follow must be None or a frozenset of Phase"),
        ([a_stage(), a_stage()], "registers two stages called 'grain'"),
        (None, "stablenew_stages returned None"),
        (a_stage(), "must return a list of classes"),
        ("grain", "must return a list of classes"),
    ],
)
def test_a_class_that_breaks_the_contract_fails_its_plugin(returned: Any, reason: str) -> None:
    def stages() -> Any:
        return returned

    host = host_of(a_plugin("bad", stages=stages), a_plugin("good", stages=stages_of(a_stage("other"))))
    bad, good = host.plugins
    assert bad.state == "failed"
    assert reason in bad.reason
    assert "\n" not in bad.reason
    assert good.state == "active"
    assert list(host.stages) == ["other"]


def test_what_a_half_registering_plugin_registered_does_not_count() -> None:
    heard: list[str] = []

    def backends() -> list[Any]:
        raise RuntimeError("no\ndriver")

    bad = a_plugin(
        "bad", stages=stages_of(a_stage("half")), backends=backends, started=lambda role: heard.append(role)
    )
    host = host_of(
        a_plugin("a", stages=stages_of(a_stage("one"))), bad, a_plugin("z", stages=stages_of(a_stage()))
    )
    assert list(host.stages) == ["one", "grain"]
    assert [info.state for info in host.plugins] == ["active", "failed", "active"]
    assert host.plugins[1].reason == "RuntimeError: no driver"
    assert host.plugins[1].provides == ()
    host.started("kernel")
    assert heard == []


def test_a_clash_names_both_sides() -> None:
    host = host_of(
        a_plugin("first", stages=stages_of(a_stage())), a_plugin("second", stages=stages_of(a_stage()))
    )
    first, second = host.plugins
    assert (first.state, second.state) == ("active", "failed")
    assert "stage 'grain' of plugin second (object SimpleNamespace)" in second.reason
    assert "plugin first (object SimpleNamespace)" in second.reason


def test_a_strangers_clash_never_takes_a_builtin_away() -> None:
    def candidate(name: str, builtin: bool) -> Candidate:
        plugin = a_plugin(
            stages=stages_of(a_stage("txt2img", title=name)), STABLENEW_PRIORITY=-9 if not builtin else 0
        )
        return Candidate(name, "stablenew" if builtin else "evil", "1", load=lambda: plugin, builtin=builtin)

    host = PluginHost("kernel", [candidate("aaa", False), candidate("stages", True)])
    assert host.stage("txt2img").title == "stages"
    assert [(info.name, info.state) for info in host.plugins] == [("aaa", "failed"), ("stages", "active")]


def test_two_plugins_of_one_name() -> None:
    host = host_of(
        a_plugin("p", stages=stages_of(a_stage())), a_plugin("p", stages=stages_of(a_stage("other")))
    )
    assert [info.state for info in host.plugins] == ["active", "failed"]
    assert "another plugin has the same name: plugin p" in host.plugins[1].reason


def test_a_misspelt_hook_fails_with_a_near_miss() -> None:
    info = only(host_of(a_plugin(stagez=stages_of(a_stage()))))
    assert info.state == "failed"
    assert info.reason == "there is no hook stablenew_stagez; did you mean stablenew_stages?"


def test_an_optional_hook_may_be_unknown() -> None:
    def stages() -> list[type[Stage]]:
        return [a_stage()]

    plugin = a_plugin(stages=stages)
    plugin.stablenew_of_the_future = hookimpl(lambda: None, optionalhook=True)
    assert only(host_of(plugin)).state == "active"


def test_a_wrong_argument_fails() -> None:
    def started(roll: str) -> None: ...

    info = only(host_of(a_plugin(started=started)))
    assert info.state == "failed"
    assert "roll" in info.reason
    assert "\n" not in info.reason


def test_fewer_arguments_are_fine() -> None:
    calls: list[int] = []
    host = host_of(a_plugin(started=lambda: calls.append(1)))
    host.started("kernel")
    assert calls == [1]


def test_wrappers_and_doubles_are_refused() -> None:
    def wrapper() -> Any:
        yield

    plugin = SimpleNamespace(stablenew_stages=hookimpl(wrapper, wrapper=True))
    assert "hook wrapper" in only(host_of(plugin)).reason
    double = a_plugin(stages=stages_of(a_stage()))
    double.more = hookimpl(stages_of(a_stage("b")), specname="stablenew_stages")
    assert "more than once" in only(host_of(double)).reason


def test_no_hooks_at_all() -> None:
    assert "implements no hook" in only(host_of(SimpleNamespace())).reason


@pytest.mark.parametrize("priority", ["1", 1.5, True])
def test_priority_must_be_an_integer(priority: object) -> None:
    info = only(host_of(a_plugin(stages=stages_of(a_stage()), STABLENEW_PRIORITY=priority)))
    assert info.state == "failed"
    assert "STABLENEW_PRIORITY must be an integer" in info.reason


# --- versions -----------------------------------------------------------------------------------------------

MAJOR, MINOR = STABLENEW_API


@pytest.mark.parametrize(
    ("wanted", "state", "reason"),
    [
        ((MAJOR, MINOR), "active", ""),
        ((MAJOR, 0), "active", ""),
        ((MAJOR, MINOR + 1), "incompatible", f"needs a StableNew with plugin API {MAJOR}.{MINOR + 1} or later"),
        ((MAJOR + 1, 0), "incompatible", "upgrade StableNew"),
        ((MAJOR - 1, 9), "incompatible", "newer version of the plugin"),
        ("1.0", "failed", "STABLENEW_API must be two integers"),
        ((1,), "failed", "STABLENEW_API must be two integers"),
        ((1, "0"), "failed", "STABLENEW_API must be two integers"),
    ],
)
def test_the_version_is_checked_before_anything_is_called(wanted: object, state: str, reason: str) -> None:
    called: list[int] = []

    def stages() -> list[type[Stage]]:
        called.append(1)
        return [a_stage()]

    info = only(host_of(a_plugin(stages=stages, STABLENEW_API=wanted)))
    assert info.state == state
    assert reason in info.reason
    assert bool(called) == (state == "active")


def test_a_plugin_of_another_version_that_cannot_be_imported_is_incompatible(tmp_path: Path) -> None:
    source = "STABLENEW_API = (9, 0)\nfrom stablenew_api import something_of_version_nine\n"
    (tmp_path / "future.py").write_text(source, encoding="utf-8")
    info = only(PluginHost.load(role="cli", plugin_folder=tmp_path, entry_points=()))
    assert info.state == "incompatible"
    assert "plugin API 9.0" in info.reason


# --- names --------------------------------------------------------------------------------------------------


def test_an_unknown_name_lists_near_misses_known_names_and_what_did_not_load() -> None:
    good = a_plugin("good", stages=stages_of(a_stage("txt2img"), a_stage("frame")))
    host = host_of(good, a_plugin("broken", stages=stages_of(NotAStage)))
    with pytest.raises(PluginError) as caught:
        host.stage("txt2im")
    text = str(caught.value)
    assert "no stage called 'txt2im'; did you mean txt2img?" in text
    assert "Known: frame, txt2img; not loaded:" in text
    assert "broken (failed)" in text
    for get, kind in ((host.backend, "backend"), (host.scheduler, "scheduler"), (host.report, "report")):
        with pytest.raises(PluginError, match=f"no {kind} called 'x'; known: none"):
            get("x")


# --- discovery ----------------------------------------------------------------------------------------------


def install(folder: Path, distribution: str, version: str, entry: str, modules: dict[str, str]) -> None:
    """A distribution as an installer leaves it on disk."""
    info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{entry}\n", encoding="utf-8")
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")


STAGE_SOURCE = """
    from stablenew_api import hookimpl
    from stablenew_api.stage import Phase, Stage, StageConfig

    class S(Stage):
        name, version, title, Config, phase = "{name}", "2.0", "S", StageConfig, Phase.POST
        def run(self, ctx, config, images):
            return images

    @hookimpl
    def stablenew_stages():
        return [S]
"""


def test_finds_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = STAGE_SOURCE.format(name="found_on_disk")
    install(tmp_path, "snt-found", "3.1", "found = snt_found", {"snt_found": source})
    install(tmp_path, "snt-broken", "0.2", "broken = snt_broken", {"snt_broken": "import not_there_at_all"})
    install(tmp_path, "snt-leaving", "0.3", "leaving = snt_leaving", {"snt_leaving": "raise SystemExit(3)"})
    install(tmp_path, "snt-lost", "0.4", "lost = snt_lost_module", {})
    monkeypatch.syspath_prepend(str(tmp_path))
    host = PluginHost.load(role="worker", disabled=["leaving_not"])
    listed = {info.name: info for info in host.plugins}
    assert listed["found"] == PluginInfo(
        "found", "3.1", "snt-found", PluginState.ACTIVE, "", ("stage found_on_disk 2.0",)
    )
    assert listed["broken"].state == "failed"
    assert listed["broken"].reason == "ModuleNotFoundError: No module named 'not_there_at_all'"
    assert (listed["broken"].distribution, listed["broken"].version) == ("snt-broken", "0.2")
    assert listed["leaving"].reason == "SystemExit: 3"
    assert "snt_lost_module" in listed["lost"].reason
    assert host.stage("found_on_disk").version == "2.0"


def test_order_is_ours_not_that_of_the_disk() -> None:
    heard: list[str] = []

    def plugin(name: str, priority: int) -> SimpleNamespace:
        return a_plugin(name, started=lambda role: heard.append(name), STABLENEW_PRIORITY=priority)

    host = host_of(plugin("c", 0), plugin("z", -1), plugin("a", 5), plugin("b", 0))
    assert [info.name for info in host.plugins] == ["z", "b", "c", "a"]
    host.started("kernel")
    assert heard == ["z", "b", "c", "a"]


def test_an_entry_point_may_name_an_object_but_not_a_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = """
        from stablenew_api import hookimpl

        class Listener:
            @hookimpl
            def stablenew_started(self, role):
                pass

        listener = Listener()
    """
    (tmp_path / "snt_objects.py").write_text(textwrap.dedent(source), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [
        EntryPoint("obj", "snt_objects:listener", GROUP),
        EntryPoint("cls", "snt_objects:Listener", GROUP),
    ]
    host = PluginHost.load(role="kernel", entry_points=points)
    states = {info.name: (info.state, info.reason, info.distribution) for info in host.plugins}
    assert states["obj"] == ("active", "", "snt_objects:listener")
    assert states["cls"][0] == "failed"
    assert "names the class Listener" in states["cls"][1]


def test_one_file_plugins(tmp_path: Path) -> None:
    source = '__version__ = "0.7"\n' + textwrap.dedent(STAGE_SOURCE.format(name="from_file"))
    (tmp_path / "json.py").write_text(source, encoding="utf-8")  # a name that must hide nothing
    (tmp_path / "_helper.py").write_text("raise RuntimeError", encoding="utf-8")
    (tmp_path / "torn.py").write_text("def stablenew_stages(:\n", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("no plugin", encoding="utf-8")
    before = sys.modules["json"]
    host = PluginHost.load(role="kernel", plugin_folder=tmp_path, entry_points=())
    good, torn = host.plugins
    assert good == PluginInfo(
        "json", "0.7", str(tmp_path / "json.py"), PluginState.ACTIVE, "", ("stage from_file 2.0",)
    )
    assert torn.state == "failed"
    assert torn.reason.startswith("SyntaxError: ")
    assert sys.modules["json"] is before


def test_two_folders_with_one_file_name_do_not_meet(tmp_path: Path) -> None:
    hosts = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "grain.py").write_text(textwrap.dedent(STAGE_SOURCE.format(name=name)), encoding="utf-8")
        hosts.append(PluginHost.load(role="kernel", plugin_folder=folder, entry_points=()))
    assert [list(host.stages) for host in hosts] == [["one"], ["two"]]
    assert hosts[0].stage("one").__module__ != hosts[1].stage("two").__module__


def test_a_hook_without_its_mark_is_told(tmp_path: Path) -> None:
    source = textwrap.dedent(STAGE_SOURCE.format(name="unmarked")).replace("@hookimpl\n", "")
    (tmp_path / "unmarked.py").write_text(source, encoding="utf-8")
    info = only(PluginHost.load(role="kernel", plugin_folder=tmp_path, entry_points=()))
    assert info.reason == "function stablenew_stages lacks @hookimpl (from stablenew_api import hookimpl)"


def test_no_plugin_folder_is_fine(tmp_path: Path) -> None:
    assert PluginHost.load(role="kernel", plugin_folder=tmp_path / "none", entry_points=()).plugins == ()


def test_disabled_plugins_are_listed_and_not_even_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "imported"
    for name in ("one", "two", "three"):
        source = f"with open({str(trace)!r}, 'a') as file:\n    file.write({name!r})\n" + textwrap.dedent(
            STAGE_SOURCE.format(name=name)
        )
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
    monkeypatch.setenv(DISABLE_VARIABLE, "two, ,none")
    host = PluginHost.load(role="kernel", plugin_folder=tmp_path, disabled=["one"], entry_points=())
    assert {info.name: info.state for info in host.plugins} == {
        "one": "disabled",
        "two": "disabled",
        "three": "active",
    }
    assert trace.read_text(encoding="utf-8") == "three"
    assert list(host.stages) == ["three"]


def test_the_traceback_is_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "bad.py").write_text("1 / 0\n", encoding="utf-8")
    PluginHost.load(role="kernel", plugin_folder=tmp_path, entry_points=())
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.__dict__["plugin"] == "bad"
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


# --- observe hooks ------------------------------------------------------------------------------------------


class Flaky:
    """Fails while ``broken``; counts the calls that reach it."""

    plugin_name = "flaky"

    def __init__(self) -> None:
        self.broken = True
        self.calls = 0

    @hookimpl
    def stablenew_job_changed(self, job: dict[str, object]) -> None:
        self.calls += 1
        if self.broken:
            raise OSError("disk full")


def test_every_observer_is_called_alone_with_its_arguments() -> None:
    heard: list[object] = []

    def fail(**_: object) -> None:
        raise RuntimeError("boom")

    def bad(role: str) -> None:
        fail()

    listener = a_plugin(
        "listener",
        started=lambda role: heard.append(role),
        node_changed=lambda node: heard.append(node),
        job_changed=lambda job: heard.append(job),
        image_saved=lambda image: heard.append(image),
        stopping=lambda role: heard.append(role),
    )
    host = host_of(a_plugin("bad", started=bad, stopping=bad), listener)
    assert host.listens("started")
    assert not host_of(a_plugin("bad", started=bad)).listens("job_changed")
    host.started("kernel")
    host.node_changed({"node": 1})
    host.job_changed({"job": 1})
    host.image_saved({"image": 1})
    host.stopping("kernel")
    assert heard == ["kernel", {"node": 1}, {"job": 1}, {"image": 1}, "kernel"]


def test_five_failures_in_a_row_mute_a_hook_and_the_hundredth_call_tries_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    flaky, heard = Flaky(), []
    host = host_of(flaky, a_plugin("other", job_changed=lambda job: heard.append(job)))
    for _ in range(MUTE_AFTER):
        host.job_changed({})
    assert flaky.calls == MUTE_AFTER
    muted = host.plugins[0]
    assert muted.state == "active"
    assert muted.reason == "job_changed is muted after 5 failures in a row: OSError: disk full"
    for _ in range(TRY_AGAIN_EVERY - 1):
        host.job_changed({})
    assert flaky.calls == MUTE_AFTER
    lines = len(caplog.records)
    host.job_changed({})  # the hundredth: let through, and fails again
    assert flaky.calls == MUTE_AFTER + 1
    assert len(caplog.records) == lines + 1
    flaky.broken = False
    for _ in range(TRY_AGAIN_EVERY):
        host.job_changed({})
    assert flaky.calls == MUTE_AFTER + 2
    assert host.plugins[0].reason == ""
    host.job_changed({})
    assert flaky.calls == MUTE_AFTER + 3
    assert len(heard) == MUTE_AFTER + 2 * TRY_AGAIN_EVERY + 1  # nobody else missed a call


def test_a_success_in_between_starts_the_count_again() -> None:
    flaky = Flaky()
    host = host_of(flaky)
    for _ in range(4):
        flaky.broken = True
        for _ in range(MUTE_AFTER - 1):
            host.job_changed({})
        flaky.broken = False
        host.job_changed({})
    assert flaky.calls == 4 * MUTE_AFTER


# --- filter hooks -------------------------------------------------------------------------------------------

SPEC = JobSpec(stages=())


def test_filters_run_one_after_the_other_in_order() -> None:
    def double(jobs: Sequence[JobSpec]) -> list[JobSpec]:
        return [*jobs, *jobs]

    def drop_one(jobs: Sequence[JobSpec]) -> Sequence[JobSpec]:
        return jobs[1:]

    assert (
        host_of(a_plugin("a", filter_jobs=double), a_plugin("b", filter_jobs=drop_one)).filter_jobs(
            [SPEC, SPEC]
        )
        == (SPEC,) * 3
    )
    assert (
        host_of(a_plugin("b", filter_jobs=double), a_plugin("a", filter_jobs=drop_one)).filter_jobs(
            [SPEC, SPEC]
        )
        == (SPEC,) * 2
    )
    assert host_of().filter_jobs([SPEC]) == (SPEC,)


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (None, "returned None"),
        ([SPEC, "job"], "returned a str among the jobs"),
        ("jobs", "returned str"),
        (ValueError("row 3"), "ValueError: row 3"),
    ],
)
def test_a_failing_filter_stops_the_plan_and_is_named(result: Any, reason: str) -> None:
    def filter_jobs(jobs: Sequence[JobSpec]) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    with pytest.raises(PluginError) as caught:
        host_of(a_plugin("picky", filter_jobs=filter_jobs)).filter_jobs([SPEC])
    assert "plugin picky" in str(caught.value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_describe_image_keeps_what_fits_and_leaves_out_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    def good(spec: JobSpec, info: dict[str, object]) -> dict[str, object]:
        return {"Mood score": 7, "Grain/film-stock 2": "Tri-X", "Steps": 99}

    def odd(info: dict[str, object]) -> dict[Any, object]:
        return {"a.b": 1, "X": 1, "Paren (x)": 1, 5: 1, "Set value": {1, 2}, "Mood score": 1, "Odd one": "kept"}

    def broken() -> dict[str, object]:
        raise RuntimeError("boom")

    def meddler(info: dict[str, object]) -> dict[str, object]:
        info["Seed"] = 0  # read only: raises
        return {"Meddler key": 1}

    def nothing() -> None:
        return None

    host = host_of(
        a_plugin("a", describe_image=good),
        a_plugin("b", describe_image=odd),
        a_plugin("c", describe_image=broken),
        a_plugin("d", describe_image=meddler),
        a_plugin("e", describe_image=nothing),
    )
    info = {"Steps": 20, "Seed": 1}
    assert host.describe_image(SPEC, info) == {
        "Mood score": 7,
        "Grain/film-stock 2": "Tri-X",
        "Odd one": "kept",
    }
    assert info == {"Steps": 20, "Seed": 1}
    named = [record.__dict__["plugin"] for record in caplog.records]
    assert named == ["a", "b", "b", "b", "b", "b", "b", "c", "d"]


# --- commands -----------------------------------------------------------------------------------------------


def command(name: str) -> click.Command:
    return click.Command(name)


def test_commands_are_added_or_taken_back_as_a_whole() -> None:
    own, sub = command("queue"), command("list")
    group = click.Group("runs", commands={"list": sub})
    cli = click.Group(commands={"queue": own, "runs": group})

    def good(cli: click.Group) -> None:
        cli.add_command(command("publish"))

    def half(cli: click.Group) -> None:
        cli.add_command(command("half"))
        runs = cli.commands["runs"]
        assert isinstance(runs, click.Group)
        runs.add_command(command("half"))
        raise RuntimeError("boom")

    def thief(cli: click.Group) -> None:
        cli.add_command(command("more"))
        cli.add_command(command("queue"))

    def lazy_thief(cli: click.Group) -> None:
        cli.add_command(command("nodes"))

    host = host_of(
        a_plugin("good", commands=good),
        a_plugin("half", commands=half, stages=stages_of(a_stage())),
        a_plugin("lazy", commands=lazy_thief),
        a_plugin("thief", commands=thief),
        role="cli",
    )
    host.add_commands(cli, taken=["nodes"])
    assert sorted(cli.commands) == ["publish", "queue", "runs"]
    assert cli.commands["queue"] is own
    assert dict(group.commands) == {"list": sub}
    listed = {info.name: info for info in host.plugins}
    assert listed["good"].provides == ("command publish",)
    assert listed["half"].state == "failed"
    assert listed["half"].reason == "its commands were dropped: RuntimeError: boom"
    assert "command 'queue' is there already" in listed["thief"].reason
    assert "command 'nodes' is there already" in listed["lazy"].reason
    assert host.stage("grain")
