"""The report on a pack: what is said, where, how bad it is, and that hostile files are answered quickly."""

from __future__ import annotations

import json
import time
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew_api.errors import UserError
from stablenew_kernel.domain.packs import Pack
from stablenew_kernel.domain.packs.check import ENOUGH, Inventory, Report, _Rows, check_pack
from stablenew_kernel.domain.packs.inventory import parse_inventory
from stablenew_kernel.domain.plan import PlanRequest, plan_run
from stablenew_plugins.randomizers.random import RandomPicks
from stablenew_plugins.stages.txt2img import Txt2Img

RANDOMIZERS = {"random": RandomPicks, "fanout": RandomPicks, "rotate": RandomPicks}


STAGES = {"txt2img": Txt2Img}
EMPTY = Pack("", "", ())


def check_bytes(name: str, data: bytes, sidecar: bytes = b"", **more: Any) -> Report:
    return check_pack(name, data, STAGES, RANDOMIZERS, sidecar_name="p.json", sidecar=sidecar, **more)


def check(text: str, sidecar: object = None, name: str = "p.txt", **more: Any) -> Report:
    beside = b"" if sidecar is None else json.dumps(sidecar, indent=1).encode("utf-8")
    inventory = more.pop("inventory", None)
    return check_bytes(name, text.encode("utf-8"), beside, inventory=inventory, like=PlanRequest(EMPTY, **more))


def said(report: Report) -> list[str]:
    return [f"{problem.severity}: {problem}" for problem in report.problems]


def matrix(**slots: list[str]) -> dict[str, object]:
    return {"randomization": {"matrix": {"slots": [{"name": n, "values": v} for n, v in slots.items()]}}}


@pytest.mark.parametrize(
    "text",
    [
        "a castle, (golden:1.2), [fog], ((x)), [a [y]]\nneg: people",
        r"smile \(artist\), \[x\], \{a\}, a\__b__, ([a:b:0.5]:1.1)",
        "<lora:my__style:0.8> <lora:slider:-2> <lora:x:te=0.5:unet=1> <embedding:bad> <embedding:a:1.2>",
        "{a|b {c|d}}, {2$$x|y|z}, {0.5::a|b}",
        "風景 Ü 👩\u200d🎨 ok",
        ">_< :3 a < b, <3",
        "(a BREAK b:1.3) AND c",
    ],
)
def test_good_prompts_are_left_alone(text: str) -> None:
    assert said(check(text)) == []


@pytest.mark.parametrize(
    ("text", "place", "severity", "words"),
    [
        ("a\n\nneg: fog", (3, 1), "warning", "this row has a negative prompt and no prompt"),
        ("a\n\nneg:", (3, 1), "warning", "this row is empty"),
        ("a\n{b|c", (2, 1), "error", "never closed"),
        ("a, <embedding:>", (1, 4), "error", "an embedding without a name"),
        ("<embedding:a:b:c>", (1, 1), "error", "an embedding tag that is not complete"),
        ("<embedding:a", (1, 1), "error", "an embedding tag that is not complete"),
        ("<embedding:a:x>", (1, 1), "error", "'x' of an embedding is no number"),
        ("[[time]]", (1, 1), "error", "nobody defines the matrix slot [[time]]"),
        ("a\nx __mood__", (2, 3), "error", "there is no wildcard __mood__"),
        ("a\n b (c", (2, 4), "warning", "this ( is never closed; all behind it counts x1.1"),
        ("((c)", (1, 1), "warning", "this ( is never closed"),
        ("(c))) d", (1, 4), "warning", "this ) closes nothing (2 of them)"),
        ("[c", (1, 1), "warning", "this [ is never closed; all behind it counts /1.1"),
        ("a ]", (1, 3), "warning", "this ] closes nothing"),
        ("a }", (1, 3), "warning", "this } closes nothing"),
        ("a <lora:x:1, b", (1, 3), "warning", "is never closed"),
        ("a lora:x:1> b", (1, 3), "warning", "lora:x:1> lacks its <"),
        ("(x:12)", (1, 4), "warning", "12 of (...) makes little sense; did you mean 1.2 ?"),
        ("(x:-1)", (1, 4), "warning", "makes little sense"),
        ("(x:1.2.3)", (1, 4), "warning", "is no number"),
        ("<lora:a:9>", (1, 1), "warning", "the weight '9' of a LoRA makes little sense; use -5 to 5"),
        ("<lora:a:much>", (1, 1), "warning", "the weight 'much' of a LoRA is no number"),
        ("<lora:>", (1, 1), "warning", "a LoRA without a name"),
        ("<lora:{a|b}:1>", (1, 1), "warning", "choices inside <lora:...> are not looked at"),
        ("a\n\nb\n\na", (5, 1), "warning", "the same as row 1"),
        ("a" * 6_000, (1, 1), "warning", "a prompt of 6,000 characters"),
        ("ab\u200bc\u00a0d", (1, 3), "warning", "nobody sees: zero width space (and 1 more)"),
        ("a\x07b", (1, 2), "warning", "control character U+0007"),
    ],
)
def test_what_is_found_has_its_place(text: str, place: tuple[int, int], severity: str, words: str) -> None:
    report = check(text)
    (problem,) = report.problems
    assert (problem.line, problem.column) == place
    assert problem.severity == severity
    assert words in f"{problem.reason}; {problem.fix}"
    assert problem.row >= 1
    assert problem.fix


