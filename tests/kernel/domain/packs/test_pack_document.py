"""Documents lose nothing: read and written they are the same bytes, and an edit touches its row alone."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD

from stablenew_api.errors import UserError
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.packs.document import Document, open_document
from stablenew_kernel.domain.packs.read import read_rows
from stablenew_kernel.domain.packs.text import keep_ends, split_lines

# --- strategies -----------------------------------------------------------------------------------------------

ENDS = st.sampled_from(["\n", "\n", "\r\n", "\r"])
WORDS = st.sampled_from(
    ["a cat", "b", "(x:1.2)", "ü 蝶", "a,", "sea", "neg", "neg: fog", "NEG:", " neg:\tice", "#c"]
)
SPACE = st.sampled_from(["", "", "", " ", "\t", "\u00a0", "  "])
TXT_LINES = st.tuples(SPACE, st.one_of(WORDS, WORDS, st.just(""), st.just("# k: v")), SPACE).map("".join)
TSV_LINES = st.lists(TXT_LINES, min_size=1, max_size=3).map("\t".join)


def files(lines: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    """Files of such lines: any line ends, with or without a byte order mark, the last line ended or not."""
    body = st.lists(st.tuples(lines, ENDS).map("".join), max_size=14).map("".join)
    return st.tuples(st.sampled_from(["", "\ufeff"]), body, st.one_of(st.just(""), lines)).map(
        lambda parts: "".join(parts).encode("utf-8")
    )


PACKS = st.one_of(
    st.tuples(st.just("p.txt"), files(TXT_LINES)),
    st.tuples(st.just("p.tsv"), files(TSV_LINES)),
)
TEXTS = st.one_of(
    WORDS,
    st.lists(WORDS, min_size=1, max_size=3).map("\n".join),
    st.text(max_size=8),
    st.sampled_from(["", " ", "\n", "\t", "a\tb", "\ufeffa", "a\r\n\r\nb", "a \u2028 b", "x\x0b"]),
)


def texts(document: Document) -> list[tuple[str, str]]:
    return [(row.positive, row.negative) for row in document.rows]


def given_as(text: str) -> str:
    """What a text reads back as: its lines joined."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return " ".join(line.strip() for line in lines if line.strip())


def some_row(document: Document, number: int) -> int:
    assume(document.rows)
    return number % len(document.rows) + 1


def around(document: Document, number: int) -> tuple[str, str]:
    """The text above and below the block of a row; the end of the last line is looked at apart."""
    lines = keep_ends(document.text)
    start = document.rows[number - 1].line - 1
    stop = start + 1
    if document.name.endswith(".txt"):
        while start and lines[start - 1].strip():
            start -= 1
        while stop < len(lines) and lines[stop].strip():
            stop += 1
    return "".join(lines[:start]), "".join(lines[stop:]).rstrip("\r\n")


def blocks(document: Document) -> list[str]:
    """The lines of each row with their ends, comments left out."""
    lines = keep_ends(document.text)
    found = []
    for row in document.rows:
        at = row.line - 1
        block = []
        while at < len(lines) and lines[at].strip():
            if not lines[at].lstrip().startswith("#"):
                block.append(lines[at])
            at += 1
            if document.name.endswith(".tsv"):
                break
        found.append("".join(block))
    return found


def comments(document: Document) -> Counter[str]:
    """The comments, without what ends their lines."""
    return Counter(line.rstrip("\r\n") for line in keep_ends(document.text) if line.lstrip().startswith("#"))


# --- identity -------------------------------------------------------------------------------------------------


@A_THIRD
@given(PACKS)
def test_a_pack_read_and_written_is_the_same_bytes(pack: tuple[str, bytes]) -> None:
    assert open_document(*pack).to_bytes() == pack[1]


@given(st.sampled_from(["p.txt", "p.tsv", "p.json"]), st.binary(max_size=200))
def test_any_bytes_are_kept_or_refused(name: str, data: bytes) -> None:
    try:
        document = open_document(name, data)
    except UserError as error:
        refusal = str(error)
        assert "line " in refusal or "no rows in it" in refusal
        assert "\n" not in refusal
        return
    assert document.to_bytes() == data
    if document.rows:
        assert parse_pack(name, data).rows == document.rows


# --- edits ----------------------------------------------------------------------------------------------------


