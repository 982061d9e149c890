"""``stablenew run``: a prompt pack in, finished images out."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stablenew_api.errors import NotConfirmed, UserError
from stablenew_client.packfiles import read_pack, request_of
from stablenew_client.packlists import PackLists, packs_of
from stablenew_client.reading import with_files
from stablenew_kernel.cli.context import App, json_option, pass_app
from stablenew_kernel.cli.exits import ExitCode
from stablenew_kernel.cli.output import plain, say, say_json, say_table

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import kernel_pb2 as pb

    Submit = Callable[[bool], pb.SubmitRunResponse | pb.ReplayResponse]

SHOWN = 50
"""Jobs that a dry run shows on a terminal unless asked for more."""

MANY_IMAGES = 50
"""So many take long enough to send for a word about it."""

_AXIS = re.compile(r"\w+\.\w+")
"""Slots that are settings; no slot of a text has such a name."""

show_option = click.option(
    "--show",
    type=click.IntRange(min=0),
    help="With --dry-run: no more than so many jobs. 0: all. On a terminal 50, else all.",
)
yes_option = click.option("--yes", is_flag=True, help="Queue it however many images it is; do not ask.")


@click.command("run")
@click.argument("packs", metavar="PACK", nargs=-1)
@click.option("--preset", default="", help="A preset by name, or the path of a .json file.")
@click.option("--rows", default="", metavar="1-3,7", help="Only these rows of the pack.")
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="STAGE.KEY=VALUE",
    help="Change a setting. May be given several times.",
)
@click.option("--like-last", is_flag=True, help="Settings of the last run, under --set and over all else.")
@click.option(
    "--axis",
    "axes",
    multiple=True,
    metavar="STAGE.KEY=A,B,C[:MODE]",
    help="Vary a setting. May be given several times.",
)
@click.option("--count", type=click.IntRange(min=1), help="Images a row.")
@click.option(
    "--from-stage",
    default="",
    metavar="STAGE",
    help="In place of a pack: run this stage, and those behind it that are on, on --images.",
)
@click.option(
    "--images",
    multiple=True,
    type=click.Path(),
    metavar="FOLDER",
    help="With --from-stage: a folder of images, a run's folder, or an image. May be given several times.",
)
@click.option("--prompt", help="With --images: this prompt, in place of the one in each image.")
@click.option("--negative", help="With --images: this negative prompt, in place of the one in each image.")
@click.option("--seed", type=click.IntRange(-1, 2**63 - 1), help="First seed; -1 draws one.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many images.")
@click.option("--sample", type=click.IntRange(min=1), help="So many images drawn from all there could be.")
@click.option(
    "--wildcards",
    multiple=True,
    type=click.Path(),
    metavar="DIR",
    help="A folder of wildcard files. May be given several times; the first one wins.",
)
@click.option("--out", type=click.Path(), default="", help="Folder in which the run's own folder is made.")
@click.option("--priority", type=int, default=0, show_default=True, help="Higher runs first.")
@click.option(
    "--report", "reports", multiple=True, help="Make this report at the end. May be given several times."
)
@click.option("--dry-run", is_flag=True, help="Show the jobs that would be queued; queue nothing.")
@show_option
@yes_option
@click.option("--explain", is_flag=True, help="Show each setting and where it comes from; queue nothing.")
@click.option("--detach", is_flag=True, help="Queue, print the run's id and return.")
@json_option
@pass_app
def command(
    app: App,
    /,
    packs: tuple[str, ...],
    from_stage: str,
    images: tuple[str, ...],
    prompt: str | None,
    negative: str | None,
    **options: Any,
) -> int:
    """Make the images of a prompt pack.

    PACK is a .txt or .tsv file; its sidecar, the .json file of the same name beside it, is read too. The
    defaults give way to the preset, the preset to the sidecar, the sidecar to --set. Ctrl-C cancels the run and
    waits for it to settle; a second Ctrl-C does not wait. PACK may be given several times, may be a folder or
    @LIST (see packs lists): each pack is a run of its own, one after the other.

    With --from-stage, later stages are run on images that exist, each with the settings in its metadata.
    """
    if from_stage or images or prompt is not None or negative is not None:
        given = (*images, *packs)  # a shell makes many arguments of *.png
        return run_images(app, from_stage, given, prompt=prompt, negative=negative, **options)
    if not packs:
        raise click.UsageError(
            "give a PACK, or --from-stage STAGE --images FOLDER", click.get_current_context()
        )
    code = 0
    chosen = chosen_packs(app, packs)
    for pack in chosen:
        if len(chosen) > 1 and not options["as_json"]:
            say(f"{pack}:")
        code = max(code, run_pack(app, pack=pack, **options))
        if code == ExitCode.CANCELLED:
            break
    return code


def run_images(
    app: App,
    from_stage: str,
    given: Sequence[str],
    *,
    prompt: str | None,
    negative: str | None,
    dry_run: bool,
    show: int | None,
    yes: bool,
    explain: bool,
    detach: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Run later stages on images that exist. Returns the exit code."""
    if not from_stage or not given:
        raise UserError("later stages need both: --from-stage STAGE --images FOLDER")
    for option in ("wildcards", "sample", "axes", "rows", "count"):
        if options[option]:
            name = {"axes": "axis"}.get(option, option)
            raise UserError(f"--{name}: later stages make one image of each image; leave it out")
    if explain:
        raise UserError("--explain: settings come from each image here; --dry-run --json shows each job")
    from stablenew_kernel.cli.sources import read_sources

    request = settings_of(options["preset"], options["sets"])
    sources = read_sources(app, given, prompt=prompt, negative=negative)
    request.pack_name = sources.name
    request.from_stage = from_stage
    request.images.extend(sources.messages)
    _common(request, options)
    with app.connect_or_start() as kernel:
        if dry_run:
            show_plan(lambda shown: kernel.preview(request, shown), show, as_json)
            return 0
        if len(sources.files) >= MANY_IMAGES and not as_json:
            say(f"sending {len(sources.files):,} images to the kernel")
        kernel.uploads.send(sources.files)

        def submit(confirmed: bool) -> pb.SubmitRunResponse:
            request.confirmed = confirmed
            return kernel.submit(request)

        return submit_and_follow(app, kernel, submit, yes=yes, detach=detach, as_json=as_json)


