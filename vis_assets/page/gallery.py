"""The gallery: a static page that lists an owner's maps. It needs no script, and opens from a bucket or from disk."""

import base64
import hashlib
import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from vis_assets.page import texts

MAX_SHOWN = 500
"""Most maps on one gallery: the newest."""
THUMBNAIL_PX = (960, 720)
_TITLE_CHARACTERS = 200


class MapCard(BaseModel):
    """What a gallery says about a map; a small JSON object beside the page.

    Attributes:
        title: of the map, maybe empty.
        points: number of points.
        clusters: number of clusters of the finest layer.
        made_at: when the page was made.
        job_id: of the job that made it.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    title: Annotated[str, Field(max_length=1000)] = ""
    points: Annotated[int, Field(ge=0)]
    clusters: Annotated[int, Field(ge=0)]
    made_at: AwareDatetime
    job_id: Annotated[str, Field(max_length=64)] = ""

    def to_json(self) -> bytes:
        """Write the object, keys in a fixed order, the time in UTC to the second."""
        in_utc = self.model_copy(update={"made_at": self.made_at.astimezone(UTC).replace(microsecond=0)})
        return in_utc.model_dump_json(indent=1).encode() + b"\n"


def read_card(body: bytes | str) -> MapCard | None:
    """Read a card; None where it is none."""
    try:
        return MapCard.model_validate_json(body)
    except ValidationError:
        return None


@dataclass(frozen=True)
class GalleryEntry:
    """A map on a gallery; addresses are relative to the gallery.

    Attributes:
        page: address of the page.
        card: what is known of the map, None of one that was made before there were cards.
        stored_at: when the page was written, seconds since 1970.
        thumbnail: address of its picture, None where there is none.
        points_file: address of its table of points, None where there is none.
    """

    page: str
    card: MapCard | None
    stored_at: float
    thumbnail: str | None = None
    points_file: str | None = None

    @property
    def made_at(self) -> datetime:
        """When the map was made, as far as is known."""
        return self.card.made_at if self.card else datetime.fromtimestamp(self.stored_at, UTC)

    @property
    def title(self) -> str:
        """Text of the link, never empty."""
        title = texts.clean_start(self.card.title, _TITLE_CHARACTERS) if self.card else ""
        return title or f"Map {self.page.removesuffix('.html')}"


def render_gallery(owner: str, entries: Sequence[GalleryEntry], total: int) -> bytes:
    """Write the gallery of an owner, newest map first; equal entries make equal bytes.

    Args:
        owner: whose it is.
        entries: the maps to show.
        total: how many the owner has.

    Returns:
        HTML, UTF-8.
    """
    newest_first = sorted(entries, key=lambda entry: (-entry.made_at.timestamp(), entry.page))
    cards = "\n".join(_card(entry) for entry in newest_first)
    shown = f"The newest {len(entries):,} of {total:,} maps." if len(entries) < total else _counted(total, "map")
    whose = texts.escape(owner)
    sources = f"img-src 'self' file: data:; style-src '{_STYLE_HASH}'"
    policy = f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>Maps of {whose}</title>
<style>{_STYLE}</style>
</head>
<body>
<header><h1>Maps of {whose}</h1><p>{shown}</p></header>
<main><ul>
{cards}
</ul></main>
</body>
</html>
"""
    return page.encode("utf-8", "replace")


def _card(entry: GalleryEntry) -> str:
    made_at = entry.made_at.astimezone(UTC)
    facts = [f'<time datetime="{made_at:%Y-%m-%dT%H:%M:%SZ}">{made_at:%Y-%m-%d %H:%M} UTC</time>']
    if entry.card:
        facts += [_counted(entry.card.points, "point"), _counted(entry.card.clusters, "cluster")]
    if entry.points_file:
        facts.append(f'<a href="{_address(entry.points_file)}" download>points.parquet</a>')
    return (
        f'<li><a class="map" href="{_address(entry.page)}">{_picture(entry.thumbnail)}'
        f'<strong dir="auto">{texts.escape(entry.title)}</strong></a><p>{" · ".join(facts)}</p></li>'
    )


def _picture(thumbnail: str | None) -> str:
    if thumbnail is None:
        return '<span class="none">no picture</span>'
    width, height = THUMBNAIL_PX
    return f'<img src="{_address(thumbnail)}" alt="" width="{width}" height="{height}" loading="lazy">'


def _address(relative: str) -> str:
    """Write an address that can only lead below the gallery, whatever it holds."""
    return html.escape(f"./{relative}", quote=True)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --ground: #fafafa; --card: #fff; --edge: #e0e1e6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #edeef0; --soft: #b0b4ba; --ground: #111113; --card: #18191b; --edge: #2e3135; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 90rem; padding: 1.5rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
header { margin-bottom: 1.25rem; }
h1 { margin: 0; font-size: 1.5rem; overflow-wrap: anywhere; }
p { margin: 0; color: var(--soft); font-size: .875rem; }
ul { list-style: none; margin: 0; padding: 0; display: grid; gap: 1.25rem;
  grid-template-columns: repeat(auto-fill, minmax(min(18rem, 100%), 1fr)); }
li { background: var(--card); border: 1px solid var(--edge); border-radius: .75rem; overflow: hidden; }
li p { padding: .25rem 1rem 1rem; }
a { color: inherit; }
a.map { display: block; text-decoration: none; }
a.map:focus-visible { outline: 3px solid #3e63dd; outline-offset: -3px; }
a.map:hover strong { text-decoration: underline; }
img, .none { display: block; width: 100%; height: auto; aspect-ratio: 4 / 3; object-fit: cover;
  border-bottom: 1px solid var(--edge); }
.none { display: grid; place-items: center; color: var(--soft); font-size: .875rem; }
strong { display: block; padding: .75rem 1rem 0; overflow-wrap: anywhere; }
@media (max-width: 40rem) { body { padding: 1rem; } }
"""
_STYLE_HASH = "sha256-" + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
