"""A ComfyUI server for tests: HTTP and websocket on a real socket, and an executor that really walks the graph.

``python -m tests.support.fake_comfyui --port 8188`` starts one. In a test::

    with FakeComfyUI() as fake:
        fake.traps["rename_uploads"] = -1      # for ever; 1: once

What it does is what ComfyUI 0.3.64 does, as far as docs and source say; ``TRAPS`` lists how it can be told to
behave worse.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import io
import json
import struct
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
from aiohttp import WSCloseCode, WSMsgType, web
from PIL import Image
from tests.support.comfy_nodes import MODELS, NODES, Machine, decoded, described, png

TRAPS = {
    "auth": "asks for user u and password p (a proxy in front)",
    "cached_null": "17: a cached output node tells no output, in its event and in the history",
    "delete_files": "17: a saved file is deleted at once",
    "drip_view": "a result comes a byte at a time",
    "drop_prompt": "POST /prompt breaks off before it is queued",
    "drop_socket": "the websocket breaks at the first progress",
    "error": "the sampler raises an error",
    "hang_prompt": "POST /prompt is never answered",
    "hang_sampling": "the sampler hangs at its first step until it is interrupted",
    "hang_socket": "the websocket's handshake is never answered",
    "hang_view": "GET /view is never answered",
    "html_view": "a result is a page of a proxy",
    "huge_view": "a result of 100 MB",
    "interrupt_next": "16: an interrupt hits the prompt after the one that it was meant for",
    "lose_reply": "POST /prompt is queued, and its answer gets lost",
    "new_lists": "/object_info has lists as newer versions write them",
    "no_embeddings": "no /embeddings",
    "no_socket": "no websocket",
    "old_version": "chooses prompt ids itself, interrupts whatever runs, progress without prompt id",
    "oom": "the sampler runs out of memory",
    "origin": "every call is refused with 403",
    "queue_502": "GET /queue is answered by a proxy, with 502",
    "rename_uploads": "18: an uploaded image gets another name",
    "restart": "forgets queue, history and cache at the first step of a prompt, as a restart does",
    "truncate_view": "a result breaks off",
    "two_images": "an output node tells two images",
    "windows_paths": "19: names of models with backslashes",
    "wrong_size": "the saved image has another size",
}


class Interrupted(Exception):
    """The prompt was interrupted."""


class Restarted(Exception):
    """The server forgot everything."""


class Hold:
    """Stops the executor at a step, until it is told to go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()


