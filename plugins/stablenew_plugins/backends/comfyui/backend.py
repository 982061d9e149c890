"""The backend plugin: requests in, checked images out. What talks to the server is made at the first call."""

from __future__ import annotations

import hashlib
import io
import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import BaseModel

from stablenew_api.backend import (
    Backend,
    BackendIdentity,
    Capabilities,
    GenerationResult,
    Img2ImgRequest,
    Request,
    Sampling,
    Txt2ImgRequest,
    UpscaleRequest,
    WorkflowRequest,
)
from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind, JsonValue
from stablenew_plugins.backends.comfyui.infotext import (
    by_number,
    lora_hash,
    sampling_info,
    upscale_info,
    workflow_info,
)
from stablenew_plugins.backends.comfyui.inventory import OFFERS, Inventory
from stablenew_plugins.backends.comfyui.options import ComfyConfig
from stablenew_plugins.backends.comfyui.plan import SamplingPlan, plan_img2img, plan_txt2img, plan_upscale

if TYPE_CHECKING:
    from PIL.Image import Image

    from stablenew_api.backend import Progress
    from stablenew_api.cancel import CancelToken
    from stablenew_plugins.backends.comfyui.graph import Graph
    from stablenew_plugins.backends.comfyui.http import Server
    from stablenew_plugins.backends.comfyui.run import Finished

log = logging.getLogger(__name__)

VERSION = "1.0"
FOLDER = "stablenew"
"""Of our files, in ComfyUI's input and output folders."""

_P = TypeVar("_P")


