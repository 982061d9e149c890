"""The person's settings: ``settings.toml`` in the data folder, read and changed. Pure: text in, text out."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from stablenew_api.backend import Backend
from stablenew_api.errors import UserError
from stablenew_api.jobs import JsonValue
from stablenew_kernel.domain.naming import DEFAULT_PATTERN, parse_pattern
from stablenew_kernel.domain.words import explain, near

_BOM = b"\xef\xbb\xbf"


class Settings(BaseModel):
    """Every setting, with its default."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    port: int = Field(
        0, ge=0, le=65535, description="TCP port of the kernel. 0: the one used last, or a free one."
    )
    after_crash: Literal["resume", "paused"] = Field(
        "resume",
        title="After a crash",
        description="What the queue does when the kernel did not end in good order.",
    )
    orphan_timeout: float = Field(
        60.0,
        gt=0,
        le=86_400,
        title="Patience with a lost node",
        description="Seconds until the job of a node that is out of touch is queued again.",
    )
    run_timeout: float = Field(
        600.0,
        gt=0,
        le=604_800,
        title="Longest time for an image",
        description="Seconds that one image may take on a node.",
    )
    confirm_above: int = Field(
        500,
        ge=0,
        title="Ask before more images than",
        description="Images that are queued unasked; a larger run needs a yes. 0: never ask.",
    )
    local_agent: bool = Field(
        True,
        title="Make images on this machine",
        description="Whether the kernel starts an agent on its own machine.",
    )
    local_slots: int = Field(
        1, ge=1, le=64, title="Images at a time", description="Images the local agent makes at a time."
    )
    local_backend: str = Field("embedded", min_length=1, description="Backend of the local agent, by name.")
    local_backend_options: tuple[str, ...] = Field(
        (), description="Options of that backend, each KEY=VALUE.", strict=False
    )
    keep_copies_days: int = Field(
        30,
        ge=0,
        le=36_500,
        title="Keep copies for days",
        description="Days for which the data folder keeps its own copy of an image that was saved or sent. "
        "0: for ever.",
    )
    frontend: str = Field(
        "desktop",
        min_length=1,
        title="Front end",
        description="What `stablenew` opens without a command, by name.",
    )
    output_folder: str = Field(
        "",
        description="Folder in which runs get theirs when they name none; an absolute path. Empty: outputs in "
        "the data folder.",
    )
    pack_folders: tuple[str, ...] = Field(
        (), description="Folders with packs, besides packs in the data folder.", strict=False
    )
    learning_mode: Literal["off", "passive", "active"] = Field(
        "passive",
        description="passive: each finished image is recorded, for later learning. off: ratings alone are. "
        "active: experiments, which are not built yet.",
    )
    scheduler: str = Field("affinity", min_length=1, description="Scheduler plugin, by name.")
    file_name: str = Field(
        DEFAULT_PATTERN,
        title="Names of image files",
        description="Pattern of image file names; see docs/metadata.md.",
    )
    disabled_plugins: tuple[str, ...] = Field(
        (), title="Plugins that are off", description="Plugins that are not loaded, by name.", strict=False
    )

    @field_validator("file_name")
    @classmethod
    def _known_fields(cls, text: str) -> str:
        try:
            parse_pattern(text)
        except UserError as error:
            raise ValueError(str(error)) from error
        return text

    @field_validator("learning_mode")
    @classmethod
    def _built(cls, mode: str) -> str:
        if mode == "active":
            raise ValueError("experiments are not built yet; use passive")
        return mode

    @field_validator("output_folder")
    @classmethod
    def _whole_path(cls, text: str) -> str:
        if text and not Path(text).is_absolute():
            raise ValueError("must be an absolute path, or empty")
        return text


AT_START = frozenset({"port", "after_crash", "orphan_timeout", "scheduler", "disabled_plugins"})
"""Settings that the kernel reads when it starts. All others take effect at once."""

OF_THE_LOCAL_AGENT = ("local_agent", "local_slots", "local_backend", "local_backend_options")
"""Settings that the local agent is started with."""


def parse_settings_toml(name: str, data: bytes) -> Settings:
    """Read ``data``, the content of the file ``name``; empty means all defaults.

    Raises UserError naming the file and the line or key.
    """
    try:
        values = tomllib.loads(data.removeprefix(_BOM).decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"{name}: not UTF-8 text; save the file as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{name}: not valid TOML: {error}") from error
    for key in values:
        if key not in Settings.model_fields:
            raise UserError(f"{name}: there is no setting {key!r}; {near(key, Settings.model_fields)}")
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0])
        raise UserError(f"{name}: {key}: {explain(first, Settings.model_fields.get(key))}") from error


def options_problem(kind: type[Backend], pairs: Sequence[str]) -> str:
    """What is wrong in ``KEY=VALUE`` options of a backend; empty: nothing."""
    fields = kind.Config.model_fields
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            return f"{pair!r}: write KEY=VALUE"
        if key not in fields:
            return f"{key}: backend {kind.name} has no such option; it has: {', '.join(fields) or 'none'}"
        options[key] = value
    try:
        kind.Config.model_validate(options)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return ""


def schema_of(name: str) -> dict[str, Any]:
    """JSON Schema of one setting, with its default and description."""
    schema = Settings.model_json_schema()["properties"][name]
    assert isinstance(schema, dict)
    return schema


def change_settings_toml(name: str, data: bytes, values: Mapping[str, JsonValue]) -> bytes:
    """``data``, the content of the file ``name``, with ``values`` in it; None takes a setting out, so that its
    default counts. Comments, order and everything that is not named stay, byte for byte.

    Raises UserError, as :func:`parse_settings_toml` does, for a file that cannot be read and for values that it
    would refuse.
    """
    import tomlkit  # few ever change anything, and everybody reads

    before = parse_settings_toml(name, data)
    for key in values:
        if key not in Settings.model_fields:
            raise UserError(f"there is no setting {key!r}; {near(key, Settings.model_fields)}")
    # Read from bytes: a text would have lost its line ends.
    text = data.removeprefix(_BOM).decode("utf-8")
    document = tomlkit.parse(text)
    plain = document.unwrap()
    for key, value in values.items():
        if value is None:
            document.pop(key, None)
        elif key not in plain or json.dumps(plain[key]) != json.dumps(value):
            document[key] = value
    changed = tomlkit.dumps(document)
    if "\r\n" in text and not re.search(r"(?<!\r)\n", text):
        changed = re.sub(r"(?<!\r)\n", "\r\n", changed)
    made = (_BOM if data.startswith(_BOM) else b"") + changed.encode("utf-8")
    try:
        after = parse_settings_toml(name, made)
    except UserError as error:  # the file is fine
        raise UserError(str(error).removeprefix(f"{name}: ")) from error
    expected = before.model_dump(mode="json", exclude_unset=True) | dict(values)
    kept = {key: value for key, value in expected.items() if value is not None}
    assert after == Settings.model_validate(kept), "what was written is what was asked for"
    return made
