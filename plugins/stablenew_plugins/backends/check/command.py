"""``stablenew backend check``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

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
