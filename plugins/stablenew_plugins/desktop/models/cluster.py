"""The tab Cluster: the nodes, a card each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stablenew_plugins.desktop.models.core.desk import Desk
from stablenew_plugins.desktop.models.core.model import Model
from stablenew_plugins.desktop.models.queue.jobwords import Mood, is_next, progress_text
from stablenew_plugins.desktop.text import _, duration, many, size_of

if TYPE_CHECKING:
    from stablenew_proto.v1 import agent_link_pb2 as link
    from stablenew_proto.v1 import kernel_pb2 as pb

PERIOD = 1.0
"""Seconds between two looks at what changes by itself: for how long a node is silent."""
SILENT = 6.0
"""Seconds without a word that are worth one. A report is due every 2 s."""
LISTED = 200
"""Names of a kind that are listed at a time; the search finds the others."""
LONG_AGO = 1e8
"""Seconds of silence from which nobody knows when it was seen last."""
HOT = 85.0
"""Degrees from which a GPU is shown as hot."""

# Forge's is f2.0.1v1.10.1-previous-636-gb835f24a, SD.Next's begins with a date.
_VERSION = re.compile(r"[fv]?(\d{4}-\d\d-\d\d|\d+(?:\.\d+)*)")

Kind = Literal[
    "models",
    "vaes",
    "loras",
    "embeddings",
    "samplers",
    "schedulers",
    "upscalers",
    "detectors",
    "stages",
    "features",
]
KINDS: Sequence[Kind] = (
    "models",
    "loras",
    "embeddings",
    "vaes",
    "samplers",
    "schedulers",
    "upscalers",
    "detectors",
    "stages",
    "features",
)


def kind_titles() -> Mapping[Kind, str]:
    """What the lists of a node are called."""
    return {
        "models": _("Models"),
        "loras": _("LoRAs"),
        "embeddings": _("Embeddings"),
        "vaes": _("VAEs"),
        "samplers": _("Samplers"),
        "schedulers": _("Schedulers"),
        "upscalers": _("Upscalers"),
        "detectors": _("Detectors"),
        "stages": _("Stages"),
        "features": _("Abilities"),
    }


@dataclass(frozen=True, slots=True)
class GpuLine:
    """One GPU, in words."""

    name: str
    vram: str = ""
    """``6.1 / 24.0 GB``; empty: not known."""
    fraction: float = 0.0
    """Of its VRAM that is used."""
    busy: str = ""
    """``85 %``: how much of its time it computes; empty: not known."""
    busy_fraction: float = 0.0
    heat: str = ""
    """``67 °C  ·  210 W``."""
    hot: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """A job that runs on a node."""

    job_id: str
    title: str
    """Name of its run."""
    note: str
    """``Text to image 12/30 · 0:14``."""
    fraction: float
    preview: bytes = b""
    """A JPEG of what is there so far; empty: none yet."""


@dataclass(frozen=True, slots=True)
class NodeCard:
    """One node, in words. Empty texts are not shown."""

    node_id: str
    name: str
    state: str
    mood: Mood
    problem: str = ""
    """What is wrong with it."""
    hint: str = ""
    """What to do about that."""
    machine: str = ""
    """``studio  ·  Linux 6.1  ·  2 slots``."""
    backend: str = ""
    note: str = ""
    """What people should know of the backend first: that it is a stand-in."""
    gpus: Sequence[GpuLine] = ()
    cpu: str = ""
    cpu_fraction: float = 0.0
    room: str = ""
    """Memory and disk that are free."""
    model: str = ""
    """The model that is loaded."""
    works: Sequence[Work] = ()
    refusal: str = ""
    """What it last refused or failed, and why."""
    silent: str = ""
    counts: str = ""
    """``312 models  ·  45 LoRAs``."""
    draining: bool = False
    offline: bool = False


class ClusterModel(Model):
    """See above."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._seen = -1
        self._looked = float("-inf")
        self._heard: dict[str, tuple[pb.Node, float]] = {}
        """When the window heard of each node: the kernel tells how long it was silent then."""
        self.cards: Sequence[NodeCard] = ()
        self.open: dict[str, Kind] = {}
        """Nodes whose lists are shown, with the one that is in front."""
        self.words: dict[str, str] = {}
        """What is searched for in the lists, by node."""

    def tick(self) -> None:
        """Look again when the kernel told something, and now and then."""
        state, now = self._desk.state, self._desk.clock()
        if state.revision == self._seen and now - self._looked < PERIOD:
            return
        self._seen, self._looked = state.revision, now
        for node in state.nodes.values():
            heard = self._heard.get(node.node_id)
            if heard is None or heard[0] is not node:
                self._heard[node.node_id] = (node, now)
        nodes = sorted(state.by_name, key=lambda node: node.state == "offline")
        cards = [self._card(node, now) for node in nodes]
        if cards != self.cards:
            self.cards = cards
            self.touch()

    # --- cards ----------------------------------------------------------------------------------------------

    @property
    def summary(self) -> str:
        """The line below the title."""
        online = [card for card in self.cards if not card.offline]
        parts = [many("{n} node", "{n} nodes", len(online))]
        if away := len(self.cards) - len(online):
            parts.append(many("{n} offline", "{n} offline", away))
        used, total = self._vram()
        if total:
            parts.append(_("{used} of {total} VRAM in use").format(used=size_of(used), total=size_of(total)))
        if working := sum(len(card.works) for card in self.cards):
            parts.append(many("{n} image is being made", "{n} images are being made", working))
        return "  ·  ".join(parts)

    def _vram(self) -> tuple[int, int]:
        used = total = 0
        for node in self._desk.state.online:
            loads = {load.uuid: load.vram_used_bytes for load in node.report.gpus}
            for gpu in node.info.gpus:
                if gpu.uuid in loads:
                    used += loads[gpu.uuid]
                    total += gpu.vram_total_bytes
        return used, total

    def _card(self, node: pb.Node, now: float) -> NodeCard:
        info, report = node.info, node.report
        offline = node.state == "offline"
        state, mood = _state(node)
        problem, hint = _problem(node)
        works = () if offline else self._works(node)
        if works and mood == "good":
            state, mood = _("Working"), "works"
        silent = node.silent_for + (now - self._heard[node.node_id][1])
        return NodeCard(
            node_id=node.node_id,
            name=info.name or node.node_id[:8],
            state=state,
            mood=mood,
            problem=problem,
            hint=hint,
            machine=_machine(info),
            backend=_backend(info.backend),
            note=_note(info.backend),
            gpus=() if offline else _gpus(node),
            cpu="" if offline else _("{n} %").format(n=round(report.cpu_load * 100)),
            cpu_fraction=report.cpu_load,
            room="" if offline else _room(report),
            model="" if offline else report.loaded_model,
            works=works,
            refusal=node.last_refusal,
            silent=_silent(silent, offline=offline),
            counts=_counts(info),
            draining=node.state == "draining",
            offline=offline,
        )

    def _works(self, node: pb.Node) -> Sequence[Work]:
        state = self._desk.state
        # What a node reports is a few seconds old; the progress is of now. Jobs that only wait there have none.
        running = {job.job_id: job for job in state.running.values() if job.node == node.info.name}
        running = running or {job.job_id: job for job in node.running}
        running = {job_id: job for job_id, job in running.items() if not is_next(job)}
        found = []
        for job_id, job in sorted(running.items()):
            run = state.runs.get(job.run_id)
            progress = job.progress
            title = run.name if run is not None else job.run_id[:8]
            found.append(
                Work(
                    job_id,
                    title,
                    progress_text(job, state.stage_title),
                    progress.fraction,
                    progress.preview_jpeg,
                )
            )
        return found

    # --- lists ----------------------------------------------------------------------------------------------

    def toggle(self, node_id: str) -> None:
        """Show the lists of a node, or hide them."""
        if node_id in self.open:
            del self.open[node_id]
        else:
            kinds = self.kinds(node_id)
            self.open[node_id] = next((kind for kind, count in kinds if count), "models")
        self.touch()

    def choose(self, node_id: str, kind: Kind) -> None:
        """Bring one of the lists to the front."""
        self.open[node_id] = kind
        self.touch()

    def search(self, node_id: str, words: str) -> None:
        """List only names that have all of these words in them."""
        self.words[node_id] = words
        self.touch()

    def kinds(self, node_id: str) -> Sequence[tuple[Kind, int]]:
        """The lists of a node, with how much is in each."""
        return [(kind, len(self._names(node_id, kind))) for kind in KINDS]

    def names(self, node_id: str) -> tuple[Sequence[str], int]:
        """What the list in front has, as far as it is searched for; and how many more there are."""
        words = self.words.get(node_id, "").lower().split()
        found = [
            name
            for name in self._names(node_id, self.open.get(node_id, "models"))
            if all(word in name.lower() for word in words)
        ]
        return found[:LISTED], max(0, len(found) - LISTED)

    def _names(self, node_id: str, kind: Kind) -> Sequence[str]:
        node = self._desk.state.nodes.get(node_id)
        if node is None:
            return []
        if kind == "stages":
            return sorted(
                f"{self._desk.state.stage_title(stage.name)} {stage.version}" for stage in node.info.stages
            )
        names: Sequence[str] = getattr(node.info.backend, kind)
        return sorted(names, key=str.lower)

    # --- doing something ------------------------------------------------------------------------------------

    def drain(self, node_id: str) -> None:
        """Give it no more work; what runs there is finished. The message offers to take it back."""
        self._drain(node_id, draining=True)

    def resume(self, node_id: str) -> None:
        """Give it work again."""
        self._drain(node_id, draining=False)

    def _drain(self, node_id: str, *, draining: bool) -> None:
        node = self._desk.state.nodes.get(node_id)
        if node is None:
            return
        name = node.info.name

        def done(_node: pb.Node) -> None:
            if draining:
                text = _("{node} gets no more work. What runs there is finished.").format(node=name)
                self._desk.toasts.say(text, "info", action=_("Undo"), act=lambda: self.resume(node_id))
            else:
                self._desk.toasts.say(_("{node} takes work again.").format(node=name), "good")

        reason = "drained in the desktop" if draining else ""
        self._desk.order(lambda kernel: kernel.drain_node(node_id, draining=draining, reason=reason), done)

    # --- another node ---------------------------------------------------------------------------------------

    @property
    def command(self) -> str:
        """What starts one more agent on the kernel's machine."""
        status = self._desk.state.status
        folder = status.data_folder if status is not None and status.data_folder else str(self._desk.data.root)
        quoted = f'"{folder}"' if " " in folder else folder
        return f"stablenew-agent --data {quoted} --name studio --backend webui"

    @property
    def tunnel(self) -> Sequence[str]:
        """What connects an agent on another machine, typed there, line by line."""
        status = self._desk.state.status
        address = status.address if status is not None else ""
        port = address.rpartition(":")[2] if address else "7787"
        return (
            f"ssh -N -L {port}:127.0.0.1:{port} me@kernel-machine",
            f"stablenew-agent --kernel 127.0.0.1:{port} --name studio --backend webui",
        )


