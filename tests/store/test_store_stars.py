"""How images were rated, by what they have in common: what SQL counts is what one counts by hand."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD
from store_kit import AT, FixedClock, Store, image

from stablenew_api.learning import Rating
from stablenew_kernel.domain.gallery import Facts, parse_query
from stablenew_kernel.store import gallery, outputs, ratings
from stablenew_kernel.store.database import Database
from stablenew_kernel.store.gallery import Where
from stablenew_kernel.store.learning import Mark

SETTINGS = (("txt2img", "sampler_name"), ("txt2img", "steps"), ("upscale", "steps"), ("txt2img", "nothing"))
TAGS = ("keep", "sky", "ヒ")

Images = Mapping[str, tuple[str, Facts]]
"""By the hash of their pixels: the run and the facts."""


def facts(rng: random.Random) -> Facts:
    settings: list[Any] = [("txt2img", "steps", rng.choice([20, 20.0, 30, 4.5]))]
    if rng.random() < 0.8:
        settings.append(("txt2img", "sampler_name", rng.choice(["euler a", "dpm++ 2m", "20"])))
    if rng.random() < 0.4:
        settings.append(("upscale", "steps", 30))
    return Facts(
        seed=rng.randrange(9),
        model=rng.choice(["", "sdxl", "flux"]),
        preset=rng.choice(["", "day"]),
        stages=("txt2img",),
        settings=tuple(sorted(settings, key=lambda one: one[:2])),
        words=rng.choice(["castle", "sea"]),
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Images]]:
    """A database with images of three runs."""
    rng = random.Random(7)
    path = tmp_path_factory.mktemp("stars") / "stablenew.sqlite3"
    found: dict[str, tuple[str, Facts]] = {}
    with Database.open(path, FixedClock()) as database:
        store = Store(database)
        for count in (9, 14, 4):
            store.submit(count)
            for number, job in enumerate(store.queued(count)):
                store.finish(job)
                one = facts(rng)
                saved = outputs.SavedOutput(job.job_id, 0, f"/out/{number}.png", b"{}")

                def take_in(connection: Any, job: Any = job, one: Facts = one, saved: Any = saved) -> None:
                    outputs.mark_saved(connection, [saved], AT)
                    gallery.add(connection, [(job.job_id, 0, one)])

                store.write(take_in)
                found[image(job.job_id).tags["pixel_sha256"]] = (f"run{len(store.run_ids)}", one)
        yield store, found


@A_THIRD
@given(
    given=st.lists(
        st.tuples(st.integers(0, 26), st.integers(0, 5), st.sets(st.sampled_from(TAGS))), max_size=40
    ),
    where=st.builds(
        Where,
        packs=st.sampled_from([(), ("run1",), ("run2", "run3")]),
        models=st.sampled_from([(), (), ("flux",)]),
        tags=st.sampled_from([(), (), ("keep",)]),
        min_stars=st.sampled_from([0, 0, 3]),
        query=st.sampled_from(["", "castle", "steps>=20", "castle steps=20"]).map(parse_query),
    ),
)
def test_stars_are_counted_as_one_would_by_hand(made: tuple[Store, Images], given: Any, where: Where) -> None:
    store, images = made
    pixels = sorted(images)
    rated = {pixels[place]: Rating(AT, pixels[place], stars, tuple(tags)) for place, stars, tags in given}
    store.write(lambda c: ratings.mirror(c, rated.values(), Mark(1, "x"), anew=True))

    expected: dict[str, dict[Any, list[int]]] = {}
    for one in store.read(lambda c: gallery.images(c, where, limit=1_000))[0]:
        run, fact = images[one.image_sha256]
        rating = rated.get(one.image_sha256)
        stars = rating.stars if rating is not None else 0
        values: list[tuple[str, Any]] = [("all", ""), ("pack", run)]
        values += [("model", fact.model)] if fact.model else []
        values += [("preset", fact.preset)] if fact.preset else []
        values += [("tag", tag) for tag in rating.tags] if rating is not None and stars else []
        values += [(f"{stage}.{name}", v) for stage, name, v in fact.settings if (stage, name) in SETTINGS]
        for kind, value in values:
            expected.setdefault(kind, {}).setdefault(value, [0] * 6)[stars] += 1

    counted = store.read(lambda c: gallery.count_stars(c, where, SETTINGS))
    found = {kind: {v: one.stars for v, one in values.items()} for kind, values in counted.items() if values}
    assert found == expected
    assert set(counted) == {*gallery.COMMON, *(f"{stage}.{name}" for stage, name in SETTINGS)}


def test_a_line_counts_the_images_that_its_filter_finds(made: tuple[Store, Images]) -> None:
    store, _images = made
    store.write(lambda c: ratings.mirror(c, [], Mark(1, "x"), anew=True))
    counted = store.read(lambda c: gallery.count_stars(c, Where(), SETTINGS))
    for kind, values in counted.items():
        for value, one in values.items():
            where = {
                "all": Where(),
                "pack": Where(packs=(str(value),)),
                "model": Where(models=(str(value),)),
                "preset": Where(presets=(str(value),)),
            }.get(kind) or Where(query=parse_query(f'{kind}="{value}"'))
            assert store.read(lambda c, where=where: gallery.images(c, where))[1] == one.images, (kind, value)
    texts = [one.job_seq for one in counted["txt2img.sampler_name"].values()]
    assert set(store.read(lambda c: gallery.specs(c, texts))) == set(texts)