@given(PACKS, st.integers(0, 20), st.sampled_from(["positive", "negative"]), TEXTS)
@A_THIRD
def test_setting_a_text_changes_that_text_alone(
    pack: tuple[str, bytes], number: int, kind: str, text: str
) -> None:
    document = open_document(*pack)
    number = some_row(document, number)
    try:
        changed = document.set_row(number, **{kind: text})
    except UserError as error:
        refusal = str(error)
        assert "\n" not in refusal
        # Only what a format cannot hold, or what no row may be, is refused.
        plain = given_as(text)
        odd = any(sign in text for sign in "#\t\0\ufeff") or "neg:" in text.lower() or not text.isprintable()
        assert odd or not plain or not texts(document)[number - 1][0]
        return
    wanted = texts(document)
    wanted[number - 1] = (
        (given_as(text), wanted[number - 1][1])
        if kind == "positive"
        else (wanted[number - 1][0], given_as(text))
    )
    assert texts(changed) == wanted
    assert [(row.positive, row.negative) for row in parse_pack(pack[0], changed.to_bytes()).rows] == wanted, (
        "read again from its bytes"
    )
    above, below = around(document, number)
    assert around(changed, number) == (above, below)
    assert comments(document) == comments(changed)
    assert document.text.endswith(("\n", "\r")) == changed.text.endswith(("\n", "\r"))


@given(PACKS, st.integers(0, 20))
@A_THIRD
def test_setting_what_is_there_changes_nothing(pack: tuple[str, bytes], number: int) -> None:
    document = open_document(*pack)
    row = document.rows[some_row(document, number) - 1]
    assume(row.positive)
    assert document.set_row(row.number, positive=row.positive, negative=row.negative).to_bytes() == pack[1]


@given(PACKS, st.integers(0, 20), TEXTS, TEXTS)
@A_THIRD
def test_a_row_that_is_added_is_read_and_the_others_stay(
    pack: tuple[str, bytes], at: int, positive: str, negative: str
) -> None:
    document = open_document(*pack)
    place = at % (len(document.rows) + 1) + 1
    try:
        changed = document.add_row(positive, negative, place)
    except UserError as error:
        refusal = str(error)
        assert "\n" not in refusal
        return
    wanted = texts(document)
    wanted.insert(place - 1, (given_as(positive), given_as(negative)))
    assert texts(changed) == wanted
    assert open_document(pack[0], changed.to_bytes()).rows == changed.rows
    assert comments(document) <= comments(changed)
    if document.text:
        assert document.text.endswith(("\n", "\r")) == changed.text.endswith(("\n", "\r"))


@given(PACKS, st.integers(0, 20))
@A_THIRD
def test_a_plain_row_can_always_be_added(pack: tuple[str, bytes], at: int) -> None:
    document = open_document(*pack)
    changed = document.add_row("new one", "fog", at % (len(document.rows) + 1) + 1)
    assert len(changed.rows) == len(document.rows) + 1


@given(PACKS, st.integers(0, 20))
@A_THIRD
def test_a_row_that_is_removed_is_gone_and_comments_stay(pack: tuple[str, bytes], number: int) -> None:
    document = open_document(*pack)
    number = some_row(document, number)
    changed = document.remove_row(number)
    wanted = texts(document)
    del wanted[number - 1]
    assert texts(changed) == wanted
    assert comments(document) == comments(changed)


@given(PACKS, st.integers(0, 20), st.integers(0, 20))
@A_THIRD
def test_a_row_that_is_moved_keeps_its_lines(pack: tuple[str, bytes], number: int, to: int) -> None:
    document = open_document(*pack)
    number, to = some_row(document, number), some_row(document, to)
    changed = document.move_row(number, to)
    wanted = texts(document)
    wanted.insert(to - 1, wanted.pop(number - 1))
    assert texts(changed) == wanted
    assert comments(document) == comments(changed)
    assert Counter(block.rstrip("\r\n") for block in blocks(document)) == Counter(
        block.rstrip("\r\n") for block in blocks(changed)
    )


def edit(name: str, data: bytes) -> Document:
    return open_document(name, data)


def test_only_the_line_that_changed_changes() -> None:
    data = (
        b"\xef\xbb\xbf# name: x\r\n  sunset, \r\n# why\n\ta boat,\r\n birds \n"
        b" NEG:  fog\r\nneg: ice\n\n\n\nlast"
    )
    document = edit("p.txt", data)
    assert document.set_row(1, positive="sunset, two boats, birds").to_bytes() == data.replace(
        b"a boat,", b"two boats,"
    )
    assert document.set_row(1, negative="fog ice, snow").to_bytes() == data.replace(b"ice", b"ice, snow")
    assert document.set_row(1, negative="").to_bytes() == data.replace(b" NEG:  fog\r\nneg: ice\n", b"")
    assert document.set_row(2, positive="the last").to_bytes() == data.replace(b"\nlast", b"\nthe last")
    assert document.set_row(2, negative="rain").to_bytes() == data + b"\r\nneg: rain"


