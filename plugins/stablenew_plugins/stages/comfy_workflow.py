"""comfy_workflow and comfy_image: a ComfyUI workflow of one's own as a stage.

The workflow is a graph in API format, ``{NODE ID: {"class_type": ..., "inputs": {...}}}``, as ComfyUI exports
it. ``%name%`` in an input stands for a value of the job. See docs/backend-comfyui.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from stablenew_api.backend import WorkflowRequest
from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind, JsonValue, Needs
from stablenew_api.stage import Phase, Stage, StageConfig, StageContext, StageImage, marks
from stablenew_plugins.stages.common import StepReport, only_image
from stablenew_plugins.vram import WEIGHTS_BYTES, sampling_bytes

IMAGE = "%image%"
"""Stands for the picture that comes in, as the whole value of an input."""

_HOLE = re.compile(r"%(?:(\w+)%|%)")
_OWN_TOKENS = "filename_prefix"
"""An input whose ``%date%``, ``%width%`` and so on ComfyUI fills in itself."""
_SAVES = re.compile(r"(?i)(?:save|preview).*image|image.*(?:save|preview)")

WORKFLOW_HELP = (
    "The workflow in API format (in ComfyUI: Workflow, Export (API)). %prompt%, %negative_prompt%, %seed%, {} "
    "and the names under Values stand for the job's own. On the command line: --set {}.workflow=@FILE.json"
)
MODEL_HELP = (
    "Checkpoint that the workflow loads, so that a node is chosen that has it; %model% stands for it. "
    "Empty: any node."
)
VALUES_HELP = "Values of further placeholders, by name: style becomes %style%."
SYNTAX_HELP = (
    "a1111: weights such as [x] and ((x)) are written as ComfyUI reads them. comfyui: prompts go in as "
    "they are."
)


def read_workflow(value: object) -> dict[str, JsonValue]:
    """A graph in API format, from JSON text or from what that holds. Empty stays empty.

    Raises ValueError that says what it is instead, or which node is wrong.
    """
    if isinstance(value, str):
        if not value.strip():
            return {}
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ValueError(f"is no JSON ({error}); give a file as @FILE.json") from error
    if isinstance(value, Mapping) and isinstance(value.get("nodes"), list):
        raise ValueError(
            "is a workflow as the browser saves it, not in API format; in ComfyUI choose Workflow, Export "
            "(API) (older versions: Save (API Format), after enabling the dev mode options)"
        )
    if isinstance(value, Mapping) and "class_type" not in value and isinstance(value.get("prompt"), Mapping):
        value = value["prompt"]  # what is sent to ComfyUI: the graph in a wrapping
    if not isinstance(value, Mapping):
        raise ValueError("must be a JSON object of nodes, as ComfyUI's Export (API) writes it")
    graph = {str(node): _node(str(node), content) for node, content in value.items()}
    for node, name, link in _links(graph):
        if link not in graph:
            raise ValueError(f"node {node}: {name} is linked to node {link}, which is not there")
    if graph and not any(_SAVES.search(content["class_type"]) for content in graph.values()):
        raise ValueError("saves no image; add a SaveImage or PreviewImage node")
    return graph


def _node(node: str, content: object) -> dict[str, JsonValue]:
    if not isinstance(content, Mapping) or not isinstance(content.get("class_type"), str):
        raise ValueError(f"node {node}: has no class_type; is this a workflow in API format?")
    inputs = content.get("inputs", {})
    if not isinstance(inputs, Mapping):
        raise ValueError(f"node {node}: its inputs are no object")
    return {"class_type": content["class_type"], "inputs": dict(inputs)}


def _links(graph: Mapping[str, JsonValue]) -> Iterator[tuple[str, str, str]]:
    for node, content in graph.items():
        for name, value in content["inputs"].items():
            match value:
                case [str(link), int(_)] if link:
                    yield node, name, link


def placeholders(graph: Mapping[str, JsonValue]) -> Iterator[tuple[str, str, str]]:
    """Node, input and name of each placeholder."""
    for node, content in graph.items():
        for name, value in content["inputs"].items():
            if isinstance(value, str) and name != _OWN_TOKENS:
                yield from ((node, name, match[1]) for match in _HOLE.finditer(value) if match[1])


def fill(graph: Mapping[str, JsonValue], values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """``graph`` with ``values`` in the place of their placeholders. An input that is nothing but a placeholder
    takes the value's own type; ``%%`` is a percent sign. What is filled in is not read again."""

    def text(match: re.Match[str]) -> str:
        if not match[1]:
            return "%"
        return str(values[match[1]]) if match[1] in values else match[0]

    def filled(name: str, value: JsonValue) -> JsonValue:
        if not isinstance(value, str):
            return value
        whole = _HOLE.fullmatch(value)
        if name == _OWN_TOKENS:
            return _HOLE.sub(lambda match: text(match) if match[1] in ("seed", "model") else match[0], value)
        if whole and whole[1] in values:
            return values[whole[1]]
        return _HOLE.sub(text, value)

    return {
        node: {**content, "inputs": {name: filled(name, value) for name, value in content["inputs"].items()}}
        for node, content in graph.items()
    }


