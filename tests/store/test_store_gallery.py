"""Tables of the gallery: what is found by what, ratings mirrored, images of earlier versions taken in."""

from __future__ import annotations

import json
import random
import re
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_kit import AT, FixedClock, Store, done_outcome, image, new_jobs, step

from stablenew_api.errors import UserError
from stablenew_api.jobs import JobSpec, JobState, StageSpec
from stablenew_api.learning import Rating
from stablenew_kernel.domain.gallery import Facts, facts_of, parse_query
from stablenew_kernel.store import database, gallery, jobs, meta, outputs, ratings, runs
from stablenew_kernel.store.errors import NotFound
from stablenew_kernel.store.gallery import GalleryImage, Where
from stablenew_kernel.store.learning import LearningJournal, Mark

FACTS = Facts(
    seed=42,
    model="sdxl",
    preset="day",
    stages=("txt2img", "upscale"),
    settings=(("txt2img", "sampler_name", "euler a"), ("txt2img", "steps", 20), ("upscale", "scale", 1.5)),
    words="A castle, foggy (blue hour) sd_xl_base_1.0 Euler a castle_0001.png",
)


def save(store: Store, facts: Sequence[Facts], at: str = AT) -> list[str]:
    """Make and save an image for each of ``facts``, in a run of its own; return their pixels' hashes."""
    store.submit(len(facts))
    jobs = store.queued(len(facts))
    for job in jobs:
        store.finish(job)
    for number, (job, one) in enumerate(zip(jobs, facts, strict=True)):
        saved = outputs.SavedOutput(job.job_id, 0, f"/out/{number}.png", b'{"row": 1}')
        store.write(lambda c, saved=saved: outputs.mark_saved(c, [saved], at))
        store.write(lambda c, job=job, one=one: gallery.add(c, [(job.job_id, 0, one)]))
    return [image(job.job_id).tags["pixel_sha256"] for job in jobs]


def find(store: Store, where: Where, **more: Any) -> tuple[list[GalleryImage], int]:
    return store.read(lambda c: gallery.images(c, where, **more))


def found(store: Store, words: str = "", **more: Any) -> int:
    images, total = find(store, Where(query=parse_query(words), **more))
    assert len(images) == total
    return total


def rate(store: Store, pixels: str, stars: int, *tags: str) -> None:
    rating = Rating(AT, pixels, stars, tags)
    store.write(lambda c: ratings.mirror(c, [rating], Mark(1, "x"), anew=False))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("castle", 1),
        ("CASTLE foggy", 1),
        ("cast", 1),
        ("astle", 0),
        ("castle sunny", 0),
        ('"blue hour"', 1),
        ('"hour blue"', 0),
        ("sd_xl", 1),
        ("(castle:1.2)", 0),
        ("castle_0001", 1),
        ("a", 1),
        ("c", 0),
        ("steps=20", 1),
        ("steps>=20 steps<=20", 1),
        ("steps>20", 0),
        ("steps!=20", 0),
        ("txt2img.steps>19", 1),
        ("upscale.steps>19", 0),
        ("scale<1.51", 1),
        ('sampler_name="Euler A"', 1),
        ("sampler_name!=dpm", 1),
        ("sampler_name>3", 0),
        ("nothing=1", 0),
        ("seed=42", 1),
        ("seed>42", 0),
        ("seed<=42", 1),
        (f"seed<{2**70}", 1),
        ("seed>-1", 1),
        ("upscale.seed=42", 1),
        ("img2img.seed=42", 0),
        ("castle steps=20 seed=42", 1),
        ("castle steps=21", 0),
    ],
)
def test_words_and_comparisons(store: Store, words: str, expected: int) -> None:
    save(store, [FACTS])
    assert found(store, words) == expected


def matches(facts: Facts, match: str) -> bool:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE t USING fts5 (words, content='', tokenize='unicode61')")
        connection.execute("INSERT INTO t (rowid, words) VALUES (1, ?)", (facts.words,))
        return bool(connection.execute("SELECT rowid FROM t WHERE t MATCH ?", (match,)).fetchall())


