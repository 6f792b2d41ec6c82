"""What is known of a provider before anybody asks it anything."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Provider:
    """Where language models are and what they need.

    Attributes:
        base_url: its own address; None where whoever uses it must say where it is.
        default_model: None where whoever uses it must name one.
        needs_key: whether it answers nobody without an API key.
        key_variable: environment variable of the installation's key, told in messages; None where there is none.
        url_variable: environment variable of the installation's address for it; None where there is none.
        is_local: whether it runs on the user's own machines, so that a token costs nothing.
    """

    base_url: str | None
    default_model: str | None
    needs_key: bool = True
    key_variable: str | None = None
    url_variable: str | None = None
    is_local: bool = False
