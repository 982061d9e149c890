"""JSON that people write: read with places, edited without touching anything else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD

from stablenew_api.errors import UserError
from stablenew_kernel.domain.jsontext import JsonFile, _parts, new_object, parse_object

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
keys = st.sampled_from(["a", "b", "c", 'd"\\', "é\n"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)
objects = st.dictionaries(keys, values, max_size=4)
layouts = st.fixed_dictionaries(
    {
        "indent": st.sampled_from([None, 0, 1, 2, 4, "\t"]),
        "ensure_ascii": st.booleans(),
        "separators": st.sampled_from([None, (",", ":"), (", ", ": "), (" ,", " : ")]),
    }
)
ends = st.sampled_from(["\n", "\r\n"])
paths = st.lists(keys, min_size=1, max_size=3)


def written(value: Any, layout: dict[str, Any], end: str, bom: bool) -> bytes:
    text = json.dumps(value, **layout).replace("\n", end)
    return (b"\xef\xbb\xbf" if bom else b"") + f"{end} {text}{end}".encode("utf-8", "surrogatepass")


def file_of(text: str) -> JsonFile:
    return parse_object("p.json", text.encode("utf-8"))


@A_THIRD
@given(objects, layouts, ends, st.booleans())
def test_what_is_not_edited_is_written_as_it_was(
    value: dict[str, Any], layout: dict[str, Any], end: str, bom: bool
) -> None:
    data = written(value, layout, end, bom)
    file = parse_object("p.json", data)
    assert (file.value, file.data) == (value, data)
    for key, item in value.items():
        assert file.put([key], item).data == data
    assert file.drop(["not there"]).data == data


@A_THIRD
@given(objects, layouts, ends, st.booleans(), paths, values)
def test_an_edit_changes_the_value_and_nothing_else(
    value: dict[str, Any], layout: dict[str, Any], end: str, bom: bool, path: list[str], new: Any
) -> None:
    file = parse_object("p.json", written(value, layout, end, bom))
    expected: Any = json.loads(json.dumps(value))
    here = expected
    for key in path[:-1]:
        here = here.setdefault(key, {})
        if not isinstance(here, dict):
            with pytest.raises(UserError, match="must be an object"):
                file.put(path, new)
            return
    was_there = path[-1] in here
    here[path[-1]] = new
    edited = file.put(path, new)
    assert edited.value == expected
    assert edited.bom == file.bom
    assert parse_object("p.json", edited.data).value == expected
    if end == "\r\n":
        assert "\n" not in edited.text.replace("\r\n", "")
    before, after = dict(leaves(file.text)), dict(leaves(edited.text))
    own = tuple(path)
    for place, text in before.items():
        if place[: len(own)] != own and own[: len(place)] != place:
            assert after[place] == text, "more than the value was touched"
    assert [file.text[: file.text.index("{")], file.text.rpartition("}")[2]] == [
        edited.text[: edited.text.index("{")],
        edited.text.rpartition("}")[2],
    ]
    if not was_there and len(path) == 1:
        assert json.dumps(edited.drop(path).value) == json.dumps(file.value)


def leaves(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each member that holds no other: where it is, and its text from the key on."""

    def look(at: int, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
        for part in _parts(text, at):
            if text[part.value] != "{" or not _parts(text, part.value):
                yield (*above, part.key), text[part.start : part.end]
            else:
                yield from look(part.value, (*above, part.key))

    return look(text.index("{"), ())


@A_THIRD
@given(objects, layouts, ends, keys)
def test_a_member_that_is_dropped_is_gone(
    value: dict[str, Any], layout: dict[str, Any], end: str, key: str
) -> None:
    assume(key in value)
    file = parse_object("p.json", written(value, layout, end, False))
    left = {name: item for name, item in value.items() if name != key}
    assert list(file.drop([key]).value.items()) == list(left.items())


def test_edits_follow_the_layout_around_them() -> None:
    text = '{\n    "a": {"x": 1},\n    "b": {\n        "y": 2\n    },\n    "c": {}\n}\n'
    file = file_of(text)
    assert file.put(["a", "z"], 3).text == text.replace('{"x": 1}', '{"x": 1, "z": 3}')
    assert file.put(["b", "z"], [1, 2]).text == text.replace('"y": 2', '"y": 2,\n        "z": [1, 2]')
    assert file.put(["c", "z"], True).text == text.replace("{}", '{\n        "z": true\n    }')
    added = file.put(["d", "e"], "é").text
    assert added == text.replace("{}", '{},\n    "d": {\n        "e": "é"\n    }')
    assert file_of('{"a":1,"b":2}').put(["c"], 3).text == '{"a":1,"b":2,"c":3}'
    assert file_of('{"a":1}').put(["c"], 3).text == '{"a":1,"c":3}'
    assert new_object("n").put(["t", "s"], 1).text == '{\n  "t": {\n    "s": 1\n  }\n}\n'


def test_an_old_name_gives_its_place_to_the_new_one() -> None:
    file = file_of('{"t": {"model_name" : "a", "steps": 3, "ckpt": "b"}}')
    renamed = file.put(["t", "model"], "new", instead_of=["model_name", "ckpt"])
    assert renamed.text == '{"t": {"model" : "new", "steps": 3}}'
    both = file_of('{"t": {"model_name": "a", "model": "b"}}')
    assert both.put(["t", "model"], "b", instead_of=["model_name"]).text == '{"t": {"model": "b"}}'


def test_the_same_number_in_another_type_is_an_edit() -> None:
    assert file_of('{"a": 7}').put(["a"], 7.0).text == '{"a": 7.0}'
    assert file_of('{"a": 1}').put(["a"], True).text == '{"a": true}'


def test_places_are_those_of_the_keys() -> None:
    file = file_of('{"a": 1,\r\n  "b": {\r\n "c": [1,\r\n2], "d": 5}}')
    assert file.place(["a"]) == "line 1, column 2"
    assert file.place(["b"]) == "line 2, column 3"
    assert file.place(["b", "d"]) == "line 4, column 5"
    assert file.place(["b", "x"]) == file.place([]) == ""


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b'{\n "a": 1,\n "a": 2\n}',
            "p.json, line 3, column 2: 'a' stands twice in its object (first in line 2, column 2)",
        ),
        (b'{"t": [{"x": 1, "x": 1}]}', "line 1, column 17: 'x' stands twice"),
        (b'{\n "a": 1,\n}', "p.json, line 2, column 8: a comma before } belongs to nothing; remove it"),
        (b'{"a": [1, 2,]}', "line 1, column 12: a comma before ] belongs to nothing"),
        (b'{\n // mine\n "a": 1}', "line 2, column 2: JSON has no comments"),
        (b'{"a": 1, # mine\n "b": 2}', "line 1, column 10: JSON has no comments"),
        (b'{"a": /* x */ 1}', "line 1, column 7: JSON has no comments"),
        (b"{'a': 1}", 'line 1, column 2: texts stand between "double quotes"'),
        (b'\xef\xbb\xbf{"a" 1}', "line 1, column 6: Expecting ':' delimiter"),
        (b"", "line 1, column 1: the file is empty"),
        (b" \n", "the file is empty"),
        (b'"text"', "must be one JSON object of sections, not a text"),
        (b"\xff\xfe{\x00", "it looks like UTF-16"),
        (b'{"a": "\xe9"}', "line 1: not UTF-8 text"),
        (b'{"a": Infinity}', "Infinity is no JSON number"),
        (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", "nested too deeply to be settings"),
        (b'{"a":' * 200_000, "line 1, column 321: nested too deeply"),
        (b'{"a": 1}\n{"b": 2}', "line 2, column 1: Extra data"),
        (b'{"a": "x\ny"}', "line 1, column 9: Invalid control character"),
        (b'{"a": "\\ud83d"}', "line 1, column 8: \\ud83d is half of a character"),
        (b'{"a": "ok \\ud83d\\ude00, \\uDE00"}', "line 1, column 25: \\uDE00 is half of a character"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(data: bytes, message: str) -> None:
    with pytest.raises(UserError) as error:
        parse_object("p.json", data)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_whole_characters_may_be_escaped() -> None:
    data = b'{"a": "\\ud83d\\ude00 \\\\ud83d"}'
    assert parse_object("p.json", data).value == {"a": "\U0001f600 \\ud83d"}


def test_brackets_in_a_text_are_not_nesting() -> None:
    assert parse_object("p.json", json.dumps({"a": "[{" * 500}).encode()).value == {"a": "[{" * 500}


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\ \n1tn/#', max_size=40).map(str.encode))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    try:
        file = parse_object("p.json", data)
    except UserError as error:
        file, said = None, str(error)
    if file is None:
        assert said.startswith("p.json")
        assert "\n" not in said
    else:
        assert file.put(["new"], 1).value == {**file.value, "new": 1}
