"""``stablenew packs``: files in, words out, and nothing changed but what was asked for."""

from __future__ import annotations

import csv
import io
import json
import sys

import pytest

from stablenew_client import packlists
from stablenew_kernel.cli.commands import packs
from stablenew_proto.v1 import kernel_pb2 as pb

PACK = (
    b"\xef\xbb\xbf# name: Sea\r\ncalm <lora:water:1>, [[time]],\r\na boat\r\nneg: fog\r\n\r\n"
    b"# second\r\nstorm\r\n"
)
SIDECAR = {"randomization": {"matrix": {"slots": [{"name": "Time", "values": ["dawn", "noon"]}]}}}
SLOTS = {"pack_data": {"name": "x", "slots": [{"index": 0, "text": "a fox", "loras": [["fur", 0.5]]}]}}


def submitted(kernel):
    """The requests that were queued, in order."""
    return [request.run for name, request in kernel.calls if name == "SubmitRun"]


@pytest.fixture
def sea(tmp_path, monkeypatch):
    """A pack with a sidecar, in a folder packs below the current one."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "packs"
    folder.mkdir()
    (folder / "sea.txt").write_bytes(PACK)
    (folder / "sea.json").write_text(json.dumps(SIDECAR), encoding="utf-8")
    return folder / "sea.txt"


# --- show -----------------------------------------------------------------------------------------------------


def test_show_gives_the_text_as_the_file_has_it(call, sea):
    shown = call("packs", "show", sea, "--json").json
    assert [(row["positive"], row["negative"], row["line"]) for row in shown["rows"]] == [
        ("calm <lora:water:1>, [[time]], a boat", "fog", 2),
        ("storm", "", 7),
    ]
    assert shown["name"] == "sea.txt"
    assert len(shown["sha256"]) == 64
    assert (shown["slots"], shown["wildcards"], shown["problems"]) == (["time"], [], [])
    assert shown["images"] == 3
    assert shown["sidecar"] == str(sea.with_suffix(".json"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.txt", "a fox <lora:fur:0.5>"),
        ("p.tsv", "a fox <lora:fur:0.5>\t"),
        ("p.json", json.dumps(SLOTS)),
    ],
)
def test_show_reads_every_format_in_any_folder(call, tmp_path, name, content):
    path = tmp_path / "some where" / name
    path.parent.mkdir()
    path.write_text(content, encoding="utf-8")
    (row,) = call("packs", "show", path, "--json").json["rows"]
    assert (row["positive"], row["negative"], row["line"]) == ("a fox <lora:fur:0.5>", "", 1)


def test_show_for_people(call, sea):
    sea.write_bytes(PACK + b"\r\n(x:12)\r\n")
    assert call("packs", "show", sea).out.splitlines() == [
        f"sea.txt: 3 rows, 4 images, version {call('packs', 'show', sea, '--json').json['sha256'][:12]}",
        "settings in sea.json",
        "slots: time",
        "",
        "1  calm <lora:water:1>, [[time]], a boat",
        "   neg: fog",
        "",
        "2  storm",
        "",
        "3  (x:12)",
        "",
        "  warning: row 3, line 9, column 4: the weight 12 of (...) makes little sense; did you mean 1.2 ?",
    ]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("p.txt", b"caf\xe9", "pack p.txt, line 1, column 4: byte 0xe9 is not UTF-8"),
        ("p.json", b'{"txt2img": {}}', "this is a sidecar or a preset; give the .txt or .tsv file beside it"),
        ("p.txt", b"\n\n", "no prompt in it"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_exit_code_2(call, tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    for command in (("show",), ("export", "--to", tmp_path / "x.csv")):
        result = call("packs", command[0], tmp_path / name, *command[1:])
        assert result.code == 2
        assert words in result.err
        assert len(result.err.splitlines()) == 1


# --- list and search ------------------------------------------------------------------------------------------


def test_packs_are_listed_with_rows_images_and_problems(call, sea, data):
    (sea.parent / "deep").mkdir()
    (sea.parent / "deep" / "fox.json").write_text(json.dumps(SLOTS), encoding="utf-8")
    (sea.parent / "bad.txt").write_bytes(b"a\n\n{x\n\n(b\n")
    (sea.parent / "worse.txt").write_bytes(b"\xff\xfe")
    data.packs.mkdir()
    (data.packs / "mine.tsv").write_bytes(b"a\nb\n")
    listed = call("packs", "--json").json
    assert [(item["name"], item["rows"], item["images"]) for item in listed["packs"]] == [
        ("bad.txt", 3, None),
        ("fox.json", 1, 1),
        ("sea.txt", 2, 3),
        ("worse.txt", None, None),
        ("mine.tsv", 2, 2),
    ]
    text = call("packs", "list").out
    assert "1 error, 1 warning" in text
    assert "line 1, column 1: UTF-16 text" in text
    assert [item["name"] for item in call("packs", "list", sea.parent / "deep", "--json").json["packs"]] == [
        "fox.json"
    ]
    assert "there is none" in call("packs", "list", "nowhere").err


def test_search_looks_in_names_and_prompts(call, sea):
    found = call("packs", "list", "--search", "FOG boat", "--json").json["packs"]
    assert [[row["row"] for row in pack["matches"]] for pack in found] == [[1]]
    found = call("packs", "list", "--search", "sea").out
    assert "sea.txt" in found
    assert (
        f"packs{'/' if sys.platform != 'win32' else chr(92)}sea.txt:7: storm"
        in call("packs", "list", "--search", "storm").out
    )
    assert "no pack with these words" in call("packs", "list", "--search", "storm fog").out


def test_without_any_folder_it_says_where_it_looked(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "no pack in a folder packs, here or in the data folder" in call("packs").out


# --- check ----------------------------------------------------------------------------------------------------


def test_check_ends_with_1_if_there_are_errors(call, sea):
    assert call("packs", "check", sea).code == 0
    bad = sea.parent / "bad.txt"
    bad.write_bytes(b"(a\n")
    assert call("packs", "check", bad).code == 0
    bad.write_bytes(b"(a\n\n[[nobody]]\n")
    result = call("packs", "check", sea.parent)
    assert result.code == 1
    assert "bad.txt: 2 rows, 1 error, 1 warning" in result.out
    assert "  error:   row 2, line 3, column 1: nobody defines the matrix slot [[nobody]]" in result.out
    assert "  warning: row 1, line 1, column 1: this ( is never closed" in result.out
    problems = call("packs", "check", bad, "--json").json["packs"][0]["problems"]
    assert set(problems[0]) == {"severity", "file", "row", "line", "column", "reason", "fix"}
    assert [problem["severity"] for problem in problems] == ["warning", "error"]
    bad.write_bytes(b"\0")
    assert call("packs", "check", bad).code == 1
    assert call("packs", "check", "nowhere.txt").code == 2


def test_what_is_wrong_with_many_rows_is_said_a_few_times(call, sea):
    sea.write_bytes(b"\n\n".join(b"%d (x:12)" % number for number in range(9)))
    lines = call("packs", "check", sea).out.splitlines()
    assert len([line for line in lines if "12 of (...)" in line]) == 4
    assert "  warning: 6 more rows (see --json): the weight 12 of (...) makes little sense" in lines
    assert len(call("packs", "check", sea, "--json").json["packs"][0]["problems"]) > 9


def test_check_takes_an_inventory_and_a_preset(call, sea, data, tmp_path):
    inventory = tmp_path / "have.txt"
    inventory.write_text("fire\n", encoding="utf-8")
    assert "no node has the LoRA 'water'" in call("packs", "check", sea, "--inventory", inventory).out
    inventory.write_text("Water.safetensors\n", encoding="utf-8")
    assert "no problems" in call("packs", "check", sea, "--inventory", inventory).out
    assert call("packs", "check", sea, "--inventory", tmp_path / "none").code == 2
    sea.with_suffix(".json").unlink()
    assert call("packs", "check", sea).code == 1
    data.presets.mkdir()
    (data.presets / "times.json").write_text(json.dumps(SIDECAR), encoding="utf-8")
    assert call("packs", "check", sea, "--preset", "times").code == 0
    assert call("packs", "check", sea, "--preset", data.presets / "times.json").code == 0


def test_check_asks_the_nodes_of_a_kernel_that_runs(call, sea, kernel):
    assert "no problems" in call("packs", "check", sea).out  # they report nothing: nobody knows
    node = pb.Node()
    node.info.backend.loras.append("fire")
    kernel.nodes.append(node)
    assert "no node has the LoRA 'water'" in call("packs", "check", sea).out


def test_wildcards_in_files_count(call, sea, data):
    sea.write_bytes(b"__hair/colour__")
    assert call("packs", "check", sea).code == 1
    folder = sea.parent / "wildcards" / "hair"
    folder.mkdir(parents=True)
    (folder / "colour.txt").touch()
    assert "__hair/colour__ has no values" in call("packs", "check", sea).out
    (folder / "colour.txt").write_text("red\n", encoding="utf-8")
    assert call("packs", "check", sea).code == 0
    sea.write_bytes(b"__other__")
    (folder / "more.yaml").write_text("some: [a]\n", encoding="utf-8")
    assert call("packs", "check", sea).code == 1
    (folder / "more.yaml").write_text("other: [a]\n", encoding="utf-8")
    assert call("packs", "check", sea).code == 0
    data.wildcards.mkdir()
    (data.wildcards / "own.json").write_text('{"mine": ["a", "b"]}', encoding="utf-8")
    sea.write_bytes(b"__mine__")
    assert call("packs", "check", sea).code == 0


def test_images_are_those_of_a_plain_run(call, sea, data):
    sea.with_suffix(".json").write_text(
        json.dumps(
            {
                "randomization": {
                    "wildcards": {"mode": "fanout"},
                    "matrix": {"slots": [{"name": "steps", "values": ["10", "20"]}]},
                }
            }
        ),
        encoding="utf-8",
    )
    sea.write_bytes(b"a __hair__\n\nb\n")
    assert call("packs", "show", sea, "--json").json["images"] is None
    data.wildcards.mkdir()
    (data.wildcards / "hair.txt").write_text("red\nblond\nblack\n", encoding="utf-8")
    shown = call("packs", "show", sea, "--json").json
    assert (shown["images"], shown["problems"]) == (8, [])
    assert call("packs", "list", "--json").json["packs"][0]["images"] == 8


# --- new, edit, export ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["one", "one.txt", "deep/one.tsv", "one.json"])
def test_new_makes_a_pack_and_never_writes_over_one(call, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    result = call("packs", "new", name, "--row", "a cat\nneg: dog", "--row", "a bird", "--json")
    assert result.code == 0
    shown = call("packs", "show", result.json["path"], "--json").json
    assert [(row["positive"], row["negative"]) for row in shown["rows"]] == [("a cat", "dog"), ("a bird", "")]
    again = call("packs", "new", name)
    assert again.code == 2
    assert "there is such a file already" in again.err


def test_a_new_pack_may_be_empty_and_is_filled_later(call, tmp_path):
    path = tmp_path / "one.json"
    assert "made, with 0 rows" in call("packs", "new", path).out
    assert "no rows in it" in call("packs", "show", path).err
    assert call("packs", "edit", path, "--add", "a cat").code == 0
    assert call("packs", "show", path, "--json").json["rows"][0]["positive"] == "a cat"


@pytest.mark.parametrize("text", ["# note", "neg: x", "", "a\n\nb"])
def test_a_row_is_one_row(call, tmp_path, text):
    result = call("packs", "new", tmp_path / "x.txt", "--row", text)
    assert (result.code, "must be one row" in result.err) == (2, True)
    assert not (tmp_path / "x.txt").exists()


@pytest.mark.parametrize(
    ("options", "old", "new"),
    [
        (("--row", 2, "--positive", "calm again"), b"storm", b"calm again"),
        (("--row", 1, "--negative", "rain"), b"fog", b"rain"),
        (("--row", 1, "--negative", ""), b"neg: fog\r\n", b""),
        (("--remove", 2), b"storm\r\n", b""),
        (("--add", "new\nneg: old"), b"storm\r\n", b"storm\r\n\r\nnew\r\nneg: old\r\n"),
    ],
)
def test_edit_changes_that_and_nothing_else(call, sea, options, old, new):
    result = call("packs", "edit", sea, *options)
    assert (result.code, result.err) == (0, "")
    assert "no problems" in result.out
    assert sea.read_bytes() == PACK.replace(old, new)


def test_edit_moves_a_row(call, sea):
    assert "row 2 is now row 1" in call("packs", "edit", sea, "--move", 2, 1).out
    assert call("packs", "show", sea, "--json").json["rows"][0]["positive"] == "storm"


def test_edit_says_what_is_wrong_afterwards(call, sea):
    result = call("packs", "edit", sea, "--row", 2, "--positive", "(storm")
    assert result.code == 0
    assert "row 2 changed; 1 warning\n  warning: row 2, line 7, column 1: this ( is never closed" in result.out
    again = call("packs", "edit", sea, "--row", 2, "--positive", "(storm", "--json").json
    assert again["changed"] is False


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--row", 3, "--positive", "x"), "there is no row 3; it has rows 1 to 2"),
        (("--row", 1), "--row N goes together with --positive or --negative"),
        (("--positive", "x"), "--row N goes together with --positive or --negative"),
        (("--remove", 1, "--add", "x"), "one change at a time"),
        (("--row", 1, "--positive", "# x"), "would not be read back"),
        (("--row", 1, "--positive", ""), "a row needs a prompt"),
    ],
)
def test_edit_refuses_and_leaves_the_file_alone(call, sea, options, words):
    result = call("packs", "edit", sea, *options)
    assert result.code == 2
    assert words in result.err
    assert sea.read_bytes() == PACK


def test_edit_in_the_editor(call, sea, monkeypatch):
    def write(content):
        def editor(filename):
            assert sea.read_bytes() == PACK, "the pack itself is not what is edited"
            with open(filename, "wb") as file:
                file.write(content)

        monkeypatch.setattr(packs.click, "edit", editor)

    write(PACK)
    assert "nothing changed" in call("packs", "edit", sea).out
    write(b"caf\xe9")
    result = call("packs", "edit", sea)
    assert result.code == 2
    assert "line 1, column 4: byte 0xe9 is not UTF-8" in result.err
    assert "sea.txt is unchanged, what you wrote is in " in result.err
    assert sea.read_bytes() == PACK
    write(b"new [[x]]")
    assert "changed in the editor; 1 error" in call("packs", "edit", sea).out
    assert sea.read_bytes() == b"new [[x]]"


def test_edit_does_not_write_over_what_changed_meanwhile(call, sea, monkeypatch):
    def editor(filename):
        sea.write_bytes(b"theirs")
        with open(filename, "wb") as file:
            file.write(b"ours")

    monkeypatch.setattr(packs.click, "edit", editor)
    result = call("packs", "edit", sea)
    assert (result.code, "somebody else changed it" in result.err) == (2, True)
    assert sea.read_bytes() == b"theirs"


@pytest.mark.parametrize("ending", ["txt", "tsv", "json"])
def test_export_keeps_the_rows(call, sea, tmp_path, ending):
    target = tmp_path / "out" / f"new.{ending}"
    result = call("packs", "export", sea, "--to", target)
    assert (result.code, "2 rows" in result.out) == (0, True)
    assert ("the settings in sea.json are not in it" in result.out) == (ending != "json")
    rows = [
        [(row["positive"], row["negative"]) for row in call("packs", "show", path, "--json").json["rows"]]
        for path in (sea, target)
    ]
    assert rows[0] == rows[1]
    if ending == "json":
        assert call("packs", "show", target, "--json").json["images"] == 3, "with its settings"
    assert call("packs", "export", sea, "--to", target).code == 2


def test_export_writes_styles(call, sea, tmp_path):
    assert call("packs", "export", sea, "--to", tmp_path / "styles.csv", "--json").json["rows"] == 2
    text = (tmp_path / "styles.csv").read_bytes().decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(text))) == [
        ["name", "prompt", "negative_prompt"],
        ["sea 1", "calm <lora:water:1>, [[time]], a boat", "fog"],
        ["sea 2", "storm", ""],
    ]


def test_export_says_what_a_format_cannot_hold(call, tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"pack_data": {"slots": [{"text": "ok"}, {"text": "# x"}]}}', encoding="utf-8")
    result = call("packs", "export", path, "--to", tmp_path / "y.txt")
    assert (result.code, "row 2, line 1: a .txt file cannot hold this text" in result.err) == (2, True)
    assert "no format to write" in call("packs", "export", path, "--to", tmp_path / "y.doc").err
    assert not (tmp_path / "y.txt").exists()


# --- lists ----------------------------------------------------------------------------------------------------


def test_lists_are_made_shown_and_forgotten(call, sea, data):
    assert "no lists yet" in call("packs", "lists").out
    assert call("packs", "lists", "add", "evening", sea, sea.parent).out == "list evening: 2 paths\n"
    assert call("packs", "list", "--lists", "--json").json == {
        "lists": {"evening": [str(sea), str(sea.parent)]}
    }
    assert call("packs", "lists", "show", "evening", "--json").json["packs"] == [str(sea)]
    data.pack_lists.write_text(
        json.dumps({"mine": 1, **json.loads(data.pack_lists.read_text(encoding="utf-8"))}), encoding="utf-8"
    )
    assert call("packs", "lists", "remove", "evening", sea.parent).out == "list evening: 1 path\n"
    assert json.loads(data.pack_lists.read_text(encoding="utf-8"))["mine"] == 1
    sea.unlink()
    assert "(missing)" in call("packs", "lists", "show", "evening").out
    assert "forgotten" in call("packs", "lists", "remove", "evening").out
    assert call("packs", "lists", "show", "evening").code == 2


def test_what_is_wrong_with_lists_is_said(call, sea, data):
    assert "no such file" in call("packs", "lists", "add", "x", "nowhere.txt").err
    assert "is no name for a list" in call("packs", "lists", "add", "@x", sea).err
    data.pack_lists.write_text("{", encoding="utf-8")
    for arguments in (("lists",), ("lists", "add", "x", sea), ("list", "--lists")):
        result = call("packs", *arguments)
        assert result.code == 2
        assert str(data.pack_lists) in result.err
    assert data.pack_lists.read_text(encoding="utf-8") == "{"
    data.pack_lists.write_text('{"lists": {"x": 1}}', encoding="utf-8")
    assert "lists must be" in call("packs", "lists").err


def test_folders_among_paths_are_looked_into(sea):
    near = str(sea.relative_to(sea.parents[1]))
    assert packlists.packs_of([str(sea.parent), str(sea), near, "other.txt"]) == [str(sea), "other.txt"]


# --- running several ------------------------------------------------------------------------------------------


def test_several_packs_folders_and_lists_are_a_run_each(call, sea, kernel, tmp_path):
    (sea.parent / "two.tsv").write_bytes(b"a cat\tdog\n")
    other = tmp_path / "other.txt"
    other.write_bytes(b"x")
    call("packs", "lists", "add", "evening", sea.parent)
    assert call("run", "@evening", other, "--detach").code == 0
    assert [request.pack_name for request in submitted(kernel)] == ["sea.txt", "two.tsv", "other.txt"]
    assert call("run", "@morning", "--detach").err.startswith("stablenew: error: there is no list 'morning'")
    assert call("run", other, "nowhere.txt", "--detach").code == 2
    assert len(submitted(kernel)) == 3, "nothing is run unless all can be read"


def test_a_pack_in_json_is_run_with_its_own_settings(call, kernel, tmp_path):
    path = tmp_path / "fox.json"
    path.write_text(json.dumps(SLOTS), encoding="utf-8")
    assert call("run", path, "--detach").code == 0
    (request,) = submitted(kernel)
    assert (request.pack_name, request.sidecar_name) == ("fox.json", "fox.json")
    assert request.pack == request.sidecar == path.read_bytes()
