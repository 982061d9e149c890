"""Calls to the server: each with an end in time, each abandoned at a cancel, what failed told in plain words.

A call runs in a thread of its own and is waited for. So neither a server that sends a byte a second nor one
that sends nothing can hold a job longer than it may take, and a cancel is honoured within 50 ms.
"""

from __future__ import annotations

import json
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from stablenew_api.errors import StageFailure
from stablenew_api.jobs import FailureKind, JsonValue

if TYPE_CHECKING:
    from stablenew_api.cancel import CancelToken
    from stablenew_plugins.backends.comfyui.options import ComfyConfig

T = TypeVar("T")

LARGEST_REPLY = 512 * 2**20
"""Bytes; beyond it something is wrong."""
LOOK = 0.05
"""Seconds between two looks at the cancel token."""
TRIES = 3
"""Of a call that may be made again."""
PAUSE = 0.2
"""Seconds before the second try, doubled before each further one."""
_CHUNK = 1 << 18
_EVIDENCE = 2000
"""Characters of a reply that are kept where it does not fit."""


class CallFailed(StageFailure):
    """No usable answer. ``maybe_run``: whether the server may have done what was asked for all the same."""

    def __init__(self, kind: str, message: str, detail: str = "", *, maybe_run: bool) -> None:
        super().__init__(kind, message, detail)
        self.maybe_run = maybe_run


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered."""

    status: int
    content_type: str
    body: bytes
    what: str
    """The call, for messages: ``GET /queue``."""

    def evidence(self) -> str:
        """The reply in short, for the detail of a failure."""
        try:
            shown = self.body[:_EVIDENCE].decode("utf-8")
        except UnicodeDecodeError:
            shown = f"bytes {self.body[:64].hex(' ')}"
        kind = self.content_type or "no content type"
        return f"{self.what}: status {self.status}, {kind}, {len(self.body)} bytes\n{shown}"

    def json(self) -> Any:
        """The body as JSON. Raises StageFailure(BACKEND) with the reply as evidence if it is none."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise StageFailure(
                FailureKind.BACKEND,
                f"ComfyUI answered {self.what} with something that is no JSON "
                f"({self.content_type or 'no type'}); is the address that of ComfyUI itself?",
                self.evidence(),
            ) from error


class Pending(Generic[T]):
    """A call under way, in a thread of its own. ``limit``: seconds that it may take."""

    def __init__(self, send: Callable[[], T], limit: float, what: str) -> None:
        self._limit, self._what = limit, what
        self._done = threading.Event()
        self._reply: list[T] = []
        self._error: Exception | None = None
        self._send = send
        threading.Thread(target=self._run, name=f"comfyui {what}", daemon=True).start()

    def _run(self) -> None:
        try:
            self._reply.append(self._send())
        except Exception as error:
            self._error = error
        finally:
            self._done.set()

    def wait(self, seconds: float) -> bool:
        """Wait for the answer, whatever it is. Returns whether there is one."""
        return self._done.wait(seconds)

    def result(self, cancel: CancelToken | None) -> T:
        """The answer. Raises CallFailed, and Cancelled as soon as ``cancel`` fires; the call is then left
        alone."""
        ends = time.monotonic() + self._limit
        while not self._done.wait(min(LOOK, max(0.0, ends - time.monotonic()))):
            if cancel is not None:
                cancel.raise_if_cancelled()
            if time.monotonic() >= ends:
                raise CallFailed(
                    FailureKind.TIMEOUT,
                    f"ComfyUI did not finish its answer to {self._what} within {self._limit:g} s",
                    maybe_run=True,
                )
        if self._error is not None:
            raise self._error
        return self._reply[0]