def test_slots_are_compared_with_their_definitions() -> None:
    sidecar = matrix(**{"Day-Time": ["dawn", "[[hue]] noon"], "hue": ["red"], "left over": ["x"]})
    report = check("a [[day_time]], [[DAY TIME]], [[huge]]", sidecar)
    assert said(report) == [
        "error: row 1, line 1, column 31: nobody defines the matrix slot [[huge]]; did you mean [[hue]]? "
        "Else define it in randomization.matrix.slots (defined: day_time, hue, left_over), or write \\[ for a "
        "bracket",
        "warning: p.json, line 18, column 5: no row uses the matrix slot 'left over'; write [[left over]] "
        "where it belongs, or take it out",
    ]
    assert report.slots == ("day_time", "DAY TIME", "huge")


def test_clashing_names_are_an_error_of_the_sidecar() -> None:
    report = check("a", matrix(**{"day time": ["x"], "Day_Time": ["y"]}))
    (problem,) = report.problems
    assert problem.severity == "error"
    assert problem.file == "p.json"
    assert "'day time' and 'Day_Time' have one name" in problem.reason
    assert (problem.line, problem.column) == (11, 5)


def test_what_the_definitions_hide_is_found() -> None:
    report = check("[[a]]", matrix(a=["{x"]))
    assert "value 1 of [[a]], character 1: this { is never closed" in said(report)[0]
    report = check("[[a]]", matrix(a=["[[b]]"], b=["[[a]]"]))
    assert "leads back to itself" in said(report)[0]


def test_wildcards_come_from_sidecar_and_files() -> None:
    sidecar = {"randomization": {"wildcards": {"tokens": [{"token": "__mood__", "values": ["x"]}]}}}
    text = "__mood__ __hair/colour__ __hat*__ __modd__"
    files = {"hair/colour.txt": b"red", "any.yaml": b"hats: [top]"}
    report = check(text, sidecar, wildcards=[files])
    assert said(report) == [
        "error: row 1, line 1, column 35: there is no wildcard __modd__; did you mean __mood__? For "
        "underscores: \\__"
    ]
    assert report.wildcards == ("mood", "hair/colour", "hat*", "modd")
    assert said(check("__hats__", wildcards=[files])) == []


def test_what_is_wrong_in_a_wildcard_file_is_said_with_its_place() -> None:
    report = check("a\n\n__w__", wildcards=[{"w.txt": b"fine\n{x\n"}])
    (problem,) = report.problems
    assert (problem.severity, problem.row, problem.line) == ("error", 2, 3)
    assert "wildcard file w.txt, line 2, column 1: this { is never closed" in problem.reason