class _WorkflowConfig(StageConfig):
    """What both stages have. The workflow stands last: it is checked against the values."""

    names: ClassVar[frozenset[str]] = frozenset(
        {"prompt", "negative_prompt", "seed", "width", "height", "model"}
    )
    """Placeholders that always have a value."""

    model: str = Field("", title="Model", description=MODEL_HELP, json_schema_extra=marks(choices="models"))
    values: dict[str, Any] = Field({}, title="Values", description=VALUES_HELP)
    prompt_syntax: Literal["a1111", "comfyui"] = Field("a1111", title="Prompt syntax", description=SYNTAX_HELP)
    workflow: dict[str, Any] | str

    @field_validator("workflow", mode="before")
    @classmethod
    def _read(cls, value: object, info: ValidationInfo) -> dict[str, JsonValue]:
        graph = read_workflow(value)
        known = cls.names | set(info.data.get("values", ()))
        for node, name, hole in placeholders(graph):
            if hole not in known and hole == "image":
                raise ValueError(
                    f"node {node} uses {IMAGE}, and this stage makes its picture from nothing; use the stage "
                    "comfy_image"
                )
            if hole not in known:
                names = ", ".join(f"%{name}%" for name in sorted(known))
                raise ValueError(
                    f"node {node}: {name} uses %{hole}%, which has no value; there are {names}; give it under "
                    "values, or write %% for a percent sign"
                )
        if graph:
            cls.check(graph)
        return graph

    @classmethod
    def check(cls, graph: Mapping[str, JsonValue]) -> None:
        """Raise ValueError for what this stage cannot use."""
        return

    @property
    def graph(self) -> dict[str, JsonValue]:
        """The workflow's nodes."""
        return self.workflow if isinstance(self.workflow, dict) else {}


class ComfyWorkflowConfig(_WorkflowConfig):
    """Settings of comfy_workflow."""

    workflow: dict[str, Any] | str = Field(
        {},
        title="Workflow",
        description=WORKFLOW_HELP.format("%width%, %height%", "comfy_workflow"),
    )
    width: int = Field(
        512,
        ge=16,
        le=16384,
        title="Width",
        description="In pixels: %width%.",
        json_schema_extra=marks(unit="px"),
    )
    height: int = Field(
        512,
        ge=16,
        le=16384,
        title="Height",
        description="In pixels: %height%.",
        json_schema_extra=marks(unit="px"),
    )


class ComfyImageConfig(_WorkflowConfig):
    """Settings of comfy_image."""

    names: ClassVar[frozenset[str]] = _WorkflowConfig.names | {"image"}

    workflow: dict[str, Any] | str = Field(
        {},
        title="Workflow",
        description=WORKFLOW_HELP.format(
            "%image% (in a LoadImage node), %width% and %height% of the picture", "comfy_image"
        ),
    )

    @classmethod
    def check(cls, graph: Mapping[str, JsonValue]) -> None:
        """The picture must be used, and be the whole value of an input."""
        holes = [(node, name) for node, name, hole in placeholders(graph) if hole == "image"]
        if not holes:
            raise ValueError(f"no node uses {IMAGE}, so the picture would be lost; put it into LoadImage")
        for node, name in holes:
            if graph[node]["inputs"][name] != IMAGE:
                raise ValueError(f"node {node}: {name} must be {IMAGE} and nothing else")


