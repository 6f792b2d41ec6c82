"""How a map is to be made: the one place where every option, its default and its bounds are stated.

The option tables of the README are generated from this model.
"""

from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, model_validator

Metric = Literal[
    "cosine", "euclidean", "manhattan", "chebyshev", "correlation", "dot", "canberra", "braycurtis", "minkowski"
]
"""Distances between vectors that a job may ask for, by umap-learn's names."""

Text = Annotated[str, Field(max_length=500)]
HexColor = Annotated[str, Field(pattern=r"^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$")]
CssWidth = Annotated[str, Field(pattern=r"^[0-9]{1,5}(\.[0-9]{1,3})?(%|px|vw|em|rem)$")]


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
    """Colour of points that belong to no cluster, as #rgb or #rrggbb."""
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

    llm_batch_size: Annotated[int, Field(ge=1, le=100, json_schema_extra={"group": "Naming"})] = 10
    """Clusters that are named together, one progress message a batch."""
    samples_per_cluster: Annotated[int, Field(ge=1, le=100, json_schema_extra={"group": "Naming"})] = 5
    """Example texts kept for each cluster."""

    @model_validator(mode="before")
    @classmethod
    def _null_means_default(cls, data: Any) -> Any:
        """Clients that serialise optional fields send null where they mean "your default"."""
        return {k: v for k, v in data.items() if v is not None} if isinstance(data, dict) else data


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
