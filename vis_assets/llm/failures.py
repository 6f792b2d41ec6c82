"""What a failed call means, in our words: the same for every provider.

    status of the answer                    error
    ├── 401, 403, 498                       ModelRefused      the key
    ├── 402, or 429 with a code of quotas   ModelRefused      the quota
    ├── 404, 405, 410                       ModelRefused      the model or the address
    ├── 3xx                                 ModelRefused      a redirect, which is never followed
    ├── 408                                 ModelTimedOut
    ├── 429, or 503 with Retry-After        ModelBusy
    ├── 409, 425, 499, 5xx                  ModelUnavailable
    ├── other 4xx                           QuestionRefused   the request
    └── any other without a completion      AnswerUnusable
    no answer in time                       ModelTimedOut
    no connection, no HTTP                  ModelUnavailable
    an answer too long, packed, no JSON     AnswerUnusable

What the server says about it is hostile, and may echo documents or the key: only a status and a short code get through.
"""

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from vis_assets.errors import (
    AnswerUnusable,
    ModelBusy,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    QuestionRefused,
    VisAssetsError,
)
from vis_assets.llm.model import Completion, ModelAccess
from vis_assets.llm.provider import Provider

QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "quota_exceeded"})
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LARGEST_COUNT = 1e9
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
_BAD_KEY = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, 498)  # the last is Cohere's
_TRANSIENT = (HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY, 499)  # the last: the server thinks that we hung up
_NOT_THERE = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE)


