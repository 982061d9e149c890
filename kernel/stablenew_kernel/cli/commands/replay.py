"""``stablenew replay``: queue again exactly the jobs that made images."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import click

from stablenew_api.errors import UserError
from stablenew_kernel.cli.batch import find_images
from stablenew_kernel.cli.commands.run import absolute, show_option, show_plan, submit_and_follow, yes_option
from stablenew_kernel.cli.context import App, json_option, pass_app
from stablenew_kernel.cli.images import read_image
from stablenew_kernel.cli.output import plural, warn

if TYPE_CHECKING:
    from stablenew_proto.v1 import kernel_pb2 as pb

LISTED = 20
"""Images whose reasons are told one by one."""


@click.command("replay")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option("--out", type=click.Path(), default="", help="Folder in which the run's own folder is made.")
@click.option("--dry-run", is_flag=True, help="Show the jobs that would be queued; queue nothing.")
@show_option
@click.option("--skip-unreadable", is_flag=True, help="Leave out images whose job is not known.")
@yes_option
@click.option("--detach", is_flag=True, help="Queue, print the run's id and return.")
@json_option
@pass_app
def command(
    app: App,
    images: tuple[str, ...],
    out: str,
    dry_run: bool,
    show: int | None,
    skip_unreadable: bool,
    yes: bool,
    detach: bool,
    as_json: bool,
) -> int:
    """Make images again, as one run, from the jobs that are written in them.

    Each IMAGE is a file (PNG, JPEG or WebP) that StableNew saved; a FOLDER stands for all of its images, in the
    order of its manifest.jsonl if it has one. The same jobs give the same pixels; they are saved as PNG.
    """
    request = make_request(images, out, skip_unreadable)
    with app.connect_or_start() as kernel:
        if dry_run:
            show_plan(lambda shown: kernel.preview_replay(request, shown), show, as_json)
            return 0

        def submit(confirmed: bool) -> pb.ReplayResponse:
            request.confirmed = confirmed
            return kernel.replay_batch(request)

        return submit_and_follow(app, kernel, submit, yes=yes, detach=detach, as_json=as_json)


def make_request(images: tuple[str, ...], out: str, skip_unreadable: bool) -> pb.ReplayRequest:
    """The jobs of ``images``, in their order. Tells of those that have none.

    Raises UserError if there are some, unless they are to be skipped, or if none is left.
    """
    from stablenew_proto.v1 import kernel_pb2 as pb

    found, name = find_images(images)
    specs: list[tuple[str, bytes]] = []
    unreadable: list[UserError] = []
    for image in found:
        try:
            if image.problem:
                raise UserError(image.problem)
            specs.append((image.path.name, read_spec(str(image.path), image.spec_sha256)))
        except UserError as error:
            unreadable.append(error)
    if unreadable and len(found) == 1:
        raise unreadable[0]
    for reason in unreadable[:LISTED]:
        warn(str(reason))
    if len(unreadable) > LISTED:
        warn(f"... and {len(unreadable) - LISTED} more")
    if unreadable and not (skip_unreadable and specs):
        rest = f"; --skip-unreadable makes the other {len(specs)}" if specs else ""
        raise UserError(
            f"{plural(len(unreadable), 'image')} of {len(found)} without a job; nothing was queued{rest}"
        )
    if len(specs) == 1 and name is None:
        ((source, spec),) = specs
        return pb.ReplayRequest(spec_json=spec, source_name=source, out_dir=absolute(out))
    return pb.ReplayRequest(
        specs=[pb.NamedFile(name=source, content=spec) for source, spec in specs],
        source_name=name or "replay",
        out_dir=absolute(out),
    )


def read_spec(given: str, spec_sha256: str = "") -> bytes:
    """The job in the ``stablenew`` text of the image ``given``, as canonical JSON.

    Raises UserError, naming the file, if there is no such image, or no job in it, or one that was changed, or
    not the one that ``spec_sha256`` (of the manifest; empty: not known) names.
    """
    from stablenew_api.imagetext import read_texts
    from stablenew_api.png import STABLENEW
    from stablenew_kernel.domain.infotext import stored_spec

    name = f"image {given}"
    text = read_texts(read_image(given), name).get(STABLENEW)
    if text is None:
        raise UserError(
            f"{name}: no {STABLENEW!r} text in it, so its job is not known; replay wants a file as "
            "StableNew saved it (many programs leave such texts out)"
        )
    spec = stored_spec(text, name)
    if spec_sha256 and sha256(spec).hexdigest() != spec_sha256:
        raise UserError(f"{name}: made by another job than the manifest says; the file was replaced")
    return spec
