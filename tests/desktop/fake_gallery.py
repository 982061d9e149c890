"""The images of a kernel that makes none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from stablenew_api.errors import UserError
from stablenew_proto.v1 import gallery_pb2 as pb


class FakeGallery:
    """As :class:`~stablenew_client.GalleryClient`, over ``images``, the newest first. Of the words of a filter
    it knows those of the prompt only."""

    def __init__(self, images: Sequence[pb.Image], spec: bytes, settings: bytes) -> None:
        self.all = list(images)
        self._spec, self._settings = spec, settings

    def images(
        self, where: pb.ImageFilter | None = None, *, order: str = "newest", limit: int = 100, offset: int = 0
    ) -> pb.ListImagesResponse:
        found = [image for image in self.all if _lets_through(where or pb.ImageFilter(), image)]
        if order == "oldest":
            found.reverse()
        elif order == "best":
            found.sort(key=lambda image: -image.stars)
        return pb.ListImagesResponse(images=found[offset : offset + (limit or 100)], total=len(found))

    def image(self, image_sha256: str) -> pb.GetImageResponse:
        found = next((image for image in self.all if image.image_sha256.startswith(image_sha256)), None)
        if found is None:
            raise UserError(f"there is no image {image_sha256}")
        return pb.GetImageResponse(
            image=found,
            settings_json=self._settings,
            spec_json=self._spec,
            infotext=f"{found.prompt}\nNegative prompt: {found.negative_prompt}\nSteps: 30, Seed: {found.seed}",
            times=[pb.StageTime(stage=stage, seconds=found.run_time / 2) for stage in found.stages[:2]],
            backend="Forge f2.0",
            peak_vram_bytes=9 * 2**30,
        )

    def facets(self, where: pb.ImageFilter | None = None) -> pb.ListFacetsResponse:
        found = [image for image in self.all if _lets_through(where or pb.ImageFilter(), image)]

        def count(values: Sequence[str]) -> list[pb.Facet]:
            counts = sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0]))
            return [pb.Facet(value=value, images=images) for value, images in counts]

        return pb.ListFacetsResponse(
            packs=count([image.run_name for image in found]),
            models=count([image.model for image in found]),
            tags=count([tag for image in found for tag in image.tags]),
            presets=count([image.preset for image in found]),
            stars=count([str(image.stars) for image in found]),
        )

    def read(self, name: str, data: bytes) -> pb.ReadImageResponse:
        return pb.ReadImageResponse(program="A1111", prompt=self.all[0].prompt, settings_json=self._settings)

    def rate(self, image_sha256: str, stars: int, tags: Sequence[str]) -> bool:
        """Keep a rating. Whether there is such an image."""
        for image in self.all:
            if image.image_sha256 == image_sha256:
                image.stars = stars
                del image.tags[:]
                image.tags.extend(tags)
                return True
        return False


def _lets_through(where: pb.ImageFilter, image: pb.Image) -> bool:
    return (
        image.run_id.startswith(where.run_id)
        and (not where.packs or image.run_name in where.packs)
        and (not where.models or image.model in where.models)
        and (not where.presets or image.preset in where.presets)
        and set(where.tags) <= set(image.tags)
        and image.stars >= where.min_stars
        and not (where.unrated and image.stars)
        and (not where.stage or where.stage in image.stages)
        and image.saved_at >= where.since
        and (not where.until or image.saved_at < where.until)
        and all(word in image.prompt for word in where.words.split())
    )
