"""Wildcard files: what is read as dynamic prompts reads it, whose values go first, and what is wrong where."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew_kernel.domain.randomizer.wildcards import MAX_VALUES, WildcardFile, Wildcards, parse_file

SOON = 4.0
"""Seconds of this thread. What is guarded against takes minutes; a second is promised on a machine at rest."""


def texts(file: WildcardFile, name: str) -> list[str]:
    return [value.text for value in file.lists[name].values]


def test_a_text_file() -> None:
    data = "\ufeff# all of it\n red # not this\r\n\n  2::gold\rcol \\#ff\nred\n__x__ {a|b}\n".encode()
    read = parse_file("people/hair colour.txt", data)
    assert texts(read, "people/hair colour") == ["red", "2::gold", "col #ff", "__x__ {a|b}"]
    assert [(value.line, value.column) for value in read.lists["people/hair colour"].values] == [
        (2, 2),
        (4, 3),
        (5, 1),
        (7, 1),
    ]
    weighed = parse_file("hair.txt", data, True).lists["hair"].values[1]
    assert (weighed.text, weighed.weight, weighed.column) == ("gold", 2.0, 6)


YAML = """
hair:            # a comment
  - 3::blond
  - "quoted # not a comment"
nest:
  a: [x, y, x]
  one: alone
  odd: [1990, yes, null, 0.50]
  more:
    - {text: t, weight: 2}
    - content: c
