"""Tables ``rating`` and ``rating_tag``: the latest rating of each image, so that images are found by it without
reading the learning journal. Functions of the connection.

The journal (:mod:`stablenew_kernel.store.learning`) is the truth: a rating is written there first, and what
stands here is made again from it whenever the two are found to differ, which :func:`mark` tells.
``image.stars`` says once more what ``rating`` says, because images are filtered and sorted by it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from stablenew_api.learning import Rating
from stablenew_kernel.store import meta
from stablenew_kernel.store.learning import Mark

MARK = "ratings_mark"
"""Key in ``meta``: JSON list, the mark in the journal up to which it is mirrored here."""


def mark(connection: sqlite3.Connection) -> Mark:
    """How far the journal is mirrored here."""
    size, fingerprint = json.loads(meta.get(connection, MARK, '[0, ""]'))
    return Mark(size, fingerprint)


def mirror(connection: sqlite3.Connection, ratings: Iterable[Rating], upto: Mark, *, anew: bool) -> None:
    """Take over ratings that the journal has (0 stars: taken back), the latest of each image, up to a mark.
    ``anew``: all others are gone."""
    if anew:
        connection.execute("DELETE FROM rating_tag")
        connection.execute("DELETE FROM rating")
        connection.execute("UPDATE image SET stars = 0 WHERE stars > 0")
    for rating in ratings:
        pixels, stars = rating.image_sha256, rating.stars
        tags = tuple(dict.fromkeys(rating.tags))
        connection.execute("DELETE FROM rating WHERE image_sha256 = ?", (pixels,))  # its tags go with it
        if stars:
            connection.execute(
                "INSERT INTO rating (image_sha256, stars, tags, rated_at) VALUES (?, ?, ?, ?)",
                (pixels, stars, json.dumps(tags, ensure_ascii=False), rating.at),
            )
            connection.executemany(
                "INSERT INTO rating_tag (tag, image_sha256) VALUES (?, ?)", [(tag, pixels) for tag in tags]
            )
        if pixels:
            connection.execute("UPDATE image SET stars = ? WHERE pixel_sha256 = ?", (stars, pixels))
    meta.put(connection, MARK, json.dumps([upto.size, upto.fingerprint]))
