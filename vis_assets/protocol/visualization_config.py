"""How a map is to be made: the one place where every option, its default and its bounds are stated.

The option tables of the README are generated from this model.
"""

import base64
import binascii
import re
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Metric = Literal[
    "cosine", "euclidean", "manhattan", "chebyshev", "correlation", "dot", "canberra", "braycurtis", "minkowski"
]
"""Distances between vectors that a job may ask for, by umap-learn's names."""

TopicNames = Literal["llm", "keyphrases", "numbers"]
"""What makes the names of clusters."""

SAMPLES_PLACEHOLDER = "{{samples}}"
"""Where the documents of a cluster stand in a job's own prompt."""
MAX_PROMPT_CHARACTERS = 8_000
MAX_IMAGE_CHARACTERS = 500_000
"""Longest image inside a job, as the text of its `data:` URL."""
IMAGE_OPTIONS = ("logo", "background_image")
"""Options that hold an image."""

_DATA_URL = re.compile(r"data:image/(?:png|jpeg|gif|webp|svg\+xml);base64,(?P<data>[A-Za-z0-9+/]+={0,2})")
_WEB_URL = re.compile(r"https?://[!-~]{1,2000}")
_EMPTY_IS_A_VALUE = frozenset(["title", "sub_title", "noise_label"])
"""Options for which "" says something; for all others forms send it where nothing was entered."""