again: &again [p, q]
alias: *again
"""


def test_keys_of_yaml_become_paths_and_the_files_name_means_nothing() -> None:
    read = parse_file("people/any.yaml", YAML.encode())
    assert read.problems == ()
    assert {name: texts(read, name) for name in read.lists} == {
        "people/hair": ["blond", "quoted # not a comment"],
        "people/nest/a": ["x", "y"],
        "people/nest/one": ["alone"],
        "people/nest/odd": ["1990", "yes", "0.50"],
        "people/nest/more": ["t", "c"],
        "people/again": ["p", "q"],
        "people/alias": ["p", "q"],
    }
    hair, more = read.lists["people/hair"], read.lists["people/nest/more"]
    assert [value.weight for value in (*hair.values, *more.values)] == [3, 1, 2, 1]
    assert hair.place(0, 1) == "wildcard file people/any.yaml, line 3, column 9"


def test_json_is_read_the_same_way() -> None:
    read = parse_file("a.json", b'{"nest": {"n": ["2::x", 12345678901234567890, true]}, "one": "alone"}')
    assert {name: texts(read, name) for name in read.lists} == {
        "nest/n": ["x", "12345678901234567890", "true"],
        "one": ["alone"],
    }
    assert texts(parse_file("sub/flat.json", b'["f", "g"]'), "sub/flat") == ["f", "g"]
    assert read.lists["nest/n"].place(0, 2) == "wildcard file a.json, value 1 of nest/n, character 3"


@pytest.mark.parametrize(
    ("file", "data", "line", "reason"),
    [
        ("a.txt", b"ok\ncaf\xe9\n", 2, "byte 0xe9 is not UTF-8"),
        ("a.txt", "x".encode("utf-16"), 0, "UTF-16"),
        ("a.txt", b"a\nb\0", 2, "a NUL byte"),
        ("a.txt", b"x" * (8 * 2**20 + 1), 0, "larger than 8 MiB"),
        ("a.txt", b"\n".join(b"%d" % n for n in range(MAX_VALUES + 1)), MAX_VALUES + 1, "more than 200,000"),
        ("a.yaml", b"a: [x\nb: c", 2, "not YAML"),
        ("a.yaml", b"- {a|b} hat", 1, "not YAML"),
        ("a.yaml", b"a:\n- 3::blond: dark", 2, "value 1 of a is no text"),
        ("a.yaml", b"a:\n- [x]", 0, "value 1 of a is a list"),
        ("a.yaml", b"? [a]\n: b", 1, "a key that is no text"),
        ("a.yaml", b"a: &a [*a]", 1, "*a names nothing that is complete"),
        ("a.yaml", b"[" * 100_000, 1, "nest"),
        ("a.yaml", b"{a: " * 60, 1, "nested more than 50 deep"),
        ("a.yaml", b"just words", 1, "holds no wildcards"),
        ("a.yaml", b"a: [x]\na: [y]", 0, "a is there twice"),
        ("a.yaml", b"a: [1e5::x, 99999999999::y]", 1, "a weight of 99999999999"),
        ("a.json", b'{"a":\n', 2, "not JSON"),
        ("a.json", b"[" * 100_000, 0, "nested too deep"),
        ("a.json", b'{"a":' * 60 + b"1" + b"}" * 60, 0, "nested more than 50 deep"),
    ],
)
def test_what_is_wrong_has_file_line_and_reason(file: str, data: bytes, line: int, reason: str) -> None:
    begun = time.thread_time()
    (problem,) = parse_file(file, data).problems
    assert time.thread_time() - begun < SOON
    assert problem.line == line, problem
    assert reason in problem.reason
    assert str(problem).startswith(f"wildcard file {file}{f', line {line}' if line else ''}: ")


def test_a_small_file_that_holds_very_many_is_refused_in_time() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"k{n + 1}: &k{n + 1} {{q: *{f'k{n}' if n else 'a'}, r: *{f'k{n}' if n else 'a'}}}" for n in range(30)
    ]
    begun = time.thread_time()
    (problem,) = parse_file("laugh.yaml", "\n".join(lines).encode()).problems
    assert "more than 200,000 values" in problem.reason
    assert time.thread_time() - begun < SOON


@given(st.sampled_from(["a.txt", "a.yaml", "b/a.json"]), st.binary(max_size=80), st.booleans())
def test_any_bytes_are_lists_or_problems(file: str, data: bytes, weights: bool) -> None:
    read = parse_file(file, data, weights)
    assert all(value.text for one in read.lists.values() for value in one.values if file != "b/a.json")
    assert all(str(problem) for problem in read.problems)


@given(st.text(st.sampled_from(list("ab:-[]{}&*#'\"| \n,0")), max_size=60))
def test_anything_like_yaml_is_lists_or_problems(text: str) -> None:
    parse_file("a.yaml", text.encode())


FILES = {
    "hair.txt": b"sent",
    "people/skin.txt": b"pale\ntan",
    "tree.yaml": b"deep: {hair: [tree], skin: [pale, dark]}",
}
OWN = {"hair.txt": b"own", "only.json": b'{"mine": ["1"]}', "broken.yaml": b"a: [", "empty.txt": b"# nothing\n"}


def found(wildcards: Wildcards, path: str) -> list[tuple[str, list[str]]]:
    return [(one.name, [value.text for value in one.values]) for one in wildcards.find(path)]


def test_who_goes_first_and_what_a_path_names() -> None:
    wildcards = Wildcards({"tone": ["warm"]}, [FILES, OWN])
    assert found(wildcards, "hair") == [("hair", ["sent"])]
    assert found(Wildcards({"hair": ["token"]}, [FILES, OWN]), "hair") == [("hair", ["token"])]
    assert found(wildcards, "mine") == [("mine", ["1"])]
    assert found(wildcards, "*skin") == [("deep/skin", ["pale", "dark"]), ("people/skin", ["pale", "tan"])]
    assert found(wildcards, "people/*") == [("people/skin", ["pale", "tan"])]
    assert found(wildcards, "**/hair") == [("deep/hair", ["tree"])]
    assert [name for name, _ in found(wildcards, "**")] == list(wildcards.names())
    # As in dynamic prompts: a name that is nowhere is looked for in all folders.
    assert [name for name, _ in found(wildcards, "skin")] == ["deep/skin", "people/skin"]
    assert found(wildcards, "nobody") == []


def test_why_there_is_nothing() -> None:
    wildcards = Wildcards({}, [FILES, OWN])
    assert "did you mean __hair__" in wildcards.why_not("hiar")[1]
    assert "__people/skin__" in wildcards.why_not("other/Skin")[1]
    reason, fix = wildcards.why_not("nothing like it")
    assert "broken.yaml, line 2: not YAML" in reason, "it may have been in there"
    assert "(defined: deep/hair, deep/skin," in fix
    assert wildcards.why_not("empty") == ("__empty__ has no values", "write some into empty.txt")
    assert wildcards.why_not("x")[0].startswith("there is no wildcard __x__ (wildcard file broken.yaml")
    assert [problem.file for problem in wildcards.problems()] == ["broken.yaml"]
    latin = Wildcards({}, [{"bad.txt": b"\xff"}])
    assert "bad.txt, line 1: byte 0xff" in latin.why_not("bad")[0]


def test_only_what_is_needed_is_read() -> None:
    asked: list[str] = []

    class Files(dict[str, bytes]):
        def __getitem__(self, name: str) -> bytes:
            asked.append(name)
            return super().__getitem__(name)

    many = Files({f"folder/w{number}.txt": b"a\nb" for number in range(1000)})
    wildcards = Wildcards({}, [many])
    assert found(wildcards, "folder/w7") == [("folder/w7", ["a", "b"])]
    assert asked == ["folder/w7.txt"]
    assert len(wildcards.find("folder/w99*")) == 11
    assert len(asked) == 12


def test_the_version_follows_from_the_values() -> None:
    (one,) = Wildcards({}, [{"a.txt": b"x\ny"}]).find("a")
    (same,) = Wildcards({"a": ["x", "y"]}).find("a")
    (other,) = Wildcards({}, [{"a.yaml": b"a: [2::x, y]"}]).find("a")
    assert one.sha256 == same.sha256 != other.sha256