def settings_of(preset: str, sets: Sequence[str]) -> pb.RunRequest:
    """A request without a pack. Raises UserError for a preset that cannot be read."""
    from stablenew_client.packfiles import read_preset
    from stablenew_proto.v1 import kernel_pb2 as pb

    name, file_name, content = read_preset(preset) if preset else ("", "", b"")
    return pb.RunRequest(preset=name, preset_json=content, preset_name=file_name, sets=sets)


def _common(request: pb.RunRequest, options: Mapping[str, Any]) -> None:
    """What runs of packs and of images have in common."""
    request.like_last = options["like_last"]
    if options["seed"] is not None:
        request.seed = options["seed"]
    request.limit = options["limit"] or 0
    request.out_dir = absolute(options["out"])
    request.priority = options["priority"]
    request.reports.extend(options["reports"])


def chosen_packs(app: App, given: Sequence[str]) -> list[str]:
    """The packs that ``given`` means. Each can be read, or nothing is run: raises UserError otherwise."""
    named = [path for pack in given for path in (app_list(app, pack) if pack.startswith("@") else [pack])]
    packs = packs_of(named)
    if not packs:
        raise UserError(f"no pack in {', '.join(given)}; see: stablenew packs list")
    if len(packs) > 1:
        for pack in packs:
            read_pack(pack)
    return packs


def app_list(app: App, name: str) -> Sequence[str]:
    """The paths of the list ``@NAME``; a file of that name comes first."""
    return [name] if Path(name).exists() else PackLists(app.data).get(name[1:])


