"""Structured logs: the standard library's logging, one JSON object a line.

Put ids into ``extra``: ``log.info("lease ended", extra={"job_id": ..., "attempt": ..., "node_id": ...})``.
"""

from __future__ import annotations

import json
import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

IDS = ("run_id", "job_id", "attempt", "node_id", "plugin", "stage")
"""Fields that a log line may carry besides its message."""


class JsonFormatter(logging.Formatter):
    """``{"at": ..., "level": ..., "logger": ..., "message": ..., <ids>, "error": <traceback>}``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        line: dict[str, object] = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update((name, record.__dict__[name]) for name in IDS if name in record.__dict__)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def log_to_file(path: Path, level: int = logging.INFO) -> None:
    """Send everything that is logged in this process to ``path``, at most 5 files of 5 MB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(path, maxBytes=5_000_000, backupCount=4, encoding="utf-8", delay=True)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level)
