"""From an image to the record of what somebody thinks of it."""

from __future__ import annotations

import json


def ratings(data, image):
    """Those of an image in the learning journal."""
    text = data.learning.read_text(encoding="utf-8") if data.learning.exists() else ""
    rows = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    return [row for row in rows if row["kind"] == "rating" and row["image_sha256"] == image]


def test_a_key_rates_and_the_record_is_in_the_journal(gui, live):
    live.until_over(live.run())
    gui.key("ctrl+5")
    review = live.app.bench.review
    live.until(lambda: review.shown is not None and not review.is_loading)
    image = review.shown.image_sha256
    gui.key("4")
    live.until(lambda: ratings(live.data, image))
    (record,) = ratings(live.data, image)
    assert record["stars"] == 4
    gui.until(lambda: review.cursor == 1)  # the next one is to be rated
