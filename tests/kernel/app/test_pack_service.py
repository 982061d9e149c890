"""Packs over the wire: rows, slots, problems, edits, prompts. What is described is what a run shows."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD
from kernel_kit import Basics, kernel_on, run

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import UserError
from stablenew_api.testing import host_of
from stablenew_client.wildcardfolder import WildcardFolder
from stablenew_kernel.app.packs import PackReader
from stablenew_kernel.app.planning import Planner
from stablenew_kernel.domain.packs.check import Inventory
from stablenew_kernel.domain.packs.describe import Survey
from stablenew_kernel.domain.settings import Settings
from stablenew_plugins import randomizers
from stablenew_proto.v1 import kernel_pb2, packs_pb2_grpc
from stablenew_proto.v1 import packs_pb2 as pb


class Bench:
    """A reader and the planner that a run would use, over one data folder."""

    def __init__(self, root: Path) -> None:
        host = host_of(Basics(), randomizers)
        data = DataFolder(root)
        self.planner = Planner(host, data, Settings(), Random(3))
        self.reader = PackReader(host, self.planner, WildcardFolder(data.wildcards))

    def describe(self, run: kernel_pb2.RunRequest, **more: Any) -> pb.DescribePackResponse:
        return self.reader.describe(pb.DescribePackRequest(run=run, **more))

    def slots(self, run: kernel_pb2.RunRequest) -> dict[str, pb.PackSlot]:
        return {slot.name: slot for slot in self.describe(run).slots}

    def prompts(self, run: kernel_pb2.RunRequest) -> list[str]:
        return [job.spec.stages[0].prompt for job in self.planner.plan(run).jobs]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    folder = tmp_path / "wildcards"
    (folder / "people").mkdir(parents=True)
    (folder / "people" / "hair.txt").write_text("blond\n{dark|light} brown\n", encoding="utf-8")
    return Bench(tmp_path)


def a_run(pack: str, section: dict[str, Any] | None = None, **more: Any) -> kernel_pb2.RunRequest:
    sidecar = json.dumps({"randomization": section}).encode() if section is not None else b""
    return kernel_pb2.RunRequest(
        pack_name="p.txt", pack=pack.encode(), sidecar=sidecar, sidecar_name="p.json", **more
    )


MATRIX = {"matrix": {"mode": "fanout", "slots": [{"name": "Time of day", "values": ["dawn", "noon", "dusk"]}]}}


# --- describing -----------------------------------------------------------------------------------------------


def test_rows_slots_and_images_are_told(bench: Bench) -> None:
    answer = bench.describe(
        a_run("# mine\na [[time-of-day]]\nneg: fog\n\n{red|green} __people/hair__\n", MATRIX)
    )
    first, second = answer.rows
    assert (first.number, first.line, first.positive, first.negative) == (1, 2, "a [[time-of-day]]", "fog")
    assert first.text == "a [[time-of-day]]\nneg: fog"
    assert (answer.row_count, second.line, answer.images, len(answer.problems)) == (2, 5, "4", 0)
    time, colour, hair = answer.slots
    assert (time.name, time.kind, list(time.options), time.option_count, time.mode) == (
        "time_of_day",
        "slot",
        ["dawn", "noon", "dusk"],
        3,
        "fanout",
    )
    assert (time.source, list(time.rows), time.setting, time.options_setting) == (
        "sidecar p.json",
        [1],
        "randomization.modes.time_of_day",
        "randomization.values.time_of_day",
    )
    assert (colour.name, colour.kind, colour.source, colour.options_setting) == (
        "{red|green}",
        "choice",
        "row 2",
        "",
    )
    assert (hair.kind, list(hair.options), hair.source, hair.mode, hair.options_setting) == (
        "wildcard",
        ["blond", "dark brown", "light brown"],
        "wildcards/people/hair.txt",
        "random",
        "randomization.values.__people/hair__",
    )
    few = bench.describe(a_run("a\n\nb\n\nc"), rows=2)
    assert (len(few.rows), few.row_count) == (2, 3)


def test_settings_that_vary_are_slots_too(bench: Bench) -> None:
    section = {"axes": [{"field": "steps", "values": [10, 20]}, {"field": "lora", "values": ["x", "y:0.5"]}]}
    slots = bench.slots(a_run("a", section, axes=["txt2img.seed=1,2:rotate"]))
    assert list(slots) == ["txt2img.steps", "txt2img.seed", "lora"]
    assert {slot.kind for slot in slots.values()} == {"axis"}
    assert (list(slots["lora"].options), slots["txt2img.seed"].mode) == (["x", "y:0.5"], "rotate")
    assert slots["txt2img.steps"].source == "sidecar p.json: randomization.axes"
    off = bench.slots(a_run("a", section, sets=[f"{slot.setting}=off" for slot in slots.values()]))
    assert {(name, slot.mode, slot.option_count) for name, slot in off.items()} == {
        ("txt2img.steps", "off", 2),
        ("lora", "off", 2),
    }


def test_what_is_inside_of_a_choice_and_what_cannot_run_is_told(bench: Bench) -> None:
    answer = bench.describe(a_run("{a|__people/hair__}\n\n[[nope]] {x|y} __people/hair__", MATRIX), check=True)
    slots = {slot.name: slot for slot in answer.slots}
    assert list(slots["{a|__people/hair__}"].options) == ["a", "blond", "dark brown", "light brown"]
    assert (slots["nope"].option_count, list(slots["nope"].rows)) == (0, [2])
    assert slots["nope"].options_setting == "randomization.values.nope"
    assert (slots["{x|y}"].option_count, slots["{x|y}"].mode) == (2, "random")
    assert list(slots["__people/hair__"].rows) == [1, 2]
    assert answer.images == ""
    errors = [problem for problem in answer.problems if problem.severity == "error"]
    assert [(problem.row, problem.line, problem.column) for problem in errors] == [(2, 3, 1)]
    mended = bench.describe(a_run("[[nope]]", sets=["randomization.values.nope=p|q"]), check=True)
    assert (mended.images, len(mended.problems)) == ("2", 0)


def test_a_vast_slot_says_its_first_options_and_the_largest_number(bench: Bench) -> None:
    slots = bench.slots(a_run("{10$$" + "|".join(f"o{number}" for number in range(200)) + "}"))
    [slot] = slots.values()
    assert (len(slot.options), slot.option_count) == (200, 2**64 - 1)


def test_with_check_wrong_files_are_problems_and_wrong_options_are_refused(bench: Bench) -> None:
    answer = bench.describe(kernel_pb2.RunRequest(pack_name="p.txt", pack=b"\xff"), check=True)
    assert [(problem.line, problem.severity) for problem in answer.problems] == [(1, "error")]
    answer = bench.describe(
        kernel_pb2.RunRequest(pack_name="p.txt", pack=b"a", sidecar=b"{", sidecar_name="p.json"), check=True
    )
    assert [problem.file for problem in answer.problems] == ["p.json"]
    assert len(answer.rows) == 1
    for wrong in (
        {"sets": ["randomization.modes.x=zigzag"]},
        {"sets": ["txt2img.steps=none"]},
        {"rows": "7"},
        {"preset": "nope"},
        {"seed": -7},
    ):
        for check in (False, True):
            with pytest.raises(UserError):
                bench.describe(a_run("a", **wrong), check=check)
    with pytest.raises(UserError, match="pack p"):
        bench.describe(kernel_pb2.RunRequest(pack_name="p.txt", pack=b"\xff"))


PIECES = [
    "[[time of day]]",
    "{red|green|blue}",
    "{!small|large}",
    "__people/hair__",
    "{a|[[style]]} x",
    "plain",
]
SECTION = {
    "matrix": {
        "mode": "random",
        "slots": [
            {"name": "Time of day", "values": ["dawn", "noon"]},
            {"name": "style", "values": ["oil", "ink", "{pen|pencil}"]},
        ],
    },
    "axes": [{"field": "steps", "values": [10, 20], "mode": "rotate"}],
}


@given(st.data())
@A_THIRD
def test_what_is_described_and_set_is_what_a_preview_shows(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.getbasetemp() / "described"
    (root / "wildcards" / "people").mkdir(parents=True, exist_ok=True)
    (root / "wildcards" / "people" / "hair.txt").write_text("blond\nred\n", encoding="utf-8")
    bench = Bench(root)
    pack = ", ".join(data.draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=4, unique=True)))
    slots = bench.slots(a_run(pack, SECTION)).values()
    sets = []
    for slot in slots:
        assert slot.setting
        if slot.options_setting and data.draw(st.booleans()):
            values = data.draw(st.lists(st.integers(1, 50), min_size=1, max_size=3, unique=True))
            sets.append(f"{slot.options_setting}={json.dumps([str(value) for value in values])}")
        sets.append(f"{slot.setting}={data.draw(st.sampled_from(['fanout', 'off', 'random', 'rotate']))}")
    wanted = a_run(pack, SECTION, sets=sets, count=2, seed=5)
    described = bench.slots(wanted)
    jobs = bench.planner.plan(wanted).jobs
    images = 2
    for slot in described.values():
        assert f"{slot.setting}={slot.mode}" in sets
        images *= slot.option_count if slot.mode == "fanout" else 1
    assert len(jobs) == images
    assert bench.describe(wanted).images == str(images)
    seen: dict[str, set[str]] = {}
    for job in jobs:
        for choice in job.spec.provenance["choices"]:
            assert described[choice["slot"]].mode == choice["mode"]
            seen.setdefault(choice["slot"], set()).add(choice["value"])
    for name, slot in described.items():
        if slot.kind == "axis" and slot.mode == "off":
            assert name not in seen
        elif slot.mode == "fanout":
            assert seen[name] == set(slot.options)
        elif slot.mode == "off":
            assert seen[name] == {slot.options[0]}
        else:
            assert seen[name] <= set(slot.options)


@given(
    rows=st.lists(
        st.sampled_from([*PIECES, "{red|", "__nobody__", "[[unknown]]", "x" * 9]), min_size=1, max_size=5
    ),
    which=st.sampled_from(["", "1", "2-", "1-2", "9"]),
    limit=st.integers(0, 9),
    sample=st.integers(0, 9),
    count=st.integers(0, 3),
    sets=st.lists(
        st.sampled_from(
            [
                "randomization.modes.style=rotate",
                "randomization.modes.time_of_day=fanout",
                "randomization.modes.nobody=random",
                "txt2img.seed=5",
            ]
        ),
        unique=True,
    ),
    section=st.sampled_from([None, SECTION, MATRIX, {**SECTION, "limit": 2}]),
)
@A_THIRD
def test_one_look_at_the_rows_says_what_a_plan_and_the_slots_alone_say(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[str],
    which: str,
    limit: int,
    sample: int,
    count: int,
    sets: list[str],
    section: dict[str, Any] | None,
) -> None:
    bench = Bench(tmp_path_factory.getbasetemp() / "described")
    run = a_run("\n\n".join(rows), section, rows=which, limit=limit, sample=sample, sets=sets)
    if count:
        run.count = count
    for check in (True, False):
        try:
            found = bench.describe(run, check=check)
        except UserError:
            with pytest.raises(UserError):
                bench.planner.plan(run, dry=True)
            continue
        images = bench.reader.images(run)
        assert found.images == ("" if images is None else str(images))
        report = bench.reader.check(run)
        if report.pack is not None and report.prepared is not None:
            survey = Survey(report.prepared, report.pack, ())
            for place in range(len(report.pack.rows)):
                survey.row(place)
            alone = [(slot.name, slot.count, list(slot.rows)) for slot in survey.slots]
            assert [(slot.name, slot.option_count, list(slot.rows)) for slot in found.slots] == alone


# --- editing --------------------------------------------------------------------------------------------------


def test_edits_follow_each_other_and_leave_all_else_alone(bench: Bench) -> None:
    content = b"\xef\xbb\xbf# mine\r\na  \r\nneg: fog\r\n\r\n# two\r\nb\r\n"
    request = pb.EditPackRequest(
        name="p.txt",
        content=content,
        edits=[
            pb.PackEdit(set_row=pb.SetRow(row=1, positive="c")),
            pb.PackEdit(set_row=pb.SetRow(row=1, negative="")),
            pb.PackEdit(add_row=pb.AddRow(positive="d", negative="e", at=1)),
            pb.PackEdit(move_row=pb.MoveRow(row=1, to=3)),
            pb.PackEdit(remove_row=2),
        ],
    )
    edited = bench.reader.edit(request)
    rows = bench.describe(kernel_pb2.RunRequest(pack_name="p.txt", pack=edited)).rows
    assert [(row.positive, row.negative) for row in rows] == [("c", ""), ("d", "e")]
    assert edited.startswith(b"\xef\xbb\xbf# mine\r\nc  \r\n")
    assert b"# two\r\n" in edited
    assert bench.reader.edit(pb.EditPackRequest(name="p.txt", content=content)) == content


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (pb.PackEdit(remove_row=3), "there is no row 3; it has rows 1 to 1"),
        (pb.PackEdit(add_row=pb.AddRow()), "a row needs a prompt"),
        (pb.PackEdit(set_row=pb.SetRow(row=1, positive="# x")), "would not be read back"),
        (pb.PackEdit(), "edit 1 of p.txt: none that this kernel knows"),
    ],
)
def test_an_edit_that_cannot_be_is_refused(bench: Bench, edit: pb.PackEdit, words: str) -> None:
    with pytest.raises(UserError, match=words):
        bench.reader.edit(pb.EditPackRequest(name="p.txt", content=b"a\n", edits=[edit]))


# --- prompts --------------------------------------------------------------------------------------------------


def read(bench: Bench, prompt: str, run: kernel_pb2.RunRequest | None = None) -> pb.ReadPromptResponse:
    inventory = Inventory({"detail"}, {"easy"})
    return bench.reader.read_prompt(pb.ReadPromptRequest(prompt=prompt, run=run), inventory)


def test_a_prompt_is_read_with_places_inside_it(bench: Bench) -> None:
    answer = read(bench, "a __people/hair__,\nb [[nope]] (x", a_run("", MATRIX))
    assert [span.kind for span in answer.spans if span.kind != "text"] == ["wildcard", "comma", "slot", "error"]
    assert [(one.line, one.column, one.severity) for one in answer.problems] == [
        (2, 3, "error"),
        (2, 12, "warning"),
    ]
    assert read(bench, "[[time of day]]", a_run("", MATRIX)).tokens == 1
    assert not read(bench, "").problems


TYPED = st.lists(
    st.sampled_from(
        [*"{}[]()|$%~!@:,<>#\\_=.* a1\n", "__", "[[time of day]]", "${x", "=!", "$$", "__people/hair__", "é"]
    )
).map("".join)


@A_THIRD
@given(prompt=st.text() | TYPED)
def test_any_prompt_is_read_and_any_pack_described(
    tmp_path_factory: pytest.TempPathFactory, prompt: str
) -> None:
    root = tmp_path_factory.getbasetemp() / "any"
    (root / "wildcards" / "people").mkdir(parents=True, exist_ok=True)
    (root / "wildcards" / "people" / "hair.txt").write_text("blond\n__people/hair__ {a|b}\n", encoding="utf-8")
    bench = Bench(root)
    answer = read(bench, prompt, a_run("", MATRIX))
    assert "".join(prompt[span.start : span.end] for span in answer.spans) == prompt
    lines = prompt.split("\n")
    for problem in answer.problems:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
    described = bench.describe(a_run(prompt, MATRIX), check=True)
    for slot in described.slots:
        assert len(slot.options) == min(slot.option_count, 200)
        assert slot.rows
    if any(problem.severity == "error" for problem in described.problems):
        assert described.images == ""


def test_tokens_are_those_of_the_longest_variant(bench: Bench) -> None:
    assert read(bench, "{a|b c d e}").tokens == 4
    assert read(bench, "a {b|").tokens > 0


def test_models_that_no_node_has_are_named(bench: Bench) -> None:
    answer = read(bench, "<lora:detail:0.8> <lora:sub/Detail.safetensors> <lora:nope:1> <embedding:other>")
    assert list(answer.models) == ["nope", "other"]
    assert [one.reason for one in answer.problems] == [
        "no node has the LoRA 'nope'",
        "no node has the embedding 'other'",
    ]


def test_settings_that_are_refused_are_a_problem_and_spans_come_all_the_same(bench: Bench) -> None:
    answer = read(bench, "{a|b} {", kernel_pb2.RunRequest(preset="nope"))
    assert [one.file for one in answer.problems] == ["settings", ""]
    assert len(answer.spans) > 3


# --- over the wire --------------------------------------------------------------------------------------------


def test_the_service_answers(data: DataFolder) -> None:
    (data.root / "wildcards").mkdir(parents=True)
    (data.root / "wildcards" / "hair.txt").write_text("red\nblond\n", encoding="utf-8")

    async def main() -> None:
        async with kernel_on(data, randomizers) as house:
            stub = packs_pb2_grpc.PackServiceStub(house.channel)
            described = await stub.DescribePack(pb.DescribePackRequest(run=a_run("a __hair__"), check=True))
            assert [slot.name for slot in described.slots] == ["__hair__"]
            edited = await stub.EditPack(
                pb.EditPackRequest(
                    name="p.txt", content=b"a\n", edits=[pb.PackEdit(add_row=pb.AddRow(positive="b"))]
                )
            )
            assert edited.content == b"a\n\nb\n"
            assert (await stub.ReadPrompt(pb.ReadPromptRequest(prompt="a, b"))).tokens == 3
            [hair] = (await stub.ListWildcards(pb.ListWildcardsRequest())).wildcards
            assert (hair.name, hair.values, list(hair.first), hair.source) == (
                "hair",
                2,
                ["red", "blond"],
                "hair.txt",
            )
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.DescribePack(pb.DescribePackRequest(run=a_run("a", rows="9")))
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    run(main)
