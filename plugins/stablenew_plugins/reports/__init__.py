"""The built-in reports: ``contact_sheet``."""

from __future__ import annotations

from collections.abc import Sequence

from stablenew_api import hookimpl
from stablenew_api.report import Report
from stablenew_plugins.reports.contact_sheet import ContactSheet

__all__ = ["ContactSheet"]


@hookimpl
def stablenew_reports() -> Sequence[type[Report]]:
    """The report above."""
    return [ContactSheet]