def test_a_slot_that_is_a_setting_is_an_axis() -> None:
    sidecar = matrix(**{"steps": ["10", "20"], "txt2img.cfg_scale": ["5"], "lora": ["a:1"], "size": ["64x64"]})
    assert said(check("a", sidecar)) == []
    (problem,) = check("a", matrix(steps=["10", "many"])).problems
    assert (problem.severity, problem.file, problem.row) == ("error", "p.json", 0)
    assert "value 2" in problem.reason
    assert "'many' is not a whole number" in problem.reason
    assert (problem.line, problem.column) == (2, 19)
    off = {"randomization": {"matrix": {"enabled": False, "slots": [{"name": "steps", "values": ["9"]}]}}}
    assert "no row uses the matrix slot 'steps'" in said(check("a", off))[0]


def test_a_base_prompt_takes_the_place_of_the_rows() -> None:
    base = {"randomization": {"matrix": {"base_prompt": "a fox", "prompt_mode": "replace"}}}
    assert said(check("neg: fog", base)) == []
    assert said(check("a [[nobody]]", base)) == []
    base = {"randomization": {"matrix": {"base_prompt": "a [[nobody]] fox"}}}
    assert said(check("a\n\nb", base)) == [
        f"error: row {row}, line {line}, column 1: prompt of txt2img, character 3: nobody defines the matrix "
        "slot [[nobody]]; define it in randomization.matrix.slots (defined: none), or write \\[ for a bracket"
        for row, line in ((1, 1), (2, 3))
    ]


@pytest.mark.parametrize(
    ("sidecar", "words"),
    [
        (
            {"txt2img": {"steps": "many"}},
            "p.json, line 3, column 3: txt2img.steps: 'many' is not a whole",
        ),
        ({"pipeline": {"adetailer_enabled": True}}, "enables stage 'adetailer', which no plugin provides"),
        ({"randomization": {"matrix": {"mode": "none"}}}, "'none' is not one of"),
        ({"randomization": {"axes": [{"field": "nothing", "values": [1]}]}}, "'nothing'"),
    ],
)
def test_settings_that_the_plan_refuses_are_errors_of_the_sidecar(sidecar: object, words: str) -> None:
    (problem,) = check("a", sidecar).problems
    assert (problem.severity, problem.file) == ("error", "p.json")
    assert words in str(problem)
    assert (problem.line, problem.column) != (1, 1)


def test_a_preset_may_define_what_the_sidecar_does_not() -> None:
    assert said(check("[[time]]", {"txt2img": {}}, preset=matrix(time=["dawn"]))) == []


def test_what_no_node_has_is_said() -> None:
    inventory = Inventory(loras=["folder\\Water_v2.safetensors"], embeddings=None)
    report = check("<lora:water_v2:1> <lora:watr_v2:1> <embedding:x>", inventory=inventory)
    assert said(report) == [
        "warning: row 1, line 1, column 19: no node has the LoRA 'watr_v2'; did you mean water_v2 ?"
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"# mine\r\nwater\r\nsub/Fire.safetensors\n",
        b'["water", "sub/Fire.safetensors"]',
        b'{"loras": [{"name": "Water", "alias": "wtr"}, {"name": "fire"}]}',
    ],
)
def test_an_inventory_is_lines_or_json(data: bytes) -> None:
    inventory = parse_inventory("mine.txt", data)
    assert said(check("<lora:water:1> <lora:Fire:1>", inventory=inventory)) == []
    assert check("<lora:ice:1>", inventory=inventory).warnings == 1


@pytest.mark.parametrize("data", [b"{}", b"[1]", b'{"loras": 5}', b'{"loras"', b"\xff"])
def test_what_is_no_inventory_is_refused(data: bytes) -> None:
    with pytest.raises(UserError, match=r"mine\.json"):
        parse_inventory("mine.json", data)


