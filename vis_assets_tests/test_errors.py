"""The error tree: as drawn, and each error retried or not as its branch says."""

import inspect
import re

import pytest

from vis_assets import errors
from vis_assets.errors import PermanentError, TransientError, VisAssetsError

CLASSES = [member for _, member in inspect.getmembers(errors, inspect.isclass) if issubclass(member, VisAssetsError)]


def drawn_tree() -> dict[str, str | None]:
    """Class -> parent, as the module's docstring draws it."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^ {4}((?:[│ ] {3})*(?:[├└]── )?)(\w+)", line)
        if found is None:
            continue
        depth = len(found[1]) // 4
        path[depth:] = [found[2]]
        parents[found[2]] = path[depth - 1] if depth else None
    return parents


def test_the_drawn_tree_is_the_real_one() -> None:
    """The tree in the module's docstring shows every class under its parent, and no other."""
    real = {kind.__name__: None if kind is VisAssetsError else kind.__bases__[0].__name__ for kind in CLASSES}
    assert drawn_tree() == real


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_the_branch_says_whether_to_retry(kind: type[VisAssetsError]) -> None:
    """Transient errors are retried and all others are not; each is described."""
    assert kind.retry is issubclass(kind, TransientError)
    assert not (issubclass(kind, TransientError) and issubclass(kind, PermanentError))
    assert kind.__doc__
    assert kind.__doc__ != VisAssetsError.__doc__ or kind is VisAssetsError
