"""Asking a server what it is, without making it do anything: GET requests, one after the other.

Every request has a timeout for connecting and for each wait, a limit for all of it, and a limit to how much is
read: what answers may be anything.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit, urlunsplit

from stablenew_api.errors import UserError
from stablenew_plugins.backends.check.evaluate import (
    COMFYUI,
    COMFYUI_PATHS,
    NODES,
    NOT_HTTP,
    OPTIONS,
    REFUSED,
    ROOT,
    SLOW,
    STATS,
    TIMEOUT,
    TLS,
    TLS_PLAIN,
    TLS_UNTRUSTED,
    TOO_LARGE,
    UNKNOWN_HOST,
    UNREACHABLE,
    WEBUI,
    WEBUI_PATHS,
    Answer,
    Answers,
    family,
)

CONNECT_TIMEOUT = 5.0
"""Seconds; a server in the same house answers in milliseconds."""
READ_TIMEOUT = 10.0
"""Seconds of silence. A WebUI that loads a model answers late."""
WHOLE_TIMEOUT = 30.0
"""Seconds that one answer may take in all: a server that sends a byte now and then is not waited for."""
LARGEST = 8 * 2**20
"""Bytes of an answer, unpacked."""
LARGEST_NODES = 64 * 2**20
"""Of ``/object_info``: a ComfyUI with hundreds of extensions has some 10 MiB there."""

_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """A server, as a person named it."""

    url: str
    """Scheme, host, port and path before that of the API, without a slash at the end and without a password."""
    auth: tuple[str, str] | None

    @property
    def host(self) -> str:
        """Name or address."""
        return urlsplit(self.url).hostname or ""


def parse_target(text: str, auth: str = "") -> Target:
    """``127.0.0.1:7860``, ``http://host:7860/``, ``https://me:secret@host/webui``. ``auth`` is
    ``USER:PASSWORD`` and wins over what the address has.

    Raises UserError that says what is wrong.
    """
    given = text.strip()
    if "://" not in given:
        given = f"http://{given}"
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError as error:
        raise UserError(f"address {text!r}: {error}; write it as http://127.0.0.1:7860") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or any(char.isspace() for char in given):
        raise UserError(f"address {text!r}: write it as http://127.0.0.1:7860 or https://host")
    if port == 0:
        raise UserError(f"address {text!r}: there is no port 0")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    netloc = host if port is None else f"{host}:{port}"
    path = parts.path
    for known in ("/sdapi", "/docs", "/object_info", "/system_stats"):  # copied from the browser
        path = path.partition(known)[0]
    credentials = None
    if auth:
        user, colon, password = auth.partition(":")
        if not colon or not user:
            raise UserError("--auth: write USER:PASSWORD, as the server's --api-auth has it")
        credentials = (user, password)
    elif parts.username is not None:
        credentials = (unquote(parts.username), unquote(parts.password or ""))
    return Target(urlunsplit((parts.scheme, netloc, path.rstrip("/"), "", "")), credentials)


Fetch = Callable[[str], Answer]
"""``fetch(path)``: GET of a path below the target."""


def ask(target: Target, fetch: Fetch | None = None, patience: float = READ_TIMEOUT) -> Answers:
    """All answers that :func:`~.evaluate.evaluate` wants of such a server, by path. Raises nothing: what goes
    wrong is in the answer. ``patience``: seconds of silence, at most :data:`READ_TIMEOUT`."""
    if fetch is None:
        with _Client(target, patience=patience) as client:
            return dict(_ask(client.get))
    return dict(_ask(fetch))


def _ask(fetch: Fetch) -> Iterator[tuple[str, Answer]]:
    root = fetch(ROOT)
    yield ROOT, root
    if root.problem and root.problem != SLOW:
        return
    # A WebUI that makes an image may be slow with its page and quick with its API.
    answers = {ROOT: root}
    for path in (OPTIONS, STATS):
        answers[path] = fetch(path)
        yield path, answers[path]
    kind = family(answers)
    for path in {WEBUI: WEBUI_PATHS, COMFYUI: COMFYUI_PATHS}.get(kind, ()):
        if path not in answers:
            yield path, fetch(path)


class _Client:
    """A session that asks one server."""

    def __init__(
        self,
        target: Target,
        clock: Callable[[], float] = time.monotonic,
        patience: float = READ_TIMEOUT,
    ) -> None:
        import requests

        self._target = target
        self._clock = clock
        self._patience = patience
        self._session = requests.Session()
        # No proxy of the environment, no .netrc: the server is meant, and what was typed.
        self._session.trust_env = False
        self._session.auth = target.auth
        self._session.headers["Accept"] = "application/json, text/html;q=0.5, */*;q=0.1"
        bundle = os.environ.get("REQUESTS_CA_BUNDLE")
        if bundle:
            self._session.verify = bundle

    def __enter__(self) -> _Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def get(self, path: str) -> Answer:
        """One answer; what goes wrong is in it. A connection that breaks off is tried once more: a server may
        close one that it kept open, just when it is asked on it, and a GET may be repeated."""
        answer = self._get(path)
        if answer.problem == NOT_HTTP:
            answer = self._get(path)
        if answer.problem == NOT_HTTP and self._target.url.startswith("http:") and self._speaks_tls():
            answer = replace(answer, problem=TLS_PLAIN)
        return answer

    def _get(self, path: str) -> Answer:
        import requests
        from urllib3.exceptions import HTTPError

        begin = self._clock()
        most = LARGEST_NODES if path == NODES else LARGEST
        try:
            with self._session.get(
                f"{self._target.url}{path}",
                timeout=(min(CONNECT_TIMEOUT, self._patience), min(READ_TIMEOUT, self._patience)),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = bytearray()
                problem = ""
                for chunk in response.iter_content(_CHUNK):
                    body += chunk
                    if len(body) > most:
                        problem = TOO_LARGE
                        break
                    if self._clock() - begin > WHOLE_TIMEOUT:
                        problem = SLOW
                        break
                return Answer(
                    response.status_code,
                    bytes(body),
                    problem=problem,
                    location=response.headers.get("Location", ""),
                    server=response.headers.get("Server", ""),
                )
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            problem, detail = _problem(error)
            return Answer(0, b"", problem=problem, detail=detail)

    def _speaks_tls(self) -> bool:
        """Whether a server that does not speak HTTP speaks TLS. Nothing is sent to it but the handshake."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        port = urlsplit(self._target.url).port or 80
        try:
            with (
                socket.create_connection((self._target.host, port), CONNECT_TIMEOUT) as plain,
                context.wrap_socket(plain, server_hostname=self._target.host),
            ):
                return True
        except OSError:
            return False