def run_pack(
    app: App,
    dry_run: bool,
    show: int | None,
    yes: bool,
    explain: bool,
    detach: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Run one pack. Returns the exit code."""
    request = make_request(**options)
    if explain:
        from stablenew_kernel.cli.library import say_explanation

        say_explanation(app, request, as_json)
        return 0
    with app.connect_or_start() as kernel:
        if dry_run:
            show_plan(lambda shown: kernel.preview(request, shown), show, as_json)
            return 0

        def submit(confirmed: bool) -> pb.SubmitRunResponse:
            request.confirmed = confirmed
            return kernel.submit(request)

        return submit_and_follow(app, kernel, submit, yes=yes, detach=detach, as_json=as_json)


def _made_of(job: pb.PlannedJob) -> str:
    """Prompts of a planned job, and the settings that vary in its run."""
    parts = [job.prompt, f"neg: {job.negative_prompt}"] if job.negative_prompt else [job.prompt]
    choices = json.loads(job.spec_json).get("provenance", {}).get("choices", [])
    settings = [f"{choice['slot']}={choice['value']}" for choice in choices if _AXIS.fullmatch(choice["slot"])]
    return " | ".join([*parts, *([", ".join(settings)] if settings else [])])


def make_request(
    pack: str,
    preset: str,
    rows: str,
    sets: tuple[str, ...],
    like_last: bool,
    axes: tuple[str, ...],
    count: int | None,
    seed: int | None,
    limit: int | None,
    sample: int | None,
    wildcards: tuple[str, ...],
    out: str,
    priority: int,
    reports: tuple[str, ...],
) -> pb.RunRequest:
    """What the options ask for. Raises UserError for a file that cannot be read."""
    request = request_of(read_pack(pack), preset, wildcards)
    request.rows = rows
    request.sets.extend(with_files(sets))
    request.like_last = like_last
    request.axes.extend(axes)
    if count is not None:
        request.count = count
    if seed is not None:
        request.seed = seed
    request.limit = limit or 0
    request.sample = sample or 0
    request.out_dir = absolute(out)
    request.priority = priority
    request.reports.extend(reports)
    request.pack_path = pack
    return request


def absolute(folder: str) -> str:
    """``folder`` as the kernel, which stands elsewhere, can use it; empty stays empty."""
    return str(Path(folder).expanduser().absolute()) if folder else ""


def submit_and_follow(
    app: App, kernel: KernelClient, submit: Submit, *, yes: bool, detach: bool, as_json: bool
) -> int:
    """Queue with ``submit(confirmed)`` and stay until the run ends, unless ``detach``. Returns the exit code.

    A plan so large that it needs a yes is asked about on a terminal; elsewhere NotConfirmed is raised.
    """
    try:
        return _submit_and_follow(app, kernel, partial(submit, yes), detach=detach, as_json=as_json)
    except NotConfirmed as error:
        if as_json:
            from stablenew_proto.v1 import kernel_pb2 as pb

            say_json({"event": "question", **plain(pb.PlanSummary.FromString(error.summary))})
            return ExitCode.NOT_CONFIRMED
        if not can_ask():
            raise NotConfirmed(f"{error} To queue them all, add --yes; nothing was queued") from error
        say(str(error))
        if not click.confirm("Queue them all?", default=False):
            say("nothing was queued")
            return ExitCode.NOT_CONFIRMED
    return _submit_and_follow(app, kernel, partial(submit, True), detach=detach, as_json=as_json)


def can_ask() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _submit_and_follow(
    app: App,
    kernel: KernelClient,
    submit: Callable[[], pb.SubmitRunResponse | pb.ReplayResponse],
    *,
    detach: bool,
    as_json: bool,
) -> int:
    from stablenew_kernel.cli.follow import Follower
    from stablenew_kernel.cli.interrupts import Interrupts
    from stablenew_kernel.cli.screens import PlainScreen, choose_screen

    # Counted from before the submit on: a Ctrl-C that hits it must cancel the run, not lose sight of it.
    with Interrupts() as interrupts:
        answer = submit()
        if detach:
            if as_json:
                say_json({"event": "submitted", "run_id": answer.run_id, **plain(answer.summary)})
            else:
                PlainScreen().submitted(answer.run_id, answer.summary)
                say(f"watch it with: stablenew queue watch {answer.run_id}")
            return 0
        screen = choose_screen(as_json)
        screen.submitted(answer.run_id, answer.summary)
        follower = Follower(app, kernel, answer.run_id, screen, interrupts, cancel_on_interrupt=True)
        return follower.follow(answer.summary.seconds)


def show_plan(
    preview: Callable[[int], Iterable[pb.PreviewRunResponse]], show: int | None, as_json: bool
) -> None:
    """What ``preview(show)`` tells, for a person or a script. ``show``: jobs at most, 0: all; None: what fits
    where it goes."""
    if show is None:
        show = SHOWN if sys.stdout.isatty() and not as_json else 0
    if as_json:
        for message in preview(show):
            for job in message.jobs:
                say_json({"event": "job", **plain(job)})
            if message.HasField("summary"):
                say_json({"event": "summary", **plain(message.summary)})
        return
    summaries: list[pb.PlanSummary] = []
    shown = 0

    def rows() -> Iterator[tuple[object, ...]]:
        nonlocal shown
        for message in preview(show):
            for job in message.jobs:
                shown += 1
                stages, node = " > ".join(job.stages), job.node or "(none yet)"
                yield job.index + 1, job.row, job.seed, stages, node, _made_of(job), job.reason
            if message.HasField("summary"):
                summaries.append(message.summary)

    headers = ("#", "row", "seed", "stages", "node", "prompt", "why")
    say_table(headers, rows(), keep=("#", "row", "seed"))
    for summary in summaries:
        say(f"... and {summary.jobs - shown:,} more (--show 0: all)" if summary.jobs > shown else "")
        say(f"{summary.line}; nothing was queued (--dry-run)")
        if summary.time:
            say(summary.time)
        if summary.out_dir:
            say(f"they would go into a new folder in {summary.out_dir}")
        for warning in summary.warnings:
            say(f"warning: {warning}")
        if summary.question:
            say("queueing so many asks first; --yes agrees beforehand")
