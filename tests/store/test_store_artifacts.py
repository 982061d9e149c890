"""Artifacts: resumable uploads, checked, by content."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew_kernel.store import artifacts
from stablenew_kernel.store.artifacts import (
    ArtifactNotFound,
    ArtifactStore,
    DigestMismatch,
    Upload,
    UploadConflict,
)
from stablenew_kernel.store.errors import StoreError

DATA = bytes(range(256)) * 40


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def files(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def send_rest(upload: Upload, data: bytes) -> None:
    upload.append(upload.committed, data[upload.committed :])
    upload.finish()


def leftovers(files: ArtifactStore) -> list[str]:
    return sorted(path.name for path in files.folder.glob("partial/*"))


def test_put_read_missing_remove(files: ArtifactStore) -> None:
    other = digest(b"other")
    assert files.missing([other]) == [other]
    key = files.put(DATA)
    assert key == digest(DATA)
    assert files.put(DATA) == key
    assert files.missing([other, key]) == [other]
    assert files.read(key) == DATA
    assert files.read(key, cached=False) == DATA
    assert files.path(key) == files.folder / key[:2] / key[2:]
    assert (files.size(key), files.committed(key)) == (len(DATA), (len(DATA), True))
    assert leftovers(files) == []
    assert files.remove(key)
    assert not files.remove(key)
    with pytest.raises(ArtifactNotFound, match=key):
        files.read(key)
    assert files.put(b"") == digest(b"")


@given(
    cuts=st.lists(st.integers(0, len(DATA)), max_size=6),
    restart=st.lists(st.booleans(), min_size=7, max_size=7),
)
def test_an_upload_may_break_off_anywhere(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], restart: list[bool]
) -> None:
    folder = tmp_path_factory.mktemp("artifacts")
    files = ArtifactStore(folder)
    upload = files.begin(digest(DATA), len(DATA))
    for end, again in zip([*sorted(cuts), len(DATA)], restart, strict=False):
        if again:
            upload.close()
            files = ArtifactStore(folder)  # a new process
            size, complete = files.committed(digest(DATA))
            upload = files.begin(digest(DATA), len(DATA))
            assert (upload.committed, complete) == (size, False)
        assert upload.append(upload.committed, DATA[upload.committed : end]) == end
    upload.finish()
    upload.finish()
    assert files.read(digest(DATA)) == DATA
    assert leftovers(files) == []


def test_an_upload_of_what_is_here_is_complete_at_once(files: ArtifactStore) -> None:
    key = files.put(DATA)
    with files.begin(key, len(DATA)) as upload:
        assert upload.complete
        assert upload.committed == len(DATA)
        assert upload.finish() == files.path(key)


@pytest.mark.parametrize("damage", ["flipped", "short", "long", "resumed on garbage"])
def test_wrong_bytes_never_count(files: ArtifactStore, damage: str) -> None:
    key = digest(DATA)
    data = {"flipped": b"x" + DATA[1:], "short": DATA[:-1], "long": DATA + b"x"}.get(damage, DATA)
    if damage == "resumed on garbage":
        (files.folder / "partial").mkdir(parents=True)
        (files.folder / "partial" / key).write_bytes(b"\0" * 100)  # a power loss left a hole
    upload = files.begin(key, len(DATA))
    with pytest.raises(DigestMismatch, match="upload it again"):
        send_rest(upload, data)
    assert files.missing([key]) == [key]
    assert leftovers(files) == []
    assert files.put(DATA) == key  # and it can start over


def test_a_partial_of_another_size_is_dropped(files: ArtifactStore) -> None:
    with files.begin(digest(b"ab"), 100) as upload:
        upload.append(0, b"abcdef")
    with files.begin(digest(b"ab"), 2) as upload:
        assert upload.committed == 0
        upload.append(0, b"ab")
        upload.finish()
    assert files.read(digest(b"ab")) == b"ab"


def test_an_append_at_the_wrong_offset_changes_nothing(files: ArtifactStore) -> None:
    with files.begin(digest(DATA), len(DATA)) as upload:
        upload.append(0, DATA[:10])
        for offset in (0, 9, 11):
            with pytest.raises(UploadConflict, match="expected offset 10"):
                upload.append(offset, b"x")
        upload.append(10, DATA[10:])
        upload.finish()
    with pytest.raises(UploadConflict, match="already ended"):
        upload.append(len(DATA), b"x")


def test_a_newer_upload_takes_over(files: ArtifactStore) -> None:
    half_open = files.begin(digest(DATA), len(DATA))
    half_open.append(0, DATA[:100])
    newer = files.begin(digest(DATA), len(DATA))
    assert newer.committed == 100
    with pytest.raises(UploadConflict, match="took over"):
        half_open.append(100, DATA[100:])
    half_open.close()
    newer.append(100, DATA[100:])
    newer.finish()
    assert files.read(digest(DATA)) == DATA


def test_many_agents_upload_the_same_file_at_once(files: ArtifactStore) -> None:
    barrier = threading.Barrier(6)
    ended: list[str] = []

    def upload() -> None:
        barrier.wait(60)
        while files.missing([digest(DATA)]):
            try:
                with files.begin(digest(DATA), len(DATA)) as one:
                    if one.complete:
                        break
                    while one.committed < one.size:
                        one.append(one.committed, DATA[one.committed : one.committed + 1000])
                    one.finish()
            except UploadConflict:
                continue
            except DigestMismatch as error:  # never: two writers would have mixed their bytes
                ended.append(str(error))
                return
        ended.append("ok")

    threads = [threading.Thread(target=upload) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ended == ["ok"] * 6
    assert files.read(digest(DATA)) == DATA


def test_a_full_disk_is_named_and_the_upload_can_resume(
    files: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with files.begin(digest(DATA), len(DATA)) as upload:
        upload.append(0, DATA[:100])
        file = upload._file
        assert file is not None

        class Full:
            """Writes half and then finds the disk full."""

            closed = False

            def write(self, data: memoryview) -> int:
                if len(data) < 100:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return file.write(data[: len(data) - 50])

            def __getattr__(self, name: str) -> object:
                return getattr(file, name)

        upload._file = Full()  # type: ignore[assignment]
        with pytest.raises(StoreError, match=rf"{digest(DATA)}: the disk is full; free some space"):
            upload.append(100, DATA[100:])
        upload._file = file
        assert upload.committed == 100
        assert files.committed(digest(DATA)) == (100, False)
    with files.begin(digest(DATA), len(DATA)) as upload:
        assert upload.committed == 100
        upload.append(100, DATA[100:])
        upload.finish()
    assert files.read(digest(DATA)) == DATA


def test_stale_partials_go_and_fresh_ones_stay(files: ArtifactStore) -> None:
    assert files.clean_partials() == 0
    for data in (b"old", b"new"):
        with files.begin(digest(data), 3) as upload:
            upload.append(0, data[:1])
    stale = files.folder / "partial" / digest(b"old")
    os.utime(stale, (1_000_000, 1_000_000))
    assert files.clean_partials(now=1_000_000 + (artifacts.STALE_PARTIAL_DAYS + 1) * 86_400) == 1
    assert leftovers(files) == [digest(b"new")]


@pytest.mark.parametrize("bad", ["", "..", "a" * 63, "A" * 64, "../" + "a" * 61, "a" * 64 + "\n"])
def test_only_a_digest_becomes_a_path(files: ArtifactStore, bad: str) -> None:
    for use in (files.path, files.read, files.committed, files.remove, lambda key: files.begin(key, 1)):
        with pytest.raises(ValueError, match="sha256"):
            use(bad)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match=r"file.*a file stands where a folder is needed"):
        ArtifactStore(tmp_path / "file" / "artifacts").put(b"x")


@pytest.fixture
def neighbours(tmp_path: Path) -> ArtifactStore:
    """A store that may take over files of agents; one of them lies there."""
    (tmp_path / "agents" / "a").mkdir(parents=True)
    (tmp_path / "agents" / "a" / "one.png").write_bytes(DATA)
    (tmp_path / "secret.txt").write_bytes(DATA)
    return ArtifactStore(tmp_path / "artifacts", tmp_path / "agents")


def test_a_file_on_this_machine_is_taken_over(neighbours: ArtifactStore, tmp_path: Path) -> None:
    source = tmp_path / "agents" / "a" / "one.png"
    inode = source.stat().st_ino
    assert neighbours.take_over(digest(DATA), len(DATA), "a/one.png")
    assert neighbours.read(digest(DATA)) == DATA
    path = neighbours.path(digest(DATA))
    assert path is not None
    assert path.stat().st_ino == inode, "moved, not copied"
    assert not source.exists()
    source.write_bytes(DATA)  # once more: made again after a crash
    assert neighbours.take_over(digest(DATA), len(DATA), "a/one.png")


def test_a_file_that_is_not_what_it_should_be_is_left_alone(neighbours: ArtifactStore, tmp_path: Path) -> None:
    for sha256, size in ((digest(b"other"), len(DATA)), (digest(DATA), len(DATA) - 1)):
        with pytest.raises(DigestMismatch, match=r"a/one\.png: not the"):
            neighbours.take_over(sha256, size, "a/one.png")
    assert (tmp_path / "agents" / "a" / "one.png").read_bytes() == DATA
    assert neighbours.path(digest(DATA)) is None


def test_what_cannot_be_taken_over_is_to_be_uploaded(
    neighbours: ArtifactStore, files: ArtifactStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not neighbours.take_over(digest(DATA), len(DATA), "a/gone.png")
    assert not files.take_over(digest(DATA), len(DATA), "a/one.png")  # knows no agents' folder

    def refuse(source: Path, target: Path) -> Path:
        raise OSError(errno.EXDEV, "another disk")

    monkeypatch.setattr(Path, "replace", refuse)
    assert not neighbours.take_over(digest(DATA), len(DATA), "a/one.png")
    assert (tmp_path / "agents" / "a" / "one.png").read_bytes() == DATA


@pytest.mark.parametrize("path", ["../secret.txt", "a/../../secret.txt", "a/link", "a", ""])
def test_nothing_outside_the_agents_folder_is_taken(
    neighbours: ArtifactStore, tmp_path: Path, path: str
) -> None:
    if path == "a/link":
        try:
            (tmp_path / "agents" / "a" / "link").symlink_to(tmp_path / "secret.txt")
        except OSError:  # Windows lets not everybody make one
            pytest.skip("no symbolic links here")
    for wanted in (path, str(tmp_path / "secret.txt")):
        with pytest.raises(ValueError, match="no file of an agent"):
            neighbours.take_over(digest(DATA), len(DATA), wanted)
    assert (tmp_path / "secret.txt").read_bytes() == DATA
