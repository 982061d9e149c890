"""Our fonts with characters of other ones; those are made here, so none need be installed."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fontTools.ttLib import TTCollection, TTFont
from tests.desktop.font_kit import font

from stablenew_api.errors import UserError
from stablenew_plugins.desktop.models.core.letters import Faces, Wanted
from stablenew_plugins.desktop.theme import merge, systemfonts
from stablenew_plugins.desktop.theme import merging as merging_
from stablenew_plugins.desktop.theme.fonts import FOLDER, foreign
from stablenew_plugins.desktop.theme.merging import Merging, Program
from stablenew_plugins.desktop.theme.metrics import LARGER
from stablenew_plugins.desktop.theme.systemfonts import FontFile, font_files, in_order

OURS = [FOLDER / "StableNewUI-Regular.ttf", FOLDER / "JetBrainsMono-Regular.ttf"]


def wanted(needed: str, likely: str = "", languages: tuple[Any, ...] = ()) -> Wanted:
    """What a test wants."""
    return Wanted(frozenset(needed), frozenset(likely), frozenset(likely), languages)


@pytest.fixture
def merged(tmp_path: Path) -> Callable[..., Faces]:
    """``merged(wanted, *fonts)`` as :class:`Merging` does it, in this process."""

    def in_process(request: Any) -> str:
        return json.dumps(merge.merge(request, Path(request["folder"])))

    def make(what: Wanted, *fonts: Any) -> Faces:
        files = []
        for number, one in enumerate(fonts):
            path = tmp_path / f"{number}.ttf"
            one.save(path)
            files.append(FontFile(path, path.stat().st_size, 1))
        return Merging(tmp_path / "cache", lambda: files, in_process, OURS)(what)

    return make


@pytest.mark.parametrize(("em", "cubic"), [(1000, False), (256, False), (1000, True)])
def test_a_square_character_stands_in_the_middle_of_the_line(merged, em, cubic):
    faces = merged(wanted("日"), font("日", em, cubic=cubic))
    assert faces.letters == {"日"}
    interface = TTFont(faces.files["StableNewUI-Regular"])
    glyph = interface.getBestCmap()[ord("日")]
    em_of_ours = interface["head"].unitsPerEm
    assert interface["hmtx"][glyph][0] == pytest.approx(em_of_ours * LARGER, abs=1)
    outline = interface["glyf"][glyph]
    assert outline.xMax - outline.xMin == pytest.approx(em_of_ours * LARGER, abs=2)
    assert outline.yMin < 0 < outline.yMax
    mono = TTFont(faces.files["JetBrainsMono-Regular"])
    names = mono.getBestCmap()
    assert mono["hmtx"][names[ord("日")]][0] == 2 * mono["hmtx"][names[ord("0")]][0]


def test_ours_stay_as_they_are(merged):
    faces = merged(wanted("日", "本a"), font("日本a"))
    assert faces.letters == {"日", "本"}  # we have an "a" of our own
    for path in OURS:
        old, new = TTFont(path), TTFont(faces.files[path.stem])
        before, now = old.getBestCmap(), new.getBestCmap()
        assert set(now) - set(before) == {ord("日"), ord("本")}
        assert new["glyf"][now[ord("a")]] == old["glyf"][before[ord("a")]]
        assert [new["hmtx"][now[code]][0] for code in before] == [
            old["hmtx"][name][0] for name in before.values()
        ]
        assert (new["hhea"].ascent, new["hhea"].descent) == (old["hhea"].ascent, old["hhea"].descent)


def test_the_first_font_that_has_a_character_gives_it(merged):
    faces = merged(wanted("日本"), font("日"), font("日本", em=500), font("木"))
    assert faces.letters == {"日", "本"}


def test_what_only_one_of_ours_has_is_taken_from_there(merged):
    only = sorted(set(map(chr, TTFont(OURS[0]).getBestCmap())) - set(map(chr, TTFont(OURS[1]).getBestCmap())))
    letter = next(one for one in only if one.isalpha())
    faces = merged(wanted(letter))
    assert faces.letters == {letter}
    assert ord(letter) in TTFont(faces.files["JetBrainsMono-Regular"]).getBestCmap()


def test_marks_that_show_nothing_need_no_font(merged):
    faces = merged(wanted("\u200d\ufe0f"))
    assert faces.letters == {"\u200d", "\ufe0f"}


def test_of_a_collection_the_font_of_the_language_is_taken(tmp_path):
    collection = TTCollection()
    collection.fonts = [
        font("日", name="Test Sans JP Bold", weight=700),
        font("日", name="Test Sans KR"),
        font("日", name="Test Sans JP"),
        font("日", name="Test Sans Mono JP"),
    ]
    path = tmp_path / "test.ttc"
    collection.save(path)
    for languages, name in ((["ja", "ko"], "Test Sans JP"), (["ko"], "Test Sans KR")):
        with path.open("rb") as file:
            found = merge.opened(file, languages)
            assert found is not None
            assert found["name"].getDebugName(4) == name


@pytest.mark.parametrize("content", [b"", b"ttcf", b"\x00\x01\x00\x00", b"OTTO" + bytes(40)], ids=len)
def test_a_broken_font_is_passed_over(tmp_path, content):
    broken, whole = tmp_path / "broken.ttf", tmp_path / "whole.ttf"
    broken.write_bytes(content)
    font("日").save(whole)
    with ExitStack() as used:
        found = merge.sources([tmp_path / "gone.ttf", broken, whole], {"日"}, [], used)
        assert [source.em for source in found] == [1000]


def test_fonts_are_kept_and_made_anew_when_what_they_are_made_of_changes(tmp_path):
    made = []

    def pretend(request: Any) -> str:
        made.append(request)
        for path in request["faces"]:
            Path(request["folder"], Path(path).name).write_bytes(b"font")
        return '{"letters": "\\u65e5"}'

    files = [FontFile(tmp_path / "a.ttf", 1, 1)]
    merging = Merging(tmp_path / "cache", lambda: files, pretend, OURS)
    faces = merging(wanted("日", "本"))
    assert merging(wanted("本", "日")) == faces
    assert len(made) == 1
    next(iter(faces.files.values())).unlink()
    assert merging(wanted("日", "本")) == faces
    assert len(made) == 2
    files.append(FontFile(tmp_path / "b.ttf", 1, 1))
    assert merging(wanted("日", "本")).files != faces.files
    for letter in "abcdefgh":
        merging(wanted(letter))
    assert len(list((tmp_path / "cache").iterdir())) == 4


def test_fonts_in_a_folder_that_can_not_be_written_any_more_are_used(tmp_path, merged, monkeypatch):
    faces = merged(wanted("日"), font("日"))

    def refuse(path: Path) -> None:
        raise PermissionError(13, "read-only", str(path))

    monkeypatch.setattr(merging_.os, "utime", refuse)
    assert merged(wanted("日"), font("日")) == faces


def test_a_failure_leaves_nothing_behind(tmp_path):
    def fail(request: Any) -> str:
        Path(request["folder"], "half.ttf").write_bytes(b"")
        raise UserError("no")

    with pytest.raises(UserError):
        Merging(tmp_path / "cache", list, fail, OURS)(wanted("日"))
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_program_answers_in_a_process_of_its_own(tmp_path):
    path = tmp_path / "one.ttf"
    font("日").save(path)
    ask = {
        "folder": str(tmp_path),
        "faces": [str(OURS[1])],
        "files": [str(path)],
        "likely": "",
        "languages": [],
    }
    assert json.loads(Program()({**ask, "needed": "日本"})) == {"letters": "日", "lacking": "本"}
    with pytest.raises(UserError, match="Making fonts failed"):
        Program()({**ask, "faces": [str(tmp_path / "none.ttf")], "needed": ""})


def test_a_program_that_is_stopped_begins_nothing():
    program = Program()
    program.stop()
    with pytest.raises(UserError, match="the window is closed"):
        program({})


def test_fonts_that_look_like_ours_come_first(monkeypatch):
    names = ("Odd.ttf", "NotoSerifCJK-Regular.ttc", "msyhbold.ttc", "msyh.ttc", "YuGothM.ttc", "LastResort.otf")
    files = [FontFile(Path(name), 1, 1) for name in names]
    assert [file.path.name for file in in_order(files, ["zh-Hans"])][:2] == ["msyh.ttc", "YuGothM.ttc"]
    assert in_order(files, ["ja"])[0].path.name == "YuGothM.ttc"
    assert "LastResort.otf" not in [file.path.name for file in in_order(files, [])]


@pytest.mark.parametrize(
    ("platform", "folder"),
    [("win32", "windows/Fonts"), ("darwin", "home/Library/Fonts"), ("linux", "home/.local/share/fonts/more")],
)
def test_fonts_are_found_where_the_system_keeps_them(tmp_path, monkeypatch, platform, folder):
    monkeypatch.setattr(systemfonts.shutil, "which", lambda _name: None)
    place = tmp_path / folder
    place.mkdir(parents=True)
    for name in ("a.ttf", "b.TTC", "read me.txt"):
        (place / name).write_bytes(b"123")
    found = font_files(platform, {"WINDIR": str(tmp_path / "windows")}, tmp_path / "home")
    ours = {file.path.name: file.size for file in found if tmp_path in file.path.parents}
    assert ours == {"a.ttf": 3, "b.TTC": 3}


def test_a_character_counts_before_its_font_is_there():
    assert foreign("日", "mono", 1.0) == pytest.approx(2 * 600 * 13 / 1320)
    assert foreign("日", "body", 2.0) == pytest.approx(LARGER * 2048 * 30 / 2478)
    assert foreign("ไ", "body", 1.0) == 0
