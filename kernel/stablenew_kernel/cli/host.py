"""The plugins of this process, for the commands that ask no kernel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import UserError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

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


def load_host(
    data: DataFolder, entry_points: Iterable[EntryPoint] | None = None, *, with_folder: bool = True
) -> PluginHost:
    """Every plugin that ``data`` and this Python have; broken ones are listed with their reason.

    ``entry_points``: only these of what is installed; ``with_folder``: those of ``data`` too.

    Settings that cannot be read disable nothing here: a command must not fail for them, and the kernel and
    ``stablenew doctor`` say what is wrong.
    """
    from stablenew_api.host import PluginHost

    disabled: Sequence[str] = ()
    if data.settings.exists():  # else nothing is disabled, and what reads settings need not be loaded
        with suppress(UserError):
            disabled = read_settings(data).disabled_plugins
    folder = data.plugins if with_folder else None
    return PluginHost.load(role="cli", plugin_folder=folder, disabled=disabled, entry_points=entry_points)
