"""``stablenew run``: a prompt pack in, finished images out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stablenew_kernel.cli.context import App, json_option, pass_app
from stablenew_kernel.cli.output import plain, say, say_json, say_table
from stablenew_kernel.cli.packs import LARGEST, read_pack, read_preset, read_wildcards

if TYPE_CHECKING:
    from stablenew_client import KernelClient
    from stablenew_proto.v1 import kernel_pb2 as pb


@click.command("run")
@click.argument("pack")
@click.option("--preset", default="", help="A preset by name, or the path of a .json file.")
@click.option("--rows", default="", metavar="1-3,7", help="Only these rows of the pack.")
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="STAGE.KEY=VALUE",
    help="Change a setting. May be given several times.",
)
@click.option(
    "--axis",
    "axes",
    multiple=True,
    metavar="STAGE.KEY=A,B,C[:MODE]",
    help="Vary a setting. May be given several times.",
)
@click.option("--count", type=click.IntRange(min=1), help="Images a row.")
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
@click.option("--dry-run", is_flag=True, help="Show every job that would be queued; queue nothing.")
@click.option("--detach", is_flag=True, help="Queue, print the run's id and return.")
@json_option
@pass_app
def command(app: App, /, dry_run: bool, detach: bool, as_json: bool, **options: Any) -> int:
    """Make the images of a prompt pack.

    PACK is a .txt or .tsv file; its sidecar, the .json file of the same name beside it, is read too. The
    defaults give way to the preset, the preset to the sidecar, the sidecar to --set. Ctrl-C cancels the run and
    waits for it to settle; a second Ctrl-C does not wait.
    """
    request = make_request(**options)
    with app.connect_or_start() as kernel:
        if dry_run:
            _preview(kernel, request, as_json)
            return 0
        return submit_and_follow(app, kernel, lambda: kernel.submit(request), detach=detach, as_json=as_json)


def make_request(
    pack: str,
    preset: str,
    rows: str,
    sets: tuple[str, ...],
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
    files = read_pack(pack)
    preset_name, preset_file, preset_json = read_preset(preset) if preset else ("", "", b"")
    room = LARGEST - len(files.pack) - len(files.sidecar) - len(preset_json)
    wildcard_files = read_wildcards(files.path, wildcards, room)
    from stablenew_proto.v1 import kernel_pb2 as pb

    return pb.RunRequest(
        pack_name=files.path.name,
        pack=files.pack,
        sidecar=files.sidecar,
        sidecar_name=files.sidecar_path.name if files.sidecar else "",
        preset=preset_name,
        preset_json=preset_json,
        preset_name=preset_file,
        rows=rows,
        sets=sets,
        axes=axes,
        count=count,
        seed=seed,
        limit=limit or 0,
        sample=sample or 0,
        out_dir=absolute(out),
        priority=priority,
        reports=reports,
        pack_path=pack,
        wildcards=[pb.NamedFile(name=name, content=content) for name, content in wildcard_files.items()],
    )


def absolute(folder: str) -> str:
    """``folder`` as the kernel, which stands elsewhere, can use it; empty stays empty."""
    return str(Path(folder).expanduser().absolute()) if folder else ""


def submit_and_follow(app: App, kernel: KernelClient, submit: Any, *, detach: bool, as_json: bool) -> int:
    """Queue with ``submit()`` and stay until the run ends, unless ``detach``. Returns the exit code."""
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
        return Follower(app, kernel, answer.run_id, screen, interrupts, cancel_on_interrupt=True).follow()


def _preview(kernel: KernelClient, request: pb.RunRequest, as_json: bool) -> None:
    if as_json:
        for message in kernel.preview(request):
            for job in message.jobs:
                say_json({"event": "job", **plain(job)})
            if message.HasField("summary"):
                say_json({"event": "summary", **plain(message.summary)})
        return
    summaries: list[pb.PlanSummary] = []
    headers = ("#", "row", "seed", "stages", "node", "prompt", "why")
    say_table(headers, _preview_rows(kernel, request, summaries), keep=("#", "row", "seed"))
    for summary in summaries:
        say()
        say(f"{summary.line}; nothing was queued (--dry-run)")
        if summary.out_dir:
            say(f"they would go into a new folder in {summary.out_dir}")
        for warning in summary.warnings:
            say(f"warning: {warning}")


def _preview_rows(
    kernel: KernelClient, request: pb.RunRequest, summaries: list[pb.PlanSummary]
) -> Iterator[tuple[object, ...]]:
    for message in kernel.preview(request):
        for job in message.jobs:
            prompt = job.prompt + (f" | neg: {job.negative_prompt}" if job.negative_prompt else "")
            stages = " > ".join(job.stages)
            yield job.index + 1, job.row, job.seed, stages, job.node or "(none yet)", prompt, job.reason
        if message.HasField("summary"):
            summaries.append(message.summary)
