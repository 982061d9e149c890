"""The front end ``desktop``: what ``stablenew`` opens."""

from __future__ import annotations

from stablenew_api.datafolder import DataFolder
from stablenew_api.frontend import Frontend


class Desktop(Frontend):
    """A window with everything in it."""

    name = "desktop"
    title = "Desktop"

    @classmethod
    def missing(cls) -> str:
        """See :func:`~stablenew_plugins.desktop.display.missing`."""
        from stablenew_plugins.desktop.display import missing

        return missing()

    def run(self, data: DataFolder) -> int:
        """Open the window; see :class:`~stablenew_plugins.desktop.app.App`."""
        from stablenew_plugins.desktop.app import open_window

        return open_window(data)
