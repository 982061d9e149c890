"""Packs: rows, negative prompts, comments, odd bytes; tokens that are refused and tokens that pass."""

from __future__ import annotations

import hashlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stablenew_api.errors import UserError
from stablenew_kernel.domain.packs import Pack, parse_pack
from stablenew_kernel.domain.rows import parse_rows
from stablenew_kernel.domain.tokens import resolve


def rows(text: str | bytes, name: str = "p.txt") -> list[tuple[str, str]]:
    data = text.encode("utf-8") if isinstance(text, str) else text
    return [(row.positive, row.negative) for row in parse_pack(name, data).rows]


def test_a_block_is_a_row_and_its_lines_are_joined() -> None:
    pack = parse_pack(
        "demo.txt",
        b"# title: Demo\n\n  sunset over \n the ocean\nneg: people\n  NEG:boats \n\n   \n"
        b"# a comment\nforest\n# mid\nmist\n\n# end\n",
    )
    assert [(r.number, r.line, r.positive, r.negative) for r in pack.rows] == [
        (1, 3, "sunset over the ocean", "people boats"),
        (2, 10, "forest mist", ""),
    ]
    assert pack.rows[0].template == "  sunset over \n the ocean\nneg: people\n  NEG:boats "
    assert pack.rows[1].template == "forest\nmist"
    assert pack.title == "demo"
    assert pack.problems == ()


def test_the_version_is_the_hash_of_the_bytes() -> None:
    data = b"\xef\xbb\xbfa\r\n"
    assert parse_pack("p.txt", data).sha256 == hashlib.sha256(data).hexdigest()


def test_only_negative_lines_are_a_row() -> None:
    assert rows("neg: blurry") == [("", "blurry")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_mark_make_no_difference(end: str, bom: bytes) -> None:
    text = "# c\na\nneg: b\n\nc ü\n".replace("\n", end)
    assert rows(bom + text.encode("utf-8")) == [("a", "b"), ("c ü", "")]


def test_tsv_is_one_row_a_line() -> None:
    pack = parse_pack("P.TSV", b"# c\na cat\tdogs\n\n  a bird \n\tonly negative\nx\ty\tz\n")
    assert [(r.line, r.positive, r.negative) for r in pack.rows] == [
        (2, "a cat", "dogs"),
        (4, "a bird", ""),
        (5, "", "only negative"),
        (6, "x", "y\tz"),
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"ok\n\ncaf\xe9 table\n", ["bad.txt, line 3", "0xe9", "UTF-8"]),
        (b"ok\r\n\r\ncaf\xe9 table\n", ["bad.txt, line 3"]),
        (b"ok\n\nbr\0ken\n", ["bad.txt, line 3", "NUL"]),
        ("über".encode("utf-16"), ["UTF-16", "UTF-8"]),
        (b"", ["no prompt in it"]),
        (b"# only\n\n  \n# comments\n", ["no prompt in it"]),
    ],
)
def test_what_is_no_pack_says_where_and_what_to_do(data: bytes, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        parse_pack("bad.txt", data)
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_a_problem_has_its_row_line_and_column() -> None:
    pack = parse_pack("p.txt", b"fine\n\n# c\n  two\n  a {2$$} b\nneg:  ${x\n\n{a|\nb\n")
    found = [(p.row, p.line, p.column) for p in pack.problems]
    assert found == [(2, 5, 5), (2, 6, 7), (3, 8, 1)]
    assert str(pack.problems[0]).startswith("row 2, line 5, column 5: the choice {2$$} has no options")
    tsv = parse_pack("p.tsv", b"a\t  {x|y\n")
    assert [(p.row, p.line, p.column) for p in tsv.problems] == [(1, 1, 5)]


def test_resolve() -> None:
    assert resolve("a <embedding:bad-hands> b") == "a bad-hands b"
    assert resolve("<Embedding: EasyNegative : 1.2 >") == "(EasyNegative:1.2)"
    assert resolve("<lora:x:1> (a:1.2) BREAK") == "<lora:x:1> (a:1.2) BREAK"
    assert resolve(r"\{a\} \$5 \__b__ \(c\) \[d\]") == r"{a} $5 __b__ \(c\) \[d\]"


@given(st.binary(max_size=200), st.sampled_from(["p.txt", "p.tsv"]))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_pack_or_a_user_error(data: bytes, name: str) -> None:
    try:
        pack = parse_pack(name, data)
    except UserError as refusal:
        text = str(refusal)
        assert name in text
        assert "\n" not in text
        return
    assert isinstance(pack, Pack)
    assert [row.number for row in pack.rows] == list(range(1, len(pack.rows) + 1))
    lines = [row.line for row in pack.rows]
    assert lines == sorted(set(lines))


words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="#"), min_size=1)


@given(
    st.lists(st.tuples(words, words.filter(lambda w: not w.lower().startswith("neg:"))), min_size=1, max_size=6)
)
@settings(max_examples=100, deadline=None)
def test_rows_written_are_rows_read(pairs: list[tuple[str, str]]) -> None:
    text = "\n\n".join(f"neg: {negative}\n{positive}" for negative, positive in pairs)
    assert rows(text) == [(positive, negative) for negative, positive in pairs]


@pytest.mark.parametrize(
    "text", ["{" * 200_000, "{a|" * 70_000, "__a" * 70_000, "[[a " * 50_000, "\\" * 200_001]
)
def test_hostile_text_costs_linear_time(text: str) -> None:
    start = time.thread_time()
    parse_pack("p.txt", text.encode("utf-8"))
    assert time.thread_time() - start < 2


# --- rows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (1, 2, 3, 4, 5, 6, 7, 8)),
        (" 1-3, 7", (1, 2, 3, 7)),
        ("7,1-3,2", (7, 1, 2, 3)),
        ("6-", (6, 7, 8)),
        ("2 - 2", (2,)),
    ],
)
def test_rows_chosen(text: str, expected: tuple[int, ...]) -> None:
    assert parse_rows(text, 8, "p.txt") == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("9", ["no row 9", "p.txt has 8 rows, 1 to 8"]),
        ("0", ["no row 0"]),
        ("1-9", ["no row 9"]),
        ("5-3", ["5-3 runs backwards", "3-5"]),
        ("a", ["'a' is no row or range"]),
        ("1,,2", ["''"]),
        ("-3", ["'-3'"]),
        ("1.5", ["'1.5'"]),
    ],
)
def test_bad_rows(text: str, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        parse_rows(text, 8, "p.txt")
    for word in words:
        assert word in str(error.value)