def facts_with(prompt: str) -> Facts:
    return facts_of(JobSpec((StageSpec("txt2img", "1", prompt, "", 1, {}),)), [], "x.png")


# Letters that Python and SQLite both know as such: their tables of Unicode are of different years.
known = st.text(st.characters(min_codepoint=32, max_codepoint=0x17F) | st.sampled_from("猫の森Жя"), min_size=1)


@given(known, known)
def test_a_word_of_a_prompt_finds_it(prompt: str, more: str) -> None:
    facts = facts_with(f"{more} {prompt} {more}")
    for word in re.findall(r"[^\W_]+", prompt):
        assert matches(facts, parse_query(word).match), word
        assert matches(facts, parse_query(f'"{word}"').match), word


@given(st.text(), st.text())
def test_whatever_is_searched_breaks_nothing(words: str, prompt: str) -> None:
    try:
        match = parse_query(words).match
    except UserError:
        return
    if match:
        matches(facts_with(prompt), match)


def test_every_other_condition(store: Store) -> None:
    one, two, three = save(store, [FACTS, replace(FACTS, model="flux", preset=""), FACTS])
    rate(store, one, 4, "keep", "sky")
    rate(store, two, 2, "keep")
    (run_id,) = store.run_ids
    for conditions, expected in (
        ({}, 3),
        ({"run_id": run_id}, 3),
        ({"run_id": "0"}, 0),
        ({"packs": ("run1", "other")}, 3),
        ({"packs": ("other",)}, 0),
        ({"models": ("flux",)}, 1),
        ({"presets": ("day",)}, 2),
        ({"stage": "upscale"}, 3),
        ({"stage": "img2img"}, 0),
        ({"tags": ("keep",)}, 2),
        ({"tags": ("keep", "sky")}, 1),
        ({"min_stars": 3}, 1),
        ({"unrated": True}, 1),
        ({"unrated": True, "words": "castle"}, 1),
        ({"since": "2026-01-02"}, 3),
        ({"since": "2026-01-03"}, 0),
        ({"until": "2026-01-03"}, 3),
        ({"until": AT}, 0),
        ({"min_stars": 1, "models": ("sdxl",), "words": "castle steps=20"}, 1),
    ):
        assert found(store, **conditions) == expected, conditions  # type: ignore[arg-type]
    counts = store.read(lambda c: gallery.facets(c, Where()))
    assert (counts.packs, counts.models, counts.presets) == ({"run1": 3}, {"sdxl": 2, "flux": 1}, {"day": 2})
    assert (counts.stars, counts.tags) == ({"0": 1, "2": 1, "4": 1}, {"keep": 2, "sky": 1})
    counts = store.read(lambda c: gallery.facets(c, Where(min_stars=3, query=parse_query("castle"))))
    assert (counts.tags, counts.stars) == ({"keep": 1, "sky": 1}, {"4": 1})
    assert three not in {found.image_sha256 for found in find(store, Where(min_stars=1))[0]}


def test_a_seed_of_64_bits_is_found_and_compared(store: Store) -> None:
    seeds = [0, 1, 2**63 - 1, 2**63, 2**64 - 1]
    save(store, [replace(FACTS, seed=seed) for seed in seeds])
    for seed in seeds:
        assert found(store, f"seed={seed}") == 1
        assert found(store, f"seed<{seed}") == sum(other < seed for other in seeds)
        assert found(store, f"seed>={seed}") == sum(other >= seed for other in seeds)


