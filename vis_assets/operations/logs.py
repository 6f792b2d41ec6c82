"""Structured logs: one JSON object a line for machines, or a line of text for people, on stderr.

`{"timestamp", "level", "logger", "message", "worker_id"}`, and `context` where a line has more to say, e.g. a job id.
"""

import json
import logging
import sys
import time
from typing import Any

from vis_assets.settings import Settings

PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
"""What every record has; the rest was given by `extra`."""
TEXT = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON."""

    def __init__(self, worker_id: str) -> None:
        """Name the worker on every line."""
        super().__init__()
        self._worker_id = worker_id

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; what JSON has no form for is written as text."""
        line: dict[str, Any] = {
            "timestamp": self._timestamp(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "worker_id": self._worker_id,
        }
        context = {name: value for name, value in record.__dict__.items() if name not in PLAIN}
        if record.exc_info and record.exc_info[0] is not None:
            context |= {"error_type": record.exc_info[0].__name__, "traceback": self.formatException(record.exc_info)}
        return json.dumps(line | ({"context": context} if context else {}), default=str, ensure_ascii=False)

    @staticmethod
    def _timestamp(record: logging.LogRecord) -> str:
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"


def configure_logging(settings: Settings) -> None:
    """Send the log of this process to stderr in the form that LOG_FORMAT and LOG_LEVEL ask for.

    Of other libraries only warnings are told, unless LOG_LEVEL is DEBUG. Dagster's own loggers have handlers of their
    own, which its processes configure.
    """
    handler = logging.StreamHandler(sys.stderr)
    is_json = settings.log_format == "json"
    handler.setFormatter(JsonFormatter(settings.worker_id) if is_json else logging.Formatter(TEXT))
    handler.addFilter(lambda record: not record.name.startswith("dagster"))
    logging.basicConfig(level=_level_of_others(settings.log_level), handlers=[handler], force=True)
    logging.getLogger("vis_assets").setLevel(settings.log_level)
    logging.captureWarnings(True)


def _level_of_others(ours: str) -> str:
    return ours if ours in {"DEBUG", "ERROR"} else "WARNING"