def node_state(node: pb.Node) -> str:
    """How a node is, in a word."""
    return _state(node)[0]


def _state(node: pb.Node) -> tuple[str, Mood]:
    if node.state == "offline":
        return _("Offline"), "off"
    if "draining" in (node.state, node.report.state):
        return _("Draining"), "unsure"
    words: dict[str, tuple[str, Mood]] = {
        "starting": (_("Starting"), "waits"),
        "unhealthy": (_("Unhealthy"), "bad"),
        "paused": (_("Paused"), "unsure"),
    }
    if node.report.state in words:
        return words[node.report.state]
    return _("Online"), "good"


def _problem(node: pb.Node) -> tuple[str, str]:
    """What is wrong with a node, and what to do."""
    if node.state == "offline":
        hint = _("Its jobs went back to the queue. It comes back by itself once its agent runs again.")
        return _("It is not in touch."), hint
    if "draining" in (node.state, node.report.state):
        return "", _("It finishes what it has and takes nothing new.")
    if node.report.state == "unhealthy":
        text, _sep, hint = node.report.problem.partition("; ")
        return _capital(text) or _("It can't work just now."), _capital(hint)
    if node.report.state == "starting":
        return "", _("Its worker is being started.")
    return "", ""


def _silent(seconds: float, *, offline: bool) -> str:
    """For how long nothing was heard of a node, where that is worth a word."""
    if offline and seconds >= LONG_AGO:
        return _("not seen yet since the kernel started")
    if offline:
        return _("last seen {time} ago").format(time=_ago(seconds))
    return _("silent for {time}").format(time=_ago(seconds)) if seconds >= SILENT else ""


