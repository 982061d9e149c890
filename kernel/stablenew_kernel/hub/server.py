"""The gRPC server of the kernel: one port on loopback for agents and clients."""

from __future__ import annotations

import hmac
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from stablenew_api.errors import UserError
from stablenew_proto.options import SERVER_OPTIONS

OPEN_SERVICES = frozenset(
    {"/stablenew_proto.v1.AgentLinkService/", "/stablenew_proto.v1.ArtifactStoreService/"}
)
"""Services that a peer on loopback may call without a token. Every other method is denied without one."""


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Lets a call through if its service is open on loopback or it shows the data folder's token.

    Denies whatever it does not know: a service added later is closed until somebody opens it here.
    """

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}"

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        details: grpc.HandlerCallDetails,
    ) -> Any:
        """Called for each call before its handler."""
        method = details.method or ""
        if any(method.startswith(service) for service in OPEN_SERVICES):
            return await continuation(details)
        shown = dict(details.invocation_metadata or ()).get("authorization", "")
        if isinstance(shown, str) and hmac.compare_digest(shown.encode(), self._expected.encode()):
            return await continuation(details)
        handler = await continuation(details)
        return _deny(handler)


def _deny(handler: Any) -> Any:
    async def refuse(_request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort(
            grpc.StatusCode.UNAUTHENTICATED,
            "this kernel wants the token of its data folder; use the same --data as the kernel",
        )

    async def refuse_stream(_request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        await refuse(_request, context)
        yield

    if handler is None:
        return None
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(
            refuse_stream, handler.request_deserializer, handler.response_serializer
        )
    return grpc.unary_unary_rpc_method_handler(
        refuse, handler.request_deserializer, handler.response_serializer
    )


def make_server(token: str) -> grpc.aio.Server:
    """A server that checks tokens. Servicers are added before it starts."""
    return grpc.aio.server(interceptors=[TokenInterceptor(token)], options=SERVER_OPTIONS)


def bind(server: grpc.aio.Server, port: int) -> int:
    """Bind to loopback and return the port; 0 picks a free one.

    Raises UserError, naming the port, if it is taken. gRPC's own message would not tell; a plain socket asks
    first, and gRPC is not asked to share (``so_reuseport`` is off), so the answer holds.
    """
    if port:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            # As gRPC does. Otherwise our own connections of a moment ago, in TIME_WAIT, would make a kernel
            # that is started again believe its port taken. On Windows the option means to share: never wanted.
            if sys.platform != "win32":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise UserError(
                    f"port {port} on 127.0.0.1 is not free ({error.strerror}); stop what uses it, or set "
                    "another `port` in settings.toml (0 picks a free one)"
                ) from error
    try:
        return server.add_insecure_port(f"127.0.0.1:{port}")
    except RuntimeError as error:
        raise UserError(f"could not listen on 127.0.0.1:{port}: {error}") from error
