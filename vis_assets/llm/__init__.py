"""Language models, one file per kind of provider, and the chain of them that is asked in order.

A kind of provider is a module of this folder with a `PROVIDERS` (what jobs write in `llm_config.provider`, and what is
known of each) and a function `open_model`; adding the file is all it takes to register it. Nothing here knows clusters.
"""

import importlib
import pkgutil
import re
from functools import cache
from types import ModuleType
from urllib.parse import urlsplit

from vis_assets.errors import InvalidJob, ModelRefused
from vis_assets.llm.model import Completion, Model, ModelAccess, Question
from vis_assets.llm.provider import Provider

__all__ = [
    "Completion",
    "Model",
    "ModelAccess",
    "Provider",
    "Question",
    "check_access",
    "open_model",
    "registered_providers",
]

URL_FIELD = "llm_config.config.base_url"
_SENDABLE_KEY = re.compile(r"[!-~]{1,4096}")
_UNSAFE_IN_URL = re.compile(r"[^\x21-\x7e]|[\\@?#]")


def registered_providers() -> dict[str, Provider]:
    """Return what is known of every provider, by the name that jobs and settings use."""
    return {name: provider for module in _modules() for name, provider in module.PROVIDERS.items()}


def check_access(access: ModelAccess) -> None:
    """Raise what `open_model` would; nothing is opened, and nothing heavy imported.

    Raises:
        InvalidJob: unknown provider, or no usable address where the provider has none of its own.
        ModelRefused: the provider needs a key and there is none, or the key is none that a request can carry.
    """
    _check(access)


def open_model(access: ModelAccess) -> Model:
    """Open one model of the provider that the access names; the caller closes it. Nothing is asked yet.

    Raises:
        InvalidJob: unknown provider, or no usable address where the provider has none of its own.
        ModelRefused: the provider needs a key and there is none, or the key is none that a request can carry.
        InvalidSetting: the proxy of the environment is of a kind that is not spoken here.
    """
    module = _check(access)
    model: Model = module.open_model(access, module.PROVIDERS[access.provider])
    return model


def _check(access: ModelAccess) -> ModuleType:
    module = next((module for module in _modules() if access.provider in module.PROVIDERS), None)
    if module is None:
        known = ", ".join(sorted(registered_providers()))
        raise InvalidJob(
            f"llm_config.provider is {access.provider!r:.100}, which is no known provider; use one of: {known}"
        )
    provider: Provider = module.PROVIDERS[access.provider]
    _check_address(access, provider)
    _check_key(access, provider)
    return module


@cache
def _modules() -> tuple[ModuleType, ...]:
    # A folder holds what providers share and what is too heavy to import for a list of names.
    names = (info.name for info in pkgutil.iter_modules(__path__) if not info.ispkg)
    modules = (importlib.import_module(f"{__name__}.{name}") for name in names)
    return tuple(module for module in modules if hasattr(module, "PROVIDERS"))


def _check_address(access: ModelAccess, provider: Provider) -> None:
    address = access.base_url or provider.base_url
    if address is None:
        setting = f", or have the operator set {provider.url_variable}" if provider.url_variable else ""
        raise InvalidJob(
            f"{URL_FIELD} is missing: the provider {access.provider!r} has no address of its own; "
            f"write it like http://host:8000/v1{setting}"
        )
    try:
        parts = urlsplit("" if _UNSAFE_IN_URL.search(address) else address)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        # Not echoed: it may hold a password.
        raise InvalidJob(
            f"{URL_FIELD} is no http or https URL without user, password, query and fragment; "
            "write it like https://host/v1, a key belongs in llm_config.api_key"
        )


def _check_key(access: ModelAccess, provider: Provider) -> None:
    place = "llm_config.api_key" + (f" or {provider.key_variable}" if provider.key_variable else "")
    if provider.needs_key and not access.api_key:
        raise ModelRefused(f"{access.name:.200} answers nobody without an API key; set {place}")
    if access.api_key and not _SENDABLE_KEY.fullmatch(access.api_key):
        # The clients would quote it in their complaint.
        raise ModelRefused(
            f"The API key for {access.name:.200} holds a space, a line break or a character that is not ASCII, "
            f"which no request can carry; set {place} to the key alone"
        )
