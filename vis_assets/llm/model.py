"""What a language model is to the rest of the package: a question goes in, a completion comes out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

MOST_NAME_CHARACTERS = 200
_REQUESTS = "llm_requests"


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
        """What people are told, e.g. `openai/gpt-4o-mini`; one line of at most 200 characters, whatever a job says."""
        return one_line(f"{self.provider}/{self.model}", MOST_NAME_CHARACTERS)


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
        requests: how many were sent for it, refused ones too.
    """

    text: str
    input_tokens: int | None
    output_tokens: int | None
    is_cut: bool = False
    requests: int = 1


class Model(Protocol):
    """One model of one provider; may be called by several threads at the same time."""

    def complete(self, question: Question, timeout_seconds: float) -> Completion:
        """Ask once, without retries; again only where a server does not take a parameter of the request.

        An error says in `requests_behind` how many requests were sent, where that was not one.

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


def note_requests(error: Exception, requests: int) -> None:
    """Write on the error of a call how many requests were sent for it."""
    setattr(error, _REQUESTS, requests)


def requests_behind(error: Exception) -> int:
    """Return how many requests were sent for a call that failed: one where nothing is noted."""
    return int(getattr(error, _REQUESTS, 1))


def one_line(text: str, most_characters: int) -> str:
    """Return the text without line breaks, control characters and marks that nobody sees, cut at a length.

    What a job calls its model stands in logs, where a line break would begin a line that nobody wrote.
    """
    visible = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(visible.split())[:most_characters]
