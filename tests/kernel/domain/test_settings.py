"""settings.toml: defaults, and errors that name file and key."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD

from stablenew_api.errors import UserError
from stablenew_kernel.domain.settings import (
    Settings,
    change_settings_toml,
    parse_settings_toml,
    schema_of,
)


def test_an_empty_file_is_all_defaults() -> None:
    assert parse_settings_toml("settings.toml", b"") == Settings()
    made = Settings()
    assert (made.port, made.after_crash, made.orphan_timeout, made.local_backend) == (
        0,
        "resume",
        60.0,
        "embedded",
    )


def test_every_key_can_be_set() -> None:
    text = b"""\xef\xbb\xbfport = 4000
after_crash = "paused"
orphan_timeout = 5
run_timeout = 30.5
confirm_above = 0
local_agent = false
local_slots = 2
local_backend = "webui"
local_backend_options = ["url=http://127.0.0.1:7860"]
keep_copies_days = 7
frontend = "mine"
output_folder = ""
pack_folders = ["a", "b"]
learning_mode = "off"
scheduler = "fifo"
file_name = "{seed}"
disabled_plugins = ["film_grain", "x"]
"""
    made = parse_settings_toml("settings.toml", text)
    assert made.model_dump() == {
        "port": 4000,
        "after_crash": "paused",
        "orphan_timeout": 5.0,
        "run_timeout": 30.5,
        "confirm_above": 0,
        "local_agent": False,
        "local_slots": 2,
        "local_backend": "webui",
        "local_backend_options": ("url=http://127.0.0.1:7860",),
        "keep_copies_days": 7,
        "frontend": "mine",
        "output_folder": "",
        "pack_folders": ("a", "b"),
        "learning_mode": "off",
        "scheduler": "fifo",
        "file_name": "{seed}",
        "disabled_plugins": ("film_grain", "x"),
    }
    assert set(made.model_dump()) == set(Settings.model_fields)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"port = ", "not valid TOML"),
        (b"a = 1\na = 2", "not valid TOML: Cannot overwrite"),
        (b"port = 1\nb =", "at end of document"),
        (b"port = 1\n= 2", "line 2"),
        (b"\xe9 = 1", "UTF-8"),
        (b"prot = 1", "there is no setting 'prot'; did you mean port?"),
        (b"port = 70000", "port: 70000 is out of range (0 to 65535)"),
        (b'port = "80"', "port: '80' is not a whole number (0 to 65535)"),
        (b"local_slots = 0", "local_slots: 0 is out of range (1 to 64)"),
        (b'after_crash = "never"', "after_crash: 'never' is not one of 'resume' or 'paused'"),
        (b"local_agent = 1", "local_agent: 1 is not true or false"),
        (b'file_name = "{sed}"', "there is no field 'sed'; did you mean seed"),
        (b'disabled_plugins = "x"', "disabled_plugins: 'x' is not a list"),
        (b'learning_mode = "active"', "learning_mode: 'active': experiments are not built yet"),
        (b'output_folder = "here"', "output_folder: 'here': must be an absolute path"),
        (b"orphan_timeout = nan", "orphan_timeout: nan is out of range"),
    ],
)
def test_a_wrong_file_says_what_and_where(text: bytes, words: str) -> None:
    with pytest.raises(UserError) as error:
        parse_settings_toml("settings.toml", text)
    assert words in str(error.value)
    assert "settings.toml" in str(error.value)
    assert "\n" not in str(error.value)


# --- changing -------------------------------------------------------------------------------------------------

FILE = (
    b"\xef\xbb\xbf# mine\n\nport    =   4000 # why\nlocal_backend_options = [ # two\n  'a=1',\n]\n\n# the end\n"
    b'local_backend = "webui"'
)


def changed(data: bytes, **values: Any) -> bytes:
    return change_settings_toml("settings.toml", data, values)


def test_what_is_not_named_stays_byte_for_byte() -> None:
    assert changed(FILE) == FILE
    assert changed(FILE, port=4000, local_backend_options=["a=1"]) == FILE
    assert changed(FILE, port=7) == FILE.replace(b"4000", b"7")
    assert changed(FILE, local_slots=2, port=None) == (
        FILE.replace(b"port    =   4000 # why\n", b"") + b"\nlocal_slots = 2\n"
    )
    assert changed(b"", port=1) == b"port = 1\n"
    assert changed(b"# a\r\n", port=1) == b"# a\r\nport = 1\r\n"
    assert changed(b"port = 1", port=None) == b""


VALUES = {
    "port": st.integers(0, 65535),
    "after_crash": st.sampled_from(["resume", "paused"]),
    "run_timeout": st.floats(1, 600),
    "local_agent": st.booleans(),
    "local_backend": st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    "local_backend_options": st.lists(st.text(st.characters(exclude_categories=["Cs"]))),
    "file_name": st.just("{seed}"),
}
SOME = st.fixed_dictionaries({}, optional={name: st.none() | values for name, values in VALUES.items()})


@A_THIRD
@given(first=SOME, second=SOME, ending=st.sampled_from(["\n", "\r\n"]), bom=st.booleans())
def test_what_is_written_is_read_back_and_comments_stay(
    first: dict[str, Any], second: dict[str, Any], ending: str, bom: bool
) -> None:
    head = (b"\xef\xbb\xbf" if bom else b"") + f"# a comment{ending}{ending}".encode()
    data = changed(changed(head, **first), **second)
    added = tuple(f"{name} = ".encode() for name in VALUES)
    assert b"".join(line for line in data.splitlines(True) if not line.startswith(added)) == head
    wanted = {**first, **second}
    given_values = {name: value for name, value in wanted.items() if value is not None}
    assert parse_settings_toml("settings.toml", data) == Settings.model_validate(given_values)
    assert changed(data, **second) == data


@pytest.mark.parametrize(
    ("data", "values", "words"),
    [
        (b"prot = 1\n", {"port": 1}, "settings.toml: there is no setting 'prot'"),
        (b"port =", {"port": 1}, "settings.toml: not valid TOML"),
        (b"\xff", {"port": 1}, "not UTF-8"),
        (b"", {"port": 70000}, "port: 70000 is out of range (0 to 65535)"),
        (b"", {"port": "80"}, "port: '80' is not a whole number"),
        (b"", {"prot": 80}, "there is no setting 'prot'; did you mean port"),
        (b"", {"learning_mode": "active"}, "experiments are not built yet"),
    ],
)
def test_what_cannot_be_read_is_not_written(data: bytes, values: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as error:
        change_settings_toml("settings.toml", data, values)
    assert words in str(error.value)


def test_each_setting_has_a_schema() -> None:
    for name, info in Settings.model_fields.items():
        schema = schema_of(name)
        assert json.loads(json.dumps(schema)) == schema
        assert schema["description"] == info.description
        assert "default" in schema
    assert schema_of("port")["maximum"] == 65535
    assert schema_of("after_crash")["enum"] == ["resume", "paused"]