def test_orders_and_pages(store: Store) -> None:
    old = save(store, [FACTS] * 3, "2026-01-01T00:00:00.000+00:00")
    new = save(store, [FACTS] * 2, "2026-01-05T00:00:00.000+00:00")
    rate(store, old[1], 5)
    rate(store, new[0], 1)

    def order(name: str, **more: Any) -> list[str]:
        images, total = find(store, Where(), order=name, **more)
        assert total == 5
        return [one.image_sha256 for one in images]

    assert order("oldest") == [*old, *new]
    assert order("newest") == [*new[::-1], *old[::-1]]
    assert order("best") == [old[1], new[0], new[1], old[2], old[0]]
    assert order("newest", limit=2, offset=1) == [new[0], old[2]]
    assert order("best", offset=9) == []
    with pytest.raises(UserError, match="order 'largest'"):
        order("largest")


def test_an_image_is_taken_in_once_and_only_when_it_is_saved(store: Store) -> None:
    store.submit(1)
    (job,) = store.queued()
    store.finish(job)
    store.write(lambda c: gallery.add(c, [(job.job_id, 0, FACTS)]))
    assert found(store) == 0, "it is not in its folder yet"
    saved = outputs.SavedOutput(job.job_id, 0, "/out/1.png", b'{"row": 3}')
    store.write(lambda c: outputs.mark_saved(c, [saved], AT))
    for _ in range(2):
        store.write(lambda c: gallery.add(c, [(job.job_id, 0, FACTS)]))
    ((one,), total) = find(store, Where())
    assert total == found(store, "castle") == 1
    assert (one.path, one.job_id, one.run_name, one.saved_at) == ("/out/1.png", job.job_id, "run1", AT)
    assert (one.stages, one.run_time, one.stars, one.tags, one.manifest) == (
        ("txt2img", "upscale"),
        1.5,
        0,
        (),
        b'{"row": 3}',
    )


def test_setups_are_kept_once(store: Store) -> None:
    save(store, [replace(FACTS, seed=seed, words=f"w{seed}") for seed in range(5)])
    assert store.read(lambda c: c.execute("SELECT count(*) FROM setup").fetchone()) == (1,)
    assert store.read(lambda c: c.execute("SELECT count(*) FROM setting").fetchone()) == (3,)


def test_one_image_by_the_beginning_of_its_hash(store: Store) -> None:
    (pixels,) = save(store, [FACTS])
    for text in (pixels, pixels[:6].upper()):
        detail = store.read(lambda c, text=text: gallery.get(c, text))
        assert (detail.image.image_sha256, detail.node_name, detail.peak_vram_bytes) == (pixels, "box", 99)
        assert json.loads(detail.spec)["stages"]
    others = save(store, [FACTS] * 20)
    twice = next(a[0] for a in others for b in others if a != b and a[0] == b[0])
    with pytest.raises(NotFound, match="several images"):
        store.read(lambda c: gallery.get(c, twice))
    missing = "0" if pixels[0] != "0" else "1"
    with pytest.raises(NotFound, match="no image"):
        store.read(lambda c: gallery.get(c, missing * 64))
    with pytest.raises(UserError, match="named by the sha256"):
        store.read(lambda c: gallery.get(c, "demo.png"))


# --- ratings --------------------------------------------------------------------------------------------------


def stars(store: Store) -> Mapping[str, tuple[int, tuple[str, ...]]]:
    return {one.image_sha256: (one.stars, one.tags) for one in find(store, Where())[0] if one.stars}


def bring_up(store: Store, journal: LearningJournal) -> bool:
    """As the kernel does; whether the mirror was made from the beginning."""
    mark = store.read(ratings.mark)
    found, upto, known = journal.ratings_since(mark)
    store.write(lambda c: ratings.mirror(c, found.values(), upto, anew=not known))
    return not known


