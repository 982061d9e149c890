"""Files: nobody sees half of one, nothing is overwritten, nothing is left lying about."""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew_api.files import write_atomic, write_new

WRITERS = [write_new, write_atomic]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("write", WRITERS)
def test_writes_the_bytes_and_nothing_else(write: Callable[..., None], durable: bool, tmp_path: Path) -> None:
    write(tmp_path / "image 蝶.png", b"\x00\r\n\xff", durable=durable)
    assert content(tmp_path) == {"image 蝶.png": b"\x00\r\n\xff"}


@given(pieces=st.lists(st.binary(max_size=20_000), max_size=5), durable=st.booleans(), cached=st.booleans())
def test_pieces_are_written_one_after_the_other(pieces: list[bytes], durable: bool, cached: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        whole = b"".join(pieces)
        write_new(Path(name) / "a", pieces, durable=durable, cached=cached)
        write_new(Path(name) / "b", [memoryview(piece) for piece in pieces], durable=durable, cached=cached)
        write_new(Path(name) / "c", whole, durable=durable, cached=cached)
        assert content(Path(name)) == {"a": whole, "b": whole, "c": whole}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is told")
@pytest.mark.parametrize("cached", [True, False])
def test_only_what_is_on_the_disk_is_let_go_of(
    cached: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told before the sync, the system would keep what is not yet written, and that is all of it."""
    calls: list[str] = []
    real = os.fsync

    def sync(descriptor: int) -> None:
        real(descriptor)
        assert os.fstat(descriptor).st_size == 9, "nothing is left in our own buffer"
        calls.append("sync")

    def advise(descriptor: int, offset: int, length: int, advice: int) -> None:
        assert (offset, length, advice) == (0, 0, os.POSIX_FADV_DONTNEED)
        calls.append("let go")
        raise OSError(errno.EINVAL, "a file system that takes no hints")

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "posix_fadvise", advise)
    write_new(tmp_path / "a", [b"nine ", b"bytes"[1:]], cached=cached)
    assert calls == (["sync"] if cached else ["sync", "let go"])
    assert content(tmp_path) == {"a": b"nine ytes"}


@given(first=st.binary(max_size=64), second=st.binary(max_size=64))
def test_write_new_never_overwrites_and_write_atomic_always_does(first: bytes, second: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_new(folder / "a", first, durable=False)
        with pytest.raises(FileExistsError):
            write_new(folder / "a", second, durable=False)
        assert content(folder) == {"a": first}
        write_atomic(folder / "a", second, durable=False)
        assert content(folder) == {"a": second}


def test_of_many_writers_at_once_one_wins(tmp_path: Path) -> None:
    target = tmp_path / "image.png"

    def attempt(number: int) -> int | None:
        try:
            write_new(target, bytes([number]) * 1000, durable=False)
        except FileExistsError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(attempt, range(24)) if number is not None]
    assert len(winners) == 1
    assert content(tmp_path) == {"image.png": bytes(winners) * 1000}


@pytest.mark.skipif(os.name == "nt", reason="Windows renames, it does not link")
def test_write_new_on_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    write_new(tmp_path / "a", b"one")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "a", b"two")
    assert content(tmp_path) == {"a": b"one"}


@pytest.mark.parametrize("write", WRITERS)
def test_a_full_disk_leaves_nothing_behind(
    write: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "a", b"data")
    assert content(tmp_path) == {}


def test_a_failed_replacement_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomic(tmp_path / "a", b"old")

    def denied(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "replace", denied)
    with pytest.raises(PermissionError):
        write_atomic(tmp_path / "a", b"new")
    assert content(tmp_path) == {"a": b"old"}


@pytest.mark.parametrize("write", WRITERS)
def test_a_missing_folder_is_the_systems_error(write: Callable[..., None], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "none" / "a", b"")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_private_file_was_never_readable_by_others(tmp_path: Path) -> None:
    write_atomic(tmp_path / "secret", b"token", mode=0o600)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
