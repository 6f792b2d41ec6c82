"""Every error that vis_assets raises on purpose, and what each means for the job that met it.

    VisAssetsError
    ├── PermanentError          the same input would fail again: report it, do not retry
    │   ├── InvalidMessage      the message is not JSON, or not an object
    │   ├── InvalidJob          a field of the job is missing, of the wrong type or out of range
    │   ├── InvalidSetting      a setting of this installation is missing or malformed
    │   ├── SourceRejected      the vector database answered, and the answer is no
    │   │   ├── CollectionMissing
    │   │   ├── Unauthorized
    │   │   ├── HostNotAllowed
    │   │   └── VectorUnusable  unknown vector name, or vectors that are no dense float vectors
    │   ├── NoPoints            the collection, or what the filter leaves of it, is empty
    │   ├── PointsMismatch      two assets of one partition speak of different points
    │   ├── SecretUnreadable    the sealing key is lost and the environment has no substitute
    │   ├── ObjectMissing       the store has no object under that key
    │   ├── ModelRefused        a language model's server answered, and the answer is no
    │   │   └── QuestionRefused to this one question; another one may be answered
    │   ├── BudgetSpent         asking a language model would cost more than the job may
    │   └── JobCanceled         somebody asked for the work to stop
    └── TransientError          the world was in the way: the same job may succeed later
        ├── SourceUnavailable   the vector database cannot be reached, is overloaded or too slow
        ├── StoreUnavailable    the object store cannot be reached or refused a write
        ├── BrokerUnavailable   NATS cannot be reached, or refuses us
        │   └── BrokerRefused   NATS is there, and refuses this one message or request
        ├── ModelUnavailable    a language model cannot be reached, or its server fails
        │   ├── ModelTimedOut   it took too long
        │   └── ModelBusy       it asks to be asked later
        ├── AnswerUnusable      a language model answered, and not what it was asked for
        ├── NoModelAnswered     none of a chain of language models gave a usable answer
        └── ComputeFailed       layout, clustering or rendering failed, or ran out of memory

No job ends by an error of a language model: clusters are then named by their keyphrases.

A message says what happened, to what, and what the user can do; it never holds a secret.
"""

from typing import ClassVar


class VisAssetsError(Exception):
    """Base of all errors of this package.

    Attributes:
        retry: whether running the same job again can help.
    """

    retry: ClassVar[bool] = False


class PermanentError(VisAssetsError):
    """The same input would fail again; the job ends with a `failed` result."""


class TransientError(VisAssetsError):
    """The same job may succeed later."""

    retry: ClassVar[bool] = True


class InvalidMessage(PermanentError):
    """The message is not JSON, or not a JSON object."""


class InvalidJob(PermanentError):
    """A field of the job is missing, of the wrong type or out of range."""


class InvalidSetting(PermanentError):
    """A setting of this installation is missing or malformed."""


class SourceRejected(PermanentError):
    """The vector database answered, and the answer is no."""


class CollectionMissing(SourceRejected):
    """The collection does not exist in the vector database."""


class Unauthorized(SourceRejected):
    """The vector database refused the credentials."""


class HostNotAllowed(SourceRejected):
    """The connection URL points to a host or folder that jobs may not reach."""


class VectorUnusable(SourceRejected):
    """The vector name is unknown or ambiguous, or the vectors are no dense float vectors of one dimension."""


class NoPoints(PermanentError):
    """The collection, or what the filter leaves of it, holds no point with a vector."""


class PointsMismatch(PermanentError):
    """Two assets of one partition speak of different points."""


class SecretUnreadable(PermanentError):
    """A sealed secret cannot be opened and the environment has no substitute."""


class ObjectMissing(PermanentError):
    """The store has no object under that key."""


class ModelRefused(PermanentError):
    """A language model's server answered, and the answer is no: the key, the model, the quota or the request."""


class QuestionRefused(ModelRefused):
    """A language model's server refused one question, which may be too long; another one may be answered."""


class BudgetSpent(PermanentError):
    """Asking a language model would cost more than the job may spend."""


class JobCanceled(PermanentError):
    """Somebody asked for the work to stop."""


class SourceUnavailable(TransientError):
    """The vector database cannot be reached, is overloaded or too slow."""


class StoreUnavailable(TransientError):
    """The object store cannot be reached or refused a write."""


class BrokerUnavailable(TransientError):
    """NATS cannot be reached, or refuses us: credentials may be on their way."""


class BrokerRefused(BrokerUnavailable):
    """NATS is there, and refuses this one message or request."""


class ModelUnavailable(TransientError):
    """A language model cannot be reached, or its server fails."""


class ModelTimedOut(ModelUnavailable):
    """A language model did not answer in time."""


class ModelBusy(ModelUnavailable):
    """A language model's server asks to be asked later.

    Attributes:
        retry_after_seconds: how much later, where it says so.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        """Keep how long to wait."""
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class AnswerUnusable(TransientError):
    """A language model answered, and not what it was asked for."""


class NoModelAnswered(TransientError):
    """None of a chain of language models gave a usable answer.

    Attributes:
        answered: names of the models that did answer, though not what they were asked for.
        was_asked: whether any model was asked; else all were left alone for what had happened before.
    """

    def __init__(self, message: str, answered: frozenset[str] = frozenset(), *, was_asked: bool = False) -> None:
        """Keep who was asked, and who answered."""
        super().__init__(message)
        self.answered = answered
        self.was_asked = was_asked


class ComputeFailed(TransientError):
    """Layout, clustering or rendering failed, or ran out of memory."""