def test_ratings_are_those_of_the_journal(store: Store, tmp_path: Path) -> None:
    one, two, three = save(store, [FACTS] * 3)
    with LearningJournal(tmp_path / "records.jsonl") as journal:
        journal.rate(Rating(AT, one, 3, ("keep",)))
        journal.rate(Rating(AT, "f" * 64, 5))
        assert bring_up(store, journal)
        assert stars(store) == {one: (3, ("keep",))}
        journal.rate(Rating(AT, two, 1))
        journal.rate(Rating(AT, one, 5, ("sky", "sky")))
        assert not bring_up(store, journal)
        assert stars(store) == {one: (5, ("sky",)), two: (1, ())}
        assert found(store, tags=("keep",)) == 0
        journal.rate(Rating(AT, one, 0))
        assert not bring_up(store, journal)
        assert stars(store) == {two: (1, ())}
        kept = store.read(lambda c: c.execute("SELECT image_sha256, stars FROM rating ORDER BY 2").fetchall())
        assert dict(kept) == {pixels: rating.stars for pixels, rating in journal.ratings().items()}
    # Somebody put another journal there: all is made again from that one.
    (tmp_path / "records.jsonl").unlink()
    with LearningJournal(tmp_path / "records.jsonl") as journal:
        for _ in range(9):
            journal.rate(Rating(AT, three, 2, ("other",)))
        assert bring_up(store, journal)
        assert stars(store) == {three: (2, ("other",))}
    (tmp_path / "records.jsonl").write_bytes(b"")
    with LearningJournal(tmp_path / "records.jsonl") as journal:
        assert bring_up(store, journal)
        assert stars(store) == {}


def test_what_a_person_made_unreadable_in_the_journal_is_no_rating(store: Store, tmp_path: Path) -> None:
    (one,) = save(store, [FACTS])
    rows: list[dict[str, Any]] = [
        {"kind": "rating", "at": AT, "image_sha256": one, "stars": bad, "tags": tags}
        for bad in (None, "5", 7, True, -1)
        for tags in (None, "keep", [1])
    ]
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with LearningJournal(path) as journal:
        bring_up(store, journal)
        assert stars(store) == journal.ratings() == {}


def test_an_image_that_is_made_again_has_its_rating(store: Store) -> None:
    store.submit(1)
    (job,) = store.queued()
    store.finish(job)
    pixels = image(job.job_id).tags["pixel_sha256"]
    rate(store, pixels, 4, "keep")
    store.write(lambda c: outputs.mark_saved(c, [outputs.SavedOutput(job.job_id, 0, "/p", b"{}")], AT))
    store.write(lambda c: gallery.add(c, [(job.job_id, 0, FACTS)]))
    assert stars(store) == {pixels: (4, ("keep",))}


# --- images of earlier versions -------------------------------------------------------------------------------


def forget(store: Store) -> None:
    """As a database of an earlier version was after its upgrade."""

    def write(connection: Any) -> None:
        connection.execute("DELETE FROM image")
        connection.execute("INSERT INTO image_words (image_words) VALUES ('delete-all')")
        last = connection.execute("SELECT max(job_seq) + 1 FROM output").fetchone()[0]
        meta.put(connection, gallery.LEFT, str(last))

    store.write(write)


