"""Options of the WebUI backend."""

from __future__ import annotations

import json
import os
import shlex
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

PASSWORD_VARIABLE = "STABLENEW_WEBUI_PASSWORD"  # noqa: S105 - the name of a variable
"""Environment variable with the password, for those who want it in no command line and no settings file."""


class WebUIConfig(BaseModel):
    """Options of the WebUI backend (``--backend-option KEY=VALUE``)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(
        "http://127.0.0.1:7860",
        title="Address",
        description="Address of the WebUI, http or https. It must have been started with --api.",
    )
    user: str = Field("", title="User", description="User name of --api-auth. Empty: none.")
    password: str = Field(
        "",
        repr=False,
        title="Password",
        description=f"Password of --api-auth. Empty: what {PASSWORD_VARIABLE} says.",
    )
    verify_tls: bool = Field(
        True, title="Check the certificate", description="Whether an https certificate must be valid."
    )
    ca_file: str = Field(
        "",
        title="CA file",
        description="PEM file of who signed the certificate. Empty: well-known ones.",
    )
    connect_timeout: float = Field(
        5.0,
        gt=0,
        le=120,
        title="Connect timeout",
        description="Seconds until the server must take a connection.",
    )
    read_timeout: float = Field(
        30.0,
        gt=0,
        le=600,
        title="Read timeout",
        description="Seconds until a question (a list, the progress) must be answered.",
    )
    job_timeout: float = Field(
        600.0,
        gt=0,
        le=86_400,
        title="Job timeout",
        description="Seconds until an image must be there, all of it.",
    )
    hang_timeout: float = Field(
        180.0,
        gt=0,
        le=86_400,
        title="Hang timeout",
        description="Seconds without any answer while a job runs, after which the server counts as hung. "
        "Loading a model keeps some servers silent for a while.",
    )
    max_reply_mib: int = Field(
        512,
        ge=1,
        le=4096,
        title="Largest reply",
        description="MiB that a reply may have; larger ones are refused.",
    )
    poll_interval: float = Field(
        0.5,
        ge=0.05,
        le=60,
        title="Poll interval",
        description="Least seconds between two questions for progress.",
    )
    exclusive: bool = Field(
        True,
        title="Ours alone",
        description="Whether no other program has this server make images. Only then is a job interrupted on a "
        "server that cannot say whose job runs.",
    )
    start_command: tuple[str, ...] = Field(
        (),
        title="Start command",
        description="Program and arguments that start the WebUI when nobody answers, as a JSON list or as "
        "words; no shell reads it. Empty: it is never started.",
    )
    start_folder: str = Field("", title="Start folder", description="Folder in which it is started.")
    start_timeout: float = Field(
        600.0, gt=0, le=7200, title="Start timeout", description="Seconds until a started WebUI must answer."
    )

    @field_validator("url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        try:
            parts = urlsplit(value.strip())
            port = parts.port
        except ValueError as error:
            raise ValueError(f"must be an address such as http://127.0.0.1:7860 ({error})") from error
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise ValueError("must be an address such as http://127.0.0.1:7860")
        if "@" in parts.netloc:
            raise ValueError("must not hold user and password; they are options of their own")
        if parts.query or parts.fragment:
            raise ValueError("must end with the path")
        return value.strip().rstrip("/")

    @field_validator("start_command", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if not value.lstrip().startswith("["):
            return tuple(shlex.split(value))
        words = json.loads(value)
        if not all(isinstance(word, str) for word in words):
            raise ValueError("must be a list of texts")
        return tuple(words)

    @property
    def secret(self) -> str:
        """The password, wherever it stands."""
        return self.password or os.environ.get(PASSWORD_VARIABLE, "")

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Where the server listens."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def max_reply_bytes(self) -> int:
        """Bytes that a reply may have."""
        return self.max_reply_mib * 1024 * 1024
