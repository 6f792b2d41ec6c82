"""The part of datamapplot that writes pages, loaded without the part that draws pictures.

`import datamapplot` also loads its static plots, and with them datashader, whose edge bundling numba compiles anew in
every process: 5 s that no page needs. Here the package's own `__init__` waits, and so do the submodules that only other
kinds of maps use, until one of their functions is called.
"""

import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from vis_assets.late_package import import_submodule

PACKAGE = "datamapplot"
DEFERRED = {
    "edge_bundling": ("bundle_edges",),
    "medoids": ("medoid",),
    "alpha_shapes": ("create_boundary_polygons", "smooth_polygon"),
}
"""Submodules that no page of ours uses and that cost seconds to load, and what others import from them."""
_MODULE = f"{PACKAGE}.interactive_rendering"
_loading = threading.Lock()


def load_render_html() -> Callable[..., Any]:
    """Load `datamapplot.render_html` and no more than it needs.

    Where datamapplot is imported already, or is not of the form that this module knows, it is loaded the ordinary way.

    Raises:
        ImportError: datamapplot is not installed, or its version has no `render_html`.
    """
    with _loading:
        if PACKAGE not in sys.modules:
            try:
                return _load_lean()
            except (ImportError, AttributeError):
                _forget()
    render: Callable[..., Any] = importlib.import_module(_MODULE).render_html
    return render


def _load_lean() -> Callable[..., Any]:
    import_submodule(PACKAGE, "config")  # a small one, so that the stand-ins have their package
    with _deferred():
        render: Callable[..., Any] = importlib.import_module(_MODULE).render_html
    return render


def _forget() -> None:
    """Remove what an attempt to load left behind."""
    for name in [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]


@contextmanager
def _deferred() -> Iterator[None]:
    """Put stand-ins in the place of submodules that pages do not use, while others import from them."""
    standing_in = {f"{PACKAGE}.{name}": _stand_in(f"{PACKAGE}.{name}", names) for name, names in DEFERRED.items()}
    sys.modules.update(standing_in)
    try:
        yield
    finally:
        package = sys.modules[PACKAGE]
        for name in standing_in:
            del sys.modules[name]
            vars(package).pop(name.rpartition(".")[2], None)


def _stand_in(module: str, names: tuple[str, ...]) -> ModuleType:
    stand_in = ModuleType(module)
    for name in names:
        setattr(stand_in, name, _on_call(module, name))
    return stand_in


def _on_call(module: str, name: str) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*arguments, **options)

    return call
