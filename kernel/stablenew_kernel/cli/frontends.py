"""What ``stablenew`` opens when it is given no command: the front end that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stablenew_api.errors import UserError
from stablenew_kernel.cli.host import load_host, read_settings
from stablenew_kernel.cli.plugin_commands import naming

if TYPE_CHECKING:
    from stablenew_api.datafolder import DataFolder
    from stablenew_api.frontend import Frontend

HOOK = "stablenew_frontends"
DEFAULT = "desktop"
"""Where there are no settings, and what reads them need not be loaded: the same as in theirs, a test says."""


def chosen_frontend(data: DataFolder) -> type[Frontend]:
    """The one that ``frontend`` in the settings names. Raises UserError if there is none of that name.

    Loading every plugin takes longer than opening a window, so those whose source names the hook come first.
    """
    name = read_settings(data).frontend if data.settings.exists() else DEFAULT
    points, with_folder = naming(HOOK, data)
    host = load_host(data, points, with_folder=with_folder)
    if name not in host.frontends:
        host = load_host(data)
    if name in host.frontends:
        return host.frontends[name]
    known = ", ".join(sorted(host.frontends)) or "none"
    raise UserError(
        f"{data.settings}: frontend: there is no front end {name!r} (there are: {known}); "
        "see: stablenew plugins"
    )
