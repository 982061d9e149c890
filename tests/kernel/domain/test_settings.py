"""settings.toml: defaults, and errors that name file and key."""

from __future__ import annotations

import pytest

from stablenew_api.errors import UserError
from stablenew_kernel.domain.settings import Settings, parse_settings_toml


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
        (b"orphan_timeout = nan", "orphan_timeout: nan is out of range"),
    ],
)
def test_a_wrong_file_says_what_and_where(text: bytes, words: str) -> None:
    with pytest.raises(UserError) as error:
        parse_settings_toml("settings.toml", text)
    assert words in str(error.value)
    assert "settings.toml" in str(error.value)
    assert "\n" not in str(error.value)
