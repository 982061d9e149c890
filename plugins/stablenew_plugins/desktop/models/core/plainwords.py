"""What went wrong, in plain words: what happened, what to try, and the technical text for whoever wants it."""

from __future__ import annotations

import errno
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stablenew_api.errors import KernelUnavailable, StableNewError, UserError
from stablenew_plugins.desktop.text import _, duration, many

if TYPE_CHECKING:
    from stablenew_proto.v1 import common_pb2 as common
    from stablenew_proto.v1 import kernel_pb2 as pb

GIB = 1 << 30
"""GB of VRAM are 2**30 bytes, as every GPU tool prints them."""

FACTORS = (4.0, 3.0, 2.0, 1.5, 1.25)
"""Factors of an upscale that are suggested in place of a larger one."""
SIDES = (1536, 1024, 768, 512)
"""Longer sides of a picture that are suggested in place of a larger one."""


@dataclass(frozen=True, slots=True)
class Told:
    """An error for people."""

    text: str
    hint: str = ""
    """What to try."""
    detail: str = ""
    """Technical: a traceback, a backend's reply."""


# --- errors of a call ---------------------------------------------------------------------------------------


def explain(error: Exception) -> Told:
    """``error`` for people."""
    if isinstance(error, UserError):
        text, _sep, hint = str(error).partition("; ")
        return Told(_sentence(text), _sentence(hint))
    if isinstance(error, KernelUnavailable):
        return Told(_("The kernel does not answer."), _("It is tried again by itself."), str(error))
    if isinstance(error, StableNewError):
        return Told(_("The kernel could not do that."), "", str(error))
    if isinstance(error, OSError) and (told := _explain_os(error)) is not None:
        return told
    detail = "".join(traceback.format_exception(error))
    return Told(_("Something in the window went wrong. Your runs and files are not affected."), "", detail)


def _explain_os(error: OSError) -> Told | None:
    """What the system says about a file; None: nothing that people meet."""
    words = {
        errno.ENOENT: (_("{file} is not there."), _("Was it moved or deleted?")),
        errno.EACCES: (_("{file} may not be read or written."), _("Look at its permissions.")),
        errno.EPERM: (_("{file} may not be read or written."), _("Look at its permissions.")),
        errno.EROFS: (_("{file} is on a disk that can't be written to."), _("Choose another folder.")),
        errno.ENOSPC: (_("The disk is full."), _("Delete something, or choose a folder on another disk.")),
    }
    if error.errno not in words:
        return None
    text, hint = words[error.errno]
    return Told(text.format(file=error.filename or _("The file")), hint, str(error))


# --- failures of a job --------------------------------------------------------------------------------------


def explain_failure(
    failure: common.Failure,
    job: pb.Job,
    nodes: Sequence[pb.Node],
    spec: Mapping[str, Any] | None = None,
    title_of: Callable[[str], str] = str,
) -> Told:
    """Why ``job`` failed, and what to try. ``nodes``: all that are known; ``spec``: the job's settings, as
    ``GetJob`` tells them; ``title_of``: what people call a stage."""
    teller = _TELLERS.get(failure.kind, _tell_other)
    text, hint = teller(_Case(failure, job, nodes, spec or {}, title_of))
    detail = "\n".join(part for part in (failure.message, failure.detail) if part)
    return Told(text, hint, detail)


@dataclass(frozen=True, slots=True)
class _Case:
    failure: common.Failure
    job: pb.Job
    nodes: Sequence[pb.Node]
    spec: Mapping[str, Any]
    title_of: Callable[[str], str]

    @property
    def message(self) -> str:
        return _sentence(self.failure.message)

    @property
    def node(self) -> str:
        return self.job.node or _("The node")


@dataclass(frozen=True, slots=True)
class Size:
    """How large a picture becomes, and by which enlargement it became so."""

    width: int
    height: int
    stage: str = ""
    """Stage of the last enlargement; empty: there was none."""
    factor: float = 1.0


def sizes(spec: Mapping[str, Any]) -> Sequence[Size]:
    """How large the picture of a job is behind each stage that makes or enlarges it; empty: not known."""
    found: list[Size] = []
    for stage in spec.get("stages", ()):
        config, name = stage.get("config", {}), stage.get("name", "")
        if name == "txt2img":
            width, height = int(config.get("width", 0)), int(config.get("height", 0))
            if width <= 0 or height <= 0:
                return []
            found.append(Size(width, height))
            if config.get("enable_hr"):
                found.append(_hires(width, height, config))
        elif name == "upscale" and found:
            factor = float(config.get("upscaling_resize", 1.0))
            last = found[-1]
            found.append(Size(round(last.width * factor), round(last.height * factor), name, factor))
    return found