class Server:
    """The HTTP side of one ComfyUI server. Thread-safe."""

    def __init__(self, options: ComfyConfig) -> None:
        import requests

        self._options = options
        self.url = options.url
        self._session = requests.Session()
        self._session.verify = options.verify_tls
        # What is on this machine is never reached by a proxy, whatever the environment says.
        self._session.trust_env = not is_here(options.url)
        # Cookies are the one part of a session that its calls change: without them threads may share it.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers.update(auth_header(options.auth))

    def close(self) -> None:
        """Close idle connections."""
        self._session.close()

    def start(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: JsonValue = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        form: Mapping[str, str] | None = None,
        limit: float | None = None,
    ) -> Pending[Reply]:
        """Begin a call. ``body`` is sent as JSON; ``files`` (name, content, type) and ``form`` as a form.
        ``limit``: seconds that it may take in all; default: the option ``read_timeout``."""
        limit = self._options.read_timeout if limit is None else limit
        what = f"{method} {path}"
        address = f"{self.url}{quote(path)}" + (f"?{urlencode(query)}" if query else "")
        timeout = (min(self._options.connect_timeout, limit), limit)

        def send() -> Reply:
            return self._send(method, address, what, timeout, body=body, files=files, form=form)

        return Pending(send, limit, what)

    def call(
        self, method: str, path: str, cancel: CancelToken | None = None, *, tries: int = TRIES, **options: Any
    ) -> Reply:
        """Make a call that may be made again if it fails on the way (reading, deleting, uploading by content).

        Raises CallFailed when the server does not answer, and Cancelled.
        """
        for attempt in range(1, tries + 1):
            try:
                return self.start(method, path, **options).result(cancel)
            except CallFailed as error:
                if attempt == tries or error.kind == FailureKind.TIMEOUT:
                    raise
            pause(PAUSE * 2 ** (attempt - 1), cancel)
        raise AssertionError("unreachable")

    def json(self, path: str, cancel: CancelToken | None = None, **options: Any) -> Any:
        """GET ``path`` as JSON. Raises as :meth:`call`, and StageFailure(BACKEND) for any status but 200."""
        reply = self.call("GET", path, cancel, **options)
        if reply.status != 200:
            raise refused(reply)
        return reply.json()

    def _send(
        self,
        method: str,
        address: str,
        what: str,
        timeout: tuple[float, float],
        *,
        body: JsonValue,
        files: Mapping[str, tuple[str, bytes, str]] | None,
        form: Mapping[str, str] | None,
    ) -> Reply:
        import requests

        try:
            with self._session.request(
                method,
                address,
                data=json.dumps(body).encode("utf-8") if body is not None else form,
                headers={"Content-Type": "application/json"} if body is not None else None,
                files=files,
                timeout=timeout,
                stream=True,
                allow_redirects=method == "GET",
            ) as answer:
                parts, size = [], 0
                for part in answer.iter_content(_CHUNK):
                    size += len(part)
                    if size > LARGEST_REPLY:
                        raise CallFailed(
                            FailureKind.BACKEND,
                            f"ComfyUI answered {what} with more than {LARGEST_REPLY >> 20} MiB",
                            maybe_run=True,
                        )
                    parts.append(part)
                return Reply(answer.status_code, answer.headers.get("Content-Type", ""), b"".join(parts), what)
        except requests.ConnectTimeout as error:
            raise self._absent(f"no connection within {timeout[0]:g} s", error, maybe_run=False) from error
        except requests.Timeout as error:
            raise CallFailed(
                FailureKind.TIMEOUT, f"ComfyUI did not answer {what} within {timeout[1]:g} s", maybe_run=True
            ) from error
        except requests.exceptions.SSLError as error:
            raise CallFailed(
                FailureKind.BACKEND,
                f"the certificate of {self.url} is not good; correct it, or set verify_tls=false",
                str(error),
                maybe_run=False,
            ) from error
        except requests.ConnectionError as error:
            never = "NewConnectionError" in repr(error)
            why = "nobody listens there" if never else "the connection broke"
            raise self._absent(why, error, maybe_run=not never) from error
        except requests.RequestException as error:
            raise CallFailed(
                FailureKind.BACKEND,
                f"ComfyUI's answer to {what} broke off or is no HTTP",
                str(error),
                maybe_run=True,
            ) from error

    def _absent(self, why: str, error: Exception, *, maybe_run: bool) -> CallFailed:
        return CallFailed(
            FailureKind.BACKEND,
            f"ComfyUI does not answer at {self.url} ({why}); start it, or correct the option url",
            str(error),
            maybe_run=maybe_run,
        )


def auth_header(pair: str) -> dict[str, str]:
    """The header for ``USER:PASSWORD``; empty for none."""
    if not pair:
        return {}
    return {"Authorization": f"Basic {b64encode(pair.encode('utf-8')).decode('ascii')}"}


def is_here(url: str) -> bool:
    """Whether an address is this machine's own."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def pause(seconds: float, cancel: CancelToken | None) -> None:
    """Wait. Raises Cancelled as soon as ``cancel`` fires."""
    if cancel is None:
        time.sleep(seconds)
    elif cancel.wait(seconds):
        cancel.raise_if_cancelled()


def refused(reply: Reply) -> StageFailure:
    """The error for a status that says no; from 500 on it is no answer rather than a refusal."""
    reasons = {
        401: "it asks for user and password: set the option auth",
        403: "something in between changes Origin or Host, as a browser add-on or a proxy does; start ComfyUI "
        "with --enable-cors-header, or use its own address",
        404: "is the address that of ComfyUI itself, and is it a recent version?",
        413: "the image is too large: start ComfyUI with a larger --max-upload-size",
        502: "the proxy in front of it finds no ComfyUI; start it",
        503: "it is not ready",
        504: "the proxy in front of it gave up waiting",
    }
    why = reasons.get(reply.status, "see the detail")
    text = f"ComfyUI refused {reply.what} with status {reply.status}: {why}"
    if reply.status >= 500:
        return CallFailed(FailureKind.BACKEND, text, reply.evidence(), maybe_run=True)
    return StageFailure(FailureKind.BACKEND, text, reply.evidence())