def _backend(backend: link.BackendInfo) -> str:
    """``Forge WebUI 2.0.1  ·  at http://127.0.0.1:7860``."""
    known = {
        "a1111": "AUTOMATIC1111 WebUI",
        "forge": "Forge WebUI",
        "reforge": "reForge WebUI",
        "webui": _("Stable Diffusion WebUI"),
        "comfyui": "ComfyUI",
        "diffusers": _("Diffusers, in its own process"),
        "embedded": _("Embedded engine"),
    }
    found = _VERSION.match(backend.version)
    version = found[1] if found else "" if backend.version == "unknown" else backend.version
    name = " ".join(part for part in (known.get(backend.name.lower(), backend.name), version) if part)
    return "  ·  ".join(part for part in (name, "" if backend.stand_in else backend.note) if part)


def _note(backend: link.BackendInfo) -> str:
    if backend.stand_in:
        return _("Stand-in: draws from numbers, no AI model. For real images connect a backend in Settings.")
    return ""


def _machine(info: link.NodeInfo) -> str:
    parts = [info.host_name if info.host_name != info.name else "", info.os]
    if info.loopback:
        parts.append(_("this machine"))
    parts.append(many("{n} slot", "{n} slots", info.slots))
    return "  ·  ".join(part for part in parts if part)


