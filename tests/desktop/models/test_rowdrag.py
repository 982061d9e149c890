"""Rows that are dragged: when a click becomes a drag, where it lands, what ends it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stablenew_plugins.desktop.components.rowdrag import Ground, Mouse, RowDrag

GROUND = Ground(left=100, top=200, width=500, height=400, row=40, scroll=0, count=30)


class Drag:
    """A drag over rows of which the first two can't be taken, and nothing stands before the second one."""

    def __init__(self) -> None:
        self.dropped: list[int] = []
        self.begun: list[int] = []
        self.ended = 0
        self.drag = RowDrag(self._begin, lambda index: max(index, 2), self.dropped.append, self._end, slack=6)

    def _begin(self, index: int) -> bool:
        self.begun.append(index)
        return index >= 2

    def _end(self) -> None:
        self.ended += 1

    def at(self, y: float, x: float = 300, *, down: bool = True, escape: bool = False) -> None:
        self.drag.frame(Mouse(x, y, down, escape), GROUND)

    def take(self, index: int = 5) -> None:
        self.drag.press(index, Mouse(300, 420, True))
        self.at(430)


def test_a_click_is_no_drag() -> None:
    one = Drag()
    one.drag.press(5, Mouse(300, 420, True))
    one.at(425)
    one.at(425, down=False)
    assert (one.begun, one.dropped, one.ended) == ([], [], 0)


def test_a_row_lands_at_the_line_that_is_nearest() -> None:
    one = Drag()
    one.take()
    one.at(200 + 3 * 40 + 12)
    assert (one.begun, one.drag.dragging, one.drag.target) == ([5], True, 3)
    one.at(200 + 3 * 40 + 12, down=False)
    assert (one.dropped, one.drag.dragging, one.drag.target, one.ended) == ([3], False, None, 1)


def test_escape_ends_it_until_the_next_press() -> None:
    one = Drag()
    one.take()
    one.at(300, escape=True)
    one.at(500)
    one.at(500, down=False)
    assert not one.drag.dragging
    assert (one.dropped, one.ended) == ([], 1)


def test_beside_the_list_nothing_is_dropped() -> None:
    one = Drag()
    one.take()
    one.at(300, x=20)
    assert one.drag.target is None
    one.at(300, x=20, down=False)
    assert one.dropped == []


def test_a_row_that_can_not_be_taken_stays() -> None:
    one = Drag()
    one.take(1)
    one.at(500)
    one.at(500, down=False)
    assert (one.begun, one.dropped) == ([1], [])


def test_near_an_edge_the_list_scrolls() -> None:
    one = Drag()
    one.take()
    assert one.drag.scroll_by == 0
    one.at(596)
    assert 0 < one.drag.scroll_by <= 16
    one.at(206)
    assert -16 <= one.drag.scroll_by < 0
    one.at(206, down=False)
    assert one.drag.scroll_by == 0


@given(st.floats(0, 900), st.floats(0, 800), st.floats(0, 2_000), st.integers(0, 60))
def test_the_line_is_where_the_pointer_is(x: float, y: float, scroll: float, count: int) -> None:
    ground = Ground(100, 200, 500, 400, 40, scroll, count)
    drag = RowDrag(lambda _index: True, lambda index: index, lambda _index: None, lambda: None, 0)
    drag.press(0, Mouse(x, y - 99, True))
    for _number in range(2):
        drag.frame(Mouse(x, y, True), ground)
    if drag.target is not None:
        assert 0 <= drag.target <= count
        line = 200 + drag.target * 40 - scroll
        assert abs(line - min(max(y, 200), 600)) <= 20 or drag.target == count
    else:
        assert not 100 <= x <= 600 or y < 160 or y > 640
