"""The images that a kernel has made. :attr:`KernelClient.gallery`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import grpc

from stablenew_proto.v1 import gallery_pb2 as pb
from stablenew_proto.v1 import gallery_pb2_grpc


class GalleryClient:
    """Blocking calls; safe to use from several threads.

    Raises as :class:`~stablenew_client.client.KernelClient`. Answers are the messages of ``gallery.proto``.
    """

    def __init__(self, channel: grpc.Channel, call: Callable[[Callable[..., Any], Any], Any]) -> None:
        """Use :attr:`KernelClient.gallery`."""
        self._stub = gallery_pb2_grpc.GalleryServiceStub(channel)
        self._call = call

    def images(
        self, where: pb.ImageFilter | None = None, *, order: str = "newest", limit: int = 100, offset: int = 0
    ) -> pb.ListImagesResponse:
        """A page of those that ``where`` lets through. ``order`` is newest, oldest or best."""
        request = pb.ListImagesRequest(filter=where, order=order, limit=limit, offset=offset)
        answer: pb.ListImagesResponse = self._call(self._stub.ListImages, request)
        return answer

    def image(self, image_sha256: str) -> pb.GetImageResponse:
        """One image with all that is known of it. A unique beginning of its hash will do."""
        request = pb.GetImageRequest(image_sha256=image_sha256)
        answer: pb.GetImageResponse = self._call(self._stub.GetImage, request)
        return answer

    def facets(self, where: pb.ImageFilter | None = None) -> pb.ListFacetsResponse:
        """What the images that ``where`` lets through can be filtered by, with counts."""
        answer: pb.ListFacetsResponse = self._call(self._stub.ListFacets, pb.ListFacetsRequest(filter=where))
        return answer

    def count_stars(
        self, where: pb.ImageFilter | None = None, settings: Sequence[str] = ()
    ) -> pb.CountStarsResponse:
        """How the images that ``where`` lets through were rated, by what they have in common; also by
        ``settings``, as "txt2img.steps"."""
        request = pb.CountStarsRequest(filter=where, settings=settings)
        answer: pb.CountStarsResponse = self._call(self._stub.CountStars, request)
        return answer

    def read(self, name: str, data: bytes) -> pb.ReadImageResponse:
        """What the file ``name`` with the content ``data`` tells about itself."""
        request = pb.ReadImageRequest(name=name, data=data)
        answer: pb.ReadImageResponse = self._call(self._stub.ReadImage, request)
        return answer
