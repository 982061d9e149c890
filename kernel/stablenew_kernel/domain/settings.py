"""The person's settings: ``settings.toml`` in the data folder. Read when the kernel starts, never written."""

from __future__ import annotations

import tomllib
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from stablenew_api.errors import UserError
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
        "resume", description="What the queue does when the kernel did not end in good order."
    )
    orphan_timeout: float = Field(
        60.0,
        gt=0,
        le=86_400,
        description="Seconds until the job of a node that is out of touch is queued again.",
    )
    run_timeout: float = Field(
        600.0, gt=0, le=604_800, description="Seconds that one image may take on a node."
    )
    confirm_above: int = Field(
        500, ge=0, description="Images that are queued unasked; a larger run needs a yes. 0: never ask."
    )
    local_agent: bool = Field(True, description="Whether the kernel starts an agent on its own machine.")
    local_slots: int = Field(1, ge=1, le=64, description="Images the local agent makes at a time.")
    local_backend: str = Field("embedded", min_length=1, description="Backend of the local agent, by name.")
    local_backend_options: tuple[str, ...] = Field(
        (), description="Options of that backend, each KEY=VALUE.", strict=False
    )
    keep_copies_days: int = Field(
        30,
        ge=0,
        le=36_500,
        description="Days for which the data folder keeps its own copy of an image that was saved or sent. "
        "0: for ever.",
    )
    frontend: str = Field(
        "desktop", min_length=1, description="What `stablenew` opens without a command, by name."
    )
    scheduler: str = Field("affinity", min_length=1, description="Scheduler plugin, by name.")
    file_name: str = Field(DEFAULT_PATTERN, description="Pattern of image file names; see docs/metadata.md.")
    disabled_plugins: tuple[str, ...] = Field(
        (), description="Plugins that are not loaded, by name.", strict=False
    )

    @field_validator("file_name")
    @classmethod
    def _known_fields(cls, text: str) -> str:
        try:
            parse_pattern(text)
        except UserError as error:
            raise ValueError(str(error)) from error
        return text


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
