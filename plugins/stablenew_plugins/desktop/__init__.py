"""The desktop: a Dear PyGui front end.

``models`` is all that can be known and done, as plain Python that never draws; ``panels`` draw the models, each
one a part of the window, out of the small parts in ``components``, in the looks of ``theme``; ``app`` owns the
window and the one thread that draws. A new panel is a file in ``models``, one in ``panels``, and a line in
``panels/shell.py``.

Modules load Dear PyGui only when the window opens: agents and workers load this plugin too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stablenew_api import hookimpl

if TYPE_CHECKING:
    from stablenew_api.frontend import Frontend


@hookimpl
def stablenew_frontends() -> Sequence[type[Frontend]]:
    """The desktop."""
    from stablenew_plugins.desktop.frontend import Desktop

    return [Desktop]
