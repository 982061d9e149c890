"""The randomizer: what was chosen goes into the run that was previewed, and into no other pack's."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from bench_kit import Bench, FakeKernel, slot, write
from desk_kit import Inline, make_desk
from hypothesis import given
from hypothesis import strategies as st

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import UserError
from stablenew_kernel.app.planning import Planner
from stablenew_kernel.cli.host import load_host
from stablenew_kernel.domain.rows import parse_rows as kernel_rows
from stablenew_kernel.domain.settings import Settings
from stablenew_kernel.hub import views
from stablenew_plugins.desktop.models.core.scripts import columns as columns_in
from stablenew_plugins.desktop.models.prompt import axes, rows, slots
from stablenew_plugins.desktop.models.prompt.axisdraft import AxisDraft
from stablenew_plugins.desktop.models.prompt.choices import Choice, choices_of, spans, telling, wrapped
from stablenew_plugins.desktop.models.prompt.chosen import Chosen, from_json
from stablenew_plugins.desktop.models.prompt.randomizer import AS_WRITTEN, MIXED
from stablenew_plugins.desktop.models.prompt.variants import PAGE
from stablenew_plugins.desktop.models.run import Plan
from stablenew_proto.v1 import kernel_pb2 as pb

STYLE = "randomization.modes.style"
STYLES = "randomization.values.style"


@pytest.fixture
def kernel() -> FakeKernel:
    return FakeKernel()


@pytest.fixture
def bench(tmp_path: Path, kernel: FakeKernel) -> Bench:
    return Bench(make_desk(tmp_path, kernel), kernel)


# --- what was chosen goes into the request --------------------------------------------------------------------


def test_mode_values_and_axes_go_into_plan_and_run_alike(
    bench: Bench, kernel: FakeKernel, tmp_path: Path
) -> None:
    kernel.slots["a.txt"] = [slot("style", ["oil", "ink"])]
    bench.select(write(tmp_path, "a.txt"))
    model = bench.randomizer
    [line] = model.lines
    assert (line.token, line.mode, line.changed) == ("[[style]]", "rotate", False)
    model.choose_mode(line.key, "fanout")
    model.edit(line.key)
    assert model.edited_text == "oil\nink"
    model.write_values("oil\n\n chalk ")
    assert model.add_axis("txt2img.cfg_scale", "5, 7.5") == ""
    bench.settle()
    bench.run.run()
    [sent] = kernel.submitted
    assert list(sent.sets) == [f"{STYLE}=fanout", f'{STYLES}=["oil", "chalk"]']
    assert list(sent.axes) == ['txt2img.cfg_scale=["5", "7.5"]:fanout']
    planned = [run for run, _show in kernel.previewed if run.pack_name == "a.txt"]
    assert planned[-1] == sent
    assert kernel.described[-1] == sent


def test_each_change_asks_for_one_new_plan(bench: Bench, kernel: FakeKernel, tmp_path: Path) -> None:
    kernel.slots["a.txt"] = [slot("style", ["oil", "ink"])]
    bench.select(write(tmp_path, "a.txt"))
    for change in (
        lambda: bench.randomizer.choose_mode("slot:style", "random"),
        lambda: bench.randomizer.choose_many("sample"),
        lambda: bench.randomizer.choose_number(12),
        lambda: bench.randomizer.choose_count(3),
        lambda: bench.randomizer.choose_seeds("fixed"),
        lambda: bench.randomizer.enable(False),
    ):
        before = len(kernel.previewed)
        change()
        bench.settle()
        assert len(kernel.previewed) == before + 1
        bench.settle()
        assert len(kernel.previewed) == before + 1


def test_a_change_of_one_packs_slot_is_not_sent_with_another_pack(
    bench: Bench, kernel: FakeKernel, tmp_path: Path
) -> None:
    kernel.slots["a.txt"] = [
        slot("style", ["oil", "ink"]),
        slot("txt2img.steps", ["20", "30"], "axis", source="sidecar a.json", rows=[]),
    ]
    bench.select(write(tmp_path, "a.txt"), write(tmp_path, "b.txt", "plain"))
    bench.randomizer.choose_mode("slot:style", "off")
    bench.randomizer.edit("axis:txt2img.steps")
    bench.randomizer.write_values("40")
    bench.settle()
    bench.run.run()
    first, second = kernel.submitted
    assert list(first.sets) == [f"{STYLE}=off", 'randomization.values.txt2img.steps=["40"]']
    assert list(second.sets) == []


def test_switched_off_nothing_varies_whatever_the_prompt_says(
    bench: Bench, kernel: FakeKernel, tmp_path: Path
) -> None:
    kernel.slots["a.txt"] = [slot("{!red|green}", ["red", "green"], "choice", mode="fanout")]
    bench.select(write(tmp_path, "a.txt", "{!red|green}"))
    bench.randomizer.add_axis("size", "512x512")
    bench.randomizer.toggle()
    bench.settle()
    bench.run.run()
    [sent] = kernel.submitted
    assert list(sent.sets) == ["randomization.enabled=false", "randomization.modes.{!red|green}=off"]
    assert list(sent.axes) == []


@pytest.mark.parametrize(
    ("seeds", "seed", "mode"),
    [("as_set", None, None), ("new", -1, "per_image"), ("counting", 77, "per_image"), ("fixed", 77, "fixed")],
)
def test_seeds(seeds: Any, seed: int | None, mode: str | None) -> None:
    request = pb.RunRequest()
    Chosen(seeds=seeds, seed=77).apply(request, {})
    assert (request.seed if request.HasField("seed") else None) == seed
    assert list(request.sets) == ([f"pipeline.seed_mode={mode}"] if mode else [])


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("all", pb.RunRequest()),
        ("first", pb.RunRequest(limit=9)),
        ("sample", pb.RunRequest(sample=9)),
        ("per_prompt", pb.RunRequest(sets=["randomization.matrix.limit=9"])),
    ],
)
def test_how_many(how: Any, expected: pb.RunRequest) -> None:
    request = pb.RunRequest()
    Chosen(many=how, number=9).apply(request, {})
    assert request == expected


def test_images_of_each_only_where_a_number_is_given() -> None:
    request = pb.RunRequest()
    Chosen().apply(request, {})
    assert not request.HasField("count")
    Chosen(count=4).apply(request, {})
    assert request.count == 4


texts = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), min_size=1, max_size=8)


@given(
    st.builds(
        Chosen,
        enabled=st.booleans(),
        modes=st.dictionaries(texts.map("randomization.modes.{}".format), st.sampled_from(slots.MODES)),
        values=st.dictionaries(
            texts.map("randomization.values.{}".format), st.lists(texts, min_size=1).map(tuple)
        ),
        axes=st.lists(
            st.builds(axes.Axis, texts, st.lists(texts, min_size=1).map(tuple), st.sampled_from(slots.MODES))
        ).map(tuple),
        kinds=st.dictionaries(texts, texts),
        many=st.sampled_from(["all", "per_prompt", "first", "sample"]),
        number=st.integers(1, 1_000_000),
        count=st.integers(0, 1_000),
        seeds=st.sampled_from(["as_set", "new", "counting", "fixed"]),
        seed=st.integers(0, 2**32 - 1),
        rows=st.dictionaries(texts, texts),
    )
)
def test_what_is_remembered_is_what_was_chosen(chosen: Chosen) -> None:
    assert from_json(json.loads(json.dumps(chosen.to_json()))) == chosen


nonsense = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(Chosen().to_json(), nonsense)))
def test_a_damaged_memory_still_makes_a_run(plain: dict[str, Any]) -> None:
    request = pb.RunRequest()
    from_json(plain).apply(request, {})
    request.SerializeToString()


def test_changes_are_there_the_next_time(bench: Bench, kernel: FakeKernel, tmp_path: Path) -> None:
    bench.randomizer.choose_many("first")
    bench.randomizer.quick.write("a red house")
    bench.desk.remembered.save()
    again = Bench(make_desk(tmp_path, kernel), kernel)
    assert again.randomizer.chosen.many == "first"
    assert again.randomizer.quick.positive == "a red house"


# --- a prompt without a pack ----------------------------------------------------------------------------------


def test_a_newcomer_types_a_prompt_and_presses_run(bench: Bench, kernel: FakeKernel) -> None:
    assert not bench.run.can_run
    assert "write a prompt" in bench.run.why_not
    bench.randomizer.quick.write("a red house\n\n  by the sea ")
    bench.randomizer.quick.write_negative("rain\nfog")
    bench.settle()
    assert bench.run.can_run
    assert bench.run.label == "Run 20 images"
    bench.run.run()
    [sent] = kernel.submitted
    assert sent.pack_name == "prompt.txt"
    assert sent.pack == b"a red house\n  by the sea \nneg: rain\nneg: fog\n"
    assert sent.pack_path == ""


def test_a_selected_pack_goes_before_the_written_prompt(
    bench: Bench, kernel: FakeKernel, tmp_path: Path
) -> None:
    bench.randomizer.quick.write("a red house")
    bench.settle()
    assert [source.written is None for source in bench.randomizer.sources] == [False]
    bench.select(write(tmp_path, "a.txt"))
    asked = len(kernel.previewed)
    bench.randomizer.quick.write("a blue house")
    bench.settle()
    assert len(kernel.previewed) == asked, "what does not run is no reason for a new plan"
    bench.run.run()
    assert [run.pack_name for run in kernel.submitted] == ["a.txt"]


@given(st.text(max_size=60), st.text(max_size=30))
def test_a_written_prompt_is_one_row_or_nothing(positive: str, negative: str) -> None:
    from stablenew_kernel.domain.packs import parse_pack
    from stablenew_plugins.desktop.models.prompt.quick import QuickPrompt

    quick = QuickPrompt(SimpleNamespace(get=lambda _name, default: default, set=lambda *_: None))  # type: ignore[arg-type]
    quick.write(positive.replace("\0", ""))
    quick.write_negative(negative.replace("\0", ""))
    if quick.pack:
        assert len(parse_pack("prompt.txt", quick.pack).rows) == 1


# --- lines ----------------------------------------------------------------------------------------------------


def test_what_two_packs_name_is_one_line(bench: Bench, kernel: FakeKernel, tmp_path: Path) -> None:
    kernel.slots["a.txt"] = [slot("__hair__", [], "wildcard"), slot("style", ["oil"])]
    kernel.slots["b.txt"] = [slot("__hair__", ["red", "blond"], "wildcard", rows=[2, 3])]
    bench.select(write(tmp_path, "a.txt"), write(tmp_path, "b.txt"))
    hair, style = bench.randomizer.lines
    assert hair.options == ("red", "blond")
    assert [row for _pack, row in hair.rows] == [1, 2, 3]
    assert style.token == "[[style]]"


def test_the_mode_of_all(bench: Bench, kernel: FakeKernel, tmp_path: Path) -> None:
    kernel.slots["a.txt"] = [slot("style", ["oil", "ink"]), slot("time", ["dawn", "noon"])]
    bench.select(write(tmp_path, "a.txt"))
    model = bench.randomizer
    assert model.overall == AS_WRITTEN
    model.choose_all("fanout")
    assert model.overall == "fanout"
    model.choose_mode("slot:time", "random")
    assert model.overall == MIXED
    model.choose_all(AS_WRITTEN)
    assert (model.overall, model.is_changed) == (AS_WRITTEN, False)


def test_an_axis_is_taken_back_by_its_line(bench: Bench, kernel: FakeKernel, tmp_path: Path) -> None:
    bench.select(write(tmp_path, "a.txt"))
    model = bench.randomizer
    model.add_axis("size", "512x512, 640x512")
    [line] = model.lines
    assert (line.count, line.mode, line.axis) == (2, "fanout", "size")
    model.choose_mode(line.key, "rotate")
    assert model.chosen.axes[0].mode == "rotate"
    model.edit(line.key)
    model.write_values("")
    assert model.chosen.axes[0].values == ("512x512", "640x512"), "an axis without values is none"
    model.restore(line.key)
    assert not model.lines
    assert not model.is_changed
    assert not model.edited


def test_values_written_wrong_can_be_mended(bench: Bench, kernel: FakeKernel, tmp_path: Path) -> None:
    kernel.slots["a.txt"] = [slot("style", ["oil", "ink"])]
    bench.select(write(tmp_path, "a.txt"))
    bench.randomizer.edit("slot:style")
    kernel.problem = "a brace is never closed"
    bench.randomizer.write_values("{oil")
    bench.settle()
    assert bench.randomizer.packs[0].problem == "a brace is never closed"
    assert [line.token for line in bench.randomizer.lines] == ["[[style]]"]
    assert bench.randomizer.edited_text == "{oil"


def test_hints(bench: Bench, kernel: FakeKernel, tmp_path: Path) -> None:
    kernel.slots["a.txt"] = [
        slot("__hiar__", [], "wildcard"),
        slot("style", ["oil"]),
        slot("time", ["dawn", "noon"], rows=[3]),
    ]
    path = write(tmp_path, "a.txt")
    bench.select(path)
    bench.randomizer.write_rows(bench.randomizer.packs[0], "1-2")
    bench.randomizer._change(modes={"randomization.modes.gone": "off"})
    bench.settle()
    told = {hint.text.partition(" ")[0]: hint for hint in bench.randomizer.hints}
    assert told["__hiar__"].level == "error"
    assert "hiar.txt" in told["__hiar__"].text
    assert "one option only" in told["[[style]]"].text
    assert "do not run" in told["[[time]]"].text
    forget = told["Nothing"].forget
    assert forget == "randomization.modes.gone"
    bench.randomizer.forget(forget)
    assert not bench.randomizer.chosen.modes


def test_a_large_plan_is_told_before_it_is_queued(bench: Bench, kernel: FakeKernel, tmp_path: Path) -> None:
    kernel.question, kernel.images = "That would be 700 images.", 700
    bench.select(write(tmp_path, "a.txt"))
    assert any("700 images" in hint.text for hint in bench.variants.hints)
    kernel.images = 2_000_000
    bench.randomizer.choose_count(2)
    bench.settle()
    assert any("too many" in hint.text and hint.level == "error" for hint in bench.variants.hints)


# --- rotation -------------------------------------------------------------------------------------------------


def test_rotation_is_shown_for_the_packs_that_run_and_begins_anew(
    bench: Bench, kernel: FakeKernel, tmp_path: Path
) -> None:
    kernel.slots["a.txt"] = [slot("style", ["oil", "ink"])]
    kernel.kept = [
        pb.Place(pack="a", slot="style", mode="rotate", state="next is 2 of 2"),
        pb.Place(pack="other", slot="style", mode="rotate", state="next is 1 of 2"),
    ]
    bench.select(write(tmp_path, "a.txt"))
    assert [place.pack for place in bench.randomizer.places] == ["a"]
    bench.desk.state.news(pb.WatchResponse(runs=[pb.Run(run_id="new", state="running")]))
    kernel.kept[0] = pb.Place(pack="a", slot="style", mode="rotate", state="next is 2 of 2 again")
    bench.settle()
    assert bench.randomizer.places[0].state == "next is 2 of 2 again"
    before = len(kernel.previewed)
    bench.randomizer.reset_places("a", "style")
    assert kernel.reset == [("a", "style")]
    bench.settle()
    assert len(kernel.previewed) == before + 1, "what comes next is another image now"
    bench.randomizer.reset_places()
    assert kernel.reset[1:] == [("a", "")]


# --- rows -----------------------------------------------------------------------------------------------------


def test_rows_by_field_and_by_box(bench: Bench, kernel: FakeKernel, tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt")
    bench.select(path)
    model = bench.randomizer
    [pack] = model.packs
    model.choose_row(pack, 2, False)
    assert model.rows_text(pack) == "1,3"
    model.choose_row(pack, 2, True)
    assert model.rows_text(pack) == ""
    model.write_rows(pack, "2")
    model.choose_row(pack, 2, False)
    assert model.rows_text(pack) == "2", "the last one stays"
    model.write_rows(pack, "7")
    assert "no prompt 7" in model.rows_problem(pack)
    bench.settle()
    assert kernel.previewed[-1][0].rows == "7", "the kernel says what is wrong, too"


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(1, n), min_size=1))))
def test_rows_as_text_are_those_rows(case: tuple[int, set[int]]) -> None:
    count, chosen = case
    text = rows.format_rows(chosen, count)
    assert set(rows.parse_rows(text, count)) == chosen
    assert rows.parse_rows(text, count) == kernel_rows(text, count, "a.txt")


@given(st.text("0123456789,- ", max_size=8), st.integers(1, 12))
def test_rows_mean_here_what_they_mean_to_the_kernel(text: str, count: int) -> None:
    try:
        theirs: Sequence[int] | None = kernel_rows(text, count, "a.txt")
    except UserError:
        theirs = None
    try:
        ours: Sequence[int] | None = rows.parse_rows(text, count)
    except ValueError:
        ours = None
    assert ours == theirs


# --- values and settings --------------------------------------------------------------------------------------


def test_weights_become_one_choice() -> None:
    assert slots.as_values(["red", "a | b"]) == ["red", "a | b"]
    assert slots.as_values(["3::red", "a | b", "{x|y}", r"c\|d"]) == [r"{3::red|1::a \| b|1::{x|y}|1::c\|d}"]


STAGE = pb.Stage(
    name="txt2img",
    title="Text to image",
    schema_json=json.dumps(
        {
            "properties": {
                "steps": {"type": "integer", "title": "Steps", "minimum": 1, "maximum": 150, "default": 20},
                "cfg_scale": {"type": "number", "title": "CFG scale", "minimum": 1, "maximum": 30},
                "sampler_name": {"type": "string", "title": "Sampler", "choices": "samplers"},
                "mode": {"enum": ["a", "b"], "title": "Mode"},
                "styles": {"type": "array", "title": "Styles"},
                "batch_size": {"type": "integer", "title": "Batch size"},
            }
        }
    ).encode(),
)


@pytest.fixture
def draft(tmp_path: Path, kernel: FakeKernel) -> AxisDraft:
    kernel.stage_list = [STAGE]
    bench = Bench(make_desk(tmp_path, kernel), kernel)
    node = pb.Node(node_id="n", state="online")
    node.info.backend.samplers.extend(["Euler a", "DPM++ 2M"])
    bench.desk.state.nodes["n"] = node
    return bench.variants.draft


def test_a_setting_is_chosen_and_varies(draft: AxisDraft) -> None:
    draft.open(True)
    assert draft.field == "txt2img.cfg_scale"
    assert draft.stages == ["Text to image"]
    draft.choose_stage("Text to image")
    assert [one.title for one in draft.settings] == ["Steps", "CFG scale", "Sampler", "Mode"]
    draft.choose("txt2img.steps")
    for wrong, why in (("", "at least one"), ("20, x", "x is no whole number"), ("200", "out of range")):
        draft.write(wrong)
        draft.add()
        assert why in draft.problem
        assert draft.is_open
    draft.write("20, 30")
    draft.add()
    assert not draft.is_open
    [axis] = draft._randomizer.chosen.axes
    assert axis.text("integer") == "txt2img.steps=[20, 30]:fanout"


def test_values_that_the_nodes_have_are_offered(draft: AxisDraft) -> None:
    draft.open(True)
    draft.choose("txt2img.sampler_name")
    assert draft.suggestions == ["Euler a", "DPM++ 2M"]
    draft.toggle("Euler a")
    draft.toggle("DPM++ 2M")
    assert draft.values == "Euler a, DPM++ 2M"
    draft.toggle("Euler a")
    assert (draft.values, draft.has("DPM++ 2M")) == ("DPM++ 2M", True)


# --- what will be made ----------------------------------------------------------------------------------------


def test_pages_go_through_all_packs_and_show_what_is_planned(
    bench: Bench, kernel: FakeKernel, tmp_path: Path
) -> None:
    kernel.images = 100
    bench.select(write(tmp_path, "a.txt"), write(tmp_path, "b.txt"))
    variants = bench.variants
    assert (variants.total, variants.place) == (200, f"1-{PAGE} of 200")
    seen: list[str] = []
    for _page in range(variants.pages):
        assert not variants.problem
        seen += [variant.job.prompt for variant in variants.shown]
        assert [variant.number for variant in variants.shown][-1] == len(seen)
        variants.turn(1)
    assert seen == [f"{name} {n}" for name in ("a.txt", "b.txt") for n in range(100)]
    first = next(run for run, show in kernel.previewed if show == 60)
    later = kernel.previewed[-1][0]
    assert later.pack_name == "b.txt"
    assert first.pack_name == "a.txt"


def test_a_new_plan_keeps_the_page_as_far_as_there_is_one(
    bench: Bench, kernel: FakeKernel, tmp_path: Path
) -> None:
    bench.select(write(tmp_path, "a.txt"))
    bench.variants.turn(2)
    assert bench.variants.page == 2
    kernel.images = 5
    bench.randomizer.choose_count(1)
    bench.settle()
    assert (bench.variants.page, len(bench.variants.shown)) == (0, 5)


def test_a_page_of_a_plan_that_is_gone_says_nothing(bench: Bench, kernel: FakeKernel, tmp_path: Path) -> None:
    def fail(*_arguments: Any) -> Any:
        raise UserError("no such pack")

    kernel.images = 100
    bench.select(write(tmp_path, "a.txt"))
    background = bench.desk.background
    assert isinstance(background, Inline)
    background.held = True
    bench.variants.turn(8)
    assert bench.variants.is_asking
    kernel.preview = fail  # type: ignore[method-assign]
    bench.run.plan = Plan([replace(bench.run.plan.packs[0], summary=pb.PlanSummary(jobs=5))])
    bench.variants.tick()
    background.release()
    assert (bench.variants.page, bench.variants.problem, len(bench.variants.shown)) == (0, "", 5)


words = st.text("abc de", min_size=1, max_size=6)


@given(st.text("abc de", max_size=60), st.lists(words, max_size=6))
def test_what_is_lit_is_what_was_chosen(prompt: str, values: list[str]) -> None:
    found = spans(prompt, [Choice("x", value) for value in values])
    ends = [0, *(end for _first, end in found)]
    assert all(first >= end for (first, _end), end in zip(found, ends, strict=False))
    wanted = {value.strip() for value in values}
    assert all(prompt[first:end] in wanted for first, end in found)


def test_a_word_that_nobody_chose_is_not_lit() -> None:
    template = "one red balloon, {red|golden} sky, __wood__, red __wood__"
    prompt = "one red balloon, red sky, oak, red red"
    choices = [Choice("{red|golden}", "red"), Choice("__wood__", "oak"), Choice("__wood__", "red")]
    assert spans(prompt, choices, template) == [(17, 20), (26, 29), (35, 38)]
    # A pack's file has lines, and more of them than the prompt.
    lines = "one red balloon,\n  crisp, {red|golden} sky\nneg: red"
    assert spans("one red balloon, crisp, red sky", choices[:1], lines) == [(24, 27)]
    assert spans("red, crisp, red sky", choices[:1], lines) == [(12, 15)], "the last line is as it was"
    # A text that became another one on its way is no help, and no harm.
    assert spans("two, red", choices[:1], "Two\n {red|golden}") == [(5, 8)]
    assert spans("", choices[:1], template) == []


@given(st.lists(st.tuples(st.text("ab ,", max_size=6), words.map(str.strip).filter(bool)), max_size=5))
def test_with_the_template_each_choice_is_where_its_slot_stood(parts: list[tuple[str, str]]) -> None:
    # Between commas, so that every value is words of its own.
    template = "".join(f"{text},__{number}__," for number, (text, _value) in enumerate(parts))
    prompt = ""
    wanted: list[tuple[int, int]] = []
    for text, value in parts:
        prompt += f"{text},"
        wanted.append((len(prompt), len(prompt) + len(value)))
        prompt += f"{value},"
    choices = [Choice(f"__{number}__", value) for number, (_text, value) in enumerate(parts)]
    assert spans(prompt, choices, template) == wanted


@given(st.text("ab  c日", max_size=90), st.integers(8, 30), st.integers(0, 4), st.data())
def test_lines_fit_and_lose_no_letter(prompt: str, columns: int, most: int, data: Any) -> None:
    lit = spans(prompt, [Choice("x", data.draw(words)) for _one in range(3)])
    lines = wrapped(prompt, lit, columns, most)
    assert all(columns_in("".join(piece for piece, _lit in line)) <= columns for line in lines)
    if not most:
        letters = "".join(piece for line in lines for piece, _lit in line)
        assert letters.replace(" ", "") == prompt.replace(" ", "")
        shown = "".join(piece for line in lines for piece, is_lit in line if is_lit)
        wanted = "".join(prompt[first:end] for first, end in lit)
        assert shown.replace(" ", "") == wanted.replace(" ", "")
    else:
        assert len(lines) <= most


# --- through the kernel's own planning ------------------------------------------------------------------------


class RealPlanning(FakeKernel):
    """The kernel's planner, without a server around it."""

    def __init__(self, data: DataFolder) -> None:
        super().__init__()
        self._planner = Planner(load_host(data), data, Settings(), Random(5))
        self.queued: list[tuple[str, int]] = []

    def _jobs(self, run: pb.RunRequest) -> tuple[list[pb.PlannedJob], str]:
        plan = self._planner.plan(run, dry=True)
        made = [views.planned_job(job, "local", "") for job in plan.jobs]
        return made, plan.line

    def preview(self, run: pb.RunRequest, show: int = 0) -> Iterator[pb.PreviewRunResponse]:
        jobs, line = self._jobs(run)
        yield pb.PreviewRunResponse(jobs=jobs[:show])
        yield pb.PreviewRunResponse(summary=pb.PlanSummary(jobs=len(jobs), line=line))

    def submit(self, run: pb.RunRequest) -> pb.SubmitRunResponse:
        jobs, _line = self._jobs(run)
        self.queued = [(job.prompt, job.seed) for job in jobs]
        return pb.SubmitRunResponse(run_id="r", summary=pb.PlanSummary(jobs=len(jobs)))


