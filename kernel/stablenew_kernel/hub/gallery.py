"""GalleryService: the images that were made, passed on to the kernel."""

from __future__ import annotations

from typing import Any, Protocol

from stablenew_kernel.hub.answers import answer
from stablenew_proto.v1 import gallery_pb2 as pb
from stablenew_proto.v1 import gallery_pb2_grpc


class GalleryPort(Protocol):
    """What clients can ask about images; see ``gallery.proto`` for what each call does."""

    async def list_images(self, request: pb.ListImagesRequest) -> pb.ListImagesResponse: ...
    async def get_image(self, request: pb.GetImageRequest) -> pb.GetImageResponse: ...
    async def list_facets(self, request: pb.ListFacetsRequest) -> pb.ListFacetsResponse: ...
    async def count_stars(self, request: pb.CountStarsRequest) -> pb.CountStarsResponse: ...
    async def read_image(self, request: pb.ReadImageRequest) -> pb.ReadImageResponse: ...


class GalleryServicer(gallery_pb2_grpc.GalleryServiceServicer):
    """Serves the images of one kernel."""

    def __init__(self, gallery: GalleryPort) -> None:
        self._gallery = gallery

    async def ListImages(self, request: pb.ListImagesRequest, context: Any) -> pb.ListImagesResponse:
        """Images, a page at a time."""
        return await answer(context, self._gallery.list_images(request))

    async def GetImage(self, request: pb.GetImageRequest, context: Any) -> pb.GetImageResponse:
        """One image with all that is known of it."""
        return await answer(context, self._gallery.get_image(request))

    async def ListFacets(self, request: pb.ListFacetsRequest, context: Any) -> pb.ListFacetsResponse:
        """What images can be filtered by, with counts."""
        return await answer(context, self._gallery.list_facets(request))

    async def CountStars(self, request: pb.CountStarsRequest, context: Any) -> pb.CountStarsResponse:
        """How images were rated, by what they have in common."""
        return await answer(context, self._gallery.count_stars(request))

    async def ReadImage(self, request: pb.ReadImageRequest, context: Any) -> pb.ReadImageResponse:
        """What a file tells about itself."""
        return await answer(context, self._gallery.read_image(request))
