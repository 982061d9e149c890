"""``stablenew backend check`` and ``use``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from stablenew_api.datafolder import DataFolder

if TYPE_CHECKING:
    from stablenew_plugins.backends.check.evaluate import Check


@click.group("backend")
def backend() -> None:
    """The servers that make images."""


@backend.command("check")
@click.argument("url")
@click.option(
    "--auth", default="", metavar="USER:PASSWORD", help="As --api-auth of the WebUI has it; kept nowhere."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def check(url: str, auth: str, as_json: bool) -> int:
    """Say whether the server at URL is usable, what it lacks and what to change.

    A1111, Forge, reForge, SD.Next and ComfyUI are recognised by what they answer; nothing is generated or
    changed. Ends with 0 if it is usable, also with notes, and with 1 if something must be fixed first.
    """
    from stablenew_plugins.backends.check.evaluate import evaluate
    from stablenew_plugins.backends.check.probe import ask, parse_target

    target = parse_target(url, auth)
    found = evaluate(target.url, target.auth is not None, ask(target))
    if as_json:
        told = {
            "url": target.url,
            "kind": found.kind,
            "name": found.name,
            "version": found.version,
            "usable": found.usable,
            "to_fix": found.to_fix,
            "findings": [asdict(finding) for finding in found.findings],
        }
        click.echo(json.dumps(told, indent=1))
    else:
        for line in _lines(found):
            click.echo(line)
    return 0 if found.usable else 1


@backend.command("use")
@click.argument("url")
@click.option("--auth", default="", metavar="USER:PASSWORD", help="As for check. No password is written.")
@click.option("--dry-run", is_flag=True, help="Show the lines, and make no file.")
@click.pass_context
def use(ctx: click.Context, url: str, auth: str, dry_run: bool) -> int:
    """Have the images made by the server at URL: a WebUI or a ComfyUI.

    Checks it as `check` does, and says which lines settings.toml of the data folder needs. Where there is no
    such file, it is made; one that is there is left as it is. Ends with 0 if the settings are in place, with 1
    if the server is not usable, and with 2 if the lines are left to you.
    """
    from stablenew_plugins.backends.check.evaluate import evaluate
    from stablenew_plugins.backends.check.probe import ask, parse_target
    from stablenew_plugins.backends.check.settings import create, lines_for

    data: DataFolder = ctx.obj.data
    target = parse_target(url, auth)
    found = evaluate(target.url, target.auth is not None, ask(target))
    for line in _lines(found):
        click.echo(line)
    if not found.usable:
        return 1
    user = target.auth[0] if target.auth is not None else ""
    lines, advice = lines_for(found.kind, target.url, user)
    click.echo("")
    if not dry_run:
        data.create()
    done = not dry_run and create(data.settings, lines)
    click.echo(f"{data.settings} has:" if done else f"put this into {data.settings}, in place of such lines:")
    for line in lines:
        click.echo(f"    {line}")
    if advice:
        click.echo(advice)
    if data.read_kernel() is not None:
        click.echo("the kernel reads them when it starts: stablenew kernel stop, then go on as always")
    return 0 if done or dry_run else 2


def _lines(found: Check) -> list[str]:
    width = max(len(finding.topic) for finding in found.findings)
    lines = []
    for finding in found.findings:
        lines.append(f"{finding.level:<5} {finding.topic:<{width}}  {' '.join(finding.text.split())}")
        if finding.advice:
            lines.append(f"{'':<5} {'':<{width}}  -> {finding.advice}")
    notes = sum(finding.level == "note" for finding in found.findings)
    if found.to_fix:
        last = f"not usable: {found.to_fix} thing{'s' if found.to_fix > 1 else ''} to fix"
    elif notes:
        last = f"usable, with {notes} note{'s' if notes > 1 else ''}"
    else:
        last = "usable"
    return [*lines, "", last]
