"""Chat completions of OpenAI and of every server that speaks like it, through the official SDK."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vis_assets.llm.dialect import REFUSED_REQUEST, Dialect, LearnedDialect, Refusal, as_messages
from vis_assets.llm.failures import Failures, dig, explanation
from vis_assets.llm.model import Completion, Model, ModelAccess, Question
from vis_assets.llm.provider import Provider

if TYPE_CHECKING:
    import httpx

OPENAI = "openai"
GEMINI = "gemini"
PROVIDERS = {
    OPENAI: Provider(
        "https://api.openai.com/v1", "gpt-4o-mini", key_variable="OPENAI_API_KEY", url_variable="OPENAI_BASE_URL"
    ),
    "groq": Provider("https://api.groq.com/openai/v1", "llama-3.3-70b-versatile", key_variable="GROQ_API_KEY"),
    "nvidia": Provider(
        "https://integrate.api.nvidia.com/v1", "nvidia/llama-3.1-nemotron-70b-instruct", key_variable="NVIDIA_API_KEY"
    ),
    GEMINI: Provider(
        "https://generativelanguage.googleapis.com/v1beta/openai/", "gemini-2.5-flash", key_variable="GEMINI_API_KEY"
    ),
    "ollama": Provider(
        "http://localhost:11434/v1", None, needs_key=False, url_variable="OLLAMA_BASE_URL", is_local=True
    ),
    "vllm": Provider(
        None, None, needs_key=False, key_variable="VLLM_API_KEY", url_variable="VLLM_BASE_URL", is_local=True
    ),
    "openai_compatible": Provider(
        None,
        None,
        needs_key=False,
        key_variable="OPENAI_COMPATIBLE_API_KEY",
        url_variable="OPENAI_COMPATIBLE_BASE_URL",
    ),
}

_FAILED_FORMAT = "json_validate_failed"
"""Groq's code for an answer that did not keep to the schema: the next one may."""


def open_model(access: ModelAccess, provider: Provider) -> Model:
    """Open one model; the caller closes it."""
    from vis_assets.llm.transport import open_client

    base_url = access.base_url or provider.base_url or ""
    return _OpenAiModel(access, provider, base_url, open_client(access, base_url))


class _OpenAiModel:
    def __init__(self, access: ModelAccess, provider: Provider, base_url: str, client: "httpx.Client") -> None:
        from openai import OpenAI

        from vis_assets.llm.transport import UNUSED_KEY

        self._access = access
        self._failures = Failures(access, provider)
        self._client = client
        # Everything is given, even if empty: what is not, the SDK takes from OPENAI_* of the environment. The headers
        # of OPENAI_CUSTOM_HEADERS cannot be declined; the transport makes its own.
        self._sdk = OpenAI(
            api_key=UNUSED_KEY,
            admin_api_key=UNUSED_KEY,
            organization="",
            project="",
            webhook_secret="",
            base_url=base_url,
            max_retries=0,
            http_client=client,  # type: ignore[arg-type]  # a client of httpx is taken as well as one of httpx2
        )
        self._dialect = LearnedDialect(_first_dialect(access.provider))

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
        import openai
        import pydantic

        if timeout_seconds <= 0:
            raise self._failures.timed_out()
        try:
            answer = self._sdk.chat.completions.create(**self._request(question, dialect), timeout=timeout_seconds)
        except openai.APIStatusError as error:
            return self._refusal(error.status_code, error.body, error.response.headers)
        except openai.APIConnectionError as error:
            raise self._failures.of_transport(error.__cause__) from None
        except httpx.HTTPError as error:
            raise self._failures.of_transport(error) from None
        # The SDK builds its types of whatever the server says.
        except (openai.OpenAIError, pydantic.ValidationError, ValueError, TypeError, AttributeError, RecursionError):
            raise self._failures.unusable("it is no completion") from None
        except RuntimeError:
            raise self._failures.closed() from None
        return self._read(answer)

    def _request(self, question: Question, dialect: Dialect) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self._access.model,
            "messages": as_messages(question),
            dialect.limits[0]: question.max_output_tokens,
        }
        if dialect.efforts:
            request["reasoning_effort"] = dialect.efforts[0]
        if dialect.has_temperature:
            request["temperature"] = self._access.temperature
        if dialect.formats:
            request["response_format"] = _response_format(dialect.formats[0], question)
        return request

    def _refusal(self, status: int, body: object, headers: Mapping[str, str]) -> Refusal:
        if dig(explanation(body), "code") == _FAILED_FORMAT:
            raise self._failures.unusable("it does not keep to the format") from None
        failure = self._failures.of_status(status, body, headers)
        if status in REFUSED_REQUEST:
            return Refusal(failure, body)
        raise failure from None

    def _read(self, answer: object) -> Completion:
        message = dig(answer, "choices", 0, "message")
        text = _text(dig(message, "content"))
        if not text and dig(message, "refusal"):
            raise self._failures.unusable("the model declined")
        return self._failures.completion(
            text,
            dig(answer, "usage", "prompt_tokens"),
            dig(answer, "usage", "completion_tokens"),
            is_cut=dig(answer, "choices", 0, "finish_reason") == "length",
        )


def _first_dialect(provider: str) -> Dialect:
    # OpenAI's newer models refuse max_tokens, most other servers know nothing else.
    limits = ("max_completion_tokens", "max_tokens")
    return Dialect(
        limits=limits if provider == OPENAI else limits[::-1],
        # Gemini thinks unless told not to, which is billed and counts towards the longest answer, of which nothing may
        # be left for the names. Its larger models cannot but think, so the next best is little.
        efforts=("none", "low") if provider == GEMINI else (),
    )


def _response_format(name: str, question: Question) -> dict[str, Any]:
    if name == "json_object":
        return {"type": name}
    return {"type": name, name: {"name": "answer", "strict": True, "schema": dict(question.schema)}}


def _text(content: object) -> object:
    if not isinstance(content, list):
        return content
    # Some servers answer in parts, of which those that think aloud hold no text.
    parts = (dig(part, "text") for part in content)
    return "".join(part for part in parts if isinstance(part, str))
