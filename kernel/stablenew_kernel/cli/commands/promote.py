"""``stablenew promote``: later stages on the images that were rated best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stablenew_api.errors import UserError
from stablenew_kernel.cli.commands.run import (
    absolute,
    settings_of,
    show_option,
    show_plan,
    submit_and_follow,
    yes_option,
)
from stablenew_kernel.cli.context import App, find_run, json_option, pass_app
from stablenew_kernel.cli.output import plain, say, say_json

if TYPE_CHECKING:
    from stablenew_proto.v1 import kernel_pb2 as pb


@click.command("promote")
@click.option("--min-rating", type=click.IntRange(1, 5), required=True, help="So many stars or more.")
@click.option("--stages", required=True, metavar="STAGE,STAGE", help="What is done to them, and nothing else.")
@click.option("--tag", "tags", multiple=True, help="Only those with this tag. May be given several times.")
@click.option("--run", default="", metavar="RUN", help="Only those of this run.")
@click.option("--since", default="", metavar="DATE", help="Only those rated at this time or later: 2026-11-27.")
@click.option("--again", is_flag=True, help="Also those that were promoted with the same settings before.")
@click.option("--preset", default="", help="A preset by name, or the path of a .json file.")
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="STAGE.KEY=VALUE",
    help="Change a setting. May be given several times.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many images.")
@click.option("--out", type=click.Path(), default="", help="Folder in which the run's own folder is made.")
@click.option("--priority", type=int, default=0, show_default=True, help="Higher runs first.")
@click.option("--dry-run", is_flag=True, help="Show the jobs that would be queued; queue nothing.")
@show_option
@yes_option
@click.option("--detach", is_flag=True, help="Queue, print the run's id and return.")
@json_option
@pass_app
def command(
    app: App,
    min_rating: int,
    stages: str,
    tags: tuple[str, ...],
    run: str,
    since: str,
    again: bool,
    preset: str,
    sets: tuple[str, ...],
    limit: int | None,
    out: str,
    priority: int,
    dry_run: bool,
    show: int | None,
    yes: bool,
    detach: bool,
    as_json: bool,
) -> int:
    """Run later stages on images that are rated well.

    The latest rating of an image counts (see: stablenew rate). Each is found by its pixels, wherever its file
    is by now, and goes on with the settings that it was made with. What was promoted with the same stages and
    settings before is left out.
    """
    from stablenew_proto.v1 import kernel_pb2 as pb

    names = [name.strip() for name in stages.split(",") if name.strip()]
    if not names:
        raise UserError("--stages: name one at least, for example --stages adetailer,upscale")
    request = settings_of(preset, sets)
    request.only_stages.extend(names)
    request.promote.CopyFrom(pb.Promotion(min_rating=min_rating, tags=tags, since=since, again=again))
    request.limit = limit or 0
    request.out_dir = absolute(out)
    request.priority = priority
    with app.connect_or_start() as kernel:
        if run:
            request.promote.run_id = find_run(kernel, run)
        if dry_run:
            show_plan(lambda shown: kernel.preview(request, shown), show, as_json)
            return 0
        for message in kernel.preview(request, 1):  # nothing new to promote is no error: it is said
            if message.HasField("summary") and not message.summary.jobs:
                _say_nothing(message.summary, as_json)
                return 0

        def submit(confirmed: bool) -> pb.SubmitRunResponse:
            request.confirmed = confirmed
            return kernel.submit(request)

        return submit_and_follow(app, kernel, submit, yes=yes, detach=detach, as_json=as_json)


def _say_nothing(summary: pb.PlanSummary, as_json: bool) -> None:
    if as_json:
        say_json({"event": "summary", **plain(summary)})
        return
    for warning in summary.warnings:
        say(f"warning: {warning}")
    say("nothing was queued")
