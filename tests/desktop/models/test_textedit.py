"""The text of the prompt editor: wrapping, moving, changing; and what is completed in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew_plugins.desktop.models.core.scripts import columns as columns_in
from stablenew_plugins.desktop.models.packs.completion import MOST, Names, complete
from stablenew_plugins.desktop.models.packs.textedit import TextEdit, wrap

TEXTS = st.text(alphabet="ab ,(é日", max_size=60)


@given(text=TEXTS, columns=st.integers(1, 20))
def test_wrapping_loses_nothing_and_breaks_at_blanks(text: str, columns: int) -> None:
    lines = wrap(text, columns)
    assert "".join(text[line.start : line.end] for line in lines) == text
    for line in lines[:-1]:
        shown = text[line.start : line.end]
        assert columns_in(shown.rstrip(" ")) <= columns or len(shown.rstrip(" ")) == 1
        assert shown.endswith(" ") or columns_in(text[line.start : line.end + 1]) > columns  # a long word


@given(text=TEXTS, columns=st.integers(1, 20), data=st.data())
def test_each_position_has_a_place_and_back(text: str, columns: int, data: st.DataObject) -> None:
    edit = TextEdit(text, columns)
    at = data.draw(st.integers(0, len(text)))
    line, column = edit.place(at)
    assert edit.at(line, column) == at


@given(text=TEXTS, columns=st.integers(2, 20), data=st.data())
def test_a_letter_is_found_where_it_is_drawn(text: str, columns: int, data: st.DataObject) -> None:
    edit = TextEdit(text, columns)
    line, column = edit.place(data.draw(st.integers(0, len(text))))
    assert edit.column_at(line, edit.columns_before(line, column)) == column


def test_up_and_down_keep_to_what_stands_above_and_below() -> None:
    edit = TextEdit("日本 abcd", columns=5)
    edit.put(1)  # behind the first, which is as wide as two of the others
    edit.move("down")
    assert edit.text[: edit.caret] == "日本 ab"
    edit.move("up")
    assert edit.caret == 1


_ACTIONS = st.sampled_from(
    ["left", "right", "word_left", "word_right", "home", "end", "up", "down", "start", "finish", "shift",
     "insert", "erase", "delete", "erase_word", "all", "undo", "redo", "replace"]
)  # fmt: skip


@given(text=TEXTS, columns=st.integers(1, 12), actions=st.lists(_ACTIONS, max_size=40))
def test_whatever_is_done_caret_and_selection_are_in_the_text(
    text: str, columns: int, actions: list[str]
) -> None:
    edit = TextEdit(text, columns)
    select = False
    for action in actions:
        before = edit.text
        if action == "shift":
            select = not select
        elif action == "insert":
            edit.insert("x\ny")
        elif action in ("erase", "delete", "erase_word"):
            edit.erase(forward=action == "delete", word=action == "erase_word")
            assert len(edit.text) <= len(before)
        elif action == "replace":
            edit.replace(0, min(2, len(edit.text)), "__sky__")
        elif action == "all":
            edit.select_all()
        elif action == "undo":
            edit.undo()
        elif action == "redo":
            edit.redo()
        else:
            edit.move(action, select=select)  # type: ignore[arg-type]
            assert edit.text == before
        assert 0 <= edit.caret <= len(edit.text)
        assert 0 <= edit.anchor <= len(edit.text)
        assert "\n" not in edit.text
    while edit._past:
        edit.undo()
    assert edit.text == text


def test_typed_words_are_taken_back_one_by_one() -> None:
    edit = TextEdit()
    for letter in "red boat":
        edit.insert(letter)
    edit.undo()
    assert edit.text == "red"
    edit.undo()
    assert edit.text == ""
    edit.redo()
    assert edit.text == "red"


def test_up_and_down_keep_the_column_and_stop_at_the_ends() -> None:
    edit = TextEdit("aaaaaa bb cccccc", columns=7)
    assert [edit.text[line.start : line.end] for line in edit.lines] == ["aaaaaa ", "bb ", "cccccc"]
    edit.put(5)
    edit.move("down")
    assert edit.place(edit.caret) == (1, 2)
    edit.move("down")
    assert edit.place(edit.caret) == (2, 5)
    edit.move("down")
    assert edit.caret == len(edit.text)


NAMES = Names(
    loras=["detail_tweaker", "neon_v2", "Add_Detail"],
    embeddings=["easynegative"],
    wildcards=["city", "people/hair", "people/eyes"],
    slots=["time", "light"],
)


@pytest.mark.parametrize(
    ("typed", "options", "becomes"),
    [
        ("a <lora:de|", ["detail_tweaker", "Add_Detail"], "a <lora:detail_tweaker:1>|"),
        ("<lora:|, b", ["Add_Detail", "detail_tweaker", "neon_v2"], "<lora:Add_Detail:1>|, b"),
        ("<lora:ne|:0.8>, b", ["neon_v2"], "<lora:neon_v2:1>|, b"),
        ("in __ci|", ["city"], "in __city__|"),
        ("in __ci|__ at __sky__", ["city"], "in __city__| at __sky__"),
        ("in __|", ["city", "people/eyes", "people/hair"], "in __city__|"),
        ("in __ci| of __sky__", ["city"], "in __city__| of __sky__"),
        ("[[li|", ["light"], "[[light]]|"),
        ("[[li|]] x", ["light"], "[[light]]| x"),
        ("embedding:easy|", ["easynegative"], "embedding:easynegative|"),
        ("<embedding:easy|", ["easynegative"], "<embedding:easynegative>|"),
    ],
)
def test_what_is_offered_and_what_it_becomes(typed: str, options: list[str], becomes: str) -> None:
    caret = typed.index("|")
    text = typed.replace("|", "", 1)
    found = complete(text, caret, NAMES)
    assert found is not None
    assert list(found.options) == options
    edit = TextEdit(text)
    edit.replace(found.start, found.end, found.texts[0])
    assert edit.text[: edit.caret] + "|" + edit.text[edit.caret :] == becomes


@pytest.mark.parametrize(
    "typed", ["", "a|", "__city__|", "__city__ and|", "<lora:x:1>|", "[[time]]|", "__zzz|"]
)
def test_nothing_is_offered(typed: str) -> None:
    caret = typed.find("|")
    assert complete(typed.replace("|", "", 1), max(caret, 0), NAMES) is None


@given(text=st.text(alphabet="_[]<lora:ci>{}| ", max_size=30), data=st.data())
def test_completing_any_text_takes_a_part_of_it(text: str, data: st.DataObject) -> None:
    caret = data.draw(st.integers(0, len(text)))
    found = complete(text, caret, NAMES)
    if found is not None:
        assert 0 <= found.start < caret <= found.end <= len(text)
        assert 0 < len(found.options) == len(found.texts) <= MOST
