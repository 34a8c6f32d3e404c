"""Log lines as JSON, one object a line on stderr; the texts of requests are not in it unless asked for."""

import datetime
import json
import logging
from typing import Any

logger = logging.getLogger("intent_bert")


class JsonFormatter(logging.Formatter):
    """A record as one line; ``extra={"facts": {...}}`` adds to it."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds")
        values: dict[str, Any] = {"time": time, "level": record.levelname.lower(), "event": record.getMessage()}
        values |= getattr(record, "facts", {})
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        return json.dumps(values)  # ASCII: nothing of a request can break a line or steer a terminal


def log_as_json() -> None:
    """Let all that goes to stderr be JSON from here on, what uvicorn says among it."""
    formatter = JsonFormatter()
    for handler in logger.handlers:
        handler.setFormatter(formatter)
    for name in ("uvicorn", "uvicorn.error", "asyncio"):
        other = logging.getLogger(name)
        other.handlers, other.propagate = list(logger.handlers), False
        other.setLevel(logging.ERROR)  # each malformed request is a line of ours already