def test_line_breaks_are_kept_in_a_txt() -> None:
    document = edit("p.txt", b"a,\nb,\nc\n").set_row(1, positive="a,\nnew,\nmore,\nc")
    assert document.to_bytes() == b"a,\nnew,\nmore,\nc\n"
    assert document.rows[0].positive == "a, new, more, c"


@pytest.mark.parametrize("kind", ["positive", "negative"])
def test_lines_that_are_added_stand_where_they_were_given(kind: str) -> None:
    document = edit("p.txt", b"b\n# c\nneg: b\n\nlast\n")
    for text in ("a\nb", "b\nz", "a\nb\nz", "a\nz", "z\nb\nb"):
        changed = document.set_row(1, **{kind: text})
        assert getattr(changed.rows[0], kind) == text.replace("\n", " ")
        assert changed.rows[1].positive == "last"


def test_edits_of_a_tsv() -> None:
    data = b"# c\na cat \t dogs\r\nbird\n\n\tx\ty"
    document = edit("p.tsv", data)
    assert document.set_row(1, positive="a dog").to_bytes() == data.replace(b"a cat", b"a dog")
    assert document.set_row(1, negative="").to_bytes() == data.replace(b"\t dogs", b"")
    assert document.set_row(2, negative="cage").to_bytes() == data.replace(b"bird", b"bird\tcage")
    assert document.remove_row(2).to_bytes() == data.replace(b"bird\n", b"")
    assert document.move_row(2, 1).to_bytes() == b"# c\nbird\na cat \t dogs\r\n\n\tx\ty"
    assert document.add_row("new", "old").to_bytes() == data + b"\nnew\told"


def test_rows_are_added_removed_and_moved_with_their_blank_lines() -> None:
    data = b"# title: t\n# by: me\none\n\n# about two\ntwo\nneg: x\n\nthree\n"
    document = edit("p.txt", data)
    assert document.add_row("new", at=1).to_bytes() == b"# title: t\n# by: me\nnew\n\n" + data.removeprefix(
        b"# title: t\n# by: me\n"
    )
    assert document.add_row("four", "y").to_bytes() == data + b"\nfour\nneg: y\n"
    assert document.remove_row(3).to_bytes() == data.removesuffix(b"\nthree\n")
    assert document.remove_row(2).to_bytes() == data.replace(b"two\nneg: x\n", b"")
    assert document.move_row(2, 1).to_bytes() == (
        b"# title: t\n# by: me\n# about two\ntwo\nneg: x\n\none\n\nthree\n"
    )
    assert document.move_row(1, 3).to_bytes() == (
        b"# title: t\n# by: me\n\n# about two\ntwo\nneg: x\n\nthree\n\none\n"
    )


