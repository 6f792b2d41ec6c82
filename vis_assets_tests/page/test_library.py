"""The lean import of datamapplot."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from vis_assets.page import library

ROOT = Path(__file__).parent.parent.parent
DRAW = """
import sys
from vis_assets.page.render import render_page
from vis_assets.protocol.visualization_config import VisualizationConfig
from vis_assets_tests.page.maps import blobs
page = render_page(blobs(), VisualizationConfig(cluster_boundary_polygons=True, enable_topic_tree=True))
"""


def run(script):
    return subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_fresh_process_draws_without_what_draws_pictures():
    """A fresh process draws a page without datashader and numba, and everything of datamapplot is the installed one."""
    shown = run(
        DRAW
        + """
import datamapplot
from importlib.util import find_spec
from datamapplot.interactive_rendering import render_html
from vis_assets.page.library import load_render_html
print({"datashader", "numba"} & set(sys.modules), datamapplot.__file__ == find_spec("datamapplot").origin)
print(load_render_html() is render_html, len(page.html) > 10_000)
"""
    )
    assert shown.split() == ["set()", "True", "True", "True"]


def test_what_waits_still_works():
    """A function that waits is the library's own once it is called, and its module the installed one from then on."""
    shown = run(
        """
import sys
import numpy as np
from vis_assets.page.library import load_render_html
load_render_html()
from datamapplot.interactive_helpers import smooth_polygon
corners = np.random.default_rng(0).normal(size=(12, 2))
print("datamapplot.alpha_shapes" in sys.modules, len(smooth_polygon(corners)) > 12)
import datamapplot.alpha_shapes
print(datamapplot.alpha_shapes.__file__ is not None)
"""
    )
    assert shown.split() == ["False", "True", "True"]


@pytest.mark.parametrize("name", library.DEFERRED)
def test_stand_ins_name_what_is_there(name):
    """Every function that a stand-in offers is one of the module that it stands for."""
    spec = importlib.util.find_spec("datamapplot")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).with_name(f"{name}.py").read_text()
    written = {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    assert set(library.DEFERRED[name]) <= written


def test_unknown_form_is_loaded_the_ordinary_way():
    """A version that imports more from a waiting module is loaded whole, and draws."""
    shown = run(
        """
import sys
from vis_assets.page import library
library.DEFERRED["medoids"] = ()
render = library.load_render_html()
print("datashader" in sys.modules, render.__name__.replace("fn_with_config", "render_html"))
"""
    )
    assert shown.split() == ["True", "render_html"]
