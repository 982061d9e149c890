"""How long jobs take on a node, as it is remembered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stablenew_api.jobs import Needs
from stablenew_kernel.domain.pace import KEPT, KINDS, OVERDUE, OVERDUE_SECONDS, Pace, kind_of

TIMES = st.floats(0.001, 1000, allow_nan=False)


def test_a_kind_is_stages_checkpoint_and_vram() -> None:
    kinds = {
        kind_of(("txt2img",), Needs()),
        kind_of(("txt2img", "upscale"), Needs()),
        kind_of(("txt2img",), Needs("sdxl")),
        kind_of(("txt2img",), Needs("", 4 << 30)),
    }
    assert len(kinds) == 4
    assert kind_of(("txt2img",), Needs(features=frozenset({"txt2img"}))) in kinds


@given(st.lists(TIMES, min_size=1, max_size=20), TIMES)
def test_one_that_took_much_longer_moves_nothing(times: list[float], outlier: float) -> None:
    pace = Pace()
    for seconds in times:
        pace.took("k", seconds)
    newest = times[-KEPT:]
    assert min(newest) <= pace.seconds["k"] <= max(newest)
    usual = Pace()
    for seconds in [5.0, 5.0, outlier, 5.0]:
        usual.took("k", seconds)
    assert usual.seconds["k"] == 5.0


@given(TIMES, st.floats(0, 10_000))
def test_what_is_left(usual: float, ran: float) -> None:
    pace = Pace()
    pace.took("k", usual)
    assert pace.left("k", None) == usual
    left = pace.left("k", ran)
    if ran > OVERDUE * usual + OVERDUE_SECONDS:
        assert left == float("inf"), "long overdue: it may hang"
    else:
        assert left == max(0.0, usual - ran)
    assert pace.left("another", ran) == float("inf")


def test_kinds_that_are_not_used_are_forgotten() -> None:
    pace = Pace()
    for number in range(KINDS + 5):
        pace.took("always", 1.0)
        pace.took(f"k{number}", 1.0)
    assert len(pace.seconds) <= KINDS
    assert "always" in pace.seconds
    assert "k0" not in pace.seconds