def test_what_is_shown_is_what_the_kernel_queues(tmp_path: Path) -> None:
    data = DataFolder(tmp_path)
    kernel = RealPlanning(data)
    kernel.slots["prompt.txt"] = [
        slot("{red|green}", ["red", "green"], "choice", mode="random"),
        slot("style", [], "slot", mode="fanout"),
    ]
    bench = Bench(make_desk(tmp_path, kernel), kernel)
    bench.randomizer.quick.write("a {red|green} house, [[style]]")
    bench.settle()
    bench.randomizer.edit("slot:style")
    bench.randomizer.write_values("oil\nink\nchalk")
    bench.randomizer.choose_mode("choice:{red|green}", "fanout")
    bench.randomizer.add_axis("txt2img.cfg_scale", "5, 7")
    bench.randomizer.choose_count(2)
    bench.randomizer.choose_seeds("counting")
    bench.randomizer.choose_seed(40)
    bench.settle()
    assert not bench.run.plan.problems
    assert not bench.desk.toasts.shown
    assert bench.variants.line.endswith("= 24 images")
    shown: list[tuple[str, int]] = []
    for _page in range(bench.variants.pages):
        shown += [(variant.job.prompt, variant.job.seed) for variant in bench.variants.shown]
        for variant in bench.variants.shown:
            lit = [variant.job.prompt[first:end] for first, end in variant.lit]
            assert set(lit) == {choice.value for choice in variant.choices if not choice.is_setting}
            assert [choice.slot for choice in variant.settings] == ["txt2img.cfg_scale"]
        bench.variants.turn(1)
    bench.run.run()
    assert shown == kernel.queued
    assert len(shown) == 24
    assert choices_of(b"") == ((), "")


