"""A kernel that has images, for tests of what shows and rates them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

from tests.desktop.fake_gallery import count_by_hand

from stablenew_api.errors import KernelUnavailable
from stablenew_proto.v1 import gallery_pb2, kernel_pb2


def pixels(number: int) -> str:
    return f"{number:064x}"


def image(number: int, run: str = "run-1", **fields: Any) -> gallery_pb2.Image:
    told: dict[str, Any] = {
        "image_sha256": pixels(number),
        "path": f"/images/{run}/{number:05}.png",
        "run_id": run,
        "run_name": "demo",
        "width": 640,
        "height": 480,
        "prompt": f"picture {number}",
        "seed": number,
        "model": "painter",
        "stages": ["txt2img", "upscale"],
        "saved_at": f"2026-11-27T10:{number // 60 % 60:02}:{number % 60:02}",
    }
    return gallery_pb2.Image(**{**told, **fields})


def spec(seed: int = 7) -> bytes:
    stage = {"name": "txt2img", "version": "1.0", "prompt": "a", "negative_prompt": "", "seed": seed}
    later = {**stage, "name": "upscale", "config": {"upscaler": "Lanczos"}}
    return json.dumps(
        {
            "stages": [{**stage, "config": {"seed": seed, "steps": 20}}, later],
            "needs": {"model": "", "vram_bytes": 0, "features": []},
            "inputs": [],
            "run_timeout": 600.0,
            "provenance": {"base_seed": seed, "plan_seed": 99, "row": 1},
        }
    ).encode()


class FakeKernel:
    """Answers as :class:`~stablenew_client.KernelClient`; ``images`` are the newest first."""

    def __init__(self, images: Sequence[gallery_pb2.Image] = ()) -> None:
        self.stored = list(images)
        self.calls: list[tuple[str, Any]] = []
        self.gone = False
        self.settings_json = b'{"txt2img": {"steps": 20, "cfg_scale": 7.0, "sampler_name": "Euler"}}'
        self.learning_mode: str | None = "passive"
        self.gallery = SimpleNamespace(
            images=self._images, image=self._image, facets=self._facets, count_stars=self._count_stars
        )

    def close(self) -> None:
        pass

    def called(self, name: str) -> list[Any]:
        return [told for call, told in self.calls if call == name]

    def _note(self, name: str, told: Any) -> None:
        if self.gone:
            raise KernelUnavailable("gone")
        self.calls.append((name, told))

    def _where(self, where: gallery_pb2.ImageFilter | None) -> list[gallery_pb2.Image]:
        where = where or gallery_pb2.ImageFilter()
        tests: list[Callable[[gallery_pb2.Image], bool]] = [
            lambda one: not where.run_id or one.run_id == where.run_id,
            lambda one: not where.models or one.model in where.models,
            lambda one: not where.packs or one.run_name in where.packs,
            lambda one: not where.presets or one.preset in where.presets,
            lambda one: set(where.tags) <= set(one.tags),
            lambda one: one.stars >= where.min_stars,
            lambda one: not where.unrated or not one.stars,
            lambda one: where.words in one.prompt,
        ]
        return [one for one in self.stored if all(test(one) for test in tests)]

    def _images(
        self,
        where: gallery_pb2.ImageFilter | None = None,
        *,
        order: str = "newest",
        limit: int = 100,
        offset: int = 0,
    ) -> gallery_pb2.ListImagesResponse:
        self._note("images", (where, order, limit, offset))
        found = self._where(where)
        if order == "best":
            found = sorted(found, key=lambda one: -one.stars)
        return gallery_pb2.ListImagesResponse(images=found[offset : offset + limit], total=len(found))

    def _image(self, image_sha256: str) -> gallery_pb2.GetImageResponse:
        self._note("image", image_sha256)
        found = next(one for one in self.stored if one.image_sha256 == image_sha256)
        return gallery_pb2.GetImageResponse(image=found, settings_json=self.settings_json, spec_json=spec())

    def _facets(self, where: gallery_pb2.ImageFilter | None = None) -> gallery_pb2.ListFacetsResponse:
        self._note("facets", where)
        found = self._where(where)

        def facets(values: Iterator[str]) -> list[gallery_pb2.Facet]:
            return [gallery_pb2.Facet(value=v, images=n) for v, n in Counter(values).most_common() if v]

        stars = Counter(one.stars for one in found)
        return gallery_pb2.ListFacetsResponse(
            packs=facets(one.run_name for one in found),
            models=facets(one.model for one in found),
            presets=facets(one.preset for one in found),
            tags=facets(tag for one in found for tag in one.tags),
            stars=[gallery_pb2.Facet(value=str(n), images=stars[n]) for n in range(6)],
        )

    def _count_stars(
        self, where: gallery_pb2.ImageFilter | None = None, settings: Sequence[str] = ()
    ) -> gallery_pb2.CountStarsResponse:
        self._note("count_stars", (where, tuple(settings)))
        return count_by_hand(self._where(where), settings, lambda _image: json.loads(self.settings_json))

    def rate(self, image_sha256: str, stars: int, tags: Sequence[str] = (), file_name: str = "") -> bool:
        self._note("rate", (image_sha256, stars, tuple(tags), file_name))
        for one in self.stored:
            if one.image_sha256 == image_sha256:
                one.stars = stars
                one.tags[:] = tags if stars else []
        return True

    def stages(self) -> Sequence[kernel_pb2.Stage]:
        self._note("stages", None)
        return [
            kernel_pb2.Stage(name="txt2img", title="Text to image", phase="generate"),
            kernel_pb2.Stage(name="adetailer", title="Face detail", phase="detail"),
            kernel_pb2.Stage(name="upscale", title="Upscale", phase="enlarge"),
        ]

    def replay_batch(self, request: kernel_pb2.ReplayRequest) -> kernel_pb2.ReplayResponse:
        self._note("replay", request)
        return kernel_pb2.ReplayResponse(run_id="again")

    def preview(self, run: kernel_pb2.RunRequest, show: int = 0) -> Iterator[kernel_pb2.PreviewRunResponse]:
        self._note("preview", run)
        jobs = len(run.promote.image_sha256s) or len(self._where(gallery_pb2.ImageFilter(min_stars=1)))
        yield kernel_pb2.PreviewRunResponse(
            summary=kernel_pb2.PlanSummary(jobs=jobs, line=f"{jobs} images", time="about 1 min")
        )

    def submit(self, run: kernel_pb2.RunRequest) -> kernel_pb2.SubmitRunResponse:
        self._note("submit", run)
        return kernel_pb2.SubmitRunResponse(
            run_id="promoted", summary=kernel_pb2.PlanSummary(jobs=len(run.promote.image_sha256s))
        )

    def settings(self) -> kernel_pb2.GetSettingsResponse:
        self._note("settings", None)
        answer = kernel_pb2.GetSettingsResponse()
        if self.learning_mode is not None:
            answer.settings.add(name="learning_mode", value_json=json.dumps(self.learning_mode).encode())
        return answer

    def change_settings(self, values: dict[str, Any]) -> kernel_pb2.ChangeSettingsResponse:
        self._note("change_settings", values)
        self.learning_mode = values["learning_mode"]
        return kernel_pb2.ChangeSettingsResponse(settings=self.settings().settings)
