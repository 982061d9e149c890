"""When an agent dials again."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from stablenew_agent.backoff import UNRECOVERABLE, Backoff, Doubling, give_up


@given(st.integers(0, 2**32), st.lists(st.floats(0.0, 5.0), min_size=1, max_size=20))
def test_dials_lie_in_consecutive_windows(seed: int, dial_times: list[float]) -> None:
    """One dial in each window; windows double up to the cap and never overlap."""
    backoff = Backoff(random.Random(seed))
    now = end = 100.0
    for number, took in enumerate(dial_times):
        window = min(30.0, 2.0**number)
        start = max(now, end)
        at = now + backoff.delay(now)
        assert start - 1e-9 <= at <= start + window + 1e-9
        end = start + window
        now = at + took


def test_agents_that_failed_together_do_not_come_back_together() -> None:
    first = sorted(Backoff(random.Random(seed)).delay(0.0) for seed in range(1000))
    for tenth in range(10):
        assert 60 <= sum(tenth / 10 <= at < (tenth + 1) / 10 for at in first) <= 140


def test_the_cap_holds_for_ever() -> None:
    backoff = Backoff(random.Random(1))
    now = 0.0
    for _ in range(2000):
        delay = backoff.delay(now)
        assert 0.0 <= delay <= 60.0  # rest of one window and a point of the next
        now += delay


def test_a_healthy_minute_starts_anew() -> None:
    backoff = Backoff(random.Random(1))
    for _ in range(8):
        backoff.delay(0.0)
    backoff.welcomed(1000.0)
    assert backoff.delay(1060.0) <= 1.0


def test_a_short_link_does_not() -> None:
    """A kernel that takes agents in and drops them at once must not be dialled every second."""
    delays = []
    for seed in range(50):
        backoff = Backoff(random.Random(seed))
        for _ in range(8):
            backoff.delay(0.0)
        backoff.welcomed(1000.0)
        delays.append(backoff.delay(1059.0))
    assert max(delays) > 15.0


def test_loopback_spares_nobody() -> None:
    backoff = Backoff.for_peer(random.Random(1), loopback=True)
    now = 0.0
    for _ in range(100):
        delay = backoff.delay(now)
        assert delay <= 4.0
        now += delay
    assert Backoff.for_peer(random.Random(1), loopback=True).delay(0.0) <= 0.1


def test_unrecoverable_codes_explain_themselves() -> None:
    for code, meaning in UNRECOVERABLE.items():
        assert give_up(code, "the kernel's words") == f"{meaning} (the kernel's words)"
        assert give_up(code, "") == f"{meaning} ({code})"
    assert set(UNRECOVERABLE) == {
        "UNAUTHENTICATED",
        "PERMISSION_DENIED",
        "UNIMPLEMENTED",
        "FAILED_PRECONDITION",
    }
    for code in ("UNAVAILABLE", "INTERNAL", "ABORTED", "DEADLINE_EXCEEDED", "UNKNOWN"):
        assert give_up(code, "text") is None


def test_delays_double_up_to_the_longest_however_often_it_fails() -> None:
    delays = Doubling(0.5, 30.0)
    assert [delays.delay() for _ in range(8)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert {delays.delay() for _ in range(5000)} == {30.0}
    delays.worked()
    assert delays.delay() == 0.5
