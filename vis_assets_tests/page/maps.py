"""Maps to draw in tests, and how to read a page back."""

import base64
import gzip
import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import numpy.typing as npt

from vis_assets.page.content import ClusterLayer, MapContent
from vis_assets.page.fields import PayloadField

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


ARABIC, HEBREW, CHINESE, EMOJI, EMPTY = range(1, 6)
"""Rows of `town` whose texts are of these scripts, and the one that has none."""
DAY_MS = 86_400_000
FIRST_DAY_MS = 1_577_836_800_000  # 2020-01-01


def town(n: int = 720) -> MapContent:
    """A map that has everything: three layers of clusters, ids, strengths, keyphrases, fields of all four kinds.

    Twelve fine clusters lie in four quarters, and these in two halves. Row i is in cluster i modulo 12, every tenth row
    in none of the finest layer. The last two clusters have the same name.
    """
    rng = np.random.default_rng(5)
    rows = np.arange(n)
    fine = (rows % 12).astype(np.int32)
    quarter = (fine // 3).astype(np.int32)
    half = (quarter // 2).astype(np.int32)
    angle = (fine % 3) * 2 * np.pi / 3
    centers = np.stack([18 * half + 3.2 * np.cos(angle), 9 * (quarter % 2) + 3.2 * np.sin(angle)], axis=1)
    coordinates = (centers + rng.normal(scale=0.45, size=(n, 2))).astype(np.float32)
    texts = [f"text {i} about {'apples' if i % 4 == 0 else 'pears'}" for i in range(n)]
    scripts = ("نص عن التفاح", "טקסט על תפוחים", "關於蘋果的文字", "🍎🍐👩‍👩‍👧", "")
    texts[ARABIC : EMPTY + 1] = scripts
    fields = (
        PayloadField("lang", "category", (rows % 4 - 1).astype(np.int32), ("english", "日本語", "العربية")),
        PayloadField("score", "number", np.where(rows % 9 == 0, np.nan, rows / n)),
        PayloadField("meta.made", "date", FIRST_DAY_MS + DAY_MS * (rows % 40).astype(np.float64)),
        PayloadField("path", "text", [f"=docs/{i}.md" for i in range(n)]),
    )
    return MapContent(
        coordinates,
        np.where(rows % 10 == 0, -1, fine).astype(np.int32),
        [*(f"Street {i}" for i in range(10)), "Twin", "Twin"],
        texts,
        [f"id-{i}" for i in rows],
        np.where(rows % 10 == 0, 0.0, 0.5 + 0.5 * rows / n).astype(np.float32),
        [[f"phrase {i}", "common"] for i in range(12)],
        (
            ClusterLayer(quarter, [f"Quarter {i}" for i in range(4)], [[f"quarterly {i}"] for i in range(4)]),
            ClusterLayer(half, ["West", "East"]),
        ),
        fields,
    )


def read_block(html: bytes, name: str) -> bytes:
    """The data of a block inside a page, unpacked."""
    found = re.search(rf'<script type="text/plain" id="block-{name}">([^<]+)</script>'.encode(), html)
    assert found is not None
    return gzip.decompress(base64.b64decode(found[1]))


def read_meta(html: bytes) -> dict[str, Any]:
    """What a page says of itself and of its clusters."""
    meta: dict[str, Any] = json.loads(read_block(html, "meta"))
    return meta


def read_positions(html: bytes) -> npt.NDArray[np.float32]:
    """Places of the points inside a page, (n, 2)."""
    return np.frombuffer(read_block(html, "positions"), "<f4").reshape(-1, 2)


def read_labels(html: bytes) -> npt.NDArray[np.int32]:
    """Clusters of the points inside a page, (number of layers, n)."""
    labels = np.frombuffer(read_block(html, "labels"), "<i4")
    return labels.reshape(len(read_meta(html)["layers"]), -1)


def read_texts(html: bytes) -> list[str]:
    """Texts of the points inside a page."""
    return read_lines(html, "texts")


def read_lines(html: bytes, name: str) -> list[str]:
    """The texts of a block, one a line."""
    return read_block(html, name).decode().split("\n")


def cluster_names(html: bytes, layer: int = 0) -> list[str]:
    """Names of the clusters of a layer, as the page shows them."""
    return [cluster["name"] for cluster in read_meta(html)["layers"][layer]["clusters"]]


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
