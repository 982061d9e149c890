"""The learning journal: a record for each finished image, a rating whenever a person gives one. Blocking."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from stablenew_api.jobs import JsonValue
from stablenew_api.learning import LearningRecord, Rating
from stablenew_kernel.store.journal import Journal

REMEMBERED = 20_000
"""Ids of the latest records kept in memory."""

TAIL = 8 << 20
"""Bytes at the end of the journal that are searched for ids at start. An image is recorded again only if the
kernel died between its record and the commit that calls it saved, so within the last batch before the crash."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the journal was read."""

    size: int = 0
    """Bytes; 0: not at all."""
    fingerprint: str = ""
    """Of what stands before: see :meth:`~stablenew_kernel.store.journal.Journal.fingerprint`."""


class LearningJournal:
    """The open journal. Thread-safe; one a data folder."""

    def __init__(self, path: Path) -> None:
        """Open or make ``path`` (a torn last line is put aside). Raises StoreError."""
        self._journal = Journal(path)
        self._lock = threading.Lock()
        self._ids: OrderedDict[str, None] = OrderedDict()
        for row in self._journal.read(tail=TAIL):
            if row.get("kind") == "image":
                self._remember(str(row.get("record_id")))

    def record_images(self, records: Iterable[LearningRecord]) -> int:
        """Append records of finished images, synced; those that are there already are left out. Return how many
        were new. Raises StoreError: then none was added."""
        with self._lock:
            new = {record.record_id: record for record in records if record.record_id not in self._ids}
            self._journal.append(record.to_json() for record in new.values())
            for record_id in new:
                self._remember(record_id)
            return len(new)

    def record_image(self, record: LearningRecord) -> bool:
        """Append one record; False if it is there already. Raises StoreError."""
        return bool(self.record_images([record]))

    def rate(self, rating: Rating) -> None:
        """Append a rating. The latest one of an image wins; ``stars`` 0 takes it back.

        Raises StoreError; ValueError for stars outside 0 to 5.
        """
        if not 0 <= rating.stars <= 5:
            raise ValueError(f"stars must be 0 to 5, not {rating.stars}")
        self._journal.append([rating.to_json()])

    def records(self) -> Iterator[dict[str, JsonValue]]:
        """All rows, images and ratings, oldest first, as JSON (see ``kind``)."""
        return self._journal.read()

    def images(self) -> Iterator[LearningRecord]:
        """All image records, oldest first. Rows that lack a field, from another version, are left out."""
        names = [field.name for field in fields(LearningRecord)]
        for row in self._journal.read():
            if row.get("kind") == "image" and all(name in row for name in names):
                yield LearningRecord(**{name: row[name] for name in names})

    def ratings(self) -> dict[str, Rating]:
        """The latest rating of each image, by ``image_sha256``, but those taken back. Reads the file."""
        return {rating.image_sha256: rating for rating in self._ratings(0).values() if rating.stars}

    def ratings_since(self, mark: Mark) -> tuple[dict[str, Rating], Mark, bool]:
        """The latest rating of each image among those behind ``mark``, with those that take one back (0
        stars); the mark for the next time; and whether ``mark`` was one of this very file: if not, these are
        all ratings there are. Reads the file from there on. Raises StoreError."""
        known = mark.size > 0 and self._journal.fingerprint(mark.size) == mark.fingerprint
        end = self._journal.size
        found = self._ratings(mark.size if known else 0, end)
        return found, Mark(end, self._journal.fingerprint(end)), known

    def _ratings(self, start: int, end: int | None = None) -> dict[str, Rating]:
        latest: dict[str, Rating] = {}
        for row in self._journal.read(start=start, end=end):
            if row.get("kind") == "rating":
                rating = _rating(row)
                latest[rating.image_sha256] = rating
        return latest

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._journal.close()

    def __enter__(self) -> LearningJournal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _remember(self, record_id: str) -> None:
        self._ids[record_id] = None
        while len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)


def _rating(row: Mapping[str, JsonValue]) -> Rating:
    """A rating as :meth:`LearningJournal.rate` wrote it; what a person made unreadable counts as not there."""
    stars, tags = row.get("stars"), row.get("tags")
    return Rating(
        at=str(row.get("at", "")),
        image_sha256=str(row.get("image_sha256", "")),
        stars=stars if type(stars) is int and 0 <= stars <= 5 else 0,
        tags=tuple(str(tag) for tag in tags) if isinstance(tags, list) else (),
        file_name=str(row.get("file_name", "")),
    )
