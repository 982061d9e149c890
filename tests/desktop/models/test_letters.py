"""Characters that our fonts lack: when fonts are made, what is told, what is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.desktop.desk_kit import make_desk

from stablenew_api.errors import UserError
from stablenew_plugins.desktop.models.core import scripts
from stablenew_plugins.desktop.models.core.letters import MOST_BYTES, REST, SETTLE, Faces, Letters, Wanted


class Maker:
    """Makes fonts of nothing; it has all characters but those of ``without``."""

    def __init__(self, without: str = "", size: int = 1_000_000) -> None:
        self.asked: list[Wanted] = []
        self.without, self.size = frozenset(without), size

    def __call__(self, wanted: Wanted) -> Faces:
        self.asked.append(wanted)
        return Faces({"Regular": Path("some.ttf")}, (wanted.needed | wanted.likely) - self.without, self.size)


def test_fonts_are_made_once_for_all_that_comes_up_together(tmp_path):
    desk, make = make_desk(tmp_path), Maker()
    letters = Letters(desk, make)
    letters.need({"日"})
    letters.tick()
    assert make.asked == []  # more of them are about to come
    letters.need({"の"})
    desk.clock.move(SETTLE)
    letters.tick()
    letters.tick()
    assert [wanted.needed for wanted in make.asked] == [{"日", "の"}]
    assert make.asked[0].languages == ("ja",)
    assert letters.faces is not None
    assert "本" in letters.faces.letters  # nobody has asked for it yet, but somebody will


def test_fonts_grow_in_steps_that_become_rarer(tmp_path):
    desk, make = make_desk(tmp_path), Maker()
    letters = Letters(desk, make)
    letters.need({"日"})
    desk.clock.move(SETTLE)
    letters.tick()
    for number, letter in enumerate("한ไ"):
        letters.need({letter})
        desk.clock.move(REST * 2**number - 0.1)
        letters.tick()
        assert len(make.asked) == number + 1  # it rests
        desk.clock.move(0.2)
        letters.tick()
        assert len(make.asked) == number + 2
    assert make.asked[-1].needed == {"日", "한", "ไ"}


def test_what_no_font_has_is_told_once_by_its_script_and_not_asked_for_again(tmp_path):
    desk, make = make_desk(tmp_path), Maker(without="日本ไ😀")
    letters = Letters(desk, make, platform="linux")
    letters.need(set("日本ไ😀"))
    desk.clock.move(SETTLE)
    letters.tick()
    told = {toast.text: toast.hint for toast in desk.toasts.shown}
    assert list(told) == [
        "This computer has no font with Chinese characters",
        "This computer has no font with Thai letters",
    ]
    assert "fonts-noto-cjk" in told["This computer has no font with Chinese characters"]
    assert letters.faces is None
    letters.need({"日"})
    desk.clock.move(REST * 10)
    letters.tick()
    assert len(make.asked) == 1
    again = Letters(make_desk(tmp_path), make)
    again._desk.remembered.set("letters", desk.remembered.get("letters", {}))
    again.need({"本"})
    again._desk.clock.move(SETTLE)
    again.tick()
    assert again._desk.toasts.shown == []


def test_the_next_window_asks_for_the_same_fonts(tmp_path):
    desk, make = make_desk(tmp_path), Maker()
    letters = Letters(desk, make)
    for some in ("日の鑑龘", "语한"):
        letters.need(set(some))
        desk.clock.move(SETTLE + REST)
        letters.tick()
    desk.remembered.save()
    later = make_desk(tmp_path)
    letters = Letters(later, make)
    letters.need({"の"})
    later.clock.move(SETTLE)
    letters.tick()
    _begun, first, second = make.asked
    assert first.needed | first.likely == second.needed | second.likely
    assert first.languages == second.languages


@pytest.mark.parametrize(
    "kept", [{"languages": 3, "needed": []}, {"languages": ["xx", 1], "needed": "\x00\ue000"}]
)
def test_what_is_remembered_may_be_anything(tmp_path, kept):
    desk, make = make_desk(tmp_path), Maker()
    desk.remembered.set("letters", kept)
    letters = Letters(desk, make)
    letters.need({"한"})
    desk.clock.move(SETTLE)
    letters.tick()
    assert make.asked[0].needed == {"한"}
    assert make.asked[0].languages == ("ko",)


def test_fonts_that_would_take_too_much_memory_wait_for_the_next_window(tmp_path):
    desk, make = make_desk(tmp_path), Maker(size=MOST_BYTES - 1)
    letters = Letters(desk, make)
    for letter in "日한":
        letters.need({letter})
        desk.clock.move(SETTLE + REST)
        letters.tick()
    assert letters.faces is not None
    assert "한" not in letters.faces.letters
    assert [toast.text for toast in desk.toasts.shown] == ["Some characters are shown as ?"]
    assert (
        "한" in desk.remembered.get("letters", {})["needed"]
        or "ko" in desk.remembered.get("letters", {})["languages"]
    )


def test_a_failure_is_told_and_not_repeated(tmp_path):
    desk = make_desk(tmp_path)
    calls = []

    def fail(wanted: Wanted) -> Faces:
        calls.append(wanted)
        raise UserError("no room on the disk")

    letters = Letters(desk, fail)
    for letter in "日한":
        letters.need({letter})
        desk.clock.move(SETTLE + REST)
        letters.tick()
    assert len(calls) == 1
    assert [toast.level for toast in desk.toasts.shown] == ["error"]


def test_icons_and_control_characters_are_no_letters(tmp_path):
    desk, make = make_desk(tmp_path), Maker()
    letters = Letters(desk, make)
    letters.need({"\x07", "\ue123", "\ud800", "\U000e0fff"})
    desk.clock.move(SETTLE)
    letters.tick()
    assert make.asked == []


@pytest.mark.parametrize(
    ("words", "languages"),
    [
        ("静かな山", ["ja"]),
        ("한국어", ["ko"]),
        ("云雾缭绕", ["zh-Hans"]),
        ("雲霧繚繞", ["zh-Hant"]),
        ("水墨画の云雾", ["ja", "zh-Hans"]),
        ("ไทย ж é", []),
    ],
)
def test_languages_are_told_by_their_characters(words, languages):
    assert scripts.languages_of(words) == languages


@given(st.text(max_size=30))
def test_columns_of_words_are_those_of_their_letters(words):
    assert scripts.columns(words) == sum(map(scripts.columns_of, words))
    assert all(0 <= scripts.columns_of(letter) <= 2 for letter in words)


@pytest.mark.parametrize(
    ("letter", "columns"), [("a", 1), ("é", 1), ("日", 2), ("한", 2), ("！", 2), ("\u0301", 0)]
)
def test_columns(letter, columns):
    assert scripts.columns_of(letter) == columns


@given(st.characters())
def test_everything_has_a_name_or_none(letter):
    assert isinstance(scripts.name_of(letter), str)
    assert letter not in scripts.everyday({letter}, ["ko"])