@pytest.mark.parametrize(
    ("sidecar", "place", "words"),
    [
        (b'{"txt2img": {"steps": 30,}}', (1, 26), "Illegal trailing comma|Expecting property name"),
        (b"{\n 'a': 1}", (2, 2), "Expecting property name"),
        (b"[]", (1, 1), "no JSON object"),
        (b'{"preset_data": 4}', (1, 2), "preset_data must be a JSON object"),
        (b'{"x": 1,\n "randomization": {"matrix": {"limit": -1}}}', (2, 19), "limit"),
        (b'{"x": "\xe9"}', (1, 8), "not UTF-8"),
    ],
)
def test_a_broken_sidecar_is_reported_with_its_place(
    sidecar: bytes, place: tuple[int, int], words: str
) -> None:
    report = check_bytes("p.txt", b"a", sidecar)
    (problem,) = report.problems
    assert problem.severity == "error"
    assert problem.file == "p.json"
    assert (problem.line, problem.column) == place
    assert any(word in problem.reason for word in words.split("|"))


def test_where_sidecar_and_pack_differ_the_pack_is_what_runs() -> None:
    slots = [{"text": "a"}, {"text": "other"}, {"text": "c"}]
    report = check("a\n\nb\n", {"pack_data": {"slots": slots}})
    assert said(report) == [
        "warning: row 2, line 3, column 1: the sidecar has another text for this row (line 7): 'other'; the "
        ".txt is what runs; bring the sidecar's slots in line, or take them out",
        "warning: p.json, line 3, column 12: the sidecar has 3 rows, the pack 2; the .txt is what runs; bring "
        "the sidecar's slots in line, or take them out",
    ]
    alone = json.dumps({"pack_data": {"slots": slots}})
    assert said(check(alone, name="q.json")) == []


# --- bad input ------------------------------------------------------------------------------------------------

