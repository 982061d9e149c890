"""Reading a file that a person named, whatever it turns out to be."""

from __future__ import annotations

from pathlib import Path

from stablenew_api.errors import UserError

LARGEST_IMAGE = 256 * 2**20
"""Bytes; room for any image."""


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
