"""Submodules of a library without the rest of it.

Importing `library.part` runs the library's `__init__` first, and that often imports everything: seconds that a job
does not need. Here the `__init__` waits until somebody asks the package for something that is no submodule.
"""

import importlib
import importlib.util
import sys
import threading
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_ASKED_OF_PACKAGES = ("__all__", "__version__")  # of other such names the import system asks, and wants no answer
_importing = threading.RLock()


def import_submodule(package: str, name: str) -> Any:
    """Import `package.name`, and of the package only what that imports itself.

    A package that is imported already stays as it is.

    Args:
        package: a top-level package.
        name: of the submodule, within the package.

    Raises:
        ImportError: there is no such package or submodule.
    """
    with _importing:
        if package not in sys.modules:
            spec = importlib.util.find_spec(package)
            if spec is None or spec.loader is None:
                raise ImportError(f"{package} is not installed")
            sys.modules[package] = _LatePackage(spec)
        return importlib.import_module(f"{package}.{name}")


class _LatePackage(ModuleType):
    """An installed package before its `__init__` ran."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        self.__spec__ = spec
        self.__loader__ = spec.loader
        self.__file__ = spec.origin
        self.__path__ = list(spec.submodule_search_locations or [])

    def __getattr__(self, name: str) -> Any:
        """Find a submodule, or else become the whole package."""
        spec = self.__spec__
        is_silent = name.startswith("__") and name not in _ASKED_OF_PACKAGES
        if is_silent or spec is None or spec.loader is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if importlib.util.find_spec(f"{self.__name__}.{name}") is not None:
            return importlib.import_module(f"{self.__name__}.{name}")
        self.__class__ = ModuleType  # type: ignore[assignment] # an ordinary module from now on
        spec.loader.exec_module(self)
        return getattr(self, name)
