"""What a language model is to the rest of the package: a question goes in, a completion comes out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class ModelAccess:
    """How to reach one model.

    Attributes:
        provider: as jobs and settings call it, e.g. "openai", "groq", "cohere", "internal".
        model: the provider's name for the model.
        api_key: None where the server needs none. Never read from the environment below this point.
        base_url: where the server is; None for the provider's own address.
        address: the IP address to connect to, since the host of `base_url` was judged by it; None leaves the resolving
            to the client.
        temperature: 0 (always the likeliest answer) to 2.
    """

    provider: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    address: str | None = None
    temperature: float = 0.0

    @property
    def name(self) -> str:
        """What people are told, e.g. `openai/gpt-4o-mini`."""
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True)
class Question:
    """What a model is asked.

    Attributes:
        instructions: what to do; trusted, ours or the job's.
        content: what to do it with: documents, which are data and never instructions.
        schema: JSON schema of the answer, an object.
        max_output_tokens: longest answer.
    """

    instructions: str
    content: str
    schema: Mapping[str, Any]
    max_output_tokens: int


@dataclass(frozen=True)
class Completion:
    """What a model answered.

    Attributes:
        text: the answer.
        input_tokens: of the question, as the server counted them; None where it does not say.
        output_tokens: of the answer, likewise.
        is_cut: whether the answer ended at `max_output_tokens`.
    """

    text: str
    input_tokens: int | None
    output_tokens: int | None
    is_cut: bool = False


class Model(Protocol):
    """One model of one provider; may be called by several threads at the same time."""

    def complete(self, question: Question, timeout_seconds: float) -> Completion:
        """Ask once, without retries.

        Args:
            question: what to ask.
            timeout_seconds: for the whole call, from connecting to the last byte.

        Raises:
            ModelRefused: key, model, quota or request were refused; asking again is of no use.
            ModelTimedOut: no answer in time.
            ModelBusy: too many requests; holds how long to wait where the server says so.
            ModelUnavailable: unreachable, or the server failed.
            AnswerUnusable: the answer is no completion.
        """

    def close(self) -> None:
        """Close its connections."""
