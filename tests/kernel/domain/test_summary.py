"""A plan in plain words: it reads well, and its product is its count."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew_kernel.domain.summary import (
    Factor,
    Shape,
    count,
    number,
    plural,
    question,
    what_part,
    what_varies,
)


def shape(rows: int, *factors: Factor, combinations: int | None = None) -> Shape:
    size = math.prod(factor.size for factor in factors)
    return Shape(rows, factors, size if combinations is None else combinations)


LIGHT = Factor("light", 3, ("dawn", "noon", "dusk"))
CHOICE = Factor("{a|b|c|d}", 4, ("a", "b", "c"))


@pytest.mark.parametrize(
    ("shapes", "images", "drawn", "line"),
    [
        ([shape(1, Factor("style", 4), LIGHT)], 2, (), "4 styles x 3 lights x 2 seeds = 24 images"),
        ([shape(2, LIGHT, CHOICE)], 2, (), "2 rows x 3 lights x 4 options (a, b, c, …) x 2 seeds = 48 images"),
        ([shape(3)], 1, (), "3 rows = 3 images"),
        ([shape(1)], 1, (), "1 row = 1 image"),
        ([shape(1)], 5, (), "5 seeds = 5 images"),
        ([shape(2, LIGHT), shape(1)], 2, (), "(2 rows x 3 lights + 1 row) x 2 seeds = 14 images"),
        ([shape(2, LIGHT), shape(1)], 1, (), "2 rows x 3 lights + 1 row = 7 images"),
        ([shape(2, Factor("style", 4), LIGHT, combinations=10)], 1, (),
         "2 rows x 10 combinations (of 4 styles x 3 lights) = 20 images"),
        ([shape(n, Factor("x", n)) for n in (2, 3, 4, 5, 6)], 2, (),
         "90 combinations (of 20 rows) x 2 seeds = 180 images"),
        ([shape(1, Factor("neg:{ugly|}", 2, ("ugly", "")))], 1, (),
         "2 negative options (ugly, nothing) = 2 images"),
        ([shape(1, Factor("__people/hair__", 3), Factor("__~colour__#2", 2))], 1, (),
         "3 kinds of hair x 2 colours = 6 images"),
        ([shape(1, Factor("__col*__", 5), Factor("txt2img.sampler_name", 2))], 1, (),
         "5 values of __col*__ x 2 sampler names = 10 images"),
        ([shape(1, Factor("光", 2))], 1, (), "2 values of 光 = 2 images"),
        ([shape(4)], 1, ("__hair__",), "4 rows = 4 images; each takes its own hair"),
        ([shape(4)], 1, ("__hair__", "{red|green}", "neg:{a|b}"),
         "4 rows = 4 images; each takes its own hair, {red|green} and negative {a|b}"),
        ([shape(4)], 1, [f"slot{n}" for n in range(8)],
         "4 rows = 4 images; each takes its own slot0, slot1, slot2, slot3, slot4 and 3 more"),
    ],
)  # fmt: skip
def test_it_reads_like_a_sentence(shapes: list[Shape], images: int, drawn: list[str], line: str) -> None:
    assert what_varies(shapes, images, drawn) == line


names = st.sampled_from(
    ["light", "time_of_day", "__hair__", "{red|green}", "neg:{x|y}", "txt2img.steps", "光", "class"]
)
factors = st.builds(Factor, names, st.integers(1, 12), st.just(("red", "green")))
shapes = st.builds(
    lambda rows, own, share: Shape(rows, tuple(own), max(1, math.prod(f.size for f in own) * share // 10)),
    st.integers(1, 30),
    st.lists(factors, max_size=4),
    st.sampled_from([10, 10, 10, 7, 3]),
)


@given(st.lists(shapes, min_size=1, max_size=7), st.integers(1, 9), st.lists(names, max_size=8))
def test_the_product_is_the_count(shapes: list[Shape], images: int, drawn: list[str]) -> None:
    line = what_varies(shapes, images, drawn)
    left, _, right = line.partition(";")[0].partition(" = ")
    total = sum(shape.rows * shape.combinations for shape in shapes) * images
    assert right == count(total, "image")
    # What stands in brackets behind a number is not multiplied; a sum in brackets begins with a number.
    while (said := re.sub(r" \((?![0-9])[^()]*\)", "", left)) != left:
        left = said
    product = re.sub(r"[^0-9()+*]", "", re.sub(r"[^\W\d]{2,}", "", left).replace(" x ", "*"))
    assert eval(product) == total, line


@pytest.mark.parametrize(
    ("thing", "many"),
    [
        ("style", "styles"), ("box", "boxes"), ("city", "cities"), ("day", "days"), ("class", "classes"),
        ("time of day", "times of day"), ("camera angle", "camera angles"), ("lights", "lights"),
        ("Person", "people"), ("weather", "kinds of weather"), ("y", "ys"), ("bus", "buses"), ("", "s"),
    ],
)  # fmt: skip
def test_plurals(thing: str, many: str) -> None:
    assert plural(thing) == many


def test_a_part_of_a_plan() -> None:
    assert what_part(0, 0) == ""
    assert what_part(1000, 0) == "; the first 1,000 of them"
    assert what_part(0, 20) == "; 20 of them, drawn"
    assert what_part(100, 20) == "; 20 of the first 100, drawn"


def test_numbers_of_any_size() -> None:
    assert number(10**18) == "1,000,000,000,000,000,000"
    assert number(10**60) == "about 10^60"
    assert number(10**6000) == "about 10^6000"
    assert number(10**6000 * 2) == "about 10^6000"
    assert what_varies([Shape(1, (Factor("x", 10**6000),), 10**6000)], 1).endswith("= about 10^6000 images")


def test_a_question_is_one_line_and_offers_less() -> None:
    asked = question(3000, "50 rows x 60 seeds = 3,000 images", "about 2 h on 1 node", 500)
    assert asked == (
        "3,000 images, more than the 500 that are queued unasked: 50 rows x 60 seeds = 3,000 images; about 2 h "
        "on 1 node. To make fewer: --sample 100 draws 100 of them, --limit 100 makes the first 100."
    )
    assert "--sample 20 draws 20 of them" in question(30, "x", "y", 20)
    assert "--sample" not in question(3000, "x", "y", 500, sampled=False)