class ComfyBackend(Backend):
    """A ComfyUI server. See docs/backend-comfyui.md.

    Two calls may be in it at once (one samples, one decodes): all that belongs to a call is local to it. The
    inventory is shared, frozen, and replaced as a whole.
    """

    name: ClassVar[str] = "comfyui"
    version: ClassVar[str] = VERSION
    title: ClassVar[str] = "ComfyUI"
    Config: ClassVar[type[BaseModel]] = ComfyConfig
    offers: ClassVar[frozenset[str]] = OFFERS

    def __init__(self, config: BaseModel) -> None:
        super().__init__(config)
        assert isinstance(config, ComfyConfig)
        self.options = config
        self._lock = threading.Lock()
        self._made: Server | None = None
        self._inventory: Inventory | None = None
        self._hashes: dict[str, str] = {}
        self._swept = False

    @property
    def _server(self) -> Server:
        with self._lock:
            if self._made is None:
                from stablenew_plugins.backends.comfyui.http import Server

                self._made = Server(self.options)
            return self._made

    def identify(self) -> BackendIdentity:
        """ComfyUI's version, and the device that it works on."""
        stats = self._server.json("/system_stats")
        system = stats.get("system") if isinstance(stats, dict) else None
        if not isinstance(system, dict):
            raise StageFailure(
                FailureKind.BACKEND,
                f"what answers at {self.options.url} is no ComfyUI: its /system_stats has no system",
                str(stats)[:1000],
            )
        devices = stats.get("devices")
        first = devices[0] if isinstance(devices, list) and devices and isinstance(devices[0], dict) else {}
        return BackendIdentity(
            self.name, str(system.get("comfyui_version") or "unknown"), note=str(first.get("name", ""))
        )

    def capabilities(self) -> Capabilities:
        """What the server has now: nodes, models, names. The first time, prompts are taken off it whose worker
        was killed."""
        from stablenew_plugins.backends.comfyui.run import sweep

        found = self._refresh().capabilities()
        if not self._swept:
            self._swept = True
            sweep(self._server)
        return found

    def txt2img(self, request: Txt2ImgRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """A picture of the prompt."""
        from stablenew_plugins.backends.comfyui.graph import completed, txt2img_graph

        cancel.raise_if_cancelled()
        plan, inventory = self._plan(
            request, lambda found: plan_txt2img(request, found, self.options.checkpoint), cancel
        )
        info = self._info(request, plan, inventory, cancel)
        picture = self._picture(
            lambda prefix: completed(txt2img_graph(plan, prefix), inventory), plan.size, progress, cancel
        )
        return GenerationResult(picture, info)

    def img2img(self, request: Img2ImgRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """The image drawn over; under a mask, what is black keeps its pixels exactly."""
        from PIL import Image as Images

        from stablenew_plugins.backends.comfyui.graph import completed, img2img_graph

        cancel.raise_if_cancelled()
        mask = request.mask.convert("L") if request.mask is not None else None
        if mask is not None and mask.size != request.image.size:
            raise StageFailure(
                FailureKind.BAD_INPUT,
                f"the mask is {mask.width} x {mask.height} pixels, its image {request.image.width} x "
                f"{request.image.height}; make them the same",
            )
        still = request.denoising_strength == 0
        # At strength 0 nothing is drawn; the names are looked at all the same.
        planned = replace(request, denoising_strength=1.0) if still else request
        plan, inventory = self._plan(
            request, lambda found: plan_img2img(planned, found, self.options.checkpoint), cancel
        )
        info = self._info(request, plan, inventory, cancel)
        source = request.image.convert("RGB")
        if still:
            return GenerationResult(source.copy(), info)
        size = (plan.width, plan.height)
        image = self._upload(_padded(source, size), cancel)
        under = self._upload(_padded(mask, size), cancel) if mask is not None else ""
        picture = self._picture(
            lambda prefix: completed(img2img_graph(plan, prefix, image, under), inventory),
            size,
            progress,
            cancel,
        )
        picture = picture.crop((0, 0, *source.size))
        if mask is not None:
            picture = Images.composite(picture, source, mask)
        return GenerationResult(picture, info)

    def upscale(self, request: UpscaleRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """A larger copy."""
        from stablenew_plugins.backends.comfyui.graph import completed, upscale_graph

        cancel.raise_if_cancelled()
        plan, inventory = self._plan(request, lambda found: plan_upscale(request, found), cancel)
        if request.extra:
            raise StageFailure(
                FailureKind.BAD_INPUT,
                f"backend comfyui does not know the setting {sorted(request.extra)[0]!r}; leave it out",
            )
        image = self._upload(request.image.convert("RGB"), cancel)
        size = (plan.width, plan.height)
        picture = self._picture(
            lambda prefix: completed(upscale_graph(plan, prefix, image), inventory), size, progress, cancel
        )
        return GenerationResult(picture, upscale_info(plan, request.scale, inventory))

    def workflow(self, request: WorkflowRequest, progress: Progress, cancel: CancelToken) -> GenerationResult:
        """Run a workflow. Of the images it saves, the first one of the saving node with the lowest number."""
        from stablenew_plugins.backends.comfyui.graph import with_prefix

        cancel.raise_if_cancelled()
        inventory = self._known(cancel)
        missing = sorted({str(node["class_type"]) for node in request.graph.values()} - inventory.nodes.keys())
        if missing:
            inventory = self._refresh(cancel)
            missing = [name for name in missing if name not in inventory.nodes]
        if missing:
            raise StageFailure(
                FailureKind.BAD_INPUT,
                f"the workflow needs nodes that this ComfyUI has not: {', '.join(missing)}; install the custom "
                "nodes that they belong to, or use another node",
            )
        names = {
            placeholder: self._upload(image.convert("RGB"), cancel)
            for placeholder, image in request.images.items()
        }
        nodes = {node: _filled(value, names) for node, value in request.graph.items()}
        steps = {node: _node_steps(value) for node, value in nodes.items()}
        for attempt in (1, 2):
            prompt_id = str(uuid.uuid4())
            marked = with_prefix(nodes, prompt_id[:8], keep=attempt > 1)
            finished = self._run(marked, steps, prompt_id, progress, cancel)
            saved = _saved(finished)
            data = self._download(saved[0], cancel) if saved else None
            if data is not None:
                progress.received()
                from stablenew_plugins.backends.comfyui.checks import opened

                picture = opened(data, None, _evidence(finished, data))
                return GenerationResult(picture, workflow_info(nodes, picture.size, request.model, inventory))
            log.info("prompt %s left no image that is still there; running it afresh", prompt_id)
        raise StageFailure(
            FailureKind.BACKEND,
            "the workflow ended and saved no image; does its SaveImage node get one?",
            _evidence(finished, None),
        )

    def free_memory(self) -> None:
        """Unload ComfyUI's models and give its memory back."""
        reply = self._server.call("POST", "/free", body={"unload_models": True, "free_memory": True})
        if reply.status not in (200, 204):
            log.warning("ComfyUI did not free its memory: %s", reply.evidence())

    def close(self) -> None:
        """Close connections."""
        with self._lock:
            if self._made is not None:
                self._made.close()

    # --- what the server has --------------------------------------------------------------------------------

    def _refresh(self, cancel: CancelToken | None = None) -> Inventory:
        """Ask the server."""
        nodes = self._server.json("/object_info", cancel)
        if not isinstance(nodes, dict) or not nodes:
            raise StageFailure(
                FailureKind.BACKEND, f"what answers at {self.options.url} lists no nodes; is it ComfyUI?"
            )
        reply = self._server.call("GET", "/embeddings", cancel)
        names = reply.json() if reply.status == 200 else None
        known = isinstance(names, list)
        stats = self._server.json("/system_stats", cancel)
        system = stats.get("system") if isinstance(stats, dict) else None
        version = system.get("comfyui_version") if isinstance(system, dict) else None
        self._inventory = Inventory(
            nodes,
            embeddings=tuple(item for item in names if isinstance(item, str))
            if isinstance(names, list)
            else (),
            embeddings_known=known,
            version=str(version or ""),
        )
        return self._inventory

    def _known(self, cancel: CancelToken) -> Inventory:
        return self._inventory or self._refresh(cancel)

    def _plan(
        self, request: Request, make: Callable[[Inventory], _P], cancel: CancelToken
    ) -> tuple[_P, Inventory]:
        """A plan by what is known of the server; where that refuses, by what the server has now."""

        def attempt(inventory: Inventory) -> _P:
            if isinstance(request, Sampling) and not inventory.models:
                raise StageFailure(
                    FailureKind.BAD_INPUT,
                    "ComfyUI lists no checkpoints; put one into its folder models/checkpoints",
                )
            self.refuse_unknown(request, inventory.features)
            return make(inventory)

        inventory = self._known(cancel)
        try:
            return attempt(inventory), inventory
        except StageFailure:
            inventory = self._refresh(cancel)
            return attempt(inventory), inventory

    def _info(
        self, request: Sampling, plan: SamplingPlan, inventory: Inventory, cancel: CancelToken
    ) -> dict[str, JsonValue]:
        hashes = {}
        for name, _, _ in plan.loras:
            if name not in self._hashes:
                query = {"filename": name}
                reply = self._server.call("GET", "/view_metadata/loras", cancel, query=query)
                found = reply.json() if reply.status == 200 and reply.body.strip() else {}
                self._hashes[name] = lora_hash(found) if isinstance(found, dict) else ""
            if self._hashes[name]:
                hashes[name] = self._hashes[name]
        return sampling_info(request, plan, inventory, hashes)

    # --- a call ---------------------------------------------------------------------------------------------

    def _picture(
        self, build: Callable[[str], Graph], size: tuple[int, int], progress: Progress, cancel: CancelToken
    ) -> Image:
        """The one image of a graph of ours. ``build`` gets the file name's prefix, a new one each time."""
        from stablenew_plugins.backends.comfyui.checks import opened

        for attempt in (1, 2):
            prompt_id = str(uuid.uuid4())
            graph = build(f"{FOLDER}/{prompt_id}")
            finished = self._run(graph.nodes, graph.steps, prompt_id, progress, cancel)
            saved = _saved(finished)
            if len(saved) > 1:
                raise StageFailure(
                    FailureKind.BACKEND,
                    f"ComfyUI made {len(saved)} images, asked was one",
                    _evidence(finished, None),
                )
            data = self._download(saved[0], cancel) if saved else None
            if data is not None:
                progress.received()
                return opened(data, size, _evidence(finished, data))
            if attempt == 1:
                log.info("prompt %s left no image that is still there; running it afresh", prompt_id)
        raise StageFailure(
            FailureKind.BACKEND,
            "ComfyUI says that it is done, and its image is not there; does something empty its output folder?",
            _evidence(finished, None),
        )

    def _run(
        self,
        nodes: Mapping[str, Any],
        steps: Mapping[str, int],
        prompt_id: str,
        progress: Progress,
        cancel: CancelToken,
    ) -> Finished:
        from stablenew_plugins.backends.comfyui.run import Run

        try:
            return Run(self._server, self.options, nodes, steps, prompt_id, progress, cancel).finish()
        except StageFailure as error:
            if error.kind == FailureKind.OUT_OF_MEMORY:
                try:
                    self.free_memory()
                except StageFailure as second:
                    log.warning("memory could not be freed: %s", second)
            raise

    def _upload(self, image: Image, cancel: CancelToken) -> str:
        """Put an image into ComfyUI's input folder, under the hash of its content. Returns what a LoadImage
        node calls it: the server may have given it another name."""
        from stablenew_plugins.backends.comfyui.http import refused

        buffer = io.BytesIO()
        image.save(buffer, "PNG", compress_level=1)
        data = buffer.getvalue()
        name = f"{hashlib.sha256(data).hexdigest()[:32]}.png"
        reply = self._server.call(
            "POST",
            "/upload/image",
            cancel,
            files={"image": (name, data, "image/png")},
            form={"type": "input", "subfolder": FOLDER, "overwrite": "false"},
        )
        if reply.status != 200:
            raise refused(reply)
        answer = reply.json()
        given = answer.get("name") if isinstance(answer, dict) else None
        if not isinstance(given, str) or not given:
            raise StageFailure(
                FailureKind.BACKEND, "ComfyUI took an image and does not say under which name", reply.evidence()
            )
        folder = str(answer.get("subfolder") or "")
        return f"{folder}/{given}" if folder else given

    def _download(self, ref: Mapping[str, str], cancel: CancelToken) -> bytes | None:
        """The bytes of a result; None if the file is gone."""
        from stablenew_plugins.backends.comfyui.http import refused

        reply = self._server.call("GET", "/view", cancel, query=dict(ref))
        if reply.status == 404:
            return None
        if reply.status != 200:
            raise refused(reply)
        return reply.body


def _saved(finished: Finished) -> list[dict[str, str]]:
    """Images of a prompt, saved ones before previews, by the number of their node."""
    found: list[dict[str, str]] = []
    for node in sorted(finished.outputs, key=by_number):
        output = finished.outputs[node]
        images = output.get("images") if isinstance(output, dict) else None
        for image in images if isinstance(images, list) else ():
            if isinstance(image, dict) and image.get("filename"):
                found.append({key: str(image.get(key) or "") for key in ("filename", "subfolder", "type")})
    return sorted(found, key=lambda image: image["type"] != "output")


def _evidence(finished: Finished, data: bytes | None) -> str:
    begin = f"\nresult: {len(data)} bytes, first {data[:32].hex(' ')}" if data is not None else ""
    shown = {key: finished.entry.get(key) for key in ("outputs", "status")}
    return f"prompt {finished.prompt_id}: {str(shown)[:3000]}{begin}"


def _filled(node: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A node with uploaded images in the place of their placeholders."""
    inputs = {
        key: names[value] if isinstance(value, str) and value in names else value
        for key, value in node.get("inputs", {}).items()
    }
    return {**node, "inputs": inputs}


def _node_steps(node: Mapping[str, Any]) -> int:
    """What a node of a workflow counts in progress: its steps, if it has some."""
    steps = node["inputs"].get("steps")
    return max(1, steps) if isinstance(steps, int) and not isinstance(steps, bool) else 1


def _padded(image: Image, size: tuple[int, int]) -> Image:
    """``image`` on a canvas of ``size``, its last row and column repeated where it ends."""
    if image.size == size:
        return image
    import numpy as np
    from PIL import Image as Images

    pixels = np.asarray(image)
    wide, high = size[0] - image.width, size[1] - image.height
    edges = ((0, high), (0, wide)) if pixels.ndim == 2 else ((0, high), (0, wide), (0, 0))
    return Images.fromarray(np.pad(pixels, edges, mode="edge"))
