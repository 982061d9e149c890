"""What the services for clients share: what the kernel raises, turned into status codes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, TypeVar

import grpc

from stablenew_api.errors import NotConfirmed, PluginError, StableNewError, UserError
from stablenew_kernel.store.errors import Conflict, NotFound, StoreError
from stablenew_proto.options import SUMMARY_KEY

log = logging.getLogger(__name__)
T = TypeVar("T")

CODES: tuple[tuple[type[Exception], grpc.StatusCode], ...] = (
    (UserError, grpc.StatusCode.INVALID_ARGUMENT),
    (PluginError, grpc.StatusCode.FAILED_PRECONDITION),
    (NotFound, grpc.StatusCode.NOT_FOUND),
    (Conflict, grpc.StatusCode.ABORTED),
    (StoreError, grpc.StatusCode.FAILED_PRECONDITION),
    (StableNewError, grpc.StatusCode.UNKNOWN),
)
"""The status of each of our exceptions, most special first. Anything else is a bug: INTERNAL, and logged."""


def finish(context: Any, result: Awaitable[T]) -> Awaitable[T]:
    """:func:`answer` for what changes something. A client that hangs up must not stop it half-way: what is
    committed must also be taken over in memory."""
    return answer(context, asyncio.shield(result))


async def answer(context: Any, result: Awaitable[T]) -> T:
    """``result``, or the end of the call with the status of what it raises."""
    try:
        return await result
    except NotConfirmed as error:
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error), ((SUMMARY_KEY, error.summary),))
        raise
    except tuple(kind for kind, _ in CODES) as error:
        code = next(code for kind, code in CODES if isinstance(error, kind))
        await context.abort(code, str(error))
        raise
    except Exception as error:
        log.exception("a call of a client failed")
        await context.abort(
            grpc.StatusCode.INTERNAL,
            f"a bug in the kernel ({error!r}); its log has the details: logs/kernel.jsonl",
        )
        raise
