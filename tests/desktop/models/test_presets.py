"""Presets, profiles, settings of images, and the line of the next run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.desktop.desk_kit import Inline, make_desk
from tests.desktop.models.pipeline_kit import Kernel

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import UserError
from stablenew_plugins.desktop.models.pipeline.brought import brought_by
from stablenew_plugins.desktop.models.pipeline.nextrun import about, next_run
from stablenew_plugins.desktop.models.pipeline.pipeline import PipelineModel
from stablenew_plugins.desktop.models.pipeline.pipelinevalues import QUIET
from stablenew_plugins.desktop.models.pipeline.presets import NOW, PresetsModel
from stablenew_plugins.desktop.models.prompt.sources import Source
from stablenew_plugins.desktop.models.run import PackPlan, Plan
from stablenew_proto.v1 import kernel_pb2
from stablenew_proto.v1 import library_pb2 as pb


class Bench:
    """The two models, and what they asked for."""

    def __init__(self, folder: Path) -> None:
        self.data = DataFolder(folder)
        self.kernel = Kernel(self.data)
        self.desk = make_desk(folder)
        self.pipeline = PipelineModel(self.desk)
        self.presets = PresetsModel(self.desk, self.pipeline)
        self.opened: list[str] = []
        self.presets.open_overlay = self.opened.append
        self.pipeline.on_taken = lambda: self.opened.append("apply_image")
        self.desk.state.connected(self.kernel, kernel_pb2.GetStatusResponse())  # type: ignore[arg-type]
        self.settle()

    def settle(self) -> None:
        self.desk.clock.move(QUIET + 5)  # type: ignore[attr-defined]
        self.pipeline.tick()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_presets_are_listed_the_own_ones_first(bench: Bench) -> None:
    assert set(bench.presets.names) >= {"full", "quick", "everything"}
    bench.presets.save_as("zzz", "")
    assert bench.presets.names[0] == "zzz"


def test_saving_a_shipped_one_asks_for_a_name(bench: Bench) -> None:
    bench.pipeline.set("txt2img.steps", 33)
    assert bench.presets.label == "full *"
    bench.presets.save()
    assert bench.opened == ["preset_save"]
    assert bench.presets.name_problem("full")
    assert bench.presets.name_problem("a/b")
    assert not bench.presets.name_problem("mine")


def test_saving_writes_what_was_changed_and_chooses_it(bench: Bench) -> None:
    bench.pipeline.set_all({"txt2img.steps": 33, "color_grade.gamma": 1.5, "watermark.text": "a, b = [c]"})
    bench.pipeline.switch("film_grain", True)
    bench.pipeline.move("film_grain", -9)
    bench.presets.save_as("mine", "For later")
    assert (bench.pipeline.preset, dict(bench.pipeline.changes)) == ("mine", {})
    assert bench.presets.entry("mine").description == "For later"  # type: ignore[union-attr]
    assert bench.pipeline.value("txt2img.steps") == 33
    assert bench.pipeline.value("color_grade.gamma") == 1.5
    assert bench.pipeline.value("watermark.text") == "a, b = [c]"
    assert [card.name for card in bench.pipeline.posts if bench.pipeline.is_on(card.name)] == [
        "film_grain",
        "sharpen",
        "frame",
    ]
    bench.pipeline.set("txt2img.steps", 34)
    bench.presets.save()
    assert (bench.pipeline.value("txt2img.steps"), dict(bench.pipeline.changes)) == (34, {})


def test_what_is_changed_while_a_preset_is_saved_stays_changed(bench: Bench) -> None:
    background = bench.desk.background
    assert isinstance(background, Inline)
    bench.pipeline.set_all({"txt2img.steps": 33, "txt2img.cfg_scale": 6.0})
    background.held = True
    bench.presets.save_as("mine", "")
    bench.pipeline.set("txt2img.steps", 34)
    background.held = False
    background.release()
    assert (bench.pipeline.preset, dict(bench.pipeline.changes)) == ("mine", {"txt2img.steps": 34})
    assert bench.pipeline.value("txt2img.cfg_scale") == 6.0


def test_what_is_wrong_is_not_saved(bench: Bench) -> None:
    bench.pipeline.type("txt2img.steps", "many")
    bench.presets.save_as("mine", "")
    assert bench.presets.entry("mine") is None
    assert bench.presets.failure


def test_choosing_another_puts_changes_away_and_brings_them_back(bench: Bench) -> None:
    bench.pipeline.set("txt2img.steps", 33)
    bench.presets.choose("quick")
    assert bench.pipeline.value("txt2img.steps") == 10
    act = bench.desk.toasts.shown[-1].act
    assert act is not None
    act()
    assert (bench.pipeline.preset, bench.pipeline.value("txt2img.steps")) == ("full", 33)


def test_a_preset_that_is_gone_is_replaced(tmp_path: Path) -> None:
    first = Bench(tmp_path)
    first.presets.save_as("mine", "")
    first.desk.remembered.save()
    first.kernel.library.change("preset", "delete", "mine")
    again = Bench(tmp_path)
    assert again.pipeline.preset == "full"
    assert "mine" in again.desk.toasts.shown[-1].text


def test_rename_duplicate_delete_restore(bench: Bench) -> None:
    bench.presets.save_as("mine", "")
    bench.pipeline.set("txt2img.steps", 33)
    bench.presets.rename("mine", "ours")
    assert (bench.pipeline.preset, bench.pipeline.changes) == ("ours", {"txt2img.steps": 33})
    bench.presets.duplicate("ours", bench.presets.free_name("ours"))
    assert bench.pipeline.preset == "ours 2"
    bench.presets.delete("ours 2")
    assert bench.pipeline.preset == "full"
    assert [entry.name for entry in bench.presets.trash] == ["ours 2"]
    bench.presets.restore("ours 2")
    assert bench.pipeline.preset == "ours 2"


def test_comparing(bench: Bench) -> None:
    bench.pipeline.set("txt2img.steps", 33)
    bench.presets.compare("full", NOW)
    assert bench.presets.difference is not None
    assert [(one.title, one.left, one.right) for one in bench.presets.difference] == [("Steps", "30", "33")]
    bench.presets.compare("full", "everything")
    assert bench.presets.difference is not None
    assert {one.name for one in bench.presets.difference} == {
        "pipeline.adetailer_enabled",
        "pipeline.images_per_prompt",
    }


def test_where_values_come_from(bench: Bench) -> None:
    bench.pipeline.set("txt2img.steps", 33)
    bench.presets.explain()
    [steps] = bench.presets.origins_like("txt2img.steps")
    assert (steps.value, steps.source) == ("33", "changed here")
    assert list(steps.below) == [("preset full.json", "30"), ("default", "20")]
    assert bench.presets.origins_like("no such setting at all") == []


def test_what_a_pack_brings_is_explained(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("red\n", encoding="utf-8")
    (tmp_path / "p.json").write_text('{"txt2img": {"steps": 21}}', encoding="utf-8")
    bench.presets.explain(Source(tmp_path / "p.txt"))
    [steps] = bench.presets.origins_like("txt2img.steps")
    assert (steps.value, steps.source) == ("21", "sidecar p.json")
    bench.presets.explain(Source(tmp_path / "gone.txt"))
    assert "gone" in bench.presets.failure


def test_profiles_say_what_they_set(tmp_path: Path) -> None:
    data = DataFolder(tmp_path)
    data.profiles.mkdir(parents=True)
    content = {"txt2img": {"steps": 28}, "trigger_words": ["a", "b"]}
    (data.profiles / "xl.profile.json").write_text(json.dumps(content), encoding="utf-8")
    bench = Bench(tmp_path)
    assert bench.presets.profile_texts == {"xl": "steps 28; trigger words: a, b"}


# --- settings of an image -------------------------------------------------------------------------------------


def test_settings_of_an_image_are_offered_and_taken(bench: Bench) -> None:
    bench.kernel.settings = {"txt2img": {"steps": 44, "seed": 7, "cfg_scale": 7.0, "sampler_name": "Euler a"}}
    bench.kernel.stages_of_image = ["txt2img"]
    bench.pipeline.take_from_image("ab" * 32)
    assert bench.opened == ["apply_image"]
    taken = bench.pipeline.taken
    assert taken is not None
    offered_now = {item.name: (item.now, item.then, item.chosen) for item in taken.items}
    assert offered_now["txt2img.steps"] == (30, 44, True)
    assert offered_now["txt2img.seed"] == (-1, 7, False)
    assert offered_now["pipeline.upscale_enabled"] == (True, False, True)
    assert "txt2img.cfg_scale" not in offered_now
    bench.pipeline.take(["txt2img.steps", "pipeline.upscale_enabled"])
    assert bench.pipeline.value("txt2img.steps") == 44
    assert not bench.pipeline.is_on("upscale")
    assert bench.pipeline.value("txt2img.sampler_name") == "DPM++ 2M"
    bench.pipeline.undo()
    assert not bench.pipeline.changes


def test_settings_of_another_programs_image(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "one.png"
    file.write_bytes(b"x")
    bench.kernel.settings = {"txt2img": {"steps": 999, "width": 640}}
    bench.pipeline.take_from_file(file)
    taken = bench.pipeline.taken
    assert taken is not None
    assert (taken.program, list(taken.notes)) == ("A1111", ["Hashes are not known"])
    by_name = {item.name: item for item in taken.items}
    assert by_name["txt2img.steps"].problem
    assert not by_name["txt2img.width"].problem
    assert not by_name["pipeline.upscale_enabled"].chosen  # another program says nothing of our stages
    bench.pipeline.take(list(by_name))
    assert bench.pipeline.value("txt2img.steps") == 30
    assert bench.pipeline.value("txt2img.width") == 640


def test_an_image_that_tells_nothing_is_said(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "one.png"
    file.write_bytes(b"x")
    bench.pipeline.take_from_file(file)
    assert bench.pipeline.taken is None
    assert "no settings" in bench.desk.toasts.shown[-1].text
    bench.pipeline.take_from_file(tmp_path / "gone.png")
    assert "no such file" in bench.desk.toasts.shown[-1].text


# --- the line of the next run ---------------------------------------------------------------------------------


def source(name: str) -> Source:
    return Source(Path(name))


def run_of(plan: Plan, *names: str) -> Any:
    return SimpleNamespace(plan=plan, sources=[source(name) for name in names])


def plan_of(*, line: str = "6 rows = 6 images", warnings: Sequence[str] = (), spec: Any = None) -> Plan:
    job = kernel_pb2.PlannedJob(stages=["txt2img", "frame"], spec_json=json.dumps(spec or {}).encode())
    summary = kernel_pb2.PlanSummary(
        jobs=6, line=line, warnings=warnings, seconds=65, time="about 1 min on 2 nodes"
    )
    return Plan([PackPlan(source("demo.txt"), summary, [job])])


def test_the_line_says_what_is_sent(bench: Bench) -> None:
    found = next_run(run_of(plan_of(), "demo.txt"), bench.pipeline)
    assert found.line == "demo  ·  2 stages  ·  6 images  ·  about 1 min"
    assert found.how == "6 prompts = 6 images\nabout 1 min on 2 nodes"
    assert not found.remarks
    assert "left" in next_run(run_of(Plan()), bench.pipeline).line
    two = Plan([*plan_of().packs, *plan_of().packs])
    found = next_run(run_of(two, "a.txt", "b.txt"), bench.pipeline)
    assert found.line == "demo + 1 pack  ·  2 stages  ·  12 images  ·  about 2 min"
    assert found.how == "demo: 6 prompts = 6 images\ndemo: 6 prompts = 6 images"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (20, "less than a minute"),
        (65, "about 1 min"),
        (3_569, "about 59 min"),
        (3_580, "about 1 h"),
        (4_000, "about 1 h 5 min"),
        (50_000, "about 14 h"),
    ],
)
def test_a_time_that_nobody_knows_to_the_second(seconds: float, words: str) -> None:
    assert about(seconds) == words


def test_remarks_are_in_plain_words_and_say_what_to_do(bench: Bench) -> None:
    warnings = [
        "sampler Foo: no node in touch has it; its jobs wait",
        "--set txt2img.x has no effect, as y is off",
    ]
    plan = plan_of(warnings=warnings)
    broken = PackPlan(source("bad.txt"), problem="pack bad.txt, line 3: this { is never closed; add a }")
    found = next_run(run_of(Plan([*plan.packs, broken]), "demo.txt", "bad.txt"), bench.pipeline)
    assert [(one.text, one.hint, one.is_error) for one in found.remarks] == [
        ("bad: pack bad.txt, line 3: this { is never closed", "Add a }", True),
        ("sampler Foo: no node in touch has it", "Its jobs wait", False),
    ]


def test_a_refusal_that_stands_at_a_field_is_not_told_twice(bench: Bench) -> None:
    bench.pipeline.refusal = "--set txt2img.steps: '999' is out of range (1 to 150)"
    broken = PackPlan(source("demo.txt"), problem=bench.pipeline.refusal)
    assert not next_run(run_of(Plan([broken]), "demo.txt"), bench.pipeline).remarks
    bench.pipeline.refusal = "no stage is enabled; turn one on"
    [remark] = next_run(run_of(Plan(), "demo.txt"), bench.pipeline).remarks
    assert (remark.text, remark.hint, remark.is_error) == ("no stage is enabled", "Turn one on", True)


# --- settings that packs have of their own --------------------------------------------------------------------


def own(**settings: Any) -> list[pb.Setting]:
    """Settings of a run as the kernel explains them, by name with __ for the dot."""
    below = [pb.SettingBelow(source="preset full.json", value_json=b"30")]
    return [
        pb.Setting(
            name=name.replace("__", "."),
            value_json=json.dumps(value).encode(),
            source="sidecar demo.json",
            below=below,
        )
        for name, value in settings.items()
    ]


def pack_plan(name: str, settings: Sequence[pb.Setting], *chosen: str) -> PackPlan:
    spec = {"provenance": {"choices": [{"slot": slot, "value": "1"} for slot in chosen]}}
    job = kernel_pb2.PlannedJob(spec_json=json.dumps(spec).encode())
    return PackPlan(source(name), kernel_pb2.PlanSummary(jobs=1), [job], settings)


def test_the_cards_show_what_the_pack_has_of_its_own(bench: Bench) -> None:
    pipeline = bench.pipeline
    plan = Plan(
        [
            pack_plan(
                "demo.txt", own(txt2img__steps=20, pipeline__adetailer_enabled=True, pipeline__variant_mode="x")
            )
        ]
    )
    pipeline.show_brought(brought_by(plan))
    assert pipeline.value("txt2img.steps") == 20
    assert pipeline.is_on("adetailer")
    assert not pipeline.changes
    assert pipeline.sets() == ()
    [remark] = next_run(run_of(plan, "demo.txt"), pipeline).remarks
    assert remark.is_about_packs
    assert "2 settings come from demo" in remark.text

    pipeline.set("txt2img.steps", 25)
    assert pipeline.brought_at("txt2img.steps") is None
    assert pipeline.sets() == ("txt2img.steps=25",)
    pipeline.set("txt2img.steps", 20)
    assert not pipeline.changes, "that is what it would be anyway"
    pipeline.set("txt2img.steps", 25)
    pipeline.reset("txt2img.steps")
    assert pipeline.value("txt2img.steps") == 20

    pipeline.use_preset()
    assert pipeline.value("txt2img.steps") == 30
    assert pipeline.sets() == ("pipeline.adetailer_enabled=false", "txt2img.steps=30")
    assert not next_run(run_of(plan, "demo.txt"), pipeline).remarks
    pipeline.undo()
    assert pipeline.value("txt2img.steps") == 20


def test_what_was_changed_over_a_pack_stays_when_it_is_saved(bench: Bench) -> None:
    pipeline = bench.pipeline
    plan = Plan([pack_plan("demo.txt", own(txt2img__steps=20, txt2img__cfg_scale=5.0))])
    pipeline.show_brought(brought_by(plan))
    pipeline.set_all({"txt2img.steps": 12, "txt2img.width": 640})
    assert bench.presets.label == "full *"
    bench.presets.save_as("mine", "")
    assert pipeline.value("txt2img.steps") == 12, "as the person has set it, and not the pack's 20"
    assert (bench.presets.label, dict(pipeline.changes)) == ("mine", {"txt2img.steps": 12})
    assert "1 value stays set" in bench.desk.toasts.shown[-1].text
    bench.presets.save()
    assert "nothing to save" in bench.desk.toasts.shown[-1].text
    pipeline.reset("txt2img.steps")
    assert pipeline.value("txt2img.steps") == 20


def test_a_setting_of_a_stage_that_the_pack_turns_on_is_sent(bench: Bench) -> None:
    bench.pipeline.set("adetailer.adetailer_denoise", 0.7)
    assert bench.pipeline.sets() == ()
    own_stage = own(pipeline__adetailer_enabled=True)
    bench.pipeline.show_brought(brought_by(Plan([pack_plan("demo.txt", own_stage)])))
    assert bench.pipeline.sets() == ("adetailer.adetailer_denoise=0.7",)


def test_packs_that_differ_leave_the_card_as_it_is_and_say_so(bench: Bench) -> None:
    pipeline = bench.pipeline
    plan = Plan([pack_plan("a.txt", own(txt2img__steps=20)), pack_plan("b.txt", own(txt2img__steps=25))])
    pipeline.show_brought(brought_by(plan))
    assert pipeline.value("txt2img.steps") == 30
    found = pipeline.brought_at("txt2img.steps")
    assert found is not None
    assert (found.packs, found.values) == (("a", "b"), (20, 25))
    [remark] = next_run(run_of(plan, "a.txt", "b.txt"), pipeline).remarks
    assert "differ in 1" in remark.hint
    pipeline.use_preset("txt2img.steps")
    assert pipeline.sets() == ("txt2img.steps=30",)
    lone = Plan([pack_plan("a.txt", own(txt2img__steps=20)), pack_plan("b.txt", ())])
    assert not brought_by(lone)["txt2img.steps"].is_shared


def test_what_lies_over_a_pack_or_below_it_is_not_its_own(bench: Bench) -> None:
    [setting] = own(txt2img__steps=20)
    changed = pb.Setting(name="txt2img.cfg_scale", source="--set", value_json=b"5")
    changed.below.add(source="sidecar demo.json", value_json=b"4.0")
    profile = pb.Setting(name="txt2img.width", source="profile xl.json", value_json=b"1024")
    profile.below.add(source="sidecar demo.json", value_json=b"640")
    preset = pb.Setting(name="txt2img.height", source="preset full.json", value_json=b"512")
    found = brought_by(Plan([pack_plan("demo.txt", [setting, changed, profile, preset])]))
    assert {name: one.value for name, one in found.items()} == {"txt2img.steps": 20, "txt2img.cfg_scale": 4.0}


def test_what_the_randomizer_chooses_is_no_packs(bench: Bench) -> None:
    plan = Plan([pack_plan("demo.txt", own(txt2img__steps=20, txt2img__seed=20261), "txt2img.steps")])
    assert set(brought_by(plan)) == {"txt2img.seed"}
    assert not brought_by(plan, seeded=True)


def test_errors_of_the_kernel_are_shown(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_given: Any, **_options: Any) -> pb.SaveEntryResponse:
        raise UserError("preset mine: the disk is full; make room")

    monkeypatch.setattr(bench.kernel.library, "save", refuse)
    bench.presets.save_as("mine", "")
    assert bench.presets.failure.startswith("preset mine")
    assert not bench.presets.saving