BIG = 10 * 2**20


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"ok\n\nbr\0ken\n", "line 3, column 3: a NUL byte"),
        (b"\0\xff", "line 1, column 1: a NUL byte"),
        ("ok\n\ncafé".encode("latin-1"), "line 3, column 4: byte 0xe9 is not UTF-8"),
        ("über".encode("utf-16"), "line 1, column 1: UTF-16 text"),
        ("ab\n\ud800".encode("utf-8", "surrogatepass"), "line 2, column 1: half of a surrogate pair"),
        (b"a\n{b", "line 2, column 1: this { is never closed"),
        (b"a {" + b"x|{" * 60 + b"y" + b"}" * 61, "line 1, column 153: choices nested more than 50 deep"),
        (b"x" * BIG, "line 1, column 1: a prompt of 10,485,760 characters"),
        (b"{a|" * (BIG // 3), "line 1, column 1: a prompt of"),
        (b"(" * BIG, "line 1, column 1: a prompt of"),
        (b"\xe9" * BIG, "line 1, column 1: byte 0xe9"),
        (b"a\n\n" * 5 + b"\n" * BIG + b"\0", "line 10485771, column 1: a NUL byte"),
        (b"<embedding:" + b" " * 150_000, "line 1, column 1: an embedding tag that is not complete"),
        (b"<embedding:" * 15_000, "line 1, column 1: an embedding tag that is not complete"),
        (b"<lora:" * 30_000, "line 1, column 1: the tag <lora:"),
        (b"(:1" * 60_000, "line 1, column 1: this ( is never closed (60000 of them)"),
        (b"lora:" * 39_000 + b">", "line 1, column 1: lora:"),
        (b'{"a": "' + b"\\" * 2_000_001, "line 1, column 7"),
        (b"[" * 1_000_000, "line 1, column 201: nested too deeply"),
        (b'{"pack_data": {"slots": [{"text": "' + b"a\\n" * 1_000_000 + b'"}]}}', "a prompt of 1,999,999"),
        (b'{"a": ' * 500_000, "nested too deeply"),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_bad_input_is_answered_quickly_and_with_its_place(data: bytes, words: str) -> None:
    name = "p.json" if data[:1] in (b"[",) or data[:2] == b'{"' else "p.txt"
    begun = time.thread_time()
    report = check_bytes(name, data, data)
    spent = time.thread_time() - begun
    assert words in "\n".join(said(report))
    assert report.errors + report.warnings == len(report.problems)
    assert spent < 2, "a second is promised; a busy machine is slow"


def test_what_is_wrong_in_every_row_is_not_tried_for_ever() -> None:
    data = "\n\n".join(f"{number} __nobody__" for number in range(ENOUGH + 100)).encode("ascii")
    report = check_bytes("p.txt", data)
    assert report.errors == ENOUGH + 2
    assert "more than 200 rows are refused; those behind were not tried" in [p.reason for p in report.problems]


def test_a_large_pack_is_checked_in_linear_time() -> None:
    def spent(rows: int) -> float:
        row = "a castle, (golden light:1.2), number {}, {{red|blue}}, [fog]\nneg: people, text\n"
        data = "\n".join(row.format(number) for number in range(rows)).encode("utf-8")
        begun = time.thread_time()
        report = check_bytes("p.txt", data)
        assert report.problems == ()
        assert report.pack is not None
        assert len(report.pack.rows) == rows
        return time.thread_time() - begun

    spent(200)
    small, large = min(spent(1_000) for _ in range(3)), min(spent(8_000) for _ in range(2))
    assert large < 8 * small * 4 + 0.3


SCRAPS = st.lists(
    st.sampled_from(
        [
            *("a", "(", ")", "[", "]", "[[", "]]", "{", "}", "|", "<", ">", "<lora:", "<embedding:", ":"),
            *("1.2", "-", "__", "$$", "neg:", "#", "é", "x", "::", "~", "!", ".", "\u200b"),
            *("\\", "\n", "\n\n", "\t", " "),
        ]
    ),
    max_size=40,
).map("".join)


@given(
    SCRAPS | st.binary(max_size=80),
    st.sampled_from(["p.txt", "p.tsv", "p.json"]),
    st.binary(max_size=40) | SCRAPS,
)
def test_nothing_makes_the_check_stumble(pack: str | bytes, name: str, sidecar: str | bytes) -> None:
    data = pack.encode("utf-8") if isinstance(pack, str) else pack
    beside = sidecar.encode("utf-8") if isinstance(sidecar, str) else sidecar
    report = check_bytes(name, data, beside, inventory=Inventory([], []))
    for problem in report.problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.reason
        assert problem.fix
        if report.pack is not None:
            assert problem.row <= len(report.pack.rows)


@given(SCRAPS)
def test_places_are_in_the_file(text: str) -> None:
    report = check(text)
    lines = text.split("\n")
    for problem in report.problems:
        assert problem.line <= len(lines)
        assert problem.column <= len(lines[problem.line - 1]) + 1


@given(SCRAPS, st.booleans())
def test_an_error_keeps_its_row_from_running_and_a_warning_does_not(text: str, defined: bool) -> None:
    sidecar = matrix(a=["1", "2"]) if defined else None
    wildcards = [{"a.txt": b"1\n2\n", "x.txt": b"{1\n", "y.yaml": "é: [1]".encode()}] if defined else []
    report = check(text, sidecar, wildcards=wildcards)
    if report.pack is None:
        return
    errors = {problem.row: problem for problem in report.problems if problem.severity == "error"}
    for row in report.pack.rows:
        request = PlanRequest(
            report.pack,
            rows=str(row.number),
            sidecar=sidecar,
            sidecar_name="p.json",
            seed=1,
            wildcards=wildcards,
        )
        refused = ""
        try:
            plan_run(request, STAGES, rng=Random(1), randomizers=RANDOMIZERS)
        except UserError as error:
            refused = str(error)
        assert bool(refused) == (row.number in errors)
        if refused and not report.pack.problems:
            assert refused == f"pack p.txt, {errors[row.number]}"


@given(SCRAPS)
def test_what_is_passed_by_as_plain_would_have_given_no_warning(text: str) -> None:
    """The quick look finds nothing that the long one would."""
    text = text.replace("\n", " ").replace("\t", " ")
    rows = _Rows(EMPTY, None, Inventory())
    if rows._fine(text):
        assert list(rows._looks(text)) == []
