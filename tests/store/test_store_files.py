"""Run folders, the journal, the learning journal, the lock."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD

from stablenew_api.datafolder import DataFolder, KernelInfo
from stablenew_api.learning import LearningRecord, Rating
from stablenew_kernel.store import journal as journal_module
from stablenew_kernel.store import learning as learning_module
from stablenew_kernel.store import runfolder
from stablenew_kernel.store.errors import StoreError
from stablenew_kernel.store.journal import Journal
from stablenew_kernel.store.learning import LearningJournal
from stablenew_kernel.store.lock import KernelLock, KernelRunning
from stablenew_kernel.store.runfolder import RunFolder

RUN = {"run_id": "r1", "pack": "demo"}

# --- run folder -----------------------------------------------------------------------------------------------


def test_a_run_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    first = RunFolder.create(tmp_path / "out", "2026_demo", "r1")
    second = RunFolder.create(tmp_path / "out", "2026_demo", "r2")
    third = RunFolder.create(tmp_path / "out", "2026_demo", "r3")
    assert [f.path.name for f in (first, second, third)] == ["2026_demo", "2026_demo-2", "2026_demo-3"]
    assert not list(first.path.iterdir())
    RunFolder.reopen(first.path, "r1", [], RUN)
    assert json.loads((first.path / "run.json").read_text(encoding="utf-8")) == RUN


def test_a_run_that_was_not_queued_leaves_no_folder(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "demo", "r1")
    folder.discard()
    assert not list(tmp_path.iterdir())
    kept = RunFolder.create(tmp_path, "demo", "r1")
    kept.save_image("0001.png", b"x")
    kept.discard()
    assert (tmp_path / "demo" / "0001.png").exists()


def test_somebody_elses_folder_or_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "mine.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "demo-2").write_text("a file", encoding="utf-8")
    (tmp_path / "demo-3").mkdir()
    (tmp_path / "demo-3" / "run.json").write_text("[not what you think", encoding="utf-8")
    folder = RunFolder.create(tmp_path, "demo", "r1")
    assert folder.path.name == "demo-4"
    assert [p.name for p in (tmp_path / "demo").iterdir()] == ["mine.txt"]
    assert (tmp_path / "demo-3" / "run.json").read_text(encoding="utf-8") == "[not what you think"


def test_images_are_never_overwritten_and_the_same_is_adopted(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "demo", "r1")
    one = folder.save_image("0001.png", b"one")
    assert one == folder.path / "0001.png"
    assert folder.save_image("0001.png", b"one") == one  # the kernel died before its commit
    other = folder.save_image("0001.png", b"two")
    assert other.name == "0001-2.png"
    assert folder.save_image("0001.png", b"two") == other
    assert folder.save_image("0001.png", [b"t", memoryview(b"wo")]) == other
    assert folder.save_image("0001.png", [b"one", b""]) == one
    assert folder.write_file("0001.png", b"three!").name == "0001-3.png"
    assert folder.write_file("README", b"x").name == "README"
    assert folder.write_file("README", b"y").name == "README-2"
    assert (one.read_bytes(), other.read_bytes()) == (b"one", b"two")
    assert not list(folder.path.glob(".*")), "no temporary files are left"


@pytest.mark.parametrize(
    "bad", ["", "../x.png", "a/b.png", "a\\b.png", "con.png", ".hidden", "x.", "a:b", "a\n"]
)
def test_only_plain_file_names(tmp_path: Path, bad: str) -> None:
    folder = RunFolder.create(tmp_path, "demo", "r1")
    with pytest.raises(ValueError, match="plain file name"):
        folder.save_image(bad, b"x")


def test_a_manifest_is_rebuilt_from_the_database(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "demo", "r1")
    folder.append_manifest([b'{"n":1}', b'{"n":2}'])
    folder.append_manifest([b'{"n":3}'])
    folder.append_manifest([])
    manifest = folder.path / "manifest.jsonl"
    assert manifest.read_bytes() == b'{"n":1}\n{"n":2}\n{"n":3}\n'
    with manifest.open("ab") as file:
        file.write(b'{"n":')  # kill -9 in the middle of a line that was not committed
    again = RunFolder.reopen(folder.path, "r1", [b'{"n":1}', b'{"n":2}'], RUN)
    again.append_manifest([b'{"n":3}'])
    assert manifest.read_bytes() == b'{"n":1}\n{"n":2}\n{"n":3}\n'
    before = manifest.stat()
    RunFolder.reopen(folder.path, "r1", [b'{"n":1}', b'{"n":2}', b'{"n":3}'], RUN)
    assert manifest.stat().st_ino == before.st_ino, "nothing to mend, nothing written"


@pytest.mark.skipif(os.name == "nt", reason="Windows syncs no folders")
def test_what_a_killed_kernel_left_half_written_goes_when_the_folder_is_taken_up(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in (".run.json.0123abcd.part", ".mine.part", "keep.png"):
        (folder / name).write_bytes(b"x")
    RunFolder.reopen(folder, "r1", [], {"run_id": "r1"})
    assert {path.name for path in folder.iterdir()} >= {".mine.part", "keep.png"}
    assert not (folder / ".run.json.0123abcd.part").exists()


def test_names_of_images_are_synced_with_their_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder.create(tmp_path, "demo", "r1")
    synced: list[list[str]] = []
    monkeypatch.setattr(
        runfolder, "sync_folder", lambda path: synced.append(sorted(entry.name for entry in path.iterdir()))
    )
    folder.save_image("0001.png", b"one")
    folder.save_image("0002.png", [b"t", memoryview(b"two")[1:]])
    assert synced == []
    folder.append_manifest([b"{}", b"{}"])
    assert synced == [["0001.png", "0002.png", "manifest.jsonl"]]
    folder.write_file("sheet.jpg", b"sheet")
    assert synced[1:] == [["0001.png", "0002.png", "manifest.jsonl", "sheet.jpg"]]


def test_a_line_whose_images_cannot_be_synced_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.create(tmp_path, "demo", "r1")
    folder.append_manifest([b'{"n":1}'])

    def refuse(_: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(runfolder, "sync_folder", refuse)
    with pytest.raises(StoreError, match=r"manifest\.jsonl"):
        folder.append_manifest([b'{"n":2}'])
    assert (folder.path / "manifest.jsonl").read_bytes() == b'{"n":1}\n'


def test_a_removed_folder_comes_back(tmp_path: Path) -> None:
    folder = RunFolder.reopen(tmp_path / "gone" / "demo", "r1", [b"{}"], RUN)
    assert json.loads((folder.path / "run.json").read_text(encoding="utf-8"))["run_id"] == "r1"
    assert (folder.path / "manifest.jsonl").read_bytes() == b"{}\n"
    folder.write_run_json({**RUN, "ended_at": "now"})
    RunFolder.reopen(folder.path, "r1", [b"{}"], RUN)
    assert json.loads((folder.path / "run.json").read_text(encoding="utf-8"))["ended_at"] == "now"


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "the disk is full; free some space"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "no permission"),
    ],
)
def test_a_folder_that_takes_nothing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    folder = RunFolder.create(tmp_path, "demo", "r1")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(runfolder, "write_new", refuse)
    monkeypatch.setattr(runfolder, "write_atomic", refuse)
    with pytest.raises(StoreError, match=rf"0001\.png: .*{advice}"):
        folder.save_image("0001.png", b"x")
    with pytest.raises(StoreError, match=rf"run\.json: .*{advice}"):
        folder.write_run_json(RUN)
    with pytest.raises(StoreError, match=rf"demo: .*{advice}"):
        RunFolder.reopen(folder.path, "r1", [], RUN)
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match=rf"manifest\.jsonl: .*{advice}"):
        folder.append_manifest([b"{}"])
    assert (folder.path / "manifest.jsonl").read_bytes() == b"", "half a line is taken back"


def test_a_file_in_place_of_the_output_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(StoreError, match=r"out.*choose another"):
        RunFolder.create(tmp_path / "out" / "below", "demo", "r1")


# --- journal --------------------------------------------------------------------------------------------------

ROWS = st.lists(
    st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers(), max_size=3), max_size=8
)


@A_THIRD
@given(rows=ROWS, data=st.data())
def test_a_journal_cut_anywhere_keeps_every_whole_line(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.jsonl"
    with Journal(path) as journal:
        journal.append(rows)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    kept = whole[:cut].count(b"\n")
    torn = whole[:cut].rpartition(b"\n")[2]
    ends_with_object = torn != b"" and whole[cut : cut + 1] == b"\n"  # only the newline is missing
    with Journal(path) as journal:
        assert list(journal.read()) == rows[: kept + ends_with_object]
        journal.append([{"next": True}])
        assert list(journal.read()) == [*rows[: kept + ends_with_object], {"next": True}]
    aside = path.with_name("j.jsonl.torn")
    if torn and not ends_with_object:
        assert aside.read_bytes() == torn + b"\n"
    else:
        assert not aside.exists()


def test_a_torn_line_longer_than_a_block(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    torn = b'{"a": "' + b"x" * (3 * journal_module.BLOCK)
    path.write_bytes(b'{"n":1}\n' + torn)
    with Journal(path) as journal:
        assert list(journal.read()) == [{"n": 1}]
    assert path.read_bytes() == b'{"n":1}\n'
    path.write_bytes(torn)
    with Journal(path) as journal:
        assert list(journal.read()) == []
    assert (tmp_path / "j.jsonl.torn").read_bytes() == (torn + b"\n") * 2


@given(rows=ROWS, tail=st.integers(0, 400))
def test_a_tail_is_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]], tail: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.jsonl"
    with Journal(path) as journal:
        journal.append(rows)
        lines = path.read_bytes().splitlines(keepends=True) if rows else []
        count = sum(1 for n in range(len(lines)) if sum(map(len, lines[n:])) <= tail)
        assert list(journal.read(tail=tail)) == (rows[len(rows) - count :] if count else [])


def test_an_edited_line_is_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"n":1}\nwhat is this\n[]\n\xff\n{"n":2}\n')
    with Journal(path) as journal:
        assert list(journal.read()) == [{"n": 1}, {"n": 2}]
    assert [record.args[1] for record in caplog.records if record.args] == [8, 21, 24]  # type: ignore[index]


def test_a_failing_append_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path) as journal:
        journal.append([{"n": 1}])

        def refuse(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", refuse)
            with pytest.raises(StoreError, match=r"j\.jsonl: the disk is full"):
                journal.append([{"n": 2}])
        assert path.read_bytes() == b'{"n":1}\n'
        journal.append([{"n": 3}])
        assert list(journal.read()) == [{"n": 1}, {"n": 3}]
        with path.open("ab") as file:
            file.write(b'{"n":')  # what stays if the failed line could not even be taken back
        journal.append([{"n": 4}])
        assert list(journal.read()) == [{"n": 1}, {"n": 3}, {"n": 4}]
        with pytest.raises(ValueError, match="JSON"):
            journal.append([{"n": 5}, {"n": float("nan")}])
    with pytest.raises(StoreError, match="closed"):
        journal.append([{"n": 6}])
    assert path.read_bytes().count(b"\n") == 3


# --- learning -------------------------------------------------------------------------------------------------


def record(number: int) -> LearningRecord:
    return LearningRecord(
        record_id=f"job{number}/0",
        at="2026-01-02T00:00:00.000+00:00",
        run_id="r1",
        job_id=f"job{number}",
        spec_sha256="s",
        pack="demo.txt",
        pack_sha256="p",
        row=1,
        prompt="a \u2028 house\nof two lines",
        negative_prompt="",
        config={"txt2img": {"steps": 20, "seed": 2**64 - 1}},
        variant={},
        image_sha256=f"i{number}",
        node="box",
        timings={"total": 1.5},
    )


def test_an_image_is_recorded_once(tmp_path: Path) -> None:
    path = tmp_path / "learning" / "records.jsonl"
    with LearningJournal(path) as learning:
        assert learning.record_image(record(1))
        assert not learning.record_image(record(1))
        assert learning.record_images([record(1), record(2), record(2)]) == 1
    with LearningJournal(path) as learning:  # after a restart too
        assert learning.record_images([record(2), record(3)]) == 1
        assert list(learning.images()) == [record(1), record(2), record(3)]


def test_ids_beyond_what_is_remembered_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_module, "REMEMBERED", 2)
    with LearningJournal(tmp_path / "r.jsonl") as learning:
        learning.record_images([record(1), record(2), record(3)])
        assert list(learning._ids) == ["job2/0", "job3/0"]


def test_the_latest_rating_wins(tmp_path: Path) -> None:
    with LearningJournal(tmp_path / "r.jsonl") as learning:
        learning.record_image(record(1))
        ratings = [
            Rating("t1", "i1", 2, ("too noisy",)),
            Rating("t2", "i2", 5),
            Rating("t3", "i1", 4, ("nice", "sharp"), "a.png"),
            Rating("t4", "i2", 0),
        ]
        for rating in ratings:
            learning.rate(rating)
        assert learning.ratings() == {"i1": ratings[2]}
        assert [row["kind"] for row in learning.records()] == ["image", *["rating"] * 4]
        for stars in (-1, 6):
            with pytest.raises(ValueError, match="0 to 5"):
                learning.rate(Rating("t", "i1", stars))


# --- lock -----------------------------------------------------------------------------------------------------

HOLD = """
import sys
from pathlib import Path
from stablenew_api.datafolder import DataFolder
from stablenew_kernel.store.lock import KernelLock
lock = KernelLock(DataFolder(Path(sys.argv[1])))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_one_kernel_a_data_folder(data: DataFolder) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(data.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        lock = KernelLock(data)
        with pytest.raises(KernelRunning, match="has not said where it listens"):
            lock.acquire()
        data.write_kernel(KernelInfo("127.0.0.1:5", "secret", 4242, "now", "0.1"))
        with pytest.raises(KernelRunning, match=r"process 4242 at 127\.0\.0\.1:5.*--data") as refused:
            lock.acquire()
        assert "secret" not in str(refused.value)
        assert not lock.held
    finally:
        child.kill()
        child.communicate()
    with lock:  # a killed kernel leaves no lock behind
        assert lock.held
        with pytest.raises(KernelRunning):
            KernelLock(data).acquire()
    assert not lock.held
    with KernelLock(data):
        pass
