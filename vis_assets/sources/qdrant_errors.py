"""The one place where errors of Qdrant's client become ours.

    connection refused or lost, UNAVAILABLE, 429, RESOURCE_EXHAUSTED, 5xx, deadline   SourceUnavailable  retry
    TLS handshake failed, or the port speaks the other protocol                        SourceRejected
    404, NOT_FOUND                                                                     CollectionMissing
    401, 403, UNAUTHENTICATED, PERMISSION_DENIED                                       Unauthorized
    400, INVALID_ARGUMENT, anything else that the server answers                       SourceRejected
    folder locked by another process                                                   SourceUnavailable  retry

Our error carries no cause: a foreign one may hold headers or a body with the API key in it, and what is chained is
recorded.
"""

import base64
import json
import math
import pickle
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

from vis_assets.errors import (
    CollectionMissing,
    SourceRejected,
    SourceUnavailable,
    Unauthorized,
    VisAssetsError,
)

TRIES = 3
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10.0
MAX_DETAIL_CHARACTERS = 300
_URL_SAFE = str.maketrans("+/", "-_")

Answer = TypeVar("Answer")

_TRANSIENT_HTTP = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_TRANSIENT_GRPC = frozenset(
    {"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "ABORTED", "CANCELLED", "INTERNAL", "UNKNOWN"}
)

_CERTIFICATE_MARKS = ("CERTIFICATE_VERIFY_FAILED", "certificate verify failed", "Hostname Verification Check failed")
# A handshake that merely breaks off is none of these: it may be a server that restarts.
_TLS_MARKS = ("WRONG_VERSION_NUMBER", "wrong version number", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST")
_OTHER_PROTOCOL_MARKS = (
    "http1.x server",
    "Failed parsing HTTP/2",
    "illegal status line",
    "illegal request line",
    "missing selected ALPN property",
)


@dataclass(frozen=True)
class Target:
    """What a call was about, for messages.

    Attributes:
        server: e.g. "Qdrant at qdrant:6334 (gRPC)".
        collection: its name, or None.
        secret: the API key, which messages must not repeat.
    """

    server: str
    collection: str | None
    secret: str | None

    def cleaned(self, text: str) -> str:
        """Shorten what a server said to one printable line, without the secret, however the server wrote it."""
        for form in _written_forms(self.secret) if self.secret else ():
            text = text.replace(form, "***")
        line = " ".join(text.split())
        return line if len(line) <= MAX_DETAIL_CHARACTERS else f"{line[:MAX_DETAIL_CHARACTERS]}..."


def _written_forms(secret: str) -> list[str]:
    """How a secret reads in plain text, in JSON, in a URL and in base64; the longest first."""
    coded = base64.b64encode(secret.encode()).decode().rstrip("=")
    forms = {secret, json.dumps(secret)[1:-1], quote(secret, safe=""), quote(secret), quote_plus(secret), coded}
    return sorted(forms | {coded.translate(_URL_SAFE)}, key=len, reverse=True)


@dataclass(frozen=True)
class _Failure:
    error: VisAssetsError
    retry_after_seconds: float | None = None


def call(target: Target, request: Callable[[], Answer]) -> Answer:
    """Run one request, again if a transient error stops it: three tries, half a second and a second apart.

    Raises:
        SourceUnavailable, SourceRejected (or a subclass): as the table of this module says.
    """
    for attempt in range(1, TRIES + 1):
        answer, failure = _attempt(target, request)
        if failure is None:
            return answer[0]
        if not failure.error.retry or attempt == TRIES:
            raise failure.error
        time.sleep(_wait_seconds(attempt, failure.retry_after_seconds))
    raise AssertionError("unreachable: the last try returns or raises")


def _attempt(target: Target, request: Callable[[], Answer]) -> tuple[list[Answer], _Failure | None]:
    import grpc
    from qdrant_client.common.client_exceptions import QdrantException
    from qdrant_client.http.exceptions import ApiException

    # The failure is returned, not raised here, so that the foreign error does not become its context.
    try:
        return [request()], None
    except grpc.RpcError as error:
        return [], _from_grpc(target, error)
    except QdrantException as error:
        return [], _overloaded(target, error)
    except ApiException as error:
        return [], _from_rest(target, error)
    except (ValueError, RuntimeError, AssertionError, OSError, sqlite3.Error, pickle.UnpicklingError) as error:
        return [], _from_client(target, error)


def _wait_seconds(attempt: int, retry_after_seconds: float | None) -> float:
    backoff = FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1)
    return min(max(backoff, retry_after_seconds or 0.0), LONGEST_WAIT_SECONDS)


def _from_grpc(target: Target, error: Any) -> _Failure:
    code, detail = error.code().name, str(error.details() or "")
    handshake = _handshake_failure(target, detail)
    if handshake is not None:
        return handshake
    if code in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return _Failure(_unauthorized(target, detail))
    if code == "NOT_FOUND":
        return _Failure(_missing(target, detail))
    if code in _TRANSIENT_GRPC:
        return _Failure(_unavailable(target, f"{code}: {detail}"))
    if code == "UNIMPLEMENTED":
        return _Failure(_other_protocol(target, detail))
    return _Failure(_rejected(target, f"{code}: {detail}"))


def _from_rest(target: Target, error: Any) -> _Failure:
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    if isinstance(error, ResponseHandlingException):
        return _from_transport(target, error.source)
    if not isinstance(error, UnexpectedResponse):
        return _Failure(_rejected(target, str(error)))
    status, detail = error.status_code or 0, _body_text(error)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return _Failure(_unauthorized(target, detail))
    if status == HTTPStatus.NOT_FOUND:
        return _Failure(_missing(target, detail))
    if status in _TRANSIENT_HTTP or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _Failure(_unavailable(target, f"HTTP {status}: {detail}"))
    return _Failure(_rejected(target, f"HTTP {status}: {detail}"))


def _from_transport(target: Target, source: Exception) -> _Failure:
    import httpx

    detail = f"{type(source).__name__}: {source}"
    handshake = _handshake_failure(target, detail)
    if handshake is not None:
        return handshake
    if isinstance(source, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return _Failure(_rejected(target, detail))
    if isinstance(source, httpx.HTTPError):
        return _Failure(_unavailable(target, detail))
    return _Failure(_rejected(target, f"the answer is none that this client understands ({detail})"))


def _from_client(target: Target, error: Exception) -> _Failure:
    detail = str(error)
    if "already accessed by another instance" in detail:
        return _Failure(
            SourceUnavailable(f"{target.server} is locked: another process has it open; it is tried again later")
        )
    if detail.startswith("Collection ") and detail.endswith(" not found"):
        return _Failure(_missing(target, detail))
    return _Failure(_rejected(target, detail))


def _handshake_failure(target: Target, detail: str) -> _Failure | None:
    if any(mark in detail for mark in _CERTIFICATE_MARKS):
        return _Failure(
            SourceRejected(
                f"{target.server}: its TLS certificate is not trusted ({target.cleaned(detail)}); "
                "use the name on the certificate, or point SSL_CERT_FILE to the authority that signed it"
            )
        )
    if any(mark in detail for mark in _OTHER_PROTOCOL_MARKS):
        return _Failure(_other_protocol(target, detail))
    if any(mark in detail for mark in _TLS_MARKS):
        return _Failure(
            SourceRejected(
                f"{target.server}: the TLS handshake failed ({target.cleaned(detail)}); the server may not use TLS: "
                "try http:// instead of https:// (grpc:// instead of grpcs://), or check the port"
            )
        )
    return None


def _overloaded(target: Target, error: Any) -> _Failure:
    retry_after = getattr(error, "retry_after_s", None)
    seconds = float(retry_after) if isinstance(retry_after, int | float) and math.isfinite(retry_after) else None
    return _Failure(_unavailable(target, f"overloaded: {error}"), seconds)


def _body_text(error: Any) -> str:
    try:
        status = error.structured()["status"]
        return str(status["error"]) if isinstance(status, dict) else str(status)
    except (ValueError, KeyError, TypeError):
        # All of it: what is cut off before it is cleaned may end in half of a key.
        return bytes(error.content or b"").decode("utf-8", "replace")


def _unavailable(target: Target, detail: str) -> SourceUnavailable:
    return SourceUnavailable(
        f"{target.server} cannot be reached, is overloaded or too slow ({target.cleaned(detail)}); "
        "check that it runs and that host and port are right"
    )


def _unauthorized(target: Target, detail: str) -> Unauthorized:
    given = "refuses the API key" if target.secret else "wants an API key and the job has none"
    return Unauthorized(
        f"{target.server} {given} ({target.cleaned(detail)}); "
        "set vector_database_config.api_key to one that may read the collection"
    )


def _missing(target: Target, detail: str) -> SourceRejected:
    if target.collection is None:
        return _other_protocol(target, detail)
    return CollectionMissing(
        f"{target.server} has no collection {target.collection!r:.300} ({target.cleaned(detail)}); "
        "check the name, and that the URL points to the right server"
    )


def _rejected(target: Target, detail: str) -> SourceRejected:
    about = f" for the collection {target.collection!r:.300}" if target.collection else ""
    return SourceRejected(f"{target.server} rejected the request{about}: {target.cleaned(detail)}")


def _other_protocol(target: Target, detail: str) -> SourceRejected:
    return SourceRejected(
        f"{target.server} does not speak the protocol that this port stands for ({target.cleaned(detail)}); "
        "Qdrant serves REST on port 6333 and gRPC on port 6334; for other ports write grpc:// or http://"
    )
