"""``stablenew runs``: what was run."""

from __future__ import annotations

import click

from stablenew_kernel.cli.context import App, json_option, pass_app
from stablenew_kernel.cli.output import plain, say, say_json, say_table


@click.command("runs")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many.")
@json_option
@pass_app
def command(app: App, limit: int, as_json: bool) -> None:
    """List runs, the newest first."""
    with app.connect_or_start() as kernel:
        runs = kernel.runs(limit)
    if as_json:
        say_json([plain(run) for run in runs], indent=1)
        return
    if not runs:
        say("no runs yet; make one with: stablenew run PACK")
        return
    rows = [
        (
            run.run_id,
            run.name,
            run.state,
            f"{run.done}/{run.total}",
            run.failed or "",
            run.created_at,
            run.out_dir,
        )
        for run in runs
    ]
    say_table(("run", "name", "state", "images", "failed", "made", "folder"), rows, keep=("run",))
