"""The inference service of Semantic Explorer: a prompt goes in, a text comes out, and nothing is said of tokens."""

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from vis_assets.llm.failures import Failures, dig, whole_text
from vis_assets.llm.model import Completion, Model, ModelAccess, Question
from vis_assets.llm.provider import Provider

if TYPE_CHECKING:
    import httpx

PROVIDERS = {"internal": Provider(None, None, needs_key=False, url_variable="LLM_INFERENCE_API_URL", is_local=True)}

PATH = "/api/generate"


def open_model(access: ModelAccess, provider: Provider) -> Model:
    """Open one model; the caller closes it."""
    from vis_assets.llm.transport import open_client

    base_url = access.base_url or provider.base_url or ""
    return _InternalModel(access, provider, base_url, open_client(access, base_url))


class _InternalModel:
    def __init__(self, access: ModelAccess, provider: Provider, base_url: str, client: "httpx.Client") -> None:
        self._access = access
        self._failures = Failures(access, provider)
        self._client = client
        self._url = base_url.rstrip("/") + PATH

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._access!r})"

    def complete(self, question: Question, timeout_seconds: float) -> Completion:
        """Ask once; the service knows no schema, so the answer may have words around its JSON."""
        import httpx

        if timeout_seconds <= 0:
            raise self._failures.timed_out()
        try:
            response = self._client.post(self._url, json=self._request(question), timeout=timeout_seconds)
        except httpx.HTTPError as error:
            raise self._failures.of_transport(error) from None
        except RuntimeError:
            raise self._failures.closed() from None
        body = self._parse(response)
        if response.status_code != HTTPStatus.OK:
            raise self._failures.of_status(response.status_code, body, response.headers)
        return self._failures.completion(dig(body, "text"), None, None, is_cut=False)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _request(self, question: Question) -> dict[str, Any]:
        return {
            "model": self._access.model,
            "prompt": whole_text(f"{question.instructions}\n\n{question.content}"),
            "max_tokens": question.max_output_tokens,
            "temperature": self._access.temperature,
        }

    def _parse(self, response: "httpx.Response") -> object:
        try:
            return json.loads(response.content)
        except (ValueError, RecursionError):
            if response.status_code == HTTPStatus.OK:
                raise self._failures.unusable("it is no JSON") from None
            return None
