"""Structured logs."""

import json
import logging
from collections.abc import Iterator

import pytest

from vis_assets.operations.logs import JsonFormatter, configure_logging
from vis_assets.settings import Settings


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("vis_assets")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    logging.captureWarnings(False)


def test_a_line_is_one_json_object() -> None:
    """A record becomes one line with time, level, logger, message and worker; `extra` becomes its context."""
    record = logging.makeLogRecord(
        {
            "name": "vis_assets.x",
            "levelname": "INFO",
            "msg": "job %s\nis done",
            "args": ("ü",),
            "created": 0.0,
            "msecs": 7,
        }
    )
    record.job_id = "ü"
    written = JsonFormatter("w").format(record)
    assert "\n" not in written
    assert json.loads(written) == {
        "timestamp": "1970-01-01T00:00:00.007Z",
        "level": "INFO",
        "logger": "vis_assets.x",
        "message": "job ü\nis done",
        "worker_id": "w",
        "context": {"job_id": "ü"},
    }


def test_an_exception_is_part_of_the_context(capsys: pytest.CaptureFixture[str]) -> None:
    """A logged exception stays on its line, as its type and traceback."""
    configure_logging(Settings(WORKER_ID="w", LOG_FORMAT="json"))
    try:
        raise ValueError("wrong")
    except ValueError:
        logging.getLogger("vis_assets.x").exception("it failed", extra={"path": Settings})
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["context"]["error_type"] == "ValueError"
    assert "wrong" in json.loads(line)["context"]["traceback"]


def test_levels(capsys: pytest.CaptureFixture[str]) -> None:
    """LOG_LEVEL holds for us, others tell warnings only, Dagster's loggers are left to Dagster; text is for people."""
    configure_logging(Settings(LOG_LEVEL="INFO", LOG_FORMAT="text"))
    for name in ("vis_assets.x", "alembic", "dagster.daemon"):
        logging.getLogger(name).info("said by %s", name)
        logging.getLogger(name).warning("warned by %s", name)
    written = capsys.readouterr().err
    assert "- vis_assets.x - INFO - said by vis_assets.x" in written
    assert "said by alembic" not in written
    assert "warned by alembic" in written
    assert "dagster.daemon" not in written