def test_the_first_row_of_an_empty_file() -> None:
    assert edit("p.txt", b"").add_row("a", "b").to_bytes() == b"a\nneg: b\n"
    assert edit("p.txt", b"# only: this\r\n").add_row("a").to_bytes() == b"# only: this\r\n\r\na\r\n"
    assert edit("p.tsv", b"").add_row("a", "b").to_bytes() == b"a\tb\n"


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("p.txt", {"positive": "\n \n"}, "a row needs a prompt"),
        ("p.txt", {"positive": "# one"}, "would not be read back"),
        ("p.txt", {"positive": "Neg: one"}, "would not be read back"),
        ("p.txt", {"positive": "a\nneg: b"}, "would not be read back"),
        ("p.txt", {"positive": "\ufeffa"}, "would not be read back"),
        ("p.tsv", {"positive": "a\tb"}, "would not be read back"),
        ("p.txt", {"positive": "a\0"}, "character 2: a NUL character"),
        ("p.txt", {"negative": "\ud800"}, "character 1: half of a surrogate pair"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(name: str, change: dict[str, str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        edit(name, b"first").set_row(1, **change)


def test_what_looks_odd_and_can_be_held_is_held() -> None:
    document = edit("p.txt", b"a").set_row(1, negative="neg: # x")
    assert document.to_bytes() == b"a\nneg: neg: # x"
    assert edit("p.tsv", b"a").set_row(1, negative="x\ty").rows[0].negative == "x\ty"


def test_a_row_that_is_not_there() -> None:
    document = edit("p.txt", b"a\n\nb")
    for change in (
        lambda: document.set_row(3, positive="x"),
        lambda: document.remove_row(0),
        lambda: document.move_row(1, 3),
        lambda: document.add_row("x", at=4),
    ):
        with pytest.raises(UserError, match="pack p"):
            change()


# --- .json ----------------------------------------------------------------------------------------------------

SIDECAR = """{
  "pack_data": {
    "name": "Sea", "ours": [1.50, 1e3, "\\u00e9"],
    "slots": [
      {"index": 0, "text": "a boat\\nat sea", "negative": "fog",
       "positive_embeddings": ["calm"], "negative_embeddings": ["bad"], "loras": [["water", 0.80]], "x": null},
      {"index": 1, "text": ""},

      {"text": "b",   "index": 7}
    ]
  },
  "preset_data": {"txt2img": {"steps": 30}}
}"""


def test_rows_are_rendered_from_slots() -> None:
    pack = parse_pack("sea.json", SIDECAR.encode("utf-8"))
    assert [(row.number, row.line, row.positive, row.negative) for row in pack.rows] == [
        (1, 5, "<embedding:calm> a boat at sea <lora:water:0.8>", "<embedding:bad> fog"),
        (2, 9, "b", ""),
    ]
    assert pack.title == "sea"
    assert [(piece.text, piece.line, piece.column) for piece in pack.rows[0].places[0]] == [
        ("<embedding:calm>", 6, 32),
        ("a boat", 5, 29),
        ("at sea", 5, 37),
        ("<lora:water:0.8>", 6, 83),
    ]


def test_an_edit_changes_the_bytes_of_its_value_alone() -> None:
    document = open_document("sea.json", SIDECAR.encode("utf-8"))
    assert document.to_bytes() == SIDECAR.encode("utf-8")
    changed = document.set_row(1, positive="<embedding:calm> two boats <lora:water:0.8>")
    assert changed.text == SIDECAR.replace('"a boat\\nat sea"', '"two boats"')
    assert document.set_row(1, negative="<embedding:bad> ice").text == SIDECAR.replace('"fog"', '"ice"')
    assert document.set_row(2, positive="c").text == SIDECAR.replace('"b"', '"c"')
    changed = document.set_row(1, positive="all new")
    assert changed.rows[0].positive == "all new"
    assert changed.text == SIDECAR.replace('"a boat\\nat sea"', '"all new"').replace('["calm"]', "[]").replace(
        '[["water", 0.80]]', "[]"
    )
    assert document.set_row(2, negative="é").text == SIDECAR.replace(
        '"index": 7', '"index": 7,   "negative": "\\u00e9"'
    )


def test_slots_are_added_removed_and_moved() -> None:
    document = open_document("sea.json", SIDECAR.encode("utf-8"))
    added = document.add_row("c", "d")
    assert texts(added) == [*texts(document), ("c", "d")]
    assert json.loads(added.text)["pack_data"]["slots"][3]["index"] == 8
    assert added.text.startswith(SIDECAR[: SIDECAR.index('"index": 7') + 10])
    removed = document.remove_row(1)
    assert texts(removed) == texts(document)[1:]
    assert json.loads(removed.text)["pack_data"]["slots"] == json.loads(SIDECAR)["pack_data"]["slots"][1:]
    moved = document.move_row(2, 1)
    assert texts(moved) == texts(document)[::-1]
    assert '"ours": [1.50, 1e3, "\\u00e9"]' in moved.text
    assert len(moved.text) == len(SIDECAR)
    empty = document.remove_row(2).remove_row(1)
    assert empty.rows == ()
    assert texts(empty.add_row("new")) == [("new", "")]


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
PLAIN = st.text(st.characters(exclude_categories=["C", "Z"], codec="utf-8"), max_size=6)
NAMES = st.text(st.sampled_from("abc_-. 1é"), min_size=1, max_size=5).filter(str.strip)
SLOT = st.fixed_dictionaries(
    {"text": PLAIN | st.lists(PLAIN, max_size=3).map("\n".join)},
    optional={
        "index": st.integers(0, 9),
        "negative": PLAIN,
        "positive_embeddings": st.lists(NAMES, max_size=2),
        "negative_embeddings": st.lists(NAMES, max_size=2),
        "loras": st.lists(st.tuples(NAMES, st.floats(-2, 2)).map(list), max_size=2),
        "mine": JSON_VALUES,
    },
)
STYLES = st.fixed_dictionaries(
    {
        "indent": st.sampled_from([None, 0, 1, 2, "\t"]),
        "ensure_ascii": st.booleans(),
        "separators": st.sampled_from([None, (",", ":"), (" , ", " : ")]),
    }
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@given(
    st.dictionaries(st.text(max_size=4), JSON_VALUES, max_size=3),
    st.lists(SLOT, max_size=4),
    STYLES,
    st.sampled_from(["set", "add", "remove", "move"]),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
    st.tuples(TEXT, TEXT),
)
@A_THIRD
def test_edits_of_a_sidecar_change_nothing_else(
    extra: dict[str, object],
    slots: list[dict[str, object]],
    style: dict[str, object],
    action: str,
    at: tuple[int, int],
    words: tuple[str, str],
) -> None:
    whole = {**extra, "pack_data": {"slots": slots, **extra}, "z": extra}
    data = json.dumps(whole, **style).encode("utf-8", "surrogatepass")
    try:
        document = open_document("p.json", data)
    except UserError:
        assume(False)
    assert document.to_bytes() == data
    wanted = texts(document)
    if action != "add":
        assume(wanted)
    number, to = (value % (len(wanted) + (action == "add")) + 1 for value in at)
    positive, negative = words
    assume(given_as(positive))
    if action == "set":
        changed = document.set_row(number, positive=positive, negative=negative)
        wanted[number - 1] = (given_as(positive), given_as(negative))
    elif action == "add":
        changed = document.add_row(positive, negative, number)
        wanted.insert(number - 1, (given_as(positive), given_as(negative)))
    elif action == "remove":
        changed = document.remove_row(number)
        del wanted[number - 1]
    else:
        changed = document.move_row(number, to)
        wanted.insert(to - 1, wanted.pop(number - 1))
    assert texts(changed) == wanted
    assert open_document("p.json", changed.to_bytes()).rows == changed.rows
    after = json.loads(changed.text)
    assert list(after) == list(whole)
    for key in whole.keys() - {"pack_data"}:
        assert after[key] == json.loads(document.text)[key]
    kept = {key: value for key, value in after["pack_data"].items() if key != "slots"}
    assert kept == {
        key: value for key, value in json.loads(document.text)["pack_data"].items() if key != "slots"
    }


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"pack_data": {"slots": [{"text": 1}]}}', "line 1, column 35: text is no text"),
        ('{"pack_data": {"slots": [\n 7]}}', "line 2, column 2: a slot that is no object"),
        ('{"pack_data": {"slots": [{"text": "a", "loras": [["x", 1, 2]]}]}}', "no lora in loras"),
        ('{"pack_data": {"slots": [{"text": "a", "loras": 5}]}}', "loras is no list"),
        ('{"pack_data": {"slots": [{"text": "ab\\ud800"}]}}', "line 1, column 38: half of a surrogate pair"),
        ('{"pack_data": {"slots": [{"text": "a\\u0000"}]}}', "a NUL character"),
        ('{"pack_data": {"slots": [{"text": "a", "positive_embeddings": ["<x>"]}]}}', "'<x>' is no name"),
    ],
)
def test_a_slot_that_cannot_be_read_is_a_problem_of_its_row(text: str, place: str) -> None:
    text = text.replace("]}}", ', {"text": "good"}]}}')
    pack = parse_pack("p.json", text.encode("utf-8"))
    assert pack.rows[-1].positive == "good"
    assert place in str(pack.problems[0])
    assert pack.problems[0].row == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "line 1, column 1: this is no JSON object"),
        ('{"a":\n nope}', "line 2, column 2: Expecting value"),
        ('{"pack_data": {"slots": 3}}', "line 1, column 25: pack_data.slots is no list"),
        ("{}", "give the .txt or .tsv file beside it"),
        ('{"txt2img": {"steps": 3}}', "this is a sidecar or a preset"),
        ('{"a": ' + "[" * 100_000, "line 1, column 206: nested too deeply"),
        ('{"a": NaN}', "NaN is no JSON number"),
    ],
)
def test_what_is_no_pack_in_json_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(UserError) as error:
        parse_pack("p.json", text.encode("utf-8"))
    assert words in str(error.value)
    assert "pack p.json" in str(error.value)


def test_read_rows_is_what_parse_pack_uses() -> None:
    assert read_rows("p.txt", "a\n\nb")[0] == parse_pack("p.txt", b"a\n\nb").rows


@A_THIRD
@given(PACKS)
def test_places_are_where_the_texts_of_a_row_come_from(pack: tuple[str, bytes]) -> None:
    name, data = pack
    text = data.decode("utf-8")
    lines = split_lines(text)
    for row in read_rows(name, text)[0]:
        for whole, pieces in zip((row.positive, row.negative), row.places, strict=True):
            assert " ".join(piece.text for piece in pieces) == whole
            for piece in pieces:
                assert lines[piece.line - 1][piece.column - 1 :].startswith(piece.text)
