"""What went wrong, in plain words."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew_api.errors import KernelUnavailable, NotConfirmed, PluginError, UserError
from stablenew_plugins.desktop.models.core.plainwords import explain, explain_failure, explain_waiting, sizes
from stablenew_proto.v1 import common_pb2, kernel_pb2

KINDS = ("bad_input", "out_of_memory", "backend", "timeout", "plugin", "lost")


def a_node(name: str, gigabytes: int, state: str = "online") -> kernel_pb2.Node:
    node = kernel_pb2.Node(node_id=f"id-{name}", state=state)
    node.info.name = name
    if gigabytes:
        node.info.gpus.add(uuid=name, name="GPU", vram_total_bytes=gigabytes << 30)
    return node


def a_spec(width: int, height: int, upscale: float = 0.0, hires: float = 0.0) -> dict[str, Any]:
    config = {"width": width, "height": height, "enable_hr": bool(hires), "hr_scale": hires}
    stages = [{"name": "txt2img", "config": config}]
    if upscale:
        stages.append({"name": "upscale", "config": {"upscaling_resize": upscale}})
    return {"stages": stages, "run_timeout": 600.0}


def told(
    kind: str, message: str, nodes: list[kernel_pb2.Node] | None = None, spec: dict[str, Any] | None = None
) -> str:
    failure = common_pb2.Failure(kind=kind, message=message, detail="Traceback")
    job = kernel_pb2.Job(node="local", stages=["txt2img", "upscale"], failure=failure)
    answer = explain_failure(failure, job, nodes or [], spec, {"upscale": "Upscale"}.__getitem__)
    assert message in answer.detail
    assert "Traceback" in answer.detail
    return f"{answer.text} | {answer.hint}"


LOCAL, BOX = a_node("local", 8), a_node("gpu-box", 24)

OUT_OF_MEMORY = [
    (
        a_spec(1024, 1024, upscale=2.0),
        [LOCAL, BOX],
        "The GPU ran out of memory at 2048x2048. | "
        "Try a 1.5x upscale, or let it go to gpu-box, which has 24 GB.",
    ),
    (
        a_spec(512, 512, upscale=4.0),
        [LOCAL],
        "The GPU ran out of memory at 2048x2048. | "
        "Try a 3x upscale, or close other programs that use the GPU of local.",
    ),
    (
        a_spec(1024, 768, hires=2.0),
        [],
        "The GPU ran out of memory at 2048x1536. | Try a hires pass of 1.5x.",
    ),
    (a_spec(1536, 1024), [], "The GPU ran out of memory at 1536x1024. | Try 1024x680."),
    (a_spec(512, 512, upscale=1.2), [], "The GPU ran out of memory at 614x614. | Switch the upscale off."),
    (None, [], "The GPU ran out of memory. | Try a smaller picture."),
    (
        a_spec(512, 512),
        [LOCAL, a_node("gpu-box", 24, state="offline"), a_node("studio", 24, state="draining")],
        "The GPU ran out of memory at 512x512. | "
        "Try 256x256, or close other programs that use the GPU of local.",
    ),
]


@pytest.mark.parametrize(("spec", "nodes", "words"), OUT_OF_MEMORY)
def test_out_of_memory_names_the_size_and_what_would_fit(
    spec: dict[str, Any] | None, nodes: list[kernel_pb2.Node], words: str
) -> None:
    assert told("out_of_memory", "out of memory", nodes, spec) == words


def test_the_stage_that_the_text_names_is_the_one_that_was_too_large() -> None:
    spec = a_spec(1024, 1024, upscale=2.0, hires=1.5)
    assert "2048x2048" not in told("out_of_memory", "out of memory in hires", [], spec)
    assert "1536x1536" in told("out_of_memory", "out of memory in hires", [], spec)


OTHERS = [
    (
        "backend",
        "the WebUI at http://127.0.0.1:7860 refused the connection",
        "could not reach",
        "Is it running?",
    ),
    ("backend", "worker 0 ended with exit code 137", "ended unexpectedly on local", "Try again."),
    (
        "backend",
        "upscale: R-ESRGAN is not installed on this node; install it",
        "not installed",
        "Install it on local",
    ),
    ("backend", "the WebUI answered 401", "wants a password", "Settings"),
    ("backend", "the WebUI answered 500: boom", "reported an error", "its own log"),
    ("timeout", "used up 600 s", "longer than 10:00", "Fewer steps"),
    ("plugin", "stage upscale: ZeroDivisionError", "The stage Upscale has a fault", "Switch it off"),
    ("plugin", "ZeroDivisionError", "A stage of the pipeline has a fault", "Switch it off"),
    ("lost", "node local went silent", "local was lost", "Try again"),
    ("bad_input", "steps: must be below 150; choose fewer", "Steps: must be below 150.", "Choose fewer."),
    ("bad_input", "steps: must be below 150", "Steps: must be below 150.", "Change that setting"),
    ("of_tomorrow", "a new kind of trouble", "A new kind of trouble.", "Try again."),
]


@pytest.mark.parametrize(("kind", "message", "text", "hint"), OTHERS)
def test_each_kind_of_failure_says_what_happened_and_what_to_try(
    kind: str, message: str, text: str, hint: str
) -> None:
    words = told(kind, message, [LOCAL], a_spec(512, 512))
    before, _sep, behind = words.partition(" | ")
    assert text in before
    assert hint in behind


@given(
    st.sampled_from([*KINDS, "", "else"]),
    st.text(max_size=80),
    st.integers(1, 8192),
    st.integers(1, 8192),
    st.floats(0, 8),
    st.floats(0, 4),
)
def test_whatever_fails_there_is_something_to_read(
    kind: str, message: str, width: int, height: int, upscale: float, hires: float
) -> None:
    failure = common_pb2.Failure(kind=kind, message=message)
    answer = explain_failure(failure, kernel_pb2.Job(), [LOCAL, BOX], a_spec(width, height, upscale, hires))
    assert answer.text
    assert answer.hint


@given(st.integers(16, 8192), st.integers(16, 8192))
def test_a_size_that_is_suggested_is_smaller_and_keeps_the_shape(width: int, height: int) -> None:
    words = told("out_of_memory", "oom", [], a_spec(width, height))
    new = words.rpartition("Try ")[2].rstrip(".").split("x")
    assert int(new[0]) * int(new[1]) < width * height or max(width, height) <= 16
    if min(width, height) >= 512 and max(width, height) < 3 * min(width, height):
        assert abs(int(new[0]) / int(new[1]) - width / height) < 0.1 * width / height


def test_a_size_that_the_text_names_is_the_one_that_was_too_large() -> None:
    spec = a_spec(640, 448, upscale=1.5)
    words = told("out_of_memory", "out of memory: 640 x 448 needs 3.09 GiB", [], spec)
    assert words == "The GPU ran out of memory at 640x448. | Try 512x352."
    words = told("out_of_memory", "out of memory: 960x672 needs 3.09 GiB", [], spec)
    assert words == "The GPU ran out of memory at 960x672. | Try a 1.25x upscale."
    assert "at 1216x832. | Try 1024x" in told("out_of_memory", "CUDA: 1216×832", [], None)


def test_sizes_follow_hires_and_upscale() -> None:
    spec = a_spec(640, 448, upscale=1.5, hires=1.25)
    assert [(size.width, size.height) for size in sizes(spec)] == [(640, 448), (800, 560), (1200, 840)]
    spec["stages"][0]["config"].update(hr_resize_x=1280, hr_resize_y=896)
    assert [(size.width, size.height) for size in sizes(spec)][1] == (1280, 896)
    assert sizes({}) == []
    assert sizes({"stages": [{"name": "upscale", "config": {"upscaling_resize": 2}}]}) == []


ERRORS = [
    (UserError("steps: must be below 150; choose fewer"), "Steps: must be below 150.", "Choose fewer."),
    (UserError("no such pack"), "No such pack.", ""),
    (NotConfirmed("That makes 5,000 images; say yes"), "That makes 5,000 images.", "Say yes."),
    (KernelUnavailable("connect failed"), "The kernel does not answer.", "It is tried again by itself."),
    (PluginError("x broke"), "The kernel could not do that.", ""),
    (OSError(errno.ENOSPC, "No space left"), "The disk is full.", "Delete something"),
    (FileNotFoundError(errno.ENOENT, "No such file", "a.png"), "a.png is not there.", "Was it moved"),
    (PermissionError(errno.EACCES, "denied", "a.png"), "a.png may not be read or written.", "permissions"),
    (OSError(errno.EIO, "broken"), "Something in the window went wrong.", ""),
    (ZeroDivisionError("x"), "Something in the window went wrong.", ""),
]


@pytest.mark.parametrize(("error", "text", "hint"), ERRORS)
def test_errors_of_calls_in_plain_words(error: Exception, text: str, hint: str) -> None:
    answer = explain(error)
    assert answer.text.startswith(text)
    assert hint in answer.hint
    assert str(error) in answer.detail or isinstance(error, UserError)


WAITING = [
    ("the queue is paused", "The queue is paused", "Resume"),
    ("no node is connected", "No node is there", "Cluster"),
    (
        "waits its turn, 3 before it: local is busy (1 of 1)",
        "After 3 others",
        "It is their turn first. Just now local is busy (1 of 1).",
    ),
    (
        "waits its turn, not among the next: local is busy",
        "Further back in the queue",
        "It is their turn first. Just now local is busy.",
    ),
    ("next in the queue: local is next to take one", "Next; local is next to take one", ""),
    ("local fits, but is draining", "Local fits, but is draining.", "take work again"),
    ("local is unhealthy: no answer", "Local is unhealthy: no answer.", "Cluster"),
    (
        "needs model x, which local has not; it has: y",
        "Needs model x, which local has not; it has: y.",
        "install",
    ),
    ("something new", "Something new.", ""),
    ("", "", ""),
]


@pytest.mark.parametrize(("reason", "text", "hint"), WAITING)
def test_why_a_job_waits(reason: str, text: str, hint: str) -> None:
    answer = explain_waiting(reason)
    assert answer.text == text
    assert hint in answer.hint
