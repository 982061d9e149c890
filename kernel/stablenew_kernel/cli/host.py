"""The plugins of this process, for the commands that ask no kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import UserError

if TYPE_CHECKING:
    from stablenew_api.host import PluginHost
    from stablenew_kernel.domain.settings import Settings


def read_settings(data: DataFolder) -> Settings:
    """The person's settings; the defaults where there is no file.

    Raises UserError, naming the file and the key, for what cannot be read.
    """
    from stablenew_kernel.domain.settings import parse_settings_toml

    try:
        content = data.settings.read_bytes()
    except FileNotFoundError:
        content = b""
    except OSError as error:
        raise UserError(f"{data.settings}: {error.strerror}; check its rights") from error
    return parse_settings_toml(str(data.settings), content)


def load_host(data: DataFolder) -> PluginHost:
    """Every plugin that ``data`` and this Python have; broken ones are listed with their reason.

    Settings that cannot be read disable nothing here: a command must not fail for them, and the kernel and
    ``stablenew doctor`` say what is wrong.
    """
    from stablenew_api.host import PluginHost

    try:
        disabled = read_settings(data).disabled_plugins
    except UserError:
        disabled = ()
    return PluginHost.load(role="cli", plugin_folder=data.plugins, disabled=disabled)
