"""Maps to draw in tests, and how to read a page back."""

import base64
import gzip
import io
import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd

from vis_assets.page.content import MapContent

HOSTILE = (
    "\"'`${window.hacked=1}</title></script></style><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
)
"""Breaks out of every context that a careless page might put it into."""


def blobs(n: int = 300, clusters: int = 3, seed: int = 0) -> MapContent:
    """Well separated round clusters of equal share, every tenth point noise, texts "text i"."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % clusters).astype(np.int32)
    angles = np.arange(clusters) * 2 * np.pi / clusters
    centers = 10 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    coordinates = (centers[labels] + rng.normal(size=(n, 2))).astype(np.float32)
    if n >= 20:
        labels[::10] = -1
    return MapContent(
        coordinates, labels, [f"Topic of kind {i}" for i in range(clusters)], [f"text {i}" for i in range(n)]
    )


def crowd(clusters: int = 100, seed: int = 0) -> MapContent:
    """Clusters all over a map, cluster 0 the biggest, so many that their labels cannot all be drawn at once."""
    rng = np.random.default_rng(seed)
    sizes = np.linspace(60, 12, clusters).astype(int)
    labels = np.repeat(np.arange(clusters), sizes).astype(np.int32)
    centers = rng.uniform(-10, 10, size=(clusters, 2))
    coordinates = (centers[labels] + rng.normal(scale=0.3, size=(len(labels), 2))).astype(np.float32)
    names = [f"Cluster {i}: document, {'wide ' * (i % 4)}query, response" for i in range(clusters)]
    return MapContent(coordinates, labels, names, [f"text {i}" for i in range(len(labels))])


def make(coordinates: Any, labels: Any, names: list[str], texts: list[str] | None = None) -> MapContent:
    """A map from plain lists."""
    places = np.asarray(coordinates, dtype=np.float32)
    return MapContent(places, np.asarray(labels, dtype=np.int32), names, texts or [""] * len(places))


def degenerate_maps() -> dict[str, MapContent]:
    """Maps at the edge of what can be drawn."""
    cloud = np.random.default_rng(1).normal(size=(60, 2))
    return {
        "one point": make([[3, 4]], [0], ["Only"]),
        "one noise point": make([[3, 4]], [-1], []),
        "two points": make([[0, 0], [1, 1]], [0, 1], ["A", "B"]),
        "fourteen points": blobs(14, 2),
        "all noise": make(cloud, [-1] * 60, []),
        "one cluster": make(cloud, [0] * 60, ["Everything"]),
        "all in one place": make(np.full((30, 2), 7.0), [0] * 15 + [1] * 15, ["A", "B"]),
        "all on one line": make(np.stack([np.arange(40), np.zeros(40)], axis=1), [0] * 20 + [1] * 20, ["A", "B"]),
        "far from the origin": make(cloud + 1e6, [0] * 30 + [1] * 30, ["A", "B"]),
        "a name without points": make(cloud, [1] * 60, ["Nobody", "All"]),
        "empty and equal names": make(cloud, [0, 1, 2] * 20, ["", "Same", " Same\n"]),
        "every script": make(
            cloud, [0, 1, 2] * 20, ["日本語のトピック", "العربية", "🐶🎉 \ud800\x00"], ["naïve 🎉 текст\u2028"] * 60
        ),
        "hostile": make(cloud, [0, 1, 2] * 20, [HOSTILE, HOSTILE + "2", "constructor"], [HOSTILE] * 60),
    }


def inline_points(html: bytes) -> pd.DataFrame:
    """The points inside a page: x, y, r, g, b, a."""
    return pd.read_feather(io.BytesIO(_inline(html, "point")))


def inline_labels(html: bytes) -> list[dict[str, Any]]:
    """The labels inside a page."""
    labels: list[dict[str, Any]] = json.loads(_inline(html, "label"))
    return labels


def inline_hover(html: bytes) -> list[str]:
    """The texts of the points inside a page."""
    texts: list[str] = json.loads(_inline(html, "hover"))["hover_text"]
    return texts


def _inline(html: bytes, kind: str) -> bytes:
    found = re.search(rf'const {kind}DataEncoded = "([^"]*)"'.encode(), html)
    assert found is not None
    return gzip.decompress(base64.b64decode(found[1]))


class Outline(HTMLParser):
    """What a browser would see in a page: elements with their attributes, and text by enclosing element id or tag."""

    def __init__(self, html: bytes) -> None:
        """Parse at once."""
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._stack: list[str] = []
        self.feed(html.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember an element."""
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag not in {"meta", "link", "img", "input", "br"}:
            self._stack.append(attributes.get("id") or tag)

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        if self._stack and tag not in {"meta", "link", "img", "input", "br"}:
            self._stack.pop()

    def handle_data(self, data: str) -> None:
        """Keep text for every element around it."""
        for name in set(self._stack):
            self.texts[name] = self.texts.get(name, "") + data
