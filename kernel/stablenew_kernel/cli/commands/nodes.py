"""``stablenew nodes``: the machines that make images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stablenew_api.errors import UserError
from stablenew_kernel.cli.context import App, DefaultGroup, json_option, pass_app
from stablenew_kernel.cli.output import gigabytes, plain, say, say_fields, say_json, say_table, seconds, tell
from stablenew_kernel.cli.screens import job_cells

if TYPE_CHECKING:
    from stablenew_proto.v1 import agent_link_pb2 as link
    from stablenew_proto.v1 import kernel_pb2 as pb


@click.group("nodes", cls=DefaultGroup)
def command() -> None:
    """Show the nodes, or keep work away from one. Without a command: list."""


@command.command("list")
@json_option
@pass_app
def list_nodes(app: App, as_json: bool) -> None:
    """List every node that is or was in touch."""
    with app.connect_or_start() as kernel:
        nodes = kernel.nodes()
    if as_json:
        say_json([plain(node) for node in nodes], indent=1)
        return
    if not nodes:
        say("no node is in touch; start one with: stablenew-agent")
        return
    headers = ("node", "state", "backend", "GPU", "VRAM used", "slots", "runs", "last word")
    say_table(headers, [_row(node) for node in nodes], keep=("node",))


@command.command("show")
@click.argument("node")
@json_option
@pass_app
def show(app: App, node: str, as_json: bool) -> None:
    """Show one NODE in full: by name, or by the beginning of its id."""
    with app.connect_or_start() as kernel:
        found = find_node(list(kernel.nodes()), node)
    if as_json:
        say_json(plain(found), indent=1)
        return
    info, report = found.info, found.report
    say_fields(
        {
            "node": info.name,
            "id": found.node_id,
            "state": _state(found),
            "problem": report.problem,
            "last word": f"{seconds(found.silent_for)} ago",
            "host": f"{info.host_name}, {info.os}",
            "agent": info.agent_version,
            "backend": _backend(info),
            "note": info.backend.note,
            "features": ", ".join(info.backend.features),
            "models": ", ".join(info.backend.models),
            "loaded model": report.loaded_model,
            "stages": ", ".join(f"{stage.name} {stage.version}" for stage in info.stages),
            "slots": info.slots,
            "CPU load": f"{report.cpu_load:.0%}",
            "RAM free": gigabytes(report.ram_free_bytes) if report.ram_free_bytes else "",
            "disk free": gigabytes(report.disk_free_bytes) if report.disk_free_bytes else "",
            "last refusal": found.last_refusal,
        }
    )
    for gpu in info.gpus:
        say(f"GPU {gpu.name} ({gpu.uuid}): {_load(gpu, report)}")
    for running in found.running:
        say(f"runs {running.job_id}: " + ", ".join(cell for cell in job_cells(running)[1:] if cell))


@command.command("drain")
@click.argument("node")
@click.option("--reason", default="", help="Shown to whoever wonders.")
@json_option
@pass_app
def drain(app: App, node: str, reason: str, as_json: bool) -> None:
    """Give NODE no more work; what it runs goes on."""
    with app.connect_or_start() as kernel:
        changed = kernel.drain_node(node, draining=True, reason=reason)
    tell(as_json, plain(changed), f"{changed.info.name} gets no more work")


@command.command("resume")
@click.argument("node")
@json_option
@pass_app
def resume(app: App, node: str, as_json: bool) -> None:
    """Give NODE work again."""
    with app.connect_or_start() as kernel:
        changed = kernel.drain_node(node, draining=False)
    tell(as_json, plain(changed), f"{changed.info.name} gets work again")


def find_node(nodes: list[pb.Node], wanted: str) -> pb.Node:
    """The node called ``wanted``, or whose id begins so. Raises UserError for none and for several."""
    matches = [node for node in nodes if node.info.name == wanted]
    matches = matches or [node for node in nodes if node.node_id.startswith(wanted)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UserError(
            f"node {wanted!r}: {len(matches)} match; give the beginning of an id (nodes list --json)"
        )
    names = ", ".join(sorted(node.info.name for node in nodes)) or "none is in touch"
    raise UserError(f"node {wanted!r}: not known; there are: {names}")


def _row(node: pb.Node) -> tuple[object, ...]:
    info, report = node.info, node.report
    gpus = ", ".join(gpu.name for gpu in info.gpus) or "none"
    used = sum(load.vram_used_bytes for load in report.gpus)
    total = sum(gpu.vram_total_bytes for gpu in info.gpus)
    vram = f"{gigabytes(used)} of {gigabytes(total)}" if total else ""
    word = f"{seconds(node.silent_for)} ago"
    return info.name, _state(node), _backend(info), gpus, vram, info.slots, len(node.running), word


def _state(node: pb.Node) -> str:
    own = node.report.state
    return f"{node.state} ({own})" if node.state == "online" and own not in ("", "ready") else node.state


def _backend(info: link.NodeInfo) -> str:
    backend = info.backend
    stand_in = " (stand-in, no AI model)" if backend.stand_in else ""
    return f"{backend.name} {backend.version}{stand_in}" if backend.name else ""


def _load(gpu: link.Gpu, report: link.NodeReport) -> str:
    for load in report.gpus:
        if load.uuid == gpu.uuid:
            parts = [f"{gigabytes(load.vram_used_bytes)} of {gigabytes(gpu.vram_total_bytes)} used"]
            if load.HasField("utilization"):
                parts.append(f"{load.utilization:.0%} busy")
            if load.HasField("temperature_c"):
                parts.append(f"{load.temperature_c:.0f} °C")
            if load.HasField("power_w"):
                parts.append(f"{load.power_w:.0f} W")
            return ", ".join(parts)
    return gigabytes(gpu.vram_total_bytes)
