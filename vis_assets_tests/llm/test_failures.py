"""How what a server says about a failure is read, none of it on trust."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from vis_assets.errors import (
    AnswerUnusable,
    ModelBusy,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    QuestionRefused,
    VisAssetsError,
)
from vis_assets.llm import ModelAccess, registered_providers
from vis_assets.llm.failures import Failures, retry_after_seconds

FAILURES = Failures(ModelAccess("openai", "m", "sk-canary"), registered_providers()["openai"])


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (100, AnswerUnusable),
        (200, AnswerUnusable),
        (204, AnswerUnusable),
        (300, ModelRefused),
        (304, ModelRefused),
        (307, ModelRefused),
        (400, QuestionRefused),
        (401, ModelRefused),
        (402, ModelRefused),
        (403, ModelRefused),
        (404, ModelRefused),
        (405, ModelRefused),
        (408, ModelTimedOut),
        (409, ModelUnavailable),
        (410, ModelRefused),
        (413, QuestionRefused),
        (418, QuestionRefused),
        (422, QuestionRefused),
        (425, ModelUnavailable),
        (429, ModelBusy),
        (451, QuestionRefused),
        (498, ModelRefused),
        (499, ModelUnavailable),
        (500, ModelUnavailable),
        (502, ModelUnavailable),
        (503, ModelUnavailable),
        (504, ModelUnavailable),
        (529, ModelUnavailable),
        (599, ModelUnavailable),
        (999, ModelUnavailable),
    ],
)
def test_every_status_has_its_error(status: int, kind: type[VisAssetsError]):
    """The status decides whether asking again can help, and is told with what to do."""
    failure = FAILURES.of_status(status, None, {})
    assert type(failure) is kind
    assert f"HTTP {status}" in str(failure)
    assert "openai/m" in str(failure)


def test_a_server_that_fails_and_says_when_to_come_back_is_busy():
    """503 with Retry-After is a request to wait."""
    failure = FAILURES.of_status(503, None, {"retry-after": "4"})
    assert isinstance(failure, ModelBusy)
    assert failure.retry_after_seconds == 4


@pytest.mark.parametrize("body", [{"error": {"code": "insufficient_quota"}}, {"code": "insufficient_quota"}])
def test_a_used_up_quota_is_a_refusal(body: dict[str, Any]):
    """The code decides, wherever it stands."""
    assert type(FAILURES.of_status(429, body, {"retry-after": "4"})) is ModelRefused


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0"}, 0),
        ({"retry-after": " 2.5 "}, 2.5),
        ({"retry-after-ms": "1500", "retry-after": "3"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "3"}, 3),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 -0000"}, 0),
        ({"retry-after": ""}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e999"}, None),
        ({"retry-after": "3, 4"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": "Wed, 99 Oct 99999999999999 07:28:00 GMT"}, None),
        ({"retry-after": "x" * 50_000}, None),
    ],
)
def test_what_is_no_time_to_wait_is_none(headers: dict[str, str], seconds: float | None):
    """Seconds, milliseconds and dates are understood; anything else says nothing."""
    assert retry_after_seconds(headers) == seconds


def test_a_date_to_come_is_so_many_seconds_away():
    """A date counts from this machine's clock."""
    later = datetime.now(UTC) + timedelta(seconds=90)
    began = time.time()
    waited = retry_after_seconds({"retry-after": format_datetime(later, usegmt=True)})
    assert waited is not None
    assert later.timestamp() - 1 <= began + waited <= later.timestamp() + 60
