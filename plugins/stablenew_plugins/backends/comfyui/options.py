"""Options of the backend: ``stablenew-agent --backend comfyui --backend-option KEY=VALUE``."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator


class ComfyConfig(BaseModel):
    """Options of the ComfyUI backend."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(
        "http://127.0.0.1:8188",
        title="Address",
        description="Of the ComfyUI server, as in the browser.",
    )
    checkpoint: str = Field(
        "",
        title="Checkpoint",
        description="Used where a job names none. Empty: the first that ComfyUI lists.",
    )
    auth: str = Field(
        "",
        title="User and password",
        description="USER:PASSWORD, where a proxy in front of ComfyUI asks for them. ComfyUI itself does not.",
    )
    verify_tls: bool = Field(
        True,
        title="Check the certificate",
        description="Of an https address. Off: any certificate is taken.",
    )
    previews: bool = Field(
        True,
        title="Previews",
        description="Ask ComfyUI for previews while it samples. They cost it a few milliseconds a step.",
    )
    connect_timeout: float = Field(
        5.0, gt=0, le=600, title="Time to connect", description="In seconds. No answer by then: not there."
    )
    read_timeout: float = Field(
        60.0,
        gt=0,
        le=3600,
        title="Time of a call",
        description="Seconds that any one call may take, a download of a result too.",
    )
    stall_timeout: float = Field(
        600.0,
        gt=0,
        le=86_400,
        title="Longest silence",
        description="Seconds without any sign of progress while the job runs, loading of models included. "
        "Then it counts as hung and is interrupted.",
    )
    job_timeout: float = Field(
        3600.0,
        gt=0,
        le=86_400,
        title="Longest job",
        description="Seconds from sending a job to its result, waiting in ComfyUI's queue included.",
    )
    lost_timeout: float = Field(
        30.0,
        gt=0,
        le=3600,
        title="Longest absence",
        description="Seconds that ComfyUI may give no answer while a job of ours is there.",
    )

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        text = value.strip()
        if "://" not in text:
            text = f"http://{text}"
        try:
            parts = urlsplit(text)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            usable = False
        if not usable:
            raise ValueError("must be an address such as http://127.0.0.1:8188")
        return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))

    @field_validator("auth")
    @classmethod
    def _pair(cls, value: str) -> str:
        if value and ":" not in value:
            raise ValueError("must be USER:PASSWORD")
        return value