def _hires(width: int, height: int, config: Mapping[str, Any]) -> Size:
    to_width, to_height = int(config.get("hr_resize_x", 0)), int(config.get("hr_resize_y", 0))
    if to_width or to_height:
        factor = max(to_width / width, to_height / height)
    else:
        factor = float(config.get("hr_scale", 1.0))
    return Size(to_width or round(width * factor), to_height or round(height * factor), "hires", factor)


_SIZE = re.compile(r"\b(\d{2,5}) ?[x×] ?(\d{2,5})\b")


def _failed_size(case: _Case) -> Size | None:
    """The size that was too much: the one that the text names, that of the stage which it names, else the
    largest."""
    known = sizes(case.spec)
    if told := _SIZE.search(case.failure.message):
        width, height = int(told[1]), int(told[2])
        same = [size for size in known if (size.width, size.height) == (width, height)]
        return same[-1] if same else Size(width, height)
    if not known:
        return None
    named = [size for size in known if size.stage and size.stage in case.failure.message]
    return (named or sorted(known, key=lambda size: size.width * size.height))[-1]


def _tell_memory(case: _Case) -> tuple[str, str]:
    size = _failed_size(case)
    if size is None:
        text = _("The GPU ran out of memory.")
        ways = [_("try a smaller picture")]
    else:
        text = _("The GPU ran out of memory at {width}x{height}.").format(width=size.width, height=size.height)
        ways = [_smaller(size)]
    vram, elsewhere = _more_memory(case)
    if elsewhere is not None:
        ways.append(
            _("let it go to {node}, which has {vram}").format(
                node=elsewhere.info.name, vram=_gigabytes(_vram(elsewhere))
            )
        )
    elif vram:
        ways.append(_("close other programs that use the GPU of {node}").format(node=case.node))
    return text, _sentence(_(", or ").join(ways))


