"""Reading packs, sidecars and presets, and what is said when that fails."""

from __future__ import annotations

import os
import sys

import pytest

from stablenew_api.errors import UserError
from stablenew_kernel.cli.packs import LARGEST, read_pack, read_preset


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
    (tmp_path / "a.json").touch()
    with pytest.raises(UserError, match=r"give the \.txt or \.tsv file"):
        read_pack(str(tmp_path / "a.json"))


def test_a_folder_is_no_pack(tmp_path):
    with pytest.raises(UserError, match="this is a folder"):
        read_pack(str(tmp_path))


def test_a_pack_too_large_for_one_message_is_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"x" * (LARGEST + 1))
    with pytest.raises(UserError, match="larger than 3 MiB"):
        read_pack(str(tmp_path / "a.txt"))


def test_pack_and_sidecar_together_must_fit_too(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"x" * LARGEST)
    (tmp_path / "a.json").write_bytes(b" " * LARGEST)
    with pytest.raises(UserError, match=r"6\.0 MiB; at most 3 MiB"):
        read_pack(str(tmp_path / "a.txt"))


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