@given(st.one_of(st.integers(0, 2**64 - 1), st.integers(2**64, 10**200)))
def test_any_seed_that_a_run_takes_can_be_typed(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kernel = FakeKernel()
        model = Bench(make_desk(Path(folder), kernel), kernel).randomizer
        problem = model.type_seed(f" {seed:_} ")
        assert bool(problem) == (seed >= 2**64)
        assert model.chosen.seed == (1 if problem else seed)
        for wrong in ("", "-1", "x", "1.5", "\N{SUPERSCRIPT TWO}"):
            assert model.type_seed(wrong)
        assert model.chosen.seed == (1 if problem else seed)


@given(st.lists(st.booleans(), max_size=12), st.integers(1, 6))
def test_of_many_lines_those_tell_in_which_something_was_chosen(lit: list[bool], most: int) -> None:
    lines = [[(f"line {number}", is_lit)] for number, is_lit in enumerate(lit)]
    found = telling(lines, most)
    assert len(found) == min(len(lines), most)
    shown = [piece for line in found for piece in line if "…" not in piece[0]]
    assert shown == [piece for line in lines for piece in line if piece in shown]
    if len(lines) <= most:
        assert found == lines
    elif sum(lit) >= most:
        assert all(is_lit for _words, is_lit in shown)
    if len(lines) > most:
        assert any("…" in words for line in found for words, _lit in line)


def test_the_head_says_in_plain_words_how_many_images_of_how_many_prompts(bench: Bench, tmp_path: Path) -> None:
    assert bench.variants.plain == ""
    pack = write(tmp_path, "a.txt")
    bench.select(pack)
    assert bench.variants.plain == "20 images from 3 prompts"
    bench.randomizer.write_rows(bench.randomizer.packs[0], "2")
    bench.settle()
    assert bench.variants.plain == "20 images from 1 prompt"