def _smaller(size: Size) -> str:
    if size.factor > 1:
        factor = next((factor for factor in FACTORS if factor < size.factor - 0.01), None)
        if factor is None:
            return _("switch the upscale off") if size.stage == "upscale" else _("switch the hires pass off")
        if size.stage == "hires":
            return _("try a hires pass of {factor}x").format(factor=f"{factor:g}")
        return _("try a {factor}x upscale").format(factor=f"{factor:g}")
    longest = max(size.width, size.height)
    side = next((side for side in SIDES if side < longest), longest // 2)
    width, height = (max(8, part * side // longest // 8 * 8) for part in (size.width, size.height))
    return _("try {width}x{height}").format(width=width, height=height)


def _more_memory(case: _Case) -> tuple[int, pb.Node | None]:
    """VRAM of the node that it failed on (0: not known), and the node that has most, if that is more."""
    here = max((_vram(node) for node in case.nodes if node.info.name == case.job.node), default=0)
    others = [
        node
        for node in case.nodes
        if node.info.name != case.job.node and node.state == "online" and _vram(node) > here
    ]
    return here, max(others, key=_vram, default=None)


def _vram(node: pb.Node) -> int:
    return max((gpu.vram_total_bytes for gpu in node.info.gpus), default=0)


def _gigabytes(size: int) -> str:
    return f"{size / GIB:.3g} GB"


_UNREACHABLE = re.compile(
    r"refused|not reach|unreachable|no answer|does not answer|nobody|cannot connect", re.I
)
_MISSING = re.compile(r"not installed|not found|no such|has no|unknown|missing|404", re.I)
_DIED = re.compile(r"worker.*(ended|died|exit|killed|crash)|crash|signal", re.I)
_LOGIN = re.compile(r"\b401\b|\b403\b|password|unauthori", re.I)


def _tell_backend(case: _Case) -> tuple[str, str]:
    """The server that makes the images said no, or nothing."""
    said = case.failure.message
    if _LOGIN.search(said):
        text = _("The server that makes the images wants a password.")
        return text, _("Give it under Settings, Backends, then try again.")
    if _UNREACHABLE.search(said):
        text = _("{node} could not reach the server that makes its images.").format(node=case.node)
        return text, _(
            "Is it running? Start it, or check its address under Settings, Backends. Then try again."
        )
    if _DIED.search(said):
        text = _("The process that made this image ended unexpectedly on {node}.").format(node=case.node)
        return text, _("Try again. If it happens again, the technical text says what it printed last.")
    if _MISSING.search(said):
        return case.message, _("Install it on {node}, or choose another one.").format(node=case.node)
    text = _("The server that makes the images reported an error.")
    return text, _("Try again. If it fails again, its own log says more; the technical text has its reply.")


def _tell_timeout(case: _Case) -> tuple[str, str]:
    limit = float(case.spec.get("run_timeout", 0) or 0)
    text = (
        _("It took longer than {time} and was stopped.").format(time=duration(limit))
        if limit
        else _("It took too long and was stopped.")
    )
    hint = _("Fewer steps or a smaller picture take less time. Is {node} busy with something else?")
    return text, hint.format(node=case.node)


def _tell_plugin(case: _Case) -> tuple[str, str]:
    stage = next((name for name in case.job.stages if name in case.failure.message), "")
    text = (
        _("The stage {stage} has a fault.").format(stage=case.title_of(stage))
        if stage
        else _("A stage of the pipeline has a fault.")
    )
    off = _("Switch it off in the pipeline, or update the plugin that brings it.")
    return text, off + " " + _("Copy the technical text for its author.")


def _tell_lost(case: _Case) -> tuple[str, str]:
    text = _("{node} was lost while it made this image.").format(node=case.node)
    return text, _("Was it switched off, or did its network fail? Try again: any node that is there takes it.")


def _tell_input(case: _Case) -> tuple[str, str]:
    text, _sep, hint = case.failure.message.partition("; ")
    hint = _sentence(hint) or _("Change that setting and run again: trying the same once more can't help.")
    return _sentence(text) or _("The job can't be made as it is."), hint


def _tell_other(case: _Case) -> tuple[str, str]:
    return case.message or _("The job failed."), _("Try again. The technical text may say more.")


_TELLERS = {
    "out_of_memory": _tell_memory,
    "backend": _tell_backend,
    "timeout": _tell_timeout,
    "plugin": _tell_plugin,
    "lost": _tell_lost,
    "bad_input": _tell_input,
}


# --- why a job waits ----------------------------------------------------------------------------------------

_TURN = re.compile(r"waits its turn, (\d+) before it: (.*)", re.S)
_FAR = re.compile(r"waits its turn, not among the next: (.*)", re.S)
_NEXT = re.compile(r"next in the queue: (.*)", re.S)


def explain_waiting(reason: str, place: int = 0) -> Told:
    """Why a job waits, short enough for a row (``text``), and what to do about it or what else there is to know
    (``hint``). ``place``: its place in the queue, from 1; 0: not known."""
    if found := _TURN.fullmatch(reason):
        return Told(_after(place - 1 if place else int(found[1])), _now(found[2]), reason)
    if found := _FAR.fullmatch(reason):
        return Told(_after(place - 1) if place else _("Further back in the queue"), _now(found[1]), reason)
    if found := _NEXT.fullmatch(reason):
        return Told(_("Next; {why}").format(why=found[1]), detail=reason)
    if not reason and place:
        return Told(_after(place - 1))
    if "queue is paused" in reason:
        return Told(_("The queue is paused"), _("Press Resume to let it go on."), reason)
    if reason.startswith("no node is connected"):
        return Told(
            _("No node is there"), _("It starts as soon as an agent is in touch; see the tab Cluster."), reason
        )
    if "is draining" in reason:
        return Told(_sentence(reason), _("Let the node take work again in the tab Cluster."), reason)
    if "unhealthy" in reason:
        return Told(_sentence(reason), _("The tab Cluster says what is wrong with it."), reason)
    if reason.startswith("needs"):
        hint = _("Choose one that a node has and run again, or install it there: then it starts by itself.")
        return Told(_sentence(reason), hint, reason)
    return Told(_sentence(reason), "", reason)


def _after(count: int) -> str:
    """Where a job stands that waits for others."""
    return many("After {n} other", "After {n} others", count) if count > 0 else _("Next")


def _now(why: str) -> str:
    """What holds up those before it."""
    return _("It is their turn first. Just now {why}.").format(why=why)


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if not text or text.endswith((".", "?", "!")) else ".")
