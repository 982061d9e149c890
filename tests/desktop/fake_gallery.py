"""The images of a kernel that makes none."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
            settings_json=json.dumps(self._settings_of(found)).encode(),
            spec_json=self._spec,
            infotext=f"{found.prompt}\nNegative prompt: {found.negative_prompt}\nSteps: 30, Seed: {found.seed}",
            times=[pb.StageTime(stage=stage, seconds=found.run_time / 2) for stage in found.stages[:2]],
            backend="Forge f2.0",
            peak_vram_bytes=9 * 2**30,
        )

    def _settings_of(self, image: pb.Image) -> Mapping[str, Any]:
        """Of one in three another sampler, of others more steps: people try this and that."""
        made_with = json.loads(self._settings)
        number = image.seed
        first = made_with.get("txt2img", {})
        if "steps" in first:
            first["steps"] += 8 * (number % 4) - 8
            first["cfg_scale"] += number % 3 - 1
            first["sampler_name"] = (first["sampler_name"], "Euler a", "DPM++ SDE")[number % 3]
        return made_with

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

    def count_stars(
        self, where: pb.ImageFilter | None = None, settings: Sequence[str] = ()
    ) -> pb.CountStarsResponse:
        found = [image for image in self.all if _lets_through(where or pb.ImageFilter(), image)]
        return count_by_hand(found, settings, self._settings_of)

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


def count_by_hand(
    images: Sequence[pb.Image], settings: Sequence[str], settings_of: Callable[[pb.Image], Mapping[str, Any]]
) -> pb.CountStarsResponse:
    """How ``images``, which were made with ``settings_of`` each, were rated."""
    counts: dict[tuple[str, str], list[int]] = {}
    for image in images:
        made_with = settings_of(image)
        values = [("all", ""), ("pack", image.run_name), ("model", image.model), ("preset", image.preset)]
        values += [("tag", tag) for tag in image.tags]
        for setting in settings:
            stage, _, name = setting.partition(".")
            values.append((setting, str(made_with.get(stage, {}).get(name, ""))))
        for kind, value in values:
            if value or kind == "all":
                counts.setdefault((kind, value), [0] * 6)[image.stars] += 1
    return pb.CountStarsResponse(
        counts=[
            pb.StarCount(kind=kind, value=value, images=stars)
            for (kind, value), stars in sorted(counts.items(), key=lambda item: (item[0][0], -sum(item[1])))
        ]
    )


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
