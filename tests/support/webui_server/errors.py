"""Error answers of a server."""

from __future__ import annotations


class ApiError(Exception):
    """An error answer."""

    def __init__(self, status: int, error: str, detail: str = "", errors: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error, "detail": detail, "body": "", "errors": errors}


def not_found() -> ApiError:
    """What FastAPI says to an unknown path."""
    error = ApiError(404, "HTTPException")
    error.body = {"detail": "Not Found"}
    return error
