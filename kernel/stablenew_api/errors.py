"""Errors that cross the contract. Each carries a text made for the person at the screen."""

from __future__ import annotations


class StableNewError(Exception):
    """Base of every error we raise on purpose. ``str(error)`` is one line: what, where, what to do."""


class UserError(StableNewError):
    """The input is wrong (a file, a field, a row, an option). Nothing was queued or changed."""


class NotConfirmed(UserError):
    """The plan is larger than what is queued unasked. The text is the question; nothing was queued."""

    def __init__(self, text: str, summary: bytes = b"") -> None:
        super().__init__(text)
        self.summary = summary
        """The plan's ``PlanSummary``, serialized: for who asks and for ``--json``."""


class PluginError(StableNewError):
    """A plugin is missing, clashes with another, or broke its contract. Names the plugin."""


class KernelUnavailable(StableNewError):
    """No kernel answers for this data folder, or it could not be started."""


class Cancelled(StableNewError):
    """Raised inside a stage or a backend when the job's :class:`~stablenew_api.cancel.CancelToken` fires."""


class StageFailure(StableNewError):
    """A stage or backend gives up on purpose.

    ``kind`` decides what happens next (see :class:`stablenew_api.jobs.FailureKind`); any other exception
    that leaves a stage counts as ``PLUGIN``.
    """

    def __init__(self, kind: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.detail = detail