def _values(
    ctx: StageContext, stage: str, config: _WorkflowConfig, size: tuple[int, int]
) -> dict[str, JsonValue]:
    return {
        **config.values,
        "prompt": _prompt(stage, "the prompt", ctx.prompt, config, negative=False),
        "negative_prompt": _prompt(stage, "the negative prompt", ctx.negative_prompt, config, negative=True),
        "seed": ctx.seed,
        "width": size[0],
        "height": size[1],
        "model": config.model,
    }


def _prompt(stage: str, which: str, text: str, config: _WorkflowConfig, *, negative: bool) -> str:
    """A prompt as one text in ComfyUI's syntax. Raises StageFailure(BAD_INPUT) for what takes several nodes."""
    if config.prompt_syntax == "comfyui":
        return text
    from stablenew_plugins.backends.comfyui.prompt import read_prompt

    prompt = read_prompt(text, negative=negative)
    if prompt.loras or prompt.hypernets or len(prompt.parts) > 1 or len(prompt.parts[0].chunks) > 1:
        raise StageFailure(
            FailureKind.BAD_INPUT,
            f"{stage}: {which} has a LoRA, AND or BREAK, and those are nodes in ComfyUI; put them into the "
            "workflow, and take them out of the prompt (or set prompt_syntax=comfyui)",
        )
    return prompt.parts[0].chunks[0]


def _graph(stage: str, config: _WorkflowConfig) -> dict[str, JsonValue]:
    if not config.graph:
        raise StageFailure(
            FailureKind.BAD_INPUT,
            f"{stage}.workflow: is empty; give a file with --set {stage}.workflow=@FILE.json",
        )
    return config.graph


class ComfyWorkflow(Stage):
    """A picture from a workflow."""

    name, version, title = "comfy_workflow", "1.0", "ComfyUI workflow"
    description = "Makes the picture with a workflow of your own, on nodes with ComfyUI."
    Config = ComfyWorkflowConfig
    phase = Phase.GENERATE

    @classmethod
    def needs(cls, config: ComfyWorkflowConfig) -> Needs:
        """The workflow feature, and the model where it is named."""
        return Needs(config.model, sampling_bytes(config.width, config.height), frozenset({"workflow"}))

    def run(
        self, ctx: StageContext, config: ComfyWorkflowConfig, images: Sequence[StageImage]
    ) -> Sequence[StageImage]:
        """One image."""
        ctx.cancel.raise_if_cancelled()
        values = _values(ctx, self.name, config, (config.width, config.height))
        request = WorkflowRequest(fill(_graph(self.name, config), values), model=config.model)
        made = ctx.backend.workflow(request, StepReport(ctx), ctx.cancel)
        return [StageImage(made.image, {"Seed": ctx.seed, **made.info})]


class ComfyImage(Stage):
    """A picture changed by a workflow."""

    name, version, title = "comfy_image", "1.0", "ComfyUI workflow on an image"
    description = "Changes the picture with a workflow of your own, on nodes with ComfyUI."
    Config = ComfyImageConfig
    phase = Phase.REFINE

    @classmethod
    def needs(cls, config: ComfyImageConfig) -> Needs:
        """The workflow feature, and the model where it is named."""
        return Needs(config.model, WEIGHTS_BYTES, frozenset({"workflow"}))

    def run(
        self, ctx: StageContext, config: ComfyImageConfig, images: Sequence[StageImage]
    ) -> Sequence[StageImage]:
        """Each image, changed."""
        made = []
        for index, item in enumerate(only_image(self.name, images)):
            ctx.cancel.raise_if_cancelled()
            values = {**_values(ctx, self.name, config, item.image.size), "image": IMAGE}
            request = WorkflowRequest(
                fill(_graph(self.name, config), values), images={IMAGE: item.image}, model=config.model
            )
            report = StepReport(ctx, 0) if len(images) == 1 else _Part(ctx, index, len(images))
            result = ctx.backend.workflow(request, report, ctx.cancel)
            made.append(StageImage(result.image, {**item.info, **result.info}))
        return made


class _Part(StepReport):
    """Progress of one image of several, whose steps nobody knows before."""

    _PARTS = 100

    def __init__(self, ctx: StageContext, index: int, count: int) -> None:
        super().__init__(ctx, index * self._PARTS, count * self._PARTS)

    def __call__(self, step: int, steps: int, preview: Any = None) -> None:
        """Report ``step`` of ``steps`` of this image."""
        super().__call__(step * self._PARTS // max(1, steps), self._PARTS, preview)
