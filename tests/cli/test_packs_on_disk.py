"""Reading packs, sidecars and presets, and what is said when that fails."""

from __future__ import annotations

import os
import sys

import pytest

from stablenew_api.errors import UserError
from stablenew_client.packfiles import find_packs, read_pack, read_preset, replace_file
from stablenew_proto.options import LARGEST_PACK


def test_a_pack_is_read_byte_for_byte_with_its_sidecar(tmp_path):
    (tmp_path / "a.tsv").write_bytes(b"\xef\xbb\xbfone\ttwo\r\n")
    (tmp_path / "a.json").write_bytes(b"{}")
    files = read_pack(str(tmp_path / "a.tsv"))
    assert (files.pack, files.sidecar, files.sidecar_path.name) == (
        b"\xef\xbb\xbfone\ttwo\r\n",
        b"{}",
        "a.json",
    )


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("casle.txt", "castle.txt"),
        ("castle", "castle.txt"),
        ("demo", "packs/demo.txt"),
        ("demo.txt", "packs/demo.txt"),
    ],
)
def test_a_missing_pack_names_the_one_that_was_meant(tmp_path, monkeypatch, given, wanted):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "castle.txt").touch()
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs" / "demo.txt").touch()
    with pytest.raises(UserError) as error:
        read_pack(given)
    assert str(error.value) == f"pack {given}: no such file; did you mean {wanted.replace('/', os.sep)} ?"


def test_a_missing_folder_is_said(tmp_path):
    with pytest.raises(UserError, match=r"no such file, and no folder .*nowhere"):
        read_pack(str(tmp_path / "nowhere" / "a.txt"))


def test_a_sidecar_in_place_of_the_pack_is_explained(tmp_path):
    (tmp_path / "a.json").write_bytes(b"{}")
    (tmp_path / "a.tsv").touch()
    with pytest.raises(UserError, match=r"give the \.txt or \.tsv file beside it: a\.tsv"):
        read_pack(str(tmp_path / "a.json"))


def test_a_json_without_a_text_file_is_pack_and_sidecar(tmp_path):
    (tmp_path / "a.json").write_bytes(b"{}")
    files = read_pack(str(tmp_path / "a.json"))
    assert (files.pack, files.sidecar, files.sidecar_path) == (b"{}", b"{}", tmp_path / "a.json")


def test_a_folder_is_no_pack(tmp_path):
    with pytest.raises(UserError, match="this is a folder"):
        read_pack(str(tmp_path))


def test_a_pack_that_is_too_large_is_refused(tmp_path):
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(LARGEST_PACK + 1)
    with pytest.raises(UserError, match="larger than 32 MiB"):
        read_pack(str(tmp_path / "a.txt"))


def test_pack_and_sidecar_together_must_fit_too(tmp_path):
    for name in ("a.txt", "a.json"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(LARGEST_PACK * 3 // 4)
    with pytest.raises(UserError, match=r"48\.0 MiB; at most 32 MiB"):
        read_pack(str(tmp_path / "a.txt"))


def test_packs_are_found_in_folders(tmp_path):
    slots = b'{"pack_data": {"slots": [{"text": "a"}]}}'
    for name, content in {
        "b.txt": b"x",
        "b.json": slots,
        "a/c.TSV": b"x",
        "a/alone.json": slots,
        "a/preset.json": b'{"txt2img": {}}',
        "a/broken.json": b"{",
        "notes.md": b"x",
        ".hidden/x.txt": b"x",
        "wildcards/hair.txt": b"x",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    found = [path.relative_to(tmp_path).as_posix() for path in find_packs(tmp_path)]
    assert found == ["a/alone.json", "a/c.TSV", "b.txt"]


def test_a_file_that_somebody_changed_is_not_written_over(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"theirs")
    with pytest.raises(UserError, match="somebody else changed it"):
        replace_file(path, b"as it was", b"ours")
    assert path.read_bytes() == b"theirs"
    replace_file(path, b"theirs", b"ours")
    assert path.read_bytes() == b"ours"
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there, and there are no modes")
def test_a_file_that_is_replaced_stays_what_it_was(tmp_path):
    path, link = tmp_path / "a.txt", tmp_path / "link.txt"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link.symlink_to(path)
    replace_file(link, b"old", b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(
    sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs rights"
)
def test_a_pack_without_the_right_to_read_it_is_said(tmp_path):
    (tmp_path / "a.txt").touch(mode=0)
    with pytest.raises(UserError, match="Permission denied"):
        read_pack(str(tmp_path / "a.txt"))


def test_a_preset_is_a_name_unless_it_looks_like_a_file(tmp_path):
    (tmp_path / "mine.json").write_bytes(b"{1}")
    assert read_preset("full") == ("full", "", b"")
    assert read_preset(str(tmp_path / "mine.json")) == ("", "mine.json", b"{1}")


def test_a_missing_preset_file_names_the_near_miss(tmp_path):
    (tmp_path / "portrait.json").touch()
    with pytest.raises(UserError, match=r"did you mean .*portrait\.json \?"):
        read_preset(str(tmp_path / "portait.json"))


def test_nothing_is_started_or_queued_for_a_pack_that_is_not_there(call, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("run", "nope.txt")
    assert (result.code, result.err) == (2, "stablenew: error: pack nope.txt: no such file\n")
    assert list(data.root.iterdir()) == []
