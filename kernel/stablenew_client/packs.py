"""What a kernel makes of prompt packs, by content. :attr:`KernelClient.packs`. Nothing is kept there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import grpc

from stablenew_proto.v1 import kernel_pb2, packs_pb2_grpc
from stablenew_proto.v1 import packs_pb2 as pb


class PackClient:
    """Blocking calls; safe to use from several threads.

    Raises as :class:`~stablenew_client.client.KernelClient`. Answers are the messages of ``packs.proto``.
    """

    def __init__(self, channel: grpc.Channel, call: Callable[[Callable[..., Any], Any], Any]) -> None:
        """Use :attr:`KernelClient.packs`."""
        self._stub = packs_pb2_grpc.PackServiceStub(channel)
        self._call = call

    def describe(
        self, run: kernel_pb2.RunRequest, *, check: bool = True, rows: int = 0
    ) -> pb.DescribePackResponse:
        """Rows (at most ``rows``; 0: all), slots and, with ``check``, problems of the pack of ``run``."""
        request = pb.DescribePackRequest(run=run, check=check, rows=rows)
        answer: pb.DescribePackResponse = self._call(self._stub.DescribePack, request)
        return answer

    def edit(self, name: str, content: bytes, edits: Sequence[pb.PackEdit]) -> bytes:
        """The content of the pack ``name`` after ``edits``; all other bytes stay."""
        request = pb.EditPackRequest(name=name, content=content, edits=edits)
        answer: pb.EditPackResponse = self._call(self._stub.EditPack, request)
        return answer.content

    def prompt(self, prompt: str, run: kernel_pb2.RunRequest | None = None) -> pb.ReadPromptResponse:
        """What ``prompt`` is made of. ``run``: where its slots and wildcards get their options."""
        request = pb.ReadPromptRequest(prompt=prompt, run=run)
        answer: pb.ReadPromptResponse = self._call(self._stub.ReadPrompt, request)
        return answer

    def wildcards(self) -> Sequence[pb.WildcardInfo]:
        """Wildcards that the kernel has itself."""
        answer: pb.ListWildcardsResponse = self._call(self._stub.ListWildcards, pb.ListWildcardsRequest())
        return answer.wildcards