class FakeComfyUI:
    """The server. ``step_seconds``: time of a step. ``cache``: whether nodes are cached."""

    def __init__(
        self, *, port: int = 0, step_seconds: float = 0.0, cache: bool = True, vram_pixels: int = 0
    ) -> None:
        self.traps: dict[str, int] = {}
        self.step_seconds = step_seconds
        self.cache = cache
        self.port = port
        self.calls: list[tuple[str, str]] = []
        """Method and path of every call."""
        self.prompts: list[dict[str, Any]] = []
        """Bodies of POST /prompt that were queued."""
        self.executed: list[tuple[str, str]] = []
        """Prompt and node of every node that was really executed."""
        self.interrupted: list[str] = []
        self.freed = 0
        self.sockets_opened = 0
        self.files: dict[tuple[str, str, str], bytes] = {}
        """Type, subfolder, name: content."""
        self.missing_nodes: set[str] = set()
        self.missing_files: set[str] = set()
        self._machine = Machine(step=self._step, vram_pixels=vram_pixels)
        self._machine.input_files = self._inputs = {}
        self._change = threading.Condition()
        self._pending: list[list[Any]] = []
        self._running: list[Any] | None = None
        self._history: dict[str, Any] = {}
        self._number = 0
        self._interrupt = self._interrupt_next = False
        self._results: dict[str, tuple[Any, ...]] = {}
        self._shown: dict[str, Any] = {}
        self._node = ""
        self._hold: tuple[int, Hold] | None = None
        self._holds: list[Hold] = []
        self._sockets: dict[str, tuple[web.WebSocketResponse, dict[str, Any]]] = {}
        self._stopping = False
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._threads: list[threading.Thread] = []

    # --- for tests ------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self.port}"

    def spring(self, trap: str) -> bool:
        """Whether a trap is set; one that is set for some times is used up by it."""
        left = self.traps.get(trap, 0)
        assert trap in TRAPS, trap
        if left > 0:
            self.traps[trap] = left - 1
        return left != 0

    def hold_at(self, step: int) -> Hold:
        """Stop at ``step`` of the next sampler."""
        hold = Hold()
        self._holds.append(hold)
        self._hold = (step, hold)
        return hold

    @property
    def queued(self) -> list[str]:
        """Ids of what runs and waits."""
        with self._change:
            running = [self._running[1]] if self._running else []
            return running + [item[1] for item in self._pending]

    def wait_until_idle(self, seconds: float = 60.0) -> None:
        """Wait until nothing runs or waits."""
        with self._change:
            assert self._change.wait_for(lambda: not self._running and not self._pending, seconds)

    def wait_for_prompt(self, count: int = 1, seconds: float = 60.0) -> None:
        """Wait until ``count`` prompts were queued."""
        with self._change:
            assert self._change.wait_for(lambda: len(self.prompts) >= count, seconds)

    def delete_pending(self) -> None:
        """What a person does in the queue's window."""
        with self._change:
            self._pending.clear()
            self._change.notify_all()

    def interrupt(self) -> None:
        """What a person does with the button."""
        self._interrupt = True

    def __enter__(self) -> FakeComfyUI:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it; returns when it answers."""
        self._threads = [
            threading.Thread(target=lambda: asyncio.run(self._serve()), name="fake-comfyui", daemon=True),
            threading.Thread(target=self._execute_all, name="fake-comfyui-executor", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        assert self._ready.wait(60)

    def stop(self) -> None:
        """End it, with all that it was told to hang at."""
        with self._change:
            self._stopping = self._interrupt = True
            for hold in self._holds:
                hold.go_on.set()
            self._change.notify_all()
        assert self._loop is not None
        assert self._ended is not None
        self._loop.call_soon_threadsafe(self._ended.set)
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), thread.name

    # --- HTTP -----------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=100 * 2**20, middlewares=[self._middleware])
        routes = [
            ("GET", "/ws", self._ws),
            ("GET", "/prompt", self._get_prompt),
            ("POST", "/prompt", self._post_prompt),
            ("GET", "/queue", self._get_queue),
            ("POST", "/queue", self._post_queue),
            ("POST", "/interrupt", self._post_interrupt),
            ("POST", "/free", self._post_free),
            ("GET", "/history", self._get_history),
            ("GET", "/history/{id}", self._get_history),
            ("GET", "/view", self._view),
            ("POST", "/upload/image", self._upload),
            ("GET", "/object_info", self._object_info),
            ("GET", "/object_info/{name}", self._object_info),
            ("GET", "/system_stats", self._system_stats),
            ("GET", "/embeddings", self._embeddings),
            ("GET", "/models/{folder}", self._models),
            ("GET", "/view_metadata/{folder}", self._metadata),
        ]
        for method, path, handler in routes:
            app.router.add_route(method, path, handler)
            app.router.add_route(method, f"/api{path}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        server = site._server
        assert isinstance(server, asyncio.Server)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ended.wait()
        for socket, _ in list(self._sockets.values()):
            await socket.close(code=WSCloseCode.GOING_AWAY)
        await runner.cleanup()

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.calls.append((request.method, request.path.removeprefix("/api")))
        origin = request.headers.get("Origin", "")
        if self.spring("origin") or (origin and origin.rpartition("/")[2] != request.headers.get("Host")):
            return web.Response(status=403)
        wanted = "Basic " + base64.b64encode(b"u:p").decode("ascii")
        if self.traps.get("auth") and request.headers.get("Authorization") != wanted:
            return web.Response(status=401)
        response: web.StreamResponse = await handler(request)
        return response

    async def _hang(self) -> web.Response:
        assert self._ended is not None
        await self._ended.wait()
        return web.Response(status=503)

    async def _post_prompt(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if self.spring("drop_prompt"):
            return _abort(request)
        if self.spring("hang_prompt"):
            return await self._hang()
        prompt = body.get("prompt")
        if not isinstance(prompt, dict):
            error = {"type": "no_prompt", "message": "No prompt provided", "details": "", "extra_info": {}}
            return web.json_response({"error": error, "node_errors": {}}, status=400)
        error, outputs, node_errors = self._validate(prompt)
        if error:
            return web.json_response({"error": error, "node_errors": node_errors}, status=400)
        prompt_id = str(uuid.uuid4()) if self.traps.get("old_version") else body.get("prompt_id") or "none"
        extra = {**body.get("extra_data", {})}
        if "client_id" in body:
            extra["client_id"] = body["client_id"]
        number = self._put(prompt_id, prompt, extra, outputs)
        with self._change:
            self.prompts.append(body)
            self._change.notify_all()
        if self.spring("lose_reply"):
            return _abort(request)
        return web.json_response({"prompt_id": prompt_id, "number": number, "node_errors": node_errors})

    def _put(self, prompt_id: str, prompt: Any, extra: dict[str, Any], outputs: list[str]) -> int:
        with self._change:
            self._number += 1
            self._pending.append([self._number, prompt_id, prompt, extra, outputs])
            self._change.notify_all()
            number = self._number
        self._send_status()
        return number

    async def _get_prompt(self, request: web.Request) -> web.Response:
        return web.json_response({"exec_info": {"queue_remaining": len(self.queued)}})

    async def _get_queue(self, request: web.Request) -> web.Response:
        if self.spring("queue_502"):
            return web.Response(status=502, text="<html>Bad gateway</html>", content_type="text/html")
        with self._change:
            running = [self._running] if self._running else []
            return web.json_response({"queue_running": running, "queue_pending": list(self._pending)})

    async def _post_queue(self, request: web.Request) -> web.Response:
        body = await request.json()
        with self._change:
            gone = set(body.get("delete", ()))
            self._pending = [item for item in self._pending if not body.get("clear") and item[1] not in gone]
            self._change.notify_all()
        self._send_status()
        return web.Response(status=200)

    async def _post_interrupt(self, request: web.Request) -> web.Response:
        text = await request.text()
        wanted = json.loads(text).get("prompt_id") if text else None
        with self._change:
            running = self._running[1] if self._running else None
            if not wanted or self.traps.get("old_version") or wanted == running:
                if running and self.spring("interrupt_next"):
                    self._interrupt_next = True
                else:
                    self._interrupt = True
                self.interrupted.append(str(running))
        return web.Response(status=200)

    async def _post_free(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert body == {"unload_models": True, "free_memory": True}
        self.freed += 1
        self._results.clear()
        self._shown.clear()
        return web.Response(status=200)

    async def _get_history(self, request: web.Request) -> web.Response:
        wanted = request.match_info.get("id")
        with self._change:
            if wanted is None:
                return web.json_response(self._history)
            return web.json_response({wanted: self._history[wanted]} if wanted in self._history else {})

    async def _view(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        key = (query.get("type", "output"), query.get("subfolder", ""), query["filename"])
        data = self.files.get(key)
        if data is None:
            return web.Response(status=404)
        if self.spring("hang_view"):
            return await self._hang()
        if self.spring("html_view"):
            return web.Response(text="<html>Sign in to the proxy</html>", content_type="text/html")
        if self.spring("huge_view"):
            return web.Response(body=data + bytes(100_000_000), content_type="image/png")
        if self.spring("truncate_view"):
            response = web.StreamResponse(headers={"Content-Length": str(len(data))})
            await response.prepare(request)
            await response.write(data[: len(data) // 2])
            return _abort(request)
        if self.spring("drip_view"):
            response = web.StreamResponse(headers={"Content-Length": str(len(data))})
            await response.prepare(request)
            for index in range(len(data)):
                assert self._ended is not None
                if self._ended.is_set() or request.transport is None:
                    break
                await response.write(data[index : index + 1])
                await asyncio.sleep(0.02)
            return _abort(request)
        return web.Response(body=data, content_type="image/png")

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        image = form["image"]
        assert isinstance(image, web.FileField)
        data, name, folder = image.file.read(), image.filename, str(form.get("subfolder", ""))
        if self.spring("rename_uploads"):
            stem, _, ending = name.rpartition(".")
            name = f"{stem} (1).{ending}"
        path = f"{folder}/{name}" if folder else name
        self._inputs[path] = data
        return web.json_response({"name": name, "subfolder": folder, "type": form.get("type", "input")})

    async def _object_info(self, request: web.Request) -> web.Response:
        windows = bool(self.traps.get("windows_paths"))
        found = described(bool(self.traps.get("new_lists")), windows)
        found = {name: value for name, value in found.items() if name not in self.missing_nodes}
        if self.missing_files:
            text = json.dumps(found)
            for file in self.missing_files:
                text = text.replace(f"{json.dumps(file)}, ", "").replace(json.dumps(file), "")
            found = json.loads(text)
        name = request.match_info.get("name")
        return web.json_response({name: found[name]} if name in found else {} if name else found)

    async def _system_stats(self, request: web.Request) -> web.Response:
        system = {
            "os": "posix",
            "comfyui_version": "0.3.64",
            "python_version": sys.version,
            "argv": ["main.py"],
        }
        device = {"name": "cuda:0 Fake GPU", "type": "cuda", "index": 0, "vram_total": 8 << 30}
        return web.json_response({"system": system, "devices": [device]})

    async def _embeddings(self, request: web.Request) -> web.Response:
        if self.traps.get("no_embeddings"):
            return web.Response(status=404)
        return web.json_response(MODELS["embeddings"])

    async def _models(self, request: web.Request) -> web.Response:
        folder = request.match_info["folder"]
        return web.json_response(MODELS[folder]) if folder in MODELS else web.Response(status=404)

    async def _metadata(self, request: web.Request) -> web.Response:
        name = request.query.get("filename", "").replace("\\", "/")
        if name not in MODELS.get(request.match_info["folder"], []):
            return web.Response(status=404)
        if not name.startswith("detail"):
            return web.Response(status=404)  # a file without metadata
        return web.json_response({"sshs_model_hash": hashlib.sha256(name.encode()).hexdigest()})

    # --- the websocket --------------------------------------------------------------------------------------

    async def _ws(self, request: web.Request) -> web.StreamResponse:
        if self.traps.get("no_socket"):
            return web.Response(status=404)
        if self.spring("hang_socket"):
            return await self._hang()
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client = request.query.get("clientId", "") or uuid.uuid4().hex
        flags: dict[str, Any] = {}
        self._sockets[client] = (socket, flags)
        self.sockets_opened += 1
        await socket.send_json(
            {"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}, "sid": client}}
        )
        first = True
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT and first:
                    first = False
                    found = message.json()
                    if found.get("type") == "feature_flags" and not self.traps.get("old_version"):
                        flags.update(found["data"])
                        await socket.send_json({"type": "feature_flags", "data": {"max_upload_size": 1}})
        finally:
            if self._sockets.get(client, (None,))[0] is socket:
                del self._sockets[client]
        return socket

    def _send(self, kind: str, data: dict[str, Any], client: str | None) -> None:
        for name in list(self._sockets) if client is None else [client]:
            self._post(name, json.dumps({"type": kind, "data": data}))

    def _post(self, client: str, message: str | bytes) -> None:
        async def send() -> None:
            found = self._sockets.get(client)
            if found is None or found[0].closed:
                return
            try:
                await (found[0].send_bytes if isinstance(message, bytes) else found[0].send_str)(message)
            except (ConnectionError, RuntimeError):
                return  # it went away meanwhile

        if self._loop is not None and not self._stopping:
            asyncio.run_coroutine_threadsafe(send(), self._loop).result(5)

    def _send_status(self) -> None:
        data = {"status": {"exec_info": {"queue_remaining": len(self._pending)}}}
        if self._loop is not None and threading.current_thread() is self._threads[0]:
            for socket, _ in list(self._sockets.values()):
                self._loop.create_task(socket.send_json({"type": "status", "data": data}))
        else:
            self._send("status", data, None)

    # --- checks ---------------------------------------------------------------------------------------------

    def _validate(self, prompt: dict[str, Any]) -> tuple[Any, list[str], dict[str, Any]]:
        for node, value in prompt.items():
            if "class_type" not in value:
                return _invalid("missing class_type", node), [], {}
            if value["class_type"] not in NODES or value["class_type"] in self.missing_nodes:
                return _invalid(f"node {value['class_type']} does not exist.", node), [], {}
        outputs = [node for node, value in prompt.items() if NODES[value["class_type"]].output_node]
        if not outputs:
            error = {"type": "prompt_no_outputs", "message": "Prompt has no outputs", "details": ""}
            return error, [], {}
        found: dict[str, list[dict[str, Any]]] = {}
        good = [node for node in outputs if not self._problems(prompt, node, found)]
        node_errors = {
            node: {"errors": errors, "dependent_outputs": outputs, "class_type": prompt[node]["class_type"]}
            for node, errors in found.items()
            if errors
        }
        if not good:
            error = {
                "type": "prompt_outputs_failed_validation",
                "message": "Prompt outputs failed validation",
                "details": "",
                "extra_info": {},
            }
            return error, [], node_errors
        return None, good, node_errors

    def _problems(self, prompt: dict[str, Any], node: str, found: dict[str, list[dict[str, Any]]]) -> bool:
        """Whether ``node``, or what it depends on, cannot run; problems go into ``found``."""
        if node in found:
            return bool(found[node])
        problems = found[node] = []
        inputs = prompt[node].get("inputs", {})
        windows = bool(self.traps.get("windows_paths"))
        below = False
        for name, spec in NODES[prompt[node]["class_type"]].required.items():
            if name not in inputs:
                problems.append(_problem("required_input_missing", name, spec, None))
                continue
            value = inputs[name]
            if isinstance(value, list):
                kinds = NODES[prompt[value[0]]["class_type"]].output
                if kinds[value[1]] != spec[0]:
                    problems.append(_problem("return_type_mismatch", name, spec, value))
                below = self._problems(prompt, value[0], found) or below
            elif isinstance(spec[0], list):
                names = [item.replace("/", "\\") if windows else item for item in spec[0]]
                if len(spec) > 1 and spec[1].get("image_upload"):
                    names = list(self._inputs)
                if value not in names or value in self.missing_files:
                    problems.append(_problem("value_not_in_list", name, spec, value))
            elif spec[0] in ("INT", "FLOAT"):
                if value < spec[1].get("min", value):
                    problems.append(_problem("value_smaller_than_min", name, spec, value))
                if value > spec[1].get("max", value):
                    problems.append(_problem("value_bigger_than_max", name, spec, value))
        return bool(problems) or below

    # --- the executor ---------------------------------------------------------------------------------------

    def _execute_all(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._pending or self._stopping)
                if self._stopping:
                    return
                self._running = item = self._pending.pop(0)
                self._interrupt, self._interrupt_next = self._interrupt_next, False
            try:
                entry = self._execute(item)
            except Restarted:
                with self._change:
                    self._pending.clear()
                    self._history.clear()
                    self._results.clear()
                    self._shown.clear()
                    self._running = None
                    self._change.notify_all()
                continue
            with self._change:
                self._history[item[1]] = entry
                self._running = None
                self._change.notify_all()
            self._send("executing", {"node": None, "prompt_id": item[1]}, item[3].get("client_id"))
            self._send_status()

    def _execute(self, item: list[Any]) -> dict[str, Any]:
        _, prompt_id, prompt, extra, outputs = item
        client = extra.get("client_id")
        messages: list[list[Any]] = []

        def tell(kind: str, **data: Any) -> None:
            message = {**data, "prompt_id": prompt_id, "timestamp": int(time.time() * 1000)}
            messages.append([kind, message])
            self._send(kind, message, client)

        tell("execution_start")
        keys: dict[str, str] = {}
        for node in prompt:
            _key(prompt, node, keys)
        cached = [node for node in prompt if self.cache and keys[node] in self._results]
        tell("execution_cached", nodes=cached)
        shown: dict[str, Any] = {}
        results = {node: self._results[keys[node]] for node in cached}
        status = "success"
        try:
            for node in outputs:
                if node in cached:
                    output = None if self.spring("cached_null") else self._shown.get(keys[node])
                    if output is not None:
                        shown[node] = output
                    self._send("executed", {"node": node, "output": output, "prompt_id": prompt_id}, client)
                    continue
                self._run_node(prompt, node, prompt_id, client, keys, results, shown)
            tell("execution_success")
        except Interrupted:
            status = "error"
            tell("execution_interrupted", node_id=self._node, node_type="KSampler", executed=[])
        except Restarted:
            raise
        except Exception as error:
            status = "error"
            tell(
                "execution_error",
                node_id=self._node,
                node_type=prompt[self._node]["class_type"],
                executed=[],
                exception_message=str(error),
                exception_type=f"torch.{type(error).__name__}",
                traceback=["  File execution.py\n"],
                current_inputs={},
                current_outputs=[],
            )
        kept = {keys[node]: results[node] for node in prompt if node in results}
        self._results = kept
        return {
            "prompt": item,
            "outputs": shown,
            "status": {"status_str": status, "completed": status == "success", "messages": messages},
            "meta": {},
        }

    def _run_node(
        self,
        prompt: dict[str, Any],
        node: str,
        prompt_id: str,
        client: str | None,
        keys: dict[str, str],
        results: dict[str, tuple[Any, ...]],
        shown: dict[str, Any],
    ) -> None:
        if node in results:
            return
        inputs = dict(prompt[node]["inputs"])
        kind = NODES[prompt[node]["class_type"]]
        for name, value in inputs.items():
            if isinstance(value, list):
                self._run_node(prompt, value[0], prompt_id, client, keys, results, shown)
                inputs[name] = results[value[0]][value[1]]
        self._node = node
        if self._interrupt:
            self._interrupt = False
            raise Interrupted
        self._send("executing", {"node": node, "prompt_id": prompt_id}, client)
        self.executed.append((prompt_id, node))
        wanted = {name: value for name, value in inputs.items() if name in kind.required}
        made = kind.run(self._machine, **wanted)
        results[node] = made
        if kind.output_node:
            output = {"images": self._save(*made)}
            shown[node] = self._shown[keys[node]] = output
            self._send("executed", {"node": node, "output": output, "prompt_id": prompt_id}, client)

    def _save(self, data: bytes, prefix: str, kind: str) -> list[dict[str, str]]:
        folder, _, stem = prefix.rpartition("/")
        number = sum(key[:2] == (kind, folder) and key[2].startswith(f"{stem}_") for key in self.files) + 1
        name = f"{stem}_{number:05}_.png"
        if self.spring("wrong_size"):
            with Image.open(io.BytesIO(data)) as image:
                half = image.resize((image.width // 2, image.height // 2))
            data = png(np.asarray(half, dtype=np.float64) / 255)
        if not self.spring("delete_files"):
            self.files[kind, folder, name] = data
        ref = {"filename": name, "subfolder": folder, "type": kind}
        return [ref, ref] if self.spring("two_images") else [ref]

    def _step(self, value: int, most: int, latent: Any) -> None:
        """Called by nodes after each step."""
        assert self._running is not None
        prompt_id, extra = self._running[1], self._running[3]
        client = extra.get("client_id")
        if self.step_seconds:
            time.sleep(self.step_seconds)
        if self.spring("restart"):
            raise Restarted
        if self.spring("oom"):
            from tests.support.comfy_nodes import OutOfMemoryError

            raise OutOfMemoryError("Allocation on device 0 would exceed allowed memory. (out of memory)")
        if self.spring("error"):
            raise ValueError("tensors must be on the same device")
        old = bool(self.traps.get("old_version"))
        data: dict[str, Any] = {"value": value, "max": most}
        if not old:
            data |= {"prompt_id": prompt_id, "node": self._node}
        self._send("progress", data, client)
        if latent is not None and client in self._sockets and (old or extra.get("preview_method")):
            self._preview(latent, prompt_id, client)
        if self.spring("drop_socket") and client in self._sockets:
            socket = self._sockets[client][0]
            assert self._loop is not None
            self._loop.call_soon_threadsafe(_cut, socket)
        if self._hold and self._hold[0] == value:
            hold = self._hold[1]
            self._hold = None
            hold.reached.set()
            hold.go_on.wait(60)
        if self.spring("hang_sampling"):
            while not self._interrupt and not self._stopping:
                time.sleep(0.01)
        if self._interrupt:
            self._interrupt = False
            raise Interrupted

    def _preview(self, latent: Any, prompt_id: str, client: str) -> None:
        buffer = io.BytesIO()
        pixels = np.round(decoded(latent)[::8, ::8] * 255).astype(np.uint8)
        Image.fromarray(pixels).save(buffer, "JPEG")
        if self._sockets[client][1].get("supports_preview_metadata"):
            metadata = json.dumps(
                {"node_id": self._node, "prompt_id": prompt_id, "image_type": "image/jpeg"}
            ).encode("utf-8")
            head = struct.pack(">II", 4, len(metadata)) + metadata
        else:
            head = struct.pack(">II", 1, 1)
        self._post(client, head + buffer.getvalue())


def _cut(socket: web.WebSocketResponse) -> None:
    request = socket._req
    if request is not None and request.transport is not None:
        request.transport.abort()


def _abort(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _key(prompt: dict[str, Any], node: str, keys: dict[str, str]) -> str:
    """What a node is cached under: its class and inputs, and those of all that it depends on."""
    if node not in keys:
        inputs = {
            name: [_key(prompt, value[0], keys), value[1]] if isinstance(value, list) else value
            for name, value in prompt[node]["inputs"].items()
        }
        text = json.dumps([prompt[node]["class_type"], inputs], sort_keys=True)
        keys[node] = hashlib.sha256(text.encode("utf-8")).hexdigest()
    return keys[node]


def _invalid(why: str, node: str) -> dict[str, Any]:
    return {
        "type": "invalid_prompt",
        "message": f"Cannot execute because {why}",
        "details": f"Node ID '#{node}'",
        "extra_info": {},
    }


def _problem(kind: str, name: str, spec: Any, value: Any) -> dict[str, Any]:
    texts = {
        "required_input_missing": ("Required input is missing", name),
        "return_type_mismatch": ("Return type mismatch between linked nodes", f"{name}, mismatch"),
        "value_not_in_list": ("Value not in list", f"{name}: '{value}' not in {spec[0]}"),
        "value_smaller_than_min": (f"Value {value} smaller than min", name),
        "value_bigger_than_max": (f"Value {value} bigger than max", name),
    }
    message, details = texts[kind]
    extra = {"input_name": name, "input_config": list(spec), "received_value": value}
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def _words(text: str) -> Iterator[tuple[str, int]]:
    for word in text.split(","):
        if word:
            name, _, count = word.partition("=")
            yield name, int(count or -1)


def main() -> None:
    """``python -m tests.support.fake_comfyui``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8188)
    parser.add_argument("--step-seconds", type=float, default=0.05)
    parser.add_argument("--traps", default="", help=f"NAME or NAME=TIMES, with commas: {', '.join(TRAPS)}")
    args = parser.parse_args()
    fake = FakeComfyUI(port=args.port, step_seconds=args.step_seconds)
    fake.traps.update(_words(args.traps))
    with fake:
        print(f"a fake ComfyUI listens at {fake.url}; Ctrl-C ends it", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("ended")


if __name__ == "__main__":
    main()
