"""Submodules of a package whose `__init__` waits."""

import importlib
import sys
from pathlib import Path

import pytest

from vis_assets.late_package import import_submodule


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with three modules, whose `__init__` imports the heavy one."""
    folder = tmp_path / "slowpack"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from slowpack import heavy\nfrom slowpack.light import answer\n__version__ = '7'\nwhole = True\n"
    )
    (folder / "light.py").write_text("from slowpack import other\nanswer = 42\n")
    (folder / "other.py").write_text("")
    (folder / "heavy.py").write_text("loaded = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield Path(folder)
    for name in [name for name in sys.modules if name.partition(".")[0] == "slowpack"]:
        del sys.modules[name]


@pytest.mark.usefixtures("package")
def test_only_what_the_submodule_needs_is_imported():
    """The submodule is the installed one, and neither `__init__` nor what that imports has run."""
    assert import_submodule("slowpack", "light").answer == 42
    assert "slowpack.other" in sys.modules
    assert "slowpack.heavy" not in sys.modules


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(("name", "value"), [("whole", True), ("answer", 42), ("__version__", "7")])
def test_package_is_whole_for_those_who_ask(name, value):
    """Who asks the package for more than a submodule gets it, and the submodule stays the same."""
    light = import_submodule("slowpack", "light")
    slowpack = importlib.import_module("slowpack")

    assert getattr(slowpack, name) == value
    assert sys.modules["slowpack"] is slowpack
    assert slowpack.heavy.loaded
    assert slowpack.light is light


@pytest.mark.usefixtures("package")
def test_package_has_no_more_than_it_has():
    """A name that the package does not have is an AttributeError."""
    import_submodule("slowpack", "light")
    slowpack = importlib.import_module("slowpack")

    with pytest.raises(AttributeError):
        _ = slowpack.nothing


@pytest.mark.usefixtures("package")
def test_imported_package_stays():
    """Where the package is imported already, its submodule is."""
    slowpack = importlib.import_module("slowpack")

    assert import_submodule("slowpack", "light") is slowpack.light
    assert sys.modules["slowpack"] is slowpack


@pytest.mark.parametrize(("package_name", "name"), [("no_such_package", "light"), ("slowpack", "nothing")])
@pytest.mark.usefixtures("package")
def test_what_is_not_installed_is_an_import_error(package_name, name):
    """A missing package or submodule is an ImportError."""
    with pytest.raises(ImportError):
        import_submodule(package_name, name)
