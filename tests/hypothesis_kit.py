"""Settings of hypothesis that tests share."""

from __future__ import annotations

from hypothesis import settings

A_THIRD = settings(max_examples=settings.default.max_examples // 3)
"""For properties whose examples take long to make: a third of what the profile says."""
