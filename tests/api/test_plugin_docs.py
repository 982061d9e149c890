"""docs/plugins.md cannot go stale: every hook, interface method and test helper stands there as in the code."""

from __future__ import annotations

import inspect
import re
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stablenew_api import hookspecs, testing
from stablenew_api.backend import Backend
from stablenew_api.datafolder import DataFolder
from stablenew_api.frontend import Frontend
from stablenew_api.host import _HOOK_NAMES, PluginHost
from stablenew_api.importer import Importer
from stablenew_api.kinds import KINDS
from stablenew_api.learning import LearningMode
from stablenew_api.probe import Probe
from stablenew_api.randomizer import Randomizer, Slot, Turn, Use
from stablenew_api.report import Report
from stablenew_api.scheduler import Scheduler
from stablenew_api.stage import Stage
from stablenew_api.testing import check_randomizer, check_stage

GUIDE = Path(__file__).parents[2] / "docs" / "plugins.md"
TEXT = GUIDE.read_text(encoding="utf-8")

HOOKS = [
    function
    for name, function in vars(hookspecs).items()
    if inspect.isfunction(function) and name.startswith("stablenew_")
]
INTERFACES = [Stage, Backend, Scheduler, Probe, Report, Randomizer, Importer, LearningMode, Frontend]
METHODS = [
    (interface, name)
    for interface in INTERFACES
    for name, member in vars(interface).items()
    if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, classmethod))
]


def arguments(function: Any) -> str:
    return ", ".join(name for name in inspect.signature(function).parameters if name not in ("self", "cls"))


def test_the_lists_here_are_complete() -> None:
    assert len(HOOKS) == len(_HOOK_NAMES) >= 16
    assert {kind.load_interface() for kind in KINDS.values()} == set(INTERFACES)
    assert (Stage, "resolve_prompts") in METHODS
    assert (Backend, "interrupt") in METHODS


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_every_hook_is_specified_and_documented_with_its_exact_arguments(hook: Any) -> None:
    assert hasattr(hook, "stablenew_spec"), f"{hook.__name__} lacks @hookspec"
    assert inspect.getdoc(hook), f"{hook.__name__} lacks a docstring"
    assert f"`{hook.__name__}({arguments(hook)})`" in TEXT


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_every_hook_can_be_called_through_the_host_with_the_same_arguments(hook: Any) -> None:
    if hook.__name__ in {kind.hook for kind in KINDS.values()}:
        return  # called by the host itself, when it loads
    names = {"commands": "add_commands"}
    short = hook.__name__.removeprefix("stablenew_")
    method = getattr(PluginHost, names.get(short, short))
    required = [
        name
        for name, parameter in inspect.signature(method).parameters.items()
        if name != "self" and parameter.default is parameter.empty
    ]
    assert ", ".join(required) == arguments(hook)


@pytest.mark.parametrize(("interface", "name"), METHODS, ids=[f"{i.__name__}.{name}" for i, name in METHODS])
def test_every_method_is_documented_with_its_exact_arguments(interface: type, name: str) -> None:
    method = getattr(interface, name)
    assert inspect.getdoc(method), f"{interface.__name__}.{name} lacks a docstring"
    assert f"`{interface.__name__}.{name}({arguments(method)})`" in TEXT


@pytest.mark.parametrize("interface", INTERFACES, ids=lambda interface: interface.__name__)
def test_every_class_attribute_is_documented(interface: type) -> None:
    section = TEXT.partition(f"`{interface.__module__}.{interface.__name__}`")[2].partition("\n### ")[0]
    attributes = [name for name in interface.__annotations__ if not name.startswith("_")]
    assert "name" in attributes
    missing = [name for name in attributes if f"`{name}`" not in section]
    assert not missing, f"{interface.__name__}: {missing}"


@pytest.mark.parametrize("name", sorted(set(testing.__all__) - {"FakeBackendConfig"}))
def test_every_test_helper_is_documented(name: str) -> None:
    assert re.search(rf"^\| `{name}[`(]", TEXT, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(name for name in testing.__all__ if name.startswith("check_")))
def test_checks_are_documented_with_their_exact_arguments(name: str) -> None:
    parameters = inspect.signature(getattr(testing, name)).parameters
    assert f"`{name}({', '.join(parameters)})`" in TEXT


def test_links_lead_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w\- ]", "", line.lstrip("# ")).strip().lower().replace(" ", "-")
        for line in TEXT.splitlines()
        if line.startswith("#")
    }
    targets = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert targets
    for target in targets:
        if target.startswith("#"):
            assert target[1:] in anchors, target
        else:
            assert (GUIDE.parent / target).exists(), target


def code_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_one_file_plugin_of_the_guide_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin, _, _, its_tests = code_blocks()
    (tmp_path / "invert.py").write_text(plugin, encoding="utf-8")
    host = PluginHost.load(role="kernel", plugin_folder=tmp_path, entry_points=())
    assert [(info.state, info.provides) for info in host.plugins] == [("active", ("stage invert 1.0",))]
    monkeypatch.syspath_prepend(str(tmp_path))
    names: dict[str, Any] = {}
    try:
        exec(compile(its_tests, "tests of the guide", "exec"), names)
        names["test_contract"]()
        names["test_loads"]()
    finally:
        sys.modules.pop("invert", None)


def test_the_randomizer_of_the_guide_works(tmp_path: Path) -> None:
    _, randomizer, _, _ = code_blocks()
    (tmp_path / "bounce.py").write_text(randomizer, encoding="utf-8")
    host = PluginHost.load(role="kernel", plugin_folder=tmp_path, entry_points=())
    assert [(info.state, info.provides) for info in host.plugins] == [("active", ("randomizer bounce",))]
    bounce = host.randomizers["bounce"]
    check_randomizer(bounce)
    slot = Slot("s", 3, str)
    found = [bounce().pick([slot], Turn(1, 1, 0, n, {"s": Use(0, n)}), {})[0] for n in range(6)]
    assert found == [0, 1, 2, 1, 0, 1]


def test_the_example_in_the_stage_interface_works(tmp_path: Path) -> None:
    import stablenew_api.stage

    doc = inspect.getdoc(stablenew_api.stage) or ""
    block = doc.partition("stage::\n")[2].partition("\nIt gets its place")[0]
    (tmp_path / "example.py").write_text(inspect.cleandoc(block), encoding="utf-8")
    host = PluginHost.load(role="kernel", plugin_folder=tmp_path, entry_points=())
    assert [info.reason for info in host.plugins] == [""]
    check_stage(host.stage("invert"))


def test_the_front_end_of_the_guide_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, front_end, _ = code_blocks()
    (tmp_path / "ticker.py").write_text(front_end, encoding="utf-8")
    host = PluginHost.load(role="cli", plugin_folder=tmp_path, entry_points=())
    assert [(info.state, info.provides) for info in host.plugins] == [("active", ("frontend ticker",))]
    ticker = host.frontends["ticker"]
    assert "terminal" in ticker.missing()

    run = SimpleNamespace(name="demo", state="done", done=6, total=6)
    kernel = SimpleNamespace(runs=lambda limit: [run], nodes=lambda: ["this one"])
    monkeypatch.setattr("stablenew_client.KernelClient.connect_or_start", lambda data: nullcontext(kernel))
    assert ticker().run(DataFolder(tmp_path)) == 0
    assert capsys.readouterr().out == "demo: done, 6 of 6\nnodes: 1\n"
