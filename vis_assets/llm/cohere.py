"""Cohere's chat (v2), through the official SDK."""

from typing import TYPE_CHECKING, Any

from vis_assets.llm.dialect import REFUSED_REQUEST, Dialect, LearnedDialect, Refusal, as_messages
from vis_assets.llm.failures import Failures, dig
from vis_assets.llm.model import Completion, Model, ModelAccess, Question
from vis_assets.llm.provider import Provider

if TYPE_CHECKING:
    import httpx

PROVIDERS = {"cohere": Provider("https://api.cohere.com", "command-r-plus-08-2024", key_variable="COHERE_API_KEY")}


def open_model(access: ModelAccess, provider: Provider) -> Model:
    """Open one model; the caller closes it."""
    from vis_assets.llm.transport import open_client

    base_url = access.base_url or provider.base_url or ""
    return _CohereModel(access, provider, base_url, open_client(access, base_url))


class _CohereModel:
    def __init__(self, access: ModelAccess, provider: Provider, base_url: str, client: "httpx.Client") -> None:
        import cohere

        from vis_assets.llm.transport import UNUSED_KEY

        self._access = access
        self._failures = Failures(access, provider)
        self._client = client
        # Given, even if they have defaults: those are CO_API_KEY, COHERE_API_KEY and CO_API_URL of the environment.
        self._sdk = cohere.ClientV2(
            UNUSED_KEY,
            base_url=base_url,
            client_name="vis-assets",
            max_retries=0,
            httpx_client=client,
            log_warning_experimental_features=False,
        )
        self._dialect = LearnedDialect(Dialect())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._access!r})"

    def complete(self, question: Question, timeout_seconds: float) -> Completion:
        """Ask once; again only for a question that the server refused for one of its parameters."""
        return self._dialect.complete(lambda dialect, seconds: self._ask(question, dialect, seconds), timeout_seconds)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _ask(self, question: Question, dialect: Dialect, timeout_seconds: float) -> Completion | Refusal:
        import httpx
        from cohere.core import ApiError, ParsingError

        if timeout_seconds <= 0:
            raise self._failures.timed_out()
        try:
            answer = self._sdk.chat(
                **self._request(question, dialect), request_options={"timeout": timeout_seconds, "max_retries": 0}
            )
        except ApiError as error:
            failure = self._failures.of_status(error.status_code or 0, error.body, httpx.Headers(error.headers))
            if error.status_code in REFUSED_REQUEST:
                return Refusal(failure, error.body)
            raise failure from None
        except httpx.HTTPError as error:
            raise self._failures.of_transport(error) from None
        # The SDK builds its types of whatever the server says.
        except (ParsingError, ValueError, TypeError, AttributeError, LookupError, RecursionError):
            raise self._failures.unusable("it is no completion") from None
        except RuntimeError:
            raise self._failures.closed() from None
        return self._read(answer)

    def _request(self, question: Question, dialect: Dialect) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self._access.model,
            "messages": as_messages(question),
            "max_tokens": question.max_output_tokens,
        }
        if dialect.has_temperature:
            request["temperature"] = self._access.temperature
        if dialect.formats:
            schema = {"json_schema": dict(question.schema)} if dialect.formats[0] == "json_schema" else {}
            request["response_format"] = {"type": "json_object", **schema}
        return request

    def _read(self, answer: object) -> Completion:
        content = dig(answer, "message", "content")
        parts = [dig(part, "text") for part in content] if isinstance(content, list) else []
        # What is billed is what costs; what was read also counts Cohere's own preamble.
        usage = dig(answer, "usage", "billed_units") or dig(answer, "usage", "tokens")
        return self._failures.completion(
            "".join(part for part in parts if isinstance(part, str)),
            dig(usage, "input_tokens"),
            dig(usage, "output_tokens"),
            is_cut=dig(answer, "finish_reason") == "MAX_TOKENS",
        )