def test_an_upgrade_leaves_all_saved_images_to_be_taken_in(database_path: Path) -> None:
    with closing(sqlite3.connect(database_path, isolation_level=None)) as old:
        database.migrate(old, database_path, FixedClock(), database.migrations()[:3])
        runs.insert_run(old, runs.NewRun("ab", "old", "/o", 0, b"{}"), AT)
        jobs.insert_jobs(old, "ab", new_jobs(3), at=AT)
        for number, job in enumerate(jobs.queued(old, 2)):
            jobs.apply(old, [step(job, JobState.QUEUED, JobState.LEASED, 1)], AT)
            done = step(job, JobState.LEASED, JobState.DONE, 1, done_outcome(job.job_id))
            jobs.apply(old, [done], AT)
            if number == 0:
                outputs.mark_saved(old, [outputs.SavedOutput(job.job_id, 0, "/o/1.png", b"{}")], AT)
    with database.Database.open(database_path, FixedClock()) as opened:
        store = Store(opened)
        (first,), _ = store.read(lambda c: gallery.before(c, 10))
        assert (first.index, first.path) == (0, "/o/1.png")
        # The other one is saved by this version, before the older one is taken in.
        (pending,) = store.read(outputs.pending)
        saved = outputs.SavedOutput(pending.job_id, 0, "/o/2.png", b"{}")
        store.write(lambda c: outputs.mark_saved(c, [saved], AT))
        store.write(lambda c: gallery.add(c, [(pending.job_id, 0, FACTS)]))
        earlier, at = store.read(lambda c: gallery.before(c, 10))
        store.write(lambda c: gallery.add(c, [(one.job_id, one.index, FACTS) for one in earlier]))
        store.write(lambda c: gallery.looked_at(c, at))
        assert found(store) == 2
        assert store.read(lambda c: gallery.before(c, 10)) == ([], 0)


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_earlier_images_are_taken_in_newest_first(store: Store, at_once: int) -> None:
    pixels = save(store, [FACTS] * 5)
    forget(store)
    assert found(store) == 0
    turns = 0
    while True:
        earlier, first = store.read(lambda c: gallery.before(c, at_once))
        if not first:
            break
        turns += 1
        store.write(lambda c, e=earlier: gallery.add(c, [(one.job_id, one.index, FACTS) for one in e]))  # type: ignore[misc]
        store.write(lambda c, first=first: gallery.looked_at(c, first))
        shown = {one.image_sha256 for one in find(store, Where())[0]}
        assert shown == set(pixels[-len(shown) :]), "the newest come first"
    assert turns == -(-5 // at_once)
    assert found(store) == found(store, "castle") == 5


def test_a_new_database_has_nothing_to_take_in(store: Store) -> None:
    assert store.read(lambda c: gallery.before(c, 10)) == ([], 0)
    save(store, [FACTS])
    assert store.read(lambda c: gallery.before(c, 10)) == ([], 0)


# --- how long it takes ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_page_of_many_thousand_images_is_found_in_a_moment(store: Store) -> None:
    """20,000 images; with 100,000 it takes about five times as long, and 50 ms is the limit there."""
    many = 20_000
    rng = random.Random(1)
    vocabulary = [f"word{number}" for number in range(500)]

    def fill(connection: Any) -> None:
        connection.execute("PRAGMA defer_foreign_keys = ON")
        connection.execute("INSERT INTO setup (id, sha256, stages) VALUES (1, 'x', '[\"txt2img\"]')")
        connection.execute("INSERT INTO setting VALUES ('steps', 20, 'txt2img', 1)")
        connection.executemany(
            "INSERT INTO image (id, job_seq, idx, run_seq, setup_id, stars, seed, saved_at, model, preset,"
            " pixel_sha256) VALUES (?, ?, 0, 1, 1, ?, 5, ?, ?, 'day', ?)",
            ((n, n, n % 6, f"2026-01-01T{n:09}", f"model{n % 7}", f"{n:064}") for n in range(many)),
        )
        connection.executemany(
            "INSERT INTO image_words (rowid, words) VALUES (?, ?)",
            ((n, " ".join(("masterpiece", *rng.choices(vocabulary, k=40)))) for n in range(many)),
        )

    def look(connection: Any) -> float:
        slowest = 0.0
        for where in (
            Where(),
            Where(query=parse_query("masterpiece")),
            Where(query=parse_query("masterpiece word7 steps>=20"), models=("model3",), min_stars=2),
            Where(min_stars=3),
            Where(models=("model1",), unrated=True),
            Where(query=parse_query("seed=5")),
        ):
            times = []
            for _ in range(5):
                begun = time.thread_time()
                gallery.images(connection, where, order="best")
                times.append(time.thread_time() - begun)
            slowest = max(slowest, min(times))
        return slowest

    def fill_and_look(connection: Any) -> float:
        fill(connection)
        try:
            return look(connection)
        finally:
            connection.execute("DELETE FROM image")  # these have no outputs

    assert store.write(fill_and_look) < 0.030
