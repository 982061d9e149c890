"""Presets and profiles on disk: never lost, never written over without asking, named for every system."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stablenew_api.errors import UserError
from stablenew_kernel.store.shelf import ProfileFolder, Shelf, preset_shelf, profile_shelf

NOW = datetime(2026, 11, 27, 6, 0, tzinfo=UTC)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (shipped / "full.json").write_bytes(b'{"shipped": 1}')
    return preset_shelf(tmp_path / "data" / "presets", [tmp_path / "not there", shipped])


def content(shelf: Shelf, name: str) -> bytes:
    return shelf.read(shelf.find(name))


def test_nothing_is_made_by_looking(shelf: Shelf) -> None:
    assert list(shelf.files()) == ["full"]
    assert shelf.trashed() == []
    assert not shelf.own.exists()


def test_a_preset_is_written_once_and_replaced_only_when_asked(shelf: Shelf) -> None:
    assert shelf.write("mine", b"{}", NOW) is None
    with pytest.raises(UserError, match=r"there is a preset called mine already; .*--replace"):
        shelf.write("mine", b"[]", NOW)
    with pytest.raises(UserError, match="there is a preset called mine already"):
        shelf.write("MINE", b"[]", NOW)
    assert content(shelf, "mine") == b"{}"
    old = shelf.write("mine", b"new", NOW, replace=True)
    assert old is not None
    assert old.read_bytes() == b"{}"
    assert content(shelf, "mine") == b"new"
    assert [path.name for path in shelf.own.iterdir()] == ["mine.json"]


def test_what_is_deleted_comes_back_the_newest_first(shelf: Shelf) -> None:
    for number in range(3):
        shelf.write("a_b", str(number).encode(), NOW)
        shelf.delete("a_b", NOW)  # all at one moment: none hides another
    shelf.write("other", b"x", NOW)
    shelf.delete("other", NOW + timedelta(days=1))
    assert [file.name for file in shelf.trashed()] == ["other", "a_b", "a_b", "a_b"]
    assert shelf.trashed()[0].changed_at == NOW + timedelta(days=1)
    shelf.restore("a_b", "a_b", NOW)
    assert content(shelf, "a_b") == b"2"
    with pytest.raises(UserError, match="there is a preset called a_b already"):
        shelf.restore("a_b", "a_b", NOW)
    shelf.restore("a_b", "second", NOW)
    assert content(shelf, "second") == b"1"
    shelf.restore("a_b", "a_b", NOW, replace=True)
    assert content(shelf, "a_b") == b"0"
    assert [file.name for file in shelf.trashed()] == ["a_b", "other"] or {
        file.name for file in shelf.trashed()
    } == {"a_b", "other"}
    with pytest.raises(UserError, match=r"no preset 'a_bb' is in the trash; did you mean a_b\?"):
        shelf.restore("a_bb", "a_b", NOW)


def test_a_rename_never_hits_another(shelf: Shelf) -> None:
    shelf.write("one", b"1", NOW)
    shelf.write("two", b"2", NOW)
    with pytest.raises(UserError, match="called two already"):
        shelf.rename("one", "two", NOW)
    old = shelf.rename("one", "two", NOW, replace=True)
    assert old is not None
    assert (old.read_bytes(), content(shelf, "two")) == (b"2", b"1")
    shelf.rename("two", "Two", NOW)
    assert [path.name for path in shelf.own.iterdir()] == ["Two.json"]
    with pytest.raises(UserError, match="called Two already"):
        shelf.rename("Two", "Two", NOW)
    assert content(shelf, "Two") == b"1"


def test_what_came_along_can_be_read_and_not_changed(shelf: Shelf) -> None:
    assert content(shelf, "full") == b'{"shipped": 1}'
    for refused in (
        lambda: shelf.delete("full", NOW),
        lambda: shelf.rename("full", "mine", NOW),
        lambda: shelf.write("full", b"", NOW, replace=True),
        lambda: shelf.write("FULL", b"", NOW),
    ):
        with pytest.raises(UserError, match="came with StableNew"):
            refused()
    assert content(shelf, "full") == b'{"shipped": 1}'


def test_one_of_the_persons_own_goes_before_one_that_came_along(shelf: Shelf) -> None:
    shelf.own.mkdir(parents=True)
    (shelf.own / "full.json").write_bytes(b"own")
    assert content(shelf, "full") == b"own"
    shelf.delete("full", NOW)
    assert content(shelf, "full") == b'{"shipped": 1}'


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a/b",
        "a\\b",
        "..",
        ".hidden",
        "con",
        "NUL",
        "com1",
        "lpt9.x",
        "a:b",
        "a*",
        'a"',
        "a|b",
        "a ",
        "a.",
        "a\n",
        "x" * 101,
        "é" * 120,
    ],
)
def test_a_name_that_some_system_refuses(shelf: Shelf, name: str) -> None:
    with pytest.raises(UserError, match=r"^preset "):
        shelf.write(name, b"{}", NOW)
    assert not shelf.own.exists()


@pytest.mark.parametrize("name", ["ünï 蝶", "x" * 100, "a.b", "1", "console"])
def test_a_name_that_all_take(shelf: Shelf, name: str) -> None:
    shelf.write(name, b"{}", NOW)
    shelf.delete(name, NOW)
    shelf.restore(name, name, NOW)
    assert content(shelf, name) == b"{}"


def test_the_ending_is_not_part_of_a_name(shelf: Shelf) -> None:
    with pytest.raises(UserError, match=r"write the name without \.json"):
        shelf.write("full.json", b"{}", NOW)


def test_a_folder_of_that_name_is_left_alone(shelf: Shelf) -> None:
    (shelf.own / "odd.json").mkdir(parents=True)
    with pytest.raises(UserError, match="it is a folder"):
        content(shelf, "odd")
    with pytest.raises(UserError, match="it is a folder"):
        shelf.delete("odd", NOW)
    with pytest.raises(UserError, match="it is a folder"):
        shelf.write("odd", b"{}", NOW, replace=True)
    assert (shelf.own / "odd.json").is_dir()


def test_files_of_others_in_the_trash_are_not_taken_for_ours(shelf: Shelf) -> None:
    shelf.write("a", b"{}", NOW)
    place = shelf.delete("a", NOW)
    (place.parent / "notes.json").write_bytes(b"")
    assert [file.name for file in shelf.trashed()] == ["a"]


# --- profiles ------------------------------------------------------------------------------------------------


def test_profiles_are_read_anew_only_when_they_change(tmp_path: Path) -> None:
    shelf = profile_shelf(tmp_path / "profiles")
    folder = ProfileFolder(shelf)
    assert not folder.profiles()
    shelf.write("xl", json.dumps({"txt2img": {"steps": 3}}).encode(), NOW)
    shelf.write("broken", b"{", NOW)
    first = folder.profiles()
    assert [profile.name for profile in first.known] == ["xl"]
    assert first.broken["broken.profile.json"].startswith("profile broken.profile.json, line 1, column 2")
    assert folder.profiles() is first
    shelf.write("broken", b'{"weight": 0.5}', NOW, replace=True)
    second = folder.profiles()
    assert [profile.name for profile in second.known] == ["broken", "xl"]
    assert second.known[1] is first.known[0]
    assert not second.broken
