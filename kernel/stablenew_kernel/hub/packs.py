"""PackService: prompt packs by content, passed on to the kernel."""

from __future__ import annotations

from typing import Any, Protocol

from stablenew_kernel.hub.answers import answer
from stablenew_proto.v1 import packs_pb2 as pb
from stablenew_proto.v1 import packs_pb2_grpc


class PackPort(Protocol):
    """What clients can ask about packs; see ``packs.proto`` for what each call does."""

    async def describe(self, request: pb.DescribePackRequest) -> pb.DescribePackResponse: ...
    async def edit(self, request: pb.EditPackRequest) -> pb.EditPackResponse: ...
    async def read_prompt(self, request: pb.ReadPromptRequest) -> pb.ReadPromptResponse: ...
    async def wildcards(self) -> pb.ListWildcardsResponse: ...


class PackServicer(packs_pb2_grpc.PackServiceServicer):
    """Serves one kernel's look at packs."""

    def __init__(self, packs: PackPort) -> None:
        self._packs = packs

    async def DescribePack(self, request: pb.DescribePackRequest, context: Any) -> pb.DescribePackResponse:
        """Rows, slots, problems."""
        return await answer(context, self._packs.describe(request))

    async def EditPack(self, request: pb.EditPackRequest, context: Any) -> pb.EditPackResponse:
        """The content after edits."""
        return await answer(context, self._packs.edit(request))

    async def ReadPrompt(self, request: pb.ReadPromptRequest, context: Any) -> pb.ReadPromptResponse:
        """What one prompt is made of."""
        return await answer(context, self._packs.read_prompt(request))

    async def ListWildcards(self, request: pb.ListWildcardsRequest, context: Any) -> pb.ListWildcardsResponse:
        """The kernel's own wildcards."""
        return await answer(context, self._packs.wildcards())