def _gpus(node: pb.Node) -> Sequence[GpuLine]:
    loads = {load.uuid: load for load in node.report.gpus}
    found = []
    for gpu in node.info.gpus:
        load = loads.get(gpu.uuid)
        if load is None:
            found.append(GpuLine(gpu.name))
            continue
        told = [
            _("{n} °C").format(n=round(load.temperature_c)) if load.HasField("temperature_c") else "",
            _("{n} W").format(n=round(load.power_w)) if load.HasField("power_w") else "",
        ]
        total = gpu.vram_total_bytes
        found.append(
            GpuLine(
                name=gpu.name,
                vram=f"{size_of(load.vram_used_bytes)} / {size_of(total)}" if total else "",
                fraction=load.vram_used_bytes / total if total else 0.0,
                busy=_("{n} %").format(n=round(load.utilization * 100)) if load.HasField("utilization") else "",
                busy_fraction=load.utilization,
                heat="  ·  ".join(part for part in told if part),
                hot=load.HasField("temperature_c") and load.temperature_c >= HOT,
            )
        )
    return found


def _room(report: link.NodeReport) -> str:
    parts = []
    if report.ram_free_bytes:
        parts.append(_("{size} RAM free").format(size=size_of(report.ram_free_bytes)))
    if report.disk_free_bytes:
        parts.append(_("{size} disk free").format(size=size_of(report.disk_free_bytes)))
    return "  ·  ".join(parts)


def _counts(info: link.NodeInfo) -> str:
    backend = info.backend
    parts = [many("{n} model", "{n} models", len(backend.models))] if backend.models else []
    if backend.loras:
        parts.append(many("{n} LoRA", "{n} LoRAs", len(backend.loras)))
    if backend.samplers:
        parts.append(many("{n} sampler", "{n} samplers", len(backend.samplers)))
    if backend.upscalers:
        parts.append(many("{n} upscaler", "{n} upscalers", len(backend.upscalers)))
    return "  ·  ".join(parts)


def _ago(seconds: float) -> str:
    if seconds < 90:
        return _("{n} s").format(n=round(seconds))
    if seconds < 3600:
        return _("{n} min").format(n=round(seconds / 60))
    if seconds < 2 * 86400:
        return duration(seconds)
    return many("{n} day", "{n} days", round(seconds / 86400))


def _capital(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if not text or text.endswith((".", "?", "!")) else ".")
