"""The public files of a map, by how their names end, and what each is called in HTTP and S3."""

from typing import Final

PAGE: Final = ".html"
THUMBNAIL: Final = ".png"
CARD: Final = ".json"
POINTS: Final = ".points.parquet"
NAMES: Final = ".names.parquet"
INDEX_PAGE: Final = "index.html"
"""The gallery of an owner."""

HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"
_TYPES = {PAGE: HTML, THUMBNAIL: "image/png", CARD: JSON, ".parquet": "application/vnd.apache.parquet"}


def content_type(name: str) -> str:
    """Content type of a page or of a file beside it."""
    return next((kind for ending, kind in _TYPES.items() if name.endswith(ending)), BYTES)
