"""From the rows of a file to the rows that somebody wants: as little as possible, and the right ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.desktop.models.packs_kit import apply

from stablenew_plugins.desktop.models.packs.rowedits import EditRow, Texts, edits, merge

WORDS = st.sampled_from(["sea", "city, night", "(fog:1.2)", "__sky__", "é 日"])
ROWS = st.lists(st.tuples(WORDS, st.sampled_from(["", "text", "blur, frame"])), min_size=1, max_size=6)


def file_of(rows: list[Texts]) -> bytes:
    """A pack with comments and odd line ends between its rows."""
    parts = [f"# about {n}\r\n{a}\r\n" + (f"neg: {b}\r\n" if b else "") for n, (a, b) in enumerate(rows)]
    return ("# a pack\n\n" + "\n\n".join(parts)).encode("utf-8")


@st.composite
def changed(draw: st.DrawFn) -> tuple[list[Texts], list[EditRow]]:
    base = draw(ROWS)
    rows = [EditRow(n, *texts, n) for n, texts in enumerate(base)]
    rows = draw(st.permutations(rows))[draw(st.integers(0, len(rows) - 1)) :]
    made: list[EditRow] = []
    for row in rows:
        if draw(st.booleans()):
            made.append(EditRow(100 + len(made), draw(WORDS), draw(st.sampled_from(["", "new"]))))
        change = draw(st.sampled_from(["", "positive", "negative"]))
        positive = draw(WORDS) if change == "positive" else row.positive
        negative = draw(st.sampled_from(["", "other"])) if change == "negative" else row.negative
        made.append(EditRow(row.key, positive, negative, row.origin))
    return base, made


@given(case=changed())
def test_the_edits_make_the_file_have_the_rows(case: tuple[list[Texts], list[EditRow]]) -> None:
    base, rows = case
    document = apply("p.txt", file_of(base), list(edits(base, rows)))
    assert [(row.positive, row.negative) for row in document.rows] == [row.texts for row in rows]


@given(rows=ROWS)
def test_nothing_changed_is_no_edit(rows: list[Texts]) -> None:
    assert list(edits(rows, [EditRow(n, *texts, n) for n, texts in enumerate(rows)])) == []


def test_one_row_that_moved_is_one_edit() -> None:
    base = [(f"row {n}", "") for n in range(6)]
    rows = [EditRow(n, *base[n], n) for n in (1, 2, 3, 4, 5, 0)]
    (only,) = edits(base, rows)
    assert (only.move_row.row, only.move_row.to) == (1, 6)


@given(case=changed(), theirs=ROWS)
def test_a_merge_keeps_what_was_written_on_both_sides(
    case: tuple[list[Texts], list[EditRow]], theirs: list[Texts]
) -> None:
    base, rows = case
    merged = merge(base, theirs, rows)
    texts = [row.texts for row in merged]
    assert len({row.key for row in merged}) == len(merged)
    origins = [row.origin for row in merged if row.origin is not None]
    assert len(set(origins)) == len(origins)
    for row in rows:
        if row.origin is None or row.texts != base[row.origin]:
            assert row.texts in texts
    for new in theirs:
        if new not in base:
            assert new in texts
    document = apply("p.txt", file_of(theirs), list(edits(theirs, merged)))
    assert [(row.positive, row.negative) for row in document.rows] == texts


def test_a_merge_of_what_only_others_changed_is_theirs() -> None:
    base = [("a", ""), ("b", ""), ("c", "")]
    theirs = [("a", ""), ("new", ""), ("c", "x")]
    rows = [EditRow(n, *texts, n) for n, texts in enumerate(base)]
    assert [row.texts for row in merge(base, theirs, rows)] == theirs
