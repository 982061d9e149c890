"""Reading a file that a person named, whatever it turns out to be."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stablenew_api.errors import UserError

LARGEST_IMAGE = 256 * 2**20
"""Bytes; room for any image."""

LARGEST_VALUE = 2 * 2**20
"""Bytes of a file that is the value of a setting; a workflow has some hundred kilobytes."""


def read_file(label: str, path: Path, most: int) -> bytes:
    """The bytes of the file ``path``, at most ``most`` of them.

    Raises UserError, with ``label`` in front, for one that is missing, a folder, larger or locked.
    """
    try:
        if path.is_dir():
            raise UserError(f"{label}: this is a folder; give a file in it")
        with path.open("rb") as file:
            data = file.read(most + 1)
    except FileNotFoundError as error:
        raise UserError(f"{label}: no such file") from error
    except OSError as error:
        raise UserError(f"{label}: cannot be read ({error.strerror}); check the file and its rights") from error
    if len(data) > most:
        raise UserError(f"{label}: larger than {most >> 20} MiB; is this the right file?")
    return data


def with_files(sets: Iterable[str]) -> list[str]:
    """``STAGE.KEY=@FILE`` with the file's text as the value; ``@@`` is an @. All else as it is.

    Raises UserError for a file that cannot be read, or is no text.
    """
    return [_with_file(text) for text in sets]


def _with_file(text: str) -> str:
    name, equals, value = text.partition("=")
    value = value.strip()
    if not value.startswith("@"):
        return text
    if value.startswith("@@"):
        return f"{name}{equals}{value[1:]}"
    data = read_file(f"--set {text}", Path(value[1:]).expanduser(), LARGEST_VALUE)
    try:
        return f"{name}{equals}{data.decode('utf-8-sig')}"
    except UnicodeDecodeError as error:
        raise UserError(f"--set {text}: this is no text in UTF-8 ({error.reason}); save it as UTF-8") from error