def _problem(error: BaseException) -> tuple[str, str]:
    """What kind of trouble ``error`` is, and its words."""
    import requests
    from urllib3.exceptions import ConnectTimeoutError, NameResolutionError

    chain = list(_causes(error))
    words = next((str(each) for each in reversed(chain) if str(each)), type(error).__name__)
    detail = " ".join(words.split())[:200]

    def caused(*kinds: type[BaseException]) -> bool:
        return any(isinstance(each, kinds) for each in chain)

    if caused(ssl.SSLCertVerificationError):
        return TLS_UNTRUSTED, detail
    if caused(ssl.SSLError, requests.exceptions.SSLError):
        told = " ".join(str(each) for each in chain).upper()
        plain = "WRONG_VERSION_NUMBER" in told or "HTTP_REQUEST" in told or "RECORD_LAYER" in told
        return (TLS_PLAIN if plain else TLS), detail
    if caused(socket.gaierror, NameResolutionError, UnicodeError):
        return UNKNOWN_HOST, detail
    if caused(ConnectionRefusedError):
        return REFUSED, detail
    if caused(requests.ConnectTimeout, ConnectTimeoutError):
        return TIMEOUT, detail
    if caused(requests.Timeout, TimeoutError):
        return SLOW, detail
    if caused(requests.exceptions.InvalidURL):
        return UNKNOWN_HOST, detail
    unreachable = [each for each in chain if type(each) is OSError and each.errno is not None]
    return (UNREACHABLE, detail) if unreachable else (NOT_HTTP, detail)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """``error`` and what is behind it, as far as it goes: libraries keep it in different places."""
    left: list[BaseException] = [error]
    seen: set[int] = set()
    while left:
        each = left.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        inner = (each.__cause__, each.__context__, getattr(each, "reason", None), *each.args)
        left += [one for one in inner if isinstance(one, BaseException)]
