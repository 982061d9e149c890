"""What ComfyUI says when something is wrong, in plain words; and whether a result fits. Pure."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind, JsonValue
from stablenew_plugins.backends.outofmemory import is_out_of_memory

if TYPE_CHECKING:
    from PIL.Image import Image

_MOST = 4000
"""Characters of evidence."""


def execution_failure(error: Mapping[str, JsonValue]) -> StageFailure:
    """What an ``execution_error`` means: OUT_OF_MEMORY, or BACKEND with ComfyUI's words."""
    kind = str(error.get("exception_type", ""))
    message = " ".join(str(error.get("exception_message", "")).split()) or "no reason given"
    node = f"{error.get('node_type', 'a node')} (node {error.get('node_id', '?')})"
    trace = error.get("traceback")
    detail = "".join(map(str, trace)) if isinstance(trace, list) else str(trace or "")
    detail = f"{kind}: {error.get('exception_message', '')}\n{detail}"[-_MOST:]
    if is_out_of_memory(kind) or is_out_of_memory(message):
        return StageFailure(
            FailureKind.OUT_OF_MEMORY, f"ComfyUI ran out of memory in {node}: {_short(message)}", detail
        )
    return StageFailure(FailureKind.BACKEND, f"ComfyUI failed in {node}: {_short(message)}", detail)


def rejected(answer: JsonValue, nodes: Mapping[str, Any]) -> StageFailure:
    """What a refusal of POST /prompt means: ``answer`` is its ``{error, node_errors}``, ``nodes`` the graph."""
    detail = json.dumps(answer, ensure_ascii=False)[:_MOST]
    if not isinstance(answer, dict):
        return StageFailure(FailureKind.BAD_INPUT, "ComfyUI refused the graph and does not say why", detail)
    lines = node_problems(answer.get("node_errors"), nodes)
    error = answer.get("error")
    if not lines and isinstance(error, dict):
        lines = [_reason(error)]
    elif not lines and error:
        lines = [str(error)]
    return StageFailure(
        FailureKind.BAD_INPUT,
        f"ComfyUI refused the graph: {_short('; '.join(lines) or 'no reason given')}",
        detail,
    )


def node_problems(errors: JsonValue, nodes: Mapping[str, Any]) -> list[str]:
    """``node_errors`` line by line."""
    lines = []
    for node, found in errors.items() if isinstance(errors, dict) else ():
        if not isinstance(found, dict):
            continue
        given = nodes.get(str(node), {})
        kind = found.get("class_type") or given.get("class_type", "a node")
        problems = found.get("errors")
        for problem in problems if isinstance(problems, list) else ():
            if isinstance(problem, dict):
                lines.append(f"{kind} (node {node}): {_problem(problem)}")
    return lines


def _problem(problem: Mapping[str, JsonValue]) -> str:
    extra = problem.get("extra_info")
    info: Mapping[str, JsonValue] = extra if isinstance(extra, dict) else {}
    name, value = info.get("input_name", ""), info.get("received_value")
    details = str(problem.get("details", ""))
    match problem.get("type"):
        case "value_not_in_list":
            shown = f"{name} has no {value!r}" if name else details
            return f"{_short(shown)}; choose one that ComfyUI lists, or put the file into its folder"
        case "required_input_missing":
            return f"the input {name or details} is not filled in"
        case "value_smaller_than_min" | "value_bigger_than_max":
            config = info.get("input_config")
            limits = config[1] if isinstance(config, list) and len(config) > 1 else {}
            span = f", must be {limits.get('min', '...')} to {limits.get('max', '...')}" if limits else ""
            return f"{name or details} is {value}{span}"
        case "invalid_input_type":
            return f"{name or details} cannot be {value!r}"
        case "return_type_mismatch" | "bad_linked_input":
            return f"{name or 'an input'} is linked to the wrong output ({_short(details)})"
        case "custom_validation_failed":
            return f"{_short(details)}"
    return _reason(problem)


def _reason(error: Mapping[str, JsonValue]) -> str:
    message, details = str(error.get("message", "")), str(error.get("details", ""))
    if error.get("type") in ("invalid_prompt", "missing_node_type") and "class_type" not in message:
        return f"{message}; install the custom nodes that it needs" if "not found" in message else message
    return f"{message} ({details})" if details and details not in message else message


def opened(data: bytes, size: tuple[int, int] | None, evidence: str) -> Image:
    """The image in ``data``. Raises StageFailure(BACKEND), with ``evidence``, if it is none, is not complete,
    or has not ``size``."""
    from PIL import Image as Images

    try:
        with Images.open(io.BytesIO(data)) as image:
            image.load()
            # A PNG of ComfyUI carries its whole graph; what is wanted of it is the picture.
            picture = image.convert("RGB") if image.mode != "RGB" else image.copy()
    except (OSError, SyntaxError, ValueError, Images.DecompressionBombError) as error:
        raise StageFailure(
            FailureKind.BACKEND,
            f"ComfyUI's result is no image that can be read ({error})",
            evidence,
        ) from error
    picture.info = {}
    if size is not None and picture.size != size:
        raise StageFailure(
            FailureKind.BACKEND,
            f"ComfyUI's result is {picture.width} x {picture.height} pixels, asked were {size[0]} x {size[1]}",
            evidence,
        )
    return picture


def _short(text: str, most: int = 300) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