def _check_image(value: str) -> str:
    """Accept an image as a `data:` URL, and a web address without a user, of which a warning tells the sender."""
    if _WEB_URL.fullmatch(value) and _names_host_only(value):
        return value
    found = _DATA_URL.fullmatch(value)
    try:
        base64.b64decode(found["data"] if found else "-", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(
            "is no image that a page can show; send data:image/png;base64,... (or jpeg, gif, webp, svg+xml) "
            f"of at most {MAX_IMAGE_CHARACTERS} characters"
        ) from None
    return value


def _names_host_only(url: str) -> bool:
    """Whether a web address has a host and neither user nor password, since options are stored in the clear."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and "@" not in parts.netloc


Text = Annotated[str, Field(max_length=500)]
HexColor = Annotated[str, Field(pattern=r"^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})$")]
CssWidth = Annotated[str, Field(pattern=r"^[0-9]{1,5}(\.[0-9]{1,3})?(%|px|vw|em|rem)$")]
FontFamily = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9 ,-]*[A-Za-z0-9][A-Za-z0-9 ,-]*$")]
TopicLanguage = Annotated[str, Field(max_length=40, pattern=r"^[^\W\d_][\w ()-]*$")]
FieldPath = Annotated[str, Field(min_length=1, max_length=255)]
Image = Annotated[str, Field(max_length=MAX_IMAGE_CHARACTERS), AfterValidator(_check_image)]


class VisualizationConfig(BaseModel):
    """Options of one map, grouped as the README shows them (`json_schema_extra["group"]`)."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    n_neighbors: Annotated[int, Field(ge=2, le=1000, json_schema_extra={"group": "UMAP"})] = 15
    """Neighbours of each point in the UMAP graph: few show local detail, many show the broad picture."""
    min_dist: Annotated[float, Field(ge=0.0, le=0.99, json_schema_extra={"group": "UMAP"})] = 0.1
    """How close two points may lie on the map (map units): small packs clusters tightly."""
    metric: Annotated[Metric, Field(json_schema_extra={"group": "UMAP"})] = "cosine"
    """Distance between two vectors."""
    max_points: Annotated[int | None, Field(ge=1_000, le=1_000_000_000, json_schema_extra={"group": "UMAP"})] = None
    """Most points that are laid out together, drawn at random; each of the others is placed by its neighbours there."""

    min_cluster_size: Annotated[int, Field(ge=2, le=1_000_000, json_schema_extra={"group": "HDBSCAN"})] = 15
    """Fewest points that make a cluster."""
    min_samples: Annotated[int, Field(ge=1, le=10_000, json_schema_extra={"group": "HDBSCAN"})] = 5
    """Neighbours that make a core point: more leaves more points as noise."""

    title: Annotated[Text | None, Field(json_schema_extra={"group": "Page"})] = None
    """Title of the page."""
    sub_title: Annotated[Text | None, Field(json_schema_extra={"group": "Page"})] = None
    """Line under the title."""
    width: Annotated[CssWidth, Field(json_schema_extra={"group": "Page"})] = "100%"
    """Width of the map: a number with %, px, vw, em or rem."""
    height: Annotated[int, Field(ge=100, le=10_000, json_schema_extra={"group": "Page"})] = 800
    """Height of the map in pixels."""
    darkmode: Annotated[bool, Field(json_schema_extra={"group": "Page"})] = False
    """Light points on a dark ground."""
    noise_label: Annotated[Text, Field(json_schema_extra={"group": "Page"})] = ""
    """Name shown for points that belong to no cluster."""
    noise_color: Annotated[HexColor, Field(json_schema_extra={"group": "Page"})] = "#999999"
    """Colour of points that belong to no cluster, as #rgb, #rrggbb or #rrggbbaa."""
    inline_data: Annotated[bool, Field(json_schema_extra={"group": "Page"})] = True
    """Put the data inside the HTML file; if false, beside it."""
    color_label_text: Annotated[bool, Field(json_schema_extra={"group": "Page"})] = True
    """Write cluster labels in the colour of their cluster."""
    label_wrap_width: Annotated[int, Field(ge=1, le=200, json_schema_extra={"group": "Page"})] = 16
    """Characters of a label before it wraps to the next line."""
    cluster_boundary_polygons: Annotated[bool, Field(json_schema_extra={"group": "Page"})] = False
    """Draw a line around each cluster."""
    enable_topic_tree: Annotated[bool, Field(json_schema_extra={"group": "Page"})] = False
    """Show the tree of topics beside the map."""
    payload_fields: Annotated[list[FieldPath] | None, Field(max_length=32, json_schema_extra={"group": "Page"})] = None
    """Payload fields shown for each point and offered as colours, `outer.inner` for a nested one; null chooses up to 8,
    `[]` shows none."""
    color_by: Annotated[FieldPath | None, Field(json_schema_extra={"group": "Page"})] = None
    """What the points are coloured by at first: a payload field, `cluster` or `strength`; null means `cluster`."""
    write_back: Annotated[bool, Field(json_schema_extra={"group": "Page"})] = False
    """Write cluster, name and place of each point into its payload in the vector database."""

    palette_hue_shift: Annotated[float, Field(ge=-360.0, le=360.0, json_schema_extra={"group": "Look"})] = 0.0
    """Turns the hues of all clusters, in degrees."""
    palette_hue_radius_dependence: Annotated[float, Field(ge=0.0, le=10.0, json_schema_extra={"group": "Look"})] = 1.0
    """How much a cluster's distance from the middle of the map changes its shade."""
    palette_theta_range: Annotated[float, Field(ge=0.0, le=6.2832, json_schema_extra={"group": "Look"})] = 0.19635
    """Angle, in radians, within which clusters share a hue and differ in shade."""
    cvd_safer: Annotated[bool, Field(json_schema_extra={"group": "Look"})] = False
    """Use colours that people with a colour vision deficiency can tell apart."""
    use_medoids: Annotated[bool, Field(json_schema_extra={"group": "Look"})] = False
    """Put a cluster's label at its most central point instead of the mean of its points."""
    polygon_alpha: Annotated[float, Field(ge=0.0, le=1.0, json_schema_extra={"group": "Look"})] = 0.1
    """Opacity of the area inside a cluster's boundary."""
    cluster_boundary_line_width: Annotated[float, Field(ge=0.0, le=20.0, json_schema_extra={"group": "Look"})] = 1.0
    """Width of the line around a cluster, as a multiple of the usual 1.5 pixels."""
    background_color: Annotated[HexColor | None, Field(json_schema_extra={"group": "Look"})] = None
    """Colour of the ground, as #rgb, #rrggbb or #rrggbbaa; null means that of the theme."""
    background_image: Annotated[Image | None, Field(json_schema_extra={"group": "Look"})] = None
    """Picture behind the points, as `data:image/...;base64,...`; one at a web address is not fetched."""
    initial_zoom_fraction: Annotated[float, Field(ge=0.01, le=1.0, json_schema_extra={"group": "Look"})] = 0.99
    """Share of the points that the first view shows."""
    title_font_size: Annotated[int, Field(ge=8, le=100, json_schema_extra={"group": "Look"})] = 22
    """Size of the title in pixels."""
    sub_title_font_size: Annotated[int, Field(ge=8, le=100, json_schema_extra={"group": "Look"})] = 13
    """Size of the line under the title in pixels."""
    font_family: Annotated[FontFamily, Field(json_schema_extra={"group": "Look"})] = "Roboto"
    """Font of titles and labels, or several in order of preference; one that the page does not hold must be installed
    where it is opened."""
    font_weight: Annotated[int, Field(ge=1, le=1000, json_schema_extra={"group": "Look"})] = 600
    """Weight of labels: 400 is regular, 700 bold."""
    tooltip_font_family: Annotated[FontFamily, Field(json_schema_extra={"group": "Look"})] = "Roboto"
    """Font of the text shown for a point, or several in order of preference."""
    tooltip_font_weight: Annotated[int, Field(ge=1, le=1000, json_schema_extra={"group": "Look"})] = 400
    """Weight of the text shown for a point."""
    min_fontsize: Annotated[float, Field(ge=1.0, le=200.0, json_schema_extra={"group": "Look"})] = 13.0
    """Size of the smallest cluster's label before zooming."""
    max_fontsize: Annotated[float, Field(ge=1.0, le=200.0, json_schema_extra={"group": "Look"})] = 20.0
    """Size of the biggest cluster's label before zooming."""
    text_min_pixel_size: Annotated[float, Field(ge=1.0, le=100.0, json_schema_extra={"group": "Look"})] = 12.0
    """Smallest size of a label in pixels, however far one zooms out."""
    text_max_pixel_size: Annotated[float, Field(ge=1.0, le=100.0, json_schema_extra={"group": "Look"})] = 28.0
    """Greatest size of a label in pixels, however far one zooms in."""
    text_collision_size_scale: Annotated[float, Field(ge=0.1, le=10.0, json_schema_extra={"group": "Look"})] = 3.0
    """Room that a label keeps free around itself: more shows fewer labels at once."""
    text_outline_width: Annotated[float, Field(ge=0.0, le=20.0, json_schema_extra={"group": "Look"})] = 8.0
    """Strength of the outline that sets labels off from the points."""
    text_outline_color: Annotated[HexColor | None, Field(json_schema_extra={"group": "Look"})] = None
    """Colour of that outline, as #rgb, #rrggbb or #rrggbbaa; null means that of the ground."""
    line_spacing: Annotated[float, Field(ge=0.1, le=3.0, json_schema_extra={"group": "Look"})] = 1.1
    """Height of a label's line, as a multiple of its size."""
    logo: Annotated[Image | None, Field(json_schema_extra={"group": "Look"})] = None
    """Logo in a corner, as `data:image/...;base64,...`; one at a web address is not fetched."""
    logo_width: Annotated[int, Field(ge=8, le=2000, json_schema_extra={"group": "Look"})] = 160
    """Width of the logo in pixels."""
    point_size_scale: Annotated[float | None, Field(ge=0.01, le=1000.0, json_schema_extra={"group": "Look"})] = None
    """Radius of points in hundredths of datamapplot's units (the map is 43 long); null chooses it by their number."""
    point_radius_min_pixels: Annotated[float, Field(ge=0.0, le=100.0, json_schema_extra={"group": "Look"})] = 0.01
    """Smallest radius of a point in pixels."""
    point_radius_max_pixels: Annotated[float, Field(ge=0.1, le=100.0, json_schema_extra={"group": "Look"})] = 24.0
    """Greatest radius of a point in pixels."""
    point_hover_color: Annotated[HexColor, Field(json_schema_extra={"group": "Look"})] = "#aa0000bb"
    """Colour of the point under the pointer, as #rgb, #rrggbb or #rrggbbaa."""
    point_line_width: Annotated[float, Field(ge=0.0, le=10.0, json_schema_extra={"group": "Look"})] = 0.001
    """Width of the line around points, in map units."""
    point_line_width_min_pixels: Annotated[float, Field(ge=0.0, le=10.0, json_schema_extra={"group": "Look"})] = 0.001
    """Smallest width of that line in pixels."""
    point_line_width_max_pixels: Annotated[float, Field(ge=0.0, le=10.0, json_schema_extra={"group": "Look"})] = 3.0
    """Greatest width of that line in pixels."""

    llm_batch_size: Annotated[int, Field(ge=1, le=100, json_schema_extra={"group": "Naming"})] = 10
    """Most clusters that one request to a language model asks names for."""
    samples_per_cluster: Annotated[int, Field(ge=1, le=100, json_schema_extra={"group": "Naming"})] = 5
    """Documents kept as examples of each cluster, and shown to a language model."""
    llm_sample_tokens: Annotated[int, Field(ge=8, le=4000, json_schema_extra={"group": "Naming"})] = 64
    """Longest beginning of such a document that a language model is shown, in tokens (estimated)."""
    topic_names: Annotated[TopicNames | None, Field(json_schema_extra={"group": "Naming"})] = None
    """What makes the names: `llm` (a language model where one is configured, else keyphrases), `keyphrases`, or
    `numbers` ("Cluster 7"); null takes `VIS_ASSETS_TOPIC_NAMES`."""
    topic_language: Annotated[TopicLanguage | None, Field(json_schema_extra={"group": "Naming"})] = None
    """Language in which a language model writes names, e.g. `German` or `pt-BR`; null means that of the documents."""
    topic_naming_prompt: Annotated[
        str | None, Field(max_length=MAX_PROMPT_CHARACTERS, json_schema_extra={"group": "Naming"})
    ] = None
    """What a language model is told to do with the documents of a cluster, which take the place of `{{samples}}`; null
    takes a prompt of our own."""
    reuse_names: Annotated[bool, Field(json_schema_extra={"group": "Naming"})] = True
    """Keep the names that a language model gave to the same clusters in an earlier run; false asks for all anew."""
    llm_budget_usd: Annotated[float | None, Field(ge=0.0, le=100_000.0, json_schema_extra={"group": "Naming"})] = None
    """Most that naming may cost, in US dollars; what is left then is named by keyphrases. The installation's own limit
    holds too."""
    llm_budget_tokens: Annotated[int | None, Field(ge=0, le=1_000_000_000, json_schema_extra={"group": "Naming"})] = (
        None
    )
    """Most tokens, of questions and answers, that naming may use; what is left then is named by keyphrases."""

    @model_validator(mode="before")
    @classmethod
    def _null_means_default(cls, data: Any) -> Any:
        """Clients that serialise optional fields send null where they mean "your default", and forms send ""."""
        if not isinstance(data, dict):
            return data
        return {
            name: value
            for name, value in data.items()
            if value is not None and (value != "" or name in _EMPTY_IS_A_VALUE)
        }

    def describe(self) -> dict[str, Any]:
        """Return the options that are not null, for people: instead of an image its size, of an address nothing."""
        described = self.model_dump(exclude_none=True)
        for name in IMAGE_OPTIONS:
            if name in described:
                image = embedded_image(described[name])
                described[name] = f"image of {len(image)} characters" if image else "an address, which is not fetched"
        return described


def embedded_image(value: str | None) -> str | None:
    """Return an image option where it is an image, the `data:` URL; None where it is an address or was not given.

    A page loads nothing from anywhere, so an address is of no use to it.
    """
    return value if value is not None and value.startswith("data:") else None


def allowed_values(name: str) -> str:
    """Say what values an option takes, e.g. `2 to 1000`; empty where its type says it all."""
    option = VisualizationConfig.model_fields.get(name)
    if option is None:
        return ""
    bounds = {type(bound).__name__: bound for bound in option.metadata}
    if "Ge" in bounds and "Le" in bounds:
        return f"{bounds['Ge'].ge} to {bounds['Le'].le}"
    if get_origin(option.annotation) is Literal:
        return ", ".join(get_args(option.annotation))
    return ""
