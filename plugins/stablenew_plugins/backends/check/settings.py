"""The lines of settings.toml that make the local agent use a server. Written only where there is no file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stablenew_api.errors import UserError
from stablenew_plugins.backends.check.evaluate import WEBUI


def options_for(kind: str, url: str, user: str) -> tuple[list[str], str]:
    """The options of a backend that uses a server of ``kind``, and what is left to do for ``user``'s password
    (empty: nothing)."""
    options = [f"url={url}"]
    advice = ""
    if user and kind == WEBUI:
        options.append(f"user={user}")
        advice = (
            "the password: in the environment variable STABLENEW_WEBUI_PASSWORD, or as an option, password=..."
        )
    elif user:
        options.append(f"auth={user}:PASSWORD")
        advice = "write the password in place of PASSWORD"
    return options, advice


def lines_for(kind: str, url: str, user: str) -> tuple[list[str], str]:
    """The lines for a server of ``kind``, and the advice of :func:`options_for`."""
    options, advice = options_for(kind, url, user)
    # A JSON string is a TOML basic string, but for DEL, which no address has.
    return [
        f"local_backend = {json.dumps(kind)}",
        f"local_backend_options = {json.dumps(options, ensure_ascii=False)}",
    ], advice


def create(settings: Path, lines: Sequence[str]) -> bool:
    """Write the file if there is none; what a person wrote is never changed. Whether it has the lines now: a
    file that says the same already will do.

    Raises UserError for a file that cannot be read or written, or is no TOML.
    """
    text = "".join(f"{line}\n" for line in lines)
    try:
        with settings.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        return tomllib.loads(text).items() <= _read(settings).items()
    except OSError as error:
        raise UserError(f"{settings}: {error.strerror}; check its rights") from error
    return True


def _read(settings: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(settings.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{settings}: {error.strerror}; check its rights") from error
    except ValueError as error:
        raise UserError(f"{settings}: {error}; mend it first") from error
