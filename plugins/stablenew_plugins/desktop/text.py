"""What people read, ready for other languages: every text of the desktop goes through :func:`_`.

A language is a gettext catalogue ``stablenew.mo`` in ``assets/locale/LANGUAGE/LC_MESSAGES``; without one the
English text in the code is what is shown. ``xgettext -k_ -kmany:1,2`` collects the texts.
"""

from __future__ import annotations

import gettext
import re
from pathlib import Path

LOCALES = Path(__file__).parent / "assets" / "locale"
_ROWS = re.compile(r"(^|: |\(|\(of |\+ )([\d,]+) row(s?)\b")
"""A number of rows in a formula of the kernel; behind a times sign "row" would be the name of a slot."""
_catalogue = gettext.translation("stablenew", LOCALES, fallback=True)


def _(text: str) -> str:
    """``text`` in the person's language."""
    return _catalogue.gettext(text)


def many(one: str, more: str, count: int) -> str:
    """``one`` or ``more``, as ``count`` and the language want it, with ``{n}`` replaced by the count."""
    return _catalogue.ngettext(one, more, count).replace("{n}", f"{count:,}")


def formula(line: str) -> str:
    """How the kernel counts a run, ``2 rows x 3 times``, as the window says it: ``2 prompts × 3 times``."""
    return _ROWS.sub(r"\1\2 prompt\3", line).replace(" x ", " × ")


def duration(seconds: float) -> str:
    """``75`` as ``1:15``, ``4000`` as ``1 h 07 min``. For counting down."""
    whole = max(0, round(seconds))
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size_of(count: float) -> str:
    """A number of bytes as people say it: ``14.9 GB``."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit in ("B", "KB") else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("unreachable")
