"""Who may call what, and what happens when the port is taken."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from kernel_kit import TOKEN, kernel_on, run

from stablenew_api.datafolder import DataFolder
from stablenew_api.errors import UserError
from stablenew_kernel.hub.server import OPEN_SERVICES, bind, make_server
from stablenew_proto.v1 import agent_link_pb2, artifact_store_pb2, common_pb2, kernel_pb2, library_pb2

PROTOS = (common_pb2, agent_link_pb2, artifact_store_pb2, kernel_pb2, library_pb2)


def methods() -> Iterator[MethodDescriptor]:
    for proto in PROTOS:
        for service in proto.DESCRIPTOR.services_by_name.values():
            yield from service.methods


def path_of(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def test_only_the_services_of_agents_are_open() -> None:
    """A service added later is closed until somebody decides otherwise here."""
    found = {f"/{method.containing_service.full_name}/" for method in methods()}
    assert found == {
        "/stablenew_proto.v1.AgentLinkService/",
        "/stablenew_proto.v1.ArtifactStoreService/",
        "/stablenew_proto.v1.KernelService/",
        "/stablenew_proto.v1.LibraryService/",
    }
    assert found - OPEN_SERVICES == {
        "/stablenew_proto.v1.KernelService/",
        "/stablenew_proto.v1.LibraryService/",
    }
    assert not any("/stablenew_proto.v1.KernelServiceX/".startswith(service) for service in OPEN_SERVICES)


async def _code(channel: grpc.aio.Channel, method: MethodDescriptor, metadata: Any) -> grpc.StatusCode:
    request = GetMessageClass(method.input_type)()
    answer = GetMessageClass(method.output_type)
    kinds = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
        (True, True): channel.stream_stream,
    }
    call = kinds[method.client_streaming, method.server_streaming](
        path_of(method),
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=answer.FromString,
    )(iter([request]) if method.client_streaming else request, metadata=metadata, timeout=60)
    if method.server_streaming:
        try:
            await call.read()
        except grpc.aio.AioRpcError as error:
            return error.code()
        call.cancel()
        return grpc.StatusCode.OK
    code: grpc.StatusCode = await call.code()
    return code


@pytest.mark.parametrize("method", list(methods()), ids=lambda method: method.full_name)
def test_every_method_is_open_or_wants_the_token(data: DataFolder, method: MethodDescriptor) -> None:
    is_open = any(path_of(method).startswith(service) for service in OPEN_SERVICES)

    async def main() -> None:
        async with kernel_on(data) as house, grpc.aio.insecure_channel(house.address) as channel:
            for wrong in (None, "", "Bearer", f"Bearer {TOKEN}x", TOKEN):
                metadata = None if wrong is None else (("authorization", wrong),)
                code = await _code(channel, method, metadata)
                assert (code is grpc.StatusCode.UNAUTHENTICATED) is not is_open, wrong
            right = await _code(channel, method, (("authorization", f"Bearer {TOKEN}"),))
            assert right is not grpc.StatusCode.UNAUTHENTICATED

    run(main)


def test_a_refusal_says_what_to_do(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house, grpc.aio.insecure_channel(house.address) as channel:
            with pytest.raises(grpc.aio.AioRpcError, match="use the same --data as the kernel"):
                await channel.unary_unary("/stablenew_proto.v1.KernelService/GetStatus")(b"")

    run(main)


def test_a_method_that_does_not_exist_is_no_way_in(data: DataFolder) -> None:
    async def main() -> None:
        async with kernel_on(data) as house, grpc.aio.insecure_channel(house.address) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary("/stablenew_proto.v1.KernelService/Format")(b"")
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED

    run(main)


def test_a_taken_port_is_named() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with pytest.raises(UserError, match=rf"port {port} on 127.0.0.1 is not free .*settings.toml"):
                bind(make_server("t"), port)

    run(main)


def test_two_kernels_never_share_a_port() -> None:
    async def main() -> None:
        first, second = make_server("a"), make_server("b")
        port = bind(first, 0)
        await first.start()
        try:
            with pytest.raises(UserError, match=str(port)):
                bind(second, port)
        finally:
            await first.stop(0)

    run(main)


def test_a_port_that_was_just_left_is_free(data: DataFolder) -> None:
    """A kernel that restarts finds its own dead connections in TIME_WAIT: they must not cost it its port, which
    agents on other machines know."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)) as client:
                accepted, _ = listening.accept()
                accepted.close()  # whoever closes first keeps TIME_WAIT
                assert client.recv(1) == b""
        server = make_server("t")
        assert bind(server, port) == port
        await server.stop(0)

    run(main)
