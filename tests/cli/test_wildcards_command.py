"""`stablenew wildcards`, and how the files come along with a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import UserError
from stablenew_client import packfiles
from stablenew_client.packfiles import read_wildcards
from stablenew_proto.options import MAX_REQUEST_BYTES


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8", newline="\n")


@pytest.fixture
def filled(data: DataFolder) -> DataFolder:
    write(data.wildcards, "col/c.txt", "red\n{dark|light} blue # x\n")
    write(data.wildcards, "h.yaml", "hair: [3::blond, __col/c__]\n")
    write(data.wildcards, "bad.yaml", "a: [\n")
    return data


def test_list(filled: DataFolder, call: Callable[..., Any]) -> None:
    told = call("wildcards")
    assert told.code == 0
    assert [line.split() for line in told.out.splitlines()[1:]] == [
        ["col/c", "2", "col/c.txt"],
        ["hair", "2", "h.yaml"],
    ]
    assert told.err.startswith("wildcard file bad.yaml, line 2: not YAML")
    asked = call("wildcards", "list", "--json").json
    assert asked["wildcards"][1] == {"name": "hair", "values": 2, "file": "h.yaml"}
    assert asked["problems"][0]["line"] == 2


def test_show(filled: DataFolder, call: Callable[..., Any], tmp_path: Path) -> None:
    told = call("wildcards", "show", "__hair__")
    assert told.out == "3::blond\n__col/c__\n\n2 values, 4 texts\n"
    assert call("wildcards", "show", "*", "--count").out == "7\n"
    assert call("wildcards", "show", "hair", "--json").json["values"][0] == {
        "text": "blond",
        "weight": 3.0,
        "file": "h.yaml",
        "line": 1,
    }
    told = call("wildcards", "show", "hiar")
    assert (told.code, "did you mean __hair__" in told.err) == (2, True)
    write(tmp_path / "more", "hair.txt", "own")
    assert call("wildcards", "show", "hair", "--count", "--wildcards", tmp_path / "more").out == "1\n"
    assert "no such folder" in call("wildcards", "list", "--wildcards", tmp_path / "none").err


def test_a_folder_without_files_says_where_they_go(data: DataFolder, call: Callable[..., Any]) -> None:
    assert f"files into {data.wildcards}" in call("wildcards").out


def test_files_come_along_with_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = tmp_path / "p.txt"
    assert read_wildcards(pack, [], 100) == {}
    write(tmp_path, "wildcards/a.txt", "beside")
    write(tmp_path, "wildcards/b/c.txt", "beside")
    write(tmp_path, "given/a.txt", "given")
    found = read_wildcards(pack, [str(tmp_path / "given")], 100)
    assert found == {"a.txt": b"given", "b/c.txt": b"beside"}
    with pytest.raises(UserError, match="put them into the folder wildcards of the data folder"):
        read_wildcards(pack, [], 10)
    with pytest.raises(UserError, match="no such folder"):
        read_wildcards(pack, [str(tmp_path / "none")], 10)
    assert packfiles.LARGEST_RUN < MAX_REQUEST_BYTES
