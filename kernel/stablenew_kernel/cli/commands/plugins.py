"""``stablenew plugins``: what is plugged in, and what is wrong with what is not."""

from __future__ import annotations

from typing import Any

import click

from stablenew_api.errors import KernelUnavailable
from stablenew_kernel.cli.context import App, json_option, pass_app
from stablenew_kernel.cli.host import load_host
from stablenew_kernel.cli.output import plain, say_json, say_table


@click.command("plugins")
@json_option
@pass_app
def command(app: App, as_json: bool) -> None:
    """List every plugin: active, disabled, incompatible or failed, and why.

    The running kernel is asked. Where none runs, this command loads the plugins itself.
    """
    plugins = list_plugins(app)
    if as_json:
        say_json(plugins, indent=1)
        return
    rows = [
        (
            item["name"],
            item["state"],
            " ".join(part for part in (item["distribution"], item["version"]) if part),
            item["reason"] or ", ".join(item["provides"]),
        )
        for item in plugins
    ]
    say_table(("plugin", "state", "from", "provides, or what is wrong"), rows, keep=("plugin", "state"))


def list_plugins(app: App) -> list[dict[str, Any]]:
    """Each plugin's name, version, distribution, state, reason and what it provides."""
    try:
        with app.connect() as kernel:
            return [plain(plugin) for plugin in kernel.plugins()]
    except KernelUnavailable:
        return [dict(info.to_json()) for info in load_host(app.data).plugins]
