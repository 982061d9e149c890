"""The small parts of the contract: ids, data folder, crash points, identity of images, logs."""

from __future__ import annotations

import json
import logging
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stablenew_api.clock import SystemClock
from stablenew_api.datafolder import DATA_VARIABLE, DataFolder, KernelInfo
from stablenew_api.errors import UserError
from stablenew_api.faults import CRASH_POINTS
from stablenew_api.ids import uuid7
from stablenew_api.images import pixel_sha256
from stablenew_api.jsonlog import JsonFormatter, log_to_file
from stablenew_api.testing import sample_image

ROOT = Path(__file__).parents[2]

# --- ids ----------------------------------------------------------------------------------------------------

moments = st.integers(31_536_000_000, 2**47).map(lambda ms: datetime.fromtimestamp(ms / 1000, UTC))
bits = st.integers(0, 2**74 - 1)


@given(moments, bits)
def test_uuid7_follows_rfc_9562(now: datetime, random_bits: int) -> None:
    text = uuid7(now, random_bits)
    value = UUID(text)
    assert str(value) == text
    assert (value.version, value.variant) == (7, "specified in RFC 4122")
    assert value.int >> 80 == int(now.timestamp() * 1000)
    kept = ((value.int >> 64) & 0xFFF) << 62 | value.int & ((1 << 62) - 1)
    assert kept == random_bits


@given(moments, moments, bits, bits)
def test_uuid7_sorts_by_time(one: datetime, other: datetime, first: int, second: int) -> None:
    if one - other >= timedelta(milliseconds=2):
        assert uuid7(one, first) > uuid7(other, second)


def test_uuid7_example_of_the_rfc() -> None:
    # RFC 9562, appendix A.6: 2022-02-22 14:22:22.00 GMT-05:00, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F
    now = datetime(2022, 2, 22, 14, 22, 22, tzinfo=timezone(timedelta(hours=-5)))
    assert uuid7(now, 0xCC3 << 62 | 0x18C4DC0C0C07398F) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_uuid7_is_random_by_itself() -> None:
    now = SystemClock().now()
    assert len({uuid7(now) for _ in range(1000)}) == 1000


# --- data folder --------------------------------------------------------------------------------------------

INFO = KernelInfo("127.0.0.1:5051", "secret", 4711, "2026-01-01T00:00:00Z", "0.1.0")


def test_the_data_folder_is_the_one_named_then_the_environments_then_the_platforms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "env"))
    assert DataFolder.choose(tmp_path / "named").root == tmp_path / "named"
    assert DataFolder.choose().root == tmp_path / "env"
    monkeypatch.chdir(tmp_path)
    assert DataFolder.choose("relative").root == tmp_path / "relative"
    monkeypatch.delenv(DATA_VARIABLE)
    platform = DataFolder.choose().root
    assert platform.is_absolute()
    assert "stablenew" in str(platform)


