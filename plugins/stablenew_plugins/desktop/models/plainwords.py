"""What went wrong, in plain words: what happened, what to try, and the technical text for whoever wants it."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from stablenew_api.errors import KernelUnavailable, StableNewError, UserError
from stablenew_plugins.desktop.text import _


@dataclass(frozen=True, slots=True)
class Told:
    """An error for people."""

    text: str
    hint: str = ""
    """What to try."""
    detail: str = ""
    """Technical: a traceback, a backend's reply."""


def explain(error: Exception) -> Told:
    """``error`` for people."""
    if isinstance(error, UserError):
        text, _sep, hint = str(error).partition("; ")
        return Told(_sentence(text), _sentence(hint))
    if isinstance(error, KernelUnavailable):
        return Told(_("The kernel does not answer."), _("It is tried again by itself."), str(error))
    if isinstance(error, StableNewError):
        return Told(_("The kernel could not do that."), "", str(error))
    detail = "".join(traceback.format_exception(error))
    return Told(_("Something in the window went wrong. Your runs and files are not affected."), "", detail)


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if not text or text.endswith((".", "?", "!")) else ".")