@dataclass(frozen=True)
class Failures:
    """Puts the failures of one model into words.

    Attributes:
        access: which model was asked.
        provider: what is known of its provider.
    """

    access: ModelAccess
    provider: Provider

    def of_status(self, status: int, body: object, headers: Mapping[str, str]) -> VisAssetsError:
        """Return the error that an answer without a completion stands for.

        Args:
            status: HTTP status.
            body: what the server says about it, as parsed from JSON, whatever it is.
            headers: of the answer; names in lower case, or of any case if it does not mind.
        """
        code = self._code(body)
        what = f"HTTP {status}" + (f", {code}" if code else "")
        wait_seconds = retry_after_seconds(headers)
        if status == HTTPStatus.TOO_MANY_REQUESTS and code not in QUOTA_CODES:
            return ModelBusy(
                f"{self._name} is asked too often ({what}); wait, or allow fewer requests per minute", wait_seconds
            )
        if status == HTTPStatus.SERVICE_UNAVAILABLE and wait_seconds is not None:
            return ModelBusy(
                f"{self._name} asks to be asked later ({what}); wait, or name a model to fall back to", wait_seconds
            )
        if status == HTTPStatus.REQUEST_TIMEOUT:
            return ModelTimedOut(f"{self._name} gave the request up ({what}); ask for fewer clusters at once")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRANSIENT:
            return ModelUnavailable(f"{self._name} failed ({what}); try later, or name a model to fall back to")
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            return self._refusal(status, code, what)
        return self.unusable(f"it holds no completion ({what})")

    def of_transport(self, error: BaseException | None) -> VisAssetsError:
        """Return the error that a call without an answer stands for."""
        import httpx

        from vis_assets.llm.transport import UNTRUSTED_CERTIFICATE

        if isinstance(error, httpx.TimeoutException):
            return self.timed_out()
        if isinstance(error, httpx.DecodingError):
            return self.unusable("it is longer than an answer can be, or packed")
        if isinstance(error, httpx.ConnectError):
            if str(error) == UNTRUSTED_CERTIFICATE:
                return ModelUnavailable(
                    f"{self._name}: the server's certificate is not trusted; check llm_config.config.base_url, "
                    "or name your own authority's certificate in SSL_CERT_FILE"
                )
            return ModelUnavailable(f"{self._name} cannot be reached; check its address, and that its server runs")
        if isinstance(error, httpx.ProxyError):
            return ModelUnavailable(
                f"{self._name}: the proxy of the environment refused; check http_proxy, https_proxy"
            )
        return ModelUnavailable(f"{self._name}: the connection broke before the answer was complete; try later")

    def closed(self) -> ModelUnavailable:
        """Return the error of a call after `close`."""
        return ModelUnavailable(f"{self._name} was closed; open it again")

    def timed_out(self) -> ModelTimedOut:
        """Return the error of a call whose time is over."""
        return ModelTimedOut(f"{self._name} did not answer in time; allow it more, or ask for fewer clusters at once")

    def unusable(self, reason: str) -> AnswerUnusable:
        """Return the error of an answer that cannot be used; the reason is ours, never the server's."""
        return AnswerUnusable(f"The answer of {self._name} cannot be used: {reason}; another model may do better")

    def completion(self, text: object, input_tokens: object, output_tokens: object, *, is_cut: bool) -> Completion:
        """Return what the server says as a completion, none of it taken on trust.

        Raises:
            AnswerUnusable: there is no text.
        """
        if not isinstance(text, str) or not text.strip():
            raise self.unusable("it ended at its longest before it said anything" if is_cut else "it holds no text")
        return Completion(whole_text(text), _count(input_tokens), _count(output_tokens), is_cut)

    @property
    def _name(self) -> str:
        return f"{self.access.name:.200}"

    def _refusal(self, status: int, code: str | None, what: str) -> ModelRefused:
        if status < HTTPStatus.BAD_REQUEST:
            return ModelRefused(
                f"{self._name} answers with a redirect ({what}), which is not followed; "
                "set llm_config.config.base_url to where it leads"
            )
        if status in _BAD_KEY:
            return ModelRefused(f"{self._name} refused the API key ({what}); check {self._key_place}")
        if status == HTTPStatus.PAYMENT_REQUIRED or code in QUOTA_CODES:
            return ModelRefused(
                f"{self._name}: the quota is used up ({what}); raise it, or use another key in {self._key_place}"
            )
        if status in _NOT_THERE:
            return ModelRefused(
                f"{self._name} is not there ({what}); check llm_config.model and llm_config.config.base_url"
            )
        return QuestionRefused(
            f"{self._name} refused the request ({what}); check llm_config.model, and ask for fewer clusters at once"
        )

    @property
    def _key_place(self) -> str:
        variable = self.provider.key_variable
        return "llm_config.api_key" + (f" or {variable}" if variable else "")

    def _code(self, body: object) -> str | None:
        said = explanation(body)
        told = (dig(said, key) for key in ("code", "type", "status"))
        return next((code for code in told if isinstance(code, str) and self._may_be_told(code)), None)

    def _may_be_told(self, code: str) -> bool:
        if not _CODE.fullmatch(code):
            return False
        key = self.access.api_key
        return not key or (code not in key and key not in code)


def dig(value: object, *path: str | int) -> object:
    """Return what is at the path of keys, attributes and positions, or None: servers say what they like."""
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and len(value) > step else None
        elif isinstance(value, Mapping):
            value = value.get(step)
        else:
            value = getattr(value, step, None)
    return value


def explanation(body: object) -> object:
    """Return the part of an error's body that explains it: servers wrap it in `error`, some of them in a list too."""
    first = dig(body, 0) if isinstance(body, list) else body
    inner = dig(first, "error")
    return inner if isinstance(inner, Mapping) else first


def whole_text(text: str) -> str:
    """Return the text with U+FFFD for each half of a character, which JSON can spell and UTF-8 cannot."""
    return _LONE_SURROGATE.sub("\ufffd", text)


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Return how long the server asks to wait, from `retry-after-ms` or `retry-after` (seconds or a date), if it does.

    Args:
        headers: names in lower case.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    return _seconds_until(text) if seconds is None and text else seconds


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _seconds_until(date: str) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= _LARGEST_COUNT else None