def test_everything_lies_below_the_root_and_nothing_is_made_by_looking(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    paths = [getattr(folder, name) for name, member in vars(DataFolder).items() if isinstance(member, property)]
    paths.append(folder.agent("local"))
    assert len(paths) == len(set(paths)) > 8
    assert all(folder.root in path.parents for path in paths)
    assert not folder.root.exists()


def test_a_data_folder_that_cannot_be_made_says_which_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        DataFolder(tmp_path / "file" / "data").create()
    assert str(tmp_path / "file" / "data") in str(caught.value)
    assert "--data" in str(caught.value)


def test_word_of_the_kernel_comes_back(data: DataFolder) -> None:
    assert data.read_kernel() is None
    data.write_kernel(INFO)
    assert data.read_kernel() == INFO
    data.write_kernel(replace(INFO, pid=1))
    assert data.read_kernel() == replace(INFO, pid=1)
    assert [path.name for path in data.root.iterdir()] == ["kernel.json"]
    if os.name != "nt":
        assert stat.S_IMODE(data.kernel_json.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", '{"address": "a"}', "7", '{"unknown": 1}'])
def test_a_torn_word_of_the_kernel_is_none(data: DataFolder, text: str) -> None:
    data.kernel_json.write_text(text, encoding="utf-8")
    assert data.read_kernel() is None


# --- crash points -------------------------------------------------------------------------------------------


def passes(wanted: str | None, *points: str) -> tuple[int, list[str]]:
    """Exit code of a process that goes through ``points``, and those that it survived."""
    lines = [f"crash_point({point!r}); print({point!r}, flush=True)" for point in points]
    code = "\n".join(["from stablenew_api.faults import crash_point", *lines])
    environment = {key: value for key, value in os.environ.items() if key != "STABLENEW_CRASH_AT"}
    if wanted is not None:
        environment["STABLENEW_CRASH_AT"] = wanted
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    return done.returncode, done.stdout.split()


def test_a_crash_point_kills_only_where_and_when_it_is_asked_to() -> None:
    a, b = CRASH_POINTS[:2]
    assert passes(None, a, b) == (0, [a, b])
    assert passes(b, a, b, a) == (137, [a])
    assert passes(f"{a}:3", a, b, a, a, b) == (137, [a, b, a])
    assert passes(f"{a}:3", a, b, a) == (0, [a, b, a])


def test_crash_points_are_in_the_code_under_the_names_listed() -> None:
    used = set()
    for folder in ("kernel", "agent", "plugins", "proto"):
        for path in (ROOT / folder).rglob("*.py"):
            used |= set(re.findall(r'crash_point\(\s*"([^"]+)"', path.read_text(encoding="utf-8")))
    assert used == set(CRASH_POINTS)
    assert len(CRASH_POINTS) == len(set(CRASH_POINTS))


# --- identity of images -------------------------------------------------------------------------------------


def test_an_image_is_known_by_what_is_to_be_seen(tmp_path: Path) -> None:
    image = sample_image()
    digest = pixel_sha256(image)
    for name, options in (("a.png", {"compress_level": 0}), ("b.png", {"compress_level": 9}), ("c.bmp", {})):
        image.save(tmp_path / name, **options)
        with Image.open(tmp_path / name) as opened:
            assert pixel_sha256(opened) == digest
    touched = image.copy()
    touched.putpixel((5, 5), (1, 2, 3))
    assert pixel_sha256(touched) != digest


def test_size_and_mode_count() -> None:
    flat = [Image.new("RGB", size) for size in ((4, 6), (6, 4), (2, 12))]
    others = [Image.new("L", (12, 6)), Image.new("RGBA", (3, 6))]
    assert len({pixel_sha256(image) for image in flat + others}) == 5


def test_a_palette_is_no_other_image() -> None:
    flat = Image.new("RGB", (8, 8), (10, 20, 30))
    flat.paste((200, 100, 50), (0, 0, 4, 4))
    assert pixel_sha256(flat.quantize(4, dither=Image.Dither.NONE)) == pixel_sha256(flat)


# --- logs ---------------------------------------------------------------------------------------------------


def test_a_log_line_is_one_json_object_with_its_ids() -> None:
    record = logging.LogRecord("stablenew", logging.WARNING, __file__, 1, "lease %s\nended", ("x",), None)
    record.job_id, record.attempt, record.secret = "job-1", 2, "not listed"
    line = JsonFormatter().format(record)
    assert "\n" not in line
    data = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", data.pop("at"))
    assert data == {
        "level": "warning",
        "logger": "stablenew",
        "message": "lease x\nended",
        "job_id": "job-1",
        "attempt": 2,
    }


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield root
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    root.setLevel(level)


def test_logs_go_to_the_file_with_the_traceback(tmp_path: Path, root_logger: logging.Logger) -> None:
    log_to_file(tmp_path / "logs" / "kernel.jsonl")
    try:
        raise RuntimeError("boom 蝶")
    except RuntimeError:
        logging.getLogger("stablenew_api").exception("failed", extra={"plugin": "p"})
    logging.getLogger("stablenew_api").debug("not this one")
    lines = (tmp_path / "logs" / "kernel.jsonl").read_text(encoding="utf-8").splitlines()
    (data,) = map(json.loads, lines)
    assert data["plugin"] == "p"
    assert "RuntimeError: boom 蝶" in data["error"]
